"""HNSW: a graph that links every vector to its neighbours. The index contains the vectors themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.gallery.embedded.exact import Found, Selector
from gfp_serve.gallery.embedded.index import HNSW_LINKS, ParameterCache, search_faiss, write_faiss
from gfp_serve.items import Effort, ServingKind

# Candidates for the links of a vector that is added.
_CONSTRUCTION = 160

_SearchParameters: Any = faiss.SearchParametersHNSW  # type: ignore[attr-defined]


def empty_hnsw(embedding_size: int) -> Any:
    """An empty index of FAISS."""
    made: Any = faiss.IndexHNSWFlat(embedding_size, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    made.hnsw.efConstruction = _CONSTRUCTION
    return made


class HnswIndex:
    """See `Index`."""

    kind: ServingKind = "hnsw"

    def __init__(self, faiss_index: Any, default_effort: int) -> None:
        self.faiss_index = faiss_index
        self.num_rows = int(faiss_index.ntotal)
        self.default_effort = default_effort
        self._parameters = ParameterCache(lambda num_candidates: _SearchParameters(efSearch=num_candidates))

    @classmethod
    def read(cls, file: Path, default_effort: int) -> "HnswIndex":
        """Map a file into memory that `write` filled. It must have been verified: FAISS trusts it."""
        return cls(faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC), default_effort)

    @property
    def num_bytes(self) -> int:
        hnsw = self.faiss_index.hnsw
        return int(hnsw.neighbors.size() * 4 + hnsw.offsets.size() * 8 + hnsw.levels.size() * 4)

    @property
    def vectors(self) -> Float32[np.ndarray, "num_rows embedding_size"]:
        """The vectors as they lie in the index. The array keeps the index alive."""
        return np.asarray(_StoredVectors(self.faiss_index))

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        # Candidates that do not pass count as well, so there must be more of them.
        num_candidates = min(self.num_rows, int(max(effort.ef_search or self.default_effort, top_k) / share))
        selector = None if passing is None else Selector(passing[: self.num_rows])
        return search_faiss(self.faiss_index, queries, top_k, self._parameters.get(num_candidates, selector))

    def num_compared(self, effort: Effort) -> int:
        return min(self.num_rows, HNSW_LINKS * (effort.ef_search or self.default_effort))

    def write(self, write: Callable[[bytes], int]) -> None:
        write_faiss(self.faiss_index, write)


class _StoredVectors:
    """What numpy needs to look into FAISS's memory. It keeps the index alive."""

    def __init__(self, index: Any) -> None:
        storage: Any = faiss.downcast_index(index.storage)
        self.index = index
        self.__array_interface__ = {
            "version": 3,
            "shape": (int(index.ntotal), int(index.d)),
            "typestr": "<f4",
            "data": (int(storage.get_xb()), True),
        }
