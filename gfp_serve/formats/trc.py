"""TRC, the marker files of OpenSim: of motion capture, Pose2Sim, OpenCap and other software.

Text with tabs: a line `PathFileType`, the names of settings (DataRate, NumMarkers, Units ...) and below them their
values, a line `Frame#  Time` with a marker's name in every third column, a line of axes, and a line for each frame
(simtk-confluence.stanford.edu, OpenSim documentation, Marker (.trc) Files).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gfp_serve.conventions import METRES, Conventions, Unit
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.csv_table import number_of
from gfp_serve.formats.markers import Markers, body_of, guess_of
from gfp_serve.formats.remark import Remark
from gfp_serve.formats.text import damaged_line, read_lines
from gfp_serve.joint_map import JointMap

_UNITS: dict[str, Unit] = {"meters": "m", "metres": "m", "millimeters": "mm", "centimeters": "cm", "inches": "in"}
_UNITS |= {unit: unit for unit in METRES}
_FIRST_MARKER = 2  # behind the columns of the frame's number and its time


def read(
    path: Path,
    said: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
) -> Iterator[Clip | Remark]:
    """Yield how the file was read, and its clip; see `markers.body_of`.

    An empty field is a lost marker. The axis that points up is decided by anatomy. Raises `DamagedFileError`, which
    names the line, or the markers when hips and shoulders are not among them.
    """
    yield from body_of(path, _parse(path), said, joint_map)


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of a file's markers, and the standard names of those that are known. Raises `DamagedFileError`."""
    return guess_of(_parse(path).names)


def _parse(path: Path) -> Markers:
    lines = read_lines(path)
    first = next((number for number, line in enumerate(lines) if line.lower().startswith("frame#")), None)
    if first is None or first < 2 or not lines[0].lower().startswith("pathfiletype"):
        raise DamagedFileError(
            f"{path} is not a TRC file: expected a line 'PathFileType', lines with DataRate and Units, and a line "
            f"'Frame#' with the names of the markers; copy it again."
        )
    settings = dict(zip(_fields(lines[first - 2].lower()), _fields(lines[first - 1]), strict=False))
    labels = [name for name in _fields(lines[first])[_FIRST_MARKER:] if name]
    if not labels or len(set(labels)) < len(labels):
        raise damaged_line(path, first + 1, "must name each marker once")
    count = number_of(settings.get("nummarkers", ""))
    if count is not None and count != len(labels) and not np.isnan(count):
        raise damaged_line(path, first + 1, f"must name {count:g} markers, as NumMarkers says; it names {len(labels)}")
    start = first + 1
    # Below the names is a line of axes, X1, Y1, Z1, and often an empty one.
    while start < min(len(lines), first + 3) and not _begins_with_number(lines[start]):
        start += 1
    rows = [
        _row(path, number, line, len(labels)) for number, line in enumerate(lines[start:], start + 1) if line.strip()
    ]
    if not rows:
        raise DamagedFileError(f"{path} has no frames; copy it again.")
    rate = number_of(settings.get("datarate", ""))
    return Markers(
        labels=labels,
        places=np.array(rows).reshape(len(rows), len(labels), 3),
        fps=rate if rate is not None and rate > 0 else None,
        unit=_UNITS.get(settings.get("units", "").lower()),
    )


def _begins_with_number(line: str) -> bool:
    number = number_of(_fields(line)[0]) if line.strip() else None
    return number is not None and not np.isnan(number)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]


def _row(path: Path, number: int, line: str, num_markers: int) -> list[float]:
    """The coordinates of a frame. Fields that are lacking at the end are empty."""
    fields = _fields(line)[_FIRST_MARKER:]
    while len(fields) > 3 * num_markers and not fields[-1]:
        fields.pop()
    if len(fields) > 3 * num_markers:
        raise damaged_line(path, number, f"must hold {3 * num_markers} coordinates, has {len(fields)}")
    coordinates = []
    for field in fields:
        value = number_of(field)
        if value is None:
            raise damaged_line(path, number, f"must hold numbers, got {field[:40]!r}")
        coordinates.append(value)
    return coordinates + [np.nan] * (3 * num_markers - len(fields))
