"""How long encoders take for a clip, compared on one machine."""

import time
from collections.abc import Hashable, Mapping
from statistics import median
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from gfp_serve.bundle import Encode

Name = TypeVar("Name", bound=Hashable)

# Encoders take this many turns, but begin none after this time.
_ROUNDS, _MEASURING_S = 9, 3.0


def time_in_turns(
    encoders: Mapping[Name, Encode], clip: Float32[np.ndarray, "bodies frames joints 3"]
) -> dict[Name, float]:
    """The median seconds of each encoder for a clip. They take turns, so other work on the machine slows all alike."""
    for encode in encoders.values():
        encode(clip[None])  # the first call is slow
    seconds: dict[Name, list[float]] = {name: [] for name in encoders}
    end = time.perf_counter() + _MEASURING_S
    for number in range(_ROUNDS):
        for name, encode in encoders.items():
            began = time.perf_counter()
            encode(clip[None])
            seconds[name].append(time.perf_counter() - began)
        if number and time.perf_counter() > end:
            break
    return {name: median(each) for name, each in seconds.items()}
