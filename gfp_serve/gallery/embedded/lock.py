"""One process a gallery: the lock on its folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.files import lock

LOCK_FILE = "gallery.lock"


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Around work on a gallery's folder, which no other process may open meanwhile; see `lock_folder`."""
    descriptor = lock_folder(path)
    try:
        yield
    finally:
        os.close(descriptor)


def lock_folder(path: Path) -> int:
    """Take a gallery's folder for this process; the file descriptor that holds it until it is closed, by a crash too.

    A folder that cannot be written must have a lock's file already. Raises `GalleryError` when it is open already.
    """
    try:
        return lock(path / LOCK_FILE, create=os.access(path, os.W_OK))
    except BlockingIOError:
        raise GalleryError(
            f"the gallery {path} is open already, here or in another process; close that one, or name another folder."
        ) from None


@contextmanager
def reachable(path: Path) -> Iterator[None]:
    """Raise `GalleryError` for what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise GalleryError(
            f"the gallery folder {path} cannot be used ({error.strerror}); check the path and its permissions."
        ) from error
