"""A clip that may have been read wrongly is answered with a warning, over every way in."""

import dataclasses
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.client import AsyncClient, ClipItem, ServerWarning, StreamSettings
from gfp_serve.conventions import Conventions
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.image_joints import from_image
from gfp_serve.layouts import NTU25
from gfp_serve.server import Server
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.v1 import open_inference_pb2_grpc
from tests.support.person import waving
from tests.support.servers import channel_to, running, small_config
from tests.support.tiny_bundle import tiny_bundle

UPSIDE_DOWN = waving() * np.float32([1, -1, -1])
HELD = waving() - waving()[:, :, :1]
FLAT = waving() * np.float32([1, 1, 0])
IN_IMAGE = waving()[..., :2] * np.float32([300, -300]) + np.float32([200, 700])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


@pytest.fixture
def warned() -> list[ServerWarning]:
    return []


@pytest.fixture
async def client(server: Server, warned: list[ServerWarning]) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"127.0.0.1:{server.port}", on_warning=warned.append) as connected:
        yield connected


async def test_a_clip_in_good_order_is_answered_without_a_warning(client, warned):
    await client.upsert([ClipItem("a", waving()), ClipItem("b", waving(travel_m=0.3))])
    await client.search(waving(), top_k=2)
    await client.classify(waving())
    await client.embed(waving())
    assert warned == []


async def test_every_call_warns_and_a_client_tells_each_kind_once(client, warned):
    await client.embed([waving(), UPSIDE_DOWN, UPSIDE_DOWN, UPSIDE_DOWN / 20])
    assert [(each.field, each.kind, each.num_others) for each in warned] == [
        ("sequences[1]", "up", 2),
        ("sequences[3]", "unit", 0),
    ]
    await client.upsert([ClipItem("a", UPSIDE_DOWN)])
    assert len(warned) == 2
    warned.clear()
    for call in (
        lambda new: new.upsert([ClipItem("a", UPSIDE_DOWN)]),
        lambda new: new.search(UPSIDE_DOWN),
        lambda new: new.classify(UPSIDE_DOWN),
    ):
        async with AsyncClient(client.address, on_warning=warned.append) as new:
            await call(new)
    assert [each.kind for each in warned] == ["up"] * 3


async def test_the_field_of_a_warning_counts_from_the_beginning_of_a_list_that_was_sent_in_parts(tmp_path, warned):
    async with (
        running(tmp_path, small_config(max_sequences=2)) as small,
        AsyncClient(f"127.0.0.1:{small.port}", on_warning=warned.append) as client,
    ):
        await client.embed([waving(), waving(), waving(), UPSIDE_DOWN])
    assert [each.field for each in warned] == ["sequences[3]"]


async def test_without_another_place_for_them_warnings_are_logged(server, caplog):
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        with caplog.at_level(logging.WARNING, "gfp_serve.client"):
            await client.embed([UPSIDE_DOWN, UPSIDE_DOWN])
            await client.embed(UPSIDE_DOWN)
    (record,) = [each for each in caplog.records if each.name.startswith("gfp_serve.client")]
    assert record.getMessage().startswith("sequences[0] and 1 other: it looks as if -y were up")


async def test_a_gallery_knows_which_items_are_2d_and_which_do_not_travel(client):
    await client.upsert(
        [ClipItem("a", waving()), ClipItem("b", FLAT), ClipItem("c", HELD), ClipItem("d", FLAT, "", {"dimensions": 3})]
    )
    marks = {item.id: item.attributes for item in await client.get(["a", "b", "c", "d"])}
    assert marks == {"a": {}, "b": {"dimensions": 2}, "c": {"travels": False}, "d": {"dimensions": 3}}


async def test_a_2d_query_finds_2d_items_unless_its_filter_says_something_about_dimensions(client, warned):
    await client.upsert([ClipItem("space", waving(), "walk"), ClipItem("image", FLAT, "wave")])
    (alone,) = await client.search([FLAT], top_k=5)
    assert [each.id for each in alone] == ["image"]
    both = await client.search([waving(), FLAT, "space"], top_k=5)
    assert [{each.id for each in found} for found in both] == [{"space", "image"}, {"image"}, {"image"}]
    everything = await client.search(FLAT, top_k=5, where=Filter(must_not=(AnyOf("dimensions", (7,)),)))
    assert {each.id for each in everything} == {"space", "image"}
    assert (await client.classify(FLAT)).label == "wave"
    assert [each.ids for each in await client.search_moments(FLAT, top_k=5)] == [("image",)]
    assert [each.kind for each in warned] == ["dimensions"]


async def test_a_2d_query_that_finds_nothing_is_told_why(client, warned):
    await client.upsert([ClipItem("space", waving())])
    assert await client.search(FLAT) == []
    (warning,) = warned
    assert warning.kind == "dimensions"
    assert "add 2-D clips" in warning.text


async def test_a_query_centred_on_the_hips_is_told_of_items_that_travel(client, warned):
    await client.upsert([ClipItem("a", waving()), ClipItem("b", waving())])
    await client.search(HELD)
    assert [(each.field, each.kind) for each in warned] == [("queries[0]", "travel")]


async def test_a_stream_warns_once_and_takes_2d_joints(client, warned):
    await client.upsert([ClipItem("image", FLAT), ClipItem("space", waving())])

    async def frames():
        yield IN_IMAGE[:25]
        yield IN_IMAGE[25:]

    settings = StreamSettings(window_frames=20, stride_frames=10, dimensions=2, top_k=5, lossless=True)
    windows = [window async for window in client.stream(frames(), settings)]
    assert [window.first_frame for window in windows] == [0, 10, 20, 30, 40]
    assert [[each.id for each in window.neighbours] for window in windows] == [["image"]] * 5
    expected = await client.embed(from_image(IN_IMAGE[10:30], NTU25).sequence)
    np.testing.assert_allclose(windows[1].embedding, expected, atol=1e-5)
    assert warned == []

    async def upside_down():
        yield IN_IMAGE

    wrong = StreamSettings(
        window_frames=20, stride_frames=10, dimensions=2, conventions=Conventions(up="y"), lossless=True
    )
    assert len([window async for window in client.stream(upside_down(), wrong)]) == 5
    assert [(each.field, each.kind) for each in warned] == [("frames", "up")]


async def test_the_confidence_of_2d_joints_counts_in_a_stream(client):
    doubtful = np.concatenate([IN_IMAGE, np.zeros((*IN_IMAGE.shape[:3], 1), np.float32)], axis=-1)

    async def frames():
        yield doubtful

    settings = StreamSettings(window_frames=60, stride_frames=60, dimensions=2, lossless=True)
    (window,) = [window async for window in client.stream(frames(), settings)]
    assert "no two joints of a body are seen" in window.problem


async def test_an_encoder_for_3d_joints_refuses_2d_ones(tmp_path):
    bundle = tiny_bundle()
    manifest = dataclasses.replace(bundle.manifest, dimensions=[3])
    async with (
        running(tmp_path, bundle=dataclasses.replace(bundle, manifest=manifest)) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        assert (await client.info()).dimensions == (3,)
        with pytest.raises(InvalidSkeletonError, match="its joints are 2-D, and this server's encoder takes 3-D ones"):
            await client.embed([FLAT])


async def test_the_open_inference_protocol_warns_in_a_parameter(server):
    async with channel_to(server) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for clip, said in ((waving(), ""), (UPSIDE_DOWN, "skeleton[0]: it looks as if -y were up")):
            request = oip.ModelInferRequest(model_name="gfp-encoder")
            request.inputs.add(name="skeleton", datatype="FP32", shape=[1, *clip.shape])
            request.raw_input_contents.append(clip[None].tobytes())
            reply = await stub.ModelInfer(request)
            assert ("warning" in reply.parameters) == bool(said)
            assert said in reply.parameters["warning"].string_param
