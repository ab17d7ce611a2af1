"""Learning from a slow copy of oneself: heads, what the copy says as odds over prototypes, and losses.

DINO (ICCV 2021, arXiv 2104.14294) for whole images, iBOT (ICLR 2022, arXiv 2111.07832) for hidden patches, with the
changes of DINOv2 (TMLR 2024, arXiv 2304.07193): Sinkhorn-Knopp instead of a running mean, and the term that spreads
vectors. Rows are those of all processes: two that share a batch give the loss of one.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.encoders.transformer import init_weights
from trainer.parallel import in_order, total

_ROUNDS = 3
# So that what two equal vectors have is finite, as in DINOv2.
_SMALLEST_DISTANCE = 1e-6


class Prototypes(nn.Linear):
    """Cosines of unit vectors with prototypes, which may have any length.

    Always in 32 bits: near 1, bf16 has steps of 0.004, which are multiplied by 25 before the softmax.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__(width, count, bias=False)

    def forward(self, vectors: Float[Tensor, "rows width"]) -> Float[Tensor, "rows count"]:
        with torch.autocast(vectors.device.type, enabled=False):
            return F.linear(vectors.float(), F.normalize(self.weight.float(), dim=1))


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


@torch.no_grad()
def balanced_odds(
    cosines: Float[Tensor, "rows prototypes"],
    temperature: Float[Tensor, ""],
    counts: Bool[Tensor, " rows"] | None = None,
) -> Float[Tensor, "rows prototypes"]:
    """Odds of the prototypes for each row, such that over all rows every prototype is about as likely.

    Three rounds of Sinkhorn-Knopp over the rows of all processes, from exp(cosine / temperature): first every prototype
    gets the same sum, then every row the sum 1. (SwAV, NeurIPS 2020, arXiv 2006.09882.) Rows that do not count have 0.
    """
    tiny = torch.finfo(cosines.dtype).tiny
    # Cosines are at most 1, so the largest number is 1 at any temperature.
    odds = ((cosines - 1) / temperature).exp()
    if counts is not None:
        odds = odds * counts[:, None]
    for _ in range(_ROUNDS):
        odds = odds / total(odds.sum(dim=0)).clamp_min(tiny)
        odds = odds / odds.sum(dim=1, keepdim=True).clamp_min(tiny)
    return odds


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
