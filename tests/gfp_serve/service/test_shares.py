"""What one caller can take of a server: its share of calls and streams, and places only while it uses them."""

import asyncio
import dataclasses
import itertools
import logging
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gfp_serve.config import Security, ServeConfig
from gfp_serve.errors import OverloadedError
from gfp_serve.service import guard
from gfp_serve.service.access import CALLER
from gfp_serve.service.shares import Shares
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from tests.support import http2
from tests.support.frame_streams import FRAMES, LENGTH, bring, opening, stub_of
from tests.support.servers import HANG_S, calls_in, channel_to, running, small_config, until

GREEDY, OTHER = "takes-all-it-can-get", "asks-now-and-then"
EMBED, INFO = "/gfp_serve.v1.EmbeddingService/Embed", "/gfp_serve.v1.EmbeddingService/GetInfo"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
CODE = grpc.StatusCode


def header(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def config(tmp_path: Path) -> ServeConfig:
    (tmp_path / "tokens").write_text(f"read {GREEDY}\nread {OTHER}\n")
    (tmp_path / "tokens").chmod(0o600)
    return dataclasses.replace(small_config(), security=Security(tokens=tmp_path / "tokens"), max_calls=16)


def peer(name: str) -> SimpleNamespace:
    return SimpleNamespace(peer=lambda: name)


def taken(shares: Shares, held: ExitStack, name: str) -> int:
    """How many places this peer gets, one after another, until it is refused."""
    number = 0
    while True:
        try:
            held.enter_context(shares.place(peer(name)))
        except OverloadedError:
            return number
        number += 1


def shares_of(number: int, *, one_peer: bool = False) -> Shares:
    return Shares(number, what="calls in progress", setting="--max-calls", one_peer=one_peer)


def test_each_caller_gets_half_of_what_those_before_it_left_until_nothing_is_left():
    shares = shares_of(32)
    with ExitStack() as held:
        assert [taken(shares, held, f"ipv4:127.0.0.1:{port}") for port in range(7)] == [16, 8, 4, 2, 1, 1, 0]
    assert shares.num_taken == 0
    with shares.place(peer("ipv4:127.0.0.1:9")):
        pass


def test_connections_of_another_machine_share_what_their_address_may_hold():
    shares = shares_of(32)
    with ExitStack() as held:
        assert [taken(shares, held, f"ipv4:192.0.2.1:{port}") for port in (1, 2, 3)] == [16, 0, 0]
        assert taken(shares, held, "ipv6:%5B2001:db8::1%5D:1") == 8
        with pytest.raises(OverloadedError, match="this connection has 8 calls in progress, and leaves"):
            held.enter_context(shares.place(peer("ipv6:%5B2001:db8::1%5D:1")))


def test_a_token_is_one_caller_wherever_it_calls_from():
    shares = shares_of(8)
    with ExitStack() as held:
        held.callback(CALLER.reset, CALLER.set("a token's digest"))
        assert [taken(shares, held, f"ipv4:192.0.2.{host}:1") for host in (1, 2)] == [4, 0]
        with pytest.raises(OverloadedError, match="this token has 4"):
            held.enter_context(shares.place(peer("ipv4:192.0.2.3:1")))


def test_behind_a_proxy_connections_say_nothing_about_callers():
    shares = shares_of(8, one_peer=True)
    with ExitStack() as held:
        assert taken(shares, held, "ipv4:192.0.2.1:1") == 8
        with pytest.raises(OverloadedError, match="has 8 calls in progress and takes no more"):
            held.enter_context(shares.place(peer("ipv4:192.0.2.1:2")))


async def test_calls_without_a_request_take_a_callers_share_and_no_place_of_others(tmp_path, config):
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        half = [channel.stream_unary(EMBED)(metadata=header(GREEDY)) for _ in range(200)]
        codes = [asyncio.create_task(call.code()) for call in half]
        refused = itertools.islice(asyncio.as_completed(codes, timeout=HANG_S), len(half) - config.max_calls // 2)
        assert {await code for code in refused} == {CODE.RESOURCE_EXHAUSTED}
        assert server._guard.num_calls == config.max_calls // 2
        info = embedding_pb2_grpc.EmbeddingServiceStub(channel).GetInfo
        assert (await info(embedding_pb2.GetInfoRequest(), metadata=header(OTHER), timeout=HANG_S)).encoder_digest
        with pytest.raises(grpc.RpcError, match="this token has 8 calls in progress"):
            await info(embedding_pb2.GetInfoRequest(), metadata=header(GREEDY), timeout=HANG_S)
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=HANG_S)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        for call in half:
            call.cancel()
        await calls_in(server, 0)


async def test_streams_of_one_caller_leave_places_for_those_of_another(tmp_path, config):
    config = dataclasses.replace(config, max_streams=4)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        idle = [stub_of(channel).EmbedStream(metadata=header(GREEDY)) for _ in range(2)]
        for stream in idle:
            await stream.write(opening())
            await stream.initial_metadata()
        refused = stub_of(channel).EmbedStream(metadata=header(GREEDY))
        assert await refused.code() is CODE.RESOURCE_EXHAUSTED
        assert "this token has 2 streams open" in await refused.details()
        other = stub_of(channel).EmbedStream(metadata=header(OTHER))
        await other.write(opening(lossless=True))
        await other.write(bring(FRAMES[:LENGTH]))
        assert (await other.read()).HasField("embedding")


@pytest.mark.parametrize("method", [EMBED, "/gfp_serve.v1.StreamService/EmbedStream"])
async def test_a_call_whose_first_message_never_comes_ends_with_words(tmp_path, config, monkeypatch, method):
    monkeypatch.setattr(guard, "_FIRST_MESSAGE_S", 0.2)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        call = channel.stream_stream(method)(metadata=header(OTHER))
        assert await call.code() is CODE.DEADLINE_EXCEEDED
        assert "no whole message came within 0.2 s" in await call.details()
        assert "--max-idle-s" not in str(await call.details()), "another limit than the one that was reached"
        await calls_in(server, 0)


async def test_a_stream_that_has_gone_silent_ends_with_words(tmp_path, config):
    config = dataclasses.replace(config, max_idle_s=1.0)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        stream = stub_of(channel).EmbedStream(metadata=header(OTHER))
        await stream.write(opening())
        assert await stream.code() is CODE.DEADLINE_EXCEEDED
        assert "no message came for 1 s" in await stream.details()
        assert "raise --max-idle-s" in await stream.details()
        await until(lambda: not server.deployment.streams._open)


async def test_a_call_without_any_request_is_told_to_send_one(tmp_path, config):
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        call = channel.stream_unary(EMBED)(iter(()), metadata=header(OTHER))
        assert await call.code() is CODE.INVALID_ARGUMENT
        assert "without a request" in await call.details()


async def test_replies_that_are_not_taken_hold_their_callers_share_and_no_place_of_others(tmp_path, config):
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        with http2.connected(server.port) as reads_nothing:
            token = ("authorization", f"Bearer {GREEDY}")
            reads_nothing.sendall(b"".join(http2.call(1 + 2 * number, INFO, b"", token) for number in range(20)))
            await until(lambda: server._guard._places.num_taken == config.max_calls // 2)
            info = embedding_pb2_grpc.EmbeddingServiceStub(channel).GetInfo
            assert await info(embedding_pb2.GetInfoRequest(), metadata=header(OTHER), timeout=HANG_S)
        await until(lambda: server._guard._places.num_taken == 0)


async def test_a_server_can_end_in_the_moment_in_which_a_call_has_waited_too_long(tmp_path):
    async with running(tmp_path) as server, asyncio.timeout(0) as waited_too_long:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        server._guard._reading.add(waited_too_long)
        await asyncio.wait_for(server._guard.close(HANG_S), HANG_S)
        server._guard._reading.clear()


DESCRIBE = reflection_pb2.ServerReflectionRequest(
    file_containing_symbol="gfp_serve.v1.GalleryService"
).SerializeToString()


@pytest.mark.parametrize(
    ("method", "request_bytes"),
    [(INFO, b""), (REFLECT, DESCRIBE), ("/grpc.health.v1.Health/Watch", b"")],
)
async def test_a_caller_who_leaves_while_a_reply_is_written_is_no_failure_of_the_server(
    tmp_path, caplog, method, request_bytes
):
    num_calls = 8
    async with running(tmp_path) as server:
        guard_of_server = server._guard

        def num_held() -> int:
            return guard_of_server._places.num_taken + guard_of_server._other_places._staying.total()

        for _ in range(5):
            with http2.connected(server.port) as leaves:
                leaves.sendall(
                    b"".join(http2.call(1 + 2 * number, method, request_bytes) for number in range(num_calls))
                )
                await until(lambda: num_held() == num_calls)
            await until(lambda: num_held() == 0)
        count = server.metrics.registry.get_sample_value
        assert count("gfp_requests_total", {"rpc": method[1:], "code": "INTERNAL"}) is None
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_reflection_is_a_call_like_others_and_ends_when_its_token_is_withdrawn(tmp_path, config, monkeypatch):
    monkeypatch.setattr(guard, "_CHECK_EACH_S", 0.05)
    config = dataclasses.replace(config, access_log=tmp_path / "access.jsonl")
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        asked = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(metadata=header(OTHER))
        await asked.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        assert (await asked.read()).list_services_response.service
        assert server._guard.num_calls == 1
        (tmp_path / "tokens").write_text(f"read {GREEDY} and-no-other\n")
        assert await asked.code() is CODE.UNAUTHENTICATED
        await calls_in(server, 0)
    assert "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" in (tmp_path / "access.jsonl").read_text()


@pytest.mark.parametrize(
    "method",
    [
        "/inference.GRPCInferenceService/ModelStreamInfer",
        REFLECT,
        EMBED,
    ],
)
async def test_a_call_that_waits_for_its_caller_does_not_hold_up_the_end_of_the_server(tmp_path, config, method):
    config = dataclasses.replace(config, drain_s=10 * HANG_S)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        idle = channel.stream_stream(method)(metadata=header(OTHER))
        await calls_in(server, 1)
        await asyncio.wait_for(server.stop(), HANG_S)
        assert await idle.code() is CODE.UNAVAILABLE
