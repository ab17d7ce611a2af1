"""What every reader yields: one recorded action and what its recording says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.layouts import Layout

UNKNOWN_SUBJECT = "unknown"

# The side of a clip in its data set's own protocol. Test clips are never trained on.
TRAIN_SPLIT, TEST_SPLIT, NO_SPLIT = 0, 1, -1

# For a clip whose joints are read later.
NO_FRAMES = np.empty((0, 0, 0, 3), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """One action as it was recorded. Nothing is filled, mapped or centred; `preprocess.clean` does that.

    Its texts are `sayable`, whatever the file and its name have.
    """

    name: str  # unique within its file; the file's stem if the format has one clip a file
    sequence: Float32[np.ndarray, "frames bodies joints 3"]  # metres, y up; NaN = not seen
    layout: Layout
    fps: float
    label: str | None = None  # name of the action; None = not labelled
    subject: str = UNKNOWN_SUBJECT  # who moves; unique only within its source
    camera: int = 0
    split: int = NO_SPLIT  # in the usual protocol of the data set
    splits: Mapping[str, int] = field(default_factory=dict)  # in each protocol that it has, the usual one first
    description: str = ""
    dimensions: Literal[2, 3] = 3  # 2: joints of an image; z is 0, and a trunk has 0.5 m (see `image_joints`)

    def __post_init__(self) -> None:
        for name in ("name", "label", "subject", "description"):
            text = getattr(self, name)
            if isinstance(text, str) and not text.isascii():  # of other types, others say what is wrong
                object.__setattr__(self, name, sayable(text))


def sayable(text: str) -> str:
    r"""The text with escapes, such as `\udce9`, for halves of characters: no message, store or terminal takes these.

    Python makes them of the bytes of a file's name that are not UTF-8, and JSON and pickles may have them.
    """
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
