"""What every gallery keeps, whatever stores and searches it: items in, neighbours out."""

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from gfp_serve.classify import unit_vectors
from gfp_serve.errors import InvalidRequestError
from gfp_serve.filters import Filter
from gfp_serve.items import MAX_ID_LENGTH, Description, Effort, IndexKind, Item, Neighbour


@runtime_checkable  # tests check arguments against their annotations
class Gallery(Protocol):
    """Labelled embeddings of one encoder. Every method may be called from many threads at once."""

    @property
    def encoder_digest(self) -> str:
        """Which embedding space the vectors are in: `Manifest.encoder_digest` of the encoder that gave them."""

    @property
    def embedding_size(self) -> int: ...

    @property
    def generation(self) -> int:
        """How many changes the gallery has seen: 0 when new, one more after each upsert or delete that changed it."""

    def __len__(self) -> int: ...

    def describe(self) -> Description: ...

    def upsert(self, items: Sequence[Item]) -> int:
        """Add items, or replace those of the same id; return the generation that has them.

        All or none of them: durable and searchable when this returns, and no search sees a part. Of items with the
        same id in one call the last is kept. Vectors are stored at length 1.

        Raises `InvalidRequestError` for an item whose id, label, attributes or vector is not valid; its field is the
        place in `items`, such as `items[3]`.
        """

    def delete(self, ids: Sequence[str]) -> int:
        """Remove the items that have these ids, durably; return how many there were."""

    def get(self, ids: Sequence[str]) -> list[Item]:
        """The items with these ids, in this order; `ItemNotFoundError` names the ids that no item has."""

    def label_counts(self, where: Filter | None = None) -> dict[str, int]:
        """How many of the items that `where` lets pass have each label; those without one are not counted."""

    def items(self) -> Iterator[Item]:
        """Every item, in the order of the last upserts, as the gallery stood when the first was asked for."""

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> Sequence[list[Neighbour]]:
        """The `top_k` items most similar to each query among those that `where` lets pass, nearest first; fewer only
        when there are no more. Which items an index other than "exact" misses is up to its effort.

        Items that are equally similar come in the order of their last upsert; where not all of them fit into `top_k`,
        which of them do is up to the backend.

        Neighbours may be made when they are first looked at; they are those of the moment of the search all the same,
        also after changes and `close`.

        Raises `EmptyGalleryError` when there is nothing to find, `InvalidRequestError` for a query of another size,
        without direction or not finite, or a `top_k` below 1.
        """

    def close(self) -> None:
        """Release files and connections; later calls raise `ClosedError`."""


@runtime_checkable
class Galleries(Protocol):
    """Galleries of one encoder, by name. Every method may be called from many threads at once."""

    def __getitem__(self, name: str) -> Gallery:
        """The gallery of this name, `DEFAULT_GALLERY` for "". It stays open until it is dropped.

        Raises `GalleryNotFoundError`, or `EncoderMismatchError` when another encoder filled it.
        """

    def create(self, name: str, *, index_kind: IndexKind = "auto") -> Gallery:
        """Make an empty gallery. Raises `GalleryExistsError`, `InvalidRequestError` for what is no name."""

    def encoder_digests(self) -> dict[str, str]:
        """Every gallery's encoder by the gallery's name, in the order of the names."""

    def drop(self, name: str) -> int:
        """Remove a gallery with all its items, for ever; return how many there were.

        Raises `GalleryNotFoundError`; `InvalidRequestError` for the default gallery, which is always there.
        """

    def close(self) -> None:
        """Close all galleries."""


def check_name(name: str) -> None:
    """Raise `InvalidRequestError` for a name that no gallery can have: names become names of folders."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise InvalidRequestError(
            f"{name[:80]!r} is no name for a gallery; use 1 to 64 letters, digits, '-' and '_', a letter or a digit "
            f"first."
        )


def check_items(items: Sequence[Item], embedding_size: int) -> Float32[np.ndarray, "num_items {embedding_size}"]:
    """The items' vectors at length 1, or `InvalidRequestError` whose field is the first item that is not valid."""
    for number, item in enumerate(items):
        field = f"items[{number}]"
        if not 1 <= len(item.id) <= MAX_ID_LENGTH:
            shown = f"{item.id[:40]}…" if item.id else ""
            raise InvalidRequestError(
                f"the item id {shown!r} has {len(item.id)} characters; an id has 1 to {MAX_ID_LENGTH}.", field=field
            )
        if not (_is_text(item.id) and _is_text(item.label)):
            raise InvalidRequestError(
                f"the id or label of item {item.id!r} cannot be written as UTF-8; send text without lone surrogates.",
                field=field,
            )
        for key, value in item.attributes.items():
            if not (_is_text(key) and _is_attribute(value)):
                raise InvalidRequestError(
                    f"attribute {key!r} of item {item.id!r} is {value!r}; an attribute is a text, a finite number, "
                    f"true or false, or a list of texts.",
                    field=field,
                )
        if item.vector.shape != (embedding_size,):
            raise InvalidRequestError(
                f"the vector of item {item.id!r} has shape {item.vector.shape}, this gallery holds vectors of "
                f"{embedding_size} numbers; send what its own encoder gave.",
                field=field,
            )
    vectors = np.array([item.vector for item in items], dtype=np.float32).reshape(len(items), embedding_size)
    return unit_vectors(vectors, lambda row: f"item {items[row].id!r}")


def check_queries(
    queries: Float32[np.ndarray, "num_queries embedding_size"], embedding_size: int, *, top_k: int
) -> Float32[np.ndarray, "num_queries embedding_size"]:
    """The queries at length 1, or `InvalidRequestError` that says what `Gallery.search` cannot answer."""
    if top_k < 1:
        raise InvalidRequestError(f"top_k is {top_k}; ask for at least 1 neighbour.")
    if queries.ndim != 2 or queries.shape[1] != embedding_size:
        raise InvalidRequestError(
            f"the queries have shape {queries.shape}, this gallery holds vectors of {embedding_size} numbers; send "
            f"num_queries × {embedding_size} from its own encoder."
        )
    # As engines read them: not every second row of another array, nor bytes in another order.
    return unit_vectors(np.ascontiguousarray(queries, dtype=np.float32), lambda row: f"query {row}")


def _is_text(value: object) -> bool:
    # Nothing else in a str fails to encode but a lone surrogate.
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_attribute(value: object) -> bool:
    if isinstance(value, int | float):  # bool is an int
        return abs(value) <= sys.float_info.max  # not of NaN, nor of an integer that is no float
    return all(map(_is_text, value)) if isinstance(value, list) else _is_text(value)
