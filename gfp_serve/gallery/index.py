"""Search of unit vectors by cosine, exact and with indexes: the only file that knows FAISS.

Indexes hold the first rows of a gallery, by row number, and never change: one that holds more rows is made beside it.
So searches need no lock; FAISS itself answers wrongly or crashes when vectors are added meanwhile.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.errors import DeviceError
from gfp_serve.gallery.contract import Effort
from gfp_serve.gallery.rows import Vectors

# FAISS multiplies matrices for a batch of queries only from this many numbers (queries × embedding size) on. Its own
# choice of 128 000 leaves batches below 500 queries to one-by-one loops: 64 queries over 40 000 vectors of 256 then
# take 102 ms instead of 17 ms on two cores. Lower than this, one or two queries get slower. Releases that compare the
# number of queries alone come with a lower value, which stays.
faiss.cvar.distance_compute_blas_threshold = min(faiss.cvar.distance_compute_blas_threshold, 4096)

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
_CANDIDATES = {"ivf_sq8": 4, "ivf_pq": 64}

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

# FAISS has no quick way to pass over rows when it multiplies matrices: up to so many that must not be found are asked
# for in addition and left out.
_FEW_REMOVED = 1024

_HnswParameters: Any = faiss.SearchParametersHNSW  # type: ignore[attr-defined]
_IvfParameters: Any = faiss.SearchParametersIVF
_inner_products_by_idx: Any = faiss.fvec_inner_products_by_idx  # type: ignore[attr-defined]

Found = tuple[Int64[np.ndarray, "num_queries _found"], Float32[np.ndarray, "num_queries _found"]]


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


def search_exactly(
    vectors: Vectors,
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    *,
    start: int,
    end: int,
    top_k: int,
    passing: Bool[np.ndarray, " _rows"] | None = None,
) -> Found:
    """Every row of [start, end) is compared with; see `Index.search`."""
    parts = [
        _search_piece(piece, queries, first, top_k, None if passing is None else passing[first : first + len(piece)])
        for first, piece in vectors.pieces(start, end)
    ]
    return merge(parts, top_k)


def merge(parts: list[Found], top_k: int) -> Found:
    """The nearest of all parts; of those that are equally near, the first rows."""
    if len(parts) == 1:
        return parts[0]  # as FAISS sorted it, without regard to rows: see `in_order`
    rows = np.concatenate([rows for rows, _ in parts], axis=1)
    similarities = np.concatenate([similarities for _, similarities in parts], axis=1)
    return in_order((rows, similarities), top_k)


def in_order(found: Found, top_k: int) -> Found:
    """The nearest first, and those that are equally near by row."""
    rows, similarities = found
    if rows.shape[1] <= top_k and (similarities[:, 1:] < similarities[:, :-1]).all():
        return found
    return _chosen(found, np.lexsort((rows, -similarities), axis=1)[:, :top_k])


def compare_again(
    vectors: Vectors,
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    rows: Int64[np.ndarray, "num_queries num_candidates"],
    top_k: int,
) -> Found:
    """The nearest of each query's own candidates, by their vectors; row −1 is none."""
    similarities = np.full(rows.shape, -np.inf, dtype=np.float32)
    pieces = vectors.pieces(0, int(rows.max(initial=0)) + 1)
    if len(pieces) == 1:  # always where the rows were read from files
        _inner_products_by_idx(
            *map(faiss.swig_ptr, (similarities, queries, pieces[0][1], rows)), vectors.embedding_size, *rows.shape
        )
        similarities[rows < 0] = -np.inf
    else:
        for query, ours, into in zip(queries, rows, similarities, strict=True):
            found = ours >= 0
            into[found] = vectors.take(ours[found]) @ query
    return _chosen((rows, similarities), np.argsort(-similarities, axis=1)[:, :top_k])


def similarities_of(
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    candidates: Float32[np.ndarray, "num_candidates embedding_size"],
    rows: Int64[np.ndarray, " num_candidates"],
    top_k: int,
) -> Found:
    """The nearest among few vectors that lie together, as `rows`."""
    places, similarities = _search_piece(candidates, queries, 0, top_k, None)
    return np.where(places >= 0, rows[places], -1), similarities


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
        selector = None if passing is None else _Selector(passing[: self.num_rows])
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


class _Ivf:
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
        selector = None if passing is None else _Selector(passing[: self.num_rows])
        parameters = self._parameters.get(nprobe)
        if selector is not None or parameters is None:
            parameters = _IvfParameters(nprobe=nprobe)
            if selector is None:
                self._parameters[nprobe] = parameters
            else:
                parameters.sel = selector.of_faiss
        num_candidates = min(self.num_rows, top_k * _CANDIDATES[self.kind])
        rows, _ = _ask(self._index, queries, num_candidates, parameters)
        return compare_again(self._vectors, queries, rows, top_k)

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


class _OnGpu:
    """A copy of an index on the first GPU. What FAISS cannot do there (filters) is left to the index on the CPU.

    FAISS's GPU indexes take one search at a time.
    """

    def __init__(self, on_cpu: Any, vectors: Vectors, fallback: Index | None, looks: int) -> None:
        self.kind: ServingKind = "exact" if fallback is None else fallback.kind
        self.num_rows = int(on_cpu.ntotal)
        self.looks = looks
        self._vectors = vectors
        self._fallback = fallback
        self._resources: Any = _of_gpu("StandardGpuResources")()
        self._index: Any = _of_gpu("index_cpu_to_gpu")(self._resources, 0, on_cpu)
        self._one = threading.Lock()

    @property
    def num_bytes(self) -> int:
        return 0 if self._fallback is None else self._fallback.num_bytes

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        if self._fallback is None:
            if passing is not None:
                return search_exactly(self._vectors, queries, start=0, end=self.num_rows, top_k=top_k, passing=passing)
            with self._one:
                similarities, rows = self._index.search(queries, top_k)
            return rows, similarities
        if passing is not None:
            return self._fallback.search(queries, top_k=top_k, passing=passing, share=share, effort=effort)
        with self._one:
            self._index.nprobe = min(self._index.nlist, effort.nprobe or self.looks)
            _, rows = self._index.search(queries, min(self.num_rows, top_k * _CANDIDATES[self.kind]))
        return compare_again(self._vectors, queries, rows, top_k)

    def write(self, file: Path) -> None:
        if self._fallback is not None:  # "exact" has no index to write
            self._fallback.write(file)


def check_gpu() -> None:
    """Raise `DeviceError` when there is no FAISS for GPUs, or no GPU."""
    if not hasattr(faiss, "StandardGpuResources"):
        raise DeviceError(
            "the gallery cannot be searched on a GPU: the installed FAISS is built without it. Install gfp-serve[gpu] "
            "instead of gfp-serve[cpu], or choose --gallery-device cpu."
        )
    if faiss.get_num_gpus() == 0:
        raise DeviceError(
            "the gallery cannot be searched on a GPU: FAISS finds none. Check that nvidia-smi lists one, or choose "
            "--gallery-device cpu."
        )


def copy_to_gpu(index: Index | None, vectors: Vectors, num_rows: int) -> Index | None:
    """The index on the GPU; of None, which is "exact", its first rows there. HNSW stays: FAISS has none for GPUs."""
    if isinstance(index, _Ivf):
        return _OnGpu(index.of_faiss, vectors, index, index.looks)
    if index is not None or num_rows == 0:
        return index
    flat = faiss.IndexFlatIP(vectors.embedding_size)
    for _, piece in vectors.pieces(0, num_rows):
        flat.add(piece)
    return _OnGpu(flat, vectors, None, 0)


def _of_gpu(name: str) -> Any:
    # Names that a FAISS for CPUs does not have.
    return getattr(faiss, name)


class _Selector:
    """Which rows may be found, as FAISS reads it; the bits live as long as this does."""

    def __init__(self, passing: Bool[np.ndarray, " num_rows"]) -> None:
        self._bits = np.packbits(passing, bitorder="little")
        self.of_faiss = faiss.IDSelectorBitmap(len(passing), faiss.swig_ptr(self._bits))


def _search_piece(
    piece: Float32[np.ndarray, "num_rows embedding_size"],
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    first: int,
    top_k: int,
    passing: Bool[np.ndarray, " num_rows"] | None,
) -> Found:
    num_left_out = 0 if passing is None else len(piece) - int(np.count_nonzero(passing))
    multiplies = queries.size >= faiss.cvar.distance_compute_blas_threshold
    more = num_left_out if multiplies and num_left_out <= _FEW_REMOVED else 0
    wanted = min(top_k + more, len(piece))
    similarities = np.empty((len(queries), wanted), dtype=np.float32)
    rows = np.empty((len(queries), wanted), dtype=np.int64)
    selector = None if passing is None or more == num_left_out else _Selector(passing)
    faiss.knn_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(piece),
        piece.shape[1],
        len(queries),
        len(piece),
        wanted,
        faiss.swig_ptr(similarities),
        faiss.swig_ptr(rows),
        *(() if selector is None else (selector.of_faiss,)),
    )
    if more and passing is not None:
        order = np.argsort(~passing[rows], axis=1, kind="stable")[:, :top_k]
        rows, similarities = _chosen((rows, similarities), order)
        rows[~passing[rows]] = -1
        similarities[rows < 0] = -np.inf
    if first:
        rows[rows >= 0] += first
    return rows, similarities


def _chosen(found: Found, places: Int64[np.ndarray, "num_queries _chosen"]) -> Found:
    """Of each query's rows those at its places. `np.take_along_axis` does it in four times the time."""
    rows, similarities = found
    places = places + np.arange(0, rows.size, rows.shape[1])[:, None]
    return rows.take(places), similarities.take(places)


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
    return _Ivf(kind, made, vectors)


def _write_index(index: Any, file: Path) -> None:
    # Not by its name: of a disk that gets full with the last bytes, FAISS does not say a word.
    with file.open("wb") as opened:
        faiss.write_index(index, faiss.PyCallbackIOWriter(opened.write))  # type: ignore[attr-defined]


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
