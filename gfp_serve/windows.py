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

    It keeps the frames of one window, and memory for as many more. Raises `InvalidRequestError` for a length or stride
    below 1.
    """

    def __init__(self, length: int, stride: int) -> None:
        if min(length, stride) < 1:
            raise InvalidRequestError(
                f"a window has {length} frames and the next one starts {stride} frames later; both must be at least 1."
            )
        self._length, self._stride = length, stride
        # Memory that is filled from its start to `_filled`, so that a few new frames cost no copy of all that are kept.
        self._memory: Float32[np.ndarray, "frames bodies joints 3"] | None = None
        self._filled = 0
        self._next = 0  # first frame of the next window
        self._end = 0  # frames seen so far

    def completes(self, num_frames: int) -> bool:
        """Whether this many frames more complete a window."""
        return self._next + self._length <= self._end + num_frames

    def add(self, frames: Float32[np.ndarray, "frames bodies joints 3"]) -> Iterator[Window]:
        """Yield the windows that these frames complete, in order. The number of bodies must not change."""
        held = self._keep(frames)
        self._end += len(frames)
        start = self._end - len(held)  # of what is held
        while self._next + self._length <= self._end:
            place = self._next - start
            # A copy, because a view would keep all frames in memory, or change.
            yield Window(self._next, held[place : place + self._length].copy())
            self._next += self._stride
        if self._memory is not None and len(self._memory) > 2 * self._length:
            self._memory = self._needed().copy()
            self._filled = len(self._memory)

    def _needed(self) -> Float32[np.ndarray, "needed_frames bodies joints 3"]:
        """The frames in memory that the next window begins with."""
        if self._memory is None:
            raise RuntimeError("no frames were added yet")
        start = self._end - self._filled
        return self._memory[min(max(self._next - start, 0), self._filled) : self._filled]

    def _keep(
        self, frames: Float32[np.ndarray, "frames bodies joints 3"]
    ) -> Float32[np.ndarray, "all_frames bodies joints 3"]:
        """The frames that are still needed, and these after them."""
        kept = frames[:0] if self._memory is None else self._needed()
        num_frames = len(kept) + len(frames)
        if self._memory is None or self._filled + len(frames) > len(self._memory):
            most = max(num_frames, min(2 * num_frames, 2 * self._length))
            self._memory = np.empty((most, *frames.shape[1:]), dtype=np.float32)
            self._memory[: len(kept)] = kept
            self._filled = len(kept)
        self._memory[self._filled : self._filled + len(frames)] = frames
        self._filled += len(frames)
        return self._memory[self._filled - num_frames : self._filled]
