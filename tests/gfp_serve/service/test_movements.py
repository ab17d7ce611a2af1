"""Compare, CountRepetitions and the count of a stream, over the wire."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from gfp_serve.client import AsyncClient, ClipItem
from gfp_serve.layouts import NTU25
from gfp_serve.server import Server
from gfp_serve.v1 import embedding_pb2, view_pb2, view_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.frame_streams import bring, opening, replies_to
from tests.support.moving_person import curling
from tests.support.servers import channel_to, running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


@pytest.fixture
async def stub(server: Server) -> AsyncIterator[Any]:
    async with channel_to(server) as channel:
        yield view_pb2_grpc.ViewServiceStub(channel)


async def keep(server: Server) -> None:
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert([ClipItem("once", curling(1), fps=30.0), ClipItem("no times", curling(1))])


def sequence_of(clip: np.ndarray) -> embedding_pb2.Sequence:
    message = write_sequence(clip, NTU25)
    message.fps = 30.0
    return message


def shown(clip: np.ndarray) -> view_pb2.Shown:
    return view_pb2.Shown(sequence=sequence_of(clip))


async def test_a_clip_is_compared_with_an_item(server: Server, stub: Any) -> None:
    await keep(server)
    clip = curling(1, most_degrees=60.0, seconds_each=3.0)
    request = view_pb2.CompareRequest(motion=shown(clip), wanted=view_pb2.Shown(id="once"))
    reply = await stub.Compare(request)
    assert reply.motion.num_frames == len(clip)
    assert reply.wanted.num_frames == 64
    assert len(reply.motion_frames) == len(reply.wanted_frames) == len(reply.joints[0].cm)
    assert (reply.motion_frames[-1], reply.wanted_frames[-1]) == (len(clip) - 1, 63)
    assert reply.tempo == pytest.approx(5 / 4, rel=0.02)
    elbow = next(joint for joint in reply.joints if joint.name == "ElbowLeft")
    assert elbow.most_degrees == pytest.approx(-30, abs=4)
    assert reply.worst_moments[0].wanted_s == pytest.approx(2, abs=0.4)
    positions = np.frombuffer(reply.motion.positions, "<f4").reshape(-1, 25, 3)
    np.testing.assert_allclose(positions[:, 0], 0, atol=1e-6)  # hips at the origin


async def test_repetitions_of_a_recording_are_counted(server: Server, stub: Any) -> None:
    await keep(server)
    request = view_pb2.CountRepetitionsRequest(sequence=sequence_of(curling(3)), wanted=view_pb2.Shown(id="once"))
    reply = await stub.CountRepetitions(request)
    assert len(reply.repetitions) == 3
    assert len(reply.nearness) == len(reply.times_s) > 100


async def test_a_stream_counts_while_frames_come_though_windows_overlap(server: Server) -> None:
    await keep(server)
    frames = np.concatenate([curling(1) for _ in range(3)])
    counts = [
        reply.num_repetitions
        for reply in await replies_to(
            server, opening(lossless=True, fps=30.0, window_frames=30, stride_frames=10, count="once"), bring(frames)
        )
    ]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 3
    without = await replies_to(server, opening(lossless=True), bring(frames[:30]))
    assert not without[0].HasField("num_repetitions")


async def test_frames_without_anybody_do_not_end_a_count(server: Server) -> None:
    await keep(server)
    nobody = np.full((60, 1, 25, 3), np.nan, dtype=np.float32)
    frames = np.concatenate([curling(1), nobody, curling(1)])
    replies = await replies_to(
        server, opening(lossless=True, fps=30.0, window_frames=30, stride_frames=30, count="once"), bring(frames)
    )
    assert any(reply.problem for reply in replies)
    assert replies[-1].num_repetitions == 2


@pytest.mark.parametrize(
    ("request_of", "said"),
    [
        (lambda: view_pb2.CompareRequest(motion=shown(curling(1))), "wanted: it is empty"),
        (
            lambda: view_pb2.CompareRequest(motion=shown(curling(1)), wanted=view_pb2.Shown(id="none")),
            "wanted: no item of the gallery has the id",
        ),
        (
            lambda: view_pb2.CompareRequest(
                motion=shown(np.zeros((20, 1, 25, 3), dtype=np.float32)), wanted=shown(curling(1))
            ),
            "motion.sequence",
        ),
    ],
)
async def test_wrong_requests_are_refused_with_the_field(server: Server, stub: Any, request_of: Any, said: str) -> None:
    await keep(server)
    with pytest.raises(grpc.RpcError) as refusal:
        await stub.Compare(request_of())
    assert said in str(refusal.value)


async def test_an_item_without_times_cannot_be_counted_and_neither_can_two_bodies_or_few_frames_a_second(
    server: Server,
) -> None:
    await keep(server)
    with pytest.raises(grpc.RpcError, match="repetitions are counted of one body, and num_bodies is 2"):
        await replies_to(server, opening(count="once", num_bodies=2), bring(np.repeat(curling(1), 2, axis=1)))
    with pytest.raises(grpc.RpcError, match=r"config\.count: there are 2 frames a second, too few"):
        await replies_to(server, opening(count="once", fps=2.0), bring(curling(1)))
    with pytest.raises(grpc.RpcError, match=r"config\.count: the wanted movement has no frames a second"):
        await replies_to(server, opening(count="no times"), bring(curling(1)))
