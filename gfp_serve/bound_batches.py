"""Batches in a GPU's memory: for each size of batch it is taken once, and used again by each call.

`session.run` takes memory for the clips and the vectors of each call anew, and after an error of the GPU it runs on the
CPU without a word to its caller. Here a call copies clips to where they were bound before (onnxruntime's IO binding),
and an error is raised. The same code runs in a CPU's memory, where tests can see it.
"""

import threading
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME
from gfp_serve.runtime import onnxruntime

# More clips than these go in several calls, so that the sizes of batches are few.
LARGEST_BATCH = 128


@dataclass(frozen=True, slots=True)
class _Bound:
    """The memory of batches of one shape, and what binds a session to it."""

    clips: Any
    vectors: Any
    binding: Any


class BoundBatches:
    """Runs a session on batches of 1, 2, 4 and so on up to `LARGEST_BATCH` clips, in memory that is bound once.

    Other numbers of clips are filled up with repeats of the first one. Calls may come from several threads; they run
    one after another, because they share the memory.
    """

    def __init__(self, session: Any, embedding_size: int, *, memory: Literal["cpu", "cuda"]) -> None:
        self._session = session
        self._embedding_size = embedding_size
        self._memory = memory
        self._bound: dict[tuple[int, ...], _Bound] = {}
        self._lock = threading.Lock()

    def run(
        self, clips: Float32[np.ndarray, "batch bodies frames joints 3"], options: Any = None
    ) -> Float32[np.ndarray, "batch embedding_size"]:
        """The vectors of at least one clip. `options` are onnxruntime's of this run."""
        if len(clips) <= LARGEST_BATCH:
            return self._run(clips, options)
        starts = range(0, len(clips), LARGEST_BATCH)
        return np.concatenate([self._run(clips[start : start + LARGEST_BATCH], options) for start in starts])

    def _run(self, clips: np.ndarray, options: Any) -> np.ndarray:
        num_clips = len(clips)
        size = 1 << (num_clips - 1).bit_length()
        if num_clips < size:
            clips = np.concatenate([clips, clips[:1].repeat(size - num_clips, axis=0)])
        with self._lock:
            bound = self._bound.get(clips.shape) or self._bind(clips.shape)
            bound.clips.update_inplace(clips)
            self._session.run_with_iobinding(bound.binding, options)
            # In a CPU's memory this is a view, which the next call would change.
            return bound.vectors.numpy()[:num_clips].copy()

    def _bind(self, shape: tuple[int, ...]) -> _Bound:
        def take(*axes: int) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_shape_and_type(axes, np.float32, self._memory, 0)

        bound = _Bound(take(*shape), take(shape[0], self._embedding_size), self._session.io_binding())
        bound.binding.bind_ortvalue_input(INPUT_NAME, bound.clips)
        bound.binding.bind_ortvalue_output(OUTPUT_NAME, bound.vectors)
        self._bound[shape] = bound
        return bound
