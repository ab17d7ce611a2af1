"""What happens when in recordings: a CSV file beside them, for those whose own format does not say it.

Its first line is `recording,start_s,end_s,label`; each line below is one action: the recording as `gfp add` names it
(FILE/CLIP), the seconds from the recording's begin, and the name of the action. Actions may overlap.
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
class Segment:
    """An action in a recording; seconds from the recording's begin, `start_s` before `end_s`."""

    start_s: float
    end_s: float
    label: str


def read(path: Path) -> dict[str, list[Segment]]:
    """The segments of each recording, in the file's order. Raises `DamagedFileError`, which names the line."""
    segments = defaultdict(list)
    rows = csv.reader(read_lines(path))
    try:
        heading = next(rows, [])
        if tuple(heading) != COLUMNS:
            raise damaged_line(path, 1, f"must be {','.join(COLUMNS)}, got {','.join(heading)[:60]!r}")
        for recording, segment in map(_read_row, rows):
            segments[recording].append(segment)
    except (ValueError, csv.Error) as error:
        raise damaged_line(path, rows.line_num, str(error)) from error
    return dict(segments)


def label_of(segments: Sequence[Segment], start_s: float, end_s: float) -> str | None:
    """The label of the segment that covers the most of a window, if that is half of it or more; else None."""

    def covered(segment: Segment) -> float:
        return min(segment.end_s, end_s) - max(segment.start_s, start_s)

    most = max(segments, key=covered, default=None)
    return most.label if most is not None and covered(most) >= (end_s - start_s) / 2 else None


def _read_row(row: Sequence[str]) -> tuple[str, Segment]:
    if len(row) != len(COLUMNS):
        raise ValueError(f"must hold {', '.join(COLUMNS)}, got {len(row)} fields")
    recording, start, end, label = row
    segment = Segment(_seconds(start), _seconds(end), label)
    if not 0 <= segment.start_s < segment.end_s < math.inf:
        raise ValueError(f"goes from {start} s to {end} s; the start must be before the end, and neither below 0")
    return recording, segment


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"must hold seconds, got {text[:40]!r}") from None
