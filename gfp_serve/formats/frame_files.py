"""Recordings that have a file for each frame, such as `walk_000000000012_keypoints.json`: names and numbers.

The files of one video in one folder are one recording.
"""

import re
from collections.abc import Callable
from pathlib import Path

from gfp_serve.errors import DamagedFileError

_FRAME = re.compile(r"(?P<video>.*?)_?(?P<frame>\d{1,15})(?:_keypoints)?")


def has_number(path: Path) -> bool:
    """Whether a file's name ends in a number, as those of frames do."""
    return _FRAME.fullmatch(path.stem) is not None


def number_of(path: Path) -> int:
    """The number of the frame."""
    found = _FRAME.fullmatch(path.stem)
    return 0 if found is None else int(found["frame"])


def video_of(path: Path) -> str:
    """The name of the video that a frame belongs to; the folder's where the file has the number alone."""
    found = _FRAME.fullmatch(path.stem)
    if found is None:
        return path.stem.removesuffix("_keypoints")
    return found["video"] or path.absolute().parent.name


def recording_of(path: Path) -> tuple[Path, str, bool]:
    """What the files of the frames of one video have in common: a folder, the video and the kind of ending."""
    return path.parent, video_of(path), path.stem.endswith("_keypoints")


def frames_of(path: Path, is_frame: Callable[[Path], bool] = lambda _: True) -> dict[int, Path]:
    """The files of the recording to which this one belongs, by the numbers of their frames.

    `is_frame` tells by their content which files of such names are frames. Raises `DamagedFileError` for two files with
    one number.
    """
    if not has_number(path):
        return {0: path}
    files: dict[int, Path] = {}
    for file in sorted(path.parent.iterdir()):
        if file.suffix.lower() == ".json" and recording_of(file) == recording_of(path) and is_frame(file):
            number = number_of(file)
            if number in files:
                raise DamagedFileError(f"{files[number]} and {file} are both frame {number}; remove one of them.")
            files[number] = file
    return files
