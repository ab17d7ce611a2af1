"""What MAMP and its relatives share: a decoder with a mask token for every hidden token, and a squared error there."""

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainer.data.batches import Batch
from trainer.encoders.encoder import MaskableEncoder
from trainer.encoders.transformer import Block, Positions, gather_tokens, init_weights
from trainer.objectives.objective import DecoderConfig, Objective, ObjectiveConfig, Outcome
from trainer.parallel import mean_square


class TokenDecoder(nn.Module):
    """Visible tokens and mask tokens → one prediction for each hidden token (MAMP, section 3.2).

    `head` makes a prediction from the normed token of the last block. Upstream has 5 blocks for NTU-120, for PKU-MMD
    and in the cost tables of later papers; its NTU-60 script has 3.
    """

    def __init__(self, encoder: MaskableEncoder, depth: int, head: nn.Module) -> None:
        super().__init__()
        width = encoder.config.width
        self.embed = nn.Linear(width, width)
        self.mask_token = nn.Parameter(torch.empty(width))
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.04, b=0.04)
        self.positions = Positions(encoder.num_segments, encoder.num_joints, width, std=encoder.config.position_std)
        self.blocks = nn.Sequential(*(Block(width, encoder.config.num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = head
        self.apply(init_weights)

    def forward(
        self,
        tokens: Float[Tensor, "rows visible width"],
        visible: Int[Tensor, "rows visible"],
        target: Int[Tensor, "rows target"],
    ) -> Float[Tensor, "rows target features"]:
        """The predictions for the `target` tokens, in their order."""
        rows, _, width = tokens.shape
        # A clip whose tokens are all hidden is the same in every row. Each visible token adds its difference from the
        # mask token. So the 750 tokens of a row are written once, in their places.
        hidden = (self.positions() + self.mask_token).expand(rows, -1, -1)
        difference = (self.embed(tokens) - self.mask_token).to(hidden.dtype)
        x = hidden.scatter_add(1, visible.unsqueeze(-1).expand(-1, -1, width), difference)
        return gather_tokens(self.head(self.norm(self.blocks(x))), target)


class Reconstruction(Objective):
    """Predicts hidden segments as numbers. The loss is the mean square over them; visible segments do not count."""

    config_type: ClassVar[type[ObjectiveConfig]] = DecoderConfig
    config: DecoderConfig

    def __init__(self, encoder: MaskableEncoder, config: DecoderConfig) -> None:
        super().__init__(encoder, config)
        head = nn.Linear(encoder.config.width, 3 * encoder.config.segment_frames)
        self.decoder = TokenDecoder(encoder, config.decoder_depth, head)

    @abstractmethod
    def targets(
        self, bodies: Float[Tensor, "rows frames joints 3"], target: Int[Tensor, "rows target"]
    ) -> Float[Tensor, "rows target coordinates"]:
        """What to predict at the `target` tokens."""

    def forward(self, batch: Batch) -> Outcome:
        bodies, known = self.encoder.placed(batch.bodies)
        segments, seen = self.encoder.cut(bodies, known)
        visible, target = self.mask(segments, batch.uniform, seen)
        prediction = self.decoder(self.encoder(segments, visible), visible, target).flatten(0, 1).float()
        wanted = self.targets(bodies, target).flatten(0, 1)
        loss = mean_square(prediction - wanted)
        return Outcome(loss, {"prediction": loss.detach()}, {"segments": (prediction.detach(), wanted)})


def normalised_segments(
    segments: Float[Tensor, "rows tokens coordinates"],
) -> Float[Tensor, "rows tokens coordinates"]:
    """(x − mean) / sqrt(variance + 1e-6) over the numbers of each segment; the variance is unbiased."""
    variance, mean = torch.var_mean(segments, dim=-1, keepdim=True)
    return (segments - mean) * torch.rsqrt(variance + 1e-6)
