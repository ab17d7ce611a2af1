"""Count how many windows of a live recording are named rightly, as `examples/live.py` names them, for several bundles.

    python benchmarks/live_windows.py general-features pose-statistics

The recordings are the shipped ones of precog, and are untrimmed: a person prepares, acts, and returns. The persons that
no encoder learned from (3, 6, 9 and 12) stand before the camera in turns, and windows of all other people's recordings
are the gallery. A window counts as right when its nine neighbours vote for the action of the whole recording, so
windows of preparing and returning can be right by chance only.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from jaxtyping import Float32

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.bundle import Bundle
from gfp_serve.classify import vote
from gfp_serve.config import bundle_at
from gfp_serve.encoder import Encoder
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.files import write_whole
from gfp_serve.formats import Clip, read_clips
from gfp_serve.preprocess import prepare
from gfp_serve.windows import WindowCutter

RECORDINGS = Path(__file__).parents[1] / "examples" / "clips" / "precog.npz"
REPORT = Path("benchmarks/live_windows.json")
WINDOW_S, STRIDE_S = 2.0, 0.5  # those of examples/live.py
PERSONS = ("3", "6", "9", "12")
NUM_NEIGHBOURS = 9


@click.command(help=__doc__)
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--recordings", type=click.Path(path_type=Path, exists=True), default=RECORDINGS)
@click.option("--person", "persons", multiple=True, default=PERSONS, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def main(bundles: tuple[Path, ...], recordings: Path, persons: tuple[str, ...], out: Path) -> None:
    clips = [clip for clip in read_clips(recordings) if clip.label]
    report = {bundle.name: _count(bundle, clips, persons) for bundle in bundles}
    click.echo("| bundle | windows | named rightly | recordings whose windows say it most often |")
    click.echo("|---|---|---|---|")
    for name, found in report.items():
        windows, right = found["windows"], found["right"]
        recorded = found["recordings"]
        whole = sum(each["most often"] == each["label"] for each in recorded.values())
        click.echo(f"| {name} | {windows} | {right} ({right / windows:.0%}) | {whole} of {len(recorded)} |")
    write_whole(out, json.dumps(report, indent=1) + "\n")
    click.echo(out)


def _count(path: Path, clips: list[Clip], persons: tuple[str, ...]) -> dict[str, Any]:
    bundle = Bundle.read(bundle_at(path))
    encoder = Encoder(bundle)
    windows = {clip.name: _embedded(clip, bundle, encoder) for clip in clips}
    recordings = {}
    for clip in clips:
        if clip.subject not in persons or not len(windows[clip.name]):
            continue
        gallery = [each for each in clips if each.subject != clip.subject]
        labels = [str(each.label) for each in gallery for _ in windows[each.name]]
        similarities = windows[clip.name] @ np.concatenate([windows[each.name] for each in gallery]).T
        named = [_named(row, labels) for row in similarities]
        recordings[clip.name] = {
            "label": clip.label,
            "windows": len(named),
            "right": sum(name == clip.label for name in named),
            "most often": max(sorted(set(named)), key=named.count),
        }
    return {
        "windows": sum(each["windows"] for each in recordings.values()),
        "right": sum(each["right"] for each in recordings.values()),
        "recordings": recordings,
    }


def _named(similarities: Float32[np.ndarray, " items"], labels: list[str]) -> str:
    nearest = np.argsort(-similarities, kind="stable")[:NUM_NEIGHBOURS]
    return vote([labels[place] for place in nearest], similarities[nearest]).label or ""


def _embedded(clip: Clip, bundle: Bundle, encoder: Encoder) -> Float32[np.ndarray, "windows size"]:
    vectors = [encoder.encode(each[None]) for each in _prepared(clip, bundle)]
    return np.concatenate([np.zeros((0, bundle.manifest.embedding_size), np.float32), *vectors])


def _prepared(clip: Clip, bundle: Bundle) -> Iterator[Float32[np.ndarray, "bodies frames joints 3"]]:
    length, stride = (max(1, round(seconds * clip.fps)) for seconds in (WINDOW_S, STRIDE_S))
    cutter = WindowCutter(length, stride)
    for window in cutter.add(clip.sequence):
        try:
            yield prepare(window.sequence, clip.layout, bundle.manifest.preprocess)
        except InvalidSkeletonError:  # nobody is seen in it
            continue


if __name__ == "__main__":
    main()
