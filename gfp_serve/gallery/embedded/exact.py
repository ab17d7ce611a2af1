"""Search of unit vectors by cosine that compares with every one, by FAISS."""

from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.gallery.embedded.rows import Vectors

# FAISS multiplies matrices for a batch of queries only from this many numbers (queries × embedding size) on. Its own
# choice of 128 000 leaves batches below 500 queries to one-by-one loops: 64 queries over 40 000 vectors of 256 then
# take 38 ms instead of 7.5 ms on two cores. Lower than this, one or two queries get slower. Releases that compare the
# number of queries alone come with a lower value, which stays.
faiss.cvar.distance_compute_blas_threshold = min(faiss.cvar.distance_compute_blas_threshold, 4096)

# FAISS has no quick way to pass over rows when it multiplies matrices. Up to so many that must not be found are asked
# for in addition and left out; where there are more, those that may be found are copied together, so many at a time.
_FEW_REMOVED = 512
_ROWS_AT_ONCE = 8192
# Parts that are kept until they are merged: each has the nearest of all queries.
_PARTS_AT_ONCE = 8

_inner_products_by_idx: Any = faiss.fvec_inner_products_by_idx  # type: ignore[attr-defined]

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
    *,
    num_rows: int,
    top_k: int,
) -> Found:
    """The nearest of each query's own candidates among the first rows, by their vectors; row −1 is none."""
    similarities = np.full(rows.shape, -np.inf, dtype=np.float32)
    pieces = vectors.pieces(0, num_rows)
    if len(pieces) == 1:  # always where the rows were read from files
        _inner_products_by_idx(
            *map(faiss.swig_ptr, (similarities, queries, pieces[0][1], rows)), vectors.embedding_size, *rows.shape
        )
    else:
        for query, ours, into in zip(queries, rows, similarities, strict=True):
            found = ours >= 0
            into[found] = vectors.take(ours[found]) @ query
    return _chosen((rows, similarities), (-similarities).argsort(axis=1)[:, :top_k])


def similarities_of(
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    candidates: Float32[np.ndarray, "num_candidates embedding_size"],
    rows: Int64[np.ndarray, " num_candidates"],
    top_k: int,
) -> Found:
    """The nearest among few vectors that lie together, as `rows`."""
    places, similarities = _search_piece(candidates, queries, 0, top_k, None)
    return np.where(places >= 0, rows[places], -1), similarities


class Selector:
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
    if passing is None:
        rows, similarities = _compare(piece, queries, top_k)
    elif queries.size < faiss.cvar.distance_compute_blas_threshold:
        rows, similarities = _compare(piece, queries, top_k, Selector(passing))
    elif (num_removed := len(piece) - int(np.count_nonzero(passing))) <= _FEW_REMOVED:
        found = _compare(piece, queries, top_k + num_removed)
        order = np.argsort(~passing[found[0]], axis=1, kind="stable")[:, :top_k]
        rows, similarities = _chosen(found, order)
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
        places, similarities = _compare(piece[ours], queries, top_k)
        parts.append((ours[places], similarities))
        if len(parts) == _PARTS_AT_ONCE:
            parts = [merge(parts, top_k)]
    return merge(parts, top_k)


def _compare(
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
        *(() if selector is None else (selector.of_faiss,)),
    )
    return rows, similarities


def _chosen(found: Found, places: Int64[np.ndarray, "num_queries _chosen"]) -> Found:
    """Of each query's rows those at its places. `np.take_along_axis` does it in four times the time."""
    rows, similarities = found
    if len(rows) > 1:
        places = places + np.arange(0, rows.size, rows.shape[1])[:, None]
    return rows.take(places), similarities.take(places)
