"""Standard names of joints, from the names that projects, programs and people give them."""

import re

_SIDES = {"left": "Left", "l": "Left", "right": "Right", "r": "Right"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# LShoulder and Rknee: one letter that is not parted from the rest.
_LETTER = re.compile(r"([lr])(shoulder|elbow|wrist|hand|hip|knee|ankle|foot|eye|ear|heel|bigtoe|smalltoe)")

# By their words in lower case, without the side.
_ON_A_SIDE = {
    "clavicle": "Clavicle",
    "collar": "Clavicle",
    "shoulder": "Shoulder",
    "elbow": "Elbow",
    "wrist": "Wrist",
    "hand": "Hand",
    "handtip": "HandTip",
    "thumb": "Thumb",
    "hip": "Hip",
    "knee": "Knee",
    "ankle": "Ankle",
    "foot": "Foot",
    "toe": "Toe",
    "toein": "BigToe",
    "toeout": "SmallToe",
    "bigtoe": "BigToe",
    "smalltoe": "SmallToe",
    "heel": "Heel",
    "eye": "Eye",
    "ear": "Ear",
}
_IN_THE_MIDDLE = {
    "pelvis": "SpineBase",
    "midhip": "SpineBase",
    "hips": "SpineBase",
    "hip": "SpineBase",
    "waist": "SpineBase",
    "spinebase": "SpineBase",
    "spinemid": "SpineMid",
    "spinenavel": "SpineMid",
    "torso": "SpineMid",
    "belly": "SpineMid",
    "spinechest": "Chest",
    "chest": "Chest",
    "thorax": "SpineShoulder",
    "spineshoulder": "SpineShoulder",
    "neck": "Neck",
    "upperneck": "Neck",
    "head": "Head",
    "face": "Head",
    "headtop": "HeadTop",
    "headfront": "HeadFront",
    "nose": "Nose",
}


def standard_name(name: str) -> str:
    """`ShoulderLeft` for left_shoulder, LShoulder, L_SHOULDER and "Left Shoulder"; `SpineBase` for MidHip.

    Returns the name itself if it is not known. Joints with a side have it at the end. Names of programs for motion
    capture, which call a joint after the bone that starts there, are read with the whole rig: see `formats.bvh_body`.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    stem = "".join(word for word in words if word not in _SIDES)
    if not sides and (found := _LETTER.fullmatch(stem)):
        sides, stem = [_SIDES[found[1]]], found[2]
    if not sides:
        return _IN_THE_MIDDLE.get(stem, name)
    return _ON_A_SIDE[stem] + sides[0] if len(sides) == 1 and stem in _ON_A_SIDE else name
