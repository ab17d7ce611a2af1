"""NTU files for tests, and the simplest reader of them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

NAME = "S003C002P007R001A023.skeleton"


def make_lines(frames: Sequence[dict[str, float]]) -> list[str]:
    """Return a file's lines. Each frame maps body IDs to a number x; joint j of the body is at (x, x + j, -x)."""
    return lines_of([{body: [(x, x + j, -x) for j in range(25)] for body, x in frame.items()} for frame in frames])


def lines_of(frames: Sequence[dict[str, Sequence[Sequence[object]]]]) -> list[str]:
    """Return a file's lines. Each frame maps body IDs to 25 joints of three coordinates."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, joints in bodies.items():
            lines += [f"{body} 0 1 1 1 1 0 0.02 -0.4 2", "25"]
            lines += [f"{x} {y} {z} 250.1 190.2 900.5 400.25 0.1 -0.2 3e-05 0.4 2" for x, y, z in joints]
    return lines


def write_lines(path: Path, lines: Sequence[str], end: str = "\n") -> Path:
    path.write_bytes((end.join(lines) + end).encode())
    return path


def read_plainly(text: str) -> list[dict[str, list[list[float]]]]:
    """Read the frames of a correct file, as `lines_of` takes them, with the shortest loop over its lines."""
    lines = iter(io.StringIO(text))
    frames = []
    for _ in range(int(next(lines))):
        bodies = {}
        for _ in range(int(next(lines))):
            body = next(lines).split()[0]
            bodies[body] = [[float(field) for field in next(lines).split()[:3]] for _ in range(int(next(lines)))]
        frames.append(bodies)
    return frames


def as_array(frames: Sequence[dict[str, list[list[float]]]]) -> np.ndarray:
    """Return float32 frames × bodies × 25 joints × 3. Bodies are in order of appearance; NaN = not there."""
    ids = list(dict.fromkeys(body for frame in frames for body in frame))
    sequence = np.full((len(frames), len(ids), 25, 3), np.nan, dtype=np.float32)
    for number, frame in enumerate(frames):
        for body, joints in frame.items():
            sequence[number, ids.index(body)] = joints
    return sequence
