"""The FLOPs of the paper's cost table, counted on the live modules while they run.

Counted as the published table does: two FLOPs for each multiply-add of linear layers and attention, and likewise two
for each bias, softmax, GELU, ReLU and (twice) batch-norm element. A clip is two bodies.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT
from trainer.encoder import Attention, EncoderConfig, SkeletonEncoder
from trainer.objectives.gfp import Gfp, GfpConfig

PUBLISHED_GFLOP = {"encoder": 1.97, "decoder": 1.57, "target network": 0.64, "encoder, all tokens": 28.32}

_COUNTED = (nn.Linear, Attention, nn.BatchNorm1d, nn.GELU, nn.ReLU)


@dataclass
class Tally:
    """Multiply-adds counted so far."""

    macs: int = 0


@contextmanager
def counting(module: nn.Module) -> Iterator[Tally]:
    """Count what `module` computes inside the `with` block."""
    tally = Tally()

    def hook(part: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        tally.macs += _macs(part, inputs[0], output)

    counted = (part for part in module.modules() if isinstance(part, _COUNTED))
    handles = [part.register_forward_hook(hook) for part in counted]
    try:
        yield tally
    finally:
        for handle in handles:
            handle.remove()


def _macs(part: nn.Module, given: Tensor, output: Tensor) -> int:
    """Multiply-adds of one module's own work; its children count theirs."""
    if isinstance(part, nn.Linear):
        return output.numel() * (part.in_features + (part.bias is not None))
    if isinstance(part, Attention):
        rows, tokens, width = given.shape
        return rows * (2 * tokens * tokens * width + part.num_heads * tokens * tokens)
    if isinstance(part, nn.BatchNorm1d):
        return 2 * output.numel()
    return output.numel()


def cost_table(encoder_config: EncoderConfig, gfp_config: GfpConfig, *, num_frames: int) -> dict[str, float]:
    """GFLOP of one clip of two bodies: encoder on visible tokens, decoder, target network, encoder on all tokens."""
    encoder = SkeletonEncoder(encoder_config, num_frames=num_frames)
    gfp = Gfp(encoder, gfp_config)
    bodies = torch.randn(MAX_BODIES, num_frames, MODEL_LAYOUT.num_joints, 3)
    segments = encoder.segments(bodies)
    visible = gfp.draw_visible(segments, torch.Generator().manual_seed(0))
    tokens = torch.zeros(MAX_BODIES, visible.shape[1], encoder_config.width)
    runs: dict[str, tuple[nn.Module, Callable[[], Any]]] = {
        "encoder": (encoder, lambda: encoder(segments, visible)),
        "decoder": (gfp.decoder, lambda: gfp.decoder(tokens, visible)),
        "target network": (gfp.target_network, lambda: gfp.target_network(segments)),
        "encoder, all tokens": (encoder, lambda: encoder(segments)),
    }
    table = {}
    for name, (module, run) in runs.items():
        with counting(module) as tally, torch.no_grad():
            run()
        table[name] = 2 * tally.macs / 1e9
    return table
