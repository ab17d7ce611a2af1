"""The table of a comparison for other programs: CSV and LaTeX; and the costs of a row in words."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.evaluate.compare.report import best_of, text_of

WHICH = {"top1_percent": "top-1", "top5_percent": "top-5"}
COSTS = {
    "step_gflop": "GFLOP a clip in a step",
    "training_pflop": "PFLOP of training",
    "embedding_gflop": "GFLOP an embedding",
    "parameters": "M weights in training",
    "clips_seen": "clips seen",
    "clips_per_s": "clips/s",
    "wall_s": "wall time",
}
# Those that are counted; the others are what runs say of themselves.
COUNTED = ("step_gflop", "training_pflop", "embedding_gflop", "parameters")
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "[": "{[}",  # at the begin of a row it would be taken for the space above it
    "*": "{*}",  # at the begin of a row it would be taken for a part of the line break above it
}


def figures_of(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures that a row has, each by its column and by "top1_percent" or "top5_percent", in order."""
    return [
        (column, which)
        for column in report["columns"]
        for which in WHICH
        if any(row["scores"][column][which] is not None for row in report["rows"])
    ]


def cost_text(cost: Mapping[str, Any] | None, name: str) -> str:
    """A cost of a row as people read it; empty if it is not known."""
    value = None if cost is None else cost[name]
    if value is None:
        return ""
    if name == "wall_s":
        return f"{value:.0f} s" if value < 100 else f"{value / 60:.1f} min" if value < 6000 else f"{value / 3600:.1f} h"
    if name == "clips_seen":
        return f"{value:,.0f}"
    if name == "parameters":
        return f"{value / 1e6:.2f}"
    return f"{value:.1f}" if name == "clips_per_s" else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def to_csv(report: Mapping[str, Any]) -> str:
    """A line for each row: mean and deviation of each figure in percent, and the costs as plain numbers."""
    text = io.StringIO()
    figures = figures_of(report)
    names = [f"{column} {WHICH[which]}" for column, which in figures]
    heads = [part for name in names for part in (f"{name} mean", f"{name} deviation")]
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["name", "seeds", *heads, *COSTS])
    for row in report["rows"]:
        scores = [row["scores"][column][which] for column, which in figures]
        numbers = [
            f"{score[part]:.4f}" if score is not None and (part == "mean" or len(score["seeds"]) > 1) else ""
            for score in scores
            for part in ("mean", "deviation")
        ]
        cost = row["cost"] or {}
        costs = ["" if cost.get(name) is None else f"{cost[name]:.10g}" for name in COSTS]
        lines.writerow([row["name"], len(row["seeds"]), *numbers, *costs])
    return text.getvalue()


def to_latex(report: Mapping[str, Any]) -> str:
    """A `tabular` in the style of booktabs: the best mean of each figure in bold, mean ± deviation over seeds."""
    figures = figures_of(report)
    costs = [name for name in COSTS if any(cost_text(row["cost"], name) for row in report["rows"])]
    groups = [(column, [which for own, which in figures if own == column]) for column in report["columns"]]
    heads = [
        "",
        *(
            latex(column) if len(own) == 1 else rf"\multicolumn{{{len(own)}}}{{c}}{{{latex(column)}}}"
            for column, own in groups
        ),
        *(latex(COSTS[name]) for name in costs),
    ]
    below = ["", *(WHICH[which] for _, which in figures), *("" for _ in costs)]
    store = report["store"]
    return "\n".join(
        [
            f"% Right in % of {store['num_test_clips']} test clips, mean and deviation over seeds. Needs booktabs.",
            f"% Store {store['content_sha256']}.",
            rf"\begin{{tabular}}{{l{'r' * (len(figures) + len(costs))}}}",
            r"\toprule",
            _line(heads),
            *_rules(groups),
            _line(below),
            r"\midrule",
            *(_line(_cells(report, row, figures, costs)) for row in report["rows"]),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def latex(text: str) -> str:
    """A text with LaTeX's special letters escaped."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _rules(groups: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """A thin line below each head that stands over several columns."""
    found, start = [], 2
    for _, own in groups:
        if len(own) > 1:
            found.append(rf"\cmidrule(lr){{{start}-{start + len(own) - 1}}}")
        start += len(own)
    return found


def _cells(
    report: Mapping[str, Any], row: Mapping[str, Any], figures: Sequence[tuple[str, str]], costs: Sequence[str]
) -> list[str]:
    cells = [latex(row["name"])]
    for column, which in figures:
        score = row["scores"][column][which]
        if score is None:
            cells.append("")
            continue
        mean, _, deviation = text_of(score).partition(" ± ")
        mean = rf"\textbf{{{mean}}}" if row["name"] in best_of(report, column, which) else mean
        cells.append(mean + (rf" {{\scriptsize$\pm${deviation}}}" if deviation else ""))
    return cells + [latex(cost_text(row["cost"], name)) for name in costs]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
