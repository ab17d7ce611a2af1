"""Many galleries in one folder, each in a folder of its own: ROOT/NAME."""

import shutil
import threading
import uuid
from pathlib import Path
from typing import Literal

from gfp_serve.errors import (
    EncoderMismatchError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
)
from gfp_serve.gallery.embedded.folders import gallery_folder
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_store import DATABASE_FILE
from gfp_serve.gallery.protocols import Galleries, Gallery, check_name
from gfp_serve.items import DEFAULT_GALLERY, IndexKind

# A gallery that is being dropped has a name that none can have, so that a crash leaves no half of one.
_DROPPED = ".dropped-"

# Each has files and threads of its own.
_MOST_GALLERIES = 256


class FolderGalleries(Galleries):
    """The galleries below `root`, all open; the default one is made if it is not there.

    A root that is a gallery itself, as the first release made it, is the default gallery.

    Raises `EncoderMismatchError` when another encoder filled the default gallery, and the errors of `FaissGallery`.
    """

    def __init__(
        self,
        root: Path,
        *,
        encoder_digest: str,
        embedding_size: int,
        durable: bool = True,
        device: Literal["cpu", "cuda"] = "cpu",
    ) -> None:
        self._root = root
        self._encoder_digest = encoder_digest
        self._embedding_size = embedding_size
        self._durable = durable
        self._device = device
        self._lock = threading.Lock()
        self._open: dict[str, FaissGallery] = {}
        self._foreign: dict[str, str] = {}  # encoder digests by name
        try:
            if not root.exists():  # names of galleries are the owner's business too
                root.mkdir(mode=0o700, parents=True)
            self._open[DEFAULT_GALLERY] = FaissGallery.open_or_create(
                gallery_folder(self._root, DEFAULT_GALLERY),
                encoder_digest=encoder_digest,
                embedding_size=embedding_size,
                durable=durable,
                device=device,
            )
            for leftover in root.glob(f"{_DROPPED}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            for database in sorted(root.glob(f"*/{DATABASE_FILE}")):
                if database.parent.name not in self._open:
                    self._take(database.parent)
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Gallery:
        name = name or DEFAULT_GALLERY
        gallery = self._open.get(name)
        if gallery is not None:
            return gallery
        if name in self._foreign:
            raise EncoderMismatchError(
                f"the gallery {name!r} was filled by encoder {self._foreign[name][:12]}, this server runs "
                f"{self._encoder_digest[:12]}; their vectors cannot be compared. Serve the bundle that filled it, or "
                f"create another gallery."
            )
        raise GalleryNotFoundError(f"there is no gallery {name[:80]!r}; list the galleries, or create it.")

    def create(self, name: str, *, index_kind: IndexKind = "auto") -> Gallery:
        check_name(name)
        with self._lock:
            if name in self._open or name in self._foreign:
                raise GalleryExistsError(f"there is a gallery {name!r} already; choose another name, or drop it first.")
            if len(self._open) >= _MOST_GALLERIES:
                raise InvalidRequestError(
                    f"there are {len(self._open)} galleries, which is as many as one server keeps; drop one, or tell "
                    f"items apart by an attribute and filter by it."
                )
            gallery = FaissGallery.create(
                gallery_folder(self._root, name),
                encoder_digest=self._encoder_digest,
                embedding_size=self._embedding_size,
                index_kind=index_kind,
                durable=self._durable,
                device=self._device,
            )
            self._open[name] = gallery
        return gallery

    def encoder_digests(self) -> dict[str, str]:
        with self._lock:
            digests = {name: gallery.encoder_digest for name, gallery in self._open.items()} | self._foreign
        return dict(sorted(digests.items()))

    def drop(self, name: str) -> int:
        if name in ("", DEFAULT_GALLERY):
            raise InvalidRequestError("the default gallery is always there; delete its items instead.")
        with self._lock:
            if name in self._foreign:
                self[name]
            gallery = self._open.pop(name, None)
            if gallery is None:
                raise GalleryNotFoundError(f"there is no gallery {name[:80]!r}; list the galleries.")
            num_items = len(gallery)
            gallery.close()
            dropped = self._root / f"{_DROPPED}{uuid.uuid4().hex}"
            gallery_folder(self._root, name).rename(dropped)
        shutil.rmtree(dropped, ignore_errors=True)
        return num_items

    def close(self) -> None:
        for gallery in self._open.values():
            gallery.close()

    def _take(self, folder: Path) -> None:
        gallery = FaissGallery.open(folder, durable=self._durable, device=self._device)
        if (gallery.encoder_digest, gallery.embedding_size) == (self._encoder_digest, self._embedding_size):
            self._open[folder.name] = gallery
        else:
            self._foreign[folder.name] = gallery.encoder_digest
            gallery.close()
