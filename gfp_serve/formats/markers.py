"""Markers that have names, as motion capture and OpenSim give them, as the joints of one body."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gfp_serve.conventions import Conventions, Unit
from gfp_serve.errors import DamagedFileError, UnknownLayoutError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.named_joints import known_name, layout_of_names
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video, clips_of
from gfp_serve.formats.remark import Remark
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import STANDARD_NAMES, Layout

# Markers on the skin by the names of Vicon's Plug-in Gait, without their side, and the joint that each stands next to.
# They are nearly joints, so they start a joint map and are never taken for joints without one.
_PLUG_IN_GAIT = {
    "SHO": "Shoulder",
    "ELB": "Elbow",
    "WRA": "Wrist",
    "WRB": "Wrist",
    "FIN": "Hand",
    "ASI": "Hip",
    "PSI": "Hip",
    "KNE": "Knee",
    "ANK": "Ankle",
    "TOE": "Foot",
}
_ON_THE_SKIN = {
    "C7": "SpineShoulder",
    "CLAV": "SpineShoulder",
    "T10": "SpineMid",
    "STRN": "SpineMid",
    "LFHD": "Head",
    "RFHD": "Head",
    "LBHD": "Head",
    "RBHD": "Head",
} | {f"{side[0]}{marker}": f"{joint}{side}" for side in ("Left", "Right") for marker, joint in _PLUG_IN_GAIT.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Markers:
    """What a file has: its markers by label in each frame."""

    labels: Sequence[str]  # as the file has them, each once; before a colon may be a person or a thing
    places: Float64[np.ndarray, "frames markers 3"]  # NaN where a marker was lost
    fps: float | None  # None: the file does not say it
    unit: Unit | None

    @property
    def names(self) -> list[str]:
        """The labels without what is before a colon, where that leaves them different."""
        short = [_short(label) for label in self.labels]
        return [name if short.count(name) == 1 else label for name, label in zip(short, self.labels, strict=True)]


def body_of(path: Path, markers: Markers, said: Conventions, joint_map: JointMap | None) -> Iterator[Clip | Remark]:
    """Yield how the markers were read, and their clip: one body.

    A marker is a joint if it is called so in a common spelling (`RKnee`, `left_wrist`), or by the `joint_map`; others
    are left out. Markers that the map calls by one joint stand around it: the joint is in their middle, and lost
    wherever one of them is. Raises `DamagedFileError` when hips and shoulders are not among the joints, and for the
    reasons that `clips_of` has.
    """
    if joint_map is not None:
        layout, places, used = _mapped(path, markers, joint_map)
    else:
        _check_one_person(path, markers)
        layout, kept = _known(path, markers.names)
        places, used = markers.places[:, kept], len(kept)
    notes: tuple[str, ...] = ()
    if used < len(markers.labels):
        notes = (f"{used} of its {len(markers.labels)} markers were taken as joints; the others were left out.",)
    if joint_map is not None and (absent := joint_map.about_absent([*markers.labels, *markers.names])):
        notes += (absent,)
    seen = np.isfinite(places).all(axis=2).any(axis=1)
    video = Video(
        name=path.stem,
        frames={frame: [Person(places[frame], track="0")] if seen[frame] else [] for frame in range(len(places))},
        layout=layout,
        fps=markers.fps,
        conventions=Conventions(unit=markers.unit),
        notes=notes,
    )
    yield from clips_of(path, video, said)


def guess_of(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The names, and the standard names of those that are called after joints or as Plug-in Gait calls them."""
    guessed: dict[str, str] = {}
    taken: set[str] = set()  # of two people, the one who comes first
    for name in names:
        short = _short(name)
        standard = known_name(short) or _ON_THE_SKIN.get(short.upper())
        if standard in STANDARD_NAMES and short not in taken:
            guessed[name] = standard
            taken.add(short)
    return list(names), guessed


def _check_one_person(path: Path, markers: Markers) -> None:
    first: dict[str, str] = {}
    for label in markers.labels:
        name = _short(label)
        if known_name(name) and first.setdefault(name, label) != label:
            raise DamagedFileError(
                f"{path} has two markers {name!r}, {first[name]!r} and {label!r}. If it has two people, write a file "
                f"for each of them, or name the markers of one with --joint-map."
            )


def _short(label: str) -> str:
    return label.rpartition(":")[2]


def _known(path: Path, names: Sequence[str]) -> tuple[Layout, list[int]]:
    try:
        return layout_of_names(names)
    except UnknownLayoutError as error:
        unknown = ", ".join(name for name in names if not known_name(name))
        raise DamagedFileError(
            f"{path}: its markers do not make a body: {error} Markers on the skin are not joints: say which ones stand "
            f"for which joint with --joint-map, or compute joints first. `gfp-data joint-map` makes a map to start "
            f"from. Unknown markers: {unknown[:1000] or 'none'}."
        ) from error


def _mapped(
    path: Path, markers: Markers, joint_map: JointMap
) -> tuple[Layout, Float64[np.ndarray, "frames joints 3"], int]:
    """The layout that the map makes, the places of its joints, and how many markers it took."""
    names = markers.names
    # A map may name a marker either way.
    name_of = dict(zip(markers.labels, names, strict=True))
    joint_map = replace(joint_map, joints={name_of.get(name, name): joint for name, joint in joint_map.joints.items()})
    try:
        joint_map.check_has_joints(names)
        joints = {
            joint: present
            for joint, several in joint_map.names_by_joint.items()
            if (present := [name for name in several if name in names])
        }
        layout, kept = layout_of_names(list(joints))
    except (DamagedFileError, UnknownLayoutError) as error:
        absent = f" {joint_map.about_absent(names).capitalize()}" if joint_map.about_absent(names) else ""
        raise DamagedFileError(f"{path}: {error}{absent}") from error
    around = [[names.index(name) for name in several] for several in joints.values()]
    middles = np.stack([markers.places[:, each].mean(axis=1) for each in around], axis=1)
    return layout, middles[:, kept], sum(map(len, around))
