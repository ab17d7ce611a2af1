"""`gfp add` and `gfp remove`: the items of a gallery."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gfp_serve.cli.arguments import PATH, Connect, gallery_option, talks_to_server
from gfp_serve.cli.clips import answered_clips, reads_clips, skipped
from gfp_serve.cli.options import Command
from gfp_serve.cli.printing import print_json, print_result
from gfp_serve.cli.progress import warn
from gfp_serve.client.recordings import RecordedClip, WindowPlan
from gfp_serve.errors import ItemNotFoundError
from gfp_serve.formats import annotations as annotation_files


class _WindowSize(click.ParamType[tuple[int, int]]):
    """LENGTH:STRIDE, both in frames."""

    name = "LENGTH:STRIDE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", value)
        if found is None or min(int(found[1]), int(found[2])) < 1:
            self.fail(
                f"{value} must be the frames of a window, ':', and the frames from one to the next, e.g. 120:30.",
                param,
                ctx,
            )
        return int(found[1]), int(found[2])


# `--segments` is what `--annotations` was called at first. It still works, and the help does not show it.
_OLD_NAMES = {"segments": "annotations"}


@click.command(cls=Command, context_settings={"token_normalize_func": lambda name: _OLD_NAMES.get(name, name)})
@reads_clips
@click.option(
    "--windows",
    type=_WindowSize(),
    multiple=True,
    help="Cut long recordings: instead of whole clips, add windows of LENGTH frames, one every STRIDE frames. Frames "
    "at the end of a clip that do not fill a window are left out. Windows should be about as long as what you will "
    "search for. For several lengths, give the option several times.",
)
@click.option(
    "--annotations",
    "annotations_file",
    type=PATH,
    help="CSV file with lines `recording,start_s,end_s,label`, recordings as FILE/CLIP: a window gets the label of the "
    "annotation that covers half of it or more, instead of the clip's label.",
)
@gallery_option
@talks_to_server
def add(
    files: Sequence[Path],
    split: str,
    windows: Sequence[tuple[int, int]],
    annotations_file: Path | None,
    gallery: str,
    connect: Connect,
    as_json: bool,
) -> None:
    """Add every clip to the gallery, under the id FILE/CLIP. An item with that id is replaced.

    A window's id is FILE/CLIP@FIRST-END, by its first frame and the frame after its last, counted from 0.
    """
    if annotations_file is not None and not windows:
        raise click.BadParameter(
            "annotations label windows; say how to cut them with --windows.", param_hint="--annotations"
        )
    annotations = annotation_files.read(annotations_file) if annotations_file else {}
    unused = set(annotations)
    num_added = generation = 0
    with connect() as client:

        def send(batch: list[RecordedClip]) -> list[str]:
            nonlocal generation
            items = [each.as_item() for each in batch]
            generation = client.upsert(items, gallery=gallery)
            return [item.id for item in items]

        plan = WindowPlan(windows, annotations) if windows else None
        for recorded, id in answered_clips(client, files, split, send, plan):
            num_added += 1
            unused -= {recorded.source.recording} if recorded.source else set()
            if as_json:
                print_json({"id": id, "label": recorded.clip.label})
    if unused:
        first, num_others = min(unused), len(unused) - 1
        others = "" if num_others == 0 else " and 1 other" if num_others == 1 else f" and {num_others} others"
        skipped(f"{annotations_file} names recordings of which no window was added: {first!r}{others}.")
    if not as_json:
        click.echo(f"{num_added} items were added; the gallery is at generation {generation}.")


@click.command(cls=Command)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@gallery_option
@talks_to_server
def remove(ids: Sequence[str], gallery: str, connect: Connect, as_json: bool) -> None:
    """Remove items from the gallery by id. Ids that no item has are named."""
    with connect() as client:
        try:
            client.get(ids, gallery=gallery)
        except ItemNotFoundError as error:
            warn(error.message)
        num_removed = client.delete(ids, gallery=gallery)
    print_result({"removed": num_removed}, f"{num_removed} of {len(ids)} items were removed.", as_json)
