"""GFP beside prototypes: two windows of a clip are sorted alike into learned groups, all of about the same size.

Ours; the literature has masked prediction of general features and clustering of whole clips, not both at once. The form
is that of SwAV (NeurIPS 2020, arXiv 2006.09882), which is the soundest for a term beside GFP:

- **It cannot collapse.** The clips of a step, together with those of earlier steps, are shared evenly among the
  prototypes (`balanced_odds`), so not all can go to one. Sorting by k-means, as in HaLP, promises no such thing.
- **It costs little.** There is no second network, and no sorting between steps: one pass of the encoder over a tenth of
  the tokens of a second window (see `gfp_two_views`), and one product of vectors with prototypes.
- **It is a function of the step**: which prototype a clip belongs to is found anew in each step, from both windows, the
  queue and the prototypes.

Each window's share in the prototypes is the target of the other window, by cross-entropy. No gradient flows into
targets. The queue keeps the first windows of earlier clips, because a step has fewer clips than there are prototypes.

Differences to SwAV's public code, which are meant:

- Both windows and the queue are shared out together, where the code shares out each view by itself: all are drawn
  alike, and twice as many vectors make the shares steadier in a small batch.
- Places of the queue that are still empty do not count, so it is used from the first step on.
- Prototypes have length 1 by a division in the loss, not by a change after each step.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.encoders.encoder import MaskableEncoder
from trainer.objectives.gfp_targets import mlp
from trainer.objectives.gfp_two_views import GfpTwoViews, GfpTwoViewsConfig
from trainer.objectives.objective import ObjectiveConfig, Outcome
from trainer.objectives.prototypes import SHARPEST, Prototypes, balanced_odds
from trainer.objectives.recent_vectors import RecentVectors


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpPrototypesConfig(GfpTwoViewsConfig):
    """The settings of GFP, and those of the prototypes beside it. Temperatures are SwAV's."""

    prototype_weight: float = setting(1.0, "Weight of sorting two windows of a clip alike.")
    num_prototypes: int = setting(256, "Prototypes that clips are sorted into.")
    prototype_temperature: float = setting(0.1, "Sharpness of a window's odds of the prototypes; lower is sharper.")
    share_temperature: float = setting(0.05, "Sharpness by which clips are shared among prototypes; lower is sharper.")
    recent_clips: int = setting(1024, "Clips of earlier steps that are shared among prototypes with those of a step.")

    def __post_init__(self) -> None:
        GfpTwoViewsConfig.__post_init__(self)
        if not 0 < self.prototype_weight < math.inf:
            raise ValueError(
                f"--prototype-weight is {self.prototype_weight}; it must be above 0 and finite. Without prototypes, "
                f"choose --objective gfp."
            )
        for name in ("prototype_temperature", "share_temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be above 0 and finite.")
        if self.share_temperature < SHARPEST:
            raise ValueError(f"--share-temperature is {self.share_temperature}; it must be at least {SHARPEST}.")
        if self.num_prototypes < 2:
            raise ValueError(f"--num-prototypes is {self.num_prototypes}; it must be at least 2.")
        if self.recent_clips < 1:
            raise ValueError(f"--recent-clips is {self.recent_clips}; it must be at least 1.")


class GfpPrototypes(GfpTwoViews):
    """GFP's loss of the first window, and that of sorting both alike."""

    config_type: ClassVar[type[ObjectiveConfig]] = GfpPrototypesConfig
    config: GfpPrototypesConfig

    def __init__(self, encoder: MaskableEncoder, config: GfpPrototypesConfig) -> None:
        super().__init__(encoder, config)
        self.prototypes = Prototypes(config.projection_size, config.num_prototypes)
        self.recent = RecentVectors(config.recent_clips, config.projection_size)
        self._new: Tensor | None = None

    def build_projector(self) -> nn.Module:
        """With a batch norm, as in SwAV: what all clips have in common would hide how they differ."""
        width = self.encoder.config.width
        return mlp(width, width, self.config.projection_size)

    def forward(self, batch: Batch) -> Outcome:
        config = self.config
        own, one, other = self.both_views(batch)
        with torch.autocast(one.device.type, enabled=False):
            self._new = one.detach().clone()  # a CUDA graph overwrites it
            cosines = self.prototypes(torch.cat([one, other]))
            shares = self._shares(cosines.detach())
            of_one, of_other = shares.chunk(2)
            log_odds = (cosines / config.prototype_temperature).log_softmax(dim=1)
            sorting = -(torch.cat([of_other, of_one]) * log_odds).sum(dim=1).mean()
        # What is compared, times the number of prototypes: 1 if all odds are equal, a scale that health.py expects.
        count = config.num_prototypes
        return Outcome(
            own.total + config.prototype_weight * sorting,
            own.terms | {"prototypes": sorting.detach()},
            own.levels | {"prototypes": (count * log_odds.detach().exp(), count * torch.cat([of_other, of_one]))},
        )

    @torch.no_grad()
    def _shares(self, cosines: Float[Tensor, "windows prototypes"]) -> Float[Tensor, "windows prototypes"]:
        """How the windows of a step are shared among the prototypes, beside the clips of earlier steps."""
        # Counted once a step, not for each clip, so `gfp-cost` leaves it out.
        earlier = self.recent.vectors @ F.normalize(self.prototypes.weight, dim=1).T
        counts = torch.cat([cosines.new_ones(len(cosines), dtype=torch.bool), self.recent.are_real])
        temperature = cosines.new_tensor(self.config.share_temperature)
        # Each process has the clips of all, which makes all sums larger by one factor and changes no share.
        return balanced_odds(torch.cat([cosines, earlier]), temperature, counts)[: len(cosines)]

    def after_update(self, done: float) -> None:
        super().after_update(done)
        if self._new is not None:
            self.recent.add(self._new)
            self._new = None
