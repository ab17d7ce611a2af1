"""What objectives that compare views of whole clips have in common: their views, and one vector a clip."""

from dataclasses import dataclass
from typing import cast

from jaxtyping import Float
from torch import Tensor

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.data.views import CorruptJoints, Either, Shear, View
from trainer.encoder import SkeletonEncoder
from trainer.masking import first_known
from trainer.objectives.objective import Objective, ObjectiveConfig

# Of HaLP's and USDRL's public code: a tenth to all of a clip, at least 64 frames if it has them; then, as often one as
# the other, joints are corrupted or the body is sheared.
STRONG_VIEW = View(min_share=0.1, min_frames=64, changes=(Either(CorruptJoints(), Shear()),))


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeClipsConfig(ObjectiveConfig):
    """The setting of objectives that compare views of whole clips."""

    view_tokens: int = setting(0, "Tokens of each view that the encoder sees, drawn at random; 0 = all, as published.")

    def __post_init__(self) -> None:
        if self.view_tokens < 0:
            raise ValueError(f"--view-tokens is {self.view_tokens}; it must be 0 or more. With 0, all are seen.")


class WholeClips(Objective):
    """An objective whose encoder sees whole clips. Raises `ValueError` when it would see more tokens than there are."""

    config: WholeClipsConfig

    def __init__(self, encoder: SkeletonEncoder, config: WholeClipsConfig) -> None:
        super().__init__(encoder, config)
        if config.view_tokens > encoder.num_tokens:
            raise ValueError(
                f"--view-tokens is {config.view_tokens}, but a view has {encoder.num_tokens} tokens; choose at most "
                f"this many, or 0 for all."
            )

    @property
    def num_token_draws(self) -> int:
        """Random numbers of a body that say which tokens are seen: one for each token of each view."""
        return len(self.views) * self.encoder.num_tokens

    @property
    def num_draws(self) -> int:
        return self.num_token_draws

    def tokens(self, encoder: SkeletonEncoder, batch: Batch, view: int) -> Float[Tensor, "rows tokens width"]:
        """What `encoder` makes of the tokens of a view that are seen."""
        segments, known = encoder.cut(*encoder.shown(batch.views[view]))
        count = self.config.view_tokens
        if not count:
            return encoder(segments)
        order = batch.uniform[:, view * encoder.num_tokens :][:, : encoder.num_tokens]
        return encoder(segments, first_known(order, cast(Tensor, known), count))

    def clip_vectors(self, encoder: SkeletonEncoder, batch: Batch, view: int) -> Float[Tensor, "clips width"]:
        """One vector a clip: the mean over the tokens of its bodies, as it is served."""
        return batch.rows(view).mean_of_bodies(self.tokens(encoder, batch, view).mean(dim=1))
