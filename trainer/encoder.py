"""The encoder: segments of joints become tokens, which eight pre-norm transformer blocks read (MAMP's backbone)."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.preprocess import MODEL_LAYOUT
from gfp_serve.settings import setting
from trainer.body_frame import in_body_frame, is_autocast


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The size of the encoder. Defaults are the published encoder of MAMP and GFP, with 6.34 M parameters."""

    width: int = setting(256, "Numbers in a token.")
    depth: int = setting(8, "Transformer blocks of the encoder.")
    num_heads: int = setting(8, "Attention heads of each block.")
    segment_frames: int = setting(4, "Consecutive frames of one joint that make a token.")
    position_std: float = setting(0.5, "Initial spread (std) of position embeddings; published code has 0.02.")
    input_scale: float = setting(3.0, "Factor on coordinates (metres) before the first layer; published code has 1.")
    frame: Literal["room", "body"] = setting(
        "room",
        "Where coordinates are seen from: the room, as published, or the body's root in each frame, turned to the "
        "front and scaled by the trunk. With body, joints that are lacking are left out.",
    )

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.num_heads, self.segment_frames) < 1:
            raise ValueError("--width, --depth, --num-heads and --segment-frames must each be at least 1.")
        for name in ("position_std", "input_scale"):
            if not 0 < getattr(self, name) < math.inf:  # NaN too
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be above 0 and finite.")
        if self.width % self.num_heads:
            raise ValueError(
                f"--width is {self.width}; it must be a multiple of --num-heads, which is {self.num_heads}."
            )


class Attention(nn.Module):
    """Multi-head self-attention, fused: no attention matrix is stored."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        rows, tokens, width = x.shape
        qkv = self.qkv(x).view(rows, tokens, 3, self.num_heads, width // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each: rows, heads, tokens, width of a head
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(rows, tokens, width))


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


class SkeletonEncoder(nn.Module):
    """Bodies → tokens. Token t · num_joints + j is joint j in segment t.

    A row is one body of one clip; bodies do not see each other. Hidden tokens never enter (see masking.py). Raises
    `ValueError` when the segments do not divide the frames.
    """

    def __init__(self, config: EncoderConfig, *, num_frames: int) -> None:
        super().__init__()
        if num_frames % config.segment_frames:
            raise ValueError(
                f"--num-frames is {num_frames}; it must be a multiple of --segment-frames, {config.segment_frames}."
            )
        self.config = config
        self.num_segments, self.num_joints = num_frames // config.segment_frames, MODEL_LAYOUT.num_joints
        self.num_tokens = self.num_segments * self.num_joints
        self.embed = nn.Linear(3 * config.segment_frames, config.width)
        self.positions = Positions(self.num_segments, self.num_joints, config.width, std=config.position_std)
        self.blocks = nn.Sequential(*(Block(config.width, config.num_heads) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width)
        self.keep_lacking = config.frame == "body"  # see `embedding.sampling_for`
        self.blocks.apply(init_weights)
        init_weights(self.embed)

    def segments(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows tokens coordinates"]:
        """Cut time into segments: a token's input is the coordinates of one joint in `segment_frames` frames."""
        return self.known_segments(bodies)[0]

    def known_segments(
        self, bodies: Float[Tensor, "rows frames joints 3"]
    ) -> tuple[Float[Tensor, "rows tokens coordinates"], Bool[Tensor, "rows tokens"] | None]:
        """The segments, and which of them show their joint in all their frames; None if all do."""
        return self.cut(*self.placed(bodies))

    def placed(
        self, bodies: Float[Tensor, "rows frames joints 3"]
    ) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"] | None]:
        """Bodies as the config says they are seen, and which joints are known; None if all are."""
        return in_body_frame(bodies) if self.config.frame == "body" else (bodies, None)

    def shown(
        self, bodies: Float[Tensor, "rows frames joints 3"]
    ) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"]]:
        """`placed` for bodies in which NaN is a joint that is lacking: it is 0 and not known, in the room too."""
        placed, known = self.placed(bodies)
        if known is None:
            known = ~placed.isnan().any(dim=3)
            placed = torch.where(known[..., None], placed, 0.0)
        return placed, known

    def cut(
        self,
        bodies: Float[Tensor, "rows frames joints 3"],
        known: Bool[Tensor, "rows frames joints"] | None = None,
    ) -> tuple[Float[Tensor, "rows tokens coordinates"], Bool[Tensor, "rows tokens"] | None]:
        """Placed bodies as segments, and which of these show their joint in all their frames; None if all do."""
        rows, _, joints, _ = bodies.shape
        split = self.num_segments, self.config.segment_frames, joints
        segments = bodies.reshape(rows, *split, 3).transpose(2, 3)
        segments = segments.reshape(rows, self.num_tokens, 3 * self.config.segment_frames)
        return segments, None if known is None else known.reshape(rows, *split).all(dim=2).flatten(1)

    def forward(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        visible: Int[Tensor, "rows visible"] | None = None,
    ) -> Float[Tensor, "rows encoded width"]:
        """Encode the visible tokens only, or all of them when `visible` is not given."""
        positions = self.positions()
        if visible is not None:
            segments = gather_tokens(segments, visible)
            positions = positions[visible]
        return self.norm(self.blocks(self._embedded(segments * self.config.input_scale) + positions))

    def _embedded(self, segments: Float[Tensor, "rows tokens coordinates"]) -> Float[Tensor, "rows tokens width"]:
        if not is_autocast(segments):
            return self.embed(segments)
        # Between 1 m and 2 m bf16 has steps of 8 mm, times the scale: most joints move less within a segment.
        with torch.autocast(segments.device.type, enabled=False):
            return self.embed(segments.float())

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows width"]:
        """One vector a body: the mean over all tokens, which is MAMP's feature for linear probes."""
        return self(self.segments(bodies)).mean(dim=1)


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
