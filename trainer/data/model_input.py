"""Clips of a store as model input: the one way from a store to what an encoder reads.

A clip is cut and resampled in one of two ways. `ModelInput.served` does it in numpy, clip by clip, by the function that
the server uses: its result equals the server's to the last bit. `ModelInput.rows` does the same in torch for many clips
at once, because a training step cannot wait for numpy. It also cuts random windows and turns them. Tests hold both
ways together.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64
from torch import Tensor

from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT, SampleConfig, centre_window, sample
from trainer.body_frame import bodies_turned
from trainer.data.store import POSITIONS_FILE, ClipStore
from trainer.data.windows import Windows

_CPU = torch.device("cpu")
_ROW_NUMBERS = 3 * MODEL_LAYOUT.num_joints

# This much memory of a GPU stays free for the model when a store is loaded beside it.
SPARE_DEVICE_BYTES = 8 << 30


class ClipRows(NamedTuple):
    """Some clips as a model reads them. Rows are those of `ModelInput`: a row is a body of a clip."""

    bodies: Float[Tensor, "rows frames joints 3"]  # metres
    clip: Int[Tensor, " rows"]  # the place of each row's clip among the clips
    num_clips: int

    def mean_of_bodies(self, features: Float[Tensor, "rows size"]) -> Float[Tensor, "clips size"]:
        """The mean over the rows of each clip."""
        total = features.new_zeros(self.num_clips, features.shape[1]).index_add_(0, self.clip, features)
        # torch.bincount would wait for the device.
        count = features.new_zeros(self.num_clips).index_add_(0, self.clip, features.new_ones(len(features)))
        return total / count[:, None]


class ModelInput:
    """Cuts and resamples the clips of a store.

    In torch a row is a body of a clip. An absent body has a row of zeros if `sampling` keeps absent bodies, and no row
    otherwise.
    """

    def __init__(self, store: ClipStore, sampling: SampleConfig, device: torch.device = _CPU) -> None:
        self.store, self.sampling, self.device = store, sampling, device

    def with_sampling(self, sampling: SampleConfig) -> "ModelInput":
        """The same clips, cut in another way; they are not loaded a second time."""
        other = ModelInput(self.store, sampling, self.device)
        other.__dict__["_stored"] = self._stored
        return other

    def served(self, clip: int) -> Float32[np.ndarray, "bodies num_frames joints 3"]:
        """The centre crop of the clip at this store index, as it is served, in metres."""
        return sample(self.store.cleaned(clip), self.sampling)

    def served_batches(
        self, clips: Int[np.ndarray, " clips"], batch_clips: int
    ) -> Iterator[tuple[list[int], Float32[np.ndarray, "batch bodies num_frames joints 3"]]]:
        """The centre crops of these clips in batches of one number of bodies, with their places in `clips`."""
        bodies = self._num_rows(clips)
        for count in np.unique(bodies):
            places = np.flatnonzero(bodies == count).tolist()
            for start in range(0, len(places), batch_clips):
                batch = places[start : start + batch_clips]
                yield batch, np.stack([self.served(int(clips[place])) for place in batch])

    @property
    def place(self) -> torch.device:
        """Where the store's rows are, and where `rows` works."""
        return self._stored.device

    def clip_of_rows(self, clips: Int[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """The place in `clips` to which each row belongs; the rows of a clip follow each other."""
        return np.repeat(np.arange(len(clips)), self._num_rows(clips))

    def rows(
        self,
        clips: Int[np.ndarray, " clips"],
        windows: Windows | None = None,
        *,
        chosen: Int[np.ndarray, " chosen"] | None = None,
        num_frames: int | None = None,
    ) -> Float[Tensor, "rows num_frames joints 3"]:
        """The rows of these clips, or only the `chosen` of them, in metres.

        Each clip is seen in its window, resampled to `num_frames`, or else to the frames of `sampling`. Without
        `windows` it is the centre crop, which `served` gives too.
        """
        store = self.store
        windows = self._centre_crops(clips) if windows is None else windows
        clip = self.clip_of_rows(clips)
        body = np.arange(len(clip)) - np.searchsorted(clip, clip)  # its number within its clip
        if chosen is not None:
            clip, body = clip[chosen], body[chosen]
        present = body < store.num_bodies[clips][clip]
        first_row = store.offsets[clips][clip] + body * present * store.num_frames[clips][clip] + windows.start[clip]
        window = self._placed(first_row), self._placed(windows.length[clip]), num_frames or self.sampling.num_frames
        bodies = cut_windows(self._stored, *window)
        if self._lacking is not None:
            lacking = cut_lacking(self._lacking, *window)
            bodies = bodies.masked_fill(lacking[..., None], torch.nan)
        if windows.rotation is not None:
            turn = self._placed(windows.rotation[clip])
            bodies = bodies_turned(bodies, turn)
        return bodies if present.all() else bodies.masked_fill(~self._placed(present)[:, None, None, None], 0.0)

    def at(
        self, clips: Int[np.ndarray, " clips"], moment: Float64[Tensor, "clips frames"]
    ) -> Float[Tensor, "clips frames joints 3"]:
        """The first body of each clip at these moments: 0 is its first frame, and between frames it goes straight."""
        before = moment.long()
        after = torch.minimum(before + 1, self._placed(self.store.num_frames[clips] - 1)[:, None])
        first_row = self._placed(self.store.offsets[clips])[:, None]
        where = first_row + before, first_row + after, (moment - before).float()
        bodies = _between(self._stored, *where)
        return (
            bodies if self._lacking is None else bodies.masked_fill(_lacks(self._lacking, *where)[..., None], torch.nan)
        )

    @cached_property
    def _stored(self) -> Float[Tensor, "stored numbers"]:
        """The rows of the store: on the GPU if they fit, mapped from the file otherwise."""
        count = int(self.store.offsets[-1])
        # A private map of the file: it reads what is used, and torch may hold it.
        mapped = torch.from_file(
            str(self.store.path / POSITIONS_FILE), shared=False, size=count * _ROW_NUMBERS, dtype=torch.float32
        ).view(count, _ROW_NUMBERS)
        device = self.device
        fits = device.type == "cuda" and mapped.nbytes + SPARE_DEVICE_BYTES <= torch.cuda.mem_get_info(device)[0]
        return mapped.to(device) if fits else mapped

    @cached_property
    def _lacking(self) -> Bool[Tensor, "stored joints"] | None:
        """Which joints of the store's rows are NaN for the model; None if none is."""
        lacking = self.store.lacking_rows() if self.sampling.keep_lacking else None
        return None if lacking is None else torch.from_numpy(lacking).to(self.place)

    def _num_rows(self, clips: Int[np.ndarray, " clips"]) -> Int64[np.ndarray, " clips"]:
        seen = self.store.num_bodies[clips]
        return np.full_like(seen, MAX_BODIES) if self.sampling.keep_absent_bodies else seen

    def _centre_crops(self, clips: Int[np.ndarray, " clips"]) -> Windows:
        crops = [centre_window(int(frames), self.sampling.crop) for frames in self.store.num_frames[clips]]
        start, length = np.array(crops, dtype=np.int64).reshape(-1, 2).T
        return Windows(start, length, None)

    def _placed(self, column: np.ndarray) -> Tensor:
        return to_device(column, self.place)


def cut_windows(
    rows: Float[Tensor, "stored numbers"],
    first_row: Int[Tensor, " rows"],
    length: Int[Tensor, " rows"],
    num_frames: int,
) -> Float[Tensor, "rows num_frames joints 3"]:
    """Rows first_row:first_row + length of the store, each window resampled to `num_frames` (`preprocess.resample`)."""
    return _between(rows, *_neighbours(first_row, length, num_frames))


def cut_lacking(
    lacking: Bool[Tensor, "stored joints"],
    first_row: Int[Tensor, " rows"],
    length: Int[Tensor, " rows"],
    num_frames: int,
) -> Bool[Tensor, "rows num_frames joints"]:
    """Which joints `preprocess.sample` would make NaN in the windows of `cut_windows`."""
    return _lacks(lacking, *_neighbours(first_row, length, num_frames))


def _between(
    rows: Float[Tensor, "stored numbers"],
    before: Int[Tensor, "rows frames"],
    after: Int[Tensor, "rows frames"],
    weight: Float[Tensor, "rows frames"],
) -> Float[Tensor, "rows frames joints 3"]:
    window = torch.lerp(rows[before], rows[after], weight[..., None])
    return window.view(*window.shape[:2], -1, 3)


def _lacks(
    lacking: Bool[Tensor, "stored joints"],
    before: Int[Tensor, "rows frames"],
    after: Int[Tensor, "rows frames"],
    weight: Float[Tensor, "rows frames"],
) -> Bool[Tensor, "rows frames joints"]:
    found = (lacking[before] & (weight < 1)[..., None]) | (lacking[after] & (weight > 0)[..., None])
    return found & ~found.flatten(1).all(dim=1)[:, None, None]


def _neighbours(
    first_row: Int[Tensor, " rows"], length: Int[Tensor, " rows"], num_frames: int
) -> tuple[Int[Tensor, "rows num_frames"], Int[Tensor, "rows num_frames"], Float[Tensor, "rows num_frames"]]:
    """The stored rows before and after each resampled frame, and the weight of the latter."""
    frames = torch.arange(num_frames, device=length.device, dtype=torch.float64) + 0.5
    # These roundings to float32 are those of `resample`, which has them from torch.
    scale = (length.float() / num_frames).double()
    position = (scale[:, None] * frames - 0.5).clamp_min(0).float()
    last = (length - 1)[:, None]
    before = torch.minimum(position.long(), last)
    after = torch.minimum(before + 1, last)
    start = first_row[:, None]
    return start + before, start + after, (position - before).clamp(0, 1)


def to_device(column: np.ndarray, device: torch.device) -> Tensor:
    """A numpy array as a tensor on a device, without waiting for it."""
    tensor = torch.from_numpy(column)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
