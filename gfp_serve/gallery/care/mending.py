"""Taking from a stored item what no gallery takes today, so that the rest of it can stay."""

import json
from bisect import bisect_left
from typing import Any

from gfp_serve.errors import InvalidRequestError
from gfp_serve.gallery.embedded.item_codec import (
    problem_of,
    problem_of_attributes,
    problem_of_source,
    read_item,
)
from gfp_serve.gallery.embedded.schema import ItemRow
from gfp_serve.items import check_item

# Each part that was cleared, and why: "the source: its source starts at 5 s …".
Cleared = tuple[str, ...]


def mended(row: ItemRow) -> tuple[ItemRow, Cleared] | None:
    """The row without the parts that no gallery takes, and what they were; None if the rest would be no item either.

    Its id and vector always stay. Of an item that has too many bytes, the largest attributes go first, then the label.
    """
    if problem_of(row) is None:
        return row, ()
    cleared = []
    if row.source and (problem := problem_of_source(row.source)) is not None:
        cleared.append(f"the source: {problem}")
        row = row._replace(source="")
    if (problem := problem_of_attributes(row.id, row.attributes)) is not None:
        attributes, dropped = _sound_attributes(row.id, row.attributes, problem)
        cleared += dropped
        row = row._replace(attributes=json.dumps(attributes))
    if (problem := _problem_of_size(row)) is not None:
        row, dropped = _without_largest_attributes(row)
        cleared += [f"the attribute {key[:80]!r}: {problem}" for key in dropped]
    if row.label and (problem := _problem_of_size(row)) is not None:
        cleared.append(f"the label: {problem}")
        row = row._replace(label="")
    return (row, tuple(cleared)) if _problem_of_size(row) is None else None


def _without_largest_attributes(row: ItemRow) -> tuple[ItemRow, list[str]]:
    """The row without as many of its largest attributes as must go for the rest to fit, and their names."""
    attributes = json.loads(row.attributes)
    largest_first = sorted(attributes, key=lambda key: len(json.dumps([key, attributes[key]])), reverse=True)

    def without(number: int) -> ItemRow:
        dropped = set(largest_first[:number])
        return row._replace(attributes=json.dumps({k: attributes[k] for k in attributes if k not in dropped}))

    # Bisected, because there may be thousands of them, and each try writes and reads all that are left.
    number = bisect_left(range(len(largest_first)), True, key=lambda number: _problem_of_size(without(number)) is None)
    return without(number), largest_first[:number]


def _sound_attributes(id: str, text: str, problem: str) -> tuple[dict[str, Any], list[str]]:
    """The attributes that an item may have, and what was wrong with the others."""
    try:
        attributes = json.loads(text)
    except (ValueError, RecursionError):
        attributes = None
    if not isinstance(attributes, dict):
        return {}, [f"all attributes: {problem}"]
    sound, dropped = {}, []
    for key, value in attributes.items():
        its_problem = problem_of_attributes(id, json.dumps({key: value}))
        if its_problem is None:
            sound[key] = value
        else:
            dropped.append(f"the attribute {key[:80]!r}: {its_problem}")
    return sound, dropped


def _problem_of_size(row: ItemRow) -> str | None:
    """What `check_item` says of a row whose source and attributes are sound: it may be too large, or have a bad id."""
    try:
        check_item(read_item(row))
    except InvalidRequestError as error:
        return error.message
    return None
