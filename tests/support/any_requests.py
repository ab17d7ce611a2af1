"""Requests of every kind for every RPC, made from descriptors: good, nearly good and arbitrary ones, and plain bytes.

A new RPC is covered as soon as its service is served. Add good requests for it to `GOOD`.
"""

import math
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection
from hypothesis import strategies as st

from gfp_serve.filters import AnyOf, Filter, Range
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import FLORENCE15, NTU25
from gfp_serve.server import SERVICES
from gfp_serve.v1 import embedding_pb2, gallery_pb2, snapshot_pb2, stream_pb2, view_pb2
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.wire.arrays import write_embedding, write_sequence
from gfp_serve.wire.items import write_motion, write_struct
from gfp_serve.wire.searches import write_filter
from tests.support.kept_motions import kept_motion
from tests.support.moving_person import curling
from tests.support.tiny_bundle import SIZE, tiny_bundle, walk

LIMITS = {"max_sequences": 4, "max_frames": 12, "max_bodies": 3, "max_top_k": 3, "max_item_bytes": 2000}

RPCS: dict[str, MethodDescriptor] = {
    f"/{service}/{method.name}": method
    for service in (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    for method in descriptor_pool.Default().FindServiceByName(service).methods
}


def _good() -> dict[str, list[Message]]:
    clip, other = walk(1), walk(2, bodies=2, layout=FLORENCE15)
    sequences = [write_sequence(clip, NTU25), write_sequence(other, FLORENCE15)]
    queries = [gallery_pb2.Query(sequence=sequences[0]), gallery_pb2.Query(embedding=_embedding(1.0))]
    items = [
        gallery_pb2.Item(id="a", sequence=sequences[1], label="wave", attributes=write_struct({"x": 1, "y": ["z"]})),
        gallery_pb2.Item(id="b", embedding=_embedding(-1.0), source=gallery_pb2.Source(recording="r", end_s=1.5)),
    ]
    items[0].sequence.fps = 30
    items[1].motion.CopyFrom(write_motion(kept_motion(1, clip_frames=9)))
    where = write_filter(
        Filter(must=(AnyOf("", ("wave", "sit")), Range("x", at_least=1)), must_not=(AnyOf("y", (True,)),))
    )
    effort = gallery_pb2.Effort(ef_search=64, nprobe=8)
    opening = stream_pb2.StreamConfig(
        layout="ntu25",
        num_bodies=1,
        fps=30,
        window_frames=6,
        stride_frames=3,
        search=gallery_pb2.SearchRequest(top_k=2, filter=where, effort=effort),
        classify=gallery_pb2.ClassifyRequest(num_neighbours=1),
    )
    movement = write_sequence(curling(1, fps=3), NTU25)
    movement.fps = 3
    shown = view_pb2.Shown(sequence=movement)
    frames = stream_pb2.Frames(positions=clip.tobytes(), num_frames=len(clip))
    digest = tiny_bundle().manifest.encoder_digest
    infer = [_infer("gfp-encoder", "skeleton", clip[None]), _infer("gfp-knn", "embedding", np.ones((2, SIZE), "<f4"))]
    typed = oip.ModelInferRequest(model_name="gfp-knn")
    typed.inputs.add(name="k", datatype="INT32", shape=[1]).contents.int_contents.append(2)
    typed.inputs.add(name="skeleton", datatype="FP32", shape=[1, 1, 25, 3]).contents.fp32_contents.extend(
        clip[0].reshape(-1)
    )
    typed.parameters["layout"].string_param = "ntu25"
    typed.parameters["gallery"].string_param = "default"
    requests: list[Message] = [
        embedding_pb2.EmbedRequest(sequences=sequences, expected_encoder_digest=digest),
        gallery_pb2.SearchRequest(queries=queries, top_k=2),
        gallery_pb2.SearchRequest(queries=queries, top_k=2, gallery="default", filter=where, effort=effort),
        gallery_pb2.SearchRequest(
            queries=queries, top_k=2, filter=gallery_pb2.Filter(where=['label="wave",sit', "x>0"])
        ),
        gallery_pb2.SearchRequest(queries=queries, top_k=2, merge_windows=True),
        gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id="a")], top_k=1),
        gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id="b")], top_k=1, merge_windows=True),
        gallery_pb2.ClassifyRequest(queries=queries, num_neighbours=3, temperature=0.1, unknown_below=0.5),
        gallery_pb2.ClassifyRequest(queries=queries, num_neighbours=2, filter=where, effort=effort, balanced=True),
        gallery_pb2.UpsertRequest(items=items),
        gallery_pb2.DeleteRequest(ids=["c"]),
        gallery_pb2.GetRequest(ids=["a", "b"], with_embeddings=True),
        gallery_pb2.GetRequest(ids=["a", "b"], with_motions=True),
        gallery_pb2.CreateGalleryRequest(gallery="new", index_kind=gallery_pb2.INDEX_KIND_EXACT),
        gallery_pb2.DescribeGalleryRequest(gallery="default"),
        gallery_pb2.DropGalleryRequest(gallery="old"),
        view_pb2.MapItemsRequest(gallery="default", filter=where),
        view_pb2.ReadFileRequest(content=_file(clip), name="walk.npz", conventions=embedding_pb2.Conventions(up="z")),
        view_pb2.CompareRequest(motion=shown, wanted=shown),
        view_pb2.CompareRequest(motion=shown, wanted=view_pb2.Shown(id="b"), gallery="default"),
        view_pb2.CountRepetitionsRequest(sequence=movement, wanted=shown),
        snapshot_pb2.CreateSnapshotRequest(name="new"),
        snapshot_pb2.ReadSnapshotRequest(gallery="default", name="old", offset=100),
        snapshot_pb2.RestoreSnapshotRequest(name="old", into="restored"),
        snapshot_pb2.DeleteSnapshotRequest(name="old"),
        stream_pb2.EmbedStreamRequest(config=opening),
        stream_pb2.EmbedStreamRequest(frames=frames),
        *infer,
        typed,
        oip.ModelMetadataRequest(name="gfp-knn"),
        oip.ModelConfigRequest(name="gfp-encoder", version="1"),
        oip.ModelStatisticsRequest(name="gfp-encoder"),
        oip.ModelReadyRequest(name="gfp-knn"),
    ]
    found: dict[str, list[Message]] = {}
    for request in requests:
        found.setdefault(request.DESCRIPTOR.full_name, []).append(request)
    return found


def _file(clip: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips.npz"
        write_clip_file(path, [Clip(name="a", sequence=clip, layout=NTU25, fps=30.0)])
        return path.read_bytes()


def _embedding(first: float) -> embedding_pb2.Embedding:
    return write_embedding(np.array([first] + [0.5] * (SIZE - 1), np.float32))


def _infer(model: str, name: str, values: np.ndarray) -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name=model, id="mine", raw_input_contents=[values.tobytes()])
    message.inputs.add(name=name, datatype="FP32", shape=values.shape)
    return message


# Requests that the tiny server answers, by the full name of their type. The server must hold the items of UpsertRequest
# a gallery "old" and a snapshot "old" of the default gallery, but no gallery and no snapshot "new".
GOOD = _good()


# Requests that bring the server into the state that GOOD needs, whatever it got before.
SET_UP = [
    ("/gfp_serve.v1.GalleryService/Upsert", GOOD["gfp_serve.v1.UpsertRequest"][0]),
    ("/gfp_serve.v1.GalleryService/DropGallery", gallery_pb2.DropGalleryRequest(gallery="new")),
    ("/gfp_serve.v1.GalleryService/CreateGallery", gallery_pb2.CreateGalleryRequest(gallery="old")),
    ("/gfp_serve.v1.GalleryService/DropGallery", gallery_pb2.DropGalleryRequest(gallery="restored")),
    ("/gfp_serve.v1.SnapshotService/DeleteSnapshot", snapshot_pb2.DeleteSnapshotRequest(name="new")),
    ("/gfp_serve.v1.SnapshotService/CreateSnapshot", snapshot_pb2.CreateSnapshotRequest(name="old")),
]


def good(method: MethodDescriptor) -> list[Message]:
    """Return requests that a method answers; the empty request for a method that `GOOD` does not have."""
    return GOOD.get(method.input_type.full_name) or [GetMessageClass(method.input_type)()]


def calls(method: MethodDescriptor) -> st.SearchStrategy[list[bytes]]:
    """Make what one call sends: the bytes of one message, or of several if the method takes a stream."""
    one = _requests(method)
    if not method.client_streaming:
        return one.map(lambda content: [content])
    sound = [request.SerializeToString() for request in good(method)]
    mixed = st.lists(st.sampled_from(sound) | one, max_size=5)
    return mixed | mixed.map(lambda rest: [sound[0], *rest])


def _requests(method: MethodDescriptor) -> st.SearchStrategy[bytes]:
    whole = st.sampled_from(good(method))
    any_message = messages(method.input_type)
    return st.one_of(
        st.binary(max_size=64),
        _spoiled(whole),
        _edited(whole).map(_serialised),
        _edited(whole).map(_agreeing).map(_serialised),
        any_message.map(_serialised),
        any_message.map(_agreeing).map(_serialised),
        _spoiled(any_message),
    )


def _serialised(message: Message) -> bytes:
    return message.SerializeToString()


def _agreeing(message: Message) -> Message:
    """Give the message as many bytes as its counts say, unless that is too many, so that it passes the first check."""
    for part in _parts(message):
        if isinstance(part, embedding_pb2.Sequence | gallery_pb2.Motion):
            part.positions = _of_length(part.positions, part.num_frames, part.num_bodies, part.num_joints, 3)
        elif isinstance(part, stream_pb2.Frames):
            part.positions = _of_length(part.positions, part.num_frames, 25, 3)
        elif isinstance(part, embedding_pb2.Embedding):
            part.values = _of_length(part.values, part.size)
        elif isinstance(part, oip.ModelInferRequest):
            raw = [*part.raw_input_contents, *[b""] * len(part.inputs)]
            part.raw_input_contents[:] = [
                _of_length(old, *new.shape) for old, new in zip(raw, part.inputs, strict=False)
            ]
    return message


def _of_length(content: bytes, *shape: int) -> bytes:
    length = 4 * math.prod(shape) if len(shape) < 99 else 0
    return (content * (length // len(content) + 1))[:length] if content and 0 <= length <= 2**16 else content


@st.composite
def _spoiled(draw: st.DrawFn, whole: st.SearchStrategy[Message]) -> bytes:
    """Make the bytes of a message, with up to three spots replaced, removed, added to or repeated."""
    content = draw(whole).SerializeToString()
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 4) | st.integers(0, len(content))))
        spot = content[start:end]
        content = content[:start] + draw(st.sampled_from([b"", spot * 2]) | st.binary(max_size=4)) + content[end:]
    return content


@st.composite
def _edited(draw: st.DrawFn, whole: st.SearchStrategy[Message]) -> Message:
    """Make a message in which up to three fields, nested ones too, have other values."""
    message = type(found := draw(whole))()
    message.CopyFrom(found)
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from(list(_parts(message))))
        if part.DESCRIPTOR.fields:
            field = draw(st.sampled_from(list(part.DESCRIPTOR.fields)))
            if draw(st.booleans()) or not field.is_repeated:
                part.ClearField(field.name)
            _fill(draw, part, field, 2)
    return message


def _parts(message: Message) -> Any:
    """Give the message and all messages inside it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if not field.is_repeated:
            yield from _parts(value)
        elif not field.message_type.GetOptions().map_entry:
            for each in value:
                yield from _parts(each)


@st.composite
def messages(draw: st.DrawFn, message_type: Descriptor, depth: int = 4) -> Message:
    """Make any message of a type. Extreme values are more frequent than by chance."""
    message = GetMessageClass(message_type)()
    for field in message_type.fields:
        if draw(st.booleans()):
            _fill(draw, message, field, depth)
    return message


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    """Give a field a value. A list gets some more values."""
    held = getattr(message, field.name)
    if field.message_type is not None and depth == 0:
        return
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        for name in draw(st.lists(_SCALARS[key.type], max_size=2)):
            if value.message_type is None:
                held[name] = draw(_SCALARS[value.type])
            else:
                held[name].CopyFrom(draw(messages(value.message_type, depth - 1)))
        return
    value = messages(field.message_type, depth - 1) if field.message_type else _SCALARS[field.type]
    if field.is_repeated:
        times = [LIMITS["max_sequences"] + 1] if field.message_type else [5, 70, 300]
        too_many = st.builds(lambda each, times: [each] * times, value, st.sampled_from(times))
        held.extend(draw(st.lists(value, max_size=5) | too_many))
    elif field.message_type is not None:
        held.CopyFrom(draw(value))
    else:
        setattr(message, field.name, draw(value))


def _integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    telling = [1, 2, 3, 4, 5, 8, 9, 12, 13, 15, 25, most // 2 + 1, *([-1] if signed else [])]
    return st.sampled_from([0, 1, least, most]) | st.sampled_from(telling) | st.integers(least, most)


def _clips() -> list[bytes]:
    """Return coordinates of nine frames as bytes: a person, nobody, all in one point, too far away, not finite."""
    clip = walk(1)
    ghost = clip.copy()
    ghost[1:] = np.nan
    signalling = np.full(clip.shape, struct.unpack("<I", b"\x01\x00\xa0\x7f")[0], "<u4")
    values = (np.nan, np.inf, 0.0, 1.0, 1e-45, 3e38, -1000.0)
    arrays = [clip, walk(3, bodies=3), ghost, 1000 * clip, 1e-40 * clip, signalling, np.zeros(0)]
    arrays += [np.full(clip.shape, value, "<f4") for value in values]
    arrays += [np.full(SIZE, value, "<f4") for value in values]
    contents = [array.astype("<f4" if array.dtype.kind == "f" else "<u4").tobytes() for array in arrays]
    return [*contents, contents[0][:-1], contents[0] + b"\0"]


_NAMES = (
    "ntu25",
    "florence15",
    "gfp-encoder",
    "gfp-knn",
    "skeleton",
    "embedding",
    "k",
    "gallery",
    "default",
    "old",
    "new",
    "layout",
    "ids",
    "FP32",
    "INT32",
)
_TEXTS = st.sampled_from(["", "1", "a", "\0", "x" * 300, "\u4e2d" * 3000, *_NAMES, *SERVICES]) | st.text(max_size=8)
_FLOATS = (0.0, -0.0, 1.0, 30.0, 1e-45, 5e-324, 3e38, 1.7e308, float("nan"), float("inf"), float("-inf"))
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.sampled_from(_clips()) | st.binary(max_size=40),
    FieldDescriptor.TYPE_DOUBLE: st.sampled_from(_FLOATS) | st.floats(),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 3) | _integers(32, signed=True),
    FieldDescriptor.TYPE_FLOAT: st.sampled_from(_FLOATS) | st.floats(width=32),
    FieldDescriptor.TYPE_INT32: _integers(32, signed=True),
    FieldDescriptor.TYPE_INT64: _integers(64, signed=True),
    FieldDescriptor.TYPE_STRING: _TEXTS,
    FieldDescriptor.TYPE_UINT32: _integers(32, signed=False),
    FieldDescriptor.TYPE_UINT64: _integers(64, signed=False),
}
