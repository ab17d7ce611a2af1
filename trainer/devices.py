"""The device that torch uses."""

import torch

from gfp_serve.encoder import Device
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
