"""A gallery's items in memory, in the order in which they came. Rows are only appended, so readers need no lock.

One thread appends. A reader is told how many rows there are (`View.num_rows`) and looks at no others. When an array is
full, it is copied into a larger one; a reader that holds the old one is not affected.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from gfp_serve.gallery.embedded.schema import ItemRow

# Rows in a block of vectors. Small galleries take little memory, and large ones have few blocks to search.
_SMALLEST_BLOCK, _LARGEST_BLOCK = 1024, 65536

# Separates the texts of a row. No byte of UTF-8 has this value.
_SEPARATOR = b"\xff"

A = TypeVar("A", bound=np.ndarray)


class Texts(NamedTuple):
    """Texts of items. Each list has one entry for each item."""

    ids: list[str]
    labels: list[str]
    attributes: list[str]  # JSON
    sources: list[str]  # JSON, or empty


class RowArrays(NamedTuple):
    """Rows as arrays that can be written into files. Bytes [ends[i], ends[i + 1]) of `texts` belong to row i."""

    seqs: Int64[np.ndarray, " num_rows"]
    texts: UInt8[np.ndarray, " num_bytes"]
    ends: Int64[np.ndarray, " num_ends"]


class Rows:
    """Numbers (`seq`), vectors and texts of items. Rows are in the order of their numbers."""

    def __init__(self, embedding_size: int, room: Float32[np.ndarray, "_rows embedding_size"] | None = None) -> None:
        """Without rows yet. Vectors go to `room`, as far as they fit, and then to memory of their own."""
        self.num_rows = 0
        self.vectors = Vectors(embedding_size) if room is None else Vectors.in_room(room)
        self._seqs = np.empty(_SMALLEST_BLOCK, dtype=np.int64)
        self._texts = np.empty(64 * _SMALLEST_BLOCK, dtype=np.uint8)
        self._ends = np.zeros(_SMALLEST_BLOCK + 1, dtype=np.int64)

    @classmethod
    def from_arrays(cls, vectors: Float32[np.ndarray, "num_rows embedding_size"], arrays: RowArrays) -> "Rows":
        """Rows that `arrays` gave. The arrays may lie in files that are mapped into memory."""
        rows = cls(vectors.shape[1])
        rows.num_rows = len(arrays.seqs)
        rows.vectors = Vectors(vectors.shape[1], vectors)
        rows._seqs, rows._texts, rows._ends = arrays
        return rows

    def arrays(self, num_rows: int) -> RowArrays:
        """The first rows, without their vectors."""
        return RowArrays(self._seqs[:num_rows], self._texts[: self._ends[num_rows]], self._ends[: num_rows + 1])

    def append(self, rows: Sequence[ItemRow]) -> None:
        texts = [
            _SEPARATOR.join((row.id.encode(), row.label.encode(), row.attributes.encode(), row.source.encode()))
            for row in rows
        ]
        vectors = np.frombuffer(b"".join([row.vector for row in rows]), "<f4").reshape(
            len(rows), self.vectors.embedding_size
        )
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        seqs = np.fromiter((row.seq for row in rows), dtype=np.int64, count=len(rows))
        self._extend(vectors, seqs, np.frombuffer(b"".join(texts), dtype=np.uint8), lengths)

    def extend(self, other: "Rows", keep: Int64[np.ndarray, " kept"]) -> None:
        """Append these rows of `other`."""
        ends = other._ends
        content = other._texts
        texts = [content[begin:end] for begin, end in zip(ends[keep].tolist(), ends[keep + 1].tolist(), strict=True)]
        joined = np.concatenate(texts) if texts else np.empty(0, dtype=np.uint8)
        self._extend(other.vectors.take(keep), other._seqs[keep], joined, ends[keep + 1] - ends[keep])

    def seqs(self, num_rows: int) -> Int64[np.ndarray, " num_rows"]:
        return self._seqs[:num_rows]

    def texts_of(self, rows: Int64[np.ndarray, " rows"]) -> Texts:
        if len(rows) == 0:
            return Texts([], [], [], [])  # splitting the empty text would give one part
        content = memoryview(self._texts)  # type: ignore[arg-type]
        ends = zip(self._ends[rows].tolist(), self._ends[rows + 1].tolist(), strict=True)
        # All at once: decoding each text by itself takes ten times as long.
        joined = _SEPARATOR.join([content[begin:end] for begin, end in ends]).decode(errors="surrogateescape")
        texts = joined.split(_SEPARATOR.decode(errors="surrogateescape"))
        return Texts(*(texts[which::4] for which in range(4)))

    def find(self, seqs: Sequence[int] | np.ndarray, num_rows: int) -> Int64[np.ndarray, " found"]:
        """The rows of the items with these numbers, as far as they are among the first `num_rows` rows."""
        ours = self._seqs[:num_rows]
        wanted = np.asarray(seqs, dtype=np.int64)
        places = np.searchsorted(ours, wanted)
        inside = places < num_rows
        places, wanted = places[inside], wanted[inside]
        return places[ours[places] == wanted]

    def _extend(
        self,
        vectors: Float32[np.ndarray, "num_new embedding_size"],
        seqs: Int64[np.ndarray, " num_new"],
        texts: UInt8[np.ndarray, " num_bytes"],
        lengths: Int64[np.ndarray, " num_new"],
    ) -> None:
        if len(seqs) == 0:
            return
        start, end = self.num_rows, self.num_rows + len(seqs)
        first_byte = int(self._ends[start])
        self._seqs = _with_room(self._seqs, start, end)
        self._seqs[start:end] = seqs
        self._texts = _with_room(self._texts, first_byte, first_byte + len(texts))
        self._texts[first_byte : first_byte + len(texts)] = texts
        self._ends = _with_room(self._ends, start + 1, end + 1)
        self._ends[start + 1 : end + 1] = first_byte + np.cumsum(lengths)
        self.vectors.append(vectors)
        self.num_rows = end


class Vectors:
    """Vectors in blocks of memory. Only the last block has room for more."""

    def __init__(
        self, embedding_size: int, first: Float32[np.ndarray, "num_rows embedding_size"] | None = None
    ) -> None:
        self.embedding_size = embedding_size
        self._num_rows = 0 if first is None else len(first)
        self._blocks: list[np.ndarray] = [first] if self._num_rows and first is not None else []
        self._starts: list[int] = [0] if self._blocks else []  # the first row of each block

    @classmethod
    def in_room(cls, room: Float32[np.ndarray, "_rows embedding_size"]) -> "Vectors":
        """No vectors yet; the first that come fill this array."""
        vectors = cls(room.shape[1], room)
        vectors._num_rows = 0
        return vectors

    @property
    def num_bytes(self) -> int:
        return sum(block.nbytes for block in self._blocks)

    def append(self, vectors: Float32[np.ndarray, "num_new embedding_size"]) -> None:
        while len(vectors):
            filled = self._num_rows - self._starts[-1] if self._blocks else 0
            if not self._blocks or filled == len(self._blocks[-1]):
                size = min(max(_SMALLEST_BLOCK, self._num_rows), _LARGEST_BLOCK)
                # In this order: a reader that comes in between sees one more start than blocks.
                self._starts.append(self._num_rows)
                self._blocks.append(np.empty((size, self.embedding_size), dtype=np.float32))
                filled = 0
            room = self._blocks[-1][filled : filled + len(vectors)]
            room[:] = vectors[: len(room)]
            self._num_rows += len(room)
            vectors = vectors[len(room) :]

    def pieces(self, start: int, end: int) -> list[tuple[int, Float32[np.ndarray, "_rows embedding_size"]]]:
        """Rows [start, end) as contiguous arrays, each with the number of its first row."""
        pieces = []
        for first, block in zip(self._starts, self._blocks, strict=False):
            low, high = max(start, first), min(end, first + len(block))
            if low < high:
                pieces.append((low, block[low - first : high - first]))
        return pieces

    def take(self, rows: Int64[np.ndarray, " rows"]) -> Float32[np.ndarray, "rows embedding_size"]:
        """Copy the vectors of these rows."""
        if len(self._blocks) == 1:
            return self._blocks[0][rows]
        found = np.empty((len(rows), self.embedding_size), dtype=np.float32)
        block_of_row = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(block_of_row):
            ours = block_of_row == number
            found[ours] = self._blocks[number][rows[ours] - self._starts[number]]
        return found


def _with_room(array: A, used: int, needed: int) -> A:
    """The array if it is long enough, otherwise one of at least double the size with the used part copied."""
    if needed <= len(array):
        return array
    larger = np.empty(max(needed, 2 * len(array)), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger  # type: ignore[return-value]
