"""JSON files of pose estimators and data sets. What is in a file tells which one wrote it.

Some programs write a file for each frame. Such files of one video are one recording; see `frame_files`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import (
    keypoint_results,
    kinetics_skeleton,
    mediapipe,
    mmpose,
    nw_ucla,
    openpose,
    ultralytics,
)
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.frame_files import by_number, siblings_of, video_of
from gfp_serve.formats.json_text import head_of, load
from gfp_serve.formats.recorded_people import UNKNOWN, Video, clips_of
from gfp_serve.formats.remark import Remark
from gfp_serve.layouts import COCO17

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
    """Whether this is the file of one frame of a recording: its name ends in a number, and so do those of others.

    A damaged file beside frames is one of them, so that it is named when they are read.
    """
    if openpose.is_frame(path):
        return True
    siblings = siblings_of(path)
    if len(siblings) < 2 or (kind := _kind(path)) == "other":
        return False
    return kind == "frame" or _any_frame(tuple(siblings))


def frames_of(path: Path) -> dict[int, Path]:
    """The files of the recording to which this frame belongs, by number; it alone if the file has a whole video.

    Raises `DamagedFileError` for two files with one number.
    """
    if openpose.is_frame(path):
        return by_number(siblings_of(path))
    if not is_frame(path):
        return {0: path}
    return by_number(file for file in siblings_of(path) if _kind(file) != "other")


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
    frames = frames_of(path)
    videos = [_together(path, frames)] if len(frames) > 1 else _videos(path, content)
    if videos is not None:
        # The whole file is checked before the first clip.
        yield from [each for video in videos for each in clips_of(path, video, said)]
        return
    raise DamagedFileError(f"{path} is not JSON of a known format; expected {_KNOWN}.")


# Of files that are all damaged, each asks the same.
@lru_cache(maxsize=1_000)
def _any_frame(files: tuple[Path, ...]) -> bool:
    return any(_kind(file) == "frame" for file in files)


def _kind(path: Path) -> Literal["frame", "damaged", "other"]:
    """What a file whose name ends in a number has: one frame or nobody, or a whole video, or something else."""
    try:
        about = path.stat()
    except OSError:
        return "other"
    return _kind_of(path, about.st_size, about.st_mtime_ns)


# Folders of many frames are asked for again and again, and reading a file takes long.
@lru_cache(maxsize=100_000)
def _kind_of(path: Path, num_bytes: int, _changed: int) -> Literal["frame", "damaged", "other"]:
    if num_bytes > _LARGEST_FRAME_BYTES:
        return "other"
    try:
        content = load(path)
    except DamagedFileError:
        return "damaged"
    try:
        videos = _videos(path, content)
    except DamagedFileError:
        return "damaged"
    if videos is None:
        return "frame" if content in ([], {}) else "other"
    return "frame" if len(videos) == 1 and len(videos[0].frames) <= 1 else "other"


def _videos(path: Path, content: Any) -> list[Video] | None:
    """The videos of a file of a pose estimator; None for another file."""
    if nw_ucla.is_one(content):
        return None
    return next((videos_of(path, content) for is_one, videos_of in _FORMATS if is_one(content)), None)


def _together(path: Path, files: Mapping[int, Path]) -> Video:
    """The video of frames that have a file each. Raises `DamagedFileError` if they do not belong together."""
    contents = {number: load(file) for number, file in files.items()}
    if all(not content or mediapipe.is_one(content) for content in contents.values()):
        video = mediapipe.video_of_files(path, contents)
        return replace(video, name=video_of(path), notes=(_about_files(files), *video.notes))
    parts = {number: part for number, content in contents.items() for part in _videos(files[number], content) or ()}
    frames = {number: people for number, part in parts.items() for people in part.frames.values()}
    frames |= {number: [] for number in files if number not in frames}
    shown = [part for number, part in parts.items() if frames[number]]  # the others do not know their joints
    axes = {person.joints.shape for people in frames.values() for person in people}
    if len(axes) > 1 or len({part.layout for part in shown}) > 1:
        raise DamagedFileError(
            f"{path}: it and the other {len(files) - 1} files of numbered frames have different joints; put the frames "
            f"of each video into a folder of their own."
        )
    notes = [_about_files(files)]
    notes += [note for part in parts.values() for note in part.notes]
    rates = {part.fps for part in shown}
    sizes = [part.image_size for part in shown if part.image_size is not None]
    return Video(
        name=video_of(path),
        frames=frames,
        layout=shown[0].layout if shown else COCO17,
        conventions=shown[0].conventions if shown else UNKNOWN,
        notes=tuple(dict.fromkeys(notes)),
        fps=rates.pop() if len(rates) == 1 else None,
        image_size=sizes[0] if sizes else None,
    )


def _about_files(files: Mapping[int, Path]) -> str:
    return f"{len(files)} files of one frame each are this recording."
