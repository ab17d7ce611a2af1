"""One process per gallery: the lock on its folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gfp_serve.errors import GalleryError

LOCK_FILE = "gallery.lock"


def take_folder(path: Path, *, writable: bool = True) -> int:
    """Take a gallery's folder for this process; the file descriptor that holds it until it is closed, by a crash too.

    Raises `GalleryError` when it is open already.
    """
    flags = os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY
    descriptor = os.open(path / LOCK_FILE, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise GalleryError(
            f"the gallery {path} is open already, here or in another process; close that one, or name another folder."
        ) from None
    return descriptor


@contextmanager
def reachable(path: Path) -> Iterator[None]:
    """Raise `GalleryError` for what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise GalleryError(
            f"the gallery folder {path} cannot be used ({error.strerror}); check the path and its permissions."
        ) from error
