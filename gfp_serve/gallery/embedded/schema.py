"""The tables of a gallery's database, in every format that can be read, and the checksums of their rows."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

DATABASE_FILE = "gallery.sqlite"

FORMAT_VERSION = 2
PAGE_SIZE = 4096
# Identifies the file as a gallery, in SQLite's own field for that: "GFPg".
APPLICATION_ID = 0x47465067
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
-- Numbers of removed items, as long as a derived file may still contain them.
CREATE TABLE removed (seq INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
"""
CREATE_TABLES = f"""
PRAGMA page_size = {PAGE_SIZE};
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
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
# Format 1 had no sources, no index kinds and no derived files.
UPGRADE_FROM_FORMAT_1 = f"""
PRAGMA user_version = {FORMAT_VERSION};
ALTER TABLE items ADD COLUMN source TEXT NOT NULL DEFAULT '';
DROP TABLE gallery;
{_GALLERY_TABLE}
"""

# Damage can change the type of a value, even in a strict table.
_STATE_TYPES = [str, str, int, str, str, int, int, int, int]
_STATE_TYPES_1 = [str, int, str, int, int, int, int]
_ITEM_TYPES = [int, str, str, str, str, bytes]

INSERT_STATE = f"INSERT INTO gallery VALUES ({', '.join('?' * len(_STATE_TYPES))})"
INSERT_ITEM = "INSERT INTO items (seq, id, label, attributes, source, vector, crc32) VALUES (?, ?, ?, ?, ?, ?, ?)"
SELECT_ITEM = "SELECT seq, id, label, attributes, source, vector, crc32 FROM items"


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

    def row(self) -> tuple[str | int, ...]:
        """The row of the table `gallery`, with its checksum."""
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
        # Without a source the checksum is that of format 1, whose rows keep theirs.
        values = self[:5] if self.source else self[:4]
        return zlib.crc32(self.vector, _crc32_of(values))


def read_state(row: Sequence[Any]) -> GalleryState | None:
    """What a row of the table `gallery` says, in either format; None if the row is damaged."""
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


def read_row(found: Sequence[Any], embedding_size: int) -> ItemRow | None:
    """The row that `SELECT_ITEM` found; None if it is damaged."""
    *values, crc32 = found
    row = ItemRow(*values) if list(map(type, values)) == _ITEM_TYPES else None
    return row if row is not None and row.crc32 == crc32 and len(row.vector) == 4 * embedding_size else None


def _crc32_of(values: Sequence[object]) -> int:
    return zlib.crc32(json.dumps(values).encode())
