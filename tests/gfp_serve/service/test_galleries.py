"""Named galleries over the wire, with filters, effort and sources."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.struct_pb2 import ListValue, Value
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.client import AsyncClient, ClipItem, StreamedWindow, StreamSettings
from gfp_serve.errors import (
    EncoderMismatchError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
)
from gfp_serve.filters import AnyOf, Filter, Range
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import (
    DEFAULT_GALLERY,
    Effort,
    Item,
    Source,
)
from gfp_serve.server import Server
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc, open_inference_pb2_grpc, stream_pb2
from gfp_serve.wire.searches import MAX_CONDITIONS, MAX_VALUES, read_filter, write_filter
from tests.support.frame_streams import FRAMES, bring, opening, replies_to
from tests.support.inference_messages import inference_request, outputs_of
from tests.support.refusals import CODE, refused
from tests.support.servers import HANG_S, channel_to, running, until
from tests.support.tiny_bundle import SIZE, embedding_of, tiny_bundle, walk

Stub = gallery_pb2_grpc.GalleryServiceStub

UNIT = np.eye(SIZE, dtype=np.float32)
BY_FIRST = gallery_pb2.Query(embedding={"values": UNIT[0].tobytes(), "size": SIZE})


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"127.0.0.1:{server.port}") as connected:
        yield connected


@pytest.fixture
async def stub(server: Server) -> AsyncIterator[Stub]:
    async with channel_to(server) as channel:
        yield Stub(channel)


# --- whole galleries ---


async def test_a_new_gallery_is_empty_and_is_listed_beside_the_default_one(client: AsyncClient) -> None:
    digest = tiny_bundle().manifest.encoder_digest
    made = await client.create_gallery("walks", "hnsw")
    assert (made.encoder_digest, made.embedding_size, made.metric) == (digest, SIZE, "cosine")
    assert (made.index_kind, made.num_items, made.generation, made.durable) == ("hnsw", 0, 0, True)
    await client.upsert([Item("a", UNIT[0])], gallery="walks")
    found = {each.name: each for each in await client.list_galleries()}
    assert list(found) == ["default", "walks"]
    assert found["walks"].encoder_digest == digest
    assert found["walks"].description == await client.describe_gallery("walks")
    assert [found[name].description.num_items for name in found] == [0, 1]
    assert await client.describe_gallery() == await client.describe_gallery("default")
    assert (await client.info()).num_items == 0, "these are the numbers of the default gallery"


async def test_a_dropped_gallery_is_gone_and_its_name_is_free_again(client: AsyncClient) -> None:
    await client.create_gallery("old")
    await client.upsert([Item("a", UNIT[0]), Item("b", UNIT[1])], gallery="old")
    assert await client.drop_gallery("old") == 2
    with pytest.raises(GalleryNotFoundError):
        await client.search(UNIT[0], gallery="old")
    assert [each.name for each in await client.list_galleries()] == ["default"]
    assert (await client.create_gallery("old")).num_items == 0


UNKNOWN: dict[str, Callable[[AsyncClient], object]] = {
    "search": lambda client: client.search(UNIT[0], gallery="none"),
    "classify": lambda client: client.classify(walk(1), gallery="none"),
    "upsert": lambda client: client.upsert([Item("a", UNIT[0])], gallery="none"),
    "upsert of nothing": lambda client: client.upsert([], gallery="none"),
    "delete": lambda client: client.delete(["a"], gallery="none"),
    "get": lambda client: client.get(["a"], gallery="none"),
    "describe": lambda client: client.describe_gallery("none"),
    "drop": lambda client: client.drop_gallery("none"),
}


@pytest.mark.parametrize("ask", UNKNOWN.values(), ids=UNKNOWN)
async def test_a_gallery_that_does_not_exist_is_reported_by_its_name(
    client: AsyncClient, ask: Callable[[AsyncClient], object]
) -> None:
    with pytest.raises(GalleryNotFoundError, match="no gallery 'none'") as refusal:
        await ask(client)
    assert refusal.value.field == "gallery"


async def test_names_that_are_taken_and_invalid_names_have_different_statuses(stub: Stub) -> None:
    for name, code, reason in (
        (DEFAULT_GALLERY, CODE.ALREADY_EXISTS, "GALLERY_EXISTS"),
        ("", CODE.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ("../up", CODE.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ("x" * 65, CODE.INVALID_ARGUMENT, "INVALID_REQUEST"),
    ):
        asked = stub.CreateGallery(gallery_pb2.CreateGalleryRequest(gallery=name))
        assert (await refused(asked, code, reason))[1] == "gallery"
    for name in ("", DEFAULT_GALLERY):
        asked = stub.DropGallery(gallery_pb2.DropGalleryRequest(gallery=name))
        message, field = await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert (field, "cannot be dropped" in message) == ("gallery", True)


async def test_an_unknown_metric_or_index_is_refused(stub: Stub) -> None:
    for name in ("metric", "index_kind"):
        asked = stub.CreateGallery(gallery_pb2.CreateGalleryRequest(gallery="x", **{name: 99}))
        message, field = await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert (field, "99" in message) == (name, True)
    assert [each.name for each in (await stub.ListGalleries(gallery_pb2.ListGalleriesRequest())).galleries] == [
        "default"
    ]


async def test_a_client_raises_for_a_name_that_is_taken_or_not_utf_8(client: AsyncClient) -> None:
    await client.create_gallery("one")
    with pytest.raises(GalleryExistsError):
        await client.create_gallery("one")
    for ask in (client.create_gallery, client.describe_gallery, client.drop_gallery):
        with pytest.raises(InvalidRequestError, match="not UTF-8") as refusal:
            await ask("\udcff")
        assert refusal.value.field == "gallery"


async def test_items_of_two_galleries_do_not_mix(client: AsyncClient) -> None:
    await client.create_gallery("other")
    assert await client.upsert([Item("same", UNIT[0], "here"), Item("a", UNIT[1], "here")]) == 1
    assert await client.upsert([Item("same", UNIT[2], "there")], gallery="other") == 1
    assert [each.id for each in await client.search(UNIT[0])] == ["same", "a"]
    (found,) = await client.search(UNIT[0], gallery="other")
    assert (found.label, found.similarity) == ("there", 0)
    assert await client.search("same", gallery="other") == []
    assert (await client.classify(UNIT[0], gallery="other")).label == "there"
    assert (await client.classify(UNIT[0], gallery="default")).label == "here"
    (item,) = await client.get(["same"], gallery="other")
    np.testing.assert_array_equal(item.vector, UNIT[2])
    assert await client.delete(["same", "a"], gallery="other") == 1
    assert (await client.info()).num_items == 2
    assert await client.upsert([], gallery="other") == 2, "the generation of that gallery"


async def test_a_gallery_of_another_encoder_is_listed_and_not_used(tmp_path: Path) -> None:
    theirs = "5e" * 32
    FaissGallery.create(tmp_path / "galleries" / "theirs", encoder_digest=theirs, embedding_size=SIZE).close()
    async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        found = {each.name: each for each in await client.list_galleries()}
        assert (found["theirs"].encoder_digest, found["theirs"].description) == (theirs, None)
        for refusal in (
            client.describe_gallery("theirs"),
            client.search(UNIT[0], gallery="theirs"),
            client.upsert([Item("a", UNIT[0])], gallery="theirs"),
            client.drop_gallery("theirs"),
        ):
            with pytest.raises(EncoderMismatchError, match="cannot be compared"):
                await refusal
        with pytest.raises(GalleryExistsError):
            await client.create_gallery("theirs")


async def test_galleries_are_still_there_after_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
            if number == 0:
                await client.create_gallery("kept", "exact")
                await client.upsert([Item("a", UNIT[0])], gallery="kept")
            kept = await client.describe_gallery("kept")
            assert (kept.num_items, kept.index_kind) == (1, "exact")


async def test_forty_writes_wait_together_and_do_not_delay_a_search(
    server: Server, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.upsert([Item("a", UNIT[0])])
    gallery = server.deployment.galleries[DEFAULT_GALLERY]
    disk = threading.Event()
    commits = []
    transaction = gallery._writer._transaction

    @contextmanager
    def once_there_is_a_disk() -> Iterator[object]:
        assert disk.wait(HANG_S)
        with transaction() as change:
            yield change
        commits.append(change)

    came = []
    enqueue = gallery._writer._enqueue

    def count_and_enqueue(*given: object) -> object:
        future = enqueue(*given)
        came.append(given)
        return future

    monkeypatch.setattr(gallery._writer, "_transaction", once_there_is_a_disk)
    monkeypatch.setattr(gallery._writer, "_enqueue", count_and_enqueue)
    many = [Item(f"many{number}", UNIT[1]) for number in range(20)]  # this many go through a thread
    writes = [asyncio.create_task(client.upsert([Item(f"w{number}", UNIT[1])])) for number in range(38)]
    writes += [asyncio.create_task(client.upsert(many)), asyncio.create_task(client.delete(["a"]))]
    await until(lambda: len(came) == len(writes))
    assert [each.id for each in await client.search(UNIT[0])] == ["a"]
    disk.set()
    await asyncio.gather(*writes)
    assert (await client.info()).num_items == 58
    # The first commit has the first write; the others waited for it and share one.
    assert len(commits) <= 2, "writes that wait together are committed together"


# --- filter ---

KEYS = st.sampled_from(["", "camera", "subject", "tags", "seen"])
VALUES = st.sampled_from(["wave", "sit", "1", "x", 1.0, 2.0, 3.5, True, False])
BOUNDS = st.dictionaries(st.sampled_from(["above", "at_least", "below", "at_most"]), st.floats(-9, 9), min_size=1)
# Keys with values or bounds for each part of a filter. The test itself makes the filter, where types are checked.
CONDITIONS = st.lists(st.tuples(KEYS, st.lists(VALUES, min_size=1, max_size=3) | BOUNDS), max_size=2)


@given(parts=st.fixed_dictionaries({"must": CONDITIONS, "any_of": CONDITIONS, "must_not": CONDITIONS}))
def test_a_filter_means_the_same_after_the_wire(parts: dict[str, list[tuple[str, object]]]) -> None:
    where = Filter(
        **{
            name: tuple(Range(key, **says) if isinstance(says, dict) else AnyOf(key, tuple(says)) for key, says in part)
            for name, part in parts.items()
        }
    )
    sent = gallery_pb2.Filter.FromString(write_filter(where).SerializeToString())
    read = read_filter(sent) or Filter()  # None if it has no condition
    assert repr(read) == repr(where), "as text, in which 1.0 and True differ"


def items_of_every_kind() -> list[Item]:
    labels = ["wave", "sit", ""]
    attributes = [
        {"camera": 1.0, "subject": "1", "seen": True},
        {"camera": 2, "subject": "x", "tags": ["wave", "1"]},
        {"camera": True, "tags": []},
        {"subject": 3.5, "seen": 1.0},
        {},
    ]
    return [
        Item(f"{label}/{number}", UNIT[number], label, facts)
        for label, (number, facts) in itertools.product(labels, enumerate(attributes))
    ]


WHERES = [
    Filter(must=(AnyOf("", ("wave", "sit")),)),
    Filter(must=(AnyOf("camera", (1.0,)),)),
    Filter(must=(AnyOf("camera", (True,)),)),
    Filter(must=(AnyOf("tags", ("1",)), AnyOf("", ("sit", "")))),
    Filter(must=(Range("camera", at_least=1, below=2),)),
    Filter(must=(Range("subject", above=1),)),
    Filter(any_of=(AnyOf("seen", (True,)), AnyOf("subject", ("x",)))),
    Filter(must_not=(AnyOf("", ("wave",)), Range("camera", at_most=1))),
    Filter(must=(AnyOf("", ("nobody",)),)),
    Filter(),
]


async def test_searches_and_votes_find_exactly_the_items_that_pass_their_filter(client: AsyncClient) -> None:
    items = items_of_every_kind()
    await client.upsert(items)
    for where in WHERES:
        passing = {item.id for item in items if where.passes(item.label, item.attributes)}
        found = await client.search(UNIT[0], 99, where=where)
        assert {each.id for each in found} == passing, where
        voted = await client.classify(UNIT[0], num_neighbours=99, where=where)
        assert {each.id for each in voted.neighbours} == {id for id in passing if not id.startswith("/")}, where


async def test_conditions_as_text_hold_beside_those_of_fields(client: AsyncClient, stub: Stub) -> None:
    items = items_of_every_kind()
    await client.upsert(items)
    where = Filter(
        must=(AnyOf("", ("wave", "sit")), AnyOf("camera", (2.0, "2"))), must_not=(AnyOf("tags", ("nothing",)),)
    )
    passing = {item.id for item in items if where.passes(item.label, item.attributes)}

    for sent in (
        gallery_pb2.Filter(where=["label=wave,sit", "camera=2", "tags!=nothing"]),
        gallery_pb2.Filter(where=["camera=2", "tags!=nothing"], must=write_filter(Filter(where.must[:1])).must),
    ):
        request = gallery_pb2.SearchRequest(queries=[BY_FIRST], top_k=99, filter=sent)
        found = (await stub.Search(request)).results[0].neighbours
        assert {each.id for each in found} == passing == {"wave/1", "sit/1"}
        vote = gallery_pb2.ClassifyRequest(queries=[BY_FIRST], num_neighbours=99, filter=sent)
        assert {each.id for each in (await stub.Classify(vote)).results[0].neighbours} == passing


def one(condition: gallery_pb2.Condition) -> gallery_pb2.Filter:
    return gallery_pb2.Filter(must_not=[any_of("x", 1), condition])


def any_of(key: str, *values: object) -> gallery_pb2.Condition:
    return gallery_pb2.Condition(key=key, any_of={"values": [{"number_value": value} for value in values]})


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        (gallery_pb2.Filter(any_of=[any_of("x", 1)] * (MAX_CONDITIONS + 1)), "filter", "has 65 conditions"),
        (one(any_of("x", *range(MAX_VALUES + 1))), "filter.must_not[1]", "lists 257 values"),
        (one(gallery_pb2.Condition(key="x")), "filter.must_not[1]", "set one of any_of and range"),
        (one(any_of("x", float("nan"))), "filter.must_not[1]", "finite number"),
        (one(any_of("x", float("inf"))), "filter.must_not[1]", "finite number"),
        (one(gallery_pb2.Condition(any_of={"values": [Value()]})), "filter.must_not[1]", "neither a text"),
        (
            one(gallery_pb2.Condition(any_of={"values": [Value(list_value=ListValue())]})),
            "filter.must_not[1]",
            "neither a text",
        ),
        (one(any_of("x")), "filter", "has no values; list one"),
        (one(gallery_pb2.Condition(key="x", range={})), "filter", "has no bound"),
        (one(gallery_pb2.Condition(key="x", range={"above": float("nan")})), "filter", "NaN"),
        (gallery_pb2.Filter(where=["label=a", "camera"]), "filter.where[1]", "'camera' has no operator"),
        (gallery_pb2.Filter(where=["x=" + ",".join("abc" for _ in range(257))]), "filter.where[0]", "lists 257 values"),
        (gallery_pb2.Filter(where=["x=1"] * (MAX_CONDITIONS + 1)), "filter", "has 65 conditions"),
        (gallery_pb2.Filter(where=["x=" + "y" * 2**14]), "filter.where", "have 16386 letters"),
    ],
)
async def test_a_filter_that_cannot_be_used_is_refused_and_its_place_named(
    stub: Stub, sent: gallery_pb2.Filter, field: str, said: str
) -> None:
    for asked in (
        stub.Search(gallery_pb2.SearchRequest(queries=[BY_FIRST], filter=sent)),
        stub.Classify(gallery_pb2.ClassifyRequest(queries=[BY_FIRST], filter=sent)),
    ):
        message, found = await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert (found, said in message) == (field, True), message


# --- effort ---


async def test_effort_reaches_the_gallery(server: Server, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.upsert([Item("a", UNIT[0], "wave")])
    gallery = server.deployment.galleries[DEFAULT_GALLERY]
    seen: list[Effort] = []
    search = gallery.search

    def note(*queries: np.ndarray, effort: Effort, **given: object) -> object:
        seen.append(effort)
        return search(*queries, effort=effort, **given)

    monkeypatch.setattr(gallery, "search", note)
    hard = Effort(exact=True, ef_search=4096, nprobe=65_536)
    await client.search(UNIT[0], effort=hard)
    await client.classify(UNIT[0], effort=Effort(nprobe=1))
    await client.search(UNIT[0])
    assert seen == [hard, Effort(nprobe=1), Effort()]


@pytest.mark.parametrize(
    ("name", "value"), [("ef_search", 0), ("ef_search", 4097), ("nprobe", 0), ("nprobe", 65_537), ("nprobe", -1)]
)
async def test_client_and_server_refuse_an_effort_out_of_range(
    client: AsyncClient, stub: Stub, name: str, value: int
) -> None:
    with pytest.raises(
        InvalidRequestError, match=rf"^effort\.{name}: it is {value}; it must lie between 1 and"
    ) as refusal:
        await client.search(UNIT[0], effort=Effort(**{name: value}))
    assert refusal.value.field == f"effort.{name}"
    if value >= 0:
        asked = stub.Search(gallery_pb2.SearchRequest(queries=[BY_FIRST], effort={name: value}))
        assert (await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == f"effort.{name}"


# --- source ---


async def test_a_source_comes_back_unchanged(client: AsyncClient) -> None:
    sources = [Source("a/b é", 0.5, 2.25), Source("whole"), None]
    await client.upsert(
        [
            Item("v", embedding_of(walk(1)), "wave", source=sources[0]),
            ClipItem("c", walk(2), "sit", source=sources[1]),
            ClipItem("n", walk(3)),
        ]
    )
    assert [item.source for item in await client.get(["v", "c", "n"])] == sources
    assert {each.id: each.source for each in await client.search(walk(1))} == dict(zip("vcn", sources, strict=True))
    assert {voter.source for voter in (await client.classify(walk(1))).neighbours} == {*sources[:2]}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(""), "has 0 characters"),
        (Source("x" * 257), "has 257 characters"),
        (Source("x", -1, 1), "starts at -1 s"),
        (Source("x", 2, 1), "starts at 2 s and ends at 1 s"),
        (Source("x", 0, float("inf")), "ends at inf s"),
        (Source("x", float("nan"), 1), "starts at nan s"),
        (Source("x", 0, float("nan")), "ends at nan s"),
        (Source("\udcff"), "cannot be sent"),
    ],
)
async def test_an_impossible_source_is_refused_and_its_item_named(
    client: AsyncClient, source: Source, said: str
) -> None:
    with pytest.raises(InvalidRequestError, match=said) as refusal:
        await client.upsert([Item("a", UNIT[0]), Item("b", UNIT[1], source=source)])
    assert refusal.value.field == "items[1]"
    assert (await client.info()).num_items == 0


# --- streams and the Open Inference Protocol ---


async def test_a_stream_searches_the_gallery_of_its_settings(client: AsyncClient) -> None:
    await client.create_gallery("other")
    frames = FRAMES[:8]
    await client.upsert([ClipItem("here", frames, "a")])
    marked = ClipItem("marked", frames, "b", {"mark": 1})
    await client.upsert([marked, ClipItem("plain", frames, "c")], gallery="other")

    async def windows(**where: object) -> list[StreamedWindow]:
        async def given() -> AsyncIterator[np.ndarray]:
            yield frames

        settings = StreamSettings(window_frames=8, stride_frames=8, top_k=5, num_neighbours=5, lossless=True, **where)
        return [window async for window in client.stream(given(), settings)]

    for asked, ids in (
        ({}, ["here"]),
        ({"gallery": "other"}, ["marked", "plain"]),
        ({"gallery": "other", "where": Filter(must=(Range("mark", at_least=1),))}, ["marked"]),
    ):
        (window,) = await windows(**asked)
        assert sorted(each.id for each in window.neighbours) == ids
        assert sorted(voter.id for voter in window.classification.neighbours) == ids


async def test_neighbours_and_votes_of_a_stream_may_come_from_different_galleries(
    server: Server, client: AsyncClient
) -> None:
    await client.create_gallery("other")
    await client.upsert([ClipItem("one", FRAMES[:8], "a", {"x": 1}), ClipItem("true", FRAMES[:8], "b", {"x": True})])
    await client.upsert([ClipItem("two", FRAMES[:8], "c")], gallery="other")
    one, true = (write_filter(Filter(must=(AnyOf("x", (value,)),))) for value in (1.0, True))
    for search, classify, found in (
        ({}, {"gallery": "other"}, (["one", "true"], ["two"])),
        ({"gallery": "other"}, {}, (["two"], ["one", "true"])),
        ({"filter": one}, {"filter": true}, (["one"], ["true"])),
        ({"filter": true}, {"filter": true}, (["true"], ["true"])),
    ):
        config = opening(
            window_frames=8,
            lossless=True,
            search=gallery_pb2.SearchRequest(**search),
            classify=gallery_pb2.ClassifyRequest(**classify),
        )
        (reply,) = await replies_to(server, config, bring(FRAMES[:8]))
        voters = reply.classification.neighbours
        assert tuple(sorted(each.id for each in side) for side in (reply.neighbours, voters)) == found


async def test_a_stream_with_bad_search_settings_is_refused(server: Server) -> None:
    bad = gallery_pb2.Filter(must=[gallery_pb2.Condition(key="x")])
    for settings, said in (
        ({"search": gallery_pb2.SearchRequest(gallery="none")}, "search.gallery: there is no gallery 'none'"),
        ({"classify": gallery_pb2.ClassifyRequest(gallery="none")}, "classify.gallery: there is no gallery 'none'"),
        ({"search": gallery_pb2.SearchRequest(filter=bad)}, "search.filter.must[0]: "),
        ({"classify": gallery_pb2.ClassifyRequest(filter=bad)}, "classify.filter.must[0]: "),
        ({"search": gallery_pb2.SearchRequest(effort={"nprobe": 0})}, "search.effort.nprobe: "),
    ):
        with pytest.raises(grpc.RpcError) as refusal:
            await replies_to(server, opening(**settings))
        assert refusal.value.details().startswith(said)


async def test_a_stream_ends_when_its_gallery_is_dropped(server: Server, client: AsyncClient) -> None:
    await client.create_gallery("brief")
    async with channel_to(server) as channel:
        call = channel.stream_stream(
            "/gfp_serve.v1.StreamService/EmbedStream",
            request_serializer=stream_pb2.EmbedStreamRequest.SerializeToString,
            response_deserializer=stream_pb2.EmbedStreamResponse.FromString,
        )(timeout=20)
        search = gallery_pb2.SearchRequest(gallery="brief")
        await call.write(opening(window_frames=8, stride_frames=8, lossless=True, search=search))
        await call.write(bring(FRAMES[:8]))
        assert not (await call.read()).neighbours
        await client.drop_gallery("brief")
        await call.write(bring(FRAMES[:8]))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() is CODE.NOT_FOUND


async def test_a_parameter_of_the_open_inference_protocol_chooses_the_gallery(
    server: Server, client: AsyncClient
) -> None:
    await client.create_gallery("other")
    await client.upsert([Item("here", UNIT[0])])
    await client.upsert([Item("there", UNIT[0])], gallery="other")
    async with channel_to(server) as channel:
        infer = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        asked = inference_request("gfp-knn", embedding=UNIT[:1])
        assert outputs_of(await infer(asked))["ids"].tolist() == [["here"]]
        asked.parameters["gallery"].string_param = "other"
        assert outputs_of(await infer(asked))["ids"].tolist() == [["there"]]
        asked.parameters["gallery"].string_param = "none"
        assert (await refused(infer(asked), CODE.NOT_FOUND, "GALLERY_NOT_FOUND"))[1] == "gallery"
        asked.parameters["gallery"].int64_param = 1
        message, field = await refused(infer(asked), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert (field, "it must be a text" in message) == ("gallery", True)
