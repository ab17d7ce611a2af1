"""An index that holds each vector once, and finds every vector by itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.gallery.embedded.copies import Copies
from gfp_serve.gallery.embedded.exact import Found, in_order, merge_parts, search_few
from gfp_serve.gallery.embedded.index import Index
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort, ServingKind

# Vectors that are searched at a time to see whether each is found. Between them, the building can be stopped.
_VECTORS_AT_ONCE = 1024
# A vector that is less similar to itself than another by no more than this, which is rounding, counts as found.
_ROUNDING = 3e-7
# At most this many vectors, or this share of all, may be missed. With more, comparing every query with all of the
# vectors would soon be as fast as the index.
_MOST_MISSED, _MOST_MISSED_SHARE = 256, 0.005


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DistinctIndex:
    """See `Index`. `inner` is an approximate index whose rows are the numbers of `copies`; None: no two rows are equal.

    The vectors that `inner` does not find by themselves are `missed`. Every search compares its queries with them.
    """

    inner: Index
    copies: Copies | None
    missed: Int64[np.ndarray, " num_missed"]
    missed_vectors: Float32[np.ndarray, "num_missed embedding_size"]

    @property
    def kind(self) -> ServingKind:
        return self.inner.kind

    @property
    def num_rows(self) -> int:
        return self.inner.num_rows if self.copies is None else len(self.copies.number_of_row)

    @property
    def default_effort(self) -> int:
        return self.inner.default_effort

    @property
    def num_bytes(self) -> int:
        num_bytes = self.inner.num_bytes + self.missed_vectors.nbytes
        if self.copies is None:
            return num_bytes
        own_vectors = 0
        if self.kind == "hnsw":  # it contains each vector once more, because those of all rows lie beside it
            own_vectors = self.inner.num_rows * self.missed_vectors.shape[1] * self.missed_vectors.itemsize
        return num_bytes + self.copies.num_bytes + own_vectors

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        numbers_passing = None if passing is None else passing[: self.num_rows]
        if self.copies is not None and passing is not None:
            numbers_passing = self.copies.numbers_of(passing)
            share = max(int(np.count_nonzero(numbers_passing)), 1) / len(numbers_passing)
        wanted = min(top_k, self.inner.num_rows)
        found = self.inner.search(queries, top_k=wanted, passing=numbers_passing, share=share, effort=effort)
        if len(self.missed):
            found = self._with_missed(found, queries, wanted, numbers_passing)
        if self.copies is None:
            return found
        return self.copies.rows_of(
            in_order(found, wanted), top_k, None if passing is None else passing[: self.num_rows]
        )

    def num_compared(self, effort: Effort) -> int:
        return self.inner.num_compared(effort) + len(self.missed)

    def write(self, write: Callable[[bytes], int]) -> None:
        self.inner.write(write)

    def _with_missed(
        self,
        found: Found,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        top_k: int,
        passing: Bool[np.ndarray, " num_vectors"] | None,
    ) -> Found:
        numbers, vectors = self.missed, self.missed_vectors
        if passing is not None:
            numbers, vectors = numbers[passing[numbers]], vectors[passing[numbers]]
        if not len(numbers):
            return found
        known, similarities = found
        again = np.isin(known, numbers)  # another query than its own may find it in the index
        known, similarities = np.where(again, -1, known), np.where(again, np.float32(-np.inf), similarities)
        return merge_parts([(known, similarities), search_few(queries, vectors, numbers, top_k)], top_k)


def max_missed(num_vectors: int) -> int:
    """How many of an index's vectors may be missed when they are searched for by themselves."""
    return max(_MOST_MISSED, int(_MOST_MISSED_SHARE * num_vectors))


def numbers_missed(
    index: Index,
    vectors: Vectors,
    first_rows: Int64[np.ndarray, " num_vectors"],
    numbers: Int64[np.ndarray, " numbers"],
) -> Iterator[Int64[np.ndarray, " missed"]]:
    """Of these vectors, those that a search of the index for the vector itself does not find; piece by piece."""
    for start in range(0, len(numbers), _VECTORS_AT_ONCE):
        ours = numbers[start : start + _VECTORS_AT_ONCE]
        queries = vectors.take(first_rows[ours])
        found, similarities = index.search(queries, top_k=1, passing=None, share=1.0, effort=Effort())
        with_itself = np.einsum("ij,ij->i", queries, queries)
        yield ours[(found[:, 0] != ours) & (similarities[:, 0] < with_itself - _ROUNDING)]
