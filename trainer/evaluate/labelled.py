"""Labelled clips of a store on a device: random views for learning, centre crops for tests."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gfp_serve.preprocess import SampleConfig
from trainer.data.model_input import ClipRows, ModelInput, to_device
from trainer.data.store import ClipStore
from trainer.data.windows import draw_windows
from trainer.devices import in_bf16_on_a_gpu
from trainer.embedding import sampling_for

# A frozen encoder reads this many bodies at a time.
_CHUNK_ROWS = {"cpu": 32, "cuda": 512}


class LabelledClips:
    """The clips of a store as `ClipRows` on a device."""

    def __init__(self, store: ClipStore, sampling: SampleConfig, device: torch.device) -> None:
        self.store, self.sampling, self.device = store, sampling, device
        self._input = ModelInput(store, sampling, device)
        self._others: dict[SampleConfig, LabelledClips] = {}

    def for_model(self, model: nn.Module) -> "LabelledClips":
        """The same clips, with lacking joints as the model takes them."""
        sampling = sampling_for(model, self.sampling)
        if sampling == self.sampling:
            return self
        if sampling not in self._others:
            other = self._others[sampling] = LabelledClips(self.store, sampling, self.device)
            other._input = self._input.with_sampling(sampling)
        return self._others[sampling]

    def labels(self, clips: Int[np.ndarray, " clips"]) -> Int[Tensor, " clips"]:
        return to_device(self.store.labels[clips], self.device)

    def views(self, clips: Int[np.ndarray, " clips"], draws: np.random.Generator | None = None) -> ClipRows:
        """The clips at these store indices: a random window and rotation of each; without `draws` the centre crops."""
        seen = None if draws is None else draw_windows(self.store.num_frames[clips], draws)
        bodies = self._input.rows(clips, seen).to(self.device)
        return ClipRows(bodies, to_device(self._input.clip_of_rows(clips), self.device), len(clips))


@torch.no_grad()
def frozen_features(model: nn.Module, views: ClipRows) -> Float[Tensor, "clips size"]:
    """The `features` of a model for each clip: the mean over its bodies, not scaled to unit length."""
    device = views.bodies.device
    parts = torch.split(views.bodies, _CHUNK_ROWS[device.type])
    with in_bf16_on_a_gpu(device):
        rows = [model.features(part).float() for part in parts]  # type: ignore[operator]
    return views.mean_of_bodies(torch.cat(rows))
