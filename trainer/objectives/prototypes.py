"""Prototypes: learned directions that unit vectors are compared with, and shared out evenly among."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.parallel import total

# Of Sinkhorn's algorithm, as in SwAV's public code. More would bring the sums of the prototypes still nearer together.
_ROUNDS = 3
# Sharper odds would make a cosine of 0 to nothing in 32 bits.
SHARPEST = 0.02


class Prototypes(nn.Linear):
    """Cosines of unit vectors with prototypes, which may have any length.

    Always in 32 bits: near 1, bf16 has steps of 0.004, which are multiplied by 25 before the softmax.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__(width, count, bias=False)

    def forward(self, vectors: Float[Tensor, "rows width"]) -> Float[Tensor, "rows count"]:
        with torch.autocast(vectors.device.type, enabled=False):
            return F.linear(vectors.float(), F.normalize(self.weight.float(), dim=1))


@torch.no_grad()
def balanced_odds(
    cosines: Float[Tensor, "rows prototypes"],
    temperature: Float[Tensor, ""],
    counts: Bool[Tensor, " rows"] | None = None,
) -> Float[Tensor, "rows prototypes"]:
    """Odds of the prototypes for each row, such that over all rows every prototype is about as likely.

    Three rounds of Sinkhorn-Knopp over the rows of all processes, from exp(cosine / temperature): first every prototype
    gets the same sum, then every row the sum 1. (SwAV, NeurIPS 2020, arXiv 2006.09882.) Rows that do not count have 0.
    The temperature is at least `SHARPEST`.
    """
    tiny = torch.finfo(cosines.dtype).tiny
    # Cosines are at most 1, so the largest number is 1 at any temperature.
    # In place from here on: of all hidden tokens, odds are the largest numbers of a step.
    odds = (cosines - 1).div_(temperature).exp_()
    if counts is not None:
        odds *= counts[:, None]
    for _ in range(_ROUNDS):
        odds /= total(odds.sum(dim=0)).clamp_min(tiny)
        odds /= odds.sum(dim=1, keepdim=True).clamp_min(tiny)
    return odds
