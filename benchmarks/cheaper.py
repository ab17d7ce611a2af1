"""What an encoder of tokens loses and gains by cheaper ways to embed: fewer tokens, 8 bits, and a student.

    python benchmarks/cheaper.py run RUN --store STORE --data SETS --work WORK --student RUN     may be called again
    python benchmarks/cheaper.py table
    python benchmarks/cheaper.py picture --out PICTURE.png

RUN is a run that learned tokens (`gfp-train STORE --preset general`), and a student one that learned from it
(`gfp-train STORE --teacher BUNDLE`); both learned from STORE, and no query of SETS may be in it. Tokens are measured
alone, because general features and pose statistics beside them would hide what is lost. 1-NN in percent over SETS, as
`gfp-evaluate suite` asks; all sides are timed in turns, as exported, on one core.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.serving.bundles import MIX, made_up_clip
from gfp_serve.bundle import Bundle
from gfp_serve.cli.options import Group
from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.files import write_whole
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import PreprocessConfig, prepare
from trainer.checkpoint import Checkpoint
from trainer.data.store import ClipStore
from trainer.embedding import sampling_for
from trainer.evaluate.compare.picture import spread_out
from trainer.evaluate.suite.encoders import suite_encoders
from trainer.evaluate.suite.resume import SuiteState
from trainer.evaluate.suite.run import SuiteConfig, choose_changes, describe_settings, measure_sets, open_sets
from trainer.evaluate.suite.sets import find_sets
from trainer.export import Origin, export_bundle
from trainer.int8 import in_int8
from trainer.learned_head import SERVED_SHARES, SERVED_TOKENS, Shares
from trainer.token_choice import Budget

REPORT = Path("benchmarks/cheaper.json")
CHANGES = ("clean", "window", "rest")
TOKENS_ALONE = Shares(1, 0, 0)
# In the picture: names as in the documentation, and what is drawn how.
_NAMES = {
    "pose-statistics": "pose statistics",
    "student 2x88": "the student",
    "the same run without tokens": "general features and statistics",
    "tokens beside general features": "these and tokens",
}
_MARKS = {"tokens": ("C0", "o", "tokens of one run"), "others": ("C1", "s", "others")}
# Of the body with the most tokens; the last is a tenth.
BUDGETS = (Budget(375), Budget(SERVED_TOKENS), Budget(188), Budget(75))
OTHER_CHOICES = (Budget(75, "random"), Budget(75, "time"), Budget(75, "joints"), Budget(75, "motion"))
WHOLE, IN_INT8, STATISTICS = "all tokens", "all tokens, 8 bits", "pose-statistics"


@click.group(cls=Group, help=__doc__)
def main() -> None:
    """Keep `table` and `picture` apart from `run`, which takes minutes."""


@main.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path, exists=True))
@click.option("--store", type=click.Path(path_type=Path, exists=True), required=True, help="Store of RUN.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of the sets.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of the bundles.")
@click.option("--student", "students", type=click.Path(path_type=Path, exists=True), multiple=True, help="Run folder.")
@click.option("--set", "sets", multiple=True, help="Only this set; may be repeated.")
@click.option("--clips", default=400, show_default=True, help="Clips of a set that answer, and are asked, at most.")
@click.option("--rounds", default=7, show_default=True, help="Rounds of the times.")
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(
    run_folder: Path,
    store: Path,
    data: Path,
    work: Path,
    students: tuple[Path, ...],
    sets: tuple[str, ...],
    clips: int,
    rounds: int,
    out: Path,
) -> None:
    """Export what the folder lacks, measure what the report lacks, and time all sides in turns."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"accuracy": {}, "refused": {}}
    settings = {"run": run_folder.name, "sets": sorted(sets), "clips": clips}
    if report.setdefault("settings", settings) != settings:
        raise click.UsageError(f"{out} has figures of {report['settings']}; name another --out and --work.")
    if len({path.name for path in students}) < len(students):
        raise click.UsageError("two students' folders have one name; rename one, so that they can be told apart.")
    bundles = _bundles(Checkpoint.read(run_folder), {path.name: Checkpoint.read(path) for path in students}, work)
    if IN_INT8 not in report["refused"] and not (path := _path(work, IN_INT8)).exists():
        try:
            smaller, agreement = in_int8(Bundle.read(bundles[WHOLE]), ClipStore.open(store))
        except BundleError as error:
            report["refused"][IN_INT8] = str(error)
        else:
            smaller.write(path)
            report["int8"] = agreement.to_json()
    if (path := _path(work, IN_INT8)).exists():
        bundles[IN_INT8] = path
    suite = SuiteConfig(gallery_clips=clips, query_clips=clips)
    asked = open_sets(find_sets(data, sets), suite, click.echo, must_all=True)
    changes = choose_changes(CHANGES)
    for name, path in bundles.items():
        if name in report["accuracy"]:
            continue
        encoders = suite_encoders([str(path)], "cpu", with_untrained=False)
        state = SuiteState(None, describe_settings(suite, changes), resume=False)
        found = measure_sets(asked, encoders, changes, suite, state=state, with_moments=False)
        report["accuracy"][STATISTICS] = _scores(found, STATISTICS)
        report["accuracy"][name] = _scores(found, encoders[-1].name)
        write_whole(out, json.dumps(report, indent=1) + "\n")
        click.echo(f"{name}: {report['accuracy'][name]['means']}")
    bundles[STATISTICS] = Path("pose-statistics")
    report["ms_a_clip"] = _timed({name: Bundle.read(_found(path)) for name, path in bundles.items()}, rounds)
    write_whole(out, json.dumps(report, indent=1) + "\n")
    _print(report)


def _bundles(trained: Checkpoint, students: dict[str, Checkpoint], work: Path) -> dict[str, Path]:
    """The bundle of each side, exported unless the folder has it."""
    total = trained.build_encoder().num_tokens  # type: ignore[operator, union-attr]
    budgets = {f"{each.num_tokens} tokens": each for each in BUDGETS if each.num_tokens < total}
    budgets |= {f"{each.num_tokens} tokens, {each.kind}": each for each in OTHER_CHOICES if each.num_tokens < total}
    made: dict[str, Callable[[], Any]] = {
        WHOLE: lambda: trained.build_embedding(TOKENS_ALONE, Budget(total)),
        **{
            name: lambda each=each: trained.build_embedding(TOKENS_ALONE, each)  # type: ignore[misc]
            for name, each in budgets.items()
        },
        **{
            f"student {name}": lambda each=each: each.build_embedding(TOKENS_ALONE)  # type: ignore[misc]
            for name, each in students.items()
        },
        "tokens beside general features": trained.build_embedding,
        "the same run without tokens": lambda: trained.build_embedding(SERVED_SHARES._replace(tokens=0)),
    }
    found: dict[str, Path] = {}
    for name, build in made.items():
        found[name] = _path(work, name)
        if found[name].exists():
            continue
        model = build()
        sampling = sampling_for(model, trained.preprocess.sampling)
        preprocess = PreprocessConfig(cleaning=trained.preprocess.cleaning, sampling=sampling)
        origin = Origin(name=name, objective="none", step=trained.step, data=trained.data, training=None)
        clip = Clip(name="made up", sequence=made_up_clip(), layout=NTU25, fps=30.0)
        export_bundle(model, [clip], preprocess, origin, {}, form="fused").bundle.write(found[name])
    return found


def _path(work: Path, name: str) -> Path:
    return work / f"{name.replace(',', '').replace(' ', '-')}.zip"


def _found(path: Path) -> Path:
    return path if path.exists() else SHIPPED_BUNDLES / path


def _scores(found: dict[str, Any], encoder: str) -> dict[str, Any]:
    by_set = {
        name: {change: of_set[encoder]["changes"][change]["1nn_percent"] for change in CHANGES}
        | {"linear": of_set[encoder]["linear_probe_percent"]}
        for name, of_set in found.items()
    }
    means = {what: [each[what] for each in by_set.values() if each[what] is not None] for what in (*CHANGES, "linear")}
    return {"means": {what: mean(values) for what, values in means.items() if values}, "sets": by_set}


def _timed(bundles: dict[str, Bundle], rounds: int) -> dict[str, float]:
    """Milliseconds of a clip of the mix, the median of rounds in turns, on one core."""
    encoders = {name: Encoder(bundle, device="cpu", num_threads=1) for name, bundle in bundles.items()}
    inputs = {
        name: [
            prepare(made_up_clip(seed)[:, :bodies], NTU25, bundle.manifest.preprocess)
            for seed, bodies in enumerate(MIX)
        ]
        for name, bundle in bundles.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in bundles}
    for number in range(rounds + 1):
        for name, encoder in encoders.items():
            began = perf_counter()
            for clip in inputs[name]:
                encoder.encode(clip[np.newaxis])
            if number:  # the first round warms up
                seconds[name].append((perf_counter() - began) / len(MIX))
    return {name: 1000 * median(each) for name, each in seconds.items()}


@main.command()
@click.option("--report", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(report: Path) -> None:
    """Print the report as Markdown."""
    _print(json.loads(report.read_text()))


def _print(report: dict[str, Any]) -> None:
    whole, times = report["accuracy"][WHOLE]["means"], report["ms_a_clip"]
    click.echo("| side | ms a clip | times as fast | " + " | ".join((*CHANGES, "linear")) + " |")
    click.echo("|---|---|---|---|---|---|---|")
    for name, each in report["accuracy"].items():
        if name not in times:
            continue  # a student that was not named this time
        cells = [
            f"{value:.1f} ({value - whole[what]:+.1f})" if (value := each["means"].get(what)) is not None else ""
            for what in (*CHANGES, "linear")
        ]
        click.echo(f"| {name} | {times[name]:.1f} | {times[WHOLE] / times[name]:.1f} | " + " | ".join(cells) + " |")
    for name, why in report["refused"].items():
        click.echo(f"\n{name} was refused: {why}")


@main.command()
@click.option("--out", "picture", type=click.Path(path_type=Path), required=True)
@click.option("--report", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def picture(picture: Path, report: Path) -> None:
    """Draw accuracy against milliseconds a clip: clean queries, and the mean of windows and rest."""
    from matplotlib.figure import Figure

    values = json.loads(report.read_text())
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, (title, changes) in zip(
        panels, {"whole clips": ("clean",), "windows and rest": ("window", "rest")}.items(), strict=True
    ):
        points = {
            name: (values["ms_a_clip"][name], mean(each["means"][what] for what in changes))
            for name, each in values["accuracy"].items()
            if name in values["ms_a_clip"]
        }
        for kind, (colour, marker, label) in _MARKS.items():
            own = [points[name] for name in points if _kind(name) == kind]
            axes.plot(*zip(*own, strict=True), marker, color=colour, label=label)
        _name_points(axes, points)
        axes.set_xscale("log")
        axes.set_xlabel("ms a clip, one core")
        axes.set_title(title, fontsize=11)
        axes.margins(x=0.35, y=0.08)
    panels[0].legend(loc="lower right", fontsize=8)
    panels[0].set_ylabel("1-NN, %, mean of sets")
    figure.savefig(picture, dpi=110)


def _kind(name: str) -> str:
    return "tokens" if name[0].isdigit() or name == WHOLE else "others"


def _name_points(axes: Any, points: dict[str, tuple[float, float]]) -> None:
    """Write each point's name left of it, as far apart as lines of text are high."""
    heights = np.array([y for _, y in points.values()])
    edge = 0.05 * float(np.ptp(heights))
    places = spread_out(heights, (float(heights.min()) - edge, float(heights.max()) + edge), least=0.04)
    for (name, (x, _)), place in zip(points.items(), places, strict=True):
        axes.annotate(_NAMES.get(name, name), (0.82 * x, place), fontsize=7, va="center", ha="right")


if __name__ == "__main__":
    main()
