"""Show what each term of training teaches the encoder: GFP, views, statistics, labels, alone and together.

    python benchmarks/encoder_terms.py run STORE --data SETS --work WORK --minutes 3     may be stopped and called again
    python benchmarks/encoder_terms.py table                                             the report as Markdown
    python benchmarks/encoder_terms.py picture --out PICTURE.png

First the steps of all sides are timed in turns. Every side then gets as many steps as fit into the minutes (equal
time), and the sides with GFP, whose steps take longer, also as many as labels and statistics get (equal steps).
Seeds are the outer loop, so that what is missing when time runs out is a whole seed. A run that was stopped goes on
from its checkpoint.

STORE has the clips that are learned from, SETS the clip files that are asked (`gfp-evaluate suite`); no query may be in
STORE. What is measured is the learned embedding alone, without pose statistics beside it: the mean of tokens, through
the head if there is one; and for one side what is learned of general features, as in the shipped encoder. 1-NN in
percent, as a mean over the sets.
"""

import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import click
import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.files import write_whole
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.embedding import sampling_for
from trainer.encoders.transformer import TransformerConfig
from trainer.evaluate.embeddings import torch_embedder
from trainer.evaluate.suite.encoders import SuiteEncoder, suite_encoders
from trainer.evaluate.suite.resume import SuiteState
from trainer.evaluate.suite.run import SuiteConfig, choose_changes, describe_settings, measure_sets, open_sets
from trainer.evaluate.suite.sets import find_sets
from trainer.learned_head import Shares
from trainer.loop import Trainer
from trainer.objectives.gfp import GfpConfig
from trainer.objectives.none import NoObjectiveConfig
from trainer.objectives.objective import ObjectiveConfig
from trainer.speed import measure_steps
from trainer.start import read_start
from trainer.terms import TermsConfig

REPORT = Path("benchmarks/encoder_terms.json")
CPU = torch.device("cpu")
CHANGES = ("clean", "window", "rest")
ENCODER = TransformerConfig(width=64, depth=3, num_heads=2, frame="body")
# Of targets as wide as the encoder; the published widths are for one of 256.
GFP = GfpConfig(local_width=64, global_width=128)
# Beside other terms; at its full weight its losses, which sum over many targets, drown theirs.
GFP_WEIGHT = 0.1
# Of the steps of a run, the part in which the learning rate rises.
WARMUP = 10


@dataclass(frozen=True)
class Side:
    """A name in tables, and what is learned from. With `first`, half the time goes to that side, and its weights on."""

    objective: ObjectiveConfig
    terms: dict[str, Any]
    first: str = ""
    from_tokens: bool = True  # else from general features, with the network of the presets

    @property
    def has_gfp(self) -> bool:
        return isinstance(self.objective, GfpConfig)


NOTHING = NoObjectiveConfig()
BESIDE = replace(
    GFP,
    prediction_weight=GFP.prediction_weight * GFP_WEIGHT,
    variance_weight=GFP.variance_weight * GFP_WEIGHT,
    covariance_weight=GFP.covariance_weight * GFP_WEIGHT,
)
SIDES = {
    "GFP": Side(GFP, {}),
    "statistics": Side(NOTHING, {"statistics_weight": 1.0}),
    "views": Side(NOTHING, {"view_weight": 1.0}),
    "views and statistics": Side(NOTHING, {"view_weight": 1.0, "statistics_weight": 1.0}),
    "views, statistics and GFP": Side(BESIDE, {"view_weight": 1.0, "statistics_weight": 1.0}),
    "labels": Side(NOTHING, {"label_weight": 1.0}),
    "labels and statistics": Side(NOTHING, {"label_weight": 1.0, "statistics_weight": 1.0}),
    "labels, statistics and GFP": Side(BESIDE, {"label_weight": 1.0, "statistics_weight": 1.0}),
    "labels, of general features": Side(
        NOTHING, {"label_weight": 1.0, "embedding_size": 0, "general_size": 352}, from_tokens=False
    ),
    "GFP, then labels and statistics": Side(NOTHING, {"label_weight": 1.0, "statistics_weight": 1.0}, first="GFP"),
}
# The side whose number of steps those with GFP get too.
STEPS_OF = "labels and statistics"


class OfSteps(Trainer):
    """A run of a number of steps instead of epochs. Its learning rate rises in the first tenth of them."""

    def __init__(self, config: TrainConfig, store: ClipStore, run: Path, steps: int, start: Path | None = None) -> None:
        resume = Checkpoint.read(run) if (run / CHECKPOINT_FILE).exists() else None
        begun = None if start is None or resume is not None else read_start(start)
        super().__init__(config, store, run, resume=resume, start=begun)
        self.total_steps = steps
        self.steps_per_epoch = max(1, steps // WARMUP)  # also how often it is saved


@click.group(help=__doc__)
def main() -> None:
    """Keep `table` and `picture` apart from `run`, so that they need no training."""


@main.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of the sets.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of the runs.")
@click.option("--minutes", default=3.0, show_default=True, help="Time of a run.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--only", "names", multiple=True, type=click.Choice(list(SIDES)), default=tuple(SIDES))
@click.option("--set", "sets", multiple=True, help="Only this set; may be repeated.")
@click.option(
    "--clips", default=400, show_default=True, help="Clips of a set that answer, and that are asked, at most."
)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(
    store: Path,
    data: Path,
    work: Path,
    minutes: float,
    seeds: int,
    threads: int,
    names: tuple[str, ...],
    sets: tuple[str, ...],
    clips: int,
    out: Path,
) -> None:
    """Train and measure what the report lacks."""
    torch.set_num_threads(threads)
    training = ClipStore.open(store)
    report = json.loads(out.read_text()) if out.exists() else {}
    settings = {"minutes": minutes, "threads": threads, "clips": len(training), "encoder": _sizes(ENCODER)}
    if report.setdefault("settings", settings) != settings:
        raise click.UsageError(f"{out} was measured with {report['settings']}; name another file for --out.")
    speeds = report.setdefault("clips_per_s", {})
    if missing := [name for name, side in SIDES.items() if not side.first and name not in speeds]:
        speeds |= _speeds(training, missing, speeds)
        _write(out, report)
    asked = _Asked(data, sets, clips)
    if "pose statistics" not in report:
        report["pose statistics"] = asked.scores(suite_encoders([], "cpu", with_untrained=False)[0])
        _write(out, report)
    for seed in range(seeds):
        for name in names:
            for equal, plan in _plans(name, speeds, minutes).items():
                rows = report.setdefault("runs", {}).setdefault(name, {}).setdefault(equal, {})
                if str(seed) in rows:
                    continue
                folder = work / f"{name.replace(', ', '-').replace(' ', '-')}-{equal}-{seed}"
                checkpoint = _trained(plan, seed, training, folder)
                if checkpoint is None:
                    click.echo("Stopped; the same call goes on.", err=True)
                    return
                rows[str(seed)] = asked.scores(_learned(checkpoint, SIDES[name])) | {
                    "steps": [steps for _, steps in plan]
                }
                _write(out, report)
                click.echo(f"{name}, equal {equal}, seed {seed}: {rows[str(seed)]['means']}")


def _sizes(config: TransformerConfig) -> dict[str, Any]:
    """The sizes of the encoder, as plain values."""
    return {"width": config.width, "depth": config.depth, "num_heads": config.num_heads, "frame": config.frame}


def _config(side: Side, seed: int) -> TrainConfig:
    return TrainConfig(
        encoder=ENCODER,
        objective=side.objective,
        terms=TermsConfig(temperature=0.2, **side.terms),
        epochs=2,
        warmup_epochs=1,
        batch_clips=96,
        floor_lr=2e-5,
        seed=seed,
        device="cpu",
        save_every_epochs=1,
        log_every_steps=50,
    )


def _speeds(training: ClipStore, names: list[str], known: dict[str, float]) -> dict[str, float]:
    """Clips a second of these sides, as if they had been measured together with those that are known."""
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            name: Trainer(_config(SIDES[name], 0), training, Path(folder) / str(number))
            for number, name in enumerate(dict.fromkeys([*names, STEPS_OF]))
        }
        found = {name: times.clips_per_s for name, times in measure_steps(trainers, rounds=9).items()}
    then = known.get(STEPS_OF, found[STEPS_OF])
    return {name: found[name] * then / found[STEPS_OF] for name in names}


def _fitting(name: str, clips_per_s: dict[str, float], minutes: float) -> int:
    return max(2 * WARMUP, round(minutes * 60 * clips_per_s[name] / _config(SIDES[name], 0).batch_clips))


def _plans(name: str, clips_per_s: dict[str, float], minutes: float) -> dict[str, list[tuple[str, int]]]:
    """By what is equal, the parts of a run in order: the side and its steps."""
    side = SIDES[name]
    if side.first:
        halves = (side.first, STEPS_OF)
        return {"time": [(half, _fitting(half, clips_per_s, minutes / 2)) for half in halves]}
    plans = {"time": [(name, _fitting(name, clips_per_s, minutes))]}
    if side.has_gfp:
        plans["steps"] = [(name, _fitting(STEPS_OF, clips_per_s, minutes))]
    return plans


def _trained(plan: list[tuple[str, int]], seed: int, training: ClipStore, folder: Path) -> Checkpoint | None:
    """The last part's checkpoint; None when it was stopped."""
    start = None
    for number, (name, steps) in enumerate(plan):
        run = folder / str(number)
        trainer = OfSteps(_config(SIDES[name], seed), training, run, steps, start)
        if trainer.step < steps and trainer.fit().signal is not None:
            return None
        start = run
    return Checkpoint.read(run)


class _Asked:
    """The sets, and how they are asked."""

    def __init__(self, data: Path, names: tuple[str, ...], clips: int) -> None:
        self._config = SuiteConfig(gallery_clips=clips, query_clips=clips)
        self._changes = choose_changes(CHANGES)
        self._sets = open_sets(find_sets(data, names), self._config, click.echo, must_all=True)

    def scores(self, encoder: SuiteEncoder) -> dict[str, Any]:
        """1-NN in percent: for each set and change, and the means over the sets."""
        state = SuiteState(None, describe_settings(self._config, self._changes), resume=False)
        found = measure_sets(self._sets, [encoder], self._changes, self._config, state=state, with_moments=False)
        by_set = {
            name: {change: of_set[encoder.name]["changes"][change]["1nn_percent"] for change in CHANGES}
            for name, of_set in found.items()
        }
        means = {change: mean(each[change] for each in by_set.values()) for change in CHANGES}
        return {"means": means, "sets": by_set}


def _learned(checkpoint: Checkpoint, side: Side) -> SuiteEncoder:
    """The embedding that was learned, alone."""
    model = checkpoint.build_embedding(Shares(1, 0, 0) if side.from_tokens else Shares(0, 1, 0))
    preprocess = PreprocessConfig(
        cleaning=checkpoint.preprocess.cleaning, sampling=sampling_for(model, checkpoint.preprocess.sampling)
    )
    return SuiteEncoder("learned", torch_embedder(model, CPU), preprocess, "", {}, checkpoint.data)


def _write(out: Path, report: dict[str, Any]) -> None:
    write_whole(out, json.dumps(report, indent=1) + "\n")


@main.command()
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(out: Path) -> None:
    """Print the report as Markdown: the mean over seeds, and the largest distance from it."""
    report = json.loads(out.read_text())
    console = Console(width=250, soft_wrap=True)
    console.print("| learned from | clips/s | equal | steps | seeds | clean | window | rest |")
    console.print("|---|---|---|---|---|---|---|---|")
    means = report["pose statistics"]["means"]
    console.print("| nothing: pose statistics | | | | | " + " | ".join(f"{means[each]:.1f}" for each in CHANGES) + " |")
    for name, equal, rows in _rows(report):
        speed = report["clips_per_s"].get(name)
        cells = [
            name,
            "" if speed is None else f"{speed:.0f}",
            equal,
            " and ".join(f"{steps:,}" for steps in rows[0]["steps"]),
            str(len(rows)),
        ]
        cells += [_spread([row["means"][change] for row in rows]) for change in CHANGES]
        console.print("| " + " | ".join(cells) + " |")


def _rows(report: dict[str, Any]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Each side, what is equal, and its rows by seed."""
    return [
        (name, equal, list(rows.values()))
        for name in SIDES
        for equal, rows in report.get("runs", {}).get(name, {}).items()
    ]


def _spread(values: list[float]) -> str:
    middle = mean(values)
    spread = f" ± {max(abs(value - middle) for value in values):.1f}" if len(values) > 1 else ""
    return f"{middle:.1f}{spread}"


@main.command()
@click.option("--out", "picture", type=click.Path(path_type=Path), required=True)
@click.option("--report", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def picture(picture: Path, report: Path) -> None:
    """Draw the report: a bar for each side, and a point for each seed."""
    from matplotlib.figure import Figure

    values = json.loads(report.read_text())
    sides = _rows(values)
    figure = Figure(figsize=(10, 1 + 0.42 * len(sides)), layout="constrained")
    axes = figure.subplots(1, len(CHANGES), sharey=True)
    for axis, change in zip(axes, CHANGES, strict=True):
        for place, (_, equal, rows) in enumerate(sides):
            scores = [row["means"][change] for row in rows]
            axis.barh(place, mean(scores), color="#4878a8" if equal == "time" else "#a8c0d8", height=0.7)
            axis.plot(scores, [place] * len(scores), ".", color="black", markersize=4)
        axis.axvline(values["pose statistics"]["means"][change], color="#c44e52", linewidth=1.5)
        axis.set_title(change)
        axis.set_xlabel("1-NN, %, mean of sets")
        axis.set_xlim(left=20)
    labels = [name if equal == "time" else f"{name} (equal steps)" for name, equal, _ in sides]
    axes[0].set_yticks(range(len(sides)), labels)
    axes[0].invert_yaxis()
    figure.suptitle("What each term teaches at equal time. Points: seeds. Red line: pose statistics", fontsize=11)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
