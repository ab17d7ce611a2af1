"""The lock on a gallery's folder: one process at a time may have the gallery open."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.files import lock

LOCK_FILE = "gallery.lock"


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Keep other processes out of a gallery's folder during the `with` block; a crash frees it too.

    In a folder that cannot be written, the lock file must exist already. Raises `GalleryError` if the gallery is open
    already, or if the folder cannot be locked.
    """
    with usable_folder(path):
        try:
            descriptor = lock(path / LOCK_FILE, create=os.access(path, os.W_OK))
        except BlockingIOError:
            raise GalleryError(
                f"the gallery {path} is open already: a server or another program works on it. Stop that, or name "
                f"another folder."
            ) from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def usable_folder(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the `with` block, which uses this folder, into a `GalleryError`."""
    try:
        yield
    except OSError as error:
        raise GalleryError(
            f"the gallery folder {path} cannot be used ({error.strerror}); check the path and its permissions."
        ) from error
