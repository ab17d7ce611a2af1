"""What every reader gives: one recorded action and what its recording says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from gfp_serve.skeleton import Layout

UNKNOWN_SUBJECT = "unknown"

# The side of a data set's own protocol that a clip is on. Test clips are never trained on.
TRAIN_SPLIT, TEST_SPLIT, NO_SPLIT = 0, 1, -1


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
    split: int = NO_SPLIT  # by the protocol that is usual for the data set
    splits: Mapping[str, int] = field(default_factory=dict)  # by each protocol that it has, the usual one first
    description: str = ""
