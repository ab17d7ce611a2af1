"""Files that appear whole or not at all and survive a power cut, and locks that keep other processes out."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def unfinished_file(path: Path) -> Path:
    """The file that `replacing` writes before it takes the place of `path`."""
    return path.with_name(f".{path.name}.new")


@contextmanager
def replacing(path: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """Yield the path of an empty file that takes the place of `path` when the block ends without an error.

    This is for libraries that write files themselves; `written_whole` gives an open file.

    Until the block ends, `path` stays as it is. Afterwards its new content and its name are on the disk, even if the
    power fails. The empty file has this `mode`, less the process's umask, before the first byte is written. If the
    block raises, the unfinished file is removed, because a full disk needs the space. A killed process leaves it; the
    next writer removes it.

    Raises `OSError` when the disk refuses, and `BlockingIOError` when another process is writing `path`.
    """
    unfinished = unfinished_file(path)
    descriptor = _new_locked_file(unfinished, mode)
    try:
        yield unfinished
        sync_file(unfinished)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


@contextmanager
def written_whole(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Yield an open binary file that takes the place of `path` when the block ends without an error.

    See `replacing`, also for the errors.
    """
    with replacing(path, mode=mode) as unfinished, unfinished.open("wb") as file:
        yield file


def write_whole(path: Path, content: bytes | str, *, mode: int = 0o666) -> None:
    """Give a file this content, whole or not at all; text is written as UTF-8. See `replacing`."""
    with written_whole(path, mode=mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def sync_file(path: Path) -> None:
    """Make the content of a file durable that was written by other means."""
    _sync(path)


def sync_directory(directory: Path) -> None:
    """Make the names of a folder's files durable: new, renamed and removed ones."""
    _sync(directory)


def lock(path: Path, *, create: bool = False) -> int:
    """Keep other processes out of a folder or a file; return the file descriptor that holds the lock.

    The lock ends when the descriptor is closed, which the system does when the process dies. With `create`, `path` is a
    file that is made if it does not exist, readable by its owner only.

    Raises `BlockingIOError` when another process, or another descriptor of this one, holds the lock, and when `path`
    was replaced or removed before the lock was taken. Callers say in their own words what that means.
    """
    return _locked(path, os.open(path, os.O_RDWR | os.O_CREAT if create else os.O_RDONLY, 0o600))


def _locked(path: Path, descriptor: int) -> int:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The process that held the lock before may have renamed or removed the file; the lock would protect nothing.
        if not (path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())):
            raise BlockingIOError(errno.EAGAIN, "it was replaced or removed just now", str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _new_locked_file(path: Path, mode: int) -> int:
    """Make an empty file and lock it. A file that a killed process left is removed, for it may have another mode."""
    try:
        with suppress(FileNotFoundError):
            leftover = lock(path)  # refused while its writer lives
            try:
                path.unlink()
            finally:
                os.close(leftover)
        return _locked(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode))
    except (BlockingIOError, FileExistsError) as error:
        raise BlockingIOError(
            errno.EAGAIN, "another process is writing this file; wait until it is done", str(path)
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
