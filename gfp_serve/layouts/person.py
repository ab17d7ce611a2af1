"""A person for pictures and tests: where joints are, by their standard names, in metres.

The person stands and lifts the forearms to the front: x is to the person's left, y up, z to the front. The sizes are
those of an adult of 1.76 m.
"""

from collections.abc import Mapping

_LEFT = {
    "Clavicle": (0.05, 1.42, 0.0),
    "Shoulder": (0.18, 1.40, 0.0),
    "Elbow": (0.22, 1.12, 0.0),
    "Wrist": (0.24, 1.14, 0.26),
    "Hand": (0.24, 1.14, 0.33),
    "HandTip": (0.24, 1.14, 0.44),
    "MiddleKnuckle": (0.24, 1.14, 0.36),
    "IndexKnuckle": (0.22, 1.14, 0.36),
    "PinkyKnuckle": (0.27, 1.14, 0.35),
    "Thumb": (0.19, 1.15, 0.36),
    "Hip": (0.10, 0.92, 0.0),
    "Knee": (0.11, 0.50, 0.01),
    "Ankle": (0.11, 0.09, 0.0),
    "Foot": (0.12, 0.03, 0.14),
    "BigToe": (0.10, 0.02, 0.17),
    "SmallToe": (0.16, 0.02, 0.13),
    "Heel": (0.11, 0.02, -0.05),
    "Eye": (0.03, 1.66, 0.10),
    "Ear": (0.07, 1.64, 0.01),
}
PERSON: Mapping[str, tuple[float, float, float]] = {
    "SpineBase": (0.0, 0.96, 0.0),
    "SpineMid": (0.0, 1.18, 0.0),
    "Chest": (0.0, 1.28, 0.0),
    "SpineShoulder": (0.0, 1.42, 0.0),
    "Neck": (0.0, 1.51, 0.0),
    "Head": (0.0, 1.63, 0.0),
    "HeadBase": (0.0, 1.55, 0.02),
    "HeadTop": (0.0, 1.76, 0.0),
    "Nose": (0.0, 1.61, 0.12),
    **{f"{name}Left": place for name, place in _LEFT.items()},
    **{f"{name}Right": (-x, y, z) for name, (x, y, z) in _LEFT.items()},
}
