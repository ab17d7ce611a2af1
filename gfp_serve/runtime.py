"""The sessions of onnxruntime: where a model runs, with which options, and what is missing there.

The only file that imports onnxruntime. onnxruntime 1.29 and later report to their maker: from the import on they write
an identifier of the machine below the user's cache folder and look for a host of Microsoft's. Importing this module
first sets ORT_DISABLE_TELEMETRY=1, which stops both. Any other value of the variable is replaced: somebody may have set
it for another program, and there is no reason to report from here. A program that imports onnxruntime before this
module must set the variable itself.
"""

import contextlib
import ctypes
import io
import logging
import os
from collections import Counter
from collections.abc import Callable, Collection
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from gfp_serve.bundle import FP16_GRAPH, INPUT_NAME, MODEL_FILE, OUTPUT_NAME, Bundle
from gfp_serve.devices import EncoderDevice
from gfp_serve.errors import BundleError, DeviceError
from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT
from gfp_serve.priority import call_at_low_priority

# Read once, while onnxruntime is imported; children of this process inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as onnxruntime

_log = logging.getLogger(__name__)

# A GPU gets batches of 1, 2, 4 and so on up to this number of clips.
LARGEST_BATCH = 128

_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_DEVICES: dict[str, EncoderDevice] = {_CUDA: "cuda", _TENSORRT: "tensorrt"}
_PARTS = {"cuda": "libonnxruntime_providers_cuda.so", "tensorrt": "libonnxruntime_providers_tensorrt.so"}
_CUDA_OPTIONS = {
    # Clips of other batch sizes would double the arena again and again; it never shrinks.
    "arena_extend_strategy": "kSameAsRequested",
    # TF32 moves components by more than `bundle.CANONICAL_TOLERANCE`.
    "use_tf32": "0",
}


def open_session(
    bundle: Bundle,
    device: EncoderDevice,
    num_threads: int,
    *,
    cuda_graphs: bool = False,
    tensorrt_cache: Path | None = None,
) -> Any:
    """A session of a bundle's model. Where it really runs, `device_of` says.

    `num_threads` is how many threads it may have on the CPU. With `cuda_graphs`, runs on CUDA can be recorded.
    `tensorrt_cache` is the folder of TensorRT's engines; by default it is below the user's cache folder.
    Raises `DeviceError` when onnxruntime is built without what `device` asks for, when CUDA was asked for and fails,
    when TensorRT does not take the model, or when a GPU takes none of its nodes; `BundleError` when the model cannot be
    loaded, or not with `cuda_graphs`.
    """
    # onnxruntime only warns about a provider that the package lacks.
    if device in _PARTS and not is_built_for(device):
        raise DeviceError(unusable(device, "this onnxruntime is built without it"))
    providers: list[Any] = [_CPU]
    if is_built_for("cuda") and device != "cpu":
        # CUDA libraries that pip installed are found only after this. What it prints of others, `unusable` says.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
        providers.insert(0, (_CUDA, {**_CUDA_OPTIONS, **({"enable_cuda_graph": "1"} if cuda_graphs else {})}))
    options = onnxruntime.SessionOptions()
    if device == "tensorrt":
        # What TensorRT cannot do, CUDA does.
        providers.insert(0, (_TENSORRT, _tensorrt_options(bundle, tensorrt_cache)))
    if len(providers) > 1:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.intra_op_num_threads = num_threads
    # Between runs its threads would spin on cores that preprocessing and gRPC need.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A model may say that its weights are in another file, which would be looked for from the working directory on.
    # There can be no file below this path.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        session = _opened(bundle, options, providers)
    except Exception as error:  # onnxruntime's errors have no common base class
        if device == "tensorrt":
            raise DeviceError(
                f"TensorRT does not take {MODEL_FILE} of {bundle.manifest.name!r}: {error}. It must be able to take "
                f"the model as one part: export with --graph standard, or choose --device cuda."
            ) from error
        if len(providers) == 1 or cuda_graphs:
            raise _not_loaded(bundle, error) from error
        session = _opened_without_cuda(bundle, options, device, error)
    if device_of(session) != "cpu":
        _check_nodes(session)
    names = [port.name for port in session.get_inputs()], [port.name for port in session.get_outputs()]
    if names != ([INPUT_NAME], [OUTPUT_NAME]):
        raise BundleError(
            f"{MODEL_FILE} of {bundle.manifest.name!r} has inputs {names[0]} and outputs {names[1]}; an encoder has "
            f"one input {INPUT_NAME!r} and one output {OUTPUT_NAME!r}. Export it with gfp-export."
        )
    return session


def _opened(bundle: Bundle, options: Any, providers: list[Any]) -> Any:
    # From memory, so that the bytes whose sha256 was checked are those that run, and no other file is opened. Without
    # fall-back: onnxruntime would try other providers by itself, and not say why the first one failed.
    return call_at_low_priority(
        lambda: onnxruntime.InferenceSession(bundle.model, sess_options=options, providers=providers, enable_fallback=0)
    )


def _opened_without_cuda(bundle: Bundle, options: Any, device: EncoderDevice, error: Exception) -> Any:
    """A session on the CPU, after CUDA failed with `error`. Raises `DeviceError` if CUDA was asked for by name.

    Raises `BundleError` when the model cannot be loaded on the CPU either.
    """
    try:
        session = _opened(bundle, options, [_CPU])
    except Exception as on_cpu:
        raise _not_loaded(bundle, on_cpu) from on_cpu
    if device == "cuda":
        raise DeviceError(unusable("cuda", f"onnxruntime says: {error}")) from error
    _log.warning("the model is loaded on the CPU, because CUDA failed: %s", error)
    return session


def _not_loaded(bundle: Bundle, error: Exception) -> BundleError:
    return BundleError(
        f"{MODEL_FILE} of {bundle.manifest.name!r} cannot be loaded by onnxruntime {onnxruntime.__version__}: "
        f"{error}. Export it again, or install the onnxruntime that it was exported for."
    )


def device_of(session: Any) -> EncoderDevice:
    """Where a session really runs: "cpu", "cuda" or "tensorrt"."""
    return _DEVICES.get(session.get_providers()[0], "cpu")


def check_packages(is_installed: Callable[[str], bool] | None = None) -> None:
    """Raise `DeviceError` when both onnxruntime wheels are installed, because they overwrite each other's files."""
    is_installed = is_installed or _is_installed
    if is_installed("onnxruntime") and is_installed("onnxruntime-gpu"):
        raise DeviceError(
            "both onnxruntime and onnxruntime-gpu are installed; they write to the same folder, so that one of them is "
            "broken. Uninstall both, then install gfp-serve with one of the extras 'cpu' and 'gpu'."
        )


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


def to_float16(model: Any, nodes: Collection[str]) -> Any:
    """An ONNX model whose named nodes compute in 16 bits, with casts where others meet them.

    Only where onnx is installed, as for training. The model that is given is changed too.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    graph = model.graph
    touched = {name for node in graph.node if node.name in nodes for name in (*node.input, *node.output)}
    # The converter rounds every value whose type it knows, those between nodes in 32 bits too. So it learns only the
    # types of values that the named nodes take or give.
    known = [value for value in graph.value_info if value.name in touched]
    del graph.value_info[:]
    graph.value_info.extend(known)
    ports = [(port.type.tensor_type, port.type.tensor_type.elem_type) for port in (*graph.input, *graph.output)]
    for port, _ in ports:
        port.ClearField("elem_type")
    others = [node.name for node in graph.node if node.name not in nodes]
    model = convert_float_to_float16(model, disable_shape_infer=True, op_block_list=[], node_block_list=others)
    for port, kind in ports:
        port.elem_type = kind
    OnnxModel(model).topological_sort()  # the converter puts casts behind all other nodes
    return model


def is_built_for(device: EncoderDevice) -> bool:
    """Whether this onnxruntime is built for a device. Whether it works on this machine, only a session shows."""
    return device in {_DEVICES.get(name, "cpu") for name in onnxruntime.get_available_providers()}


def missing_library(device: EncoderDevice) -> str | None:
    """The first library that onnxruntime's part for a device needs and does not find, such as libcudnn.so.9."""
    part = _PARTS["tensorrt" if device == "tensorrt" else "cuda"]
    try:
        ctypes.CDLL(str(Path(onnxruntime.__file__).parent / "capi" / part))
    except OSError as error:
        library, _, problem = str(error).partition(": ")
        # Other errors mean that all libraries were found.
        return library if "cannot open shared object file" in problem and part not in library else None
    return None


def unusable(device: EncoderDevice, why: str) -> str:
    """The words for a user whose GPU cannot be used as the options ask for."""
    if device == "tensorrt":
        return (
            f"TensorRT cannot be used: {why}. Check that nvidia-smi lists a GPU, that gfp-serve is installed with the "
            f"extra 'gpu', not 'cpu', and that the libraries of TensorRT 10 are found, e.g. by LD_LIBRARY_PATH. Or "
            f"choose --device cuda."
        )
    return (
        f"CUDA cannot be used: {why}. Check that nvidia-smi lists a GPU and that gfp-serve is installed "
        f"with the extra 'gpu', not 'cpu': it brings onnxruntime for CUDA and CUDA's libraries. Or choose --device cpu."
    )


def _tensorrt_options(bundle: Bundle, cache: Path | None) -> dict[str, str]:
    """One engine for all sizes of batch and for one body or two, in a folder of this model and this onnxruntime."""
    # Like TF32 on CUDA. TensorRT has no option for it but this variable.
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    # The name of an engine's file says which operators are in it, but not which weights, and not which onnxruntime.
    folder = _cache_folder(cache) / f"{bundle.manifest.model_sha256[:32]}-{onnxruntime.__version__}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise DeviceError(
            f"{folder}, where TensorRT keeps its engines, cannot be made ({error.strerror}); name another folder for "
            f"--tensorrt-cache."
        ) from error
    # An engine is code: nobody else may write here.
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise DeviceError(
            f"{folder}, where TensorRT keeps its engines, is another user's, or others may write there; an engine is "
            f"code. Remove the folder, or name another for --tensorrt-cache."
        )
    frames = bundle.manifest.preprocess.sampling.num_frames

    def clips(batch: int, bodies: int) -> str:
        return f"{INPUT_NAME}:{batch}x{bodies}x{frames}x{MODEL_LAYOUT.num_joints}x3"

    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_fp16_enable": "1" if bundle.manifest.graph == FP16_GRAPH else "0",
        "trt_profile_min_shapes": clips(1, 1),
        "trt_profile_opt_shapes": clips(8, 1),
        "trt_profile_max_shapes": clips(LARGEST_BATCH, MAX_BODIES),
    }


def _cache_folder(named: Path | None) -> Path:
    if named is not None:
        return named.absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gfp-serve" / "tensorrt"
    except RuntimeError as error:
        raise DeviceError(
            "this user has no home folder, so TensorRT has no place for its engines; name a folder for "
            "--tensorrt-cache."
        ) from error


def _check_nodes(session: Any) -> None:
    """Raise `DeviceError` when a GPU computes nothing, though the session says that it runs there."""
    provider, counts = session.get_providers()[0], Counter[str]()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    if not counts[provider]:
        device = device_of(session)
        raise DeviceError(unusable(device, f"it takes no node of this model ({said})"))
    _log.info("nodes of the model: %s", said)


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
