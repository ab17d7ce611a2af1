"""A person who walks through an image, in the joints of any layout of pose estimators, for tests of their formats."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.conventions import Conventions
from gfp_serve.formats import Clip, Remark, read_clips
from gfp_serve.layouts import Layout

# Where joints are, in metres: x to the person's left (they face the camera), y up.
_PLACES = {
    "Head": (0, 1.65), "HeadTop": (0, 1.8), "Nose": (0, 1.62), "Neck": (0, 1.5), "SpineShoulder": (0, 1.45),
    "SpineBase": (0, 0.95), "Hip": (0.1, 0.95), "Shoulder": (0.18, 1.45), "Elbow": (0.2, 1.15), "Wrist": (0.2, 0.9),
    "Knee": (0.1, 0.5), "Ankle": (0.1, 0.1), "Foot": (0.12, 0.02), "Eye": (0.03, 1.66), "Ear": (0.07, 1.64),
}  # fmt: skip


def standing(layout: Layout) -> np.ndarray:
    """The joints of a person who stands, in metres: joints × 2, x to the image's right, y up."""
    places = []
    for name in layout.canonical_names:
        side = 1 if "left" in name.lower() else -1 if "right" in name.lower() else 0
        x, y = _PLACES.get(name.replace("Left", "").replace("Right", ""), (0.05, 1.6))
        places.append((side * x, y))
    return np.array(places, dtype=np.float64)


def walking(layout: Layout, num_frames: int, *, start: float = 400.0) -> np.ndarray:
    """Pixels: frames × joints × 2, y down. 200 are a metre; each frame is 4 to the right. The left arm rises."""
    joints = np.repeat(standing(layout)[None], num_frames, axis=0)
    for joint, name in enumerate(layout.canonical_names):
        if name == "WristLeft":
            joints[:, joint, 1] += np.linspace(0, 0.8, num_frames)
    pixels = joints * (200, -200) + (start, 600)
    pixels[..., 0] += 4 * np.arange(num_frames)[:, None]
    return np.round(pixels, 3)


def flat_row(joints: np.ndarray, score: float = 0.9) -> list[float]:
    """x, y, score of each joint in one list."""
    return np.column_stack([joints, np.full(len(joints), score)]).reshape(-1).tolist()


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read_with_remarks(path: Path, **said: Any) -> tuple[list[Clip], list[str]]:
    remarks: list[Remark] = []
    clips = list(read_clips(path, conventions=Conventions(**said), report=remarks.append))
    return clips, list(map(str, remarks))


def check_walks(clip: Clip, pixels: np.ndarray, *, body: int = 0) -> None:
    """The clip shows these pixels: y up, a trunk of 0.5 m, centred, depth 0."""
    seen = clip.sequence[:, body]
    np.testing.assert_array_equal(np.nan_to_num(seen[..., 2]), 0)
    # 200 pixels are a metre, and the trunk of this person has 0.5 m.
    expected = pixels / (200, -200)
    moved = seen[..., :2] - expected
    np.testing.assert_array_equal(np.isnan(seen[..., 0]), np.isnan(pixels[..., 0]))
    found = moved[~np.isnan(moved[..., 0])]
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-3)
