"""What a cleaned clip looks like: its dimensions, whether it travels, and what may be wrong with how it was read.

The sender of a clip is told of a doubt. A doubt never changes or refuses a clip: people do stand on their hands.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.items import Attribute, Neighbour
from gfp_serve.preprocess import MODEL_LAYOUT, NOMINAL_TRUNK_M, Cleaned

DoubtKind = Literal["up", "unit", "hand", "image", "confidence", "dimensions", "travel"]

# Lengths of trunks, in metres, from those of small children to those of tall adults.
USUAL_TRUNK_M = (0.2, 0.9)

# The cosine of 50 degrees: people bend and sit, and sensors are tilted.
_ALONG = 0.64
# This many frames, spread over the clip, tell which way a body points.
_NUM_POSES = 16
# The share of poses in which the toes of a mirrored body point backwards.
_MOST_POSES = 0.95
# A root that moves less than this is held in place by its source; the root of a person who stands sways by more.
_FIXED_M = 1e-3
# A body of which no joint moves further is still, and then its root says nothing.
_STILL_M = 0.05

_PLACE = {name: joint for joint, name in enumerate(MODEL_LAYOUT.joint_names)}
_ROOT, _SHOULDERS = _PLACE["SpineBase"], _PLACE["SpineShoulder"]
_ANKLE = _PLACE["AnkleRight"]
_OF_HAND = [_PLACE[name] for name in ("FootRight", "AnkleRight", "HipRight", "HipLeft")]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that may be wrong: what kind of thing, and in words what it is and what to do."""

    kind: DoubtKind
    text: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a clip looks like."""

    dimensions: Literal[2, 3]  # 2 if its depth is 0 in every frame
    travels: bool  # False if the root of the first body is in one place while other joints move
    doubts: tuple[Doubt, ...] = ()


# The attributes of items that say what their clips look like. An item without them is 3-D and travels.
DIMENSIONS, TRAVELS = "dimensions", "travels"


def marks_of(look: Look) -> dict[str, Attribute]:
    """The attributes of an item with this clip; none for a 3-D clip that travels."""
    flat: dict[str, Attribute] = {DIMENSIONS: 2} if look.dimensions == 2 else {}
    return flat | ({} if look.travels else {TRAVELS: False})


def look_of_item(attributes: Mapping[str, Attribute]) -> Look:
    """What the marks of an item say of its clip. Other values than those of `marks_of` say nothing."""
    return Look(2 if attributes.get(DIMENSIONS) == 2 else 3, attributes.get(TRAVELS) is not False)


def marked(attributes: Mapping[str, Attribute], look: Look) -> dict[str, Attribute]:
    """The attributes of an item with this clip, and its marks, unless the attributes say these themselves."""
    says = {
        DIMENSIONS: attributes.get(DIMENSIONS) in (2, 3),
        TRAVELS: isinstance(attributes.get(TRAVELS), bool),
    }
    return {**attributes, **{name: mark for name, mark in marks_of(look).items() if not says[name]}}


def doubts_about_found(look: Look, found: Sequence[Neighbour], *, sees_travel: bool = True) -> list[Doubt]:
    """Doubts about a query and the items that were found for it: they may be of another kind.

    `sees_travel` says whether travel counts for the encoder.
    """
    if not found:
        nothing = (
            "the query has 2-D joints, so it looks only at 2-D items, and the gallery has none for it; add 2-D clips."
        )
        return [Doubt("dimensions", nothing)] if look.dimensions == 2 else []
    doubts = []
    items = [look_of_item(each.attributes) for each in found]
    others = sum(item.dimensions != look.dimensions for item in items)
    if others:
        doubts.append(
            Doubt(
                "dimensions",
                f"the query has {look.dimensions}-D joints, and {others} of the {len(found)} items found have not. "
                f"Similarities of 2-D and 3-D joints say little; a filter such as `dimensions!=2` parts them.",
            )
        )
    if sees_travel and all(item.travels != look.travels for item in items):
        held, free = ("the items found", "the query") if look.travels else ("the query", "the items found")
        doubts.append(
            Doubt(
                "travel",
                f"the hips of {held} are in one place in every frame, and those of {free} are not. Some sources centre "
                f"each frame on the hips. An encoder that looks at travel finds the two far apart.",
            )
        )
    return doubts


def look_at(cleaned: Cleaned) -> Look:
    """Look at the first body of a clip."""
    step = max(1, len(cleaned.positions) // _NUM_POSES)
    poses, known = cleaned.positions[::step, 0], cleaned.known[::step, 0]
    doubts = _doubt_of_up(poses, known)
    if cleaned.has_depth:
        doubts += [*_doubt_of_unit(cleaned.trunk_m), *(_doubt_of_hand(poses, known) if not doubts else ())]
    return Look(3 if cleaned.has_depth else 2, not _is_held_in_place(poses, known), tuple(doubts))


def _doubt_of_up(poses: Float32[np.ndarray, "poses joints 3"], known: Bool[np.ndarray, "poses joints"]) -> list[Doubt]:
    trunks = poses[:, _SHOULDERS] - poses[:, _ROOT]
    trunks_seen = known[:, _SHOULDERS] & known[:, _ROOT]
    if _points_along(trunks, trunks_seen, 1, 1):  # the usual case costs no more than this
        return []
    legs, legs_seen = poses[:, _ROOT] - poses[:, _ANKLE], known[:, _ROOT] & known[:, _ANKLE]
    for axis, sign, name in ((1, -1, "-y"), (2, 1, "z"), (2, -1, "-z")):
        if _points_along(trunks, trunks_seen, axis, sign) and (
            not legs_seen.any() or _points_along(legs, legs_seen, axis, sign)
        ):
            return [
                Doubt(
                    "up",
                    f"it looks as if {name} were up: in most frames head, hips and feet follow each other along it. If "
                    f"{name} is up, say so; if somebody lies down or stands on their hands, all is well.",
                )
            ]
    return []


def _doubt_of_unit(trunk_m: float) -> list[Doubt]:
    if math.isnan(trunk_m) or USUAL_TRUNK_M[0] <= trunk_m <= USUAL_TRUNK_M[1]:
        return []
    return [
        Doubt(
            "unit",
            f"the trunk is {trunk_m:.2g} m long, a person's is about {NOMINAL_TRUNK_M:g} m. If the coordinates are not "
            f"metres, say their unit.",
        )
    ]


def _doubt_of_hand(
    poses: Float32[np.ndarray, "poses joints 3"], known: Bool[np.ndarray, "poses joints"]
) -> list[Doubt]:
    x, z = poses[:, _OF_HAND, 0].T, poses[:, _OF_HAND, 2].T
    foot, ankle, right, left = range(4)
    # From above: whether the left hip is to the right of where the foot points.
    across = (x[left] - x[right], z[left] - z[right])
    front = (x[foot] - x[ankle], z[foot] - z[ankle])
    is_mirrored = known[:, _OF_HAND].all(axis=1) & (front[1] * across[0] < front[0] * across[1])
    # People turn their feet in and stumble, so only nearly all poses count.
    if len(poses) < _NUM_POSES or np.count_nonzero(is_mirrored) < _MOST_POSES * len(poses):
        return []
    return [
        Doubt(
            "hand",
            "it looks mirrored: in nearly every frame the toes point to where the back would be. If left and right "
            "joints are exchanged, name them rightly; if the axes are left-handed, as in Unity, say so.",
        )
    ]


def _is_held_in_place(poses: Float32[np.ndarray, "poses joints 3"], known: Bool[np.ndarray, "poses joints"]) -> bool:
    root = poses[known[:, _ROOT], _ROOT]
    if len(root) < 2 or np.abs(root - root[0]).max() > _FIXED_M:
        return False
    return bool(np.ptp(poses, axis=0).max() > _STILL_M)


def _points_along(
    vectors: Float32[np.ndarray, "poses 3"], seen: Bool[np.ndarray, " poses"], axis: int, sign: int
) -> bool:
    """Whether the vectors are within 50 degrees of an axis in more than half of the poses in which they were seen."""
    lengths = np.sqrt(np.einsum("pc,pc->p", vectors, vectors))
    along = seen & (sign * vectors[:, axis] > _ALONG * lengths)
    return bool(2 * np.count_nonzero(along) > np.count_nonzero(seen))
