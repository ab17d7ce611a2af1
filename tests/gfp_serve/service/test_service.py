"""A real server as another program sees it: messages in, messages and statuses out."""

import asyncio
import dataclasses
import gc

import grpc
import numpy as np
import pytest
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from hypothesis import given, settings
from hypothesis import strategies as st

from gfp_serve.encoder import Encoder
from gfp_serve.errors import GfpError
from gfp_serve.image_joints import from_image
from gfp_serve.layouts import FLORENCE15, KINECT20, LAYOUTS, NTU25
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.arrays import read_embedding, write_embedding, write_sequence
from gfp_serve.wire.items import write_struct
from gfp_serve.wire.status import STATUS_CODES, reason_of
from tests.support.refusals import CODE, refused
from tests.support.servers import GatedEncoder, calls_in, channel_to, running, running_in_thread, small_config
from tests.support.tiny_bundle import SIZE, embedding_of, tiny_bundle, walk

RPCS = [
    method
    for file in (embedding_pb2, gallery_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
# RPCs on whole galleries; test_galleries.py tests these.
OF_GALLERIES = {"CreateGallery", "DescribeGallery", "ListGalleries", "DropGallery"}


@pytest.fixture
async def server(tmp_path):
    async with running(tmp_path) as server:
        yield server


@pytest.fixture
async def channel(server):
    async with channel_to(server) as channel:
        yield channel


@pytest.fixture
def embedding(channel):
    return embedding_pb2_grpc.EmbeddingServiceStub(channel)


@pytest.fixture
def gallery(channel):
    return gallery_pb2_grpc.GalleryServiceStub(channel)


def sequence(seed=1, layout=NTU25, **shape):
    return write_sequence(walk(seed, layout=layout, **shape), layout)


def query(seed):
    return gallery_pb2.Query(sequence=sequence(seed))


def item(seed, label="", **attributes):
    return gallery_pb2.Item(id=f"i{seed}", sequence=sequence(seed), label=label, attributes=write_struct(attributes))


async def call(channel, method, content):
    return await channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")(content)


# --- every RPC ---


@pytest.mark.parametrize("method", RPCS, ids=lambda method: method.name)
async def test_bytes_that_are_not_a_message_are_an_invalid_argument(channel, method):
    await refused(call(channel, method, b"\xff\xff\xff"), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "method",
    [rpc for rpc in RPCS if rpc.name not in {"GetInfo", "DescribeGallery", "ListGalleries"}],
    ids=lambda method: method.name,
)
async def test_every_call_that_uses_the_encoder_may_name_it_and_fails_if_it_is_another(channel, method):
    request = GetMessageClass(method.input_type)(expected_encoder_digest="0" * 64)
    message, _ = await refused(
        call(channel, method, request.SerializeToString()), CODE.FAILED_PRECONDITION, "ENCODER_MISMATCH"
    )
    assert "000000000000…" in message
    assert tiny_bundle().manifest.encoder_digest[:12] in message


@pytest.mark.parametrize(
    "method", [rpc for rpc in RPCS if rpc.name not in {"GetInfo", *OF_GALLERIES}], ids=lambda method: method.name
)
async def test_an_empty_request_is_refused_and_names_the_field_to_fill(channel, method):
    message, field = await refused(call(channel, method, b""), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert field in {"sequences", "queries", "items", "ids"}
    assert "1 to 256" in message


@pytest.mark.parametrize(
    "method", [rpc for rpc in RPCS if rpc.name not in OF_GALLERIES], ids=lambda method: method.name
)
def test_every_reply_names_its_encoder(method):
    assert "encoder_digest" in method.output_type.fields_by_name
    assert method.name == "GetInfo" or "timing" in method.output_type.fields_by_name


def test_every_error_has_its_own_reason():
    reasons = [reason_of(error_type) for error_type in STATUS_CODES]
    assert len(set(reasons)) == len(reasons)
    assert all(issubclass(error_type, GfpError) for error_type in STATUS_CODES)


# --- Embed and GetInfo ---


@pytest.mark.parametrize("layout", [NTU25, KINECT20, FLORENCE15], ids=lambda layout: layout.name)
async def test_embedding_over_the_wire_equals_preparing_and_encoding_here(embedding, layout):
    reply = await embedding.Embed(embedding_pb2.EmbedRequest(sequences=[sequence(3, layout=layout, bodies=2)]))
    expected = embedding_of(walk(3, layout=layout, bodies=2), layout)
    np.testing.assert_allclose(read_embedding(reply.embeddings[0], SIZE), expected, atol=1e-5)
    assert reply.encoder_digest == tiny_bundle().manifest.encoder_digest


async def test_a_joint_that_was_lost_and_written_as_zero_is_filled_as_if_it_were_nan(embedding):
    zero, nan = walk(1, frames=40), walk(1, frames=40)
    zero[10:18, :, NTU25.joint_names.index("HandLeft")] = 0
    nan[10:18, :, NTU25.joint_names.index("HandLeft")] = np.nan
    request = embedding_pb2.EmbedRequest(sequences=[write_sequence(each, NTU25) for each in (zero, nan)])
    first, second = (each.values for each in (await embedding.Embed(request)).embeddings)
    assert first == second


async def test_a_batch_gives_what_its_clips_give_alone_for_all_lengths_and_bodies(embedding):
    messages = [sequence(seed, frames=2 + seed, bodies=1 + seed % 3) for seed in range(9)]
    together = await embedding.Embed(embedding_pb2.EmbedRequest(sequences=messages))
    for number, message in enumerate(messages):
        single = await embedding.Embed(embedding_pb2.EmbedRequest(sequences=[message]))
        np.testing.assert_allclose(
            read_embedding(together.embeddings[number], SIZE), read_embedding(single.embeddings[0], SIZE), atol=1e-5
        )


async def test_the_parts_of_the_timing_add_up_to_no_more_than_the_whole(embedding):
    timing = (await embedding.Embed(embedding_pb2.EmbedRequest(sequences=[sequence()]))).timing
    assert timing.preprocess_ns > 0
    assert timing.inference_ns > 0
    assert timing.search_ns == 0
    assert timing.queue_ns + timing.preprocess_ns + timing.inference_ns <= timing.total_ns


def changed(**fields):
    message = sequence()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def with_value(value):
    clip = walk(1)
    clip[2, 0, 3, 1] = value
    return write_sequence(clip, NTU25)


@pytest.mark.parametrize(
    ("bad", "reason", "words"),
    [
        (changed(layout="kinect7"), "UNKNOWN_LAYOUT", "ntu25"),
        (changed(layout=""), "UNKNOWN_LAYOUT", "ntu25"),
        (changed(num_joints=20), "INVALID_SKELETON", "25 joints"),
        (changed(num_frames=0), "INVALID_SKELETON", "at least 1 frame"),
        (changed(num_frames=8), "INVALID_SKELETON", "2700 bytes"),
        (changed(positions=b""), "INVALID_SKELETON", "has 0 bytes"),
        (changed(num_frames=2**32 - 1, num_bodies=2**32 - 1), "INVALID_SKELETON", "2700 bytes"),
        (with_value(np.inf), "INVALID_SKELETON", "'Head'"),
        (write_sequence(walk(1) * 100, NTU25), "INVALID_SKELETON", "metres"),
        (write_sequence(walk(1) * np.nan, NTU25), "INVALID_SKELETON", "nobody is seen"),
        (write_sequence(np.ones_like(walk(1)), NTU25), "INVALID_SKELETON", "no pose"),
    ],
)
async def test_a_sequence_that_cannot_be_used_is_named_with_its_index_and_fault(embedding, bad, reason, words):
    request = embedding_pb2.EmbedRequest(sequences=[sequence(), bad])
    message, field = await refused(embedding.Embed(request), CODE.INVALID_ARGUMENT, reason)
    assert field == "sequences[1]"
    assert message.startswith("sequences[1]: ")
    assert words in message


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_frames": 8}, "9 frames; this server takes at most 8"),
        ({"max_bodies": 1}, "2 bodies; this server takes at most 1. Check the axis order"),
        ({"max_sequences": 1}, "1 to 1 of them, got 2"),
    ],
)
async def test_a_request_beyond_a_limit_is_refused_and_the_limit_named(tmp_path, limits, words):
    async with running(tmp_path, small_config(**limits)) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        request = embedding_pb2.EmbedRequest(sequences=[sequence(bodies=2)] * 2)
        message, _ = await refused(stub.Embed(request), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert words in message
        info = await stub.GetInfo(embedding_pb2.GetInfoRequest())
        ((name, value),) = limits.items()
        assert getattr(info.limits, name) == value


@pytest.fixture(scope="module")
def send_to_every_rpc(tmp_path_factory):
    with running_in_thread(tmp_path_factory.mktemp("fuzz")) as address, grpc.insecure_channel(address) as channel:
        methods = [channel.unary_unary(f"/{rpc.containing_service.full_name}/{rpc.name}") for rpc in RPCS]

        def send(content):
            codes = set()
            for method in methods:
                try:
                    method(content)
                except grpc.RpcError as error:
                    codes.add(error.code())
            return codes

        yield send


@settings(max_examples=50)
@given(content=st.binary(max_size=200))
def test_no_bytes_cause_an_internal_error(send_to_every_rpc, content):
    assert send_to_every_rpc(content) <= {CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.NOT_FOUND}


async def test_five_megabytes_pass_in_both_directions(embedding, gallery):
    long = walk(1, frames=9000, bodies=2)
    assert long.nbytes > 5 * 2**20
    assert (await embedding.Embed(embedding_pb2.EmbedRequest(sequences=[write_sequence(long, NTU25)]))).embeddings
    many = [with_note(number, 60_000) for number in range(100)]
    await gallery.Upsert(gallery_pb2.UpsertRequest(items=many))
    found = (await gallery.Get(gallery_pb2.GetRequest(ids=[item.id for item in many]))).items
    assert sum(len(item.attributes["note"]) for item in found) > 5 * 2**20


def with_note(number, num_characters):
    vector = embedding_message(np.eye(SIZE)[number % SIZE])
    note = write_struct({"note": "x" * num_characters})
    return gallery_pb2.Item(id=f"n{number}", embedding=vector, label="a", attributes=note)


@pytest.mark.parametrize("part", ["id", "label", "attributes", "source"])
async def test_an_item_with_too_large_a_text_is_refused_and_its_index_named(gallery, part):
    bad = with_note(2, 70_000 if part == "attributes" else 1)
    if part == "source":
        bad.source.recording = "x" * 70_000
    elif part != "attributes":
        setattr(bad, part, "x" * 70_000)
    asked = gallery.Upsert(gallery_pb2.UpsertRequest(items=[with_note(1, 60_000), bad]))
    message, field = await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert field == "items[1]"
    assert "at most 65536" in message


async def test_a_reply_that_would_be_too_large_is_refused_before_it_is_built(tmp_path, caplog):
    config = small_config(max_message_bytes=2**20)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        gallery = gallery_pb2_grpc.GalleryServiceStub(channel)
        await gallery.Upsert(gallery_pb2.UpsertRequest(items=[with_note(number, 60_000) for number in range(8)]))
        queries = [gallery_pb2.Query(embedding=embedding_message([1.0] * SIZE))] * 256
        for asked, remedy in (
            (gallery.Search(gallery_pb2.SearchRequest(queries=queries)), "lower top_k or send fewer queries"),
            (gallery.Classify(gallery_pb2.ClassifyRequest(queries=queries)), "lower num_neighbours or send fewer"),
            (gallery.Get(gallery_pb2.GetRequest(ids=["n1"] * 256)), "ask for fewer ids"),
        ):
            message, _ = await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
            assert "1048576 bytes" in message
            assert remedy in message
        assert (await gallery.Search(gallery_pb2.SearchRequest(queries=queries[:2], top_k=8))).results
        (result,) = (await gallery.Classify(gallery_pb2.ClassifyRequest(queries=queries[:1], num_neighbours=8))).results
        assert len(result.neighbours) == 8
    assert "failed" not in caplog.text


async def test_no_reply_that_passes_the_size_check_is_too_large_for_grpc(tmp_path):
    config = small_config(max_message_bytes=2**14)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        gallery = gallery_pb2_grpc.GalleryServiceStub(channel)
        await gallery.Upsert(gallery_pb2.UpsertRequest(items=[with_note(number, number) for number in range(8)]))
        by_id = gallery_pb2.Query(id="n1")
        calls = [gallery.Search(gallery_pb2.SearchRequest(queries=[by_id] * n, top_k=7)) for n in range(1, 80)]
        replies = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [reply for reply in replies if isinstance(reply, grpc.RpcError)]
    assert {refusal.code() for refusal in refusals} == {CODE.INVALID_ARGUMENT}
    assert max(reply.ByteSize() for reply in replies if reply not in refusals) > 2**13


async def test_info_describes_the_encoder_and_counts_the_items(embedding, gallery):
    await gallery.Upsert(gallery_pb2.UpsertRequest(items=[item(1), item(2)]))
    info = await embedding.GetInfo(embedding_pb2.GetInfoRequest())
    assert (info.encoder.name, info.encoder.embedding_size) == ("tiny", SIZE)
    assert (info.encoder.provider, info.encoder.device) == ("CPUExecutionProvider", "cpu")
    assert info.encoder.preprocessing["num_frames"] == 6
    assert list(info.encoder.layouts) == sorted(LAYOUTS)
    assert (info.gallery.num_items, info.gallery.generation, info.gallery.durable) == (2, 1, True)
    assert info.limits.max_message_bytes == 32 * 2**20


# --- overload, hanging up, faults of the server ---


async def in_encoder(encoder):
    assert await asyncio.to_thread(encoder.entered.wait, 20)


async def test_a_full_server_refuses_at_once_and_says_when_to_try_again(tmp_path):
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, small_config(max_sequences=1), encoder) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        encoder.shut()
        admitted = stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence(1, bodies=2)]))
        await in_encoder(encoder)
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence(2)]))
        assert caught.value.code() is CODE.RESOURCE_EXHAUSTED
        retry = RetryInfo()
        assert any(detail.Unpack(retry) for detail in rpc_status.from_call(caught.value).details)
        assert retry.retry_delay.ToNanoseconds() > 0
        encoder.gate.set()
        assert (await admitted).embeddings
        assert (await stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence(2)]))).embeddings


async def test_calls_beyond_the_limit_are_refused_and_health_is_still_answered(tmp_path):
    encoder = GatedEncoder(tiny_bundle())
    # Behind a proxy, because then one connection may take all places.
    config = dataclasses.replace(small_config(), max_calls=2, behind_proxy=True)
    async with running(tmp_path, config, encoder) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        encoder.shut()
        admitted = [stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence(seed)])) for seed in range(2)]
        await calls_in(server, 2)
        message, _ = await refused(stub.GetInfo(embedding_pb2.GetInfoRequest()), CODE.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert "2 calls in progress" in message
        health = health_pb2_grpc.HealthStub(channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        encoder.gate.set()
        assert all([(await call).embeddings for call in admitted])
        assert (await stub.GetInfo(embedding_pb2.GetInfoRequest())).encoder_digest


@pytest.fixture
def no_garbage_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("kind", ["call", "refused call", "stream"])
async def test_calls_that_are_over_leave_their_connection_to_the_next_ones(tmp_path, kind):
    # gRPC counts a stream until the memory of its call is free. If a call refers to itself, that is when the garbage
    # collector has come by. Until then many calls would use up the streams of their connection.
    config = dataclasses.replace(small_config(), max_calls=1, behind_proxy=True)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        service = "/gfp_serve.v1.EmbeddingService"
        for _ in range(400):
            if kind == "call":
                assert await channel.unary_unary(f"{service}/GetInfo")(b"")
            elif kind == "refused call":
                with pytest.raises(grpc.RpcError) as caught:
                    await channel.unary_unary(f"{service}/Embed")(b"\xff")
                assert caught.value.code() is CODE.INVALID_ARGUMENT
            else:
                infer = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
                assert [reply async for reply in infer(iter([b""]))]


@pytest.mark.parametrize("leaves_by", ["cancelling", "deadline"])
async def test_the_clip_of_a_caller_who_left_is_not_encoded(tmp_path, leaves_by):
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, encoder=encoder) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        encoder.shut()
        first = stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence(1)]))
        await in_encoder(encoder)
        request = embedding_pb2.EmbedRequest(sequences=[sequence(2)])
        if leaves_by == "deadline":
            with pytest.raises(grpc.RpcError) as caught:
                await stub.Embed(request, timeout=0.05)
            assert caught.value.code() is CODE.DEADLINE_EXCEEDED
        else:
            gone = stub.Embed(request)
            await calls_in(server, 2)
            gone.cancel()
        await calls_in(server, 1)
        neighbour = stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence(3)]))
        encoder.gate.set()
        assert (await first).embeddings
        assert (await neighbour).embeddings
    assert len(encoder.seen) == 2


@pytest.mark.parametrize(
    ("sent", "kept"), [("mine-7", True), ("not a sound one", False), ("x" * 65, False), (None, False)]
)
async def test_every_reply_has_the_callers_request_id_or_a_new_one(tmp_path, sent, kept):
    header = () if sent is None else (("x-request-id", sent),)
    async with running(tmp_path) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        for call in (
            stub.GetInfo(embedding_pb2.GetInfoRequest(), metadata=header),
            stub.Embed(embedding_pb2.EmbedRequest(), metadata=header),  # refused: it has no sequence
        ):
            told = dict(await call.trailing_metadata())
            assert (told["x-request-id"] == sent) is kept
            assert told["x-request-id"]


async def test_a_fault_of_the_server_is_reported_with_a_request_id_and_nothing_else(tmp_path, caplog):
    class Broken(Encoder):
        broken = False

        def encode(self, clips):
            if self.broken:
                raise RuntimeError("secret path /var/lib")
            return super().encode(clips)

    encoder = Broken(tiny_bundle(), num_threads=1)
    async with running(tmp_path, encoder=encoder) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        encoder.broken = True
        message, _ = await refused(
            stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence()])), CODE.INTERNAL, "SERVER"
        )
        assert "secret" not in message
        request_id = message.split("request_id=")[1].split(".")[0]
        assert f"request_id={request_id} failed" in caplog.text
        assert "secret path" in caplog.text
        encoder.broken = False
        assert (await stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence()]))).embeddings


async def test_a_sequence_with_a_zero_embedding_is_named(tmp_path):
    class Still(Encoder):
        def encode(self, clips):
            return super().encode(clips) * 0

    async with running(tmp_path, encoder=Still(tiny_bundle(), num_threads=1)) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        asked = stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence()]))
        message, field = await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_SKELETON")
        assert field == "sequences[0]"
        assert "no direction" in message


# --- the gallery ---


async def test_a_stored_clip_is_found_by_itself_by_its_embedding_and_not_by_its_own_id(gallery):
    await gallery.Upsert(gallery_pb2.UpsertRequest(items=[item(1, "wave", subject="7"), item(2, "sit"), item(3)]))
    by_embedding = gallery_pb2.Query(embedding=write_embedding(5 * embedding_of(walk(1))))
    reply = await gallery.Search(
        gallery_pb2.SearchRequest(queries=[query(1), by_embedding, gallery_pb2.Query(id="i1")], top_k=2)
    )
    ids = [[neighbour.id for neighbour in result.neighbours] for result in reply.results]
    assert [found[0] for found in ids[:2]] == ["i1", "i1"]
    assert set(ids[2]) == {"i2", "i3"}
    assert list(map(len, ids)) == [2, 2, 2]
    nearest = reply.results[0].neighbours[0]
    assert (nearest.label, nearest.attributes["subject"]) == ("wave", "7")
    assert nearest.similarity == pytest.approx(1, abs=1e-5)
    assert reply.timing.search_ns > 0


async def test_without_top_k_there_are_five_neighbours(gallery):
    await gallery.Upsert(gallery_pb2.UpsertRequest(items=[item(seed, "a") for seed in range(7)]))
    reply = await gallery.Search(gallery_pb2.SearchRequest(queries=[query(1)]))
    assert len(reply.results[0].neighbours) == 5
    votes = await gallery.Classify(gallery_pb2.ClassifyRequest(queries=[query(1)]))
    assert len(votes.results[0].neighbours) == 5


async def test_scores_sum_to_one_and_neighbours_without_a_label_have_no_vote(gallery):
    labels = {1: "wave", 2: "sit", 3: ""}
    await gallery.Upsert(gallery_pb2.UpsertRequest(items=[item(seed, label) for seed, label in labels.items()]))
    request = gallery_pb2.ClassifyRequest(queries=[query(1)], weighting=gallery_pb2.WEIGHTING_SIMILARITY)
    (result,) = (await gallery.Classify(request)).results
    assert (result.label, result.unknown) == ("wave", False)
    assert sum(each.score for each in result.scores) == pytest.approx(1)
    assert {voter.id for voter in result.neighbours} == {"i1", "i2"}
    request.weighting = gallery_pb2.WEIGHTING_UNIFORM
    (result,) = (await gallery.Classify(request)).results
    assert [each.score for each in result.scores] == [0.5, 0.5]


async def test_a_query_that_is_like_no_item_is_unknown(gallery):
    await gallery.Upsert(gallery_pb2.UpsertRequest(items=[item(1, "wave")]))
    opposite = gallery_pb2.Query(embedding=write_embedding(-embedding_of(walk(1))))
    request = gallery_pb2.ClassifyRequest(queries=[opposite], unknown_below=0.5)
    (result,) = (await gallery.Classify(request)).results
    assert (result.label, result.unknown) == ("", True)
    request.ClearField("unknown_below")
    (result,) = (await gallery.Classify(request)).results
    assert (result.label, result.unknown) == ("wave", False)


async def test_items_come_back_as_they_were_given_until_they_are_deleted(gallery):
    stored = item(1, "wave", subject="7", camera=2.0, mirrored=True, tags=["a", "b"])
    assert (await gallery.Upsert(gallery_pb2.UpsertRequest(items=[stored]))).generation == 1
    (plain,) = (await gallery.Get(gallery_pb2.GetRequest(ids=["i1"]))).items
    (whole,) = (await gallery.Get(gallery_pb2.GetRequest(ids=["i1"], with_embeddings=True))).items
    assert plain.WhichOneof("content") is None
    assert (whole.label, whole.attributes) == ("wave", stored.attributes)
    np.testing.assert_allclose(read_embedding(whole.embedding, SIZE), embedding_of(walk(1)), atol=1e-5)
    reply = await gallery.Delete(gallery_pb2.DeleteRequest(ids=["i1", "never"]))
    assert reply.num_deleted == 1
    await refused(gallery.Get(gallery_pb2.GetRequest(ids=["i1"])), CODE.NOT_FOUND, "ITEM_NOT_FOUND")


async def test_an_empty_gallery_is_a_failed_precondition(gallery):
    for asked in (
        gallery.Search(gallery_pb2.SearchRequest(queries=[query(1)])),
        gallery.Classify(gallery_pb2.ClassifyRequest(queries=[query(1)])),
    ):
        await refused(asked, CODE.FAILED_PRECONDITION, "EMPTY_GALLERY")


async def test_a_query_by_an_unknown_id_names_the_id(gallery):
    request = gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id="nobody")])
    message, _ = await refused(gallery.Search(request), CODE.NOT_FOUND, "ITEM_NOT_FOUND")
    assert "nobody" in message


def embedding_message(values):
    return write_embedding(np.array(values, dtype=np.float32))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (gallery_pb2.Query(), "queries[1]"),
        (gallery_pb2.Query(embedding=embedding_message([1.0] * 7)), "queries[1]"),
        (gallery_pb2.Query(embedding=embedding_message([np.nan] * 8)), "queries[1]"),
        (gallery_pb2.Query(embedding=embedding_message([0.0] * 8)), "queries[1]"),
        (gallery_pb2.Query(embedding=embedding_pb2.Embedding(values=b"abc", size=8)), "queries[1]"),
    ],
)
async def test_a_query_with_a_zero_embedding_is_named(gallery, bad, field):
    request = gallery_pb2.SearchRequest(queries=[query(1), bad])
    assert (await refused(gallery.Search(request), CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == field


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"num_neighbours": 0}, "num_neighbours"),
        ({"num_neighbours": 1001}, "num_neighbours"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"unknown_below": 1.5}, "unknown_below"),
        ({"weighting": 9}, "weighting"),
    ],
)
async def test_a_setting_of_the_vote_outside_its_range_is_named(gallery, settings, field):
    request = gallery_pb2.ClassifyRequest(queries=[query(1)], **settings)
    assert (await refused(gallery.Classify(request), CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == field


@pytest.mark.parametrize("top_k", [0, 1001])
async def test_a_number_of_neighbours_outside_its_range_is_named(gallery, top_k):
    request = gallery_pb2.SearchRequest(queries=[query(1)], top_k=top_k)
    assert (await refused(gallery.Search(request), CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == "top_k"


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "in a list"])
async def test_an_attribute_that_is_not_a_finite_number_is_named_with_its_item(gallery, number, nested):
    bad = item(2)
    bad.attributes.update({"speed": [number] if nested else number})
    request = gallery_pb2.UpsertRequest(items=[item(1), bad])
    assert (await refused(gallery.Upsert(request), CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == "items[1]"


@pytest.mark.parametrize("text", ["x" * 10**6, "\u4e2d" * 10**5], ids=["ascii", "three bytes a character"])
async def test_an_error_that_quotes_a_long_text_still_reaches_the_caller(embedding, gallery, text):
    asked = embedding.Embed(embedding_pb2.EmbedRequest(sequences=[changed(layout=text)]))
    message, field = await refused(asked, CODE.INVALID_ARGUMENT, "UNKNOWN_LAYOUT")
    assert field == "sequences[0]"
    assert "there is no joint layout" in message
    assert "ntu25" in message
    asked = gallery.Get(gallery_pb2.GetRequest(ids=[text]))
    assert "check the ids" in (await refused(asked, CODE.NOT_FOUND, "ITEM_NOT_FOUND"))[0]


async def test_an_upsert_with_one_bad_item_stores_nothing(embedding, gallery):
    nested = gallery_pb2.Item(id="b", sequence=sequence(2), attributes=write_struct({"a": {"b": 1}}))
    for bad in (gallery_pb2.Item(id="b"), gallery_pb2.Item(id="", sequence=sequence(2)), nested):
        request = gallery_pb2.UpsertRequest(items=[item(1), bad])
        await refused(gallery.Upsert(request), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert (await embedding.GetInfo(embedding_pb2.GetInfoRequest())).gallery.num_items == 0


# --- layouts without a name, conventions, 2-D joints ---


async def vector_of(embedding, **changed):
    """The vector of a request with one sequence."""
    request = embedding_pb2.EmbedRequest(sequences=[embedding_pb2.Sequence(**changed)])
    return read_embedding((await embedding.Embed(request)).embeddings[0], SIZE)


def shaped(positions, **others):
    num_frames, num_bodies, num_joints, _ = positions.shape
    counts = {"num_frames": num_frames, "num_bodies": num_bodies, "num_joints": num_joints}
    return {"positions": positions.astype("<f4").tobytes(), **counts, **others}


async def test_joints_of_no_known_layout_are_named_in_the_request(embedding):
    clip = walk(3, frames=40)
    order = np.random.default_rng(0).permutation(25)
    # In another spelling: right_shoulder for ShoulderRight.
    names = [f"right_{name[:-5].lower()}" if name.endswith("Right") else name for name in NTU25.joint_names]
    expected = await vector_of(embedding, **shaped(clip, layout="ntu25"))
    found = await vector_of(embedding, **shaped(clip[:, :, order], joint_names=[names[joint] for joint in order]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


async def test_a_request_says_its_conventions(embedding):
    clip = walk(3, frames=40)
    source = clip @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float32) * 100  # z up, centimetres
    expected = await vector_of(embedding, **shaped(clip, layout="ntu25"))
    said = embedding_pb2.Conventions(up="z", unit="cm")
    found = await vector_of(embedding, **shaped(source, layout="ntu25", conventions=said))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("with_confidence", [False, True])
async def test_2d_joints_are_embedded_upright_and_scaled_by_the_trunk(embedding, with_confidence):
    pixels = np.concatenate([walk(3, frames=40)[..., :2] * [100, -100] + 300, np.ones((40, 1, 25, 1))], axis=-1)
    pixels[3, 0, 7, 2] = 0.1
    kept = pixels if with_confidence else pixels[..., :2]
    placed = from_image(
        kept[..., :2].astype(np.float32).astype(np.float64), NTU25, confidence=kept[..., 2] if with_confidence else None
    )
    expected = await vector_of(embedding, **shaped(placed.sequence, layout="ntu25"))
    found = await vector_of(embedding, **shaped(kept, layout="ntu25", dimensions=2))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"layout": "ntu25", "joint_names": NTU25.joint_names}, "both a layout, 'ntu25', and names of joints"),
        ({"joint_names": ["Head"] * 25}, "need names of 1 to 64 letters that differ"),
        ({"joint_names": ["", *NTU25.joint_names[1:]]}, "need names of 1 to 64 letters that differ"),
        ({"joint_names": [f"j{number}" for number in range(25)]}, "cannot be mapped"),
        ({"layout": "ntu25", "conventions": {"up": "up"}}, "conventions: up is 'up'; choose one of x, y, z"),
        ({"layout": "ntu25", "conventions": {"unit": "km"}}, "conventions: unit is 'km'; choose one of m, dm"),
        ({"layout": "ntu25", "dimensions": 4}, "dimensions: it is 4; joints have 2 or 3 dimensions"),
        ({"layout": "ntu25", "dimensions": 2, "conventions": {"up": "z"}}, "in an image, y or -y is up"),
        ({"layout": "coco17", "num_joints": 17, "dimensions": 2}, "2-D joints are 544, with a confidence 816"),
        ({"layout": "ntu25", "dimensions": 2, "conventions": {"unit": "km"}}, "conventions: unit is 'km'"),
        (
            {"layout": "ntu25", "dimensions": 2, "conventions": {"min_confidence": 2.0}},
            "sequences[0].conventions.min_confidence: it is 2.0; expected a number from 0 to 1",
        ),
        (
            {"layout": "ntu25", "conventions": {"min_confidence": 0.5}},
            "sequences[0].conventions.min_confidence: it is for joints of an image, whose dimensions are 2",
        ),
        ({"layout": "ntu25", "image_width": float("nan")}, "image_width: it is for joints of an image"),
        (
            {"layout": "ntu25", "dimensions": 2, "image_width": 1e30, "image_height": 1e-3},
            "both must be above 0 and like those of images",
        ),
        (
            {"layout": "ntu25", "dimensions": 2, "positions": np.full((4, 25, 2), np.inf, "<f4").tobytes()},
            "a number is infinite; what was not seen is NaN",
        ),
    ],
)
async def test_what_a_request_says_wrongly_of_its_joints_is_refused(embedding, changed, words):
    sequence = {**shaped(walk(1, frames=4)), **changed}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await embedding.Embed(embedding_pb2.EmbedRequest(sequences=[embedding_pb2.Sequence(**sequence)]))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert words in refused.value.details()
