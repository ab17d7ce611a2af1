"""Files that appear whole or not at all, and survive a power cut; and one process a folder: the lock on it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_whole(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` when the block ends without an error.

    Until then `path` stays as it is. Afterwards the new content and its name are on the disk, even if the power fails.
    `mode` holds before the first byte is written, less the process's umask. What was written is removed when the block
    raises: on a full disk it would be in everybody's way.
    """
    unfinished = path.with_name(f".{path.name}.new")
    try:
        with open(unfinished, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_whole(path: Path, content: bytes | str, *, mode: int = 0o666) -> None:
    """Give a file this content, whole or not at all; text is written as UTF-8. See `written_whole`."""
    with written_whole(path, mode=mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def sync_file(path: Path) -> None:
    """Make the content of a file that another library wrote durable."""
    _sync(path)


def sync_directory(directory: Path) -> None:
    """Make new and renamed files of a folder durable."""
    _sync(directory)


def lock(path: Path, *, create: bool = False) -> int:
    """Take a folder or a file for this process.

    Gives the file descriptor that holds the lock until it is closed, which a crash does too. With `create`, `path` is a
    file that is made if it is not there, readable by its owner only. Raises `BlockingIOError` when another process, or
    another descriptor of this one, has it; callers say what that means.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT if create else os.O_RDONLY, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
