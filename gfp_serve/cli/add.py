"""`gfp add` and `gfp remove`: the items of a gallery."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gfp_serve.cli.arguments import PATH, Connect, gallery_option, talks_to_server
from gfp_serve.cli.clips import ClipChoice, answered_clips, reads_clips, skipped
from gfp_serve.cli.options import Command
from gfp_serve.cli.printing import num_items, print_json, print_result, say
from gfp_serve.cli.progress import warn
from gfp_serve.client.recordings import RecordedClip, WindowPlan
from gfp_serve.errors import ItemNotFoundError
from gfp_serve.formats import annotations as annotation_files
from gfp_serve.items import DEFAULT_GALLERY, Description


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
    clips: ClipChoice,
    windows: Sequence[tuple[int, int]],
    annotations_file: Path | None,
    gallery: str,
    connect: Connect,
    as_json: bool,
) -> None:
    """Add every clip to the gallery, under the id FILE/CLIP. An item with that id is replaced.

    These are read, as files and in folders: clip files and data sets of CTR-GCN and VideoPose3D (.npz), NTU RGB+D
    (.skeleton), PKU-MMD (.txt), annotations of PYSKL and MMAction2 (.pkl), arrays of ST-GCN, 2s-AGCN and HumanML3D
    (.npy), motion capture (.bvh, and .amc beside its .asf), markers (.trc, .c3d), what pose estimators and depth
    sensors write (.json, .csv), NW-UCLA (.json).

    Videos of one person are read with the extra `video` (.mp4, .m4v, .mov, .mkv, .webm, .avi, .mpg, .mpeg, .wmv, .3gp);
    gfp-pose makes a clip file of them, which spares finding the person again. Videos in a folder that has other
    recordings too are left out.

    FILE in an id is the file's name without its suffix. Where files of one command have the same name, it is as much of
    the end of each path as tells them apart: s1/walk/CLIP and s2/walk/CLIP. A window's id is FILE/CLIP@FIRST-END, by
    its first frame and the frame after its last, counted from 0.
    """
    if annotations_file is not None and not windows:
        raise click.BadParameter(
            "annotations label windows; say how to cut them with --windows.", param_hint="--annotations"
        )
    annotations = annotation_files.read(annotations_file) if annotations_file else {}
    unused = set(annotations)
    num_added = num_requests = 0
    first_id = ""
    with connect() as client:
        before = client.describe_gallery(gallery)

        def send(batch: list[RecordedClip]) -> list[str]:
            nonlocal num_requests
            items = [each.as_item() for each in batch]
            client.upsert(items, gallery=gallery)
            num_requests += 1
            return [item.id for item in items]

        plan = WindowPlan(windows, annotations) if windows else None
        for recorded, id in answered_clips(client, clips, send, plan):
            num_added += 1
            first_id = first_id or id
            unused -= {recorded.source.recording} if recorded.source else set()
            if as_json:
                print_json({"id": id, "label": recorded.clip.label})
        now = client.describe_gallery(gallery)
    if unused:
        first, num_others = min(unused), len(unused) - 1
        others = "" if num_others == 0 else " and 1 other" if num_others == 1 else f" and {num_others} others"
        skipped(f"{annotations_file} names recordings of which no window was added: {first!r}{others}.")
    if not as_json:
        # Each request raises the generation by one. If it rose further, somebody else wrote too, and who added how many
        # new items is not known.
        is_ours = now.generation - before.generation == num_requests
        num_new = now.num_items - before.num_items if is_ours else None
        what = _added(num_added, num_new, "window" if windows else "clip")
        say(f"{what}; {_holds(gallery, now)}. {'Its' if num_added == 1 else 'The first'} id is {first_id}.")


def _added(count: int, num_new: int | None, what: str) -> str:
    said = f"1 {what} was added" if count == 1 else f"{count:,} {what}s were added"
    if num_new is None or num_new == count:
        return said
    if num_new == 0:
        return f"{said} in place of {'the item' if count == 1 else 'items'} with the same id{'' if count == 1 else 's'}"
    return f"{said}, {num_new:,} of them new and {count - num_new:,} in place of items with the same ids"


def _holds(gallery: str, state: Description) -> str:
    return f"the gallery {gallery or DEFAULT_GALLERY} has {num_items(state.num_items)}"


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
