"""Windows of a sequence that comes in pieces. All have the same length, and start at equal steps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import InvalidRequestError


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Consecutive frames. `first_frame` counts from 0 at the start of the sequence."""

    first_frame: int
    sequence: Float32[np.ndarray, "frames bodies joints 3"]


class WindowCutter:
    """Cuts windows of `length` frames, one every `stride` frames, from frames that are added as they come.

    It keeps at most the frames of one window. Raises `InvalidRequestError` for a length or stride below 1.
    """

    def __init__(self, length: int, stride: int) -> None:
        if min(length, stride) < 1:
            raise InvalidRequestError(
                f"a window has {length} frames and the next one starts {stride} frames later; both must be at least 1."
            )
        self._length, self._stride = length, stride
        self._kept: Float32[np.ndarray, "frames bodies joints 3"] | None = None
        self._next = 0  # first frame of the next window
        self._end = 0  # frames seen so far

    def add(self, frames: Float32[np.ndarray, "frames bodies joints 3"]) -> Iterator[Window]:
        """Yield the windows that these frames complete, in order. The number of bodies must not change."""
        held = frames if self._kept is None else np.concatenate([self._kept, frames])
        self._end += len(frames)
        start = self._end - len(held)  # of what is held
        while self._next + self._length <= self._end:
            place = self._next - start
            # A copy, because a view would keep all frames in memory.
            yield Window(self._next, held[place : place + self._length].copy())
            self._next += self._stride
        self._kept = held[min(max(self._next - start, 0), len(held)) :].copy()
