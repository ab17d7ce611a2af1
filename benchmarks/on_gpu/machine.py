"""What the machine is, and what its memory and arithmetic reach at the shapes of the encoders."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks.on_gpu.settings import Settings, caught, wait

# What training, evaluation and serving import, and what only serving on a GPU does.
MODULES = ("numpy", "jaxtyping", "click", "rich", "matplotlib", "onnx", "onnxscript", "sklearn", "tensorboard", "numba")
MODULES += ("c3d", "grpc", "triton", "onnxruntime", "faiss")
# rows × inputs × outputs of matrix products: of the published encoder, its decoder in mamp, and the general encoder, in
# the published batch of 128 clips of two bodies and in one of 96.
PRODUCTS = {
    "large": (8192, 8192, 8192),
    "encoder, qkv": (256 * 74, 256, 768),
    "encoder, MLP": (256 * 74, 256, 1024),
    "mamp's decoder, MLP": (256 * 750, 256, 1024),
    "gfp's global target": (256, 9000, 2048),
    "general encoder, MLP": (96 * 75, 128, 512),
}


def run(settings: Settings) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda_of_torch": torch.version.cuda,
        "modules": {name: _version(name) for name in MODULES},
        "c_compiler": shutil.which("cc") or shutil.which("gcc"),
        "gpu": caught(lambda: _gpu(settings)),
        "copy_gb_per_s": caught(lambda: _copies(settings)),
        "tflop_per_s": caught(lambda: _products(settings)),
        "eigvalsh_of_8_times_256_rows_ms": caught(lambda: _eigenvalues(settings)),
    }


def _version(name: str) -> str:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a wheel whose libraries are missing raises other errors than ImportError
        return f"not there: {error}"
    return str(getattr(module, "__version__", "there"))


def _gpu(settings: Settings) -> dict[str, Any]:
    if settings.device == "cpu":
        return {}
    properties = torch.cuda.get_device_properties(0)
    asked = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv"]
    return {
        "name": properties.name,
        "memory_gb": properties.total_memory / 1e9,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "cudnn": torch.backends.cudnn.version(),  # before 9.15.1 replayed graphs are at risk
        "nvidia_smi": caught(
            lambda: {"csv": subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout}
        ),
    }


def _copies(settings: Settings) -> dict[str, float]:
    size = 1 << (20 if settings.tiny else 30)
    here, there = (torch.empty(size, dtype=torch.uint8, device=settings.device) for _ in range(2))
    host = torch.empty(size, dtype=torch.uint8, pin_memory=settings.device == "cuda")
    return {
        "on the device, read and written": 2 * size / 1e9 / _seconds(settings, lambda: there.copy_(here)),
        "from pinned memory": size / 1e9 / _seconds(settings, lambda: there.copy_(host, non_blocking=True)),
    }


def _products(settings: Settings) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, shape in PRODUCTS.items():
        rows, inputs, outputs = (max(1, size // 64) if settings.tiny else size for size in shape)
        for dtype in (torch.bfloat16, torch.float32):
            left = torch.randn(rows, inputs, device=settings.device, dtype=dtype)
            right = torch.randn(inputs, outputs, device=settings.device, dtype=dtype)
            seconds = _seconds(settings, lambda left=left, right=right: left @ right)
            found.setdefault(name, {})[str(dtype).removeprefix("torch.")] = 2 * rows * inputs * outputs / seconds / 1e12
    return found


def _eigenvalues(settings: Settings) -> dict[str, float]:
    rows = 16 if settings.tiny else 256
    given = torch.randn(rows, rows, dtype=torch.float64)
    symmetric = given @ given.T
    on_device = symmetric.to(settings.device)
    return {
        "cpu": 8e3 * _seconds(settings, lambda: torch.linalg.eigvalsh(symmetric)),
        settings.device: 8e3 * _seconds(settings, lambda: torch.linalg.eigvalsh(on_device)),
    }


def _seconds(settings: Settings, call: Callable[[], object]) -> float:
    """The median of five rounds of ten calls, after three calls."""
    for _ in range(3):
        call()
    took = []
    for _ in range(5):
        wait(settings)
        start = time.perf_counter()
        for _ in range(10):
            call()
        wait(settings)
        took.append((time.perf_counter() - start) / 10)
    return median(took)
