"""Which of torch's attention kernels is fastest at our shapes, and whether all give the same."""

import time
from statistics import median
from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.on_gpu.settings import Settings, caught, wait

# rows, heads, tokens, numbers of a head
SHAPES = {
    "encoder, visible tokens": (256, 8, 74, 32),
    "mamp's decoder": (256, 8, 750, 32),
    "general encoder in training": (96, 4, 75, 32),
    "general encoder, served tokens": (512, 4, 225, 32),
}
KERNELS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


def run(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (rows, *others) in SHAPES.items():
        shape = (2 if settings.tiny else rows, *others)
        given = torch.randn((3, *shape), generator=torch.Generator().manual_seed(0)).to(settings.device)
        exact = F.scaled_dot_product_attention(*given)
        found[name] = {
            kernel: caught(lambda backend=backend, given=given, exact=exact: _kernel(settings, backend, given, exact))
            for kernel, backend in KERNELS.items()
        }
        found[name]["as torch chooses"] = caught(lambda given=given, exact=exact: _timed(settings, given, exact))
    return {"cudnn": torch.backends.cudnn.version(), "kernels": found}


def _kernel(settings: Settings, backend: SDPBackend, given: torch.Tensor, exact: torch.Tensor) -> dict[str, Any]:
    with sdpa_kernel(backend):
        return _timed(settings, given, exact)


def _timed(settings: Settings, given: torch.Tensor, exact: torch.Tensor) -> dict[str, Any]:
    """Forward and backward in bf16, in milliseconds, and how far the result is from that in float32."""
    q, k, v = (part.bfloat16().requires_grad_() for part in given)
    took = []
    for _ in range(2 if settings.tiny else 13):
        wait(settings)
        start = time.perf_counter()
        attended = F.scaled_dot_product_attention(q, k, v)
        attended.sum().backward()
        wait(settings)
        took.append(time.perf_counter() - start)
    return {
        "ms": 1e3 * median(took[-10:]),
        "finite": all(bool(each.isfinite().all()) for each in (attended, q.grad, k.grad, v.grad)),
        "largest_difference": float((attended.float() - exact).abs().max()),
    }
