"""How indexes are made and extended, and how thoroughly they have to search: this is measured on their own rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from gfp_serve.gallery.embedded.exact import search_exactly
from gfp_serve.gallery.embedded.hnsw import HnswIndex, empty_hnsw
from gfp_serve.gallery.embedded.index import Index
from gfp_serve.gallery.embedded.ivf import IvfIndex, trained_ivf
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort, ServingKind

# Rows that are added at a time. Between them, the building can be stopped.
_ROWS_AT_ONCE = 8192

# The default effort of an index is the first of these that finds this share of the true ten nearest neighbours, for
# queries that are not in the gallery. It depends more on the vectors than on their number.
_IVF_EFFORTS = (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
_EFFORTS = {
    "hnsw": (16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024),
    "ivf_sq8": _IVF_EFFORTS,
    "ivf_pq": _IVF_EFFORTS,
}
_SHARE_FOUND = 0.993
_TUNING_QUERIES, _TUNING_NEIGHBOURS = 256, 10


def make_index(
    kind: ServingKind, vectors: Vectors, num_rows: int, *, should_stop: Callable[[], bool] = lambda: False
) -> Index | None:
    """Make an index of the first rows. None for "exact", which needs none, and if it was stopped."""
    if kind == "exact":
        return None
    empty = empty_hnsw(vectors.embedding_size) if kind == "hnsw" else trained_ivf(kind, vectors, num_rows)
    return _with_rows(kind, empty, vectors, num_rows, should_stop)


def extend_index(
    kind: ServingKind, file: Path, vectors: Vectors, num_rows: int, *, should_stop: Callable[[], bool] = lambda: False
) -> Index | None:
    """Make an index from the one in this file and the rows that came after it. None if it was stopped.

    The file must have been verified: FAISS trusts it.
    """
    return _with_rows(kind, faiss.read_index(str(file)), vectors, num_rows, should_stop)


def _with_rows(
    kind: ServingKind, made: Any, vectors: Vectors, num_rows: int, should_stop: Callable[[], bool]
) -> Index | None:
    """The index with all of the first rows. Its effort is measured before the last of them are added."""
    num_held_out = min(_TUNING_QUERIES, num_rows // 4)
    if not _add(made, vectors, num_rows - num_held_out, should_stop):
        return None
    index = _wrap(kind, made, vectors)
    default_effort = _least_effort(index, vectors, num_rows, should_stop)
    if not _add(made, vectors, num_rows, should_stop):
        return None
    index = _wrap(kind, made, vectors)
    index.default_effort = default_effort
    return index


def _add(made: Any, vectors: Vectors, num_rows: int, should_stop: Callable[[], bool]) -> bool:
    """Add vectors until there are this many; False if it was stopped."""
    for start in range(int(made.ntotal), num_rows, _ROWS_AT_ONCE):
        for _, piece in vectors.pieces(start, min(start + _ROWS_AT_ONCE, num_rows)):
            if should_stop():
                return False
            made.add(piece)
    return True


def _wrap(kind: ServingKind, made: Any, vectors: Vectors) -> Index:
    default_effort = _EFFORTS[kind][-1]
    return HnswIndex(made, default_effort) if kind == "hnsw" else IvfIndex(kind, made, vectors, default_effort)


def _least_effort(index: Index, vectors: Vectors, num_rows: int, should_stop: Callable[[], bool]) -> int:
    """The least effort that finds 99.3 % of the true ten nearest neighbours, for two kinds of queries.

    - Rows that the index does not contain yet: real queries look like them. But they may all be of one action.
    - Items moved in a random direction, as far as their tenth neighbour is away. These are of all actions, but a little
      easier to find, because the index contains the item.
    """
    draw = np.random.default_rng(0)
    wanted = min(_TUNING_NEIGHBOURS, index.num_rows)
    items = vectors.take(np.sort(draw.permutation(index.num_rows)[:_TUNING_QUERIES]))
    _, similarities = search_exactly(vectors, items, start=0, end=index.num_rows, top_k=wanted)
    noise = draw.standard_normal(items.shape).astype(np.float32)
    noise *= np.sqrt(np.maximum(0, 2 - 2 * similarities[:, -1:])) / np.linalg.norm(noise, axis=1, keepdims=True)
    moved = items + noise
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)
    held_out = vectors.take(np.arange(index.num_rows, num_rows))
    kinds = [queries for queries in (moved, held_out) if len(queries)]
    exact = [search_exactly(vectors, queries, start=0, end=index.num_rows, top_k=wanted)[1] for queries in kinds]
    for effort in _EFFORTS[index.kind]:
        if should_stop():
            break
        index.default_effort = effort
        shares = []
        for queries, similarities in zip(kinds, exact, strict=True):
            _, found = index.search(queries, top_k=wanted, passing=None, share=1.0, effort=Effort())
            shares.append(np.mean(found >= similarities[:, -1:] - 1e-6))  # equal similarities are as good
        if min(shares) >= _SHARE_FOUND:
            break
    return index.default_effort
