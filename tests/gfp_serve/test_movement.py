"""The movement of one body, and the angles of its joints."""

from dataclasses import replace

import numpy as np
import pytest

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.kept_motion import KeptMotion, motion_of
from gfp_serve.layouts import NTU25
from gfp_serve.movement import ANGLE_JOINTS, Movement, joint_angles, movement_of_clip, movement_of_kept
from gfp_serve.preprocess import CleanConfig, clean, rotate_about_vertical
from tests.support.moving_person import curling


def angle_of(name: str) -> int:
    return ANGLE_JOINTS.index(NTU25.canonical_names.index(name))


def test_an_elbow_has_the_angle_by_which_it_is_bent_and_upright_is_180() -> None:
    angles = joint_angles(movement_of_clip(curling(1, most_degrees=80.0), NTU25, 30.0))
    elbow = angles[:, angle_of("ElbowLeft")]
    assert elbow[0] - elbow.min() == pytest.approx(80, abs=1)
    assert elbow[0] == pytest.approx(elbow[-1])
    np.testing.assert_allclose(angles[:, angle_of("SpineBase")], 180, atol=0.1)


def test_angles_do_not_depend_on_place_direction_and_size() -> None:
    clip = curling(1)
    other = rotate_about_vertical(clip, 1.1) * np.float32(1.3) + np.float32(4)
    expected, found = (joint_angles(movement_of_clip(each, NTU25, None)) for each in (clip, other))
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_an_angle_is_not_known_where_one_of_its_joints_is_lost() -> None:
    whole = movement_of_clip(curling(1), NTU25, None)
    wrist = NTU25.canonical_names.index("WristLeft")
    angles = joint_angles(Movement(whole.positions, whole.known & (np.arange(25) != wrist), None))
    assert np.isnan(angles[:, angle_of("ElbowLeft")]).all()
    assert np.isfinite(angles[:, angle_of("ElbowRight")]).all()


def test_a_kept_motion_is_the_same_movement_with_its_times() -> None:
    clip = curling(2)
    cleaned = clean(clip, NTU25, CleanConfig())
    kept = motion_of(cleaned.positions, cleaned.known, 30.0)
    assert kept is not None
    movement, whole = movement_of_kept(kept, "a"), movement_of_clip(clip, NTU25, 30.0)
    assert movement.num_frames == 64
    assert movement.seconds == pytest.approx(whole.seconds)
    np.testing.assert_allclose(joint_angles(movement), joint_angles(whole.at(kept.frame_numbers)), atol=0.01)


def test_gaps_of_a_kept_motion_are_filled_so_that_no_joint_jumps_to_the_origin() -> None:
    cleaned = clean(curling(1), NTU25, CleanConfig())
    kept = motion_of(cleaned.positions, cleaned.known, 30.0)
    assert kept is not None
    gaps = kept.positions.copy()
    gaps[10:40, 0, NTU25.canonical_names.index("SpineBase")] = np.nan
    whole, filled = movement_of_kept(kept, "a"), movement_of_kept(replace(kept, positions=gaps), "a")
    np.testing.assert_allclose(filled.positions, whole.positions, atol=0.01)
    assert not filled.known[10:40, 0].any()


def test_a_kept_motion_without_anybody_is_refused() -> None:
    nobody = KeptMotion(np.full((3, 1, 25, 3), np.nan, dtype=np.float32), np.arange(3))
    with pytest.raises(InvalidSkeletonError):
        movement_of_kept(nobody, "a")
