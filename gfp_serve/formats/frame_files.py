"""Recordings that have a file for each frame, such as `walk_000000000012_keypoints.json`: names and numbers.

The files of one video in one folder are one recording.
"""

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.people import FREE_GAPS, MAX_GAPS

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
    return found["video"] or Path(os.path.abspath(path)).parent.name  # noqa: PTH100  (.. has no name)


def recording_of(path: Path) -> tuple[Path, str, bool]:
    """What the files of the frames of one video have in common: a folder, the video and the kind of ending."""
    return Path(os.path.abspath(path.parent)), video_of(path), path.stem.endswith("_keypoints")  # noqa: PTH100  (keeps links)


def siblings_of(path: Path) -> list[Path]:
    """The .json files of the recording to which this one belongs by its name, sorted; it alone without a number."""
    if not has_number(path):
        return [path]
    try:
        changed = path.parent.stat().st_mtime_ns
    except OSError:
        return [path]
    return _by_recording(path.parent, changed).get(recording_of(path), [path])


# A folder is listed once for all its recordings.
@lru_cache(maxsize=8)
def _by_recording(folder: Path, _changed: int) -> dict[tuple[Path, str, bool], list[Path]]:
    found: dict[tuple[Path, str, bool], list[Path]] = {}
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return {}
    for file in files:
        if file.suffix.lower() == ".json" and has_number(file) and file.is_file():
            found.setdefault(recording_of(file), []).append(file)
    # Pictures that have nothing to do with each other have numbers too.
    return {key: of_one for key, of_one in found.items() if _follow_each_other(sorted(map(number_of, of_one)))}


def _follow_each_other(numbers: Sequence[int]) -> bool:
    """Whether sorted numbers can be those of the frames of one video, or the times of these in equal steps."""
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    return len(steps) == 1 or numbers[-1] - numbers[0] < FREE_GAPS + MAX_GAPS * len(numbers)


def by_number(files: Iterable[Path]) -> dict[int, Path]:
    """Files of frames by the numbers of these, or by their order if all are equally far apart, as times are.

    Raises `DamagedFileError` for two files with one number.
    """
    numbered: dict[int, Path] = {}
    for file in files:
        number = number_of(file)
        if number in numbered:
            raise DamagedFileError(f"{numbered[number]} and {file} are both frame {number}; remove one of them.")
        numbered[number] = file
    steps = {after - before for before, after in itertools.pairwise(sorted(numbered))}
    if len(steps) == 1 and len(numbered) > 2:
        return {place: numbered[number] for place, number in enumerate(sorted(numbered))}
    return numbered
