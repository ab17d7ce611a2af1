"""Places of galleries, as `gfp-serve --gallery` takes them: a folder, or an address of Milvus."""

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

# How addresses of Milvus begin: a server, and a file for trials in one process.
_MILVUS = ("milvus://", "milvus+lite://")


def open_galleries(
    place: str,
    *,
    encoder_digest: str,
    embedding_size: int,
    durable: bool = True,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Galleries:
    """The galleries of an encoder at a place; the default one is made if it is not there.

    `durable` and `device` are settings of galleries in folders. Raises the errors of `FolderGalleries`, or for an
    address of Milvus those of `open_milvus`.
    """
    if _is_milvus(place):
        return open_milvus(place, encoder_digest=encoder_digest, embedding_size=embedding_size)
    return FolderGalleries(
        Path(place), encoder_digest=encoder_digest, embedding_size=embedding_size, durable=durable, device=device
    )


@contextmanager
def opened_gallery(place: str, name: str = DEFAULT_GALLERY) -> Iterator[Gallery]:
    """One gallery that is there, whichever encoder filled it, open for the `with` block.

    Raises `GalleryError` or `GalleryNotFoundError` when there is none, and what opening it raises.
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
