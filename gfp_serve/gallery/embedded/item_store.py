"""Items on disk: one SQLite database that is the truth about a gallery. All other files of a gallery are made from it.

A row carries a checksum of itself and the `gallery` row counts the items, so that damage is named, never answered from.
"""

import json
import os
import sqlite3
import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from gfp_serve.errors import GalleryError, NotWritableError
from gfp_serve.files import replacing, sync_directory, unfinished_file

DATABASE_FILE = "gallery.sqlite"
# What a crash leaves while a database is made.
UNFINISHED_FILE = unfinished_file(Path(DATABASE_FILE)).name

FORMAT_VERSION = 2
PAGE_SIZE = 4096
# SQLite's own field for what a database is: "GFPg".
_APPLICATION_ID = 0x47465067
_METRIC = "cosine"

_GALLERY_TABLE = """
CREATE TABLE gallery (
    uid TEXT NOT NULL,
    encoder_digest TEXT NOT NULL,
    embedding_size INTEGER NOT NULL,
    metric TEXT NOT NULL,
    index_kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    num_items INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    crc32 INTEGER NOT NULL
) STRICT;
-- Numbers of items that are gone, as long as a derived file may still have them.
CREATE TABLE removed (seq INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
"""
_SCHEMA = f"""
PRAGMA page_size = {PAGE_SIZE};
BEGIN;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
{_GALLERY_TABLE}
CREATE TABLE items (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    attributes TEXT NOT NULL,
    vector BLOB NOT NULL,
    crc32 INTEGER NOT NULL,
    source TEXT NOT NULL DEFAULT ''
) STRICT;
COMMIT;
"""
# Format 1 knew no sources, no kinds of index and no derived files.
_FROM_FORMAT_1 = f"""
PRAGMA user_version = {FORMAT_VERSION};
ALTER TABLE items ADD COLUMN source TEXT NOT NULL DEFAULT '';
DROP TABLE gallery;
{_GALLERY_TABLE}
"""
# Damage can also turn a value into one of another type, whatever the schema says.
_STATE_TYPES = [str, str, int, str, str, int, int, int, int]
_STATE_TYPES_1 = [str, int, str, int, int, int, int]
_ITEM_TYPES = [int, str, str, str, str, bytes]
_INSERT_STATE = f"INSERT INTO gallery VALUES ({', '.join('?' * len(_STATE_TYPES))})"
_INSERT_ITEM = "INSERT INTO items (seq, id, label, attributes, source, vector, crc32) VALUES (?, ?, ?, ?, ?, ?, ?)"
_SELECT_ITEM = "SELECT seq, id, label, attributes, source, vector, crc32 FROM items"
# Ids that one statement asks for. Not as a list in JSON, of which SQLite reads no text beyond a zero byte.
_IDS_AT_ONCE = 256

# Pages of 4 KiB that the write-ahead log may grow by before they are moved into the database: a long log costs a
# moment at the next open, moving pages often costs every write.
_LOG_PAGES = 16384


@dataclass(frozen=True, slots=True)
class GalleryState:
    """What a gallery is and how far it has come; changes with every write. `uid` tells galleries apart."""

    encoder_digest: str
    embedding_size: int
    index_kind: str = "auto"
    generation: int = 0
    num_items: int = 0
    last_seq: int = 0  # the highest number that an item ever had; numbers are never used again
    uid: str = ""

    def row(self) -> tuple[str | int, ...]:
        values = (
            *(self.uid, self.encoder_digest, self.embedding_size, _METRIC, self.index_kind),
            *(self.generation, self.num_items, self.last_seq),
        )
        return (*values, _crc32_of(values))


class ItemRow(NamedTuple):
    """An item as it is stored."""

    seq: int
    id: str
    label: str
    attributes: str  # JSON
    source: str  # JSON, or empty
    vector: bytes  # float32, little-endian, at length 1

    @property
    def crc32(self) -> int:
        # A row of format 1 keeps its checksum: it has no source.
        values = self[:5] if self.source else self[:4]
        return zlib.crc32(self.vector, _crc32_of(values))


class Change:
    """What one transaction has done so far: numbers of items that went, rows that came and may have gone again."""

    def __init__(self, connection: sqlite3.Connection, state: GalleryState, removed_up_to: int) -> None:
        self.state = state
        self.removed: list[int] = []
        self.added: list[ItemRow] = []
        self._connection = connection
        self._removed_up_to = removed_up_to

    def upsert(self, rows: Sequence[ItemRow]) -> None:
        """Add items, whose numbers are given here; those of the same ids go."""
        removed = self._remove([row.id for row in rows])
        numbered = [row._replace(seq=seq) for seq, row in enumerate(rows, self.state.last_seq + 1)]
        self._connection.executemany(_INSERT_ITEM, [(*row, row.crc32) for row in numbered])
        self.added += numbered
        self._advance(len(rows) - removed, len(rows))

    def put(self, rows: Sequence[ItemRow]) -> None:
        """Add items that have numbers already, in place of those of the same ids; the state is left to the caller."""
        statement = _INSERT_ITEM.replace("INSERT", "INSERT OR REPLACE", 1)
        self._connection.executemany(statement, [(*row, row.crc32) for row in rows])

    def delete(self, ids: Sequence[str]) -> int:
        """Remove the items of these ids; return how many there were."""
        removed = self._remove(ids)
        if removed:
            self._advance(-removed, 0)
        return removed

    def _remove(self, ids: Sequence[str]) -> int:
        seqs = [seq for (seq,) in _select_by_ids(self._connection, "SELECT seq FROM items", ids)]
        if seqs:
            self._connection.executemany("DELETE FROM items WHERE seq = ?", [(seq,) for seq in seqs])
            remember = [(seq, self.state.generation + 1) for seq in seqs if seq <= self._removed_up_to]
            self._connection.executemany("INSERT INTO removed VALUES (?, ?)", remember)
            self.removed += seqs
        return len(seqs)

    def _advance(self, num_items: int, num_numbers: int) -> None:
        self.state = replace(
            self.state,
            generation=self.state.generation + 1,
            num_items=self.state.num_items + num_items,
            last_seq=self.state.last_seq + num_numbers,
        )


class ItemStore:
    """The open database. One thread at a time may write; reading may go on beside it, from any thread.

    `remember_up_to` is the highest number of an item whose end has to be remembered, for the files derived from it.
    """

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, state: GalleryState, *, read_only: bool = False
    ) -> None:
        self.state = state
        self.remember_up_to = 0
        self._folder = folder
        self._connection = connection
        self._read_only = read_only
        # Reads of a few items; SQLite would let threads wait for each other anyway.
        self._reader = _connect(folder, read_only=True, immutable=read_only)
        self._reading = threading.Lock()

    @staticmethod
    def create(folder: Path, state: GalleryState) -> None:
        """Write an empty database into a folder that has none."""
        # Motion of people: only the owner may read it. Files that SQLite makes beside the database get the same mode.
        with (
            _damage_named(folder),
            replacing(folder / DATABASE_FILE, mode=0o600) as unfinished,
            closing(sqlite3.connect(unfinished, isolation_level=None)) as connection,
        ):
            # A journal that a crash left would be played back into the next new database.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.executescript(_SCHEMA)
            connection.execute(_INSERT_STATE, replace(state, uid=uuid.uuid4().hex).row())
        sync_directory(folder.parent)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> "ItemStore":
        """Open what `create` made, by this release or an earlier one; `GalleryError` says why it is not a gallery.

        `read_only` is for a disk that cannot be written: later writes raise `NotWritableError`.
        """
        if read_only and _size_of(folder / f"{DATABASE_FILE}-wal"):
            raise GalleryError(
                f"the gallery {folder} was not closed, and its last writes can only be read where it can be written; "
                f"look at the folder's permissions and at how the disk is mounted."
            )
        with _damage_named(folder):
            connection = _connect(folder, read_only=read_only, immutable=read_only)
            try:
                return cls(folder, connection, _read_state(folder, connection, read_only), read_only=read_only)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def beside(cls, place: Path) -> "ItemStore":
        """Open a gallery's folder, or one file of a database, to be read only: also while a server writes to it.

        Nothing is locked or changed. Raises `GalleryError` when it is damaged, or of an earlier release.
        """
        state = peek(place)
        if not state.uid:
            raise GalleryError(
                f"the gallery {place} has the format of an earlier release; start gfp-serve with it once, which brings "
                f"it up to date."
            )
        with _damage_named(place):
            return cls(place, _connect(place, read_only=True), state)

    def rows(self, *, after: int = 0, up_to: int | None = None, chunk: int = 4096) -> Iterator[list[ItemRow]]:
        """Items numbered above `after` and at most `up_to`, by number, as they are when the first is asked for.

        In lists of at most `chunk`. `GalleryError` names the first that is damaged.
        """
        with _damage_named(self._folder), closing(self._connect_again()) as connection:
            cursor = connection.execute(
                f"{_SELECT_ITEM} WHERE seq > ? AND seq <= ? ORDER BY seq", (after, 2**62 if up_to is None else up_to)
            )
            while found := cursor.fetchmany(chunk):
                yield [self._checked(row) for row in found]

    def rows_of(self, ids: Sequence[str]) -> dict[str, ItemRow]:
        """The items that have these ids, by id."""
        with _damage_named(self._folder), self._reading:
            # Together, so that many items of one upsert are all seen before it or all after.
            self._reader.execute("BEGIN")
            try:
                found = list(_select_by_ids(self._reader, _SELECT_ITEM, ids))
            finally:
                self._reader.execute("COMMIT")
        rows = map(self._checked, found)
        return {row.id: row for row in rows}

    def removed_since(self, generation: int) -> list[int]:
        """Numbers of the items that went after this generation, as far as they were remembered."""
        with _damage_named(self._folder):
            found = self._connection.execute("SELECT seq FROM removed WHERE generation > ?", (generation,)).fetchall()
            # They have no checksums. But numbers are never used again, and how many items are left is known.
            if self._connection.execute("SELECT 1 FROM removed JOIN items USING (seq) LIMIT 1").fetchone():
                raise GalleryError(f"the gallery {self._folder} is damaged: it calls an item removed that is there.")
        return [seq for (seq,) in found]

    def forget_removed(self, generation: int) -> None:
        """Forget what went up to this generation: no derived file has it any more."""
        with _damage_named(self._folder):
            remembers = self._connection.execute("SELECT 1 FROM removed LIMIT 1").fetchone()
            if remembers and not self._read_only:
                with self._transaction() as connection:
                    connection.execute("DELETE FROM removed WHERE generation <= ?", (generation,))

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """One transaction: all or nothing, durable at its end. `NotWritableError` when the disk does not take it."""
        if self._read_only:
            raise NotWritableError(
                f"the gallery {self._folder} was opened from a disk that cannot be written, so it only answers; make "
                f"the folder writable, then start again."
            )
        try:
            with self._transaction() as connection:
                change = Change(connection, self.state, self.remember_up_to)
                yield change
                if change.state != self.state:
                    connection.execute("DELETE FROM gallery")
                    connection.execute(_INSERT_STATE, change.state.row())
        except sqlite3.Error as error:
            raise NotWritableError(
                f"the gallery {self._folder} cannot be written ({error}), and is as it was before; look at the disk's "
                f"free space and the folder's permissions, then send the request again."
            ) from error
        self.state = change.state

    @property
    def is_read_only(self) -> bool:
        return self._read_only

    def count(self) -> int:
        """Items that are there, counted."""
        with _damage_named(self._folder):
            ((count,),) = self._connection.execute("SELECT COUNT(*) FROM items")
        return int(count)

    def check(self) -> None:
        """Raise `GalleryError` when SQLite's own structures are damaged, as the index by which ids are looked up."""
        with _damage_named(self._folder), self._reading:
            ((found,),) = self._reader.execute("PRAGMA integrity_check(1)")
        if found != "ok":
            raise GalleryError(
                f"the gallery {self._folder} is damaged: {found}; restore the folder from a snapshot, or keep what is "
                f"sound with `gfp gallery repair`."
            )

    def verify_items(self) -> None:
        """Raise `GalleryError` when an item is damaged, or when there are more or fewer than there should be."""
        num_items = sum(map(len, self.rows()))
        if num_items != self.state.num_items:
            raise GalleryError(
                f"the gallery {self._folder} is damaged: it should hold {self.state.num_items} items and holds "
                f"{num_items}; restore the folder from a snapshot, or keep what is sound with `gfp gallery repair`."
            )

    def copy_to(self, file: Path) -> None:
        """Write the database into a new file, as it is at this moment, without the space that deleted items left."""
        with _damage_named(self._folder), closing(self._connect_again()) as connection:
            connection.execute("VACUUM INTO ?", (str(file),))

    def close(self) -> None:
        with self._reading:
            self._reader.close()
        self._connection.close()

    def _connect_again(self) -> sqlite3.Connection:
        return _connect(self._folder, read_only=True, immutable=self._read_only)

    def _checked(self, found: tuple[object, ...]) -> ItemRow:
        *values, crc32 = found
        row = ItemRow(*values) if list(map(type, values)) == _ITEM_TYPES else None  # type: ignore[arg-type]
        if row is None or row.crc32 != crc32 or len(row.vector) != 4 * self.state.embedding_size:
            raise GalleryError(
                f"the gallery {self._folder} is damaged: item {values[1]!r} is not as it was written; restore the "
                f"folder from a snapshot, or keep what is sound with `gfp gallery repair`."
            )
        return row

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


def peek(folder: Path) -> GalleryState:
    """What a gallery is, without opening it for use: it may be open elsewhere. Raises `GalleryError`.

    Instead of the folder, one file of a database will do.
    """
    with _damage_named(folder), closing(_connect(folder, read_only=True)) as connection:
        return _stored_state(folder, connection, _version_of(folder, connection))


def _select_by_ids(connection: sqlite3.Connection, select: str, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        yield from connection.execute(f"{select} WHERE id IN ({', '.join('?' * len(part))})", part)


def _connect(place: Path, *, read_only: bool, immutable: bool = False) -> sqlite3.Connection:
    database = place if place.is_file() else place / DATABASE_FILE
    mode = "mode=ro" if read_only else "mode=rw"
    # Where nothing can be written, SQLite cannot make the file by which readers and writers know of each other.
    immutable |= read_only and not os.access(database.parent, os.W_OK) and not _size_of(Path(f"{database}-wal"))
    address = f"{database.absolute().as_uri()}?{mode}{'&immutable=1' if immutable else ''}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def _read_state(folder: Path, connection: sqlite3.Connection, read_only: bool) -> GalleryState:
    version = _version_of(folder, connection)
    if not read_only:
        # With WAL, FULL means that every commit is on the disk when it returns.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    state = _stored_state(folder, connection, version)
    if version == 1:
        if read_only:
            raise GalleryError(
                f"the gallery {folder} has format 1, which is brought up to date when it is opened, and the folder "
                f"cannot be written; make it writable."
            )
        state = replace(state, uid=uuid.uuid4().hex)
        connection.execute("BEGIN IMMEDIATE")
        for statement in filter(None, map(str.strip, _FROM_FORMAT_1.split(";"))):
            connection.execute(statement)
        connection.execute(_INSERT_STATE, state.row())
        connection.execute("COMMIT")
    return state


def _version_of(folder: Path, connection: sqlite3.Connection) -> int:
    ((application_id,),) = connection.execute("PRAGMA application_id")
    if application_id != _APPLICATION_ID:
        raise GalleryError(
            f"{folder / DATABASE_FILE} is a database, but not a gallery's; name another folder, or restore it from a "
            f"snapshot."
        )
    ((version,),) = connection.execute("PRAGMA user_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise GalleryError(
            f"the gallery {folder} has format {version}; this release reads formats 1 to {FORMAT_VERSION}: use the "
            f"release that wrote it, or fill a new gallery."
        )
    return int(version)


def _stored_state(folder: Path, connection: sqlite3.Connection, version: int) -> GalleryState:
    rows = connection.execute("SELECT * FROM gallery").fetchall()
    state = state_of(rows[0]) if len(rows) == 1 else None
    if state is None or (version > 1) != bool(state.uid):
        raise GalleryError(
            f"the gallery {folder} is damaged: the row that says what it is was altered; restore the folder from a "
            f"snapshot, or keep what is sound with `gfp gallery repair`."
        )
    return state


def state_of(row: Sequence[Any]) -> GalleryState | None:
    """What a row of the table `gallery` says, in either format; None when it is not as it was written."""
    types = list(map(type, row))
    if types == _STATE_TYPES_1 and row[-1] == _crc32_of(row[:-1]):
        encoder_digest, embedding_size, _, generation, num_items, last_seq, _ = row
        return GalleryState(encoder_digest, embedding_size, "auto", generation, num_items, last_seq)
    if types == _STATE_TYPES:
        uid, encoder_digest, embedding_size, _, index_kind, generation, num_items, last_seq, _ = row
        state = GalleryState(encoder_digest, embedding_size, index_kind, generation, num_items, last_seq, uid)
        if state.row() == tuple(row):
            return state
    return None


def _crc32_of(values: Sequence[object]) -> int:
    return zlib.crc32(json.dumps(values).encode())


def _size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@contextmanager
def _damage_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise GalleryError(
            f"the gallery {folder} cannot be read ({error}); look at the folder's permissions and the disk's free "
            f"space, restore it from a snapshot if it is damaged, or name another folder."
        ) from error
