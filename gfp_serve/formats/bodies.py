"""Formats with room for a fixed number of bodies: which of the places hold one."""

import numpy as np
from jaxtyping import Float32


def without_empty_places(
    sequence: Float32[np.ndarray, "frames places joints 3"],
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The bodies that are anywhere but zero in some frame, each once; the first place alone where none is.

    A place that holds the same numbers as an earlier one is a copy: the published NTU RGB+D 120 files put a single
    person into both of their places.
    """
    kept: list[int] = []
    for place in np.flatnonzero((sequence != 0).any(axis=(0, 2, 3))):
        if not any(np.array_equal(sequence[:, place], sequence[:, earlier], equal_nan=True) for earlier in kept):
            kept.append(int(place))
    return sequence[:, kept or [0]]
