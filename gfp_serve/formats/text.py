"""Lines and tables of numbers from text files. Errors name the line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gfp_serve.errors import DamagedFileError
from gfp_serve.files import read_ordinary

# Texts are read whole, and what is made of one takes up to some tens of times its size.
MAX_TEXT_BYTES = 512 * 2**20


def read_lines(path: Path) -> list[str]:
    """The lines of the file without their ends, and without empty lines at the end of the file.

    Raises `DamagedFileError` for a file that cannot be read or is not text.
    """
    try:
        lines = read_ordinary(path, at_most=MAX_TEXT_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DamagedFileError(
            f"{path} is not a text file: byte {error.start} is not UTF-8. Save it as UTF-8, or copy it again."
        ) from error
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def damaged_line(path: Path, line: int, what: str) -> DamagedFileError:
    """The error for a line, counted from 1."""
    return DamagedFileError(f"{path}: line {line} {what}.")


def read_table(
    path: Path, lines: Sequence[str], *, first_line: int, num_columns: int
) -> Float64[np.ndarray, "lines num_columns"]:
    """The numbers of lines with `num_columns` numbers each. `first_line` is the number of the first line in errors.

    Raises `DamagedFileError`, which names the line.
    """
    try:
        table = np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2)
        if table.shape == (len(lines), num_columns):  # loadtxt skips empty lines
            return table
    except ValueError:
        pass
    for number, line in enumerate(lines, start=first_line):
        fields = line.split()
        if len(fields) != num_columns:
            raise damaged_line(path, number, f"must hold {num_columns} numbers, has {len(fields)}")
        for field in fields:
            try:
                np.float64(field)
            except ValueError:
                raise damaged_line(path, number, f"must hold numbers, got {field[:40]!r}") from None
    raise damaged_line(path, first_line, "starts a table that cannot be read as numbers")
