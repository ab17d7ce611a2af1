"""Progress is a bar on a terminal, and lines elsewhere."""

import io

import pytest
from rich.console import Console

from gfp_serve.cli import progress as module
from gfp_serve.cli.progress import progress, warn


@pytest.fixture
def shown(monkeypatch):
    """A function that makes errors go to a file, as if it were a terminal or not, and returns the file."""

    def on(*, terminal):
        file = io.StringIO()
        monkeypatch.setattr(module, "errors", Console(file=file, force_terminal=terminal, width=120, no_color=True))
        return file

    return on


@pytest.mark.parametrize(
    ("unit", "done", "total", "words"),
    [
        ("clips", 1200, 3000, "1,200/3,000 clips"),
        ("items", 7, None, "7 items"),
        ("steps", 3, 4, "3/4 steps"),
        ("bytes", 1_500_000, 3_000_000, "1.5/3.0 MB"),
        ("percent", 1, 4, "25 %"),
    ],
)
def test_a_bar_on_a_terminal_counts_in_its_unit(shown, unit, done, total, words):
    file = shown(terminal=True)
    with progress(keep=True) as bars:
        bars.add("embed", unit).reach(done, total)
    assert "embed" in file.getvalue()
    assert words in file.getvalue()
    assert "ETA" in file.getvalue()


def test_a_status_is_shown_beside_the_bar(shown):
    file = shown(terminal=True)
    with progress(keep=True) as bars:
        bars.add("train", "steps", total=10).say("loss 0.5")
    assert "loss 0.5" in file.getvalue()


def test_without_a_terminal_nothing_is_printed_unless_lines_are_requested(shown):
    file = shown(terminal=False)
    with progress() as bars:
        bars.add("embed", "clips", total=10).advance(3)
    assert file.getvalue() == ""


def test_lines_say_how_much_is_done_and_how_long_the_rest_takes(shown):
    file = shown(terminal=False)
    with progress() as bars:
        bar = bars.add("probe [1]", "clips", total=10, line_every_s=0)
        bar.advance(4)
        bar.describe("probe [2]")
        bar.advance(6)
    first, second = file.getvalue().splitlines()
    assert first.startswith("probe [1]: 4/10 clips, ETA ")
    assert second == "probe [2]: 10/10 clips, ETA 0.0 min"


def test_without_a_terminal_a_status_is_a_line(shown):
    file = shown(terminal=False)
    with progress() as bars:
        bar = bars.add("train", "steps", total=10, done=5)
        bar.reach(6)
        bar.say("loss 0.500")
        bar.say("loss 0.400")  # at the same step: the remaining time is not known
    first, second = file.getvalue().splitlines()
    assert first.startswith("train: 6/10 steps, loss 0.500, ETA ")
    assert second == "train: 6/10 steps, loss 0.400"


def test_a_warning_is_printed_as_it_is(shown):
    file = shown(terminal=False)
    warn("skipped: [/red].npz")
    assert file.getvalue() == "skipped: [/red].npz\n"
