"""From bodies to the embedding of a clip: the one graph that is evaluated, exported and served."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class ClipEmbedding(nn.Module):
    """Clips → unit vectors: the mean of the features of a clip's bodies, scaled to length 1.

    `model.features` gives one vector a body. Every body counts, so the caller leaves out absent ones.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Float[Tensor, "batch bodies frames joints 3"]) -> Float[Tensor, "batch size"]:
        batch, bodies = clips.shape[:2]
        features = self.model.features(clips.flatten(0, 1))  # type: ignore[operator]
        return F.normalize(features.view(batch, bodies, -1).mean(dim=1), dim=1)


class PoseStatistics(nn.Module):
    """An embedding without learning that every encoder must beat: where the joints are, how far and how fast they move.

    600 numbers a body: each joint's mean position in six equal parts of the clip, twice its standard deviation over
    the clip, and eight times its mean absolute displacement over four frames (0.13 s at 30 frames a second).
    """

    num_parts = 6
    lag_frames = 4
    deviation_weight, displacement_weight = 2.0, 8.0

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        rows, frames, joints, _ = bodies.shape
        parts = bodies.view(rows, self.num_parts, frames // self.num_parts, joints, 3).mean(dim=2)
        mean = bodies.mean(dim=1, keepdim=True)
        deviation = (bodies - mean).square().mean(dim=1).sqrt()
        displacement = (bodies[:, self.lag_frames :] - bodies[:, : -self.lag_frames]).abs().mean(dim=1)
        return torch.cat(
            [
                parts.flatten(1),
                self.deviation_weight * deviation.flatten(1),
                self.displacement_weight * displacement.flatten(1),
            ],
            dim=1,
        )
