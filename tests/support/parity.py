"""The same step of learning on two devices, or in two precisions: how far losses and gradients are apart.

The cases are all objectives and all terms beside them. Weights, clips and draws are the same on both sides.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.support.small_objectives import SETTINGS, SMALL, batch, bodies, draws
from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives import OBJECTIVES, NoObjectiveConfig, Objective, build_objective
from trainer.terms import Lesson, Terms, TermsConfig

CPU = torch.device("cpu")
IN_BODY_FRAME = TransformerConfig(width=16, depth=1, num_heads=2, frame="body")
TERMS = {
    "labels": TermsConfig(label_weight=1.0),
    "statistics": TermsConfig(statistics_weight=1.0),
    "views": TermsConfig(view_weight=1.0),
}
CASES = (*OBJECTIVES, "gfp of joints", *TERMS)


@dataclass(frozen=True)
class Step:
    """The loss of a step and the gradients of all weights, on the CPU."""

    loss: float
    gradients: dict[str, Tensor]

    @property
    def is_finite(self) -> bool:
        return all(bool(each.isfinite().all()) for each in (torch.tensor(self.loss), *self.gradients.values()))


@dataclass(frozen=True)
class Difference:
    """How far a step is from another, as a share of it: losses, and all gradients as one vector."""

    loss: float
    gradients: float


@dataclass(frozen=True)
class Case:
    """A model and what it learns from in one step."""

    model: Objective
    own: Batch | None
    lesson: Lesson | None


def make_case(name: str, encoder: TransformerConfig | None = None) -> Case:
    """One of `CASES`, on a small encoder unless another is given."""
    torch.manual_seed(0)
    if name in TERMS:
        model = build_objective(Transformer(encoder or IN_BODY_FRAME, num_frames=120), NoObjectiveConfig())
        model.terms = Terms(model.encoder, TERMS[name], torch.tensor([0, 0, 1, 1]), torch.zeros(618, 4))
        return Case(model, None, _lesson())
    kind = "gfp" if name == "gfp of joints" else name
    settings = {**SETTINGS[kind], **({"target_input": "joints"} if kind != name else {})}
    config = OBJECTIVES[kind].config_type(**settings)
    model = build_objective(Transformer(encoder or SMALL, num_frames=120), config)
    return Case(model, batch(model), None)


def take_step(
    case: Case, device: torch.device, *, bf16: bool, compiled: Callable[[Objective], object] = lambda model: model
) -> Step:
    """One forward and backward pass of a copy of the model. `compiled` may change the copy in place."""
    model = copy.deepcopy(case.model).to(device)
    compiled(model)
    own = None if case.own is None else case.own.to(device)
    lesson = None if case.lesson is None else Lesson(*(part.to(device) for part in case.lesson))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        total = model.learn(own, lesson).total
    total.backward()
    gradients = {
        name: weight.grad.float().cpu() for name, weight in model.named_parameters() if weight.grad is not None
    }
    return Step(total.item(), gradients)


def difference(step: Step, expected: Step) -> Difference:
    """Raises `ValueError` when other weights have gradients."""
    if step.gradients.keys() != expected.gradients.keys():
        raise ValueError(f"other weights have gradients: {step.gradients.keys() ^ expected.gradients.keys()}")
    ours, theirs = (torch.cat([grad.flatten() for grad in each.gradients.values()]) for each in (step, expected))
    return Difference(
        abs(step.loss - expected.loss) / max(abs(expected.loss), 1e-12),
        float((ours - theirs).norm() / theirs.norm().clamp_min(1e-12)),
    )


def _lesson() -> Lesson:
    """Six clips whose second half are the first half's others, with joints that are lacking."""
    seen = bodies()
    seen[1, :, 20:] = torch.nan
    given = torch.Generator().manual_seed(1)
    turns = torch.linalg.qr(torch.randn((6, 3, 3), generator=given))[0]
    return Lesson(
        seen,
        turns,
        draws(),
        torch.tensor([0, 1, 2, 3, -1, 0]),
        torch.tensor([False, True, False, False, True, True]),
        torch.randn((6, 160), generator=given),
        torch.zeros((6, 0)),
        torch.zeros(6, dtype=torch.int64),
        torch.tensor([0, 1, 2, 0, 1, 2]),
    )
