"""PKU-MMD I and II: recordings of minutes by a Kinect v2, which label files beside them cut into clips.

A recording `0002-L.txt` (phase II: `A01N01-L.txt`) has a line of 150 numbers for each frame: x, y, z of 25 joints of
two bodies, with zeros for an absent second body. Its label file has the same name and for each action a line `action,
first frame, frame after the last, confidence`. Files like `cross-subject.txt` list the training recordings.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary
from gfp_serve.formats.bodies import without_empty_places
from gfp_serve.formats.clip import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, Clip
from gfp_serve.formats.pku_mmd_actions import ACTIONS
from gfp_serve.formats.remark import Remark
from gfp_serve.formats.text import damaged_line, read_lines, read_table
from gfp_serve.layouts import NTU25

FPS = 30.0
_PLACES = 2  # for bodies
_COLUMNS = _PLACES * NTU25.num_joints * 3
_LABEL_FIELDS = 4
_CAMERAS = {"L": 1, "M": 2, "R": 3}

_NAME = re.compile(r"(?:\d{4}|(?P<phase2>A\d{2}N\d{2}))-(?P<camera>[LMR])")

# Below the folder of the data set, labels are in folders with the first names, split files in those with the second.
_LABEL_FOLDERS = ("*[Ll][Aa][Bb][Ee][Ll]*", "*[Ll][Aa][Bb][Ee][Ll]*/*")
_SPLIT_FOLDERS = (".", "[Ss][Pp][Ll][Ii][Tt]*")
_TXT, _CSV = ".[Tt][Xx][Tt]", ".[Cc][Ss][Vv]"
# The release has recordings in Data/PKU_Skeleton_Renew: the folder of the data set is above folders with such names.
_INNER_FOLDER = re.compile("data|skeleton", re.IGNORECASE)


def is_recording(path: Path) -> bool:
    """Whether a text file has the name of a recording and is not the label file of that name."""
    if not _NAME.fullmatch(path.stem):
        return False
    try:
        with open_ordinary(path) as file:
            return b"," not in file.readline(_COLUMNS * 40)
    except OSError:
        return True  # the reader says why


def read(path: Path) -> Iterator[Clip | Remark]:
    """Yield the labelled actions of one recording, in the order of the label file.

    The sides of the cross-subject and cross-view splits come from their files, if these exist. Recordings that a file
    does not list for training are test recordings, as in MAMP. Camera 1 is L, 2 is M, 3 is R. The files do not say who
    moves. Labels may overlap, because in phase II actions happen at the same time. A label without a frame (some of the
    release end where they start) gives a clip of no frames; an import names it and leaves it out. A label that ends
    after its recording gives a remark instead of a clip. Each clip is numbered by the place of its label in the file.
    Raises `DamagedFileError`, which names the line, for a recording or labels that are malformed.
    """
    named = _NAME.fullmatch(path.stem)
    if named is None:
        raise DamagedFileError(
            f"{path} is not a recording of PKU-MMD, the only text files that can be read; their names are like "
            f"0002-L.txt or A01N01-L.txt."
        )
    lines = read_lines(path)
    if not lines:
        raise DamagedFileError(f"{path} is empty; copy it again.")
    rows = read_table(path, lines, first_line=1, num_columns=_COLUMNS)
    sequence = _in_float32(path, rows).reshape(len(rows), _PLACES, NTU25.num_joints, 3)
    label_file = _label_file(path)
    labels = _labels(label_file, recording=path)
    splits = _sides(path, phase2=named["phase2"] is not None)
    for number, (action, start, stop) in enumerate(labels):
        name = f"{path.stem}_{number:02}"
        if stop > len(sequence):
            yield Remark(
                f"its label, line {number + 1} of {label_file}, ends at frame {stop}, but the recording has "
                f"{len(sequence)}. If the recording was cut off, or the labels belong to another one, copy both again.",
                left_out=name,
            )
            continue
        yield Clip(
            name=name,
            sequence=without_empty_places(sequence[start:stop]),
            layout=NTU25,
            fps=FPS,
            label=ACTIONS[action - 1],
            camera=_CAMERAS[named["camera"]],
            split=splits.get("x-sub", NO_SPLIT),
            splits=splits,
            description=f"frames {start} to {stop}",
        )


def files_beside(path: Path) -> list[Path]:
    """The label file of a recording and the split files, if they exist."""
    named = _NAME.fullmatch(path.stem)
    if named is None:
        return []
    try:
        labels = [_label_file(path)]
    except DamagedFileError:
        labels = []  # the reader reports it
    return [*labels, *_split_files(path, phase2=named["phase2"] is not None).values()]


def _in_float32(path: Path, rows: np.ndarray) -> Float32[np.ndarray, "frames columns"]:
    with np.errstate(over="ignore"):
        coordinates = rows.astype(np.float32)
    wrong = np.flatnonzero(np.isinf(coordinates).any(axis=1))
    if len(wrong):
        raise damaged_line(path, int(wrong[0]) + 1, "holds a number that is infinite; coordinates are metres")
    return coordinates


def _data_set_folders(path: Path) -> Iterator[Path]:
    """Where labels and split files may be: beside the recording's folder, or beside the inner folders around it."""
    folder = path.absolute().parent
    yield folder.parent
    while _INNER_FOLDER.search(folder.parent.name):
        folder = folder.parent
        yield folder.parent


def _label_file(path: Path) -> Path:
    for data_set, folder, suffix in itertools.product(_data_set_folders(path), _LABEL_FOLDERS, (_TXT, _CSV)):
        for found in sorted(data_set.glob(f"{folder}/{path.stem}{suffix}")):
            if not found.samefile(path):
                return found
    raise DamagedFileError(
        f"{path} has no labels; expected a file {path.name} in a folder with 'label' in its name, beside the folder of "
        f"the recordings (or beside Data, as PKU-MMD is released)."
    )


def _labels(path: Path, *, recording: Path) -> list[tuple[int, int, int]]:
    """Action number, first frame, and the frame after the last, of each line."""
    labels = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = [field.strip() for field in line.split(",")]
        # Numbers may be written as 3.0; the confidence is not used, and may be anything.
        numbers = [re.fullmatch(r"(\d{1,9})(?:\.0*)?", field) for field in fields[: _LABEL_FIELDS - 1]]
        if len(fields) != _LABEL_FIELDS or not all(numbers):
            raise damaged_line(path, number, f"must be `action, start, end, confidence`, got {line[:60]!r}")
        action, start, stop = (int(each[1]) for each in numbers if each)
        if not 1 <= action <= len(ACTIONS):
            raise damaged_line(path, number, f"names action {action}; expected 1 to {len(ACTIONS)}")
        labels.append((action, start, stop))
    if not labels:
        raise DamagedFileError(f"{path} is empty: it names no action in {recording}; copy it again.")
    return labels


def _sides(path: Path, *, phase2: bool) -> dict[str, int]:
    """The recording's side in each protocol whose file exists."""
    return {
        protocol: TRAIN_SPLIT if path.stem in _training_recordings(file) else TEST_SPLIT
        for protocol, file in _split_files(path, phase2=phase2).items()
    }


def _split_files(path: Path, *, phase2: bool) -> dict[str, Path]:
    """The files of the protocols that exist; those of phase II end in _v2."""
    files = {}
    for protocol, name in {"x-sub": "cross[_-]subject", "x-view": "cross[_-]view"}.items():
        file = _split_file(path, [f"{name}{ending}{_TXT}" for ending in (("_v2", "") if phase2 else ("", "_v1"))])
        if file is not None:
            files[protocol] = file
    return files


def _split_file(path: Path, names: Sequence[str]) -> Path | None:
    for data_set, folder, name in itertools.product(_data_set_folders(path), _SPLIT_FOLDERS, names):
        for found in sorted(data_set.glob(f"{folder}/{name}")):
            return found
    return None


def _training_recordings(path: Path) -> set[str]:
    """The names in the line after the heading for training, which is the first heading."""
    names: set[str] = set()
    for number, line in enumerate(read_lines(path), start=1):
        listed = [name for name in re.split(r"[,\s]+", line) if name]
        are_names = [_NAME.fullmatch(name) is not None for name in listed]
        if names and not any(are_names):
            break  # the heading of the other list
        if any(are_names) and not all(are_names):
            wrong = listed[are_names.index(False)]
            raise damaged_line(path, number, f"lists {wrong[:40]!r}; expected names like 0002-L, separated by commas")
        names.update(listed if any(are_names) else ())
    if not names:
        raise DamagedFileError(f"{path} names no training recording; copy it again, or remove it.")
    return names
