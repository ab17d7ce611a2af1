"""What objectives that compare views of whole clips have in common: their views, and one vector a clip."""

from dataclasses import dataclass
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.data.views import CorruptJoints, Either, Shear, View
from trainer.encoders import Encoder, MaskableEncoder
from trainer.masking import first_known
from trainer.objectives.objective import Objective, ObjectiveConfig

# Of HaLP's and USDRL's public code: a tenth to all of a clip, at least 64 frames if it has them; then, as often one as
# the other, joints are corrupted or the body is sheared.
STRONG_VIEW = View(min_share=0.1, min_frames=64, changes=(Either(CorruptJoints(), Shear()),))


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeClipsConfig(ObjectiveConfig):
    """The setting of objectives that compare views of whole clips."""

    view_tokens: int = setting(
        0,
        "Tokens of each view that the encoder sees, drawn at random; 0 = all, as published. Needs an encoder whose "
        "tokens can be left out.",
    )

    def __post_init__(self) -> None:
        if self.view_tokens < 0:
            raise ValueError(f"--view-tokens is {self.view_tokens}; it must be 0 or more. With 0, all are seen.")


class WholeClips(Objective):
    """An objective whose encoder sees whole clips. Raises `ValueError` when it would see more tokens than there are."""

    config: WholeClipsConfig

    def __init__(self, encoder: Encoder, config: WholeClipsConfig) -> None:
        super().__init__(encoder, config)
        if config.view_tokens > encoder.num_tokens:
            raise ValueError(
                f"--view-tokens is {config.view_tokens}, but a view has {encoder.num_tokens} tokens; choose at most "
                f"this many, or 0 for all."
            )

    @classmethod
    def needed_encoder(cls, config: Any) -> type[Encoder]:
        """Any encoder, unless it is to see a part of the tokens."""
        return MaskableEncoder if config.view_tokens else Encoder

    @property
    def num_view_draws(self) -> int:
        """Random numbers of a body for all views: of each, those of the encoder, and one a token that may be seen."""
        return len(self.views) * (self.encoder.num_draws + self.encoder.num_tokens)

    @property
    def num_draws(self) -> int:
        return self.num_view_draws

    def tokens(self, encoder: Encoder, batch: Batch, view: int) -> Float[Tensor, "rows tokens width"]:
        """What `encoder` makes of the tokens of a view that are seen."""
        of_encoder, order = self.draws_of(batch, view)
        count = self.config.view_tokens
        if not count:
            return encoder.tokens(batch.views[view], of_encoder)
        maskable = cast(MaskableEncoder, encoder)  # see `needed_encoder`
        segments, known = maskable.cut(*maskable.shown(batch.views[view]))
        return maskable(segments, first_known(order, cast(Tensor, known), count))

    def draws_of(
        self, batch: Batch, view: int
    ) -> tuple[Float[Tensor, "rows draws"] | None, Float[Tensor, "rows tokens"]]:
        """The random numbers of a view: those of the encoder if it takes any, and those that say what is seen."""
        encoder = self.encoder
        size = encoder.num_draws + encoder.num_tokens
        draws = batch.uniform[:, view * size :][:, :size]
        own, order = draws[:, : encoder.num_draws], draws[:, encoder.num_draws :]
        return own if encoder.num_draws else None, order

    def clip_vectors(self, encoder: Encoder, batch: Batch, view: int) -> Float[Tensor, "clips size"]:
        """One vector a clip: the mean of the vectors of its bodies, as the encoder pools tokens.

        It is what is served, but for the class token that `slim` puts in front.
        """
        return batch.rows(view).mean_of_bodies(encoder.pooled(self.tokens(encoder, batch, view)))
