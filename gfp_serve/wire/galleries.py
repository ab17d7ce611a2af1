"""Galleries as wholes, as the wire describes them <-> values."""

from typing import Any

from gfp_serve.errors import InvalidRequestError, ServerError
from gfp_serve.items import Description, IndexKind
from gfp_serve.v1 import gallery_pb2

INDEX_KINDS: dict[IndexKind, gallery_pb2.IndexKind] = {
    "auto": gallery_pb2.INDEX_KIND_AUTO,
    "exact": gallery_pb2.INDEX_KIND_EXACT,
    "hnsw": gallery_pb2.INDEX_KIND_HNSW,
    "ivf_sq8": gallery_pb2.INDEX_KIND_IVF_SQ8,
    "ivf_pq": gallery_pb2.INDEX_KIND_IVF_PQ,
}

_KINDS_BY_NUMBER: dict[int, IndexKind] = {
    gallery_pb2.INDEX_KIND_UNSPECIFIED: "auto",
    **{number: kind for kind, number in INDEX_KINDS.items()},
}


# Any: protobuf's enums are types to mypy, but not at run time.
def write_index_kind(kind: IndexKind) -> Any:
    """The number that `read_index_kind` reads. Raises `InvalidRequestError` for a kind that does not exist."""
    if kind not in INDEX_KINDS:
        raise InvalidRequestError(f"{kind!r} is not an index kind; choose one of {', '.join(INDEX_KINDS)}.")
    return INDEX_KINDS[kind]


def read_index_kind(number: int) -> IndexKind:
    """How a new gallery is searched. Raises `InvalidRequestError` for a number that is not an IndexKind."""
    if number not in _KINDS_BY_NUMBER:
        raise InvalidRequestError(f"{number} is not an IndexKind; choose one that gallery.proto lists.")
    return _KINDS_BY_NUMBER[number]


def write_description(name: str, description: Description) -> gallery_pb2.GalleryDescription:
    """The message that `read_description` reads."""
    return gallery_pb2.GalleryDescription(
        name=name,
        encoder_digest=description.encoder_digest,
        embedding_size=description.embedding_size,
        metric=gallery_pb2.METRIC_COSINE,
        index_kind=INDEX_KINDS[description.index_kind],
        serving_kind=INDEX_KINDS[description.serving_kind],
        is_building=description.is_building,
        num_items=description.num_items,
        generation=description.generation,
        num_bytes=description.num_bytes,
        durable=description.durable,
        unsuited_kind=None if description.unsuited_kind is None else INDEX_KINDS[description.unsuited_kind],
        num_motions=description.num_motions,
    )


def read_description(message: gallery_pb2.GalleryDescription) -> Description:
    """What a server says about a gallery. Raises `ServerError` for an index that this release does not know."""
    try:
        index_kind, serving_kind = read_index_kind(message.index_kind), read_index_kind(message.serving_kind)
        unsuited_kind = read_index_kind(message.unsuited_kind) if message.unsuited_kind else None
    except InvalidRequestError as error:
        raise ServerError(
            f"the server says something about the gallery {message.name!r} that this release does not know ({error}); "
            f"use a client of the server's release."
        ) from error
    return Description(
        encoder_digest=message.encoder_digest,
        embedding_size=message.embedding_size,
        metric="cosine",
        index_kind=index_kind,
        serving_kind=serving_kind,
        is_building=message.is_building,
        num_items=message.num_items,
        generation=message.generation,
        num_bytes=message.num_bytes,
        durable=message.durable,
        unsuited_kind=unsuited_kind,
        num_motions=message.num_motions,
    )
