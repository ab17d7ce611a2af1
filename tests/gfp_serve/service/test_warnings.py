"""A clip that may have been read wrongly is answered with a warning, over every way in."""

import dataclasses
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from gfp_serve.client import AsyncClient, ClipItem, ServerWarning, StreamSettings
from gfp_serve.conventions import Conventions
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.image_joints import from_image
from gfp_serve.layouts import NTU25
from gfp_serve.server import Server
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, open_inference_pb2_grpc
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.wire.arrays import write_sequence
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


@pytest.mark.parametrize("search", [AsyncClient.search, AsyncClient.search_moments])
async def test_a_2d_query_that_finds_nothing_is_told_why(client, warned, search):
    await client.upsert([ClipItem("space", waving())])
    assert await search(client, [waving(), FLAT]) != [[], []]
    (warning,) = warned
    assert (warning.field, warning.kind) == ("queries[1]", "dimensions")
    assert "add 2-D clips" in warning.text


async def test_the_id_of_a_2d_item_finds_2d_items(client):
    await client.upsert([ClipItem("space", waving()), ClipItem("image", FLAT), ClipItem("other", FLAT)])
    assert [each.id for each in await client.search("image", top_k=5)] == ["other"]
    assert {each.id for each in await client.search("space", top_k=5)} == {"image", "other"}


async def test_a_class_that_is_doubted_has_the_place_of_its_query(client, warned):
    await client.upsert([ClipItem("space", waving(), "walk")])
    await client.classify([waving(), waving(), FLAT])
    assert [(each.field, each.kind) for each in warned] == [("queries[2]", "dimensions")]


async def test_balanced_votes_about_2d_joints_count_2d_items_in_calls_and_streams_alike(client):
    space = [ClipItem(f"s{number}", waving(travel_m=number / 10), "rare") for number in range(6)]
    await client.upsert([*space, ClipItem("a", FLAT, "rare"), *(ClipItem(f"b{n}", FLAT, "common") for n in range(2))])
    told = await client.classify(FLAT, num_neighbours=3, weighting="uniform", balanced=True)
    expected = {"rare": 1 / 2, "common": 1 / 2}
    assert {each.label: each.score for each in told.scores} == pytest.approx(expected)

    async def frames():
        yield FLAT

    settings = StreamSettings(
        window_frames=60, stride_frames=60, num_neighbours=3, weighting="uniform", balanced=True, lossless=True
    )
    (window,) = [window async for window in client.stream(frames(), settings)]
    assert {each.label: each.score for each in window.classification.scores} == pytest.approx(expected)


async def test_what_users_call_dimensions_themselves_is_not_taken_for_a_mark(client, warned):
    await client.upsert(
        [ClipItem("a", waving(), "", {"dimensions": "large"}), ClipItem("b", FLAT, "", {"dimensions": 7})]
    )
    assert [each.id for each in await client.search(FLAT, top_k=5)] == ["b"]
    await client.search(waving(), top_k=1)
    assert warned == []


async def test_an_image_of_unknown_size_is_told_and_half_a_size_is_refused(server):
    async with channel_to(server) as channel:
        embed = embedding_pb2_grpc.EmbeddingServiceStub(channel).Embed
        parts = (IN_IMAGE / 1000).astype("<f4")
        shape = {"num_frames": 60, "num_bodies": 1, "num_joints": 25, "layout": "ntu25", "dimensions": 2}
        for size, kinds in (({}, ["image"]), ({"image_width": 4, "image_height": 3}, [])):
            sequence = embedding_pb2.Sequence(positions=parts.tobytes(), **shape, **size)
            reply = await embed(embedding_pb2.EmbedRequest(sequences=[sequence]))
            assert [each.kind for each in reply.warnings] == kinds
        half = embedding_pb2.Sequence(positions=parts.tobytes(), **shape, image_width=640)
        with pytest.raises(grpc.RpcError, match="a width of 640 and a height of 0; both must be above 0"):
            await embed(embedding_pb2.EmbedRequest(sequences=[half]))


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


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"dimensions": 4}, "sequences[1].dimensions"),
        ({"conventions": embedding_pb2.Conventions(up="down")}, "sequences[1].conventions"),
        ({"dimensions": 2, "image_width": 7}, "sequences[1].image_width"),
    ],
)
async def test_an_error_about_a_part_of_a_sequence_names_the_sequence_too(server, wrong, field):
    good = write_sequence(waving(), NTU25)
    bad = embedding_pb2.Sequence()
    bad.CopyFrom(good)
    bad.MergeFrom(embedding_pb2.Sequence(**wrong))
    async with channel_to(server) as channel:
        with pytest.raises(grpc.RpcError) as refusal:
            await embedding_pb2_grpc.EmbeddingServiceStub(channel).Embed(
                embedding_pb2.EmbedRequest(sequences=[good, bad])
            )
    assert refusal.value.details().startswith(f"{field}: ")


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


async def test_k_nearest_of_the_open_inference_protocol_look_at_2d_items_for_2d_clips(server, client):
    await client.upsert([ClipItem("space", waving()), ClipItem("image", FLAT)])
    async with channel_to(server) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for clips, ids in (([FLAT], ["image"]), ([waving(), FLAT], ["space", "image", "image", "space"])):
            request = oip.ModelInferRequest(model_name="gfp-knn")
            request.parameters["k"].int64_param = 2
            request.inputs.add(name="skeleton", datatype="FP32", shape=[len(clips), *FLAT.shape])
            request.raw_input_contents.append(np.stack(clips).astype("<f4").tobytes())
            reply = await stub.ModelInfer(request)
            found = dict(zip([output.name for output in reply.outputs], reply.raw_output_contents, strict=True))["ids"]
            assert [name for name in ids if name.encode() not in found] == []
            assert (b"space" in found) == ("space" in ids)
