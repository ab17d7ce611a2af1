"""Somebody who bends and straightens both elbows: a movement with a known number of repetitions."""

import numpy as np
from jaxtyping import Float32

from gfp_serve.layouts import NTU25
from tests.support.person import waving

_PARTS_BELOW = ("Wrist", "Hand", "HandTip", "Thumb")


def curling(
    num_repetitions: int, *, seconds_each: float = 2.0, fps: float = 30.0, most_degrees: float = 90.0
) -> Float32[np.ndarray, "frames 1 25 3"]:
    """Stands for a second, curls both arms, and stands for a second again."""
    times = np.arange(round(fps * seconds_each * num_repetitions)) / fps
    curl = most_degrees / 2 * (1 - np.cos(2 * np.pi * times / seconds_each))
    rest = np.zeros(round(fps))
    degrees = np.concatenate([rest, curl, rest])
    sequence = np.tile(waving(frames=1, travel_m=0.0), (len(degrees), 1, 1, 1))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    for side in ("Left", "Right"):
        elbow = sequence[:, 0, NTU25.joint_names.index(f"Elbow{side}")]
        for part in _PARTS_BELOW:
            joint = NTU25.joint_names.index(f"{part}{side}")
            _, up, ahead = (sequence[:, 0, joint] - elbow).T
            # About the axis across, so that a forearm that hangs comes to point ahead.
            sequence[:, 0, joint, 1] = elbow[:, 1] + up * cos + ahead * sin
            sequence[:, 0, joint, 2] = elbow[:, 2] - up * sin + ahead * cos
    return sequence.astype(np.float32)
