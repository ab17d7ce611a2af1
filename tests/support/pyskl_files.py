"""Annotation files as PYSKL and MMAction2 write them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

PROTOCOLS = range(6)
NAMES = ("S001C002P003R001A001", "S001C001P001R002A023")


def make_annotation(name: str = NAMES[0], label: int = 0, **changes: Any) -> dict[str, Any]:
    """Return two bodies of three frames. In frame t, joint j of body b is at (t + 1, j, 3 + 10 b)."""
    keypoint = np.zeros((2, 3, 25, 3), dtype=np.float16)
    keypoint[..., 0] = np.array([1, 2, 3])[:, None]
    keypoint[..., 1] = np.arange(25)
    keypoint[..., 2] = np.array([3, 13])[:, None, None]
    return {"frame_dir": name, "label": label, "total_frames": 3, "keypoint": keypoint} | changes


def make_file(**changes: Any) -> dict[str, Any]:
    return {
        "split": {
            "xview_train": [NAMES[0]],
            "xview_val": [NAMES[1]],
            "xsub_train": [NAMES[1]],
            "xsub_val": [NAMES[0]],
        },
        "annotations": [make_annotation(), make_annotation(NAMES[1], 22)],
    } | changes


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


def short(text: str) -> bytes:
    """Return the instruction that puts a text on the stack."""
    return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode()


def named(module: str, name: str) -> bytes:
    """Return the instructions that look up a function by its name."""
    return short(module) + short(name) + pickle.STACK_GLOBAL
