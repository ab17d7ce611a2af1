"""Real servers on free ports, for tests over the wire."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import numpy as np
from google.rpc.status_pb2 import Status

from gfp_serve.bundle import Bundle
from gfp_serve.client.connection import CHANNEL_OPTIONS
from gfp_serve.config import Limits, ServeConfig
from gfp_serve.encoder import Encoder
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.server import Server
from tests.support.tiny_bundle import tiny_bundle

# Longer than any wait on a busy machine: a test that reaches this hangs.
HANG_S = 60


class GatedEncoder(Encoder):
    """The tiny encoder, which waits while its gate is shut, and remembers what it computed."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, num_threads=1)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.seen: list[np.ndarray] = []

    def encode(self, clips: np.ndarray) -> np.ndarray:
        self.entered.set()
        assert self.gate.wait(HANG_S)
        self.seen.extend(clips)
        return super().encode(clips)

    def shut(self) -> None:
        self.seen.clear()
        self.entered.clear()
        self.gate.clear()


class Refusal(grpc.RpcError):
    """A failed call with its status, as gRPC gives it to a client."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def code(self) -> grpc.StatusCode:
        return next(code for code in grpc.StatusCode if code.value[0] == self._status.code)

    def details(self) -> str:
        return self._status.message

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


def small_config(**limits: int) -> ServeConfig:
    """Return a config with port 0, a short drain, these `limits`, and no more admission than they need."""
    chosen = Limits(**limits)
    return ServeConfig(
        port=0, drain_s=5.0, max_batch_bodies=32, lanes=1, max_admitted_bodies=2 * chosen.max_sequences, limits=chosen
    )


def galleries_of(bundle: Bundle, root: Path) -> FolderGalleries:
    manifest = bundle.manifest
    return FolderGalleries(root, encoder_digest=manifest.encoder_digest, embedding_size=manifest.embedding_size)


@asynccontextmanager
async def running(
    folder: Path, config: ServeConfig | None = None, encoder: Encoder | None = None, bundle: Bundle | None = None
) -> AsyncIterator[Server]:
    """Run a server in this event loop."""
    async with unstarted(folder, config, encoder, bundle) as server:
        await server.start()
        yield server


@asynccontextmanager
async def unstarted(
    folder: Path, config: ServeConfig | None = None, encoder: Encoder | None = None, bundle: Bundle | None = None
) -> AsyncIterator[Server]:
    """Give a server to start; stop it at the end."""
    bundle = bundle or tiny_bundle()
    galleries = galleries_of(bundle, folder / "galleries")
    encoder = encoder or Encoder(bundle, num_threads=1)
    server = Server(config or small_config(), bundle.manifest, encoder, galleries)
    try:
        yield server
    finally:
        await server.stop()
        galleries.close()


@asynccontextmanager
async def channel_to(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", CHANNEL_OPTIONS) as channel:
        yield channel


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that has no event, because only tests wait for it."""
    async with asyncio.timeout(HANG_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def calls_in(server: Server, number: int) -> None:
    """Wait until this many calls are in progress."""
    await until(lambda: server._guard.num_calls == number)


@contextmanager
def server_in_thread(folder: Path, config: ServeConfig | None = None) -> Iterator[Server]:
    """Run a server in a thread with its own event loop; give it."""
    started, stop = threading.Event(), threading.Event()
    found: list[Server] = []

    async def run() -> None:
        async with running(folder, config) as server:
            found.append(server)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert started.wait(HANG_S)
        yield found[0]
    finally:
        stop.set()
        thread.join()


@contextmanager
def running_in_thread(folder: Path, config: ServeConfig | None = None) -> Iterator[str]:
    """Run a server in a thread; give its address, for blocking callers."""
    with server_in_thread(folder, config) as server:
        yield f"127.0.0.1:{server.port}"
