"""Batches in a GPU's memory: for each size of batch it is taken once, and used again by each call.

`session.run` takes memory for the clips and the vectors of each call anew, and after an error of the GPU it runs on the
CPU without a word to its caller. Here a call copies clips to where they were bound before (onnxruntime's IO binding),
and an error is raised. The same code runs in a CPU's memory, where tests can see it.

Since a size of batch is always at the same addresses, all that its call does on the GPU may be recorded as a CUDA
graph, which starts as one piece instead of a kernel at a time.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME
from gfp_serve.errors import DeviceError
from gfp_serve.runtime import LARGEST_BATCH, onnxruntime

# onnxruntime's option of a run: which graph it records or replays. This number stands for none.
_GRAPH_ID, _NO_GRAPH = "gpu_graph_id", -1
# The largest difference between a component of a replay's unit vectors and those of an ordinary run. Kernels are the
# same; a replay that reads or writes something else differs by far more.
_REPLAY_TOLERANCE = 1e-3


def _options_of(graph_id: int) -> Any:
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_GRAPH_ID, str(graph_id))
    return options


@dataclass(slots=True)
class _Bound:
    """The memory of batches of one shape, what binds a session to it, and how its runs are done once it is recorded."""

    clips: Any
    vectors: Any
    binding: Any
    replay: Any = None


@dataclass(slots=True, eq=False)
class BoundBatches:
    """Runs a session on batches of 1, 2, 4 and so on up to `LARGEST_BATCH` clips, in memory that is bound once.

    Other numbers of clips are filled up with repeats of the first one. Calls may come from several threads; they run
    one after another, because they share the memory. With `graphs`, for which the session must be open, each size is
    recorded when it first comes; all calls then run in one thread, as onnxruntime asks for.
    """

    session: Any
    embedding_size: int
    memory: Literal["cpu", "cuda"]
    graphs: bool = False
    _bound: dict[tuple[int, ...], _Bound] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "cuda-graphs"), init=False)

    def run(
        self, clips: Float32[np.ndarray, "batch bodies frames joints 3"], options: Any = None
    ) -> Float32[np.ndarray, "batch embedding_size"]:
        """The vectors of at least one clip. `options` are onnxruntime's of this run, which is then not recorded.

        Raises `DeviceError` when what was recorded gives other vectors than an ordinary run.
        """
        if len(clips) <= LARGEST_BATCH:
            return self._run(clips, options)
        starts = range(0, len(clips), LARGEST_BATCH)
        return np.concatenate([self._run(clips[start : start + LARGEST_BATCH], options) for start in starts])

    def _run(self, clips: np.ndarray, options: Any) -> np.ndarray:
        num_clips = len(clips)
        size = 1 << (num_clips - 1).bit_length()
        if num_clips < size:
            clips = np.concatenate([clips, clips[:1].repeat(size - num_clips, axis=0)])
        if self.graphs:
            return self._thread.submit(self._run_bound, clips, options).result()[:num_clips]
        with self._lock:
            return self._run_bound(clips, options)[:num_clips]

    def _run_bound(self, clips: np.ndarray, options: Any) -> np.ndarray:
        bound = self._bound.get(clips.shape) or self._bind(clips.shape)
        bound.clips.update_inplace(clips)
        if self.graphs and options is not None:
            options.add_run_config_entry(_GRAPH_ID, str(_NO_GRAPH))
        elif self.graphs:
            bound.replay = bound.replay or self._record(bound)
            options = bound.replay
        self.session.run_with_iobinding(bound.binding, options)
        # In a CPU's memory this is a view, which the next call would change.
        return bound.vectors.numpy().copy()

    def _bind(self, shape: tuple[int, ...]) -> _Bound:
        def take(*axes: int) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_shape_and_type(axes, np.float32, self.memory, 0)

        bound = _Bound(take(*shape), take(shape[0], self.embedding_size), self.session.io_binding())
        bound.binding.bind_ortvalue_input(INPUT_NAME, bound.clips)
        bound.binding.bind_ortvalue_output(OUTPUT_NAME, bound.vectors)
        self._bound[shape] = bound
        return bound

    def _record(self, bound: _Bound) -> Any:
        """Record a graph for this shape, with the clips that are there, and return the options that replay it."""
        self.session.run_with_iobinding(bound.binding, _options_of(_NO_GRAPH))
        expected = bound.vectors.numpy().copy()
        replay = _options_of(1 + sum(each.replay is not None for each in self._bound.values()))
        self.session.run_with_iobinding(bound.binding, replay)
        # A replay that writes elsewhere, or nothing, must not find the right vectors there.
        bound.vectors.update_inplace(np.zeros_like(expected))
        self.session.run_with_iobinding(bound.binding, replay)
        if not np.allclose(bound.vectors.numpy(), expected, rtol=0, atol=_REPLAY_TOLERANCE, equal_nan=True):
            raise DeviceError("a replay gives other vectors than an ordinary run")
        return replay
