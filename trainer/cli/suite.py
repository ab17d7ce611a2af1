"""`gfp-evaluate suite`: several encoders on many labelled sets, clean and changed."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Column, Table

from gfp_serve.cli.options import Command, options_from
from gfp_serve.cli.printing import cell, output, print_json, say
from gfp_serve.cli.progress import progress, warn
from gfp_serve.devices import Device
from gfp_serve.errors import InvalidRequestError, MissingExtraError
from gfp_serve.extras import load
from gfp_serve.files import write_whole
from trainer.cli.evaluation import LINE_EVERY_S, of_sets
from trainer.data.store import ClipStore
from trainer.evaluate.suite.changes import CHANGES
from trainer.evaluate.suite.encoders import POSE_STATISTICS, suite_encoders
from trainer.evaluate.suite.report import (
    columns_of,
    difference_to,
    interval,
    make_report,
    mean_percent,
    queries_of,
    to_markdown,
    warnings_of,
)
from trainer.evaluate.suite.resume import STATE_FILE, SuiteState
from trainer.evaluate.suite.run import (
    SuiteConfig,
    choose_changes,
    count_clips,
    describe_settings,
    measure_sets,
    open_sets,
)
from trainer.evaluate.suite.sets import find_sets
from trainer.evaluate.suite.training_clips import TrainingStores

_PATH = click.Path(path_type=Path)
_VERDICTS = ("better", "worse", "not_told_apart")


@click.command("suite", cls=Command, no_args_is_help=True)
@click.argument("encoders", metavar="ENCODER...", nargs=-1, required=True)
@of_sets
@click.option(
    "--change",
    "changes",
    type=click.Choice([change.name for change in CHANGES]),
    metavar="NAME",
    multiple=True,
    help=f"Only clean queries and this change; may be given several times. "
    f"[{', '.join(change.name for change in CHANGES)}]",
)
@click.option(
    "--untrained/--no-untrained", default=True, show_default=True, help="Also ask clean queries of untrained encoders."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to run.",
)
@click.option("--out", metavar="FOLDER", type=_PATH, help="Write suite.json, suite.md and pictures here.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished suite in the folder of --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of tables.")
@options_from(SuiteConfig)
def suite_command(
    encoders: Sequence[str],
    data: Path,
    sets: Sequence[str],
    changes: Sequence[str],
    trained_on: Sequence[Path],
    untrained: bool,
    device: Device,
    out: Path | None,
    resume: bool,
    as_json: bool,
    config: SuiteConfig,
) -> None:
    """Which of several encoders is better, on many sets?

    ENCODER is a run folder, a checkpoint, a bundle, or the name of a bundle in the package. Every labelled set of the
    folder is split by people, or by recordings where people are not known. Queries are asked as they are and changed:
    cut, at rest before and after, noisy, by other sensors, without depth. Pose statistics are always measured too.
    Differences come with intervals over the same queries. With --out, a suite that was stopped goes on with --resume.
    """
    chosen = choose_changes(changes)
    found = find_sets(data, sets)
    if out is not None:
        if out.exists() and not out.is_dir():
            raise InvalidRequestError(f"--out {out} is a file; name a folder, which is made if it does not exist.")
        out.mkdir(parents=True, exist_ok=True)
    tested = suite_encoders(encoders, device, with_untrained=untrained)
    stores = TrainingStores([ClipStore.open(path) for path in trained_on], tested)
    state = SuiteState(out, describe_settings(config, chosen), resume=resume)
    opened = open_sets(found, config, warn, must_all=bool(sets))
    try:
        with progress() as bars:
            total = sum(count_clips(given, tested, chosen, seed=config.seed) for given in opened)
            bar = bars.add("embed", "clips", total=total, line_every_s=LINE_EVERY_S)

            def show(clips: int, text: str) -> None:
                bar.describe(text)
                bar.advance(clips)

            figures = measure_sets(opened, tested, chosen, config, state=state, show=show)
    except KeyboardInterrupt:
        is_kept = out is not None and (out / STATE_FILE).exists()
        how = f"; the same command with --resume goes on from what {out} holds." if is_kept else "."
        say(f"Stopped by Ctrl-C{how}", err=True)
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    report = make_report(opened, tested, chosen, config, figures, stores)
    if out is not None:
        write_whole(out / "suite.json", json.dumps(report, indent=1) + "\n")
        write_whole(out / "suite.md", to_markdown(report))
        _draw(report, out)
        state.remove()
    for line in warnings_of(report):
        warn(line)
    print_json(report) if as_json else _print(report)


def _draw(report: dict[str, Any], out: Path) -> None:
    try:
        load("matplotlib")
    except MissingExtraError as error:
        warn(f"There are no pictures: {error}")
        return
    from trainer.evaluate.suite.pictures import draw_suite

    draw_suite(report, out)


def _print(report: dict[str, Any]) -> None:
    console = output()
    names = [each["name"] for each in report["encoders"]]
    by_set = Table("set, clean queries", "queries", *(Column(cell(each)) for each in names))
    for name, of_set in report["figures"].items():
        queries = str(report["sets"][name]["num_queries"])
        by_set.add_row(
            cell(name), queries, *(f"{of_set[each]['changes']['clean']['1nn_percent']:.1f}" for each in names)
        )
    by_change = Table("change, mean of sets", *(Column(cell(each)) for each in names))
    for change in columns_of(report, names):
        means = [mean_percent(report, each, change) for each in names]
        by_change.add_row(change, *("" if mean is None else f"{mean:.1f}" for mean in means))
    console.print("suite: right in %, 1-NN by cosine", style="bold", highlight=False)
    console.print(by_set)
    console.print(by_change)
    for name in names:
        if name != POSE_STATISTICS:
            pair = difference_to(report, name, POSE_STATISTICS)
            sets = ", ".join(f"{pair[f'sets_{which}']} {which.replace('_', ' ')}" for which in _VERDICTS)
            say(
                f"{name} against {POSE_STATISTICS}: {interval(pair['over_all'])} points (95 %), all sets, "
                f"{queries_of(pair)}: {pair['over_all']['verdict']}. Sets: {sets}."
            )
