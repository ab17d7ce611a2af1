"""JSON files: their content, and the lists of numbers in it. Errors name the place."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary, read_ordinary
from gfp_serve.formats.text import MAX_TEXT_BYTES

# No image and no recording has coordinates as large as this.
LARGEST = 1e9
# Whole numbers up to this have a float of their own. Ids of images and tracks may be larger than coordinates.
_LARGEST_ID = 1e15
_HEAD_BYTES = 65_536


def load(path: Path) -> Any:
    """The content of a JSON file. A file with a JSON value in each line gives a list of them.

    Raises `DamagedFileError`, which names the line.
    """
    try:
        text = read_ordinary(path, at_most=MAX_TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedFileError(
            f"{path} is not a text file: byte {error.start} is not UTF-8. Save it as UTF-8, or copy it again."
        ) from error
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and error.pos > 0:
            return _lines(path, text)
        raise _damaged(path, error.lineno, error) from error
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is not JSON that can be read: {error}.") from error


def head_of(path: Path) -> bytes:
    """The beginning of a file, which has the keys of its format; nothing if it cannot be read."""
    try:
        with open_ordinary(path) as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def numbers(value: Any, where: str, what: str) -> Float64[np.ndarray, " numbers"]:
    """A list of numbers, or of lists of equally many of them, in one row; null is NaN.

    Raises `DamagedFileError`: `where` names the place and `what` the list, such as "file: frame 3, person 0".
    """
    return table(value, where, what).reshape(-1)


def table(value: Any, where: str, what: str) -> Float64[np.ndarray, "..."]:
    """The same in the shape of the lists."""
    if not isinstance(value, list):
        raise DamagedFileError(f"{where} must have a list of numbers in {what!r}, got {_kind(value)}.")
    try:
        found = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DamagedFileError(
            f"{where} must have numbers in {what!r}, got other things or rows that differ."
        ) from None
    if (np.abs(found) > LARGEST).any():
        raise DamagedFileError(f"{where} has a number beyond {LARGEST:g} in {what!r}; coordinates are smaller.")
    return found


def one_number(value: Any) -> float | None:
    """The value if it is a number up to 1e15; None otherwise."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _LARGEST_ID else None


def first_number(fields: Any, names: Sequence[str]) -> float | None:
    """The number above 0 under the first of these names that has one."""
    if isinstance(fields, dict):
        for name in names:
            value = one_number(fields.get(name))
            if value is not None and value > 0:
                return value
    return None


def _lines(path: Path, text: str) -> list[Any]:
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise _damaged(path, number, error) from error
    return values


def _damaged(path: Path, line: int, error: Exception) -> DamagedFileError:
    said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return DamagedFileError(f"{path}: line {line} is not JSON: {said}; the file may be cut off, so copy it again.")


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
