"""Sequences and embeddings of the wire <-> arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.config import Limits
from gfp_serve.conventions import STANDARD, Conventions, is_size, to_standard
from gfp_serve.doubts import Doubt
from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError, in_field, quoted
from gfp_serve.image_joints import ImageAxis, from_image
from gfp_serve.kept_motion import check_fps
from gfp_serve.layouts import LAYOUTS, Layout, layout_named, layout_of
from gfp_serve.v1 import embedding_pb2, stream_pb2

# The wire's byte order, whatever the machine's.
FLOAT = np.dtype("<f4")
UNSAID = Conventions()
# Scores of some estimators are a little above 1.
_MAX_CONFIDENCE = 2.0


# More joints than any tracker's, and longer names.
MAX_JOINTS, MAX_JOINT_NAME_LENGTH = 512, 64


def write_sequence(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout, conventions: Conventions = UNSAID
) -> embedding_pb2.Sequence:
    """The message that `read_sequence` reads. A layout that is not in the table is sent as the names of its joints."""
    num_frames, num_bodies, num_joints, _ = sequence.shape
    return embedding_pb2.Sequence(
        positions=write_positions(sequence),
        num_frames=num_frames,
        num_bodies=num_bodies,
        num_joints=num_joints,
        conventions=write_conventions(conventions),
        **write_layout(layout),
    )


def write_image_joints(
    joints: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout, conventions: Conventions = UNSAID
) -> embedding_pb2.Sequence:
    """The message of 2-D joints: x, y and confidence. Where nothing is said, -y is up, as in images."""
    message = write_sequence(joints, layout, conventions)
    message.dimensions = 2
    message.image_width, message.image_height = conventions.image_size or (0.0, 0.0)
    return message


def write_conventions(conventions: Conventions) -> embedding_pb2.Conventions | None:
    """The message that `read_conventions` reads; None for those that it takes for granted."""
    if not any(conventions.axes) and conventions.min_confidence is None:
        return None
    up, unit, hand = (said or "" for said in conventions.axes)
    return embedding_pb2.Conventions(up=up, unit=unit, hand=hand, min_confidence=conventions.min_confidence)


def write_layout(layout: Layout) -> dict[str, Any]:
    """The fields by which a message names its joints, see `read_layout`."""
    known = LAYOUTS.get(layout.name) == layout
    return {"layout": layout.name} if known else {"joint_names": layout.canonical_names}


def read_layout(name: str, joint_names: Sequence[str]) -> Layout:
    """The layout that a message names, or the one of its joints.

    Raises `UnknownLayoutError` for a name that does not exist, and for joints without hips or shoulders;
    `InvalidRequestError` for a name and joints at once, and for joints that cannot be.
    """
    if not joint_names:
        return layout_named(name)
    if name:
        raise InvalidRequestError(f"it has both a layout, {quoted(name)}, and names of joints; send one of them.")
    too_long = next((joint for joint in joint_names if not 1 <= len(joint) <= MAX_JOINT_NAME_LENGTH), None)
    if len(joint_names) > MAX_JOINTS or too_long is not None or len(set(joint_names)) < len(joint_names):
        raise InvalidRequestError(
            f"its {len(joint_names)} joints need names of 1 to {MAX_JOINT_NAME_LENGTH} letters that differ, at most "
            f"{MAX_JOINTS}."
        )
    # Who is whose parent makes no difference to what is embedded.
    return _layout_of_names(tuple(joint_names))


# All clips of a source have the same names.
@lru_cache(maxsize=256)
def _layout_of_names(joint_names: tuple[str, ...]) -> Layout:
    return layout_of(joint_names, [-1] + [0] * (len(joint_names) - 1))


def read_sequence(
    message: embedding_pb2.Sequence, limits: Limits
) -> tuple[Float32[np.ndarray, "frames bodies joints 3"], Layout, tuple[Doubt, ...]]:
    """The array in metres, y up, right-handed, its layout, and doubts. `preprocess` checks the coordinates.

    The array is read-only and not copied if the message has these conventions. Raises `UnknownLayoutError`,
    `InvalidSkeletonError` (shape, bytes, nobody in an image), `InvalidRequestError` (limits, conventions, `fps`).
    """
    with in_field("fps"):
        check_fps(read_fps(message))
    layout = read_layout(message.layout, message.joint_names)
    if message.num_joints != layout.num_joints:
        raise InvalidSkeletonError(
            f"the sequence says {message.num_joints} joints; a {layout.name} sequence has {layout.num_joints} joints. "
            f"Check counts and layout."
        )
    shape = (message.num_frames, message.num_bodies)
    image = read_image(message)
    if image is not None:
        check_size(*shape, limits)
        sequence, doubts = image.placed(read_image_joints(message.positions, *shape, layout), layout)
        return sequence, layout, doubts
    sequence = read_positions(message.positions, *shape, layout)
    check_size(*shape, limits)
    return to_standard(sequence, read_conventions(message)), layout, ()


def read_fps(message: embedding_pb2.Sequence) -> float | None:
    """The frames a second that the message says; None if it says none."""
    return message.fps or None


def read_conventions(message: embedding_pb2.Sequence | stream_pb2.StreamConfig) -> Conventions:
    """How the message's coordinates are meant. Raises `InvalidRequestError` for what cannot be."""
    if not message.HasField("conventions"):
        return STANDARD
    said = message.conventions
    with in_field("conventions"):
        return Conventions.from_texts(said.up, said.unit, said.hand).or_else(STANDARD)


@dataclass(frozen=True, slots=True)
class Image:
    """How the 2-D joints of a message are meant: which way is up, and what else it says."""

    up: ImageAxis
    size: tuple[float, float] | None  # width and height
    min_confidence: float | None

    def placed(
        self, joints: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout
    ) -> tuple[Float32[np.ndarray, "frames bodies joints 3"], tuple[Doubt, ...]]:
        """Joints of x, y and confidence as a sequence, and what had to be assumed for it.

        By `image_joints.from_image`, whose errors it raises.
        """
        confidence = joints[..., 2].astype(np.float64)
        placed = from_image(
            joints[..., :2].astype(np.float64),
            layout,
            confidence=confidence,
            image_size=self.size,
            min_confidence=self.min_confidence,
            up=self.up,
        )
        doubts: tuple[Doubt, ...] = (Doubt("image", placed.assumed),) if placed.assumed else ()
        seen = confidence[np.isfinite(confidence)]
        if len(seen) and (seen.min() < 0 or seen.max() > _MAX_CONFIDENCE):
            worst = seen.max() if seen.max() > _MAX_CONFIDENCE else seen.min()
            said = f"a confidence is {worst:.3g}; expected 0 to 1. Are these joints of an image, as x, y, confidence?"
            doubts += (Doubt("confidence", said),)
        return placed.sequence, doubts


def read_image(message: embedding_pb2.Sequence | stream_pb2.StreamConfig) -> Image | None:
    """How the message's joints of an image are meant; None for 3-D joints. Raises `InvalidRequestError`."""
    if not message.HasField("dimensions") or message.dimensions == 3:
        for name, is_said in {
            "image_width": message.image_width != 0,
            "image_height": message.image_height != 0,
            "conventions.min_confidence": message.conventions.HasField("min_confidence"),
        }.items():
            if is_said:
                with in_field(name):
                    raise InvalidRequestError("it is for joints of an image, whose dimensions are 2.")
        return None
    if message.dimensions != 2:
        with in_field("dimensions"):
            raise InvalidRequestError(f"it is {message.dimensions}; joints have 2 or 3 dimensions.")
    up = message.conventions.up or "-y"
    if up not in ("y", "-y"):
        with in_field("conventions.up"):
            raise InvalidRequestError(f"it is {quoted(up)}; in an image, y or -y is up.")
    size = message.image_width, message.image_height
    if size != (0, 0) and not is_size(size):
        with in_field("image_width"):
            raise InvalidRequestError(
                f"the image has a width of {size[0]:g} and a height of {size[1]:g}; both must be above 0 and like "
                f"those of images, or neither be set."
            )
    least = message.conventions.min_confidence if message.conventions.HasField("min_confidence") else None
    try:
        said = replace(
            Conventions.from_texts(up, message.conventions.unit, message.conventions.hand), min_confidence=least
        )
    except InvalidRequestError as error:
        error.field = f"conventions.{error.field}" if error.field else "conventions"
        raise
    return Image("y" if up == "y" else "-y", None if size == (0, 0) else size, said.min_confidence)


def read_image_joints(
    positions: bytes, num_frames: int, num_bodies: int, layout: Layout
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """x, y and confidence of joints, of which the bytes have x and y, or all three; without one the confidence is 1.

    Raises `InvalidSkeletonError` when counts and bytes disagree.
    """
    shape = (num_frames, num_bodies, layout.num_joints)
    sizes = [math.prod(shape) * numbers * FLOAT.itemsize for numbers in (2, 3)]
    if 0 in shape or len(positions) not in sizes:
        raise InvalidSkeletonError(
            f"positions has {len(positions)} bytes; {' × '.join(map(str, shape))} 2-D joints are {sizes[0]}, with a "
            f"confidence {sizes[1]}. Send raw little-endian float32, row-major."
        )
    joints = np.frombuffer(positions, FLOAT).reshape(*shape, -1).astype(np.float32, copy=False)
    if np.isinf(joints).any():
        raise InvalidSkeletonError("a number is infinite; what was not seen is NaN.")
    if joints.shape[-1] == 3:
        return joints
    return np.concatenate([joints, np.ones((*shape, 1), dtype=np.float32)], axis=-1)


def write_positions(sequence: Float32[np.ndarray, "frames bodies joints axes"]) -> bytes:
    """The bytes that `read_positions`, or for joints of an image `read_image_joints`, reads."""
    return sequence.astype(FLOAT, copy=False).tobytes()


def read_positions(
    positions: bytes, num_frames: int, num_bodies: int, layout: Layout
) -> Float32[np.ndarray, "num_frames num_bodies joints 3"]:
    """The array, read-only and not copied. Raises `InvalidSkeletonError` when counts and bytes disagree."""
    shape = (num_frames, num_bodies, layout.num_joints, 3)
    if 0 in shape:
        raise InvalidSkeletonError(
            f"the sequence says {num_frames} frames and {num_bodies} bodies; send at least 1 frame and 1 body."
        )
    expected = math.prod(shape) * FLOAT.itemsize
    if len(positions) != expected:
        raise InvalidSkeletonError(
            f"positions has {len(positions)} bytes; {' × '.join(map(str, shape))} float32 are {expected}. Send raw "
            f"little-endian float32, row-major."
        )
    return np.frombuffer(positions, FLOAT).reshape(shape).astype(np.float32, copy=False)


def check_size(num_frames: int, num_bodies: int, limits: Limits) -> None:
    """Raise `InvalidRequestError` for a sequence with more frames or bodies than the server takes."""
    for name, count, most in (
        ("frames", num_frames, limits.max_frames),
        ("bodies", num_bodies, limits.max_bodies),
    ):
        if count > most:
            raise InvalidRequestError(
                f"the sequence has {count} {name}; this server takes at most {most}. Check the axis order (frames × "
                f"bodies × joints × 3), cut it (gfp add --windows does), or raise --max-{name} of the server."
            )


def write_embedding(vector: Float32[np.ndarray, " size"]) -> embedding_pb2.Embedding:
    """The message that `read_embedding` reads."""
    return embedding_pb2.Embedding(values=vector.astype(FLOAT, copy=False).tobytes(), size=len(vector))


def read_embedding(message: embedding_pb2.Embedding, size: int) -> Float32[np.ndarray, " size"]:
    """The vector, read-only. Raises `InvalidRequestError` when it has another size or no direction."""
    if message.size != size or len(message.values) != size * FLOAT.itemsize:
        raise InvalidRequestError(
            f"the embedding says size {message.size} and has {len(message.values)} bytes; this encoder's have "
            f"size {size}, {size * FLOAT.itemsize} bytes of raw little-endian float32."
        )
    vector = np.frombuffer(message.values, FLOAT).astype(np.float32, copy=False)
    if not np.isfinite(vector).all() or not vector.any():
        raise InvalidRequestError("the embedding has no direction: it is zero, or a component is not finite.")
    return vector
