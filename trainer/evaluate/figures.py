"""The pictures of a report: confusions, learning curves and a map of the embeddings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure

from gfp_serve.figure_file import save_figure
from trainer.data.store import ClipStore
from trainer.evaluate import charts
from trainer.evaluate.folds import Answers, Fold
from trainer.evaluate.report import Row

# With this a picture can be read on a common screen without zooming.
DPI = 120


def draw_retrieval(out: Path, store: ClipStore, row: Row, vectors: Float32[np.ndarray, "clips size"]) -> None:
    """Save the confusions of a row, and the map of all clips that have a vector."""
    _draw_confusions(out, store, f"{row.title}, 1-NN", [row.answers])
    used = vectors.any(axis=1)
    title = f"{row.title}: embeddings of {used.sum()} clips"
    _save(charts.embedding_map(vectors[used], store.labels[used], store.class_names, title=title), out / "map.png")


def draw_learned(
    out: Path, store: ClipStore, folds: Sequence[Fold], rows: Sequence[Row], *, chance_percent: float
) -> None:
    """Save the learning curves of all rows, and the confusions and the map of the last."""
    curves = {row.title: [fold.epochs for fold in row.learned] for row in rows}
    _save(charts.learning_curves(curves, chance_percent=chance_percent), out / "curves.png")
    _draw_confusions(out, store, rows[-1].title, [rows[-1].answers])
    _draw_features(out, store, folds, rows[-1], rows[-1].title)


def draw_semi_supervised(
    out: Path,
    store: ClipStore,
    folds: Sequence[Fold],
    rows: Mapping[float, Sequence[Sequence[Row]]],
    *,
    chance_percent: float,
) -> None:
    """Save the learning curves of all rows, given by ratio and seed.

    Confusions and map are those of the last row at the largest ratio.
    """
    curves = {
        f"{100 * ratio:g} %, {row.name}": [fold.epochs for of_seed in of_ratio for fold in of_seed[place].learned]
        for ratio, of_ratio in rows.items()
        for place, row in enumerate(of_ratio[0])
    }
    _save(charts.learning_curves(curves, chance_percent=chance_percent), out / "curves.png")
    largest = max(rows)
    last = [of_seed[-1] for of_seed in rows[largest]]
    title = f"{last[-1].title} on {100 * largest:g} % of the labels"
    _draw_confusions(out, store, title, [row.answers for row in last])
    _draw_features(out, store, folds, last[-1], title)


def _draw_confusions(out: Path, store: ClipStore, title: str, of_runs: Sequence[Answers]) -> None:
    labels = np.concatenate([run.labels for run in of_runs])
    predictions = np.concatenate([run.predictions for run in of_runs])
    # Only classes that occur: a store may have many others.
    present = np.union1d(labels, predictions)
    right = np.mean([run.accuracy for run in of_runs])
    figure = charts.confusion_matrix(
        np.searchsorted(present, labels),
        np.searchsorted(present, predictions),
        [store.class_names[label] for label in present],
        title=f"{title}: {right:.1f} % of {len(of_runs[0].labels)} test clips right",
    )
    _save(figure, out / "confusion.png")


def _draw_features(out: Path, store: ClipStore, folds: Sequence[Fold], row: Row, title: str) -> None:
    features, test = row.learned[-1].features, folds[-1].test
    if features is not None:
        title = f"{title}: input of the last layer for {len(test)} test clips"
        _save(charts.embedding_map(features, store.labels[test], store.class_names, title=title), out / "map.png")


def _save(figure: Figure, path: Path) -> None:
    save_figure(figure, path, dpi=DPI)
