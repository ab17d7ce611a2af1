"""Random windows and rotations. They only choose arguments of the shared preprocessing functions."""

import numpy as np
from jaxtyping import Float32

from gfp_serve.preprocess import resample

# MAMP's pre-training: half to all of a clip, at least 64 frames where it has them, turned by up to 0.3 rad an axis.
MIN_WINDOW_SHARE = 0.5
MIN_WINDOW_FRAMES = 64
MAX_ANGLE = 0.3


def augment(
    cleaned: Float32[np.ndarray, "frames bodies joints 3"], *, num_frames: int, draws: np.random.Generator
) -> Float32[np.ndarray, "bodies num_frames joints 3"]:
    """A random window of a cleaned clip, resampled to `num_frames` and turned about the origin, in model axes."""
    start, length = draw_window(len(cleaned), draws)
    turned = resample(cleaned[start : start + length], num_frames) @ draw_rotation(draws).T
    return turned.transpose(1, 0, 2, 3)


def draw_window(num_frames: int, draws: np.random.Generator) -> tuple[int, int]:
    """First frame and length of a random window (MAMP, `valid_crop_resize`)."""
    length = min(max(int(num_frames * draws.uniform(MIN_WINDOW_SHARE, 1.0)), MIN_WINDOW_FRAMES), num_frames)
    return int(draws.integers(num_frames - length + 1)), length


def draw_rotation(draws: np.random.Generator) -> Float32[np.ndarray, "3 3"]:
    """Rz · Ry · Rx with one angle an axis, each from [−0.3, 0.3] rad (MAMP, `random_rot`)."""
    x, y, z = draws.uniform(-MAX_ANGLE, MAX_ANGLE, size=3)
    rx = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    ry = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    rz = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return (np.array(rz) @ np.array(ry) @ np.array(rx)).astype(np.float32)
