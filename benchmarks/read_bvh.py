"""Compare the reader of BVH files with the one of another revision, on the same files, turn by turn.

    python benchmarks/read_bvh.py --against main
    python benchmarks/read_bvh.py --against v1.2.0 --frames 10000 --out benchmarks/read_bvh.json

The files are generated: a body of 60 joints that moves, of which 38 are in the fingers, and the same body without
fingers. The other revision's package is written to a temporary folder. Each reader runs in a
process of its own, which reads a file when it is told to; the two take turns, on files that are in the system's cache.
Both must give the same numbers, but for hands: revisions differ in where they are.
"""

import io
import itertools
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
TRUNK = ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head")
ARM = ("Shoulder", "Arm", "ForeArm", "Hand")
LEG = ("UpLeg", "Leg", "Foot", "ToeBase")
FINGERS = {"Thumb": 3, "Index": 4, "Middle": 4, "Ring": 4, "Pinky": 4}
LENGTHS_CM = {"Shoulder": 15, "Arm": 28, "ForeArm": 25, "Hand": 8, "UpLeg": 10, "Leg": 43, "Foot": 41, "ToeBase": 14}
# The left is at larger x. Arms point to the sides.
AXES = {"Leg": (0, -1, 0), "Foot": (0, -1, 0), "ToeBase": (0, 0, 1)}

# Reads the file that each line names, and answers with the seconds and the bytes of the last sequence's checksum.
READER = """
import sys, time, hashlib
from pathlib import Path
import numpy as np
from gfp_serve.formats import bvh
for line in sys.stdin:
    start = time.perf_counter()
    (clip,) = (each for each in bvh.read(Path(line.strip())) if hasattr(each, "sequence"))  # and not a remark
    seconds = time.perf_counter() - start
    limbs = np.delete(clip.sequence, [7, 11, 21, 22, 23, 24], axis=2)  # all but hands
    print(seconds, hashlib.sha256(limbs.tobytes()).hexdigest(), flush=True)
"""


def joints_of(fingers: bool) -> list[tuple[str, str, float]]:
    """Name, parent and distance to it of each joint; parents first."""
    chains = [("", TRUNK, 12.0)]
    for side in ("Left", "Right"):
        chains.append(("Spine2", tuple(side + name for name in ARM), 0.0))
        chains.append(("Hips", tuple(side + name for name in LEG), 0.0))
        if fingers:
            for name, parts in FINGERS.items():
                chains.append((f"{side}Hand", tuple(f"{side}Hand{name}{part + 1}" for part in range(parts)), 3.0))
    return [
        (name, above, length or LENGTHS_CM[name.removeprefix("Left").removeprefix("Right")])
        for start, chain, length in chains
        for above, name in itertools.pairwise((start, *chain))
    ]


def write_file(path: Path, joints: list[tuple[str, str, float]], num_frames: int) -> None:
    """Write a body whose joints all turn a little from frame to frame, with 6 digits as most programs write them."""
    lines = ["HIERARCHY"]

    def add(name: str, length: float, depth: int) -> None:
        part = name.removeprefix("Left").removeprefix("Right")
        sideways = -1 if name.startswith("Right") else 1
        axis = (0, 1, 0) if name in TRUNK else AXES.get(part, (sideways, 0, 0))
        tabs = "\t" * depth
        offset = " ".join(f"{length * along:.6f}" for along in axis) if depth else "0 0 0"
        channels = "3" if depth else "6 Xposition Yposition Zposition"
        lines.extend([f"{tabs}{'JOINT' if depth else 'ROOT'} {name}", tabs + "{", f"{tabs}\tOFFSET {offset}"])
        lines.append(f"{tabs}\tCHANNELS {channels} Zrotation Xrotation Yrotation")
        children = [(child, its) for child, above, its in joints if above == name]
        for child, its in children:
            add(child, its, depth + 1)
        if not children:
            lines.extend([tabs + "\tEnd Site", tabs + "\t{", tabs + "\t\tOFFSET 0 2 0", tabs + "\t}"])
        lines.append(tabs + "}")

    add(joints[0][0], 0, 0)
    # Joints turn by at most 15 degrees, so that the body stands, which says which way is up.
    turns = 15 * np.sin(np.random.default_rng(0).normal(0, 0.03, (num_frames, 3 + 3 * len(joints))).cumsum(axis=0))
    lines += ["MOTION", f"Frames: {num_frames}", "Frame Time: 0.0083333"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in turns]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


@contextmanager
def reader_of(package: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that reads files with the package in this folder."""
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONSAFEPATH": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.stdin.close()


def write_revision(revision: str, folder: Path) -> None:
    """Write the package of a revision to a folder."""
    archive = subprocess.run(["git", "archive", revision, "gfp_serve"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")


def compare(path: Path, sides: dict[str, subprocess.Popen[str]], turns: int) -> dict[str, Any]:
    """Return the medians of both readers on a file, and the median of the ratios of turns."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    checksums = set()
    for turn in range(turns + 1):
        # Who begins changes, because the second finds the file in the processor's cache.
        for name in sorted(sides, reverse=bool(turn % 2)):
            print(path, file=sides[name].stdin, flush=True)
            seconds, checksum = sides[name].stdout.readline().split()
            checksums.add(checksum)
            if turn:  # the first turn imports and warms up
                taken[name].append(float(seconds))
    if len(checksums) > 1:
        raise RuntimeError(f"the readers give different numbers for {path.name}")
    ratio = median(other / ours for other, ours in zip(taken["other"], taken["ours"], strict=True))
    return {"other_s": median(taken["other"]), "ours_s": median(taken["ours"]), "ratio": ratio}


@click.command()
@click.option("--against", required=True, help="Git revision with the other reader.")
@click.option("--frames", "num_frames", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--turns", type=click.IntRange(min=1), default=7, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the numbers as JSON.")
def main(against: str, num_frames: int, turns: int, out: Path | None) -> None:
    """Compare the reader of BVH files with the one of another revision."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_revision(against, work / "other")
        results: dict[str, Any] = {
            "against": against,
            "frames": num_frames,
            "turns": turns,
            "cores": len(os.sched_getaffinity(0)),
            "load_before": os.getloadavg()[0],
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": platform.machine(),
            "files": {},
        }
        with reader_of(ROOT) as ours, reader_of(work / "other") as other:
            for title, fingers in (("with fingers", True), ("without fingers", False)):
                joints = joints_of(fingers)
                path = work / f"{title.replace(' ', '_')}.bvh"
                write_file(path, joints, num_frames)
                figures = compare(path, {"ours": ours, "other": other}, turns)
                figures["joints"] = len(joints)
                figures["us_a_frame"] = figures["ours_s"] / num_frames * 1e6
                results["files"][title] = figures
    show(results)
    if out is not None:
        out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def show(results: dict[str, Any]) -> None:
    title = f"{results['frames']} frames, seconds a file"
    table = Table("", "joints", results["against"], "ours", "ratio", "µs a frame", title=title)
    for name, row in results["files"].items():
        seconds = (f"{row['other_s']:.3f}", f"{row['ours_s']:.3f}", f"{row['ratio']:.2f}", f"{row['us_a_frame']:.1f}")
        table.add_row(name, str(row["joints"]), *seconds)
    Console().print(table)


if __name__ == "__main__":
    main()
