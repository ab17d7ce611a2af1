"""Which joints of a BVH hierarchy are which joints of a body, and how long its unit is."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from gfp_serve.conventions import Unit, unit_by_leg
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.bvh_names import (
    ARM_JOINTS,
    ARM_WORDS,
    ARMS,
    HEADS,
    LEG_JOINTS,
    LEG_WORDS,
    LEGS,
    SIDES,
    Family,
    loose_names,
    strict_names,
    words_of,
)
from gfp_serve.formats.bvh_text import END_SITE
from gfp_serve.layouts import Layout, kept_parent, layout_of


@dataclass(frozen=True, slots=True)
class Recognised:
    """The joints of a hierarchy that have a counterpart in ntu25: its name -> index in the hierarchy."""

    joints: Mapping[str, int]
    has_arms: bool
    has_legs: bool


def body_of(
    names: Sequence[str], parents: Sequence[int], lengths: Sequence[float] | None = None
) -> tuple[Layout, list[int]]:
    """The joints that have a counterpart in ntu25, as a layout with its names, and their indices in the hierarchy.

    Arms and legs are needed; head, hands and feet are in the layout if the file has them. Spine base is the joint from
    which both legs start. The points of spine and neck above it are not taken from the file, because families put them
    at different heights (CMU's Neck is in the chest). They are derived from spine base, shoulders and head, as for
    other layouts that lack them; only a file without a head gives its neck. `lengths` are the distances to the parents:
    an end site at no distance stands for nothing. Of several roots the one is kept that has a body.
    Raises `DamagedFileError` when it finds no arms or no legs, or when several roots have them.
    """
    parts = _parts(names, parents, [1.0] * len(names) if lengths is None else lengths)
    bodies = [root for root, part in parts.items() if part.has_arms and part.has_legs]
    if not bodies:
        raise DamagedFileError(_not_recognised(names, max(parts.values(), key=lambda part: len(part.joints))))
    if len(bodies) > 1:
        raise DamagedFileError(
            f"it has {len(bodies)} bodies, below the roots {', '.join(names[root] for root in bodies)}; a file must "
            f"have one: write each root with its joints into a file of its own."
        )
    kept = parts[bodies[0]].joints
    joints = sorted(kept.values())
    name_of = {joint: name for name, joint in kept.items()}
    layout = layout_of([name_of[joint] for joint in joints], [kept_parent(joint, parents, joints) for joint in joints])
    return layout, joints


def known_joints(names: Sequence[str], parents: Sequence[int], lengths: Sequence[float]) -> Mapping[str, int]:
    """The joints that can be recognised below the root with most of them: standard name -> index."""
    return max(_parts(names, parents, lengths).values(), key=lambda part: len(part.joints)).joints


def _parts(names: Sequence[str], parents: Sequence[int], lengths: Sequence[float]) -> dict[int, Recognised]:
    """What can be recognised below each root, by the root."""
    parts: dict[int, Recognised] = {}
    for root in (joint for joint, parent in enumerate(parents) if parent < 0):
        tree = _tree_of(root, parents)
        part = recognise(
            [names[joint] for joint in tree],
            [-1, *(tree.index(parents[joint]) for joint in tree[1:])],
            [lengths[joint] for joint in tree],
        )
        parts[root] = replace(part, joints={name: tree[joint] for name, joint in part.joints.items()})
    return parts


def recognise(names: Sequence[str], parents: Sequence[int], lengths: Sequence[float]) -> Recognised:
    """What can be recognised in a hierarchy with one root, also where arms or legs cannot. Parents come first."""
    rig = _Rig(names, parents, lengths)
    kept: dict[str, int] = {}
    arms, legs = (rig.limbs(families) for families in (ARMS, LEGS))
    for limbs, joints, tip in ((arms, ARM_JOINTS, "Hand"), (legs, LEG_JOINTS, "Foot")):
        if limbs is not None:
            for side, chain in limbs.chains.items():
                kept |= {joint + side: index for joint, index in zip(joints, chain, strict=True)}
            for side, chain in limbs.chains.items():
                kept |= rig.tip(tip + side, side, limbs, chain[-1], kept)
    kept |= rig.head()
    if legs is not None:
        base = _common_ancestor(kept["HipLeft"], kept["HipRight"], parents)
        if base not in kept.values():
            kept["SpineBase"] = base
    return Recognised(kept, arms is not None, legs is not None)


def unit_of(body: Float64[np.ndarray, "frames joints 3"], layout: Layout) -> Unit:
    """The unit that makes these legs those of a person, see `conventions.unit_by_leg`. Raises `DamagedFileError`."""
    place = {name: body[:, joint] for joint, name in enumerate(layout.canonical_names)}
    if not all(joint + side in place for joint in LEG_JOINTS for side in SIDES):
        raise DamagedFileError("its unit is not known, because it has no legs. Say the unit, for example --unit cm.")
    bones = [
        np.median(np.linalg.norm(place[lower + side] - place[upper + side], axis=-1))
        for side in SIDES
        for upper, lower in itertools.pairwise(LEG_JOINTS)
    ]
    leg = float(sum(bones)) / len(SIDES)
    unit = unit_by_leg(leg)
    if unit is None:
        raise DamagedFileError(
            f"the legs are {leg:.4g} units long from hip to ankle; this is not the length of a leg in metres, "
            f"decimetres, centimetres, millimetres, inches or CMU's unit. Say the unit (--unit), or scale the file."
        )
    return unit


@dataclass(frozen=True, slots=True)
class _Limbs:
    """A pair of arms or legs."""

    family: Family
    chains: Mapping[str, tuple[int, ...]]  # side -> the three joints
    found: Mapping[str, int]  # the names among which they were found


class _Rig:
    """A hierarchy with one root, in which joints are looked for by name."""

    def __init__(self, names: Sequence[str], parents: Sequence[int], lengths: Sequence[float]) -> None:
        self.parents = parents
        self.names: list[str] = []  # empty for an end site that has none, or is at the joint that it belongs to
        self.ends: dict[int, int] = {}  # joint -> its end site
        for joint, (name, parent, length) in enumerate(zip(names, parents, lengths, strict=True)):
            if not name.endswith(END_SITE):
                self.names.append(name)
                continue
            if length > 0:
                self.ends.setdefault(parent, joint)
            is_named = length > 0 and name != names[parent] + END_SITE
            self.names.append(name.removesuffix(END_SITE) if is_named else "")
        self.strict = strict_names(self.names)
        self.loose = loose_names(self.names) | self.strict

    def limbs(self, families: Sequence[Family]) -> _Limbs | None:
        """The first family whose names all occur on both sides, as they are or loosely."""
        for found, with_ends in ((self.strict, False), (self.loose, False), (self.loose, True)):
            for family in families:
                chains = {side: self._chain(side, family, found, with_ends=with_ends) for side in SIDES}
                complete = {side: chain for side, chain in chains.items() if len(chain) == 3}
                # Names that are only alike must be in the right order, too.
                if len(complete) == len(SIDES) and (
                    found is self.strict or all(map(self._is_one_limb, complete.values()))
                ):
                    return _Limbs(family, complete, found)
        return None

    def _chain(self, side: str, family: Family, found: Mapping[str, int], *, with_ends: bool) -> tuple[int, ...]:
        """As many joints of the limb as there are. An end site may stand for the last."""
        *upper, last = (found.get(side + stem) for stem in family.limb)
        if last is None and with_ends and upper[-1] is not None:
            last = self.ends.get(upper[-1])
        return tuple(joint for joint in (*upper, last) if joint is not None)

    def _is_one_limb(self, chain: tuple[int, ...]) -> bool:
        return all(upper in self._above(lower) for upper, lower in itertools.pairwise(chain))

    def _above(self, joint: int) -> list[int]:
        """All joints above, the nearest first."""
        above = []
        while (joint := self.parents[joint]) >= 0:
            above.append(joint)
        return above

    def tip(self, name: str, side: str, limbs: _Limbs, last: int, kept: Mapping[str, int]) -> dict[str, int]:
        """Hand or foot: a joint with a known name, else the end site of the limb's last joint."""
        named = (limbs.found.get(side + stem) for stem in limbs.family.tips)
        # The hand of one family is the wrist of another, and the foot the ankle.
        free = (joint for joint in (*named, self.ends.get(last)) if joint is not None and joint not in kept.values())
        chosen = next(free, None)
        return {} if chosen is None else {name: chosen}

    def head(self) -> dict[str, int]:
        """The head by its name, else by the end site of the last neck joint, else that neck joint."""
        named = (found.get(head) for found in (self.strict, self.loose) for head in HEADS)
        necks = [joint for joint, name in enumerate(self.names) if "neck" in map(str.lower, words_of(name))]
        heads = [joint for joint in (*named, *map(self.ends.get, reversed(necks))) if joint is not None]
        return {"Head": heads[0]} if heads else {"Neck": necks[-1]} if necks else {}


def _not_recognised(names: Sequence[str], part: Recognised) -> str:
    """What was found and what was not, and which names come near."""
    joints = [name for name in names if not name.endswith(END_SITE)]
    missing, found = [], []
    limbs = {"arms": (ARM_JOINTS, ARM_WORDS), "legs": (LEG_JOINTS, LEG_WORDS)}
    for limb, (ours, words) in limbs.items():
        theirs = [names[part.joints[joint + side]] for side in SIDES for joint in ours if joint + side in part.joints]
        if theirs:
            found.append(f"{limb} ({', '.join(theirs)})")
        else:
            near = [name for name in joints if any(word in "".join(words_of(name)).lower() for word in words)]
            missing.append(f"{limb}; names that come near are {', '.join(near)[:500] or 'not there'}")
    found.append(f"head ({names[part.joints['Head']]})" if "Head" in part.joints else "no head, which is not needed")
    return (
        f"it has no known joint names for {', and none for '.join(missing)}. Found: {', '.join(found)}. Expected are "
        f"names such as LeftArm, LeftForeArm, LeftHand and LeftUpLeg, LeftLeg, LeftFoot, or LeftShoulder, LeftElbow, "
        f"LeftWrist and LeftHip, LeftKnee, LeftAnkle, and the same on the right. Say which joint is which with "
        f"--joint-map; `gfp-data joint-map FILE` writes a map to start from. The file has "
        f"{', '.join(joints)[:1000]}."
    )


def _tree_of(root: int, parents: Sequence[int]) -> list[int]:
    """The root and all joints below it, in order."""
    tree = {root}
    for joint, parent in enumerate(parents):
        if parent in tree:
            tree.add(joint)
    return sorted(tree)


def _common_ancestor(first: int, second: int, parents: Sequence[int]) -> int:
    while first != second:  # parents come before their children
        first, second = (parents[first], second) if first > second else (first, parents[second])
    return first
