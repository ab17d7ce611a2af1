"""What every reader gives: one recorded action and what its recording says about it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from gfp_serve.skeleton import Layout

UNKNOWN_SUBJECT = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """One recorded action, as it was recorded: nothing filled, mapped or centred (`preprocess.clean` does that)."""

    name: str  # unique within its file; a file of one clip gives its stem
    sequence: Float32[np.ndarray, "frames bodies joints 3"]  # metres, y up; NaN = not seen
    layout: Layout
    fps: float
    label: str | None = None  # name of the action; None = not labelled
    subject: str = UNKNOWN_SUBJECT  # who moves; unique only within its source
    camera: int = 0
    split: int = -1  # 0 train, 1 test, -1 none
    description: str = ""
