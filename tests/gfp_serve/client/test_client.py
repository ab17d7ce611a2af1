"""Both clients against a real server. `ask` runs a method of either client, so each test covers both."""

import asyncio
import dataclasses
import inspect
import itertools
import re
from collections import Counter

import grpc
import numpy as np
import pytest

from gfp_serve.client import AsyncClient, Client, ClipItem, StreamSettings
from gfp_serve.client.connection import channel_options
from gfp_serve.config import Limits
from gfp_serve.errors import (
    EmptyGalleryError,
    EncoderMismatchError,
    InvalidRequestError,
    InvalidSkeletonError,
    ItemNotFoundError,
    OutOfTimeError,
    OverloadedError,
    ServerError,
    UnavailableError,
    UnknownLayoutError,
)
from gfp_serve.items import Item
from gfp_serve.layouts import KINECT20
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from gfp_serve.wire.status import to_error
from tests.support.servers import GatedEncoder, calls_in, running, running_in_thread, small_config
from tests.support.tiny_bundle import SIZE, embedding_of, tiny_bundle, walk


@pytest.fixture
def address(tmp_path):
    # Three sequences in a request, so lists are split.
    with running_in_thread(tmp_path, small_config(max_sequences=3, max_message_bytes=2**17, max_top_k=20)) as address:
        yield address


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request, address):
    if request.param == "blocking":
        with Client(address) as client:
            yield lambda method, *args, **given: getattr(client, method)(*args, **given)
    else:
        with asyncio.Runner() as runner:

            async def connect():
                return AsyncClient(address)

            client = runner.run(connect())

            async def call(method, args, given):
                return await getattr(client, method)(*args, **given)

            yield lambda method, *args, **given: runner.run(call(method, args, given))
            runner.run(client.close())


def test_the_docstring_of_every_public_method_is_the_same_in_both_clients():
    for name, method in vars(Client).items():
        if not name.startswith("_") and name != "stream":  # its frames are awaited in one of the two
            assert inspect.getdoc(method)
            assert inspect.getdoc(method) == inspect.getdoc(getattr(AsyncClient, name)), name
    for name in ("search", "classify", "stream", "upsert", "embed"):
        for client in (Client, AsyncClient):
            assert "Raises" in inspect.getdoc(getattr(client, name)), name


def test_the_asyncio_client_has_the_methods_and_arguments_of_the_blocking_one():
    public = [name for name in vars(Client) if not name.startswith("_")]
    assert Counter(public) == Counter(name for name in vars(AsyncClient) if not name.startswith("_"))
    for name in set(public) - {"stream"}:  # its frames are awaited in one of the two
        assert inspect.signature(getattr(Client, name)) == inspect.signature(getattr(AsyncClient, name)), name


FRAMES = np.concatenate([walk(seed) for seed in range(5)])
SETTINGS = StreamSettings(window_frames=8, stride_frames=4, top_k=1, num_neighbours=1, lossless=True)


@pytest.fixture(params=["blocking", "asyncio"])
def stream(request, address):
    """A function that returns the windows that a client makes of pieces of frames, for each client."""

    def blocking(pieces, settings):
        with Client(address) as client:
            return list(client.stream(pieces, settings))

    def asynchronous(pieces, settings):
        async def given():
            for piece in pieces:
                yield piece

        async def collect():
            async with AsyncClient(address) as client:
                return [window async for window in client.stream(given(), settings)]

        return asyncio.run(collect())

    return blocking if request.param == "blocking" else asynchronous


def test_a_stream_gives_windows_with_everything_requested(stream, address):
    with Client(address) as client:
        client.upsert([ClipItem("near", FRAMES[4:12], "walk")])
    windows = stream([FRAMES[:5], FRAMES[5:6], FRAMES[6:]], SETTINGS)
    assert [window.first_frame for window in windows] == list(range(0, len(FRAMES) - 7, 4))
    np.testing.assert_allclose(windows[1].embedding, embedding_of(FRAMES[4:12]), atol=1e-5)
    assert windows[1].neighbours[0].id == "near"
    assert windows[1].neighbours[0].similarity == pytest.approx(1, abs=1e-5)
    assert windows[1].classification.label == "walk"
    assert (windows[1].start_s, windows[1].problem, windows[1].num_dropped) == (4 / 30, "", 0)


def test_votes_in_a_stream_are_counted_as_requested(stream, address):
    with Client(address) as client:
        near = [ClipItem(name, FRAMES[:8], name[:4]) for name in ("walk1", "walk2", "sit 1")]
        client.upsert([*near, *(ClipItem(f"far{at}", -FRAMES[at : at + 8], "walk") for at in range(4))])
    how = {"num_neighbours": 3, "weighting": "uniform", "temperature": 1, "unknown_below": 0.5}
    for balanced, expected in ((False, {"walk": 2 / 3, "sit ": 1 / 3}), (True, {"walk": 1 / 4, "sit ": 3 / 4})):
        settings = dataclasses.replace(SETTINGS, **how, balanced=balanced)
        classification = stream([FRAMES[:8]], settings)[0].classification
        assert {each.label: each.score for each in classification.scores} == pytest.approx(expected)
    (alike,) = stream([FRAMES[:8]], dataclasses.replace(SETTINGS, num_neighbours=7, temperature=1e6))
    assert {each.label: each.score for each in alike.classification.scores} == pytest.approx(
        {"walk": 6 / 7, "sit ": 1 / 7}, abs=1e-3
    )


def test_frames_that_cannot_be_used_or_read_end_a_stream_with_their_own_error(stream):
    with pytest.raises(InvalidSkeletonError, match=r"25 joints|shape"):
        stream([FRAMES[:, :, :20]], SETTINGS)
    with pytest.raises(InvalidSkeletonError, match=r"hold 2 bodies, those before held 1"):
        stream([FRAMES, np.repeat(FRAMES, 2, axis=1)], SETTINGS)
    with pytest.raises(InvalidRequestError, match="both must be at least 1"):
        stream([FRAMES], dataclasses.replace(SETTINGS, stride_frames=0))

    def camera():
        yield FRAMES
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        stream(camera(), SETTINGS)


def test_leaving_a_stream_early_ends_it(address):
    with Client(address) as client:
        windows = client.stream(itertools.repeat(FRAMES), SETTINGS)
        assert next(windows).first_frame == 0
        windows.close()
        assert client.embed(walk(1)).shape == (SIZE,)


def test_one_array_gives_one_vector_and_a_list_gives_rows_in_order(ask):
    np.testing.assert_allclose(ask("embed", walk(1)), embedding_of(walk(1)), atol=1e-5)
    clips = [walk(seed, frames=4 + seed) for seed in range(8)]
    vectors = ask("embed", clips)
    assert vectors.shape == (8, SIZE)
    np.testing.assert_allclose(vectors, [embedding_of(clip) for clip in clips], atol=1e-5)


def test_an_empty_list_of_sequences_gives_no_rows(ask):
    assert ask("embed", []).shape == (0, SIZE)


def test_a_body_axis_may_be_left_out_and_the_layout_is_a_name(ask):
    clip = walk(1, layout=KINECT20)
    np.testing.assert_allclose(ask("embed", clip[:, 0], layout="kinect20"), embedding_of(clip, KINECT20), atol=1e-5)


def test_items_are_stored_found_used_in_votes_and_removed(ask):
    items = [ClipItem(f"i{seed}", walk(seed), "wave" if seed < 4 else "sit", {"seed": seed}) for seed in range(6)]
    by_vector = Item("v", embedding_of(walk(9)), "bow")
    assert ask("upsert", [*items, by_vector]) == 3  # seven items, three a request
    assert ask("info").num_items == 7
    (item,) = ask("get", ["i2"])
    assert (item.label, item.attributes) == ("wave", {"seed": 2})
    np.testing.assert_allclose(item.vector, embedding_of(walk(2)), atol=1e-5)

    found = ask("search", walk(2), top_k=3)
    assert (found[0].id, found[0].label, len(found)) == ("i2", "wave", 3)
    many = ask("search", [walk(5), embedding_of(walk(9)), "i2", walk(0)], top_k=1)
    assert [neighbours[0].id for neighbours in many[:2]] == ["i5", "v"]
    assert many[2][0].id != "i2"
    assert many[3][0].id == "i0"

    vote = ask("classify", walk(5), num_neighbours=1)
    assert (vote.label, [(each.label, each.score) for each in vote.scores]) == ("sit", [("sit", 1.0)])
    assert [voter.id for voter in vote.neighbours] == ["i5"]
    assert ask("classify", [-embedding_of(walk(9))], unknown_below=0.9999)[0].label is None
    uniform = ask("classify", walk(5), num_neighbours=7, weighting="uniform")
    assert {each.label: round(7 * each.score) for each in uniform.scores} == {"wave": 4, "sit": 2, "bow": 1}

    assert ask("delete", [*(f"i{seed}" for seed in range(6)), "nobody"]) == 6
    assert ask("info").num_items == 1


def test_info_and_health_describe_the_server(ask):
    info = ask("info")
    assert (info.encoder_name, info.embedding_size, info.device) == ("tiny", SIZE, "cpu")
    assert info.encoder_digest == tiny_bundle().manifest.encoder_digest
    assert (info.limits.max_sequences, info.limits.max_top_k) == (3, 20)
    assert ask("health") is True


@pytest.mark.parametrize(
    ("method", "arguments", "error", "words"),
    [
        ("embed", (walk(1) * 100,), InvalidSkeletonError, r"sequences\[0\]: the trunk"),
        ("embed", (walk(1)[..., :1],), InvalidSkeletonError, r"frames × bodies × 25 × 3"),
        ("embed", (walk(1), "kinect7"), UnknownLayoutError, "choose one of"),
        ("search", (walk(1),), EmptyGalleryError, "empty"),
        ("search", ("nobody",), ItemNotFoundError, "nobody"),
        ("search", (walk(1), 0), InvalidRequestError, "^top_k: it is 0; it must be at least 1"),
        ("search", (walk(1), 2**31), InvalidRequestError, r"below 2\^31"),
        ("search", (walk(1), 21), InvalidRequestError, "1 to 20"),
        ("search", (np.ones(3),), InvalidRequestError, "size 8"),
        ("get", (["nobody"],), ItemNotFoundError, "nobody"),
        ("delete", ("nobody",), InvalidRequestError, "list of ids"),
        ("upsert", ([ClipItem("", walk(1))],), InvalidRequestError, "1 to 256"),
    ],
)
def test_a_mistake_is_the_same_error_class_as_on_the_server(ask, method, arguments, error, words):
    with pytest.raises(error, match=words):
        ask(method, *arguments)


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("get", ["a", "\udcff"]),
        ("delete", ["\udcff"]),
        ("search", "\udcff"),
        ("upsert", [Item("\udcff", embedding_of(walk(1)))]),
        ("upsert", [Item("a", embedding_of(walk(1)), "\udcff")]),
        ("upsert", [Item("a", embedding_of(walk(1)), "b", {"\udcff": "c"})]),
        ("upsert", [Item("a", embedding_of(walk(1)), "b", {"c": "\udcff"})]),
    ],
)
def test_text_that_is_not_utf_8_is_an_invalid_request(ask, method, argument):
    with pytest.raises(InvalidRequestError, match=r"\\udcff"):
        ask(method, argument)


def test_an_error_says_which_field_of_the_request_it_is_about(ask):
    with pytest.raises(InvalidRequestError) as caught:
        ask("search", walk(1), top_k=21)
    assert caught.value.field == "top_k"
    with pytest.raises(InvalidSkeletonError) as caught:
        ask("embed", [*map(walk, range(4)), np.ones_like(walk(1))])
    assert caught.value.field == "sequences[4]"


def test_an_error_in_a_later_request_is_counted_from_the_start_of_the_list(ask):
    clips = [walk(seed) for seed in range(8)]
    clips[7] = clips[7] * np.float32(np.nan)
    with pytest.raises(InvalidSkeletonError, match=r"^sequences\[7\]: nobody is seen") as caught:
        ask("embed", clips)
    assert (caught.value.field, caught.value.index) == ("sequences[7]", 7)
    assert caught.value.message.startswith("nobody is seen")


def test_a_bad_item_is_named_by_its_index_even_if_others_have_its_id(ask):
    items = [ClipItem("a", walk(1)), ClipItem("a", walk(2)), ClipItem("x" * 300, walk(3))]
    with pytest.raises(InvalidRequestError, match=r"^items\[2\]: the item id .* has 300 characters") as caught:
        ask("upsert", items)
    assert caught.value.field == "items[2]"


def test_lists_are_also_split_by_bytes_and_a_sequence_that_is_too_large_is_named(ask):
    clips = [walk(seed, frames=200) for seed in range(3)]  # 60 kB each, where a message may have 131
    assert ask("embed", clips).shape == (3, SIZE)
    with pytest.raises(InvalidRequestError, match=r"^sequences\[1\]: it has \d+ bytes"):
        ask("embed", [clips[0], walk(1, frames=2000)])


@pytest.mark.parametrize("method", ["info", "health"])
def test_a_missing_server_is_named_with_its_address(method):
    with (
        Client("127.0.0.1:1") as client,
        pytest.raises(UnavailableError, match=r"no server listens at 127\.0\.0\.1:1; is gfp-serve running"),
    ):
        getattr(client, method)()


def test_a_server_that_was_away_is_asked_again_within_two_seconds():
    options = dict(channel_options(None))
    # gRPC lengthens and shortens its pauses by up to a fifth, so that clients do not all come at once.
    assert options["grpc.initial_reconnect_backoff_ms"] <= options["grpc.max_reconnect_backoff_ms"] <= 2000 / 1.2


def test_a_refused_stream_is_the_servers_want_of_room():
    class Refused(grpc.RpcError):
        def code(self):
            return grpc.StatusCode.UNAVAILABLE

        def details(self):
            return "Received RST_STREAM with error code 7"

        def trailing_metadata(self):
            return ()

    error = to_error(Refused(), "somewhere:1")
    assert isinstance(error, OverloadedError)
    assert error.retry_after_s > 0


@pytest.mark.parametrize("client_type", [Client, AsyncClient])
@pytest.mark.parametrize("timeout_s", [float("nan"), float("inf"), 0.0, -1.0, 1e9])
def test_a_timeout_that_cannot_be_kept_is_refused_at_once(client_type, timeout_s):
    with pytest.raises(InvalidRequestError, match=f"timeout_s is {re.escape(str(timeout_s))}; it must be above 0"):
        client_type("127.0.0.1:1", timeout_s)


@pytest.mark.parametrize("client_type", [Client, AsyncClient])
@pytest.mark.parametrize("address", ["", " "])
def test_an_empty_address_is_refused_at_once(client_type, address):
    with pytest.raises(InvalidRequestError, match="address is empty"):
        client_type(address)


def test_text_that_is_not_an_address_is_refused():
    with (
        Client("dns:///") as client,
        pytest.raises(InvalidRequestError, match="'dns:///' is not the address of a server; give HOST:PORT"),
    ):
        client.info()


async def test_a_slow_answer_and_a_full_server_are_different_errors(tmp_path):
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, small_config(max_sequences=1), encoder) as server:
        address = f"127.0.0.1:{server.port}"
        async with AsyncClient(address) as patient, AsyncClient(address, timeout_s=0.1) as hasty:
            await patient.info()
            encoder.shut()
            # Either side may notice first; both say what to do.
            with pytest.raises(OutOfTimeError, match="give it more time"):
                await hasty.embed(walk(1))
            await calls_in(server, 0)
            waiting = asyncio.create_task(patient.embed(walk(1, bodies=2)))
            await calls_in(server, 1)
            with pytest.raises(OverloadedError) as refused:
                await patient.embed(walk(2))
            assert refused.value.retry_after_s > 0
            encoder.gate.set()
            assert (await waiting).shape == (SIZE,)


def test_a_client_does_not_mix_the_vectors_of_two_encoders(address):
    with Client(address) as client:
        # As if the server had run another encoder at the client's first call.
        client._conversation._met = dataclasses.replace(client.info(), encoder_digest="0" * 64)
        with pytest.raises(EncoderMismatchError):
            client.embed(walk(1))


def test_another_kind_of_server_is_recognised():
    class Foreign(grpc.RpcError):
        def code(self):
            return grpc.StatusCode.UNIMPLEMENTED

        def details(self):
            return "Method not found!"

        def trailing_metadata(self):
            return ()

    error = to_error(Foreign(), "somewhere:1")
    assert isinstance(error, ServerError)
    assert "is it gfp-serve" in str(error)


async def test_a_call_that_a_stopping_server_cancels_or_does_not_take_is_repeated():
    codes = [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED]

    class Dying(embedding_pb2_grpc.EmbeddingServiceServicer):
        async def GetInfo(self, request, context):  # noqa: N802
            if codes:
                await context.abort(codes.pop())
            limits = embedding_pb2.Limits(**dataclasses.asdict(Limits()))
            return embedding_pb2.GetInfoResponse(server_version="9", limits=limits)

    server = grpc.aio.server()
    embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(Dying(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        async with AsyncClient(address) as client:
            assert (await client.info()).server_version == "9"
            assert codes == []
            codes += [grpc.StatusCode.CANCELLED] * 9
            with pytest.raises(UnavailableError, match="does not answer"):
                await client.info()
    finally:
        await server.stop(None)
