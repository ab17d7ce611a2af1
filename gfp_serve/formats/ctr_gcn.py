"""The `.npz` of a whole data set, as CTR-GCN, MAMP and their relatives have it (`NTU60_XSub.npz`, `PKUv1_XView.npz`).

Arrays `x_train`, `x_test` [clips, frames, 150]: two bodies of the 25 joints of a Kinect v2, with zeros after the end of
a clip and for an absent body. Arrays `y_train`, `y_test` [clips, classes]: a 1 in the column of the class.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gfp_serve.array_files import (
    UNREADABLE_ARCHIVE,
    check_size,
    fills,
    open_archive,
    open_member,
    read_header,
    words_of,
)
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import ntu_actions, pku_mmd_actions
from gfp_serve.formats.bodies import without_empty_places
from gfp_serve.formats.clip import TEST_SPLIT, TRAIN_SPLIT, Clip
from gfp_serve.layouts import NTU25

FPS = 30.0
_SPLITS = {"train": TRAIN_SPLIT, "test": TEST_SPLIT}
_PLACES = 2  # for bodies
_COLUMNS = _PLACES * NTU25.num_joints * 3

# A row is held in memory. These limits keep a compressed row of zeros from filling it.
_MAX_FRAMES, _MAX_CLASSES = 100_000, 10_000

# Data sets that are published in this form are recognised by their number of classes.
_CLASS_NAMES = {len(names): names for names in (ntu_actions.ACTIONS[:60], ntu_actions.ACTIONS, pku_mmd_actions.ACTIONS)}


def is_data_set(path: Path) -> bool:
    """Whether this is an archive with the arrays of such a data set. A clip file is not."""
    try:
        with open_archive(path) as archive:
            return any(f"x_{split}.npy" in archive.namelist() for split in _SPLITS)
    except UNREADABLE_ARCHIVE:
        return False


def read(path: Path) -> Iterator[Clip]:
    """Yield the clips of both splits, one at a time: a file of 20 GB takes no more memory than one clip.

    Because of that size only shapes, lengths and labels are checked before the first clip; the coordinates of a clip
    are checked in its turn. Frames of zeros at the end of a clip are padding and are left out. So is a second body that
    is zero in all frames or a copy of the first. The file does not say who moves. Its clips have no names: they are
    numbered, `train_00000` and so on.
    Raises `DamagedFileError`, which names the array and the row.
    """
    with _reading(path), open_archive(path) as archive:
        check_size(path, archive, path.stat().st_size)
        splits = [split for split in _SPLITS if f"x_{split}.npy" in archive.namelist()]
        arrays = {split: (_Array(path, archive, f"x_{split}"), _Array(path, archive, f"y_{split}")) for split in splits}
        labels = {split: _labels(*of_split) for split, of_split in arrays.items()}
    for split, (clips, _) in arrays.items():
        for number, row in enumerate(clips.rows()):
            seen = np.flatnonzero(row.any(axis=1))
            num_frames = seen[-1] + 1 if len(seen) else 1
            bodies = row[:num_frames].reshape(num_frames, _PLACES, NTU25.num_joints, 3).astype(np.float32)
            yield Clip(
                name=f"{split}_{number:05}",
                sequence=without_empty_places(bodies),
                layout=NTU25,
                fps=FPS,
                label=labels[split][number],
                split=_SPLITS[split],
            )


class _Array:
    """One array of the archive. One of its rows at a time is in memory."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, name: str) -> None:
        self.path, self.name = path, name
        if f"{name}.npy" not in archive.namelist():
            raise DamagedFileError(f"{path} has no array {name!r}; a data set has x_train, y_train, x_test and y_test.")
        with _reading(path, f"array {name!r} "), open_member(archive, f"{name}.npy") as content:
            shape, fortran_order, dtype = read_header(content)
            self.start = content.tell()
        if dtype.kind not in "fiub" or fortran_order:
            order = " in column order" if fortran_order else ""
            raise self.damaged(f"holds {dtype}{order}; expected numbers in row order")
        self.shape, self.dtype = shape, dtype
        if not fills(shape, dtype, archive.getinfo(f"{name}.npy").file_size - self.start):
            raise self.damaged(f"announces {' × '.join(map(str, shape))} numbers, but has more or fewer: copy it again")

    def rows(self) -> Iterator[np.ndarray]:
        """Yield the entries of the array along its first axis."""
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        row = 0
        with (
            _reading(self.path, f"array {self.name!r} "),
            open_archive(self.path) as archive,
            open_member(archive, f"{self.name}.npy") as content,
        ):
            content.read(self.start)
            for row in range(self.shape[0]):
                data = content.read(size)
                if len(data) < size:
                    raise self.damaged(f"ends in row {row}; the file was cut off: copy it again")
                yield np.frombuffer(data, self.dtype).reshape(self.shape[1:])

    def damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path}: array {self.name!r} {what}.")


def _labels(clips: _Array, classes: _Array) -> list[str]:
    """The name of each clip's class."""
    fits = len(clips.shape) == 3 and clips.shape[2] == _COLUMNS and clips.dtype.kind == "f"
    if not fits or min(clips.shape) < 1 or clips.shape[1] > _MAX_FRAMES:
        raise clips.damaged(
            f"is {clips.dtype} of shape {_shape(clips)}; expected floating-point clips × frames × {_COLUMNS} (two "
            f"bodies × {NTU25.num_joints} joints × 3), at most {_MAX_FRAMES} frames"
        )
    if len(classes.shape) != 2 or classes.shape[0] != clips.shape[0] or not 0 < classes.shape[1] <= _MAX_CLASSES:
        raise classes.damaged(f"has shape {_shape(classes)}; expected {clips.shape[0]} clips × classes")
    names = _CLASS_NAMES.get(classes.shape[1]) or [f"A{number + 1:03}" for number in range(classes.shape[1])]
    labels = []
    for number, row in enumerate(classes.rows()):
        chosen = np.flatnonzero(row)
        if len(chosen) != 1 or row[chosen[0]] != 1:
            raise classes.damaged(f"must have a single 1 in each row, and zeros; row {number} does not")
        labels.append(names[chosen[0]])
    return labels


@contextmanager
def _reading(path: Path, what: str = "") -> Iterator[None]:
    try:
        yield
    except UNREADABLE_ARCHIVE as error:
        raise DamagedFileError(f"{path}: {what}cannot be read: {words_of(error)}; copy it again.") from error


def _shape(array: _Array) -> str:
    return " × ".join(map(str, array.shape)) or "one number"
