"""The tables of a gallery's database, in every format that can be read, and the checksums of their rows."""

import json
import re
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, get_args

from gfp_serve.items import IndexKind

DATABASE_FILE = "gallery.sqlite"

# A gallery has format 2 until it keeps its first motion, so that earlier releases open it too.
FORMAT_VERSION = 3
FORMAT_WITHOUT_MOTIONS = 2
PAGE_SIZE = 4096
# Identifies the file as a gallery, in SQLite's own field for that: "GFPg".
APPLICATION_ID = 0x47465067
_METRIC = "cosine"

_STATE_COLUMNS = """
    uid TEXT NOT NULL,
    encoder_digest TEXT NOT NULL,
    embedding_size INTEGER NOT NULL,
    metric TEXT NOT NULL,
    index_kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    num_items INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
"""
_GALLERY_TABLE = f"""
CREATE TABLE gallery ({_STATE_COLUMNS}
    crc32 INTEGER NOT NULL
) STRICT;
-- Numbers of removed items, as long as a derived file may still contain them.
CREATE TABLE removed (seq INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
"""
CREATE_TABLES = f"""
PRAGMA page_size = {PAGE_SIZE};
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_WITHOUT_MOTIONS};
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
# Format 1 had no sources, no index kinds and no derived files.
UPGRADE_FROM_FORMAT_1 = f"""
PRAGMA user_version = {FORMAT_WITHOUT_MOTIONS};
ALTER TABLE items ADD COLUMN source TEXT NOT NULL DEFAULT '';
DROP TABLE gallery;
{_GALLERY_TABLE}
"""

# Format 2 had no motions. They have a table of their own, so that nothing else reads past them. `seq` is their item's.
UPGRADE_FROM_FORMAT_2 = f"""
PRAGMA user_version = {FORMAT_VERSION};
DROP TABLE gallery;
CREATE TABLE gallery ({_STATE_COLUMNS}
    num_motions INTEGER NOT NULL,
    crc32 INTEGER NOT NULL
) STRICT;
CREATE TABLE motions (seq INTEGER PRIMARY KEY, motion BLOB NOT NULL, crc32 INTEGER NOT NULL) STRICT;
"""

# The tables that the first release made.
_CREATE_TABLES_1 = """
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
"""
# What each format may look like: as it was made, or as it was converted.
_WAYS_TO_MAKE_2 = (CREATE_TABLES, _CREATE_TABLES_1 + UPGRADE_FROM_FORMAT_1)
_WAYS_TO_MAKE = {
    1: (_CREATE_TABLES_1,),
    2: _WAYS_TO_MAKE_2,
    3: tuple(way + UPGRADE_FROM_FORMAT_2 for way in _WAYS_TO_MAKE_2),
}

# Numbers of items and changes are below this, so that there is always a next one.
LARGEST_NUMBER = 2**62
# Digests have 64 characters. Others come from tests and tables.
_MAX_DIGEST_LENGTH = 256

# Damage can change the type of a value, even in a strict table.
_STATE_TYPES = [str, str, int, str, str, int, int, int, int]
_STATE_TYPES_3 = [*_STATE_TYPES, int]
_STATE_TYPES_1 = [str, int, str, int, int, int, int]
_ITEM_TYPES = [int, str, str, str, str, bytes]

INSERT_ITEM = "INSERT INTO items (seq, id, label, attributes, source, vector, crc32) VALUES (?, ?, ?, ?, ?, ?, ?)"
SELECT_ITEM = "SELECT seq, id, label, attributes, source, vector, crc32 FROM items"
INSERT_MOTION = "INSERT INTO motions VALUES (?, ?, ?)"
# The last three columns are null for an item without a motion.
SELECT_ITEM_WITH_MOTION = (
    "SELECT items.seq, id, label, attributes, source, vector, items.crc32, motions.seq, motion, motions.crc32 "
    "FROM items LEFT JOIN motions USING (seq)"
)


@dataclass(frozen=True, slots=True)
class GalleryState:
    """What a gallery is, and what changes with every write. No two galleries have the same `uid`."""

    encoder_digest: str
    embedding_size: int
    index_kind: str = "auto"
    generation: int = 0
    num_items: int = 0
    last_seq: int = 0  # the highest number that an item ever had; a number is never used again
    uid: str = ""  # empty in format 1
    num_motions: int | None = None  # items of which the motion is kept; None before format 3

    def row(self) -> tuple[str | int, ...]:
        """The row of the table `gallery`, with its checksum."""
        values = (
            *(self.uid, self.encoder_digest, self.embedding_size, _METRIC, self.index_kind),
            *(self.generation, self.num_items, self.last_seq),
            *(() if self.num_motions is None else (self.num_motions,)),
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
    motion: bytes = b""  # see `kept_motion`; empty if it has none, or if it was not asked for

    @property
    def crc32(self) -> int:
        # Without a source the checksum is that of format 1, whose rows keep theirs.
        values = self[:5] if self.source else self[:4]
        return zlib.crc32(self.vector, _crc32_of(values))


def motion_row(seq: int, motion: bytes) -> tuple[int, bytes, int]:
    """The row of the table `motions`, with its checksum."""
    return seq, motion, zlib.crc32(motion, _crc32_of((seq,)))


def is_sound_motion(row: Sequence[Any]) -> bool:
    """Whether a row of the table `motions` is as it was written."""
    return list(map(type, row)) == [int, bytes, int] and motion_row(row[0], row[1]) == tuple(row)


def insert_state(connection: sqlite3.Connection, state: GalleryState) -> None:
    """Write the row of the table `gallery`, which is empty."""
    row = state.row()
    connection.execute(f"INSERT INTO gallery VALUES ({', '.join('?' * len(row))})", row)


def run_statements(connection: sqlite3.Connection, script: str) -> None:
    """Run the statements one by one, within the transaction that is open."""
    for statement in filter(None, map(str.strip, script.split(";"))):
        connection.execute(statement)


def read_state(row: Sequence[Any]) -> GalleryState | None:
    """What a row of the table `gallery` says, in any format; None if the row is damaged."""
    types = list(map(type, row))
    if types == _STATE_TYPES_1 and row[-1] == _crc32_of(row[:-1]):
        encoder_digest, embedding_size, _, generation, num_items, last_seq, _ = row
        state = GalleryState(encoder_digest, embedding_size, "auto", generation, num_items, last_seq)
        return state if _is_possible(state) else None
    if types in (_STATE_TYPES, _STATE_TYPES_3):
        uid, encoder_digest, embedding_size, _, index_kind, generation, num_items, last_seq, *motions, _ = row
        state = GalleryState(
            *(encoder_digest, embedding_size, index_kind, generation, num_items, last_seq, uid),
            num_motions=motions[0] if motions else None,
        )
        if state.row() == tuple(row):
            return state if _is_possible(state) else None
    return None


def read_row(found: Sequence[Any], embedding_size: int) -> ItemRow | None:
    """The row that `SELECT_ITEM` found; None if it is damaged."""
    *values, crc32 = found
    row = ItemRow(*values) if list(map(type, values)) == _ITEM_TYPES else None
    return row if row is not None and row.crc32 == crc32 and len(row.vector) == 4 * embedding_size else None


def _crc32_of(values: Sequence[object]) -> int:
    return zlib.crc32(json.dumps(values).encode())


def unexpected_part(connection: sqlite3.Connection, version: int) -> str | None:
    """What a database has or lacks that no gallery of this format does; None if it is as a gallery is made.

    Only SQLite's list of tables, indexes, triggers and views is read, which runs nothing of them. A trigger would
    change or undo what is written, a view can be without end, and other rules of a table would refuse items.
    """
    found = _parts_of(connection)
    ways = [_parts_made_by(script) for script in _WAYS_TO_MAKE[version]]
    if found in ways:
        return None
    for kind, name in sorted(found, key=lambda part: part[0] in ("table", "index")):  # what would run comes first
        if not any((kind, name) in way for way in ways):
            return f"it has the {kind} {name[:80]!r}, which no gallery has"
    missing = sorted({name for way in ways for _, name in way} - {name for _, name in found})
    if missing:
        return f"it has no {missing[0]}"
    changed = next(name for (kind, name), sql in found.items() if not any(way.get((kind, name)) == sql for way in ways))
    return f"its table {changed!r} is not made as a gallery's is"


def _parts_of(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """The statements that made tables, indexes, triggers and views, by kind and name, without regard to spaces."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100").fetchall()
    return {(str(kind), str(name)): f"{table}: {_without_spaces(sql)}" for kind, name, table, sql in rows}


def _without_spaces(sql: str | None) -> str:
    return re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", sql or ""))


@cache
def _parts_made_by(script: str) -> dict[tuple[str, str], str]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(script)
        return _parts_of(connection)


def _is_possible(state: GalleryState) -> bool:
    """Whether a gallery can be in this state: its checksum may be right all the same."""
    return (
        state.index_kind in get_args(IndexKind)
        and 0 <= state.embedding_size < LARGEST_NUMBER
        and 0 <= state.num_items <= state.last_seq < LARGEST_NUMBER
        and 0 <= (state.num_motions or 0) <= state.num_items
        and 0 <= state.generation < LARGEST_NUMBER
        and len(state.encoder_digest) <= _MAX_DIGEST_LENGTH
    )
