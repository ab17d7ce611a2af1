import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.layouts import NTU25
from gfp_serve.skeleton import MAX_COORDINATE_M, check_sequence


@given(st.integers(1, 5), st.sampled_from([np.float16, np.float32, np.float64, np.int32, np.uint8]))
def test_a_sequence_without_body_axis_is_one_body_of_any_number_type(num_frames, dtype):
    checked = check_sequence(np.ones((num_frames, 25, 3), dtype=dtype), NTU25)
    assert (checked.shape, checked.dtype) == ((num_frames, 1, 25, 3), np.float32)


def test_nan_is_not_seen_and_allowed():
    assert np.isnan(check_sequence(np.full((2, 1, 25, 3), np.nan), NTU25)).all()


def test_the_callers_array_is_not_changed():
    sequence = np.ones((2, 25, 3), dtype=np.float32)
    check_sequence(sequence, NTU25)[:] = 7
    assert (sequence == 1).all()


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (np.zeros((4, 20, 3)), "25 × 3 for one body.*got 4 × 20 × 3"),
        (np.zeros((4, 1, 25, 2)), "got 4 × 1 × 25 × 2"),
        (np.zeros((25, 3)), "got 25 × 3"),
        (np.array(1.0), "a single number"),
        (np.zeros((0, 1, 25, 3)), "0 frames and 1 bodies"),
        (np.zeros((4, 0, 25, 3)), "4 frames and 0 bodies"),
        (np.zeros((4, 25, 3), dtype=bool), "array of numbers, got bool"),
        (np.full((4, 25, 3), "1.0"), "array of numbers"),
        (np.zeros((4, 25, 3), dtype=complex), "array of numbers, got complex128"),
    ],
)
def test_a_sequence_of_another_shape_or_kind_is_refused_with_what_it_is(sequence, expected):
    with pytest.raises(InvalidSkeletonError, match=expected):
        check_sequence(sequence, NTU25)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1.01 * MAX_COORDINATE_M, -1e300])
def test_a_coordinate_out_of_range_is_named_by_frame_body_joint_and_axis(value):
    sequence = np.zeros((3, 2, 25, 3))
    sequence[2, 1, NTU25.joint_names.index("Head"), 1] = value
    with pytest.raises(InvalidSkeletonError, match=r"1 coordinates.*frame 2, body 1, joint 'Head', axis y"):
        check_sequence(sequence, NTU25)
