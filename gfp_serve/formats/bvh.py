"""BVH motion capture: a hierarchy of joints with offsets, and a row of rotations for each frame.

Forward kinematics gives the positions of the joints: a joint is at its offset in the frame of its parent, and turns its
own frame by its rotation channels, in degrees, in the order in which they are listed (Meredith and Maddock, "Motion
Capture File Formats Explained", 2001). The format says neither which way is up nor the unit: see `read`.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gfp_serve.conventions import METRES, Conventions, decide, to_standard
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.bvh_body import body_of, known_joints, unit_of
from gfp_serve.formats.bvh_text import Joint, parse
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.remark import Remark
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import NTU25, map_joints, statuses

_FRAMES_AT_ONCE = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What a file says, in its own names, axes and unit. An end site is a joint whose name ends in `END_SITE`."""

    joints: Sequence[Joint]
    rows: Float64[np.ndarray, "frames columns"]  # degrees, and positions in the file's unit
    fps: float

    @property
    def names(self) -> list[str]:
        return [joint.name for joint in self.joints]

    @property
    def parents(self) -> list[int]:
        """The index of each joint's parent, -1 for a root."""
        return [joint.parent for joint in self.joints]

    @property
    def lengths(self) -> list[float]:
        """How far each joint is from its parent at rest, in the file's unit."""
        return [math.hypot(*joint.offset) for joint in self.joints]

    def at_rest(self) -> Float64[np.ndarray, "joints 3"]:
        """Where the joints are when all rotations are zero; in the file's axes and unit."""
        places = np.zeros((len(self.joints), 3))
        for index, joint in enumerate(self.joints):
            places[index] = (places[joint.parent] if joint.parent >= 0 else 0) + np.array(joint.offset)
        return places

    def positions(self, kept: Sequence[int] | None = None) -> Float64[np.ndarray, "frames kept 3"]:
        """The places of these joints, by default of all, in each frame; in the file's axes and unit."""
        kept = range(len(self.joints)) if kept is None else kept
        joints, places = _with_ancestors(self.joints, kept)
        # Block by block, because rotations take far more memory than the positions of the joints that are kept.
        starts = range(0, len(self.rows), _FRAMES_AT_ONCE)
        blocks = [forward_kinematics(joints, self.rows[start : start + _FRAMES_AT_ONCE])[:, places] for start in starts]
        return np.concatenate(blocks)


def read(
    path: Path,
    said: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
) -> Iterator[Clip | Remark]:
    """Yield how the file was read, and its clip: one body in layout ntu25, in metres, y up, right-handed.

    Limbs and head are those of the file. The points of the spine lie between them (see `body_of`). Fingers, twist bones
    and the like are left out. Joints that the file does not have are NaN. A file does not name action and person. With
    a `joint_map`, its joints are used instead of those of known names.

    The format has no conventions. What is not said is decided from how the body stands and walks in the file; if it
    never stands, from the pose in which all rotations are zero. See `conventions.decide`.
    Raises `DamagedFileError`: for a file that is cut off or malformed it names the line, for names of no known family
    and for limbs of no human length the joints. It is also raised when nothing says which way is up.
    """
    motion = read_motion(path)
    try:
        if joint_map is None:
            layout, kept = body_of(motion.names, motion.parents, motion.lengths)
        else:
            layout, kept = joint_map.layout_of(motion.names, motion.parents)
        body = motion.positions(kept)
        found = replace(said, unit=said.unit or unit_of(body, layout))
        body *= METRES[found.unit or "m"]
    except DamagedFileError as error:
        raise DamagedFileError(f"{path}: {error}") from None
    at_rest = motion.at_rest()[kept][None] * METRES[found.unit or "m"]
    for poses in (body, at_rest):
        found = decide([poses[:, None].astype(np.float32)], layout, found)
    if found.up is None:
        raise DamagedFileError(
            f"{path}: nothing says which way is up: nobody stands along y or z in the file, nor in its pose at rest. "
            f"Say it, for example --up z."
        )
    found = replace(found, hand=found.hand or "right")
    sequence = map_joints(body[:, None].astype(np.float32), layout, NTU25).copy()
    sequence[:, :, [status == "lacking" for status in statuses(layout, NTU25)]] = np.nan
    yield Remark(f"read as {found}.")
    if joint_map is not None and (absent := joint_map.about_absent(motion.names)):
        yield Remark(absent)
    yield Clip(name=path.stem, sequence=to_standard(sequence, replace(found, unit="m")), layout=NTU25, fps=motion.fps)


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of a file's joints and end sites, and the standard names of those that are known.

    Raises `DamagedFileError` for a file that cannot be read.
    """
    motion = read_motion(path)
    found = known_joints(motion.names, motion.parents, motion.lengths)
    return motion.names, {motion.names[index]: name for name, index in found.items()}


def read_motion(path: Path) -> Motion:
    """The file as it is: nothing is assumed about names, axes and unit. Raises `DamagedFileError` with the line."""
    return Motion(*parse(path))


def forward_kinematics(
    joints: Sequence[Joint], rows: Float64[np.ndarray, "frames columns"]
) -> Float64[np.ndarray, "frames joints 3"]:
    """The positions of all joints in each frame, in the file's unit.

    A position channel replaces the offset on its axis; files with positions for all joints need that.
    """
    positions = np.empty((len(rows), len(joints), 3))
    turns: dict[int, np.ndarray] = {}  # of each parent's frame, from its own axes to the world's: frames, 3, 3
    parents = {joint.parent for joint in joints}
    for index, joint in enumerate(joints):
        place = np.tile(joint.offset, (len(rows), 1))
        steps = []
        for column, (kind, axis) in enumerate(joint.channels, start=joint.first_column):
            if kind == "position":
                place[:, axis] = rows[:, column]
            elif index in parents:
                steps.append(_turn_about(axis, np.radians(rows[:, column])))
        if joint.parent >= 0:
            place = positions[:, joint.parent] + np.einsum("fij,fj->fi", turns[joint.parent], place)
        positions[:, index] = place
        if index in parents:
            own = functools.reduce(np.matmul, steps) if steps else np.broadcast_to(np.eye(3), (len(rows), 3, 3))
            turns[index] = own if joint.parent < 0 else turns[joint.parent] @ own
    return positions


def _with_ancestors(joints: Sequence[Joint], kept: Sequence[int]) -> tuple[list[Joint], list[int]]:
    """The kept joints and those above them, which are enough to place them; and the kept joints' indices in that."""
    needed = set(kept)
    for index in reversed(range(len(joints))):  # parents come before their children
        if index in needed and joints[index].parent >= 0:
            needed.add(joints[index].parent)
    place_of = {joint: place for place, joint in enumerate(sorted(needed))}
    chosen = [replace(joints[index], parent=place_of.get(joints[index].parent, -1)) for index in place_of]
    return chosen, [place_of[index] for index in kept]


def _turn_about(axis: int, angles: Float64[np.ndarray, " frames"]) -> Float64[np.ndarray, "frames 3 3"]:
    """Right-handed rotations: about z, from x towards y."""
    turn = np.zeros((len(angles), 3, 3))
    after, before = (axis + 1) % 3, (axis + 2) % 3
    turn[:, axis, axis] = 1
    turn[:, after, after] = turn[:, before, before] = np.cos(angles)
    turn[:, before, after] = np.sin(angles)
    turn[:, after, before] = -np.sin(angles)
    return turn
