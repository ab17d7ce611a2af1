"""EmbedStream: frames in, windows out; slow callers, callers who leave, and bad messages."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from gfp_serve.client import AsyncClient, ClipItem
from gfp_serve.layouts import NTU25
from gfp_serve.server import Server
from gfp_serve.service.window_queue import MAX_WAITING
from gfp_serve.v1 import embedding_pb2, gallery_pb2, stream_pb2
from tests.support.frame_streams import FRAMES, LENGTH, STRIDE, bring, opening, replies_to, stub_of
from tests.support.servers import HANG_S, GatedEncoder, calls_in, channel_to, running, small_config, until
from tests.support.tiny_bundle import embedding_of, tiny_bundle, walk


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


def vectors_of(replies: list[stream_pb2.EmbedStreamResponse]) -> np.ndarray:
    return np.stack([np.frombuffer(reply.embedding.values, "<f4") for reply in replies])


async def test_every_window_has_its_place_and_the_embedding_of_the_same_clip(server: Server) -> None:
    pieces = [FRAMES[:3], FRAMES[3:20], FRAMES[20:]]
    replies = await replies_to(server, opening(lossless=True), *map(bring, pieces))
    starts = list(range(0, len(FRAMES) - LENGTH + 1, STRIDE))
    assert [reply.first_frame for reply in replies] == starts
    assert [reply.start_s for reply in replies] == [start / 20 for start in starts]
    assert replies[0].end_s == LENGTH / 20
    expected = [embedding_of(FRAMES[start : start + LENGTH]) for start in starts]
    np.testing.assert_allclose(vectors_of(replies), expected, atol=1e-5)
    assert all(reply.timing.total_ns > 0 for reply in replies)
    assert not any(reply.num_dropped or reply.problem or reply.neighbours for reply in replies)


async def test_a_stream_says_its_joints_and_conventions(server: Server) -> None:
    expected = vectors_of(await replies_to(server, opening(lossless=True), bring(FRAMES[:16])))
    z_up = (FRAMES[:16] @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float32) * 100).astype(np.float32)
    said = embedding_pb2.Conventions(up="z", unit="cm")
    named = opening(lossless=True, layout="", joint_names=NTU25.joint_names[::-1], conventions=said)
    found = vectors_of(await replies_to(server, named, bring(z_up[:, :, ::-1])))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    with pytest.raises(grpc.RpcError, match="up is 'down'; choose one of x, y, z"):
        await replies_to(server, opening(conventions=embedding_pb2.Conventions(up="down")))


async def test_windows_have_neighbours_and_class_if_requested(server: Server) -> None:
    ask = opening(
        lossless=True,
        search=gallery_pb2.SearchRequest(top_k=1),
        classify=gallery_pb2.ClassifyRequest(num_neighbours=2),
    )
    empty = await replies_to(server, ask, bring(FRAMES))
    assert all(reply.classification.unknown and not reply.neighbours for reply in empty)
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert([ClipItem(str(at), FRAMES[at : at + LENGTH], f"class{at}") for at in (0, 4, 8)])
    found = await replies_to(server, ask, bring(FRAMES[:16]))
    assert [[each.id for each in reply.neighbours] for reply in found] == [["0"], ["4"], ["8"]]
    assert [reply.classification.label for reply in found] == ["class0", "class4", "class8"]
    assert len(found[0].classification.neighbours) == 2


async def test_votes_in_a_stream_are_balanced_if_requested(server: Server) -> None:
    window = FRAMES[:LENGTH]
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        near = [ClipItem(name, window, name[:4]) for name in ("walk1", "walk2", "sit 1")]
        far = [ClipItem(f"far{at}", -FRAMES[at : at + LENGTH], "walk") for at in range(4)]
        await client.upsert([*near, *far])
    for balanced, expected in ((False, {"walk": 2 / 3, "sit ": 1 / 3}), (True, {"walk": 1 / 4, "sit ": 3 / 4})):
        vote = gallery_pb2.ClassifyRequest(num_neighbours=3, weighting="WEIGHTING_UNIFORM", balanced=balanced)
        (reply,) = await replies_to(server, opening(lossless=True, classify=vote), bring(window))
        assert {each.label: each.score for each in reply.classification.scores} == pytest.approx(expected)


async def test_a_window_that_shows_nobody_is_reported_and_the_stream_goes_on(server: Server) -> None:
    gone = np.full_like(FRAMES[:LENGTH], np.nan)
    replies = await replies_to(
        server, opening(stride_frames=LENGTH, lossless=True), *map(bring, (FRAMES[:LENGTH], gone, FRAMES[:LENGTH]))
    )
    assert [reply.HasField("embedding") for reply in replies] == [True, False, True]
    assert "nobody is seen" in replies[1].problem


async def read_until(call: grpc.aio.StreamStreamCall, count: int) -> list[stream_pb2.EmbedStreamResponse]:
    return [await call.read() for _ in range(count)]


async def test_with_a_slow_encoder_the_oldest_windows_are_left_out_and_counted(tmp_path: Path) -> None:
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, encoder=encoder) as server, channel_to(server) as channel:
        encoder.shut()
        call = stub_of(channel).EmbedStream(timeout=20)
        await call.write(opening(window_frames=1, stride_frames=1))
        await call.write(bring(FRAMES[:1]))
        assert await asyncio.to_thread(encoder.entered.wait, HANG_S)
        await call.write(bring(FRAMES[1:11]))
        (queue,) = server.deployment.streams._open
        await until(lambda: queue.num_dropped == 10 - MAX_WAITING)
        encoder.gate.set()
        await call.done_writing()
        replies = [reply async for reply in call]
    assert [reply.first_frame for reply in replies] == [0, 7, 8, 9, 10]
    assert sum(reply.num_dropped for reply in replies) == 10 - MAX_WAITING


async def test_a_lossless_stream_waits_for_the_encoder_and_leaves_out_nothing(tmp_path: Path) -> None:
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, encoder=encoder) as server, channel_to(server) as channel:
        encoder.shut()
        call = stub_of(channel).EmbedStream(timeout=20)
        await call.write(opening(window_frames=1, stride_frames=1, lossless=True))
        await call.write(bring(FRAMES[:30]))
        await call.done_writing()
        assert await asyncio.to_thread(encoder.entered.wait, HANG_S)
        (queue,) = server.deployment.streams._open
        assert len(queue._windows) <= MAX_WAITING
        encoder.gate.set()
        replies = [reply async for reply in call]
    assert [reply.first_frame for reply in replies] == list(range(30))
    assert not any(reply.num_dropped for reply in replies)


async def test_no_frames_are_read_from_a_caller_who_does_not_read_replies(server: Server) -> None:
    """Replies of 60 kB soon fill the buffers. Then the server reads no more frames, and leaves out no window."""
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert([ClipItem("large", walk(1), attributes={"text": "x" * 60_000})])
    sent = 0
    async with channel_to(server) as channel:
        call = stub_of(channel).EmbedStream(timeout=60)
        await call.write(opening(window_frames=2, stride_frames=1, search=gallery_pb2.SearchRequest(top_k=1)))

        async def write() -> None:
            nonlocal sent
            while True:
                await call.write(bring(FRAMES))
                sent += 1

        writing = asyncio.create_task(write())
        await until(lambda: bool(server.deployment.streams._open))
        (queue,) = server.deployment.streams._open
        async with asyncio.timeout(HANG_S):
            before = -1
            while not (before == sent and queue._is_sending):
                before = sent
                await asyncio.sleep(0.3)
        assert len(queue._windows) <= MAX_WAITING
        writing.cancel()
        call.cancel()


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "the first message of a stream must hold its config"),
        ([bring(FRAMES)], "the first message of a stream must hold its config"),
        ([opening(), opening()], "every message of a stream but the first must hold frames"),
        ([opening(layout="octopus")], "octopus"),
        ([opening(num_bodies=0)], "num_bodies is 0"),
        ([opening(num_bodies=99)], "99 bodies"),
        ([opening(fps=0.0)], "and fps from 0.001 to 1,000,000"),
        ([opening(fps=1e-310)], "fps is 1e-310"),
        ([opening(fps=1e300)], "fps is 1e+300"),
        ([opening(fps=float("nan"))], "fps is nan"),
        ([opening(window_frames=0)], "both must be at least 1"),
        ([opening(stride_frames=0)], "both must be at least 1"),
        ([opening(window_frames=2**31)], "frames"),
        ([opening(search=gallery_pb2.SearchRequest(top_k=0))], "search.top_k: it is 0"),
        ([opening(search=gallery_pb2.SearchRequest(merge_windows=True))], "search.merge_windows: a stream's windows"),
        ([opening(classify=gallery_pb2.ClassifyRequest(temperature=-1))], "temperature"),
        ([opening(), bring(FRAMES[:0])], "at least 1 frame"),
        ([opening(num_bodies=2), bring(FRAMES)], "positions has"),
        ([opening(), bring(np.full_like(FRAMES, np.inf))], "infinite"),
    ],
)
async def test_a_bad_message_ends_a_stream_with_the_reason(
    server: Server, messages: list[stream_pb2.EmbedStreamRequest], said: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await replies_to(server, *messages)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert said in refused.value.details()


async def test_a_stream_that_expects_another_encoder_fails_at_once(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await replies_to(server, opening(expected_encoder_digest="0" * 64))
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_a_fault_while_frames_are_read_is_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("gfp_serve.service.stream._read_frames", fail)
    with pytest.raises(grpc.RpcError) as ended:
        await replies_to(server, opening(), bring(FRAMES))
    assert ended.value.code() == grpc.StatusCode.INTERNAL
    assert "a fault of ours" not in ended.value.details()


async def test_streams_are_counted_and_one_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(), max_streams=1)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        first = stub_of(channel).EmbedStream(timeout=20)
        await first.write(opening(lossless=True))
        await calls_in(server, 1)
        with pytest.raises(grpc.RpcError) as refused:
            await replies_to(server, opening())
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
        await calls_in(server, 0)
        assert await replies_to(server, opening(lossless=True), bring(FRAMES[:LENGTH]))
        assert not server.deployment.streams._open


async def test_a_stream_for_whose_windows_there_is_no_memory_is_refused_until_another_ends(tmp_path: Path) -> None:
    bytes_of_one = 8 * LENGTH * 25 * 12
    config = dataclasses.replace(small_config(), max_stream_bytes=2 * bytes_of_one - 1)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        first = stub_of(channel).EmbedStream()
        await first.write(opening())
        await first.initial_metadata()
        for messages in ([opening()], [opening(window_frames=4), bring(FRAMES[:40])]):
            with pytest.raises(grpc.RpcError, match="--max-stream-bytes") as caught:
                await replies_to(server, *messages)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await first.done_writing()
        assert await first.read() is grpc.aio.EOF
        assert len(await replies_to(server, opening(), bring(FRAMES[:LENGTH]))) == 1
        assert server.deployment.streams._bytes.admitted == 0


async def test_a_stopping_server_answers_waiting_windows_and_ends_the_stream(tmp_path: Path) -> None:
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, encoder=encoder) as server, channel_to(server) as channel:
        encoder.shut()
        call = stub_of(channel).EmbedStream(timeout=20)
        await call.write(opening(lossless=True))
        await call.write(bring(FRAMES[: LENGTH + STRIDE]))
        assert await asyncio.to_thread(encoder.entered.wait, HANG_S)
        (queue,) = server.deployment.streams._open
        stopping = asyncio.create_task(server.stop())
        await until(lambda: queue._ended)
        encoder.gate.set()
        assert [reply.first_frame for reply in await read_until(call, 2)] == [0, STRIDE]
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        await stopping


async def test_a_caller_that_hangs_up_leaves_nothing_behind(server: Server) -> None:
    async with channel_to(server) as channel:
        call = stub_of(channel).EmbedStream(timeout=20)
        await call.write(opening())
        await call.write(bring(FRAMES[:LENGTH]))
        await call.read()
        call.cancel()
    await calls_in(server, 0)
    assert not server.deployment.streams._open
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "stream reader"]
