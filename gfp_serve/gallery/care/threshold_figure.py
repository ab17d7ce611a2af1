"""The picture of a calibration: how similar known items and strangers are, and where the threshold lies."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gfp_serve.figure_file import save_figure
from gfp_serve.gallery.care.rejection_threshold import Calibration


def draw_calibration(found: Calibration, path: Path) -> None:
    """Write the picture as a PNG file."""
    kinds = {
        "known, named right": found.known[found.known_right],
        "known, named wrong": found.known[~found.known_right],
        "strangers": found.strangers,
    }
    names = [f"{name} ({len(kind)})" for name, kind in kinds.items()]
    # As percentages of the known and of the strangers, because there are more strangers. Items for which nobody votes
    # are counted but not drawn.
    shares = (100 / len(found.known), 100 / len(found.known), 100 / len(found.strangers))
    places = [_stretched(kind[np.isfinite(kind)]) for kind in kinds.values()]
    weights = [np.full(len(kind), share) for kind, share in zip(places, shares, strict=True)]
    threshold = _stretched(np.array([found.unknown_below]))
    bins = np.histogram_bin_edges(np.concatenate([*places, threshold]), 40).tolist()
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(places[:2], bins, weights=weights[:2], stacked=True, color=["#0072B2", "#9FC9E4"], label=names[:2])
    axes.hist(places[2], bins, weights=weights[2], label=names[2], histtype="step", linewidth=1.8, color="#D55E00")
    axes.axvline(threshold[0], color="#222222", linestyle="--", linewidth=1.2)
    axes.set_title(
        f"unknown below {found.unknown_below:.4f}: {_percent(found.strangers_accepted)} of strangers get a name, "
        f"{_percent(found.known_rejected)} of the known do not",
        fontsize=10,
    )
    ticks = np.array([-1, 0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999])
    drawn = ticks[(_stretched(ticks) >= bins[0]) & (_stretched(ticks) <= bins[-1])]
    axes.set_xticks(_stretched(drawn), [f"{tick:g}" for tick in drawn])
    axes.set_xlabel("similarity of the nearest voter (scale stretched towards 1)")
    axes.set_ylabel("% of the known, % of the strangers")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    save_figure(figure, path, dpi=150)


def _stretched(similarities: Float[np.ndarray, " similarities"]) -> Float[np.ndarray, " similarities"]:
    # Most similarities are just below 1; on a linear scale they would all be one line.
    return -np.log10(np.maximum(1 - similarities.astype(np.float64), 1e-6))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
