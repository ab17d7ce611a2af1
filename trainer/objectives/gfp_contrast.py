"""GFP beside instance contrast: two windows of a clip give vectors that are more alike than those of other clips.

Ours; the literature has masked prediction of general features and contrast of whole clips, not both at once. The vector
of a window (see `gfp_two_views`) is told apart from those of all other clips of the step by InfoNCE in both directions,
as in SimCLR (ICML 2020, arXiv 2002.05709).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.objectives.gfp_two_views import GfpTwoViews, GfpTwoViewsConfig
from trainer.objectives.objective import ObjectiveConfig, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpContrastConfig(GfpTwoViewsConfig):
    """The settings of GFP, and those of the contrast beside it."""

    contrast_weight: float = setting(1.0, "Weight of the contrast of two windows of a clip with other clips.")
    contrast_temperature: float = setting(0.1, "Sharpness of the contrast; lower is sharper.")

    def __post_init__(self) -> None:
        GfpTwoViewsConfig.__post_init__(self)
        if not 0 < self.contrast_weight < math.inf:
            raise ValueError(
                f"--contrast-weight is {self.contrast_weight}; it must be above 0 and finite. Without contrast, "
                f"choose --objective gfp."
            )
        if not 0 < self.contrast_temperature < math.inf:
            raise ValueError(f"--contrast-temperature is {self.contrast_temperature}; it must be above 0 and finite.")


class GfpContrast(GfpTwoViews):
    """GFP's loss of the first window, and the contrast of both."""

    config_type: ClassVar[type[ObjectiveConfig]] = GfpContrastConfig
    config: GfpContrastConfig

    def forward(self, batch: Batch) -> Outcome:
        config = self.config
        own, one, other = self.both_views(batch)
        with torch.autocast(one.device.type, enabled=False):
            contrast = told_apart(one, other, config.contrast_temperature)
        # So scaled, the numbers of unit vectors have a spread of 1, which health.py expects.
        size = math.sqrt(config.projection_size)
        return Outcome(
            own.total + config.contrast_weight * contrast,
            own.terms | {"contrast": contrast.detach()},
            own.levels | {"windows": (size * one.detach(), size * other.detach())},
        )


def told_apart(
    one: Float[Tensor, "clips size"], other: Float[Tensor, "clips size"], temperature: float
) -> Float[Tensor, ""]:
    """InfoNCE of unit vectors, in both directions: each clip's vector with its other one, among those of all clips."""
    logits = one @ other.T / temperature
    right = torch.arange(len(one), device=one.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
