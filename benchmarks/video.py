"""How well motion is found again after it went through a video: drawn, filmed, and turned back into a skeleton.

    python benchmarks/video.py run                          the clips of examples/clips/cmu_sample.npz
    python benchmarks/video.py run --clips FILE             those of another clip file, for larger figures
    python benchmarks/video.py table                        print the report as the tables of docs/benchmarks.md

Each clip is drawn as a flat figure (`tests/support/drawn_video.py`), written as H.264, and read as `gfp add` reads a
video. Its nearest neighbours are looked for among the original clips, without the clip itself, and, where its class has
several people, without all clips of its person. Beside the videos stand the originals themselves, and the originals
with their hips in one place, as MediaPipe has them: what these lose is lost without any video.

The extras `video` and `plot` are needed.
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from jaxtyping import Bool, Float32
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from gfp_serve.bundle import Bundle
from gfp_serve.cli.progress import progress
from gfp_serve.config import SHIPPED_BUNDLES, shipped_bundles
from gfp_serve.encoder import Encoder
from gfp_serve.formats import Clip, read_clips, write_clip_file
from gfp_serve.layouts import MEDIAPIPE33, NTU25, map_joints
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import fill_gaps, prepare
from tests.support.drawn_video import SIZE, seen_by_camera, write_video_of

ROOT = Path(__file__).parents[1]
REPORT = Path(__file__).with_name("video.json")
SAMPLE = ROOT / "examples" / "clips" / "cmu_sample.npz"

_HIPS = [NTU25.joint_names.index(f"Hip{side}") for side in ("Left", "Right")]
# Of each of these, how far from where it was drawn it is found.
_JOINTS = ("Wrist", "Elbow", "Ankle", "Knee")

Vectors = Float32[np.ndarray, "clips size"]


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@click.option(
    "--clips", "file", type=click.Path(path_type=Path, exists=True), default=SAMPLE, show_default="the sample"
)
@click.option("--most", default=8, show_default=True, help="Clips of each class and person at most, drawn at random.")
@click.option("--seconds", default=10.0, show_default=True, help="Of a longer clip, only its middle is used.")
@click.option("--size", default=SIZE, show_default=True, help="Pixels of a side of the videos.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Keep the videos in this folder, and the skeletons found."
)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(file: Path, most: int, seconds: float, size: int, keep: Path | None, out: Path) -> None:
    """Measure one clip file, and add it to the report."""
    clips = _chosen(file, most, seconds)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    videos: list[Clip | None] = []
    seen, num_frames, took_s, cpu_s, num_bytes = 0, 0, 0.0, 0.0, 0
    apart: dict[str, list[np.ndarray]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, progress() as bars:
        bar = bars.add(file.stem, "clips", total=len(clips), line_every_s=60)
        for clip in clips:
            path = write_video_of(clip, (keep or Path(folder)) / f"{clip.name}.mp4", size=size)
            started, cpu_started = time.perf_counter(), time.process_time()
            read = next(iter(read_clips(path, report=lambda _: None)), None)
            took_s += time.perf_counter() - started
            cpu_s += time.process_time() - cpu_started
            num_bytes += path.stat().st_size
            num_frames += len(clip.sequence)
            videos.append(read)
            if read is not None:
                seen += int(np.isfinite(read.sequence).all(axis=-1).any(axis=(1, 2)).sum())
                for joint, distances in _apart(clip, read).items():
                    apart[joint].append(distances)
            bar.advance()
    found = [(clip, read) for clip, read in zip(clips, videos, strict=True) if read is not None]
    if keep is not None:
        write_clip_file(keep / "skeletons.npz", [replace(read, label=clip.label) for clip, read in found])
    report: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"files": {}}
    report["about"] = {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: version(name) for name in ("mediapipe", "av", "onnxruntime")},
    }
    report["files"][file.stem] = {
        "clips": len(clips),
        "classes": len({clip.label for clip in clips}),
        "people": len({clip.subject for clip in clips}),
        "clips_seen": len(found),
        "frames": num_frames,
        "frames_seen": seen,
        "size": size,
        "kilobytes_a_second": round(num_bytes / 1e3 / (num_frames / clips[0].fps), 1),
        "ms_per_frame": round(1e3 * took_s / num_frames, 1),
        # Of all cores together; on a machine that does other things too, this says more.
        "cpu_ms_per_frame": round(1e3 * cpu_s / num_frames, 1),
        "median_cm_apart": {joint: round(float(np.median(np.concatenate(all_))), 1) for joint, all_ in apart.items()},
        "encoders": {name: _neighbours(name, found) for name in shipped_bundles()},
    }
    out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    _print(report)


def _chosen(file: Path, most: int, seconds: float) -> list[Clip]:
    """Clips with a label, as one body in the layout ntu25, so that each class has two or more."""
    by_group: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in read_clips(file, report=lambda _: None):
        if clip.label is not None:
            by_group[clip.label, clip.subject].append(clip)
    draws = np.random.default_rng(0)
    drawn = [
        clip
        for _, group in sorted(by_group.items())
        for clip in (group[number] for number in sorted(draws.permutation(len(group))[:most]))
    ]
    labels = [clip.label for clip in drawn]
    return [_middle(_as_ntu25(clip), seconds) for clip in drawn if labels.count(clip.label) > 1]


def _as_ntu25(clip: Clip) -> Clip:
    filled, _ = fill_gaps(clip.sequence)
    return replace(clip, sequence=map_joints(filled, clip.layout, NTU25)[:, :1], layout=NTU25)


def _middle(clip: Clip, seconds: float) -> Clip:
    length = min(len(clip.sequence), round(seconds * clip.fps))
    start = (len(clip.sequence) - length) // 2
    return replace(clip, sequence=clip.sequence[start : start + length])


def _held(clip: Clip) -> Clip:
    return replace(clip, sequence=clip.sequence - clip.sequence[:, :, _HIPS].mean(axis=2, keepdims=True))


def _apart(drawn: Clip, found: Clip) -> dict[str, np.ndarray]:
    """Centimetres between where joints were drawn and where they were found, both from the hips, in each frame."""
    truth = seen_by_camera(drawn.sequence[:, 0])
    truth = truth - truth[:, _HIPS].mean(axis=1, keepdims=True)
    # The reader turned the picture about the vertical: x to its left, z away from the camera.
    joints = found.sequence[:, 0] * np.float32([-1, 1, -1])
    apart: dict[str, np.ndarray] = {}
    for part in _JOINTS:
        distances = [
            np.linalg.norm(
                truth[:, NTU25.joint_names.index(f"{part}{side.title()}")]
                - joints[:, MEDIAPIPE33.joint_names.index(f"{side}_{part.lower()}")],
                axis=-1,
            )
            for side in ("left", "right")
        ]
        both = 100 * np.concatenate(distances)
        apart[part.lower()] = both[np.isfinite(both)]
    return apart


def _neighbours(name: str, found: Sequence[tuple[Clip, Clip]]) -> dict[str, Any]:
    """The share of queries whose nearest neighbour is right, by what is asked and by what is left out."""
    bundle = Bundle.read(SHIPPED_BUNDLES / name)
    encoder = Encoder(bundle, device="cpu", num_threads=1)

    def embed(clip: Clip) -> np.ndarray:
        given = prepare(lost_as_nan(clip.sequence, clip.layout), clip.layout, bundle.manifest.preprocess)
        return encoder.encode(given[None])[0]

    originals = [clip for clip, _ in found]
    gallery, held = np.stack([*map(embed, originals)]), np.stack([embed(_held(clip)) for clip in originals])
    videos = np.stack([embed(read) for _, read in found])
    labels = np.array([clip.label for clip in originals])
    people = np.array([clip.subject for clip in originals])
    same_clip = np.eye(len(labels), dtype=bool)
    same_person: Bool[np.ndarray, "clips clips"] = people[:, None] == people
    others = (labels[:, None] == labels) & ~same_person
    asked: dict[str, Any] = {}
    for said, queries, against in (
        ("originals", gallery, gallery),
        ("originals, hips held", held, gallery),
        ("videos", videos, gallery),
        ("videos, gallery with hips held", videos, held),
    ):
        similar = queries @ against.T
        asked[said] = {
            "other clips": _right(similar, labels, same_clip, np.ones(len(labels), dtype=bool)),
            "other people": _right(similar, labels, same_person, others.any(axis=1)),
            "itself": round(100 * float((similar.argmax(axis=1) == np.arange(len(labels))).mean()), 1),
        }
    return {"queries": len(labels), "queries of other people": int(others.any(axis=1).sum()), "percent": asked}


def _right(
    similar: Float32[np.ndarray, "clips clips"],
    labels: np.ndarray,
    left_out: Bool[np.ndarray, "clips clips"],
    is_asked: Bool[np.ndarray, " clips"],
) -> float | None:
    nearest = np.where(left_out, -np.inf, similar).argmax(axis=1)
    right = (labels[nearest] == labels)[is_asked]
    return round(100 * float(right.mean()), 1) if len(right) else None


@main.command()
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(out: Path) -> None:
    """Print the report as Markdown."""
    files = json.loads(out.read_text())["files"]
    click.echo("| clips | encoder | asked | other clips | other people | itself |\n|---|---|---|---|---|---|")
    for name, each in files.items():
        for encoder, figures in each["encoders"].items():
            for asked, percent in figures["percent"].items():
                cells = ("" if value is None else str(value) for value in percent.values())
                click.echo(f"| `{name}` | `{encoder}` | {asked} | {' | '.join(cells)} |")
    click.echo(
        "\n| clips | seen | frames seen | wrists | elbows | ankles | knees | ms a frame, CPU ms |\n" + "|---" * 8 + "|"
    )
    for name, each in files.items():
        frames = f"{each['frames_seen']:,} of {each['frames']:,}"
        apart = " | ".join(f"{value} cm" for value in each["median_cm_apart"].values())
        seen = f"{each['clips_seen']} of {each['clips']}"
        click.echo(f"| `{name}` | {seen} | {frames} | {apart} | {each['ms_per_frame']}, {each['cpu_ms_per_frame']} |")


def _print(report: dict[str, Any]) -> None:
    console = Console()
    for name, each in report["files"].items():
        encoders = each.pop("encoders")
        console.print(f"[bold]{name}[/bold]", each, soft_wrap=True)
        shown = Table("encoder", "asked", "other clips %", "other people %", "itself %", box=None)
        for encoder, figures in encoders.items():
            for asked, percent in figures["percent"].items():
                shown.add_row(encoder, asked, *("" if value is None else f"{value}" for value in percent.values()))
        console.print(shown)


if __name__ == "__main__":
    main()
