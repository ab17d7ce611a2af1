"""Copies of galleries from one place to another: a folder, Milvus."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice

import numpy as np

from gfp_serve.errors import EncoderMismatchError, GalleryNotFoundError
from gfp_serve.gallery.places import open_galleries
from gfp_serve.gallery.protocols import Gallery
from gfp_serve.items import DEFAULT_GALLERY, Item

_BATCH = 256


def copy_items(source: Gallery, target: Gallery, *, on_progress: Callable[[int], None]) -> int:
    """Bring every item of `source` into `target`, in the same order; return how many were written.

    What `target` holds besides stays. An item that is there already, equal in all it has (the vector up to the
    rounding of its length), is passed over: a copy that was interrupted goes on where it stopped when it is made again.
    For that the items of `target` are read once at the begin. `on_progress` is told after every batch how many items of
    `source` are done.

    Raises `EncoderMismatchError` when the galleries are of different encoders.
    """
    if (source.encoder_digest, source.embedding_size) != (target.encoder_digest, target.embedding_size):
        raise EncoderMismatchError(
            f"the items are of encoder {source.encoder_digest[:12]} ({source.embedding_size} numbers a vector), the "
            f"gallery to fill is of {target.encoder_digest[:12]} ({target.embedding_size} numbers); their vectors "
            f"cannot be compared: copy into a gallery of the same encoder."
        )
    present = {item.id for item in target.items()} if len(target) else set()
    num_done = num_written = 0
    for batch in _batches(source.items()):
        known = {item.id: item for item in target.get([item.id for item in batch if item.id in present])}
        missing = [item for item in batch if item.id not in known or not _equal(item, known[item.id])]
        if missing:
            target.upsert(missing)
        num_written += len(missing)
        num_done += len(batch)
        on_progress(num_done)
    return num_written


@contextmanager
def gallery_to_fill(place: str, name: str = DEFAULT_GALLERY, *, like: Gallery) -> Iterator[Gallery]:
    """The gallery of this name at a place of `gfp-serve --gallery`, of the encoder of `like`.

    One that is not there is made, with the index kind of `like`. Raises `EncoderMismatchError` when another encoder
    filled the one that is there.
    """
    opened = open_galleries(place, encoder_digest=like.encoder_digest, embedding_size=like.embedding_size)
    with closing(opened) as galleries:
        try:
            gallery = galleries[name]
        except GalleryNotFoundError:
            gallery = galleries.create(name, index_kind=like.describe().index_kind)
        yield gallery


def _equal(one: Item, other: Item) -> bool:
    return (one.label, dict(one.attributes), one.source) == (
        other.label,
        dict(other.attributes),
        other.source,
    ) and bool(np.allclose(one.vector, other.vector, rtol=0, atol=1e-6))


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch
