"""The interface of galleries, and the checks that are the same for every backend."""

import logging
import re
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from gfp_serve.classify import unit_vectors
from gfp_serve.errors import (
    ClosedError,
    EmptyGalleryError,
    EncoderMismatchError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
    ItemNotFoundError,
    in_field,
    quoted,
)
from gfp_serve.filters import Filter
from gfp_serve.items import DEFAULT_GALLERY, Description, Effort, IndexKind, Item, Neighbour, check_item

_log = logging.getLogger(__name__)

# The log names at most this many sources that are left out. A gallery may have millions of them.
_SOURCES_TO_SAY = 256
# 2^64 divided by the golden ratio: multiples of it are spread evenly (D. Knuth, The Art of Computer Programming, 6.4).
_SCATTER = 0x9E3779B97F4A7C15
# Hashes of the sources that were named: the sources themselves may be long.
_said: set[int] = set()
_saying = threading.Lock()


class Sample(NamedTuple):
    """Some items of a gallery, as it was in a generation; `num_items` is how many it had."""

    generation: int
    num_items: int
    pieces: Iterator[list[Item]]


@runtime_checkable  # tests check arguments against their annotations
class Gallery(Protocol):
    """Labelled embeddings of one encoder. Every method may be called from many threads at once."""

    @property
    def encoder_digest(self) -> str:
        """`Manifest.encoder_digest` of the encoder that made the vectors. Queries must come from it too."""

    @property
    def embedding_size(self) -> int:
        """Length of the vectors."""

    @property
    def generation(self) -> int:
        """Number of changes so far: 0 for a new gallery, one more for each upsert or delete that changed something."""

    def __len__(self) -> int:
        """Number of items."""

    def describe(self) -> Description:
        """The gallery's encoder, index, size and generation."""

    def upsert(self, items: Sequence[Item]) -> int:
        """Add items, or replace those with the same ids; return the generation that contains them.

        Either all of the items are written or none. When this returns, they are durable and searches find them; no
        search sees only some of them. If several items of one call have the same id, the last one is kept. Vectors are
        stored at length 1. An item's motion is kept with it, and is gone when the item is replaced or removed.

        Raises `InvalidRequestError` for an item that `check_item` refuses, or whose vector is not valid; its field is
        the place in `items`, such as `items[3]`.
        """

    def delete(self, ids: Sequence[str]) -> int:
        """Remove the items with these ids, durably; return how many were removed. Unknown ids are ignored."""

    def get(self, ids: Sequence[str]) -> list[Item]:
        """Return the items with these ids, in this order, without their motions.

        Raises `ItemNotFoundError` that names the unknown ids.
        """

    def get_with_motions(self, ids: Sequence[str]) -> Iterator[Item]:
        """Do `get`, with kept motions. All is read at once, and each motion is unpacked when its turn comes."""

    def label_counts(self, where: Filter | None = None) -> dict[str, int]:
        """Count the items of each label, among those that pass `where`. Items without a label are not counted."""

    def items(self, *, with_motions: bool = False) -> Iterator[Item]:
        """Yield every item, in the order of the last upserts, as the gallery was when the first item was requested."""

    def sample(self, most: int) -> Sample:
        """All items, without their motions, or `most` of them if there are more; a piece is made when it is asked for.

        They come in the order of the last upserts. Until the gallery changes, they are the same ones, and most of them
        are so after a change.
        """

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> Sequence[list[Neighbour]]:
        """Find the `top_k` items most similar to each query, nearest first, among those that pass `where`.

        A list is shorter than `top_k` only if fewer items pass. An index other than "exact" may miss some of the true
        neighbours; `effort` decides how many.

        Items with equal similarity come in the order of their last upsert. If not all of them fit into `top_k`, the
        backend decides which of them do.

        The result may be computed only when it is first read. It is still the state of the moment of the search, even
        after changes and `close`.

        Raises `EmptyGalleryError` if the gallery has no items, and `InvalidRequestError` for a query of another
        length, a query that is zero or not finite, or a `top_k` below 1.
        """

    def num_compared(
        self,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
        where: Filter | None = None,
    ) -> int:
        """About how many items a query is compared with on this machine's CPU; 0 where other hardware compares.

        With a filter, it is the most that it may be, until the filter is known from a search.
        """

    def close(self) -> None:
        """Release files and connections. Later calls raise `ClosedError`."""


@runtime_checkable
class Galleries(Protocol):
    """Galleries of one encoder, by name. Every method may be called from many threads at once."""

    def __getitem__(self, name: str) -> Gallery:
        """The gallery with this name; "" means `DEFAULT_GALLERY`. It stays open until it is dropped.

        Raises `GalleryNotFoundError`, or `EncoderMismatchError` if another encoder filled it.
        """

    def create(self, name: str, *, index_kind: IndexKind = "auto") -> Gallery:
        """Make an empty gallery. Raises `GalleryExistsError`, or `InvalidRequestError` for an invalid name."""

    def encoder_digests(self) -> dict[str, str]:
        """The encoder digest of every gallery, by the gallery's name, sorted by name."""

    def drop(self, name: str) -> int:
        """Remove a gallery and all its items for good; return how many items it had.

        Calls of the gallery that come later, or that had begun and cannot end, raise `GalleryNotFoundError`.

        Raises `GalleryNotFoundError`, or `InvalidRequestError` for the default gallery, which always exists.
        """

    def close(self) -> None:
        """Close all galleries."""


def sizes_of(galleries: Galleries, encoder_digest: str) -> Iterator[tuple[str, int, int]]:
    """Name, number of items and generation of each gallery that this encoder filled."""
    for name, digest in galleries.encoder_digests().items():
        if digest == encoder_digest:
            with suppress(GalleryNotFoundError, ClosedError):  # dropped a moment ago
                gallery = galleries[name]
                yield name, len(gallery), gallery.generation


def check_name(name: str) -> None:
    """Raise `InvalidRequestError` for an invalid gallery name. Names become names of folders."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise InvalidRequestError(
            f"{name[:80]!r} is not a valid gallery name; use 1 to 64 letters, digits, '-' and '_', beginning with a "
            f"letter or digit."
        )


def check_items(
    items: Sequence[Item], embedding_size: int
) -> tuple[list[int], Float32[np.ndarray, "num_kept {embedding_size}"]]:
    """Return the places in `items` of those that an upsert keeps, and their vectors at length 1.

    Of items with the same id the last is kept, and the others are not checked. Raises `InvalidRequestError` for the
    first invalid item; its field is the place in `items`, such as `items[3]`.
    """
    places = list({item.id: place for place, item in enumerate(items)}.values())
    for place in places:
        item, field = items[place], f"items[{place}]"
        with in_field(field):
            check_item(item)
        if item.vector.shape != (embedding_size,):
            raise InvalidRequestError(
                f"the vector of item {item.id!r} has shape {item.vector.shape}, but the vectors of this gallery have "
                f"{embedding_size} numbers; send what the gallery's own encoder gave.",
                field=field,
            )
    vectors = np.array([items[place].vector for place in places], dtype=np.float32).reshape(-1, embedding_size)
    return places, unit_vectors(
        vectors, lambda row: f"item {items[places[row]].id!r}", field=lambda row: f"items[{places[row]}]"
    )


def check_queries(
    queries: Float32[np.ndarray, "num_queries embedding_size"], embedding_size: int, *, top_k: int
) -> Float32[np.ndarray, "num_queries embedding_size"]:
    """Return the queries at length 1. Raises `InvalidRequestError` for what `Gallery.search` cannot answer."""
    if top_k < 1:
        raise InvalidRequestError(f"top_k is {top_k}; ask for at least 1 neighbour.")
    if queries.ndim != 2 or queries.shape[1] != embedding_size:
        raise InvalidRequestError(
            f"the queries have shape {queries.shape}, but the vectors of this gallery have {embedding_size} numbers; "
            f"send num_queries × {embedding_size} numbers from the gallery's own encoder."
        )
    # Engines read memory directly: rows must lie together, with bytes in this machine's order.
    return unit_vectors(np.ascontiguousarray(queries, dtype=np.float32), lambda row: f"query {row}")


def check_found(ids: Sequence[str], found: Container[str]) -> None:
    """Raise `ItemNotFoundError` that names those of the ids that were not found."""
    missing = [id for id in ids if id not in found]
    if missing:
        shown = ", ".join(map(quoted, missing[:5])) + (f" and {len(missing) - 5} more" if missing[5:] else "")
        raise ItemNotFoundError(f"no item of the gallery has the id {shown}; check the ids.")


def sampled(seqs: Int64[np.ndarray, " num_items"], most: int) -> Int64[np.ndarray, " num_sampled"]:
    """The places of the items that `Gallery.sample` gives, in order, by the numbers of all items.

    Each number is multiplied to one that looks like chance, and the least of these are taken. So the choice is as good
    as by chance, and an item that comes or goes changes it by one.
    """
    if len(seqs) <= most:
        return np.arange(len(seqs))
    scattered = seqs.astype(np.uint64) * np.uint64(_SCATTER)
    return np.sort(np.argpartition(scattered, most)[:most])


def say_left_out(source: str, problem: str) -> None:
    """Say in the log, once, that answers leave out a stored source that an upsert would refuse today.

    An earlier release took it. If it were sent, each search that finds its item would fail. After `_SOURCES_TO_SAY`
    sources, one last line says that no more are named.
    """
    which = hash(source)
    with _saying:
        if which in _said or len(_said) > _SOURCES_TO_SAY:
            return
        _said.add(which)
        num_said = len(_said)
    if num_said > _SOURCES_TO_SAY:
        _log.warning(
            "answers leave out more than %d sources that an earlier release stored; no more of them are named here. "
            "For a gallery in a folder, `gfp gallery check` names all of their items, and `gfp gallery repair` clears "
            "the sources.",
            _SOURCES_TO_SAY,
        )
        return
    _log.warning(
        "answers leave out the source %s, which an earlier release stored: %s Upsert its item again. For a gallery in "
        "a folder, `gfp gallery check` names the item, and `gfp gallery repair` clears the source.",
        quoted(source),
        problem,
    )


def check_droppable(name: str) -> None:
    """Raise `InvalidRequestError` for the default gallery, which cannot be dropped."""
    if name in ("", DEFAULT_GALLERY):
        raise InvalidRequestError("the default gallery cannot be dropped; delete its items instead.")


def empty_gallery() -> EmptyGalleryError:
    """The error of a search in an empty gallery."""
    return EmptyGalleryError("the gallery is empty, so there is nothing to find; add recordings first.")


def no_such_gallery(name: str) -> GalleryNotFoundError:
    """The error for the name of a gallery that does not exist."""
    return GalleryNotFoundError(f"there is no gallery {name[:80]!r}; list the galleries, or create it.")


def was_dropped(name: str) -> GalleryNotFoundError:
    """The error for a call of a gallery that was dropped before the call or meanwhile."""
    return GalleryNotFoundError(
        f"the gallery {name[:80]!r} was dropped, so nothing of it is kept; create it again, or choose another."
    )


def gallery_exists(name: str) -> GalleryExistsError:
    """The error for a new gallery whose name is taken."""
    return GalleryExistsError(f"the gallery {name!r} exists already; choose another name, or drop it first.")


def filled_by_another_encoder(
    gallery: object, encoder_digest: str, embedding_size: int, *, ours: tuple[str, int]
) -> EncoderMismatchError:
    """The error for a gallery of another encoder. `ours` is the digest and embedding size of the one that is used."""
    return EncoderMismatchError(
        f"the gallery {gallery} was filled by encoder {encoder_digest[:12]} ({embedding_size} numbers per vector), but "
        f"encoder {ours[0][:12]} ({ours[1]} numbers per vector) is used here. Vectors of two encoders cannot be "
        f"compared: use the bundle that filled the gallery, or another gallery."
    )
