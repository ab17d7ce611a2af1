"""BVH motion capture: a hierarchy of joints with offsets, and a row of rotations for each frame.

Forward kinematics gives the positions of the joints: a joint is at its offset in the frame of its parent, and turns its
own frame by its rotation channels, in degrees, in the order in which they are listed (Meredith and Maddock, "Motion
Capture File Formats Explained", 2001). y points up. The format has no unit: see `bvh_body.metres_per_unit`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.bvh_body import END_SITE, body_of, metres_per_unit
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.text import damaged_line, read_lines, read_table
from gfp_serve.layouts import NTU25, map_joints

_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
_MAX_DIGITS = 9  # of a count
_MAX_JOINTS = 1_000
_FRAMES_AT_ONCE = 1_024


def read(path: Path) -> Iterator[Clip]:
    """Yield the clip of the file: one body in layout ntu25, in metres.

    Limbs and head are those of the file. The points of the spine lie between them (see `body_of`). Fingers, twist bones
    and the like are left out. A file does not name action and person.
    Raises `DamagedFileError`: for a file that is cut off or malformed it names the line, for names of no known family
    and for limbs of no human length the joints.
    """
    lines = read_lines(path)
    hierarchy = _Hierarchy(path, lines)
    rows, fps = _motion(path, lines, hierarchy)
    joints = hierarchy.joints
    try:
        layout, kept = body_of([joint.name for joint in joints], [joint.parent for joint in joints])
        # Block by block, because rotations take far more memory than the positions of the joints that are kept.
        blocks = range(0, len(rows), _FRAMES_AT_ONCE)
        places = [forward_kinematics(joints, rows[start : start + _FRAMES_AT_ONCE])[:, kept] for start in blocks]
        body = np.concatenate(places)  # frames, joints, 3
        body *= metres_per_unit(body, layout)
    except DamagedFileError as error:
        raise DamagedFileError(f"{path}: {error}") from None
    sequence = map_joints(body[:, None].astype(np.float32), layout, NTU25)
    yield Clip(name=path.stem, sequence=sequence, layout=NTU25, fps=fps)


@dataclass(frozen=True, slots=True)
class Joint:
    """A joint of the hierarchy. An end site is a joint without channels."""

    name: str
    parent: int  # index, -1 for the root; parents come before their children
    offset: tuple[float, float, float]
    channels: tuple[tuple[str, int], ...]  # "position" or "rotation", and the axis, in the file's order
    first_column: int  # of its channels in a row of the motion


def forward_kinematics(
    joints: Sequence[Joint], rows: Float64[np.ndarray, "frames columns"]
) -> Float64[np.ndarray, "frames joints 3"]:
    """The positions of all joints in each frame, in the file's unit.

    A position channel replaces the offset on its axis; files with positions for all joints need that.
    """
    positions = np.empty((len(rows), len(joints), 3))
    turns: list[np.ndarray] = []  # of each joint's frame, from its own axes to the world's: frames, 3, 3
    for index, joint in enumerate(joints):
        place = np.tile(joint.offset, (len(rows), 1))
        turn = np.broadcast_to(np.eye(3), (len(rows), 3, 3))
        for column, (kind, axis) in enumerate(joint.channels, start=joint.first_column):
            if kind == "position":
                place[:, axis] = rows[:, column]
            else:
                turn = turn @ _turn_about(axis, np.radians(rows[:, column]))
        if joint.parent < 0:
            positions[:, index] = place
        else:
            parent = turns[joint.parent]
            positions[:, index] = positions[:, joint.parent] + np.einsum("fij,fj->fi", parent, place)
            turn = parent @ turn
        turns.append(turn)
    return positions


def _turn_about(axis: int, angles: Float64[np.ndarray, " frames"]) -> Float64[np.ndarray, "frames 3 3"]:
    """Right-handed rotations: about z, from x towards y."""
    turn = np.zeros((len(angles), 3, 3))
    after, before = (axis + 1) % 3, (axis + 2) % 3
    turn[:, axis, axis] = 1
    turn[:, after, after] = turn[:, before, before] = np.cos(angles)
    turn[:, before, after] = np.sin(angles)
    turn[:, after, before] = -np.sin(angles)
    return turn


class _Hierarchy:
    """Reads a file's lines up to the word MOTION."""

    def __init__(self, path: Path, lines: Sequence[str]) -> None:
        self.path, self.joints, self.num_columns = path, list[Joint](), 0
        self._words = [
            (number, text)
            for number, line in enumerate(lines, start=1)
            # A brace may be on a line of its own or follow a name.
            for text in re.sub(r"([{}])", r"\n\1\n", line).split("\n")
            if text.strip()
        ]
        self._next = 0
        self._expect("HIERARCHY")
        self._joint_tree()
        self._expect("MOTION")
        self.motion_line = self._words[self._next - 1][0]

    def _joint_tree(self) -> None:
        open_joints: list[int] = []
        while True:
            number, text = self._take()
            kind, name = (*text.split(maxsplit=1), "")[:2]
            if text == "}" and open_joints:
                open_joints.pop()
            elif kind.upper() == "ROOT" and not self.joints and name:
                open_joints.append(self._joint(name, -1))
            elif kind.upper() == "JOINT" and open_joints and name:
                open_joints.append(self._joint(name, open_joints[-1]))
            elif kind.upper() == "END" and name.upper() == "SITE" and open_joints:
                parent = open_joints[-1]
                open_joints.append(self._joint(self.joints[parent].name + END_SITE, parent))
            else:
                raise damaged_line(self.path, number, f"must open or close a joint, got {text[:60]!r}")
            if not open_joints:
                return

    def _joint(self, name: str, parent: int) -> int:
        self._expect("{")
        number, text = self._take()
        words = text.split()
        offset = _numbers(words[1:])
        if words[0].upper() != "OFFSET" or len(offset) != 3:
            raise damaged_line(self.path, number, f"must be OFFSET and three numbers, got {text[:60]!r}")
        channels = () if name.endswith(END_SITE) else self._channels()
        if len(self.joints) == _MAX_JOINTS:
            raise damaged_line(self.path, number, f"opens more than {_MAX_JOINTS} joints; a body has fewer")
        self.joints.append(Joint(name, parent, (offset[0], offset[1], offset[2]), channels, self.num_columns))
        self.num_columns += len(channels)
        return len(self.joints) - 1

    def _channels(self) -> tuple[tuple[str, int], ...]:
        number, text = self._take()
        words = text.split()
        named = [_CHANNEL.fullmatch(word) for word in words[2:]]
        if words[0].upper() != "CHANNELS" or words[1:2] != [str(len(named))] or not all(named):
            raise damaged_line(
                self.path,
                number,
                f"must be CHANNELS, their number, and this many names like Xposition or Zrotation, got {text[:60]!r}",
            )
        channels = tuple((each[2].lower(), "XYZ".index(each[1].upper())) for each in named if each)
        if len(set(channels)) < len(channels):
            raise damaged_line(self.path, number, "names a channel twice")
        return channels

    def _expect(self, word: str) -> None:
        number, text = self._take()
        if text.upper() != word:
            raise damaged_line(self.path, number, f"must be {word!r}, got {text[:60]!r}")

    def _take(self) -> tuple[int, str]:
        if self._next == len(self._words):
            raise DamagedFileError(
                f"{self.path}: the file ends before the word MOTION; it was cut off or is not BVH: copy it again."
            )
        self._next += 1
        number, text = self._words[self._next - 1]
        return number, text.strip()


def _motion(
    path: Path, lines: Sequence[str], hierarchy: _Hierarchy
) -> tuple[Float64[np.ndarray, "frames columns"], float]:
    """The values of the channels in each frame, and the frames a second."""
    first = hierarchy.motion_line
    headings = [line.partition(":") for line in lines[first : first + 2]]
    if len(headings) < 2:
        raise DamagedFileError(f"{path}: the file ends at line {len(lines)}, before its motion; copy it again.")
    (frames_word, _, frames_text), (time_word, _, time_text) = headings
    count = frames_text.strip()
    if frames_word.strip().upper() != "FRAMES" or not re.fullmatch(rf"[0-9]{{1,{_MAX_DIGITS}}}", count):
        raise damaged_line(path, first + 1, f"must be 'Frames:' and their number, got {lines[first][:60]!r}")
    frame_time = _numbers(time_text.split())
    if time_word.strip().upper() != "FRAME TIME" or len(frame_time) != 1 or not 1e-5 < frame_time[0] <= 10:
        raise damaged_line(
            path, first + 2, f"must be 'Frame Time:' and seconds above 0 and up to 10, got {lines[first + 1][:60]!r}"
        )
    rows = lines[first + 2 :]
    if len(rows) != int(count) or not rows:
        raise DamagedFileError(
            f"{path}: line {first + 1} announces {int(count)} frames, but {len(rows)} lines follow the headings; the "
            f"file was cut off or changed: copy it again."
        )
    table = read_table(path, rows, first_line=first + 3, num_columns=hierarchy.num_columns)
    # Numbers far beyond degrees and positions make sines and sums meaningless.
    wrong = np.flatnonzero(~(np.abs(table) < 1e9).all(axis=1))
    if len(wrong):
        raise damaged_line(path, first + 3 + int(wrong[0]), "holds a number that is not finite or beyond 1e9")
    return table, round(1 / frame_time[0], 2)  # 0.0333333 is 30


def _numbers(words: Sequence[str]) -> list[float]:
    """The words as finite numbers; an empty list if one of them is not a finite number."""
    try:
        numbers = [float(np.float64(word)) for word in words]
    except ValueError:
        return []
    return numbers if all(abs(number) < 1e9 for number in numbers) else []
