"""The clips of a training step as one tensor on the device: a pure function of the step."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import SampleConfig
from trainer import parallel
from trainer.data.augmentation import draw_views
from trainer.data.model_input import ModelInput, to_device
from trainer.data.store import ClipStore
from trainer.schedule import augmentation_draws, mask_seed, take


class Batch(NamedTuple):
    """The share of one process in a step. Rows are those of `ModelInput`: a row is a body of a clip."""

    bodies: Float[Tensor, "rows frames joints 3"]  # metres
    uniform: Float[Tensor, "rows tokens"]  # random numbers in [0, 1) for the masks


class TrainingClips:
    """The clips of a store that may be trained on: all except those of its test split.

    Every step has the same number of one-body clips and of two-body clips, in the store's proportion. So all steps have
    one shape, which compiled and captured code needs, and the statistics over a batch vary less. Each kind is drawn in
    passes of its own, so that every clip is used.

    Raises `ValueError` when the store has fewer clips than a step takes, or the run more processes.
    """

    def __init__(
        self,
        store: ClipStore,
        sampling: SampleConfig,
        *,
        num_tokens: int,
        batch_clips: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.store, self.num_tokens, self.seed, self.device = store, num_tokens, seed, device
        self.index = np.flatnonzero(store.splits != TEST_SPLIT)
        if len(self.index) < 2:
            raise ValueError(
                f"the store has {len(self.index) or 'no'} clip outside its test split, and a step takes at least 2; "
                f"import more clips, or make fewer subjects test subjects."
            )
        if len(self.index) < batch_clips:
            raise ValueError(
                f"--batch-clips is {batch_clips}, but the store has only {len(self.index)} clips outside its test "
                f"split; choose at most {len(self.index)} or import more clips."
            )
        if batch_clips < parallel.num_processes():
            raise ValueError(
                f"--batch-clips is {batch_clips}, and {parallel.num_processes()} processes share them; choose at least "
                f"{parallel.num_processes()}, or start fewer processes."
            )
        pairs = store.num_bodies[self.index] > 1
        self._kinds = [kind for kind in (self.index[~pairs], self.index[pairs]) if len(kind)]
        self._clips_of_kind = _shares([len(kind) for kind in self._kinds], batch_clips)
        self._input = ModelInput(store, sampling, device)
        self._draws = torch.Generator(device)
        # Rows that are not on the GPU are read and cut one step ahead, while it works.
        self._reader = ThreadPoolExecutor(1) if self._input.place.type != device.type else None
        self._ahead: dict[int, Future[Tensor]] = {}

    def of_step(self, step: int) -> Int[np.ndarray, " batch"]:
        """Store indices of a step's clips, those of all processes; clips of one body come first."""
        return np.concatenate(
            [
                kind[take(step * count, count, num_clips=len(kind), key=(self.seed, 0, number))]
                for number, (kind, count) in enumerate(zip(self._kinds, self._clips_of_kind, strict=True))
            ]
        )

    def names_of_step(self, step: int) -> list[str]:
        return [str(self.store.names[clip]) for clip in self.of_step(step)]

    def batch(self, step: int) -> Batch:
        """This process's rows of a step, on the device. It does not wait for the device."""
        num_rows, mine = self._my_rows(step)
        if self._reader is None:
            bodies = self._bodies(step)
        else:
            read = self._ahead.pop(step, None) or self._reader.submit(self._pinned_bodies, step)
            self._ahead = {step + 1: self._reader.submit(self._pinned_bodies, step + 1)}
            bodies = read.result().to(self.device, non_blocking=True)
        self._draws.manual_seed(mask_seed(step, seed=self.seed))
        uniform = torch.rand((num_rows, self.num_tokens), generator=self._draws, device=self.device)
        return Batch(bodies, uniform if len(mine) == num_rows else uniform[to_device(mine, self.device)])

    def _my_rows(self, step: int) -> tuple[int, Int[np.ndarray, " rows"]]:
        """The number of rows of the whole step, and which of them are this process's: those of every n-th clip."""
        # One count runs over both kinds of clips: with a count for each, the first processes would get the odd ones of
        # both.
        clip = self._input.clip_of_rows(self.of_step(step))
        return len(clip), np.flatnonzero(clip % parallel.num_processes() == parallel.rank())

    def _bodies(self, step: int) -> Float[Tensor, "rows frames joints 3"]:
        clips = self.of_step(step)
        views = draw_views(self.store.num_frames[clips], augmentation_draws(step, seed=self.seed))
        return self._input.rows(clips, views, chosen=self._my_rows(step)[1])

    def _pinned_bodies(self, step: int) -> Tensor:
        return self._bodies(step).pin_memory()


def _shares(sizes: list[int], batch_clips: int) -> list[int]:
    """The number of clips of each kind in a step: in proportion to `sizes`, at least one of each."""
    if len(sizes) == 1:
        return [batch_clips]
    second = round(batch_clips * sizes[1] / sum(sizes))
    second = min(max(second, 1), batch_clips - 1)
    return [batch_clips - second, second]
