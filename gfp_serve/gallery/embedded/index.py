"""What every approximate index does, and how one is chosen by the number of items.

An index contains the first rows of a gallery, by row number, and never changes. To add rows, another index is made
beside it. So searches need no lock; FAISS itself gives wrong answers or crashes if vectors are added during a search.
"""

import os
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import faiss
import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.gallery.embedded.exact import Found, Selector
from gfp_serve.items import Effort, ServingKind

# Up to this many items, comparing with all of them takes no longer than a millisecond, and misses none.
_EXACT_ROWS = 20_000
# With fewer items, an index is slower than comparing with all of them, and FAISS cannot make one of very few.
LEAST_ROWS = 1000

# Neighbours of an item in HNSW's graph.
HNSW_LINKS = 16


@runtime_checkable  # tests check arguments against their annotations
class Index(Protocol):
    """An approximate index of the first `num_rows` rows.

    `default_effort` is how thoroughly it searches unless a search says otherwise: HNSW's candidates, or IVF's lists. It
    is measured when the index is made.
    """

    @property
    def kind(self) -> ServingKind:
        """What searches it."""

    @property
    def num_rows(self) -> int:
        """How many of the gallery's first rows it contains."""

    @property
    def default_effort(self) -> int:
        """See above."""

    @property
    def num_bytes(self) -> int:
        """Memory that it takes besides the vectors."""

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        """Rows and cosines, nearest first. Row −1 marks places for which nothing was found.

        Only rows that are true in `passing` may be found. `share` is the share of all rows that are, in (0, 1].
        """

    def num_compared(self, effort: Effort) -> int:
        """About how many rows a query is compared with on the CPU."""

    def write(self, write: Callable[[bytes], int]) -> None:
        """Write the index with this function, piece by piece."""


def choose_kind(
    asked: str, num_rows: int, embedding_size: int, memory_bytes: int, *, on_gpu: bool = False
) -> ServingKind:
    """The index for this many items: the one that was asked for, or for "auto" the fastest that fits into memory.

    On a GPU, which has no HNSW, "auto" compares with every item as long as they fit.
    """
    if asked in ("exact", "hnsw", "ivf_sq8", "ivf_pq"):
        return "exact" if num_rows < LEAST_ROWS else asked  # type: ignore[return-value]
    if num_rows < _EXACT_ROWS or (on_gpu and num_rows * 4 * embedding_size <= memory_bytes):
        return "exact"
    # With IVF, the vectors stay on the disk and are read as needed.
    if not on_gpu and num_rows * (4 * embedding_size + 8 * HNSW_LINKS + 32) <= memory_bytes:
        return "hnsw"
    return "ivf_sq8" if num_rows * (embedding_size + 16) <= memory_bytes else "ivf_pq"


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class ParameterCache:
    """FAISS's search parameters by effort. They are kept, because making them takes longer than some searches."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._known: dict[int, Any] = {}

    def get(self, effort: int, selector: Selector | None) -> Any:
        """Parameters for one search. The caller holds on to the selector until the search is done."""
        if selector is not None:
            parameters = self._make(effort)
            parameters.sel = selector.faiss_selector
            return parameters
        if effort not in self._known:
            self._known[effort] = self._make(effort)
        return self._known[effort]


def search_faiss(
    index: Any, queries: Float32[np.ndarray, "num_queries embedding_size"], top_k: int, parameters: Any
) -> Found:
    """Do what FAISS's `index.search` does, without its checks, which take longer than some searches."""
    similarities = np.empty((len(queries), top_k), dtype=np.float32)
    rows = np.empty((len(queries), top_k), dtype=np.int64)
    index.search_c(
        len(queries),
        faiss.swig_ptr(queries),
        top_k,
        faiss.swig_ptr(similarities),
        faiss.swig_ptr(rows),
        parameters,
    )
    return rows, similarities


def write_faiss(index: Any, write: Callable[[bytes], int]) -> None:
    """Write an index of FAISS with this function."""
    faiss.write_index(index, faiss.PyCallbackIOWriter(write))  # type: ignore[attr-defined]
