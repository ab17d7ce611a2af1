"""One array in a `.npy` file, which stays on disk."""

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.npz_archive import UNREADABLE_ARCHIVE

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def open_array(path: Path) -> np.ndarray:
    """The numbers of a file, mapped into memory: what is not looked at is not read. Nothing in the file is run.

    Raises `DamagedFileError` for a file that is cut off, and for one of text or objects.
    """
    try:
        with path.open("rb") as file:
            shape, fortran_order, dtype = read_header(file)
            start = file.tell()
    except (*UNREADABLE_ARCHIVE, TypeError, RecursionError) as error:
        raise DamagedFileError(
            f"{path} is not an array of numpy that can be read: {str(error)[:200]}; copy it again."
        ) from error
    if dtype.kind not in "fiu":
        raise DamagedFileError(f"{path} holds {dtype}; expected an array of numbers. Write it again as float32.")
    size = path.stat().st_size
    expected = start + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected != size or any(type(length) is bool for length in shape):
        raise DamagedFileError(
            f"{path} announces {shown(shape)} numbers, {expected} bytes in all, and has {size} bytes; copy it again."
        )
    try:
        if 0 in shape:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order="F" if fortran_order else "C")
    except (ValueError, TypeError, OverflowError) as error:  # sizes and numbers of axes that numpy does not have
        raise DamagedFileError(
            f"{path} announces {shown(shape)} numbers, which no array has; copy it again."
        ) from error


def read_header(file: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the order of the memory is Fortran's, and dtype of the array that a file goes on with.

    Raises one of `UNREADABLE_ARCHIVE`, `TypeError` or `RecursionError`.
    """
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise ValueError(f"it has version {version[0]}.{version[1]} of the format; expected 1.0 or 2.0")
    # numpy warns of headers that Python 2 wrote; they are read all the same.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _READ_HEADER[version](file)


def shown(shape: tuple[int, ...]) -> str:
    """A shape for messages: 300 × 25 × 3."""
    return " × ".join(map(str, shape)) or "one number"
