"""Live windows over HTTP: events come while frames are sent, and they are those of gRPC's stream."""

import asyncio
import base64
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.client import AsyncClient, ClipItem, StreamSettings
from gfp_serve.config import Security
from gfp_serve.server import Server
from tests.support.http_calls import JSON, Connect, Reply, ask, head, http_config, sequence_of, write_tokens
from tests.support.servers import HANG_S, calls_in, running
from tests.support.tiny_bundle import walk

STREAM = "/gfp_serve.v1.StreamService/EmbedStream"
CONFIG = {"layout": "ntu25", "num_bodies": 1, "fps": 30, "window_frames": 6, "stride_frames": 3}
FRAMES = walk(3, frames=12)
READ, OTHER = "reads-and-no-more", "reads-and-no-more-2"


class Events:
    """The events of a stream, as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def next(self) -> tuple[str, Any]:
        name = ""
        async with asyncio.timeout(HANG_S):
            while line := (await self._reader.readline()).decode():  # lengths of chunks and empty lines are between
                if line.startswith("event: "):
                    name = line.removeprefix("event: ").strip()
                elif line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))
        raise AssertionError("the connection ended")


async def open_stream(
    connect: Connect, server: Server, config: dict[str, Any] | None = None, *lines: str
) -> tuple[str, Events]:
    """Return the id of a new stream and its events."""
    body = json.dumps({"config": config or CONFIG}).encode()
    reader, writer = await connect(server)
    writer.write(head(STREAM, f"content-type: {JSON}", f"content-length: {len(body)}", *lines) + body)
    async with asyncio.timeout(HANG_S):
        first = await reader.readline()
        assert b"200 OK" in first, first + await reader.read(2000)
        while (await reader.readline()).strip():
            pass
    events = Events(reader, writer)
    name, said = await events.next()
    assert name == "open"
    return said["stream"], events


async def bring(server: Server, stream: str, frames: np.ndarray, **headers: str) -> Reply:
    positions = sequence_of(frames)["positions"]
    return await ask(server, f"{STREAM}?stream={stream}", {"frames": {"positions": positions}}, **headers)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, http_config(max_frames=50)) as running_server:
        async with AsyncClient(f"127.0.0.1:{running_server.port}") as client:
            await client.upsert([ClipItem(f"clip{number}", walk(number), f"class{number}") for number in range(3)])
        yield running_server


async def test_windows_come_while_frames_are_sent_and_are_those_of_grpc(server: Server, connect: Connect) -> None:
    async def frames() -> AsyncIterator[np.ndarray]:
        yield FRAMES

    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        settings = StreamSettings(window_frames=6, stride_frames=3, lossless=True)
        expected = [window async for window in client.stream(frames(), settings)]
    stream, events = await open_stream(connect, server, {**CONFIG, "lossless": True, "classify": {"num_neighbours": 1}})
    assert (await bring(server, stream, FRAMES[:6])).said == {}
    name, first = await events.next()
    assert (name, first["first_frame"], len(first["classification"]["neighbours"])) == ("window", "0", 1)
    vector = np.frombuffer(base64.b64decode(first["embedding"]["values"]), "<f4")
    np.testing.assert_array_equal(vector, expected[0].embedding)
    await bring(server, stream, FRAMES[6:])
    assert (await ask(server, f"{STREAM}?stream={stream}", method="DELETE")).code == 200
    others = [await events.next() for _ in range(3)]
    assert [(name, said.get("first_frame")) for name, said in others] == [
        ("window", "3"),
        ("window", "6"),
        ("end", None),
    ]
    assert len(expected) == 3
    events.writer.close()
    await calls_in(server, 0)


async def test_a_wrong_config_is_refused_before_the_stream_begins(server: Server) -> None:
    for config, field in (({"layout": "x"}, "config"), ({**CONFIG, "window": 3}, "config.window")):
        reply = await ask(server, STREAM, {"config": config})
        assert (reply.code, reply.said["field"]) == (400, field)
    assert (await ask(server, STREAM, {"frames": {}})).code == 400
    assert (await ask(server, STREAM, b"x", content_type="application/proto")).code == 415


async def test_wrong_frames_end_the_stream_with_an_error(server: Server, connect: Connect) -> None:
    stream, events = await open_stream(connect, server)
    await bring(server, stream, FRAMES[:, :, :20])
    name, said = await events.next()
    assert (name, said["reason"], said["field"]) == ("error", "INVALID_SKELETON", "frames")
    assert (await bring(server, stream, FRAMES)).said["field"] == "stream"


async def test_a_stream_belongs_to_the_token_that_opened_it(tmp_path: Path, connect: Connect) -> None:
    tokens = write_tokens(tmp_path, f"read {READ}", f"read {OTHER}")
    config = dataclasses.replace(http_config(), security=Security(tokens=tokens))
    async with running(tmp_path, config) as server:
        assert (await ask(server, STREAM, {"config": CONFIG})).code == 401
        stream, events = await open_stream(connect, server, None, f"authorization: Bearer {READ}")
        assert (await bring(server, stream, FRAMES)).code == 401
        assert (await bring(server, stream, FRAMES, authorization=f"Bearer {OTHER}")).code == 400
        assert (await bring(server, stream, FRAMES, authorization=f"Bearer {READ}")).code == 200
        assert (await events.next())[0] == "window"
        tokens.write_text(f"read {OTHER}\n")  # withdrawn
        while (event := await events.next())[0] == "window":
            pass
        assert (event[0], event[1]["code"]) == ("error", "unauthenticated")


async def test_a_caller_who_leaves_frees_its_stream_and_one_who_sends_nothing_loses_it(
    tmp_path: Path, connect: Connect
) -> None:
    config = dataclasses.replace(http_config(), max_idle_s=1.0)
    async with running(tmp_path, config) as server:
        _, events = await open_stream(connect, server)
        await calls_in(server, 1)
        events.writer.close()
        await calls_in(server, 0)
        _, events = await open_stream(connect, server)
        name, said = await events.next()
        assert (name, said["reason"]) == ("error", "OUT_OF_TIME")


async def test_a_deadline_ends_the_bringing_of_frames(server: Server, connect: Connect) -> None:
    stream, events = await open_stream(connect, server)
    reader, writer = await connect(server)
    path = f"{STREAM}?stream={stream}"
    writer.write(head(path, f"content-type: {JSON}", "content-length: 100", "connect-timeout-ms: 100"))
    async with asyncio.timeout(HANG_S):
        assert b" 504 " in await reader.readline()
    refused = await bring(server, stream, FRAMES, connect_timeout_ms="soon")
    assert (refused.code, "the header connect-timeout-ms is 'soon'" in refused.said["message"]) == (400, True)
    assert (await bring(server, stream, FRAMES)).code == 200
    events.writer.close()


async def test_a_server_that_stops_ends_streams_with_an_error(tmp_path: Path, connect: Connect) -> None:
    async with running(tmp_path, http_config()) as server:
        _, events = await open_stream(connect, server)
        stopping = asyncio.create_task(server.stop())
        name, said = await events.next()
        assert (name, said["reason"]) == ("error", "CLOSED")
        await stopping
