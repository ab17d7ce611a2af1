"""Searches are admitted by what they cost, take turns, and end when their caller has left."""

import asyncio
import dataclasses
import threading
from contextlib import closing
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gfp_serve.config import Limits
from gfp_serve.cores import num_cores
from gfp_serve.encoder import Encoder
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import Item
from gfp_serve.layouts import NTU25
from gfp_serve.server import Server
from gfp_serve.service import embedder, finding
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.servers import HANG_S, calls_in, channel_to, galleries_of, running, small_config, until
from tests.support.tiny_bundle import tiny_bundle, walk

NUM_ITEMS = 64


def fill(server: Server) -> None:
    gallery = server.deployment.galleries[""]
    vectors = np.random.default_rng(0).normal(size=(NUM_ITEMS, gallery.embedding_size)).astype(np.float32)
    gallery.upsert([Item(f"i{number}", vector, "a") for number, vector in enumerate(vectors)])


def many(number: int, top_k: int = 5) -> gallery_pb2.SearchRequest:
    return gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id=f"i{each}") for each in range(number)], top_k=top_k)


async def test_a_search_that_would_find_too_much_beside_others_is_refused_with_words(tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(), max_admitted_neighbours=100)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        await asyncio.to_thread(fill, server)
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        with server._turns.admit(25), server._turns.admit(25), server._turns.admit(25):
            for call in (
                stub.Search(many(5)),
                stub.Classify(gallery_pb2.ClassifyRequest(queries=many(5).queries, num_neighbours=5)),
                stub.Search(gallery_pb2.SearchRequest(queries=many(1).queries, merge_windows=True)),
                stub.Get(gallery_pb2.GetRequest(ids=[f"i{number}" for number in range(20)])),
            ):
                with pytest.raises(grpc.aio.AioRpcError, match="--max-admitted-neighbours") as caught:
                    await call
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert len((await stub.Search(many(1, top_k=1))).results) == 1
        assert len((await stub.Search(many(50))).results) == 50


async def test_a_search_whose_caller_left_ends_after_the_piece_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "_NUMBERS_AT_ONCE", 1)  # each query is a piece
    gate, entered, pieces = threading.Event(), threading.Event(), []
    search = FaissGallery.search

    def gated(self: FaissGallery, queries: np.ndarray, **options: object) -> object:
        pieces.append(len(queries))
        entered.set()
        assert gate.wait(HANG_S)
        return search(self, queries, **options)

    async with running(tmp_path) as server, channel_to(server) as channel:
        await asyncio.to_thread(fill, server)
        monkeypatch.setattr(FaissGallery, "search", gated)
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        call = stub.Search(many(50))
        assert await asyncio.to_thread(entered.wait, HANG_S)
        call.cancel()
        await until(lambda: server._turns.admitted == 0)
        gate.set()
        assert len((await stub.Search(many(3))).results) == 3
    assert pieces == [1, 1, 1, 1]


async def test_a_search_in_pieces_finds_what_a_search_at_once_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as server, channel_to(server) as channel:
        await asyncio.to_thread(fill, server)
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        whole = await stub.Search(many(40))
        monkeypatch.setattr(finding, "_NUMBERS_AT_ONCE", 3 * NUM_ITEMS * server.deployment.manifest.embedding_size)
        monkeypatch.setattr(finding, "_NEIGHBOURS_AT_ONCE", 7)
        pieces = await stub.Search(many(40))
    for one, other in zip(whole.results, pieces.results, strict=True):
        assert [each.id for each in one.neighbours] == [each.id for each in other.neighbours]
        np.testing.assert_allclose(
            [each.similarity for each in one.neighbours], [each.similarity for each in other.neighbours], atol=1e-6
        )


async def test_many_large_requests_are_converted_by_as_many_threads_as_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, gate, lock = embedder.read_sequence, threading.Event(), threading.Lock()
    at_once: list[str] = []
    most: list[int] = []

    def gated(message: object, limits: Limits) -> object:
        with lock:
            at_once.append(threading.current_thread().name)
            most.append(len(at_once))
        assert gate.wait(HANG_S)
        with lock:
            at_once.pop()
        return read(message, limits)

    monkeypatch.setattr(embedder, "read_sequence", gated)
    long = np.tile(walk(1), (1 + 1000 // len(walk(1)), 1, 1, 1))
    request = embedding_pb2.EmbedRequest(sequences=[write_sequence(long, NTU25)])
    num_threads = max(2, num_cores())
    async with running(tmp_path) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        calls = [stub.Embed(request) for _ in range(num_threads + 8)]
        await calls_in(server, len(calls))
        await until(lambda: len(at_once) == num_threads)
        gate.set()
        assert all([(await call).embeddings for call in calls])
    assert max(most) == num_threads


class _Elsewhere:
    """Galleries on another machine, which never answers for those that are called `hangs…`."""

    def __init__(self, galleries: Galleries, answers: threading.Event) -> None:
        self._galleries, self._answers = galleries, answers

    def __getitem__(self, name: str) -> Gallery:
        if name.startswith("hangs"):
            assert self._answers.wait(HANG_S)
        return self._galleries[name]

    def __getattr__(self, name: str) -> object:
        return getattr(self._galleries, name)


async def test_galleries_on_a_machine_that_hangs_hold_up_neither_health_nor_large_requests(tmp_path: Path) -> None:
    bundle, answers = tiny_bundle(), threading.Event()
    long = np.tile(walk(1), (1 + 1000 // len(walk(1)), 1, 1, 1))
    with closing(galleries_of(bundle, tmp_path / "galleries")) as galleries:
        server = Server(small_config(), bundle.manifest, Encoder(bundle, num_threads=1), _Elsewhere(galleries, answers))
        try:
            await server.start()
            async with channel_to(server) as channel:
                searches = [
                    gallery_pb2_grpc.GalleryServiceStub(channel).Search(
                        gallery_pb2.SearchRequest(gallery=f"hangs-{number}", queries=many(1).queries, top_k=1)
                    )
                    for number in range(8)
                ]
                await calls_in(server, len(searches))
                embed = embedding_pb2_grpc.EmbeddingServiceStub(channel).Embed
                request = embedding_pb2.EmbedRequest(sequences=[write_sequence(long, NTU25)])
                assert (await embed(request, timeout=HANG_S)).embeddings
                health = health_pb2_grpc.HealthStub(channel)
                assert await health.Check(health_pb2.HealthCheckRequest(), timeout=HANG_S)
                answers.set()
                assert {await each.code() for each in searches} == {grpc.StatusCode.NOT_FOUND}
        finally:
            answers.set()
            await server.stop()
