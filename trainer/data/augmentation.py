"""Random windows and rotations: which frames of a clip a step sees, and how the clip is turned."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

# MAMP's pre-training takes half to all of a clip, at least 64 frames if the clip has them, and turns it by up to
# 0.3 rad about each axis.
MIN_WINDOW_SHARE = 0.5
MIN_WINDOW_FRAMES = 64
MAX_ANGLE = 0.3


@dataclass(frozen=True, slots=True)
class Views:
    """How a step sees each clip: frames start:start + length, turned about the origin."""

    start: Int64[np.ndarray, " clips"]
    length: Int64[np.ndarray, " clips"]
    rotation: Float32[np.ndarray, "clips 3 3"] | None  # applied to column vectors; None = not turned


def draw_views(num_frames: Int64[np.ndarray, " clips"], draws: np.random.Generator) -> Views:
    """A random window (MAMP, `valid_crop_resize`) and rotation (MAMP, `random_rot`) for each clip."""
    share, place = draws.uniform(MIN_WINDOW_SHARE, 1.0, len(num_frames)), draws.random(len(num_frames))
    length = np.minimum(np.maximum((num_frames * share).astype(np.int64), MIN_WINDOW_FRAMES), num_frames)
    start = (place * (num_frames - length + 1)).astype(np.int64)
    return Views(start, length, rotations(draws.uniform(-MAX_ANGLE, MAX_ANGLE, (len(num_frames), 3))))


def rotations(angles: np.ndarray) -> Float32[np.ndarray, "clips 3 3"]:
    """The rotations Rz · Ry · Rx for angles [clips, 3] about x, y and z in radians."""
    cos, sin = np.cos(angles), np.sin(angles)
    about = np.zeros((3, len(angles), 3, 3))
    for axis in range(3):
        # The next two axes span the plane that turns.
        first, second = (axis + 1) % 3, (axis + 2) % 3
        about[axis, :, axis, axis] = 1
        about[axis, :, first, first] = about[axis, :, second, second] = cos[:, axis]
        about[axis, :, first, second], about[axis, :, second, first] = -sin[:, axis], sin[:, axis]
    return (about[2] @ about[1] @ about[0]).astype(np.float32)
