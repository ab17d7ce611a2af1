"""The journal of an import: the folder in which a store is written before it appears.

A file of positions grows in it. The first line of `journal.jsonl` says what is being written; each commit adds a line.
An interrupted writer leaves the folder behind, and the next one goes on with it: it cuts off what follows the last
whole commit, so that a killed process costs one commit. The writer holds a lock on the folder.
"""

import contextlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from gfp_serve.errors import StoreError
from gfp_serve.files import lock

JOURNAL_FILE = "journal.jsonl"

# A commit is read again in pieces of this size.
_CHUNK_BYTES = 1 << 20


class ImportJournal:
    """The work of one writer: it appends bytes, and commits make them durable."""

    def __init__(self, store: Path, positions_file: str, job: Mapping[str, str]) -> None:
        """Touches no file; `open` does. A writer goes on with the work of another only if their jobs are equal."""
        self.store, self.job = store, dict(job)
        self.path = store.with_name(f".{store.name}.partial")
        self._files = (self.path / JOURNAL_FILE, self.path / positions_file)
        self._uncommitted = self._crc32 = 0

    def open(self) -> None:
        """Take the lock. Raises `StoreError` when another writer has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            # Also refused if the other writer finished just now: then this folder has become the store, or is gone.
            self._lock = lock(self.path)
        except (BlockingIOError, FileNotFoundError) as error:
            raise StoreError(
                f"another process is writing {self.store} at this moment; wait until it is done, or name another "
                f"folder for --out."
            ) from error

    def resume(self) -> Iterator[tuple[dict[str, Any], Iterator[bytes]]]:
        """Yield what was committed before, in order: the entry of each commit, and its bytes in chunks.

        A commit may be larger than memory. The caller takes all chunks of all commits before the first `append`.
        Raises `StoreError`, which names each difference, when it was for another job.
        """
        journal, positions = self._files
        kept_journal = kept_positions = 0
        if journal.exists() and positions.exists():
            with journal.open("rb") as lines, positions.open("rb") as content:
                first = _parsed(lines.readline())
                if first is not None:
                    self._check_same(first["job"])
                    kept_journal = lines.tell()
                for line in lines if first else ():
                    entry = _parsed(line)
                    if entry is None or not _is_whole(content, entry):
                        break
                    content.seek(kept_positions)
                    yield entry, _chunks(content, entry["num_bytes"])
                    kept_journal += len(line)
                    kept_positions += entry["num_bytes"]
        self._journal = _opened_at(journal, kept_journal)
        self._positions = _opened_at(positions, kept_positions)
        if not kept_journal:
            self._write_line({"job": self.job})

    def append(self, content: memoryview) -> None:
        """Add bytes to the positions."""
        self._positions.write(content)
        self._uncommitted += content.nbytes
        self._crc32 = zlib.crc32(content, self._crc32)

    def commit(self, entry: dict[str, Any]) -> None:
        """Make what was appended since the last commit durable; `entry` says what it is."""
        self._positions.flush()
        self._write_line({"num_bytes": self._uncommitted, "crc32": self._crc32, **entry})
        self._uncommitted = self._crc32 = 0

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._positions.flush()

    def clear(self) -> None:
        """Forget what was committed before."""
        for file in self._files:
            file.unlink(missing_ok=True)

    def close(self, *, keep: bool) -> None:
        """Give up the lock, and the folder unless it is to be kept."""
        for file in (getattr(self, "_positions", None), getattr(self, "_journal", None)):
            with contextlib.suppress(OSError):  # a full disk, which was reported before
                if file is not None:
                    file.close()
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def _check_same(self, job: Mapping[str, str]) -> None:
        names = sorted(self.job.keys() | job.keys())
        differences = [
            f"{name} was {job.get(name, 'not set')}, is {self.job.get(name, 'not set')}"
            for name in names
            if job.get(name) != self.job.get(name)
        ]
        if differences:
            raise StoreError(
                f"{self.path} holds an unfinished import with other settings: {'; '.join(differences)}. Repeat the "
                f"command with the settings it had to go on, or delete that folder to start again."
            )

    def _write_line(self, entry: dict[str, Any]) -> None:
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line of the journal; None for one that was cut off."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return entry


def _is_whole(content: BinaryIO, entry: dict[str, Any]) -> bool:
    """Whether the file has all bytes of a commit, as they were written."""
    num_bytes = crc32 = 0
    for chunk in _chunks(content, entry["num_bytes"]):
        num_bytes += len(chunk)
        crc32 = zlib.crc32(chunk, crc32)
    return (num_bytes, crc32) == (entry["num_bytes"], entry["crc32"])


def _chunks(content: BinaryIO, num_bytes: int) -> Iterator[bytes]:
    while num_bytes and (chunk := content.read(min(num_bytes, _CHUNK_BYTES))):
        num_bytes -= len(chunk)
        yield chunk


def _opened_at(path: Path, size: int) -> BinaryIO:
    """A file, cut to its first `size` bytes, to append to."""
    file = path.open("ab")
    file.truncate(size)
    return file
