"""Two replicas behind HAProxy with the shipped configuration: what callers see when one replica stops."""

import asyncio
import re
import select
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from gfp_serve.client import AsyncClient, Client, ClipItem, StreamSettings
from gfp_serve.errors import GfpError
from gfp_serve.layouts import NTU25
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.debian import command_of
from tests.support.server_processes import process
from tests.support.tiny_bundle import walk

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]

CONFIG = Path(__file__).parents[2] / "examples" / "replicas" / "haproxy.cfg"

# Number of callers of each kind, and of calls of each kind that must end before, and again after, the replica stops.
NUM_CALLERS, NUM_CALLS = 8, 100
# 3 KB, which HAProxy keeps in order to send it again, and 30 KB, which it does not keep.
SMALL, LARGE = walk(1, frames=9), walk(2, frames=100)


@dataclass
class Cluster:
    address: str  # HAProxy's
    replicas: list[tuple[subprocess.Popen[str], str]]


@contextmanager
def cluster(bundle: Path, folder: Path) -> Iterator[Cluster]:
    haproxy = command_of("haproxy")
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(process("--bundle", bundle, "--gallery", folder / name, "--port", 0, "--notice-s", 2))
            for name in "ab"
        ]
        # HAProxy inherits a listening socket: there is no port to guess, and calls may come before it is ready.
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        places = {
            "127.0.0.1:50050": f"fd@{listening.fileno()}",
            "127.0.0.1:50051": replicas[0][1],
            "127.0.0.1:50052": replicas[1][1],
        }
        config = folder / "haproxy.cfg"
        config.write_text(re.sub(r"127\.0\.0\.1:5005\d", lambda place: places[place[0]], CONFIG.read_text()))
        log = stack.enter_context((folder / "haproxy.log").open("w"))
        balancer = stack.enter_context(
            subprocess.Popen([*haproxy, "-db", "-f", config], stderr=log, stdout=log, pass_fds=[listening.fileno()])
        )
        stack.callback(balancer.kill)
        yield Cluster(f"127.0.0.1:{listening.getsockname()[1]}", replicas)


async def called_while(address: str, replica: subprocess.Popen[str], number: int) -> dict[str, Counter[str]]:
    """Let callers of each kind call on and on while a replica gets the signal `number`; count how their calls ended."""
    small, large = (embedding_pb2.EmbedRequest(sequences=[write_sequence(clip, NTU25)]) for clip in (SMALL, LARGE))
    loop, settled, over = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    with ThreadPoolExecutor(NUM_CALLERS) as threads, Client(address) as blocking:
        async with grpc.aio.insecure_channel(address) as channel, AsyncClient(address) as asynchronous:
            stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
            kinds: dict[str, Callable[[], Awaitable[object]]] = {
                "plain gRPC": lambda: stub.Embed(large),
                "plain gRPC, small requests": lambda: stub.Embed(small),
                "AsyncClient": lambda: asynchronous.embed(LARGE),
                "Client": lambda: loop.run_in_executor(threads, blocking.embed, LARGE),
            }
            outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}

            async def call_on_and_on(kind: str) -> None:
                while not over.is_set():
                    when = ", long after" if settled.is_set() else ""
                    try:
                        await kinds[kind]()
                        outcomes[kind]["OK"] += 1
                    except (grpc.RpcError, GfpError) as failure:
                        said = failure.code().name if isinstance(failure, grpc.RpcError) else repr(failure)
                        outcomes[kind][said + when] += 1
                        # At once it may fail again: the system closes a killed server's connections one after another.
                        await settled.wait()

            async def successes(num_calls: int, *kinds: str) -> None:
                """Wait for this many more successful calls of these kinds together."""
                goal = num_calls + sum(outcomes[kind]["OK"] for kind in kinds)
                while sum(outcomes[kind]["OK"] for kind in kinds) < goal:  # noqa: ASYNC110  (nobody else waits for it)
                    await asyncio.sleep(0.005)

            async def disturb_in_the_middle() -> None:
                try:
                    async with asyncio.timeout(90):
                        await asyncio.gather(*(successes(NUM_CALLS, kind) for kind in kinds))
                        replica.send_signal(number)
                        await asyncio.to_thread(replica.wait)
                        await successes(NUM_CALLS, *kinds)
                        settled.set()
                        await asyncio.gather(*(successes(NUM_CALLS, kind) for kind in kinds))
                finally:
                    settled.set()
                    over.set()

            callers = [call_on_and_on(kind) for kind in kinds for _ in range(NUM_CALLERS)]
            await asyncio.gather(disturb_in_the_middle(), *callers)
    return outcomes


@pytest.fixture(scope="module")
def killed(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[str]]:
    """How calls ended while a replica was killed."""
    with cluster(bundle_path, tmp_path_factory.mktemp("killed")) as running:
        return asyncio.run(called_while(running.address, running.replicas[0][0], signal.SIGKILL))


@pytest.fixture(scope="module")
def stopped(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[str]]:
    """How calls ended while a replica was told to shut down."""
    with cluster(bundle_path, tmp_path_factory.mktemp("stopped")) as running:
        replica, _ = running.replicas[0]
        outcomes = asyncio.run(called_while(running.address, replica, signal.SIGTERM))
        assert replica.returncode == 0
        return outcomes


def failures(outcomes: dict[str, Counter[str]], *kinds: str) -> Counter[str]:
    found = sum((outcomes[kind] for kind in kinds), Counter())
    assert found.pop("OK") >= 2 * NUM_CALLS * len(kinds)
    return found


def test_callers_without_retries_lose_only_calls_in_progress_to_a_killed_replica(killed) -> None:
    failed = failures(killed, "plain gRPC")
    assert failed.keys() <= {"UNAVAILABLE"}
    assert failed.total() <= NUM_CALLERS


def test_no_small_request_is_lost_to_a_killed_replica_even_without_retries(killed) -> None:
    assert failures(killed, "plain gRPC, small requests") == {}


def test_our_clients_lose_no_call_to_a_killed_replica(killed) -> None:
    assert failures(killed, "AsyncClient", "Client") == {}


def test_no_call_is_lost_to_a_replica_that_shuts_down(stopped) -> None:
    assert failures(stopped, *stopped) == {}


def test_calls_take_turns_between_replicas_and_streams_pass(bundle_path: Path, tmp_path: Path) -> None:
    def frames() -> Iterator[object]:
        for _ in range(4):
            yield walk(1, frames=3)

    with cluster(bundle_path, tmp_path) as running, Client(running.address) as client:
        for number in range(4):
            client.upsert([ClipItem(f"clip {number}", SMALL)])
        for _, address in running.replicas:
            with Client(address) as direct:
                assert direct.info().num_items == 2
        windows = client.stream(frames(), StreamSettings(window_frames=6, stride_frames=3))
        assert [window.first_frame for window in windows] == [0, 3, 6]


def test_one_address_has_its_share_of_connections_and_no_more(bundle_path: Path, tmp_path: Path) -> None:
    (share,) = re.findall(r"sc0_conn_cur gt (\d+)", CONFIG.read_text())
    with cluster(bundle_path, tmp_path) as running, Client(running.address) as client, ExitStack() as opened:
        assert client.health()
        host, port = running.address.split(":")
        others: list[socket.socket] = []
        refused = False
        for _ in range(int(share)):
            try:
                others.append(opened.enter_context(socket.create_connection((host, int(port)), timeout=60)))
            except ConnectionResetError:
                refused = True
        if not refused:
            # HAProxy accepts in several threads, so that the one too many need not be the last. It says nothing before
            # its client does: what can be read is an end.
            ended, _, _ = select.select(others, [], [], 60)
            with suppress(ConnectionResetError):
                assert ended[0].recv(1) == b""
        assert client.health()
