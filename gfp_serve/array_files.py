"""Files of numpy arrays that somebody else wrote: `.npy` headers and `.npz` archives.

Nothing in them is run, and no memory is taken for more than a file has.
"""

import io
import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary

# A file is refused if it unpacks to more than this many bytes and this many times its size: a few megabytes of zeros
# would fill the memory. Motion shrinks to about a third, a second body that is never there to nothing.
_FREE_BYTES, _MAX_EXPANSION = 256_000_000, 50
# An entry of the list of members takes about 100 bytes in a file, and some times that in memory.
_MAX_LIST_BYTES = 4 * 2**20
# Those that numpy writes. The others can ask for gigabytes before they have given a byte.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# The most bytes that numpy takes for a header of a file that it does not trust.
_MAX_HEADER_BYTES = 10_000
_LAST_CHARACTER, _FIRST_HALF, _LAST_HALF = 0x10FFFF, 0xD800, 0xDFFF

# What zipfile, zlib and numpy raise on a damaged archive of arrays, found by damaging files. RuntimeError is an
# encrypted member or an unknown compression, MemoryError an array header with an absurd shape. Headers that are not
# Python raise the last four.
UNREADABLE_ARCHIVE = (
    *(OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError, TypeError, RecursionError),
)

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def words_of(error: BaseException) -> str:
    """What one of `UNREADABLE_ARCHIVE` says, for a message that names the file already."""
    if isinstance(error, SyntaxError | tokenize.TokenError):
        return "its header is damaged"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said[:200] or type(error).__name__


@contextmanager
def open_archive(path: Path, *, at_most: int | None = None) -> Iterator[zipfile.ZipFile]:
    """Open a `.npz` or another zip. See `open_ordinary`, and `check_size` before its members are read.

    Raises one of `UNREADABLE_ARCHIVE`.
    """
    with open_ordinary(path, at_most=at_most) as file, opened_zip(file) as archive:
        yield archive


def opened_zip(file: io.BufferedIOBase) -> zipfile.ZipFile:
    """The zip in an open file. Raises one of `UNREADABLE_ARCHIVE`."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # before zipfile reads the list
    if end and end[5] > _MAX_LIST_BYTES:
        raise zipfile.BadZipFile(f"its list of members has {end[5]} bytes, more than any archive of arrays")
    return zipfile.ZipFile(file)


def check_size(name: object, archive: zipfile.ZipFile, num_bytes: int) -> None:
    """Raise `DamagedFileError` for an archive of `num_bytes` that would fill the memory. `name` is for messages."""
    size = sum(member.file_size for member in archive.infolist())
    if size > max(_FREE_BYTES, _MAX_EXPANSION * num_bytes):
        raise DamagedFileError(
            f"{name} would take {size / 1e6:.0f} MB of memory, more than {_MAX_EXPANSION} times its own size; recorded "
            f"motion takes less. If the file is right, write it uncompressed."
        )


def open_member(archive: zipfile.ZipFile, name: str) -> io.BufferedIOBase:
    """Open a member of an archive, for example `positions.npy`. Raises one of `UNREADABLE_ARCHIVE`."""
    member = archive.getinfo(name)
    if member.compress_type not in _METHODS:
        raise ValueError("it is compressed in a way that numpy does not use")
    return cast(io.BufferedIOBase, archive.open(member))


def read_member(archive: zipfile.ZipFile, name: str, *, at_most: int) -> bytes:
    """The content of a member, at most this many bytes. Raises one of `UNREADABLE_ARCHIVE`."""
    if (size := archive.getinfo(name).file_size) > at_most:
        raise ValueError(f"{name} has {size} bytes, and at most {at_most} are read")
    with open_member(archive, name) as file:
        return file.read()


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of numbers or text of an archive. `check_size` comes first.

    Raises one of `UNREADABLE_ARCHIVE`: also if the header announces another size than the array has, for objects, and
    for text with characters that do not exist.
    """
    with open_member(archive, f"{name}.npy") as file:
        shape, _, dtype = read_header(file)
        start = file.tell()
    if dtype.hasobject or dtype.kind == "V":
        raise ValueError(f"it holds {dtype}, and only numbers and text are read")
    if not fills(shape, dtype, archive.getinfo(f"{name}.npy").file_size - start):
        raise ValueError(f"its header announces {shown(shape)} of {dtype}, and it has more or fewer")
    with open_member(archive, f"{name}.npy") as file, _without_warnings():
        array = np.lib.format.read_array(file, allow_pickle=False)
    if dtype.kind == "U":
        codes = array.reshape(-1).view(np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if ((codes > _LAST_CHARACTER) | ((codes >= _FIRST_HALF) & (codes <= _LAST_HALF))).any():
            raise ValueError("its text has characters that do not exist; write it again as Unicode")
    return array


def read_arrays(archive: zipfile.ZipFile, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of these arrays that the archive has; see `read_array`. The error names the array."""
    there = set(archive.namelist())
    arrays = {}
    for name in names:
        if f"{name}.npy" in there:
            try:
                arrays[name] = read_array(archive, name)
            except UNREADABLE_ARCHIVE as error:
                raise ValueError(f"array {name!r} cannot be read: {words_of(error)}") from error
    return arrays


def fills(shape: tuple[int, ...], dtype: np.dtype[Any], num_bytes: int) -> bool:
    """Whether an array of this shape and type takes exactly this many bytes."""
    # Numbers that take no bytes could be announced without end.
    is_shape = all(type(length) is int and length >= 0 for length in shape)
    return is_shape and (dtype.itemsize > 0 or 0 in shape) and math.prod(shape) * dtype.itemsize == num_bytes


def read_header(file: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the order of the memory is Fortran's, and dtype of the array that a file goes on with.

    Raises one of `UNREADABLE_ARCHIVE`.
    """
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise ValueError(f"it has version {version[0]}.{version[1]} of the format; expected 1.0 or 2.0")
    # numpy would read as much as the length says, up to 4 GiB, before it looks at it.
    length = file.read(2 if version == (1, 0) else 4)
    num_bytes = int.from_bytes(length, "little")
    if num_bytes > _MAX_HEADER_BYTES:
        raise ValueError(f"its header has {num_bytes} bytes; expected at most {_MAX_HEADER_BYTES}")
    with _without_warnings():
        return _READ_HEADER[version](io.BytesIO(length + file.read(num_bytes)))


def shown(shape: tuple[int, ...]) -> str:
    """A shape for messages: 300 × 25 × 3."""
    return " × ".join(map(str, shape)) or "one number"


@contextmanager
def _without_warnings() -> Iterator[None]:
    # numpy warns of headers that Python 2 wrote; they are read all the same.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
