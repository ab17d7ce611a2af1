"""TRC, the marker files of OpenSim: of motion capture, Pose2Sim, OpenCap and other software.

Text with tabs: a line `PathFileType`, the names of settings (DataRate, NumMarkers, Units ...) and below them their
values, a line `Frame#  Time` with a marker's name in every third column, a line of axes, and a line for each frame
(simtk-confluence.stanford.edu, OpenSim documentation, Marker (.trc) Files).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gfp_serve.conventions import METRES, Conventions, Unit
from gfp_serve.errors import DamagedFileError, UnknownLayoutError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.csv_table import number_of
from gfp_serve.formats.named_joints import known_name, layout_of_names
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video, clips_of
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
    """Yield how the file was read, and its clip: one body.

    A marker is a joint if it is called so in a common spelling (`RKnee`, `left_wrist`), or by the `joint_map`; others
    are left out. An empty field is a lost marker. The axis that points up is decided by anatomy. Raises
    `DamagedFileError`, which names the line, or the markers when hips and shoulders are not among them.
    """
    found = _parse(path)
    try:
        if joint_map is None:
            layout, kept = layout_of_names(found.markers)
        else:
            layout, kept = joint_map.layout_of(found.markers, [-1] * len(found.markers))
    except UnknownLayoutError as error:
        unknown = ", ".join(name for name in found.markers if not known_name(name))
        raise DamagedFileError(
            f"{path}: its markers do not make a body: {error} Markers on the skin are not joints: say which one stands "
            f"for which joint with --joint-map, or compute joints first. Unknown markers: {unknown[:1000] or 'none'}."
        ) from error
    except DamagedFileError as error:
        raise DamagedFileError(f"{path}: {error}") from error
    places = found.places[:, kept]
    notes: tuple[str, ...] = ()
    if len(kept) < len(found.markers):
        notes = (f"{len(kept)} of its {len(found.markers)} markers were taken as joints; the others were left out.",)
    seen = np.isfinite(places).all(axis=2).any(axis=1)
    video = Video(
        name=path.stem,
        frames={frame: [Person(places[frame], track="0")] if seen[frame] else [] for frame in range(len(places))},
        layout=layout,
        fps=found.fps,
        conventions=Conventions(unit=found.unit),
        notes=notes,
    )
    yield from clips_of(path, video, said)


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of a file's markers, and the standard names of those that are known. Raises `DamagedFileError`."""
    markers = list(_parse(path).markers)
    return markers, {marker: name for marker in markers if (name := known_name(marker))}


@dataclass(frozen=True, slots=True, eq=False)
class _Markers:
    markers: Sequence[str]
    places: Float64[np.ndarray, "frames markers 3"]  # NaN where a marker was lost
    fps: float | None
    unit: Unit | None


def _parse(path: Path) -> _Markers:
    lines = read_lines(path)
    first = next((number for number, line in enumerate(lines) if line.lower().startswith("frame#")), None)
    if first is None or first < 2 or not lines[0].lower().startswith("pathfiletype"):
        raise DamagedFileError(
            f"{path} is not a TRC file: expected a line 'PathFileType', lines with DataRate and Units, and a line "
            f"'Frame#' with the names of the markers; copy it again."
        )
    settings = dict(zip(_fields(lines[first - 2].lower()), _fields(lines[first - 1]), strict=False))
    markers = [name.rpartition(":")[2] for name in _fields(lines[first])[_FIRST_MARKER:] if name]
    if not markers or len(set(markers)) < len(markers):
        raise damaged_line(path, first + 1, "must name each marker once")
    count = number_of(settings.get("nummarkers", ""))
    if count is not None and count != len(markers) and not np.isnan(count):
        raise damaged_line(path, first + 1, f"must name {count:g} markers, as NumMarkers says; it names {len(markers)}")
    start = first + 1
    # Below the names is a line of axes, X1, Y1, Z1, and often an empty one.
    while start < min(len(lines), first + 3) and not _begins_with_number(lines[start]):
        start += 1
    rows = [
        _row(path, number, line, len(markers)) for number, line in enumerate(lines[start:], start + 1) if line.strip()
    ]
    if not rows:
        raise DamagedFileError(f"{path} has no frames; copy it again.")
    rate = number_of(settings.get("datarate", ""))
    return _Markers(
        markers=markers,
        places=np.array(rows).reshape(len(rows), len(markers), 3),
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
