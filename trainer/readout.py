"""From tokens to the embedding: by the plain mean that the papers use, or by a read-out that is fitted on clips.

The mean of all tokens is nearly the same vector for every clip (cosines of 0.99 and more), because it loses time and
joints. A read-out keeps a coarse grid of time and joints, and whitens it with the statistics of some clips. That is
linear, costs nothing when served, and tells actions apart far better.
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
from trainer.embedding import sampling_for
from trainer.encoders import Encoder
from trainer.token_choice import FewTokens

# More clips change the statistics little and would fill the memory: each has 38,400 numbers.
MAX_FIT_CLIPS = 2048
MIN_FIT_CLIPS = 16
# One that is fitted on fewer may find less than the plain mean. On 156 clips of Florence 1-NN fell from 74.6 to 71.2 %.
ENOUGH_TO_FIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutConfig:
    """What is kept of the tokens, and how it is made comparable by cosine.

    `within-class` is the within-class covariance normalisation of Hatch, Kajarekar and Stolcke (2006, "Within-class
    covariance normalization for SVM-based speaker recognition"): directions in which clips of one class differ count
    little. It needs labels, of any actions: the clips that will be searched need none.

    Raises `ValueError` for a value out of range.
    """

    readout: Literal["mean", "centred", "whitened", "within-class"] = setting(
        "whitened",
        "mean needs no fitting. centred subtracts the mean of the fitted clips. whitened also makes them vary equally "
        "in every direction. within-class makes clips of one class do so, which needs labels. Without --fit it is the "
        "published mean over time and joints.",
    )
    time_parts: int = setting(6, "Number of equal parts of the clip; each keeps its own mean.")
    per_joint: bool = setting(True, "Keep a mean for each joint, or one mean of all joints.")
    readout_size: int = setting(
        256, "Largest length of a fitted embedding; fewer clips or features give a shorter one."
    )
    shrinkage: float = setting(
        0.01, "Share of the mean variance that is added to that of each direction, so that weak ones are not noise."
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
        """Kind and settings for a bundle's manifest or a report, without settings that have no effect."""
        if self.is_published:
            return {"kind": "mean"}
        grid = {"kind": self.readout, "time_parts": self.time_parts, "per_joint": self.per_joint}
        if self.readout == "mean":
            return grid
        grid["size"] = self.readout_size
        return grid if self.readout == "centred" else {**grid, "shrinkage": self.shrinkage}


PUBLISHED = ReadoutConfig(readout="mean", time_parts=1, per_joint=False)


class GridMeans(nn.Module):
    """Means of an encoder's tokens over each part of time, for each joint or over all joints.

    Raises `InvalidRequestError` when the segments of a clip do not divide into the parts, and for a mean of each joint
    when tokens tell no joints apart.
    """

    def __init__(self, encoder: Encoder | FewTokens, time_parts: int, *, per_joint: bool = True) -> None:
        super().__init__()
        if encoder.num_segments % time_parts:
            raise InvalidRequestError(
                f"--time-parts is {time_parts}, which does not divide the {encoder.num_segments} segments of a clip; "
                f"choose a divisor of {encoder.num_segments}."
            )
        if per_joint and encoder.num_joints == 1:
            raise InvalidRequestError(
                "--per-joint needs an encoder whose tokens tell joints apart, and those of this run do not; add "
                "--no-per-joint."
            )
        self.encoder, self.time_parts, self.per_joint = encoder, time_parts, per_joint
        self.keep_lacking = encoder.keep_lacking

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        if isinstance(self.encoder, FewTokens):
            return self.encoder.means(bodies, self.time_parts, per_joint=self.per_joint)
        return self.encoder.means(self.encoder.tokens(bodies), self.time_parts, per_joint=self.per_joint)


class Projected(nn.Module):
    """A fitted read-out: the features of another model, centred, turned and scaled."""

    mean: Tensor
    directions: Tensor

    def __init__(
        self, model: nn.Module, mean: Float[Tensor, " features"], directions: Float[Tensor, "features size"]
    ) -> None:
        super().__init__()
        self.model = model
        self.keep_lacking = getattr(model, "keep_lacking", False)
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        return (self.model.features(bodies) - self.mean) @ self.directions  # type: ignore[operator]


def grid_of(model: nn.Module, config: ReadoutConfig) -> nn.Module:
    """The model whose features a read-out reads: the grid of an encoder, any other model itself.

    Raises `InvalidRequestError` when the segments of a clip do not divide into the parts of time.
    """
    if not isinstance(model, Encoder | FewTokens):
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
    """Fit a read-out for a model with `features` on the clips of a store that are outside its test split.

    Of an encoder it reads the grid. The same store gives the same read-out. `show` gets the number of clips done and of
    all clips. Raises `InvalidRequestError` when the store has too few clips, or for `within-class` too few labels, and
    `ValueError` for `mean`, which is not fitted.
    """
    index = np.flatnonzero(store.splits != TEST_SPLIT)
    if len(index) < MIN_FIT_CLIPS:
        raise InvalidRequestError(
            f"{store.path} has {len(index)} clips outside its test split; fitting a read-out needs at least "
            f"{MIN_FIT_CLIPS} (thousands are better): import more clips, or name another store."
        )
    index = index[np.linspace(0, len(index) - 1, min(len(index), MAX_FIT_CLIPS)).astype(np.int64)]
    if config.readout == "within-class":
        _check_labels(store, index)
    model = grid_of(model, config).to(device).eval()
    model_input = ModelInput(store, sampling_for(model, sampling))
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
    """The mean to subtract and the directions to project on. Labels below 0 are unknown.

    All kinds take the principal directions of largest variance. `centred` leaves them as they are. `whitened` divides
    each by the square root of its variance, to which the shrinkage is added. `within-class` turns them to the principal
    directions of the differences from the class means, and divides by the square roots of the variances along these.
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
    # From the smaller of the two products: a grid has ten times more features than clips.
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
            f"{store.path} has {len(known)} labelled clips outside its test split, and {repeated} classes with two or "
            f"more of them; --readout within-class needs {MIN_FIT_CLIPS} clips and 2 such classes. Fit on labelled "
            f"clips, or choose --readout whitened."
        )
