"""The changes that one transaction makes to the items and to the state of a gallery."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gfp_serve.gallery.embedded.schema import (
    INSERT_ITEM,
    INSERT_MOTION,
    UPGRADE_FROM_FORMAT_2,
    GalleryState,
    ItemRow,
    motion_row,
    run_statements,
)

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
        self._connection.executemany(INSERT_ITEM, map(_values_of, numbered))
        motions = [(row.seq, row.motion) for row in numbered if row.motion]
        if motions:
            self._begin_to_keep_motions()
            self._connection.executemany(INSERT_MOTION, [motion_row(*motion) for motion in motions])
            self._count_motions(len(motions))
        # Searches show what was added, and none shows a motion.
        self.added += [row._replace(motion=b"") if row.motion else row for row in numbered]
        self._advance(len(rows) - removed, len(rows))
        return self.state.generation

    def put_back(self, rows: Sequence[ItemRow]) -> None:
        """Add items that have numbers already, in place of those with the same ids, without motions.

        The caller sets the state.
        """
        statement = INSERT_ITEM.replace("INSERT", "INSERT OR REPLACE", 1)
        self._connection.executemany(statement, map(_values_of, rows))

    def put_back_motions(self, motions: Sequence[tuple[int, bytes]]) -> None:
        """Add the motions of items with these numbers, which have none. The caller sets the state."""
        self._begin_to_keep_motions()
        statement = INSERT_MOTION.replace("INSERT", "INSERT OR REPLACE", 1)
        self._connection.executemany(statement, [motion_row(*motion) for motion in motions])

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
            if self.state.num_motions:
                deleted = self._connection.executemany("DELETE FROM motions WHERE seq = ?", [(seq,) for seq in seqs])
                self._count_motions(-deleted.rowcount)
            remember = [(seq, self.state.generation + 1) for seq in seqs if seq <= self._remember_removed_up_to]
            self._connection.executemany("INSERT INTO removed VALUES (?, ?)", remember)
            self.removed += seqs
        return len(seqs)

    def _begin_to_keep_motions(self) -> None:
        """Make the table of motions, unless it is there."""
        if self.state.num_motions is None:
            run_statements(self._connection, UPGRADE_FROM_FORMAT_2)
            self._count_motions(0)

    def _count_motions(self, num_new: int) -> None:
        self.state = replace(self.state, num_motions=(self.state.num_motions or 0) + num_new)

    def _advance(self, num_items: int, num_numbers: int) -> None:
        self.state = replace(
            self.state,
            generation=self.state.generation + 1,
            num_items=self.state.num_items + num_items,
            last_seq=self.state.last_seq + num_numbers,
        )


def _values_of(row: ItemRow) -> tuple[Any, ...]:
    """What `INSERT_ITEM` inserts."""
    return (row.seq, row.id, row.label, row.attributes, row.source, row.vector, row.crc32)


def select_by_ids(connection: sqlite3.Connection, select: str, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield what the statement selects for these ids. Many ids are divided among several statements."""
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        yield from connection.execute(f"{select} WHERE id IN ({', '.join('?' * len(part))})", part)
