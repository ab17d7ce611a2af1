"""A server that stops while callers are busy answers and keeps what it accepted, and refuses the rest."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest

from gfp_serve.client import Client, ClipItem
from gfp_serve.items import Item
from gfp_serve.layouts import NTU25
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.server_processes import process
from tests.support.servers import galleries_of
from tests.support.tiny_bundle import SIZE, tiny_bundle, walk

NUM_CALLERS = 8


@dataclass
class Drained:
    """What callers saw of a server that was told to stop, and its exit code and gallery."""

    acknowledged: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    exit_code: int | None = None
    gallery: Path = Path()


@pytest.fixture(scope="module")
def drained(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Drained:
    """Callers, each with its own connection, upsert until their first call fails."""
    seen = Drained(gallery=tmp_path_factory.mktemp("drained") / "gallery")
    with process("--bundle", bundle_path, "--gallery", seen.gallery, "--port", 0) as (server, address):

        async def caller(name: int) -> None:
            request = gallery_pb2.UpsertRequest(items=[gallery_pb2.Item(sequence=write_sequence(walk(name), NTU25))])
            own_connection = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(address, own_connection) as channel:
                stub = gallery_pb2_grpc.GalleryServiceStub(channel)
                while True:
                    request.items[0].id = f"{name}/{len(seen.acknowledged)}"
                    try:
                        await stub.Upsert(request)
                    except grpc.RpcError as failure:
                        seen.failed[failure.code().name] += 1
                        break
                    seen.acknowledged.append(request.items[0].id)
                    if len(seen.acknowledged) == 20 * NUM_CALLERS:
                        server.send_signal(signal.SIGTERM)

        async def callers() -> None:
            async with asyncio.timeout(60):
                await asyncio.gather(*map(caller, range(NUM_CALLERS)))

        asyncio.run(callers())
        seen.exit_code = server.wait(60)
    return seen


def stored(path: Path, ids: list[str]) -> list[str]:
    """Return which of these ids the gallery has. Fails if it has a different number of items."""
    with closing(galleries_of(tiny_bundle(), path)) as galleries:
        gallery = galleries[""]
        assert len(gallery) == len(ids)
        return [item.id for item in gallery.get(ids)]


def test_a_draining_server_keeps_the_upserts_that_it_answered_and_no_others(drained: Drained) -> None:
    assert drained.exit_code == 0
    assert len(drained.acknowledged) >= 20 * NUM_CALLERS
    assert stored(drained.gallery, drained.acknowledged) == drained.acknowledged


def test_a_draining_server_refuses_calls_as_unavailable(drained: Drained) -> None:
    assert drained.failed == {"UNAVAILABLE": NUM_CALLERS}


# Only root may make a namespace for processes. Other users first become root in a namespace for users.
FIRST_PROCESS = ["unshare", *(() if os.getuid() == 0 else ("--map-root-user",)), "--fork", "--pid", "--mount-proc"]


def test_the_first_process_of_a_container_stops_at_sigterm_and_keeps_its_gallery(bundle_path, tmp_path: Path) -> None:
    try:
        subprocess.run([*FIRST_PROCESS, "true"], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs unshare of util-linux")
    except subprocess.CalledProcessError as refusal:
        pytest.skip(f"this machine does not allow a namespace for processes: {refusal.stderr.strip()}")
    wrapper = [*FIRST_PROCESS, "--kill-child"]
    arguments = ("--bundle", bundle_path, "--gallery", tmp_path / "gallery", "--port", 0)
    with process(*arguments, wrapper=wrapper) as (unshare, address), Client(address) as client:
        (server,) = psutil.Process(unshare.pid).children()
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert f"NSpid:\t{server.pid}\t1\n" in status
        client.upsert([ClipItem(name, walk(1)) for name in "abc"])
        server.send_signal(signal.SIGTERM)
        assert unshare.wait(60) == 0
    assert stored(tmp_path / "gallery", ["a", "b", "c"]) == ["a", "b", "c"]


_MAKES_AN_ENDLESS_INDEX = """
import sys, threading
from gfp_serve.cli.serve import gfp_serve
from gfp_serve.gallery.embedded import settling
def endless(*_, **__):
    print("an index is made", file=sys.stderr, flush=True)
    threading.Event().wait()
settling.make_index = endless
gfp_serve()
"""


def test_a_server_ends_at_sigterm_although_an_index_is_made_that_cannot_be_interrupted(bundle_path, tmp_path):
    with closing(galleries_of(tiny_bundle(), tmp_path / "gallery")) as galleries:
        vectors = np.random.default_rng(0).standard_normal((1000, SIZE)).astype(np.float32)
        gallery = galleries.create("a", index_kind="ivf_pq")
        gallery.upsert([Item(str(row), vector) for row, vector in enumerate(vectors[:999])])
    arguments = ["--bundle", bundle_path, "--gallery", tmp_path / "gallery", "--port", "0", "--drain-s", "1"]
    command = [sys.executable, "-c", _MAKES_AN_ENDLESS_INDEX, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[3]
            with Client(address) as client:
                client.upsert([Item("last", vectors[999])], gallery="a")
                while "an index is made" not in server.stderr.readline():
                    pass
                server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
        finally:
            server.kill()
    with closing(galleries_of(tiny_bundle(), tmp_path / "gallery")) as galleries:
        assert len(galleries["a"]) == 1000
