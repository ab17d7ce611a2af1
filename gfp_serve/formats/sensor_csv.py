"""CSV of depth sensors: a line for each body in each frame, and columns that are called after a joint and an axis.

No sensor's own program writes it, so headers differ: `SpineBase_X, SpineBase_Y, SpineBase_Z`, `SpineBaseX`, `PELVIS.x`,
`spine_navel_x`, `Head X (m)`. Beside these may be a number of the frame, a time, a number of the body (`BodyID`,
`TrackingID`), a state of tracking or a confidence for each joint, and a label that is the same in all lines. Further
columns, such as orientations, are ignored.
"""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from gfp_serve.conventions import METRES, Conventions, Unit
from gfp_serve.errors import DamagedFileError, UnknownLayoutError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.csv_table import (
    NUMBERS,
    TIMES,
    Rows,
    coordinates_of,
    heading_of,
    label_in,
    number_of,
    numbers_in,
    rows_of,
)
from gfp_serve.formats.named_joints import known_name, layout_of_names
from gfp_serve.formats.people import MAX_BODIES, Frames, Person
from gfp_serve.formats.recorded_people import Video, clips_of
from gfp_serve.formats.remark import Remark
from gfp_serve.formats.text import read_lines
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import STANDARD_NAMES, Layout

_COLUMN = re.compile(
    r"(?P<joint>.+?)[ _.:-]*(?:pos(?:ition)?[ _.]*)?(?P<axis>[xyz])(?:[ _]*[(\[]?(?P<unit>mm|cm|m)[)\]]?)?",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"(?P<joint>.+?)[ _.:-]*(?:tracking[ _]?state|state|tracked|conf(?:idence)?(?:[ _]?level)?)", re.IGNORECASE
)
_PREFIX = re.compile(r"^(?:k4abt[ _]joint|joint ?type|joint)[ _.]+", re.IGNORECASE)
# States of joints that were not seen, of the Kinect v2 and the Azure Kinect.
_NOT_SEEN = {"nottracked", "not tracked", "not_tracked", "none", "false"}
_BODIES = (
    *("bodyid", "body_id", "body", "trackingid", "tracking_id", "trackid", "track_id", "personid", "person_id"),
    *("userid", "user_id", "skeletonid", "skeleton_id", "id"),
)
_NUMBERS = (*NUMBERS, "frame#", "framenumber", "frameindex", "frameid", "frame_no")
_TIMES: dict[str, float | None] = dict(TIMES)
_TIMES |= {"timestamp_usec": 1e-6, "device_timestamp_usec": 1e-6, "timestamp_us": 1e-6, "relativetime": None}
_TIMES |= {"relative_time": None, "elapsed_time": None, "time_(s)": 1.0, "time_(ms)": 1e-3, "timestamp_(ms)": 1e-3}
# Units of times, from seconds to ticks of 100 and of 1 ns, and the frame rates of sensors, which tell them apart.
_TIME_UNITS = (1.0, 1e-3, 1e-6, 1e-7, 1e-9)
_POSSIBLE_FPS = (4.0, 250.0)


def is_recording(path: Path, first_line: str) -> bool:
    """Whether the first line of a file names columns of joints that make a body."""
    try:
        _columns(path, heading_of(first_line), None)
    except DamagedFileError:
        return False
    return True


def read(path: Path, said: Conventions, joint_map: JointMap | None) -> Iterator[Clip | Remark]:
    """Yield how the file was read, and its clip.

    A joint is known by its name in common spellings, or by the `joint_map`. It is lost where a field is empty and where
    its state or confidence is 0. Bodies with numbers keep them; others are followed from frame to frame. The rate is
    that of the times. Units and the axis that points up are decided by anatomy if headers do not say them. Raises
    `DamagedFileError`, which names the line, or what is lacking among the joints.
    """
    lines = read_lines(path)
    if not lines:
        raise DamagedFileError(f"{path} is empty; copy it again.")
    heading = heading_of(lines[0])
    columns = _columns(path, heading, joint_map)
    rows = rows_of(path, lines, len(heading))
    simple = [name.lower().replace(" ", "_") for name in heading]
    joints = coordinates_of(path, rows, [*columns.coordinates]).reshape(len(rows), -1, 3)
    for joint, column in columns.states.items():
        texts = [row[column].strip().lower() for row in rows.values()]
        numbers = [number_of(text) for text in texts]
        lost = [text in _NOT_SEEN or number == 0 for text, number in zip(texts, numbers, strict=True)]
        if said.min_confidence is not None and _are_confidences(numbers):
            lost = [number is None or not number >= said.min_confidence for number in numbers]
        joints[lost, joint] = np.nan
    bodies = next((_texts(rows, simple.index(name)) for name in _BODIES if name in simple), None)
    if bodies is not None and len(set(bodies)) == len(bodies) > 1:
        bodies = None  # these are numbers of lines
    name_of_time, times = next(
        ((name, found) for name in _TIMES if (found := numbers_in(rows, simple, (name,), largest=math.inf))), ("", [])
    )
    frames = _frames(numbers_in(rows, simple, _NUMBERS), times, bodies, len(rows))
    people: dict[int, list[Person]] = defaultdict(list)
    for place, frame in enumerate(frames):
        here = people[frame]
        if np.isfinite(joints[place]).all(axis=1).any():
            here.append(Person(joints[place], track=None if bodies is None else bodies[place]))
    label, notes = label_in(rows, simple)
    if joint_map is not None and (absent := joint_map.about_absent(list(_joints_in(heading)[0]))):
        notes += (absent,)
    video = Video(
        name=path.stem,
        frames=cast(Frames, dict(people)),
        layout=columns.layout,
        fps=_fps(frames, times, _TIMES.get(name_of_time)),
        conventions=Conventions(unit=columns.unit),
        label=label,
        notes=notes,
    )
    yield from clips_of(path, video, said)


def _are_confidences(numbers: Sequence[float | None]) -> bool:
    """Whether these are from 0 to 1, and not the states 0, 1 and 2. Empty fields, which are NaN, say nothing."""
    known = [number for number in numbers if number is not None and not math.isnan(number)]
    return len(known) == sum(number is None or not math.isnan(number) for number in numbers) and all(
        0 <= number <= 1.1 for number in known
    )


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of joints in the first line, and the standard names of those that are known.

    Raises `DamagedFileError` for a file without columns of joints.
    """
    lines = read_lines(path)
    names = list(_joints_in(heading_of(lines[0]) if lines else [])[0])
    if not names:
        raise DamagedFileError(
            f"{path}: line 1 does not name joints; expected columns such as SpineBase_X, SpineBase_Y, SpineBase_Z."
        )
    guessed: dict[str, str] = {}
    for name in names:
        known = known_name(name)
        if known in STANDARD_NAMES and known not in guessed.values():  # a column that comes twice is for the reader
            guessed[name] = known
    return names, guessed


@dataclass(frozen=True, slots=True)
class _Columns:
    layout: Layout
    coordinates: Sequence[int]  # x, y, z of each joint of the layout
    states: Mapping[int, int]  # by joint
    unit: Unit | None


def _columns(path: Path, heading: Sequence[str], joint_map: JointMap | None) -> _Columns:
    """The columns of joints. Raises `DamagedFileError` when they make no body."""
    found, units = _joints_in(heading)
    joints = [joint for joint in found if joint_map is not None or known_name(joint)]
    if joint_map is None:
        _check_differ(path, joints)
    try:
        if joint_map is None:
            layout, kept = layout_of_names(joints)
        else:
            _, used = joint_map.layout_of(joints, [-1] * len(joints))
            # Under our names, which have parents.
            layout, places = layout_of_names([joint_map.joints[joints[place]] for place in used])
            kept = [used[place] for place in places]
    except (UnknownLayoutError, DamagedFileError) as error:
        raise DamagedFileError(
            f"{path}: line 1 does not name joints that make a body; expected columns such as SpineBase_X, SpineBase_Y, "
            f"SpineBase_Z of a depth sensor, or x0, y0, z0, v0 of MediaPipe's pose. {error} Say which joint is which "
            f"with --joint-map."
        ) from error
    states = {}
    for column, name in enumerate(heading):
        named = _STATE.fullmatch(_PREFIX.sub("", name))
        if named is not None and named["joint"] in joints and joints.index(named["joint"]) in kept:
            states[kept.index(joints.index(named["joint"]))] = column
    said = {units[joint] for joint in joints}
    unit = said.pop() if len(said) == 1 else ""
    return _Columns(
        layout=layout,
        coordinates=[found[joints[place]][axis] for place in kept for axis in "xyz"],
        states=states,
        unit=unit if unit in METRES else None,
    )


def _joints_in(heading: Sequence[str]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """The columns of x, y and z by joint, of joints that have all three, and the unit that each says."""
    found: dict[str, dict[str, int]] = {}
    units: dict[str, str] = {}
    for column, name in enumerate(heading):
        named = _COLUMN.fullmatch(_PREFIX.sub("", name))
        if named is not None and named["axis"].lower() not in found.setdefault(named["joint"], {}):
            found[named["joint"]][named["axis"].lower()] = column
            units[named["joint"]] = (named["unit"] or "").lower()
    return {joint: axes for joint, axes in found.items() if len(axes) == 3}, units


def _check_differ(path: Path, joints: Sequence[str]) -> None:
    by_name: dict[str | None, str] = {}
    for joint in joints:
        first = by_name.setdefault(known_name(joint), joint)
        if first != joint:
            raise DamagedFileError(
                f"{path}: line 1 has the joint {known_name(joint)} twice, as {first!r} and as {joint!r}. A row is one "
                f"body: give each person rows of their own, told apart by a column such as BodyID, or name the joints "
                f"of one person with --joint-map."
            )


def _texts(rows: Rows, column: int) -> list[str]:
    return [row[column].strip() for row in rows.values()]


def _frames(numbers: Sequence[float], times: Sequence[float], bodies: Sequence[str] | None, count: int) -> list[int]:
    """The number of the frame that each row belongs to."""
    whole = [int(number) for number in numbers if number == int(number)]
    if len(whole) == count and all(before <= after for before, after in itertools.pairwise(whole)):
        keys = [*zip(whole, bodies, strict=True)] if bodies is not None else whole
        together = max(len([*group]) for _, group in itertools.groupby(whole))
        if len(set(keys)) == count or (bodies is None and together <= MAX_BODIES):
            return whole
    if bodies is None:
        return [*range(count)]
    apart = _usual_step(times, bodies) / 2
    frames: list[int] = []
    here: set[str] = set()  # the bodies of the frame
    start, frame = 0, -1
    for row, body in enumerate(bodies):
        if frame < 0 or body in here or (len(times) and abs(times[row] - times[start]) > apart):
            start, frame = row, frame + 1
            here.clear()
        here.add(body)
        frames.append(frame)
    return frames


def _usual_step(times: Sequence[float], bodies: Sequence[str]) -> float:
    """The median time between the rows of a body; infinite if there are none."""
    last: dict[str, float] = {}
    steps = []
    for time, body in zip(times, bodies, strict=False):
        if body in last:
            steps.append(time - last[body])
        last[body] = time
    usual = float(np.median(steps)) if steps else math.inf
    return usual if usual > 0 else math.inf


def _fps(frames: Sequence[int], times: Sequence[float], seconds: float | None) -> float | None:
    """Frames a second by the times of rows; None if they do not say it. `seconds` is the unit of times, if known."""
    if not len(times):
        return None
    firsts = dict(zip(reversed(frames), reversed(times), strict=True))  # the first row of each frame wins
    numbers = sorted(firsts)
    if len(numbers) < 2:
        return None
    step = float(np.median(np.diff([firsts[number] for number in numbers]) / np.diff(numbers)))
    if step <= 0:
        return None
    for unit in (seconds,) if seconds else _TIME_UNITS:
        rate = 1 / (step * unit)
        if _POSSIBLE_FPS[0] <= rate <= _POSSIBLE_FPS[1]:
            return round(rate, 2)
    return None
