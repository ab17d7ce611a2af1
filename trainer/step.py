"""What a training step is made of: the compiled loss, the optimiser, and arithmetic that repeats itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils import deterministic

from trainer import parallel
from trainer.config import TrainConfig
from trainer.data.batches import Batch
from trainer.objectives import Objective, Outcome
from trainer.terms import Lesson


class _Learning(nn.Module):
    """The loss of a step as a module's forward pass, which is what torch compiles and shares between processes."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, own: Batch | None, lesson: Lesson | None) -> Outcome:
        return self.objective.learn(own, lesson)


def compiled_loss(
    objective: Objective, compile_mode: Literal["auto", "off", "fused", "graphs"], device: torch.device
) -> Callable[[Batch | None, Lesson | None], Outcome]:
    """`objective.learn` as a step calls it: compiled, and its gradients shared between processes."""
    forward: nn.Module = _Learning(objective)
    if parallel.num_processes() > 1:
        forward = DistributedDataParallel(forward)
    if compile_mode == "auto":
        compile_mode = "fused" if device.type == "cuda" else "off"
    if compile_mode == "off":
        return forward
    mode = "reduce-overhead" if compile_mode == "graphs" else "default"
    # All steps have the same shapes (see batches.py).
    return torch.compile(forward, dynamic=False, mode=mode)


def skipped_graphs() -> int:
    """How many parts of the steps of this process torch runs without a CUDA graph, although graphs were asked for."""
    from torch._dynamo.utils import counters  # takes seconds, and runs without compilation do not need it

    return int(counters["inductor"]["cudagraph_skips"])


def build_optimizer(objective: Objective, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW that decays the matrices of linear and recurrent layers only, or what HaLP and USDRL train with.

    These are SGD with momentum 0.9, and Adam; the decay of all weights is then a part of the gradient. The learning
    rate of a group is its `share`, if it has one, of the run's. Raises `ValueError` when the first layer is to have a
    share, and the encoder does not say which it is.
    """
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            objective.parameters(), lr=config.peak_lr, momentum=0.9, weight_decay=config.weight_decay, fused=True
        )
    if config.optimizer == "adam":
        return torch.optim.Adam(objective.parameters(), lr=config.peak_lr, weight_decay=config.weight_decay, fused=True)
    matrices = ids_of_matrices(objective)
    first = {id(weight) for weight in first_layer(objective.encoder)} if config.embed_lr_share < 1 else set()
    if config.embed_lr_share < 1 and not first:
        raise ValueError(
            f"--embed-lr-share is {config.embed_lr_share}, but this encoder has no single first layer; leave it out."
        )
    groups: list[dict[str, Any]] = []
    for share, of_first in ((1.0, False), *(((config.embed_lr_share, True),) if first else ())):
        weights = [weight for weight in objective.parameters() if (id(weight) in first) == of_first]
        groups += [
            {
                "params": [weight for weight in weights if (id(weight) in matrices) == decays],
                "weight_decay": config.weight_decay if decays else 0.0,
                "share": share,
            }
            for decays in (True, False)
        ]
    return torch.optim.AdamW(groups, lr=config.peak_lr, betas=(0.9, config.gradient_memory), fused=True)


def ids_of_matrices(model: nn.Module) -> set[int]:
    """The `id` of each weight that decays: the matrices of linear and recurrent layers."""
    layers = (part for part in model.modules() if isinstance(part, nn.Linear | nn.RNNBase))
    return {id(weight) for layer in layers for weight in layer.parameters(recurse=False) if weight.ndim == 2}


def first_layer(encoder: nn.Module) -> list[nn.Parameter]:
    """The weights of an encoder's first layer that it names `embed`; none if it has none."""
    layer = getattr(encoder, "embed", None)
    return list(layer.parameters()) if isinstance(layer, nn.Module) else []


def clip_gradients(objective: nn.Module, longest: float) -> None:
    """Shorten the gradient of each part of an objective (SLiM's public code) to this length. 0 = not at all."""
    if longest:
        parts = [list(part.parameters()) for part in objective.children()]
        for weights in (*parts, list(objective.parameters(recurse=False))):
            nn.utils.clip_grad_norm_(weights, longest)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU, make a repeated run give the same losses to the last bit; it costs no time there.

    Without it, threads add the gradients of scattered tokens in any order, and two runs drift apart within ten steps.
    On CUDA it would forbid the fast kernels, so a repeated run agrees there to rounding only.
    """
    before, fills = torch.are_deterministic_algorithms_enabled(), deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(device.type == "cpu" or before)
    # Filling every new tensor with NaN finds bugs, but costs a few percent of the time.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
