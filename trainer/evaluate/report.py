"""The report of a protocol as plain values for JSON, with everything needed to repeat it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from gfp_serve import __version__
from gfp_serve.preprocess import PreprocessConfig
from trainer.data.store import ClipStore
from trainer.evaluate.candidates import Readout
from trainer.evaluate.folds import Answers, Fold, chance
from trainer.evaluate.learned_labels import learned_labels
from trainer.evaluate.learning import HeadResult

BEST_EPOCH_WARNING = "chosen by the test clips, so it is too good: do not report or compare it"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A line of a table: the answers of an embedding, and how its head learned."""

    name: str
    readout: Readout
    answers: Answers
    learned: tuple[HeadResult, ...] = ()  # one for each fold; empty if nothing is learned

    @property
    def title(self) -> str:
        return self.name if self.readout == "plain" else f"{self.name}, with read-out"

    @property
    def best_percent(self) -> float:
        """Accuracy of the best epoch of each fold, the mean over folds; see `BEST_EPOCH_WARNING`."""
        return float(np.mean([fold.best.top1_percent for fold in self.learned]))


def describe_evaluation(
    protocol: str,
    store: ClipStore,
    folds: Sequence[Fold],
    *,
    config: dict[str, Any],
    seed: int | None,
    preprocess: PreprocessConfig,
    encoder: dict[str, Any],
) -> dict[str, Any]:
    """The part of a report that says what was measured, on what and how. `config` and `seed` are the protocol's."""
    labels = learned_labels(encoder, store, folds)
    return {
        "protocol": protocol,
        "warnings": [labels] if labels else [],
        "folds": _describe_folds(store, folds),
        "config": config,
        "seed": seed,
        "made_with": {"gfp_serve": __version__, "torch": torch.__version__},
        "store_content_sha256": store.content_digest,
        "num_train_clips": sum(len(fold.train) for fold in folds),
        "num_test_clips": sum(len(fold.test) for fold in folds),
        "preprocess": preprocess.to_json(),
        "encoder": encoder,
        "chance_percent": chance(store, list(folds)),
    }


def _describe_folds(store: ClipStore, folds: Sequence[Fold]) -> str:
    if len(folds) > 1:
        return f"{len(folds)} cross-subject folds"
    ways = sorted({source.protocol for source in store.sources} - {""})
    return f"the store's split, by {', '.join(ways) or 'its recordings'}"


def results(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of a report. A head counts as it is after its last epoch, even if it was better before."""
    found: dict[str, Any] = {
        "top1_percent": {row.name: row.answers.accuracy for row in rows if row.readout == "plain"},
        "top1_percent_readout": {row.name: row.answers.accuracy for row in rows if row.readout == "read-out"},
    }
    if known := {row.title: top5 for row in rows if (top5 := row.answers.top5) is not None}:
        found["top5_percent"] = known
    if learners := [row for row in rows if row.learned]:
        found["best_epoch_on_test_percent"] = {
            "warning": BEST_EPOCH_WARNING,
            **{row.title: row.best_percent for row in learners},
        }
        found["epochs"] = {
            row.title: [[asdict(epoch) for epoch in fold.epochs] for fold in row.learned] for row in learners
        }
    return found
