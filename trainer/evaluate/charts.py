"""Charts of an evaluation as matplotlib figures to be saved: confusions, learning curves, a map of the embeddings."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.evaluate.learning import Epoch
from trainer.figures import FAINT, TEXT

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

    inches = min(0.42, 9.0 / num_classes) if num_classes > 6 else 0.6
    longest = max(map(len, columns))  # its letters need room beside the matrix, and slanting below it
    size = (inches * len(columns) + 0.075 * longest + 1.4, inches * num_classes + 0.055 * longest + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    font = min(8.5, 72 * inches * 0.55)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor", fontsize=font)
    axes.set_yticks(range(num_classes), class_names, fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    if inches >= 0.3:
        for row, column in np.argwhere(shares >= 0.5):
            colour = "white" if shares[row, column] > 55 else TEXT
            text = f"{shares[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=0.85 * font, color=colour)
    figure.colorbar(image, ax=axes, shrink=0.7, label="% of the true class")
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
    chosen evenly.
    """
    chosen = np.linspace(0, len(vectors) - 1, min(len(vectors), MAX_MAP_CLIPS)).astype(np.int64)
    vectors, labels = vectors[chosen], labels[chosen]
    plane = _neighbour_map(vectors)

    present = [int(label) for label in np.unique(labels)]
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    pairs = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
    colours = pairs[::2] + pairs[1::2]  # the strong ones first
    markers = "os^Dv"  # the next one when the colours are used up
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
            label="not labelled" if label < 0 else class_names[label],
        )
    axes.set_xlabel("t-SNE by cosine: near means similar; axes have no unit", fontsize=9, color=FAINT)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#DDDDDD")
    if title:
        axes.set_title(title, fontsize=11, loc="left")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, ncols=1 + len(present) // 35)
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
