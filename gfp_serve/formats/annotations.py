"""Annotations: a CSV file that says when what happens in recordings, for those whose own format does not say it.

Its first line is `recording,start_s,end_s,label`. Each line below is one action: the recording as `gfp add` names it
(FILE/CLIP), the seconds from the recording's start, and the name of the action. Actions may overlap.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gfp_serve.formats.text import damaged_line, read_lines

COLUMNS = ("recording", "start_s", "end_s", "label")


@dataclass(frozen=True, slots=True)
class Annotation:
    """An action in a recording; seconds from the recording's start, `start_s` before `end_s`."""

    start_s: float
    end_s: float
    label: str


def read(path: Path) -> dict[str, list[Annotation]]:
    """The annotations of each recording, in the file's order. Raises `DamagedFileError`, which names the line."""
    annotations = defaultdict(list)
    rows = csv.reader(read_lines(path))
    try:
        heading = next(rows, [])
        if tuple(heading) != COLUMNS:
            raise damaged_line(path, 1, f"must be {','.join(COLUMNS)}, got {','.join(heading)[:60]!r}")
        for recording, annotation in map(_read_row, rows):
            annotations[recording].append(annotation)
    except (ValueError, csv.Error) as error:
        raise damaged_line(path, rows.line_num, str(error)) from error
    return dict(annotations)


def label_of(annotations: Sequence[Annotation], start_s: float, end_s: float) -> str | None:
    """The label of the annotation that covers the most of a window, if that is half of it or more; otherwise None."""

    def covered(annotation: Annotation) -> float:
        return min(annotation.end_s, end_s) - max(annotation.start_s, start_s)

    most = max(annotations, key=covered, default=None)
    return most.label if most is not None and covered(most) >= (end_s - start_s) / 2 else None


def _read_row(row: Sequence[str]) -> tuple[str, Annotation]:
    if len(row) != len(COLUMNS):
        raise ValueError(f"must hold {', '.join(COLUMNS)}, got {len(row)} fields")
    recording, start, end, label = row
    annotation = Annotation(_seconds(start), _seconds(end), label)
    if not 0 <= annotation.start_s < annotation.end_s < math.inf:
        raise ValueError(f"goes from {start} s to {end} s; the start must be before the end, and neither below 0")
    return recording, annotation


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"must hold seconds, got {text[:40]!r}") from None
