"""Pure functions of the step: what a step's learning rate, clips and random draws are does not depend on history.

That is why a resumed run equals an unbroken one: there is no counter to restore.
"""

import math

import numpy as np
import torch
from jaxtyping import Int


def warmup_cosine(step: int, *, peak: float, floor: float, warmup_steps: int, total_steps: int) -> float:
    """Rise in a line from 0 to `peak` over `warmup_steps`, then fall along half a cosine to `floor`."""
    if step < warmup_steps:
        return peak * step / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * done))


def clips_of_step(step: int, *, num_clips: int, batch_clips: int, seed: int) -> Int[np.ndarray, " batch"]:
    """The clips of one step: each epoch is a fresh shuffle, cut into whole batches; its rest is dropped."""
    steps = steps_per_epoch(num_clips, batch_clips)
    epoch, place = divmod(step, steps)
    order = np.random.default_rng([seed, 0, epoch]).permutation(num_clips)
    return order[place * batch_clips : (place + 1) * batch_clips]


def steps_per_epoch(num_clips: int, batch_clips: int) -> int:
    return max(1, num_clips // batch_clips)


def augmentation_draws(step: int, *, seed: int) -> np.random.Generator:
    """Windows and rotations of one step."""
    return np.random.default_rng([seed, 1, step])


def mask_draws(step: int, *, seed: int, device: torch.device) -> torch.Generator:
    """Masks of one step, drawn where the clips are."""
    return torch.Generator(device).manual_seed(int(np.random.default_rng([seed, 2, step]).integers(2**62)))
