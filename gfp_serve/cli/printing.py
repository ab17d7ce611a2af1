"""What commands print: a sentence, a table, or JSON for programs."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gfp_serve.printable import printable

# Wider than any table, so that what programs and files get is not cut.
_WIDTH_ELSEWHERE = 100_000


def output() -> Console:
    """Standard output. A terminal gets lines that fit it; a file or a program gets each row whole, in one line."""
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_ELSEWHERE
    return console


def print_json(values: Mapping[str, Any]) -> None:
    """Print a JSON object in one line."""
    click.echo(json.dumps(values))


def print_result(values: Mapping[str, Any], sentence: str, as_json: bool) -> None:
    """Print a result as a JSON object, or as a sentence."""
    if as_json:
        print_json(values)
    else:
        say(sentence)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values below each other. On a terminal, long values go on in the next line."""
    table = Table(Column("name", overflow="fold"), Column("value", overflow="fold"), show_header=False, box=None)
    for each in facts.items():
        table.add_row(*map(cell, each))
    output().print(table)


@dataclass
class Listing:
    """Results that come one after another: JSON lines as they come, or a table at the end."""

    columns: Sequence[str | Column]
    as_json: bool
    count: int = 0
    _rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, values: Mapping[str, Any], rows: Iterable[Sequence[str]]) -> None:
        """Add a result: `values` for JSON, `rows` for the table."""
        self.count += 1
        if self.as_json:
            print_json(values)
        else:
            self._rows.extend(rows)

    def print_table(self, note: str = "") -> None:
        """Print the table and a line below it, unless the results are JSON."""
        if self.as_json:
            return
        table = Table(*self.columns, box=None)
        for column in table.columns:
            column.overflow = "fold"  # an id of which a part is missing is no use
        for row in self._rows:
            table.add_row(*map(cell, row))
        output().print(table)
        if note:
            say(note)


def plain(value: Any) -> Any:
    """What a client gave, made of what JSON knows: dataclasses and named tuples become objects."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def num_items(count: int) -> str:
    """So that one item is not "1 items"."""
    return "1 item" if count == 1 else f"{count:,} items"


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print lines, see `printable`."""
    click.echo(printable(text), err=err, nl=nl)


def cell(text: str) -> Text:
    """A cell of a table, see `printable`."""
    # As Text, because brackets in a label or a name are not markup. A line break would make two rows of one.
    return Text(printable(text).replace("\n", "\\n"))
