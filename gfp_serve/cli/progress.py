"""How far a long command is, on standard error: bars with the time left on a terminal, lines elsewhere.

with progress() as bars:
    bar = bars.add("embed", "clips", total=100)
    bar.advance(1)
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from gfp_serve.printable import printable

# What a bar counts. "percent" is for totals that mean nothing to a reader.
Unit = Literal["clips", "items", "steps", "bytes", "percent"]

# The console of bars and warnings: what is printed to it while bars are shown appears above them.
errors = Console(stderr=True)


def warn(message: str) -> None:
    """Print one yellow line."""
    errors.print(printable(message), style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Say what is done while the block runs: beside a spinner on a terminal, as a line elsewhere."""
    if not errors.is_terminal:
        errors.print(f"{printable(text)} ...", markup=False, highlight=False, soft_wrap=True)
        yield
        return
    with errors.status(text):
        yield


@contextmanager
def progress(*, keep: bool = False) -> Iterator["Bars"]:
    """Show bars while the block runs, and after it too with `keep`."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _AmountColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    is_terminal = errors.is_terminal
    with Progress(*columns, console=errors, transient=not keep, disable=not is_terminal) as shown:
        yield Bars(shown, has_lines=not is_terminal)


class Bars:
    """The bars of a command, one below the other. `progress` makes it."""

    def __init__(self, shown: Progress, *, has_lines: bool) -> None:
        self._shown = shown
        self._has_lines = has_lines

    def add(
        self,
        description: str,
        unit: Unit,
        total: float | None = None,
        *,
        done: float = 0,
        line_every_s: float | None = None,
    ) -> "Bar":
        """Add a bar; `total` is None while it is not known.

        Without a terminal, the bar prints a line when `line_every_s` seconds have passed since the last one. None
        prints no lines but those of `Bar.say`.
        """
        task = self._shown.add_task(printable(description), total=total, unit=unit, status="")
        self._shown.update(task, completed=done)
        return Bar(self._shown, task, line_every_s if self._has_lines else None, says_lines=self._has_lines)


class Bar:
    """One bar. `Bars.add` makes it."""

    def __init__(self, shown: Progress, task: TaskID, line_every_s: float | None, *, says_lines: bool) -> None:
        self._shown = shown
        self._id = task
        self._line_every_s = line_every_s
        self._says_lines = says_lines
        self._line_at, self._done_at_line = time.monotonic(), self._task.completed

    def advance(self, by: float = 1) -> None:
        """Add to what is done."""
        self._shown.advance(self._id, by)
        self._print_if_due()

    def reach(self, done: float, total: float | None = None) -> None:
        """Set what is done; and the total, if it is given."""
        self._shown.update(self._id, completed=done, total=total)
        self._print_if_due()

    def describe(self, description: str) -> None:
        """Change the text before the bar."""
        self._shown.update(self._id, description=printable(description))

    def say(self, status: str) -> None:
        """Show a status beside the bar. Without a terminal, print a line that has it."""
        self._shown.update(self._id, status=printable(status))
        if self._says_lines:
            self._print_line()

    @property
    def _task(self) -> Task:
        return self._shown.tasks[self._shown.task_ids.index(self._id)]

    def _print_if_due(self) -> None:
        if self._line_every_s is not None and time.monotonic() - self._line_at >= self._line_every_s:
            self._print_line()

    def _print_line(self) -> None:
        task, now = self._task, time.monotonic()
        parts = [f"{task.description}: {_amount(task)}", task.fields["status"]]
        # By the speed since the last line, because an evaluation's runs differ in speed.
        per_second = (task.completed - self._done_at_line) / max(now - self._line_at, 1e-9)
        if task.remaining is not None and per_second > 0:
            minutes = task.remaining / per_second / 60
            parts.append(f"ETA {minutes:.1f} min" if minutes < 100 else f"ETA {minutes / 60:.1f} h")
        errors.print(", ".join(filter(None, parts)), highlight=False, markup=False, soft_wrap=True)
        self._line_at, self._done_at_line = now, task.completed


class _AmountColumn(ProgressColumn):
    """What is done of the total, in the bar's unit."""

    def render(self, task: Task) -> Text:
        return Text(_amount(task))


def _amount(task: Task) -> str:
    done, total, unit = task.completed, task.total, task.fields["unit"]
    if unit == "percent":
        return f"{task.percentage:.0f} %"
    if unit == "bytes":
        done, total, unit = done / 1e6, None if total is None else total / 1e6, "MB"
    form = ",.1f" if unit == "MB" else ",.0f"
    return f"{done:{form}}" + (f" {unit}" if total is None else f"/{total:{form}} {unit}")
