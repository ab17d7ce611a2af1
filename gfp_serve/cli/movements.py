"""`gfp compare` and `gfp count`: recordings beside one movement of a gallery. The server gives the movement."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
import numpy as np

from gfp_serve.cli.arguments import Connect, gallery_option, talks_to_server
from gfp_serve.cli.clips import ClipChoice, answered_clips, reads_clips
from gfp_serve.cli.options import Command
from gfp_serve.cli.printing import Listing
from gfp_serve.client import Client
from gfp_serve.client.recordings import RecordedClip
from gfp_serve.compare import Comparison, JointDifference, compare
from gfp_serve.layouts import NTU25
from gfp_serve.movement import Movement, movement_of_clip, movement_of_kept
from gfp_serve.repetitions import RepetitionCounter, count_repetitions

# Joints of the table; JSON has all.
_MOST_JOINTS = 5

T = TypeVar("T")

_with_item = click.option(
    "--with",
    "item",
    metavar="ID",
    required=True,
    help="The wanted movement: an item whose motion the gallery keeps.",
)


@click.command("compare", cls=Command)
@reads_clips
@_with_item
@gallery_option
@talks_to_server
def compare_command(clips: ClipChoice, item: str, gallery: str, connect: Connect, as_json: bool) -> None:
    """Compare the movement in clips with a wanted one.

    Both are aligned in time, turned the same way, and given the same lengths of bones; places are relative to the
    hips. The table has the joints that differ most: their distance from where they are wanted, and for joints with an
    angle how much straighter (+) or more bent (-) they should be where that is most. This is not medical advice.
    """
    listing = Listing(("clip", "joint", "mean cm", "most cm", "most degrees", "worst at s", "tempo"), as_json)
    with connect() as client:
        wanted = _movement_of_item(client, item, gallery)
        for recorded, found in _answers(client, clips, lambda movement: compare(movement, wanted)):
            listing.add(_comparison_values(recorded, item, found), _comparison_rows(recorded, found))
    listing.print_table()


@click.command(cls=Command)
@reads_clips
@_with_item
@gallery_option
@talks_to_server
def count(clips: ClipChoice, item: str, gallery: str, connect: Connect, as_json: bool) -> None:
    """Count the repetitions of a movement in clips.

    The wanted movement is one repetition, as an item of a gallery: cut it out with `gfp add --annotations` or
    --windows. Angles of joints are compared, at a third to three times its tempo.
    """
    listing = Listing(("clip", "repetitions", "from s to s"), as_json)
    with connect() as client:
        wanted = _movement_of_item(client, item, gallery)
        # What cannot be counted is said once, and not of each clip.
        RepetitionCounter(wanted)
        for recorded, counter in _answers(client, clips, lambda movement: count_repetitions(movement, wanted)):
            found = counter.repetitions
            when = ", ".join(f"{each.start_s:.1f} to {each.end_s:.1f}" for each in found)
            listing.add(_count_values(recorded, item, counter), [(recorded.id, str(len(found)), when)])
    listing.print_table()


def _movement_of_item(client: Client, item: str, gallery: str) -> Movement:
    (found,) = client.get([item], gallery=gallery, with_motions=True)
    return movement_of_kept(found.motion, item)


def _answers(client: Client, clips: ClipChoice, answer: Callable[[Movement], T]) -> Iterator[tuple[RecordedClip, T]]:
    """Each clip with the answer to the movement in it; clips without anybody are left out in words."""

    def send(batch: list[RecordedClip]) -> Iterator[T]:
        for each in batch:
            yield answer(movement_of_clip(each.sequence, each.layout, each.clip.fps))

    return answered_clips(client, clips, lambda batch: list(send(batch)))


def _comparison_rows(recorded: RecordedClip, found: Comparison) -> list[tuple[str, ...]]:
    worst = {each.joint: _worst_at(found, each) for each in found.joints[:_MOST_JOINTS]}
    tempo = "" if found.tempo is None else f"{found.tempo:.2f}"
    return [
        (
            recorded.id,
            NTU25.canonical_names[each.joint],
            f"{each.mean_cm:.1f}",
            f"{np.nanmax(each.cm):.1f}",
            "" if each.most_degrees is None else f"{each.most_degrees:+.0f}",
            worst[each.joint],
            tempo,
        )
        for each in found.joints[:_MOST_JOINTS]
    ]


def _worst_at(found: Comparison, joint: JointDifference) -> str:
    times_s = found.motion.times_s
    step = int(np.nanargmax(joint.cm))
    return "" if times_s is None else f"{times_s[found.motion_frames[step]]:.2f}"


def _comparison_values(recorded: RecordedClip, item: str, found: Comparison) -> dict[str, Any]:
    return {
        "clip": recorded.id,
        "item": item,
        "mean_cm": found.mean_cm,
        "tempo": found.tempo,
        "joints": [
            {
                "joint": NTU25.canonical_names[each.joint],
                "mean_cm": each.mean_cm,
                "most_cm": float(np.nanmax(each.cm)),
                "mean_degrees": each.mean_degrees,
                "most_degrees": each.most_degrees,
            }
            for each in found.joints
        ],
        "worst_moments": [
            {
                "motion_s": None if found.motion.times_s is None else float(found.motion.times_s[frame]),
                "mean_cm": each.mean_cm,
                "joint": NTU25.canonical_names[each.joint],
                "joint_cm": each.joint_cm,
            }
            for each in found.worst_moments
            for frame in [found.motion_frames[each.step]]
        ],
    }


def _count_values(recorded: RecordedClip, item: str, counter: RepetitionCounter) -> dict[str, Any]:
    return {
        "clip": recorded.id,
        "item": item,
        "repetitions": [
            {"start_s": each.start_s, "end_s": each.end_s, "nearness": each.nearness} for each in counter.repetitions
        ],
    }
