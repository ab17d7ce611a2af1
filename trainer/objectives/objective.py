"""What every objective is: an encoder, what predicts from it, and a loss that is a pure function of its inputs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from gfp_serve.options import setting
from trainer.encoder import SkeletonEncoder
from trainer.masking import num_visible_tokens


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an objective says of one batch."""

    total: Float[Tensor, ""]  # the loss that is minimised, over the batch of all processes
    terms: dict[str, Tensor]  # its summands before weighting, by name
    levels: dict[str, tuple[Tensor, Tensor]]  # this process's predictions and targets [targets, features], for health


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What all objectives have in common: tokens are hidden from the encoder."""

    mask_ratio: float = setting(0.9, "Share of tokens hidden from the encoder.")

    def __post_init__(self) -> None:
        if not 0.0 < self.mask_ratio < 1.0:
            raise ValueError(
                f"--mask-ratio is {self.mask_ratio}; it must lie between 0 and 1, both excluded. "
                f"The published runs use 0.9."
            )


class Objective(nn.Module, ABC):
    """A training objective for an encoder. One class a file, registered by one line in `objectives/__init__.py`.

    The parts that the cost table counts are its direct children (`encoder`, `decoder`, ...).
    """

    config_type: ClassVar[type[ObjectiveConfig]]

    def __init__(self, encoder: SkeletonEncoder, config: Any) -> None:
        super().__init__()
        if num_visible_tokens(encoder.num_tokens, config.mask_ratio) < 1:
            raise ValueError(
                f"--mask-ratio is {config.mask_ratio}, which leaves none of the {encoder.num_tokens} tokens visible; "
                f"the published runs use 0.9."
            )
        self.encoder = encoder
        self.config = config

    @abstractmethod
    def forward(self, bodies: Float[Tensor, "rows frames joints 3"], uniform: Float[Tensor, "rows tokens"]) -> Outcome:
        """The loss of one batch; `uniform` are the step's random numbers in [0, 1), one a token, for the mask."""

    def after_update(self, done: float) -> None:
        """Called after each update of the weights; `done` is the share of the run that is behind, in (0, 1]."""
