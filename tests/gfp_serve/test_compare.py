"""Two movements aligned in time and compared joint by joint."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfp_serve import compare as module
from gfp_serve.compare import MOST_FRAMES, compare
from gfp_serve.errors import InvalidRequestError
from gfp_serve.layouts import NTU25
from gfp_serve.movement import Movement, movement_of_clip
from gfp_serve.preprocess import rotate_about_vertical
from tests.support.moving_person import curling

LEGS = ("Hip", "Knee", "Ankle", "Foot")
ELBOW, WRIST = NTU25.canonical_names.index("ElbowLeft"), NTU25.canonical_names.index("WristLeft")


def movement(clip: np.ndarray, fps: float | None = 30.0) -> Movement:
    return movement_of_clip(clip, NTU25, fps)


def test_the_same_movement_of_a_larger_person_who_faces_elsewhere_and_is_slower_does_not_differ() -> None:
    wanted = movement(curling(2, seconds_each=1.0))
    clip = rotate_about_vertical(curling(2, seconds_each=2.0), 2.5) * np.float32(1.4) + np.float32(3)
    found = compare(movement(clip), wanted)
    assert found.mean_cm < 0.5
    assert found.tempo == pytest.approx(6 / 4, rel=0.02)  # a second of rest before and after


def test_an_arm_that_bends_less_is_named_with_its_centimetres_degrees_and_moment() -> None:
    found = compare(movement(curling(1, most_degrees=60.0)), movement(curling(1, most_degrees=90.0)))
    joints = {each.joint: each for each in found.joints}
    elbow = joints[ELBOW].degrees
    assert elbow is not None
    assert np.nanmin(elbow) == pytest.approx(-30, abs=3)  # it should be 30 degrees less straight
    assert joints[ELBOW].mean_cm < 0.01 < 1 < joints[WRIST].mean_cm
    worst = found.worst_moments[0]
    wanted_s = found.wanted.times_s
    assert wanted_s is not None
    assert wanted_s[found.wanted_frames[worst.step]] == pytest.approx(2, abs=0.3)  # where it is bent most
    assert NTU25.canonical_names[worst.joint] in ("WristLeft", "WristRight")
    assert worst.joint_cm > worst.mean_cm
    assert [each.mean_cm for each in found.joints] == sorted((each.mean_cm for each in found.joints), reverse=True)


def test_worst_moments_are_apart_and_five_at_most() -> None:
    found = compare(movement(curling(8, most_degrees=40.0)), movement(curling(8, most_degrees=90.0)))
    wanted_s = found.wanted.times_s
    assert wanted_s is not None
    at = sorted(wanted_s[found.wanted_frames[each.step]] for each in found.worst_moments)
    assert len(at) == 5
    assert np.diff(at).min() >= 0.5


@pytest.mark.parametrize(("at_end", "at_middle", "is_end_worst"), [(0.1, 0.5, False), (0.5, 0.1, True)])
def test_an_end_is_a_worst_moment_only_if_it_differs_most(at_end: float, at_middle: float, is_end_worst: bool) -> None:
    wanted, shown = curling(2), curling(2)
    middle = len(shown) // 2
    shown[:6, 0, WRIST, 0] += at_end
    shown[middle : middle + 6, 0, WRIST, 0] += at_middle
    found = compare(movement(shown), movement(wanted))
    at = [int(found.motion_frames[each.step]) for each in found.worst_moments]
    assert middle <= at[int(is_end_worst)] < middle + 6
    assert (0 in at) is is_end_worst


def test_joints_that_one_of_both_lacks_are_left_out_and_lost_ones_are_nan() -> None:
    whole = movement(curling(1))
    known = whole.known & (np.arange(25) != NTU25.canonical_names.index("WristRight"))
    known[:40, WRIST] = False
    found = compare(Movement(whole.positions, known, whole.times_s), whole)
    names = [NTU25.canonical_names[each.joint] for each in found.joints]
    assert "WristRight" not in names
    assert "WristLeft" in names
    wrist = next(each for each in found.joints if each.joint == WRIST)
    assert np.isnan(wrist.cm[0])
    assert np.isfinite(wrist.mean_cm)


def test_long_movements_are_compared_in_fewer_frames() -> None:
    found = compare(movement(curling(8)), movement(curling(1)))
    assert found.motion.num_frames == MOST_FRAMES
    assert found.motion.seconds == pytest.approx(18, abs=0.1)


def test_without_times_there_is_no_tempo_and_worst_moments_are_apart_by_steps() -> None:
    found = compare(movement(curling(2), None), movement(curling(2, most_degrees=50.0), None))
    assert found.tempo is None
    assert found.worst_moments


def test_joints_of_an_image_are_not_compared_with_joints_in_space() -> None:
    flat = curling(1)
    flat[..., 2] = 0
    with pytest.raises(InvalidRequestError, match="compare two of a kind"):
        compare(movement(flat), movement(curling(1)))
    assert compare(movement(flat * np.float32(2)), movement(flat)).mean_cm == pytest.approx(0, abs=0.01)


def test_without_a_joint_in_common_there_is_nothing_to_compare() -> None:
    one = movement(curling(1))
    left = Movement(one.positions, one.known & (np.arange(25) < 5), one.times_s)
    right = Movement(one.positions, one.known & (np.arange(25) > 10), one.times_s)
    with pytest.raises(InvalidRequestError, match="no joint in common"):
        compare(left, right)
    # Known in both, but never at the same step of the alignment.
    half = np.arange(one.num_frames)[:, None] < one.num_frames // 2
    never = [
        Movement(one.positions, one.known & frames & (np.arange(25) == 3), one.times_s) for frames in (half, ~half)
    ]
    with pytest.raises(InvalidRequestError, match="no joint in common"):
        compare(*never)


def test_how_upright_the_trunk_is_is_told_in_degrees() -> None:
    leaning = curling(1)
    above = np.array([joint for joint, name in enumerate(NTU25.canonical_names) if not name.startswith(LEGS)])
    leaning[:, 0, above, 2] += (leaning[:, 0, above, 1] - 1.0) * np.tan(np.radians(20))
    found = compare(movement(leaning), movement(curling(1)))
    trunk = next(each for each in found.joints if NTU25.canonical_names[each.joint] == "SpineBase")
    assert trunk.mean_degrees == pytest.approx(20, abs=1)
    assert trunk.mean_cm == 0


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_the_alignment_has_the_least_sum_of_all(seed: int, rows: int, columns: int) -> None:
    distances = np.random.default_rng(seed).random((rows, columns))
    steps = module._aligned(distances)
    assert steps[:, 0].tolist() == [0, 0]
    assert steps[:, -1].tolist() == [rows - 1, columns - 1]
    moves = np.diff(steps, axis=1)
    assert set(map(tuple, moves.T.tolist())) <= {(0, 1), (1, 0), (1, 1)}
    weights = [1, *moves.sum(axis=0)]
    total = float((distances[steps[0], steps[1]] * weights).sum())
    assert total == pytest.approx(least_sum(distances, rows - 1, columns - 1))


def least_sum(distances: np.ndarray, row: int, column: int) -> float:
    """The same by its definition."""
    here = float(distances[row, column])
    if row == column == 0:
        return here
    ways = []
    if row and column:
        ways.append(least_sum(distances, row - 1, column - 1) + 2 * here)
    if row:
        ways.append(least_sum(distances, row - 1, column) + here)
    if column:
        ways.append(least_sum(distances, row, column - 1) + here)
    return min(ways)
