"""Accuracy against cost, as a matplotlib figure to be saved."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from trainer.figures import FAINT, TEXT

_FONT = 8.5
_INCHES_A_LABEL = 0.21  # two lines of text this far apart do not touch
_LONGEST = 100  # letters of a name
_LABELS_AT = 1.04  # in widths of the axes
PictureCost = Literal["step", "training", "embedding"]
# The name of each cost in a row, and what it is.
_COSTS: dict[PictureCost, tuple[str, str]] = {
    "step": ("step_gflop", "GFLOP of a training step, forward, a clip of two bodies (log scale)"),
    "training": ("training_pflop", "PFLOP of the training: 3 × GFLOP of a step × clips seen (log scale)"),
    "embedding": ("embedding_gflop", "GFLOP of an embedding of a clip of two bodies (log scale)"),
}


def accuracy_against_cost(report: Mapping[str, Any], cost: PictureCost = "step") -> Figure:
    """A chart for each score: top-1 against a cost, with the deviation over seeds.

    The cost is that of a training step, of the whole training, or of an embedding. Rows without that cost (pose
    statistics, an untrained encoder) are dashed lines. Names stand in a list to the right, in the order of the scores
    and each with a line to its point, so that they never lie on each other.
    """
    rows, columns = report["rows"], report["columns"]
    across = min(2, len(columns))
    down = -(-len(columns) // across)
    height = max(2.6, _INCHES_A_LABEL * (len(rows) + 1)) + 0.9
    longest = max(len(_label(row)) for row in rows)
    figure = Figure(figsize=(across * (4.2 + 0.085 * (longest + 6)), down * height), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number < len(columns):
            _draw(axes, rows, columns[number], cost, inches=height - 0.9)
        else:
            axes.set_axis_off()
    return figure


def _draw(axes: Axes, rows: Sequence[Mapping[str, Any]], column: str, which: PictureCost, *, inches: float) -> None:
    scores = [row["scores"][column]["top1_percent"] for row in rows]
    means = np.array([score["mean"] for score in scores])
    spread = np.array([score["deviation"] for score in scores])
    name, words = _COSTS[which]
    costs = [_cost(row, name) for row in rows]
    low, high = float((means - spread).min()), float((means + spread).max())
    margin = max(1.0, 0.08 * (high - low))
    axes.set_ylim(low - margin, high + margin)
    known = [cost for cost in costs if cost is not None]
    if known:
        axes.set_xscale("log")
        axes.set_xlim(min(known) / 1.6, max(known) * 1.6)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xticks([])
    edge = axes.get_xlim()[1]
    for number, (mean, deviation, cost) in enumerate(zip(means, spread, costs, strict=True)):
        if cost is None:
            axes.axhline(mean, color=FAINT, linewidth=1, linestyle="--", zorder=1)
        else:
            axes.errorbar(
                cost, mean, yerr=deviation or None, color=f"C{number % 10}", fmt="o", markersize=6, capsize=3, zorder=3
            )
    places = spread_out(means, axes.get_ylim(), least=_INCHES_A_LABEL / inches)
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for number, (row, score, mean, place, cost) in enumerate(zip(rows, scores, means, places, costs, strict=True)):
        colour = FAINT if cost is None else f"C{number % 10}"
        axes.annotate(
            f"{_label(row)}  {score['mean']:.1f}",
            xy=(edge if cost is None else cost, mean),
            xytext=(_LABELS_AT, place),
            textcoords=beside,
            va="center",
            fontsize=_FONT,
            color=TEXT,
            parse_math=False,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.45, "linewidth": 0.8, "relpos": (0, 0.5)},
        )
    axes.set_title(f"{column}: test clips right, in %", loc="left", fontsize=10, parse_math=False)
    axes.set_xlabel(words if known else "no cost is known", fontsize=_FONT)
    axes.tick_params(labelsize=_FONT)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def spread_out(
    values: Float[np.ndarray, " labels"], limits: tuple[float, float], *, least: float
) -> Float[np.ndarray, " labels"]:
    """The places nearest to `values` that lie a share `least` of the limits apart, or as far as there is room for.

    They are within the limits and in the order of the values.
    """
    from sklearn.isotonic import isotonic_regression  # here, because it takes a second

    low, high = limits
    step = min(least, 1 / max(1, len(values) - 1)) * (high - low)
    order = np.argsort(values, kind="stable")
    steps = step * np.arange(len(values))
    # Less the steps, places that are far enough apart are places that do not fall.
    places = isotonic_regression(values[order] - steps, y_min=low, y_max=high - step * (len(values) - 1)) + steps
    found = np.empty(len(values))
    found[order] = places
    return found


def _label(row: Mapping[str, Any]) -> str:
    """The name of a row, cut if it is so long that the picture would be wider than a picture can be."""
    name = str(row["name"])
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _cost(row: Mapping[str, Any], name: str) -> float | None:
    cost = None if row["cost"] is None else row["cost"][name]
    return cost if cost is not None and isfinite(cost) and cost > 0 else None
