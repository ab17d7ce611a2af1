"""All galleries below one root folder. Each lies in a folder of its own: ROOT/NAME.

No call waits for the work of another: not for the making of an index, not for files that are made or removed.
"""

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from gfp_serve import open_files
from gfp_serve.errors import GalleryError, InvalidRequestError, NotWritableError, OverloadedError
from gfp_serve.files import identity_of, sync_directory
from gfp_serve.gallery.embedded.derived_check import derived_folders
from gfp_serve.gallery.embedded.file_room import (
    FILES_OF_A_GALLERY,
    RAISE_LIMIT,
    check_files,
    check_files_at_start,
)
from gfp_serve.gallery.embedded.folders import gallery_folder, gallery_folders
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_store import peek
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

_log = logging.getLogger(__name__)

# While a gallery is dropped, its folder has a name that no gallery can have. So a crash never leaves half a gallery.
_DROPPED = ".dropped-"

# Where galleries are restored before they get their names. What a crash leaves there is removed at the next start.
RESTORING = ".restoring-"
# How long `close` waits for indexes that are being made. FAISS cannot be interrupted, and what it makes is made again.
_BUILDS_STOP_WITHIN_S = 2.0

# Each gallery has open files and threads of its own.
MOST_GALLERIES = 256


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
        self._lock = threading.Lock()  # of the three below; nothing is waited for while it is held
        self._open: dict[str, FaissGallery] = {}
        self._changing: set[str] = set()  # names of galleries that are being made or dropped
        self._foreign: dict[str, tuple[str, int]] = {}  # by name: encoder digest and embedding size
        try:
            if not root.exists():  # others need not know the galleries' names either
                root.mkdir(mode=0o700, parents=True)
            self._root_identity = identity_of(root)
            folders = self._ours(gallery_folders(root))
            check_files_at_start(
                f"the {len(folders)} galleries in {root} cannot all be opened",
                len(folders),
                sum(bool(derived_folders(folder)) for folder in folders),
                GalleryError,
            )
            self._open[DEFAULT_GALLERY] = FaissGallery.open_or_create(
                gallery_folder(self._root, DEFAULT_GALLERY),
                encoder_digest=encoder_digest,
                embedding_size=embedding_size,
                durable=durable,
                device=device,
            )
            for leftover in (*root.glob(f"{_DROPPED}*"), *root.glob(f"{RESTORING}*")):
                _start(partial(shutil.rmtree, leftover, ignore_errors=True))
            for folder in folders:
                if folder.name not in self._open:
                    self._add(folder)
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
            _check_room(len(self._open.keys() | self._changing))
            self._changing.add(name)
        with self._until_changed(name):
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
            _check_room(len(self._open.keys() | self._changing))
            self._changing.add(name)
        with self._until_changed(name):
            self._check_root()
            place = gallery_folder(self._root, name)
            folder.rename(place)
            try:
                sync_directory(self._root)
                self._add(place)
            except BaseException:
                place.rename(folder)
                raise
        return self[name]

    def encoder_digests(self) -> dict[str, str]:
        # Copies, because others may change them meanwhile. A copy is made in one step.
        digests = {name: gallery.encoder_digest for name, gallery in self._open.copy().items()}
        digests |= {name: encoder_digest for name, (encoder_digest, _) in self._foreign.copy().items()}
        return dict(sorted(digests.items()))

    def drop(self, name: str) -> int:
        check_droppable(name)
        self._check_root()
        with self._lock:
            if name in self._foreign:
                self[name]
            gallery = None if name in self._changing else self._open.get(name)
            if gallery is None:
                raise no_such_gallery(name)
            self._changing.add(name)
        dropped = self._root / f"{_DROPPED}{uuid.uuid4().hex}"
        with self._until_changed(name):
            num_items = len(gallery)
            gallery.be_dropped(name)
            try:
                gallery_folder(self._root, name).rename(dropped)
            except OSError as error:
                gallery.be_dropped(None)
                raise NotWritableError(
                    f"the folder of the gallery {name!r} cannot be removed ({error.strerror}); check that it is where "
                    f"it was, and the permissions of the folder that it is in."
                ) from error
            gallery.begin_to_close()
            del self._open[name]

        def clean_up() -> None:
            gallery.close()
            shutil.rmtree(dropped, ignore_errors=True)

        _start(clean_up)
        sync_directory(self._root)
        return num_items

    def close(self) -> None:
        """See `Galleries.close`. An index that is being made may go on for a while, but nothing comes of it."""
        galleries = self._open.copy()  # one that is being made may come meanwhile
        for gallery in galleries.values():
            gallery.begin_to_close()
        deadline = time.monotonic() + _BUILDS_STOP_WITHIN_S
        for name, gallery in galleries.items():
            if not gallery.close_within(max(0.0, deadline - time.monotonic())):
                _log.warning("gallery=%s is closed while an index is made; it is made again at the next open", name)

    @contextmanager
    def _until_changed(self, name: str) -> Iterator[None]:
        """Nobody else makes or drops a gallery of this name during the `with` block."""
        try:
            yield
        finally:
            with self._lock:
                self._changing.discard(name)

    def _check_root(self) -> None:
        """Raise `NotWritableError` if the folder of all galleries was moved or removed."""
        if identity_of(self._root) != self._root_identity:
            raise NotWritableError(
                f"the folder of the galleries, {self._root}, was moved, removed or replaced while it was open; put it "
                f"back, or start the server again with the folder that is meant."
            )

    def _ours(self, folders: list[Path]) -> list[Path]:
        """The folders of this encoder's galleries. The others are only noted."""
        ours = []
        for folder in folders:
            state = peek(folder)
            if (state.encoder_digest, state.embedding_size) == self.encoder:
                ours.append(folder)
            elif folder.name != DEFAULT_GALLERY:  # the error for that comes when it is opened
                self._foreign[folder.name] = (state.encoder_digest, state.embedding_size)
        return ours

    def _add(self, folder: Path) -> None:
        gallery = FaissGallery.open(folder, durable=self._durable, device=self._device)
        if (gallery.encoder_digest, gallery.embedding_size) == (self._encoder_digest, self._embedding_size):
            self._open[folder.name] = gallery
        else:
            self._foreign[folder.name] = (gallery.encoder_digest, gallery.embedding_size)
            gallery.close()


def most_galleries() -> int:
    """How many galleries one server can have, with the files that it may open."""
    return max(1, min(MOST_GALLERIES, open_files.left_for_galleries() // FILES_OF_A_GALLERY))


def _check_room(num_galleries: int) -> None:
    """Raise `InvalidRequestError` if there are as many galleries as can be, or `OverloadedError` without files."""
    instead = "drop one, or put the items into an existing gallery with an attribute to filter by"
    if num_galleries >= MOST_GALLERIES:
        raise InvalidRequestError(
            f"there are {num_galleries} galleries already, the most that one server can have; {instead}."
        )
    if num_galleries >= most_galleries():
        raise InvalidRequestError(
            f"there are {num_galleries} galleries already, the most that a server can have that may open "
            f"{open_files.limit()} files and keeps some for connections; {instead}. Or start the server with lower "
            f"--max-connections, or with a higher limit: {RAISE_LIMIT}."
        )
    check_files("another gallery cannot be opened now", partial(OverloadedError, retry_after_s=10.0))


def _start(work: Callable[[], object]) -> None:
    """Let a thread do what nobody waits for, not even the end of the process."""
    threading.Thread(target=work, name="gallery clean-up", daemon=True).start()
