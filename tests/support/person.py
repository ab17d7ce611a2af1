"""A person who stands upright, faces along z and waves, in metres."""

import numpy as np
from jaxtyping import Float32

from gfp_serve.layouts import NTU25

PLACES = {
    "SpineBase": (0, 0, 0),
    "SpineMid": (0, 0.25, 0),
    "SpineShoulder": (0, 0.5, 0),
    "Neck": (0, 0.59, 0),
    "Head": (0, 0.73, 0.03),
    "Shoulder": (0.18, 0.5, 0),
    "Elbow": (0.2, 0.2, 0),
    "Wrist": (0.22, -0.05, 0.05),
    "Hand": (0.22, -0.12, 0.06),
    "HandTip": (0.22, -0.2, 0.06),
    "Thumb": (0.2, -0.1, 0.1),
    "Hip": (0.09, 0, 0),
    "Knee": (0.1, -0.43, 0.02),
    "Ankle": (0.1, -0.86, 0),
    "Foot": (0.11, -0.92, 0.15),
}


def waving(*, frames: int = 60, travel_m: float = 1.0, height_m: float = 1.0) -> Float32[np.ndarray, "frames 1 25 3"]:
    """The left hand swings by 0.3 m, and the body goes `travel_m` along x, `height_m` above the origin."""
    pose = np.empty((25, 3))
    for joint, name in enumerate(NTU25.joint_names):
        side = -1 if name.endswith("Right") else 1
        pose[joint] = np.multiply(PLACES[name.removesuffix("Left").removesuffix("Right")], (side, 1, 1))
    sequence = np.tile(pose, (frames, 1, 1, 1)) + np.array([0.5, height_m, 2.0])
    for name in ("WristLeft", "HandLeft", "HandTipLeft", "ThumbLeft"):
        sequence[:, 0, NTU25.joint_names.index(name), 1] += 0.3 * np.sin(np.linspace(0, 9, frames))
    sequence[..., 0] += np.linspace(0, travel_m, frames)[:, None, None]
    return sequence.astype(np.float32)
