"""Sequences and embeddings of the wire <-> arrays."""

import math

import numpy as np
from jaxtyping import Float32

from gfp_serve.config import Limits
from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError
from gfp_serve.layouts import Layout, layout_named
from gfp_serve.v1 import embedding_pb2

# The wire's byte order, whatever the machine's.
_FLOAT = np.dtype("<f4")


def write_sequence(sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout) -> embedding_pb2.Sequence:
    """The message that `read_sequence` reads."""
    num_frames, num_bodies, num_joints, _ = sequence.shape
    return embedding_pb2.Sequence(
        positions=write_positions(sequence),
        num_frames=num_frames,
        num_bodies=num_bodies,
        num_joints=num_joints,
        layout=layout.name,
    )


def read_sequence(
    message: embedding_pb2.Sequence, limits: Limits
) -> tuple[Float32[np.ndarray, "frames bodies joints 3"], Layout]:
    """The array, read-only and not copied, and its layout. `preprocess` checks the coordinates.

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


def write_positions(sequence: Float32[np.ndarray, "frames bodies joints 3"]) -> bytes:
    """The bytes that `read_positions` reads."""
    return sequence.astype(_FLOAT, copy=False).tobytes()


def read_positions(
    positions: bytes, num_frames: int, num_bodies: int, layout: Layout
) -> Float32[np.ndarray, "num_frames num_bodies joints 3"]:
    """The array, read-only and not copied. Raises `InvalidSkeletonError` when counts and bytes disagree."""
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
    """Raise `InvalidRequestError` for a sequence with more frames or bodies than the server takes."""
    for name, count, most in (
        ("frames", num_frames, limits.max_frames),
        ("bodies", num_bodies, limits.max_bodies),
    ):
        if count > most:
            raise InvalidRequestError(
                f"the sequence has {count} {name}; this server takes at most {most}. Check the axis order (frames × "
                f"bodies × joints × 3), cut it, or raise --max-{name} of the server."
            )


def write_embedding(vector: Float32[np.ndarray, " size"]) -> embedding_pb2.Embedding:
    """The message that `read_embedding` reads."""
    return embedding_pb2.Embedding(values=vector.astype(_FLOAT, copy=False).tobytes(), size=len(vector))


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
