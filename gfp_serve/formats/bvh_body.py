"""Which joints of a BVH hierarchy are which joints of a body, and how long its unit is.

Programs have different names for the same joint, and the same name for different joints: `LeftShoulder` is the shoulder
joint in one family of names and the collar bone above it in another; `LeftLeg` is a hip in one and a knee in another.
So a limb is recognised as a whole, by a family whose names all occur, on both sides.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from gfp_serve.errors import DamagedFileError
from gfp_serve.layouts import Layout, layout_of

# Follows the name of its joint in the name of an end site.
END_SITE = " end"

_SIDES = {"Left": ("left", "l"), "Right": ("right", "r")}

_Limb = tuple[str, str, str]

_ARM_JOINTS = ("Shoulder", "Elbow", "Wrist")
_ARMS: tuple[_Limb, ...] = (
    ("arm", "forearm", "hand"),  # MotionBuilder: Mixamo, LAFAN1, CMU by cgspeed, SOMA
    ("shoulder", "elbow", "wrist"),  # Biovision: 3ds Max, Xsens, 100STYLE, SMPL
    ("upperarm", "lowerarm", "hand"),  # Unity, Unreal, Bandai Namco
    ("upperarm", "forearm", "hand"),  # Character Studio's biped, Rigify
    ("uparm", "lowarm", "hand"),  # Biovision's other names
    ("shldr", "forearm", "hand"),  # Poser, DAZ
    ("humerus", "radius", "wrist"),  # Acclaim: CMU, HDM05
)
_LEG_JOINTS = ("Hip", "Knee", "Ankle")
# With the names that the foot may have. Without any of these it is the end site of the ankle.
_LEGS: tuple[tuple[_Limb, tuple[str, ...]], ...] = (
    (("upleg", "leg", "foot"), ("toebase", "toe", "toes")),
    (("leg", "shin", "foot"), ("toebase", "toe", "toes")),  # SOMA
    (("hip", "knee", "ankle"), ("toe", "toes", "toebase", "foot")),
    (("upperleg", "lowerleg", "foot"), ("toes", "toe")),
    (("thigh", "calf", "foot"), ("toe0", "ball", "toe")),
    (("upleg", "lowleg", "foot"), ("toe", "toes")),
    (("thigh", "shin", "foot"), ("toe", "toes")),
    (("femur", "tibia", "foot"), ("toes", "toe")),
)
_HANDS = ("handmiddle1", "middle1", "handindex1", "hand")

# The length from hip to ankle, between a child's and a tall person's. The units that such files have: metres, the unit
# of CMU's skeletons (an inch is 0.45 of it, see mocap.cs.cmu.edu/faqs.php), inches, centimetres, millimetres.
_LEG_M = 0.7
_UNITS_M = (1.0, 0.0254 / 0.45, 0.0254, 0.01, 0.001)
_PLAUSIBLE_LEG_M = (0.3, 1.6)


def body_of(names: Sequence[str], parents: Sequence[int]) -> tuple[Layout, list[int]]:
    """The joints that have a counterpart in ntu25, as a layout with its names, and their indices in the hierarchy.

    Spine base is the joint from which both legs start. The points of spine and neck above it are not taken from the
    file, because families put them at different heights (CMU's Neck is in the chest). They are derived from spine base,
    shoulders and head, as for other layouts that lack them. Raises `DamagedFileError` when it finds no arms, no legs or
    no head.
    """
    found = _joints_by_simple_name(names)
    arms, legs = _limbs(found, _ARMS), _limbs(found, [leg for leg, _ in _LEGS])
    if arms is None or legs is None or "head" not in found:
        missing = "arms" if arms is None else "legs" if legs is None else "a head"
        raise DamagedFileError(
            f"it has no known joint names for {missing}; expected names such as LeftArm, LeftForeArm, LeftHand, "
            f"LeftUpLeg, LeftLeg, LeftFoot and Head, or LeftShoulder, LeftElbow, LeftWrist, LeftHip, LeftKnee and "
            f"LeftAnkle. The file has {', '.join(name for name in names if not name.endswith(END_SITE))[:1000]}."
        )
    kept = {"Head": found["head"]}
    for side in _SIDES:
        kept |= {joint + side: found[side + stem] for joint, stem in zip(_ARM_JOINTS, arms, strict=True)}
        kept |= {joint + side: found[side + stem] for joint, stem in zip(_LEG_JOINTS, legs, strict=True)}
    feet = (*dict(_LEGS)[legs], legs[-1] + END_SITE)
    for side, (joint, stems) in itertools.product(_SIDES, (("Hand", _HANDS), ("Foot", feet))):
        # The hand of one family is the wrist of another, and the foot the ankle.
        free = (found[side + s] for s in stems if side + s in found and found[side + s] not in kept.values())
        chosen = next(free, None)
        if chosen is not None:
            kept[joint + side] = chosen
    base = _common_ancestor(kept["HipLeft"], kept["HipRight"], parents)
    if base not in kept.values():
        kept["SpineBase"] = base
    joints = sorted(kept.values())
    name_of = {joint: name for name, joint in kept.items()}
    layout = layout_of([name_of[joint] for joint in joints], [_kept_parent(joint, parents, joints) for joint in joints])
    return layout, joints


def metres_per_unit(body: Float64[np.ndarray, "frames joints 3"], layout: Layout) -> float:
    """The unit, in metres, in which the legs (hip to knee to ankle) are nearest to 0.7 m by factor.

    Units are metres, CMU's (5.6 cm), inches, centimetres and millimetres. So a leg may differ from 0.7 m by a factor of
    about 1.5 before another unit is taken. Raises `DamagedFileError` when no unit gives a leg of 0.3 to 1.6 m.
    """
    place = {name: body[:, joint] for joint, name in enumerate(layout.joint_names)}
    bones = [
        np.median(np.linalg.norm(place[lower + side] - place[upper + side], axis=-1))
        for side in _SIDES
        for upper, lower in itertools.pairwise(_LEG_JOINTS)
    ]
    leg = max(float(sum(bones)) / len(_SIDES), 1e-9)
    unit = min(_UNITS_M, key=lambda each: abs(math.log(leg * each / _LEG_M)))
    shortest, longest = _PLAUSIBLE_LEG_M
    if not shortest <= leg * unit <= longest:
        raise DamagedFileError(
            f"the legs are {leg:.4g} units long from hip to ankle; this is not the length of a leg in metres, inches, "
            f"centimetres, millimetres or CMU's unit: scale the file to centimetres."
        )
    return unit


def _joints_by_simple_name(names: Sequence[str]) -> dict[str, int]:
    """Joints by their names without prefixes and separators, in lower case after Left or Right: `Leftupleg`."""
    found: dict[str, int] = {}
    unsure: dict[str, int] = {}
    in_words = [re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.removesuffix(END_SITE)) for name in names]
    # The prefix of all names except the root's: mixamorig:, Character1_, Bip01.
    columns = zip(*filter(None, in_words[1:]), strict=False)
    prefix = [column[0] for column in itertools.takewhile(lambda column: len(set(column)) == 1, columns)]
    for joint, (name, words) in enumerate(zip(names, in_words, strict=True)):
        end = END_SITE if name.endswith(END_SITE) else ""
        own = [word.lower() for word in (words[len(prefix) :] if words[: len(prefix)] == prefix else words)]
        for simple in _with_side(own):
            found.setdefault(simple + end, joint)
        for side, (_, letter) in _SIDES.items():
            if own and own[0].startswith(letter):  # lfemur; if the letter is not a side, the rest is not a known name
                unsure.setdefault(side + "".join(own)[1:] + end, joint)
    return unsure | found


def _with_side(words: list[str]) -> list[str]:
    """LeftUpLeg, left_up_leg, lUpLeg, UpLeg_L and leftupleg all become Leftupleg."""
    for side, (word, letter) in _SIDES.items():
        for place in (0, -1):
            if len(words) > 1 and words[place] in (word, letter):
                return [side + "".join(words[1:] if place == 0 else words[:-1])]
        if words and words[0].startswith(word):
            return [side + "".join(words).removeprefix(word)]
    return ["".join(words)]


def _limbs(found: Mapping[str, int], families: Iterable[_Limb]) -> _Limb | None:
    """The first family whose names all occur on both sides."""
    complete = (family for family in families if all(side + stem in found for side in _SIDES for stem in family))
    return next(complete, None)


def _common_ancestor(first: int, second: int, parents: Sequence[int]) -> int:
    while first != second:  # parents come before their children
        first, second = (parents[first], second) if first > second else (first, parents[second])
    return first


def _kept_parent(joint: int, parents: Sequence[int], kept: Sequence[int]) -> int:
    """The place in `kept` of the nearest kept joint above; -1 if there is none."""
    above = parents[joint]
    while above >= 0 and above not in kept:
        above = parents[above]
    return kept.index(above) if above >= 0 else -1
