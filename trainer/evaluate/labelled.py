"""Labelled clips of a store on a device: random views to learn from, centre crops to be tested on."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gfp_serve.preprocess import SampleConfig
from trainer.data.augmentation import draw_views
from trainer.data.model_input import ModelInput, to_device
from trainer.data.store import ClipStore

# Bodies that a frozen encoder reads at a time.
CHUNK_ROWS = 32


class ClipRows(NamedTuple):
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
    """ClipRows of a store's clips on a device; the rows of the store lie there too where they fit."""

    def __init__(self, store: ClipStore, sampling: SampleConfig, device: torch.device) -> None:
        self.store, self.device = store, device
        self._input = ModelInput(store, sampling, device)

    def labels(self, clips: Int[np.ndarray, " clips"]) -> Int[Tensor, " clips"]:
        return torch.from_numpy(self.store.labels[clips]).to(self.device)

    def views(self, clips: Int[np.ndarray, " clips"], draws: np.random.Generator | None = None) -> ClipRows:
        """The clips at these store indices: a random window and rotation of each; without `draws` the centre crops."""
        seen = None if draws is None else draw_views(self.store.num_frames[clips], draws)
        bodies = self._input.rows(clips, seen).to(self.device)
        return ClipRows(bodies, to_device(self._input.clip_of_rows(clips), self.device), len(clips))


@torch.no_grad()
def frozen_features(model: nn.Module, views: ClipRows) -> Float[Tensor, "clips size"]:
    """What a model's `features` give for each clip, the mean over its bodies, before any scaling to unit length."""
    parts = torch.split(views.bodies, CHUNK_ROWS)
    rows = [model.features(part).float() for part in parts]  # type: ignore[operator]
    return views.mean_of_bodies(torch.cat(rows))
