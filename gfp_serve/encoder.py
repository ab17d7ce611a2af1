"""A bundle's model, ready to run: prepared clips -> unit vectors."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.bound_batches import BoundBatches
from gfp_serve.bundle import INPUT_NAME, INT8_GRAPH, OUTPUT_NAME, Bundle, Encode
from gfp_serve.cores import num_cores
from gfp_serve.devices import EncoderDevice
from gfp_serve.errors import BundleError, DeviceError
from gfp_serve.runtime import (
    check_packages,
    device_of,
    is_built_for,
    missing_library,
    onnxruntime,
    open_session,
    unusable,
)

_log = logging.getLogger(__name__)

# A canonical clip takes milliseconds, on a busy machine and with the first use of CUDA some seconds.
_FIRST_CALL_S = 120.0
# TensorRT may build an engine first.
_FIRST_CALL_WITH_TENSORRT_S = 3600.0

# Where the batches of a GPU are.
_GPU_MEMORY: Literal["cpu", "cuda"] = "cuda"


class Encoder:
    """A bundle's model, ready to run. `provider` is what the session really runs on, not what was asked for.

    `num_threads` is how many threads it may have on the CPU; 0 takes every core. With `cuda_graphs`, batches on CUDA
    are recorded and replayed; where that fails, a warning says so and they run as without. `tensorrt_cache` is the
    folder of TensorRT's engines, by default below the user's cache folder.
    Raises `DeviceError` when `device` is "cuda" or "tensorrt" and that cannot be used ("auto" takes CUDA, or warns and
    takes the CPU), or when the environment holds both onnxruntime packages; `BundleError` when the model cannot be
    loaded.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: EncoderDevice = "auto",
        num_threads: int = 0,
        cuda_graphs: bool = False,
        tensorrt_cache: Path | None = None,
    ) -> None:
        check_packages()
        self.embedding_size = bundle.manifest.embedding_size
        self._bundle = bundle
        # The largest number of a call sets the steps of rounding: a vector must not depend on the clips beside it.
        self._one_by_one = bundle.manifest.graph == INT8_GRAPH
        num_threads = num_threads or num_cores()
        open_on = partial(open_session, bundle, num_threads=num_threads, tensorrt_cache=tensorrt_cache)
        self._open_on_cuda = partial(open_on, device="cuda")
        session = _open_for_graphs(open_on, device) if cuda_graphs else None
        graphs = session is not None
        self._session = open_on(device=device) if session is None else session
        self.provider: str = self._session.get_providers()[0]
        self.device = device_of(self._session)
        self._lock = threading.Lock()
        self._batches: BoundBatches | None = None
        if self.device != "cpu":
            self._batches = BoundBatches(self._session, self.embedding_size, _GPU_MEMORY, graphs=graphs)
        # On how many threads it runs on the CPU; calls on one thread each may run at once, as many as these.
        self.num_threads = num_threads if self.device == "cpu" else 1
        if self.device == device:
            return
        # With the CPU package, "auto" can only mean the CPU. With the GPU package, something is broken.
        if device == "auto" and (self.device == "cuda" or not is_built_for("cuda")):
            return
        library = missing_library(device)
        lacks = "" if library is None else f", because the library {library} is not found"
        problem = unusable(device, f"the session runs on {self.provider}{lacks}")
        if device != "auto":
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

        Raises an error of onnxruntime when a call takes longer than two minutes; with TensorRT, which may build an
        engine first, longer than an hour.
        """
        options = onnxruntime.RunOptions()
        limit_s = _FIRST_CALL_WITH_TENSORRT_S if self.device == "tensorrt" else _FIRST_CALL_S
        stop = threading.Timer(limit_s, setattr, (options, "terminate", True))
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
        batches = self._batches
        if batches is None:
            return _run(self._session, clips, options)
        try:
            return batches.run(clips, options)
        except Exception as error:  # onnxruntime's errors have no common base class
            if not batches.graphs or options is not None:
                raise
            self._go_on_without(batches, error)
        return self._run(clips, options)

    def _go_on_without(self, batches: BoundBatches, error: Exception) -> None:
        with self._lock:
            if self._batches is not batches:
                return  # another call was here first
            # Not on the CPU instead: everything around this encoder was chosen for a GPU.
            session = self._open_on_cuda()
            if device_of(session) != "cuda":
                raise DeviceError(unusable("cuda", f"a second session runs on {session.get_providers()[0]}"))
            _say_no_graphs(error)
            self._session = session
            self._batches = BoundBatches(session, self.embedding_size, _GPU_MEMORY)

    def open_on(self, num_threads: int) -> Encode:
        """`encode` on this many threads of the CPU. Takes the model's memory once more.

        Calls on one thread may run at once, `num_threads` of the encoder at most.
        """
        session = open_session(self._bundle, "cpu", num_threads)
        if self._one_by_one:
            return lambda clips: np.concatenate([_run(session, clip[None]) for clip in clips])
        return lambda clips: _run(session, clips)


def _run(
    session: Any, clips: Float32[np.ndarray, "batch bodies frames joints 3"], options: Any = None
) -> Float32[np.ndarray, "batch embedding_size"]:
    (vectors,) = session.run([OUTPUT_NAME], {INPUT_NAME: clips}, *([] if options is None else [options]))
    return vectors


def _open_for_graphs(open_on: Callable[..., Any], device: EncoderDevice) -> Any | None:
    """A session whose runs on CUDA can be recorded; None where there is none."""
    if device in ("auto", "cuda"):
        try:
            session = open_on(device=device, cuda_graphs=True)
        except BundleError as error:
            # It may be the model itself, which the next attempt shows.
            _say_no_graphs(error)
            return None
        if device_of(session) == "cuda":
            return session
    _log.warning("--cuda-graphs has no effect, because the encoder does not run on CUDA")
    return None


def _say_no_graphs(error: Exception) -> None:
    _log.warning("CUDA graphs cannot be used for this encoder, which runs without them: %s", error)
