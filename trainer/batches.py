"""The clips of a step as one tensor on the device, a pure function of the step.

The store's rows live on the GPU where they fit and are mapped from the file elsewhere; windows are cut, resampled and
turned where the rows live. The resampling is `preprocess.resample` for many windows at once.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int64
from torch import Tensor

from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT, PreprocessConfig
from trainer import parallel
from trainer.augment import draw_views
from trainer.schedule import augmentation_draws, mask_seed, take
from trainer.store import POSITIONS_FILE, ClipStore

_ROW_NUMBERS = 3 * MODEL_LAYOUT.num_joints

# Memory of a GPU that stays free for the model, when the store is put beside it.
SPARE_DEVICE_BYTES = 8 << 30


class Batch(NamedTuple):
    """A process's share of a step. A row is a body of a clip; absent bodies have no row unless they are kept."""

    bodies: Float[Tensor, "rows frames joints 3"]
    uniform: Float[Tensor, "rows tokens"]  # random numbers in [0, 1) for the masks


class _Windows(NamedTuple):
    """Which frames of the store's rows become the rows of a batch."""

    first_row: Int64[np.ndarray, " rows"]
    length: Int64[np.ndarray, " rows"]
    rotation: Float32[np.ndarray, "rows 3 3"]
    present: Bool[np.ndarray, " rows"]  # False for absent bodies that are kept


class TrainingClips:
    """The clips of a store that may be trained on: all that are not of its test split.

    Every step has the same numbers of one-body and of two-body clips, in the store's proportion: then all steps have
    one shape, which compiled and captured code wants, and the statistics over a batch vary less. Both kinds are drawn
    in passes of their own, so that every clip is used.
    """

    def __init__(
        self,
        store: ClipStore,
        preprocess: PreprocessConfig,
        *,
        num_tokens: int,
        batch_clips: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.store, self.preprocess, self.num_tokens = store, preprocess, num_tokens
        self.index = np.flatnonzero(store.splits != TEST_SPLIT)
        if len(self.index) < batch_clips:
            raise ValueError(
                f"--batch-clips is {batch_clips}, but the store has only {len(self.index)} clips that are not of its "
                f"test split; choose at most {len(self.index)} or import more clips."
            )
        self.batch_clips, self.seed, self.device = batch_clips, seed, device
        pairs = store.num_bodies[self.index] > 1
        self._kinds = [kind for kind in (self.index[~pairs], self.index[pairs]) if len(kind)]
        self._clips_of_kind = _shares([len(kind) for kind in self._kinds], batch_clips)
        self._rows, self.resident = self._place_rows()
        self._draws = torch.Generator(device)
        # Rows that are not resident are read and cut one step ahead, beside the device's work.
        self._reader = ThreadPoolExecutor(1) if device.type == "cuda" and not self.resident else None
        self._ahead: dict[int, Future[Tensor]] = {}

    def of_step(self, step: int) -> Int[np.ndarray, " batch"]:
        """Store indices of the clips of a step, of all processes; clips of one body first."""
        return np.concatenate(
            [
                kind[take(step * count, count, num_clips=len(kind), key=(self.seed, 0, number))]
                for number, (kind, count) in enumerate(zip(self._kinds, self._clips_of_kind, strict=True))
            ]
        )

    def names_of_step(self, step: int) -> list[str]:
        return [str(self.store.names[clip]) for clip in self.of_step(step)]

    def batch(self, step: int) -> Batch:
        """This process's rows of a step, on the device. Nothing waits for the device."""
        mine = self._my_rows(step)
        if self._reader is None:
            bodies = self._bodies(step)
        else:
            ahead = self._ahead.pop(step, None) or self._reader.submit(self._bodies, step)
            self._ahead = {step + 1: self._reader.submit(self._bodies, step + 1)}
            bodies = ahead.result().to(self.device, non_blocking=True)
        self._draws.manual_seed(mask_seed(step, seed=self.seed))
        uniform = torch.rand((len(mine), self.num_tokens), generator=self._draws, device=self.device)
        return Batch(bodies, uniform if mine.all() else uniform[_to_device(np.flatnonzero(mine), self.device)])

    def _my_rows(self, step: int) -> Bool[np.ndarray, " rows"]:
        """Which rows of the whole step this process has: every n-th clip of each kind."""
        clips = np.concatenate([np.arange(count) for count in self._clips_of_kind])
        mine = clips % parallel.num_processes() == parallel.rank()
        return np.repeat(mine, self._bodies_of(self.of_step(step)))

    def _bodies_of(self, clips: Int[np.ndarray, " clips"]) -> Int64[np.ndarray, " clips"]:
        if self.preprocess.keep_absent_bodies:
            return np.full(len(clips), MAX_BODIES, dtype=np.int64)
        return self.store.num_bodies[clips]

    def _windows(self, step: int) -> _Windows:
        """The windows of a step's rows, of this process."""
        clips = self.of_step(step)
        views = draw_views(self.store.num_frames[clips], augmentation_draws(step, seed=self.seed))
        clip = np.repeat(np.arange(len(clips)), self._bodies_of(clips))  # place in the step of each row
        body = np.arange(len(clip)) - np.searchsorted(clip, clip)  # its number within its clip
        present = body < self.store.num_bodies[clips][clip]
        body_rows = body * present * self.store.num_frames[clips][clip]
        windows = (
            self.store.offsets[clips][clip] + body_rows + views.start[clip],
            views.length[clip],
            views.rotation[clip],
            present,
        )
        mine = self._my_rows(step)
        return _Windows(*(column[mine] for column in windows))

    def _bodies(self, step: int) -> Float[Tensor, "rows frames joints 3"]:
        windows = self._windows(step)
        place = self._rows.device
        first, length, rotation = (_to_device(column, place) for column in windows[:3])
        bodies = cut_windows(self._rows, first, length, self.preprocess.num_frames)
        turned = (bodies.flatten(1, 2) @ rotation.transpose(1, 2)).view(bodies.shape)
        if not windows.present.all():
            turned *= _to_device(windows.present, place)[:, None, None, None]
        return turned.pin_memory() if self._reader is not None else turned

    def _place_rows(self) -> tuple[Float[Tensor, "rows numbers"], bool]:
        count = int(self.store.offsets[-1])
        # A private map of the file: reads what is used, and torch may hold it.
        mapped = torch.from_file(
            str(self.store.path / POSITIONS_FILE), shared=False, size=count * _ROW_NUMBERS, dtype=torch.float32
        ).view(count, _ROW_NUMBERS)
        if self.device.type != "cuda":
            return mapped, False
        free, _ = torch.cuda.mem_get_info(self.device)
        if mapped.nbytes + SPARE_DEVICE_BYTES > free:
            return mapped, False
        return mapped.to(self.device), True


def cut_windows(
    rows: Float[Tensor, "stored numbers"],
    first_row: Int[Tensor, " rows"],
    length: Int[Tensor, " rows"],
    num_frames: int,
) -> Float[Tensor, "rows num_frames joints 3"]:
    """Rows first_row:first_row + length of the store, each window resampled to `num_frames` (`preprocess.resample`)."""
    frames = torch.arange(num_frames, device=rows.device, dtype=torch.float64) + 0.5
    # The roundings to float32 are those of `resample`, which are torch's.
    scale = (length.float() / num_frames).double()
    position = (scale[:, None] * frames - 0.5).clamp_min(0).float()
    last = (length - 1)[:, None]
    before = torch.minimum(position.long(), last)
    after = torch.minimum(before + 1, last)
    weight = (position - before).clamp(0, 1)[..., None]
    start = first_row[:, None]
    window = torch.lerp(rows[start + before], rows[start + after], weight)
    return window.view(*window.shape[:2], -1, 3)


def _shares(sizes: list[int], batch_clips: int) -> list[int]:
    """How many clips of each kind a step has: in proportion, at least one of each."""
    if len(sizes) == 1:
        return [batch_clips]
    second = round(batch_clips * sizes[1] / sum(sizes))
    second = min(max(second, 1), batch_clips - 1)
    return [batch_clips - second, second]


def _to_device(column: np.ndarray, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(column)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
