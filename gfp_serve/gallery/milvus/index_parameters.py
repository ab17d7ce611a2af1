"""Index kinds and efforts as parameters of Milvus."""

from typing import Any

from gfp_serve.items import Effort, IndexKind

_HNSW_LINKS = 16
_IVF_LISTS = 1024
# With product quantization, each part of this many numbers becomes one byte.
_PQ_PART = 4


def index_parameters(kind: IndexKind, embedding_size: int) -> dict[str, Any]:
    if kind == "exact":
        return {"index_type": "FLAT", "params": {}}
    if kind in ("auto", "hnsw"):
        return {"index_type": "HNSW", "params": {"M": _HNSW_LINKS, "efConstruction": 200}}
    if kind == "ivf_sq8":
        return {"index_type": "IVF_SQ8", "params": {"nlist": _IVF_LISTS}}
    return {"index_type": "IVF_PQ", "params": {"nlist": _IVF_LISTS, "m": _pq_parts(embedding_size), "nbits": 8}}


def search_parameters(kind: IndexKind, effort: Effort, limit: int) -> dict[str, int]:
    if kind in ("auto", "hnsw"):
        return {"ef": min(max(effort.ef_search or 128, limit), 32_768)}
    if kind.startswith("ivf"):
        return {"nprobe": min(effort.nprobe or 32, _IVF_LISTS)}
    return {}


def _pq_parts(embedding_size: int) -> int:
    return max(parts for parts in range(1, embedding_size // _PQ_PART + 2) if embedding_size % parts == 0)


def bytes_of_an_item(kind: IndexKind, embedding_size: int) -> int:
    """The approximate memory that Milvus needs for one item. Milvus does not report it."""
    if kind == "exact":
        return 4 * embedding_size
    if kind in ("auto", "hnsw"):
        return 4 * embedding_size + 2 * 4 * _HNSW_LINKS
    return embedding_size if kind == "ivf_sq8" else _pq_parts(embedding_size)
