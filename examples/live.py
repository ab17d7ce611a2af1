"""Replay a recording as if it came from a camera, and print each answer of the server as it arrives.

    python examples/live.py                      start a server, replay the first shipped recording of person 3
    python examples/live.py --speed 10           ten times as fast as it was recorded
    python examples/live.py --bundle pose-statistics
    python examples/live.py --address HOST:PORT --gallery-is-filled --recording RECORDING.npz

The recordings of precog are untrimmed: a person prepares, acts, and returns. The gallery is filled with windows of the
other people's recordings, each labelled with its recording's action. Then the frames are sent at the rate at which they
were recorded, and the server answers each window with the action that its neighbours vote for.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from serving import serving

from gfp_serve.cli.options import Command
from gfp_serve.client import Client, ClipItem, StreamSettings
from gfp_serve.config import DEFAULT_BUNDLE
from gfp_serve.formats import Clip, read_clips
from gfp_serve.windows import WindowCutter

RECORDINGS = Path(__file__).parent / "clips" / "precog.npz"
WINDOW_S, STRIDE_S = 2.0, 0.5
FRAMES_AT_ONCE = 3

console = Console(highlight=False, soft_wrap=True)


@click.command(cls=Command, help=__doc__)
@click.option("--recording", type=click.Path(path_type=Path, exists=True), default=RECORDINGS, show_default=True)
@click.option("--subject", default="3", show_default=True, help="Replay the first clip of this person.")
@click.option(
    "--bundle", default=DEFAULT_BUNDLE.name, show_default=True, help="What the server serves that is started."
)
@click.option("--address", help="A server that runs already. [default: one is started, with an empty gallery]")
@click.option("--gallery-is-filled", is_flag=True, help="Use the server's gallery as it is.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="How many times faster than real time.",
)
def main(
    recording: Path, subject: str, bundle: str, address: str | None, gallery_is_filled: bool, speed: float
) -> None:
    clips = list(read_clips(recording))
    replayed = next((clip for clip in clips if clip.subject == subject), clips[0])
    with ExitStack() as stack:
        client = stack.enter_context(Client(address or stack.enter_context(serving(Path(bundle)))))
        if not gallery_is_filled:
            others = [clip for clip in clips if clip.subject != replayed.subject and clip.label]
            items = [item for clip in others for item in windows_of(clip)]
            client.upsert(items)
            console.print(f"{len(items)} windows of {len(others)} recordings of other people are in the gallery.")
        console.print(
            f"Replaying {replayed.name} ({replayed.label}): {len(replayed.sequence)} frames, {replayed.fps:g} a second."
        )
        settings = StreamSettings(
            window_frames=frames_in(WINDOW_S, replayed),
            stride_frames=frames_in(STRIDE_S, replayed),
            fps=replayed.fps,
            layout=replayed.layout.name,
            num_neighbours=9,
        )
        right = total = 0
        started = time.perf_counter()
        for window in client.stream(at_real_rate(replayed, speed), settings):
            late_ms = 1000 * (time.perf_counter() - started - window.end_s / speed)
            voted = window.classification
            said = window.problem or (voted.label if voted and voted.label else "unknown")
            sure = voted.scores[0].score if voted and voted.scores else 0.0
            left_out = f"  ({window.num_dropped} windows left out)" if window.num_dropped else ""
            console.print(
                f"{window.start_s:6.1f} to {window.end_s:5.1f} s  {said:20} {'█' * round(10 * sure):10} {sure:4.0%}"
                f"  {late_ms:4.0f} ms after its end{left_out}"
            )
            right, total = right + (said == replayed.label), total + 1
        console.print(f"{right} of {total} windows were named {replayed.label}, as the whole recording is.")


def at_real_rate(clip: Clip, speed: float) -> Iterator[np.ndarray]:
    """Give a few frames at a time, each group at the moment when a camera would have taken its last frame."""
    started = time.perf_counter()
    for start in range(0, len(clip.sequence), FRAMES_AT_ONCE):
        part = clip.sequence[start : start + FRAMES_AT_ONCE]
        wait = started + (start + len(part)) / clip.fps / speed - time.perf_counter()
        time.sleep(max(0.0, wait))
        yield part


def windows_of(clip: Clip) -> Iterator[ClipItem]:
    cutter = WindowCutter(frames_in(WINDOW_S, clip), frames_in(STRIDE_S, clip))
    for window in cutter.add(clip.sequence):
        if np.nan_to_num(window.sequence).any():  # it shows somebody
            place = f"{clip.name}@{window.first_frame}"
            yield ClipItem(place, window.sequence, clip.label or "", layout=clip.layout.name)


def frames_in(seconds: float, clip: Clip) -> int:
    return max(1, round(seconds * clip.fps))


if __name__ == "__main__":
    main()
