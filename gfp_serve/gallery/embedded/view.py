"""A gallery as it is at one moment: what searches run on while others write."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.filters import Filter
from gfp_serve.gallery.embedded.columns import Columns
from gfp_serve.gallery.embedded.exact import (
    Found,
    merge,
    search_exactly,
    similarities_of,
)
from gfp_serve.gallery.embedded.index import Index, ServingKind
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.items import Effort

# Up to so many items that a filter lets pass, or this share of all, are put together and compared with one by one:
# an index would look through many others to find them.
_FEW_ROWS, _FEW_SHARE = 4096, 1 / 16
# Filters whose rows are remembered, until the next change of the gallery.
_FILTERS = 16
# Items whose attributes are read at a time, so that others get their turn.
_ROWS_AT_ONCE = 16384


class RowColumns:
    """Labels and attributes of rows as columns. Made as far as they are asked for: many galleries never filter."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._columns = Columns()
        self._filling = threading.Lock()

    def up_to(self, num_rows: int) -> Columns:
        """The columns, with these rows at least."""
        with self._filling:
            for start in range(len(self._columns), num_rows, _ROWS_AT_ONCE):
                texts = self._rows.texts_of(np.arange(start, min(start + _ROWS_AT_ONCE, num_rows)))
                self._columns.append(texts.labels, texts.attributes)
        return self._columns


@dataclass(frozen=True, slots=True, eq=False)
class Passing:
    """The rows that may be found: all that are not removed, or those of them that a filter lets pass."""

    mask: Bool[np.ndarray, " num_rows"]
    num_items: int
    # Of few: their rows, and their vectors in one piece.
    rows: Int64[np.ndarray, " num_items"] | None = None
    vectors: Float32[np.ndarray, "num_items embedding_size"] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Snapshot:
    """The first `num_rows` rows without those that are true in `removed`; never changes.

    `index` holds the first of the rows; those that came after it are compared with one by one.
    """

    generation: int
    rows: Rows
    columns: RowColumns
    num_rows: int
    num_items: int
    removed: Bool[np.ndarray, " num_rows"]
    index: Index | None = None
    _filters: OrderedDict[str, Passing] = field(default_factory=OrderedDict, init=False)
    _filtering: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def serving_kind(self) -> ServingKind:
        return "exact" if self.index is None else self.index.kind

    def passing(self, where: Filter | None) -> Passing | None:
        """The rows that may be found; None for all."""
        if where is None and self.num_items == self.num_rows:
            return None
        key = repr(where)  # filters of 1 and of true are equal to Python
        with self._filtering:
            known = self._filters.get(key)
            if known is None:
                known = self._filters[key] = self._filter(where)
                if len(self._filters) > _FILTERS:
                    self._filters.popitem(last=False)
            else:
                self._filters.move_to_end(key)
        return known

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        where: Filter | None,
        effort: Effort,
    ) -> Found:
        """Rows and cosines, nearest first; as many as there are, up to `top_k`, for each query.

        Not in order yet are rows that are equally near; a cosine is beyond [-1, 1] by as much as float32 rounds.
        """
        passing = self.passing(where)
        num_items = self.num_rows if passing is None else passing.num_items
        top_k = min(top_k, num_items)
        if top_k == 0:
            return np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32)
        if passing is not None and passing.rows is not None and passing.vectors is not None:
            return similarities_of(queries, passing.vectors, passing.rows, top_k)
        if self.index is None or (effort.exact and self.index.kind != "exact"):
            return self._search_exactly(queries, top_k, passing)
        return self._search_index(self.index, queries, top_k, passing, effort)

    def _search_index(
        self,
        index: Index,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        top_k: int,
        passing: Passing | None,
        effort: Effort,
    ) -> Found:
        mask = None if passing is None else passing.mask
        share = 1.0 if passing is None else passing.num_items / self.num_rows
        found = index.search(queries, top_k=top_k, passing=mask, share=share, effort=effort)
        if index.num_rows < self.num_rows:
            late = search_exactly(
                self.rows.vectors, queries, start=index.num_rows, end=self.num_rows, top_k=top_k, passing=mask
            )
            found = merge([found, late], top_k)
        rows, similarities = found
        if rows.shape[1] == top_k and min(rows[:, -1].tolist(), default=0) >= 0:
            return rows, similarities
        # Neighbours that an index did not come across must not be lost in silence.
        short = np.flatnonzero((rows < 0).any(axis=1)) if rows.shape[1] == top_k else np.arange(len(queries))
        if len(short) == len(queries):
            return self._search_exactly(queries, top_k, passing)
        if len(short):
            rows[short], similarities[short] = self._search_exactly(queries[short], top_k, passing)
        return rows, similarities

    def _search_exactly(
        self, queries: Float32[np.ndarray, "num_queries embedding_size"], top_k: int, passing: Passing | None
    ) -> Found:
        mask = None if passing is None else passing.mask
        return search_exactly(self.rows.vectors, queries, start=0, end=self.num_rows, top_k=top_k, passing=mask)

    def _filter(self, where: Filter | None) -> Passing:
        mask = ~self.removed
        if where is not None:
            mask &= self.columns.up_to(self.num_rows).passing(where, self.num_rows)
        num_items = int(np.count_nonzero(mask))
        if where is None or num_items > max(_FEW_ROWS, _FEW_SHARE * self.num_rows) or num_items == 0:
            return Passing(mask, num_items)
        rows = np.flatnonzero(mask)
        return Passing(mask, num_items, rows, self.rows.vectors.take(rows))
