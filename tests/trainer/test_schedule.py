import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gfp_serve.preprocess import resample
from trainer.data.rotations import rotations
from trainer.data.windows import MIN_FRAMES, draw_windows
from trainer.schedule import take, warmup_cosine


def rate(step: int) -> float:
    return warmup_cosine(step, peak=1e-3, floor=5e-4, warmup_steps=10, total_steps=110)


def test_the_learning_rate_rises_in_a_line_and_falls_along_half_a_cosine() -> None:
    assert [rate(0), rate(5), rate(10)] == pytest.approx([0, 5e-4, 1e-3])
    assert rate(60) == pytest.approx(7.5e-4)  # half way between peak and floor
    assert rate(110) == pytest.approx(5e-4)


@given(st.integers(1, 200), st.integers(0, 500), st.integers(1, 450))
def test_clips_are_taken_in_passes_that_use_each_once(num_clips: int, start: int, count: int) -> None:
    taken = take(start, count, num_clips=num_clips, key=(7,))
    whole = take(0, start + count, num_clips=num_clips, key=(7,))
    assert taken.tolist() == whole[start:].tolist()
    for begin in range(0, len(whole) - num_clips + 1, num_clips):
        assert sorted(whole[begin : begin + num_clips]) == list(range(num_clips))


def test_different_passes_and_keys_give_different_orders() -> None:
    first, second = np.split(take(0, 200, num_clips=100, key=(0, 1)), 2)
    other = take(0, 100, num_clips=100, key=(0, 2))
    assert first.tolist() != second.tolist()
    assert first.tolist() != other.tolist()


def test_a_window_lies_in_its_clip_and_has_half_to_all_of_its_length() -> None:
    num_frames = np.arange(1, 1001).repeat(20)
    windows = draw_windows(num_frames, np.random.default_rng(0))
    assert (windows.start >= 0).all()
    assert (windows.start + windows.length <= num_frames).all()
    assert (windows.length >= np.minimum(num_frames, np.maximum(MIN_FRAMES, num_frames // 2))).all()
    # Both ranges are used fully.
    many = draw_windows(np.full(2000, 1000), np.random.default_rng(1))
    assert (many.length.min() < 510, many.length.max() > 990) == (True, True)
    assert (many.start.min() == 0, (many.start + many.length).max() == 1000) == (True, True)


def test_a_rotation_turns_without_stretching_about_the_axes_in_order() -> None:
    turns = draw_windows(np.full(50, 100), np.random.default_rng(0)).rotation
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-6)
    quarter = np.pi / 2
    # x by a quarter takes y to z; z by a quarter then leaves it there. z alone takes x to y.
    angles = torch.tensor([[quarter, 0, quarter], [0, 0, quarter], [0, quarter, 0]])
    both, about_z, about_y = rotations(angles).numpy()
    np.testing.assert_allclose(both @ [0, 1, 0], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(about_z @ [1, 0, 0], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(about_y @ [0, 0, 1], [1, 0, 0], atol=1e-6)
    # With z first, y is taken to −x, which x by a quarter leaves there.
    z_first = rotations(angles, (2, 1, 0))[0].numpy()
    np.testing.assert_allclose(z_first @ [0, 1, 0], [-1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 63, 120, 299, 20_000])
def test_resampling_equals_torchs_linear_interpolation(length: int) -> None:
    track = np.random.default_rng(length).normal(size=(length, 6)).astype(np.float32)
    theirs = functional.interpolate(torch.from_numpy(track.T)[None], size=120, mode="linear", align_corners=False)
    np.testing.assert_allclose(resample(track, 120), theirs[0].numpy().T, atol=1e-6)
