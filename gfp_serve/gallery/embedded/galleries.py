"""All galleries below one root folder. Each lies in a folder of its own: ROOT/NAME."""

import shutil
import threading
import uuid
from pathlib import Path
from typing import Literal

from gfp_serve.errors import InvalidRequestError, NotWritableError
from gfp_serve.files import identity_of, sync_directory
from gfp_serve.gallery.embedded.folders import gallery_folder
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.schema import DATABASE_FILE
from gfp_serve.gallery.protocols import (
    Galleries,
    Gallery,
    check_droppable,
    check_name,
    filled_by_another_encoder,
    gallery_exists,
    no_such_gallery,
)
from gfp_serve.items import DEFAULT_GALLERY, IndexKind

# While a gallery is dropped, its folder has a name that no gallery can have. So a crash never leaves half a gallery.
_DROPPED = ".dropped-"

# Where galleries are restored before they get their names. What a crash leaves there is removed at the next start.
RESTORING = ".restoring-"

# Each gallery has open files and threads of its own.
_MOST_GALLERIES = 256


class FolderGalleries(Galleries):
    """The galleries below `root`. All of them are open. The default gallery is made if it does not exist.

    Raises `EncoderMismatchError` if another encoder filled the default gallery, and the errors of `FaissGallery`.
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
        self._foreign: dict[str, tuple[str, int]] = {}  # by name: encoder digest and embedding size
        self._changing: set[str] = set()  # names of galleries that are being made
        try:
            if not root.exists():  # others need not know the galleries' names either
                root.mkdir(mode=0o700, parents=True)
            self._root_identity = identity_of(root)
            self._open[DEFAULT_GALLERY] = FaissGallery.open_or_create(
                gallery_folder(self._root, DEFAULT_GALLERY),
                encoder_digest=encoder_digest,
                embedding_size=embedding_size,
                durable=durable,
                device=device,
            )
            for leftover in (*root.glob(f"{_DROPPED}*"), *root.glob(f"{RESTORING}*")):
                shutil.rmtree(leftover, ignore_errors=True)
            for database in sorted(root.glob(f"*/{DATABASE_FILE}")):
                if database.parent.name not in self._open:
                    self._add(database.parent)
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Gallery:
        name = name or DEFAULT_GALLERY
        gallery = self._open.get(name)
        if gallery is not None:
            return gallery
        if name in self._foreign:
            ours = (self._encoder_digest, self._embedding_size)
            raise filled_by_another_encoder(repr(name), *self._foreign[name], ours=ours)
        raise no_such_gallery(name)

    def create(self, name: str, *, index_kind: IndexKind = "auto") -> Gallery:
        check_name(name)
        self._check_root()
        with self._lock:
            if name in self._open or name in self._foreign or name in self._changing:
                raise gallery_exists(name)
            if len(self._open) >= _MOST_GALLERIES:
                raise InvalidRequestError(
                    f"there are {len(self._open)} galleries already, the most that one server can have; drop one, or "
                    f"put the items into an existing gallery with an attribute to filter by."
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

    @property
    def root(self) -> Path:
        """The folder of all galleries."""
        return self._root

    @property
    def encoder(self) -> tuple[str, int]:
        """The digest and embedding size of the encoder whose galleries are used."""
        return self._encoder_digest, self._embedding_size

    def adopt(self, folder: Path, name: str) -> Gallery:
        """Give a gallery of this encoder its name, by renaming its folder, and open it. It replaces nothing.

        `folder` lies on the same disk as the root. Raises `GalleryExistsError`, and `InvalidRequestError` for an
        invalid name or one gallery too many; then nothing is moved.
        """
        check_name(name)
        with self._lock:
            if name in self._open or name in self._foreign or name in self._changing:
                raise gallery_exists(name)
            if len(self._open) + len(self._changing) >= _MOST_GALLERIES:
                raise InvalidRequestError(
                    f"there are {len(self._open)} galleries already, the most that one server can have; drop one first."
                )
            folder.rename(gallery_folder(self._root, name))
            sync_directory(self._root)
            self._changing.add(name)
        try:  # without the lock, because a large gallery takes seconds to open
            self._add(gallery_folder(self._root, name))
        finally:
            self._changing.discard(name)
        return self[name]

    def encoder_digests(self) -> dict[str, str]:
        with self._lock:
            digests = {name: gallery.encoder_digest for name, gallery in self._open.items()}
            digests |= {name: encoder_digest for name, (encoder_digest, _) in self._foreign.items()}
        return dict(sorted(digests.items()))

    def drop(self, name: str) -> int:
        check_droppable(name)
        self._check_root()
        with self._lock:
            if name in self._foreign:
                self[name]
            gallery = self._open.pop(name, None)
            if gallery is None:
                raise no_such_gallery(name)
            num_items = len(gallery)
            gallery.close()
            dropped = self._root / f"{_DROPPED}{uuid.uuid4().hex}"
            gallery_folder(self._root, name).rename(dropped)
            sync_directory(self._root)
        shutil.rmtree(dropped, ignore_errors=True)
        return num_items

    def close(self) -> None:
        for gallery in self._open.values():
            gallery.close()

    def _check_root(self) -> None:
        """Raise `NotWritableError` if the folder of all galleries was moved or removed."""
        if identity_of(self._root) != self._root_identity:
            raise NotWritableError(
                f"the folder of the galleries, {self._root}, was moved, removed or replaced while it was open; put it "
                f"back, or start the server again with the folder that is meant."
            )

    def _add(self, folder: Path) -> None:
        gallery = FaissGallery.open(folder, durable=self._durable, device=self._device)
        if (gallery.encoder_digest, gallery.embedding_size) == (self._encoder_digest, self._embedding_size):
            self._open[folder.name] = gallery
        else:
            self._foreign[folder.name] = (gallery.encoder_digest, gallery.embedding_size)
            gallery.close()
