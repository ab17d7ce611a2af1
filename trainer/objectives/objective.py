"""What every objective has: an encoder, a part that predicts from it, and a loss that depends on its inputs only."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.data.views import MASKED_VIEW, View
from trainer.encoders.encoder import Encoder, MaskableEncoder
from trainer.masking import motion_aware_mask, num_visible_tokens, random_mask
from trainer.terms import Lesson, Terms


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an objective computes for one batch.

    All fields except `total` are for the log. They are detached, because a compiled backward pass would add zeros for
    them.
    """

    total: Float[Tensor, ""]  # the loss to minimise, over the batch of all processes
    terms: dict[str, Tensor]  # its summands before weighting, by name
    levels: dict[str, tuple[Tensor, Tensor]]  # predictions and targets [targets, features] of this process, for health


def broken_outcome(outcome: object) -> str:
    """What is wrong with what an objective computed in a step; empty if nothing is.

    It goes on a sentence that begins with the objective's name.
    """
    if not isinstance(outcome, Outcome):
        return f"gives {_described(outcome)} as the result of a step; expected is an Outcome"
    total = outcome.total
    if not isinstance(total, Tensor) or not total.is_floating_point() or total.dim() or not total.requires_grad:
        return f"gives {_described(total)} as its loss; expected is one number, a tensor of no axes, with a gradient"
    if not isinstance(outcome.terms, dict) or not isinstance(outcome.levels, dict):
        return "gives terms or levels that are not dicts by name"
    for name, term in outcome.terms.items():
        if not isinstance(term, Tensor) or term.numel() != 1:
            return f"gives {_described(term)} as its term {name!r}; expected is one number, a tensor of no axes"
    for name, level in outcome.levels.items():
        if not _is_pair(level):
            came = " and ".join(map(_described, level)) if isinstance(level, tuple) else _described(level)
            return f"gives {came} as its level {name!r}; expected are two tensors [targets, features] of one shape"
    return ""


def _is_pair(level: object) -> bool:
    if not isinstance(level, tuple) or not all(isinstance(each, Tensor) and each.dim() == 2 for each in level):
        return False
    return len(level) == 2 and level[0].shape == level[1].shape


def _described(value: object) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{value.dtype} of shape {list(value.shape)}{'' if value.requires_grad else ' without a gradient'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What the settings of all objectives have in common: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig(ObjectiveConfig):
    """The setting of objectives that hide tokens from the encoder."""

    mask_ratio: float = setting(0.9, "Share of tokens hidden from the encoder.")

    def __post_init__(self) -> None:
        if not 0.0 < self.mask_ratio < 1.0:
            raise ValueError(
                f"--mask-ratio is {self.mask_ratio}; it must be above 0 and below 1. The published runs use 0.9."
            )


def decoder_depth_setting(default: int) -> Any:
    return setting(default, "Transformer blocks of the decoder; gfp has this many for each of its levels.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig(MaskConfig):
    """Settings of objectives whose decoder is a stack of transformer blocks."""

    decoder_depth: int = decoder_depth_setting(5)

    def __post_init__(self) -> None:
        MaskConfig.__post_init__(self)
        if self.decoder_depth < 1:
            raise ValueError(f"--decoder-depth is {self.decoder_depth}; it must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionMaskConfig(DecoderConfig):
    """Settings of objectives that also hide moving joints more often than resting ones."""

    mask_temperature: float = setting(0.8, "Lower hides moving joints more; 0 or less hides all joints equally.")

    def __post_init__(self) -> None:
        DecoderConfig.__post_init__(self)
        if not math.isfinite(self.mask_temperature):
            raise ValueError(
                f"--mask-temperature is {self.mask_temperature}; it must be a finite number. The published runs use "
                f"0.8 and 0.75."
            )


class Objective(nn.Module, ABC):
    """A training objective for an encoder. Each has a file of its own and one line in `objectives/__init__.py`.

    It says which `views` of a clip it needs, and how many random numbers for each body. The cost table counts its
    direct children (`encoder`, `decoder`, ...). Raises `ValueError` when a mask ratio would hide all tokens or none.
    """

    config_type: ClassVar[type[ObjectiveConfig]]
    # The part whose weights an evaluation and an export take: the encoder, or a slow copy of it.
    served: ClassVar[str] = "encoder"

    encoder: Any  # an `Encoder` of the type that `needed_encoder` names

    def __init__(self, encoder: Encoder, config: Any) -> None:
        super().__init__()
        if isinstance(config, MaskConfig):
            visible = num_visible_tokens(encoder.num_tokens, config.mask_ratio)
            if not 0 < visible < encoder.num_tokens:
                raise ValueError(
                    f"--mask-ratio is {config.mask_ratio}, so {visible} of the {encoder.num_tokens} tokens stay "
                    f"visible; at least one must be visible and one hidden. The published runs use 0.9."
                )
        self.encoder = encoder
        self.config = config
        self.terms: Terms | None = None  # what is learned beside it

    @classmethod
    def needed_encoder(cls, config: Any) -> type[Encoder]:
        """What an encoder must be able to do with this config: to leave tokens out, if the objective hides some."""
        return MaskableEncoder if isinstance(config, MaskConfig) else Encoder

    @property
    def views(self) -> tuple[View, ...]:
        """The views of a clip that a step needs."""
        return (MASKED_VIEW,)

    @property
    def num_draws(self) -> int:
        """Random numbers that a step needs for each body of a clip: one a token, for its mask."""
        return self.encoder.num_tokens

    def learn(self, own: Batch | None, lesson: Lesson | None) -> Outcome:
        """The loss of a step: its own of a batch, and that of the terms beside it."""
        outcome = Outcome(next(self.parameters()).new_zeros(()), {}, {}) if own is None else self(own)
        if self.terms is None or lesson is None or not isinstance(outcome, Outcome):
            return outcome  # what is not an outcome is said where it is used
        loss, terms = self.terms(self.encoder, lesson)
        details = {name: term.detach() for name, term in terms.items()}
        return Outcome(outcome.total + loss, outcome.terms | details, outcome.levels)

    @abstractmethod
    def forward(self, batch: Batch) -> Outcome:
        """The loss of one batch: of its views, its random numbers and the weights, and of nothing else."""

    def mask(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        uniform: Float[Tensor, "rows tokens"],
        seen: Bool[Tensor, "rows tokens"] | None = None,
    ) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
        """Indices of visible and of target tokens: motion-aware with a `MotionMaskConfig`, random otherwise.

        Tokens that are not `seen`, whose joint is lacking, are hidden before all others.
        """
        config = self.config
        if not isinstance(config, MotionMaskConfig):
            return random_mask(uniform, mask_ratio=config.mask_ratio, seen=seen)
        return motion_aware_mask(
            segments,
            self.encoder.num_joints,
            uniform,
            mask_ratio=config.mask_ratio,
            temperature=config.mask_temperature,
            seen=seen,
        )

    def never_reached(self, num_clips: int) -> str:  # noqa: ARG002 (some objectives ask it)
        """What of the objective a run that sees this many clips never gets to, as a sentence; empty if nothing."""
        return ""

    def after_update(self, done: float) -> None:
        """Called after each update of the weights. `done` is the share of the run that is done, in (0, 1]."""
