"""What pose estimators find of the people of `videos`, in the forms in which they give it."""

from typing import Any

import numpy as np

from gfp_serve.layouts import MEDIAPIPE33

from .videos import standing, walking

WRIST = MEDIAPIPE33.joint_names.index("left_wrist")


def instance(joints: np.ndarray, **fields: Any) -> dict[str, Any]:
    scores = [0.9] * len(joints)
    return {
        "keypoints": joints.tolist(),
        "keypoint_scores": scores,
        "bbox": [[0, 0, 9, 9]],
        "bbox_score": 0.9,
        **fields,
    }


def predictions(frames: list[list[dict[str, Any]]], **about: Any) -> dict[str, Any]:
    info = [{"frame_id": number, "instances": people} for number, people in enumerate(frames, start=1)]
    return {"meta_info": about, "instance_info": info}


def detection(joints: np.ndarray, **fields: Any) -> dict[str, Any]:
    x, y = joints.T.tolist()
    points = {"x": x, "y": y, "visible": [0.9] * len(joints)}
    box = {"x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 9.0}
    return {"name": "person", "class": 0, "confidence": 0.9, "box": box, "keypoints": points, **fields}


def in_image(num_frames: int) -> np.ndarray:
    """Frames × 33 × x, y, z, visibility; the image has 1280 × 720 pixels."""
    parts = walking(MEDIAPIPE33, num_frames) / (1280, 720)
    return np.concatenate([parts, np.zeros((num_frames, 33, 1)), np.full((num_frames, 33, 1), 0.9)], axis=2)


def in_world(num_frames: int) -> np.ndarray:
    """The same with the hips at the origin, in metres, y down."""
    joints = standing(MEDIAPIPE33) - (0, 0.95)
    rows = np.column_stack([joints * (1, -1), np.linspace(-0.1, 0.1, 33), np.full(33, 0.9)])
    rows[23:25, 2] = 0
    frames = np.repeat(rows[None], num_frames, axis=0)
    frames[:, WRIST, 1] -= np.linspace(0, 0.5, num_frames)
    return frames


def as_dicts(landmarks: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(("x", "y", "z", "visibility"), row, strict=True)) for row in landmarks.tolist()]
