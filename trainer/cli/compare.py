"""`gfp-evaluate compare`: the table of a paper, from runs and a store."""

import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Column, Table
from rich.text import Text

from gfp_serve.cli.options import Command, options_from
from gfp_serve.cli.printing import cell, output, print_json, say
from gfp_serve.cli.progress import progress, status, warn
from gfp_serve.devices import Device
from gfp_serve.errors import InvalidRequestError
from gfp_serve.extras import load
from gfp_serve.files import write_whole
from trainer.cli.evaluation import LINE_EVERY_S, check_writable
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.evaluate.compare.contestants import contestants_of
from trainer.evaluate.compare.measure import Data, jobs_of, measure_all
from trainer.evaluate.compare.report import (
    REPORT_FILE,
    best_of,
    difference_to,
    make_report,
    text_of,
    warnings_of,
)
from trainer.evaluate.compare.runs import Requirements, read_runs, rows_of
from trainer.evaluate.compare.scores import Scores, only_user
from trainer.evaluate.compare.settings import FINE_TUNED, PROTOCOLS, QUICK, CompareConfig, Protocol
from trainer.evaluate.compare.tables import COSTS, COUNTED, WHICH, cost_text, figures_of, to_csv, to_latex
from trainer.evaluate.folds import cross_subject_folds, split_folds
from trainer.run_record import read_record

if TYPE_CHECKING:  # it loads matplotlib
    from trainer.evaluate.compare.picture import PictureCost

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)


def _named(_context: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> dict[Path, str]:
    """`RUN=NAME` as a dictionary."""
    found = {}
    for each in given:
        run, equals, name = each.rpartition("=")
        if not (run and equals and name.strip()):
            raise click.BadParameter(f"{each!r} must be RUN=NAME, such as runs/gfp=GFP.")
        found[Path(run)] = name.strip()
    return found


@click.command("compare", cls=Command, no_args_is_help=True)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=_PATH)
@click.argument("store", metavar="STORE", type=_PATH)
@click.option("--out", metavar="FOLDER", type=_PATH, required=True, help="Keep scores and write compare.json here.")
@click.option(
    "--protocol",
    "protocols",
    type=click.Choice(PROTOCOLS),
    multiple=True,
    default=QUICK,
    show_default=True,
    help="What to measure; may be given several times.",
)
@click.option(
    "--ratio",
    "ratios",
    metavar="SHARE",
    type=float,
    multiple=True,
    default=CompareConfig.__dataclass_fields__["ratios"].default,
    show_default=True,
    help="Share of the training clips whose labels semi-supervised uses; may be given several times.",
)
@click.option("--transfer-to", metavar="STORE", type=_PATH, help="The other store that transfer fine-tunes on.")
@click.option(
    "--trained-elsewhere",
    is_flag=True,
    help="Take runs that were trained on another store than STORE, all on the same.",
)
@click.option(
    "--name",
    "names",
    metavar="RUN=NAME",
    multiple=True,
    callback=_named,
    help="Call the row of this run NAME; may be given several times. [default: what tells rows apart]",
)
@click.option(
    "--against",
    metavar="NAME",
    help="Show differences to this row. [default: that of the first RUN]",
)
@click.option("--untrained", is_flag=True, help="Also a row for the untrained encoder.")
@click.option("--statistics", is_flag=True, help="Also a row for pose statistics, which learn nothing.")
@click.option(
    "--folds",
    metavar="N",
    type=int,
    help="Cross-subject: deal the subjects to N groups, and test each group once with the others to learn from. "
    "[default: the store's own split]",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of tables.")
@click.option("--csv", "csv_file", metavar="FILE", type=_FILE, help="Also write the table as CSV.")
@click.option("--latex", "latex_file", metavar="FILE", type=_FILE, help="Also write the table as LaTeX.")
@click.option("--picture", metavar="FILE", type=_FILE, help="Also draw accuracy against cost, as PNG.")
@click.option(
    "--picture-cost",
    type=click.Choice(["step", "training", "embedding"]),
    help="Which cost the picture shows: of a training step, of the whole training, or of an embedding. [default: step]",
)
@options_from(CompareConfig)
def compare_command(
    runs: tuple[Path, ...],
    store: Path,
    out: Path,
    protocols: tuple[Protocol, ...],
    ratios: tuple[float, ...],
    transfer_to: Path | None,
    trained_elsewhere: bool,
    names: Mapping[Path, str],
    against: str | None,
    untrained: bool,
    statistics: bool,
    folds: int | None,
    device: Device,
    as_json: bool,
    csv_file: Path | None,
    latex_file: Path | None,
    picture: Path | None,
    picture_cost: "PictureCost | None",
    config: CompareConfig,
) -> None:
    """Compare several runs in a table, as papers do.

    They are measured by every protocol that is asked for, on the same clips, with what they cost beside it. Runs whose
    settings differ in the seed alone are one row, with mean and deviation over its seeds. The head that a protocol
    trains has the seed of its run. Every score is saved in the folder of --out as it is found; the same command goes on
    after Ctrl-C, and measures only what is new when runs or protocols are added.
    """
    chosen = tuple(name for name in PROTOCOLS if name in protocols)
    if ("transfer" in chosen) != (transfer_to is not None):
        raise click.UsageError("--protocol transfer and --transfer-to STORE need each other: give both or neither.")
    if picture_cost is not None and picture is None:
        raise click.UsageError("--picture-cost has no effect without --picture; give both, or neither.")
    config = replace(config, ratios=tuple(dict.fromkeys(ratios)))
    _check_files(out, csv_file, latex_file, picture)
    data = _open(store, folds)
    transfer = None if transfer_to is None else _open(transfer_to, folds)
    torch_device = pick_device(device)
    wanted = Requirements(
        store=data.store,
        transfer_store=None if transfer is None else transfer.store,
        trained_elsewhere=trained_elsewhere,
        fine_tuned=bool(FINE_TUNED & set(chosen)),
    )
    with status("checking the runs"):
        rows = rows_of(read_runs(list(dict.fromkeys(runs)), wanted, read_record=read_record), names)
    contestants = contestants_of(rows, with_untrained=untrained, with_statistics=statistics)
    against = against or rows[0].name
    if against not in contestants:
        raise click.UsageError(f"--against is {against!r}; the rows are {', '.join(contestants)}.")
    jobs = {
        name: [jobs_of(each, chosen, config, data, transfer, torch_device) for each in of_row]
        for name, of_row in contestants.items()
    }
    with only_user(out), _exit_on_ctrl_c(out), progress() as bars:
        total = sum(job.clips_read for of_row in jobs.values() for each in of_row for job in each)
        bar = bars.add("compare", "percent", total=total, line_every_s=LINE_EVERY_S)

        def show(clips: int, text: str) -> None:
            bar.describe(text)
            bar.advance(clips)

        figures = measure_all(contestants, jobs, Scores(out), show=show)
    report = make_report(rows, contestants, figures, chosen, config, data, transfer, device=torch_device.type)
    report["warnings"] = warnings_of(report, rows, [each for each in (data, transfer) if each is not None])
    write_whole(out / REPORT_FILE, json.dumps(report, indent=1) + "\n")
    if csv_file is not None:
        write_whole(csv_file, to_csv(report))
    if latex_file is not None:
        write_whole(latex_file, to_latex(report))
    if picture is not None:
        _draw(report, picture, picture_cost or "step", out)
    for line in report["warnings"]:
        warn(f"Warning: {line}")
    print_json(report) if as_json else _print(report, against)


def _draw(report: dict[str, Any], picture: Path, cost: "PictureCost", out: Path) -> None:
    """Draw the report. Raises `OSError` that names the picture and where all scores are."""
    from gfp_serve.figure_file import save_figure
    from trainer.evaluate.compare.picture import accuracy_against_cost
    from trainer.evaluate.figures import DPI

    figure = accuracy_against_cost(report, cost)
    try:
        save_figure(figure, picture, dpi=DPI)
    except OSError as error:
        reason = f"{error.strerror}; free some space, and the same command draws it from the scores that {out} holds"
        raise OSError(error.errno, reason, str(picture)) from error


def _open(path: Path, folds: int | None) -> Data:
    store = ClipStore.open(path)
    return Data(store=store, folds=split_folds(store) if folds is None else cross_subject_folds(store, folds))


def _check_files(out: Path, csv_file: Path | None, latex_file: Path | None, picture: Path | None) -> None:
    """Refuse what cannot be written now, and not after hours."""
    if out.exists() and not out.is_dir():
        raise InvalidRequestError(f"--out {out} is a file; name a folder, which is made if it does not exist.")
    for folder in (out, *(file.parent for file in (csv_file, latex_file, picture) if file is not None)):
        check_writable(folder)
    if picture is not None:
        if picture.suffix != ".png":
            raise click.UsageError(f"--picture is {picture}; its name must end in .png.")
        load("matplotlib")


@contextmanager
def _exit_on_ctrl_c(out: Path) -> Any:
    try:
        yield
    except KeyboardInterrupt:
        say(f"Stopped by Ctrl-C; the same command goes on from what {out} holds.", err=True)
        raise click.exceptions.Exit(128 + signal.SIGINT) from None


def _print(report: Mapping[str, Any], against: str) -> None:
    console, store = output(), report["store"]
    console.print(
        f"compare: right in % of {store['num_test_clips']} test clips of {store['num_classes']} classes; chance "
        f"{store['chance_percent']:.1f}",
        style="bold",
        highlight=False,
    )
    figures = figures_of(report)
    for which in WHICH:
        columns = [column for column, own in figures if own == which]
        if not columns:
            continue
        table = Table(WHICH[which], "seeds", *(Column(cell(column), justify="right") for column in columns))
        for row in report["rows"]:
            cells = []
            for column in columns:
                best = row["name"] in best_of(report, column, which)
                cells.append(Text(text_of(row["scores"][column][which]), style="bold" if best else ""))
            table.add_row(cell(row["name"]), str(len(row["seeds"])), *cells)
        console.print(table)
    # In two tables, which a terminal has room for.
    for head, names in (
        ("cost, counted", COUNTED),
        ("cost, as runs say", [each for each in COSTS if each not in COUNTED]),
    ):
        costs = Table(head, *(Column(COSTS[name], justify="right") for name in names))
        for row in report["rows"]:
            if row["cost"] is not None:
                costs.add_row(cell(row["name"]), *(cost_text(row["cost"], name) for name in names))
        console.print(costs)
    _print_differences(report, against)


def _print_differences(report: Mapping[str, Any], against: str) -> None:
    others = [row["name"] for row in report["rows"] if row["name"] != against]
    if not others:
        return
    table = Table(
        Column(cell(f"difference to {against}")), *(Column(cell(each), justify="right") for each in report["columns"])
    )
    said, is_tested = set(), False
    for name in others:
        cells = []
        for column in report["columns"]:
            found = difference_to(report, name, against, column)
            said.add(found["says"])
            p_value = found["p_value"]
            is_tested |= p_value is not None
            points = round(found["points"], 1) + 0.0  # no "-0.0"
            cells.append(f"{points:+.1f}" + ("" if p_value is None else f" (p {_p_text(p_value)})"))
        table.add_row(cell(name), *cells)
    output().print(table)
    about_p = " p is of both sides, for one comparison, over seeds alone: it says nothing about other clips or people."
    output().print(
        f"Points of top-1; {'; '.join(sorted(said))}." + (about_p if is_tested else ""),
        style="dim",
        markup=False,
        highlight=False,
    )


def _p_text(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
