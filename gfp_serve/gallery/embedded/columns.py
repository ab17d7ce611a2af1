"""Labels and attributes of items as columns in memory. A filter over a million rows then takes milliseconds.

An attribute takes memory only for the rows that have it. So attributes that few items have cost little, even if every
item has one of its own.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, Shaped

from gfp_serve.filters import LABEL, AnyOf, Condition, Filter, Range

# How values are stored, by their type in JSON. Texts, and the texts in lists, are stored as codes.
_DTYPES: dict[type, type[np.generic]] = {str: np.int32, list: np.int32, float: np.float64, bool: np.bool_}

_FIRST_CAPACITY = 8
# Up to about this many values, comparing with one after the other is faster than `np.isin`.
_FEW_VALUES = 16


class Columns:
    """Rows of a label and attributes, numbered from 0 in the order in which they were appended.

    One thread at a time may append. Others may read meanwhile, without a lock. A reader says how many rows it means
    (`num_rows`, at most the length that it saw), and later rows do not change its answer.
    """

    def __init__(self) -> None:
        self._label_names = _Texts()
        self._label_names.code("")  # code 0
        self._labels = _GrowingArray(np.int32)
        self._texts = _Texts()
        # By key and type: in different rows, the same key may have values of different types.
        self._attributes: dict[tuple[str, type], _Postings] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def append(self, labels: Sequence[str], attributes: Sequence[str]) -> None:
        """Add a row for each label, with the attributes at the same place: the text of a JSON object.

        Its values are texts, finite numbers, booleans and lists of texts. Raises `ValueError`, and adds nothing, if
        the numbers of labels and attributes differ or if a text is not JSON.
        """
        written = [  # most items have no attributes, so "{}" is not parsed
            (row, text)
            for row, (_, text) in enumerate(zip(labels, attributes, strict=True), start=len(self))
            if text != "{}"
        ]
        # Parsing one JSON text takes a third of the time of many.
        objects = json.loads(f"[{','.join(text for _, text in written)}]")
        found: defaultdict[tuple[str, type], tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
        for (row, _), its_attributes in zip(written, objects, strict=True):
            for key, value in its_attributes.items():
                kind = float if type(value) is int else type(value)
                members = value if kind is list else [value]
                rows, values = found[key, kind]
                rows.extend([row] * len(members))
                values.extend(members)
        for (key, kind), (rows, values) in found.items():
            column = self._attributes.setdefault((key, kind), _Postings(_DTYPES[kind]))
            column.extend(rows, self._texts.codes(values) if kind in (str, list) else values)
        # This comes last, because the number of labels is the number of rows that readers may look at.
        self._labels.extend(self._label_names.codes(labels))

    def passing(self, where: Filter, num_rows: int) -> Bool[np.ndarray, " {num_rows}"]:
        """Which of the first `num_rows` rows pass, as `Filter.passes` defines it. The array is new.

        Numbers are compared as float64, so two integers beyond 2**53 may count as equal although they differ.
        """
        passing = np.ones(num_rows, dtype=bool)
        for condition in where.must:
            passing &= self._rows_where(condition, num_rows)
        if where.any_of:
            passing &= np.logical_or.reduce([self._rows_where(condition, num_rows) for condition in where.any_of])
        for condition in where.must_not:
            passing &= ~self._rows_where(condition, num_rows)
        return passing

    def label_codes(self, num_rows: int) -> Int32[np.ndarray, " {num_rows}"]:
        """The labels of the first `num_rows` rows as codes. Codes never change; 0 is the empty label.

        The array is read-only.
        """
        return self._labels.read()[:num_rows]

    def label_of(self, code: int) -> str:
        return self._label_names.names[code]

    def label_counts(self, mask: Bool[np.ndarray, " num_rows"]) -> dict[str, int]:
        """Count the rows of each label among the first rows that are true in `mask`. Empty labels are not counted."""
        counts = np.bincount(self.label_codes(len(mask))[mask])
        return {self.label_of(code): int(counts[code]) for code in np.flatnonzero(counts).tolist() if code != 0}

    def _rows_where(self, condition: Condition, num_rows: int) -> Bool[np.ndarray, " {num_rows}"]:
        if condition.key == LABEL and isinstance(condition, AnyOf):
            return _is_one_of(self.label_codes(num_rows), self._label_names.known(condition.values))
        holding = np.zeros(num_rows, dtype=bool)
        if condition.key == LABEL:  # a text is never in a range
            return holding
        for kind in _DTYPES:
            column = self._attributes.get((condition.key, kind))
            if column is None:
                continue
            rows, values = column.read(num_rows)
            if isinstance(condition, AnyOf):
                holds = _is_one_of(values, self._values_of_kind(condition, kind))
            elif kind is float:
                holds = _is_within(values, condition)
            else:
                continue
            if kind is list:
                holding[rows[holds]] = True  # a row appears once for each member of its list
            elif len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1:
                holding[rows[0] : rows[-1] + 1] = holds  # rows without gaps: this is much faster
            else:
                holding[rows] = holds
        return holding

    def _values_of_kind(self, condition: AnyOf, kind: type) -> Sequence[float | bool]:
        """The condition's values of this type, in the form in which columns store them."""
        if kind in (str, list):
            return self._texts.known(condition.values)
        if kind is bool:
            return [value for value in condition.values if isinstance(value, bool)]
        return [float(value) for value in condition.values if not isinstance(value, str | bool)]


class _Texts:
    """Texts and their codes: 0, 1, 2, … in the order in which the texts first appeared."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}

    def code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            code = len(self.names)
            self.names.append(text)
            self._codes[text] = code
        return code

    def codes(self, texts: Iterable[str]) -> list[int]:
        return [self.code(text) for text in texts]

    def known(self, values: Iterable[object]) -> list[int]:
        """The codes of those values that are texts and have a code."""
        return [self._codes[value] for value in values if isinstance(value, str) and value in self._codes]


class _GrowingArray:
    """An array that grows at its end. A full array is replaced by a larger copy, so what was read stays as it was."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._array = np.empty(_FIRST_CAPACITY, dtype=dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def extend(self, values: Sequence[float | bool]) -> None:
        length = self._length + len(values)
        if length > len(self._array):
            larger = np.empty(max(length, 2 * len(self._array)), dtype=self._array.dtype)
            larger[: self._length] = self._array[: self._length]
            self._array = larger
        self._array[self._length : length] = values
        self._length = length

    def read(self) -> Shaped[np.ndarray, " length"]:
        # The length first: the array that is read after it has at least this length.
        length = self._length
        values = self._array[:length]
        values.flags.writeable = False
        return values


class _Postings:
    """The values of one attribute and type, with their rows in ascending order."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._rows = _GrowingArray(np.int32)
        self._values = _GrowingArray(dtype)

    def extend(self, rows: Sequence[int], values: Sequence[float | bool]) -> None:
        self._rows.extend(rows)
        self._values.extend(values)

    def read(self, num_rows: int) -> tuple[Int32[np.ndarray, " found"], Shaped[np.ndarray, " found"]]:
        """Rows and values among the first `num_rows` rows."""
        rows = self._rows.read()
        found = np.searchsorted(rows, num_rows)
        return rows[:found], self._values.read()[:found]


def _is_one_of(values: Shaped[np.ndarray, " n"], wanted: Sequence[float | bool]) -> Bool[np.ndarray, " n"]:
    if len(wanted) > _FEW_VALUES:
        return np.isin(values, wanted)
    found = np.zeros(len(values), dtype=bool)
    for value in wanted:
        found |= values == value
    return found


def _is_within(values: Float64[np.ndarray, " n"], bounds: Range) -> Bool[np.ndarray, " n"]:
    within = np.ones(len(values), dtype=bool)
    if bounds.above is not None:
        within &= values > bounds.above
    if bounds.at_least is not None:
        within &= values >= bounds.at_least
    if bounds.below is not None:
        within &= values < bounds.below
    if bounds.at_most is not None:
        within &= values <= bounds.at_most
    return within
