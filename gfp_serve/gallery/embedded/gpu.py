"""Copies of indexes on a GPU. They need a FAISS that is built for GPUs."""

import threading
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.errors import DeviceError
from gfp_serve.gallery.embedded.exact import Found, rerank, search_exactly
from gfp_serve.gallery.embedded.index import Index
from gfp_serve.gallery.embedded.ivf import IvfIndex
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort, ServingKind


class _GpuIndex:
    """A copy of an index on the first GPU; without an `on_cpu` index, a copy of the vectors there.

    FAISS cannot filter on a GPU: such searches run on the CPU. Its GPU indexes take one search at a time.
    """

    def __init__(self, faiss_index: Any, vectors: Vectors, on_cpu: IvfIndex | None) -> None:
        self.kind: ServingKind = "exact" if on_cpu is None else on_cpu.kind
        self.num_rows = int(faiss_index.ntotal)
        self.default_effort = 0 if on_cpu is None else on_cpu.default_effort
        self._vectors = vectors
        self._on_cpu = on_cpu
        self._resources: Any = _faiss_for_gpus("StandardGpuResources")()
        self._index: Any = _faiss_for_gpus("index_cpu_to_gpu")(self._resources, 0, faiss_index)
        self._one_at_a_time = threading.Lock()

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
        if self._on_cpu is None:
            if passing is not None:
                return search_exactly(self._vectors, queries, start=0, end=self.num_rows, top_k=top_k, passing=passing)
            with self._one_at_a_time:
                similarities, rows = self._index.search(queries, top_k)
            return rows, similarities
        if passing is not None:
            return self._on_cpu.search(queries, top_k=top_k, passing=passing, share=share, effort=effort)
        with self._one_at_a_time:
            self._index.nprobe = min(self._index.nlist, effort.nprobe or self.default_effort)
            _, rows = self._index.search(queries, self._on_cpu.num_candidates(top_k))
        return rerank(self._vectors, queries, rows, num_rows=self.num_rows, top_k=top_k)

    def write(self, write: Callable[[bytes], int]) -> None:
        if self._on_cpu is not None:  # "exact" has no index to write
            self._on_cpu.write(write)


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

    HNSW stays on the CPU, because FAISS has no HNSW for GPUs.
    """
    if isinstance(index, IvfIndex):
        return _GpuIndex(index.faiss_index, vectors, index)
    if index is not None or num_rows == 0:
        return index
    flat = faiss.IndexFlatIP(vectors.embedding_size)
    for _, piece in vectors.pieces(0, num_rows):
        flat.add(piece)
    return _GpuIndex(flat, vectors, None)


def _faiss_for_gpus(name: str) -> Any:
    # A FAISS for CPUs does not have these names, so mypy does not know them.
    return getattr(faiss, name)
