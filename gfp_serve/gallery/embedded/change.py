"""The changes that one transaction makes to the items and to the state of a gallery."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gfp_serve.gallery.embedded.schema import INSERT_ITEM, GalleryState, ItemRow

# Ids in one statement. They are not given as a list in JSON, because SQLite reads a text only up to a zero byte there.
_IDS_AT_ONCE = 256


class Change:
    """One transaction so far: the numbers of removed items, and the rows that were added (and maybe removed again)."""

    def __init__(self, connection: sqlite3.Connection, state: GalleryState, remember_removed_up_to: int) -> None:
        self.state = state
        self.removed: list[int] = []
        self.added: list[ItemRow] = []
        self._connection = connection
        self._remember_removed_up_to = remember_removed_up_to

    def upsert(self, rows: Sequence[ItemRow]) -> int:
        """Add items, which get their numbers here, and remove those with the same ids; return the new generation."""
        removed = self._remove([row.id for row in rows])
        numbered = [row._replace(seq=seq) for seq, row in enumerate(rows, self.state.last_seq + 1)]
        self._connection.executemany(INSERT_ITEM, [(*row, row.crc32) for row in numbered])
        self.added += numbered
        self._advance(len(rows) - removed, len(rows))
        return self.state.generation

    def put_back(self, rows: Sequence[ItemRow]) -> None:
        """Add items that have numbers already, in place of those with the same ids. The caller sets the state."""
        statement = INSERT_ITEM.replace("INSERT", "INSERT OR REPLACE", 1)
        self._connection.executemany(statement, [(*row, row.crc32) for row in rows])

    def delete(self, ids: Sequence[str]) -> int:
        """Remove the items with these ids; return how many there were."""
        removed = self._remove(ids)
        if removed:
            self._advance(-removed, 0)
        return removed

    def _remove(self, ids: Sequence[str]) -> int:
        seqs = [seq for (seq,) in select_by_ids(self._connection, "SELECT seq FROM items", ids)]
        if seqs:
            self._connection.executemany("DELETE FROM items WHERE seq = ?", [(seq,) for seq in seqs])
            remember = [(seq, self.state.generation + 1) for seq in seqs if seq <= self._remember_removed_up_to]
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


def select_by_ids(connection: sqlite3.Connection, select: str, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield what the statement selects for these ids. Many ids are divided among several statements."""
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        yield from connection.execute(f"{select} WHERE id IN ({', '.join('?' * len(part))})", part)
