"""Columns answer what `Filter.passes` answers, for many rows at once and while more are appended."""

import json
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from gfp_serve.filters import (
    LABEL,
    AnyOf,
    Filter,
    Range,
)
from gfp_serve.gallery.embedded.columns import Columns

# Few of each, so that conditions match. Some are equal in Python but not in JSON.
TEXTS = st.sampled_from(["", "3", "true", "sit down", "Fuß", "日本", '"', "a\\b\n"]) | st.text(max_size=2)
NUMBERS = st.sampled_from([0, 0.0, -0.0, 1, 1.0, 2, 2.5, -3, 2**53, 1e300, -1e300])
VALUES = TEXTS | NUMBERS | st.booleans()
KEYS = st.sampled_from(["subject", "täg"])

ROWS = st.lists(
    st.tuples(TEXTS, st.dictionaries(KEYS | st.just(LABEL), VALUES | st.lists(TEXTS, max_size=3))), max_size=20
)
# Fields of conditions. The conditions are made in the test, because checking their types draws random numbers.
ASKED = KEYS | st.sampled_from([LABEL, "nowhere"])
ANY_OFS = st.tuples(st.just(AnyOf), ASKED, st.lists(VALUES, min_size=1, max_size=40).map(tuple))
BOUNDS = st.none() | NUMBERS | st.just(float("inf"))
RANGES = st.tuples(st.just(Range), ASKED, BOUNDS, BOUNDS, BOUNDS, BOUNDS).filter(lambda it: it[2:] != (None,) * 4)
CONDITIONS = st.lists(ANY_OFS | RANGES, max_size=3)


def columns_of(*rows: tuple[str, dict[str, object]]) -> Columns:
    columns = Columns()
    columns.append([label for label, _ in rows], [json.dumps(attributes) for _, attributes in rows])
    return columns


def passing(columns: Columns, *must: AnyOf | Range) -> list[int]:
    return np.flatnonzero(columns.passing(Filter(must), len(columns))).tolist()


@given(st.lists(ROWS, max_size=4), st.tuples(CONDITIONS, CONDITIONS, CONDITIONS), st.integers(0, 80))
def test_the_rows_that_pass_are_those_that_the_filter_itself_lets_pass(batches, fields, num_rows):
    columns = Columns()
    for batch in batches:
        columns.append([label for label, _ in batch], [json.dumps(attributes) for _, attributes in batch])
    rows = [row for batch in batches for row in batch]
    assert len(columns) == len(rows)
    rows = rows[:num_rows]

    def assert_same(where: Filter) -> None:
        mask = columns.passing(where, len(rows))
        assert mask.tolist() == [where.passes(label, attributes) for label, attributes in rows]
        labels = [label for (label, _), passes in zip(rows, mask, strict=True) if passes and label]
        assert columns.label_counts(mask) == Counter(labels)

    conditions = [tuple(kind(*rest) for kind, *rest in some) for some in fields]
    assert_same(Filter(*conditions))
    for condition in (condition for some in conditions for condition in some):
        assert_same(Filter(must=(condition,)))


def test_a_key_may_have_another_type_in_each_row():
    columns = columns_of(("", {"k": 1}), ("", {"k": True}), ("", {"k": "1"}), ("", {"k": ["1", "2"]}), ("", {}))
    assert passing(columns, AnyOf("k", (1.0,))) == [0]
    assert passing(columns, AnyOf("k", (True,))) == [1]
    assert passing(columns, AnyOf("k", ("1",))) == [2, 3]
    assert passing(columns, AnyOf("k", (1.0, "2"))) == [0, 3]
    assert passing(columns, Range("k", at_most=1)) == [0]


def test_bounds_are_met_or_not_as_they_say_and_by_numbers_alone():
    columns = columns_of(*[("", {"age": age}) for age in (1, 2, 3, True, "2", ["2"])], ("", {}), ("", {"age": -0.0}))
    assert passing(columns, Range("age", above=1, at_most=3)) == [1, 2]
    assert passing(columns, Range("age", at_least=1, below=3)) == [0, 1]
    assert passing(columns, Range("age", at_least=0, at_most=0)) == passing(columns, AnyOf("age", (0.0,))) == [7]


def test_integers_of_any_size_are_compared_as_floats():
    columns = columns_of(("", {"frame": 2**53 + 1}), ("", {"frame": 10**20}))
    assert passing(columns, AnyOf("frame", (2.0**53,))) == [0]
    assert passing(columns, Range("frame", above=1e19)) == [1]


def test_no_label_has_code_0_and_is_found_but_not_counted():
    columns = columns_of(("sit", {}), ("", {}), ("walk", {}), ("sit", {}))
    assert columns.label_codes(2).tolist() == [1, 0]
    assert columns.label_of(0) == ""
    assert passing(columns, AnyOf(LABEL, ("", "walk"))) == [1, 2]
    assert columns.label_counts(np.array([True, True, False, True])) == {"sit": 2}


def test_codes_cannot_be_changed_by_who_reads_them():
    codes = columns_of(("sit", {})).label_codes(1)
    with pytest.raises(ValueError, match="read-only"):
        codes[0] = 0


@pytest.mark.parametrize("attributes", [["{}"], ["{}", "{"], ['{"a": 1', '"b": 2}']])
def test_an_append_that_cannot_be_read_adds_nothing(attributes):
    columns = columns_of(("sit", {"take": 1}))
    with pytest.raises(ValueError):  # noqa: PT011  (the texts are Python's)
        columns.append(["walk", "walk"], attributes)
    assert len(columns) == 1
    columns.append(["walk"], ['{"take": 2}'])
    assert passing(columns, AnyOf("take", (1.0, 2.0))) == [0, 1]


def test_keys_that_one_row_has_take_no_memory_for_the_others():
    num_rows = 4000
    attributes = [json.dumps({f"key {row}": row}) for row in range(num_rows)]
    tracemalloc.start()
    try:
        columns = Columns()
        columns.append([""] * num_rows, attributes)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert passing(columns, AnyOf("key 3999", (3999.0,))) == [3999]
    assert taken < 2000 * num_rows  # an int32 for each row and key would take 16 000 bytes per row


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried_threads")
def test_a_reader_sees_the_rows_that_it_knows_of_whole_while_others_are_appended():
    num_rows = 20_000
    row = np.arange(num_rows)
    labels = (row % 7).astype(str).tolist()
    attributes = [
        json.dumps({"number": number, "tags": ["all", f"tag {number % 3}"]} | ({"rare": True} if number % 5 else {}))
        for number in range(num_rows)
    ]
    where = Filter(
        must=(Range("number", at_least=0), AnyOf("tags", ("all",)), AnyOf(LABEL, tuple("0123456"))),
        any_of=(AnyOf("tags", ("tag 1",)), AnyOf("rare", (True,))),
    )
    expected = (row % 3 == 1) | (row % 5 != 0)
    columns = Columns()
    looked, appended = threading.Event(), threading.Event()

    def append() -> None:
        start = 0
        while start < num_rows:
            assert start < num_rows // 2 or looked.wait(60)  # at enough states on the way
            end = start + 1 + start % 60
            columns.append(labels[start:end], attributes[start:end])
            start = end
        appended.set()

    writer = threading.Thread(target=append)
    writer.start()
    seen = set()
    while not appended.is_set():
        known = len(columns)
        seen.add(known)
        if len(seen) > 10:
            looked.set()
        np.testing.assert_array_equal(columns.passing(where, known), expected[:known])
        assert [columns.label_of(code) for code in columns.label_codes(known)[-3:].tolist()] == labels[:known][-3:]
    writer.join()
    assert len(columns) == num_rows
