"""The clip store: cleaned clips of all data sets in one folder, memory-mapped and ragged.

`positions.f32` has the bodies of the clips one after another, each as its frames of 25 × 3 little-endian float32.
`clips.npz` has one row a clip, and the runs of frames in which joints are lacking. `store.json` says how the clips were
cleaned, what they are and where they come from. This module reads a store; `store_writer` writes one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int16, Int32, Int64

from gfp_serve.array_files import UNREADABLE_ARCHIVE, check_size, open_archive, read_array, words_of
from gfp_serve.errors import DamagedFileError, StoreError
from gfp_serve.files import open_ordinary, read_ordinary
from gfp_serve.formats import STORE_FILE
from gfp_serve.formats.text import MAX_TEXT_BYTES
from gfp_serve.layouts import Status
from gfp_serve.preprocess import MODEL_LAYOUT, Cleaned, PreprocessConfig

# Stores of format 1 do not say which joints are lacking; all their joints are taken to be measured.
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, FORMAT_VERSION)

POSITIONS_FILE, CLIPS_FILE = "positions.f32", "clips.npz"

# The columns of `clips.npz` and their dtypes; text is as wide as its longest entry.
COLUMNS = {
    "num_frames": "<i4",
    "num_bodies": "<i2",
    "labels": "<i2",
    "sources": "<i2",
    "subjects": "U",
    "cameras": "<i2",
    "splits": "<i1",
    "names": "U",
    "fps": "<f4",
    "joints": "U",  # a letter for each joint of the model: measured, derived or lacking in the clip's layout
}
# Beside the columns: clip, body, joint, first frame and end of each run of frames in which a joint is lacking.
LACKING = "lacking"
_SINCE_2 = ("joints", LACKING)

_LETTERS: dict[Status, str] = {"measured": "m", "derived": "d", "lacking": "l"}
ALL_MEASURED = "m" * MODEL_LAYOUT.num_joints

_JOINTS = MODEL_LAYOUT.num_joints
_ROW_BYTES = _JOINTS * 3 * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Where clips come from: one imported recording, or one folder of recordings of a clip each."""

    name: str
    sha256: str  # of the file; of a folder: of its files' names and sums, as `sha256sum` lists them
    licence: str = ""  # as the user stated it; empty = not stated
    protocol: str = ""  # what decided the sides of its split; empty = its recordings, or it has no split
    num_clips: int = 0


class ClipStore:
    """Read access to a store. Clips are views of a memory map: nothing is loaded before it is used."""

    def __init__(self, path: Path, description: dict[str, Any], columns: dict[str, np.ndarray]) -> None:
        """Use `open`, which checks what it passes here."""
        self.path = path
        self.cleaning = PreprocessConfig.from_json(description["preprocess"]).cleaning
        self.class_names: tuple[str, ...] = tuple(description["class_names"])
        self.sources = tuple(DataSource(**source) for source in description["sources"])
        self.content_digest: str = description["content_sha256"]
        self.num_frames: Int64[np.ndarray, " clips"] = columns["num_frames"].astype(np.int64)
        self.num_bodies: Int64[np.ndarray, " clips"] = columns["num_bodies"].astype(np.int64)
        self.labels: Int64[np.ndarray, " clips"] = columns["labels"].astype(np.int64)  # in class_names; -1 = none
        self.clip_sources: Int16[np.ndarray, " clips"] = columns["sources"]  # in sources
        self.splits: Int8[np.ndarray, " clips"] = columns["splits"]  # 0 train, 1 test, -1 none
        self.cameras: Int16[np.ndarray, " clips"] = columns["cameras"]
        self.fps: Float32[np.ndarray, " clips"] = columns["fps"]
        self.subjects: np.ndarray = columns["subjects"]  # "source/subject"
        self.names: np.ndarray = columns["names"]  # "source/clip"
        self.joints: np.ndarray = columns["joints"] if "joints" in columns else np.full(len(self.names), ALL_MEASURED)
        self._lacking: Int32[np.ndarray, "runs 5"] = columns.get(LACKING, np.zeros((0, 5), dtype=np.int32))
        # Clip i is rows offsets[i]:offsets[i + 1] of `rows`: its bodies one after another.
        self.offsets: Int64[np.ndarray, " clips_plus_1"] = _offsets(self.num_frames, self.num_bodies)
        self.rows: Float32[np.ndarray, "rows 25 3"] = _map_rows(path / POSITIONS_FILE, int(self.offsets[-1]))
        self._columns = columns
        self._stamps = _stamps(path)

    @classmethod
    def open(cls, path: Path) -> "ClipStore":
        """Open a store read-only.

        Raises `StoreError` when it is not a store, is incomplete, or has another format or preprocessing version. It
        does not compare the content with what was written: `verify` does, and reads all of it.
        """
        description = _read_description(path)
        try:
            names = [*COLUMNS, LACKING]
            if description["format_version"] == 1:
                names = [name for name in names if name not in _SINCE_2]
            with open_archive(path / CLIPS_FILE) as archive:
                check_size(CLIPS_FILE, archive, (path / CLIPS_FILE).stat().st_size)
                columns = {name: read_array(archive, name) for name in names}
            if len({len(column) for name, column in columns.items() if name != LACKING}) != 1:
                raise StoreError(f"{path}: the columns of {CLIPS_FILE} differ in length; import the data again.")
            _check_lacking(path, columns)
            return cls(path, description, columns)
        except DamagedFileError as error:
            raise StoreError(f"{path} is not a usable clip store: {error}") from error
        except UNREADABLE_ARCHIVE as error:
            raise StoreError(f"{path} is not a usable clip store: {CLIPS_FILE}: {words_of(error)}") from error

    def __len__(self) -> int:
        return len(self.num_frames)

    def clip(self, index: int) -> Float32[np.ndarray, "frames bodies 25 3"]:
        """Clip `index` as `preprocess.clean` gave it, in metres: a read-only view, most moving body first."""
        bodies, frames = int(self.num_bodies[index]), int(self.num_frames[index])
        rows = self.rows[self.offsets[index] : self.offsets[index] + bodies * frames]
        return rows.reshape(bodies, frames, _JOINTS, 3).transpose(1, 0, 2, 3)  # frames, bodies, 25, 3

    @property
    def dimensions(self) -> int:
        """2 if the clips are joints of images, whose depth is 0; otherwise 3. A store never has both."""
        return 3 if self.clip(0)[..., 2].any() else 2

    def cleaned(self, index: int) -> Cleaned:
        """Clip `index` and which of its joints are known."""
        positions = self.clip(index)
        known = np.ones(positions.shape[:-1], dtype=bool)
        first, end = np.searchsorted(self._lacking[:, 0], [index, index + 1])
        for body, joint, start, stop in self._lacking[first:end, 1:].tolist():
            known[start:stop, body, joint] = False
        return Cleaned(positions, known)

    def lacking_rows(self) -> Bool[np.ndarray, "rows 25"] | None:
        """Which joints of each row of `rows` are lacking; None if none is in the whole store."""
        if not len(self._lacking):
            return None
        clip, body, joint, start, stop = self._lacking.T.astype(np.int64)
        first = self.offsets[clip] + body * self.num_frames[clip]
        # One up where a run begins, one down where it ends.
        steps = np.zeros((len(self.rows) + 1, _JOINTS), dtype=np.int8)
        np.add.at(steps, (first + start, joint), 1)
        np.add.at(steps, (first + stop, joint), -1)
        return np.cumsum(steps[:-1], axis=0, dtype=np.int8) > 0

    def check_unchanged(self) -> None:
        """Raise `StoreError` when the files on disk are not those that were opened. Unchanged files cost no time."""
        if (now := _stamps(self.path)) != self._stamps:
            try:
                if ClipStore.open(self.path).content_digest != self.content_digest:
                    raise StoreError("it was imported again with other clips")
                self.verify()
            except (OSError, StoreError) as error:
                raise StoreError(f"{self.path} was changed while it was in use: {error}") from error
            self._stamps = now

    def verify(self) -> None:
        """Read everything; raise `StoreError` when it is not what was written."""
        content = hashlib.sha256()
        with open_ordinary(self.path / POSITIONS_FILE) as file:
            while chunk := file.read(1 << 20):
                content.update(chunk)
        digest = content_digest(content.hexdigest(), self._columns, self.class_names)
        if digest != self.content_digest:
            raise StoreError(
                f"the clips of {self.path} are not those that were written: content sha256 is {digest[:12]}…, "
                f"{STORE_FILE} says {self.content_digest[:12]}…; copy the store again or import the data again."
            )


def is_store(path: Path) -> bool:
    """Whether this is a folder that says it is a clip store."""
    return (path / STORE_FILE).is_file()


def letters_of(statuses: Sequence[Status]) -> str:
    """What the column `joints` says of a layout, from `layouts.statuses`."""
    return "".join(_LETTERS[status] for status in statuses)


def lacking_runs(known: Bool[np.ndarray, "frames bodies joints"]) -> list[list[int]]:
    """Body, joint, first frame and end of each run of frames in which a joint is not known."""
    # Joint by joint, with a known frame before the first and after the last one.
    lacking = np.pad(~known.transpose(1, 2, 0), ((0, 0), (0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(lacking, axis=2)
    begins, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return np.column_stack([begins, ends[:, 2]]).tolist()


def content_digest(positions_sha256: str, columns: dict[str, np.ndarray], class_names: Any) -> str:
    """The sha256 of a store's content, from that of its positions."""
    content = hashlib.sha256(positions_sha256.encode())
    for name in sorted(columns):
        content.update(f"{name} {columns[name].dtype.str} {len(columns[name])}\n".encode())
        content.update(columns[name].tobytes())
    content.update(json.dumps(list(class_names)).encode())
    return content.hexdigest()


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(read_ordinary(path / STORE_FILE, at_most=MAX_TEXT_BYTES))
        version = description["format_version"]
        if version not in READABLE_VERSIONS:
            raise StoreError(
                f"{path} has store format {version}; this release reads formats "
                f"{' and '.join(map(str, READABLE_VERSIONS))}: import the data again."
            )
        preprocess = PreprocessConfig.from_json(description["preprocess"])
    except FileNotFoundError as error:
        what = "has no clip store in it" if path.is_dir() else "does not exist"
        raise StoreError(f"{path} {what}; `gfp-data import` makes a store from recordings.") from error
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{path} is not a usable clip store (`gfp-data import` makes one): {STORE_FILE}: {words_of(error)}"
        ) from error
    if preprocess.digest != description.get("preprocess_digest"):
        raise StoreError(f"{path}: the preprocessing in {STORE_FILE} was altered; import the data again.")
    return description


def _check_lacking(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Raise `StoreError` when runs of lacking joints cannot be of these clips."""
    if LACKING not in columns:
        return
    runs, frames, bodies = columns[LACKING], columns["num_frames"], columns["num_bodies"]
    is_whole = runs.dtype.kind in "iu" and runs.ndim == 2 and runs.shape[1] == 5
    if is_whole and len(runs):
        clip, body, joint, start, stop = runs.T.astype(np.int64)
        is_whole = bool(
            (np.diff(clip) >= 0).all()
            and clip[0] >= 0
            and clip[-1] < len(frames)
            and ((body >= 0) & (body < bodies[clip]) & (joint >= 0) & (joint < _JOINTS)).all()
            and ((start >= 0) & (start < stop) & (stop <= frames[clip])).all()
        )
    if not is_whole or any(len(letters) != _JOINTS for letters in columns["joints"].tolist()):
        raise StoreError(
            f"{path}: what {CLIPS_FILE} says of lacking joints does not fit its clips; copy the store again or import "
            f"the data again."
        )


def _map_rows(path: Path, num_rows: int) -> np.ndarray:
    size = path.stat().st_size
    if size != num_rows * _ROW_BYTES:
        raise StoreError(
            f"{path} has {size} bytes, but its clips take {num_rows * _ROW_BYTES}; it was cut off or altered: copy the "
            f"store again or import the data again."
        )
    return np.asarray(np.memmap(path, dtype="<f4", mode="r", shape=(num_rows, _JOINTS, 3)))


def _stamps(path: Path) -> list[tuple[int, int, int]]:
    """What changes when a file is replaced or written to, for each file of a store."""
    files = [path / name for name in (POSITIONS_FILE, CLIPS_FILE, STORE_FILE)]
    stats = [file.stat() for file in files if file.exists()]
    return [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]


def _offsets(num_frames: np.ndarray, num_bodies: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(num_frames * num_bodies)]).astype(np.int64)
