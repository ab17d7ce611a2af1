"""What a layout is, and how the joints of one are made of those of another.

Layouts have their own names for joints. Each joint that has a counterpart gets a *standard name*, and mappings are
written in these. Standard names are the Kinect's, with a few more for joints that it does not have (`Nose`, `EarLeft`,
`HeadTop`, `HeelLeft`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import UnknownLayoutError

# Whether a joint of one layout is seen by a source of another layout.
# - measured: the source has it.
# - derived: it lies between joints that the source has, closely enough to be compared with a measured one.
# - lacking: the source says nothing about it. It stands at the nearest joint that there is, as a place holder.
Status = Literal["measured", "derived", "lacking"]


@dataclass(frozen=True, slots=True)
class Layout:
    """A named order of joints."""

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]  # index of each joint's parent, -1 for the root
    # Standard names of joints that have another name. A joint that is not here has its standard name, or none.
    canonical: Mapping[str, str] = field(default_factory=dict, hash=False)
    source: str = field(default="", compare=False)  # where names and order are documented

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    @property
    def canonical_names(self) -> tuple[str, ...]:
        """The standard name of each joint, or its own if it has none."""
        return tuple(self.canonical.get(name, name) for name in self.joint_names)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The lines of a picture: joints and their parents; hips and shoulders, across, where no spine joins them."""
        place = {name: joint for joint, name in enumerate(self.canonical_names)}
        lines = [(joint, parent) for joint, parent in enumerate(self.parents) if parent >= 0]
        for part, between in (("Hip", ("SpineBase",)), ("Shoulder", ("SpineShoulder", "Neck", "Chest"))):
            left, right = place.get(f"{part}Left"), place.get(f"{part}Right")
            if left is not None and right is not None and not place.keys() & set(between):
                lines += [(left, right)] if {(left, right), (right, left)}.isdisjoint(lines) else []
        # A spine that does not reach the hips hangs on both.
        if not place.keys() & {"SpineBase"} and {"HipLeft", "HipRight"} <= place.keys():
            low = next((place[name] for name in ("SpineMid", "Chest", "SpineShoulder") if name in place), None)
            if low is not None and self.parents[low] < 0:
                lines += [(place[f"Hip{side}"], low) for side in ("Left", "Right")]
        return tuple(lines)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Left and right joints that mirror each other, as indices (left, right). Points of a face have no pairs."""
        place = {name: joint for joint, name in enumerate(self.canonical_names)}
        rights = ((joint, place.get(re.sub("(?i)left", _right, name))) for name, joint in place.items())
        return tuple((left, right) for left, right in rights if right not in (None, left))


def _right(left: re.Match[str]) -> str:
    return {"left": "right", "Left": "Right", "LEFT": "RIGHT"}.get(left[0], left[0])


@dataclass(frozen=True, slots=True)
class JointSource:
    """How a joint is made of the joints of another layout: `weights` by their own names; they sum to 1."""

    status: Status
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Weights over joints by standard name, and what that makes of the joint if all of these are measured."""

    weights: Mapping[str, float]
    status: Status = "derived"


def _between(*names: str) -> _Recipe:
    return _Recipe(dict.fromkeys(names, 1 / len(names)))


def _at(name: str) -> _Recipe:
    """A place holder."""
    return _Recipe({name: 1.0}, "lacking")


# How a joint that a layout does not have is made: by the first recipe whose joints exist. Hips and shoulders have no
# place holder: they say where a body is, how it stands and how large it is.
_RECIPES: Mapping[str, tuple[_Recipe, ...]] = {
    "SpineBase": (_between("HipLeft", "HipRight"),),
    "SpineShoulder": (_between("ShoulderLeft", "ShoulderRight"),),
    "SpineMid": (_between("SpineBase", "SpineShoulder"),),
    # From below to above: the ears are at the middle of the head; nose and eyes are some centimetres in front of it.
    "Head": (
        _between("EarLeft", "EarRight"),
        _between("HeadBase", "HeadTop"),
        _between("HeadFront", "HeadTop"),
        _between("EyeLeft", "EyeRight"),
        _Recipe({"Nose": 1.0}),
        _Recipe({"HeadTop": 0.5, "Neck": 0.5}),
        _Recipe({"HeadTop": 0.5, "SpineShoulder": 0.5}),
        _at("Neck"),
        _at("SpineShoulder"),
    ),
    "Neck": (_between("SpineShoulder", "Head"), _at("SpineShoulder")),
    **{
        f"{name}{side}": tuple(
            _Recipe({f"{part}{side}": weight for part, weight in recipe.weights.items()}, recipe.status)
            for recipe in recipes
        )
        for side in ("Left", "Right")
        for name, recipes in {
            "Elbow": (_at("Shoulder"),),
            # The middle of the palm is a third of a forearm beyond the wrist.
            "Wrist": (_Recipe({"Elbow": 0.25, "Hand": 0.75}), _at("Elbow")),
            # Knuckles are at the far end of the palm.
            "Hand": (
                _Recipe({"Wrist": 0.5, "MiddleKnuckle": 0.5}),
                _Recipe({"Wrist": 0.5, "IndexKnuckle": 0.25, "PinkyKnuckle": 0.25}),
                _at("Wrist"),
            ),
            "HandTip": (_at("Hand"),),
            "Thumb": (_at("Hand"),),
            "Knee": (_at("Hip"),),
            # A foot without an ankle is the end of the shin.
            "Ankle": (_Recipe({"Foot": 1.0}), _at("Knee")),
            "Foot": (_between("BigToe", "SmallToe"), _Recipe({"BigToe": 1.0}), _at("Ankle")),
        }.items()
    },
}


# The joints of which others are made.
RECIPE_NAMES = frozenset(part for recipes in _RECIPES.values() for recipe in recipes for part in recipe.weights)


# Requests may bring layouts of their own, so not all are kept.
@lru_cache(maxsize=256)
def joint_sources(source: Layout, target: Layout) -> tuple[JointSource, ...]:
    """How each joint of `target` is made of the joints of `source`.

    A joint with the same standard name is measured. Otherwise the first recipe decides whose joints there are, if
    possible one without a lacking joint; a joint that is made of a lacking one is lacking too. Raises
    `UnknownLayoutError`, which names the first joint that cannot be made: a hip or a shoulder.
    """
    own = dict(zip(source.canonical_names, source.joint_names, strict=True))

    def made(name: str, above: frozenset[str]) -> JointSource | None:
        if name in own:
            return JointSource("measured", {own[name]: 1.0})
        possible = []
        for recipe in _RECIPES.get(name, ()):
            if above.isdisjoint(recipe.weights):
                parts = {part: made(part, above | {name}) for part in recipe.weights}
                if None not in parts.values():
                    possible.append(_mix(recipe, {part: each for part, each in parts.items() if each is not None}))
        return next((each for each in possible if each.status == "derived"), possible[0] if possible else None)

    found = []
    for name in target.canonical_names:
        made_of = made(name, frozenset())
        if made_of is None:
            raise UnknownLayoutError(
                f"layout {source.name!r} cannot be mapped to {target.name!r}: it has neither a joint {name!r} nor the "
                f"joints from which it can be derived; its joints are {', '.join(source.joint_names)}."
            )
        found.append(made_of)
    return tuple(found)


def _mix(recipe: _Recipe, parts: Mapping[str, JointSource]) -> JointSource:
    weights: dict[str, float] = {}
    for part, weight in recipe.weights.items():
        for name, share in parts[part].weights.items():
            weights[name] = weights.get(name, 0.0) + weight * share
    lacking = recipe.status == "lacking" or any(each.status == "lacking" for each in parts.values())
    return JointSource("lacking" if lacking else "derived", MappingProxyType(weights))


@lru_cache(maxsize=256)
def mapping_matrix(source: Layout, target: Layout) -> Float32[np.ndarray, "target_joints source_joints"]:
    """The weights of `joint_sources`, as a matrix. Raises what that raises."""
    matrix = np.zeros((target.num_joints, source.num_joints))
    for row, made in zip(matrix, joint_sources(source, target), strict=True):
        for name, weight in made.weights.items():
            row[source.joint_names.index(name)] = weight
    return matrix.astype(np.float32)


@lru_cache(maxsize=256)
def without_joints(layout: Layout, missing: frozenset[int]) -> tuple[Layout, tuple[int, ...]]:
    """A layout of the other joints, by standard names, and their indices."""
    kept = [joint for joint in range(layout.num_joints) if joint not in missing]
    names = tuple(layout.canonical_names[joint] for joint in kept)
    return Layout(layout.name, names, tuple(kept_parent(joint, layout.parents, kept) for joint in kept)), tuple(kept)


@lru_cache(maxsize=256)
def needed_joints(source: Layout, target: Layout) -> tuple[Layout, tuple[int, ...]]:
    """A layout of only those joints of `source` that `target` is made of, by standard names, and their indices."""
    unused = ~mapping_matrix(source, target).any(axis=0)
    return without_joints(source, frozenset(np.flatnonzero(unused).tolist()))


def map_joints(
    sequence: Float32[np.ndarray, "frames bodies source_joints 3"], source: Layout, target: Layout
) -> Float32[np.ndarray, "frames bodies target_joints 3"]:
    """A sequence without gaps in another layout; see `joint_sources`."""
    if source == target:
        return sequence
    return mapping_matrix(source, target) @ sequence


def statuses(source: Layout, target: Layout) -> tuple[Status, ...]:
    """Whether each joint of `target` is measured, derived or lacking in clips of `source`."""
    return tuple(each.status for each in joint_sources(source, target))


def kept_parent(joint: int, parents: Sequence[int], kept: Sequence[int]) -> int:
    """The place in `kept` of the nearest kept joint above; -1 if there is none."""
    above = parents[joint]
    for _ in parents:  # so that a circle of parents ends
        if above < 0 or above in kept:
            break
        above = parents[above]
    return kept.index(above) if above in kept else -1


def parents_of(joints: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """The indices of parents, from pairs of a joint's name and its parent's; "" is the parent of the root."""
    place = {name: joint for joint, (name, _) in enumerate(joints)}
    return tuple(place[parent] if parent else -1 for _, parent in joints)
