"""How the numbers of a source are meant: which way is up, in which unit, which hand is which, and what is not seen.

Everything behind this module sees metres, y up, right-handed, with NaN where a joint was lost. A format or a caller may
say its conventions. What they do not say is decided from the anatomy of people in all clips of a file: in most frames a
head is above the hips and these are above the ankles, legs have the length of legs, and toes and noses point to the
front. It is never decided clip by clip, because people lie down and stand on their hands.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, Literal, cast, get_args

import numpy as np
from jaxtyping import Float, Float32

from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError, in_field, quoted
from gfp_serve.kept_motion import LEAST_FPS, MOST_FPS
from gfp_serve.layouts import NTU25, Layout, joint_sources
from gfp_serve.settings import setting

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
Unit = Literal["m", "dm", "cm", "mm", "in", "ft", "cmu"]
Hand = Literal["right", "left"]

# Metres. CMU's skeletons have a unit of their own: an inch is 0.45 of it (mocap.cs.cmu.edu/faqs.php).
METRES: dict[Unit, float] = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
METRES |= {"cmu": 0.0254 / 0.45}
_NAMES: dict[Unit, str] = {"m": "metres", "dm": "decimetres", "cm": "centimetres", "mm": "millimetres", "in": "inches"}
_NAMES |= {"ft": "feet", "cmu": "units of CMU (5.6 cm)"}

# Lengths of legs, from hip to ankle, and of trunks, from the middle of the hips to that of the shoulders, in metres:
# between those of a child and of a tall adult, and the shortest and the longest.
_LEG_M, _POSSIBLE_LEG_M = 0.7, (0.3, 1.6)
_TRUNK_M, _POSSIBLE_TRUNK_M = 0.45, (0.2, 0.9)
# Files in feet must say so: children in metres are too near to them.
_USUAL_UNITS: tuple[Unit, ...] = ("m", "dm", "cmu", "in", "cm", "mm")
# Frames of a file that are looked at.
_MAX_POSES = 1_000


def size(text: str) -> tuple[float, float]:
    """Width and height, from a text such as "1920x1080". Raises `ValueError`."""
    try:
        width, height = map(float, text.lower().replace("×", "x").split("x"))
    except ValueError:
        raise ValueError(f"{text!r} is not a size of images, such as 1920x1080") from None
    return width, height


def is_size(value: Any) -> bool:
    """Whether this can be the width and height of an image: two numbers above 0, none 1,000 times the other."""
    if isinstance(value, str) or not isinstance(value, (Sequence, np.ndarray)) or len(value) != 2:
        return False
    return all(_is_number(each, 1e-6, 1e9) for each in value) and 1e-3 <= value[0] / value[1] <= 1e3


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and least <= float(value) <= most


_CHOICES: dict[str, tuple[Any, ...]] = {
    "up": get_args(Axis),
    "unit": get_args(Unit),
    "hand": get_args(Hand),
    "dimensions": (2, 3),
}


def _check_choices(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if value is not None and not (isinstance(value, (str, int)) and value in _CHOICES[name]):
            shown = quoted(value) if isinstance(value, str) else repr(value)
            raise InvalidRequestError(f"{name} is {shown}; choose one of {', '.join(map(str, _CHOICES[name]))}.")


# What the other fields hold, and a test of each.
_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "image_size": ("width and height, both above 0", is_size),
    "min_confidence": ("a number from 0 to 1", lambda value: _is_number(value, 0, 1)),
    "fps": (f"a number from {LEAST_FPS:g} to {MOST_FPS:,.0f}", lambda value: _is_number(value, LEAST_FPS, MOST_FPS)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """How numbers are meant. None is not known: it is decided, or taken from the file.

    Raises `InvalidRequestError` for numbers that cannot be.
    """

    up: Axis | None = setting(
        None, "Axis that points up, with its sign. [default: what file or format say, or how people stand in the file]"
    )
    unit: Unit | None = setting(
        None, "Unit of coordinates; cmu is 5.6 cm. [default: what file or format say, or the length of legs]"
    )
    hand: Hand | None = setting(
        None,
        "Whether axes are right-handed or left-handed. A file that is read with the wrong one shows people mirrored. "
        "[default: what file or format say, or which way toes and noses point]",
    )
    # Of arrays: 2 for x, y and for x, y, confidence; None: 2 if the last axis has two numbers. Files say it themselves.
    dimensions: Literal[2, 3] | None = None
    image_size: tuple[float, float] | None = setting(
        None,
        "Width and height of the images, such as 1920x1080, where 2-D joints are parts of them. "
        "[default: what the file says, or square]",
        parse=size,
    )
    min_confidence: float | None = setting(
        None, "Joints with less confidence than this, from 0 to 1, count as not seen. [default: 0.3]"
    )
    fps: float | None = setting(
        None, "Frames a second of the files. [default: what they say, or what is usual for their format]"
    )

    def __post_init__(self) -> None:
        _check_choices({name: getattr(self, name) for name in _CHOICES})
        for name, (expected, is_right) in _EXPECTED.items():
            if (value := getattr(self, name)) is not None and not is_right(value):
                with in_field(name):
                    raise InvalidRequestError(f"it is {value!r}; expected {expected}.")
        if self.image_size is not None:  # it may have come as a list or an array
            width, height = self.image_size
            object.__setattr__(self, "image_size", (float(width), float(height)))

    @classmethod
    def from_texts(cls, up: str = "", unit: str = "", hand: str = "") -> "Conventions":
        """Conventions that a file or a request says; an empty text is not known. Raises `InvalidRequestError`."""
        said = {name: text or None for name, text in {"up": up, "unit": unit, "hand": hand}.items()}
        _check_choices(said)
        return cls(**said)  # type: ignore[arg-type]

    @property
    def axes(self) -> tuple[Axis | None, Unit | None, Hand | None]:
        """What is to be known of coordinates in space."""
        return self.up, self.unit, self.hand

    @property
    def is_standard(self) -> bool:
        """Whether coordinates in space are what everything behind this module sees."""
        return self.axes == STANDARD.axes

    def or_else(self, other: "Conventions") -> "Conventions":
        """These, and what they do not say from `other`."""
        unknown = {each.name: getattr(other, each.name) for each in fields(self) if getattr(self, each.name) is None}
        return replace(self, **unknown)

    @property
    def unit_name(self) -> str:
        """The unit in words."""
        return _NAMES[self.unit] if self.unit else "an unknown unit"

    def __str__(self) -> str:
        """For example "z up, centimetres, left-handed", without what is not known."""
        said = [f"{self.up} up"] if self.up else []
        said += [self.unit_name] if self.unit else []
        said += [f"{self.hand}-handed"] if self.hand else []
        return ", ".join(said)


# What everything behind this module sees.
STANDARD = Conventions(up="y", unit="m", hand="right")


def to_standard(sequence: Float32[np.ndarray, "*axes 3"], conventions: Conventions) -> Float32[np.ndarray, "*axes 3"]:
    """Coordinates of a source with these known conventions, in metres, y up, right-handed.

    A source that is up along another axis is turned about one axis, which keeps hands. A left-handed one is mirrored
    after that: its z is negated. Raises `InvalidSkeletonError` when something is not known, and for infinity.
    """
    if conventions.is_standard:
        return sequence
    if None in conventions.axes:
        raise InvalidSkeletonError(
            f"how the coordinates are meant is not known ({str(conventions) or 'nothing is said'}); say which axis is "
            f"up, the unit and the hand."
        )
    if np.isinf(sequence).any():  # turned, it would become NaN, which is a joint that was not seen
        raise InvalidSkeletonError("a coordinate is infinite; what was not seen is NaN.")
    turn = _TURNS[conventions.up or "y"].copy()
    if conventions.hand == "left":
        turn[2] *= -1
    return np.ascontiguousarray(sequence @ turn.T * np.float32(METRES[conventions.unit or "m"]), dtype=np.float32)


# Rotations that bring the axis to y. Each is a turn about one other axis by 90 or 180 degrees.
_TURNS: dict[Axis, Float32[np.ndarray, "3 3"]] = {
    cast(Axis, up): np.array(rows, dtype=np.float32)
    for up, rows in {
        "y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "-y": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],  # about z, so that who faces a camera still does
        "z": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
        "-z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        "x": [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        "-x": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
    }.items()
}


def decide(
    clips: Iterable[Float32[np.ndarray, "_frames _bodies joints 3"]], layout: Layout, said: Conventions
) -> Conventions:
    """What is said, and the rest by the anatomy of all these clips of one file. What anatomy leaves open stays None.

    - Up is y or z, or one of these with a minus, if trunk and legs point along it in most poses (within 50 degrees). x
      is never decided, only said.
    - The unit is that of the length of legs, see `unit_by_leg`, or of trunks where no legs were seen.
    - The hand is right if people face to where their toes and noses point, with their left on the left.
    """
    poses = poses_of(clips)
    if not len(poses):
        return said
    anatomy = Anatomy.of(poses, layout)
    found = replace(said, up=said.up or anatomy.up(), unit=said.unit or anatomy.unit())
    return replace(found, hand=found.hand or (anatomy.hand(found.up) if found.up else None))


def poses_of(clips: Iterable[Float32[np.ndarray, "_frames _bodies joints 3"]]) -> Float[np.ndarray, "poses joints 3"]:
    """Up to 1,000 frames of one body each, spread evenly over the clips."""
    frames = [clip[:, body] for clip in clips for body in range(clip.shape[1])]
    if not frames:
        return np.empty((0, 1, 3))
    step = max(1, math.ceil(sum(map(len, frames)) / _MAX_POSES))
    return np.concatenate([body[::step] for body in frames]).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Vectors of bodies, of axes poses, 3, in the source's coordinates; NaN where a joint was not seen."""

    trunk: Float[np.ndarray, "poses 3"]  # from the middle of the hips to that of the shoulders
    legs: Float[np.ndarray, "poses 3"]  # from the middle of the ankles to that of the hips
    leg_lengths: Float[np.ndarray, " poses"]  # hip to knee to ankle
    to_left: Float[np.ndarray, "poses 3"]  # from the right hip and shoulder to the left ones
    front: Float[np.ndarray, "poses 3"]  # where the toes and the nose point

    @classmethod
    def of(cls, poses: Float[np.ndarray, "poses joints 3"], layout: Layout) -> "Anatomy":
        """Read from joints that the layout measures; a joint that it lacks makes NaN."""
        made = dict(zip(NTU25.joint_names, joint_sources(layout, NTU25), strict=True))

        def at(name: str) -> Float[np.ndarray, "poses 3"]:
            if made[name].status == "lacking":
                return np.full((len(poses), 3), np.nan)
            parts = [weight * poses[:, layout.joint_names.index(joint)] for joint, weight in made[name].weights.items()]
            return np.sum(parts, axis=0)

        def middle(name: str) -> Float[np.ndarray, "poses 3"]:
            return (at(f"{name}Left") + at(f"{name}Right")) / 2

        lengths = [
            np.linalg.norm(at(f"{upper}{side}") - at(f"{lower}{side}"), axis=1)
            for side in ("Left", "Right")
            for upper, lower in (("Hip", "Knee"), ("Knee", "Ankle"))
        ]
        hips, shoulders = middle("Hip"), middle("Shoulder")
        return cls(
            trunk=shoulders - hips,
            legs=hips - middle("Ankle"),
            leg_lengths=np.sum(lengths, axis=0) / 2,
            to_left=at("HipLeft") - at("HipRight") + at("ShoulderLeft") - at("ShoulderRight"),
            front=_front(poses, layout, middle("Foot") - middle("Ankle")),
        )

    def up(self) -> Axis | None:
        """The axis along which trunk and legs point in most poses."""
        directions = [each for each in (_usual_direction(self.trunk), _usual_direction(self.legs)) if each is not None]
        for axis, (up, down) in {1: ("y", "-y"), 2: ("z", "-z")}.items():
            along = [direction[axis] for direction in directions]
            if along and min(along) > _UPRIGHT:
                return cast(Axis, up)
            if along and max(along) < -_UPRIGHT:
                return cast(Axis, down)
        return None

    def unit(self) -> Unit | None:
        """The unit in which legs, or without legs trunks, are nearest by factor to those of a person."""
        trunks = np.linalg.norm(self.trunk, axis=1)
        for lengths, unit_by in ((self.leg_lengths, unit_by_leg), (trunks, unit_by_trunk)):
            seen = lengths[np.isfinite(lengths)]
            if len(seen):
                return unit_by(float(np.median(seen)))
        return None

    def hand(self, up: Axis) -> Hand | None:
        """Whether the left is on the left of who looks to the front."""
        above = _TURNS[up].T @ np.array([0.0, 1.0, 0.0])
        lefts = np.cross(above, self.front)  # in right-handed axes
        agreement = np.einsum("pc,pc->p", _directions(lefts), _directions(self.to_left))
        seen = agreement[np.isfinite(agreement)]
        if not len(seen):
            return None
        # People cross their legs and look back, so only most poses agree. Left-handed sources are rare, so need more.
        agree = float(np.mean(np.sign(seen)))
        return "right" if agree > 0.2 else "left" if agree < -0.6 else None


# The cosine of 50 degrees: people bend and sit, and sensors are tilted.
_UPRIGHT = 0.64


def unit_by_leg(length: float) -> Unit | None:
    """The unit in which a leg of this length, from hip to knee to ankle, is nearest to 0.7 m by factor.

    Two units meet where the leg is as much too long in the larger as too short in the smaller:

    - 0.3 to 1.6: metres
    - 3 to 9.3: decimetres, so legs of 0.3 to 0.93 m
    - 9.3 to 18.5: CMU's unit, 0.53 to 1.04 m
    - 18.5 to 43.9: inches, 0.47 to 1.12 m
    - 43.9 to 160: centimetres, 0.44 to 1.6 m
    - 300 to 1,600: millimetres

    The legs in CMU's own files are 0.75 to 0.98 m, far from the border to decimetres. None: no unit gives a leg of 0.3
    to 1.6 m.
    """
    return _unit_by(length, _LEG_M, _POSSIBLE_LEG_M)


def unit_by_trunk(length: float) -> Unit | None:
    """The same by the length from the middle of the hips to that of the shoulders: 0.2 to 0.9 m, usually 0.45."""
    return _unit_by(length, _TRUNK_M, _POSSIBLE_TRUNK_M)


def _unit_by(length: float, usual: float, possible: tuple[float, float]) -> Unit | None:
    length = max(length, 1e-9)
    nearest = min(_USUAL_UNITS, key=lambda unit: abs(math.log(length * METRES[unit] / usual)))
    return nearest if possible[0] <= length * METRES[nearest] <= possible[1] else None


def _directions(vectors: Float[np.ndarray, "poses 3"]) -> Float[np.ndarray, "poses 3"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, np.nan)


def _usual_direction(vectors: Float[np.ndarray, "poses 3"]) -> Float[np.ndarray, " 3"] | None:
    """The medians of the directions along each axis; None if there are no directions."""
    directions = _directions(vectors)
    seen = directions[np.isfinite(directions).all(axis=1)]
    return np.median(seen, axis=0) if len(seen) else None


def _front(
    poses: Float[np.ndarray, "poses joints 3"], layout: Layout, toes: Float[np.ndarray, "poses 3"]
) -> Float[np.ndarray, "poses 3"]:
    """Where the nose points, seen from the ears; without these where the toes do."""
    place = {name: poses[:, joint] for joint, name in enumerate(layout.canonical_names)}
    if not {"Nose", "EarLeft", "EarRight"} <= place.keys():
        return toes
    gaze = place["Nose"] - (place["EarLeft"] + place["EarRight"]) / 2
    return np.where(np.isfinite(gaze), gaze, toes)
