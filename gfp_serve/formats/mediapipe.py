"""Pose landmarks of MediaPipe as JSON: frames, each with the 33 landmarks of the people in it.

A landmark is {x, y, z, visibility} or a list of these. Landmarks in the image (`poseLandmarks`) are parts of its width
and height. World landmarks (`poseWorldLandmarks`, `worldLandmarks`) are metres, y down, z away from the camera, and the
middle of the hips is the origin in each frame (ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker). Keys may
be in camelCase or snake_case. The solutions API has one person in a frame, the tasks API a list of people, protobufs
have landmarks in {"landmark": [...]}; a frame may also be the landmarks themselves. The file is a list of frames, or a
dict with such a list in `frames` and often with `fps`, `width` and `height`.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.json_text import first_number, one_number, table
from gfp_serve.formats.mediapipe_landmarks import fps_of_times, video_of
from gfp_serve.formats.recorded_people import Video
from gfp_serve.layouts import MEDIAPIPE33

_COUNT = MEDIAPIPE33.num_joints
# Without underscores and in small letters.
_WORLD, _IMAGE = ("poseworldlandmarks", "worldlandmarks"), ("poselandmarks", "landmarks")
_FRAMES = ("frames", "data", "results")
_ABOUT = ("metadata", "meta", "info", "video", "videoinfo", "imagesize")
_NUMBERS = ("frame", "frameindex", "frameid", "framenumber")
# With the seconds of one unit; None: told from the size.
_TIMES = {"timestampms": 1e-3, "timestampus": 1e-6, "timestamps": 1.0, "timestamp": None, "time": None}
_WIDTHS = ("width", "imagewidth", "framewidth", "videowidth")
_HEIGHTS = ("height", "imageheight", "frameheight", "videoheight")

_Landmarks = Float64[np.ndarray, "33 columns"]


def is_one(content: Any) -> bool:
    """Whether this is the content of such a file."""
    _, frames = _parts(content)
    return any(_has_landmarks(frame) for frame in frames)


def videos_of(path: Path, content: Any) -> list[Video]:
    """The video of a file. World landmarks win where a file has both.

    Raises `DamagedFileError`, which names the frame and the person.
    """
    return [_video(path, *_parts(content))]


def video_of_files(path: Path, contents: Mapping[int, Any]) -> Video:
    """The video whose frames are the contents of a file each, by number. An empty one shows nobody.

    Raises `DamagedFileError`, which names the frame and the person.
    """
    about: list[dict[str, Any]] = []
    frames: list[Any] = []
    for content in contents.values():
        of_file, of_frame = _parts(content) if content else ([], [{}])
        about = about or of_file
        frames += of_frame or [{}]
    return _video(path, about, frames, list(contents))


def _video(
    path: Path, about: Sequence[dict[str, Any]], frames: Sequence[Any], numbers: Sequence[int] | None = None
) -> Video:
    world: list[list[_Landmarks]] = []
    image: list[list[_Landmarks]] = []
    for number, frame in enumerate(frames):
        fields = _plain(frame) if isinstance(frame, dict) else {}
        of_world = next((fields[key] for key in _WORLD if fields.get(key)), None)
        of_image = next((fields[key] for key in _IMAGE if fields.get(key)), None)
        if of_world is None and of_image is None and not any(key in fields for key in (*_WORLD, *_IMAGE)):
            of_image = frame
        world.append(_people(of_world, f"{path}: frame {number}"))
        image.append(_people(of_image, f"{path}: frame {number}"))
    numbers = _numbers(frames) if numbers is None else numbers
    width, height = (
        next((found for each in about if (found := first_number(each, names)) is not None), None)
        for names in (_WIDTHS, _HEIGHTS)
    )
    return video_of(
        path.stem,
        dict(zip(numbers, world, strict=True)),
        dict(zip(numbers, image, strict=True)),
        fps=next((found for each in about if (found := first_number(each, ("fps", "framerate"))) is not None), None)
        or fps_of_times(numbers, *_times(frames)),
        image_size=None if width is None or height is None else (width, height),
    )


def _parts(content: Any) -> tuple[list[dict[str, Any]], Sequence[Any]]:
    """What a file says about its video, and its frames."""
    if isinstance(content, list):
        return [], [content] if _is_landmarks(content) else content
    if not isinstance(content, dict):
        return [], []
    fields = _plain(content)
    about = [fields, *(_plain(fields[key]) for key in _ABOUT if isinstance(fields.get(key), dict))]
    for key in _FRAMES:
        if isinstance(fields.get(key), list):
            return about, fields[key]
    # Lists of the landmarks of all frames, side by side.
    whole = {key: fields[key] for key in (*_WORLD, *_IMAGE) if isinstance(fields.get(key), list)}
    length = max(map(len, whole.values()), default=0)  # 0: a frame in which nobody is
    if length and not any(_is_landmarks(value) or _is_landmark(value[0]) for value in whole.values() if value):
        return about, [{key: value[i] for key, value in whole.items() if i < len(value)} for i in range(length)]
    return about, [content]


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same under keys in small letters without underscores, which are one in camelCase and snake_case."""
    return {key.replace("_", "").lower(): value for key, value in fields.items()}


def _has_landmarks(frame: Any) -> bool:
    if isinstance(frame, dict) and any(key in (*_WORLD, *_IMAGE) for key in _plain(frame)):
        return True
    return _is_landmarks(frame) or (isinstance(frame, list) and bool(frame) and all(map(_is_landmarks, frame)))


def _is_landmarks(value: Any) -> bool:
    """Whether this looks like the landmarks of one person."""
    if isinstance(value, dict):
        return "landmark" in value or "nose" in _plain(value)
    return isinstance(value, list) and len(value) == _COUNT and all(_is_landmark(each) for each in value)


def _is_landmark(value: Any) -> bool:
    return "x" in value if isinstance(value, dict) else isinstance(value, list) and len(value) in (2, 3, 4, 5)


def _people(value: Any, where: str) -> list[_Landmarks]:
    """The landmarks of each person in a frame, with the columns x, y, z, visibility."""
    if not value:
        return []
    if isinstance(value, list) and not _is_landmarks(value) and not _is_landmark(value[0]):
        return [_landmarks(each, f"{where}, person {number}") for number, each in enumerate(value)]
    return [_landmarks(value, f"{where}, person 0")]


def _landmarks(value: Any, where: str) -> _Landmarks:
    if isinstance(value, dict):
        named = _plain(value)
        names = [name.replace("_", "") for name in MEDIAPIPE33.joint_names]
        value = value["landmark"] if "landmark" in value else [named[name] for name in names if name in named]
    if not isinstance(value, list) or len(value) != _COUNT:
        count = len(value) if isinstance(value, list) else 0
        raise DamagedFileError(f"{where} has {count} landmarks; MediaPipe's pose has {_COUNT}.")
    rows = []
    unsaid = 0.0 if _says_visibility(value) else 1.0
    for number, landmark in enumerate(value):
        if isinstance(landmark, dict):
            # Protobufs leave out what is 0.
            axes = [landmark.get("x", 0.0), landmark.get("y", 0.0), landmark.get("z", 0.0)]
            visibility = landmark.get("visibility")
            rows.append([*axes, unsaid if visibility is None else visibility])
        elif _is_landmark(landmark):
            rows.append([*landmark[:3], *[0.0] * (3 - len(landmark)), landmark[3] if len(landmark) > 3 else 1.0])
        else:
            raise DamagedFileError(f"{where}, landmark {number} must be {{x, y, z, visibility}} or a list of these.")
    return table(rows, where, "landmarks")


def _says_visibility(landmarks: Sequence[Any]) -> bool:
    return any(isinstance(each, dict) and each.get("visibility") is not None for each in landmarks)


def _numbers(frames: Sequence[Any]) -> list[int]:
    """The numbers of frames if all have one and they rise; otherwise their places."""
    said = [_said(frame, _NUMBERS) for frame in frames]
    known = [int(number) for number in said if number is not None and number == int(number)]
    rise = all(before < after for before, after in itertools.pairwise(known))
    return known if len(known) == len(frames) and rise else list(range(len(frames)))


def _times(frames: Sequence[Any]) -> tuple[list[float], float | None]:
    """When frames were taken, and the seconds of a unit; nothing if not all frames say it."""
    for key, seconds in _TIMES.items():
        times = [time for frame in frames if (time := _said(frame, (key,))) is not None]
        if times and len(times) == len(frames):
            return times, seconds
    return [], None


def _said(frame: Any, keys: Sequence[str]) -> float | None:
    fields = _plain(frame) if isinstance(frame, dict) else {}
    return next((found for key in keys if (found := one_number(fields.get(key))) is not None), None)
