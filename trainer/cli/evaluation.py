"""What the commands of `gfp-evaluate` share: arguments, progress, Ctrl-C, the report in a file and on the terminal."""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gfp_serve.cli.options import html_option, with_options_of
from gfp_serve.cli.printing import print_json, say
from gfp_serve.cli.progress import progress
from gfp_serve.devices import Device
from gfp_serve.errors import InvalidRequestError
from gfp_serve.extras import load
from gfp_serve.files import write_whole
from trainer.data.store import ClipStore
from trainer.evaluate.folds import Fold, cross_subject_folds, split_folds
from trainer.evaluate.learning import Show
from trainer.evaluate.mistakes import MistakesPage
from trainer.evaluate.resume import STATE_FILE

# Seconds between two lines of progress, without a terminal.
LINE_EVERY_S = 30.0

_PATH = click.Path(path_type=Path)


def of_sets(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--data FOLDER` of labelled sets, `--set` to choose among them, and `--trained-on`."""
    command = click.option(
        "--trained-on",
        metavar="STORE",
        type=_PATH,
        multiple=True,
        help="A store that an encoder was trained on, to tell whether its clips are among the queries; may be given "
        "several times.",
    )(command)
    command = click.option(
        "--set", "sets", metavar="NAME", multiple=True, help="Only this set; may be given several times."
    )(command)
    return click.option(
        "--data",
        metavar="FOLDER",
        type=_PATH,
        required=True,
        help="Folder with labelled clip files and stores, or a store.",
    )(command)


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """The arguments that all protocols have."""

    encoder: Path
    store: ClipStore
    folds: list[Fold]
    device: Device
    out: Path | None
    html: Path | None
    as_json: bool

    def write_report(self, report: dict[str, Any], draw: Callable[[Path], None]) -> None:
        """Write report.json into the folder of --out, where `draw` saves pictures; nothing without --out."""
        if self.out is not None:
            write_whole(self.out / "report.json", json.dumps(report, indent=2) + "\n")
            draw(self.out)

    def write_page(self, write: Callable[[Path], MistakesPage]) -> None:
        """Write the page of --html and say what it shows; nothing without --html."""
        if self.html is not None:
            page = write(self.html)
            shown = f"{page.num_shown} of {page.num_wrong} test clips that are answered wrongly"
            say(f"{self.html} shows {shown} ({page.num_bytes / 1e6:.1f} MB).", err=self.as_json)

    def print_report(self, report: dict[str, Any], print_table: Callable[[dict[str, Any]], None]) -> None:
        """Print the report as JSON, or as the table that `print_table` makes of it."""
        print_json(report) if self.as_json else print_table(report)


def protocol(group: click.Group, name: str, *, bundles: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function a command of the group, with the shared arguments; it is called with `request=...`.

    `bundles` says that the encoder may come from a bundle too.
    """

    def decorate(command: Callable[..., None]) -> click.Command:
        @with_options_of(command)
        def call(
            encoder: Path,
            store: Path,
            folds: int | None,
            device: Device,
            out: Path | None,
            html: Path | None,
            as_json: bool,
            **others: Any,
        ) -> None:
            clips = ClipStore.open(store)
            parts = split_folds(clips) if folds is None else cross_subject_folds(clips, folds)
            if out is not None:
                _check_out(out)
            if html is not None:
                check_writable(html.parent)
            command(request=EvaluationRequest(encoder, clips, parts, device, out, html, as_json), **others)

        shared = (
            click.argument("encoder", metavar="ENCODER" if bundles else "RUN", type=_PATH),
            click.argument("store", metavar="STORE", type=_PATH),
            click.option(
                "--folds",
                metavar="N",
                type=int,
                help="Cross-subject: deal the subjects to N groups, and test each group once with the others to learn "
                "from. [default: the store's own split]",
            ),
            click.option(
                "--device",
                type=click.Choice(["auto", "cpu", "cuda"]),
                default="auto",
                show_default=True,
                help="Where to run.",
            ),
            click.option("--out", metavar="FOLDER", type=_PATH, help="Write report.json and pictures here."),
            html_option("what is answered wrongly as moving skeletons: the most frequent confusions first."),
            click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of a table."),
        )
        for option in reversed(shared):
            call = option(call)
        return group.command(name, no_args_is_help=True)(call)

    return decorate


@contextmanager
def learning_progress(num_clips: int) -> Iterator[Show]:
    """One bar for all runs of a protocol. The function gets clips that were read, and a text on what they were for."""
    with progress() as bars:
        bar = bars.add("learn", "clips", total=num_clips, line_every_s=LINE_EVERY_S)

        def show(clips: int, text: str) -> None:
            bar.describe(text)
            bar.advance(clips)

        yield show


@contextmanager
def exit_on_ctrl_c(resume_from: Path | None) -> Iterator[None]:
    """Turn Ctrl-C into a line, which says how to go on if the folder has the state of the evaluation."""
    try:
        yield
    except KeyboardInterrupt:
        is_kept = resume_from is not None and (resume_from / STATE_FILE).exists()
        how = f"; the same command with --resume goes on from what {resume_from} holds." if is_kept else "."
        say(f"Stopped by Ctrl-C{how}", err=True)
        raise click.exceptions.Exit(128 + signal.SIGINT) from None


def _check_out(out: Path) -> None:
    """Refuse a folder that cannot take the report, and a missing matplotlib, now and not after hours of learning."""
    if out.exists() and not out.is_dir():
        raise InvalidRequestError(f"--out {out} is a file; name a folder, which is made if it does not exist.")
    check_writable(out)
    load("matplotlib")


def check_writable(folder: Path) -> None:
    """Make a folder and write into it. Raises `OSError` that names it when that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
