"""Finds what waits for the device in a training step, also on a CPU, where nothing has to wait."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# A number that Python reads; and the places of what is true, whose count decides a shape.
_WAITING = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class NoWaiting(TorchDispatchMode):
    """Within it, operators that would wait for the device raise an error."""

    def __torch_dispatch__(self, operator: Callable[..., Any], _types: Any, words: Any = (), names: Any = None) -> Any:
        if operator in _WAITING:
            raise AssertionError(f"{operator} waits for the device")
        return operator(*words, **(names or {}))
