"""NAT: predict the coordinates of hidden segments, each normalised over the whole clip.

Normalization Among Timestamps. Neighbouring segments of a slow joint look alike once each is normalised by itself, and
little is left to predict; over the clip's time they differ. The paper's text and code could not be read: the formula is
what papers that compare with it tell, and mask and decoder are MAMP's, so that the target alone differs.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainer.encoder import gather_tokens
from trainer.objectives.objective import MotionMaskConfig, ObjectiveConfig
from trainer.objectives.reconstruction import Reconstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class NatConfig(MotionMaskConfig):
    """MAMP's settings."""


class Nat(Reconstruction):
    """Motion-aware mask; the target is the joint's coordinates, normalised over time."""

    config_type: ClassVar[type[ObjectiveConfig]] = NatConfig

    def targets(
        self, bodies: Float[Tensor, "rows frames joints 3"], target: Int[Tensor, "rows target"]
    ) -> Float[Tensor, "rows target coordinates"]:
        return gather_tokens(self.encoder.segments(normalised_over_time(bodies)), target)


def normalised_over_time(bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows frames joints 3"]:
    """(x − mean) / sqrt(variance + 1e-6) over the frames, for each axis of each joint; the variance is unbiased.

    In metres the 1e-6 is a millimetre of spread: the tremble of a resting joint is not blown up.
    """
    variance, mean = torch.var_mean(bodies, dim=1, keepdim=True)
    return (bodies - mean) * torch.rsqrt(variance + 1e-6)
