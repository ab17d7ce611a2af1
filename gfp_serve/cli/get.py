"""`gfp get`: stored items, and what they look like."""

from collections.abc import Sequence
from pathlib import Path

import click

from gfp_serve.cli.arguments import Connect, gallery_option, talks_to_server
from gfp_serve.cli.clips import skipped
from gfp_serve.cli.options import Command, html_option
from gfp_serve.cli.printing import Listing, num_items, plain, say
from gfp_serve.item_page import MAX_ITEMS, write_item_page
from gfp_serve.items import Item


@click.command(cls=Command)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@html_option(f"the first {MAX_ITEMS} items as moving skeletons, side by side.")
@click.option(
    "--recordings",
    metavar="FILE_OR_FOLDER",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Where --html finds the motion of the items: the recordings that were added. Without them it shows the small "
    "copies that the gallery keeps. May be given several times.",
)
@gallery_option
@talks_to_server
def get(
    ids: Sequence[str],
    html: Path | None,
    recordings: Sequence[Path],
    gallery: str,
    connect: Connect,
    as_json: bool,
) -> None:
    """Show stored items by id, and what they look like.

    The table has label, attributes, where an item was cut from, and how many frames of its clip the gallery keeps. With
    --json the vectors are printed too.
    """
    if recordings and html is None:
        raise click.BadParameter(
            "only the page of --html shows recordings; add --html PAGE.html.", param_hint="--recordings"
        )
    with connect() as client:
        items = client.get(ids, gallery=gallery, with_motions=True)
    listing = Listing(("id", "label", "attributes", "recording", "from s", "to s", "motion"), as_json)
    for item in items:
        listing.add(_values(item), [_row(item)])
    listing.print_table()
    if html is not None:
        page = write_item_page(html, items, recordings, skipped)
        said = f"{html} shows {num_items(page.num_shown)} ({page.num_bytes / 1e3:.0f} kB)."
        if page.num_without_motion:
            said += f" Neither a recording nor a copy was found for {num_items(page.num_without_motion)}."
        say(said, err=as_json)


def _values(item: Item) -> dict[str, object]:
    motion = item.motion
    return {
        "id": item.id,
        "label": item.label,
        "attributes": dict(item.attributes),
        "source": plain(item.source),
        "embedding": item.vector.tolist(),
        "motion": None
        if motion is None
        else {
            "frame_numbers": motion.frame_numbers.tolist(),
            "fps": motion.fps,
            "num_bodies": motion.positions.shape[1],
        },
    }


def _row(item: Item) -> tuple[str, ...]:
    attributes = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(item.attributes.items())
    )
    source, motion = item.source, item.motion
    times = ("", "") if source is None or source.end_s == 0 else (f"{source.start_s:.2f}", f"{source.end_s:.2f}")
    frames = "" if motion is None else f"{len(motion.frame_numbers)} of {motion.frame_numbers[-1] + 1} frames"
    return (item.id, item.label, attributes, "" if source is None else source.recording, *times, frames)
