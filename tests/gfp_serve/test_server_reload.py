"""A new bundle takes over while calls go on. One that cannot be served changes nothing."""

import asyncio
import dataclasses
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from gfp_serve import server_process
from gfp_serve.bundle import Bundle
from gfp_serve.client import AsyncClient, Client, ClipItem
from gfp_serve.encoder import Encoder
from gfp_serve.errors import EncoderMismatchError
from gfp_serve.gallery.embedded import galleries as galleries_module
from gfp_serve.gallery.embedded import settling
from gfp_serve.gallery.protocols import Galleries
from gfp_serve.items import Item
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import SampleConfig
from gfp_serve.server import Server
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, stream_pb2, stream_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.server_processes import COMMAND
from tests.support.servers import HANG_S, GatedEncoder, calls_in, channel_to, galleries_of, running, small_config, until
from tests.support.tiny_bundle import CONFIG, embedding_of, tiny_bundle, walk

OLD = tiny_bundle()
# The same graph with other preprocessing is another encoder: its digest differs, and its vectors may.
NEW = tiny_bundle(name="other", preprocess=dataclasses.replace(CONFIG, sampling=SampleConfig(num_frames=6, crop=0.999)))


@asynccontextmanager
async def other_galleries(folder: Path) -> AsyncIterator[Galleries]:
    with closing(galleries_of(NEW, folder / "other")) as galleries:
        yield galleries


async def switch(server: Server, galleries: Galleries, encoder: Encoder | None = None) -> None:
    await server.switch(NEW.manifest, encoder or Encoder(NEW, num_threads=1), galleries)


async def test_no_call_fails_while_another_encoder_takes_over(tmp_path: Path) -> None:
    digests: list[str] = []
    late: list[str] = []  # of calls that began after the switch
    request = embedding_pb2.EmbedRequest(sequences=[write_sequence(walk(1), NTU25)])
    async with running(tmp_path) as server, other_galleries(tmp_path) as galleries, channel_to(server) as channel:
        switched, done = asyncio.Event(), asyncio.Event()

        async def caller() -> None:
            stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
            while not done.is_set():
                # A reply to an earlier call may arrive only after the switch.
                answered = late if switched.is_set() else digests
                reply = await stub.Embed(request, timeout=20)
                np.testing.assert_allclose(
                    np.frombuffer(reply.embeddings[0].values, "<f4"), embedding_of(walk(1)), atol=1e-5
                )
                answered.append(reply.encoder_digest)

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        await until(lambda: len(digests) > 50)
        await switch(server, galleries)
        switched.set()
        await until(lambda: len(late) > 50)
        done.set()
        await asyncio.gather(*callers)
    assert OLD.manifest.encoder_digest in digests
    assert set(late) == {NEW.manifest.encoder_digest}


async def test_a_call_keeps_the_encoder_and_gallery_with_which_it_began(tmp_path: Path) -> None:
    encoder = GatedEncoder(OLD)
    async with running(tmp_path, encoder=encoder) as server, other_galleries(tmp_path) as galleries:
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            await client.upsert([ClipItem("one", walk(1), "wave")])
            encoder.shut()
            begun = asyncio.create_task(client.search(walk(1)))
            await calls_in(server, 1)
            switching = asyncio.create_task(switch(server, galleries))
            await until(lambda: server.deployment.manifest == NEW.manifest)
            assert not switching.done()
            encoder.gate.set()
            assert [neighbour.id for neighbour in await begun] == ["one"]
            await switching
            # A client of the old encoder gets an error: vectors are not mixed, and it drops nothing of the new encoder.
            galleries.create("new")
            for refused in (client.embed(walk(1)), client.drop_gallery("new")):
                with pytest.raises(EncoderMismatchError, match="cannot be compared"):
                    await refused
            assert "new" in galleries.encoder_digests()
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            info = await client.info()
            assert (info.encoder_digest, info.num_items) == (NEW.manifest.encoder_digest, 0)


async def test_streams_end_and_a_stream_that_nobody_reads_is_cut_off(tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(), drain_s=0.2)
    frames = np.concatenate([walk(number) for number in range(90)]).astype("<f4")
    async with (
        running(tmp_path, config) as server,
        other_galleries(tmp_path) as galleries,
        channel_to(server) as channel,
    ):
        stub = stream_pb2_grpc.StreamServiceStub(channel)
        opening = stream_pb2.StreamConfig(
            layout="ntu25", num_bodies=1, fps=20, window_frames=1, stride_frames=1, lossless=True
        )
        opening.search.top_k = 1
        idle, unread = stub.EmbedStream(timeout=20), stub.EmbedStream(timeout=20)
        await idle.write(stream_pb2.EmbedStreamRequest(config=opening))
        await unread.write(stream_pb2.EmbedStreamRequest(config=opening))
        part = stream_pb2.Frames(positions=frames.tobytes(), num_frames=len(frames))
        await unread.write(stream_pb2.EmbedStreamRequest(frames=part))
        await calls_in(server, 2)
        await asyncio.wait_for(switch(server, galleries), HANG_S)
        await calls_in(server, 0)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await idle.read()
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "open the stream again" in str(ended.value.details())


async def test_an_encoder_that_fails_to_warm_up_does_not_take_over(tmp_path: Path) -> None:
    class Broken(Encoder):
        def encode(self, clips: np.ndarray) -> np.ndarray:
            raise RuntimeError("out of memory")

    async with running(tmp_path) as server, other_galleries(tmp_path) as galleries:
        with pytest.raises(RuntimeError, match="out of memory"):
            await switch(server, galleries, Broken(NEW, num_threads=1))
        assert server.deployment.manifest == OLD.manifest
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            np.testing.assert_allclose(await client.embed(walk(1)), embedding_of(walk(1)), atol=1e-5)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "batcher"]


class Process:
    """A real `gfp-serve` whose standard error is read line by line."""

    def __init__(self, *arguments: object) -> None:
        self.child = subprocess.Popen(
            [
                *COMMAND,
                *map(str, arguments),
                "--port",
                "0",
                "--log-format",
                "text",
                "--lanes",
                "1",
                "--max-batch-bodies",
                "8",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self.child.stdout.readline().split(" on ")[1].split()[0]

    def reload(self, words: str) -> str:
        """Ask the server to reload, and wait for a line with these words."""
        self.child.send_signal(signal.SIGHUP)
        for line in self.child.stderr:
            if words in line:
                return line
        raise AssertionError(f"the server ended without saying {words!r}")


@contextmanager
def process(*arguments: object) -> Iterator[Process]:
    started = Process(*arguments)
    try:
        yield started
        started.child.send_signal(signal.SIGTERM)
        assert started.child.wait(HANG_S) == 0
    finally:
        started.child.kill()
        started.child.communicate()


def put(bundle: Bundle, path: Path) -> None:
    """Replace the bundle atomically, as a careful operator does."""
    aside = path.with_name("aside.zip")
    bundle.write(aside)
    aside.replace(path)


def test_a_server_serves_the_new_bundle_and_each_encoder_keeps_its_gallery(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    put(OLD, path)
    with process("--bundle", path, "--gallery", tmp_path / "galleries" / "{encoder}") as server:
        with Client(server.address) as client:
            client.upsert([ClipItem("one", walk(1), "wave")])
        server.reload("nothing was changed")
        for bundle, name, items in ((NEW, "other", 0), (OLD, "tiny", 1)):
            put(bundle, path)
            assert f"encoder={name}" in server.reload("took over")
            with Client(server.address) as client:
                info = client.info()
                assert (info.encoder_digest, info.num_items) == (bundle.manifest.encoder_digest, items)
        with Client(server.address) as client:
            assert client.search(walk(1))[0].id == "one"
    digests = {bundle.manifest.encoder_digest[:12] for bundle in (OLD, NEW)}
    assert {folder.name for folder in (tmp_path / "galleries").iterdir()} == digests


def test_a_bundle_that_cannot_be_served_is_named_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    put(OLD, path)
    turned = [dataclasses.replace(clip, embedding=np.roll(clip.embedding, 1)) for clip in NEW.canonical]
    with process("--bundle", path, "--gallery", tmp_path / "{encoder}") as server:
        for content, words in (
            (b"no zip", "is not a bundle"),
            (None, "does not exist"),
            (dataclasses.replace(NEW, canonical=tuple(turned)), "gives other vectors here"),
        ):
            path.unlink(missing_ok=True)
            if isinstance(content, Bundle):
                put(content, path)
            elif content is not None:
                path.write_bytes(content)
            assert words in server.reload("tiny is served as before")
            with Client(server.address) as client:
                np.testing.assert_allclose(client.embed(walk(1)), embedding_of(walk(1)), atol=1e-5)
        put(NEW, path)
        server.reload("took over")


def test_a_gallery_of_one_encoder_is_not_served_by_another(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    put(OLD, path)
    with process("--bundle", path, "--gallery", tmp_path / "gallery") as server:
        put(NEW, path)
        assert "belong to encoder" in server.reload("tiny is served as before")


def test_a_reload_loses_no_items_of_a_temporary_gallery_but_replaces_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    put(OLD, path)
    with process("--bundle", path) as server:
        put(NEW, path)
        server.reload("took over")
        with Client(server.address) as client:
            client.create_gallery("more")
            client.upsert([ClipItem("one", walk(1))], gallery="more")
        put(OLD, path)
        assert "1 items of the temporary galleries (default, more)" in server.reload("other is served as before")


async def test_the_approved_bundle_is_served_even_if_its_file_is_replaced_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = tiny_bundle(name="later", preprocess=NEW.manifest.preprocess)
    path = tmp_path / "bundle.zip"
    put(NEW, path)
    config = dataclasses.replace(small_config(), bundle=path, gallery=str(tmp_path / "{encoder}"))
    approve = server_process._refuse_to_mix

    def approve_and_replace(*arguments: Any) -> None:
        approve(*arguments)
        put(later, path)

    monkeypatch.setattr(server_process, "_refuse_to_mix", approve_and_replace)
    loaded = server_process._load(config, OLD)
    server = Server(config, loaded.manifest, loaded.encoder, loaded.galleries)
    await server.start()
    try:
        loaded = await server_process._reload(config, server, loaded, server_process._Signals())
        assert server.deployment.manifest == loaded.manifest == NEW.manifest
        assert Bundle.read(path).manifest == later.manifest  # the next SIGHUP would serve this one
    finally:
        await server.stop()
        loaded.close()


@pytest.mark.parametrize("graph", ["standard", "fp16"])
def test_an_encoder_in_16_bits_on_a_cpu_is_warned_of(graph: str, caplog: pytest.LogCaptureFixture) -> None:
    # What the graph computes in does not matter here.
    manifest = dataclasses.replace(OLD.manifest, graph=graph, standard_sha256="0" * 64 if graph == "fp16" else "")
    server_process._load(small_config(), dataclasses.replace(OLD, manifest=manifest)).close()
    assert ("computes in 16 bits" in caplog.text) == (graph == "fp16")


@pytest.mark.parametrize(("graph", "device"), [("int8", "cpu"), ("int8", "cuda"), ("standard", "cuda")])
def test_an_encoder_in_8_bits_on_a_gpu_is_warned_of(
    graph: str, device: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SaysDevice(server_process.Encoder):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.device = device

    monkeypatch.setattr(server_process, "Encoder", SaysDevice)
    manifest = dataclasses.replace(OLD.manifest, graph=graph, standard_sha256="0" * 64 if graph == "int8" else "")
    server_process._load(small_config(), dataclasses.replace(OLD, manifest=manifest)).close()
    assert ("computes in 8 bits" in caplog.text) == (graph == "int8" and device == "cuda")


async def test_an_end_overtakes_changes_of_the_bundle_and_many_of_these_are_one() -> None:
    signals = server_process._Signals()
    for _ in range(1000):
        signals.ask(signal.SIGHUP)
    assert await signals.next() == signal.SIGHUP
    assert not signals.is_asked
    signals.ask(signal.SIGHUP)
    signals.ask(signal.SIGTERM)
    assert await signals.next() == signal.SIGTERM
    assert await signals.next() == signal.SIGHUP


async def test_an_earlier_bundle_takes_over_again_when_its_galleries_are_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def endless(*_: object, **__: object) -> None:
        begun.set()
        assert let_go.wait(HANG_S)

    monkeypatch.setattr(settling, "make_index", endless)
    monkeypatch.setattr(galleries_module, "_BUILDS_STOP_WITHIN_S", 0.0)
    monkeypatch.setattr(server_process, "_RELOAD_AGAIN_S", 0.0)
    path, signals = tmp_path / "bundle.zip", server_process._Signals()
    config = dataclasses.replace(small_config(), bundle=path, gallery=str(tmp_path / "{encoder}"))
    loaded = server_process._load(config, OLD)
    server = Server(config, loaded.manifest, loaded.encoder, loaded.galleries)
    await server.start()
    try:
        vectors = np.random.default_rng(0).standard_normal((1000, OLD.manifest.embedding_size)).astype(np.float32)
        building = loaded.galleries.create("building", index_kind="hnsw")
        building.upsert([Item(str(row), vector) for row, vector in enumerate(vectors)])
        assert await asyncio.to_thread(begun.wait, HANG_S)
        put(NEW, path)
        loaded = await server_process._reload(config, server, loaded, signals)
        assert not signals.is_asked
        put(OLD, path)
        loaded = await server_process._reload(config, server, loaded, signals)
        assert loaded.manifest == NEW.manifest, "the other is served meanwhile"
        let_go.set()
        while loaded.manifest == NEW.manifest:
            assert await asyncio.wait_for(signals.next(), HANG_S) == signal.SIGHUP
            loaded = await server_process._reload(config, server, loaded, signals)
        assert len(loaded.galleries["building"]) == 1000
    finally:
        let_go.set()
        await server.stop()
        loaded.close()
