"""Learning rate, clips and random draws of a step, as pure functions of the step.

They do not depend on earlier steps. So a resumed run equals an unbroken one: there is no counter to restore.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Int

# The largest seed of a run. Other seeds are counted up from it, and torch takes seeds of at most 64 bits.
LARGEST_SEED = 2**32 - 1


def warmup_cosine(step: int, *, peak: float, floor: float, warmup_steps: int, total_steps: int) -> float:
    """A line from 0 up to `peak` over `warmup_steps`, then half a cosine down to `floor`."""
    if step < warmup_steps:
        return peak * step / warmup_steps
    return half_cosine(peak, floor, (step - warmup_steps) / max(1, total_steps - warmup_steps))


def half_cosine(first: float, last: float, done: float) -> float:
    """From `first` to `last` along half a cosine. `done` is the share of the way."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))


def dropped_once(step: int, *, peak: float, floor: float, warmup_steps: int, drop_step: int) -> float:
    """A line from 0 up to `peak` over `warmup_steps`; from `drop_step` on, `floor`."""
    if step < warmup_steps:
        return peak * step / warmup_steps
    return peak if step < drop_step else floor


def take(start: int, count: int, *, num_clips: int, key: tuple[int, ...]) -> Int[np.ndarray, " count"]:
    """Places `start` to `start + count` of an endless sequence of passes over all clips, each shuffled again."""
    places = np.arange(start, start + count)
    passes = places // num_clips
    return np.concatenate(
        [
            _order(num_clips, (*key, int(number)))[places[passes == number] % num_clips]
            for number in range(passes[0], passes[-1] + 1)
        ]
    )


# At most two passes of two kinds of clips are in use at a time.
@lru_cache(maxsize=8)
def _order(num_clips: int, key: tuple[int, ...]) -> Int[np.ndarray, " clips"]:
    return np.random.default_rng(key).permutation(num_clips)


def steps_per_epoch(num_clips: int, batch_clips: int) -> int:
    return max(1, num_clips // batch_clips)


def window_draws(step: int, *, seed: int, view: int = 0) -> np.random.Generator:
    """The generator of the windows and rotations of one of a step's views."""
    return np.random.default_rng([seed, 1, step, view] if view else [seed, 1, step])


def change_seed(step: int, *, seed: int, view: int = 0) -> int:
    """The seed of the changes in space of one of a step's views."""
    return int(np.random.default_rng([seed, 5, step, view]).integers(2**62))


def mask_seed(step: int, *, seed: int) -> int:
    """The seed of a step's masks, which are drawn on the device of the clips."""
    return int(np.random.default_rng([seed, 2, step]).integers(2**62))


def lesson_seed(step: int, *, seed: int) -> int:
    """The seed of a step's changes to the clips of `trainer.terms`."""
    return int(np.random.default_rng([seed, 3, step]).integers(2**62))
