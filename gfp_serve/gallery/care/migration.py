"""Copying a gallery's items from one place to another, for example from a folder to Milvus."""

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
    """Copy every item of `source` into `target`, in the same order; return how many were written.

    Motions that are kept come with their items. Other items of `target` stay. An item that `target` has already is
    skipped if everything is equal (vectors up to rounding). So a copy that was interrupted continues when it is started
    again. For this, all items of `target` are read once at the beginning. After every batch, `on_progress` is called
    with the number of items of `source` that are done.

    Raises `EncoderMismatchError` if the galleries were filled by different encoders.
    """
    if (source.encoder_digest, source.embedding_size) != (target.encoder_digest, target.embedding_size):
        raise EncoderMismatchError(
            f"the items come from encoder {source.encoder_digest[:12]} ({source.embedding_size} numbers per vector), "
            f"but encoder {target.encoder_digest[:12]} ({target.embedding_size} numbers per vector) filled the gallery "
            f"to copy into. Vectors of two encoders cannot be compared: copy into a gallery of the same encoder."
        )
    present = {item.id for item in target.items()} if len(target) else set()
    num_done = num_written = 0
    for batch in _batches(source.items(with_motions=True)):
        known = {item.id: item for item in target.get_with_motions([each.id for each in batch if each.id in present])}
        missing = [item for item in batch if item.id not in known or not _equal(item, known[item.id])]
        if missing:
            target.upsert(missing)
        num_written += len(missing)
        num_done += len(batch)
        on_progress(num_done)
    return num_written


@contextmanager
def gallery_to_fill(place: str, name: str = DEFAULT_GALLERY, *, like: Gallery) -> Iterator[Gallery]:
    """Open the gallery with this name at a place, as `gfp-serve --gallery` takes it, for the encoder of `like`.

    If it does not exist, it is made with the index kind of `like`. Raises `EncoderMismatchError` if another encoder
    filled it.
    """
    opened = open_galleries(place, encoder_digest=like.encoder_digest, embedding_size=like.embedding_size)
    with closing(opened) as galleries:
        try:
            gallery = galleries[name]
        except GalleryNotFoundError:
            gallery = galleries.create(name, index_kind=like.describe().index_kind)
        yield gallery


def _equal(one: Item, other: Item) -> bool:
    if one.motion is not None and (other.motion is None or one.motion.packed != other.motion.packed):
        return False
    return (one.label, dict(one.attributes), one.source) == (
        other.label,
        dict(other.attributes),
        other.source,
    ) and bool(np.allclose(one.vector, other.vector, rtol=0, atol=1e-6))


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch
