"""Results of YOLO-pose by Ultralytics: what `Results.tojson()` or `to_json()` gives, in a list with a result per frame.

A result is a list of {"name": "person", "class": 0, "confidence": 0.9, "box": {...}, "track_id": 1, "keypoints": {"x":
[...], "y": [...], "visible": [...]}} with the 17 joints of COCO, in pixels or, with `normalize`, in parts of the image
(docs.ultralytics.com/reference/engine/results). `track_id` is there if people were tracked. As `tojson()` gives text,
results may be texts with JSON inside. A file with one result has one frame.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.json_text import numbers, one_number
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video
from gfp_serve.layouts import COCO17

_PERSON = "person"


def is_one(content: Any) -> bool:
    """Whether this is the content of such a file: lists of detections, one of which has key points."""
    if not isinstance(content, list):
        return False
    frames = [content] if any(map(_is_detection, content)) else map(_plain, content)
    return any(isinstance(frame, list) and any(map(_is_detection, frame)) for frame in frames)


def videos_of(path: Path, content: Any) -> list[Video]:
    """The video of a file. Raises `DamagedFileError`, which names the frame and the person."""
    results = [content] if any(map(_is_detection, content)) else [_plain(each) for each in content]
    frames: dict[int, list[Person]] = {}
    others = False
    for number, detections in enumerate(results):
        if not isinstance(detections, list):
            raise DamagedFileError(f"{path}: frame {number} must be a list of detections.")
        people = frames.setdefault(number, [])
        for index, detection in enumerate(detections):
            where = f"{path}: frame {number}, person {index}"
            if not isinstance(detection, dict):
                raise DamagedFileError(f"{where} must have fields such as 'keypoints'.")
            if _is_detection(detection) or detection.get("name", _PERSON) == _PERSON:
                people.append(_person(detection, where))
            else:
                others = True
    notes = ("detections that are not people were left out.",) if others else ()
    return [Video(name=path.stem, frames=frames, layout=COCO17, notes=notes)]


def _plain(result: Any) -> Any:
    """A result whose JSON is in a text, as its content."""
    if not isinstance(result, str):
        return result
    try:
        return json.loads(result)
    except (ValueError, RecursionError):
        return result


def _is_detection(value: Any) -> bool:
    points = value.get("keypoints") if isinstance(value, dict) else None
    return isinstance(points, dict) and "x" in points and "y" in points


def _person(detection: dict[str, Any], where: str) -> Person:
    points = detection.get("keypoints")
    if not isinstance(points, dict):
        raise DamagedFileError(f"{where} has no 'keypoints'; the model must be one for poses, such as yolo11n-pose.")
    axes = [numbers(points.get(axis), where, axis) for axis in ("x", "y")]
    visible = None if points.get("visible") is None else numbers(points["visible"], where, "visible")
    lengths = [len(each) for each in (*axes, *([] if visible is None else [visible]))]
    if lengths != [COCO17.num_joints] * len(lengths):
        raise DamagedFileError(
            f"{where} has {', '.join(map(str, lengths))} numbers in its key points; expected {COCO17.num_joints} each, "
            f"the joints of COCO."
        )
    track = one_number(detection.get("track_id"))
    return Person(np.column_stack(axes), visible, None if track is None else str(track))
