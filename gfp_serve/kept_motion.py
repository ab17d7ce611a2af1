"""The small copy of an item's clip that a gallery may keep, so that the item can be looked at. numpy and zlib only.

It has at most `MOST_FRAMES` frames of the clip as the encoder's preprocessing cleaned it: at most two bodies, in the
joints of `LAYOUT` whatever layout the clip had, metres, y up, with the origin at the mid-spine of the first body in the
clip's first frame. NaN marks a joint that is lacking.

As bytes, coordinates are whole millimetres. A joint is written as its place relative to its parent, a frame as what
changed since the frame before, and zlib makes that smaller: about 4 kB for a body in 64 frames.
"""

import struct
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from gfp_serve.errors import InvalidRequestError
from gfp_serve.layouts import NTU25

# The layout and the most bodies of `preprocess.clean`, which is a room above this one.
LAYOUT = NTU25
MOST_BODIES = 2
MOST_FRAMES = 64
# Coordinates lie within this distance of the origin along each axis. Clips may span 2 km before they are scaled.
MOST_M = 4000.0
# Frames a second. At the fewest, a frame every 17 minutes, the time of the last frame number that can be still has its
# milliseconds.
LEAST_FPS, MOST_FPS = 1e-3, 1e6
MOST_FRAME_NUMBER = 2**31 - 1

_STEPS_PER_M = 1000
_MOST_STEPS = round(MOST_M * _STEPS_PER_M)
_VERSION = 1
# Version, frames, bodies, joints, and frames a second, 0 if these are not known.
_HEAD = struct.Struct("<BBBBd")


def _depth(joint: int) -> int:
    parent = LAYOUT.parents[joint]
    return 0 if parent < 0 else 1 + _depth(parent)


# Each joint after its parent.
_JOINTS = sorted(range(LAYOUT.num_joints), key=_depth)


@dataclass(frozen=True, eq=False)
class KeptMotion:
    """What a gallery keeps of an item's clip. `check_motion` says what is allowed.

    `frame_numbers` are those of the clip's own frames, from 0, rising. `fps` is the clip's frames a second; None if
    nobody said it.
    """

    positions: Float32[np.ndarray, "frames bodies joints 3"]  # metres, y up; NaN = lacking
    frame_numbers: Int64[np.ndarray, " frames"]
    fps: float | None = None

    @property
    def times_s(self) -> Float64[np.ndarray, " frames"] | None:
        """Seconds from the clip's first frame to each frame; None if the frames a second are not known."""
        return None if self.fps is None else self.frame_numbers / self.fps

    @property
    def is_whole(self) -> bool:
        """Whether it has every frame of its clip. Only then does its embedding equal the clip's, but for rounding."""
        return int(self.frame_numbers[-1]) == len(self.frame_numbers) - 1

    @cached_property
    def packed(self) -> bytes:
        """The bytes that `unpack` reads. Each coordinate is at most half a millimetre beside what it was."""
        frames, bodies, joints, _ = self.positions.shape
        known = np.isfinite(self.positions).all(axis=-1)
        steps = np.rint(np.where(known[..., None], self.positions, 0).astype(np.float64) * _STEPS_PER_M)
        relative = _relative(steps.astype(np.int64), known)
        numbers = np.diff(self.frame_numbers, prepend=0)
        content = b"".join(
            (_planes(numbers), np.packbits(known).tobytes(), _planes(np.diff(relative, axis=0, prepend=0)))
        )
        return _HEAD.pack(_VERSION, frames, bodies, joints, self.fps or 0.0) + zlib.compress(content)


def motion_of(
    positions: Float32[np.ndarray, "clip_frames bodies joints 3"],
    known: Bool[np.ndarray, "clip_frames bodies joints"],
    fps: float | None = None,
) -> KeptMotion | None:
    """The copy of a cleaned clip, see `preprocess.Cleaned`: frames at equal distances, the first and the last of them.

    None for a clip that no copy can hold, because a joint is further than `MOST_M` from the origin.
    """
    frames = np.linspace(0, len(positions) - 1, min(len(positions), MOST_FRAMES)).round().astype(np.int64)
    chosen = np.where(known[frames][..., None], positions[frames], np.float32(np.nan))
    far = np.nan_to_num(np.abs(chosen), nan=0.0, posinf=np.inf).max() > MOST_M
    return None if far else KeptMotion(chosen, frames, fps)


def check_motion(motion: KeptMotion) -> None:
    """Raise `InvalidRequestError` for a motion that cannot be kept."""
    positions, numbers = motion.positions, motion.frame_numbers
    if not (isinstance(positions, np.ndarray) and positions.dtype == np.float32):
        raise InvalidRequestError("the positions of the motion are not an array of float32.")
    shape = positions.shape
    check_shape(shape)
    lacking = np.isnan(positions)
    if not (lacking.all(axis=-1) == lacking.any(axis=-1)).all():
        raise InvalidRequestError("a joint of the motion lacks some of its coordinates; a lacking joint is all NaN.")
    # Infinity is beyond it too.
    if (np.abs(positions[~lacking]) > MOST_M).any():
        raise InvalidRequestError(
            f"a coordinate of the motion is infinite or beyond {MOST_M:g} m; coordinates are metres from the first "
            f"body's place."
        )
    is_rising = isinstance(numbers, np.ndarray) and numbers.dtype == np.int64 and numbers.shape == shape[:1]
    if not (is_rising and numbers[0] >= 0 and numbers[-1] <= MOST_FRAME_NUMBER and (np.diff(numbers) > 0).all()):
        raise InvalidRequestError(
            f"the frame numbers of the motion are not {shape[0]} rising numbers from 0 to {MOST_FRAME_NUMBER}, one for "
            f"each frame."
        )
    check_fps(motion.fps)


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise `InvalidRequestError` for positions of another shape than those of a motion."""
    if not (
        len(shape) == 4
        and 1 <= shape[0] <= MOST_FRAMES
        and 1 <= shape[1] <= MOST_BODIES
        and shape[2:] == (LAYOUT.num_joints, 3)
    ):
        raise InvalidRequestError(
            f"the motion has the shape {' × '.join(map(str, shape)) or 'of a single number'}; it has 1 to "
            f"{MOST_FRAMES} frames × 1 to {MOST_BODIES} bodies × {LAYOUT.num_joints} joints of {LAYOUT.name} × 3."
        )


def check_fps(fps: float | None) -> None:
    """Raise `InvalidRequestError` for frames a second that cannot be; None is unknown."""
    if fps is not None and not is_fps(fps):
        raise InvalidRequestError(
            f"{fps:g} are not frames a second; they lie from {LEAST_FPS:g} to {MOST_FPS:,.0f}. Leave them out if they "
            f"are not known."
        )


def is_fps(fps: float) -> bool:
    """Whether these can be frames a second of a movement; NaN cannot."""
    return bool(LEAST_FPS <= fps <= MOST_FPS)  # one of numpy's numbers gives one of its truths


def unpack(packed: bytes) -> KeptMotion:
    """The motion that `KeptMotion.packed` wrote, to the millimetre. Raises `InvalidRequestError` for other bytes.

    The memory that it takes is bounded, whatever the bytes are.
    """
    if len(packed) < _HEAD.size:
        raise _damaged(f"it has {len(packed)} bytes")
    version, frames, bodies, joints, fps = _HEAD.unpack_from(packed)
    if version != _VERSION:
        raise InvalidRequestError(
            f"the motion has format {version}; this release reads format {_VERSION}: use the release that wrote it."
        )
    if not (1 <= frames <= MOST_FRAMES and 1 <= bodies <= MOST_BODIES and joints == LAYOUT.num_joints):
        raise _damaged(f"it says {frames} frames, {bodies} bodies and {joints} joints")
    sizes = (4 * frames, -(-frames * bodies * joints // 8), 4 * frames * bodies * joints * 3)
    content = _inflated(packed[_HEAD.size :], sum(sizes))
    numbers = np.cumsum(_of_planes(content[: sizes[0]]))
    bits = np.frombuffer(content, np.uint8, sizes[1], sizes[0])
    known = np.unpackbits(bits, count=frames * bodies * joints).astype(bool).reshape(frames, bodies, joints)
    changes = _of_planes(content[sizes[0] + sizes[1] :]).reshape(frames, bodies, joints, 3)
    steps = np.cumsum(changes, axis=0)
    for joint in _JOINTS:
        if (parent := LAYOUT.parents[joint]) >= 0:
            steps[:, :, joint] += steps[:, :, parent]
    positions = (steps / _STEPS_PER_M).astype(np.float32)
    positions[~known] = np.nan
    if np.abs(steps[known]).max(initial=0) > _MOST_STEPS:
        raise _damaged(f"a coordinate is beyond {MOST_M:g} m")
    motion = KeptMotion(positions, numbers, fps or None)
    check_motion(motion)
    motion.__dict__["packed"] = packed  # as `cached_property` does
    return motion


def _inflated(content: bytes, num_bytes: int) -> bytes:
    """What zlib made smaller, which has this many bytes."""
    reader = zlib.decompressobj()
    try:
        # One byte more, so that too many are noticed; no more are made than that.
        found = reader.decompress(content, num_bytes + 1)
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if len(found) != num_bytes or not reader.eof or reader.unused_data:
        raise _damaged("it has more or fewer bytes than it says")
    return found


def _damaged(how: str) -> InvalidRequestError:
    return InvalidRequestError(f"the motion is damaged, or not one that a gallery kept: {how}.")


def _relative(
    steps: Int64[np.ndarray, "frames bodies joints 3"], known: Bool[np.ndarray, "frames bodies joints"]
) -> Int64[np.ndarray, "frames bodies joints 3"]:
    """Each joint's place relative to its parent. Where it is lacking, it is where it was last, relative to that."""
    places = steps.copy()
    relative = steps.copy()
    frame = np.arange(len(steps))[:, None]
    for joint in _JOINTS:
        parent = LAYOUT.parents[joint]
        start = places[:, :, parent] if parent >= 0 else np.zeros_like(places[:, :, joint])
        relative[:, :, joint] -= start
        seen = known[:, :, joint]
        if not seen.all():
            last = np.maximum.accumulate(np.where(seen, frame, -1), axis=0)  # frames, bodies
            held = np.take_along_axis(relative[:, :, joint], np.maximum(last, 0)[..., None], axis=0)
            relative[:, :, joint] = np.where((last >= 0)[..., None], held, 0)
            places[:, :, joint] = start + relative[:, :, joint]
    return relative


def _planes(numbers: Int64[np.ndarray, " *shape"]) -> bytes:
    """Numbers of at most 31 bits and a sign as four bytes each, the sign last: all first bytes, then all second ones.

    Small numbers have the same zeros in the later ones, which zlib makes small.
    """
    folded = ((numbers << 1) ^ (numbers >> 63)).astype("<u4")
    return np.ascontiguousarray(folded.reshape(-1).view(np.uint8).reshape(-1, 4).T).tobytes()


def _of_planes(content: bytes) -> Int64[np.ndarray, " numbers"]:
    folded = np.ascontiguousarray(np.frombuffer(content, np.uint8).reshape(4, -1).T).view("<u4").reshape(-1)
    wide = folded.astype(np.int64)
    return (wide >> 1) ^ -(wide & 1)
