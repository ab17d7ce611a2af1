"""The command `gfp`: ask a running server, and keep its galleries. Parse, call the library, print."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from jaxtyping import Float32
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from gfp_serve import __version__
from gfp_serve.cli.arguments import (
    SPLITS,
    Connect,
    in_gallery,
    reads_clips,
    searches,
    talks_to_server,
)
from gfp_serve.cli.gallery import gallery as gallery_commands
from gfp_serve.cli.options import Group
from gfp_serve.client import Classification, ClipItem, Moment
from gfp_serve.errors import DamagedFileError, InvalidRequestError, InvalidSkeletonError
from gfp_serve.formats import Clip, find_files, read_clips
from gfp_serve.formats import annotations as annotation_files
from gfp_serve.formats.annotations import Segment, label_of
from gfp_serve.items import Neighbour, Source
from gfp_serve.neighbour_page import MAX_NEIGHBOURS, MAX_QUERIES, NeighbourPage
from gfp_serve.preprocess import MODEL_LAYOUT, CleanConfig, clean, fill_gaps
from gfp_serve.skeleton import LAYOUTS, map_joints
from gfp_serve.windows import WindowCutter

# Clips that are sent together: few enough for the progress bar to move.
_CLIPS_AT_ONCE = 32

T = TypeVar("T")


@click.group(cls=Group)
@click.version_option(__version__, message="%(version)s")
def gfp() -> None:
    """Embed recordings, find the actions nearest to them, and keep the gallery, through a running gfp-serve.

    A FILE is a recording (.npz clip file, NTU .skeleton) or a folder of recordings.
    """


gfp.add_command(gallery_commands)


@gfp.command()
@reads_clips
@click.option("--out", type=click.Path(path_type=Path), help="Write the vectors: .npy, or .npz with names and labels.")
@talks_to_server
def embed(files: Sequence[Path], split: str, out: Path | None, connect: Connect, as_json: bool) -> None:
    """Embed every clip of recordings as a unit vector."""
    if out is not None and out.suffix not in (".npy", ".npz"):
        raise click.BadParameter(f"{out} must end in .npy or .npz.", param_hint="--out")
    answers = _Answers(("clip", "label", "frames", "bodies", "embedding"), as_json)
    names, labels, vectors = [], [], []
    with connect() as client:

        def ask(batch: list[_Taken]) -> Iterable[np.ndarray]:
            return client.embed(_sequences(batch), batch[0].layout)

        for taken, vector in _answered(files, split, ask):
            names.append(taken.name)
            labels.append(taken.clip.label or "")
            vectors.append(vector)
            shown = " ".join(f"{component:+.3f}" for component in vector[:3])
            answers.add(
                {"clip": taken.name, "label": taken.clip.label, "embedding": vector.tolist()},
                [(taken.name, labels[-1], *map(str, taken.clip.sequence.shape[:2]), f"{shown} …")],
            )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".npy":
            np.save(out, np.stack(vectors))
        else:
            np.savez(out, embeddings=np.stack(vectors), names=np.array(names), labels=np.array(labels))
    answers.show()


@gfp.command()
@reads_clips
@click.option("--top-k", default=5, show_default=True, help="Neighbours of each clip.")
@click.option("--moments", is_flag=True, help="Find moments of recordings, of windows (see gfp add) that overlap.")
@click.option(
    "--html",
    metavar="PAGE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a web page that shows clips and what is nearest to them as moving skeletons, side by side: the "
    f"first {MAX_QUERIES} clips, and at most {MAX_NEIGHBOURS} neighbours of each. It is one file that loads nothing.",
)
@click.option(
    "--recordings",
    metavar="FILE_OR_FOLDER",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Where --html finds the motion of neighbours, which the server does not keep: the recordings that were added, "
    "if they are not among FILE. May be given several times.",
)
@searches
@talks_to_server
def search(
    files: Sequence[Path],
    split: str,
    top_k: int,
    moments: bool,
    html: Path | None,
    recordings: Sequence[Path],
    connect: Connect,
    as_json: bool,
    **scope: Any,
) -> None:
    """Find the items of the gallery that are nearest to each clip, or with --moments when in recordings it happens."""
    if html is not None and html.suffix not in (".html", ".htm"):
        raise click.BadParameter(f"{html} must end in .html.", param_hint="--html")
    if recordings and html is None:
        raise click.BadParameter(
            "only the page of --html shows recordings; add --html PAGE.html.", param_hint="--recordings"
        )
    page = NeighbourPage()
    find = _search_moments if moments else _search_items
    find(files, split, top_k, connect, as_json, scope, page)
    if html is not None:
        said = page.write(html, [*files, *recordings], partial(_skip, Console(stderr=True)))
        click.echo(_printable(said), err=as_json)


def _search_items(
    files: Sequence[Path],
    split: str,
    top_k: int,
    connect: Connect,
    as_json: bool,
    scope: Mapping[str, Any],
    page: NeighbourPage,
) -> None:
    answers = _Answers(("clip", "similarity", "label", "neighbour"), as_json)
    with connect() as client:

        def ask(batch: list[_Taken]) -> list[list[Neighbour]]:
            return client.search(_sequences(batch), top_k, batch[0].layout, **scope)

        for taken, found in _answered(files, split, ask):
            page.add(taken.name, taken.clip, found)
            answers.add(
                {"clip": taken.name, "neighbours": _plain(found)},
                [
                    ("" if rank else taken.name, f"{neighbour.similarity:.3f}", neighbour.label, neighbour.id)
                    for rank, neighbour in enumerate(found)
                ],
            )
    answers.show()


def _plain(value: Any) -> Any:
    """What a client gave, as JSON has it."""
    if isinstance(value, Neighbour):
        return {name: _plain(of_it) for name, of_it in value._asdict().items()}
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _search_moments(
    files: Sequence[Path],
    split: str,
    top_k: int,
    connect: Connect,
    as_json: bool,
    scope: Mapping[str, Any],
    page: NeighbourPage,
) -> None:
    answers = _Answers(("clip", "similarity", "label", "from s", "to s", "recording"), as_json)
    with connect() as client:

        def ask(batch: list[_Taken]) -> list[list[Moment]]:
            return client.search_moments(_sequences(batch), top_k, batch[0].layout, **scope)

        for taken, found in _answered(files, split, ask):
            page.add(taken.name, taken.clip, found)
            answers.add(
                {"clip": taken.name, "moments": _plain(found)},
                [
                    ("" if rank else taken.name, f"{moment.similarity:.3f}", moment.label, *_when(moment))
                    for rank, moment in enumerate(found)
                ],
            )
    answers.show()


def _when(moment: Moment) -> tuple[str, str, str]:
    """Begin, end and name of the recording; of an item without a source, its id."""
    source = moment.source
    if source is None:
        return "", "", moment.ids[0]
    if source.start_s == source.end_s == 0:
        return "", "", source.recording
    return f"{source.start_s:.2f}", f"{source.end_s:.2f}", source.recording


@gfp.command()
@reads_clips
@click.option("--num-neighbours", default=5, show_default=True, help="Nearest items that vote.")
@click.option(
    "--weighting",
    type=click.Choice(["similarity", "uniform"]),
    default="similarity",
    show_default=True,
    help="Whether nearer items have more votes.",
)
@click.option("--temperature", default=0.07, show_default=True, help="The smaller, the more the nearest item counts.")
@click.option("--unknown-below", type=float, help="Say unknown when no voter is at least this similar (-1 to 1).")
@click.option("--balanced", is_flag=True, help="Divide each vote by the number of items that its class has.")
@searches
@talks_to_server
def classify(files: Sequence[Path], split: str, connect: Connect, as_json: bool, **how: Any) -> None:
    """Name the action of each clip by the vote of its nearest items."""
    answers = _Answers(("clip", "class", "score", "runner-up", "score"), as_json)
    num_right = num_labelled = 0
    with connect() as client:

        def ask(batch: list[_Taken]) -> list[Classification]:
            return client.classify(_sequences(batch), layout=batch[0].layout, **how)

        for taken, result in _answered(files, split, ask):
            best = [(each.label, f"{each.score:.2f}") for each in result.scores[:2]]
            first, second = (*best, ("", ""), ("", ""))[:2]
            answers.add(
                {"clip": taken.name, "true_label": taken.clip.label, **_plain(result)},
                [(taken.name, "unknown" if result.label is None else first[0], first[1], *second)],
            )
            num_labelled += taken.clip.label is not None
            num_right += taken.clip.label is not None and taken.clip.label == result.label
    note = f"{num_right} of {num_labelled} labelled clips were named as their recordings do." if num_labelled else ""
    answers.show(note)


class _Windows(click.ParamType[tuple[int, int]]):
    """LENGTH:STRIDE, both in frames."""

    name = "LENGTH:STRIDE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", value)
        if found is None or min(int(found[1]), int(found[2])) < 1:
            self.fail(f"{value} must be frames of a window, ':' and frames from one to the next: 120:30.", param, ctx)
        return int(found[1]), int(found[2])


@gfp.command()
@reads_clips
@click.option(
    "--windows",
    type=_Windows(),
    multiple=True,
    help="Cut long recordings: add windows of so many frames, one every so many, instead of whole clips. The last "
    "frames of a clip that fill no window are left out. Best are windows about as long as what will be looked for; "
    "give the option several times for several lengths.",
)
@click.option(
    "--segments",
    "segments_file",
    type=click.Path(path_type=Path),
    help="CSV file with lines `recording,start_s,end_s,label`, recordings as FILE/CLIP: a window gets the label of "
    "the segment that covers half of it or more, instead of the clip's.",
)
@in_gallery
@talks_to_server
def add(
    files: Sequence[Path],
    split: str,
    windows: Sequence[tuple[int, int]],
    segments_file: Path | None,
    gallery: str,
    connect: Connect,
    as_json: bool,
) -> None:
    """Add every clip to the gallery, under the id FILE/CLIP; an item with that id is replaced.

    A window's id is FILE/CLIP@FIRST-END, by its first frame and the frame after its last, counted from 0.
    """
    if segments_file is not None and not windows:
        raise click.BadParameter("segments label windows; say how to cut them with --windows.", param_hint="--segments")
    segments = annotation_files.read(segments_file) if segments_file else {}
    unknown = set(segments)
    answers = _Answers(("clip", "label"), as_json)
    generation = 0
    with connect() as client:

        def ask(batch: list[_Taken]) -> list[int]:
            return [client.upsert([_item(taken) for taken in batch], gallery=gallery)] * len(batch)

        cut = _Cut(windows, segments) if windows else None
        for taken, generation in _answered(files, split, ask, cut):  # noqa: B007  (the last one is shown)
            unknown -= {taken.source.recording} if taken.source else set()
            answers.add({"id": taken.name, "label": taken.clip.label}, [(taken.name, taken.clip.label or "")])
    if unknown:
        names = f"{min(unknown)!r} and {len(unknown) - 1} others"
        _skip(Console(stderr=True), f"{segments_file} names recordings of which no window was added: {names}.")
    answers.show(f"{answers.count} items were added; the gallery is at generation {generation}.", table=False)


@gfp.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@in_gallery
@talks_to_server
def remove(ids: Sequence[str], gallery: str, connect: Connect, as_json: bool) -> None:
    """Remove items from the gallery by id."""
    with connect() as client:
        num_removed = client.delete(list(ids), gallery=gallery)
    click.echo(json.dumps({"removed": num_removed}) if as_json else f"{num_removed} of {len(ids)} were there.")


@gfp.command()
@talks_to_server
def info(connect: Connect, as_json: bool) -> None:
    """Say what the server is: encoder, device, gallery, limits."""
    with connect() as client:
        values = dataclasses.asdict(client.info())
    if as_json:
        click.echo(json.dumps(values))
        return
    table = Table("name", Column("value", overflow="fold"), show_header=False, box=None)
    for name, value in values.items():
        pairs = (
            [f"{key} {inner:g}" if isinstance(inner, float) else f"{key} {inner}" for key, inner in value.items()]
            if isinstance(value, dict)
            else None
        )
        table.add_row(name, ", ".join(pairs or value) if pairs or isinstance(value, tuple) else str(value))
    Console().print(table)


@gfp.command()
@click.option("--service", default="", help="Ask about one service, e.g. gfp_serve.v1.EmbeddingService.")
@talks_to_server
@click.pass_context
def health(context: click.Context, service: str, connect: Connect, as_json: bool) -> None:
    """Exit with 0 if the server takes calls now, else with 1."""
    with connect() as client:
        serving = client.health(service)
    click.echo(json.dumps({"serving": serving}) if as_json else "serving" if serving else "not serving")
    context.exit(0 if serving else 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """A clip as it is sent: `sequence` is in `layout`, one that the server knows."""

    name: str
    file: Path
    clip: Clip
    sequence: Float32[np.ndarray, "frames bodies joints 3"]
    layout: str
    source: Source | None = None
    num_new_bytes: float = 0.0  # of the recording, which the clips before it did not hold


@dataclass(frozen=True, slots=True)
class _Cut:
    """How recordings are cut into windows, and the segments that label these, by FILE/CLIP."""

    windows: Sequence[tuple[int, int]]  # length and stride
    segments: Mapping[str, Sequence[Segment]]


def _sequences(batch: Sequence[_Taken]) -> list[np.ndarray]:
    return [taken.sequence for taken in batch]


def _item(taken: _Taken) -> ClipItem:
    clip = taken.clip
    attributes: dict[str, str | float | bool | list[str]] = {"subject": clip.subject, "camera": clip.camera}
    if clip.description:
        attributes["description"] = clip.description
    return ClipItem(taken.name, taken.sequence, clip.label or "", attributes, taken.layout, taken.source)


def _answered(
    files: Iterable[Path], split: str, ask: Callable[[list[_Taken]], Iterable[T]], cut: _Cut | None = None
) -> Iterator[tuple[_Taken, T]]:
    """The usable clips, each with its answer; `ask` gets batches of one layout. The rest is named on standard error.

    With `cut`, windows of the clips.

    Raises `click.ClickException` when there is none at all.
    """
    found = [file for path in files for file in find_files(path)]
    console = Console(stderr=True)
    num_taken = 0
    with _progress(console) as progress:
        task = progress.add_task("clips", total=sum(file.stat().st_size for file in found))
        for file in found:
            left_bytes = float(file.stat().st_size)
            for _, same in groupby(_usable(file, split, cut, console), key=lambda each: each.layout):
                while batch := list(islice(same, _CLIPS_AT_ONCE)):
                    for answered in _ask(batch, ask, console):
                        yield answered
                        num_taken += 1
                    # How many clips a file holds is not known before its end, so that its bytes are a guess until then.
                    done = min(left_bytes, sum(taken.num_new_bytes for taken in batch))
                    left_bytes -= done
                    progress.advance(task, done)
            progress.advance(task, left_bytes)
    if num_taken == 0:
        chosen = "" if split == "all" else f" of the {split} split"
        raise click.ClickException(f"no usable clip{chosen} was found in {len(found)} recordings.")


def _usable(file: Path, split: str, cut: _Cut | None, console: Console) -> Iterator[_Taken]:
    """The clips of a file one by one, which may be larger than memory; damage is named, and ends it."""
    try:
        for clip in read_clips(file):
            if split != "all" and clip.split != SPLITS[split]:
                continue
            if cut is not None:
                yield from _take_windows(file, clip, cut, console)
                continue
            try:
                yield _take(file, clip)
            except InvalidSkeletonError as error:
                _skip(console, f"{file}, clip {clip.name!r}: {error}")
    except DamagedFileError as error:
        _skip(console, str(error))


def _take_windows(file: Path, clip: Clip, cut: _Cut, console: Console) -> Iterator[_Taken]:
    """The windows of a clip; those that cannot be used are named together."""
    recording = f"{file.stem}/{clip.name}"
    segments = cut.segments.get(recording)
    num_windows, problems = 0, []
    for length, stride in cut.windows:
        num_new_bytes = clip.sequence.nbytes * min(1.0, stride / len(clip.sequence)) / len(cut.windows)
        if len(clip.sequence) < length:
            fewer = f"it has {len(clip.sequence)} frames, fewer than a window of {length}."
            _skip(console, f"{file}, clip {clip.name!r}: {fewer}")
        for window in WindowCutter(length, stride).add(clip.sequence):
            end = window.first_frame + length
            source = Source(recording, window.first_frame / clip.fps, end / clip.fps)
            label = clip.label if segments is None else label_of(segments, source.start_s, source.end_s)
            name = f"{clip.name}@{window.first_frame}-{end}"
            num_windows += 1
            try:
                part = dataclasses.replace(clip, name=name, sequence=window.sequence, label=label)
                yield dataclasses.replace(_take(file, part), source=source, num_new_bytes=num_new_bytes)
            except InvalidSkeletonError as error:
                problems.append(f"{name!r}: {error}")
    if problems:
        some = f"{len(problems)} of {num_windows} windows, the first"
        _skip(console, f"{file}, clip {clip.name!r}: {some} {problems[0]}")


def _ask(
    batch: list[_Taken], ask: Callable[[list[_Taken]], Iterable[T]], console: Console
) -> Iterator[tuple[_Taken, T]]:
    """The clips of a batch with their answers; one that the server refuses does not take its neighbours along."""
    try:
        answers = list(ask(batch))
    except (InvalidRequestError, InvalidSkeletonError) as error:
        if len(batch) > 1:
            for taken in batch:
                yield from _ask([taken], ask, console)
            return
        if error.field and not re.match(r"\w+\[", error.field):
            raise  # about an option, and the same for every clip
        reason = re.sub(r"^\w+\[0\](\.\w+)?:? *", "", str(error))
        _skip(console, f"{batch[0].file}, clip {batch[0].clip.name!r}: {reason}")
        return
    yield from zip(batch, answers, strict=True)


def _take(file: Path, clip: Clip) -> _Taken:
    # What the server would refuse is found here, so that one bad clip does not fail a whole request.
    clean(clip.sequence, clip.layout, CleanConfig())
    sequence, layout = clip.sequence, clip.layout
    if LAYOUTS.get(layout.name) != layout:
        sequence, layout = map_joints(fill_gaps(sequence), layout, MODEL_LAYOUT), MODEL_LAYOUT
    name = f"{file.stem}/{clip.name}"
    return _Taken(name, file, clip, sequence, layout.name, num_new_bytes=float(clip.sequence.nbytes))


def _skip(console: Console, problem: str) -> None:
    console.print(f"skipped: {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _printable(text: str) -> str:
    """The text with escapes for bytes of a file's name that are not UTF-8, which standard output would not take."""
    return text.encode(errors="backslashreplace").decode()


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %, ETA"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@dataclass
class _Answers:
    """What a command found, one clip after another: JSON lines at once, or a table at the end."""

    columns: Sequence[str]
    as_json: bool
    count: int = 0
    _rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, values: dict[str, Any], rows: Iterable[Sequence[str]]) -> None:
        self.count += 1
        if self.as_json:
            click.echo(json.dumps(values))
        else:
            self._rows.extend(rows)

    def show(self, note: str = "", *, table: bool = True) -> None:
        if self.as_json:
            return
        if table:
            drawn = Table(*self.columns, box=None)
            for row in self._rows:
                # As Text, because brackets in a label or a name are no markup.
                drawn.add_row(*(Text(_printable(cell)) for cell in row))
            Console().print(drawn)
        if note:
            click.echo(note)
