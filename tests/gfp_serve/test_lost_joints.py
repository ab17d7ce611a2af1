"""Joints that a tracker lost and wrote as zeros or as minus one."""

import numpy as np
import pytest

from gfp_serve.layouts import NTU25
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.tiny_bundle import walk

HAND, SPINE = NTU25.joint_names.index("HandLeft"), NTU25.joint_names.index("SpineMid")


@pytest.mark.parametrize("mark", [0.0, -1.0])
def test_a_lost_joint_is_filled_as_if_it_were_nan(mark):
    seen = walk(3, frames=40)
    marked, as_nan = seen.copy(), seen.copy()
    marked[10:18, 0, HAND], as_nan[10:18, 0, HAND] = mark, np.nan
    before = marked.copy()
    np.testing.assert_array_equal(lost_as_nan(marked, NTU25), as_nan)
    np.testing.assert_array_equal(marked, before)
    cleaned, expected = (clean(raw, NTU25, CleanConfig()) for raw in (lost_as_nan(marked, NTU25), as_nan))
    np.testing.assert_array_equal(cleaned.positions, expected.positions)
    np.testing.assert_array_equal(cleaned.known, expected.known)


def test_a_sequence_without_such_joints_is_given_back_as_it_is():
    sequence = walk(3, frames=40)
    assert lost_as_nan(sequence, NTU25) is sequence
    nobody = np.zeros_like(sequence)
    assert lost_as_nan(nobody, NTU25) is nobody
    sequence[5:9, 0, HAND] = [0, 1, 0]
    assert lost_as_nan(sequence, NTU25) is sequence


def test_a_clip_that_is_centred_on_a_joint_of_the_spine_keeps_its_origin():
    sequence = walk(3, frames=40)
    by_first_frame = sequence - sequence[0, 0, SPINE]
    by_each_frame = sequence - sequence[:, :, SPINE, None]
    for centred in (by_first_frame, by_each_frame):
        assert lost_as_nan(centred, NTU25) is centred


def test_a_joint_of_the_spine_that_is_zero_later_was_lost():
    sequence = walk(3, frames=40)
    sequence[20:25, 0, SPINE] = 0
    assert np.isnan(lost_as_nan(sequence, NTU25)[:, 0, SPINE]).all(axis=1).nonzero()[0].tolist() == [20, 21, 22, 23, 24]


def test_frames_and_bodies_without_anybody_are_left_to_the_filling_of_gaps():
    sequence = np.concatenate([walk(3, frames=40), walk(4, frames=40)], axis=1)
    sequence[:10, 1] = 0
    sequence[:, 0, HAND] = 0
    found = lost_as_nan(sequence, NTU25)
    assert (found[:10, 1] == 0).all()
    assert np.isnan(found[:, 0, HAND]).all()
    assert np.isfinite(found[10:, 1]).all()


def test_a_second_body_that_comes_later_may_be_centred_too():
    sequence = np.concatenate([walk(3, frames=40), walk(4, frames=40)], axis=1)
    sequence[:10, 1] = np.nan
    sequence[10:, 1] -= sequence[10:, 1, SPINE, None]
    assert lost_as_nan(sequence, NTU25) is sequence
