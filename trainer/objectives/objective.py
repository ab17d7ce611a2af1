"""What every objective is: an encoder, what predicts from it, and a loss that is a pure function of its inputs."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from gfp_serve.settings import setting
from trainer.encoder import SkeletonEncoder
from trainer.masking import motion_aware_mask, num_visible_tokens, random_mask


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an objective says of one batch. All but `total` is for the log, and detached: a compiled backward pass would
    otherwise add up zeros for it.
    """

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


def decoder_depth_setting(default: int) -> Any:
    return setting(default, "Transformer blocks of the decoder; gfp has as many for each of its levels.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig(ObjectiveConfig):
    """Of objectives whose decoder is a stack of transformer blocks."""

    decoder_depth: int = decoder_depth_setting(5)

    def __post_init__(self) -> None:
        ObjectiveConfig.__post_init__(self)
        if self.decoder_depth < 1:
            raise ValueError(f"--decoder-depth is {self.decoder_depth}; it must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionMaskConfig(DecoderConfig):
    """Of those that also hide moving joints more often than resting ones."""

    mask_temperature: float = setting(0.8, "Lower hides moving joints more; 0 or less hides all joints alike.")

    def __post_init__(self) -> None:
        DecoderConfig.__post_init__(self)
        if math.isnan(self.mask_temperature):
            raise ValueError("--mask-temperature is nan; the published runs use 0.8 and 0.75.")


class Objective(nn.Module, ABC):
    """A training objective for an encoder. One class a file, registered by one line in `objectives/__init__.py`.

    The parts that the cost table counts are its direct children (`encoder`, `decoder`, ...).
    """

    config_type: ClassVar[type[ObjectiveConfig]]

    def __init__(self, encoder: SkeletonEncoder, config: Any) -> None:
        super().__init__()
        visible = num_visible_tokens(encoder.num_tokens, config.mask_ratio)
        if not 0 < visible < encoder.num_tokens:
            raise ValueError(
                f"--mask-ratio is {config.mask_ratio}, which leaves {visible} of the {encoder.num_tokens} tokens "
                f"visible; some must be visible and some hidden. The published runs use 0.9."
            )
        self.encoder = encoder
        self.config = config

    @abstractmethod
    def forward(self, bodies: Float[Tensor, "rows frames joints 3"], uniform: Float[Tensor, "rows tokens"]) -> Outcome:
        """The loss of one batch; `uniform` are the step's random numbers in [0, 1), one a token, for the mask."""

    def mask(
        self, segments: Float[Tensor, "rows tokens coordinates"], uniform: Float[Tensor, "rows tokens"]
    ) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
        """Visible and target tokens: motion-aware with a `MotionMaskConfig`, random with any other."""
        config = self.config
        if not isinstance(config, MotionMaskConfig):
            return random_mask(uniform, mask_ratio=config.mask_ratio)
        return motion_aware_mask(
            segments,
            self.encoder.num_joints,
            uniform,
            mask_ratio=config.mask_ratio,
            temperature=config.mask_temperature,
        )

    def after_update(self, done: float) -> None:
        """Called after each update of the weights; `done` is the share of the run that is behind, in (0, 1]."""
