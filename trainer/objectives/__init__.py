"""What the encoder is trained to do: one file an objective, each with its citation, all giving an `Outcome`."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an objective says of one batch."""

    total: Float[Tensor, ""]  # the loss that is minimised
    terms: dict[str, Tensor]  # its summands before weighting, by name
    levels: dict[str, tuple[Tensor, Tensor]]  # predictions and targets [targets, features] of each level, for health
