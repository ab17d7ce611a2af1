"""IVF: lists of similar vectors. A search reads only some of the lists. The vectors in the lists are compressed.

What the compressed vectors find is compared again with the vectors themselves, which lie beside the index.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.gallery.embedded.exact import Found, Selector, rerank
from gfp_serve.gallery.embedded.index import ParameterCache, search_faiss, write_faiss
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort, ServingKind

# n items are divided into _LISTS × √n lists.
_LISTS = 2.0
# Vectors that the centre of a list is computed from (FAISS asks for at least 39), and those for the codes.
_TRAINING_ROWS_PER_LIST, _TRAINING_ROWS_FOR_CODES = 64, 10240
# The effort is measured for this many neighbours. For each of more, the lists of this many more vectors are read.
# Without that, only 0.61 of 300 neighbours among 20 000 vectors are true, and 0.26 of 1000; with it, 0.95 and 0.98.
_NEIGHBOURS_OF_EFFORT, _VECTORS_PER_NEIGHBOUR = 10, 4
# How many candidates are compared again for each neighbour.
_CANDIDATES = {"ivf_sq8": 4, "ivf_pq": 64}

_SearchParameters: Any = faiss.SearchParametersIVF


def trained_ivf(
    kind: ServingKind,
    vectors: Vectors,
    first_rows: Int64[np.ndarray, " num_vectors"],
    should_stop: Callable[[], bool],
) -> Any:
    """An index of FAISS whose lists and codes suit the vectors of these rows, but which is still empty.

    None if it was stopped.
    """
    embedding_size, num_vectors = vectors.embedding_size, len(first_rows)
    num_lists = max(1, int(_LISTS * num_vectors**0.5))
    num_training = min(num_vectors, _TRAINING_ROWS_PER_LIST * num_lists)
    # Always the same rows, so that an index that is made again gives the same answers.
    chosen = np.sort(np.random.default_rng(0).permutation(num_vectors)[:num_training])
    training = vectors.take(first_rows[chosen])
    if kind == "ivf_sq8":
        description = f"IVF{num_lists},SQ8"
    else:
        parts = next(parts for parts in range(max(1, embedding_size // 4), 0, -1) if embedding_size % parts == 0)
        description = f"IVF{num_lists},PQ{parts}"
    made: Any = faiss.index_factory(embedding_size, description, faiss.METRIC_INNER_PRODUCT)
    # FAISS cannot be interrupted, so each of its rounds is a call. A call begins with the centres of the one before.
    made.cp.min_points_per_centroid = 1
    num_rounds, made.cp.niter = made.cp.niter, 1
    clustering: Any = faiss.Clustering(embedding_size, num_lists, made.cp)
    for _ in range(num_rounds):
        if should_stop():
            return None
        clustering.train(training, made.quantizer)
    if kind == "ivf_pq":
        made.pq.cp.min_points_per_centroid = 1
        made.pq.cp.max_points_per_centroid = _TRAINING_ROWS_FOR_CODES // 256
        made.pq.cp.niter = 4  # codes only choose candidates; more rounds would take minutes
        made.do_polysemous_training = False  # it orders the codes for a search that is not used, and takes minutes
    made.train(training)
    return made


class IvfIndex:
    """See `Index`. Its rows lie in `vectors` at `first_rows`; None means at their own numbers."""

    def __init__(
        self,
        kind: ServingKind,
        faiss_index: Any,
        vectors: Vectors,
        first_rows: Int64[np.ndarray, " num_vectors"] | None,
        default_effort: int,
    ) -> None:
        self.kind = kind
        self.faiss_index = faiss_index
        self.num_rows = int(faiss_index.ntotal)
        self.default_effort = default_effort
        self._vectors = vectors
        self._first_rows = first_rows
        self._num_lists = int(faiss_index.nlist)
        self._parameters = ParameterCache(lambda num_lists: _SearchParameters(nprobe=num_lists))

    @classmethod
    def read(
        cls,
        kind: ServingKind,
        file: Path,
        vectors: Vectors,
        first_rows: Int64[np.ndarray, " num_vectors"] | None,
        default_effort: int,
    ) -> "IvfIndex":
        """Read a file that `write` filled. It must have been verified: FAISS trusts it."""
        return cls(kind, faiss.read_index(str(file)), vectors, first_rows, default_effort)

    @property
    def num_bytes(self) -> int:
        code_size, embedding_size = self.faiss_index.code_size, self.faiss_index.d
        return int(self.num_rows * (code_size + 8) + self._num_lists * embedding_size * 4)

    def num_candidates(self, top_k: int) -> int:
        """How many rows are compared again for this many neighbours."""
        return min(self.num_rows, top_k * _CANDIDATES[self.kind])

    def num_lists(self, top_k: int, share: float, effort: Effort) -> int:
        """How many lists are read for this many neighbours; maybe more than there are.

        The fewer rows pass, and the more neighbours are wanted, the more lists must be read to find as many.
        """
        lists = effort.nprobe
        if lists is None:
            num_vectors = _VECTORS_PER_NEIGHBOUR * max(0, top_k - _NEIGHBOURS_OF_EFFORT)
            lists = self.default_effort + num_vectors * self._num_lists // self.num_rows
        return int(lists / share)

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        passing: Bool[np.ndarray, " _rows"] | None,
        share: float,
        effort: Effort,
    ) -> Found:
        num_lists = min(self._num_lists, self.num_lists(top_k, share, effort))
        selector = None if passing is None else Selector(passing[: self.num_rows])
        parameters = self._parameters.get(num_lists, selector)
        rows, _ = search_faiss(self.faiss_index, queries, self.num_candidates(top_k), parameters)
        return self.rerank(queries, rows, top_k)

    def rerank(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        candidates: Int64[np.ndarray, "num_queries _candidates"],
        top_k: int,
    ) -> Found:
        """Compare each query with the vectors of its own candidates; −1 means none."""
        return rerank(self._vectors, queries, candidates, first_rows=self._first_rows, top_k=top_k)

    def num_compared(self, effort: Effort) -> int:
        return min(self._num_lists, effort.nprobe or self.default_effort) * self.num_rows // self._num_lists

    def write(self, write: Callable[[bytes], int]) -> None:
        write_faiss(self.faiss_index, write)
