"""Copies of indexes on a GPU, by a FAISS that is built for it."""

import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.errors import DeviceError
from gfp_serve.gallery.embedded.exact import Found, compare_again, search_exactly
from gfp_serve.gallery.embedded.index import (
    CANDIDATES,
    Index,
    IvfIndex,
    ServingKind,
)
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort


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
            _, rows = self._index.search(queries, min(self.num_rows, top_k * CANDIDATES[self.kind]))
        return compare_again(self._vectors, queries, rows, num_rows=self.num_rows, top_k=top_k)

    def write(self, file: Path) -> None:
        if self._fallback is not None:  # "exact" has no index to write
            self._fallback.write(file)


def check_gpu() -> None:
    """Raise `DeviceError` when there is no FAISS for GPUs, or no GPU."""
    if not hasattr(faiss, "StandardGpuResources"):
        raise DeviceError(
            "the gallery cannot be searched on a GPU: the installed FAISS is built without it. Install gfp-serve with "
            "the extra 'gpu' instead of 'cpu', or choose --gallery-device cpu."
        )
    if faiss.get_num_gpus() == 0:
        raise DeviceError(
            "the gallery cannot be searched on a GPU: FAISS finds none. Check that nvidia-smi lists one, or choose "
            "--gallery-device cpu."
        )


def copy_to_gpu(index: Index | None, vectors: Vectors, num_rows: int) -> Index | None:
    """The index on the GPU; of None, which is "exact", its first rows there. HNSW stays: FAISS has none for GPUs."""
    if isinstance(index, IvfIndex):
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
