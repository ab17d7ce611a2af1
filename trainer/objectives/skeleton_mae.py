"""SkeletonMAE: predict the coordinates of hidden segments.

"SkeletonMAE: Spatial-Temporal Masked Autoencoders for Self-supervised Skeleton Action Recognition", 2022,
arXiv 2209.02399, as MAMP's authors implemented it for their comparison. (A graph autoencoder of ICCV 2023 has the same
name, and is another method.)
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from trainer.encoders.transformer import gather_tokens
from trainer.objectives.objective import DecoderConfig, ObjectiveConfig
from trainer.objectives.reconstruction import Reconstruction, normalised_segments


@dataclass(frozen=True, slots=True, kw_only=True)
class SkeletonMaeConfig(DecoderConfig):
    """Only the mask ratio and the decoder's depth, since all joints are hidden equally."""


class SkeletonMae(Reconstruction):
    """Random mask. The target is the coordinates of the joint, normalised in each segment."""

    config_type: ClassVar[type[ObjectiveConfig]] = SkeletonMaeConfig

    def targets(
        self, bodies: Float[Tensor, "rows frames joints 3"], target: Int[Tensor, "rows target"]
    ) -> Float[Tensor, "rows target coordinates"]:
        return normalised_segments(gather_tokens(self.encoder.cut(bodies)[0], target))
