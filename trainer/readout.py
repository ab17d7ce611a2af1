"""From tokens to the embedding: the plain mean that the papers use, or a read-out that is fitted on clips.

The mean of all tokens is nearly the same vector for every clip (cosines of 0.99 and more), and time and joints are
lost in it. Keeping a coarse grid of time and joints, and whitening it with the statistics of some clips, is linear,
costs nothing when served, and tells actions apart far better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import SampleConfig
from gfp_serve.settings import setting
from trainer.data.model_input import ModelInput
from trainer.data.store import ClipStore
from trainer.encoder import SkeletonEncoder

# More clips than this change the statistics little and would fill the memory: 38,400 numbers a clip.
MAX_FIT_CLIPS = 2048
MIN_FIT_CLIPS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutConfig:
    """What is kept of the tokens, and how it is made comparable by cosine.

    `within-class` is the within-class covariance normalisation of Hatch, Kajarekar and Stolcke (2006, "Within-class
    covariance normalization for SVM-based speaker recognition"): directions in which clips of one class differ count
    little. It asks for labels, of any actions: those of the clips that will be searched are not needed.
    """

    readout: Literal["mean", "centred", "whitened", "within-class"] = setting(
        "whitened",
        "mean is fitted on nothing; centred takes the fitted clips' mean away; whitened also lets them vary alike in "
        "every direction; within-class lets clips of one class do so, which uses labels. Without --fit it is the mean "
        "of one part and all joints, as published.",
    )
    time_parts: int = setting(6, "Equal parts of the clip whose means are kept apart.")
    per_joint: bool = setting(True, "Keep the means of each joint apart, or take that of all joints.")
    readout_size: int = setting(256, "Numbers of a fitted embedding at most; fewer clips or features give fewer.")
    shrinkage: float = setting(
        0.01, "Share of the mean variance that is added to each direction's, so that rare ones do not become noise."
    )

    def __post_init__(self) -> None:
        if min(self.time_parts, self.readout_size) < 1:
            raise ValueError(
                f"--time-parts and --readout-size are {self.time_parts} and {self.readout_size}; each must be at "
                f"least 1."
            )
        if not 0 <= self.shrinkage < math.inf:  # NaN too
            raise ValueError(f"--shrinkage is {self.shrinkage}; it must be 0 or more, and finite.")

    @property
    def is_published(self) -> bool:
        """Whether this is the mean of all tokens, as MAMP and GFP evaluate it."""
        return self.readout == "mean" and self.time_parts == 1 and not self.per_joint

    def to_json(self) -> dict[str, Any]:
        """For a bundle's manifest or a report: kind and settings, those only that have a say."""
        if self.is_published:
            return {"kind": "mean"}
        grid = {"kind": self.readout, "time_parts": self.time_parts, "per_joint": self.per_joint}
        if self.readout == "mean":
            return grid
        grid["size"] = self.readout_size
        return grid if self.readout == "centred" else {**grid, "shrinkage": self.shrinkage}


PUBLISHED = ReadoutConfig(readout="mean", time_parts=1, per_joint=False)


class GridMeans(nn.Module):
    """Means of the encoder's tokens over each part of time, joint by joint or of all joints."""

    def __init__(self, encoder: SkeletonEncoder, time_parts: int, *, per_joint: bool = True) -> None:
        super().__init__()
        if encoder.num_segments % time_parts:
            raise InvalidRequestError(
                f"{encoder.num_segments} segments of a clip do not divide into {time_parts} parts of time; "
                f"choose a divisor for --time-parts."
            )
        self.encoder, self.time_parts, self.per_joint = encoder, time_parts, per_joint

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        tokens = self.encoder(self.encoder.segments(bodies))
        rows, _, width = tokens.shape  # not len(): export would take it for a constant
        parts = tokens.view(rows, self.time_parts, -1, self.encoder.num_joints, width)
        means = parts.mean(dim=2) if self.per_joint else parts.mean(dim=(2, 3))
        return means.flatten(1)  # rows, time_parts · joints · width


class Projected(nn.Module):
    """Features of another model, centred, turned and scaled: a fitted read-out."""

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


def grid_of(model: nn.Module, config: ReadoutConfig) -> nn.Module:
    """The model whose features are read: an encoder's grid; what is no encoder has features of its own.

    Raises `InvalidRequestError` when a clip's segments do not divide into the parts of time.
    """
    if not isinstance(model, SkeletonEncoder):
        return model
    return GridMeans(model, config.time_parts, per_joint=config.per_joint)


def fit_readout(
    model: nn.Module,
    store: ClipStore,
    sampling: SampleConfig,
    config: ReadoutConfig,
    device: torch.device,
    *,
    show: Callable[[int, int], None] = lambda *_: None,
) -> Projected:
    """Fit a read-out for a model with `features` (an encoder keeps its grid) on the clips of a store that are no test.

    The same store gives the same read-out. `show` gets clips done and clips in all. Raises `InvalidRequestError` when
    the store has too few clips, or for `within-class` too few labels, and `ValueError` for `mean`, which is not fitted.
    """
    index = np.flatnonzero(store.splits != TEST_SPLIT)
    if len(index) < MIN_FIT_CLIPS:
        raise InvalidRequestError(
            f"{store.path} has {len(index)} clips that are not of its test split; fitting a read-out needs at least "
            f"{MIN_FIT_CLIPS} (thousands are better)."
        )
    index = index[np.linspace(0, len(index) - 1, min(len(index), MAX_FIT_CLIPS)).astype(np.int64)]
    if config.readout == "within-class":
        _check_labels(store, index)
    model = grid_of(model, config).to(device).eval()
    model_input = ModelInput(store, sampling)
    rows = []
    with torch.inference_mode():
        for done, clip in enumerate(index, start=1):
            bodies = torch.from_numpy(model_input.served(int(clip))).to(device)
            rows.append(model.features(bodies).mean(dim=0).float().cpu().numpy())  # type: ignore[operator]
            show(done, len(index))
    mean, directions = projection(np.stack(rows), store.labels[index], config)
    return Projected(model, torch.from_numpy(mean).to(device), torch.from_numpy(directions).to(device))


def projection(
    features: Float32[np.ndarray, "clips features"], labels: Int[np.ndarray, " clips"], config: ReadoutConfig
) -> tuple[Float32[np.ndarray, " features"], Float32[np.ndarray, "features size"]]:
    """The mean to subtract and the directions to project on; labels below 0 are unknown.

    All kinds take the principal directions of largest variance. Centred leaves them as they are; whitened divides each
    by the square root of its (shrunk) variance; within-class turns them to the principal directions of the differences
    to the class means, and divides by the square root of the (shrunk) variances of these.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    directions, variances = _principal(centred, config.readout_size)
    if config.readout == "whitened":
        kept = variances[: directions.shape[1]]
        directions = directions / np.sqrt(kept + config.shrinkage * variances.mean())
    elif config.readout == "within-class":
        turned, variances = _within_class(centred @ directions, labels)
        directions = directions @ turned / np.sqrt(variances + config.shrinkage * variances.mean())
    elif config.readout == "mean":
        raise ValueError("the mean of tokens is not fitted")
    return mean.astype(np.float32), directions.astype(np.float32)


def _principal(
    centred: Float[np.ndarray, "clips features"], size: int
) -> tuple[Float[np.ndarray, "features kept"], Float[np.ndarray, " variances"]]:
    """Directions of largest variance, at most `size`, and the variances along all directions in which clips vary."""
    # By way of the smaller of the two products: a grid has ten times as many features as there are clips.
    wide = centred.shape[1] > len(centred)
    values, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = int((values > 1e-10 * values[0]).sum())
    values, vectors = values[:kept], vectors[:, : min(size, kept)]
    directions = centred.T @ vectors / np.sqrt(values[: vectors.shape[1]]) if wide else vectors
    return directions, values / len(centred)


def _within_class(
    features: Float[np.ndarray, "clips size"], labels: Int[np.ndarray, " clips"]
) -> tuple[Float[np.ndarray, "size size"], Float[np.ndarray, " size"]]:
    """Directions in which clips differ from the mean of their class, and the variances along them."""
    known, classes = labels >= 0, np.unique(labels[labels >= 0])
    place = np.searchsorted(classes, labels[known])
    sums = np.zeros((len(classes), features.shape[1]))
    np.add.at(sums, place, features[known])
    differences = features[known] - (sums / np.bincount(place)[:, None])[place]
    variances, directions = np.linalg.eigh(differences.T @ differences / (known.sum() - len(classes)))
    return directions, variances.clip(min=0)


def _check_labels(store: ClipStore, index: Int[np.ndarray, " clips"]) -> None:
    labels = store.labels[index]
    known = labels[labels >= 0]
    repeated = int((np.bincount(known) > 1).sum()) if len(known) else 0
    if len(known) < MIN_FIT_CLIPS or repeated < 2:
        raise InvalidRequestError(
            f"{store.path} has {len(known)} labelled clips that are not of its test split, of which {repeated} classes "
            f"have two or more; --readout within-class needs {MIN_FIT_CLIPS} and 2. Fit on labelled clips, or choose "
            f"--readout whitened."
        )
