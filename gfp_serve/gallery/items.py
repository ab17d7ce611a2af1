"""Items on disk: one SQLite database that is the truth about a gallery. Nothing else of a gallery is stored.

A row carries a checksum of itself and the `gallery` row counts the items, so that damage is named, never answered from.
"""

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gfp_serve.errors import GalleryError

DATABASE_FILE = "gallery.sqlite"
# A gallery is made under these names and then renamed: what bears the real name is complete.
UNFINISHED_FILES = (f"{DATABASE_FILE}.new", f"{DATABASE_FILE}.new-journal")

FORMAT_VERSION = 1
# SQLite's own field for what a database is: "GFPg".
_APPLICATION_ID = 0x47465067
_METRIC = "cosine"

_SCHEMA = f"""
BEGIN;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE gallery (
    encoder_digest TEXT NOT NULL,
    embedding_size INTEGER NOT NULL,
    metric TEXT NOT NULL,
    generation INTEGER NOT NULL,
    num_items INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    crc32 INTEGER NOT NULL
) STRICT;
CREATE TABLE items (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    attributes TEXT NOT NULL,
    vector BLOB NOT NULL,
    crc32 INTEGER NOT NULL
) STRICT;
COMMIT;
"""
# Damage can also turn a value into one of another type, whatever the schema says.
_STATE_TYPES = [str, int, str, int, int, int, int]
_ITEM_TYPES = [int, str, str, str, bytes]
_INSERT_STATE = "INSERT INTO gallery VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class GalleryState:
    """What a gallery is and how far it has come; changes with every write."""

    encoder_digest: str
    embedding_size: int
    generation: int = 0
    num_items: int = 0
    last_seq: int = 0  # the highest number that an item ever had; numbers are never used again

    def row(self) -> tuple[str | int, ...]:
        values = (self.encoder_digest, self.embedding_size, _METRIC, self.generation, self.num_items, self.last_seq)
        return (*values, zlib.crc32(json.dumps(values).encode()))


class ItemRow(NamedTuple):
    """An item as it is stored."""

    seq: int
    id: str
    label: str
    attributes: str  # JSON
    vector: bytes  # float32, little-endian, at length 1

    @property
    def crc32(self) -> int:
        return zlib.crc32(self.vector, zlib.crc32(json.dumps(self[:4]).encode()))


class ItemStore:
    """The open database. One thread at a time may use it."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, state: GalleryState) -> None:
        self._folder = folder
        self._connection = connection
        self.state = state

    @staticmethod
    def create(folder: Path, state: GalleryState) -> None:
        """Write an empty database into a folder that has none."""
        unfinished = folder / UNFINISHED_FILES[0]
        for name in UNFINISHED_FILES:
            (folder / name).unlink(missing_ok=True)
        # Motion of people: what SQLite writes beside the database takes its mode over.
        unfinished.touch(mode=0o600)
        with _damage_named(folder):
            connection = sqlite3.connect(unfinished, isolation_level=None)
            try:
                connection.executescript(_SCHEMA)
                connection.execute(_INSERT_STATE, state.row())
            finally:
                connection.close()
        unfinished.rename(folder / DATABASE_FILE)
        for directory in (folder, folder.parent):
            _sync_directory(directory)

    @classmethod
    def open(cls, folder: Path) -> "ItemStore":
        """Open what `create` made; `GalleryError` says why it is not a gallery of this release."""
        address = f"{(folder / DATABASE_FILE).absolute().as_uri()}?mode=rw"
        with _damage_named(folder):
            connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
            try:
                return cls(folder, connection, _read_state(folder, connection))
            except BaseException:
                connection.close()
                raise

    def rows(self, chunk: int = 4096) -> Iterator[list[ItemRow]]:
        """All items by seq, in lists of at most `chunk`; `GalleryError` names the first that is damaged."""
        count = 0
        with _damage_named(self._folder):
            cursor = self._connection.execute(
                "SELECT seq, id, label, attributes, vector, crc32 FROM items ORDER BY seq"
            )
            while found := cursor.fetchmany(chunk):
                rows = []
                for *values, crc32 in found:
                    row = ItemRow(*values) if list(map(type, values)) == _ITEM_TYPES else None
                    if row is None or row.crc32 != crc32 or len(row.vector) != 4 * self.state.embedding_size:
                        raise GalleryError(
                            f"the gallery {self._folder} is damaged: item {values[1]!r} is not as it was written; "
                            f"restore the folder from a copy, or fill a new one."
                        )
                    rows.append(row)
                count += len(rows)
                yield rows
        if count != self.state.num_items:
            raise GalleryError(
                f"the gallery {self._folder} is damaged: it should hold {self.state.num_items} items and holds "
                f"{count}; restore the folder from a copy, or fill a new one."
            )

    def change(self, *, remove: Sequence[int] = (), add: Sequence[ItemRow] = ()) -> None:
        """Remove items by seq, then add items, all or nothing; durable when this returns."""
        state = GalleryState(
            self.state.encoder_digest,
            self.state.embedding_size,
            self.state.generation + 1,
            self.state.num_items - len(remove) + len(add),
            max([self.state.last_seq, *(row.seq for row in add)]),
        )
        try:
            with self._transaction() as connection:
                connection.executemany("DELETE FROM items WHERE seq = ?", ((seq,) for seq in remove))
                connection.executemany(
                    "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", ((*row, row.crc32) for row in add)
                )
                connection.execute("DELETE FROM gallery")
                connection.execute(_INSERT_STATE, state.row())
        except sqlite3.Error as error:
            raise GalleryError(
                f"the gallery {self._folder} cannot be written ({error}), and is as it was before; look at the disk's "
                f"free space and the folder's permissions, then send the request again."
            ) from error
        self.state = state

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back after some failures, a full disk among them.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _read_state(folder: Path, connection: sqlite3.Connection) -> GalleryState:
    ((application_id,),) = connection.execute("PRAGMA application_id")
    if application_id != _APPLICATION_ID:
        raise GalleryError(
            f"{folder / DATABASE_FILE} is a database, but not a gallery's; name another folder, or restore it from a "
            f"copy."
        )
    ((version,),) = connection.execute("PRAGMA user_version")
    if version != FORMAT_VERSION:
        raise GalleryError(
            f"the gallery {folder} has format {version}; this release reads format {FORMAT_VERSION}: use the release "
            f"that wrote it, or fill a new gallery."
        )
    # With WAL, FULL means that every commit is on the disk when it returns.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    rows = connection.execute("SELECT * FROM gallery").fetchall()
    states = [GalleryState(*row[:2], *row[3:6]) for row in rows if list(map(type, row)) == _STATE_TYPES]
    if len(states) != 1 or [states[0].row()] != rows:
        raise GalleryError(
            f"the gallery {folder} is damaged: the row that says what it is was altered; restore the folder from a "
            f"copy, or fill a new one."
        )
    return states[0]


@contextmanager
def _damage_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise GalleryError(
            f"the gallery {folder} cannot be read ({error}); look at the folder's permissions and the disk's free "
            f"space, restore it from a copy if it is damaged, or name another folder."
        ) from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
