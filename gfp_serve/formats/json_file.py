"""JSON files of pose estimators and data sets. What is in a file tells which one wrote it.

Some programs write a file for each frame. Such files of one video are one recording; see `frame_files`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import (
    frame_files,
    keypoint_results,
    kinetics_skeleton,
    mediapipe,
    mmpose,
    nw_ucla,
    openpose,
    ultralytics,
)
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.frame_files import has_number, video_of
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


# A frame with many people has less.
_LARGEST_FRAME_BYTES = 1 << 20


def is_recording(path: Path) -> bool:
    """Whether a JSON file has a key of a format that is read here. JSON can be anything, such as settings."""
    return _KEYS.search(head_of(path)) is not None


def is_frame(path: Path) -> bool:
    """Whether this is the file of one frame: its name ends in a number, and it has no more than one frame."""
    return openpose.is_frame(path) or _single_frame(path) is not None


def frames_of(path: Path) -> dict[int, Path]:
    """The files of the recording to which this frame belongs, by number; it alone if the file has a whole video.

    Raises `DamagedFileError` for two files with one number.
    """
    if openpose.is_frame(path):
        return frame_files.frames_of(path)
    return frame_files.frames_of(path, is_frame) if is_frame(path) else {0: path}


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
            videos = videos_of(path, content)
            if len(frames := frames_of(path)) > 1:
                videos = [_together(path, frames)]
            # The whole file is checked before the first clip.
            yield from [each for video in videos for each in clips_of(path, video, said)]
            return
    raise DamagedFileError(f"{path} is not JSON of a known format; expected {_KNOWN}.")


def _single_frame(path: Path) -> Video | None:
    """The video of a file whose name ends in a number, and that has one frame of it."""
    try:
        if path.suffix.lower() != ".json" or not has_number(path) or path.stat().st_size > _LARGEST_FRAME_BYTES:
            return None
        content = load(path)
        if nw_ucla.is_one(content):
            return None
        found = next((videos_of(path, content) for is_one, videos_of in _FORMATS if is_one(content)), [])
    except (DamagedFileError, OSError):
        return None  # reading it will say what is wrong
    return found[0] if len(found) == 1 and len(found[0].frames) == 1 else None


def _together(path: Path, files: Mapping[int, Path]) -> Video:
    """The video of frames that have a file each. Raises `DamagedFileError` if they do not belong together."""
    parts = {number: found for number, file in files.items() if (found := _single_frame(file)) is not None}
    frames = {number: people for number, part in parts.items() for people in part.frames.values()}
    axes = {person.joints.shape for people in frames.values() for person in people}
    if len(axes) > 1 or len({part.layout for part in parts.values()}) > 1:
        raise DamagedFileError(
            f"{path}: it and the other {len(parts) - 1} files of numbered frames have different joints; put the frames "
            f"of each video into a folder of their own."
        )
    notes = (f"{len(parts)} files of one frame each are this recording.",)
    said = [part for part in parts.values() if part.image_size is not None]
    return replace(
        next(iter(parts.values())),
        name=video_of(path),
        frames=frames,
        notes=tuple(dict.fromkeys((*notes, *(note for part in parts.values() for note in part.notes)))),
        image_size=said[0].image_size if said else None,
        fps=None,
    )
