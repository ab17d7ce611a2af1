"""Charts of an evaluation as matplotlib figures to be saved: confusions, learning curves, a map of the embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from trainer.evaluate.learning import Epoch
from trainer.figures import FAINT, TEXT

# With more classes than this, a confusion matrix has small cells.
_MOST_SPARSE = 25
_LEAST_CELL = 0.21  # inches, in which two digits and names of 8 points can be read
# More points hide each other and take minutes to place.
MAX_MAP_CLIPS = 3000


def confusion_matrix(
    labels: Integer[np.ndarray, " clips"],
    predictions: Integer[np.ndarray, " clips"],
    class_names: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """How often (in %) clips of a class (row) were predicted as a class (column). A prediction of -1 is "unknown"."""
    num_classes = len(class_names)
    columns = [*class_names, "unknown"] if (predictions < 0).any() else list(class_names)
    counts = np.zeros((num_classes, num_classes + 1))
    np.add.at(counts, (labels, predictions), 1)  # -1 is the last column
    counts = counts[:, : len(columns)]
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    is_dense = num_classes > _MOST_SPARSE
    inches = 0.6 if num_classes <= 6 else max(_LEAST_CELL, min(0.42, 9.0 / num_classes))
    font = min(8.5, 72 * inches * 0.55)
    longest = 0.6 * font / 72 * max(map(len, columns))  # inches of the longest name, beside the matrix and below it
    size = (inches * len(columns) + longest + 2.0, inches * num_classes + (1.0 if is_dense else 0.75) * longest + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    # Not in proportion: most confusions are a few percent, and would be white.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 100), aspect="equal")
    slant: dict[str, Any] = {"rotation": 90} if is_dense else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(columns)), columns, fontsize=font, **slant)
    axes.set_yticks(range(num_classes), class_names, fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    if is_dense:  # lines for the eye that follows a row to its name
        for place in np.arange(4.5, num_classes - 1, 5):
            axes.axhline(place, color=FAINT, alpha=0.35, linewidth=0.5)
            axes.axvline(place, color=FAINT, alpha=0.35, linewidth=0.5)
    # In small cells, numbers of a percent or two would hide the pattern.
    for row, column in np.argwhere(shares >= (4.5 if is_dense else 0.5)):
        colour = "white" if shares[row, column] > 35 else TEXT
        text = f"{shares[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=0.8 * font, color=colour)
    wide = inches * len(columns)
    bar = axes.inset_axes((1 + 0.15 / wide, 0.0, 0.16 / wide, min(1.0, 4.0 / (inches * num_classes))))
    figure.colorbar(image, cax=bar, label="% of the true class", ticks=[0, 1, 5, 10, 25, 50, 100])
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def learning_curves(runs: Mapping[str, Sequence[Sequence[Epoch]]], *, chance_percent: float) -> Figure:
    """Loss and accuracy after each epoch, in a colour for each name: the mean of its runs, and faint each run.

    The last epoch is the one that counts; its accuracy is marked.
    """
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    loss_axes, test_axes = figure.subplots(1, 2)
    for number, (name, epochs_of_runs) in enumerate(runs.items()):
        colour = f"C{number}"
        losses = [[epoch.train_loss for epoch in epochs] for epochs in epochs_of_runs]
        _draw_runs(loss_axes, [epoch.epoch for epoch in epochs_of_runs[0]], losses, colour=colour)
        tested = [epoch.epoch for epoch in epochs_of_runs[0] if epoch.top1_percent is not None]
        right = [[e.top1_percent for e in epochs if e.top1_percent is not None] for epochs in epochs_of_runs]
        last = _draw_runs(test_axes, tested, right, colour=colour, label=f"{name}: {np.mean(right, axis=0)[-1]:.1f}")
        test_axes.plot(tested[-1], last, "o", color=colour, markersize=5, clip_on=False)
    test_axes.axhline(chance_percent, color=FAINT, linestyle=":", linewidth=1, label=f"chance: {chance_percent:.1f}")
    loss_axes.set_ylabel("loss on training clips")
    test_axes.set_ylabel("test clips right, in % (the last epoch counts)")
    test_axes.set_ylim(0, 100)
    for axes in (loss_axes, test_axes):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    # Below both charts, where it hides no curve.
    figure.legend(
        *test_axes.get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=8, ncols=4
    )
    return figure


def _draw_runs(axes: Axes, x: Sequence[int], runs: Sequence[Sequence[float]], *, colour: str, label: str = "") -> float:
    for values in runs if len(runs) > 1 else ():
        axes.plot(x, values, color=colour, alpha=0.2, linewidth=0.8)
    mean = np.mean(runs, axis=0)
    axes.plot(x, mean, color=colour, linewidth=1.8, label=label)
    return float(mean[-1])


def embedding_map(
    vectors: Float[np.ndarray, "clips size"],
    labels: Integer[np.ndarray, " clips"],
    class_names: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Embeddings in a plane that keeps neighbours by cosine together (t-SNE), coloured by class; label -1 is grey.

    In it the distances between groups and the sizes of groups mean nothing. At most `MAX_MAP_CLIPS` clips are drawn,
    chosen evenly. With more classes than colours, each has a number, which stands in the middle of its clips.
    """
    chosen = np.linspace(0, len(vectors) - 1, min(len(vectors), MAX_MAP_CLIPS)).astype(np.int64)
    vectors, labels = vectors[chosen], labels[chosen]
    plane = _neighbour_map(vectors)

    present = [int(label) for label in np.unique(labels)]
    pairs = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
    colours = pairs[::2] + pairs[1::2]  # the strong ones first
    is_dense = len(present) > len(colours)
    names = ["not labelled" if label < 0 else class_names[label] for label in present]
    if is_dense:
        names = [f"{number + 1}  {name}" for number, name in enumerate(names)]
    inches = 7.5 if is_dense else 6.0
    ncols = 1 + (len(names) - 1) // int(4.8 * inches)
    beside = ncols * (0.6 + 0.068 * max(map(len, names)))  # the list of names
    figure = Figure(figsize=(max(1.1 * inches + beside, 9.0), inches), layout="constrained")
    axes = figure.subplots()
    markers = "os^DvPX<>p*h"  # the next one when the colours are used up; with 20 colours, enough for 240 classes
    for number, label in enumerate(present):
        of_class = labels == label
        axes.scatter(
            plane[of_class, 0],
            plane[of_class, 1],
            s=18,
            color="#BBBBBB" if label < 0 else colours[number % len(colours)],
            marker=markers[number // len(colours) % len(markers)],
            linewidths=0,
            alpha=0.85,
            label=names[number],
        )
        if is_dense:
            x, y = np.median(plane[of_class], axis=0)
            axes.text(
                x,
                y,
                str(number + 1),
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold",
                color=TEXT,
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )
    axes.set_xlabel("t-SNE by cosine: near means similar; axes have no unit", fontsize=9, color=FAINT)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#DDDDDD")
    if title:
        axes.set_title(title, fontsize=11, loc="left")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, ncols=ncols)
    return figure


def _neighbour_map(vectors: Float[np.ndarray, "clips size"]) -> Float[np.ndarray, "clips 2"]:
    if len(vectors) < 4:
        return np.stack([np.arange(len(vectors)), np.zeros(len(vectors))], axis=1)
    from sklearn.manifold import TSNE  # here, because it takes seconds and no other command needs it

    plane = TSNE(
        metric="cosine",
        init="pca" if vectors.shape[1] > 1 else "random",
        perplexity=min(30.0, (len(vectors) - 1) / 3),
        random_state=0,
    )
    return plane.fit_transform(vectors)
