"""Reproduce the tables of the papers, a row at a time, and show what is done, what lacks, and how long that takes.

\b
    python benchmarks/reproduce.py list 'linear/*'                       the rows whose names match
    python benchmarks/reproduce.py time 'linear/*' STORE --work WORK     a minute of each kind of step
    python benchmarks/reproduce.py run linear/gfp/ntu60-xsub STORE --work WORK
    python benchmarks/reproduce.py status --work WORK

`reproduce.toml` has every row as data: where it is from, data set and split, settings of training, protocol, published
value. A row is called TABLE/METHOD/STORE, and STORE says which clips: `status` shows how each store is made.

`run` trains as gfp-train does and measures as gfp-evaluate does. It may be stopped; the same call goes on. Rows with
equal settings on the same clips share a run. A row with another store to transfer to needs that one too: --target.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.reproducing.rows import FILE, Row, Rows, RowsError
from benchmarks.reproducing.running import Stopped, Work, describe, device_name, differs, measure
from benchmarks.reproducing.timing import estimate, kind_of_step, time_row
from gfp_serve.cli.options import Group
from trainer.data.store import ClipStore

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)

_rows_option = click.option("--rows", "file", type=click.Path(path_type=Path), default=FILE, help="File of the rows.")
_work_option = click.option(
    "--work", type=click.Path(path_type=Path), required=True, help="Folder of runs and results."
)
_device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where to compute."
)
_tiny_option = click.option("--tiny", is_flag=True, help="A rehearsal of seconds, at tiny sizes; it measures nothing.")


@click.group(cls=Group, help=__doc__)
def main() -> None:
    """Keep the commands apart: `list` and `status` train nothing."""


@main.command(name="list", short_help="Show rows, by a pattern such as 'linear/*'.")
@click.argument("pattern", default="*")
@_rows_option
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known of each row.")
def list_rows(pattern: str, file: Path, as_json: bool) -> None:
    """Show the rows whose names match PATTERN, such as 'linear/*' or '*/gfp/ntu60-*'."""
    found = Rows(file).matching(pattern)
    if as_json:
        click.echo(json.dumps([_described(row) for row in found], indent=1))
        return
    table = Table("row", "published", "from", "gfp-train", "gfp-evaluate")
    for row in found:
        table.add_row(
            row.name,
            _figure(row.published, row.unit),
            row.source.partition(",")[0],
            " ".join(row.arguments()),
            row.evaluate_command("RUN", "STORE" if row.target is None else "TARGET"),
        )
    Console(width=240).print(table)


def _described(row: Row) -> dict[str, Any]:
    config = row.train_config().settings()
    about = {name: getattr(row, name) for name in row.__dataclass_fields__} | {"unit": row.unit}
    return about | {"train": row.arguments(), "config": config}


@main.command(short_help="Train and measure rows on a store.")
@click.argument("pattern", metavar="ROW")
@click.argument("store", type=_FOLDER)
@click.option("--target", type=_FOLDER, help="The store that is transferred to, for rows of the table transfer.")
@_work_option
@_device_option
@_tiny_option
@_rows_option
def run(pattern: str, store: Path, target: Path | None, work: Path, device: str, tiny: bool, file: Path) -> None:
    """Train and measure ROW, or each row that matches a pattern such as 'linear/*/ntu60-xsub'."""
    known = Rows(file)
    done = Work(work)
    rows = known.matching(pattern)
    _check_request(rows, target, tiny)
    clips = ClipStore.open(store)
    to = None if target is None else ClipStore.open(target)
    if not tiny:
        _say_what_differs(known, rows[0].store, clips)
        done.keep_store(rows[0].store, clips)
        if to is not None and rows[0].target is not None:
            _say_what_differs(known, rows[0].target, to)
            done.keep_store(rows[0].target, to)
    for row in rows:
        before = done.result(row)
        if before is not None and before["tiny"] <= tiny and _is_of(before, row, clips, to):
            click.echo(f"{row.name}: {_figure(before['value'], row.unit)}, measured before", err=True)
            continue
        try:
            value = measure(row, clips, to if row.target else None, done, device=device, tiny=tiny)
        except Stopped:
            click.echo("Stopped; the same call goes on.", err=True)
            raise
        published = "" if row.published is None else f", published {_figure(row.published, row.unit)}"
        click.echo(f"{row.name}: {_figure(value, row.unit)}{published}")


def _check_request(rows: list[Row], target: Path | None, tiny: bool) -> None:
    """Raise `RowsError` for rows that cannot be measured together on one store."""
    if tiny:
        return
    if len(stores := sorted({row.store for row in rows})) > 1:
        raise RowsError(
            f"these rows are of different stores, {', '.join(stores)}; add the store's name to the pattern: "
            f"'linear/*/{stores[0]}'."
        )
    if any(row.target for row in rows) and target is None:
        raise RowsError(f"{rows[0].name} transfers to {rows[0].target}; name that store with --target.")


def _say_what_differs(known: Rows, name: str, store: ClipStore) -> None:
    if said := differs(known.stores[name], describe(store)):
        click.echo(f"Warning: {store.path} is not {name} as published: {said}. Values will not compare.", err=True)


def _is_of(result: dict[str, Any], row: Row, store: ClipStore, target: ClipStore | None) -> bool:
    """Whether a result is of these clips."""
    tested = store if target is None or not row.target else target
    return (
        result["trained_on"]["content_sha256"] == store.content_digest
        and result["tested_on"]["content_sha256"] == tested.content_digest
    )


@main.command(name="time", short_help="Time the steps of rows, to estimate hours.")
@click.argument("pattern", metavar="ROW")
@click.argument("store", type=_FOLDER)
@click.option("--minutes", default=1.0, show_default=True, help="Time for each kind of step.")
@_work_option
@_device_option
@_tiny_option
@_rows_option
def time_rows(pattern: str, store: Path, minutes: float, work: Path, device: str, tiny: bool, file: Path) -> None:
    """Time training and reading of each kind of step among the rows that match, so that `status` can say hours.

    Any clips will do: how long a clip takes depends on its people, not on what they do.
    """
    clips, done = ClipStore.open(store), Work(work)
    kinds: dict[str, Row] = {}
    for row in Rows(file).matching(pattern):
        kinds.setdefault(kind_of_step(row), row)
    for kind, row in kinds.items():
        timed = time_row(row, clips, minutes=minutes, device=device, tiny=tiny)
        done.keep_time(kind, timed)
        click.echo(
            f"{row.name}: trains on {timed['train_clips_per_s']:.1f} and reads {timed['read_clips_per_s']:.1f} clips/s "
            f"on {timed['device']}"
        )


@main.command(short_help="Show measured beside published, and what is missing.")
@_work_option
@_rows_option
@_device_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def status(work: Path, file: Path, device: str, as_json: bool) -> None:
    """Show what is measured beside what was published, what is missing, and how long that takes."""
    known, done = Rows(file), Work(work)
    results = {row.name: done.result(row) for row in known.rows}
    missing = [row for row in known.rows if not _counts(results[row.name])]
    left = estimate(missing, known, done)
    if as_json:
        values = {
            "rows": {name: _short(result) for name, result in results.items()},
            "missing": [row.name for row in missing],
            "published_alone": [asdict(each) for each in known.published],
            "stores": _stores(known, done),
            "hours": left.hours,
            "runs": left.runs,
            "timed_on": left.devices,
            "untimed": left.untimed,
        }
        click.echo(json.dumps(values, indent=1))
        return
    console = Console(width=150)
    for name in dict.fromkeys(row.table for row in known.rows):
        console.print(_table(name, known, results))
        for line in _notes(name, known):
            console.print(line, style="dim", highlight=False, markup=False)
    stores = Table("store", "where", "how to make it", title="Stores", title_justify="left")
    for name, about in _stores(known, done).items():
        stores.add_row(name, about["path"] or "missing", "" if about["path"] else about["make"])
    console.print(stores)
    for line in _summary(known, results, missing, left, device):
        console.print(line, highlight=False)


def _counts(result: dict[str, Any] | None) -> bool:
    """Whether a row is measured; a rehearsal is not."""
    return result is not None and not result["tiny"]


def _short(result: dict[str, Any] | None) -> dict[str, Any] | None:
    names = ("value", "published", "unit", "tiny", "device", "measured", "commands")
    return None if result is None else {name: result[name] for name in names}


def _stores(known: Rows, done: Work) -> dict[str, dict[str, Any]]:
    """Where each store of the rows is, if it was used and is still there, and how it is made."""
    used = done.stores()
    there = {name: about["path"] for name, about in used.items() if Path(about["path"]).exists()}
    return {name: {"path": there.get(name), "make": store.make} for name, store in known.stores.items()}


def _table(name: str, known: Rows, results: dict[str, dict[str, Any] | None]) -> Table:
    table = Table(title=name, title_justify="left")
    for column in ("method", "store", "published", "measured", "difference", "how"):
        right = column in ("published", "measured", "difference")
        table.add_column(column, justify="right" if right else "left")
    for row in known.rows:
        if row.table != name:
            continue
        result = results[row.name]
        measured = difference = how = ""
        if result is not None and result["tiny"]:
            how = "rehearsed"
        elif result is not None:
            measured = _figure(result["value"], row.unit)
            how = f"{result['device']}, {result['measured'][:10]}"
            if said := _other_clips(row, known, result):
                how += f"; other clips than published: {said}"
            elif row.published is not None:
                difference = f"{result['value'] - row.published:+.1f}"
        table.add_row(row.method, row.store, _figure(row.published, row.unit), measured, difference, how)
    unit = next((row.unit for row in known.rows if row.table == name), "%")
    for each in known.published:
        if each.table == name:
            table.add_row(each.method, each.store, _figure(each.value, unit), "", "", "published alone")
    return table


def _other_clips(row: Row, known: Rows, result: dict[str, Any]) -> str:
    """In what the clips of a result are not the published ones, in words, also those that it was transferred to."""
    trained = differs(known.stores[row.store], result["trained_on"])
    if row.target is None:
        return trained
    tested = differs(known.stores[row.target], result["tested_on"])
    return "; ".join([*([trained] if trained else []), *([f"in {row.target}: {tested}"] if tested else [])])


def _notes(name: str, known: Rows) -> list[str]:
    """In what rows of a table differ from how their published values were made, with the methods that do."""
    found: dict[str, dict[str, None]] = {}
    for row in known.rows:
        for note in row.notes if row.table == name else ():
            found.setdefault(note, {})[row.method] = None
    return [f"{'; '.join(methods)}: {note}." for note, methods in found.items()]


def _summary(
    known: Rows, results: dict[str, dict[str, Any] | None], missing: list[Row], left: Any, device: str
) -> list[str]:
    rehearsed = sum(result is not None and result["tiny"] for result in results.values())
    lines = [
        f"{len(known.rows) - len(missing)} of {len(known.rows)} rows are measured, {len(missing)} are "
        f"missing in {left.runs} runs." + (f" {rehearsed} were rehearsed at tiny sizes." if rehearsed else "")
    ]
    if left.devices:
        on = " and ".join(left.devices)
        lines.append(f"What is missing and timed takes about {left.hours:,.1f} hours on {on}.")
        if left.devices != (here := (device_name(device),)):
            lines.append(
                f"This machine has {here[0]}: its hours differ. Time a minute here: reproduce.py time ROW STORE."
            )
    if left.untimed:
        lines.append(f"Not timed yet, so without hours: {', '.join(left.untimed)}, and rows like them.")
    if left.unsized:
        lines.append(f"Without hours too, because their number of clips is not known: {', '.join(left.unsized)}.")
    return lines


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.2f} h" if unit == "h" else f"{value:.1f}"


if __name__ == "__main__":
    main()
