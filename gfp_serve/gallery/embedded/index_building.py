"""How indexes are made and extended, and how thoroughly they have to search: this is measured on their own vectors.

An index that misses too much, however thoroughly it searches, is not used.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from gfp_serve.gallery.embedded.copies import Copies
from gfp_serve.gallery.embedded.distinct_index import DistinctIndex, max_missed, numbers_missed
from gfp_serve.gallery.embedded.exact import search_exactly
from gfp_serve.gallery.embedded.hnsw import HnswIndex, empty_hnsw
from gfp_serve.gallery.embedded.index import LEAST_ROWS
from gfp_serve.gallery.embedded.ivf import IvfIndex, trained_ivf
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort, ServingKind

# Vectors that are added at a time. Between them, the building can be stopped, which takes up to a second in a gallery
# of ten million. With half as many, IVF takes 12 % longer for each, and HNSW up to a third.
_VECTORS_AT_ONCE = 1024

# The default effort of an index is the first of these that finds this share of the true ten nearest neighbours, for
# queries that are not in the gallery. It depends more on the vectors than on their number.
_IVF_EFFORTS = (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
_EFFORTS = {
    "hnsw": (16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024),
    "ivf_sq8": _IVF_EFFORTS,
    "ivf_pq": _IVF_EFFORTS,
}
_SHARE_FOUND = 0.993
_TUNING_QUERIES, _TUNING_NEIGHBOURS = 256, 10
# The cosine between a vector and a query that is well beside it.
_BESIDE = 0.98

# When an index is extended, the new vectors are searched for, and for each of them this many others.
_OTHERS_PER_NEW_VECTOR = 8
# But at least this many: few would not show that one in a hundred is lost.
_LEAST_OTHERS = 1024


@dataclass(frozen=True, slots=True)
class Unsuited:
    """Why an index of this kind does not suit the rows, at the end of a sentence."""

    kind: ServingKind
    reason: str


class _Stopped(Exception):  # noqa: N818  (not an error)
    """The building was stopped."""


def make_index(
    kind: ServingKind, vectors: Vectors, num_rows: int, *, should_stop: Callable[[], bool] = lambda: False
) -> DistinctIndex | Unsuited | None:
    """Make an index of the first rows. None for "exact", which needs none, and if it was stopped."""
    if kind == "exact":
        return None
    return _Building(kind, vectors, num_rows, should_stop).build(None)


def extend_index(
    file: Path,
    before: DistinctIndex,
    vectors: Vectors,
    num_rows: int,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> DistinctIndex | Unsuited | None:
    """Make an index from `before`, which is in this file, and the rows that came after it. None if it was stopped.

    The file must have been verified: FAISS trusts it.
    """
    building = _Building(before.kind, vectors, num_rows, should_stop)
    return building.build(faiss.read_index(str(file)), before)


class _Building:
    def __init__(self, kind: ServingKind, vectors: Vectors, num_rows: int, should_stop: Callable[[], bool]) -> None:
        self._kind = kind
        self._vectors = vectors
        self._num_rows = num_rows
        self._should_stop = should_stop
        self._copies = Copies.find(vectors, num_rows)
        self._first_rows = np.arange(num_rows) if self._copies is None else self._copies.first_rows

    def build(self, made: Any, before: DistinctIndex | None = None) -> DistinctIndex | Unsuited | None:
        """Add what `made` has not; None means to begin. Its effort is measured before the last vectors are added.

        `before` is the index that `made` was.
        """
        num_vectors = len(self._first_rows)
        if num_vectors < LEAST_ROWS:
            return Unsuited(
                self._kind,
                f"only {num_vectors} of its {self._num_rows} vectors differ, and an index needs {LEAST_ROWS}",
            )
        try:
            if made is None and self._kind == "hnsw":
                made = empty_hnsw(self._vectors.embedding_size)
            elif made is None:
                made = trained_ivf(self._kind, self._vectors, self._first_rows, self._should_stop)
                self._go_on()
            num_before = int(made.ntotal)
            self._add(made, num_vectors - min(_TUNING_QUERIES, num_vectors // 4))
            efforts = self._enough(self._wrap(made))
            self._add(made, num_vectors)
            index = self._wrap(made)
            return self._checked(index, efforts, num_before, before)
        except _Stopped:
            return None

    def _go_on(self) -> None:
        if self._should_stop():
            raise _Stopped

    def _add(self, made: Any, num_vectors: int) -> None:
        for start in range(int(made.ntotal), num_vectors, _VECTORS_AT_ONCE):
            self._go_on()
            made.add(self._vectors.take(self._first_rows[start : min(start + _VECTORS_AT_ONCE, num_vectors)]))

    def _wrap(self, made: Any) -> HnswIndex | IvfIndex:
        default_effort = _EFFORTS[self._kind][-1]
        if self._kind == "hnsw":
            return HnswIndex(made, default_effort)
        first_rows = None if self._copies is None else self._first_rows
        return IvfIndex(self._kind, made, self._vectors, first_rows, default_effort)

    def _enough(self, index: HnswIndex | IvfIndex) -> tuple[int, ...]:
        """The efforts that find 99.3 % of the true ten nearest neighbours, for three kinds of queries.

        - Vectors that the index does not contain yet: real queries look like them. But they may all be of one action.
        - Vectors moved in a random direction, as far as their tenth neighbour is away. These are of all actions, but a
          little easier to find, because the index contains the vector.
        - Vectors moved well beside. Where many are nearly equal, all of them are as near to a query among them, up to
          rounding. To one beside them they are not, and codes may not tell them apart.
        """
        draw = np.random.default_rng(0)
        efforts = _EFFORTS[self._kind]
        wanted = min(_TUNING_NEIGHBOURS, index.num_rows)
        drawn = np.sort(draw.permutation(index.num_rows)[:_TUNING_QUERIES])
        inside = self._vectors.take(self._first_rows[drawn])
        noise = draw.standard_normal(inside.shape).astype(np.float32)
        tenth = self._lowest(inside, index.num_rows, wanted)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        moved, beside = _moved(inside, noise, tenth), _moved(inside, noise, np.full_like(tenth, _BESIDE))
        outside = self._vectors.take(self._first_rows[index.num_rows :][:_TUNING_QUERIES])
        kinds = [queries for queries in (moved, beside, outside) if len(queries)]
        least = [self._lowest(queries, index.num_rows, wanted) for queries in kinds]

        def is_enough(effort: int) -> bool:
            self._go_on()
            index.default_effort = effort
            shares = []
            for queries, lowest in zip(kinds, least, strict=True):
                _, found = index.search(queries, top_k=wanted, passing=None, share=1.0, effort=Effort())
                shares.append(np.mean(found >= lowest - 1e-6))  # equal similarities are as good
            return bool(min(shares) >= _SHARE_FOUND)

        return efforts[bisect_left(efforts, True, key=is_enough) :]

    def _lowest(
        self, queries: Float32[np.ndarray, "num_queries embedding_size"], num_vectors: int, top_k: int
    ) -> Float32[np.ndarray, "num_queries 1"]:
        """The similarity of the last of the `top_k` nearest of the first vectors, found exactly."""
        end = int(self._first_rows[num_vectors - 1]) + 1
        passing = None
        if self._copies is not None:
            passing = np.zeros(end, dtype=bool)
            passing[self._first_rows[:num_vectors]] = True
        _, similarities = search_exactly(self._vectors, queries, start=0, end=end, top_k=top_k, passing=passing)
        return similarities[:, -1:]

    def _checked(
        self,
        index: HnswIndex | IvfIndex,
        efforts: tuple[int, ...],
        num_before: int,
        before: DistinctIndex | None,
    ) -> DistinctIndex | Unsuited:
        """The index with the first of the efforts at which it finds nearly all vectors by themselves."""
        missed: Int64[np.ndarray, " missed"] | None = None

        def is_enough(effort: int) -> bool:
            nonlocal missed
            index.default_effort = effort
            missed = self._missed(index, num_before, before)
            return missed is not None

        # The first is nearly always enough.
        if efforts and not is_enough(efforts[0]):
            least = bisect_left(efforts, True, 1, key=is_enough)
            if least < len(efforts):
                is_enough(efforts[least])
        if missed is not None:
            vectors = self._vectors.take(self._first_rows[missed])
            return DistinctIndex(inner=index, copies=self._copies, missed=missed, missed_vectors=vectors)
        what = "of the items when they are searched for themselves" if efforts else "of the ten nearest neighbours"
        return Unsuited(self._kind, f"an index of the kind {self._kind} misses too many {what}")

    def _missed(
        self, index: HnswIndex | IvfIndex, num_before: int, before: DistinctIndex | None
    ) -> Int64[np.ndarray, " missed"] | None:
        """The vectors that the index does not find by themselves; None if they are too many.

        If the index was extended, earlier vectors may be missed that were not before. If none of those that are drawn
        is, and it searches as thoroughly as before, the rest is taken to be as it was.
        """
        everything = np.arange(len(self._first_rows))
        new = everything[num_before:]
        num_drawn = max(_LEAST_OTHERS, _OTHERS_PER_NEW_VECTOR * len(new))
        if before is not None and index.default_effort >= before.default_effort and num_drawn < num_before:
            drawn = np.random.default_rng(num_before).permutation(num_before)[:num_drawn]
            lost = self._missed_of(index, np.setdiff1d(drawn, before.missed))
            if lost is not None and not len(lost):
                return self._missed_of(index, np.concatenate([before.missed, new]))
        return self._missed_of(index, everything)

    def _missed_of(
        self, index: HnswIndex | IvfIndex, numbers: Int64[np.ndarray, " numbers"]
    ) -> Int64[np.ndarray, " missed"] | None:
        most = max_missed(len(self._first_rows))
        missed = numbers[:0]
        for part in numbers_missed(index, self._vectors, self._first_rows, numbers):
            missed = np.concatenate([missed, part])
            if len(missed) > most:
                return None
            self._go_on()
        return missed


def _moved(
    vectors: Float32[np.ndarray, "num_queries embedding_size"],
    directions: Float32[np.ndarray, "num_queries embedding_size"],
    cosines: Float32[np.ndarray, "num_queries 1"],
) -> Float32[np.ndarray, "num_queries embedding_size"]:
    """The vectors, moved until they have about these cosines with where they were."""
    moved = vectors + np.sqrt(np.maximum(0, 2 - 2 * cosines)) * directions
    return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), np.float32(1e-6))
