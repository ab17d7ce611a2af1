"""A bundle's model, ready to run: prepared clips -> unit vectors."""

import logging
import os
import threading
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.bound_batches import BoundBatches
from gfp_serve.bundle import INPUT_NAME, INT8_GRAPH, OUTPUT_NAME, Bundle, Encode
from gfp_serve.devices import EncoderDevice
from gfp_serve.errors import DeviceError
from gfp_serve.runtime import check_packages, device_of, has_cuda, missing_library, no_cuda, onnxruntime, open_session

_log = logging.getLogger(__name__)

# A canonical clip takes milliseconds, on a busy machine and with the first use of CUDA some seconds.
_FIRST_CALL_S = 120.0

# Where the batches of a GPU are.
_GPU_MEMORY: Literal["cpu", "cuda"] = "cuda"


class Encoder:
    """A bundle's model, ready to run. `provider` is what the session really runs on, not what was asked for.

    `num_threads` is how many threads it may have on the CPU; 0 takes every core.
    Raises `DeviceError` when `device` is "cuda" and CUDA cannot be used ("auto" warns and takes the CPU), or when the
    environment holds both onnxruntime packages; `BundleError` when the model cannot be loaded.
    """

    def __init__(self, bundle: Bundle, *, device: EncoderDevice = "auto", num_threads: int = 0) -> None:
        check_packages()
        self.embedding_size = bundle.manifest.embedding_size
        self._bundle = bundle
        # The largest number of a call sets the steps of rounding: a vector must not depend on the clips beside it.
        self._one_by_one = bundle.manifest.graph == INT8_GRAPH
        num_threads = num_threads or _count_cores()
        self._session = open_session(bundle, device, num_threads)
        self.provider: str = self._session.get_providers()[0]
        self.device = device_of(self._session)
        self._batches: BoundBatches | None = None
        if self.device != "cpu":
            self._batches = BoundBatches(self._session, self.embedding_size, memory=_GPU_MEMORY)
        # How many calls of `open_lanes` may run at once.
        self.num_lanes = num_threads if self.device == "cpu" else 1
        if self.device == "cuda" or device == "cpu":
            return
        # With the CPU package, "auto" can only mean the CPU. With the GPU package, something is broken.
        if device == "cuda" or has_cuda():
            library = missing_library()
            lacks = "" if library is None else f", because the library {library} is not found"
            problem = no_cuda(f"the session runs on {self.provider}{lacks}")
            if device == "cuda":
                raise DeviceError(problem)
            _log.warning("%s", problem)

    def encode(
        self, clips: Float32[np.ndarray, "batch bodies frames joints 3"]
    ) -> Float32[np.ndarray, "batch embedding_size"]:
        """Unit vectors of prepared clips (see `preprocess.prepare`), which all have the same number of bodies."""
        return self._encode(clips, None)

    def encode_first(
        self, clips: Float32[np.ndarray, "batch bodies frames joints 3"]
    ) -> Float32[np.ndarray, "batch embedding_size"]:
        """`encode`, for a model that may be anything yet: a loop in it could have no end.

        Raises an error of onnxruntime when a call takes longer than two minutes.
        """
        options = onnxruntime.RunOptions()
        stop = threading.Timer(_FIRST_CALL_S, setattr, (options, "terminate", True))
        stop.start()
        try:
            return self._encode(clips, options)
        finally:
            stop.cancel()

    def _encode(
        self, clips: Float32[np.ndarray, "batch bodies frames joints 3"], options: Any
    ) -> Float32[np.ndarray, "batch embedding_size"]:
        if self._one_by_one:
            return np.concatenate([self._run(clip[None], options) for clip in clips])
        return self._run(clips, options)

    def _run(
        self, clips: Float32[np.ndarray, "batch bodies frames joints 3"], options: Any
    ) -> Float32[np.ndarray, "batch embedding_size"]:
        if self._batches is None:
            return _run(self._session, clips, options)
        return self._batches.run(clips, options)

    def open_lanes(self) -> Encode:
        """`encode` on one thread: `num_lanes` calls of it may run at once. Takes the model's memory a second time."""
        session = open_session(self._bundle, "cpu", 1)
        if self._one_by_one:
            return lambda clips: np.concatenate([_run(session, clip[None]) for clip in clips])
        return lambda clips: _run(session, clips)


def _run(
    session: Any, clips: Float32[np.ndarray, "batch bodies frames joints 3"], options: Any = None
) -> Float32[np.ndarray, "batch embedding_size"]:
    (vectors,) = session.run([OUTPUT_NAME], {INPUT_NAME: clips}, *([] if options is None else [options]))
    return vectors


def _count_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
