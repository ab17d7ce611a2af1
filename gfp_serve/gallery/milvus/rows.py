"""Items as rows of a Milvus collection, and filters as Milvus expressions. Nothing here uses Milvus's client.

Expressions never contain a text from a caller. Ids and compared values are hashed, so nothing has to be escaped, and
every release of Milvus gives the same answer. The releases disagree about JSON: milvus-lite treats true as 1, Milvus
2.3 refuses an attribute without a name, and later releases have a third answer for "not" of a missing value.
"""

import hashlib
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import InvalidRequestError
from gfp_serve.filters import (
    LABEL,
    AnyOf,
    Condition,
    Filter,
    Range,
)
from gfp_serve.gallery.protocols import say_left_out
from gfp_serve.items import (
    MAX_ID_LENGTH,
    Attribute,
    Item,
    Source,
    check_source,
)

# Milvus's own limits, in bytes of UTF-8.
MAX_ID_BYTES = 4 * MAX_ID_LENGTH
MAX_LABEL_BYTES = 65_535
_MAX_JSON_BYTES = 65_536
# An item's facts are its label, each attribute, each member of a list, and one more for each number.
MAX_FACTS = 4096

# Hexadecimal digits of a key and of a fact. Two texts with the same one cannot be found.
KEY_LENGTH = 64
FACT_LENGTH = 32

_LARGEST = sys.float_info.max


def key_of(id: str) -> str:
    """The primary key of the item with this id."""
    return hashlib.sha256(id.encode()).hexdigest()


def row_of(item: Item, vector: Float32[np.ndarray, " embedding_size"], seq: int) -> dict[str, Any]:
    """The row of an item. Raises `InvalidRequestError` if it is larger than Milvus accepts."""
    attributes = {name: _normalised(value) for name, value in item.attributes.items()}
    facts = sorted({_fact(LABEL, item.label), *_facts(attributes)})
    numbers = {_number(name): value for name, value in attributes.items() if _is_number(value) and name != LABEL}
    row = {
        "key": key_of(item.id),
        "id": item.id,
        "vector": vector,
        "label": item.label,
        "attributes": attributes,
        "source": {} if item.source is None else _source_row(item.source),
        "facts": facts,
        "numbers": numbers,
        "seq": seq,
    }
    _refuse_too_large(item.id, "label", len(item.label.encode()), MAX_LABEL_BYTES, "bytes")
    for name in ("attributes", "source", "numbers"):
        _refuse_too_large(
            item.id, name, len(json.dumps(row[name], ensure_ascii=False).encode()), _MAX_JSON_BYTES, "bytes"
        )
    _refuse_too_large(item.id, "attributes", len(facts), MAX_FACTS, "values")
    return row


def item_of(row: Mapping[str, Any]) -> Item:
    vector = np.array(row["vector"], dtype=np.float32)
    return Item(row["id"], vector, row["label"], row["attributes"], source_of(row))


def source_of(row: Mapping[str, Any]) -> Source | None:
    """The source of a row; None if it has none, and where `say_left_out` says why."""
    if not row["source"]:
        return None
    source = Source(**row["source"])
    try:
        check_source(source)
    except InvalidRequestError as error:
        say_left_out(repr(source), error.message)
        return None
    return source


def expression(where: Filter | None) -> str:
    """A Milvus expression that holds for exactly the rows of the items that the filter lets pass."""
    if where is None:
        return ""
    clauses = [_clause(condition) for condition in where.must]
    if where.any_of:
        clauses.append(f"({' or '.join(map(_clause, where.any_of))})")
    clauses += [f"not {_clause(condition)}" for condition in where.must_not]
    return " and ".join(clauses)


def _clause(condition: Condition) -> str:
    if isinstance(condition, AnyOf):
        return _has_any(_fact(condition.key, value) for value in map(_normalised, condition.values))
    bounds = [
        clause
        for sign, bound in _bounds(condition)
        if (clause := _bound(f'numbers["{_number(condition.key)}"]', sign, bound))
    ]
    # This first checks that there is such a number, so that "not" is never applied to a missing value.
    return f"({' and '.join([_has_any([_fact(condition.key)]), *bounds])})"


def _bounds(condition: Range) -> list[tuple[str, float]]:
    bounds = ((">", condition.above), (">=", condition.at_least), ("<", condition.below), ("<=", condition.at_most))
    return [(sign, float(bound)) for sign, bound in bounds if bound is not None]


def _bound(number: str, sign: str, bound: float) -> str:
    if math.isfinite(bound):
        return f"{number} {sign} {bound!r}"
    # Milvus has no infinity. Attributes are finite, so an infinite bound holds for all of them or for none.
    if (bound > 0) == sign.startswith("<"):
        return ""
    return f"{number} > {_LARGEST!r}" if bound > 0 else f"{number} < {-_LARGEST!r}"


def _has_any(facts: Iterable[str]) -> str:
    listed = ", ".join(f'"{fact}"' for fact in facts)
    return f"array_contains_any(facts, [{listed}])"


def _facts(attributes: Mapping[str, Attribute]) -> Iterable[str]:
    for name, value in attributes.items():
        if name == LABEL:
            continue  # this key means the label in conditions
        for member in value if isinstance(value, list) else [value]:
            yield _fact(name, member)
        if _is_number(value):
            yield _fact(name)


def _fact(name: str, *value: str | float | bool) -> str:
    """The hash of a fact about an item: the attribute `name` is or lists this value; without one, it is a number."""
    return hashlib.blake2b(json.dumps([name, *value]).encode(), digest_size=FACT_LENGTH // 2).hexdigest()


def _number(name: str) -> str:
    # Milvus takes a key that consists of digits for a place in a list.
    return f"n{_fact(name)}"


def _normalised(value: Any) -> Any:
    # Equal numbers such as 1 and 1.0, or 0 and −0.0, must have the same text. Lists contain only texts.
    return value + 0.0 if _is_number(value) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _source_row(source: Source) -> dict[str, Any]:
    return {"recording": source.recording, "start_s": float(source.start_s), "end_s": float(source.end_s)}


def _refuse_too_large(id: str, part: str, size: int, limit: int, unit: str) -> None:
    if size > limit:
        raise InvalidRequestError(
            f"the {part} of item {id!r} has {size} {unit}, but Milvus stores at most {limit}; store less with the "
            f"item, or store it elsewhere under the item's id."
        )


def check_upsert_size(items: Sequence[Item], rows: Sequence[Mapping[str, Any]], limit: int) -> None:
    """Raise `InvalidRequestError` for rows that do not fit into one message, which is written as a whole."""
    num_bytes = sum(
        4 * len(item.vector)
        + len(item.id.encode())
        + len(item.label.encode())
        + (FACT_LENGTH + 4) * len(row["facts"])
        + sum(len(json.dumps(row[name], ensure_ascii=False).encode()) for name in ("attributes", "source", "numbers"))
        + 2 * KEY_LENGTH
        for item, row in zip(items, rows, strict=True)
    )
    if num_bytes > limit:
        raise InvalidRequestError(
            f"{len(rows)} items have {num_bytes} bytes together, but Milvus accepts at most {limit} at once; send "
            f"fewer items."
        )
