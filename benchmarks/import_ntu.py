"""Measure time and memory of an import of NTU RGB+D files, compare with a plain loop over lines, project to NTU-60.

    python benchmarks/import_ntu.py
    python benchmarks/import_ntu.py --num-files 500 --out import_ntu.json

The files are generated, because the data set cannot be redistributed. They have the true format and size: about 100
frames of 25 joints in 12 fields, 22 % with a second person, 6 % with a body that is not a person. A hundred different
texts are repeated under all names. The two readers take turns, on files that are in the system's cache.
"""

import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.formats import ntu
from gfp_serve.formats.ntu.text import parse
from trainer.data.importing import ImportConfig, find_sources, import_recordings
from trainer.data.store import ClipStore

NTU60_FILES = 56_880
NUM_TEXTS = 100
# Number of files that a reader takes in each turn, and number of turns.
TURN_FILES, TURNS = 25, 8
# For whole imports: number of files of each, and number of turns.
IMPORT_FILES, IMPORT_TURNS = 200, 3

COMMAND = [sys.executable, "-c", "from trainer.cli.data import gfp_data; gfp_data()", "import"]


def make_text(draws: np.random.Generator) -> str:
    """Make one recording: a person who sways, sometimes a second person, or a body seen in a few frames only."""
    num_frames = int(np.clip(draws.gamma(9.0, 11.0), 30, 300))
    kind = draws.choice(["one", "two", "ghost"], p=[0.72, 0.22, 0.06])
    spans = {"one": [(0, num_frames)], "two": [(0, num_frames)] * 2, "ghost": [(0, num_frames), (5, 14)]}[kind]
    first_id = int(draws.integers(72057594037927936, 72057594037999999))
    poses = draws.normal(0, 0.15, (len(spans), 25, 3)) + np.linspace([0, -0.9, 3], [0, 0.7, 3.2], 25)
    sway = draws.normal(0, 0.01, (num_frames, len(spans), 25, 3)).cumsum(axis=0)
    rest = draws.normal(0, 0.5, (num_frames, len(spans), 25, 4))
    lines = [str(num_frames)]
    for frame in range(num_frames):
        bodies = [body for body, (start, end) in enumerate(spans) if start <= frame < end]
        lines.append(str(len(bodies)))
        for body in bodies:
            lean = rest[frame, body, 0]
            lines += [f"{first_id + body} 0 1 1 1 1 0 {lean[0]:.7g} {lean[1]:.7g} 2", "25"]
            for (x, y, z), w in zip(poses[body] + sway[frame, body], rest[frame, body], strict=True):
                depth, colour = (256 + 366 * x / z, 212 - 366 * y / z), (960 + 1050 * x / z, 540 - 1050 * y / z)
                fields = (x, y, z, *depth, *colour, *w)
                lines.append(" ".join(f"{field:.7g}" for field in fields) + " 2")
    return "\r\n".join(lines) + "\r\n"


def write_files(folder: Path, num_files: int) -> list[Path]:
    """Write files of made-up recordings, named like those of NTU RGB+D."""
    draws = np.random.default_rng(0)
    texts = [make_text(draws).encode() for _ in range(min(NUM_TEXTS, num_files))]
    incomplete = ntu.incomplete_recordings()
    names = (
        f"S{setup:03}C{camera:03}P{performer:03}R{replication:03}A{action:03}"
        for setup in range(1, 18)
        for performer in range(1, 9)
        for replication in (1, 2)
        for camera in (1, 2, 3)
        for action in range(1, 61)
    )
    free = (name for name in names if name not in incomplete)
    files = [folder / f"{next(free)}.skeleton" for _ in range(num_files)]
    for number, file in enumerate(files):
        file.write_bytes(texts[number % len(texts)])
    return files


def parse_plainly(path: Path) -> np.ndarray:
    """Read a file as simply as Python can: loop over lines, split each and take three of its numbers."""
    lines = io.StringIO(path.read_text(encoding="ascii"))
    frames = []
    for _ in range(int(next(lines))):
        bodies = {}
        for _ in range(int(next(lines))):
            body = next(lines).split()[0]
            joints = []
            for _ in range(int(next(lines))):
                fields = next(lines).split()
                joints.append((float(fields[0]), float(fields[1]), float(fields[2])))
            bodies[body] = joints
        frames.append(bodies)
    ids = list(dict.fromkeys(body for bodies in frames for body in bodies))
    sequence = np.full((len(frames), len(ids), 25, 3), np.nan, dtype=np.float32)
    for number, bodies in enumerate(frames):
        for body, joints in bodies.items():
            sequence[number, ids.index(body)] = joints
    return sequence


def seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare_parsing(files: Sequence[Path]) -> dict[str, float]:
    """Return the milliseconds a file for both readers, which take turns on the same files."""
    for file in files[:NUM_TEXTS]:
        np.testing.assert_array_equal(parse(file), parse_plainly(file))
    plain, ours = [], []
    for turn in range(TURNS):
        some = [files[(turn * TURN_FILES + number) % len(files)] for number in range(TURN_FILES)]
        plain.append(seconds(lambda some=some: [parse_plainly(file) for file in some]) / TURN_FILES * 1e3)
        ours.append(seconds(lambda some=some: [parse(file) for file in some]) / TURN_FILES * 1e3)
    ratio = median(a / b for a, b in zip(plain, ours, strict=True))
    return {"plain_ms": median(plain), "ours_ms": median(ours), "ratio": ratio}


def compare_imports(folder: Path, work: Path) -> dict[str, float]:
    """Return the milliseconds a file for whole imports in one process (read, hash, choose, clean, store)."""
    sources = {name: files[:IMPORT_FILES] for name, files in find_sources([folder]).items()}
    config = ImportConfig()
    taken: dict[str, list[float]] = {"plain_ms": [], "ours_ms": []}
    digests = set()
    for turn in range(IMPORT_TURNS):
        for name, times in taken.items():
            out = work / f"{name}{turn}"
            with patch.object(ntu, "parse", parse_plainly if name == "plain_ms" else parse):
                elapsed = seconds(lambda out=out: import_recordings(sources, out, config))
            times.append(elapsed / sum(map(len, sources.values())) * 1e3)
            digests.add(ClipStore.open(out).content_digest)
    if len(digests) > 1:
        raise RuntimeError("the imports made different stores")
    plain, ours = map(median, taken.values())
    return {"plain_ms": plain, "ours_ms": ours, "ratio": plain / ours}


def measure_import(files: Sequence[Path], work: Path) -> dict[str, float]:
    """Return seconds and peak memory of the command and all its processes. Shared pages count for each."""
    folder = work / f"first{len(files)}"
    folder.mkdir()
    for file in files:
        (folder / file.name).hardlink_to(file)
    start = time.perf_counter()
    command = subprocess.Popen(
        [*COMMAND, str(folder), "--out", str(work / f"store{len(files)}")], stdout=subprocess.DEVNULL
    )
    main, peak, main_peak = psutil.Process(command.pid), 0, 0
    while command.poll() is None:
        sizes = []
        for process in [main, *main.children(recursive=True)]:
            try:
                sizes.append(process.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        if sizes:
            peak, main_peak = max(peak, sum(sizes)), max(main_peak, sizes[0])
        time.sleep(0.05)
    if command.returncode:
        raise RuntimeError(f"the import of {len(files)} files failed")
    taken = time.perf_counter() - start
    return {"files": len(files), "seconds": taken, "peak_rss_mb": peak / 1e6, "peak_rss_main_mb": main_peak / 1e6}


@click.command()
@click.option("--num-files", type=click.IntRange(min=100), default=2000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the numbers as JSON.")
def main(num_files: int, out: Path | None) -> None:
    """Import generated NTU RGB+D files, and compare with the plainest reader."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        folder = work / "ntu"
        folder.mkdir()
        files = write_files(folder, num_files)
        num_bytes = sum(file.stat().st_size for file in files)
        results = {
            "cores": len(os.sched_getaffinity(0)),
            "load_before": os.getloadavg()[0],
            "python": platform.python_version(),
            "machine": platform.machine(),
            "kb_a_file": num_bytes / num_files / 1e3,
            "parsing": compare_parsing(files),
            "import": compare_imports(folder, work),
            "commands": [measure_import(some, work) for some in (files[: num_files // 4], files)],
        }
    whole = results["commands"][-1]
    results["projected_minutes"] = whole["seconds"] / num_files * NTU60_FILES / 60
    show(results)
    if out is not None:
        out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def show(results: dict[str, Any]) -> None:
    console = Console()
    table = Table("", "line loop", "ours", "ratio", title=f"ms a file of {results['kb_a_file']:.0f} kB")
    for title, name in (("parse", "parsing"), ("import, 1 process", "import")):
        of_both = results[name]
        table.add_row(title, f"{of_both['plain_ms']:.2f}", f"{of_both['ours_ms']:.2f}", f"{of_both['ratio']:.1f}")
    console.print(table)
    for command in results["commands"]:
        console.print(
            f"gfp-data import of {command['files']} files on {results['cores']} cores: {command['seconds']:.1f} s, "
            f"at most {command['peak_rss_mb']:.0f} MB in all processes, "
            f"{command['peak_rss_main_mb']:.0f} MB in the first"
        )
    console.print(f"projected for {NTU60_FILES} files: {results['projected_minutes']:.1f} minutes")


if __name__ == "__main__":
    main()
