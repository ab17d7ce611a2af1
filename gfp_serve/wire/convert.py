"""Messages of the wire <-> arrays and dataclasses, for server and client alike."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value
from jaxtyping import Float32

from gfp_serve.config import Limits
from gfp_serve.errors import GfpError, InvalidRequestError, InvalidSkeletonError, ServerError
from gfp_serve.filters import AnyOf, Condition, Filter, Range
from gfp_serve.items import (
    Attribute,
    Description,
    Effort,
    IndexKind,
    Neighbour,
    Source,
)
from gfp_serve.moments import Moment
from gfp_serve.skeleton import Layout, layout_named
from gfp_serve.v1 import embedding_pb2, gallery_pb2

# What a filter may hold: backends look at each of these for every item.
MAX_CONDITIONS = 64
MAX_VALUES = 256

MAX_RECORDING_LENGTH = 256

MAX_EF_SEARCH = 4096
MAX_NPROBE = 65_536

INDEX_KINDS: dict[IndexKind, gallery_pb2.IndexKind] = {
    "auto": gallery_pb2.INDEX_KIND_AUTO,
    "exact": gallery_pb2.INDEX_KIND_EXACT,
    "hnsw": gallery_pb2.INDEX_KIND_HNSW,
    "ivf_sq8": gallery_pb2.INDEX_KIND_IVF_SQ8,
    "ivf_pq": gallery_pb2.INDEX_KIND_IVF_PQ,
}

# The wire's byte order, whatever the machine's.
_FLOAT = np.dtype("<f4")

_BOUNDS = ("above", "at_least", "below", "at_most")


@contextmanager
def in_field(path: str) -> Iterator[None]:
    """Note in every error of the block which field of the request it is about."""
    try:
        yield
    except GfpError as error:
        error.field = error.field or path
        raise


def read_sequence(
    message: embedding_pb2.Sequence, limits: Limits
) -> tuple[Float32[np.ndarray, "frames bodies joints 3"], Layout]:
    """The array, read-only and without a copy, and its layout. What the coordinates say is checked by `preprocess`.

    Raises `UnknownLayoutError`, `InvalidSkeletonError` (shape and bytes), `InvalidRequestError` (limits).
    """
    layout = layout_named(message.layout)
    if message.num_joints != layout.num_joints:
        raise InvalidSkeletonError(
            f"the sequence says {message.num_joints} joints; a {layout.name} sequence has {layout.num_joints} joints. "
            f"Check counts and layout."
        )
    sequence = read_positions(message.positions, message.num_frames, message.num_bodies, layout)
    check_size(message.num_frames, message.num_bodies, limits)
    return sequence, layout


def read_positions(
    positions: bytes, num_frames: int, num_bodies: int, layout: Layout
) -> Float32[np.ndarray, "num_frames num_bodies joints 3"]:
    """The array, read-only and without a copy. Raises `InvalidSkeletonError` when counts and bytes disagree."""
    shape = (num_frames, num_bodies, layout.num_joints, 3)
    if 0 in shape:
        raise InvalidSkeletonError(
            f"the sequence says {num_frames} frames and {num_bodies} bodies; send at least 1 frame and 1 body."
        )
    expected = math.prod(shape) * _FLOAT.itemsize
    if len(positions) != expected:
        raise InvalidSkeletonError(
            f"positions has {len(positions)} bytes; {' × '.join(map(str, shape))} float32 are {expected}. Send raw "
            f"little-endian float32, row-major."
        )
    return np.frombuffer(positions, _FLOAT).reshape(shape).astype(np.float32, copy=False)


def check_size(num_frames: int, num_bodies: int, limits: Limits) -> None:
    """Raise `InvalidRequestError` for a sequence of more frames or bodies than the server takes."""
    for name, count, most in (
        ("frames", num_frames, limits.max_frames),
        ("bodies", num_bodies, limits.max_bodies),
    ):
        if count > most:
            raise InvalidRequestError(
                f"the sequence has {count} {name}; this server takes at most {most}. Check the axis order (frames × "
                f"bodies × joints × 3), cut it, or raise --max-{name} of the server."
            )


def write_sequence(sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout) -> embedding_pb2.Sequence:
    """The message that `read_sequence` reads."""
    num_frames, num_bodies, num_joints, _ = sequence.shape
    return embedding_pb2.Sequence(
        positions=sequence.astype(_FLOAT, copy=False).tobytes(),
        num_frames=num_frames,
        num_bodies=num_bodies,
        num_joints=num_joints,
        layout=layout.name,
    )


def read_embedding(message: embedding_pb2.Embedding, size: int) -> Float32[np.ndarray, " size"]:
    """The vector, read-only. Raises `InvalidRequestError` when it has another size or no direction."""
    if message.size != size or len(message.values) != size * _FLOAT.itemsize:
        raise InvalidRequestError(
            f"the embedding says size {message.size} and has {len(message.values)} bytes; this encoder's have "
            f"size {size}, {size * _FLOAT.itemsize} bytes of raw little-endian float32."
        )
    vector = np.frombuffer(message.values, _FLOAT).astype(np.float32, copy=False)
    if not np.isfinite(vector).all() or not vector.any():
        raise InvalidRequestError("the embedding has no direction: it is zero, or a component is not finite.")
    return vector


def write_embedding(vector: Float32[np.ndarray, " size"]) -> embedding_pb2.Embedding:
    """The message that `read_embedding` reads."""
    return embedding_pb2.Embedding(values=vector.astype(_FLOAT, copy=False).tobytes(), size=len(vector))


def read_struct(message: Struct) -> dict[str, Any]:
    """Numbers come back as floats: a Struct knows no integers."""
    return MessageToDict(message)


def read_attributes(message: Struct) -> dict[str, Attribute]:
    """An item's attributes; `InvalidRequestError` names the first that is no text, number, boolean or list of texts."""
    try:
        values = read_struct(message)
    except ValueError as error:  # NaN and infinity are numbers to a Struct, but not to JSON
        raise InvalidRequestError(
            f"an attribute is no finite number ({error}); leave out what is not known."
        ) from error
    for name, value in values.items():
        texts = value if isinstance(value, list) else []
        if not isinstance(value, str | float | bool | list) or not all(isinstance(text, str) for text in texts):
            raise InvalidRequestError(
                f"attribute {name!r} is {value!r}; an attribute is a text, a number, true or false, or a list of texts."
            )
    return values


def write_struct(values: Mapping[str, Any]) -> Struct:
    """Raises `InvalidRequestError` for values that are not JSON."""
    struct = Struct()
    try:
        struct.update(values)
    except (ValueError, TypeError) as error:
        raise InvalidRequestError(
            f"attributes {dict(values)} cannot be sent: {error}; use strings, numbers, booleans and lists of strings."
        ) from error
    return struct


def read_source(message: gallery_pb2.Source) -> Source:
    """Where an item was cut from. Raises `InvalidRequestError` for a recording or seconds that cannot be."""
    if not 1 <= len(message.recording) <= MAX_RECORDING_LENGTH:
        raise InvalidRequestError(
            f"the recording of its source has {len(message.recording)} characters; the name of a recording has 1 to "
            f"{MAX_RECORDING_LENGTH}."
        )
    if not 0 <= message.start_s <= message.end_s < math.inf:
        raise InvalidRequestError(
            f"its source starts at {message.start_s:g} s and ends at {message.end_s:g} s; both are finite seconds from "
            f"the recording's begin, and the end is not before the start."
        )
    return Source(message.recording, message.start_s, message.end_s)


def write_source(source: Source) -> gallery_pb2.Source:
    """The message that `read_source` reads. Raises `InvalidRequestError` for a name that is not UTF-8."""
    try:
        return gallery_pb2.Source(recording=source.recording, start_s=source.start_s, end_s=source.end_s)
    except (ValueError, TypeError) as error:
        raise InvalidRequestError(
            f"{source} cannot be sent: {error}; a source is the name of a recording and two numbers of seconds."
        ) from error


def read_filter(message: gallery_pb2.Filter, path: str = "filter") -> Filter | None:
    """Which items may be found; None without conditions, for then all may.

    Raises `InvalidRequestError` for a filter that holds too much, or a condition that says nothing; it names the
    condition by its place in the field `path`.
    """
    groups = {name: getattr(message, name) for name in ("must", "any_of", "must_not")}
    num_conditions = sum(map(len, groups.values()))
    if num_conditions == 0:
        return None
    with in_field(path):
        if num_conditions > MAX_CONDITIONS:
            raise InvalidRequestError(
                f"it has {num_conditions} conditions; this server looks at most at {MAX_CONDITIONS}. A condition may "
                f"list several values."
            )
        read: dict[str, tuple[Condition, ...]] = {}
        for name, conditions in groups.items():
            read[name] = ()
            for number, condition in enumerate(conditions):
                with in_field(f"{path}.{name}[{number}]"):
                    read[name] += (_read_condition(condition),)
        return Filter(**read)


def write_filter(where: Filter) -> gallery_pb2.Filter:
    """The message that `read_filter` reads. Raises `InvalidRequestError` for text that is not UTF-8."""
    try:
        return gallery_pb2.Filter(
            must=map(_write_condition, where.must),
            any_of=map(_write_condition, where.any_of),
            must_not=map(_write_condition, where.must_not),
        )
    except (ValueError, TypeError) as error:
        raise InvalidRequestError(
            f"the filter cannot be sent: {error}; its values are texts, numbers and booleans."
        ) from error


def read_effort(message: gallery_pb2.Effort, path: str = "effort") -> Effort:
    """How hard a search looks. Raises `InvalidRequestError` for a number out of range."""
    effort = Effort(
        message.exact,
        message.ef_search if message.HasField("ef_search") else None,
        message.nprobe if message.HasField("nprobe") else None,
    )
    _check_effort(effort, path)
    return effort


def write_effort(effort: Effort, path: str = "effort") -> gallery_pb2.Effort:
    """The message that `read_effort` reads; raises what that does."""
    _check_effort(effort, path)
    return gallery_pb2.Effort(exact=effort.exact, ef_search=effort.ef_search, nprobe=effort.nprobe)


def read_index_kind(value: int) -> IndexKind:
    """How a new gallery is searched. Raises `InvalidRequestError` for what is no IndexKind."""
    if value == gallery_pb2.INDEX_KIND_UNSPECIFIED:
        return "auto"
    for name, number in INDEX_KINDS.items():
        if number == value:
            return name
    raise InvalidRequestError(f"{value} is no IndexKind; choose one that gallery.proto lists.")


def read_description(message: gallery_pb2.GalleryDescription) -> Description:
    """What a server says of a gallery. Raises `ServerError` for an index that this release does not know."""
    try:
        index_kind, serving_kind = read_index_kind(message.index_kind), read_index_kind(message.serving_kind)
    except InvalidRequestError as error:
        raise ServerError(
            f"the server describes the gallery {message.name!r} in words that this release does not know ({error}); "
            f"use a client of its own release."
        ) from error
    return Description(
        encoder_digest=message.encoder_digest,
        embedding_size=message.embedding_size,
        metric="cosine",
        index_kind=index_kind,
        serving_kind=serving_kind,
        is_building=message.is_building,
        num_items=message.num_items,
        generation=message.generation,
        num_bytes=message.num_bytes,
        durable=message.durable,
    )


def write_description(name: str, description: Description) -> gallery_pb2.GalleryDescription:
    """The message that `read_description` reads."""
    return gallery_pb2.GalleryDescription(
        name=name,
        encoder_digest=description.encoder_digest,
        embedding_size=description.embedding_size,
        metric=gallery_pb2.METRIC_COSINE,
        index_kind=INDEX_KINDS[description.index_kind],
        serving_kind=INDEX_KINDS[description.serving_kind],
        is_building=description.is_building,
        num_items=description.num_items,
        generation=description.generation,
        num_bytes=description.num_bytes,
        durable=description.durable,
    )


def write_neighbour(neighbour: Neighbour) -> gallery_pb2.Neighbour:
    """The message that `read_neighbour` reads."""
    return gallery_pb2.Neighbour(
        id=neighbour.id,
        label=neighbour.label,
        similarity=neighbour.similarity,
        attributes=write_struct(neighbour.attributes),
        source=write_source(neighbour.source) if neighbour.source else None,
    )


def read_neighbour(message: gallery_pb2.Neighbour) -> Neighbour:
    """A neighbour as the gallery gave it."""
    return Neighbour(
        message.id,
        message.label,
        message.similarity,
        read_attributes(message.attributes),
        read_source(message.source) if message.HasField("source") else None,
    )


def write_moment(moment: Moment) -> gallery_pb2.Moment:
    """The message that `read_moment` reads."""
    return gallery_pb2.Moment(
        source=write_source(moment.source) if moment.source else None,
        similarity=moment.similarity,
        label=moment.label,
        ids=moment.ids,
    )


def read_moment(message: gallery_pb2.Moment) -> Moment:
    """A moment as the server merged it."""
    source = read_source(message.source) if message.HasField("source") else None
    return Moment(source, message.similarity, message.label, tuple(message.ids))


def _read_condition(message: gallery_pb2.Condition) -> Condition:
    kind = message.WhichOneof("holds")
    if kind == "range":
        bounds = {name: getattr(message.range, name) for name in _BOUNDS if message.range.HasField(name)}
        return Range(message.key, **bounds)
    if kind is None:
        raise InvalidRequestError("it says nothing about the value; set one of any_of and range.")
    if len(message.any_of.values) > MAX_VALUES:
        raise InvalidRequestError(
            f"it lists {len(message.any_of.values)} values; this server compares with at most {MAX_VALUES}. Split it, "
            f"or give the items an attribute that says the same."
        )
    return AnyOf(message.key, tuple(map(_read_value, message.any_of.values)))


def _read_value(message: Value) -> str | float | bool:
    kind = message.WhichOneof("kind")
    if kind not in ("string_value", "number_value", "bool_value") or not math.isfinite(message.number_value):
        raise InvalidRequestError("a value is neither a text nor a finite number nor true or false; it must be one.")
    return getattr(message, kind)


def _write_condition(condition: Condition) -> gallery_pb2.Condition:
    if isinstance(condition, Range):
        bounds = {name: getattr(condition, name) for name in _BOUNDS}
        return gallery_pb2.Condition(key=condition.key, range=gallery_pb2.Range(**bounds))
    values = map(_write_value, condition.values)
    return gallery_pb2.Condition(key=condition.key, any_of=gallery_pb2.AnyOf(values=values))


def _write_value(value: str | float | bool) -> Value:
    if isinstance(value, bool):  # a number in Python, but not in JSON
        return Value(bool_value=value)
    return Value(string_value=value) if isinstance(value, str) else Value(number_value=value)


def _check_effort(effort: Effort, path: str) -> None:
    for name, value, most in (
        ("ef_search", effort.ef_search, MAX_EF_SEARCH),
        ("nprobe", effort.nprobe, MAX_NPROBE),
    ):
        if value is not None and not 1 <= value <= most:
            with in_field(f"{path}.{name}"):
                raise InvalidRequestError(f"{name} is {value}; it must lie between 1 and {most}, or not be set.")
