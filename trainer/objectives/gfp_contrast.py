"""GFP beside instance contrast: two windows of a clip give vectors that are more alike than those of other clips.

Ours; the literature has masked prediction of general features and contrast of whole clips, not both at once. The
second window is masked as the first one is, so it costs one pass of the encoder over a tenth of its tokens. The mean of
a window's visible tokens goes through a small network, and is told apart from those of all other clips of the step by
InfoNCE in both directions, as in SimCLR (ICML 2020, arXiv 2002.05709).
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
from trainer.data.views import MASKED_VIEW, View
from trainer.encoders.encoder import MaskableEncoder
from trainer.objectives.gfp import Gfp, GfpConfig
from trainer.objectives.objective import ObjectiveConfig, Outcome
from trainer.parallel import in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpContrastConfig(GfpConfig):
    """The settings of GFP, and those of the contrast beside it."""

    contrast_weight: float = setting(1.0, "Weight of the contrast of two windows of a clip with other clips.")
    contrast_temperature: float = setting(0.1, "Sharpness of the contrast; lower is sharper.")
    projection_size: int = setting(128, "Numbers of the vectors that are compared.")

    def __post_init__(self) -> None:
        GfpConfig.__post_init__(self)
        if not 0 < self.contrast_weight < math.inf:
            raise ValueError(
                f"--contrast-weight is {self.contrast_weight}; it must be above 0 and finite. Without contrast, "
                f"choose --objective gfp."
            )
        if not 0 < self.contrast_temperature < math.inf:
            raise ValueError(f"--contrast-temperature is {self.contrast_temperature}; it must be above 0 and finite.")
        if self.projection_size < 1:
            raise ValueError(f"--projection-size is {self.projection_size}; it must be at least 1.")
        if self.stop_gradient == "prediction":
            raise ValueError(
                "--stop-gradient prediction makes no sense here: it is to show an encoder that stays untrained, and "
                "the contrast trains it. Choose --objective gfp."
            )


class GfpContrast(Gfp):
    """GFP's loss of the first window, and the contrast of both."""

    config_type: ClassVar[type[ObjectiveConfig]] = GfpContrastConfig
    config: GfpContrastConfig

    def __init__(self, encoder: MaskableEncoder, config: GfpContrastConfig) -> None:
        super().__init__(encoder, config)
        width = encoder.config.width
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.projection_size))

    @property
    def views(self) -> tuple[View, ...]:
        return MASKED_VIEW, MASKED_VIEW

    @property
    def num_draws(self) -> int:
        """One a token of each window."""
        return 2 * self.encoder.num_tokens

    def forward(self, batch: Batch) -> Outcome:
        config, tokens = self.config, self.encoder.num_tokens
        first, second = batch.uniform[:, :tokens], batch.uniform[:, tokens:]
        own, seen = self.predicted(batch.views[0], first)
        segments, known = self.encoder.known_segments(batch.views[1])
        visible, _ = self.mask(segments, second, known)
        both = [
            self.projector(batch.rows().mean_of_bodies(window.mean(dim=1)))
            for window in (seen, self.encoder(segments, visible))
        ]
        with torch.autocast(seen.device.type, enabled=False):
            one, other = (in_order(F.normalize(vectors.float(), dim=1)) for vectors in both)
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
