"""What objectives have in common that are GFP beside a comparison of two views of a clip.

The second view is masked as the first one is, so it costs one pass of the encoder over a tenth of its tokens. GFP's
loss is that of the first. The mean of a view's visible tokens, over the bodies of a clip, goes through a small network
and becomes a vector of length 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.data.views import MASKED_VIEW, View
from trainer.encoders.encoder import MaskableEncoder
from trainer.objectives.gfp import Gfp, GfpConfig
from trainer.objectives.objective import Outcome
from trainer.parallel import in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpTwoViewsConfig(GfpConfig):
    """The settings of GFP, and that of the vectors beside it."""

    projection_size: int = setting(128, "Numbers of the vectors that are compared.")

    def __post_init__(self) -> None:
        GfpConfig.__post_init__(self)
        if self.projection_size < 1:
            raise ValueError(f"--projection-size is {self.projection_size}; it must be at least 1.")
        if self.stop_gradient == "prediction":
            raise ValueError(
                "--stop-gradient prediction makes no sense here: it is to show an encoder that stays untrained, and "
                "the comparison of two views trains it. Choose --objective gfp."
            )


class TwoViews(NamedTuple):
    """GFP's outcome of the first view, and the vectors of both: float32, of length 1, clips of all processes."""

    gfp: Outcome
    one: Float[Tensor, "clips size"]
    other: Float[Tensor, "clips size"]


class GfpTwoViews(Gfp):
    """GFP's loss of the first view, and a vector of each view."""

    config: GfpTwoViewsConfig

    def __init__(self, encoder: MaskableEncoder, config: GfpTwoViewsConfig) -> None:
        super().__init__(encoder, config)
        self.projector = self.build_projector()

    def build_projector(self) -> nn.Module:
        """The network that makes vectors [clips, size] of the means [clips, width] of tokens."""
        width = self.encoder.config.width
        return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, self.config.projection_size))

    @property
    def views(self) -> tuple[View, ...]:
        return MASKED_VIEW, MASKED_VIEW

    @property
    def num_draws(self) -> int:
        """One a token of each view."""
        return 2 * self.encoder.num_tokens

    def both_views(self, batch: Batch) -> TwoViews:
        tokens = self.encoder.num_tokens
        first, second = batch.uniform[:, :tokens], batch.uniform[:, tokens:]
        own, seen = self.predicted(batch.views[0], first)
        segments, known = self.encoder.known_segments(batch.views[1])
        visible, _ = self.mask(segments, second, known)
        both = [
            self.projector(batch.rows().mean_of_bodies(tokens.mean(dim=1)))
            for tokens in (seen, self.encoder(segments, visible))
        ]
        with torch.autocast(seen.device.type, enabled=False):
            one, other = (in_order(F.normalize(vectors.float(), dim=1)) for vectors in both)
        return TwoViews(own, one, other)
