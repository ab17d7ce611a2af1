"""SLiM's encoder: long segments of joints, a class token and registers, and a place in time by rotation.

"Less is More: Decoder-Free Masked Modeling for Efficient Skeleton Representation Learning", arXiv 2603.10648, with the
values of its public code. A token is a joint in eight frames, so 64 frames have 8 · 25 tokens. In front of them stand a
class token, which sums the body up, and registers, in which blocks can note what belongs to no token (ICLR 2024, arXiv
2309.16588). A token knows its joint by a learned vector, and its segment by how its queries and keys are turned (RoPE,
arXiv 2104.09864); so a clip may have any number of segments.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.settings import setting
from trainer.encoders.encoder import EncoderConfig, MaskableEncoderConfig
from trainer.encoders.transformer import Attention, BlockEncoder, gather_tokens

# The slowest turn goes once round in about 2π times as many segments (RoPE).
_SLOWEST = 10_000.0
# Registers begin nearly at zero, as published. So does the class token there, but for its position embedding.
_FAINT = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SlimEncoderConfig(MaskableEncoderConfig):
    """The size of the encoder. Defaults are published. They are meant for 64 frames (`--num-frames 64`)."""

    segment_frames: int = setting(8, "Consecutive frames of one joint that make a token.")
    position_std: float = setting(0.02, "Initial spread (std) of position embeddings.")
    depth: int = setting(8, "Layers of the encoder: transformer blocks, or recurrent layers.")
    num_registers: int = setting(4, "Tokens beside those of joints, in which blocks can note anything.")

    def __post_init__(self) -> None:
        MaskableEncoderConfig.__post_init__(self)
        self.check_at_least_1("width", "depth", "num_heads", "segment_frames")
        if (size := self.width // self.num_heads) % 2:
            raise ValueError(
                f"--width is {self.width} and --num-heads {self.num_heads}, so a head has {size} numbers; it must have "
                f"an even number, because they are turned in pairs."
            )
        if self.num_registers < 0:
            raise ValueError(f"--num-registers is {self.num_registers}; it must be 0 or more.")


class TurnedAttention(Attention):
    """Self-attention whose queries and keys are turned by the place of their token in time."""

    def forward(  # type: ignore[override]
        self, turns: Float[Tensor, "2 *rows 1 tokens pairs"], x: Float[Tensor, "rows tokens width"]
    ) -> Float[Tensor, "rows tokens width"]:
        q, k, v = self.by_head(x)
        return self.proj(self.attend(turned(q, turns), turned(k, turns), v))


class GatedMlp(nn.Module):
    """Two layers, between which one half of the numbers gates the other (SwiGLU, arXiv 2002.05202).

    The halves have two thirds of four times the width, rounded up to a multiple of eight.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = -(-(4 * width * 2 // 3) // 8) * 8
        self.widen = nn.Linear(width, 2 * half)
        self.gate = nn.SiLU()
        self.narrow = nn.Linear(half, width)

    def forward(self, x: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        gate, value = self.widen(x).chunk(2, dim=-1)
        return self.narrow(self.gate(gate) * value)


class GatedBlock(nn.Module):
    """Pre-norm transformer block: turned attention, then a gated MLP."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = TurnedAttention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = GatedMlp(width)

    def forward(
        self, turns: Float[Tensor, "2 *rows 1 tokens pairs"], x: Float[Tensor, "rows tokens width"]
    ) -> Float[Tensor, "rows tokens width"]:
        x = x + self.attention(turns, self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SlimEncoder(BlockEncoder):
    """Bodies → a class token and tokens. Both are served: the class token, and beside it the mean of the tokens.

    With --frame body, tokens of joints that are lacking are left out of both.
    """

    config_type: ClassVar[type[EncoderConfig]] = SlimEncoderConfig
    config: SlimEncoderConfig

    speeds: Tensor

    def __init__(self, config: SlimEncoderConfig, *, num_frames: int) -> None:
        super().__init__(config, num_frames=num_frames)
        width = config.width
        self.embed = nn.Linear(3 * config.segment_frames, width)
        self.joints = nn.Parameter(torch.empty(self.num_joints, width))
        self.class_token = nn.Parameter(torch.empty(1, width))
        self.registers = nn.Parameter(torch.empty(config.num_registers, width))
        self.blocks = nn.ModuleList(GatedBlock(width, config.num_heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        size = width // config.num_heads
        speeds = _SLOWEST ** (-torch.arange(0, size, 2) / size)
        self.register_buffer("speeds", speeds, persistent=False)
        std = config.position_std
        nn.init.trunc_normal_(self.joints, std=std, a=-2 * std, b=2 * std)
        nn.init.trunc_normal_(self.class_token, std=std, a=-2 * std, b=2 * std)
        nn.init.normal_(self.registers, std=_FAINT)
        for part in self.blocks.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)

    def forward(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        visible: Int[Tensor, "rows visible"] | None = None,
    ) -> Float[Tensor, "rows encoded width"]:
        if visible is None:
            return self.filled(segments)[1]
        tokens = self.embedded(gather_tokens(segments, visible)) + self.joints[visible % self.num_joints]
        return self._read(tokens, (visible // self.num_joints)[:, None])[1]

    def filled(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        hidden: Bool[Tensor, "rows tokens"] | None = None,
        hidden_token: Float[Tensor, " width"] | None = None,
        place: Int[Tensor, "rows tokens"] | None = None,
    ) -> tuple[Float[Tensor, "rows width"], Float[Tensor, "rows tokens width"]]:
        tokens = self.embedded(segments)
        if hidden is not None and hidden_token is not None:
            tokens = torch.where(hidden[..., None], hidden_token.to(tokens.dtype), tokens)
        if place is None:
            place = torch.arange(segments.shape[1], device=segments.device)
            segment = (place // self.num_joints)[None]
        else:
            segment = (place // self.num_joints)[:, None]
        return self._read(tokens + self.joints[place % self.num_joints], segment)

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        segments, place = self.without_lacking(*self.known_segments(bodies))
        body, tokens = self.filled(segments, place=place)
        return torch.cat([body, tokens.mean(dim=1)], dim=1)

    def _read(
        self, tokens: Float[Tensor, "rows tokens width"], segment: Int[Tensor, "*rows 1 tokens"]
    ) -> tuple[Float[Tensor, "rows width"], Float[Tensor, "rows tokens width"]]:
        """The class token and the other ones after all blocks, and without registers."""
        beside = torch.cat([self.class_token, self.registers])
        x = torch.cat([beside.expand(tokens.shape[0], -1, -1).to(tokens.dtype), tokens], dim=1)
        # What stands in front has no place in time: it is not turned.
        angles = F.pad(segment[..., None] * self.speeds, (0, 0, len(beside), 0))
        turns = torch.stack([angles.cos(), angles.sin()])
        for block in self.blocks:
            x = block(turns, x)
        x = self.norm(x)
        return x[:, 0], x[:, len(beside) :]


def turned(
    x: Float[Tensor, "rows heads tokens size"], turns: Float[Tensor, "2 *rows 1 tokens pairs"]
) -> Float[Tensor, "rows heads tokens size"]:
    """Number i of each head and number i + size / 2 as a point in the plane, turned by the angle of their pair.

    `turns` are cosines and sines. In 32 bits, as published.
    """
    cos, sin = turns
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)
