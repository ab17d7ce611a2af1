"""The movement of one body, from a clip or from what a gallery keeps of it, and the angles of its joints."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from gfp_serve.errors import InvalidRequestError, quoted
from gfp_serve.kept_motion import LAYOUT, KeptMotion
from gfp_serve.layouts import NTU25, Layout
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import CleanConfig, clean

_J = {name: joint for joint, name in enumerate(NTU25.canonical_names)}
# Of each angle: the joint that it is called by, and the joints at the ends of its two sides.
_SIDES = tuple(
    (f"{joint}{side}", first.format(side), last.format(side))
    for side in ("Left", "Right")
    for joint, first, last in (
        ("Shoulder", "Elbow{}", "Hip{}"),
        ("Elbow", "Shoulder{}", "Wrist{}"),
        ("Hip", "SpineShoulder", "Knee{}"),
        ("Knee", "Hip{}", "Ankle{}"),
        ("Ankle", "Knee{}", "Foot{}"),
    )
) + (("SpineMid", "SpineBase", "SpineShoulder"), ("Neck", "SpineShoulder", "Head"))
_VERTEX, _FIRST, _LAST = (np.array([_J[name] for name in column]) for column in zip(*_SIDES, strict=True))
# Both ends of the trunk.
ROOT, TOP = _J["SpineBase"], _J["SpineShoulder"]
_UP = np.array([0.0, 1.0, 0.0])

# The joint of "ntu25" by which each angle is called. The last is how upright the trunk is: 180 for upright.
ANGLE_JOINTS: tuple[int, ...] = (*_VERTEX.tolist(), ROOT)
_AS_IT_IS = CleanConfig(align_view=False, scale_torso=False)
# A side that is shorter has no direction.
_LEAST_M = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Movement:
    """One body in the joints of "ntu25"."""

    positions: Float32[np.ndarray, "frames joints 3"]  # metres, y up; a place holder where a joint is not known
    known: Bool[np.ndarray, "frames joints"]
    times_s: Float64[np.ndarray, " frames"] | None  # of each frame; None if the frames a second are not known
    has_depth: bool = True  # False for joints of an image

    @property
    def num_frames(self) -> int:
        return len(self.positions)

    @property
    def seconds(self) -> float | None:
        """From the first frame to the last; None if that is not known."""
        return None if self.times_s is None else float(self.times_s[-1] - self.times_s[0])

    def at(self, frames: np.ndarray) -> "Movement":
        """Only these frames."""
        times_s = None if self.times_s is None else self.times_s[frames]
        return Movement(self.positions[frames], self.known[frames], times_s, self.has_depth)


def movement_of_clip(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout, fps: float | None
) -> Movement:
    """The body of a clip that moves most, cleaned as for an encoder. Raises `InvalidSkeletonError` if there is none."""
    cleaned = clean(lost_as_nan(sequence, layout), layout, _AS_IT_IS)
    times_s = None if fps is None else np.arange(len(cleaned.positions)) / fps
    return Movement(cleaned.positions[:, 0], cleaned.known[:, 0], times_s, cleaned.has_depth)


def movement_of_kept(motion: KeptMotion | None, id: str) -> Movement:
    """The same of the motion that a gallery keeps of an item, in which lacking joints are NaN and nothing else is lost.

    Raises `InvalidRequestError` if it keeps none.
    """
    if motion is None:
        raise InvalidRequestError(
            f"the gallery keeps no motion of item {quoted(id)}; send its clip instead, or add it again to a gallery "
            f"that keeps motions (--keep-motion of gfp-serve)."
        )
    cleaned = clean(motion.positions, LAYOUT, _AS_IT_IS)
    return Movement(cleaned.positions[:, 0], cleaned.known[:, 0], motion.times_s, cleaned.has_depth)


def joint_angles(movement: Movement) -> Float64[np.ndarray, "frames angles"]:
    """The angle at each of `ANGLE_JOINTS` in degrees, 0 to 180; NaN where one of its joints is not known.

    180 is straight. It does not depend on where the body stands, which way it faces, and how large it is.
    """
    places = movement.positions.astype(np.float64)
    known = movement.known
    ends = [places[:, joints] - places[:, _VERTEX] for joints in (_FIRST, _LAST)]
    angles = _between(*ends)
    angles[~(known[:, _VERTEX] & known[:, _FIRST] & known[:, _LAST])] = np.nan
    trunk = places[:, TOP] - places[:, ROOT]
    upright = 180 - _between(trunk, np.broadcast_to(_UP, trunk.shape))
    upright[~(known[:, TOP] & known[:, ROOT])] = np.nan
    return np.concatenate([angles, upright[:, None]], axis=1)


def _between(
    one: Float64[np.ndarray, "*axes 3"], other: Float64[np.ndarray, "*axes 3"]
) -> Float64[np.ndarray, "*axes"]:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.where(lengths > _LEAST_M**2, (one * other).sum(axis=-1) / lengths, np.nan)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
