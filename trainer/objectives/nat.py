"""NAT: predict the coordinates of hidden segments, each normalised over the whole clip.

Normalization Among Timestamps. If each segment is normalised by itself, neighbouring segments of a slow joint look
alike, and little is left to predict. Normalised over the whole clip they differ. The paper's text and code could not be
read: the formula is from papers that compare with it. Mask and decoder are MAMP's, so that only the target differs.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainer.encoders.transformer import gather_tokens
from trainer.objectives.objective import MotionMaskConfig, ObjectiveConfig
from trainer.objectives.reconstruction import Reconstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class NatConfig(MotionMaskConfig):
    """The settings of MAMP."""


class Nat(Reconstruction):
    """Motion-aware mask. The target is the coordinates of the joint, normalised over time."""

    config_type: ClassVar[type[ObjectiveConfig]] = NatConfig

    def targets(
        self, bodies: Float[Tensor, "rows frames joints 3"], target: Int[Tensor, "rows target"]
    ) -> Float[Tensor, "rows target coordinates"]:
        return gather_tokens(self.encoder.cut(normalised_over_time(bodies))[0], target)


def normalised_over_time(bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows frames joints 3"]:
    """(x − mean) / sqrt(variance + 1e-6) over the frames, for each axis of each joint; the variance is unbiased.

    The 1e-6 is a spread of a millimetre: it keeps the tremble of a resting joint small.
    """
    variance, mean = torch.var_mean(bodies, dim=1, keepdim=True)
    return (bodies - mean) * torch.rsqrt(variance + 1e-6)
