"""Random windows and rotations: which frames of a clip a step sees, and how the clip is turned."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from trainer.data.rotations import rotations

# MAMP's pre-training takes half to all of a clip, at least 64 frames if the clip has them, and turns it by up to
# 0.3 rad about each axis.
MIN_SHARE = 0.5
MIN_FRAMES = 64
MAX_ANGLE = 0.3


@dataclass(frozen=True, slots=True)
class Windows:
    """How a step sees each clip: frames start:start + length, turned about the origin."""

    start: Int64[np.ndarray, " clips"]
    length: Int64[np.ndarray, " clips"]
    rotation: Float32[np.ndarray, "clips 3 3"] | None  # applied to column vectors; None = not turned


def draw_windows(
    num_frames: Int64[np.ndarray, " clips"],
    draws: np.random.Generator,
    *,
    min_share: float = MIN_SHARE,
    max_share: float = 1.0,
    min_frames: int = MIN_FRAMES,
    max_angle: float = MAX_ANGLE,
    within: Windows | None = None,
) -> Windows:
    """A random window and rotation for each clip; the defaults are MAMP's (`valid_crop_resize`, `random_rot`).

    Windows `within` others lie in these, and are shares of these.
    """
    begin, whole = (0, num_frames) if within is None else (within.start, within.length)
    share, place = draws.uniform(min_share, max_share, len(num_frames)), draws.random(len(num_frames))
    length = np.minimum(np.maximum((whole * share).astype(np.int64), min_frames), whole)
    start = begin + (place * (whole - length + 1)).astype(np.int64)
    if not max_angle:
        return Windows(start, length, None)
    angles = torch.from_numpy(draws.uniform(-max_angle, max_angle, (len(num_frames), 3)))
    return Windows(start, length, rotations(angles).float().numpy())
