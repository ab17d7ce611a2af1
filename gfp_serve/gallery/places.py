"""The place of galleries, as `gfp-serve --gallery` takes it: a folder or a Milvus address."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from gfp_serve.gallery.embedded.folders import existing_folder
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.milvus.galleries import encoder_of, open_milvus
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import DEFAULT_GALLERY

# A server's address begins with the first, the file of a trial in one process with the second.
_MILVUS = ("milvus://", "milvus+lite://")


def open_galleries(
    place: str,
    *,
    encoder_digest: str,
    embedding_size: int,
    durable: bool = True,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Galleries:
    """Open the galleries of an encoder at a place. The default gallery is made if it does not exist.

    `durable` and `device` apply only to galleries in folders. Raises the errors of `FolderGalleries`, or those of
    `open_milvus` for a Milvus address.
    """
    if _is_milvus(place):
        return open_milvus(place, encoder_digest=encoder_digest, embedding_size=embedding_size)
    return FolderGalleries(
        Path(place), encoder_digest=encoder_digest, embedding_size=embedding_size, durable=durable, device=device
    )


@contextmanager
def opened_gallery(place: str, name: str = DEFAULT_GALLERY) -> Iterator[Gallery]:
    """Open one existing gallery for the `with` block, whatever encoder filled it.

    Raises `GalleryError` or `GalleryNotFoundError` if there is none, and the errors of opening it.
    """
    if not _is_milvus(place):
        with FaissGallery.open(existing_folder(Path(place), name)) as gallery:
            yield gallery
        return
    encoder_digest, embedding_size = encoder_of(place, name)
    with closing(open_milvus(place, encoder_digest=encoder_digest, embedding_size=embedding_size)) as galleries:
        yield galleries[name]


def _is_milvus(place: str) -> bool:
    return place.startswith(_MILVUS)
