"""A request takes little more memory than its bytes, and none after its answer."""

import gc
import threading
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.batching.turns import Work
from gfp_serve.errors import GfpError, InvalidRequestError
from gfp_serve.layouts import NTU25
from gfp_serve.service import guard
from gfp_serve.service import message_size as weight
from gfp_serve.service.message_size import MAX_VALUES, check_num_values, checking_num_values
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, gallery_pb2
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.wire.arrays import write_sequence
from tests.support.any_requests import RPCS, messages
from tests.support.frame_streams import FRAMES, bring, opening
from tests.support.servers import channel_to, running, until

EMBED, UPSERT = "/gfp_serve.v1.EmbeddingService/Embed", "/gfp_serve.v1.GalleryService/Upsert"
STREAM, INFER = "/gfp_serve.v1.StreamService/EmbedStream", "/inference.GRPCInferenceService/ModelInfer"

MIB = 2**20
REQUESTS = sorted({method.input_type.full_name: method.input_type for method in RPCS.values()}.items())


async def refused(channel: grpc.aio.Channel, name: str, *contents: bytes) -> str:
    """Return the error of a call that must be refused as an invalid argument."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [reply async for reply in channel.stream_stream(name)(iter(contents), timeout=60)]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return caught.value.details()


LARGE = embedding_pb2.EmbedRequest(sequences=[embedding_pb2.Sequence(positions=bytes(8 * MIB))]).SerializeToString()


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        (EMBED, [LARGE]),
        (EMBED, [LARGE + b"\xff"]),
        (UPSERT, [gallery_pb2.UpsertRequest(items=[gallery_pb2.Item(id="x" * 8 * MIB)]).SerializeToString()]),
        (INFER, [oip.ModelInferRequest(model_name="gfp-knn", raw_input_contents=[bytes(8 * MIB)]).SerializeToString()]),
        (STREAM, [opening().SerializeToString(), bring(np.full((20_000, 1, 25, 3), np.inf)).SerializeToString()]),
        (STREAM, [opening().SerializeToString(), bring(FRAMES).SerializeToString() + LARGE + b"\xff"]),
    ],
    ids=["no layout", "cut off", "long id", "no inputs", "infinite frames", "no message of a stream"],
)
async def test_a_refused_request_is_freed_when_it_is_answered(tmp_path: Path, name: str, contents: list[bytes]) -> None:
    """The garbage collector is off: it runs by the number of objects, not by their size, so it may run too late."""
    async with running(tmp_path) as server, channel_to(server) as channel:
        for _ in range(8):  # Memory that is freed stays with the allocator; here it gets what it will use again.
            await refused(channel, name, *contents)
        gc.collect()
        gc.disable()
        try:
            before = psutil.Process().memory_info().rss
            for _ in range(32):
                await refused(channel, name, *contents)
            # The last calls may end after their answers. `type`, not isinstance: some objects of other packages warn
            # when they are asked for their class.
            await until(lambda: not any(issubclass(type(each), GfpError) for each in gc.get_objects()))
            # Requests that are kept hold at least 32 times 6 MB, and stay. The allocator keeps less, and gives it back.
            await until(lambda: psutil.Process().memory_info().rss - before < 128 * MIB)
        finally:
            gc.enable()


EMPTY = b"\x0a\x00"  # field 1, an empty message or text
LIST_OF_EMPTY = gallery_pb2.Item(id="a")
LIST_OF_EMPTY.attributes["k"] = []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (EMBED, EMPTY * MAX_VALUES * 2),
        ("/gfp_serve.v1.GalleryService/Delete", EMPTY * MAX_VALUES * 2),
        ("/gfp_serve.v1.EmbeddingService/GetInfo", b"\x78\x01" * MAX_VALUES * 2),
        ("/inference.GRPCInferenceService/ServerLive", EMPTY * MAX_VALUES * 2),
        ("/grpc.health.v1.Health/Check", EMPTY * MAX_VALUES * 2),
        (INFER, oip.ModelInferRequest(inputs=[{"shape": [1] * (MAX_VALUES + 1)}]).SerializeToString()),
        (INFER, oip.ModelInferRequest(inputs=[{"contents": {"bool_contents": [1] * MAX_VALUES}}]).SerializeToString()),
    ],
)
async def test_a_message_with_too_many_values_is_refused_before_it_is_parsed(
    tmp_path: Path, name: str, content: bytes
) -> None:
    async with running(tmp_path) as server, channel_to(server) as channel:
        assert f"more than {MAX_VALUES} values" in await refused(channel, name, content)


FLOATS = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)


def values_in(message: Message) -> int:
    """Count values of fields, nested ones too. An entry of a map counts 3; a list of floats counts 1."""
    count = 0
    for field, held in message.ListFields():
        if field.message_type is None:
            count += len(held) if field.is_repeated and field.type not in FLOATS else 1
        elif field.message_type.GetOptions().map_entry:
            count += 3 * len(held) + sum(values_in(each) for each in held.values() if isinstance(each, Message))
        else:
            count += sum(1 + values_in(each) for each in (held if field.is_repeated else [held]))
    return count


@pytest.mark.parametrize("message_type", [pytest.param(each, id=name) for name, each in REQUESTS])
@given(data=st.data())
def test_no_fewer_values_are_counted_than_parsing_finds(message_type: Descriptor, data: st.DataObject) -> None:
    message = data.draw(messages(message_type))
    content = message.SerializeToString()
    # Packed integers count by their bytes.
    assert values_in(message) <= weight._count(content, message_type) <= len(content)


@given(content=st.binary(max_size=60), limit=st.integers(0, 20))
def test_bytes_that_are_not_refused_never_parse_to_more_values_than_allowed(content: bytes, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weight, "MAX_VALUES", limit)
        for _, message_type in REQUESTS:
            try:
                check_num_values(content, message_type)
            except InvalidRequestError:
                continue
            try:
                message = GetMessageClass(message_type).FromString(content)
            except DecodeError:
                continue
            assert values_in(message) <= limit


@pytest.fixture
def parsing_threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Return the threads in which messages are parsed, as they come."""
    threads: list[threading.Thread] = []

    def noting(*given: object) -> Work:
        threads.append(threading.current_thread())
        yield from checking_num_values(*given)

    monkeypatch.setattr(guard, "checking_num_values", noting)
    return threads


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (EMBED, embedding_pb2.EmbedRequest(sequences=[embedding_pb2.Sequence()] * 80_000)),
        (EMBED, embedding_pb2.EmbedRequest(sequences=[embedding_pb2.Sequence(positions=bytes(MIB))])),
        (STREAM, bring(np.zeros((1000, 1, 25, 3)))),
    ],
    ids=["many parts", "many bytes", "of a stream"],
)
async def test_large_messages_are_parsed_beside_the_event_loop(
    tmp_path: Path, name: str, message: Message, parsing_threads: list[threading.Thread]
) -> None:
    async with running(tmp_path) as server, channel_to(server) as channel:
        await refused(channel, name, message.SerializeToString())
    assert [thread.name.startswith("turns") for thread in parsing_threads] == [True]


async def test_a_clip_is_parsed_at_once_because_a_thread_would_have_to_be_woken(
    tmp_path: Path, parsing_threads: list[threading.Thread]
) -> None:
    clip = write_sequence(np.random.default_rng(0).normal(size=(120, 2, 25, 3)).astype(np.float32), NTU25)
    async with running(tmp_path) as server, channel_to(server) as channel:
        await embedding_pb2_grpc.EmbeddingServiceStub(channel).Embed(embedding_pb2.EmbedRequest(sequences=[clip]))
    assert parsing_threads == [threading.current_thread()]
