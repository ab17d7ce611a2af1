"""The embedding that labels and views taught, alone and beside pose statistics."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.embedding import PoseStatistics
from trainer.encoder import SkeletonEncoder
from trainer.masking import first_known

# A body shows this many of its 750 tokens when it is embedded: more cost time and tell nothing new.
SERVED_TOKENS = 225


class LearnedHead(nn.Module):
    """The mean of a body's tokens, through the head that learned with the encoder.

    Tokens of joints that are lacking are left out.
    """

    order: Tensor

    def __init__(self, encoder: SkeletonEncoder, head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.keep_lacking = encoder.keep_lacking
        self.num_tokens = min(SERVED_TOKENS, encoder.num_tokens)
        self.register_buffer("order", _spread_order(encoder.num_segments, encoder.num_joints))

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        segments, known = self.encoder.known_segments(bodies)
        order = self.order.expand(segments.shape[0], -1)
        if known is None:
            known = torch.ones_like(order, dtype=torch.bool)
        return self.head(self.encoder(segments, first_known(order, known, self.num_tokens)).mean(dim=1))


class BesideStatistics(nn.Module):
    """Another model's features and pose statistics in one vector, whose cosine is a weighted mean of their cosines.

    `basis` has the directions in which pose statistics are kept, and `share` is the weight of their cosine. Statistics
    know fine gestures of whole clips; what is learned knows clips that are cut, slow or held still.
    """

    basis: Tensor

    def __init__(self, model: nn.Module, basis: Float[Tensor, "numbers kept"], share: float) -> None:
        super().__init__()
        self.model, self.statistics, self.share = model, PoseStatistics(), share
        self.keep_lacking = getattr(model, "keep_lacking", False)
        self.register_buffer("basis", basis)

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        learned = F.normalize(self.model.features(bodies), dim=1)  # type: ignore[operator]
        counted = F.normalize(self.statistics.features(bodies) @ self.basis, dim=1)
        return torch.cat([(1 - self.share) ** 0.5 * learned, self.share**0.5 * counted], dim=1)


def _spread_order(num_segments: int, num_joints: int) -> Float[Tensor, "1 tokens"]:
    """An order of tokens in which the first ones are spread evenly over joints and over time."""
    draws = torch.Generator().manual_seed(0)
    ranks = torch.stack([torch.randperm(num_segments, generator=draws) for _ in range(num_joints)], dim=1)
    return (ranks + torch.rand(ranks.shape, generator=draws)).flatten()[None]
