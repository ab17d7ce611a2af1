"""The FLOPs of the papers' cost tables and the parameters, counted on the modules themselves.

The rules are those of the published table: two FLOPs for each multiply-add of linear layers and attention, two for
each element of a bias, softmax, GELU or ReLU, and four for one of a batch norm. A recurrent layer is the matrices of
its three gates. A clip has two bodies.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT
from trainer.data.batches import Batch
from trainer.encoders import EncoderConfig, build_encoder
from trainer.encoders.slim import SlimEncoderConfig
from trainer.encoders.transformer import Attention, TransformerConfig
from trainer.objectives import Objective, ObjectiveConfig, build_objective, name_of
from trainer.objectives.gfp_queries import CrossAttention

ENCODER, ENCODER_ALL_TOKENS = "encoder", "encoder, all tokens"

# The cost table of the GFP paper, by objective. All decoders but GFP's work on 750 tokens.
PUBLISHED_GFLOP: dict[str, dict[str, float]] = {
    "gfp": {ENCODER: 1.97, "decoder": 1.57, "target network": 0.64, ENCODER_ALL_TOKENS: 28.32},
    "mamp": {ENCODER: 1.97, "decoder": 17.70},
    "skeleton_mae": {ENCODER: 1.97, "decoder": 17.70},
    "s_jepa": {ENCODER: 1.97, "decoder": 17.70, "target encoder": 28.32},
}
# SLiM's paper has 7.89 times less than MAMP's 28.32 (arXiv 2603.10648). Its public code costs more by the rules above.
SLIM_PUBLISHED_GFLOP = {ENCODER_ALL_TOKENS: 3.59}


def published_costs(encoder: EncoderConfig, objective: ObjectiveConfig, *, num_frames: int) -> dict[str, float]:
    """GFLOP of the parts that `cost_table` counts, as papers say; empty for sizes and settings that no paper counts."""
    if (encoder, num_frames) == (SlimEncoderConfig(), 64):
        return SLIM_PUBLISHED_GFLOP
    if (encoder, num_frames) != (TransformerConfig(), 120) or objective != type(objective)():
        return {}
    return PUBLISHED_GFLOP.get(name_of(objective), {})


# Of one clip alone, batch norm has no statistics.
_COUNTED_CLIPS = 2
_COUNTED = (nn.Linear, Attention, CrossAttention, nn.BatchNorm1d, nn.GELU, nn.ReLU, nn.SiLU, nn.GRU)
_KNOWN = (*_COUNTED, nn.Embedding)
# Of what is counted; small products, such as those of a body's frame, are left out.
_ROUNDING = 1.01


@dataclass
class Tally:
    """Multiply-adds counted so far."""

    macs: int = 0


@contextmanager
def counting(module: nn.Module) -> Iterator[Tally]:
    """Count what `module` computes inside the `with` block."""
    tally = Tally()

    def hook(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        tally.macs += _macs(part, inputs, output)

    counted = (part for part in module.modules() if isinstance(part, _COUNTED))
    handles = [part.register_forward_hook(hook) for part in counted]
    try:
        yield tally
    finally:
        for handle in handles:
            handle.remove()


def _macs(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> int:
    """The multiply-adds of one module, without those of its children."""
    if isinstance(part, nn.Linear):
        return output.numel() * (part.in_features + (part.bias is not None))
    if isinstance(part, Attention | CrossAttention):
        rows, queries, width = output.shape
        pairs = queries * inputs[-1].shape[1]  # the last input is what the queries look at
        return rows * pairs * (2 * width + part.num_heads)
    if isinstance(part, nn.GRU):  # of one layer and one direction, see `encoders.gru`
        return output[0].numel() * 3 * (part.input_size + part.hidden_size + 2 * part.bias)
    if isinstance(part, nn.BatchNorm1d):
        return 2 * output.numel()
    return output.numel()


def cost_table(encoder_config: EncoderConfig, objective: ObjectiveConfig, *, num_frames: int) -> dict[str, float]:
    """GFLOP of each part of the objective in the forward pass of a training step, for one clip of two bodies.

    "encoder" works on the visible tokens; "encoder, all tokens" is the cost of an embedding.
    """
    model = build_objective(build_encoder(encoder_config, num_frames=num_frames), objective)
    clip = torch.arange(_COUNTED_CLIPS).repeat_interleave(MAX_BODIES)
    bodies = torch.zeros(len(clip), num_frames, MODEL_LAYOUT.num_joints, 3)
    first_row = torch.arange(0, len(clip), MAX_BODIES)
    views = tuple(bodies[:, : view.num_frames] for view in model.views)
    batch = Batch(views, torch.rand(len(clip), model.num_draws), clip, first_row)
    with torch.no_grad(), ExitStack() as counters:
        tallies = {name: counters.enter_context(counting(part)) for name, part in model.named_children()}
        model(batch)
    encoder = _weightless(encoder_config, objective, num_frames).encoder
    with torch.no_grad(), counting(encoder) as tally:
        encoder.features(bodies.to("meta"))
    tallies[ENCODER_ALL_TOKENS] = tally
    return {
        name.replace("_", " "): 2 * tally.macs / _COUNTED_CLIPS / 1e9
        for name, tally in tallies.items()
        if tally.macs or name == ENCODER_ALL_TOKENS
    }


def not_counted(encoder_config: EncoderConfig, objective: ObjectiveConfig, *, num_frames: int) -> list[str]:
    """The kinds of modules with products that are not counted, such as convolutions; none of ours has any."""
    model = _weightless(encoder_config, objective, num_frames)
    of_encoder = set(model.encoder.modules())
    found = {
        type(part).__name__
        for part in model.modules()
        if _is_not_counted(part) or (part not in of_encoder and _has_own_matrix(part))
    }
    if _has_more_products(model.encoder, num_frames):
        found.add(type(model.encoder).__name__)
    return sorted(found)


def _is_not_counted(part: nn.Module) -> bool:
    if isinstance(part, nn.GRU):
        return part.num_layers > 1 or part.bidirectional
    # Other modules with weights of their own, such as positions, add these and multiply nothing.
    return type(part).__module__.startswith("torch.nn.") and _has_matrix(part) and not isinstance(part, _KNOWN)


def _has_own_matrix(part: nn.Module) -> bool:
    """Whether it is of another package and has a matrix, which it may multiply with in any way."""
    return (
        not type(part).__module__.startswith(("torch.", "trainer."))
        and _has_matrix(part)
        and not isinstance(part, _KNOWN)
    )


def _has_matrix(part: nn.Module) -> bool:
    return any(weight.dim() > 1 for weight in part.parameters(recurse=False))


def _has_more_products(encoder: nn.Module, num_frames: int) -> bool:
    """Whether an embedding takes more products of matrices than are counted, in modules or between them."""
    bodies = torch.zeros(_COUNTED_CLIPS * MAX_BODIES, num_frames, MODEL_LAYOUT.num_joints, 3, device="meta")
    with torch.no_grad(), counting(encoder) as tally, FlopCounterMode(display=False) as products:
        encoder.features(bodies)  # type: ignore[operator]
    return products.get_total_flops() > _ROUNDING * 2 * tally.macs


def parameter_table(encoder_config: EncoderConfig, objective: ObjectiveConfig, *, num_frames: int) -> dict[str, int]:
    """The number of weights of each part of the objective, with those that are not trained (a target encoder's)."""
    model = _weightless(encoder_config, objective, num_frames)
    counts = {name: sum(weight.numel() for weight in part.parameters()) for name, part in model.named_children()}
    return {name.replace("_", " "): count for name, count in counts.items() if count}


def _weightless(encoder_config: EncoderConfig, objective: ObjectiveConfig, num_frames: int) -> Objective:
    """The modules without memory for their weights, since only shapes are needed."""
    with torch.device("meta"):
        return build_objective(build_encoder(encoder_config, num_frames=num_frames), objective)
