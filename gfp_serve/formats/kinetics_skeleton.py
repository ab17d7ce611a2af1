"""Kinetics-skeleton, the JSON of ST-GCN: people of OpenPose in a file for each video, with its label.

A file is {"data": [{"frame_index": 1, "skeleton": [{"pose": [x, y, ...], "score": [...]}]}], "label": "yoga",
"label_index": 397}, with the 18 joints of COCO in OpenPose's order. Videos have 30 frames a second and 340 × 256
pixels; coordinates are parts of these (ST-GCN, OLD_README.md, and feeder/feeder_kinetics.py).
"""

from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.json_text import numbers, one_number
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video
from gfp_serve.layouts import OPENPOSE18

_FPS, _IMAGE_SIZE = 30.0, (340.0, 256.0)
_JOINTS = OPENPOSE18.num_joints


def is_one(content: Any) -> bool:
    """Whether this is the content of such a file."""
    data = content.get("data") if isinstance(content, dict) else None
    return isinstance(data, list) and all(_is_frame(frame) for frame in data[:10]) and bool(data or "label" in content)


def videos_of(path: Path, content: Any) -> list[Video]:
    """The video of a file. Raises `DamagedFileError`, which names the frame and the person."""
    frames: dict[int, list[Person]] = {}
    for place, frame in enumerate(content["data"]):
        if not _is_frame(frame):
            raise DamagedFileError(f"{path}: frame {place} must have 'frame_index' and a list 'skeleton'.")
        number = one_number(frame["frame_index"])
        if number is None or number != int(number) or int(number) in frames:
            raise DamagedFileError(f"{path}: frame {place} must have a number of its own in 'frame_index'.")
        frames[int(number)] = [
            _person(skeleton, f"{path}: frame {int(number)}, person {index}")
            for index, skeleton in enumerate(frame["skeleton"])
        ]
    label = content.get("label")
    return [
        Video(
            name=path.stem,
            frames=frames,
            layout=OPENPOSE18,
            fps=_FPS,
            image_size=_IMAGE_SIZE,
            label=label if isinstance(label, str) and label else None,
            assumed=("340 × 256 pixels", "30 frames a second"),
        )
    ]


def _is_frame(frame: Any) -> bool:
    return isinstance(frame, dict) and "frame_index" in frame and isinstance(frame.get("skeleton"), list)


def _person(skeleton: Any, where: str) -> Person:
    if not isinstance(skeleton, dict):
        raise DamagedFileError(f"{where} must have 'pose' and 'score'.")
    pose = numbers(skeleton.get("pose"), where, "pose")
    score = numbers(skeleton.get("score"), where, "score")
    if len(pose) != 2 * _JOINTS or len(score) != _JOINTS:
        raise DamagedFileError(
            f"{where} has {len(pose)} numbers in 'pose' and {len(score)} in 'score'; expected {2 * _JOINTS} and "
            f"{_JOINTS}."
        )
    return Person(np.ascontiguousarray(pose.reshape(-1, 2)), score)
