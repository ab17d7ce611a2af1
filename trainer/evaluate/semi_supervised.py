"""Semi-supervised: the fine-tuning recipe on a small random share of the training clips, drawn for every seed.

In the published script (MAMP's) each process draws for itself, so two processes together see up to twice the labels,
and all its runs have one seed. Here a draw depends on the seed only, and the report has the hash of its clips.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from gfp_serve.errors import InvalidRequestError
from trainer.checkpoint import Checkpoint
from trainer.data.store import ClipStore
from trainer.evaluate.comparison import compare_fine_tuned
from trainer.evaluate.fine_tune import FineTuneConfig
from trainer.evaluate.folds import Fold
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import Show
from trainer.evaluate.report import Row, results
from trainer.evaluate.resume import EvaluationState


def draw(store: ClipStore, fold: Fold, ratio: float, *, seed: int, balanced: bool) -> Fold:
    """The fold with int(clips · ratio) of its training clips, in the store's order.

    The draw of a smaller ratio is part of the draw of a larger one with the same seed. `balanced` takes a clip from
    each class in turn, as long as the class has any. Raises `InvalidRequestError` for a ratio outside (0, 1] and for
    one that gives fewer than 2 clips.
    """
    if not 0 < ratio <= 1:
        raise InvalidRequestError(
            f"--ratio is {ratio}; it must be above 0 and at most 1. The published runs use 0.01 and 0.1."
        )
    count = int(len(fold.train) * ratio)
    if count < 2:
        raise InvalidRequestError(
            f"--ratio {ratio:g} of {len(fold.train)} training clips gives {count}; at least 2 are needed: choose "
            f"{2 / len(fold.train):.2g} or more."
        )
    shuffled = np.random.default_rng([seed, 4]).permutation(fold.train)
    if balanced:
        shuffled = shuffled[np.argsort(_rank_in_class(store.labels[shuffled]), kind="stable")]
    return Fold(test=fold.test, train=np.sort(shuffled[:count]))


def learn_from_draws(
    checkpoint: Checkpoint,
    clips: LabelledClips,
    draws: Mapping[tuple[float, int], list[Fold]],
    config: FineTuneConfig,
    *,
    state: EvaluationState,
    show: Show = lambda *_: None,
) -> dict[float, list[list[Row]]]:
    """Fine-tune for each ratio and seed on the folds that were drawn for them, and return the rows by ratio."""
    rows: dict[float, list[list[Row]]] = {ratio: [] for ratio, _ in draws}
    for (ratio, seed), folds in draws.items():
        of_seed = compare_fine_tuned(
            checkpoint,
            clips,
            folds,
            replace(config, seed=seed),
            state=state,
            prefix=f"{ratio:g}, seed {seed}, ",
            show=show,
        )
        rows[ratio].append(of_seed)
    return rows


def describe_draw(store: ClipStore, folds: Sequence[Fold], *, seed: int) -> dict[str, Any]:
    """The number of clips and classes that a seed drew, and the hash of the clips' names, to compare two runs."""
    drawn = np.concatenate([fold.train for fold in folds])
    names = "\n".join(store.names[drawn].tolist())
    return {
        "seed": seed,
        "num_clips": len(drawn),
        "num_classes": len(np.unique(store.labels[drawn])),
        "names_sha256": hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest(),
    }


def summary(
    store: ClipStore, draws: Sequence[Sequence[Fold]], seeds: Sequence[int], rows: Sequence[Sequence[Row]]
) -> dict[str, Any]:
    """The report of one ratio: draws and results of each seed, and mean and deviation over the seeds."""
    return {
        "draws": [describe_draw(store, folds, seed=seed) for folds, seed in zip(draws, seeds, strict=True)],
        "top1_percent": {
            row.name: mean_and_deviation([of_seed[place].answers.accuracy for of_seed in rows])
            for place, row in enumerate(rows[0])
        },
        "runs": [results(of_seed) for of_seed in rows],
    }


def mean_and_deviation(percents: Sequence[float]) -> dict[str, Any]:
    """The accuracies of the seeds with their mean and sample standard deviation (over n - 1; 0 for a single run)."""
    deviation = float(np.std(percents, ddof=1)) if len(percents) > 1 else 0.0
    return {"mean": float(np.mean(percents)), "deviation": deviation, "seeds": list(percents)}


def _rank_in_class(labels: Int[np.ndarray, " clips"]) -> Int[np.ndarray, " clips"]:
    """The number of clips of the same class that come before each clip."""
    ranks = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = labels == label
        ranks[of_class] = np.arange(of_class.sum())
    return ranks
