"""Acclaim motion capture: a skeleton (.asf) and its motion (.amc), as CMU and HDM05 have them.

The skeleton gives each bone a direction and a length in the world's axes, and a frame of its own (`axis`) in which its
rotations are meant; the motion has the rotations that the bone is free to make, in degrees, for each frame. A bone ends
where its name's joint is: `lfemur` ends at the left knee (J. Lander, "Working with Motion Capture File Formats", 1998).
The files say a unit of length and nothing about which way is up.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gfp_serve.conventions import METRES, Conventions, decide, to_standard
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.remark import Remark
from gfp_serve.formats.text import damaged_line, read_lines
from gfp_serve.formats.upright import settled
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import Layout

# Where bones end, by their names in the skeletons of CMU and HDM05. The root is the middle of the hips.
_JOINTS = {
    "root": "SpineBase",
    "lowerback": "SpineMid",
    "thorax": "SpineShoulder",
    "lowerneck": "Neck",
    "head": "HeadTop",
} | {
    f"{side[0].lower()}{bone}": f"{joint}{side}"
    for side in ("Left", "Right")
    for bone, joint in {
        "hipjoint": "Hip",
        "femur": "Knee",
        "tibia": "Ankle",
        "foot": "Foot",
        "clavicle": "Shoulder",
        "humerus": "Elbow",
        "wrist": "Hand",
        "radius": "Wrist",
        "fingers": "HandTip",
        "thumb": "Thumb",
    }.items()
}
# Motion files say no rate; both databases were recorded at 120 frames a second.
ASSUMED_FPS = 120.0
_INCH_M = METRES["in"]
_FREEDOMS = ("tx", "ty", "tz", "rx", "ry", "rz", "l")


@dataclass(slots=True)
class _Bone:
    """A bone: from the end of its parent by `length` along `direction`, in the world's axes at rest."""

    name: str
    line: int
    direction: Float64[np.ndarray, " 3"] = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axis: Float64[np.ndarray, "3 3"] = field(default_factory=lambda: np.eye(3))
    freedoms: Sequence[str] = ()
    parent: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Skeleton:
    bones: Mapping[str, _Bone]  # by name; every parent before its children, the root first
    metres: float | None  # the length of its unit, if it says it


def read(
    path: Path,
    said: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
) -> Iterator[Clip | Remark]:
    """Yield how the file was read, and its clip: one body whose joints are the ends of the bones.

    `path` is the motion. Its skeleton is the .asf beside it that has the same name, or the part before the last "_",
    as in `07.asf` for `07_12.amc`, or the only one there. Bones are known by the names that CMU and HDM05 give them,
    or by `joint_map`. The unit is the skeleton's, if it is likely; what is not said is decided by anatomy.

    Raises `DamagedFileError`, which names the line, for a file that contradicts the format, and when there is no
    skeleton, when bones make no body, and when nothing says which way is up.
    """
    skeleton_file = skeleton_of(path)
    skeleton = _read_skeleton(skeleton_file)
    names = list(skeleton.bones)
    parents = [names.index(bone.parent) if bone.parent else -1 for bone in skeleton.bones.values()]
    try:
        if joint_map is None:
            layout, kept = _layout(names, parents)
        else:
            layout, kept = joint_map.layout_of(names, parents)
    except DamagedFileError as error:
        raise DamagedFileError(f"{skeleton_file}: {error}") from None
    body = _positions(path, skeleton)[:, kept]
    found = said
    if found.unit is None and skeleton.metres is not None:
        in_metres = body * skeleton.metres
        likely = decide([in_metres[:, None].astype(np.float32)], layout, Conventions())
        if likely.unit == "m":
            body, found = in_metres, replace(found, unit="m")
    sequence = body[:, None].astype(np.float32)
    found = settled(path, sequence, layout, found)
    if joint_map is not None and (absent := joint_map.about_absent(names)):
        yield Remark(absent)
    fps = said.fps or ASSUMED_FPS
    yield Remark(f"read as {found}, with the skeleton {skeleton_file.name}, at {fps:g} frames a second.")
    yield Clip(name=path.stem, sequence=to_standard(sequence, found), layout=layout, fps=fps)


def skeleton_of(path: Path) -> Path:
    """The .asf file of a motion. Raises `DamagedFileError`, which says which names were looked for."""
    names = (path.stem, path.stem.rpartition("_")[0])
    for name in names:
        for suffix in (".asf", ".ASF"):
            if name and (found := path.with_name(name + suffix)).is_file():
                return found
    beside = [file for file in sorted(path.parent.iterdir()) if file.suffix.lower() == ".asf"]
    if len(beside) == 1:
        return beside[0]
    raise DamagedFileError(
        f"{path} has no skeleton beside it: there are {len(beside)} .asf files in its folder, and none is called "
        f"{path.stem}.asf or like the part of it before the last '_'. Put its skeleton there."
    )


def is_skeleton_in_use(path: Path) -> bool:
    """Whether this is a skeleton, and motions lie beside it."""
    return path.suffix.lower() == ".asf" and any(file.suffix.lower() == ".amc" for file in path.parent.iterdir())


def files_beside(path: Path) -> list[Path]:
    """The skeleton of a motion, if there is one."""
    try:
        return [skeleton_of(path)]
    except DamagedFileError:
        return []


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of the bones, and the standard names of the joints at the ends of those that are known."""
    names = list(_read_skeleton(skeleton_of(path)).bones)
    return names, {name: _JOINTS[name] for name in names if name in _JOINTS}


def _layout(names: Sequence[str], parents: Sequence[int]) -> tuple[Layout, list[int]]:
    known = {name: standard for name, standard in _JOINTS.items() if name in names}
    return JointMap(known).layout_of(names, parents)


def _read_skeleton(path: Path) -> _Skeleton:
    lines = [line.partition("#")[0].split() for line in read_lines(path)]
    section, bone = "", _Bone("", 0)
    bones: dict[str, _Bone] = {"root": _Bone("root", 1, freedoms=("tx", "ty", "tz", "rx", "ry", "rz"))}
    metres: float | None = None
    axis_order = "XYZ"
    for number, words in enumerate(lines, start=1):
        if not words:
            continue
        key, values = words[0].lower(), words[1:]
        if key.startswith(":"):
            section = key[1:]
            continue
        if section == "units" and key == "length":
            length = _numbers(path, number, values, 1)[0]
            metres = _INCH_M / length if length > 0 else None
        elif section == "units" and key == "angle" and values and not values[0].lower().startswith("deg"):
            raise damaged_line(path, number, f"says angles in {values[0]!r}; only degrees are read")
        elif section == "root":
            _set_root(path, number, bones["root"], key, values, axis_order)
            axis_order = values[0] if key == "axis" and values else axis_order
        elif section == "bonedata":
            if key == "begin":
                bone = _Bone("", number)
            elif key == "end":
                if not bone.name or bone.name in bones:
                    raise damaged_line(path, number, f"ends a bone without a name or of a known one, {bone.name!r}")
                bones[bone.name] = bone
            else:
                _set_bone(path, number, bone, key, values)
        elif section == "hierarchy" and key not in ("begin", "end"):
            for child in values:
                if key not in bones or child not in bones or bones[child].parent or child == "root":
                    raise damaged_line(path, number, f"hangs {child!r} on {key!r}; expected bones, each on one other")
                bones[child].parent = key
    if len(bones) == 1:
        raise DamagedFileError(f"{path} has no bones (:bonedata); it is not a skeleton of Acclaim, or was cut off.")
    return _Skeleton(_from_root(path, bones), metres)


def _set_root(path: Path, number: int, root: _Bone, key: str, values: Sequence[str], order: str) -> None:
    if key == "order":
        root.freedoms = _freedoms(path, number, values)
    elif key == "orientation":
        root.axis = _rotations(np.array([_numbers(path, number, values, 3)]), order)[0]


def _set_bone(path: Path, number: int, bone: _Bone, key: str, values: Sequence[str]) -> None:
    if key == "name":
        bone.name = values[0] if values else ""
    elif key == "direction":
        bone.direction = np.array(_numbers(path, number, values, 3))
    elif key == "length":
        bone.length = _numbers(path, number, values, 1)[0]
    elif key == "axis":
        order = values[3] if len(values) > 3 else "XYZ"
        bone.axis = _rotations(np.array([_numbers(path, number, values[:3], 3)]), order)[0]
    elif key == "dof":
        bone.freedoms = _freedoms(path, number, values)


def _freedoms(path: Path, number: int, values: Sequence[str]) -> list[str]:
    named = [value.lower() for value in values]
    if unknown := [value for value in named if value not in _FREEDOMS]:
        raise damaged_line(path, number, f"names the freedom {unknown[0]!r}; expected {', '.join(_FREEDOMS)}")
    return named


def _from_root(path: Path, bones: Mapping[str, _Bone]) -> dict[str, _Bone]:
    """The bones that hang on the root, every parent before its children."""
    ordered = {"root": bones["root"]}
    while further := {name: bone for name, bone in bones.items() if name not in ordered and bone.parent in ordered}:
        ordered |= further
    if missing := bones.keys() - ordered.keys():
        name = min(missing)
        raise damaged_line(path, bones[name].line, f"begins the bone {name!r}, which hangs on no other (:hierarchy)")
    return ordered


def _positions(path: Path, skeleton: _Skeleton) -> Float64[np.ndarray, "frames bones 3"]:
    """Where the bones end in each frame, in the skeleton's axes and unit."""
    frames = _read_motion(path, skeleton)
    ends: dict[str, Float64[np.ndarray, "frames 3"]] = {}
    turns: dict[str, Float64[np.ndarray, "frames 3 3"]] = {}
    for name, bone in skeleton.bones.items():
        values = frames[name]
        angles = {key: values[:, column] for column, key in enumerate(bone.freedoms)}
        own = np.broadcast_to(np.eye(3), (len(values), 3, 3))
        for key in bone.freedoms:
            if key[0] == "r":
                own = _about(key[1], angles[key]) @ own
        own = bone.axis @ own @ bone.axis.T
        if not bone.parent:
            place = [angles.get(key, np.zeros(len(values))) for key in ("tx", "ty", "tz")]
            turns[name], ends[name] = own, np.stack(place, axis=1)
        else:
            turns[name] = turns[bone.parent] @ own
            ends[name] = ends[bone.parent] + turns[name] @ (bone.direction * bone.length)
    return np.stack([ends[name] for name in skeleton.bones], axis=1)


def _read_motion(path: Path, skeleton: _Skeleton) -> dict[str, Float64[np.ndarray, "frames freedoms"]]:
    found: dict[str, list[Sequence[float]]] = {name: [] for name in skeleton.bones}
    count = 0
    for number, line in enumerate(read_lines(path), start=1):
        words = line.partition("#")[0].split()
        if words and words[0].lower() == ":radians":
            raise damaged_line(path, number, "says angles in radians; only degrees are read")
        if not words or words[0].startswith(":"):
            continue
        if len(words) == 1 and words[0].isdecimal():
            count += 1
        elif words[0] in found and count and len(found[words[0]]) < count:
            rows = found[words[0]]
            rows += [[0.0] * len(skeleton.bones[words[0]].freedoms)] * (count - 1 - len(rows))
            rows.append(_numbers(path, number, words[1:], len(skeleton.bones[words[0]].freedoms)))
        else:
            raise damaged_line(
                path, number, f"is for {words[0][:40]!r}; expected a frame's number or a bone, each once"
            )
    if not count:
        raise DamagedFileError(f"{path} has no frames; it is not a motion of Acclaim, or was cut off.")
    for name, bone in skeleton.bones.items():  # bones that cannot turn are not in the motion
        found[name] += [[0.0] * len(bone.freedoms)] * (count - len(found[name]))
    return {
        name: np.array(found[name], dtype=np.float64).reshape(count, len(bone.freedoms))
        for name, bone in skeleton.bones.items()
    }


def _numbers(path: Path, number: int, words: Sequence[str], count: int) -> list[float]:
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise damaged_line(
            path, number, f"must hold {count} numbers behind its first word, has {' '.join(words)[:40]!r}"
        )
    return found


def _rotations(angles: Float64[np.ndarray, "rows 3"], order: str) -> Float64[np.ndarray, "rows 3 3"]:
    """Turns about x, y and z by these degrees, the first letter of `order` first."""
    turned = np.broadcast_to(np.eye(3), (len(angles), 3, 3))
    for letter in order.lower():
        if letter in "xyz":
            turned = _about(letter, angles[:, "xyz".index(letter)]) @ turned
    return turned


def _about(axis: str, degrees: Float64[np.ndarray, " rows"]) -> Float64[np.ndarray, "rows 3 3"]:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [(1, 2), (2, 0), (0, 1)]["xyz".index(axis)]
    turns = np.zeros((len(degrees), 3, 3))
    turns[:] = np.eye(3)
    turns[:, first, first] = turns[:, second, second] = cos
    turns[:, second, first], turns[:, first, second] = sin, -sin
    return turns
