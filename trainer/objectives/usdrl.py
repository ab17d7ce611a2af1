"""USDRL: four views of a clip are alike in time, in space and as a whole, and no two features tell the same.

"USDRL: Unified Skeleton-Based Dense Representation Learning with Multi-Grained Feature Decorrelation", AAAI 2025, arXiv
2412.09220, with the values of its public code. There are no negatives, no slow copy and no queue: variance, covariance
and the cross-correlation of views keep the features from collapsing.

The published encoders have one stream of frames and one of joints (`--encoder two_stream`). On the transformer, tokens
averaged over the joints of a segment are the stream in time, and averaged over the segments of a joint the stream in
space. Tokens that tell no joints apart are a stream in time alone. As published, a stream becomes one vector by the
largest value of each feature.

Differences to the public code, which are meant:

- Losses are computed in 32 bits; there in 16, in which the squares of small covariances are lost.
- The variance beside the cross-correlation is kept above 0, where a feature that never varies would have no gradient.
- Projectors start as torch starts them; there, all linear layers start with a spread of 0.02 and biases of 0.
- Each body is a row, and the vectors of a clip's bodies are averaged before they are projected; there, the encoder
  reads both bodies at once.
- Clips are turned to one view only if their store is (`gfp-data import --align-view`); there, they always are, and the
  trunk is made upright too.
- The last clips of an epoch that are fewer than a step's are left out; there, they are a smaller step.
- On several processes statistics are those of all clips of a step; there, batch norms see those of one GPU alone.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.data.views import View
from trainer.encoders import Encoder, MaskableEncoder
from trainer.masking import first_known
from trainer.objectives.objective import ObjectiveConfig, Outcome
from trainer.objectives.vicreg import variance_and_covariance
from trainer.objectives.whole_clips import STRONG_VIEW, WholeClips, WholeClipsConfig
from trainer.parallel import GlobalBatchNorm, mean_square, moments, total

_NUM_VIEWS = 4
# Of the variance beside the covariance, and of what is beside the diagonal of a cross-correlation.
_VARIANCE, _OFF_DIAGONAL = 5.0, 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class UsdrlConfig(WholeClipsConfig):
    """USDRL's own settings. `--preset usdrl-ntu60` has the published encoder and schedule."""

    similarity_weight: float = setting(5.0, "Weight of the distance between views.")
    spread_weight: float = setting(1.0, "Weight of variance (five times) and covariance.")
    correlation_weight: float = setting(0.001, "Weight of the cross-correlation of two views.")
    time_weight: float = setting(0.5, "Weight of all terms in time.")
    space_weight: float = setting(0.5, "Weight of all terms in space; encoders whose tokens tell no joints have none.")
    instance_weight: float = setting(1.0, "Weight of all terms of time and space together.")
    compared_width: int = setting(
        0, "Features in which views are compared in time and space, half of those of both; 0 = twice the encoder's."
    )

    def __post_init__(self) -> None:
        WholeClipsConfig.__post_init__(self)
        names = ("similarity", "spread", "correlation", "time", "space", "instance")
        for name in (f"{each}_weight" for each in names):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more.")
        if self.compared_width < 0:
            raise ValueError(f"--compared-width is {self.compared_width}; it must be 0 or more.")


class Usdrl(WholeClips):
    """Distances of views, variance and covariance of each, and cross-correlations of pairs, in three domains."""

    config_type: ClassVar[type[ObjectiveConfig]] = UsdrlConfig
    config: UsdrlConfig

    def __init__(self, encoder: Encoder, config: UsdrlConfig) -> None:
        super().__init__(encoder, config)
        width, has_joints = encoder.width, encoder.num_joints > 1
        compared = config.compared_width or 2 * width
        self.time_projector = _projector(width, compared, compared)
        self.space_projector = _projector(width, compared, compared) if has_joints else None
        whole = 2 * width if isinstance(encoder, MaskableEncoder) else encoder.feature_size
        self.instance_projector = _projector(whole, compared, 2 * compared)

    @property
    def views(self) -> tuple[View, ...]:
        return (STRONG_VIEW,) * _NUM_VIEWS

    def forward(self, batch: Batch) -> Outcome:
        config = self.config
        # Of each domain, the vectors of all views.
        time, *space, whole = zip(*(self._pooled(batch, view) for view in range(_NUM_VIEWS)), strict=True)
        domains: dict[str, tuple[float, nn.Module, Any]] = {"time": (config.time_weight, self.time_projector, time)}
        if self.space_projector is not None:
            domains["space"] = (config.space_weight, self.space_projector, space[0])
        domains["instance"] = (config.instance_weight, self.instance_projector, whole)
        loss = batch.uniform.new_zeros(())
        terms: dict[str, Tensor] = {}
        levels: dict[str, tuple[Tensor, Tensor]] = {}
        for name, (weight, projector, vectors) in domains.items():
            projected = [projector(each) for each in vectors]
            with torch.autocast(loss.device.type, enabled=False):
                views = [each.float() for each in projected]
                alike, spread, correlation = similarity(views), decorrelation(views), cross_correlation(views)
                loss = loss + weight * (
                    config.similarity_weight * alike
                    + config.spread_weight * spread
                    + config.correlation_weight * correlation
                )
            terms |= {f"{name} similarity": alike, f"{name} spread": spread, f"{name} correlation": correlation}
            levels[name] = (views[0].detach(), views[3].detach())
        return Outcome(loss, {name: term.detach() for name, term in terms.items()}, levels)

    def _pooled(self, batch: Batch, view: int) -> tuple[Float[Tensor, "clips _"], ...]:
        """A clip's vectors in time and in space: of its segments, or joints, the largest value of each feature.

        None in space, if the encoder's tokens tell no joints apart. Then its vector as a whole: both side by side, or
        how the encoder itself pools its tokens, which of `two_stream` is the same.
        """
        encoder, rows = self.encoder, batch.rows(view)
        of_encoder, order = self.draws_of(batch, view)
        if isinstance(encoder, MaskableEncoder):
            segments, known = encoder.cut(*encoder.shown(rows.bodies))
            visible = first_known(order, cast(Tensor, known), self.config.view_tokens or encoder.num_tokens)
            tokens = encoder(segments, visible)
            in_time = largest_mean(tokens, visible // encoder.num_joints, encoder.num_segments)
            in_space = largest_mean(tokens, visible % encoder.num_joints, encoder.num_joints)
            pooled = [rows.mean_of_bodies(in_time), rows.mean_of_bodies(in_space)]
            return *pooled, torch.cat(pooled, dim=1)
        tokens = encoder.tokens(rows.bodies, of_encoder)
        streams = [stream.amax(dim=1) for stream in encoder.streams(tokens) if stream is not None]
        return tuple(rows.mean_of_bodies(part) for part in (*streams, encoder.pooled(tokens)))


def _projector(width: int, hidden: int, out: int) -> nn.Sequential:
    hidden = max(width, hidden)
    return nn.Sequential(
        nn.Linear(width, hidden),
        GlobalBatchNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        GlobalBatchNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, out),
    )


def largest_mean(
    tokens: Float[Tensor, "rows tokens width"], group: Int[Tensor, "rows tokens"], num_groups: int
) -> Float[Tensor, "rows width"]:
    """The largest value of each feature among the means of the groups. A group without tokens does not count."""
    belongs = nn.functional.one_hot(group, num_groups).to(tokens.dtype)  # rows, tokens, groups
    count = belongs.sum(dim=1)[..., None]
    means = belongs.transpose(1, 2) @ tokens / count.clamp_min(1)
    return means.masked_fill(count == 0, -torch.inf).amax(dim=1)


def similarity(views: list[Float[Tensor, "clips features"]]) -> Float[Tensor, ""]:
    """How far the first three views are from the last, and from their own middle: means of squares, summed."""
    *others, last = views
    middle = torch.stack(others).mean(dim=0)
    return torch.stack([mean_square(view - last) + mean_square(view - middle) for view in others]).sum()


def decorrelation(views: list[Float[Tensor, "clips features"]]) -> Float[Tensor, ""]:
    """Five times the variance term and the covariance term of each view (see `vicreg`), summed."""
    found = [variance_and_covariance(view) for view in views]
    return torch.stack([_VARIANCE * variance + covariance for variance, covariance in found]).sum()


def cross_correlation(views: list[Float[Tensor, "clips features"]]) -> Float[Tensor, ""]:
    """How far the correlations of features are from 1 with themselves and 0 with others, over all pairs of views.

    That of a pair is Barlow Twins' (ICML 2021, arXiv 2103.03230): the sum of squared differences, those beside the
    diagonal times 0.005.
    """
    scaled = []
    for view in views:
        count, _, centred = moments(view)
        variance = total(centred.square().sum(dim=0)) / (count - 1)
        # A feature that never varies correlates with nothing; the root of 0 would have no gradient.
        scaled.append(centred / variance.clamp_min(1e-12).sqrt() / count.sqrt())
    terms = []
    for one, other in combinations(scaled, 2):
        squares = total(one.T @ other)
        diagonal = squares.diagonal()
        beside = squares.square().sum() - diagonal.square().sum()
        terms.append((diagonal - 1).square().sum() + _OFF_DIAGONAL * beside)
    return torch.stack(terms).sum()
