"""What programs call the joints of arms and legs, and how a name is reduced to what these lists hold.

Programs have different names for the same joint, and the same name for different joints: `LeftShoulder` is the shoulder
joint in one family of names and the collar bone above it in another; `LeftLeg` is a hip in one and a knee in another.
So a limb is recognised as a whole, by a family whose names all occur, on both sides. The first such family counts.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

SIDES = {"Left": ("left", "l"), "Right": ("right", "r")}

Limb = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """Names of the three joints of a limb, and those that its last joint may have, in order of preference."""

    limb: Limb
    tips: tuple[str, ...]


ARM_JOINTS = ("Shoulder", "Elbow", "Wrist")
# The last ones are those of Rokoko, Character Creator and Daz, MocapNET, Rigify, biped and Unreal.
_KNUCKLES = ("handmiddle1", "middle1", "handindex1", "hand") + (
    "finger3proximal",
    "mid1",
    "finger31",
    "fmiddle01",
    "finger2",
    "middle01",
)
ARMS = (
    # MotionBuilder, Mixamo, LaFAN1, CMU as converted by cgspeed, GENEA 2020 (Trinity), Perception Neuron, Rokoko,
    # Motive with MotionBuilder's names, DeepMotion, SOMA
    Family(("arm", "forearm", "hand"), _KNUCKLES),
    # Biovision: 3ds Max, Xsens MVN, 100STYLE, SMPL
    Family(("shoulder", "elbow", "wrist"), _KNUCKLES),
    # Unity, Unreal, Bandai Namco, VRM, VRoid
    Family(("upperarm", "lowerarm", "hand"), _KNUCKLES),
    # Character Studio's biped, Character Creator, Blender and Rigify, Xsens' segments, Daz Genesis 9
    Family(("upperarm", "forearm", "hand"), _KNUCKLES),
    # Biovision's other names, Sony mocopi
    Family(("uparm", "lowarm", "hand"), _KNUCKLES),
    # Poser, MocapNET, Daz up to Genesis 2
    Family(("shldr", "forearm", "hand"), _KNUCKLES),
    # Acclaim: CMU, HDM05
    Family(("humerus", "radius", "wrist"), _KNUCKLES),
    # Daz Genesis 3 and 8
    Family(("shldrbend", "forearmbend", "hand"), ("mid1", "carpal2")),
    # MakeHuman's default rig
    Family(("upperarm01", "lowerarm01", "wrist"), ("finger31", "metacarpal2")),
    # MakeHuman up to 1.0
    Family(("uparm", "loarm", "hand"), ("finger31", "mit")),
    # GENEA 2022 and 2023 (Talking With Hands)
    Family(("arm", "forearm", "wrist"), ("middle1", "index1")),
    # OptiTrack Motive
    Family(("uarm", "farm", "hand"), ("middle1", "index1")),
)
LEG_JOINTS = ("Hip", "Knee", "Ankle")
_TOES = ("toebase", "toe", "toes")
LEGS = (
    # MotionBuilder and those who share its names, see above
    Family(("upleg", "leg", "foot"), _TOES),
    # SOMA
    Family(("leg", "shin", "foot"), _TOES),
    # Biovision: 3ds Max, Xsens MVN, 100STYLE, SMPL
    Family(("hip", "knee", "ankle"), ("toe", "toes", "toebase", "foot")),
    # Unity, Bandai Namco, VRM, VRoid, Xsens' segments
    Family(("upperleg", "lowerleg", "foot"), ("toes", "toe", "toebase")),
    # Character Studio's biped, Character Creator, Unreal
    Family(("thigh", "calf", "foot"), ("toe0", "ball", "toe", "toebase")),
    # Biovision's other names, Sony mocopi
    Family(("upleg", "lowleg", "foot"), ("toe", "toes")),
    # Blender and Rigify, Poser, MocapNET, Daz up to Genesis 2 and 9, Rokoko, OptiTrack Motive
    Family(("thigh", "shin", "foot"), ("toe", "toes", "toe11")),
    # Acclaim: CMU, HDM05
    Family(("femur", "tibia", "foot"), ("toes", "toe")),
    # Daz Genesis 3 and 8
    Family(("thighbend", "shin", "foot"), ("toe", "metatarsals")),
    # MakeHuman's default rig
    Family(("upperleg01", "lowerleg01", "foot"), ("toe11", "toe21")),
    # MakeHuman up to 1.0
    Family(("upleg", "loleg", "foot"), ("toe", "toe11")),
)
# The second is that of Rigify, where the spine goes on into the head.
HEADS = ("head", "spine006")

# A name with one of these may be of that limb. Used in messages only.
ARM_WORDS = ("arm", "shoulder", "shldr", "elbow", "wrist", "hand", "humerus", "radius")
LEG_WORDS = ("leg", "hip", "knee", "ankle", "foot", "thigh", "calf", "shin", "femur", "tibia")

# Words that programs add to the names of all joints.
_MARKS = {"jnt", "jnts", "joint", "jt", "bone", "bn", "bind", "def"}


def words_of(name: str) -> list[str]:
    """LeftUpLeg, left_up_leg and lUpLeg in words. Letters beyond ASCII count as separators."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)


def strict_names(names: Sequence[str]) -> dict[str, int]:
    """Joints by their names without prefixes and separators, in lower case after Left or Right: `Leftupleg`."""
    found: dict[str, int] = {}
    unsure: dict[str, int] = {}
    in_words = [words_of(name) for name in names]
    # The prefix of all names except the root's: mixamorig:, Character1_, Bip01.
    columns = zip(*filter(None, in_words[1:]), strict=False)
    prefix = [column[0] for column in itertools.takewhile(lambda column: len(set(column)) == 1, columns)]
    for joint, words in enumerate(in_words):
        own = [word.lower() for word in (words[len(prefix) :] if words[: len(prefix)] == prefix else words)]
        found.setdefault(_with_side(own), joint)
        for side, (_, letter) in SIDES.items():
            if own and own[0].startswith(letter):  # lfemur; if the letter is not a side, the rest is not a known name
                unsure.setdefault(side + "".join(own)[1:], joint)
    return unsure | found


def _with_side(words: list[str]) -> str:
    """LeftUpLeg, left_up_leg, lUpLeg, UpLeg_L and leftupleg all become Leftupleg."""
    for side, (word, letter) in SIDES.items():
        for place in (0, -1):
            if len(words) > 1 and words[place] in (word, letter):
                return side + "".join(words[1:] if place == 0 else words[:-1])
        if words and words[0].startswith(word):
            return side + "".join(words).removeprefix(word)
    return "".join(words)


def loose_names(names: Sequence[str]) -> dict[str, int]:
    """Joints by the part of their names that follows the side, wherever that is: `J_Bip_L_UpperArm` is `Leftupperarm`.

    A name without a side is found by its last word: `CC_Base_Head` is `head`.
    """
    found: dict[str, int] = {}
    for joint, name in enumerate(names):
        words = [word for word in map(str.lower, words_of(name)) if word not in _MARKS]
        if len(words) > 1 and re.fullmatch(r"\d{3}", words[-1]):  # Blender numbers what has a name that is taken
            words.pop()
        side = _side_in(words)
        if side is not None:
            found.setdefault(side, joint)
        elif words:
            found.setdefault(words[-1], joint)
    return found


def _side_in(words: list[str]) -> str | None:
    """Side and the words behind it, or before it if none are behind; None without a side."""
    for kind in (0, 1):  # `left` is surer than `l`
        for place, word in enumerate(words):
            for side, marks in SIDES.items():
                if word == marks[kind]:
                    return side + "".join(words[place + 1 :] or words[:place])
    return None
