"""The pictures of a suite: sets by changes, a heat map for each encoder, and its difference to pose statistics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gfp_serve.figure_file import save_figure
from trainer.evaluate.suite.encoders import POSE_STATISTICS
from trainer.evaluate.suite.report import columns_of, difference_to
from trainer.figures import FAINT, TEXT

DPI = 120
# Points of difference that get the full colour.
_FULL = 20.0


def draw_suite(report: Mapping[str, Any], out: Path) -> list[Path]:
    """Save the pictures of a report into a folder; return their paths."""
    sets = list(report["figures"])
    made = []
    for encoder in (each["name"] for each in report["encoders"]):
        changes = columns_of(report, [encoder])
        percent = _grid(sets, changes, lambda name, change, e=encoder: _percent(report, name, e, change))
        figure = heat_map(percent, sets, changes, title=f"{encoder}: right in %, 1-NN")
        made.append(_save(figure, out / f"accuracy-{_file_name(encoder)}.png"))
        if encoder == POSE_STATISTICS:
            continue
        pair = difference_to(report, encoder, POSE_STATISTICS)["sets"]
        points = _grid(sets, changes, lambda name, change, p=pair: p[name].get(change, {}).get("points"))
        sure = _grid(sets, changes, lambda name, change, p=pair: _is_sure(p[name].get(change)))
        title = f"{encoder} less {POSE_STATISTICS}: points, 1-NN; bold where the interval of 95 % leaves 0 out"
        figure = heat_map(points, sets, changes, title=title, bold=sure > 0)
        made.append(_save(figure, out / f"difference-{_file_name(encoder)}.png"))
    return made


def heat_map(
    values: Float[np.ndarray, "sets changes"],
    sets: Sequence[str],
    changes: Sequence[str],
    *,
    title: str,
    bold: np.ndarray | None = None,
) -> Figure:
    """Sets (rows) by changes (columns), and the mean over sets below; NaN is empty.

    With `bold`, values are differences in points, from red (worse) to blue (better); otherwise percent.
    """
    seen = np.isfinite(values)
    mean = np.where(seen.any(axis=0), np.nansum(values, axis=0) / np.maximum(seen.sum(axis=0), 1), np.nan)
    cells = np.vstack([values, mean])
    figure = Figure(figsize=(max(8.5, 0.62 * len(changes) + 2.4), 0.36 * len(cells) + 1.9), layout="constrained")
    axes = figure.subplots()
    colours, low, high = ("viridis", 0.0, 100.0) if bold is None else ("RdBu", -_FULL, _FULL)
    image = axes.imshow(np.ma.masked_invalid(cells), aspect="auto", cmap=colours, vmin=low, vmax=high)
    axes.set_xticks(range(len(changes)), changes, rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5)
    axes.set_yticks(range(len(cells)), [*sets, "mean"], fontsize=8.5)
    axes.tick_params(length=0)
    axes.axhline(len(sets) - 0.5, color="white", linewidth=3)
    for row, column in np.argwhere(np.isfinite(cells)):
        value = cells[row, column]
        light = value < 55 if bold is None else abs(value) > 0.65 * _FULL
        is_bold = bold is not None and row < len(sets) and bold[row, column]
        axes.text(
            column,
            row,
            f"{value:.0f}" if bold is None else f"{value:+.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if light else TEXT,
            fontweight="bold" if is_bold else "normal",
        )
    for row, column in np.argwhere(~np.isfinite(cells)):
        axes.text(column, row, "–", ha="center", va="center", fontsize=8, color=FAINT)
    figure.colorbar(image, ax=axes, shrink=0.8, label="%" if bold is None else "points")
    axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    return figure


def _grid(sets: Sequence[str], changes: Sequence[str], value: Any) -> Float[np.ndarray, "sets changes"]:
    found = [[value(name, change) for change in changes] for name in sets]
    return np.array([[np.nan if each is None else each for each in row] for row in found], dtype=float)


def _percent(report: Mapping[str, Any], name: str, encoder: str, change: str) -> float | None:
    found = report["figures"][name][encoder]["changes"].get(change)
    return None if found is None else found["1nn_percent"]


def _is_sure(difference: Mapping[str, Any] | None) -> float:
    return float(difference is not None and difference["verdict"] != "not told apart")


def _file_name(encoder: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in encoder)


def _save(figure: Figure, path: Path) -> Path:
    save_figure(figure, path, dpi=DPI)
    return path
