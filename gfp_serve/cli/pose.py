"""The command `gfp-pose`: videos -> a clip file of the skeletons in them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from gfp_serve.cli.arguments import json_option
from gfp_serve.cli.clips import skipped
from gfp_serve.cli.options import Command, options_from, version_option
from gfp_serve.cli.printing import Listing, say
from gfp_serve.cli.progress import Bar, errors, progress
from gfp_serve.cli.reading import label_from_option, say_how_files_were_read
from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.files import check_writable
from gfp_serve.formats import Clip, NamedFile, Remark, VideoPart, find_named_files, read_clips, write_clip_file
from gfp_serve.formats.folder_labels import label_files
from gfp_serve.formats.remark import Remarks
from gfp_serve.printable import printable

# Without a terminal, a line this often says how far it is.
_LINE_EVERY_S = 30.0


@click.command(cls=Command, name="gfp-pose", no_args_is_help=True)
@version_option
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    metavar="CLIPS.npz",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Clip file to write. Every command that reads recordings takes it.",
)
@options_from(VideoPart, into="part")
@label_from_option
@options_from(Conventions, into="conventions")
@json_option
def gfp_pose(
    videos: Sequence[Path],
    out: Path,
    part: VideoPart,
    label_from: str | None,
    conventions: Conventions,
    as_json: bool,
) -> None:
    """Find the person in videos, and write the skeletons as a clip file.

    A VIDEO is a file (.mp4, .mov, .mkv, .webm, .avi and the like) or a folder of them. Each becomes a clip with the
    frame rate of the video, in metres, of MediaPipe's 33 joints. A joint with too little visibility is lost, and so is
    a frame in which nobody is seen. Hips stay in one place, because the model does not say how people travel.

    The model finds one person in a frame, with the whole body in view. For several people, use a tracker such as
    RTMPose or YOLO-pose, and give the files that it writes to gfp add.

    It runs on this machine, needs the extra `video`, and sends nothing anywhere. Other commands read videos too, and do
    the same each time; a clip file spares them the work.
    """
    if out.suffix.lower() != ".npz":
        raise click.BadParameter(f"{out} must end in .npz.", param_hint="--out")
    files = find_named_files(videos, only_videos=True)
    labels = None if label_from is None else label_files(label_from, files)
    # What cannot be written is said before hours of work.
    out.parent.mkdir(parents=True, exist_ok=True)
    check_writable(out)
    remarks = Remarks()
    answers = Listing(("clip", "label", "frames", "a second", "seconds", "seen %"), as_json)
    clips: list[Clip] = []
    sizes = [file.path.stat().st_size for file in files]
    with progress() as bars:
        bar = bars.add("videos", "percent", total=sum(sizes), line_every_s=_LINE_EVERY_S)
        try:
            for number, file in enumerate(files):
                bar.describe(file.path.name)
                for read in _clips_of(file, sizes[number], part, conventions, remarks, bar):
                    clip = read if labels is None else labels.applied_to(read, file.path)
                    clips.append(replace(clip, name=file.name))
                    answers.add(*_about(clips[-1]))
                bar.reach(sum(sizes[: number + 1]))
        except KeyboardInterrupt:
            errors.print("interrupted; nothing was written.")
            raise
    say_how_files_were_read(remarks, labels)
    if not clips:
        where = files[0].path if len(files) == 1 else f"{len(files)} videos"
        raise click.ClickException(printable(f"nobody was found in {where}; nothing was written."))
    write_clip_file(out, clips)
    answers.print_table()
    say(f"{out}: {'1 clip' if len(clips) == 1 else f'{len(clips):,} clips'}.", err=as_json)


def _clips_of(
    file: NamedFile, size: int, part: VideoPart, conventions: Conventions, remarks: Remarks, bar: Bar
) -> list[Clip]:
    """The clip of a video, if somebody is seen in it. What is left out is said at once."""

    def report(remark: Remark) -> None:
        if remark.left_out:
            skipped(f"{file.path}: {remark.text}")
        else:
            remarks.add(file.path, remark.text)

    try:
        return list(
            read_clips(
                file.path,
                conventions=conventions,
                report=report,
                part=part,
                advance=lambda share: bar.advance(share * size),
            )
        )
    except DamagedFileError as error:
        skipped(str(error))
        return []


def _about(clip: Clip) -> tuple[dict[str, object], list[tuple[str, ...]]]:
    """What is said of a clip, as values and as rows of a table."""
    frames = len(clip.sequence)
    seen = int(np.isfinite(clip.sequence).all(axis=-1).any(axis=(1, 2)).sum())
    values: dict[str, object] = {
        "clip": clip.name,
        "label": clip.label,
        "frames": frames,
        "fps": clip.fps,
        "frames_seen": seen,
    }
    row = (
        clip.name,
        clip.label or "",
        f"{frames}",
        f"{clip.fps:g}",
        f"{frames / clip.fps:.1f}",
        f"{100 * seen / frames:.0f}",
    )
    return values, [row]
