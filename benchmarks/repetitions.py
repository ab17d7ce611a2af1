"""Show how rightly repetitions are counted, on recordings of push-ups whose repetitions were counted by eye.

    python benchmarks/repetitions.py run PUSHFIT --others CLIPS...     writes the report
    python benchmarks/repetitions.py table                             the report as Markdown

PUSHFIT is the set pushfit_mediapipe: 265 recordings of push-ups by MediaPipe, many of them noisy. The wanted movement
is one push-up of another recording, three of them in turn. Nobody gives the true counts. They were counted by eye, from
the height of the shoulders above the wrists and from drawn figures: times that somebody went down and came up again.
Three of the 33 recordings (every eighth, from the third on) were too noisy to tell, and are left out.

The settings of the counter were chosen on every fourth recording from the first on, which are not among these.

OTHERS are clips of other movements, in which nothing is to be counted.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.files import write_whole
from gfp_serve.formats import read_clips
from gfp_serve.movement import Movement, movement_of_clip
from gfp_serve.repetitions import count_repetitions

REPORT = Path("benchmarks/repetitions.json")
# Recording: repetitions counted by eye.
COUNTED = dict(
    zip(
        (number for number in range(2, 265, 8) if number not in (66, 194, 242)),
        (1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 2, 1, 4, 2, 1, 1, 1, 1, 1, 1, 1, 2, 5, 2, 1, 3, 3, 10),
        strict=True,
    )
)
# Recording, first frame and end of one push-up.
WANTED = ((20, 15, 76), (28, 0, 42), (108, 20, 62))
# Clips that are asked of each other set, and frames of one at most.
_OTHERS, _MOST_FRAMES = 60, 1500


@click.group(help=__doc__)
def main() -> None:
    """Keep `table` apart from `run`, so that it needs no clips."""


@main.command()
@click.argument("pushfit", type=click.Path(path_type=Path, exists=True))
@click.option("--others", type=click.Path(path_type=Path, exists=True), multiple=True)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(pushfit: Path, others: tuple[Path, ...], out: Path) -> None:
    """Count, and write the report."""
    clips = [_movement(clip) for clip in read_clips(pushfit, report=lambda _: None)]
    strangers = {path.stem: _some(path) for path in others}
    rows = []
    for recording, start, end in WANTED:
        source = clips[recording]
        if source is None:
            raise click.ClickException(f"nobody is seen in recording {recording}; is {pushfit} pushfit_mediapipe?")
        wanted = source.at(np.arange(start, end))
        found = {number: _count(clips[number], wanted) for number in COUNTED}
        wrong = {number: count - COUNTED[number] for number, count in found.items() if count != COUNTED[number]}
        rows.append(
            {
                "wanted": recording,
                "recordings": len(COUNTED),
                "right": len(COUNTED) - len(wrong),
                "within_one": sum(abs(count - COUNTED[number]) <= 1 for number, count in found.items()),
                "repetitions": sum(COUNTED.values()),
                "found": sum(found.values()),
                "wrong": wrong,
                "others": {
                    name: {
                        "found": sum(_count(clip, wanted) for clip in some),
                        "seconds": round(sum(clip.seconds or 0 for clip in some)),
                    }
                    for name, some in strangers.items()
                },
            }
        )
        click.echo(json.dumps(rows[-1]))
    write_whole(out, json.dumps({"rows": rows}, indent=1).encode() + b"\n")


@main.command()
@click.option("--report", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(report: Path) -> None:
    """Print the report as Markdown."""
    rows = json.loads(report.read_text())["rows"]
    click.echo("| push-up of | counts right | within one | found of counted | in other movements |")
    click.echo("|---|---|---|---|---|")
    for row in rows:
        others = ", ".join(f"{each['found']} in {each['seconds']} s of {name}" for name, each in row["others"].items())
        click.echo(
            f"| recording {row['wanted']} | {row['right']} of {row['recordings']} | {row['within_one']} | "
            f"{row['found']} of {row['repetitions']} | {others} |"
        )


def _movement(clip: Any) -> Movement | None:
    try:
        return movement_of_clip(clip.sequence, clip.layout, clip.fps or 30.0)
    except InvalidSkeletonError:
        return None


def _some(path: Path) -> list[Movement]:
    """The same clips each time, shortened."""
    clips = list(read_clips(path, report=lambda _: None))
    chosen = np.random.default_rng(0).permutation(len(clips))[:_OTHERS]
    read = [_movement(clips[place]) for place in chosen.tolist()]
    return [clip.at(np.arange(min(clip.num_frames, _MOST_FRAMES))) for clip in read if clip is not None]


def _count(recording: Movement | None, wanted: Movement) -> int:
    return 0 if recording is None else len(count_repetitions(recording, wanted).repetitions)


if __name__ == "__main__":
    main()
