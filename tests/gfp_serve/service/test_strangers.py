"""What callers without a token can do to a server: nothing to others."""

import asyncio
import dataclasses
import gc
import itertools
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gfp_serve import open_files
from gfp_serve.config import Security, ServeConfig
from gfp_serve.errors import OverloadedError
from gfp_serve.gallery.embedded.galleries import FILES_OF_A_GALLERY, most_galleries
from gfp_serve.server import Server
from gfp_serve.server_process import _share_out_files
from gfp_serve.service.open_places import OpenPlaces
from gfp_serve.service.transport import most_connections
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, gallery_pb2, gallery_pb2_grpc
from tests.support import http2
from tests.support.servers import HANG_S, channel_to, running, small_config, until

SERVING = health_pb2.HealthCheckResponse.SERVING
NO_SHARING = (("grpc.use_local_subchannel_pool", 1),)


@asynccontextmanager
async def connection(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A channel with a connection of its own."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=NO_SHARING) as channel:
        yield channel


async def is_serving(channel: grpc.aio.Channel) -> bool:
    reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=HANG_S)
    return bool(reply.status == SERVING)


async def test_watches_of_a_stranger_take_no_place_of_others(tmp_path):
    async with running(tmp_path) as server, channel_to(server) as honest:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(honest)
        mine = health_pb2_grpc.HealthStub(honest).Watch(health_pb2.HealthCheckRequest())
        assert (await mine.read()).status == SERVING
        async with connection(server) as first, connection(server) as second, connection(server) as third:
            watches = [
                health_pb2_grpc.HealthStub(stranger).Watch(health_pb2.HealthCheckRequest())
                for stranger in (first, second, third)
                for _ in range(40)
            ]
            found = await asyncio.gather(*(watch.read() for watch in watches), return_exceptions=True)
            assert sum(isinstance(reply, health_pb2.HealthCheckResponse) for reply in found) == 3 * 8
            refused = [error for error in found if isinstance(error, grpc.aio.AioRpcError)]
            assert len(refused) == len(watches) - 3 * 8
            assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert "this connection may hold 8 calls" in str(refused[0].details())
            assert await is_serving(honest)
            assert (await stub.GetInfo(embedding_pb2.GetInfoRequest(), timeout=HANG_S)).encoder_digest
            assert not mine.done()


async def test_calls_without_a_request_make_room_for_those_that_have_one(tmp_path):
    async with running(tmp_path) as server, channel_to(server) as honest, connection(server) as stranger:
        half = [stranger.stream_unary("/grpc.health.v1.Health/Check")() for _ in range(120)]
        codes = [asyncio.create_task(call.code()) for call in half]
        ended, _ = await asyncio.wait(codes, timeout=HANG_S, return_when=asyncio.FIRST_COMPLETED)
        assert {code.result() for code in ended} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert await is_serving(honest)
        for call in half:
            call.cancel()


async def test_checks_whose_callers_take_no_reply_keep_nobody_from_asking(tmp_path, monkeypatch):
    monkeypatch.setattr("gfp_serve.server._OTHER_CALLS", 8)
    async with running(tmp_path) as server, channel_to(server) as honest:
        with ExitStack() as opened:
            for number in range(8):
                stranger = opened.enter_context(http2.connected(server.port, from_host=f"127.0.0.{number + 2}"))
                stranger.sendall(b"".join(http2.call(each, "/grpc.health.v1.Health/Check") for each in (1, 3)))
            await until(lambda: len(server._guard._other_places._waiting) == 8)
            for _ in range(10):
                assert await is_serving(honest)


async def test_a_call_whose_request_never_comes_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("gfp_serve.service.guard._REQUEST_S", 0.2)
    async with running(tmp_path) as server, channel_to(server) as channel:
        half = channel.stream_unary("/grpc.health.v1.Health/Check")()
        assert await half.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no request came" in await half.details()
        assert await is_serving(channel)


async def test_refusals_that_are_not_read_keep_nobody_from_asking(tmp_path):
    """A refusal waits in the server until its caller's machine takes it. Here, more wait than calls are ever taken."""
    (tmp_path / "tokens").write_text("read 0123456789abcdef\n")
    config = dataclasses.replace(small_config(), security=Security(tokens=tmp_path / "tokens"), max_calls=2)

    def fill(opened: list[socket.socket]) -> None:
        for each in opened:
            calls = itertools.count(1, 2)
            with suppress(TimeoutError):
                while True:  # until the server reads no more, because it can write no more
                    each.sendall(b"".join(http2.call(next(calls), "/x.Y/Z") for _ in range(200)))

    async with running(tmp_path, config) as server, channel_to(server) as honest:
        with ExitStack() as strangers:
            opened = [strangers.enter_context(http2.connected(server.port, room=2048))]
            for each in opened:
                each.settimeout(0.5)
            await asyncio.to_thread(fill, opened)
            for _ in range(5):
                assert await is_serving(honest)


@pytest.mark.parametrize("method", ["/grpc.health.v1.Health/Check", "/gfp_serve.v1.EmbeddingService/Embed"])
async def test_compressed_messages_are_refused_before_they_are_inflated(tmp_path, method):
    async with running(tmp_path) as server, channel_to(server) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(method)(bytes(2**20), compression=grpc.Compression.Gzip, timeout=HANG_S)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await is_serving(channel)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/gfp_serve.v1.EmbeddingService/GetInfo", (("authorization", "Bearer a token that is right\udcff"),)),
        ("/\udcff\nforged", ()),
    ],
)
async def test_headers_that_are_not_text_neither_fill_the_log_nor_show_in_it(
    tmp_path, monkeypatch, caplog, path, headers
):
    # The filter of a server that another test ran has perhaps said it a moment ago.
    monkeypatch.setattr(logging.getLogger("grpc._cython.cygrpc"), "filters", [])
    caplog.set_level(logging.INFO)
    async with running(tmp_path) as server, channel_to(server) as channel:
        with http2.connected(server.port, window=65_535) as opened:
            for stream in range(1, 101, 2):
                opened.sendall(http2.call(stream, path, b"", *headers))
            await until(lambda: "not UTF-8" in caplog.text)
            for _ in range(20):
                assert await is_serving(channel)
    assert "a token that is right" not in caplog.text
    assert "forged" not in caplog.text
    assert "Traceback" not in caplog.text
    assert caplog.text.count("not UTF-8") == 1


async def test_a_connection_that_says_nothing_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("gfp_serve.service.transport.HANDSHAKE_S", 1)
    async with running(tmp_path) as server:

        def closed_after() -> float:
            started = time.monotonic()
            with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as silent:
                while silent.recv(4096):  # the server's own greeting, then the end
                    pass
            return time.monotonic() - started

        assert await asyncio.to_thread(closed_after) < HANG_S


async def test_connections_beyond_the_limit_are_closed_at_once(tmp_path):
    config = dataclasses.replace(small_config(), max_connections=2)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        assert await is_serving(channel)

        def says_something(another: socket.socket) -> bool:
            with suppress(ConnectionResetError):
                return bool(another.recv(4096))  # the server's greeting
            return False

        with ExitStack() as opened:
            heard = []
            for _ in range(3):
                another = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S))
                heard.append(await asyncio.to_thread(says_something, another))
        assert heard == [True, False, False]
        assert await is_serving(channel)


def test_connections_get_half_of_the_files_at_most_and_no_more_than_galleries_leave(monkeypatch, caplog):
    monkeypatch.setattr(open_files, "limit", lambda: 1000)
    monkeypatch.setattr(open_files, "num_open", lambda: 300)
    assert most_connections(500) == 500
    assert not caplog.records
    assert most_connections(501) == 500
    assert "1000 files, of which 300 are open, so it takes 500 connections and not 501" in caplog.text
    monkeypatch.setattr(open_files, "num_open", lambda: 700)
    assert most_connections(500) == 1000 - 700 - open_files.OWN


@pytest.mark.parametrize("limit", [1024, 4096, 2**20])
def test_all_that_is_promised_to_connections_and_galleries_fits_into_the_files(monkeypatch, caplog, limit):
    monkeypatch.setattr(open_files, "_promised", 0)
    monkeypatch.setattr(open_files, "limit", lambda: limit)
    monkeypatch.setattr(open_files, "raise_limit", lambda: limit)
    monkeypatch.setattr(open_files, "num_open", lambda: 0)
    config = ServeConfig(max_connections=1024)
    _share_out_files(config)
    promised = most_connections(config.max_connections) + most_galleries() * FILES_OF_A_GALLERY
    assert promised + open_files.OWN <= limit
    assert ("which is enough for" in caplog.text) == (limit < 2**20)


async def test_calls_that_failed_do_not_count_as_open(tmp_path):
    """gRPC refuses streams when too many are open, and one counts as open until nothing refers to its call."""
    config = dataclasses.replace(small_config(), max_calls=1)
    async with running(tmp_path, config) as server, connection(server) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        gc.disable()
        try:
            for _ in range(150):
                with pytest.raises(grpc.RpcError) as caught:
                    await stub.Get(gallery_pb2.GetRequest(ids=["nobody"]), timeout=HANG_S)
                assert caught.value.code() is grpc.StatusCode.NOT_FOUND
                with pytest.raises(grpc.RpcError) as caught:
                    await channel.unary_unary("/grpc.health.v1.Health/Check")(b"\xff", timeout=HANG_S)
                assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        finally:
            gc.enable()


def test_a_call_that_the_server_cannot_take_in_time_ends(tmp_path, monkeypatch):
    """So calls cannot pile up without bound before a server that is too busy to look at them."""
    monkeypatch.setattr("gfp_serve.service.transport.UNTAKEN_CALL_S", 1)
    busy, released, finished = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        assert released.wait(HANG_S)

    async def run() -> None:
        async with running(tmp_path) as server:
            address.append(f"127.0.0.1:{server.port}")
            asyncio.get_running_loop().call_soon(block)
            await asyncio.to_thread(finished.wait)

    address: list[str] = []
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert busy.wait(HANG_S)
        with grpc.insecure_channel(address[0]) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            asked = [check.future(health_pb2.HealthCheckRequest(), timeout=HANG_S) for _ in range(3)]
            with pytest.raises(grpc.FutureTimeoutError):
                asked[-1].result(timeout=1.1)  # nobody answers for longer than the limit
            released.set()
            assert grpc.StatusCode.CANCELLED in {call.code() for call in asked}
            assert check(health_pb2.HealthCheckRequest(), timeout=HANG_S).status == SERVING
    finally:
        released.set()
        finished.set()
        thread.join()


async def test_headers_beyond_the_limit_are_refused(tmp_path):
    async with running(tmp_path) as server, channel_to(server) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary("/grpc.health.v1.Health/Check")(
                b"", metadata=(("x", "y" * 40_000),), timeout=HANG_S
            )
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await is_serving(channel)


async def test_the_oldest_call_of_the_greediest_connection_of_the_greediest_address_gives_its_place_up():
    places = OpenPlaces(5)
    ended: list[str] = []
    begun: dict[str, asyncio.Event] = {}

    async def hold(name: str, peer: str) -> None:
        try:
            with places.while_waiting(peer):
                begun[name].set()
                await asyncio.Event().wait()
        except OverloadedError:
            ended.append(name)

    tasks = []
    for name, peer in (
        ("one", "ipv4:192.0.2.1:1"),
        ("two", "ipv4:192.0.2.2:7"),
        ("three", "ipv4:192.0.2.2:8"),
        ("four", "ipv4:192.0.2.2:8"),
        ("five", "ipv6:%5B::1%5D:9"),
        ("six", "ipv4:192.0.2.3:1"),
        ("seven", "ipv4:192.0.2.3:2"),
    ):
        begun[name] = asyncio.Event()
        tasks.append(asyncio.create_task(hold(name, peer)))
        await begun[name].wait()
    await asyncio.wait(tasks[1:3], timeout=HANG_S)
    assert ended == ["three", "two"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_an_address_and_a_connection_hold_their_share_of_open_calls():
    places = OpenPlaces(16)
    with ExitStack() as held:
        for port in (1, 1, 2, 2, 3, 3, 4, 4):
            held.enter_context(places.while_open(f"ipv4:192.0.2.1:{port}"))
        for peer, what in (("ipv4:192.0.2.1:4", "this connection"), ("ipv4:192.0.2.1:5", "this address")):
            with pytest.raises(OverloadedError, match=what), places.while_open(peer):
                pass
        for port in (1, 1, 2, 2, 3, 3, 4, 4):
            held.enter_context(places.while_open(f"ipv4:192.0.2.{port + 1}:9"))
        with pytest.raises(OverloadedError, match="all callers together"), places.while_open("ipv4:192.0.2.9:9"):
            pass
    with places.while_open("ipv4:192.0.2.1:4"):
        pass


def test_behind_a_proxy_neither_address_nor_connection_has_a_share():
    places = OpenPlaces(16, one_peer=True)
    with ExitStack() as held:
        for _ in range(16):
            held.enter_context(places.while_open("ipv4:192.0.2.1:1"))
        with pytest.raises(OverloadedError), places.while_open("ipv4:192.0.2.1:1"):
            pass


@pytest.mark.parametrize(
    ("host", "behind_proxy", "said"), [("0.0.0.0", False, True), ("0.0.0.0", True, False), ("127.0.0.1", False, False)]
)
async def test_a_server_that_others_reach_says_once_what_a_proxy_is_for(tmp_path, caplog, host, behind_proxy, said):
    config = dataclasses.replace(small_config(), host=host, insecure=True, behind_proxy=behind_proxy)
    with caplog.at_level(logging.INFO, logger="gfp_serve"):
        async with running(tmp_path, config):
            pass
    assert sum("Say --behind-proxy if there is one" in record.getMessage() for record in caplog.records) == said
