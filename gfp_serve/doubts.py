"""What a cleaned clip looks like: its dimensions, whether it travels, and what may be wrong with how it was read.

A doubt is told to whoever sent the clip. It never changes or refuses one, because people do stand on their hands.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.items import Attribute, Neighbour
from gfp_serve.preprocess import MODEL_LAYOUT, NOMINAL_TRUNK_M, Cleaned

DoubtKind = Literal["up", "unit", "hand", "dimensions", "travel"]

# Lengths of trunks, in metres, from those of small children to those of tall adults.
USUAL_TRUNK_M = (0.2, 0.9)

# The cosine of 50 degrees: people bend and sit, and sensors are tilted.
_ALONG = 0.64
# So many frames, spread over the clip, tell which way a body points.
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


def doubts_about_found(look: Look, found: Sequence[Neighbour]) -> list[Doubt]:
    """Doubts about a clip and the items that were found for it: they may be of another kind."""
    if not found:
        nothing = "its joints are 2-D, so it looks only at 2-D items, and found none; add 2-D clips to it."
        return [Doubt("dimensions", nothing)] if look.dimensions == 2 else []
    doubts = []
    others = sum(each.attributes.get(DIMENSIONS, 3) != look.dimensions for each in found)
    if others:
        doubts.append(
            Doubt(
                "dimensions",
                f"its joints are {look.dimensions}-D, and {others} of the {len(found)} nearest items are not. "
                f"Similarities of 2-D and 3-D joints say little; a condition on the attribute `dimensions` "
                f"parts them.",
            )
        )
    if all((each.attributes.get(TRAVELS) is not False) != look.travels for each in found):
        here, there = ("travels", "does not travel") if look.travels else ("does not travel", "travels")
        doubts.append(
            Doubt(
                "travel",
                f"its body {here} and that of each of the {len(found)} nearest items {there}: one source puts the hips "
                f"in one place in every frame. An encoder that looks at travel finds these far apart.",
            )
        )
    return doubts


def look_at(cleaned: Cleaned) -> Look:
    """Look at the first body of a clip."""
    step = max(1, len(cleaned.positions) // _NUM_POSES)
    poses, known = cleaned.positions[::step, 0], cleaned.known[::step, 0]
    has_depth = bool(poses[..., 2].any())
    doubts = _doubt_of_up(poses, known)
    if has_depth:
        doubts += [*_doubt_of_unit(cleaned.trunk_m), *(_doubt_of_hand(poses, known) if not doubts else ())]
    return Look(3 if has_depth else 2, not _is_held_in_place(poses, known), tuple(doubts))


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
