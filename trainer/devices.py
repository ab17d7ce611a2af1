"""The device that torch uses, and how precisely."""

import torch

from gfp_serve.devices import Device
from gfp_serve.errors import DeviceError


def pick_device(name: Device) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`. Raises `DeviceError` for `cuda` on a machine without it."""
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "--device cuda was asked for, but torch finds no CUDA device; check the driver (nvidia-smi) and that torch "
            "is a CUDA build, or use --device cpu."
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def in_bf16_on_a_gpu(device: torch.device) -> torch.autocast:
    """Where a model reads clips without learning: bf16 takes a GPU a fifth of the time. On a CPU nothing changes."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
