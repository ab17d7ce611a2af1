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
from trainer.data.model_input import ClipRows, ModelInput, to_device
from trainer.data.store import ClipStore
from trainer.data.views import MASKED_VIEW, Draws, View, changed
from trainer.data.windows import Windows, draw_windows
from trainer.schedule import change_seed, mask_seed, take, window_draws


class Batch(NamedTuple):
    """The share of one process in a step. Rows are those of `ModelInput`: a row is a body of a clip."""

    # In metres; what the objective asked for, in its order. Views may differ in their frames.
    views: tuple[Float[Tensor, "rows _ joints 3"], ...]
    uniform: Float[Tensor, "rows draws"]  # random numbers in [0, 1), for masks and whatever else an objective draws
    clip: Int[Tensor, " rows"]  # the place of each row's clip among the clips
    first_row: Int[Tensor, " clips"]  # of each clip

    @classmethod
    def of_bodies(cls, uniform: Float[Tensor, "rows draws"], *views: Float[Tensor, "rows _ joints 3"]) -> "Batch":
        """A batch of clips with one body each."""
        rows = torch.arange(len(uniform), device=uniform.device)
        return cls(views, uniform, rows, rows)

    @property
    def num_clips(self) -> int:
        return len(self.first_row)

    @property
    def bodies(self) -> Float[Tensor, "rows frames joints 3"]:
        """The first view, which for masked objectives is the only one."""
        return self.views[0]

    def rows(self, view: int = 0) -> ClipRows:
        """A view as rows of clips."""
        return ClipRows(self.views[view], self.clip, self.num_clips)

    def to(self, device: torch.device) -> "Batch":
        views = tuple(view.to(device) for view in self.views)
        return Batch(views, self.uniform.to(device), self.clip.to(device), self.first_row.to(device))


class TrainingClips:
    """The clips of a store that may be trained on: all except those of its test split.

    Every step has the same number of one-body clips and of two-body clips, in the store's proportion. So all steps have
    one shape, which compiled and captured code needs, and the statistics over a batch vary less. Each kind is drawn in
    passes of its own, so that every clip is used.

    Each is seen in all `views`, and each row gets `num_draws` random numbers. Raises `ValueError` when the store has
    fewer clips than a step takes, or the run more processes.
    """

    def __init__(
        self,
        store: ClipStore,
        sampling: SampleConfig,
        *,
        num_draws: int,
        batch_clips: int,
        seed: int,
        device: torch.device,
        views: tuple[View, ...] = (MASKED_VIEW,),
    ) -> None:
        self.store, self.num_draws, self.seed, self.device, self.views = store, num_draws, seed, device, views
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
        self._ahead: dict[int, Future[tuple[Tensor, ...]]] = {}

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
        clip, mine = self._my_rows(step)
        if self._reader is None:
            views = self._seen(step)
        else:
            read = self._ahead.pop(step, None) or self._reader.submit(self._pinned, step)
            self._ahead = {step + 1: self._reader.submit(self._pinned, step + 1)}
            views = tuple(view.to(self.device, non_blocking=True) for view in read.result())
        self._draws.manual_seed(mask_seed(step, seed=self.seed))
        uniform = torch.rand((len(clip), self.num_draws), generator=self._draws, device=self.device)
        if len(mine) < len(clip):
            uniform = uniform[to_device(mine, self.device)]
        _, first_row, place = np.unique(clip[mine], return_index=True, return_inverse=True)
        return Batch(views, uniform, to_device(place, self.device), to_device(first_row, self.device))

    def _my_rows(self, step: int) -> tuple[Int[np.ndarray, " all_rows"], Int[np.ndarray, " rows"]]:
        """The clip of each row of the whole step, and which rows are this process's: those of every n-th clip."""
        # One count runs over both kinds of clips: with a count for each, the first processes would get the odd ones of
        # both.
        clip = self._input.clip_of_rows(self.of_step(step))
        return clip, np.flatnonzero(clip % parallel.num_processes() == parallel.rank())

    def _seen(self, step: int) -> tuple[Float[Tensor, "rows _ joints 3"], ...]:
        """The clips of a step in each view."""
        clips, (clip, mine) = self.of_step(step), self._my_rows(step)
        place, seen = self._input.place, []
        drawn: list[Windows] = []
        for number, view in enumerate(self.views):
            windows = draw_windows(
                self.store.num_frames[clips],
                window_draws(step, seed=self.seed, view=number),
                min_share=view.min_share,
                max_share=view.max_share,
                min_frames=view.min_frames,
                max_angle=view.max_angle,
                within=None if view.within is None else drawn[view.within],
            )
            drawn.append(windows)
            bodies = self._input.rows(clips, windows, chosen=mine, num_frames=view.num_frames)
            if view.changes:
                # Its own, because the next step may be read while this one draws its masks.
                generator = torch.Generator(place).manual_seed(change_seed(step, seed=self.seed, view=number))
                bodies = changed(bodies, view, Draws(generator, to_device(clip[mine], place), len(clips)))
            seen.append(bodies)
        return tuple(seen)

    def _pinned(self, step: int) -> tuple[Tensor, ...]:
        return tuple(view.pin_memory() for view in self._seen(step))


def _shares(sizes: list[int], batch_clips: int) -> list[int]:
    """The number of clips of each kind in a step: in proportion to `sizes`, at least one of each."""
    if len(sizes) == 1:
        return [batch_clips]
    second = round(batch_clips * sizes[1] / sum(sizes))
    second = min(max(second, 1), batch_clips - 1)
    return [batch_clips - second, second]
