"""The FLOPs of the paper's cost table, counted on the live modules while they run.

Counted as the published table does: two FLOPs for each multiply-add of linear layers and attention, and likewise two
for each bias, softmax, GELU, ReLU and (twice) batch-norm element. A clip is two bodies.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT
from trainer.encoder import Attention, EncoderConfig, SkeletonEncoder
from trainer.objectives import ObjectiveConfig, build_objective

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


def cost_table(encoder_config: EncoderConfig, objective: ObjectiveConfig, *, num_frames: int) -> dict[str, float]:
    """GFLOP of one clip of two bodies in a training step's forward pass, for each part of the objective.

    "encoder" is on visible tokens; "encoder, all tokens" is what an embedding costs.
    """
    torch.manual_seed(0)
    encoder = SkeletonEncoder(encoder_config, num_frames=num_frames)
    model = build_objective(encoder, objective)
    bodies = torch.randn(MAX_BODIES, num_frames, MODEL_LAYOUT.num_joints, 3)
    with torch.no_grad(), ExitStack() as counters:
        tallies = {name: counters.enter_context(counting(part)) for name, part in model.named_children()}
        model(bodies, torch.rand(MAX_BODIES, encoder.num_tokens))
    with torch.no_grad(), counting(encoder) as tally:
        encoder(encoder.segments(bodies))
    tallies["encoder, all tokens"] = tally
    return {name.replace("_", " "): 2 * tally.macs / 1e9 for name, tally in tallies.items() if tally.macs}
