"""Clips one after another, as one recording of one person."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32


def joined(
    parts: Sequence[Float32[np.ndarray, "_frames _bodies joints 3"]],
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The parts in order, each moved on the ground so that its first body begins where the one before it ended.

    Where a body begins and ends is the middle of its joints that are seen. A part with fewer bodies than others gets
    bodies that are not seen (NaN). Parts without frames are left out.
    """
    bodies = max(part.shape[1] for part in parts)
    placed: list[np.ndarray] = []
    for part in filter(len, parts):
        absent = np.full((len(part), bodies - part.shape[1], *part.shape[2:]), np.nan, dtype=np.float32)
        whole = np.concatenate([part, absent], axis=1)
        if placed:
            whole = whole + (_place(placed[-1][::-1]) - _place(whole))
        placed.append(whole)
    return np.concatenate(placed).astype(np.float32)


def _place(part: Float[np.ndarray, "frames bodies joints 3"]) -> Float[np.ndarray, " 3"]:
    """Where the first body stands on the ground in the first frame that shows it; y is 0."""
    seen = np.isfinite(part[:, 0]).all(axis=-1)  # frames, joints
    if not seen.any():
        return np.zeros(3)
    frame = int(np.argmax(seen.any(axis=1)))
    middle = part[frame, 0, seen[frame]].mean(axis=0, dtype=np.float64)
    return middle * (1.0, 0.0, 1.0)
