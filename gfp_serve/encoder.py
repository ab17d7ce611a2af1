"""The onnxruntime session: model input -> unit vectors. The only file that imports onnxruntime.

onnxruntime 1.29 and later report to their maker: from the import on they write an identifier of the machine below the
user's cache folder and look for a host of Microsoft's. Importing this module first sets ORT_DISABLE_TELEMETRY=1, which
stops both. Any other value of the variable is replaced: somebody may have set it for another program, and there is no
reason to report from here. A program that imports onnxruntime before this module must set the variable itself.
"""

import contextlib
import ctypes
import io
import logging
import os
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.bundle import INPUT_NAME, INT8_GRAPH, MODEL_FILE, OUTPUT_NAME, Bundle, Encode
from gfp_serve.devices import Device
from gfp_serve.errors import BundleError, DeviceError
from gfp_serve.priority import call_at_low_priority

# Read once, while onnxruntime is imported; children of this process inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

_log = logging.getLogger(__name__)

# A canonical clip takes milliseconds, on a busy machine and with the first use of CUDA some seconds.
_FIRST_CALL_S = 120.0

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_CUDA_PART = "libonnxruntime_providers_cuda.so"
_CUDA_OPTIONS = {
    # Clips of other batch sizes would double the arena again and again; it never shrinks.
    "arena_extend_strategy": "kSameAsRequested",
    # TF32 moves components by more than `bundle.CANONICAL_TOLERANCE`.
    "use_tf32": "0",
}


class Encoder:
    """A bundle's model, ready to run. `provider` is what the session really runs on, not what was asked for.

    `num_threads` is how many threads it may have on the CPU; 0 takes every core.
    Raises `DeviceError` when `device` is "cuda" and CUDA cannot be used ("auto" warns and takes the CPU), or when the
    environment holds both onnxruntime packages; `BundleError` when the model cannot be loaded.
    """

    def __init__(self, bundle: Bundle, *, device: Device = "auto", num_threads: int = 0) -> None:
        check_packages()
        self.embedding_size = bundle.manifest.embedding_size
        self._bundle = bundle
        # The largest number of a call sets the steps of rounding: a vector must not depend on the clips beside it.
        self._one_by_one = bundle.manifest.graph == INT8_GRAPH
        num_threads = num_threads or _count_cores()
        self._session = _open_session(bundle, device, num_threads)
        self.provider: str = self._session.get_providers()[0]
        self.device = "cuda" if self.provider == _CUDA else "cpu"
        # On how many threads it runs on the CPU; calls on one thread each may run at once, as many as these.
        self.num_threads = num_threads if self.device == "cpu" else 1
        if self.device == "cuda" or device == "cpu":
            return
        # With the CPU package, "auto" can only mean the CPU. With the GPU package, something is broken.
        if device == "cuda" or _has_cuda():
            library = _missing_library()
            lacks = "" if library is None else f", because the library {library} is not found"
            problem = _no_cuda(f"the session runs on {self.provider}{lacks}")
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
            return np.concatenate([_run(self._session, clip[None], options) for clip in clips])
        if self.device == "cpu":
            return _run(self._session, clips, options)
        # The memory that CUDA has taken for one size of batch is of no use to the next. So there are few sizes.
        num_clips = len(clips)
        size = 1 << (num_clips - 1).bit_length()
        filled = np.concatenate([clips, clips[:1].repeat(size - num_clips, axis=0)])
        return _run(self._session, filled, options)[:num_clips]

    def open_on(self, num_threads: int) -> Encode:
        """`encode` on this many threads of the CPU. Takes the model's memory once more.

        Calls on one thread may run at once, `num_threads` of the encoder at most.
        """
        session = _open_session(self._bundle, "cpu", num_threads)
        if self._one_by_one:
            return lambda clips: np.concatenate([_run(session, clip[None]) for clip in clips])
        return lambda clips: _run(session, clips)


def quantize_dynamic(
    model: Path, out: Path, *, keep: list[str], signed: bool, per_channel: bool, reduce_range: bool
) -> None:
    """Write a model whose products with constant matrices are computed in 8 bits (onnxruntime's dynamic quantisation).

    The nodes that are named in `keep` stay as they are. Only where onnx is installed, as for training.
    """
    from onnxruntime import quantization

    quantization.quantize_dynamic(
        model,
        out,
        op_types_to_quantize=["MatMul"],
        weight_type=quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8,
        per_channel=per_channel,
        reduce_range=reduce_range,
        # A linear layer is split into a product and a sum first; the product gets this name.
        nodes_to_exclude=[*keep, *(f"{name}_MatMul" for name in keep)],
        extra_options={"MatMulConstBOnly": True},
    )


def check_packages(is_installed: Callable[[str], bool] | None = None) -> None:
    """Raise `DeviceError` when both onnxruntime wheels are installed, because they overwrite each other's files."""
    is_installed = is_installed or _is_installed
    if is_installed("onnxruntime") and is_installed("onnxruntime-gpu"):
        raise DeviceError(
            "both onnxruntime and onnxruntime-gpu are installed; they write to the same folder, so that one of them is "
            "broken. Uninstall both, then install gfp-serve with one of the extras 'cpu' and 'gpu'."
        )


def _run(
    session: Any, clips: Float32[np.ndarray, "batch bodies frames joints 3"], options: Any = None
) -> Float32[np.ndarray, "batch embedding_size"]:
    (vectors,) = session.run([OUTPUT_NAME], {INPUT_NAME: clips}, *([] if options is None else [options]))
    return vectors


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _open_session(bundle: Bundle, device: Device, num_threads: int) -> Any:
    # onnxruntime only warns about a provider that the package lacks.
    if device == "cuda" and not _has_cuda():
        raise DeviceError(_no_cuda("this onnxruntime is built without it"))
    providers: list[Any] = [_CPU]
    if _has_cuda() and device != "cpu":
        # CUDA libraries that pip installed are found only after this. What it prints of others, `_no_cuda` says.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
        providers.insert(0, (_CUDA, _CUDA_OPTIONS))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    # Between runs its threads would spin on cores that preprocessing and gRPC need.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A model may say that its weights are in another file, which would be looked for from the working directory on.
    # There can be no file below this path.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        # From memory, so that the bytes whose sha256 was checked are those that run, and no other file is opened.
        session = call_at_low_priority(
            lambda: onnxruntime.InferenceSession(bundle.model, sess_options=options, providers=providers)
        )
    except Exception as error:  # onnxruntime's errors have no common base class
        raise BundleError(
            f"{MODEL_FILE} of {bundle.manifest.name!r} cannot be loaded by onnxruntime {onnxruntime.__version__}: "
            f"{error}. Export it again, or install the onnxruntime that it was exported for."
        ) from error
    names = [port.name for port in session.get_inputs()], [port.name for port in session.get_outputs()]
    if names != ([INPUT_NAME], [OUTPUT_NAME]):
        raise BundleError(
            f"{MODEL_FILE} of {bundle.manifest.name!r} has inputs {names[0]} and outputs {names[1]}; an encoder has "
            f"one input {INPUT_NAME!r} and one output {OUTPUT_NAME!r}. Export it with gfp-export."
        )
    return session


def _count_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_cuda() -> bool:
    return _CUDA in onnxruntime.get_available_providers()


def _missing_library() -> str | None:
    """The first library that onnxruntime's part for CUDA needs and does not find, such as libcudnn.so.9."""
    try:
        ctypes.CDLL(str(Path(onnxruntime.__file__).parent / "capi" / _CUDA_PART))
    except OSError as error:
        library, _, problem = str(error).partition(": ")
        # Other errors mean that all libraries were found.
        return library if "cannot open shared object file" in problem and _CUDA_PART not in library else None
    return None


def _no_cuda(why: str) -> str:
    return (
        f"CUDA cannot be used: {why}. Check that nvidia-smi lists a GPU and that gfp-serve is installed "
        f"with the extra 'gpu', not 'cpu': it brings onnxruntime for CUDA and CUDA's libraries. Or choose --device cpu."
    )
