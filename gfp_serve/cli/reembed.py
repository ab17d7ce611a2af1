"""The command `gfp gallery reembed`: a gallery for another encoder, from the recordings that an old one was made of."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from gfp_serve.cli.arguments import PATH, Connect, talks_to_server
from gfp_serve.cli.clips import skipped
from gfp_serve.cli.notes import muted
from gfp_serve.cli.options import Command, options_from
from gfp_serve.cli.printing import num_items, print_json, say
from gfp_serve.cli.progress import progress, warn
from gfp_serve.cli.reading import joint_map_option, say_how_files_were_read
from gfp_serve.client import Client
from gfp_serve.client.reembedding import Reembedded, Reembedding
from gfp_serve.conventions import Conventions
from gfp_serve.errors import GalleryNotFoundError
from gfp_serve.items import DEFAULT_GALLERY
from gfp_serve.joint_map import JointMap

# Without a terminal, a line of progress appears after this time.
_LINE_EVERY_S = 30.0
_NAMED = 20


@click.command(cls=Command)
@click.argument("source", metavar="FOLDER|SNAPSHOT.sqlite", type=PATH)
@click.argument("files", metavar="[RECORDING]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--gallery", metavar="NAME", default=DEFAULT_GALLERY, show_default=True, help="The old gallery.")
@click.option("--into", metavar="NEW", help="The gallery to fill; by default the one of the same name.")
@options_from(Conventions, into="conventions")
@joint_map_option
@talks_to_server
def reembed(
    source: Path,
    files: Sequence[Path],
    gallery: str,
    into: str | None,
    conventions: Conventions,
    joint_map: JointMap | None,
    connect: Connect,
    as_json: bool,
) -> None:
    """Fill a gallery for another encoder, from recordings.

    The old gallery is read from FOLDER, which is the one given to gfp-serve --gallery, or from a snapshot; its server
    may go on. Each of its items is embedded again by the server at --address, which has the new bundle. That server
    makes the gallery NEW if it does not exist. Ids, labels, attributes and times stay the same.

    The recordings are those that the items were added from; they may have moved. Where one is not found, the copy that
    the old gallery keeps of the motion is used, if it has every frame, as it has of clips of at most 64 frames. The
    others are named. The same command continues what was interrupted, and brings what was changed in the old gallery
    since.
    """
    from gfp_serve.gallery.care.stored_items import opened_items

    into = into or gallery
    with opened_items(source, gallery) as old, connect() as client, progress() as bars:
        info = client.info()
        if info.encoder_digest == old.state.encoder_digest:
            raise click.ClickException(
                f"the server at {client.address} has the encoder {info.encoder_digest[:12]}, which filled the old "
                f"gallery already; give the --address of a server that has the new bundle."
            )
        _make_if_missing(client, into, old.state.index_kind)
        job = Reembedding(
            *(client, old.sources(), old.get, files),
            get_with_motions=partial(old.get, with_motions=True),
            conventions=conventions,
            joint_map=joint_map,
            report=skipped,
        )
        bar = bars.add("reembed", "items", job.num_items, line_every_s=_LINE_EVERY_S)
        with muted():  # who added the clips heard the warnings about them
            done = job.run(into, advance=bar.advance)
    say_how_files_were_read(job.remarks, None)
    if as_json:
        print_json(
            {
                "gallery": into,
                "items": job.num_items,
                "embedded": done.num_embedded,
                "present": done.num_present,
                "from_copies": done.num_from_copies,
                "refused": done.refused,
                "missing": dict(done.missing),
            }
        )
    else:
        _say(done, job.num_items, gallery, into)
    if job.num_items and not done.num_embedded + done.num_present:
        raise click.ClickException(
            f"nothing was embedded, and {into} has none of the {job.num_items:,} items of {gallery}; name the "
            f"recordings that they were added from."
        )


def _make_if_missing(client: Client, name: str, index_kind: str) -> None:
    try:
        client.describe_gallery(name)
    except GalleryNotFoundError:
        client.create_gallery(name, index_kind)  # type: ignore[arg-type]


def _say(done: Reembedded, num_old: int, gallery: str, into: str) -> None:
    for recording, count in done.missing.most_common(_NAMED):
        warn(f"not found: {recording!r}, of {num_items(count)}")
    if (others := len(done.missing) - _NAMED) > 0:
        warn(f"not found: {others:,} more recordings; --json names all.")
    there = done.num_embedded + done.num_present
    said = f"{there:,} of the {num_items(num_old)} of {gallery} are in {into}: {done.num_embedded:,} were embedded now"
    say(f"{said}{f', {done.num_present:,} were there already' if done.num_present else ''}.")
    if done.num_from_copies:
        say(f"Of {num_items(done.num_from_copies)} the recording was not found, and the gallery's copy was embedded.")
    if done.missing:
        say(f"The recordings of {num_items(done.missing.total())} were not found among those that were named.")
    if done.refused:
        say(f"The server does not take the clips of {num_items(len(done.refused))}.")
