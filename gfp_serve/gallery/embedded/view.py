"""A gallery as it is at one moment. Searches run on it while others write."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.filters import AnyOf, Filter
from gfp_serve.gallery.embedded.change import Change
from gfp_serve.gallery.embedded.columns import Columns
from gfp_serve.gallery.embedded.exact import Found, merge_parts, search_exactly, search_few
from gfp_serve.gallery.embedded.index import Index
from gfp_serve.gallery.embedded.item_codec import read_source
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.gallery.protocols import sampled
from gfp_serve.items import Effort, Item, ServingKind

# If a filter lets at most this many rows pass, or this share of all, they are copied together and compared one by one.
# An index would look at many other rows to find them.
_FEW_ROWS, _FEW_SHARE = 4096, 1 / 16
# How many filters' rows are remembered, until the next change of the gallery.
_FILTERS = 16
# Values of a short filter.
_SHORT = 256
# Rows whose attributes are read at a time, so that other threads get their turn.
_ROWS_AT_ONCE = 16384
# Items of a sample that are made at a time.
_ITEMS_AT_ONCE = 256


class RowColumns:
    """Labels and attributes of rows as columns. They are made when they are needed: many galleries never filter."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._columns = Columns()
        self._filling = threading.Lock()

    def up_to(self, num_rows: int) -> Columns:
        """The columns of the first `num_rows` rows, maybe of more."""
        with self._filling:
            for start in range(len(self._columns), num_rows, _ROWS_AT_ONCE):
                texts = self._rows.texts_of(np.arange(start, min(start + _ROWS_AT_ONCE, num_rows)))
                self._columns.append(texts.labels, texts.attributes)
        return self._columns


@dataclass(frozen=True, slots=True, eq=False)
class Passing:
    """The rows that may be found: those that are not removed and that a filter, if there is one, lets pass."""

    mask: Bool[np.ndarray, " num_rows"]
    num_items: int
    # Only if they are few: the rows, and their vectors in one piece of memory.
    rows: Int64[np.ndarray, " num_items"] | None = None
    vectors: Float32[np.ndarray, "num_items embedding_size"] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class View:
    """The first `num_rows` rows of a gallery, without those that are true in `removed`. It never changes.

    `index` contains the first of the rows. The rows that came after it are compared one by one.
    """

    generation: int
    rows: Rows
    columns: RowColumns
    num_rows: int
    num_items: int
    removed: Bool[np.ndarray, " num_rows"]
    index: Index | None = None
    _filters: OrderedDict[bytes, Passing] = field(default_factory=OrderedDict, init=False)
    _filtering: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def serving_kind(self) -> ServingKind:
        return "exact" if self.index is None else self.index.kind

    def after(self, change: Change) -> "View":
        """The view after a change whose added rows have been appended to `rows`."""
        num_rows = self.rows.num_rows
        removed = np.zeros(num_rows, dtype=bool)
        removed[: self.num_rows] = self.removed
        removed[self.rows.find(change.removed, num_rows)] = True
        return replace(
            self,
            generation=change.state.generation,
            num_rows=num_rows,
            num_items=change.state.num_items,
            removed=removed,
        )

    def passing(self, where: Filter | None) -> Passing | None:
        """The rows that may be found; None if all may."""
        if where is None and self.num_items == self.num_rows:
            return None
        key = _key_of(where)
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
        """Find rows and cosines, nearest first; as many as there are, up to `top_k`, for each query.

        Rows of equal similarity are in no particular order yet. Rounding can take a cosine out of [-1, 1].
        """
        passing = self.passing(where)
        num_items = self.num_rows if passing is None else passing.num_items
        top_k = min(top_k, num_items)
        if top_k == 0:
            return np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32)
        if passing is not None and passing.rows is not None and passing.vectors is not None:
            return search_few(queries, passing.vectors, passing.rows, top_k)
        if self.index is None or (effort.exact and self.index.kind != "exact"):
            return self._search_exactly(queries, top_k, passing)
        return self._search_index(self.index, queries, top_k, passing, effort)

    def sample(self, most: int) -> Iterator[list[Item]]:
        """Yield items in pieces; see `Gallery.sample`."""
        rows = np.flatnonzero(~self.removed)
        rows = rows[sampled(self.rows.seqs(self.num_rows)[rows], most)]
        for start in range(0, len(rows), _ITEMS_AT_ONCE):
            piece = rows[start : start + _ITEMS_AT_ONCE]
            texts, vectors = self.rows.texts_of(piece), self.rows.vectors.take(piece)
            attributes = json.loads(f"[{','.join(texts.attributes)}]")
            sources = map(read_source, texts.sources)
            yield list(map(Item, texts.ids, vectors, texts.labels, attributes, sources))

    def num_compared(self, effort: Effort, where: Filter | None = None) -> int:
        """About how many rows a query is compared with on the CPU; with a filter, how many it may be.

        The filter is not applied for that, which would take as long as some searches. If it is known from an earlier
        search, the number is that of what passes.
        """
        is_exact = self.index is None or (effort.exact and self.index.kind != "exact")
        num_all = self.num_rows if is_exact or self.index is None else self._num_compared_by(self.index, effort, 1.0)
        if where is None:
            return num_all
        known = self._filters.get(_key_of(where)) if _is_short(where) else None
        if known is not None:
            if is_exact or self.index is None or known.rows is not None or known.num_items == 0:
                return known.num_items
            return self._num_compared_by(self.index, effort, known.num_items / self.num_rows)
        if is_exact or self.index is None:
            return num_all
        # Either few pass, and are compared one by one, or more, among which the index looks more thoroughly.
        few = min(self.num_rows, max(_FEW_ROWS, int(_FEW_SHARE * self.num_rows)))
        return max(few, self._num_compared_by(self.index, effort, _FEW_SHARE))

    def _num_compared_by(self, index: Index, effort: Effort, share: float) -> int:
        """The same for a search of the index in which this share of the rows may be found."""
        return min(index.num_rows, int(index.num_compared(effort) / share)) + self.num_rows - index.num_rows

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
            found = merge_parts([found, late], top_k)
        rows, similarities = found
        if rows.shape[1] == top_k and min(rows[:, -1].tolist(), default=0) >= 0:
            return rows, similarities
        # The index found too few rows for some queries, although there are enough. These queries search all rows.
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


def _is_short(where: Filter) -> bool:
    """Whether it takes no time to make the key of a filter. Callers that only estimate must not wait for that."""
    conditions = (*where.must, *where.any_of, *where.must_not)
    values = [value for condition in conditions if isinstance(condition, AnyOf) for value in condition.values[:_SHORT]]
    texts = [value for value in values if isinstance(value, str)]
    return len(values) < _SHORT and sum(map(len, texts)) + sum(len(each.key) for each in conditions) < 64 * _SHORT


def _key_of(where: Filter | None) -> bytes:
    # Not the filter itself: Python says that those of 1 and of true are equal. And it may list megabytes of text.
    return hashlib.blake2b(repr(where).encode(errors="surrogatepass"), digest_size=16).digest()
