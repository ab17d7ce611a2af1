"""The clip store: cleaned clips of all data sets in one folder, memory-mapped and ragged.

`positions.f32` holds the clips' bodies one after another, each as its frames of 25 × 3 little-endian float32;
`clips.npz` has one row a clip, `store.json` says how the clips were cleaned, what they are, and where they come from.
"""

import errno
import hashlib
import json
import shutil
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float32, Int8, Int16, Int64

from gfp_serve.errors import GfpError, InterruptedImportError, StoreError
from gfp_serve.files import sync_directory, sync_file
from gfp_serve.preprocess import MODEL_LAYOUT, CleanConfig, PreprocessConfig
from trainer.data.import_journal import JOURNAL_FILE, Draft

FORMAT_VERSION = 1

POSITIONS_FILE, CLIPS_FILE, STORE_FILE = "positions.f32", "clips.npz", "store.json"
_FILES = {POSITIONS_FILE, CLIPS_FILE, STORE_FILE, JOURNAL_FILE}

_JOINTS = MODEL_LAYOUT.num_joints
_ROW_BYTES = _JOINTS * 3 * 4

# The columns of `clips.npz` and their dtypes; text is as wide as its longest entry.
_COLUMNS = {
    "num_frames": "<i4",
    "num_bodies": "<i2",
    "labels": "<i2",
    "sources": "<i2",
    "subjects": "U",
    "cameras": "<i2",
    "splits": "<i1",
    "names": "U",
    "fps": "<f4",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One imported recording, or one folder of recordings of a clip each."""

    name: str
    sha256: str  # of the file; of a folder: of its files' names and sums, as `sha256sum` lists them
    licence: str = ""  # as the user stated it; empty = not stated
    protocol: str = ""  # what decided the sides of its split; empty = its recordings, or there is no split
    num_clips: int = 0


class ClipStore:
    """Read access to a store. Clips are views of a memory map: nothing is loaded before it is used."""

    def __init__(self, path: Path, description: dict[str, Any], columns: dict[str, np.ndarray]) -> None:
        """Use `open`, which checks what it hands over."""
        self.path = path
        self.cleaning = PreprocessConfig.from_json(description["preprocess"]).cleaning
        self.class_names: tuple[str, ...] = tuple(description["class_names"])
        self.sources = tuple(Source(**source) for source in description["sources"])
        self.content_digest: str = description["content_sha256"]
        self.num_frames: Int64[np.ndarray, " clips"] = columns["num_frames"].astype(np.int64)
        self.num_bodies: Int64[np.ndarray, " clips"] = columns["num_bodies"].astype(np.int64)
        self.labels: Int64[np.ndarray, " clips"] = columns["labels"].astype(np.int64)  # in class_names; -1 = none
        self.splits: Int8[np.ndarray, " clips"] = columns["splits"]  # 0 train, 1 test, -1 none
        self.cameras: Int16[np.ndarray, " clips"] = columns["cameras"]
        self.fps: Float32[np.ndarray, " clips"] = columns["fps"]
        self.subjects: np.ndarray = columns["subjects"]  # "source/subject"
        self.names: np.ndarray = columns["names"]  # "source/clip"
        # Clip i is rows offsets[i]:offsets[i + 1] of `rows`: its bodies one after another.
        self.offsets: Int64[np.ndarray, " clips_plus_1"] = _offsets(self.num_frames, self.num_bodies)
        self.rows: Float32[np.ndarray, "rows 25 3"] = _map_rows(path / POSITIONS_FILE, int(self.offsets[-1]))
        self._columns = columns
        self._stamps = _stamps(path)

    @classmethod
    def open(cls, path: Path) -> "ClipStore":
        """Open a store read-only.

        Raises `StoreError` when it is no store, of another format or preprocessing version, or incomplete. Whether the
        content is what was written is left to `verify`, which reads all of it.
        """
        description = _read_description(path)
        try:
            # numpy does not close a damaged file that it opened itself.
            with (path / CLIPS_FILE).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                columns = {name: archive[name] for name in _COLUMNS}
            if len({len(column) for column in columns.values()}) != 1:
                raise StoreError(f"{path}: the columns of {CLIPS_FILE} differ in length; import the data again.")
            return cls(path, description, columns)
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise StoreError(f"{path} is not a usable clip store: {error}") from error

    def __len__(self) -> int:
        return len(self.num_frames)

    def clip(self, index: int) -> Float32[np.ndarray, "frames bodies 25 3"]:
        """Clip `index` as `preprocess.clean` gave it: a read-only view, most moving body first."""
        bodies, frames = int(self.num_bodies[index]), int(self.num_frames[index])
        rows = self.rows[self.offsets[index] : self.offsets[index] + bodies * frames]
        return rows.reshape(bodies, frames, _JOINTS, 3).transpose(1, 0, 2, 3)  # frames, bodies, 25, 3

    def check_unchanged(self) -> None:
        """Raise `StoreError` when the files on disk are not those that were opened; costs nothing while they rest."""
        if (now := _stamps(self.path)) != self._stamps:
            try:
                if ClipStore.open(self.path).content_digest != self.content_digest:
                    raise StoreError("it was imported anew with other clips")
                self.verify()
            except (OSError, StoreError) as error:
                raise StoreError(f"{self.path} was changed while it was in use: {error}") from error
            self._stamps = now

    def verify(self) -> None:
        """Read everything; `StoreError` when it is not what was written."""
        content = hashlib.sha256()
        with (self.path / POSITIONS_FILE).open("rb") as file:
            while chunk := file.read(1 << 20):
                content.update(chunk)
        digest = _content_digest(content.hexdigest(), self._columns, self.class_names)
        if digest != self.content_digest:
            raise StoreError(
                f"{self.path} holds other clips than were written: content sha256 {digest[:12]}…, {STORE_FILE} says "
                f"{self.content_digest[:12]}…; copy the store again or import the data again."
            )


class StoreWriter:
    """Writes a store clip by clip; the folder appears complete when the `with` block ends, or not at all.

    What is kept in memory is one table row a clip. With a `job`, all that decides what is written, a writer that was
    interrupted (killed, Ctrl-C, disk full) leaves its work behind, and the next one with an equal job goes on after the
    last `commit`: `notes` has what was noted with each. A mistake that repeating would repeat, any `GfpError`, leaves
    nothing, as everything does without a job.
    Raises `StoreError` on entry when `path` exists and is not a store that `overwrite` allows to replace, when another
    writer is at it, and when another job was left unfinished there; on exit when there is no clip.
    """

    def __init__(
        self,
        path: Path,
        cleaning: CleanConfig,
        *,
        overwrite: bool = False,
        job: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.cleaning, self.overwrite = path, cleaning, overwrite
        self.notes: list[Any] = []
        self._is_resumable = job is not None
        self._draft = Draft(path, POSITIONS_FILE, job or {})
        self._sources: dict[str, Source] = {}
        self._source_numbers: dict[str, int] = {}  # in the order of their first clips
        self._protocols: dict[str, set[str]] = defaultdict(set)
        self._classes: dict[str | None, int] = {None: -1}
        self._columns: dict[str, list[Any]] = {column: [] for column in _COLUMNS}
        self._names: set[str] = set()
        self._num_clips: Counter[str] = Counter()
        self._uncommitted: list[dict[str, Any]] = []
        self._hash = hashlib.sha256()

    def __enter__(self) -> "StoreWriter":
        _check_free(self.path, overwrite=self.overwrite)
        self._draft.open()
        try:
            if not self._is_resumable:
                self._draft.clear()
            for entry, chunks in self._draft.resume():
                for chunk in chunks:
                    self._hash.update(chunk)
                for row in entry["rows"]:
                    self._add_row(**row)
                self.notes.append(entry["note"])
        except BaseException:
            self._draft.close(keep=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._complete()
        except BaseException as problem:
            error = problem
            raise
        finally:
            is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            is_refused = isinstance(error, GfpError) and not isinstance(error, InterruptedImportError)
            self._draft.close(keep=self._is_resumable and error is not None and not is_refused)
            if is_full:
                kept = f" What is done ({len(self.notes)} files) is kept." if self._is_resumable else ""
                raise InterruptedImportError(
                    f"the disk is full: {self.path} needs more than the {len(self)} clips written so far. Free some "
                    f"space and repeat the command.{kept}"
                ) from error

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        """Whether there is a clip "source/name" already."""
        return name in self._names

    def add_source(self, name: str, *, sha256: str, licence: str = "") -> None:
        """Announce where the clips come from that are added under this name."""
        if name in self._sources:
            raise StoreError(f"two sources are named {name!r}; rename one of the files or folders.")
        self._sources[name] = Source(name=name, sha256=sha256, licence=licence)

    def add(
        self,
        cleaned: Float32[np.ndarray, "frames bodies 25 3"],
        *,
        source: str,
        name: str,
        label: str | None,
        subject: str,
        camera: int,
        split: int,
        fps: float,
        protocol: str = "",
    ) -> None:
        """Append one clip, cleaned by `preprocess.clean`, of a source that `add_source` announces before or after.

        Raises `StoreError` when the source has a clip of this name already.
        """
        full_name = f"{source}/{name}"
        if full_name in self._names:
            raise StoreError(f"there are two clips named {full_name!r}; names must differ within a source.")
        content = np.ascontiguousarray(cleaned.transpose(1, 0, 2, 3), dtype="<f4")  # bodies, frames, 25, 3
        self._draft.append(content.data)
        self._hash.update(content.data)
        row = {
            "source": source,
            "name": name,
            "label": label,
            "subject": subject,
            "camera": camera,
            "split": split,
            "fps": fps,
            "protocol": protocol,
            "num_frames": cleaned.shape[0],
            "num_bodies": cleaned.shape[1],
        }
        self._add_row(**row)
        self._uncommitted.append(row)

    def commit(self, note: Any) -> None:
        """Make the clips since the last commit last, and keep a note (plain values) for a writer that goes on."""
        self._draft.commit({"rows": self._uncommitted, "note": note})
        self._uncommitted = []
        self.notes.append(note)

    def _add_row(self, *, source: str, name: str, label: str | None, subject: str, protocol: str, **row: Any) -> None:
        row |= {
            "labels": self._classes.setdefault(label, len(self._classes) - 1),
            "sources": self._source_numbers.setdefault(source, len(self._source_numbers)),
            "subjects": f"{source}/{subject}",
            "cameras": row.pop("camera"),
            "splits": row.pop("split"),
            "names": f"{source}/{name}",
        }
        for column, value in row.items():
            self._columns[column].append(value)
        self._names.add(f"{source}/{name}")
        self._protocols[source].add(protocol)
        self._num_clips[source] += 1

    def _complete(self) -> None:
        if not self._names:
            raise StoreError(f"there is no usable clip, so {self.path} is not written.")
        columns = {name: np.array(values, dtype=_COLUMNS[name]) for name, values in self._columns.items()}
        # Classes in alphabetical order, whatever the order of the sources was.
        class_names = sorted(name for name in self._classes if name is not None)
        order = np.array([class_names.index(n) for n in self._classes if n is not None] + [-1], dtype=np.int16)
        columns["labels"] = order[columns["labels"]]
        preprocess = PreprocessConfig(cleaning=self.cleaning)
        description = {
            "format_version": FORMAT_VERSION,
            "preprocess": preprocess.to_json(),
            "preprocess_digest": preprocess.digest,
            "class_names": class_names,
            "sources": [
                asdict(
                    replace(
                        self._sources[name],
                        num_clips=self._num_clips[name],
                        protocol=", ".join(sorted(self._protocols[name] - {""})),
                    )
                )
                for name in self._source_numbers
            ],
            "content_sha256": _content_digest(self._hash.hexdigest(), columns, class_names),
        }
        self._draft.flush()
        np.savez_compressed(self._draft.path / CLIPS_FILE, allow_pickle=False, **columns)
        (self._draft.path / STORE_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        for name in (POSITIONS_FILE, CLIPS_FILE, STORE_FILE):
            sync_file(self._draft.path / name)
        sync_directory(self._draft.path)
        # A folder cannot be replaced in one go: the old one steps aside, so that it is never mixed with the new.
        old = self.path.with_name(f".{self.path.name}.old")
        if self.path.exists():
            _check_free(self.path, overwrite=self.overwrite)
            shutil.rmtree(old, ignore_errors=True)
            self.path.rename(old)
        self._draft.path.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)  # also where a writer was killed between these two
        sync_directory(self.path.parent)
        (self.path / JOURNAL_FILE).unlink()


def is_store(path: Path) -> bool:
    """Whether this is a folder that says it is a clip store."""
    return (path / STORE_FILE).is_file()


def _check_free(path: Path, *, overwrite: bool) -> None:
    if not path.exists():
        return
    if not path.is_dir() or {file.name for file in path.iterdir()} - _FILES:
        raise StoreError(f"{path} exists and is not a clip store; name a new folder for --out.")
    if not overwrite:
        raise StoreError(f"{path} exists; name a new folder for --out, or say --overwrite to replace it.")


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads((path / STORE_FILE).read_text(encoding="utf-8"))
        version = description["format_version"]
        if version != FORMAT_VERSION:
            raise StoreError(
                f"{path} has store format {version}; this release reads format {FORMAT_VERSION}: import the data again."
            )
        preprocess = PreprocessConfig.from_json(description["preprocess"])
    except FileNotFoundError as error:
        what = "holds no clip store" if path.is_dir() else "is not there"
        raise StoreError(f"{path} {what}; `gfp-data import` makes one from recordings.") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is not a usable clip store (`gfp-data import` makes one): {error}") from error
    if preprocess.digest != description.get("preprocess_digest"):
        raise StoreError(f"{path}: the preprocessing in {STORE_FILE} was altered; import the data again.")
    return description


def _map_rows(path: Path, num_rows: int) -> np.ndarray:
    size = path.stat().st_size
    if size != num_rows * _ROW_BYTES:
        raise StoreError(
            f"{path} has {size} bytes where its clips take {num_rows * _ROW_BYTES}; it was cut off or altered: copy "
            f"the store again or import the data again."
        )
    return np.asarray(np.memmap(path, dtype="<f4", mode="r", shape=(num_rows, _JOINTS, 3)))


def _stamps(path: Path) -> list[tuple[int, int, int]]:
    """What changes when a file is replaced or written to, for each file of a store."""
    files = [path / name for name in (POSITIONS_FILE, CLIPS_FILE, STORE_FILE)]
    stats = [file.stat() for file in files if file.exists()]
    return [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]


def _offsets(num_frames: np.ndarray, num_bodies: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(num_frames * num_bodies)]).astype(np.int64)


def _content_digest(positions_sha256: str, columns: dict[str, np.ndarray], class_names: Any) -> str:
    content = hashlib.sha256(positions_sha256.encode())
    for name in sorted(columns):
        content.update(f"{name} {columns[name].dtype.str} {len(columns[name])}\n".encode())
        content.update(columns[name].tobytes())
    content.update(json.dumps(list(class_names)).encode())
    return content.hexdigest()
