"""Items of the wire, and what searches find of them <-> values."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value
from jaxtyping import Float32

from gfp_serve.errors import InvalidRequestError, quoted
from gfp_serve.items import Attribute, Item, Neighbour, Source, check_source
from gfp_serve.kept_motion import LAYOUT, KeptMotion, check_motion, check_shape
from gfp_serve.moments import Moment
from gfp_serve.v1 import gallery_pb2
from gfp_serve.wire.arrays import FLOAT, write_embedding, write_positions


def write_item(
    id: str,
    label: str,
    attributes: Mapping[str, Attribute],
    source: Source | None,
    vector: Float32[np.ndarray, " embedding_size"] | None = None,
    motion: KeptMotion | None = None,
) -> gallery_pb2.Item:
    """The message that `read_item` reads; without a vector, the caller fills in the content, or leaves it out."""
    return gallery_pb2.Item(
        id=id,
        label=label,
        attributes=write_struct(attributes),
        source=_write_optional(source),
        embedding=None if vector is None else write_embedding(vector),
        motion=None if motion is None else write_motion(motion),
    )


def read_item(message: gallery_pb2.Item, vector: Float32[np.ndarray, " embedding_size"]) -> Item:
    """The item, with the vector of its content. Raises what `read_attributes`, `read_source` and `read_motion` do."""
    return Item(
        *(message.id, vector, message.label, read_attributes(message.attributes), _read_optional(message)),
        motion=read_motion(message.motion) if message.HasField("motion") else None,
    )


def write_motion(motion: KeptMotion) -> gallery_pb2.Motion:
    """The message that `read_motion` reads. Raises `InvalidRequestError` for a motion that cannot be kept."""
    check_motion(motion)
    num_frames, num_bodies, num_joints, _ = motion.positions.shape
    return gallery_pb2.Motion(
        positions=write_positions(motion.positions),
        num_frames=num_frames,
        num_bodies=num_bodies,
        num_joints=num_joints,
        layout=LAYOUT.name,
        frame_numbers=motion.frame_numbers.tolist(),
        fps=motion.fps or 0.0,
    )


def read_motion(message: gallery_pb2.Motion) -> KeptMotion:
    """A motion as a gallery keeps it. Raises `InvalidRequestError` for one that it cannot keep."""
    if message.layout != LAYOUT.name:
        raise InvalidRequestError(
            f"the motion has the layout {quoted(message.layout)}; motions that are kept have {LAYOUT.name!r}."
        )
    shape = (message.num_frames, message.num_bodies, message.num_joints, 3)
    check_shape(shape)
    num_bytes = math.prod(shape) * FLOAT.itemsize
    if len(message.positions) != num_bytes:
        raise InvalidRequestError(
            f"the positions of the motion have {len(message.positions)} bytes; {' × '.join(map(str, shape))} float32 "
            f"are {num_bytes}. Send raw little-endian float32, row-major."
        )
    if len(message.frame_numbers) != message.num_frames:
        raise InvalidRequestError(
            f"the motion has {message.num_frames} frames and {len(message.frame_numbers)} frame numbers; send one for "
            f"each frame."
        )
    motion = KeptMotion(
        np.frombuffer(message.positions, FLOAT).reshape(shape).astype(np.float32, copy=False),
        np.array(message.frame_numbers, dtype=np.int64),
        message.fps or None,
    )
    check_motion(motion)
    return motion


def write_neighbour(neighbour: Neighbour) -> gallery_pb2.Neighbour:
    """The message that `read_neighbour` reads."""
    return gallery_pb2.Neighbour(
        id=neighbour.id,
        label=neighbour.label,
        similarity=neighbour.similarity,
        attributes=write_struct(neighbour.attributes),
        source=_write_optional(neighbour.source),
    )


def read_neighbour(message: gallery_pb2.Neighbour) -> Neighbour:
    """A neighbour as the gallery gave it."""
    return Neighbour(
        message.id, message.label, message.similarity, read_attributes(message.attributes), _read_optional(message)
    )


def write_moment(moment: Moment) -> gallery_pb2.Moment:
    """The message that `read_moment` reads."""
    return gallery_pb2.Moment(
        source=_write_optional(moment.source),
        similarity=moment.similarity,
        label=moment.label,
        ids=moment.ids,
    )


def read_moment(message: gallery_pb2.Moment) -> Moment:
    """A moment as the server merged it."""
    return Moment(_read_optional(message), message.similarity, message.label, tuple(message.ids))


def write_source(source: Source) -> gallery_pb2.Source:
    """The message that `read_source` reads. Raises `InvalidRequestError` for a name that is not UTF-8."""
    try:
        return gallery_pb2.Source(recording=source.recording, start_s=source.start_s, end_s=source.end_s)
    except (ValueError, TypeError) as error:
        raise InvalidRequestError(
            f"{source} cannot be sent: {error}; a source is the name of a recording and two numbers of seconds."
        ) from error


def read_source(message: gallery_pb2.Source) -> Source:
    """Where an item was cut from. Raises `InvalidRequestError` for a recording or seconds that cannot be."""
    source = Source(message.recording, message.start_s, message.end_s)
    check_source(source)
    return source


def write_struct(values: Mapping[str, Any]) -> Struct:
    """The message that `read_struct` reads. Raises `InvalidRequestError` for values that are not JSON."""
    struct = Struct()
    try:
        struct.update(values)
    except (ValueError, TypeError) as error:
        raise InvalidRequestError(
            f"attributes {dict(values)} cannot be sent: {error}; use strings, numbers, booleans and lists of strings."
        ) from error
    return struct


def read_struct(message: Struct) -> dict[str, Any]:
    """Numbers come back as floats, because a Struct has no integers."""
    return MessageToDict(message)


def read_attributes(message: Struct) -> dict[str, Attribute]:
    """An item's attributes. `InvalidRequestError` names the first that is not a text, number, boolean or text list."""
    # Not by way of `read_struct`, which takes twice as long and leaves the values to be checked.
    return {name: _read_attribute(name, value) for name, value in message.fields.items()}


def _read_attribute(name: str, value: Value) -> Attribute:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value" and math.isfinite(value.number_value):
        return value.number_value
    if kind == "list_value" and all(each.WhichOneof("kind") == "string_value" for each in value.list_value.values):
        return [each.string_value for each in value.list_value.values]
    found = _OTHER_VALUES.get(kind, str(value.number_value))
    raise InvalidRequestError(
        f"attribute {quoted(name)} is {found}; an attribute is a text, a finite number, true or false, or a list of "
        f"texts. Leave out what is not known."
    )


# What else a Struct can hold.
_OTHER_VALUES = {
    None: "not set",
    "null_value": "null",
    "list_value": "a list with members that are not texts",
    "struct_value": "an object with members of its own",
}


def _write_optional(source: Source | None) -> gallery_pb2.Source | None:
    return None if source is None else write_source(source)


def _read_optional(message: gallery_pb2.Item | gallery_pb2.Neighbour | gallery_pb2.Moment) -> Source | None:
    return read_source(message.source) if message.HasField("source") else None
