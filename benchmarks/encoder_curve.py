"""Show how good the recipe of the shipped encoder is by the clips it saw, and how far seeds differ.

    python benchmarks/encoder_curve.py run STORE --data SETS --work WORK     may be stopped and called again
    python benchmarks/encoder_curve.py table                                 the report as Markdown
    python benchmarks/encoder_curve.py picture --out PICTURE.png

Each point is a whole run of `gfp-train STORE --preset general-features --epochs N`, with its own fall of the learning
rate; a run that was cut short would look worse than a short one. What is asked is what `gfp-export` would serve, pose
statistics beside it. 1-NN in percent over SETS (`gfp-evaluate suite`); no query may be in STORE. Runs that exist in
WORK are not trained again, and may be put there: their folders are called EPOCHS-SEED.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import click
import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.files import write_whole
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import PRESETS
from trainer.data.store import ClipStore
from trainer.evaluate.suite.encoders import suite_encoders
from trainer.evaluate.suite.resume import SuiteState
from trainer.evaluate.suite.run import SuiteConfig, choose_changes, describe_settings, measure_sets, open_sets
from trainer.evaluate.suite.sets import find_sets
from trainer.loop import Trainer

REPORT = Path("benchmarks/encoder_curve.json")
CHANGES = ("clean", "window", "rest")
STATISTICS = "pose-statistics"


@click.group(help=__doc__)
def main() -> None:
    """Keep `table` and `picture` apart from `run`, so that they need no training."""


@main.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of the sets.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of the runs.")
@click.option(
    "--run", "points", nargs=2, type=int, multiple=True, metavar="EPOCHS SEEDS",
    default=((6, 3), (20, 1), (60, 1)), show_default=True,
)  # fmt: skip
@click.option("--threads", default=1, show_default=True)
@click.option("--set", "sets", multiple=True, help="Only this set; may be repeated.")
@click.option("--clips", default=400, show_default=True, help="Clips of a set that answer, and are asked, at most.")
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(
    store: Path,
    data: Path,
    work: Path,
    points: tuple[tuple[int, int], ...],
    threads: int,
    sets: tuple[str, ...],
    clips: int,
    out: Path,
) -> None:
    """Train and measure what the report lacks."""
    torch.set_num_threads(threads)
    training = ClipStore.open(store)
    report: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"runs": {}}
    suite = SuiteConfig(gallery_clips=clips, query_clips=clips)
    asked = open_sets(find_sets(data, sets), suite, click.echo, must_all=True)
    for epochs, seeds in points:
        for seed in range(seeds):
            folder = work / f"{epochs}-{seed}"
            if folder.name in report["runs"]:
                continue
            if not _trained(training, folder, epochs, seed, threads):
                click.echo("Stopped; the same call goes on.", err=True)
                return
            checkpoint = Checkpoint.read(folder)
            encoders = suite_encoders([folder], "cpu", with_untrained=False)
            state = SuiteState(None, describe_settings(suite, choose_changes(CHANGES)), resume=False)
            found = measure_sets(asked, encoders, choose_changes(CHANGES), suite, state=state, with_moments=False)
            of_encoder = {name: _scores(found, name) for name in (STATISTICS, folder.name)}
            report[STATISTICS] = of_encoder[STATISTICS]
            report["runs"][folder.name] = {
                "epochs": epochs,
                "seed": seed,
                "clips_seen": checkpoint.step * checkpoint.config.batch_clips,
                **of_encoder[folder.name],
            }
            write_whole(out, json.dumps(report, indent=1) + "\n")
            click.echo(f"{epochs} epochs, seed {seed}: {report['runs'][folder.name]['means']}")


def _trained(training: ClipStore, folder: Path, epochs: int, seed: int, threads: int) -> bool:
    """Train the run, or what is left of it; False if it was stopped."""
    preset = PRESETS["general-features"]
    config = replace(preset, epochs=epochs, seed=seed, device="cpu", num_threads=threads)
    before = Checkpoint.read(folder) if (folder / CHECKPOINT_FILE).exists() else None
    trainer = Trainer(config if before is None else before.config, training, folder, resume=before)
    return trainer.step == trainer.total_steps or trainer.fit().signal is None


def _scores(found: dict[str, Any], encoder: str) -> dict[str, Any]:
    by_set = {
        name: {change: of_set[encoder]["changes"][change]["1nn_percent"] for change in CHANGES}
        for name, of_set in found.items()
    }
    return {"means": {change: mean(each[change] for each in by_set.values()) for change in CHANGES}, "sets": by_set}


def _by_epochs(report: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    points: dict[int, list[dict[str, Any]]] = {}
    for each in sorted(report["runs"].values(), key=lambda each: each["epochs"]):
        points.setdefault(each["epochs"], []).append(each)
    return points


@main.command()
@click.option("--report", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(report: Path) -> None:
    """Print the report as Markdown: the mean over seeds, and the largest distance from it."""
    values = json.loads(report.read_text())
    console = Console(width=250, soft_wrap=True, highlight=False)
    console.print("| epochs | clips seen | seeds | clean | window | rest |\n|---|---|---|---|---|---|")
    means = values[STATISTICS]["means"]
    console.print("| pose statistics | 0 | | " + " | ".join(f"{means[change]:.1f}" for change in CHANGES) + " |")
    for epochs, rows in _by_epochs(values).items():
        cells = [str(epochs), f"{rows[0]['clips_seen']:,}", str(len(rows))]
        for change in CHANGES:
            each = [row["means"][change] for row in rows]
            spread = f" ± {max(abs(value - mean(each)) for value in each):.1f}" if len(each) > 1 else ""
            cells.append(f"{mean(each):.1f}{spread}")
        console.print("| " + " | ".join(cells) + " |")


@main.command()
@click.option("--out", "picture", type=click.Path(path_type=Path), required=True)
@click.option("--report", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def picture(picture: Path, report: Path) -> None:
    """Draw the report: accuracy by clips seen; a point for each seed, and dashes for pose statistics."""
    from matplotlib.figure import Figure

    values = json.loads(report.read_text())
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number, change in enumerate(CHANGES):
        colour = f"C{number}"
        rows = _by_epochs(values).values()
        seen = [each[0]["clips_seen"] for each in rows]
        axes.plot(seen, [mean(row["means"][change] for row in each) for each in rows], color=colour, label=change)
        for each in rows:
            axes.plot([row["clips_seen"] for row in each], [row["means"][change] for row in each], "o", color=colour)
        axes.axhline(values[STATISTICS]["means"][change], color=colour, linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("clips seen")
    axes.set_ylabel("1-NN, %, mean of sets")
    axes.legend(title="queries")
    axes.set_title("The recipe of the shipped encoder. Points: seeds. Dashes: pose statistics", fontsize=11)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
