"""HaLP's encoder: three recurrent layers read the frames, and the last state is the vector of a body.

"HaLP: Hallucinating Latent Positives for Skeleton-based Self-Supervised Learning of Actions", CVPR 2023, arXiv
2304.00387, with the sizes of its public code; gated recurrent units are of Cho et al. 2014, arXiv 1406.1078. The paper
has 64 frames (`--num-frames 64`).

- The published network is built of bidirectional layers, but is given one frame after the other with the states that it
  had. So both halves of a layer go forward in time, and the last state has seen all frames. Here the same is written as
  two halves that go forward; each reads the output of both halves below it.
- The published network reads the 150 numbers of both bodies of a clip at once. Here, as for all encoders, a row is one
  body, so a frame has 75 numbers.
- As in the public code, matrices start at Xavier's numbers, those of the three gates together, and biases as torch
  starts them.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gfp_serve.preprocess import MODEL_LAYOUT
from gfp_serve.settings import setting
from trainer.encoders.encoder import Encoder, EncoderConfig
from trainer.parallel import GlobalBatchNorm


@dataclass(frozen=True, slots=True, kw_only=True)
class GruConfig(EncoderConfig):
    """The size of the encoder. Defaults are the published one."""

    width: int = setting(2048, "Numbers in a token.")
    depth: int = setting(3, "Layers of the encoder: transformer blocks, or recurrent layers.")

    def __post_init__(self) -> None:
        self.check_at_least_1("width", "depth")
        if self.width % 2:
            raise ValueError(
                f"--width is {self.width}; it must be even, because each half of a layer makes half of it."
            )


class GruLayer(nn.Module):
    """Two halves that read the same numbers of each frame, one frame after the other."""

    def __init__(self, input_size: int, width: int) -> None:
        super().__init__()
        self.halves = nn.ModuleList(nn.GRU(input_size, width // 2, batch_first=True) for _ in range(2))

    def forward(self, frames: Float[Tensor, "rows frames numbers"]) -> Float[Tensor, "rows frames width"]:
        return torch.cat([half(frames)[0] for half in self.halves], dim=2)


class Gru(Encoder):
    """Bodies → a token for each frame, which knows the frames until then. The last one is the vector of the body.

    Joints that are lacking are at 0. Frames are normed number by number over the batch, that of all processes.
    """

    config_type: ClassVar[type[EncoderConfig]] = GruConfig
    config: GruConfig

    def __init__(self, config: GruConfig, *, num_frames: int) -> None:
        super().__init__(config, num_frames=num_frames)
        self.width, self.num_segments, self.num_joints = config.width, num_frames, 1
        numbers = 3 * MODEL_LAYOUT.num_joints
        self.norm = GlobalBatchNorm(numbers)
        self.layers = nn.ModuleList(
            GruLayer(config.width if layer else numbers, config.width) for layer in range(config.depth)
        )
        for weight in self.layers.parameters():
            if weight.dim() == 2:
                nn.init.xavier_uniform_(weight)

    def tokens(
        self,
        bodies: Float[Tensor, "rows frames joints 3"],
        draws: Float[Tensor, "rows draws"] | None = None,  # noqa: ARG002 (nothing is left out by chance)
    ) -> Float[Tensor, "rows frames width"]:
        frames = self.shown(bodies)[0].flatten(2)
        frames = self.norm(frames.flatten(0, 1)).view(frames.shape)
        for layer in self.layers:
            frames = layer(frames)
        return frames

    def pooled(self, tokens: Float[Tensor, "rows frames width"]) -> Float[Tensor, "rows width"]:
        """The state after the last frame."""
        return tokens[:, -1]

    def layers_above(self, weight: str) -> int:
        part, _, rest = weight.partition(".")
        return self.config.depth - int(rest.partition(".")[0]) if part == "layers" else self.config.depth + 1
