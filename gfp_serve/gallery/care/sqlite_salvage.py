"""Reads the pages of a damaged database without SQLite, which gives up a page, or the whole file, for one wrong byte.

The format is described at https://www.sqlite.org/fileformat2.html. Nothing here trusts what it reads; callers check the
records by their own checksums.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gfp_serve.gallery.embedded.schema import PAGE_SIZE
from gfp_serve.gallery.embedded.sqlite_log import FRAME_HEADER, LOG_HEADER

_FIRST_PAGE_HEADER = 100
# Kinds of pages: inner pages and leaves of an index, leaves of a table. Inner pages of a table contain no records.
_INDEX_INNER, _INDEX_LEAF, _TABLE_LEAF = 2, 10, 13
# Bytes of a record that lie in its own page. The rest of a longer record is in a chain of pages.
_MOST_IN_TABLE = PAGE_SIZE - 35
_MOST_IN_INDEX = (PAGE_SIZE - 12) * 64 // 255 - 23
_LEAST = (PAGE_SIZE - 12) * 32 // 255 - 23
_INT_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class Record(NamedTuple):
    """A row of a table, with its number, or an entry of an index, which has no number."""

    rowid: int | None
    values: list[object]


class Pages:
    """The pages of a database by number, from 1. A newer page in the write-ahead log replaces the page in the file.

    A page that the disk cannot read is all zeros.
    """

    def __init__(self, database: Path) -> None:
        self._file = os.open(database, os.O_RDONLY)
        log = Path(f"{database}-wal")
        self._log = os.open(log, os.O_RDONLY) if log.is_file() else None
        in_file = -(-os.fstat(self._file).st_size // PAGE_SIZE)
        self._in_log = {} if self._log is None else _newest_frames(self._log, in_file)
        self._count = max([in_file, *self._in_log])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> bytes:
        if not 1 <= number <= self._count:
            raise IndexError(f"page {number} of {self._count}")
        if self._log is not None and number in self._in_log:
            return _read(self._log, PAGE_SIZE, self._in_log[number])
        return _read(self._file, PAGE_SIZE, (number - 1) * PAGE_SIZE)

    def close(self) -> None:
        os.close(self._file)
        if self._log is not None:
            os.close(self._log)

    def freed(self) -> set[int] | None:
        """The pages that no table or index uses any more. They may contain deleted rows. None if it is not known."""
        if not self._count:  # an empty file
            return None
        header = self[1]
        trunk, count = _int(header[32:36]), _int(header[36:40])
        found: set[int] = set()
        while trunk:
            if trunk in found or not 1 <= trunk <= self._count:
                return None
            page = self[trunk]
            num_leaves = _int(page[4:8])
            if num_leaves > PAGE_SIZE // 4 - 2:
                return None
            found |= {trunk, *(_int(page[place : place + 4]) for place in range(8, 8 + 4 * num_leaves, 4))}
            trunk = _int(page[:4])
        return found if len(found) == count else None

    def records(self) -> Iterator[Record]:
        """Yield every record that a page in use points to. Records that cannot be read are skipped."""
        freed = self.freed() or set()
        for number in range(1, self._count + 1):
            page = self[number]
            header = _FIRST_PAGE_HEADER if number == 1 else 0
            kind = page[header]
            if number in freed or kind not in (_INDEX_INNER, _INDEX_LEAF, _TABLE_LEAF):
                continue
            first = header + (12 if kind == _INDEX_INNER else 8)
            last = min(first + 2 * _int(page[header + 3 : header + 5]), PAGE_SIZE - 1)
            for pointer in range(first, last, 2):
                record = self._record_of_cell(page, _int(page[pointer : pointer + 2]), kind)
                if record is not None:
                    yield record

    def records_anywhere(self, marker: bytes, *, begin: bytes = b"", within: bytes = b"") -> Iterator[Record]:
        """Yield everything that looks like a row of a table, in any page, even rows that were deleted.

        A row's header lists the types of its values. They begin with `begin` and contain `marker`. The page contains
        `within`.
        """
        for number in range(1, self._count + 1):
            page = self[number]
            place = page.find(marker) if within in page else -1
            while place >= 0:
                for start in range(max(place - 16, 1), place):
                    # A header begins with its own length. The row's number ends where the header begins.
                    if place - start < page[start] < 0x80 and page.startswith(begin, start + 1):
                        yield from self._rows_with_header(page, start)
                place = page.find(marker, place + 1)

    def _rows_with_header(self, page: bytes, start: int) -> Iterator[Record]:
        values = self._values(page, start, _MOST_IN_TABLE)
        if values is not None:
            yield from (Record(rowid, values) for rowid in _varints_before(page, start))

    def _record_of_cell(self, page: bytes, place: int, kind: int) -> Record | None:
        try:
            if kind == _TABLE_LEAF:
                _, place = _varint(page, place)  # the record's size, which its header gives too
                rowid, place = _varint(page, place)
                values = self._values(page, place, _MOST_IN_TABLE)
                return None if values is None else Record(rowid, values)
            # An entry has no checksum; its size is all that can show whether it is sound.
            size, place = _varint(page, place + (4 if kind == _INDEX_INNER else 0))
            values = self._values(page, place, _MOST_IN_INDEX, size)
            return None if values is None else Record(None, values)
        except IndexError:
            return None

    def _values(self, page: bytes, start: int, most: int, expected_size: int | None = None) -> list[object] | None:
        """The values of the record that begins here. None if there is none, or if it has another size."""
        try:
            header_size, place = _varint(page, start)
            end = start + header_size
            types = []
            while place < end:
                kind, place = _varint(page, place)
                types.append(kind)
            size = header_size + sum(map(_num_bytes, types))
            if place != end or size > self._count * PAGE_SIZE or size != (expected_size or size):
                return None
            content = self._content(page, start, size, most)
            values: list[object] = []
            place = header_size
            for kind in types:
                next_place = place + _num_bytes(kind)
                values.append(_value(kind, content[place:next_place]))
                place = next_place
            return values
        except (IndexError, ValueError):
            return None

    def _content(self, page: bytes, start: int, size: int, most: int) -> bytes:
        if size <= most:
            return page[start : start + size]
        here = _LEAST + (size - _LEAST) % (PAGE_SIZE - 4)
        here = here if here <= most else _LEAST
        parts = [page[start : start + here]]
        left, number = size - here, _int(page[start + here : start + here + 4])
        while left > 0:
            rest = self[number]
            parts.append(rest[4 : 4 + left])
            left -= PAGE_SIZE - 4
            number = _int(rest[:4])
        return b"".join(parts)


def _newest_frames(log: int, in_file: int) -> dict[int, int]:
    """For each page, the place in the log where its newest committed content lies. The file has `in_file` pages."""
    head = _read(log, LOG_HEADER + FRAME_HEADER, 0)
    # Frames of an earlier round have other salts. The header's salts may be damaged, but the first frame is always of
    # this round.
    salts = {head[16:24], head[LOG_HEADER + 8 : LOG_HEADER + 16]}
    committed: dict[int, int] = {}
    waiting: dict[int, int] = {}
    size = PAGE_SIZE + FRAME_HEADER
    num_frames = (os.fstat(log).st_size - LOG_HEADER) // size
    for place in range(LOG_HEADER, LOG_HEADER + num_frames * size, size):
        frame = _read(log, FRAME_HEADER, place)
        number = _int(frame[:4])
        if frame[8:16] not in salts or not 1 <= number <= in_file + num_frames:
            continue
        waiting[number] = place + FRAME_HEADER
        if any(frame[4:8]):  # the last one of a transaction
            committed |= waiting
            waiting.clear()
    return committed


def _read(file: int, size: int, place: int) -> bytes:
    try:
        return os.pread(file, size, place).ljust(size, b"\0")
    except OSError:
        return bytes(size)


def _int(content: bytes) -> int:
    return int.from_bytes(content)


def _varint(page: bytes, place: int) -> tuple[int, int]:
    """Read a number of 1 to 9 bytes; also return where it ends."""
    value = 0
    for end in range(place + 1, place + 9):
        byte = page[end - 1]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, end
    value = value << 8 | page[place + 8]
    return value - (value >> 63 << 64), place + 9


def _varints_before(page: bytes, end: int) -> Iterator[int]:
    """Yield the numbers that may end here."""
    for place in range(end - 1, max(end - 10, -1), -1):
        value, its_end = _varint(page, place) if place + 9 <= len(page) else (0, 0)
        if its_end == end:
            yield value


def _num_bytes(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    if kind in (0, 8, 9):
        return 0
    if kind == 7:
        return 8
    if kind not in _INT_BYTES:
        raise ValueError(f"no value has the type {kind}")
    return _INT_BYTES[kind]


def _value(kind: int, content: bytes) -> object:
    if len(content) != _num_bytes(kind):
        raise ValueError("the record is cut off")
    if kind >= 12:
        return content if kind % 2 == 0 else content.decode()
    if kind in (8, 9):
        return kind - 8
    if kind == 7:
        return None  # no table has numbers with fractions
    return int.from_bytes(content, signed=True) if kind else None
