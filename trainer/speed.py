"""How long a training step takes: several runs take turns on the same device."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import torch

from trainer.loop import Trainer
from trainer.step import repeatable

# A CUDA graph is recorded in the first steps, once the memory that it takes is known.
_WARMUP_STEPS_OF_GRAPHS = 5


@dataclass(frozen=True, slots=True)
class StepTimes:
    """The measured steps of one run."""

    seconds: tuple[float, ...]  # of a step, one for each round
    batch_clips: int

    @property
    def clips_per_s(self) -> float:
        return self.batch_clips / median(self.seconds)


def measure_steps(
    trainers: Mapping[str, Trainer],
    *,
    rounds: int,
    steps_per_round: int = 1,
    warmup_steps: int = 2,
    show: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, StepTimes]:
    """Time whole steps (batch, forward, backward, AdamW) of every run. Runs take turns, so all see the same machine.

    `show` gets the number of turns done and of all turns. On a GPU take several steps a round: each round waits for it
    once.
    """
    with ExitStack() as as_in_a_run:
        for trainer in trainers.values():
            as_in_a_run.enter_context(repeatable(trainer.device))
        return _measure(trainers, rounds, steps_per_round, warmup_steps, show)


def _measure(
    trainers: Mapping[str, Trainer],
    rounds: int,
    steps_per_round: int,
    warmup_steps: int,
    show: Callable[[int, int], None],
) -> dict[str, StepTimes]:
    for trainer in trainers.values():
        graphs = trainer.config.compile == "graphs"
        for _ in range(
            max(warmup_steps, _WARMUP_STEPS_OF_GRAPHS) if graphs else warmup_steps
        ):  # they compile, fill caches and make the optimiser's state
            trainer.train_step()
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for turn in range(rounds * len(trainers)):
        name = list(trainers)[turn % len(trainers)]
        _wait(trainers[name])
        start = time.perf_counter()
        for _ in range(steps_per_round):
            trainers[name].train_step()
        _wait(trainers[name])
        seconds[name].append((time.perf_counter() - start) / steps_per_round)
        show(turn + 1, rounds * len(trainers))
    return {name: StepTimes(tuple(times), trainers[name].config.batch_clips) for name, times in seconds.items()}


def _wait(trainer: Trainer) -> None:
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
