"""Learning from a slow copy of oneself: heads, what the copy says as odds over prototypes, and losses.

DINO (ICCV 2021, arXiv 2104.14294) for whole images, iBOT (ICLR 2022, arXiv 2111.07832) for hidden patches, with the
changes of DINOv2 (TMLR 2024, arXiv 2304.07193): Sinkhorn-Knopp instead of a running mean, and the term that spreads
vectors. Rows are those of all processes: two that share a batch give the loss of one.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.encoders.transformer import init_weights
from trainer.objectives.prototypes import Prototypes
from trainer.parallel import in_order

# So that what two equal vectors have is finite, as in DINOv2.
_SMALLEST_DISTANCE = 1e-6


class PrototypeHead(nn.Module):
    """Tokens → unit vectors, and their cosines with prototypes. Three layers with GELU between them (DINO's head)."""

    def __init__(self, width: int, hidden: int, size: int, num_prototypes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, size)
        )
        self.prototypes = Prototypes(size, num_prototypes)
        self.layers.apply(init_weights)

    def forward(
        self, tokens: Float[Tensor, "rows width"]
    ) -> tuple[Float[Tensor, "rows size"], Float[Tensor, "rows prototypes"]]:
        vectors = F.normalize(self.layers(tokens).float(), dim=1)
        return vectors, self.prototypes(vectors)


def cross_entropy(
    cosines: Float[Tensor, "rows prototypes"], odds: Float[Tensor, "rows prototypes"], temperature: float
) -> Float[Tensor, " rows"]:
    """−Σ odds · log softmax(cosines / temperature) of each row."""
    return -(odds * (cosines / temperature).log_softmax(dim=1)).sum(dim=1)


def crowding(vectors: Float[Tensor, "clips width"]) -> Float[Tensor, ""]:
    """The mean of −log of the distance of each unit vector to its nearest other one (KoLeo, arXiv 1806.03198).

    Over the clips of all processes. (DINOv2 and SLiM take it of each process alone.)
    """
    with torch.autocast(vectors.device.type, enabled=False):
        unit = in_order(F.normalize(vectors.float(), dim=1, eps=_SMALLEST_DISTANCE))
        with torch.no_grad():
            alike = unit @ unit.T
            itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
            nearest = alike.masked_fill(itself, -2.0).argmax(dim=1)
        distance = (unit - unit[nearest] + _SMALLEST_DISTANCE).norm(dim=1)
        return -(distance + _SMALLEST_DISTANCE).log().mean()
