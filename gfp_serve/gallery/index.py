"""Exact search by cosine: the only file that knows FAISS."""

import faiss
import numpy as np
from jaxtyping import Float32, Int64

# FAISS multiplies matrices for a batch of queries only from this many numbers (queries × embedding size) on. Its own
# choice of 128 000 leaves batches below 500 queries to one-by-one loops: 64 queries over 40 000 vectors of 256 then
# take 102 ms instead of 17 ms on two cores. Lower than this, one or two queries get slower. Releases that compare the
# number of queries alone come with a lower value, which stays.
faiss.cvar.distance_compute_blas_threshold = min(faiss.cvar.distance_compute_blas_threshold, 4096)


class ExactIndex:
    """Unit vectors under numbers that never repeat. Searches may overlap each other, but not `add` or `remove`."""

    def __init__(self, embedding_size: int) -> None:
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(embedding_size))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(
        self, numbers: Int64[np.ndarray, " num_items"], vectors: Float32[np.ndarray, "num_items embedding_size"]
    ) -> None:
        self._index.add_with_ids(vectors, numbers)

    def remove(self, numbers: Int64[np.ndarray, " num_items"]) -> None:
        # FAISS shifts every vector behind a removed one, so a call without any must not cost that.
        if len(numbers):
            self._index.remove_ids(faiss.IDSelectorBatch(numbers))

    def vectors(self, numbers: Int64[np.ndarray, " num_items"]) -> Float32[np.ndarray, "num_items embedding_size"]:
        return self._index.reconstruct_batch(numbers)

    def search(
        self, queries: Float32[np.ndarray, "num_queries embedding_size"], *, top_k: int
    ) -> tuple[Int64[np.ndarray, "num_queries found"], Float32[np.ndarray, "num_queries found"]]:
        """Numbers and cosines, nearest first, equal ones by number; `found` is `top_k` or all there are."""
        # FAISS pads with number -1 what it is asked for in vain.
        similarities, numbers = self._index.search(queries, min(top_k, len(self)))
        order = np.lexsort((numbers, -similarities), axis=1)
        numbers, similarities = np.take_along_axis(numbers, order, 1), np.take_along_axis(similarities, order, 1)
        return numbers, np.clip(similarities, -1, 1)
