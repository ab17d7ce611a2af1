"""What callers without a token can do to a server: nothing to others."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gfp_serve.errors import OverloadedError
from gfp_serve.server import Server
from gfp_serve.service.open_places import OpenPlaces
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from tests.support.servers import HANG_S, channel_to, running

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
                for _ in range(120)
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


async def test_a_call_whose_request_never_comes_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("gfp_serve.service.guard._REQUEST_S", 0.2)
    async with running(tmp_path) as server, channel_to(server) as channel:
        half = channel.stream_unary("/grpc.health.v1.Health/Check")()
        assert await half.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no request came" in await half.details()
        assert await is_serving(channel)


@pytest.mark.parametrize("method", ["/grpc.health.v1.Health/Check", "/gfp_serve.v1.EmbeddingService/Embed"])
async def test_compressed_messages_are_refused_before_they_are_inflated(tmp_path, method):
    async with running(tmp_path) as server, channel_to(server) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(method)(bytes(2**20), compression=grpc.Compression.Gzip, timeout=HANG_S)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await is_serving(channel)


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
            with places.until_request(peer):
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
