"""SkeletonMAE: predict the coordinates of hidden segments.

"SkeletonMAE: Spatial-Temporal Masked Autoencoders for Self-supervised Skeleton Action Recognition", 2022,
arXiv 2209.02399, in the form in which MAMP's authors re-implemented it for their comparison. (A graph autoencoder of
ICCV 2023 has the same name; this is not it.)
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from trainer.encoder import gather_tokens
from trainer.objectives.objective import DecoderConfig, ObjectiveConfig
from trainer.objectives.reconstruction import Reconstruction, normalised_segments


@dataclass(frozen=True, slots=True, kw_only=True)
class SkeletonMaeConfig(DecoderConfig):
    """Nothing but the mask ratio and the decoder's depth: all joints are hidden alike."""


class SkeletonMae(Reconstruction):
    """Random mask; the target is the joint's coordinates, normalised in each segment."""

    config_type: ClassVar[type[ObjectiveConfig]] = SkeletonMaeConfig

    def targets(
        self, bodies: Float[Tensor, "rows frames joints 3"], target: Int[Tensor, "rows target"]
    ) -> Float[Tensor, "rows target coordinates"]:
        return normalised_segments(gather_tokens(self.encoder.segments(bodies), target))
