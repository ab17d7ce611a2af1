"""Labelled clips of a store on a device: random views to learn from, centre crops to be tested on."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT, PreprocessConfig, centre_window
from trainer.augment import draw_views
from trainer.batches import SPARE_DEVICE_BYTES, cut_windows
from trainer.store import POSITIONS_FILE, ClipStore

_ROW_NUMBERS = 3 * MODEL_LAYOUT.num_joints

# Bodies that a frozen encoder reads at a time.
CHUNK_ROWS = 32


class Views(NamedTuple):
    """Some clips as a model reads them. A row is a body; absent bodies have no row unless they are kept."""

    bodies: Float[Tensor, "rows frames joints 3"]
    clip: Int[Tensor, " rows"]  # which of the clips each row belongs to
    num_clips: int

    def mean_of_bodies(self, features: Float[Tensor, "rows size"]) -> Float[Tensor, "clips size"]:
        """The mean over each clip's rows."""
        total = features.new_zeros(self.num_clips, features.shape[1]).index_add_(0, self.clip, features)
        count = torch.bincount(self.clip, minlength=self.num_clips).to(features.dtype)
        return total / count[:, None]


class LabelledClips:
    """Views of a store's clips on a device; the rows of the store lie there too where they fit."""

    def __init__(self, store: ClipStore, preprocess: PreprocessConfig, device: torch.device) -> None:
        self.store, self.preprocess, self.device = store, preprocess, device
        self._rows = _place_rows(store, device)

    def labels(self, clips: Int[np.ndarray, " clips"]) -> Int[Tensor, " clips"]:
        return torch.from_numpy(self.store.labels[clips]).to(self.device)

    def views(self, clips: Int[np.ndarray, " clips"], draws: np.random.Generator | None = None) -> Views:
        """The clips at these store indices: a random window and rotation each, or without `draws` the centre crop.

        The centre crop is that of `preprocess.finish`, so that it equals what is served.
        """
        num_frames = self.store.num_frames[clips]
        rotation = None
        if draws is None:
            windows = [centre_window(int(frames), self.preprocess.crop) for frames in num_frames]
            start, length = np.array(windows, dtype=np.int64).reshape(-1, 2).T
        else:
            start, length, rotation = (view := draw_views(num_frames, draws)).start, view.length, view.rotation
        seen = self.store.num_bodies[clips]
        given = np.full_like(seen, MAX_BODIES) if self.preprocess.keep_absent_bodies else seen
        clip = np.repeat(np.arange(len(clips)), given)
        body = np.arange(len(clip)) - np.searchsorted(clip, clip)  # its number within its clip
        present = body < seen[clip]
        first = self.store.offsets[clips][clip] + body * present * num_frames[clip] + start[clip]
        place = self._rows.device
        bodies = cut_windows(
            self._rows,
            torch.from_numpy(first).to(place),
            torch.from_numpy(length[clip]).to(place),
            self.preprocess.num_frames,
        )
        if rotation is not None:
            turn = torch.from_numpy(rotation[clip]).to(place)
            bodies = (bodies.flatten(1, 2) @ turn.transpose(1, 2)).view(bodies.shape)
        if not present.all():
            bodies = bodies * torch.from_numpy(present).to(place)[:, None, None, None]
        return Views(bodies.to(self.device), torch.from_numpy(clip).to(self.device), len(clips))


@torch.no_grad()
def frozen_features(model: nn.Module, views: Views) -> Float[Tensor, "clips size"]:
    """What a model's `features` give for each clip, the mean over its bodies, before any scaling to unit length."""
    parts = torch.split(views.bodies, CHUNK_ROWS)
    rows = [model.features(part).float() for part in parts]  # type: ignore[operator]
    return views.mean_of_bodies(torch.cat(rows))


def _place_rows(store: ClipStore, device: torch.device) -> Float[Tensor, "stored numbers"]:
    count = int(store.offsets[-1])
    # A private map of the file: reads what is used, and torch may hold it.
    mapped = torch.from_file(
        str(store.path / POSITIONS_FILE), shared=False, size=count * _ROW_NUMBERS, dtype=torch.float32
    ).view(count, _ROW_NUMBERS)
    if device.type == "cuda" and mapped.nbytes + SPARE_DEVICE_BYTES <= torch.cuda.mem_get_info(device)[0]:
        return mapped.to(device)
    return mapped
