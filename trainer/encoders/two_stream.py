"""USDRL's encoders: one stream of tokens for frames, one for joints, each read by layers of its own.

"USDRL: Unified Skeleton-Based Dense Representation Learning with Multi-Grained Feature Decorrelation", AAAI 2025, arXiv
2412.09220, with the sizes of its public code. It has 64 frames (`--num-frames 64`). The layers are those of its DSTE
(dense, the default) or of its STTR, plain transformer blocks that norm after each part.

- The published streams hold both bodies of a clip: 64 frames of 150 numbers, and 50 joints. Here, as for all encoders,
  a row is one body: frames of 75 numbers, and 25 joints.
- What drop-path leaves out comes with the batch (`Encoder.num_draws`), so that a step can be repeated.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gfp_serve.preprocess import MODEL_LAYOUT
from gfp_serve.settings import setting
from trainer.encoders.dense_shift import DRAWS_OF_LAYER, DenseLayer
from trainer.encoders.encoder import Encoder, EncoderConfig
from trainer.encoders.transformer import Attention

_INITIAL_STD = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStreamConfig(EncoderConfig):
    """The size of the encoder. Defaults are the published DSTE; the published STTR has `--stream-layers plain`."""

    width: int = setting(1024, "Numbers in a token.")
    depth: int = setting(2, "Layers of the encoder: transformer blocks, or recurrent layers.")
    num_heads: int = setting(1, "Attention heads of each block.")
    stream_layers: Literal["dense", "plain"] = setting(
        "dense", "Layers of each stream: USDRL's dense shift attention (DSTE), or transformer blocks (STTR)."
    )
    drop_path: float = setting(0.1, "Share of updates that dense layers leave out in training.")

    def __post_init__(self) -> None:
        self.check_at_least_1("width", "depth", "num_heads")
        if self.width % self.num_heads or self.width % 2:
            raise ValueError(
                f"--width is {self.width}; it must be even and a multiple of --num-heads, which is {self.num_heads}."
            )
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"--drop-path is {self.drop_path}; it must be 0 or more and below 1.")


class PlainLayer(nn.Module):
    """A transformer block as it was first published: each part is added, then normed; the MLP is as wide as a token."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.norm1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.norm2 = nn.LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "rows tokens width"], _draws: Float[Tensor, "rows draws"] | None = None
    ) -> Float[Tensor, "rows tokens width"]:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.mlp(x))


class Stream(nn.Module):
    """Numbers of each frame, or of each joint → tokens.

    Codes of place are added before the first layer; before dense layers, as published, before each of them.
    """

    def __init__(self, config: TwoStreamConfig, num_tokens: int, input_size: int) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Sequential(
            nn.Linear(input_size, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        )
        self.is_dense = config.stream_layers == "dense"
        self.layers = nn.ModuleList(
            DenseLayer(num_tokens, width, config.num_heads, drop_path=config.drop_path)
            if self.is_dense
            else PlainLayer(width, config.num_heads)
            for _ in range(config.depth)
        )
        self.num_draws = config.depth * DRAWS_OF_LAYER if self.is_dense and config.drop_path else 0

    def forward(
        self,
        numbers: Float[Tensor, "rows tokens numbers"],
        code: Float[Tensor, "tokens width"],
        draws: Float[Tensor, "rows draws"] | None,
    ) -> Float[Tensor, "rows tokens width"]:
        x = self.embed(numbers)
        for place, layer in enumerate(self.layers):
            own = None if draws is None else draws[:, place * DRAWS_OF_LAYER :][:, :DRAWS_OF_LAYER]
            x = layer(x + code if self.is_dense or place == 0 else x, own)
        return x


class TwoStream(Encoder):
    """Bodies → a token for each frame, then one for each joint. Joints that are lacking are at 0.

    The vector of a body has the largest value of each number in time, then in space.
    """

    config_type: ClassVar[type[EncoderConfig]] = TwoStreamConfig
    config: TwoStreamConfig

    time_code: Tensor

    def __init__(self, config: TwoStreamConfig, *, num_frames: int) -> None:
        super().__init__(config, num_frames=num_frames)
        self.width, self.num_segments, self.num_joints = config.width, num_frames, MODEL_LAYOUT.num_joints
        self.time = Stream(config, num_frames, 3 * self.num_joints)
        self.space = Stream(config, self.num_joints, 3 * num_frames)
        self.joint_code = nn.Parameter(torch.empty(self.num_joints, config.width))
        self.register_buffer("time_code", sines(num_frames, config.width))
        self.num_draws = self.time.num_draws + self.space.num_draws
        nn.init.trunc_normal_(self.joint_code, std=_INITIAL_STD)
        for name, part in self.named_modules():
            # As upstream: the convolution starts as torch starts it, and so does the first matrix of attention.
            if isinstance(part, nn.Linear) and "pointwise" not in name:
                nn.init.zeros_(part.bias)
                if name.endswith("qkv"):
                    nn.init.xavier_uniform_(part.weight)
                else:
                    nn.init.trunc_normal_(part.weight, std=_INITIAL_STD)

    @property
    def num_tokens(self) -> int:
        """Frames and joints."""
        return self.num_segments + self.num_joints

    @property
    def feature_size(self) -> int:
        """Numbers of both streams."""
        return 2 * self.width

    def tokens(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Float[Tensor, "rows draws"] | None = None
    ) -> Float[Tensor, "rows tokens width"]:
        placed = self.shown(bodies)[0]
        in_time, in_space = (None, None) if draws is None else draws.tensor_split([self.time.num_draws], dim=1)
        frames = self.time(placed.flatten(2), self.time_code, in_time)
        joints = self.space(placed.transpose(1, 2).flatten(2), self.joint_code, in_space)
        return torch.cat([frames, joints], dim=1)

    def pooled(self, tokens: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows size"]:
        """The largest value of each number among frames, and among joints."""
        return torch.cat([stream.amax(dim=1) for stream in self._parts(tokens)], dim=1)

    def streams(
        self, tokens: Float[Tensor, "rows tokens width"]
    ) -> tuple[Float[Tensor, "rows segments width"], Float[Tensor, "rows joints width"] | None]:
        """The tokens of the frames, and those of the joints."""
        return self._parts(tokens)

    def means(
        self, tokens: Float[Tensor, "rows tokens width"], time_parts: int, *, per_joint: bool
    ) -> Float[Tensor, "rows size"]:
        """The mean of frames in each part of time, then each joint or the mean of all joints: no cell has both."""
        frames, joints = self._parts(tokens)
        parts = torch.unflatten(frames, 1, (time_parts, -1)).mean(dim=2)
        joints = joints if per_joint else joints.mean(dim=1, keepdim=True)
        return torch.cat([parts, joints], dim=1).flatten(1)

    def layers_above(self, weight: str) -> int:
        _, _, rest = weight.partition(".layers.")
        return self.config.depth - int(rest.partition(".")[0]) if rest else self.config.depth + 1

    def _parts(
        self, tokens: Float[Tensor, "rows tokens width"]
    ) -> tuple[Float[Tensor, "rows segments width"], Float[Tensor, "rows joints width"]]:
        return tokens[:, : self.num_segments], tokens[:, self.num_segments :]


def sines(count: int, width: int) -> Float[Tensor, "count width"]:
    """Codes of places in time: sines and cosines in turn, of ever longer waves (Vaswani et al. 2017, section 3.5)."""
    angle = torch.arange(count)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
