"""Writing a clip store: clip by clip, complete or not at all, and resumable."""

import errno
import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from gfp_serve.errors import GfpError, InterruptedImportError, StoreError
from gfp_serve.files import sync_directory, sync_file
from gfp_serve.formats import STORE_FILE
from gfp_serve.preprocess import CleanConfig, Cleaned, PreprocessConfig
from trainer.data.import_journal import JOURNAL_FILE, ImportJournal
from trainer.data.store import (
    ALL_MEASURED,
    CLIPS_FILE,
    COLUMNS,
    FORMAT_VERSION,
    LACKING,
    POSITIONS_FILE,
    DataSource,
    content_digest,
    lacking_runs,
)

_FILES = {POSITIONS_FILE, CLIPS_FILE, STORE_FILE, JOURNAL_FILE}


class StoreWriter:
    """Writes a store clip by clip; the folder appears complete when the `with` block ends, or not at all.

    Memory holds one table row a clip. `job` is everything that decides what is written. With a job, a writer that is
    interrupted (killed, Ctrl-C, disk full) leaves its work behind. The next one with an equal job goes on after the
    last `commit`; `notes` has what was noted with each. An error that would come again, which is any other `GfpError`,
    leaves nothing behind. Without a job nothing is ever left behind.

    Raises `StoreError` on entry when `path` exists and is not a store that `overwrite` allows to replace, when another
    process is writing it, and when another job was left unfinished there; on exit when there is no clip.
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
        self._journal = ImportJournal(path, POSITIONS_FILE, job or {})
        self._sources: dict[str, DataSource] = {}
        self._source_numbers: dict[str, int] = {}  # in the order of their first clips
        self._protocols: dict[str, set[str]] = defaultdict(set)
        self._classes: dict[str | None, int] = {None: -1}
        self._columns: dict[str, list[Any]] = {column: [] for column in COLUMNS}
        self._lacking: list[list[int]] = []
        self._names: set[str] = set()
        self._num_clips: Counter[str] = Counter()
        self._uncommitted: list[dict[str, Any]] = []
        self._hash = hashlib.sha256()

    def __enter__(self) -> "StoreWriter":
        _check_free(self.path, overwrite=self.overwrite)
        self._journal.open()
        try:
            if not self._is_resumable:
                self._journal.clear()
            for entry, chunks in self._journal.resume():
                for chunk in chunks:
                    self._hash.update(chunk)
                for row in entry["rows"]:
                    self._add_row(**row)
                self.notes.append(entry["note"])
        except BaseException:
            self._journal.close(keep=True)
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
            self._journal.close(keep=self._is_resumable and error is not None and not is_refused)
            if is_full:
                kept = f" The {len(self.notes)} files that are done are kept." if self._is_resumable else ""
                raise InterruptedImportError(
                    f"the disk is full: {self.path} needs more than the {len(self)} clips written so far. Free some "
                    f"space and repeat the command.{kept}"
                ) from error

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        """Whether a clip "source/name" was added."""
        return name in self._names

    def add_source(self, name: str, *, sha256: str, licence: str = "") -> None:
        """Say where the clips with this source name come from."""
        if name in self._sources:
            raise StoreError(f"two sources are named {name!r}; rename one of the files or folders.")
        self._sources[name] = DataSource(name=name, sha256=sha256, licence=licence)

    def add(
        self,
        cleaned: Cleaned,
        *,
        source: str,
        name: str,
        label: str | None,
        subject: str,
        camera: int,
        split: int,
        fps: float,
        protocol: str = "",
        joints: str = ALL_MEASURED,
    ) -> None:
        """Append one clip that `preprocess.clean` has cleaned. `add_source` may name its source before or after.

        `joints` is what `store.letters_of` gives for the layout that the clip was recorded in.

        Raises `StoreError` when the source already has a clip of this name.
        """
        full_name = f"{source}/{name}"
        if full_name in self._names:
            raise StoreError(f"there are two clips named {full_name!r}; names must differ within a source.")
        content = np.ascontiguousarray(cleaned.positions.transpose(1, 0, 2, 3), dtype="<f4")  # bodies, frames, 25, 3
        self._journal.append(content.data)
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
            "num_frames": cleaned.positions.shape[0],
            "num_bodies": cleaned.positions.shape[1],
            "joints": joints,
            "lacking": lacking_runs(cleaned.known),
        }
        self._add_row(**row)
        self._uncommitted.append(row)

    def commit(self, note: Any) -> None:
        """Make the clips since the last commit durable, with a note (plain values) for a writer that goes on."""
        self._journal.commit({"rows": self._uncommitted, "note": note})
        self._uncommitted = []
        self.notes.append(note)

    def _add_row(
        self,
        *,
        source: str,
        name: str,
        label: str | None,
        subject: str,
        protocol: str,
        lacking: list[list[int]],
        **row: Any,
    ) -> None:
        self._lacking += ([len(self), *run] for run in lacking)
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
        columns = {name: np.array(values, dtype=COLUMNS[name]) for name, values in self._columns.items()}
        # Classes stand in alphabetical order: it does not depend on the order of the sources.
        class_names = sorted(name for name in self._classes if name is not None)
        order = np.array([class_names.index(n) for n in self._classes if n is not None] + [-1], dtype=np.int16)
        columns["labels"] = order[columns["labels"]]
        columns[LACKING] = np.array(self._lacking, dtype="<i4").reshape(-1, 5)
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
            "content_sha256": content_digest(self._hash.hexdigest(), columns, class_names),
        }
        self._journal.flush()
        np.savez_compressed(self._journal.path / CLIPS_FILE, allow_pickle=False, **columns)
        (self._journal.path / STORE_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        for name in (POSITIONS_FILE, CLIPS_FILE, STORE_FILE):
            sync_file(self._journal.path / name)
        sync_directory(self._journal.path)
        # A folder cannot be replaced in one step: the old one is moved aside, so that the two are never mixed.
        old = self.path.with_name(f".{self.path.name}.old")
        if self.path.exists():
            _check_free(self.path, overwrite=self.overwrite)
            shutil.rmtree(old, ignore_errors=True)
            self.path.rename(old)
        self._journal.path.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)  # also one that a writer left when it was killed between these two steps
        sync_directory(self.path.parent)
        (self.path / JOURNAL_FILE).unlink()


def _check_free(path: Path, *, overwrite: bool) -> None:
    if not path.exists():
        return
    if not path.is_dir() or {file.name for file in path.iterdir()} - _FILES:
        raise StoreError(f"{path} exists and is not a clip store; name a new folder for --out.")
    if not overwrite:
        raise StoreError(f"{path} exists; name a new folder for --out, or add --overwrite to replace it.")
