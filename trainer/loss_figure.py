"""The loss of a run over its steps, as a matplotlib figure to be saved."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.figure import Figure


def loss_curves(steps: Integer[np.ndarray, " logged"], terms: Mapping[str, Float[np.ndarray, " logged"]]) -> Figure:
    """Each term of a loss over the logged steps: its values faint, their running mean strong.

    A value that is NaN is not drawn: its step lacks this term. The axis of the loss is logarithmic if all others are
    above 0.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    drawn = {name: ~np.isnan(values) for name, values in terms.items()}
    for number, (name, is_there) in enumerate(drawn.items()):
        colour, at, values = f"C{number}", steps[is_there], terms[name][is_there]
        axes.plot(at, values, color=colour, alpha=0.25, linewidth=0.8)
        # A line through one point cannot be seen.
        marker = "o" if len(values) == 1 else None
        means = _running_mean(values, max(1, len(values) // 50))
        axes.plot(at, means, color=colour, linewidth=1.8, marker=marker, label=name)
    if terms and all((values[drawn[name]] > 0).all() for name, values in terms.items()):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if terms:
        # Beside the curves, which it would hide; looking for the best place among them takes seconds.
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _running_mean(values: Float[np.ndarray, " steps"], width: int) -> Float[np.ndarray, " steps"]:
    # Each value is averaged with those before it, so that the end of the curve is the newest.
    sums = np.cumsum(np.concatenate([np.zeros(1), values.astype(np.float64)]))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - width, 0)
    return (sums[stop] - sums[start]) / (stop - start)
