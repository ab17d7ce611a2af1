"""Markers of a person who walks, for tests of marker files."""

import numpy as np

# Some of the markers of Pose2Sim, in metres, y up.
PLACES = {
    "Hip": (0, 0.95, 0), "RHip": (0, 0.95, 0.1), "RKnee": (0, 0.5, 0.1), "RAnkle": (0, 0.1, 0.1),
    "RBigToe": (0.2, 0.03, 0.1), "LHip": (0, 0.95, -0.1), "LKnee": (0, 0.5, -0.1), "LAnkle": (0, 0.1, -0.1),
    "LBigToe": (0.2, 0.03, -0.1), "Neck": (0, 1.5, 0), "Head": (0, 1.7, 0), "RShoulder": (0, 1.45, 0.18),
    "RElbow": (0, 1.15, 0.2), "RWrist": (0, 0.9, 0.2), "LShoulder": (0, 1.45, -0.18), "LElbow": (0, 1.15, -0.2),
    "LWrist": (0, 0.9, -0.2),
}  # fmt: skip
# What some of them are called here.
STANDARD = {"Hip": "SpineBase", "RHip": "HipRight", "LBigToe": "BigToeLeft", "LWrist": "WristLeft", "Head": "Head"}


def walk(num_frames: int) -> np.ndarray:
    """Frames × markers × 3, metres, along x."""
    joints = np.array([*PLACES.values()]) + (0.02, 0, 0) * np.arange(num_frames)[:, None, None]
    return np.round(joints, 4)
