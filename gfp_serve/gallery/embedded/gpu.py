"""Copies of indexes on a GPU. They need a FAISS that is built for GPUs."""

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.errors import DeviceError
from gfp_serve.gallery.embedded.distinct_index import DistinctIndex, max_missed, numbers_missed
from gfp_serve.gallery.embedded.exact import Found, search_exactly
from gfp_serve.gallery.embedded.index import Index
from gfp_serve.gallery.embedded.ivf import IvfIndex
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort, ServingKind

_log = logging.getLogger(__name__)

# FAISS's limits on a GPU: neighbours of a query, and lists that a query reads.
_MOST_NEIGHBOURS = _MOST_LISTS = 2048
# The share of the rows that are left before removed ones are dropped from an index (see settling.py).
_LEAST_SHARE = 7 / 8
# All copies share FAISS's memory and streams on the GPU, which take one call at a time.
_one_at_a_time = threading.Lock()


class _GpuIndex:
    """A copy of an index on the first GPU; without an `on_cpu` index, a copy of the vectors there.

    FAISS cannot filter on a GPU. If few rows must not be found, as after removals, more are asked for, and those are
    dropped. Other filters, and searches beyond FAISS's limits on a GPU, run on the CPU. So do all after one that
    failed.
    """

    def __init__(self, faiss_index: Any, vectors: Vectors, on_cpu: IvfIndex | None) -> None:
        self.kind: ServingKind = "exact" if on_cpu is None else on_cpu.kind
        self.num_rows = int(faiss_index.ntotal)
        self.default_effort = 0 if on_cpu is None else on_cpu.default_effort
        self._vectors = vectors
        self._on_cpu = on_cpu
        options = []
        if self.kind == "ivf_pq":
            # The lookup tables of 64 codes take 64 KiB as float32, more than FAISS has for a query.
            options = [_faiss_for_gpus("GpuClonerOptions")()]
            options[0].useFloat16 = True
        with _one_at_a_time:
            self._index: Any = _faiss_for_gpus("index_cpu_to_gpu")(_resources(), 0, faiss_index, *options)

    @property
    def num_bytes(self) -> int:
        return 0 if self._on_cpu is None else self._on_cpu.num_bytes

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        found = self._search_gpu(queries, top_k, passing, share, effort)
        if found is None:
            if self._on_cpu is not None:
                return self._on_cpu.search(queries, top_k=top_k, passing=passing, share=share, effort=effort)
            return search_exactly(self._vectors, queries, start=0, end=self.num_rows, top_k=top_k, passing=passing)
        rows, similarities = found
        if passing is not None:
            rows = np.where((rows >= 0) & passing[rows], rows, -1)
        if self._on_cpu is not None:
            return self._on_cpu.rerank(queries, rows, top_k)
        if passing is None:
            return rows, similarities
        nearest = np.argsort(rows < 0, axis=1, kind="stable")[:, :top_k]
        rows, similarities = (np.take_along_axis(each, nearest, axis=1) for each in (rows, similarities))
        return rows, np.where(rows < 0, -np.inf, similarities).astype(np.float32)

    def num_compared(self, effort: Effort) -> int:  # noqa: ARG002  (the GPU compares)
        return 0

    def write(self, write: Callable[[bytes], int]) -> None:
        if self._on_cpu is not None:  # "exact" has no index to write
            self._on_cpu.write(write)

    def _search_gpu(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> tuple[Int64[np.ndarray, "num_queries _found"], Float32[np.ndarray, "num_queries _found"]] | None:
        """What FAISS finds, nearest first, also rows that are false in `passing`; None if a GPU cannot search this.

        If more rows are false than a GPU can be asked for, too few of those that are true may be found. `View` then
        searches all rows.
        """
        wanted = top_k if self._on_cpu is None else self._on_cpu.num_candidates(top_k)
        hidden = 0 if passing is None else self.num_rows - int(np.count_nonzero(passing[: self.num_rows]))
        lists = 0 if self._on_cpu is None else self._on_cpu.num_lists(top_k, share, effort)
        if wanted > _MOST_NEIGHBOURS or (wanted + hidden > _MOST_NEIGHBOURS and share < _LEAST_SHARE):
            return None
        with _one_at_a_time:
            if self._index is None:
                return None
            try:
                if self._on_cpu is not None:
                    lists = min(self._index.nlist, lists)
                    if lists > _MOST_LISTS:
                        return None
                    self._index.nprobe = lists
                similarities, rows = self._index.search(queries, min(self.num_rows, wanted + hidden, _MOST_NEIGHBOURS))
            except RuntimeError as error:
                self._index = None
                _log.warning("a search on the GPU failed, so this gallery is searched on the CPU: %s", error)
                return None
        return rows, similarities


def check_gpu() -> None:
    """Raise `DeviceError` if there is no FAISS for GPUs, or no GPU."""
    if not hasattr(faiss, "StandardGpuResources"):
        raise DeviceError(
            "the gallery cannot be searched on a GPU: the installed FAISS is built without GPU support. Install "
            "gfp-serve with the extra 'gpu' instead of 'cpu', or choose --gallery-device cpu."
        )
    if faiss.get_num_gpus() == 0:
        raise DeviceError(
            "the gallery cannot be searched on a GPU: FAISS finds none. Check that nvidia-smi lists one, or choose "
            "--gallery-device cpu."
        )


def copy_to_gpu(index: Index | None, vectors: Vectors, num_rows: int) -> Index | None:
    """Copy an index to the GPU. None means "exact": then the first rows are copied.

    HNSW stays on the CPU, because FAISS has no HNSW for GPUs. So does an index that the GPU does not take, for lack of
    memory or because its codes are too many, and one that misses too much there; a warning says so.
    """
    try:
        if isinstance(index, DistinctIndex):
            return _copy_of_index(index, vectors)
        if index is not None or num_rows == 0:
            return index
        flat = faiss.IndexFlatIP(vectors.embedding_size)
        for _, piece in vectors.pieces(0, num_rows):
            flat.add(piece)
        return _GpuIndex(flat, vectors, None)
    except (RuntimeError, MemoryError) as error:
        kind = "exact" if index is None else index.kind
        _log.warning("the %s index of %d rows stays on the CPU, the GPU does not take it: %s", kind, num_rows, error)
        return index


def _copy_of_index(index: DistinctIndex, vectors: Vectors) -> DistinctIndex:
    if not isinstance(index.inner, IvfIndex):
        return index
    copied = _GpuIndex(index.inner.faiss_index, vectors, index.inner)
    # A GPU computes codes with fewer digits, so it may miss other vectors.
    first_rows = np.arange(copied.num_rows) if index.copies is None else index.copies.first_rows
    missed = index.missed
    for part in numbers_missed(copied, vectors, first_rows, np.arange(copied.num_rows)):
        missed = np.union1d(missed, part)
        if len(missed) > max_missed(copied.num_rows):
            _log.warning("the %s index stays on the CPU: on the GPU it misses too many of its own items", index.kind)
            return index
    return replace(index, inner=copied, missed=missed, missed_vectors=vectors.take(first_rows[missed]))


@functools.cache
def _resources() -> Any:
    """FAISS's memory and streams on the first GPU. They are 1.5 GB, so that there is one set. Hold `_one_at_a_time`."""
    return _faiss_for_gpus("StandardGpuResources")()


def _faiss_for_gpus(name: str) -> Any:
    # A FAISS for CPUs does not have these names, so mypy does not know them.
    return getattr(faiss, name)
