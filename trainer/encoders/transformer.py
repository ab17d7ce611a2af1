"""Segments of joints become tokens, which eight pre-norm transformer blocks read (MAMP's backbone)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.settings import setting
from trainer.body_frame import is_autocast
from trainer.encoders.encoder import EncoderConfig, FillableEncoder, MaskableEncoderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig(MaskableEncoderConfig):
    """The size of the encoder. Defaults are the published encoder of MAMP and GFP, with 6.34 M parameters."""

    depth: int = setting(8, "Layers of the encoder: transformer blocks, or recurrent layers.")
    input_scale: float = setting(3.0, "Factor on coordinates (metres) before the first layer; published code has 1.")

    def __post_init__(self) -> None:
        MaskableEncoderConfig.__post_init__(self)
        self.check_at_least_1("width", "depth", "num_heads", "segment_frames")
        if not 0 < self.input_scale < math.inf:  # NaN too
            raise ValueError(f"--input-scale is {self.input_scale}; it must be above 0 and finite.")


class DotProductAttention(nn.Module):
    """What each token takes of all others, fused: no matrix of all pairs is stored. It has no weights.

    An export has another module in its place (see `trainer.onnx_graph`).
    """

    def forward(
        self,
        q: Float[Tensor, "rows heads queries size"],
        k: Float[Tensor, "rows heads tokens size"],
        v: Float[Tensor, "rows heads tokens size"],
    ) -> Float[Tensor, "rows queries width"]:
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.attend = DotProductAttention()
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        return self.proj(self.attend(*self.by_head(x)))

    def by_head(self, x: Float[Tensor, "rows tokens width"]) -> list[Float[Tensor, "rows heads tokens size"]]:
        """Queries, keys and values of each head."""
        return [by_head(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=2)]


def by_head(x: Float[Tensor, "rows tokens width"], num_heads: int) -> Float[Tensor, "rows heads tokens size"]:
    """The numbers of each token, shared out among heads."""
    return torch.unflatten(x, 2, (num_heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm transformer block: attention, then an MLP four times as wide with exact GELU."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Positions(nn.Module):
    """Learned position embeddings: the sum of one for the segment in time and one for the joint."""

    def __init__(self, num_segments: int, num_joints: int, width: int, *, std: float) -> None:
        super().__init__()
        self.time = nn.Parameter(torch.empty(num_segments, 1, width))
        self.joint = nn.Parameter(torch.empty(1, num_joints, width))
        for table in (self.time, self.joint):
            nn.init.trunc_normal_(table, std=std, a=-2 * std, b=2 * std)

    def forward(self) -> Float[Tensor, "tokens width"]:
        """One row a token, in token order: all joints of the first segment, then of the second, ..."""
        return (self.time + self.joint).flatten(0, 1)


class BlockEncoder(FillableEncoder):
    """An encoder whose segments go through a linear layer, then through blocks, then through a norm."""

    embed: nn.Linear
    blocks: nn.Sequential | nn.ModuleList

    def embedded(self, segments: Float[Tensor, "rows tokens coordinates"]) -> Float[Tensor, "rows tokens width"]:
        """Segments after the first layer, in 32 bits."""
        if not is_autocast(segments):
            return self.embed(segments)
        # Between 1 m and 2 m bf16 has steps of 8 mm, more with a scale: most joints move less within a segment.
        with torch.autocast(segments.device.type, enabled=False):
            return self.embed(segments.float())

    def layers_above(self, weight: str) -> int:
        part, _, rest = weight.partition(".")
        if part == "norm":
            return 0
        return len(self.blocks) - int(rest.partition(".")[0]) if part == "blocks" else len(self.blocks) + 1


class Transformer(BlockEncoder):
    """Bodies → tokens, by pre-norm blocks. Hidden tokens never enter (see masking.py)."""

    config_type: ClassVar[type[EncoderConfig]] = TransformerConfig
    config: TransformerConfig

    def __init__(self, config: TransformerConfig, *, num_frames: int) -> None:
        super().__init__(config, num_frames=num_frames)
        self.embed = nn.Linear(3 * config.segment_frames, config.width)
        self.positions = Positions(self.num_segments, self.num_joints, config.width, std=config.position_std)
        self.blocks = nn.Sequential(*(Block(config.width, config.num_heads) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width)
        self.blocks.apply(init_weights)
        init_weights(self.embed)

    def forward(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        visible: Int[Tensor, "rows visible"] | None = None,
    ) -> Float[Tensor, "rows encoded width"]:
        positions = self.positions()
        if visible is not None:
            segments = gather_tokens(segments, visible)
            positions = positions[visible]
        return self.norm(self.blocks(self.embedded(segments * self.config.input_scale) + positions))

    def filled(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        hidden: Bool[Tensor, "rows tokens"] | None = None,
        hidden_token: Float[Tensor, " width"] | None = None,
        place: Int[Tensor, "rows tokens"] | None = None,
    ) -> tuple[Float[Tensor, "rows width"], Float[Tensor, "rows tokens width"]]:
        tokens = self.embedded(segments * self.config.input_scale)
        if hidden is not None and hidden_token is not None:
            tokens = torch.where(hidden[..., None], hidden_token.to(tokens.dtype), tokens)
        positions = self.positions()[: segments.shape[1]] if place is None else self.positions()[place]
        tokens = self.norm(self.blocks(tokens + positions))
        return tokens.mean(dim=1), tokens


def gather_tokens(
    tokens: Float[Tensor, "rows tokens width"], index: Int[Tensor, "rows chosen"]
) -> Float[Tensor, "rows chosen width"]:
    """The tokens at `index`, in the order of `index`."""
    return tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def init_weights(module: nn.Module) -> None:
    """Start a linear layer as MAMP does: Xavier-uniform weights, zero biases."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
