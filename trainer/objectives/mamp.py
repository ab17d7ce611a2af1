"""MAMP: predict the motion within each hidden segment.

"Masked Motion Predictors are Strong 3D Action Representation Learners", ICCV 2023, arXiv 2308.07092.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainer.encoders.transformer import gather_tokens
from trainer.objectives.objective import MotionMaskConfig, ObjectiveConfig
from trainer.objectives.reconstruction import Reconstruction, normalised_segments


@dataclass(frozen=True, slots=True, kw_only=True)
class MampConfig(MotionMaskConfig):
    """Five decoder blocks, as in papers that compare with MAMP. Its NTU-60 script has three (`--decoder-depth 3`)."""


class Mamp(Reconstruction):
    """Motion-aware mask. The target is the motion from frame to frame, normalised in each segment (section 3.3)."""

    config_type: ClassVar[type[ObjectiveConfig]] = MampConfig

    def targets(
        self, bodies: Float[Tensor, "rows frames joints 3"], target: Int[Tensor, "rows target"]
    ) -> Float[Tensor, "rows target coordinates"]:
        return normalised_segments(gather_tokens(self.encoder.cut(frame_motion(bodies))[0], target))


def frame_motion(bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows frames joints 3"]:
    """The next frame minus this frame; zeros for the last frame."""
    motion = torch.zeros_like(bodies)
    motion[:, :-1] = bodies[:, 1:] - bodies[:, :-1]
    return motion
