"""Libraries that search an HNSW graph, with the same settings: FAISS, hnswlib and usearch."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.galleries.made import SIZE, TOP_K

# The settings of the gallery.
LINKS, CONSTRUCTION = 16, 160
EFFORTS = (16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96, 128, 192, 256)
GOAL = 0.99


class Library(ABC):
    """An index of unit vectors by inner product. Its keys are row numbers."""

    package: str
    file_name: str

    @abstractmethod
    def build(self, vectors: np.ndarray, threads: int) -> None: ...

    @abstractmethod
    def save(self, file: Path) -> None: ...

    @abstractmethod
    def load(self, file: Path) -> None: ...

    @abstractmethod
    def search(self, queries: np.ndarray, effort: int, threads: int) -> np.ndarray: ...

    def map(self, file: Path) -> None:
        """Open the file without reading all of it."""
        raise NotImplementedError

    def search_half(self, query: np.ndarray, effort: int) -> np.ndarray:
        """Search only even rows, with the library's own filter, in one thread."""
        raise NotImplementedError


class Faiss(Library):
    package = "faiss-cpu"

    def __init__(self, storage: str = "f32") -> None:
        self.file_name = f"faiss-{storage}"
        self._faiss: Any = faiss  # its stubs lack what is used here
        self._index: Any = None
        self._parameters = {effort: self._faiss.SearchParametersHNSW(efSearch=effort) for effort in EFFORTS}

    def build(self, vectors: np.ndarray, threads: int) -> None:
        self._index = self._empty()
        self._index.hnsw.efConstruction = CONSTRUCTION
        faiss.omp_set_num_threads(threads)
        self._index.train(vectors)
        self._index.add(vectors)

    def _empty(self) -> Any:
        if self.file_name == "faiss-f32":
            return faiss.IndexHNSWFlat(SIZE, LINKS, faiss.METRIC_INNER_PRODUCT)
        return self._faiss.IndexHNSWSQ(SIZE, faiss.ScalarQuantizer.QT_fp16, LINKS, faiss.METRIC_INNER_PRODUCT)

    def save(self, file: Path) -> None:
        faiss.write_index(self._index, str(file))

    def load(self, file: Path) -> None:
        self._index = faiss.read_index(str(file))
        self._bits = np.packbits(np.arange(self._index.ntotal) % 2 == 0, bitorder="little")
        even = self._faiss.IDSelectorBitmap(self._bits)
        self._halves = {effort: self._faiss.SearchParametersHNSW(efSearch=effort, sel=even) for effort in EFFORTS}

    def map(self, file: Path) -> None:
        faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)

    def search(self, queries: np.ndarray, effort: int, threads: int) -> np.ndarray:
        faiss.omp_set_num_threads(threads)
        return self._index.search(queries, TOP_K, params=self._parameters[effort])[1]

    def search_half(self, query: np.ndarray, effort: int) -> np.ndarray:
        faiss.omp_set_num_threads(1)
        return self._index.search(query, TOP_K, params=self._halves[effort])[1]


class Hnswlib(Library):
    package = "hnswlib"
    file_name = "hnswlib"

    def __init__(self) -> None:
        import hnswlib

        self._index = hnswlib.Index("ip", SIZE)

    def build(self, vectors: np.ndarray, threads: int) -> None:
        self._index.init_index(len(vectors), ef_construction=CONSTRUCTION, M=LINKS)
        self._index.add_items(vectors, num_threads=threads)

    def save(self, file: Path) -> None:
        self._index.save_index(str(file))

    def load(self, file: Path) -> None:
        self._index.load_index(str(file))

    def search(self, queries: np.ndarray, effort: int, threads: int) -> np.ndarray:
        self._index.set_ef(effort)
        return self._index.knn_query(queries, TOP_K, num_threads=threads)[0]

    def search_half(self, query: np.ndarray, effort: int) -> np.ndarray:
        self._index.set_ef(effort)
        return self._index.knn_query(query, TOP_K, num_threads=1, filter=lambda row: row % 2 == 0)[0]


class Usearch(Library):
    package = "usearch"

    def __init__(self, dtype: str) -> None:
        from usearch.index import Index

        self.file_name = f"usearch-{dtype}"
        self._index = Index(ndim=SIZE, metric="ip", dtype=dtype, connectivity=LINKS, expansion_add=CONSTRUCTION)

    def build(self, vectors: np.ndarray, threads: int) -> None:
        self._index.add(np.arange(len(vectors)), vectors, threads=threads)

    def save(self, file: Path) -> None:
        self._index.save(str(file))

    def load(self, file: Path) -> None:
        self._index.load(str(file))

    def map(self, file: Path) -> None:
        from usearch.index import Index

        Index.restore(str(file), view=True)

    def search(self, queries: np.ndarray, effort: int, threads: int) -> np.ndarray:
        return self._candidates(queries, effort, threads, TOP_K)

    def _candidates(self, queries: np.ndarray, effort: int, threads: int, count: int) -> np.ndarray:
        self._index.expansion_search = effort
        asked = queries if len(queries) > 1 else queries[0]  # a single query takes a shorter path
        return self._index.search(asked, count, threads=threads).keys.reshape(len(queries), -1)


class ComparedUsearch(Usearch):
    """Finds candidates with 8-bit vectors, and compares each of them again with the full vectors."""

    def __init__(self, dtype: str, vectors: np.ndarray) -> None:
        super().__init__(dtype)
        self._vectors = vectors

    def search(self, queries: np.ndarray, effort: int, threads: int) -> np.ndarray:
        keys = self._candidates(queries, effort, threads, min(effort, 6 * TOP_K)).astype(np.int64)
        scores = np.matmul(self._vectors[keys], queries[:, :, None])[:, :, 0]
        return np.take_along_axis(keys, np.argsort(-scores, axis=1)[:, :TOP_K], axis=1)


LIBRARIES: dict[str, Callable[[np.ndarray], Library]] = {
    "FAISS": lambda _: Faiss(),
    "FAISS, f16": lambda _: Faiss("f16"),
    "hnswlib": lambda _: Hnswlib(),
    "usearch": lambda _: Usearch("f32"),
    "usearch, f16": lambda _: Usearch("f16"),
    "usearch, i8": lambda _: Usearch("i8"),
    "usearch, i8, compared": lambda vectors: ComparedUsearch("i8", vectors),
}
LIBRARY_NOTES = {
    "FAISS": [
        "filters: selectors in C++ (bitmap, range, batch), asked while the graph is followed",
        "deletion: none in an HNSW index; adding beside a search is not allowed",
        "opens mapped (IO_FLAG_MMAP_IFC); upkeep: 1.15.1 of September 2026, several releases a year",
    ],
    "FAISS, f16": ["vectors in half the bytes (IndexHNSWSQ): exact scores must be had from elsewhere"],
    "hnswlib": [
        "filters: a Python callable for each candidate, under the GIL; the library advises one thread for it",
        "deletion: by mark, whose place can be used again; capacity must be set, and raised by hand",
        "adding is safe beside adding but not beside a search; no mapped opening",
        "upkeep: 0.8.0 of December 2023 is the last release; source only, compiled for the machine at hand",
    ],
    "usearch": [
        "filters: in C++, C and Rust, none in Python",
        "deletion: remove(), whose place is used again",
        "opens mapped (view=True)",
        "upkeep: 2.26.6 of October 2026, many releases; its issue 735, of 2026: parallel adds can leave items unfound",
    ],
    "usearch, f16": ["vectors in half the bytes: exact scores must be had from elsewhere"],
    "usearch, i8": ["one step of 1/127 for every number: unit vectors of 256 numbers use few of the steps"],
    "usearch, i8, compared": ["60 candidates at most are compared again with the vectors, kept beside the index"],
}
