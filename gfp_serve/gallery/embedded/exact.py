"""Exact search of unit vectors by cosine: FAISS compares each query with every vector."""

from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.gallery.embedded.rows import Vectors

# From this many numbers in a batch of queries (queries × embedding size), FAISS multiplies matrices instead of looping
# over queries. Its own threshold of 128 000 loops for batches below 500 queries: 64 queries over 40 000 vectors of 256
# numbers then take 38 ms instead of 7.5 ms on two cores. With a lower threshold than ours, one or two queries get
# slower. Some releases compare only the number of queries, with a lower threshold of their own; that stays.
faiss.cvar.distance_compute_blas_threshold = min(faiss.cvar.distance_compute_blas_threshold, 4096)

# FAISS cannot skip rows quickly when it multiplies matrices. If at most _FEW_REMOVED rows must not be found, they are
# searched too and dropped from the result. If more must not, the rows that may be found are copied, _ROWS_AT_ONCE at a
# time.
_FEW_REMOVED = 512
_ROWS_AT_ONCE = 8192
# Partial results that are kept until they are merged. Each contains the nearest rows of all queries.
_PARTS_AT_ONCE = 8

_inner_products_by_idx: Any = faiss.fvec_inner_products_by_idx  # type: ignore[attr-defined]

# Rows and their cosines. Row −1 marks places for which nothing was found.
Found = tuple[Int64[np.ndarray, "num_queries _found"], Float32[np.ndarray, "num_queries _found"]]


def search_exactly(
    vectors: Vectors,
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    *,
    start: int,
    end: int,
    top_k: int,
    passing: Bool[np.ndarray, " _rows"] | None = None,
) -> Found:
    """Compare the queries with every row in [start, end) that is true in `passing`. See `Index.search`."""
    parts = [
        _search_piece(piece, queries, first, top_k, None if passing is None else passing[first : first + len(piece)])
        for first, piece in vectors.pieces(start, end)
    ]
    return merge_parts(parts, top_k)


def merge_parts(parts: list[Found], top_k: int) -> Found:
    """The nearest rows of all parts. If several parts are equally near, lower rows come first."""
    if len(parts) == 1:
        return parts[0]  # FAISS sorts by similarity only; `in_order` also sorts by row
    rows = np.concatenate([rows for rows, _ in parts], axis=1)
    similarities = np.concatenate([similarities for _, similarities in parts], axis=1)
    return in_order((rows, similarities), top_k)


def in_order(found: Found, top_k: int) -> Found:
    """Sort by similarity, nearest first, and rows of equal similarity by row; keep the first `top_k`."""
    rows, similarities = found
    if rows.shape[1] <= top_k and (similarities[:, 1:] < similarities[:, :-1]).all():
        return found
    return _pick(found, np.lexsort((rows, -similarities), axis=1)[:, :top_k])


def rerank(
    vectors: Vectors,
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    candidates: Int64[np.ndarray, "num_queries num_candidates"],
    *,
    first_rows: Int64[np.ndarray, " num_vectors"] | None,
    top_k: int,
) -> Found:
    """Compare each query with the vectors of its own `candidates` and keep the nearest `top_k`; −1 means no candidate.

    A candidate's vector lies at its place in `first_rows`; None means that its number is its row.
    """
    rows = candidates if first_rows is None else np.where(candidates < 0, -1, first_rows[candidates])
    similarities = np.full(rows.shape, -np.inf, dtype=np.float32)
    pieces = vectors.pieces(0, int(rows.max(initial=-1)) + 1)
    if len(pieces) == 1:  # always the case after rows were read from files
        _inner_products_by_idx(
            *map(faiss.swig_ptr, (similarities, queries, pieces[0][1], rows)), vectors.embedding_size, *rows.shape
        )
    else:
        for query, ours, into in zip(queries, rows, similarities, strict=True):
            found = ours >= 0
            into[found] = vectors.take(ours[found]) @ query
    return _pick((candidates, similarities), (-similarities).argsort(axis=1)[:, :top_k])


def search_few(
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    candidates: Float32[np.ndarray, "num_candidates embedding_size"],
    rows: Int64[np.ndarray, " num_candidates"],
    top_k: int,
) -> Found:
    """Search a few vectors that lie together in memory; `rows` are their row numbers."""
    places, similarities = _search_piece(candidates, queries, 0, top_k, None)
    return np.where(places >= 0, rows[places], -1), similarities


class Selector:
    """The rows that may be found, in the form that FAISS reads. Keep the object as long as FAISS uses it."""

    def __init__(self, passing: Bool[np.ndarray, " num_rows"]) -> None:
        self._bits = np.packbits(passing, bitorder="little")
        self.faiss_selector = faiss.IDSelectorBitmap(len(passing), faiss.swig_ptr(self._bits))


def _search_piece(
    piece: Float32[np.ndarray, "num_rows embedding_size"],
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    first: int,
    top_k: int,
    passing: Bool[np.ndarray, " num_rows"] | None,
) -> Found:
    if passing is None:
        rows, similarities = _search_faiss(piece, queries, top_k)
    elif queries.size < faiss.cvar.distance_compute_blas_threshold:
        rows, similarities = _search_faiss(piece, queries, top_k, Selector(passing))
    elif (num_removed := len(piece) - int(np.count_nonzero(passing))) <= _FEW_REMOVED:
        found = _search_faiss(piece, queries, top_k + num_removed)
        order = np.argsort(~passing[found[0]], axis=1, kind="stable")[:, :top_k]
        rows, similarities = _pick(found, order)
        rows[~passing[rows]] = -1
        similarities[rows < 0] = -np.inf
    else:
        rows, similarities = _search_copies(piece, queries, top_k, np.flatnonzero(passing))
    if first:
        rows[rows >= 0] += first
    return rows, similarities


def _search_copies(
    piece: Float32[np.ndarray, "num_rows embedding_size"],
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    top_k: int,
    passing: Int64[np.ndarray, " num_passing"],
) -> Found:
    parts = [(np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32))]
    for start in range(0, len(passing), _ROWS_AT_ONCE):
        ours = passing[start : start + _ROWS_AT_ONCE]
        places, similarities = _search_faiss(piece[ours], queries, top_k)
        parts.append((ours[places], similarities))
        if len(parts) == _PARTS_AT_ONCE:
            parts = [merge_parts(parts, top_k)]
    return merge_parts(parts, top_k)


def _search_faiss(
    piece: Float32[np.ndarray, "num_rows embedding_size"],
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    top_k: int,
    selector: Selector | None = None,
) -> Found:
    top_k = min(top_k, len(piece))
    similarities = np.empty((len(queries), top_k), dtype=np.float32)
    rows = np.empty((len(queries), top_k), dtype=np.int64)
    faiss.knn_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(piece),
        piece.shape[1],
        len(queries),
        len(piece),
        top_k,
        faiss.swig_ptr(similarities),
        faiss.swig_ptr(rows),
        *(() if selector is None else (selector.faiss_selector,)),
    )
    return rows, similarities


def _pick(found: Found, places: Int64[np.ndarray, "num_queries _picked"]) -> Found:
    """Take the rows at these places of each query. `np.take_along_axis` takes four times as long."""
    rows, similarities = found
    if len(rows) > 1:
        places = places + np.arange(0, rows.size, rows.shape[1])[:, None]
    return rows.take(places), similarities.take(places)
