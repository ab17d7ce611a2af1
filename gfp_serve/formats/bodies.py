"""For formats with room for a fixed number of bodies: which of the places have one."""

import numpy as np
from jaxtyping import Float32


def without_empty_places(
    sequence: Float32[np.ndarray, "frames places joints 3"],
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The bodies that have a number other than zero in some frame, each once; without any, the first place.

    A place with the same numbers as an earlier one is a copy, and is left out: the published NTU RGB+D 120 files put a
    single person into both places.
    """
    kept: list[int] = []
    for place in np.flatnonzero((sequence != 0).any(axis=(0, 2, 3))):
        if not any(np.array_equal(sequence[:, place], sequence[:, earlier], equal_nan=True) for earlier in kept):
            kept.append(int(place))
    return sequence[:, kept or [0]]
