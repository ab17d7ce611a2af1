"""How a movement differs from a wanted one: aligned in time, then joint by joint.

What is compared is the pose, with the hips in one place. Both movements are turned to face the same way, and the bones
get the lengths of the wanted one's, so that a tall person, or one whom a camera sees from another side, is not told to
move otherwise. Where a person goes is not compared, and neither are hands beyond the wrist.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from gfp_serve.errors import InvalidRequestError
from gfp_serve.layouts import NTU25
from gfp_serve.movement import ANGLE_JOINTS, ROOT, TOP, Movement, joint_angles
from gfp_serve.preprocess import rotate_about_vertical

# Longer movements are compared in this many frames at equal distances.
MOST_FRAMES = 300
_MOST_WORST = 5
# Moments within half a second of a worse one are the same; without times, within a twentieth of the steps.
_APART_S, _APART = 0.5, 0.05
_CM = 100.0
# Few sources see hands well, and who sees a wrist knows where the hand is.
_HANDS = [joint for joint, name in enumerate(NTU25.canonical_names) if name.startswith(("Hand", "Thumb"))]
# Alignment and turn are found in turns; they settle after two.
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class JointDifference:
    """A joint of "ntu25" at each step of the alignment. NaN where one of both movements lacks it."""

    joint: int
    cm: Float64[np.ndarray, " steps"]  # distance from where it is wanted
    degrees: Float64[np.ndarray, " steps"] | None  # wanted less shown: above 0 where it should be straighter

    @property
    def mean_cm(self) -> float:
        """Over the steps at which both have it."""
        return float(np.nanmean(self.cm))

    @property
    def mean_degrees(self) -> float | None:
        """Over the steps at which both have the angle; None without one."""
        return None if self.degrees is None else float(np.nanmean(self.degrees))

    @property
    def most_degrees(self) -> float | None:
        """The difference that is furthest from 0; None without an angle."""
        return None if self.degrees is None else float(self.degrees[np.nanargmax(np.abs(self.degrees))])


@dataclass(frozen=True, slots=True, eq=False)
class WorstMoment:
    """A step of the alignment at which the movements differ more than around it."""

    step: int
    mean_cm: float  # of all joints
    joint: int  # the joint that differs most
    joint_cm: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What differs. Positions of both movements are metres from the hips."""

    motion: Movement
    wanted: Movement
    motion_frames: Int64[np.ndarray, " steps"]
    wanted_frames: Int64[np.ndarray, " steps"]
    joints: list[JointDifference]  # those that differ most first; "SpineBase", with how upright the trunk is, last
    worst_moments: list[WorstMoment]  # worst first
    mean_cm: float  # of all joints and steps

    @property
    def tempo(self) -> float | None:
        """How many times longer the motion takes than the wanted one; None if either has no times."""
        seconds, wanted = self.motion.seconds, self.wanted.seconds
        return seconds / wanted if seconds is not None and wanted else None


def compare(motion: Movement, wanted: Movement) -> Comparison:
    """Compare a movement with a wanted one.

    Raises `InvalidRequestError` if one is of an image and the other is not, or if they have no joint in common.
    """
    found: list[Comparison] = []
    deque(comparing(motion, wanted, found), maxlen=0)
    return found[0]


def comparing(motion: Movement, wanted: Movement, found: list[Comparison]) -> Generator[None, None, None]:
    """The same in pieces of about a tenth of a second; the comparison is added to `found`."""
    if motion.has_depth != wanted.has_depth:
        raise InvalidRequestError(
            "one of the motions has joints of an image, and the other has joints in space; compare two of a kind."
        )
    motion, wanted = _shortened(motion), _shortened(wanted)
    common: Bool[np.ndarray, " joints"] = np.logical_and(motion.known.any(axis=0), wanted.known.any(axis=0))
    common[_HANDS] = False
    has_trunk = bool(common[ROOT])
    common[ROOT] = False  # it is where both are held
    if not common.any():
        raise _nothing_in_common()
    goal = _from_hips(wanted.positions)
    shown = _from_hips(motion.positions)
    shown = _with_bones_of(shown, motion, goal, wanted) if motion.has_depth else _with_trunk_of(shown, goal)
    if motion.has_depth:
        shown = _facing(shown, goal)
    known, known_goal = motion.known & common, wanted.known & common
    yield
    steps = _aligned(_distances(shown, known, goal, known_goal))
    for _ in range(_ROUNDS if motion.has_depth else 0):
        yield
        both = (known[steps[0]] & known_goal[steps[1]])[..., None]
        turned = rotate_about_vertical(shown, _best_turn(shown[steps[0]] * both, goal[steps[1]] * both))
        again = _aligned(_distances(turned, known, goal, known_goal))
        shown = turned
        if np.array_equal(again, steps):
            break
        steps = again
    motion = Movement(shown, motion.known, motion.times_s, motion.has_depth)
    wanted = Movement(goal, wanted.known, wanted.times_s, wanted.has_depth)
    yield
    joints = _joint_differences(motion, wanted, steps, common)
    if not joints:  # each is known in both, but never at the same step
        raise _nothing_in_common()
    worst = _worst_moments(joints, wanted, steps)
    mean_cm = float(np.nanmean(np.stack([joint.cm for joint in joints])))
    if has_trunk:  # where it is does not differ, but how upright the trunk is
        common[:] = False
        common[ROOT] = True
        joints += _joint_differences(motion, wanted, steps, common)
    found.append(Comparison(motion, wanted, steps[0], steps[1], joints, worst, mean_cm))


def _nothing_in_common() -> InvalidRequestError:
    return InvalidRequestError("the motions have no joint in common; compare motions that show the same joints.")


def _shortened(movement: Movement) -> Movement:
    if movement.num_frames <= MOST_FRAMES:
        return movement
    return movement.at(np.linspace(0, movement.num_frames - 1, MOST_FRAMES).round().astype(int))


def _from_hips(positions: Float32[np.ndarray, "frames joints 3"]) -> Float32[np.ndarray, "frames joints 3"]:
    return positions - positions[:, [ROOT]]


def _with_bones_of(
    shown: Float32[np.ndarray, "frames joints 3"],
    motion: Movement,
    goal: Float32[np.ndarray, "wanted_frames joints 3"],
    wanted: Movement,
) -> Float32[np.ndarray, "frames joints 3"]:
    """The same directions of bones, each as long as in the wanted movement, as far as both show it."""
    given = np.zeros_like(shown)
    parents = NTU25.parents
    for joint in _from_root():
        parent = parents[joint]
        bone = shown[:, joint] - shown[:, parent]
        own = _bone_length(shown, motion.known, joint, parent)
        other = _bone_length(goal, wanted.known, joint, parent)
        scale = other / own if own is not None and other is not None and own > 1e-3 else 1.0
        given[:, joint] = given[:, parent] + bone * np.float32(scale)
    return given


def _from_root() -> list[int]:
    """All joints but the root, each after its parent."""
    order = [ROOT]
    for joint in order:
        order += [child for child, parent in enumerate(NTU25.parents) if parent == joint]
    return order[1:]


def _bone_length(
    places: Float32[np.ndarray, "frames joints 3"], known: np.ndarray, joint: int, parent: int
) -> float | None:
    frames = known[:, joint] & known[:, parent]
    if not frames.any():
        return None
    return float(np.median(np.linalg.norm(places[frames, joint] - places[frames, parent], axis=-1)))


def _with_trunk_of(
    shown: Float32[np.ndarray, "frames joints 3"], goal: Float32[np.ndarray, "wanted_frames joints 3"]
) -> Float32[np.ndarray, "frames joints 3"]:
    """In an image, bones look shorter when they point at the camera, so only the size of the person is made equal."""
    own, other = (float(np.median(np.linalg.norm(places[:, TOP], axis=-1))) for places in (shown, goal))
    return shown * np.float32(other / own) if own > 1e-6 and other > 1e-6 else shown


def _facing(
    shown: Float32[np.ndarray, "frames joints 3"], goal: Float32[np.ndarray, "wanted_frames joints 3"]
) -> Float32[np.ndarray, "frames joints 3"]:
    """Turned so that the mean poses fit best: where to begin."""
    return rotate_about_vertical(shown, _best_turn(shown.mean(axis=0), goal.mean(axis=0)))


def _best_turn(shown: Float32[np.ndarray, "*axes 3"], goal: Float32[np.ndarray, "*axes 3"]) -> float:
    """The angle of `rotate_about_vertical` after which points are nearest to the goal (Procrustes, in the plane)."""
    x, z, goal_x, goal_z = (side[..., axis].astype(np.float64) for side in (shown, goal) for axis in (0, 2))
    return float(np.arctan2((x * goal_z - z * goal_x).sum(), (x * goal_x + z * goal_z).sum()))


def _distances(
    shown: Float32[np.ndarray, "frames joints 3"],
    known: np.ndarray,
    goal: Float32[np.ndarray, "wanted_frames joints 3"],
    known_goal: np.ndarray,
) -> Float64[np.ndarray, "frames wanted_frames"]:
    """The mean distance of joints between every two frames, in metres; where they share no joint, the mean of all."""
    total = np.zeros((len(shown), len(goal)))
    count = np.zeros((len(shown), len(goal)))
    for joint in range(shown.shape[1]):
        both = known[:, [joint]] & known_goal[:, joint]
        if both.any():
            apart = np.linalg.norm(shown[:, None, joint] - goal[None, :, joint], axis=-1)
            total += np.where(both, apart, 0)
            count += both
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return np.where(np.isnan(mean), np.nanmean(mean) if (count > 0).any() else 0.0, mean)


def _aligned(distances: Float64[np.ndarray, "frames wanted_frames"]) -> Int64[np.ndarray, "2 steps"]:
    """The steps from the first frames to the last ones whose distances have the least sum (dynamic time warping).

    A step goes on in one movement or in both; one in both counts twice, so that detours do not pay (the symmetric form
    of Sakoe and Chiba, 1978). Cells of a diagonal do not depend on each other, and are found at once.
    """
    rows, columns = distances.shape
    sums = np.full((rows + 1, columns + 1), np.inf)
    sums[0, 0] = -distances[0, 0]  # its first step is counted once
    for diagonal in range(rows + columns - 1):
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        column = diagonal - row
        here = distances[row, column]
        both = sums[row, column] + 2 * here
        one = np.minimum(sums[row, column + 1], sums[row + 1, column]) + here
        sums[row + 1, column + 1] = np.minimum(both, one)
    row, column = rows - 1, columns - 1
    steps = [(row, column)]
    while row or column:
        before = sums[row, column], sums[row, column + 1], sums[row + 1, column]
        weighted = (before[0] + distances[row, column], before[1], before[2])
        best = int(np.argmin(weighted))
        row, column = row - (best != 2), column - (best != 1)
        steps.append((row, column))
    return np.array(steps[::-1]).T


def _joint_differences(
    motion: Movement, wanted: Movement, steps: Int64[np.ndarray, "2 steps"], common: np.ndarray
) -> list[JointDifference]:
    apart = np.linalg.norm(motion.positions[steps[0]] - wanted.positions[steps[1]], axis=-1).astype(np.float64) * _CM
    apart[~(motion.known[steps[0]] & wanted.known[steps[1]])] = np.nan
    angles = joint_angles(wanted)[steps[1]] - joint_angles(motion)[steps[0]]
    differences = []
    for joint in np.flatnonzero(common).tolist():
        if not np.isfinite(apart[:, joint]).any():  # known in both, but never at the same step
            continue
        degrees = angles[:, ANGLE_JOINTS.index(joint)] if joint in ANGLE_JOINTS else None
        if degrees is not None and not np.isfinite(degrees).any():
            degrees = None
        differences.append(JointDifference(joint, apart[:, joint], degrees))
    return sorted(differences, key=lambda difference: -difference.mean_cm)


def _worst_moments(
    joints: list[JointDifference], wanted: Movement, steps: Int64[np.ndarray, "2 steps"]
) -> list[WorstMoment]:
    apart = np.stack([joint.cm for joint in joints])  # joints, steps
    seen = np.isfinite(apart)
    count = seen.sum(axis=0)
    mean = np.where(count > 0, np.where(seen, apart, 0).sum(axis=0) / np.maximum(count, 1), -np.inf)
    if wanted.times_s is None:
        near = np.arange(len(mean)) / max(len(mean) - 1, 1)
        distance = _APART
    else:
        near, distance = wanted.times_s[steps[1]], _APART_S
    moments: list[WorstMoment] = []
    left = np.isfinite(mean)
    # First and last frames are aligned because they must be, however much they differ. Steps at which one of both is
    # there count only where they differ more than all steps between.
    between = np.logical_and(steps > 0, steps < steps[:, -1:]).all(axis=0)
    if (left & between).any():
        left &= between | (mean > mean[between].max())
    while left.any() and len(moments) < _MOST_WORST:
        step = int(np.argmax(np.where(left, mean, -np.inf)))
        worst = int(np.nanargmax(apart[:, step]))
        moments.append(WorstMoment(step, float(mean[step]), joints[worst].joint, float(apart[worst, step])))
        left &= np.abs(near - near[step]) >= distance
    return moments
