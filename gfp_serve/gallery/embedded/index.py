"""Indexes of unit vectors for search by cosine, by FAISS: how they are chosen, made, tuned, searched and kept.

Indexes hold the first rows of a gallery, by row number, and never change: one that holds more rows is made beside it.
So searches need no lock; FAISS itself answers wrongly or crashes when vectors are added meanwhile.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import faiss
import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.gallery.embedded.exact import (
    Found,
    Selector,
    compare_again,
    search_exactly,
)
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort

ServingKind = Literal["exact", "hnsw", "ivf_sq8", "ivf_pq"]

# Up to so many items, comparing with every one takes no longer than a millisecond, and finds all.
_EXACT_ROWS = 20_000

# Neighbours of an item in HNSW's graph, and candidates while it is made.
_HNSW_LINKS, _HNSW_CONSTRUCTION = 16, 160
# Rows that are added at a time: between them, the making can be stopped.
_ROWS_AT_ONCE = 8192

# Of IVF: lists for n items are _LISTS × √n.
_LISTS = 2.0
# Vectors that a list's centre is made from (FAISS asks for 39 at least), and those that codes are made from.
_TRAINING_ROWS_OF_LIST, _TRAINING_ROWS_OF_CODES = 64, 10240
# What compressed vectors find is compared again with the vectors themselves: candidates for each neighbour.
CANDIDATES = {"ivf_sq8": 4, "ivf_pq": 64}

# How hard an index looks unless a search says it (HNSW's candidates, IVF's lists): the first of these that finds the
# share of the true ten nearest, for queries that the gallery does not hold. It depends on the vectors more than on
# their number.
_EFFORTS = {
    "hnsw": (16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024),
    "ivf_sq8": (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256),
    "ivf_pq": (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256),
}
_SHARE_FOUND = 0.993
_TUNING_QUERIES, _TUNING_NEIGHBOURS = 256, 10

_HnswParameters: Any = faiss.SearchParametersHNSW  # type: ignore[attr-defined]
_IvfParameters: Any = faiss.SearchParametersIVF


@runtime_checkable  # tests check arguments against their annotations
class Index(Protocol):
    """An approximate index of the first `num_rows` rows."""

    kind: ServingKind
    num_rows: int
    looks: int  # how hard, unless a search says it: see `_tune`

    @property
    def num_bytes(self) -> int:
        """What it takes in memory besides the vectors."""

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        """Rows and cosines, nearest first; row −1 where fewer were found.

        Only rows that are true in `passing` may be found; they are this share of all rows, in (0, 1].
        """

    def write(self, file: Path) -> None: ...


def choose_kind(
    asked: str, num_rows: int, embedding_size: int, memory_bytes: int, *, on_gpu: bool = False
) -> ServingKind:
    """The index for that many items: the one asked for; of "auto" the fastest that fits into memory.

    On a GPU, which has no HNSW, "auto" compares with every item as long as they fit.
    """
    if asked in ("exact", "hnsw", "ivf_sq8", "ivf_pq"):
        # An index of few items is slower than none, and cannot be made of very few.
        return "exact" if asked != "exact" and num_rows < 1000 else asked  # type: ignore[return-value]
    if num_rows < _EXACT_ROWS or (on_gpu and num_rows * 4 * embedding_size <= memory_bytes):
        return "exact"
    # Vectors of the others lie on the disk, and are read as they are needed.
    if not on_gpu and num_rows * (4 * embedding_size + 8 * _HNSW_LINKS + 32) <= memory_bytes:
        return "hnsw"
    return "ivf_sq8" if num_rows * (embedding_size + 16) <= memory_bytes else "ivf_pq"


def make_index(
    kind: ServingKind, vectors: Vectors, num_rows: int, *, should_stop: Callable[[], bool] = lambda: False
) -> Index | None:
    """An index of the first rows; None for "exact", which needs none, and when it should stop."""
    if kind == "exact":
        return None
    embedding_size = vectors.pieces(0, 1)[0][1].shape[1]
    made: Any
    if kind == "hnsw":
        made = faiss.IndexHNSWFlat(embedding_size, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        made.hnsw.efConstruction = _HNSW_CONSTRUCTION
    else:
        made = _trained_ivf(kind, vectors, num_rows, embedding_size)
    return _extended(kind, made, vectors, num_rows, should_stop)


def extend_index(
    index: Index, file: Path, vectors: Vectors, num_rows: int, *, should_stop: Callable[[], bool] = lambda: False
) -> Index | None:
    """The index in this file with the rows that came since it was written; None when it should stop."""
    return _extended(index.kind, faiss.read_index(str(file)), vectors, num_rows, should_stop)


def read_index(kind: ServingKind, file: Path, vectors: Vectors | None, looks: int) -> "Index":
    """An index that `Index.write` wrote, mapped into memory. The caller has checked the file: FAISS trusts it."""
    flags = faiss.IO_FLAG_MMAP_IFC if kind == "hnsw" else 0
    index = _wrap(kind, faiss.read_index(str(file), flags), vectors)
    index.looks = looks
    return index


def _tune(index: Index, vectors: Vectors, num_rows: int, should_stop: Callable[[], bool]) -> None:
    """Set how hard the index looks: the least that finds 99.3 % of the true ten nearest, for two kinds of queries.

    The rows after those that the index holds are what it is asked in earnest, but may all be of one action. Items moved
    at random, as far as their tenth neighbour is, are of all actions, but a little easier: the index knows the item.
    """
    draw = np.random.default_rng(0)
    wanted = min(_TUNING_NEIGHBOURS, index.num_rows)
    items = vectors.take(np.sort(draw.permutation(index.num_rows)[:_TUNING_QUERIES]))
    _, similarities = search_exactly(vectors, items, start=0, end=index.num_rows, top_k=wanted)
    noise = draw.standard_normal(items.shape).astype(np.float32)
    noise *= np.sqrt(np.maximum(0, 2 - 2 * similarities[:, -1:])) / np.linalg.norm(noise, axis=1, keepdims=True)
    moved = items + noise
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)
    asked = [moved, vectors.take(np.arange(index.num_rows, num_rows))]
    exact = [search_exactly(vectors, each, start=0, end=index.num_rows, top_k=wanted)[1] for each in asked if len(each)]
    for looks in _EFFORTS[index.kind]:
        if should_stop():
            return
        index.looks = looks
        shares = []
        for queries, similarities in zip(asked, exact, strict=False):
            _, found = index.search(queries, top_k=wanted, passing=None, share=1.0, effort=Effort())
            shares.append(np.mean(found >= similarities[:, -1:] - 1e-6))  # equal ones are as good
        if min(shares) >= _SHARE_FOUND:
            return


class _Hnsw:
    kind: ServingKind = "hnsw"

    def __init__(self, index: Any) -> None:
        self._index = index
        self.num_rows = int(index.ntotal)
        self.looks = _EFFORTS["hnsw"][-1]
        self._parameters: dict[int, Any] = {}  # by candidates: making them takes longer than some searches

    @property
    def num_bytes(self) -> int:
        hnsw = self._index.hnsw
        return int(hnsw.neighbors.size() * 4 + hnsw.offsets.size() * 8 + hnsw.levels.size() * 4)

    @property
    def vectors(self) -> Float32[np.ndarray, "num_rows embedding_size"]:
        """The vectors as they lie in the index, which lives as long as they do."""
        return np.asarray(_StoredVectors(self._index))

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        # Candidates that may not be found count as well, so that there must be as many more of them.
        wanted = min(self.num_rows, int(max(effort.ef_search or self.looks, top_k) / share))
        selector = None if passing is None else Selector(passing[: self.num_rows])
        parameters = self._parameters.get(wanted)
        if selector is not None or parameters is None:
            parameters = _HnswParameters(efSearch=wanted)
            if selector is None:
                self._parameters[wanted] = parameters
            else:
                parameters.sel = selector.of_faiss
        rows, similarities = _ask(self._index, queries, top_k, parameters)
        return rows, similarities

    def write(self, file: Path) -> None:
        _write_index(self._index, file)


class _StoredVectors:
    """What numpy needs to look into FAISS's memory, and holds on to."""

    def __init__(self, index: Any) -> None:
        storage: Any = faiss.downcast_index(index.storage)
        self.index = index
        self.__array_interface__ = {
            "version": 3,
            "shape": (int(index.ntotal), int(index.d)),
            "typestr": "<f4",
            "data": (int(storage.get_xb()), True),
        }


class IvfIndex:
    def __init__(self, kind: ServingKind, index: Any, vectors: Vectors) -> None:
        self.kind = kind
        self._index = index
        self._vectors = vectors
        self.num_rows = int(index.ntotal)
        self.looks = _EFFORTS[kind][-1]
        self._num_lists = int(index.nlist)
        self._parameters: dict[int, Any] = {}  # by lists that are read

    @property
    def num_bytes(self) -> int:
        return int(self.num_rows * (self._index.code_size + 8) + self._num_lists * self._index.d * 4)

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        nprobe = min(self._num_lists, int((effort.nprobe or self.looks) / share))
        selector = None if passing is None else Selector(passing[: self.num_rows])
        parameters = self._parameters.get(nprobe)
        if selector is not None or parameters is None:
            parameters = _IvfParameters(nprobe=nprobe)
            if selector is None:
                self._parameters[nprobe] = parameters
            else:
                parameters.sel = selector.of_faiss
        num_candidates = min(self.num_rows, top_k * CANDIDATES[self.kind])
        rows, _ = _ask(self._index, queries, num_candidates, parameters)
        return compare_again(self._vectors, queries, rows, num_rows=self.num_rows, top_k=top_k)

    @property
    def of_faiss(self) -> Any:
        return self._index

    def write(self, file: Path) -> None:
        _write_index(self._index, file)


def _ask(index: Any, queries: Float32[np.ndarray, "num_queries embedding_size"], top_k: int, parameters: Any) -> Found:
    """What `index.search` gives, without its checks, which take longer than some searches."""
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


def _trained_ivf(kind: ServingKind, vectors: Vectors, num_rows: int, embedding_size: int) -> Any:
    num_lists = max(1, int(_LISTS * num_rows**0.5))
    num_training = min(num_rows, _TRAINING_ROWS_OF_LIST * num_lists)
    # Always the same rows of the same vectors: an index that is made again answers the same.
    chosen = np.sort(np.random.default_rng(0).permutation(num_rows)[:num_training])
    if kind == "ivf_sq8":
        description = f"IVF{num_lists},SQ8"
    else:
        parts = next(parts for parts in range(max(1, embedding_size // 4), 0, -1) if embedding_size % parts == 0)
        description = f"IVF{num_lists},PQ{parts}"
    made: Any = faiss.index_factory(embedding_size, description, faiss.METRIC_INNER_PRODUCT)
    made.cp.min_points_per_centroid = 1
    if kind == "ivf_pq":
        made.pq.cp.min_points_per_centroid = 1
        made.pq.cp.max_points_per_centroid = _TRAINING_ROWS_OF_CODES // 256
        made.pq.cp.niter = 4  # codes only choose candidates; more would take minutes
    made.train(vectors.take(chosen))
    return made


def _extended(
    kind: ServingKind, made: Any, vectors: Vectors, num_rows: int, should_stop: Callable[[], bool]
) -> Index | None:
    """The index with the rows up to this; how hard it looks is found before the last of them are added."""
    looks = 0
    for end in (max(int(made.ntotal), num_rows - min(_TUNING_QUERIES, num_rows // 4)), num_rows):
        for start in range(int(made.ntotal), end, _ROWS_AT_ONCE):
            for _, piece in vectors.pieces(start, min(start + _ROWS_AT_ONCE, end)):
                if should_stop():
                    return None
                made.add(piece)
        if not looks:
            index = _wrap(kind, made, vectors)
            _tune(index, vectors, num_rows, should_stop)
            looks = index.looks
    index = _wrap(kind, made, vectors)
    index.looks = looks
    return index


def _wrap(kind: ServingKind, made: Any, vectors: Vectors | None) -> Index:
    if kind == "hnsw":
        return _Hnsw(made)
    if vectors is None:
        raise ValueError("an IVF index is searched beside its vectors")
    return IvfIndex(kind, made, vectors)


def _write_index(index: Any, file: Path) -> None:
    # Not by its name: of a disk that gets full with the last bytes, FAISS does not say a word.
    with file.open("wb") as opened:
        faiss.write_index(index, faiss.PyCallbackIOWriter(opened.write))  # type: ignore[attr-defined]


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
