"""Files that appear whole or not at all and survive a power cut, locks that keep other processes out, and the gate
for files that users name: only ordinary files are opened, and not more of them is read than was allowed.
"""

import errno
import fcntl
import hashlib
import io
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# A writer that lives writes more often than this, even if it verifies what it has written in between.
_ABANDONED_AFTER_S = 3600.0

# Tokens, certificates, settings, joint maps, digests and other small files that are read whole.
MAX_SMALL_FILE_BYTES = 4 * 2**20

# In bytes. File systems take 255, and the name of an unfinished file has 14 more than that of the file.
_LONGEST_NAME = 240


_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.new")


@contextmanager
def replacing(path: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """Yield the path of an empty file that takes the place of `path` when the block ends without an error.

    This is for libraries that write files themselves; `written_whole` gives an open file.

    Until the block ends, `path` stays as it is. Afterwards its new content and its name are on the disk, even if the
    power fails. The empty file has this `mode`, less the process's umask, before the first byte is written. If the
    block raises, the unfinished file is removed, because a full disk needs the space. A killed process leaves it; a
    later writer of `path` removes it when nothing was written to it for an hour, or see `remove_unfinished`.

    Every unfinished file has a name of its own, so two writers never mix their bytes; the last to end wins. A fixed
    name would need a lock, which not every file system has, and which SQLite's own locks disturb on some.

    Raises `OSError` that names `path` when the disk refuses. An error of the block that names no file is taken to be
    about `path`.
    """
    _remove_if_old(unfinished_files(path))
    unfinished = _new_beside(path, mode)
    with _errors_named(
        path, unfinished, "another process removed its unfinished file, perhaps to write it too; try again"
    ):
        try:
            yield unfinished
            _sync(unfinished)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def check_writable(path: Path) -> None:
    """Raise `OSError` that names `path` if no file can be made there, before long work is done for it."""
    _new_beside(path, 0o600).unlink(missing_ok=True)


def _new_beside(path: Path, mode: int) -> Path:
    """A new, empty file in the same folder, with a name of its own."""
    new = path.with_name(f".{_short_name(path)}.{secrets.token_hex(4)}.new")
    with _errors_named(path, new, "no file can be made in its folder; choose another folder"):
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    return new


def unfinished_files(path: Path) -> list[Path]:
    """Files that writers of `path` began and did not finish, because they are at work or were killed."""
    name = re.compile(rf"\.{re.escape(_short_name(path))}\.[0-9a-f]{{8}}\.new")
    try:
        return [file for file in path.parent.iterdir() if name.fullmatch(file.name)]
    except OSError:  # the folder does not exist, or may not be listed
        return []


def _short_name(path: Path) -> str:
    """The file's name, or for one so long that nothing can be added to it a digest of the name."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONGEST_NAME else hashlib.sha256(name).hexdigest()


def remove_abandoned(folder: Path) -> None:
    """Remove what killed writers of any file of a folder left there more than an hour ago."""
    _remove_if_old([file for file in folder.glob(".*.new") if _UNFINISHED.fullmatch(file.name)])


def remove_unfinished(path: Path) -> None:
    """Remove what killed writers of `path` left. The caller makes sure that no process is writing it."""
    for file in unfinished_files(path):
        file.unlink(missing_ok=True)


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


def open_ordinary(path: Path, *, at_most: int | None = None) -> io.BufferedReader:
    """Open a file that a user named, to read its bytes. It must be an ordinary file of at most `at_most` bytes.

    Pipes would be waited for, devices never end, and a file that is mostly a hole can be larger than memory.
    Raises `OSError`, with what is wrong as its `strerror`; the path is its `filename`.
    """
    _refuse_others(path, os.stat(path), at_most)  # noqa: PTH116 (follows links, which containers use for secrets)
    # Between the two looks, somebody may have put a pipe there: opening it must not wait either.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_others(path, os.fstat(descriptor), at_most)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_ordinary(path: Path, *, at_most: int) -> bytes:
    """The content of a file that a user named, at most `at_most` bytes. See `open_ordinary`, also for the errors."""
    with open_ordinary(path, at_most=at_most) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)
        if len(content) > size:  # it grows while it is read, or is one of the system's, which say that they are empty
            content += file.read(at_most + 1 - len(content))
    if len(content) > at_most:
        raise _too_large(path, at_most)
    return content


def _refuse_others(path: Path, about: os.stat_result, at_most: int | None) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, and a file is needed", str(path))
    if not stat.S_ISREG(about.st_mode):
        kind = next((name for is_one, name in _KINDS if is_one(about.st_mode)), "something else")
        raise OSError(
            errno.EINVAL,
            f"it is {kind}, not an ordinary file; write what it gives into a file, and name that",
            str(path),
        )
    if at_most is not None and about.st_size > at_most:
        raise _too_large(path, at_most)


_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a disk"),
)


def _too_large(path: Path, at_most: int) -> OSError:
    return OSError(
        errno.EFBIG,
        f"it has more than {at_most / 2**20:,.0f} MiB, the most that such a file may have; name another, or cut it",
        str(path),
    )


def sync_file(path: Path) -> None:
    """Make the content of a file durable that was written by other means."""
    _sync(path)


def sync_directory(directory: Path) -> None:
    """Make the names of a folder's files durable: new, renamed and removed ones."""
    _sync(directory)


def identity_of(path: Path) -> tuple[int, int] | None:
    """What tells a file or folder from every other one, even under another name; None if there is none at the path."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def read_by_others(path: Path) -> bool:
    """Whether every user of the machine may read the file; False where that cannot be found out."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def lock(path: Path, *, create: bool = False) -> int:
    """Keep other processes out of a folder or a file; return the file descriptor that holds the lock.

    The lock ends when the descriptor is closed, which the system does when the process dies. With `create`, `path` is a
    file that is made if it does not exist, readable by its owner only.

    Raises `BlockingIOError` when another process, or another descriptor of this one, holds the lock, and when `path`
    was replaced or removed before the lock was taken. Callers say in their own words what that means. Raises another
    `OSError` that names `path` when it cannot be opened, or when its file system has no locks.
    """
    # Without waiting: somebody may have put a pipe in the file's place.
    descriptor = os.open(path, (os.O_RDWR | os.O_CREAT if create else os.O_RDONLY) | os.O_NONBLOCK, 0o600)
    try:
        _lock(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError):
            raise BlockingIOError(error.errno, error.strerror, str(path)) from error
        raise OSError(
            error.errno, f"its file system cannot lock it ({error.strerror}); use a local disk", str(path)
        ) from error
    # The process that held the lock before may have renamed or removed the file; the lock would protect nothing.
    try:
        is_there = os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        is_there = False
    if not is_there:
        raise BlockingIOError(errno.EAGAIN, "it was replaced or removed just now", str(path))


def _remove_if_old(files: list[Path]) -> None:
    for file in files:
        # What cannot be removed, for example another user's, is no reason not to write.
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > _ABANDONED_AFTER_S:
                file.unlink()


@contextmanager
def _errors_named(path: Path, unfinished: Path, if_absent: str) -> Iterator[None]:
    """Let an `OSError` of the `with` block name `path` instead of the unfinished file, or of no file.

    `if_absent` says what is wrong if the unfinished file is not there although its folder is.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and str(error.filename) != str(unfinished)):
            raise
        reason = error.strerror
        if isinstance(error, FileNotFoundError) and path.parent.exists():
            reason = if_absent
        # Of the same class, which Python chooses by the number.
        raise OSError(error.errno, reason, str(path)) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
