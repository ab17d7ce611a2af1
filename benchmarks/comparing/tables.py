"""The report as Markdown and as a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from benchmarks.comparing.asked import CHANGES
from benchmarks.comparing.rows import POSE_STATISTICS, ROBUSTNESS, UNTRAINED
from trainer.evaluate.compare.picture import spread_out

# Of a name in the picture, as a share of the heights of marks.
_NAME_HEIGHT = 0.045
_KINDS = {"plain": "embedded", "whitened": "whitened"}
_COLUMNS = (
    [("plain", change) for change in CHANGES] + [("whitened", change) for change in CHANGES] + [("plain", "linear")]
)

# The changes of the suite, by what they do.
GROUPS = {
    "in time": ("window", "rest", "other-motion", "half-the-frames", "speed"),
    "noise, lost joints": ("noise", "lost-joints"),
    "turned, no travel": ("turned", "no-travel"),
    "other skeletons": ("kinect20", "openni15", "coco17", "mediapipe33", "13-joints"),
    "fewer joints": ("no-legs", "upper-body"),
    "from an image": ("2d-in-3d", "2d-in-2d"),
}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the table: rows by seed."""

    name: str
    rows: list[dict[str, Any]]

    def cell(self, kind: str, what: str) -> str:
        found = self.scores(kind, what)
        return f"{mean(found):.1f}" + (f" ± {stdev(found):.1f}" if len(found) > 1 else "") if found else ""

    def mean_of(self, kind: str, changes: Sequence[str]) -> str:
        """1-NN in percent: of each set the mean over those of `changes` that it was asked with, then over sets."""
        by_set = [scores for row in self.rows if kind in row for scores in row[kind]["sets"].values()]
        asked = [[scores[each] for each in changes if each in scores] for scores in by_set]
        found = [mean(each) for each in asked if each]
        return f"{mean(found):.1f}" if found else ""

    def scores(self, kind: str, what: str) -> list[float]:
        return [row[kind]["means"][what] for row in self.rows if kind in row]

    def seconds(self) -> list[float]:
        return [row["wall_s"] for row in self.rows if "wall_s" in row]


def markdown(report: dict[str, Any]) -> Iterator[str]:
    """The mean of the sets, mean ± standard deviation over seeds, for each number of steps; then the costs."""
    heads = [f"{_KINDS[kind]}, {what}" if what in CHANGES else "linear probe" for kind, what in _COLUMNS]
    for steps, lines in _tables(report):
        yield from ("", f"{steps} steps", "", f"| objective | training | seeds | {' | '.join(heads)} |")
        yield "|---" * (3 + len(heads)) + "|"
        for line in lines:
            seconds = _seconds(report, steps, line)
            start = [line.name, "" if seconds is None else f"{seconds:.0f} s", str(len(line.rows))]
            yield f"| {' | '.join([*start, *(line.cell(kind, what) for kind, what in _COLUMNS)])} |"
    yield from _of_robustness(report.get(ROBUSTNESS, {}))
    if "cost" in report:
        yield from ("", "| objective | time of a step, × gfp | step, s | memory of a step, MB | process, MB |")
        yield "|---|---|---|---|---|"
        for name, facts in report["cost"].items():
            cells = (facts["time_of_gfp"], facts["step_s"], facts["step_mb"], facts["peak_mb"])
            yield f"| {_called(name)} | {cells[0]:.2f} | {cells[1]:.2f} | {cells[2]:.0f} | {cells[3]:.0f} |"


def _of_robustness(part: dict[str, Any]) -> Iterator[str]:
    """1-NN of unchanged queries, the mean over all changes, and the mean over each group of them."""
    for steps, lines in _tables(part):
        yield from ("", f"All changes of the suite, {steps} steps", "")
        yield from ("Compare lines, not columns: some changes do not fit some sets.", "")
        yield f"| objective | clean | all changes | {' | '.join(GROUPS)} | whitened, clean | whitened, all changes |"
        yield "|---" * (5 + len(GROUPS)) + "|"
        of_all = [change for changes in GROUPS.values() for change in changes]
        for line in lines:
            plain = [line.mean_of("plain", changes) for changes in (("clean",), of_all, *GROUPS.values())]
            whitened = [line.mean_of("whitened", changes) for changes in (("clean",), of_all)]
            yield f"| {' | '.join([line.name, *plain, *whitened])} |"


def draw(report: dict[str, Any], path: Path) -> None:
    """1-NN by what is embedded against the time of training, a mark for each row of each number of steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.5))
    tables = list(_tables(report))
    for (steps, lines), colour, marker in zip(tables, ("tab:blue", "tab:orange", "tab:green"), "osD", strict=False):
        timed = [(line, x) for line in lines if (x := _seconds(report, steps, line)) is not None]
        heights = np.array([mean(line.scores("plain", "clean")) for line, _ in timed])
        places = spread_out(heights, (float(heights.min()) - 1, float(heights.max()) + 1), least=_NAME_HEIGHT)
        for place, (line, x) in enumerate(timed):
            scores, name = line.scores("plain", "clean"), line.name.replace("`", "")
            y, spread = mean(scores), stdev(scores) if len(scores) > 1 else 0.0
            label = f"{int(steps):,} steps" if not place else None
            axes.errorbar(x, y, yerr=spread, fmt=marker, color=colour, capsize=2, label=label)
            side, factor = ("left", 1.04) if marker == "o" else ("right", 0.95)  # so that names of two tables part
            axes.annotate(name, (factor * x, places[place]), fontsize=8, va="center", ha=side)
    if tables:
        for line, style in zip((each for each in tables[0][1] if not each.seconds()), ("--", ":", "-."), strict=False):
            axes.axhline(mean(line.scores("plain", "clean")), linestyle=style, color="grey", label=line.name)
    axes.set_xscale("log")
    axes.margins(x=0.18)  # names stand beside their marks
    axes.set_xlabel("training, seconds of one core")
    axes.set_ylabel("1-NN in %, mean of five sets (± deviation over seeds)")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _seconds(report: dict[str, Any], steps: str, line: _Line) -> float | None:
    """Of training: that of all steps, as `cost` measured one; of the runs themselves, where `cost` has not run."""
    step = report.get("cost", {}).get(line.name.replace("`", ""), {}).get("step_s")
    if step is not None and line.seconds():
        return int(steps) * float(step)
    return median(line.seconds()) if line.seconds() else None


def _tables(report: dict[str, Any]) -> Iterator[tuple[str, list[_Line]]]:
    first = [_Line(name, [report[name]]) for name in (POSE_STATISTICS,) if name in report]
    first += [_Line(name, list(report[name].values())) for name in UNTRAINED if name in report]
    for steps, by_name in report.get("runs", {}).items():
        yield steps, [*first, *(_Line(_called(name), list(rows.values())) for name, rows in by_name.items())]


def _called(name: str) -> str:
    objective, comma, rest = name.partition(",")
    return f"`{objective}`{comma}{rest}"
