"""The clips that a command goes through: its options for them, its progress, and what it left out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from gfp_serve.cli.notes import noting
from gfp_serve.cli.options import options_from, with_options_of
from gfp_serve.cli.progress import progress, warn
from gfp_serve.cli.reading import joint_map_option, label_from_option, say_how_files_were_read
from gfp_serve.client import Client
from gfp_serve.client.recordings import CLIPS_PER_REQUEST, RecordedClip, Recordings, WindowPlan
from gfp_serve.conventions import Conventions
from gfp_serve.formats import TEST_SPLIT, TRAIN_SPLIT
from gfp_serve.joint_map import JointMap
from gfp_serve.printable import printable

_SPLITS = {"all": None, "train": TRAIN_SPLIT, "test": TEST_SPLIT}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClipChoice:
    """Which clips a command goes through, as its options say."""

    files: Sequence[Path]  # or folders
    split: str
    label_from: str | None
    conventions: Conventions = Conventions()  # noqa: RUF009  (it cannot be changed)
    joint_map: JointMap | None = None


def reads_clips(command: Callable[..., None]) -> Callable[..., None]:
    """The recordings that a command goes through: it is called with `clips=`, a `ClipChoice`."""

    @with_options_of(command)
    def call(
        files: Sequence[Path],
        split: str,
        label_from: str | None,
        conventions: Conventions,
        joint_map: JointMap | None,
        **given: Any,
    ) -> None:
        command(clips=ClipChoice(files, split, label_from, conventions, joint_map), **given)

    split = click.option(
        "--split",
        type=click.Choice(list(_SPLITS)),
        default="all",
        show_default=True,
        help="Use only clips on this side of the recordings' own split.",
    )
    files = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
    return files(split(label_from_option(options_from(Conventions, into="conventions")(joint_map_option(call)))))


def answered_clips(
    client: Client,
    clips: ClipChoice,
    send: Callable[[list[RecordedClip]], Iterable[T]],
    windows: WindowPlan | None = None,
) -> Iterator[tuple[RecordedClip, T]]:
    """Each clip of the recordings with the server's answer to it; see `Recordings.answered`. `send` uses the client.

    Shows a progress bar, and says what is left out and how files were read. Raises `click.ClickException` when nothing
    could be used.
    """
    recordings = Recordings(
        clips.files,
        split=_SPLITS[clips.split],
        label_from=clips.label_from,
        conventions=clips.conventions,
        joint_map=clips.joint_map,
        report=skipped,
    )
    clips_per_request = min(CLIPS_PER_REQUEST, client.info().limits.max_sequences)
    num_used = 0
    with progress() as bars:
        bar = bars.add("clips", "percent", total=recordings.num_bytes)
        for answered in recordings.answered(
            noting(send), windows, clips_per_request=clips_per_request, advance=bar.advance
        ):
            num_used += 1
            yield answered
    say_how_files_were_read(recordings.remarks, recordings.labels)
    if num_used == 0:
        chosen = "" if clips.split == "all" else f" of the {clips.split} split"
        where = recordings.files[0].path if len(recordings.files) == 1 else f"{len(recordings.files)} recordings"
        raise click.ClickException(printable(f"no usable clip{chosen} was found in {where}."))


def skipped(problem: str) -> None:
    """Say what is left out, and why."""
    warn(f"skipped: {problem}")
