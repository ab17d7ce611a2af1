import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import InvalidRequestError
from gfp_serve.windows import WindowCutter


@given(
    pieces=st.lists(st.integers(0, 20), max_size=12),
    length=st.integers(1, 15),
    stride=st.integers(1, 25),
)
def test_windows_are_the_same_for_all_pieces_in_which_frames_arrive(
    pieces: list[int], length: int, stride: int
) -> None:
    whole = np.arange(sum(pieces), dtype=np.float32).reshape(-1, 1, 1, 1) + np.zeros((1, 1, 2, 3), np.float32)
    cutter = WindowCutter(length, stride)
    found = []
    for piece in np.split(whole, np.cumsum(pieces)[:-1]):
        completes = cutter.completes(len(piece))
        windows = list(cutter.add(piece))
        assert completes == bool(windows)
        found += windows
    starts = range(0, len(whole) - length + 1, stride)
    assert [window.first_frame for window in found] == list(starts)
    for window in found:
        np.testing.assert_array_equal(window.sequence, whole[window.first_frame : window.first_frame + length])


@pytest.mark.parametrize("stride", [1, 10, 100])
def test_no_more_memory_than_two_windows_is_kept(stride: int) -> None:
    cutter = WindowCutter(10, stride)
    for number in range(50):
        list(cutter.add(np.zeros((1 + 17 * number % 50, 1, 2, 3), np.float32)))
        assert cutter._memory is not None
        assert len(cutter._memory) <= 20


def test_a_frame_at_a_time_costs_no_copy_of_all_that_are_kept() -> None:
    cutter, num_copies, memory = WindowCutter(300, 300), 0, None
    for _ in range(900):
        list(cutter.add(np.zeros((1, 1, 2, 3), np.float32)))
        num_copies += cutter._memory is not memory
        memory = cutter._memory
    assert num_copies < 30  # the memory doubles until it holds two windows


@pytest.mark.parametrize(("length", "stride"), [(0, 1), (1, 0), (-1, 5)])
def test_windows_of_length_or_stride_0_are_refused(length: int, stride: int) -> None:
    with pytest.raises(InvalidRequestError, match="both must be at least 1"):
        WindowCutter(length, stride)
