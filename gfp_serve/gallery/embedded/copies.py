"""Rows with equal vectors. An index holds each vector once; the rows that have it are put in its place.

Hundreds of equal vectors fill each other's links in HNSW's graph, so that a search never leaves them, and they fill the
candidates of IVF, so that it finds nothing else.
"""

import threading
import weakref
from collections import deque

import numpy as np
from jaxtyping import Bool, Int64

from gfp_serve.gallery.embedded.exact import Found
from gfp_serve.gallery.embedded.rows import Vectors

# Rows whose vectors are read at a time.
_ROWS_AT_ONCE = 8192
# Masks of rows of which it is remembered what they mean for the vectors. Searches that come one after the other mostly
# have the same: that of the removed rows, or of a filter.
_MASKS = 4


class Copies:
    """The different vectors of the first rows, numbered in the order in which they came, and the rows that have each.

    More rows only add numbers: those of earlier rows stay.
    """

    def __init__(self, number_of_row: Int64[np.ndarray, " num_rows"]) -> None:
        self.number_of_row = number_of_row
        self._rows = np.argsort(number_of_row, kind="stable")
        self._counts = np.bincount(number_of_row)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)])
        self.num_vectors = len(self._counts)
        self._known: deque[tuple[weakref.ref[np.ndarray], np.ndarray]] = deque(maxlen=_MASKS)
        self._knowing = threading.Lock()

    @classmethod
    def find(cls, vectors: Vectors, num_rows: int) -> "Copies | None":
        """The copies among the first rows; None if no two vectors are equal."""
        sums = np.empty(num_rows, dtype=np.uint64)
        factors = np.random.default_rng(0).integers(2**64, size=vectors.embedding_size, dtype=np.uint64)
        for rows in _in_pieces(np.arange(num_rows)):
            # Adding 0 makes -0 and 0 the same bytes, as they are the same number.
            sums[rows] = (vectors.take(rows) + np.float32(0)).view(np.uint32) @ factors
        _, first, which = np.unique(sums, return_index=True, return_inverse=True)
        first_row = first[which]
        for rows in _in_pieces(np.flatnonzero(first_row != np.arange(num_rows))):
            differs = (vectors.take(rows) != vectors.take(first_row[rows])).any(axis=1)
            first_row[rows[differs]] = rows[differs]  # only their sums are equal
        firsts, number_of_row = np.unique(first_row, return_inverse=True)
        return None if len(firsts) == num_rows else cls(number_of_row.astype(np.int64))

    @property
    def first_rows(self) -> Int64[np.ndarray, " num_vectors"]:
        """The first row that has each vector."""
        return self._rows[self._starts[:-1]]

    @property
    def num_bytes(self) -> int:
        arrays = (self.number_of_row, self._rows, self._counts, self._starts)
        return sum(array.nbytes for array in arrays) + len(self._known) * self.num_vectors

    def numbers_of(self, passing: Bool[np.ndarray, " _rows"]) -> Bool[np.ndarray, " num_vectors"]:
        """Which vectors have a row that is true in `passing`, which nobody may change; maybe of more rows.

        It is remembered for the array itself: to look through all rows takes longer than a search.
        """
        if (known := self._known_numbers_of(passing)) is not None:
            return known
        # Without the lock: other searches, whose masks are known, need not wait.
        found = self._numbers_of(passing[: len(self.number_of_row)])
        with self._knowing:
            if all(mask() is not passing for mask, _ in self._known):  # else another search was faster
                self._known.append((weakref.ref(passing), found))
        return found

    def _known_numbers_of(self, passing: Bool[np.ndarray, " _rows"]) -> Bool[np.ndarray, " num_vectors"] | None:
        with self._knowing:
            return next((numbers for mask, numbers in self._known if mask() is passing), None)

    def _numbers_of(self, passing: Bool[np.ndarray, " num_rows"]) -> Bool[np.ndarray, " num_vectors"]:
        rows = np.flatnonzero(~passing)
        if len(rows) > len(passing) // 2:
            return np.bincount(self.number_of_row[passing], minlength=self.num_vectors) > 0
        return np.bincount(self.number_of_row[rows], minlength=self.num_vectors) < self._counts

    def rows_of(self, found: Found, top_k: int, passing: Bool[np.ndarray, " _rows"] | None) -> Found:
        """The rows of the vectors that were found, lowest first among equals; only those true in `passing`."""
        numbers, similarities = found
        rows, starts = self._rows, self._starts
        if passing is not None:
            # Only the rows of what was found are looked at.
            different, where = np.unique(numbers, return_inverse=True)
            rows, starts = self._passing_rows(different[different >= 0], passing)
            numbers = where.reshape(numbers.shape) - int(np.count_nonzero(different < 0))
        sizes = np.where(numbers < 0, 0, starts[numbers + 1] - starts[numbers])
        taken = np.minimum(sizes, np.maximum(0, top_k - (np.cumsum(sizes, axis=1) - sizes)))
        num_found = taken.sum(axis=1)
        ours = np.repeat(starts[numbers].ravel(), taken.ravel()) + _counted(taken.ravel())
        places = (np.repeat(np.arange(len(numbers)), num_found), _counted(num_found))
        all_rows = np.full((len(numbers), top_k), -1, dtype=np.int64)
        all_rows[places] = rows[ours]
        all_similarities = np.full((len(numbers), top_k), -np.inf, dtype=np.float32)
        all_similarities[places] = np.repeat(similarities.ravel(), taken.ravel())
        return all_rows, all_similarities

    def _passing_rows(
        self, numbers: Int64[np.ndarray, " numbers"], passing: Bool[np.ndarray, " _rows"]
    ) -> tuple[Int64[np.ndarray, " _passing"], Int64[np.ndarray, " _ends"]]:
        """The rows of these vectors that are true in `passing`, and where those of each begin."""
        counts = self._counts[numbers]
        rows = self._rows[np.repeat(self._starts[numbers], counts) + _counted(counts)]
        passes = passing[rows]
        ends = np.concatenate([[0], np.cumsum(passes)])[np.concatenate([[0], np.cumsum(counts)])]
        return rows[passes], ends


def _counted(lengths: Int64[np.ndarray, " parts"]) -> Int64[np.ndarray, " _total"]:
    """0, 1, ... for each part, one part after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def _in_pieces(rows: Int64[np.ndarray, " rows"]) -> list[Int64[np.ndarray, " _rows"]]:
    return [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]
