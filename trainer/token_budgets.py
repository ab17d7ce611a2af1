"""What an encoder loses and gains by embedding some of a body's tokens: accuracy, clean and changed, against time."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from gfp_serve.bundle import Encode
from gfp_serve.formats import Clip
from gfp_serve.preprocess import PreprocessConfig, prepare
from trainer.checkpoint import Checkpoint
from trainer.embedding import sampling_for
from trainer.evaluate.suite.encoders import SuiteEncoder, of_model
from trainer.timing import time_in_turns
from trainer.token_choice import Budget, Kind

# The embedding as a run is evaluated and served: of all tokens, or of those that a learned head reads.
WHOLE = "as served"


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """What one budget brings and costs. Points are differences to the whole embedding."""

    tokens: int
    choice: Kind
    speed_up: float  # of the exported graph, on one core
    percent: dict[str, float]  # right, in percent: 1-NN by change, and "linear" by change; means of sets
    points: dict[str, float]


def budget_models(build: Callable[[Budget | None], nn.Module], budgets: Sequence[Budget]) -> dict[str, nn.Module]:
    """By name the whole embedding of a run, and that of each budget."""
    return {WHOLE: build(None), **{budget.title: build(budget) for budget in budgets}}


def budget_encoders(checkpoint: Checkpoint, models: Mapping[str, nn.Module]) -> list[SuiteEncoder]:
    """What the suite measures of `budget_models`."""
    found = []
    for name, model in models.items():
        encoder = of_model(name, model, checkpoint.preprocess, "cpu", {}, data=checkpoint.data)
        # Weights alone do not tell budgets apart.
        digest = hashlib.sha256(f"{encoder.digest} {name}".encode()).hexdigest()
        found.append(replace(encoder, digest=digest))
    return found


def time_budgets(
    checkpoint: Checkpoint, models: Mapping[str, nn.Module], budgets: Sequence[Budget], clip: Clip
) -> dict[int, float]:
    """How many times as fast as the whole embedding each number of tokens is, as exported, on one core.

    Which tokens are chosen costs next to nothing, so one choice of each number is timed.
    """
    # These need onnxruntime; other evaluations of a run do not.
    from gfp_serve.encoder import Encoder
    from trainer.export import Origin, export_bundle

    names = {0: WHOLE, **{budget.num_tokens: budget.title for budget in budgets}}
    encoders: dict[int, Encode] = {}
    for number, name in names.items():
        sampling = sampling_for(models[name], checkpoint.preprocess.sampling)
        preprocess = PreprocessConfig(cleaning=checkpoint.preprocess.cleaning, sampling=sampling)
        origin = Origin(name="timed", objective="none", step=0, data={}, training=None)
        bundle = export_bundle(models[name], [clip], preprocess, origin, {}, form="fused").bundle
        encoders[number] = Encoder(bundle, device="cpu", num_threads=1).encode
    seconds = time_in_turns(encoders, prepare(clip.sequence, clip.layout, bundle.manifest.preprocess))
    return {number: seconds[0] / each for number, each in seconds.items() if number}


def table_of(
    figures: Mapping[str, Mapping[str, Mapping[str, Any]]], budgets: Sequence[Budget], speed_ups: Mapping[int, float]
) -> tuple[dict[str, float], list[BudgetRow]]:
    """What the whole embedding has right in percent, and a row for each budget.

    `figures` are those of `measure_sets`.
    """
    whole = _means(figures, WHOLE)
    rows = []
    for budget in budgets:
        percent = _means(figures, budget.title)
        points = {what: each - whole[what] for what, each in percent.items()}
        rows.append(BudgetRow(budget.num_tokens, budget.kind, speed_ups[budget.num_tokens], percent, points))
    return whole, rows


def _means(figures: Mapping[str, Mapping[str, Mapping[str, Any]]], encoder: str) -> dict[str, float]:
    """By change of 1-NN and then of the linear probe, the mean of the sets that have it."""
    found: dict[str, list[float]] = {}
    for measure, what in (("1nn_percent", "{}"), ("linear_percent", "linear, {}")):
        for of_set in figures.values():
            for change, values in of_set[encoder]["changes"].items():
                if values.get(measure) is not None:
                    found.setdefault(what.format(change), []).append(values[measure])
    return {what: float(np.mean(values)) for what, values in found.items()}
