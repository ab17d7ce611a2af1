"""From tokens to the embedding: the plain mean that the papers use, or a read-out that is fitted on clips.

The mean of all tokens is nearly the same vector for every clip (cosines of 0.99 and more), and time and joints are
lost in it. Keeping a coarse grid of time and joints, and whitening it with the statistics of some clips, is linear,
costs nothing when served, and tells actions apart far better; it needs no labels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import PreprocessConfig, finish
from trainer.encoder import SkeletonEncoder
from trainer.store import ClipStore

# More clips than this change the statistics little and would fill the memory: 38,400 numbers a clip.
MAX_FIT_CLIPS = 2048
MIN_FIT_CLIPS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutConfig:
    """What is kept of the tokens before whitening, and how much after it."""

    time_parts: int = 6  # equal parts of the clip, each with its own mean
    size: int = 256  # numbers of the embedding at most; fewer clips or features give fewer
    # Added to each direction's variance, as a share of the mean variance: rare directions are not blown up to noise.
    shrinkage: float = 0.01


class GridMeans(nn.Module):
    """Means of the encoder's tokens over each part of time, joint by joint."""

    def __init__(self, encoder: SkeletonEncoder, time_parts: int) -> None:
        super().__init__()
        if encoder.num_segments % time_parts:
            raise InvalidRequestError(
                f"{encoder.num_segments} segments of a clip do not divide into {time_parts} parts of time; "
                f"choose a divisor."
            )
        self.encoder, self.time_parts = encoder, time_parts

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        tokens = self.encoder(self.encoder.segments(bodies))
        rows, _, width = tokens.shape  # not len(): export would take it for a constant
        parts = tokens.view(rows, self.time_parts, -1, self.encoder.num_joints, width)
        return parts.mean(dim=2).flatten(1)  # rows, time_parts · joints · width


class Whitened(nn.Module):
    """Features of another model, centred, and turned and scaled so that fitted clips vary alike in every direction."""

    mean: Tensor
    directions: Tensor

    def __init__(
        self, model: nn.Module, mean: Float[Tensor, " features"], directions: Float[Tensor, "features size"]
    ) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        return (self.model.features(bodies) - self.mean) @ self.directions  # type: ignore[operator]


def fit_readout(
    model: nn.Module,
    store: ClipStore,
    preprocess: PreprocessConfig,
    config: ReadoutConfig,
    device: torch.device,
    *,
    show: Callable[[int, int], None] = lambda *_: None,
) -> Whitened:
    """Fit a read-out for a model with `features` (an encoder keeps its grid) on the clips of a store that are no test.

    The same store gives the same read-out. `show` gets clips done and clips in all. Raises `InvalidRequestError` when
    the store has too few clips.
    """
    index = np.flatnonzero(store.splits != TEST_SPLIT)
    if len(index) < MIN_FIT_CLIPS:
        raise InvalidRequestError(
            f"{store.path} has {len(index)} clips that are not of its test split; fitting a read-out needs at least "
            f"{MIN_FIT_CLIPS} (thousands are better)."
        )
    index = index[np.linspace(0, len(index) - 1, min(len(index), MAX_FIT_CLIPS)).astype(np.int64)]
    if isinstance(model, SkeletonEncoder):
        model = GridMeans(model, config.time_parts)
    model = model.to(device).eval()
    rows = []
    with torch.inference_mode():
        for done, clip in enumerate(index, start=1):
            bodies = torch.from_numpy(finish(store.clip(int(clip)), preprocess)).to(device)
            rows.append(model.features(bodies).mean(dim=0).float().cpu().numpy())  # type: ignore[operator]
            show(done, len(index))
    mean, directions = whitening(np.stack(rows), config)
    return Whitened(model, torch.from_numpy(mean).to(device), torch.from_numpy(directions).to(device))


def whitening(
    features: Float32[np.ndarray, "clips features"], config: ReadoutConfig
) -> tuple[Float32[np.ndarray, " features"], Float32[np.ndarray, "features size"]]:
    """Mean, and the principal directions of largest variance, each over the square root of its (shrunk) variance."""
    mean = features.mean(axis=0, dtype=np.float64)
    _, scales, directions = np.linalg.svd(features - mean, full_matrices=False)
    variances = scales**2 / len(features)
    kept = int((scales > 1e-6 * scales[0]).sum())
    size = min(config.size, kept)
    shrunk = variances[:size] + config.shrinkage * variances[:kept].mean()
    return mean.astype(np.float32), (directions[:size].T / np.sqrt(shrunk)).astype(np.float32)
