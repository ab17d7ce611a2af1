"""JSON files of pose estimators and data sets. What is in a file tells which one wrote it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import keypoint_results, kinetics_skeleton, mediapipe, mmpose, nw_ucla, openpose, ultralytics
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.json_text import head_of, load
from gfp_serve.formats.recorded_people import Video, clips_of
from gfp_serve.formats.remark import Remark

# A test of the content, and what reads the videos of it.
_FORMATS: tuple[tuple[Callable[[Any], bool], Callable[[Path, Any], list[Video]]], ...] = (
    (mmpose.is_one, mmpose.videos_of),
    (keypoint_results.is_one, keypoint_results.videos_of),
    (kinetics_skeleton.is_one, kinetics_skeleton.videos_of),
    (ultralytics.is_one, ultralytics.videos_of),
    (mediapipe.is_one, mediapipe.videos_of),
)

_KNOWN = (
    "frames of OpenPose, COCO keypoint results, results of AlphaPose, predictions of MMPose, results of YOLO-pose by "
    "Ultralytics, pose landmarks of MediaPipe, Kinetics-skeleton, and NW-UCLA as CTR-GCN keeps it"
)

# A key of one of the formats. It stands near the beginning, behind frames without people at most.
_KEYS = re.compile(
    rb'"(?:people|keypoints|instance_info|instances|skeletons?|(?:pose_?)?(?:world_?)?landmarks?|left_hip|visibility)\\?"',
    re.IGNORECASE,
)


def is_recording(path: Path) -> bool:
    """Whether a JSON file has a key of a format that is read here. JSON can be anything, such as settings."""
    return _KEYS.search(head_of(path)) is not None


def read(path: Path, said: Conventions = Conventions()) -> Iterator[Clip | Remark]:  # noqa: B008 (it cannot be changed)
    """Yield how the file was read, and its clips. See the modules of the formats.

    Raises `DamagedFileError`, which names the line, the frame or the person.
    """
    content = load(path)
    if openpose.is_one(content):
        yield from openpose.read(path, said)
        return
    if nw_ucla.is_one(content):
        yield from nw_ucla.read(path, content, said)
        return
    for is_one, videos_of in _FORMATS:
        if is_one(content):
            # The whole file is checked before the first clip.
            yield from [each for video in videos_of(path, content) for each in clips_of(path, video, said)]
            return
    raise DamagedFileError(f"{path} is not JSON of a known format; expected {_KNOWN}.")
