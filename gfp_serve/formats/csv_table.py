"""CSV files whose first line names their columns, and whose other lines are frames or people in frames."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.json_text import LARGEST
from gfp_serve.formats.text import damaged_line

# Columns with the number of a frame, and with its time: the unit in seconds, None if the name does not say it.
NUMBERS = ("frame", "frame_index", "frame_id", "frame_number", "frame_num")
TIMES = {"timestamp_ms": 1e-3, "time_ms": 1e-3, "timestamp_s": 1.0, "time_s": 1.0, "timestamp": None, "time": None}
_LABELS = ("label", "class", "action", "exercise")
_SEPARATORS = ",;\t"
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*")

Rows = Mapping[int, Sequence[str]]  # the fields of each line that has some, by its number in the file


_MAX_NAME_LENGTH = 100


def heading_of(line: str) -> list[str]:
    """The names of columns."""
    separator = max(_SEPARATORS, key=line.count)
    try:
        names = next(csv.reader([line.lstrip("# ")], delimiter=separator), [])
    except csv.Error:  # a field longer than the module takes
        return []
    # No column has so long a name, and telling what one means takes longer the longer it is.
    return [name.strip()[:_MAX_NAME_LENGTH] for name in names]


def rows_of(path: Path, lines: Sequence[str], num_columns: int) -> Rows:
    """The rows below the heading. Raises `DamagedFileError`, which names the line."""
    separator = max(_SEPARATORS, key=lines[0].count)
    rows = {}
    reader = csv.reader(lines[1:], delimiter=separator)
    try:
        for row in reader:
            if row:
                rows[reader.line_num + 1] = row if separator == "," else list(map(_with_decimal_point, row))
                if len(row) != num_columns:
                    raise damaged_line(path, reader.line_num + 1, f"must hold {num_columns} fields, has {len(row)}")
    except csv.Error as error:
        raise damaged_line(path, reader.line_num + 1, f"cannot be read: {error}") from error
    if not rows:
        raise DamagedFileError(f"{path} has a heading and no frames; copy it again.")
    return rows


def _with_decimal_point(field: str) -> str:
    """The field; a number with a decimal comma, as many countries write it, with a point instead."""
    return field.replace(",", ".") if _DECIMAL_COMMA.fullmatch(field) else field


def coordinates_of(path: Path, rows: Rows, columns: Sequence[int]) -> np.ndarray:
    """The numbers in these columns: rows × columns. An empty field is NaN. Raises `DamagedFileError` with the line."""
    found = np.empty((len(rows), len(columns)))
    for place, (line, row) in enumerate(rows.items()):
        for index, column in enumerate(columns):
            number = number_of(row[column])
            if number is None:
                raise damaged_line(path, line, f"must hold numbers, got {row[column][:40]!r}")
            found[place, index] = number
    return found


def number_of(text: str, largest: float = LARGEST) -> float | None:
    """NaN for an empty field, None for what is not a number up to the largest."""
    if not text.strip():
        return np.nan
    try:
        number = float(text)
    except ValueError:
        return None
    return None if abs(number) > largest else number


def numbers_in(rows: Rows, heading: Sequence[str], names: Sequence[str], *, largest: float = LARGEST) -> list[float]:
    """The numbers of the first of these columns; empty if not all of its fields are numbers."""
    for name in names:
        if name in heading:
            found = [number_of(row[heading.index(name)], largest) for row in rows.values()]
            numbers = [number for number in found if number is not None and np.isfinite(number)]
            return numbers if len(numbers) == len(rows) else []
    return []


def label_in(rows: Rows, heading: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The label of all lines, and what must be said about it."""
    for name in _LABELS:
        if name in heading:
            labels = {row[heading.index(name)].strip() for row in rows.values()}
            if len(labels) > 1:
                return None, (f"its column {name!r} is not the same in all lines, so it has no label.",)
            return labels.pop() or None, ()
    return None, ()
