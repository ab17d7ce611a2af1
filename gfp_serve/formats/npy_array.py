"""One array in a `.npy` file, which stays on disk."""

import math
import os
from pathlib import Path

import numpy as np

from gfp_serve.array_files import UNREADABLE_ARCHIVE, fills, read_header, shown, words_of
from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary


def open_array(path: Path) -> np.ndarray:
    """The numbers of a file, mapped into memory: what is not looked at is not read. Nothing in the file is run.

    Raises `DamagedFileError` for a file that is cut off, and for one of text or objects.
    """
    try:
        with open_ordinary(path) as file:
            shape, fortran_order, dtype = read_header(file)
            start, size = file.tell(), os.fstat(file.fileno()).st_size
    except UNREADABLE_ARCHIVE as error:
        raise DamagedFileError(
            f"{path} is not an array of numpy that can be read: {words_of(error)}; copy it again."
        ) from error
    if dtype.kind not in "fiu":
        raise DamagedFileError(f"{path} holds {dtype}; expected an array of numbers. Write it again as float32.")
    expected = start + math.prod(shape) * dtype.itemsize
    if not fills(shape, dtype, size - start):
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
