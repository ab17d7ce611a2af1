"""Pose landmarks of MediaPipe as CSV: a line for each frame, and a column for each landmark and axis.

MediaPipe itself writes no CSV. The headers in circulation have a landmark's number, from 0 or from 1, or its name, and
its axis: `x0, y0, z0, v0`, `x1 ...` (behind them may be the landmarks of a face), `landmark_0_x`, `0_x`, `nose_x`,
`NOSE_visibility`, `nose.x`, `left_hip_world_x`. Further columns are ignored, but for a number of the frame, a time, and
a label that is the same in all lines.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.csv_table import NUMBERS, TIMES, Rows, coordinates_of, heading_of, label_in, numbers_in, rows_of
from gfp_serve.formats.json_text import head_of
from gfp_serve.formats.mediapipe_landmarks import fps_of_times, video_of
from gfp_serve.formats.recorded_people import clips_of
from gfp_serve.formats.remark import Remark
from gfp_serve.formats.text import read_lines
from gfp_serve.layouts import MEDIAPIPE33

_AXES = {"x": 0, "y": 1, "z": 2, "v": 3, "vis": 3, "visibility": 3, "confidence": 3, "score": 3}
_AXIS = "|".join(sorted(_AXES, key=len, reverse=True))
_AXIS_FIRST = re.compile(rf"(?P<axis>{_AXIS})[_. ]?(?P<landmark>\d+)")
_AXIS_LAST = re.compile(rf"(?P<landmark>.*?\d+|[a-z_. ]+?)[_. ]?(?P<axis>{_AXIS})")
_WORLD = re.compile(r"[_. ]?world[_. ]?|^w(?=x|y|z)")
_PREFIX = re.compile(r"^(?:pose|landmarks?|lm|kp|keypoint|point|mp|p)?[_. ]?(?=\d)|^pose[_. ]")


def is_recording(path: Path) -> bool:
    """Whether the first line of a file names columns of landmarks. CSV can be anything, such as labels."""
    first = head_of(path).decode("utf-8-sig", errors="replace").splitlines()[:1]
    return bool(first) and len(_columns(_heading(first[0]))) > 0


def read(path: Path, said: Conventions = Conventions()) -> Iterator[Clip | Remark]:  # noqa: B008 (it cannot be changed)
    """Yield the clip of a file. An empty field is a lost joint; a line of zeros shows nobody.

    Columns that are called world, or whose hips are at the origin in every line, are metres; others are parts of the
    image or pixels. Raises `DamagedFileError`, which names the line.
    """
    lines = read_lines(path)
    if not lines:
        raise DamagedFileError(f"{path} is empty; copy it again.")
    heading = _heading(lines[0])
    columns = _columns(heading)
    if not columns:
        raise DamagedFileError(
            f"{path}: line 1 does not name landmarks of MediaPipe's pose; expected columns such as x0, y0, z0, v0 or "
            f"nose_x, nose_y, nose_z, nose_visibility. Other CSV files are not read as recordings."
        )
    rows = rows_of(path, lines, len(heading))
    numbers = [int(number) for number in numbers_in(rows, heading, NUMBERS) if number == int(number)]
    rise = len(numbers) == len(rows) and all(a < b for a, b in itertools.pairwise(numbers))
    frames = numbers if rise else list(range(len(rows)))
    rates = (fps_of_times(frames, numbers_in(rows, heading, (name,)), unit) for name, unit in TIMES.items())
    people = {
        world: {frame: [person] for frame, person in zip(frames, _landmarks(path, rows, places), strict=True)}
        for world, places in columns.items()
    }
    video = video_of(
        path.stem, people.get(True, {}), people.get(False, {}), fps=next((rate for rate in rates if rate), None)
    )
    label, notes = label_in(rows, heading)
    yield from clips_of(path, replace(video, label=label, notes=(*video.notes, *notes)), said)


def _heading(line: str) -> list[str]:
    """The names of columns, in small letters."""
    return [name.lower() for name in heading_of(line)]


def _columns(heading: Sequence[str]) -> dict[bool, dict[tuple[int, int], int]]:
    """For landmarks in the world (True) and in the image: the column of each landmark and axis. Empty without these."""
    found: dict[bool, dict[tuple[str, int], int]] = {True: {}, False: {}}
    for column, name in enumerate(heading):
        world = _WORLD.search(name) is not None
        plain = _PREFIX.sub("", _WORLD.sub("_", name).strip("_. "))
        match = _AXIS_FIRST.fullmatch(plain) or _AXIS_LAST.fullmatch(plain)
        if match:
            found[world].setdefault((match["landmark"].strip("_. "), _AXES[match["axis"]]), column)
    complete = {}
    for world, columns in found.items():
        by_name = _by_number(columns)
        if all((landmark, axis) in by_name for landmark in range(MEDIAPIPE33.num_joints) for axis in (0, 1)):
            complete[world] = by_name
    return complete


def _by_number(columns: Mapping[tuple[str, int], int]) -> dict[tuple[int, int], int]:
    names = {name for name, _ in columns}
    if "nose" in names:
        numbers = {name: number for number, name in enumerate(MEDIAPIPE33.joint_names)}
    else:
        first = 0 if "0" in names or "00" in names else 1
        numbers = {name: int(name) - first for name in names if name.isdecimal()}
    places = {
        (numbers[name.replace(".", "_").replace(" ", "_")], axis): column
        for (name, axis), column in columns.items()
        if name.replace(".", "_").replace(" ", "_") in numbers
    }
    return {place: column for place, column in places.items() if place[0] < MEDIAPIPE33.num_joints}


def _landmarks(path: Path, rows: Rows, places: Mapping[tuple[int, int], int]) -> np.ndarray:
    """x, y, z, visibility of each landmark: lines × 33 × 4."""
    found = np.zeros((len(rows), MEDIAPIPE33.num_joints, 4))
    found[..., 3] = 1.0
    landmarks, axes = zip(*places, strict=True)
    found[:, landmarks, axes] = coordinates_of(path, rows, [*places.values()])
    return found
