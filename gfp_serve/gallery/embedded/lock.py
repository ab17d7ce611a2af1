"""The lock on a gallery's folder: one process at a time may have the gallery open."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gfp_serve.errors import GalleryError, StillClosingError
from gfp_serve.files import lock

LOCK_FILE = "gallery.lock"

# Folders of galleries that this process has closed, but not let go yet.
_closing: set[Path] = set()
_changing = threading.Lock()


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Keep other processes out of a gallery's folder during the `with` block; a crash frees it too.

    In a folder that cannot be written, the lock file must exist already. Raises `GalleryError` if the gallery is open
    already, or if the folder cannot be locked, and `StillClosingError` if `still_closing` says why.
    """
    with usable_folder(path):
        try:
            descriptor = lock(path / LOCK_FILE, create=os.access(path, os.W_OK))
        except BlockingIOError:
            if path.absolute() in _closing:
                raise StillClosingError(
                    f"the gallery {path} was closed while its index was made, and is free when that has stopped; try "
                    f"again in a minute."
                ) from None
            raise GalleryError(
                f"the gallery {path} is open already: a server or another program works on it. Stop that, or name "
                f"another folder."
            ) from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def still_closing(path: Path) -> Iterator[None]:
    """Let other parts of the process know that they may wait for this folder, until the end of the `with` block."""
    with _changing:
        _closing.add(path.absolute())
    try:
        yield
    finally:
        with _changing:
            _closing.discard(path.absolute())


@contextmanager
def usable_folder(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the `with` block, which uses this folder, into a `GalleryError`."""
    try:
        yield
    except OSError as error:
        raise GalleryError(
            f"the gallery folder {path} cannot be used ({error.strerror}); check the path and its permissions."
        ) from error
