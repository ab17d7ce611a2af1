"""How well the served encoder tells actions apart in skeletons of all kinds, and what it does not depend on.

    python benchmarks/skeletons.py run DATA     measure the clip files in DATA, add what is missing to the report
    python benchmarks/skeletons.py table        print the report as the table of docs/benchmarks.md

Each file is read as it lies there, as `gfp add` and `gfp-data import` read it. Nothing is learned or fitted. The figure
is the share of queries whose nearest neighbour in the gallery is of their class; queries of a class that the gallery
does not have are left out. The queries are then changed and the gallery stays as it is: the hips of every frame are put
at the origin (no travel), the clip is turned about the vertical by an angle drawn for it, or only the joints of
another layout are kept.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.bundle import Bundle
from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.formats import Clip, read_clips
from gfp_serve.layouts import COCO17, JHMDB15, LAYOUTS, OPENNI15, Layout
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import prepare, rotate_about_vertical

REPORT = Path(__file__).with_name("skeletons.json")


@dataclass(frozen=True)
class Protocol:
    """How the clips of a file are parted: each fold is the query side once, unless only the first is."""

    said: str
    fold_of: Callable[[list[Clip]], np.ndarray]  # a number for each clip
    only_first: bool = False  # queries are the clips of fold 0, the others are the gallery


def _by(value: Callable[[Clip], Any], parts: int | None = None) -> Callable[[list[Clip]], np.ndarray]:
    """Folds of clips that share a value; with `parts`, that many folds, to which the values are dealt in turn."""

    def folds(clips: list[Clip]) -> np.ndarray:
        values = sorted({value(clip) for clip in clips}, key=lambda each: (len(str(each)), str(each)))
        place = {each: number % (parts or len(values)) for number, each in enumerate(values)}
        return np.array([place[value(clip)] for clip in clips])

    return folds


def _every(count: int) -> Callable[[list[Clip]], np.ndarray]:
    return lambda clips: np.arange(len(clips)) % count


TWO_FOLDS = Protocol("2 folds of people", _by(lambda clip: clip.subject, 2))
ONE_OUT = Protocol("leave one person out", _by(lambda clip: clip.subject))
ALTERNATING = Protocol("every second clip", _every(2))
SPLIT = Protocol("odd → even people", lambda clips: np.array([1 - clip.split for clip in clips]), only_first=True)

PROTOCOLS = {
    "utdmhad": SPLIT,
    "msrc12": SPLIT,
    "florence3d": TWO_FOLDS,
    "kindergator_adults": TWO_FOLDS,
    "cad60": TWO_FOLDS,
    "uiprmd_kinect": TWO_FOLDS,
    "nwucla_train": Protocol("2 folds of views", _by(lambda clip: clip.camera)),
    "cmu_mocap": ONE_OUT,
    "cdta": ALTERNATING,
    "cmu_eval": ALTERNATING,
    "dance_tang2018": ALTERNATING,
    "mediapipe33_signs": ALTERNATING,
    "pushfit_mediapipe": ALTERNATING,
    "pushfit_coco17": ALTERNATING,
    "penn_action_train": Protocol("10 folds of clips", _every(10)),
    "tennis2d": Protocol("leave one video out", _by(lambda clip: clip.subject)),
}
# Coarser classes, or finer ones, that a file has beside its labels.
OTHER_LABELS: dict[str, Callable[[Any, int], str]] = {
    "kindergator_adults": lambda arrays, clip: str(arrays["coarse_label"][clip]),
    "uiprmd_kinect": lambda arrays, clip: f"{arrays['label'][clip]} {arrays['correct'][clip]}",
}
OTHER_LAYOUTS = (OPENNI15, COCO17, JHMDB15)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(data: Path, out: Path) -> None:
    """Measure each file that the report does not have for this encoder."""
    bundle = Bundle.read(SHIPPED_BUNDLES / "pose-statistics")
    encoder = Encoder(bundle, device="cpu", num_threads=1)
    about = {"encoder": bundle.manifest.name, "digest": bundle.manifest.encoder_digest}
    report: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    if report.get("about") != about:
        report = {"about": about, "files": {}}

    def embed(sequence: np.ndarray, layout: Layout) -> np.ndarray:
        clip = prepare(lost_as_nan(sequence, layout), layout, bundle.manifest.preprocess)
        return encoder.encode(clip[None])[0]

    for name, protocol in PROTOCOLS.items():
        if name not in report["files"]:
            report["files"][name] = measured = _measure(data / f"{name}.npz", protocol, embed)
            out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
            click.echo(f"{name}: {measured}")


def _measure(file: Path, protocol: Protocol, embed: Callable[[np.ndarray, Layout], np.ndarray]) -> dict[str, Any]:
    said: list[str] = []
    clips = list(read_clips(file, report=lambda remark: said.append(str(remark))))
    if relabel := OTHER_LABELS.get(file.stem):
        with np.load(file) as arrays:
            clips = [replace(clip, label=relabel(arrays, number)) for number, clip in enumerate(clips)]
    vectors, used = [], []
    for clip in (clip for clip in clips if clip.label is not None):
        try:
            vectors.append(embed(clip.sequence, clip.layout))
            used.append(clip)
        except InvalidSkeletonError as error:
            said.append(f"{clip.name}: {error}")
    gallery = np.stack(vectors)
    folds, labels = protocol.fold_of(used), np.array([clip.label for clip in used])
    percent = {"as they are": _right(gallery, gallery, labels, folds, protocol)}
    for change, queries in _changed(used, embed):
        percent[change] = _right(gallery, queries, labels, folds, protocol)
    return {
        "clips": len(used),
        "classes": len(set(labels.tolist())),
        "joints": used[0].layout.name if used[0].layout.name in LAYOUTS else f"{used[0].layout.num_joints} by name",
        "dimensions": used[0].dimensions,
        "protocol": protocol.said,
        "percent": percent,
        "said": list(dict.fromkeys(said)),
    }


def _changed(
    clips: list[Clip], embed: Callable[[np.ndarray, Layout], np.ndarray]
) -> Iterator[tuple[str, Float32[np.ndarray, "clips size"]]]:
    """The vectors of all clips, for each change."""
    layout = clips[0].layout
    hips = [layout.canonical_names.index(name) for name in ("HipLeft", "HipRight")]
    # A frame in which the hips are lost stays where it is.
    roots = (np.nan_to_num(clip.sequence[:, :, hips].mean(axis=2, keepdims=True)) for clip in clips)
    yield "no travel", np.stack([embed(clip.sequence - root, layout) for clip, root in zip(clips, roots, strict=True)])
    if clips[0].dimensions == 3:
        angles = np.random.default_rng(0).uniform(-np.pi, np.pi, len(clips))
        turned = (rotate_about_vertical(clip.sequence, float(angle)) for clip, angle in zip(clips, angles, strict=True))
        yield "turned", np.stack([embed(sequence, layout) for sequence in turned])
    for other in OTHER_LAYOUTS:
        if (kept := _kept_joints(layout, other)) is not None:
            names = tuple(layout.canonical_names[joint] for joint in kept)
            smaller = Layout("kept", names, tuple(range(-1, len(names) - 1)))
            yield f"joints of {other.name}", np.stack([embed(clip.sequence[:, :, kept], smaller) for clip in clips])


def _kept_joints(layout: Layout, other: Layout) -> list[int] | None:
    """Which joints `other` has too; None if part of a limb is not measured here, or if all joints would be kept."""
    names = [name for name in other.canonical_names if name in layout.canonical_names]
    limbs = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    missing = {f"{part}{side}" for part in limbs for side in ("Left", "Right")} - set(names)
    if missing or len(names) >= layout.num_joints:
        return None
    return [layout.canonical_names.index(name) for name in names]


def _right(
    gallery: Float32[np.ndarray, "clips size"],
    queries: Float32[np.ndarray, "clips size"],
    labels: np.ndarray,
    folds: np.ndarray,
    protocol: Protocol,
) -> float:
    right = asked = 0
    for fold in [0] if protocol.only_first else np.unique(folds):
        is_query: Bool[np.ndarray, " clips"] = folds == fold
        is_query = is_query & np.isin(labels, labels[~is_query])
        in_gallery = folds != fold
        nearest = (queries[is_query] @ gallery[in_gallery].T).argmax(axis=1)
        right += int((labels[in_gallery][nearest] == labels[is_query]).sum())
        asked += int(is_query.sum())
    return round(100 * right / asked, 1)


@main.command()
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(out: Path) -> None:
    """Print the report as Markdown."""
    files = json.loads(out.read_text())["files"]
    changes = list(dict.fromkeys(change for each in files.values() for change in each["percent"]))
    heads = [change.removeprefix("joints of ") for change in changes]
    click.echo(f"| file, its joints | clips, classes | protocol | {' | '.join(heads)} |")
    click.echo("|---" * (3 + len(heads)) + "|")
    for name, each in files.items():
        joints = each["joints"] + (", 2-D" if each["dimensions"] == 2 else "")
        cells = [str(each["percent"].get(change, "")) for change in changes]
        click.echo(
            f"| `{name}`, {joints} | {each['clips']}, {each['classes']} | {each['protocol']} | {' | '.join(cells)} |"
        )


if __name__ == "__main__":
    main()
