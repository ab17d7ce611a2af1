"""Find when an action happens in long recordings, from one clip of another person, and measure how well that works.

    python examples/find_moments.py                          the shipped recordings, five parts each
    python examples/find_moments.py RECORDINGS --annotations ANNOTATIONS.csv --windows 90:15 --windows 180:30
    python examples/find_moments.py UTDMHAD.npz --windows 60:15

Windows of all recordings go into a gallery named `recordings`. Each annotation is then a query: it is searched for in
the recordings of other people, and each moment found is compared with the annotations of the same label there. The
overlap of two is the intersection of their times over the union.

The true times come from one of three places:
- --annotations: a CSV file with recording, start_s, end_s, label (see `gfp add --help`).
- --parts N: the order of actions in each recording. Recordings with the same label hold the same N actions one after
  another, as those of precog do, but nobody noted when each begins. The recording is cut into N parts of equal length.
  This is rough, because people do not spend the same share of their time on an action. Only recordings of the same
  label are searched, because the label does not say which actions other recordings hold.
- neither option: the clips are joined. All clips of one person, in random order, make one recording.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from jaxtyping import Float32
from rich.console import Console
from rich.progress import track
from rich.table import Table
from serving import serving

from gfp_serve.cli.options import Command
from gfp_serve.client import Client, ClipItem, Moment
from gfp_serve.config import DEFAULT_BUNDLE
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.extras import load
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.formats import Clip, NamedFile, find_named_files, read_clips
from gfp_serve.formats import annotations as annotation_files
from gfp_serve.formats.annotations import Annotation, label_of
from gfp_serve.items import Source
from gfp_serve.layouts import Layout
from gfp_serve.preprocess import CleanConfig, clean
from gfp_serve.windows import WindowCutter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLIPS = Path(__file__).parent / "clips" / "precog.npz"
GALLERY = "recordings"
TOP_K = 5
OVERLAPS = (0.3, 0.5)

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, eq=False)
class Recording:
    """A long recording, and the times of the actions in it."""

    name: str
    subject: str
    sequence: Float32[np.ndarray, "frames bodies joints 3"]
    layout: Layout
    fps: float
    annotations: list[Annotation]
    order: str = ""  # answers can be checked only in recordings with the same order of actions


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found for one annotation: each moment's overlap with an annotation of the same label, nearest first."""

    label: str
    overlaps: list[float]
    by_chance: list[float] = field(default_factory=list)  # the same for windows drawn at random


@click.command(cls=Command, help=__doc__)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--annotations", "annotations_file", type=click.Path(path_type=Path), help="CSV file with the true times."
)
@click.option(
    "--parts", type=click.IntRange(min=2), help="Number of actions in each recording, in an order that its label names."
)
@click.option("--windows", multiple=True, default=["60:15"], show_default=True, help="LENGTH:STRIDE in frames.")
@click.option("--address", help="A server that runs already. [default: one is started, with an empty gallery]")
@click.option(
    "--draw", default="", metavar="RECORDING", help="The recording that the picture shows. [default: the first]"
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/moments.png"), show_default=True)
@click.option(
    "--seed", default=0, show_default=True, help="Seed for the order of joined clips and for the random windows."
)
def main(
    files: Sequence[Path],
    annotations_file: Path | None,
    parts: int | None,
    windows: Sequence[str],
    address: str | None,
    draw: str,
    out: Path,
    seed: int,
) -> None:
    load("matplotlib")  # a missing matplotlib shows before the long search, not after it
    draws = random.Random(seed)
    if not files:
        files, parts = [CLIPS], parts or 5
    annotations = None if annotations_file is None else annotation_files.read(annotations_file)
    recordings = [
        recording for file in find_named_files(files) for recording in recordings_of(file, annotations, parts, draws)
    ]
    shown = next((each for each in recordings if each.name == draw), recordings[0])
    with ExitStack() as stack:
        client = stack.enter_context(Client(address or stack.enter_context(serving(DEFAULT_BUNDLE))))
        client.create_gallery(GALLERY)
        stack.callback(client.drop_gallery, GALLERY)
        sources = fill(client, recordings, [tuple(map(int, each.split(":"))) for each in windows])
        answers = ask(client, recordings, sources, draws)
        report(answers)
        figure = draw_timeline(shown, find_in(client, shown, recordings))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    console.print(f"Picture of {shown.name}: {out}")


def recordings_of(
    file: NamedFile, annotations: dict[str, list[Annotation]] | None, parts: int | None, draws: random.Random
) -> Iterator[Recording]:
    """Read the recordings of a file with their true times; see the top of this file."""
    if annotations is None and parts is None:
        yield from joined(file, draws)
        return
    for clip in read_clips(file.path):
        name = file.name_of(clip.name)
        length_s = len(clip.sequence) / clip.fps
        known = (annotations or {}).get(name, [])
        if parts is not None:
            ends = np.linspace(0, length_s, parts + 1).tolist()
            labels = [f"{clip.label}, part {number}" for number in range(1, parts + 1)]
            known = [Annotation(*each) for each in zip(ends[:-1], ends[1:], labels, strict=True)]
        order = "" if parts is None else clip.label or ""
        yield Recording(name, clip.subject, clip.sequence, clip.layout, clip.fps, known, order)


def joined(file: NamedFile, draws: random.Random) -> Iterator[Recording]:
    """Join all labelled clips of each person and camera to one recording."""
    by_person: dict[tuple[str, int], list[Clip]] = defaultdict(list)
    for clip in read_clips(file.path):
        if clip.label is not None and is_usable(clip.sequence, clip.layout):
            by_person[clip.subject, clip.camera].append(clip)
    for (subject, camera), clips in by_person.items():
        draws.shuffle(clips)
        ends = np.cumsum([0, *(len(clip.sequence) for clip in clips)]) / clips[0].fps
        bodies = max(clip.sequence.shape[1] for clip in clips)
        nobody = [(0, 0), (0, bodies), (0, 0), (0, 0)]
        yield Recording(
            file.name_of(f"{subject}-{camera}"),
            subject,
            np.concatenate(
                [np.pad(clip.sequence, nobody, constant_values=np.nan)[:, :bodies] for clip in clips], dtype=np.float32
            ),
            clips[0].layout,
            clips[0].fps,
            [
                Annotation(start_s, end_s, clip.label or "")
                for start_s, end_s, clip in zip(ends[:-1].tolist(), ends[1:].tolist(), clips, strict=True)
            ],
        )


def fill(
    client: Client, recordings: Sequence[Recording], windows: Sequence[tuple[int, ...]]
) -> dict[str, list[Source]]:
    """Add the windows of all recordings; return each recording's windows as times."""
    sources = defaultdict(list)
    for recording in track(recordings, description="windows", console=console, transient=True):
        items = []
        for length, stride in windows:
            for window in WindowCutter(length, stride).add(recording.sequence):
                if not is_usable(window.sequence, recording.layout):
                    continue
                first, end = window.first_frame, window.first_frame + length
                source = Source(recording.name, first / recording.fps, end / recording.fps)
                items.append(
                    ClipItem(
                        f"{recording.name}@{first}-{end}",
                        window.sequence,
                        label_of(recording.annotations, source.start_s, source.end_s) or "",
                        {"subject": recording.subject, "recording": recording.name, "order": recording.order},
                        recording.layout.name,
                        source,
                    )
                )
                sources[recording.name].append(source)
        client.upsert(items, gallery=GALLERY)
    num_windows = sum(map(len, sources.values()))
    minutes = sum(len(each.sequence) / each.fps for each in recordings) / 60
    console.print(f"{num_windows} windows of {len(recordings)} recordings, {minutes:.0f} minutes, are in the gallery.")
    return sources


def ask(
    client: Client, recordings: Sequence[Recording], sources: dict[str, list[Source]], draws: random.Random
) -> list[Answer]:
    """Search for every annotation in those recordings of other people that have its label."""
    truth = {recording.name: recording.annotations for recording in recordings}
    subjects_by_label = defaultdict(set)
    for recording in recordings:
        for annotation in recording.annotations:
            subjects_by_label[annotation.label].add(recording.subject)
    answers = []
    for recording in track(recordings, description="ask", console=console, transient=True):
        asking = [s for s in recording.annotations if len(subjects_by_label[s.label]) > 1 and is_query(recording, s)]
        others = [
            source
            for other in recordings
            if other.subject != recording.subject and other.order == recording.order
            for source in sources[other.name]
        ]
        found = client.search_moments(
            [frames_of(recording, annotation) for annotation in asking],
            TOP_K,
            recording.layout.name,
            gallery=GALLERY,
            where=Filter(
                must=(AnyOf("order", (recording.order,)),), must_not=(AnyOf("subject", (recording.subject,)),)
            ),
        )
        for annotation, moments in zip(asking, found, strict=True):
            places = [moment.source for moment in moments if moment.source]
            answers.append(
                Answer(
                    annotation.label,
                    [overlap(place, truth, annotation.label) for place in places],
                    [
                        overlap(place, truth, annotation.label)
                        for place in draws.sample(others, min(TOP_K, len(others)))
                    ],
                )
            )
    return answers


def overlap(place: Source, truth: dict[str, list[Annotation]], label: str) -> float:
    """Return the largest overlap with an annotation of this label in its recording: intersection over union."""
    most = 0.0
    for annotation in truth[place.recording]:
        if annotation.label == label:
            both = min(annotation.end_s, place.end_s) - max(annotation.start_s, place.start_s)
            either = annotation.end_s - annotation.start_s + place.end_s - place.start_s - both
            most = max(most, both / either)
    return most


def report(answers: Sequence[Answer]) -> None:
    by_label: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_label[answer.label].append(answer)
    heads = [f"@{k}, {least}" for least in OVERLAPS for k in (1, TOP_K)]
    table = Table(
        *("label", "queries", *heads, "median overlap"),
        title="Queries with a true moment among the first k, by the least overlap that counts (@k, overlap), in %",
    )
    for label in sorted(by_label):
        table.add_row(*row_of(label, [answer.overlaps for answer in by_label[label]]))
    table.add_section()
    table.add_row(*row_of("all", [answer.overlaps for answer in answers]), style="bold")
    table.add_row(*row_of("windows drawn at random", [answer.by_chance for answer in answers]), style="dim")
    console.print(table)


def row_of(name: str, overlaps: Sequence[Sequence[float]]) -> list[str]:
    shares = [
        np.mean([any(each >= least for each in one[:k]) for one in overlaps]) for least in OVERLAPS for k in (1, TOP_K)
    ]
    median = np.median([one[0] if one else 0.0 for one in overlaps])
    return [name, str(len(overlaps)), *(f"{100 * share:.1f}" for share in shares), f"{median:.2f}"]


def find_in(client: Client, recording: Recording, recordings: Sequence[Recording]) -> dict[str, list[Moment]]:
    """For each label of a recording, find as many moments as it has annotations, nearest to other people's clips."""
    found = {}
    labels = [annotation.label for annotation in recording.annotations]
    for label in dict.fromkeys(labels):
        queries = [
            frames_of(other, annotation)
            for other in recordings
            for annotation in other.annotations
            if other.subject != recording.subject and annotation.label == label and is_query(other, annotation)
        ]
        here = Filter(must=(AnyOf("recording", (recording.name,)),))
        most = labels.count(label)
        answers = client.search_moments(queries, most, recording.layout.name, gallery=GALLERY, where=here)
        kept: list[Moment] = []
        for moment in sorted((each for moments in answers for each in moments), key=lambda each: -each.similarity):
            if len(kept) < most and not any(meet(moment.source, other.source) for other in kept):
                kept.append(moment)
        found[label] = kept
    return found


def meet(one: Source | None, other: Source | None) -> bool:
    return one is not None and other is not None and one.start_s < other.end_s and other.start_s < one.end_s


def draw_timeline(recording: Recording, found: dict[str, list[Moment]]) -> "Figure":
    """Draw a row for each label: its annotations above, in full colour, and the moments found for it below, framed."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(annotation.label for annotation in recording.annotations))
    length_s = len(recording.sequence) / recording.fps
    figure = Figure(figsize=(min(24.0, 9 + length_s / 20), 1.2 + 0.36 * len(labels)), layout="constrained")
    axes = figure.subplots()
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    for row, label in enumerate(labels):
        colour = colours[2 * row % 20]
        true = [(each.start_s, each.end_s - each.start_s) for each in recording.annotations if each.label == label]
        axes.broken_barh(true, (row - 0.4, 0.4), color=colour, edgecolor="white", linewidth=0.8)
        for moment in found.get(label, []):
            if moment.source:
                span = (moment.source.start_s, moment.source.end_s - moment.source.start_s)
                axes.broken_barh([span], (row + 0.03, 0.3), facecolor=colour, alpha=0.45, edgecolor="black")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, length_s)
    axes.set_xlabel("seconds")
    axes.set_title(
        f"{recording.name}: annotations (full colour), and below them what other people's clips find (framed)",
        fontsize=9,
        loc="left",
    )
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    return figure


def frames_of(recording: Recording, annotation: Annotation) -> Float32[np.ndarray, "frames bodies joints 3"]:
    return recording.sequence[round(annotation.start_s * recording.fps) : round(annotation.end_s * recording.fps)]


def is_query(recording: Recording, annotation: Annotation) -> bool:
    return is_usable(frames_of(recording, annotation), recording.layout)


def is_usable(sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout) -> bool:
    try:
        clean(sequence, layout, CleanConfig())
    except InvalidSkeletonError:
        return False
    return True


if __name__ == "__main__":
    main()
