"""The packages that a bare install leaves out, and the extra of gfp-serve that brings each."""

import importlib
from typing import Any

from gfp_serve.errors import MissingExtraError

_EXTRAS = {
    "faiss": ("cpu", "gpu"),
    "onnxruntime": ("cpu", "gpu"),
    "h11": ("cpu", "gpu"),
    "uvicorn": ("cpu", "gpu"),
    "matplotlib": ("plot",),
    "opentelemetry": ("trace",),
    "pyarrow": ("parquet",),
    "rerun": ("rerun",),
    "pymilvus": ("milvus",),
    **dict.fromkeys(("av", "mediapipe"), ("video",)),
    **dict.fromkeys(("numba", "onnx", "onnxscript", "scipy", "sklearn", "tensorboard", "torch"), ("train",)),
}
# What else must be installed with an extra to be of use.
_TOGETHER = {"train": "cpu,train"}


def load(module: str) -> Any:
    """Import a module of a package that an extra brings. Raises `MissingExtraError`, which says which extra."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error) from error


def missing(error: ModuleNotFoundError) -> MissingExtraError:
    """The same as one line for a user. Raises the error itself if it is about no module that an extra brings."""
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRAS:
        raise error
    first, *others = _EXTRAS[package]
    named = f"extra {first!r}" + "".join(f" or {other!r}, not both" for other in others)
    return MissingExtraError(
        f"{package} is not installed, and this needs it: install gfp-serve with the {named}, in a checkout by "
        f"pip install -c constraints.txt '.[{_TOGETHER.get(first, first)}]'."
    )
