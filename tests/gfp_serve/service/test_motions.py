"""Motions over the wire: which galleries keep them, who gets them, and what is refused."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from gfp_serve.client import AsyncClient, Client, ClipItem
from gfp_serve.config import ServeConfig
from gfp_serve.conventions import Conventions
from gfp_serve.errors import InvalidRequestError
from gfp_serve.items import Item
from gfp_serve.kept_motion import LAYOUT
from gfp_serve.layouts import FLORENCE15
from gfp_serve.preprocess import CleanConfig, clean
from gfp_serve.server import Server
from gfp_serve.service import motion_keeping
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from gfp_serve.wire.items import write_item, write_motion
from tests.support.kept_motions import kept_motion, same_motion
from tests.support.refusals import CODE, refused
from tests.support.servers import channel_to, running, running_in_thread, small_config
from tests.support.tiny_bundle import SIZE, walk

UNIT = np.eye(SIZE, dtype=np.float32)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"127.0.0.1:{server.port}") as connected:
        yield connected


def keeping(choice: Literal["auto", "on", "off"]) -> ServeConfig:
    return dataclasses.replace(small_config(), keep_motion=choice)


async def test_the_motion_of_a_clip_is_that_of_the_cleaned_clip_with_its_times(client: AsyncClient) -> None:
    clip, other = walk(1, frames=130), walk(2, frames=20, bodies=3, layout=FLORENCE15)
    await client.upsert([ClipItem("a", clip, "wave", fps=50.0), ClipItem("b", other, layout=FLORENCE15)])
    a, b, again = await client.get(["a", "b", "a"], with_motions=True)

    assert a.motion is not None
    assert b.motion is not None
    cleaned = clean(clip, LAYOUT, CleanConfig())
    np.testing.assert_allclose(a.motion.positions, cleaned.positions[a.motion.frame_numbers], atol=0.00051)
    assert a.motion.positions.shape == (64, 1, 25, 3)
    assert a.motion.times_s is not None
    assert (a.motion.times_s[0], a.motion.times_s[-1]) == (0.0, 129 / 50)
    assert b.motion.positions.shape == (20, 2, 25, 3)  # the two that move most, in the model's joints
    assert np.isnan(b.motion.positions).all(axis=(0, 1, 3)).any()
    assert b.motion.fps is None
    assert again.motion is not None
    assert (a.label, a.vector.tolist()) == (again.label, again.vector.tolist())
    assert (await client.describe_gallery()).num_motions == 2


async def test_nobody_gets_a_motion_without_asking(client: AsyncClient, server: Server) -> None:
    await client.upsert([ClipItem("a", walk(1))])
    assert (await client.get(["a"]))[0].motion is None
    async with channel_to(server) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        found = await stub.Search(gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id="a")]))
        assert "motion" not in found.DESCRIPTOR.fields_by_name["results"].message_type.fields_by_name
        (item,) = (await stub.Get(gallery_pb2.GetRequest(ids=["a"], with_motions=True))).items
        assert (item.HasField("motion"), item.HasField("embedding")) == (True, False)


async def test_joints_of_an_image_and_other_units_are_kept_as_they_were_understood(client: AsyncClient) -> None:
    flat = 300 + 400 * walk(3)[..., :2]
    await client.upsert([ClipItem("flat", flat, conventions=Conventions(image_size=(1280, 720)))])
    await client.upsert([ClipItem("mm", 1000 * walk(4), conventions=Conventions(unit="mm"))])
    two, three = await client.get(["flat", "mm"], with_motions=True)
    assert two.motion is not None
    assert three.motion is not None
    assert not two.motion.positions[..., 2].any()
    assert np.abs(two.motion.positions).max() < 10  # metres of a usual trunk, no pixels
    np.testing.assert_allclose(
        three.motion.positions, clean(walk(4), LAYOUT, CleanConfig()).positions, atol=0.00051 + 1e-6
    )


async def test_an_item_that_is_sent_back_keeps_its_motion_and_one_without_loses_it(client: AsyncClient) -> None:
    await client.upsert([ClipItem("a", walk(1), fps=25.0), ClipItem("b", walk(2))])
    a, b = await client.get(["a", "b"], with_motions=True)
    assert a.motion is not None
    await client.upsert([dataclasses.replace(a, label="named"), dataclasses.replace(b, motion=None)])
    found, other = await client.get(["a", "b"], with_motions=True)
    assert found.label == "named"
    assert same_motion(found.motion, a.motion)
    assert other.motion is None


async def test_with_off_no_motion_is_kept_whoever_brings_it_and_what_is_there_stays(tmp_path: Path) -> None:
    async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert([ClipItem("before", walk(1))])
    async with running(tmp_path, keeping("off")) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert([ClipItem("a", walk(1)), Item("b", UNIT[0], motion=kept_motion(1))])
        found = await client.get(["a", "b", "before"], with_motions=True)
        assert [item.motion is not None for item in found] == [False, False, True]


async def test_by_itself_a_gallery_keeps_motions_until_it_is_large_and_with_on_also_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion_keeping, "AUTO_MOTION_ITEMS", 2)
    for choice, kept in (("auto", [True, True, False]), ("on", [True, True, True])):
        async with (
            running(tmp_path / choice, keeping(choice)) as server,
            AsyncClient(f"127.0.0.1:{server.port}") as client,
        ):
            for n in range(3):
                await client.upsert([ClipItem(str(n), walk(n))])
            found = await client.get(["0", "1", "2"], with_motions=True)
            assert [item.motion is not None for item in found] == kept


async def test_motions_that_cannot_be_are_refused_by_their_place(server: Server) -> None:
    good = write_motion(kept_motion(1, clip_frames=5))
    frames = list(good.frame_numbers)
    cases = [
        ({"positions": good.positions[:-4]}, "positions of the motion have"),
        ({"num_bodies": 3}, "1 to 2 bodies"),
        ({"num_frames": 0}, "1 to 64 frames"),
        ({"num_frames": 2**32 - 1, "num_joints": 2**32 - 1}, "1 to 64 frames"),
        ({"layout": "coco17"}, "layout 'coco17'"),
        ({"frame_numbers": frames[:-1]}, "5 frames and 4 frame numbers"),
        ({"frame_numbers": frames[::-1]}, "rising numbers"),
        ({"fps": -1.0}, "frames a second"),
        ({"fps": float("nan")}, "frames a second"),
        ({"positions": np.full(5 * 75, np.inf, "<f4").tobytes()}, "infinite"),
    ]
    async with channel_to(server) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        for changed, words in cases:
            motion = gallery_pb2.Motion()
            motion.CopyFrom(good)
            for name, value in changed.items():
                motion.ClearField(name)
                if name == "frame_numbers":
                    motion.frame_numbers.extend(value)
                else:
                    setattr(motion, name, value)
            item = write_item("b", "", {}, None, UNIT[0])
            item.motion.CopyFrom(motion)
            call = stub.Upsert(gallery_pb2.UpsertRequest(items=[write_item("a", "", {}, None, UNIT[1]), item]))
            message, field = await refused(call, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
            assert words in message
            assert field == "items[1]"
        both = gallery_pb2.Item(id="c", motion=good)
        both.sequence.num_frames = 1
        call = stub.Upsert(gallery_pb2.UpsertRequest(items=[both]))
        message, field = await refused(call, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert ("both a sequence and a motion" in message, field) == (True, "items[0]")


async def test_frames_a_second_that_cannot_be_are_refused_by_their_field(client: AsyncClient, server: Server) -> None:
    for fps in (-1.0, float("nan"), 1e9):
        with pytest.raises(InvalidRequestError, match="frames a second") as refusal:
            await client.upsert([ClipItem("a", walk(1)), ClipItem("b", walk(1), fps=fps)])
        assert refusal.value.field == "items[1]"
    async with channel_to(server) as channel:
        item = gallery_pb2.Item(id="a")
        item.sequence.CopyFrom(write_sequence(walk(1), LAYOUT))
        item.sequence.fps = float("inf")
        call = gallery_pb2_grpc.GalleryServiceStub(channel).Upsert(gallery_pb2.UpsertRequest(items=[item]))
        assert (await refused(call, CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == "items[0].sequence.fps"


async def test_a_reply_with_motions_counts_them_and_clients_ask_for_as_many_as_fit(tmp_path: Path) -> None:
    config = small_config(max_message_bytes=2**18)
    items = [Item(str(n), UNIT[0], motion=kept_motion(n, bodies=2)) for n in range(10)]
    async with running(tmp_path, config) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert(items)
        ids = [item.id for item in items]
        assert all(item.motion is not None for item in await client.get(ids, with_motions=True))
        async with channel_to(server) as channel:
            call = gallery_pb2_grpc.GalleryServiceStub(channel).Get(gallery_pb2.GetRequest(ids=ids, with_motions=True))
            message, field = await refused(call, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
            assert ("ask for fewer ids" in message, field) == (True, "ids")


def test_the_blocking_client_gives_motions_too(tmp_path: Path) -> None:
    with running_in_thread(tmp_path) as address, Client(address) as client:
        client.upsert([ClipItem("a", walk(1, frames=70), fps=10.0), Item("b", UNIT[0], motion=kept_motion(2))])
        a, b = client.get(["a", "b"], with_motions=True)
        assert a.motion is not None
        assert (len(a.motion.positions), a.motion.fps) == (64, 10.0)
        assert same_motion(b.motion, kept_motion(2))
        assert client.get(["a"])[0].motion is None
