import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gfp_serve.preprocess import resample
from trainer.augment import MIN_WINDOW_FRAMES, augment, draw_rotation, draw_window
from trainer.schedule import clips_of_step, steps_per_epoch, warmup_cosine


def rate(step: int) -> float:
    return warmup_cosine(step, peak=1e-3, floor=5e-4, warmup_steps=10, total_steps=110)


def test_the_learning_rate_rises_in_a_line_and_falls_along_half_a_cosine() -> None:
    assert [rate(0), rate(5), rate(10)] == pytest.approx([0, 5e-4, 1e-3])
    assert rate(60) == pytest.approx(7.5e-4)  # half way between peak and floor
    assert rate(110) == pytest.approx(5e-4)


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 9))
def test_an_epoch_takes_no_clip_twice_and_differs_from_the_next(num_clips: int, batch: int, seed: int) -> None:
    batch = min(batch, num_clips)
    steps = steps_per_epoch(num_clips, batch)
    epochs = [
        np.concatenate(
            [
                clips_of_step(epoch * steps + place, num_clips=num_clips, batch_clips=batch, seed=seed)
                for place in range(steps)
            ]
        )
        for epoch in range(2)
    ]
    for epoch in epochs:
        assert len(epoch) == steps * batch == len(set(epoch.tolist()))
    if num_clips > 20:
        assert epochs[0].tolist() != epochs[1].tolist()


@given(st.integers(1, 1000), st.integers(0, 2**31))
def test_a_window_is_half_to_all_of_a_clip_and_inside_it(num_frames: int, seed: int) -> None:
    start, length = draw_window(num_frames, np.random.default_rng(seed))
    assert start >= 0
    assert start + length <= num_frames
    assert length >= min(num_frames, max(MIN_WINDOW_FRAMES, num_frames // 2))


def test_a_rotation_turns_without_stretching() -> None:
    turn = draw_rotation(np.random.default_rng(0))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(turn) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("length", [1, 2, 63, 120, 299, 20_000])
def test_resampling_equals_torchs_linear_interpolation(length: int) -> None:
    track = np.random.default_rng(length).normal(size=(length, 6)).astype(np.float32)
    theirs = functional.interpolate(torch.from_numpy(track.T)[None], size=120, mode="linear", align_corners=False)
    np.testing.assert_allclose(resample(track, 120), theirs[0].numpy().T, atol=1e-6)


def test_an_augmented_clip_keeps_its_bones_and_comes_in_model_axes() -> None:
    still = np.random.default_rng(1).normal(size=(1, 2, 25, 3)).astype(np.float32).repeat(50, axis=0)
    bodies = augment(still, num_frames=120, draws=np.random.default_rng(2))
    assert bodies.shape == (2, 120, 25, 3)
    bones = np.linalg.norm(np.diff(still[0], axis=1), axis=-1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(bodies[:, 60], axis=1), axis=-1), bones, atol=1e-5)
