"""The command `gfp`: what a user asks of a running server. Its other commands are in `add` and `gallery`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from gfp_serve.cli.add import add, remove
from gfp_serve.cli.arguments import PATH, Connect, searches, talks_to_server, votes
from gfp_serve.cli.clips import ClipChoice, answered_clips, reads_clips, skipped
from gfp_serve.cli.gallery import gallery
from gfp_serve.cli.get import get
from gfp_serve.cli.hints import NOTHING_FOUND, SearchHint
from gfp_serve.cli.movements import compare_command, count
from gfp_serve.cli.options import Group, html_option, version_option
from gfp_serve.cli.printing import Listing, plain, print_facts, print_json, print_result, say
from gfp_serve.cli.progress import warn
from gfp_serve.client import Classification, Client, Moment
from gfp_serve.client.recordings import RecordedClip
from gfp_serve.errors import ItemNotFoundError
from gfp_serve.extras import load
from gfp_serve.files import written_whole
from gfp_serve.items import DEFAULT_TOP_K, Neighbour
from gfp_serve.kept_motion import KeptMotion
from gfp_serve.neighbour_page import MAX_NEIGHBOURS, MAX_QUERIES, NeighbourPage, WrittenPage


@click.group(cls=Group)
@version_option
def gfp() -> None:
    """Embed recordings, find the actions nearest to them, and keep galleries, through a running gfp-serve.

    A FILE is a recording (such as a .npz clip file, an NTU .skeleton file or a video) or a folder of recordings. All
    formats that are read are named by `gfp add --help`.
    """


for each in (add, get, remove, compare_command, count, gallery):
    gfp.add_command(each)


@gfp.command()
@reads_clips
@click.option("--out", type=PATH, help="Write the vectors: .npy, or .npz with names and labels.")
@talks_to_server
def embed(clips: ClipChoice, out: Path | None, connect: Connect, as_json: bool) -> None:
    """Embed every clip of recordings as a unit vector."""
    if out is not None and out.suffix not in (".npy", ".npz"):
        raise click.BadParameter(f"{out} must end in .npy or .npz.", param_hint="--out")
    answers = Listing(("clip", "label", "frames", "bodies", "embedding"), as_json)
    names, labels, vectors = [], [], []
    with connect() as client:

        def send(batch: list[RecordedClip]) -> Iterable[np.ndarray]:
            return client.embed(_sequences(batch), batch[0].layout)

        for recorded, vector in answered_clips(client, clips, send):
            clip = recorded.clip
            names.append(recorded.id)
            labels.append(clip.label or "")
            vectors.append(vector)
            shown = " ".join(f"{component:+.3f}" for component in vector[:3])
            answers.add(
                {"clip": recorded.id, "label": clip.label, "embedding": vector.tolist()},
                [(recorded.id, labels[-1], *map(str, clip.sequence.shape[:2]), f"{shown} …")],
            )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(out) as file:
            if out.suffix == ".npy":
                np.save(file, np.stack(vectors))
            else:
                np.savez(file, embeddings=np.stack(vectors), names=np.array(names), labels=np.array(labels))
    answers.print_table()


@gfp.command()
@reads_clips
@click.option("--top-k", default=DEFAULT_TOP_K, show_default=True, help="How many neighbours to find for each clip.")
@click.option(
    "--moments",
    is_flag=True,
    help="Find moments of recordings instead: windows (see gfp add) that overlap become one moment.",
)
@html_option(
    f"clips and what is nearest to them as moving skeletons, side by side: the first {MAX_QUERIES} clips, and at most "
    f"{MAX_NEIGHBOURS} neighbours of each."
)
@click.option(
    "--recordings",
    metavar="FILE_OR_FOLDER",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Where --html finds the motion of neighbours: the recordings that were added, if they are not among FILE. "
    "Without them it shows the small copies that the gallery keeps. May be given several times.",
)
@click.option(
    "--rerun",
    metavar="FILE.rrd",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write what --html shows as a recording of Rerun, a viewer for data over time; needs the extra 'rerun'.",
)
@searches
@talks_to_server
def search(
    clips: ClipChoice,
    top_k: int,
    moments: bool,
    html: Path | None,
    recordings: Sequence[Path],
    rerun: Path | None,
    connect: Connect,
    as_json: bool,
    **scope: Any,
) -> None:
    """Find the items, or moments of recordings, nearest to each clip."""
    if rerun is not None:
        if rerun.suffix != ".rrd":
            raise click.BadParameter(f"{rerun} must end in .rrd.", param_hint="--rerun")
        load("rerun")  # before anything is embedded
    if recordings and html is None and rerun is None:
        raise click.BadParameter(
            "only --html and --rerun show recordings; add --html PAGE.html.", param_hint="--recordings"
        )
    key = "moments" if moments else "neighbours"
    columns = ("from s", "to s", "recording") if moments else ("neighbour",)
    page = NeighbourPage()
    answers = Listing(("clip", "similarity", "label", *columns), as_json)
    hint = SearchHint(scope["where"], scope["gallery"])
    with connect() as client:
        find = client.search_moments if moments else client.search

        def send(batch: list[RecordedClip]) -> Sequence[Sequence[Neighbour | Moment]]:
            return find(_sequences(batch), top_k, batch[0].layout, **scope)

        for recorded, found in answered_clips(client, clips, send):
            page.add(recorded.id, recorded.clip, found)
            # The clip in each row, so that a row says everything when it is found by grep or sorted.
            rows = [(recorded.id, f"{answer.similarity:.3f}", answer.label, *_where(answer)) for answer in found]
            rows = rows or [(recorded.id, "", NOTHING_FOUND, *("" for _ in columns))]
            answers.add({"clip": recorded.id, key: plain(found)}, rows)
            hint.add(recorded, found)
        hint.show(client)
        answers.print_table()
        if html is not None or rerun is not None:
            written = page.write(
                *(html, recordings, skipped, clips.conventions, clips.joint_map),
                of_queries=clips.files,
                kept=lambda ids: _kept_motions(client, ids, scope["gallery"]),
                rerun=rerun,
            )
            for path in filter(None, (html, rerun)):
                say(_about_page(path, written), err=as_json)


def _kept_motions(client: Client, ids: Sequence[str], gallery: str) -> dict[str, KeptMotion]:
    """The copies that the gallery keeps of these items."""
    try:
        items = client.get(ids, gallery=gallery, with_motions=True)
    except ItemNotFoundError:  # somebody removed one a moment ago
        return {}
    return {item.id: item.motion for item in items if item.motion is not None}


def _where(answer: Neighbour | Moment) -> tuple[str, ...]:
    """The last columns of a neighbour, its id, or of a moment, its start, end and recording."""
    return (answer.id,) if isinstance(answer, Neighbour) else _when_and_where(answer)


def _about_page(path: Path, written: WrittenPage) -> str:
    shown = "1 query" if written.num_queries == 1 else f"{written.num_queries} queries"
    if written.num_shown < written.num_queries:
        shown = f"{written.num_shown} of {shown}"
    said = f"{path} shows {shown} and what is nearest ({path.stat().st_size / 1e3:.0f} kB)."
    if written.num_copies:
        said += f" {written.num_copies} of {written.num_neighbours} neighbours are the gallery's copies."
    if written.num_without_motion:
        said += (
            f" No recording was found for {written.num_without_motion} of {written.num_neighbours} neighbours: "
            f"use --recordings."
        )
    return said


def _when_and_where(moment: Moment) -> tuple[str, str, str]:
    """Start, end and name of the recording; for an item without a source, its id."""
    source = moment.source
    if source is None:
        return "", "", moment.ids[0]
    if source.start_s == source.end_s == 0:
        return "", "", source.recording
    return f"{source.start_s:.2f}", f"{source.end_s:.2f}", source.recording


@gfp.command()
@reads_clips
@votes
@click.option("--unknown-below", type=float, help="Say unknown when no voter is at least this similar (-1 to 1).")
@searches
@talks_to_server
def classify(clips: ClipChoice, connect: Connect, as_json: bool, **how: Any) -> None:
    """Name the action of each clip by vote of its nearest items.

    The truth is what the recording itself says, or --label-from. Where it is known, a last line has the accuracy.
    """
    answers = Listing(("clip", "truth", "class", "score", "runner-up", "score"), as_json)
    hint = SearchHint(how["where"], how["gallery"])
    num_right = num_labelled = num_own = 0
    with connect() as client:

        def send(batch: list[RecordedClip]) -> list[Classification]:
            return client.classify(_sequences(batch), layout=batch[0].layout, **how)

        for recorded, result in answered_clips(client, clips, send):
            label = recorded.clip.label
            best = [(each.label, f"{each.score:.2f}") for each in result.scores[:2]]
            first, second = (*best, ("", ""), ("", ""))[:2]
            answers.add(
                {"clip": recorded.id, "true_label": label, **plain(result)},
                [(recorded.id, label or "", "unknown" if result.label is None else first[0], first[1], *second)],
            )
            num_labelled += label is not None
            num_right += label is not None and label == result.label
            num_own += any(each.id == recorded.id for each in result.neighbours)
            hint.add(recorded, result.neighbours)
        hint.show(client)
    if num_own:
        warn(
            f"{num_own} of these clips are in the gallery themselves and voted for their own class. Leave them out by "
            "a condition, such as --where 'subject!=1'."
        )
    answers.print_table(_accuracy(num_right, num_labelled))


def _accuracy(num_right: int, num_labelled: int) -> str:
    if num_labelled == 0:
        return ""
    share = 100 * num_right / num_labelled
    return f"{num_right} of {num_labelled} labelled clips, {share:.1f} %, were named as their recordings do."


@gfp.command()
@talks_to_server
def info(connect: Connect, as_json: bool) -> None:
    """Say what the server is: encoder, device, gallery, limits."""
    with connect() as client:
        values = plain(client.info())
    if as_json:
        print_json(values)
    else:
        print_facts({name: _in_words(value) for name, value in values.items()})


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {inner:g}" if isinstance(inner, float) else f"{key} {inner}" for key, inner in value.items()
        )
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@gfp.command()
@click.option("--service", default="", help="Ask about one service, e.g. gfp_serve.v1.EmbeddingService.")
@talks_to_server
@click.pass_context
def health(context: click.Context, service: str, connect: Connect, as_json: bool) -> None:
    """Exit with 0 if the server takes calls now, otherwise with 1."""
    with connect() as client:
        serving = client.health(service)
    print_result({"serving": serving}, "serving" if serving else "not serving", as_json)
    context.exit(0 if serving else 1)


def _sequences(batch: Sequence[RecordedClip]) -> list[np.ndarray]:
    return [each.sequence for each in batch]
