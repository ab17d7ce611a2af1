"""Recordings on disk -> clips. Each file format has a reader, chosen by the suffix of the file.

A reader is a function `read(path) -> Iterator[Clip | Remark]`. It checks the whole file before it yields the first
clip. Only `ctr_gcn` and `agcn`, whose files are larger than memory, check coordinates on the way.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from gfp_serve.conventions import STANDARD, Conventions, to_standard
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import (
    acclaim,
    agcn,
    bvh,
    c3d_file,
    clip_file,
    csv_file,
    ctr_gcn,
    frame_files,
    json_file,
    npy_file,
    ntu,
    pku_mmd,
    pyskl,
    trc,
    video,
    videopose3d,
    without_joints,
)
from gfp_serve.formats.clip import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, UNKNOWN_SUBJECT, Clip
from gfp_serve.formats.clip_file_writing import write as write_clip_file
from gfp_serve.formats.file_names import NamedFile, names_of
from gfp_serve.formats.remark import Remark, Report, Step
from gfp_serve.joint_map import JointMap, OtherSkeletonError
from gfp_serve.pose import WHOLE, VideoPart

__all__ = [
    "NO_SPLIT",
    "READERS",
    "STORE_FILE",
    "TEST_SPLIT",
    "TRAIN_SPLIT",
    "UNKNOWN_SUBJECT",
    "Clip",
    "NamedFile",
    "Remark",
    "VideoPart",
    "files_beside",
    "find_files",
    "find_named_files",
    "read_clips",
    "write_clip_file",
]


_log = logging.getLogger(__name__)


_Read = Iterator[Clip | Remark | Step]


def _read_npz(path: Path, said: Conventions, joint_map: JointMap | None = None) -> _Read:
    if ctr_gcn.is_data_set(path):
        yield from _meant(ctr_gcn.read(path), said)
    elif videopose3d.is_data_set(path):
        yield from videopose3d.read(path, said)
    else:
        yield from clip_file.read(path, said, joint_map)


_Reader = Callable[..., _Read]

# By the suffix in small letters; files may have it in any case.
READERS: dict[str, _Reader] = {
    ".npz": _read_npz,
    ".skeleton": ntu.read,
    ".txt": pku_mmd.read,
    ".pkl": pyskl.read,
    ".bvh": bvh.read,
    ".amc": acclaim.read,
    ".json": json_file.read,
    ".csv": csv_file.read,
    ".npy": npy_file.read,
    ".trc": trc.read,
    ".c3d": c3d_file.read,
    **dict.fromkeys(video.SUFFIXES, video.read),
}
# Readers of formats that have no conventions, or in which each file says its own. They take what the caller says.
_UNSETTLED = (
    _read_npz,
    pyskl.read,
    bvh.read,
    acclaim.read,
    json_file.read,
    csv_file.read,
    npy_file.read,
    trc.read,
    c3d_file.read,
)
# Those of them in which each file names its joints. They take a joint map too.
_NAMED = (_read_npz, bvh.read, acclaim.read, csv_file.read, trc.read, c3d_file.read)
# Readers that keep the mistakes of published pipelines.
_PUBLISHED_READERS: dict[str, _Reader] = {".skeleton": ntu.read_as_published}
_SUFFIXES = ", ".join(suffix for suffix in READERS if suffix not in video.SUFFIXES) + ", or as videos do, in .mp4"
# A folder that has this file is a clip store. `trainer.data.store` reads it; its clips are cleaned already.
STORE_FILE = "store.json"


def find_files(path: Path, *, only_videos: bool = False) -> list[Path]:
    """The file itself, or all recordings in and below a folder, sorted. Other files in a folder are ignored.

    Of a recording that has a file for each frame, only the first is found; the reader reads the others. Files of motion
    that have no joints (see `without_joints`) are left out, and a warning is logged for each kind of them. Videos in a
    folder that has other recordings too are left out with a warning: many data sets have both of the same people.
    With `only_videos`, just the videos are found.

    Raises `DamagedFileError` when nothing is at the path, when the folder has no recordings, and when the format has no
    reader.
    """
    if not path.is_dir():
        if only_videos and path.is_file() and path.suffix.lower() not in video.SUFFIXES:
            raise DamagedFileError(f"{path} is not a video; videos end in {', '.join(video.SUFFIXES)}.")
        _reader_of(path)
        return [path]
    if (path / STORE_FILE).is_file():
        raise DamagedFileError(f"{path} is a clip store, which gfp-train reads; name the recordings it is made of.")
    recordings = []
    left_out: dict[str, list[Path]] = {}
    stores = {file.parent for file in path.rglob(STORE_FILE)}
    for store in sorted(stores):
        _log.warning("left out: %s is a clip store, whose recordings are elsewhere.", store)
    for file in sorted(path.rglob("*")):
        if not stores.isdisjoint(file.parents):
            continue
        if acclaim.is_skeleton_in_use(file):
            continue
        if file.is_file() and (reason := without_joints.why(file)):
            left_out.setdefault(reason, []).append(file)
        elif _is_recording(file):
            recordings.append(file)
    videos = [file for file in recordings if file.suffix.lower() in video.SUFFIXES]
    if only_videos:
        if not videos:
            raise DamagedFileError(f"{path} is a folder without videos; videos end in {', '.join(video.SUFFIXES)}.")
        return videos
    if 0 < len(videos) < len(recordings):
        recordings = [file for file in recordings if file not in videos]
        left_out["there are recordings of skeletons beside videos; name the videos themselves to read them too."] = (
            videos
        )
    reasons = [f"{_some(files)}: {reason}" for reason, files in left_out.items()]
    if not recordings:
        raise DamagedFileError(
            " ".join([f"{path} is a folder without recordings; recordings end in {_SUFFIXES}.", *reasons])
        )
    for reason in reasons:
        _log.warning("left out: %s", reason)
    return _first_frames(recordings)


def _some(files: list[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def find_named_files(paths: Iterable[Path], *, only_videos: bool = False) -> list[NamedFile]:
    """All recordings at these paths, which are files or folders, each once and with a name that no other one has.

    See `find_files` for `only_videos` and for what is raised.
    """
    found: dict[str, tuple[Path, Path]] = {}  # by the absolute path: a file may be in several of the folders
    for place in paths:
        for file in find_files(place, only_videos=only_videos):
            found.setdefault(os.path.abspath(file), (file, place))  # noqa: PTH100 (keeps links)
    places = dict(found.values())
    files = _first_frames(places)
    return [NamedFile(file, places[file], name) for file, name in zip(files, names_of(files), strict=True)]


def read_clips(
    path: Path | str,
    *,
    conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
    as_published: bool = False,
    report: Report | None = None,
    part: VideoPart = WHOLE,
    advance: Callable[[float], None] = lambda _: None,
) -> Iterator[Clip]:
    """Yield the clips of one recording, in the file's order, in metres, y up, right-handed.

    `conventions` says how coordinates are meant, where the caller knows better than format, file and anatomy.
    `joint_map` says which joints of clip files, CSV and motion capture are which, where their names do not.
    `as_published` keeps mistakes of published pipelines. `report` gets what the reader says about the file, such as how
    it was turned upright, or why it leaves a clip out; without `report` it is logged. `part` says which frames of a
    video are looked at. `advance` is told, while a video is read, which further share of it is done (0 to 1).
    Raises `DamagedFileError`, which names the file and the line or array. It is raised before the first clip, except
    for coordinates in a file of `ctr_gcn` or `agcn`. Raises `MissingExtraError` for a video where the extra `video` is
    not installed.
    """
    path = Path(path)
    report = report or partial(_log.warning, "%s: %s", path)
    for each in _read(path, conventions, joint_map, as_published, part):
        if isinstance(each, Remark):
            report(each)
        elif isinstance(each, Step):
            advance(each.share)
        else:
            yield each if conventions.fps is None else replace(each, fps=conventions.fps)


def _read(path: Path, said: Conventions, joint_map: JointMap | None, as_published: bool, part: VideoPart) -> _Read:
    reader, suffix = _reader_of(path), path.suffix.lower()
    if suffix in video.SUFFIXES:
        yield from reader(path, said, part)
        return
    if reader in _NAMED and joint_map is not None:
        yield from _read_mapped(reader, path, said, joint_map)
        return
    if reader in _UNSETTLED:
        yield from reader(path, said)
        return
    if as_published:
        reader = _PUBLISHED_READERS.get(suffix, reader)
    yield from _meant(reader(path), said)


def _read_mapped(reader: _Reader, path: Path, said: Conventions, joint_map: JointMap) -> _Read:
    try:
        yield from reader(path, said.or_else(joint_map.conventions), joint_map)
    except DamagedFileError as error:
        # Readers check names before the first clip, and put the file's name before what the map says.
        if not isinstance(error.__context__, OtherSkeletonError):
            raise
        # A map is for one skeleton, and a folder may have files of others, whose names may be known.
        try:
            yield from reader(path, said)
        except DamagedFileError:
            raise error from None
        yield Remark("it has no joint of the joint map, so it was read by the names of its own joints.")


def _meant(read: _Read, said: Conventions) -> _Read:
    """What was read in a format of standard conventions, if the caller does not say other ones."""
    found = said.or_else(STANDARD)
    if not found.is_standard:
        yield Remark(f"read as {found}.")
    for each in read:
        yield replace(each, sequence=to_standard(each.sequence, found)) if isinstance(each, Clip) else each


def files_beside(path: Path) -> list[Path]:
    """The other files that the reader of this recording reads: labels and splits, or the other frames."""
    if path.suffix.lower() == ".json":
        try:
            return [file for file in json_file.frames_of(path).values() if file != path]
        except DamagedFileError:
            return []  # reading it says what is wrong
    if path.suffix.lower() == ".npy":
        return npy_file.files_beside(path)
    if path.suffix.lower() == ".amc":
        return acclaim.files_beside(path)
    return pku_mmd.files_beside(path) if path.suffix.lower() == ".txt" else []


# Files of these suffixes can be anything: read-me files, labels, settings.
_TELLS_RECORDINGS: dict[str, Callable[[Path], bool]] = {
    ".txt": pku_mmd.is_recording,
    ".json": json_file.is_recording,
    ".csv": csv_file.is_recording,
    ".npy": npy_file.is_recording,
    ".pkl": lambda path: not agcn.is_label_file(path),
}


def _is_recording(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in READERS and path.is_file() and _TELLS_RECORDINGS.get(suffix, Path.is_file)(path)


def _first_frames(files: Iterable[Path]) -> list[Path]:
    """The files, and of those that are frames of one video the first frame alone."""
    found: dict[object, Path] = {}
    for file in files:
        key = frame_files.recording_of(file) if json_file.is_frame(file) else file
        known = found.setdefault(key, file)
        if known != file and frame_files.number_of(file) < frame_files.number_of(known):
            found[key] = file
    return list(found.values())


def _reader_of(path: Path) -> _Reader:
    if not path.exists():
        raise DamagedFileError(f"{path} does not exist; name a recording ({_SUFFIXES}) or a folder of recordings.")
    if reason := without_joints.why(path):
        raise DamagedFileError(f"{path}: {reason}")
    if path.suffix.lower() not in READERS:
        raise DamagedFileError(
            f"{path} is not of a known format; recordings end in {_SUFFIXES}. "
            f"gfp_serve.formats.write_clip_file makes one of arrays."
        )
    return READERS[path.suffix.lower()]
