"""Filters as people type them, for example `label=drink,sit down`, `camera!=2` or `subject>=3`."""

import math
import re
from collections.abc import Sequence
from typing import NoReturn

from gfp_serve.errors import InvalidRequestError, quoted
from gfp_serve.filters import (
    LABEL,
    AnyOf,
    Condition,
    Filter,
    Range,
)

# An attribute may have any name, even "label". `attributes.label` is the attribute "label", `label` is the label.
_ATTRIBUTE_PREFIX = "attributes."

# A backslash before one of these makes it an ordinary character.
_ESCAPED = re.compile(r'\\([\\,"!=<>])')
_CONDITION = re.compile(
    r"""(?P<negation>!?)
        (?P<key>(?: \\. | [^\\!=<>] | !(?!=) | \\\Z )*)
        (?P<operator> != | >= | <= | = | > | < )
        (?P<values>.*)""",
    re.DOTALL | re.VERBOSE,
)
_VALUE = re.compile(
    r"""(?: "(?P<quoted>(?: \\. | [^\\"] )*)" \s*
          | (?P<plain>(?!") (?: \\. | [^\\,] | \\\Z )*) )
        (?: (?P<comma>,) \s* | \Z )""",
    re.DOTALL | re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOUNDS = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}


def read_filter(texts: Sequence[str]) -> Filter | None:
    """Read conditions as one filter, which an item matches if all of them hold. `None` if there are no conditions.

    - `KEY=VALUE,VALUE`: the value is one of these.
    - `KEY!=VALUE,VALUE` or `!KEY=VALUE,VALUE`: the value is not one of these.
    - `KEY>NUMBER`, `KEY>=NUMBER`, `KEY<NUMBER`, `KEY<=NUMBER`: the value is a number within this bound.

    The key `label` means the label, any other key an attribute. `attributes.NAME` means the attribute NAME, even if
    NAME is `label`. Spaces around keys and values are ignored.

    A value that looks like a number matches both that number and that text, because many people store numbers of
    subjects or cameras as texts. A bound matches numbers only. `true` and `false` are booleans. All other values, and
    all values in double quotes, are texts. Values of the label are always texts. A backslash before a comma, quote,
    operator or backslash makes it part of the text.

    Raises `InvalidRequestError` that names the text that is not a condition, and shows the right form.
    """
    must: list[Condition] = []
    must_not: list[Condition] = []
    for text in texts:
        condition, holds = _read_condition(text)
        (must if holds else must_not).append(condition)
    return Filter(must=tuple(must), must_not=tuple(must_not)) if texts else None


def _read_condition(text: str) -> tuple[Condition, bool]:
    """Read one condition. The second value is True if it must hold, False if it must not."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(text, "cannot be encoded as UTF-8", "type it in a terminal whose encoding is UTF-8")
    match = _CONDITION.fullmatch(text.lstrip())
    if match is None:
        _refuse(text, "has no operator", "write KEY=VALUE, KEY!=VALUE or KEY>=NUMBER, such as 'label=drink'")
    name = _plain(match["key"].strip())
    key = LABEL if name == "label" else name.removeprefix(_ATTRIBUTE_PREFIX)
    operator = match["operator"]
    if key == LABEL and name != "label":
        _refuse(text, f"has no key before {operator!r}", "name the label or an attribute, for example 'camera=2'")
    if match["negation"] and operator == "!=":
        _refuse(text, "contains 'not' twice", "write '!camera=2' or 'camera!=2'")
    holds = not match["negation"] and operator != "!="
    if operator in _BOUNDS:
        return _read_range(text, key, operator, match["values"]), holds
    return AnyOf(key, tuple(_read_values(text, key, match["values"], numbers_are_texts=True))), holds


def _read_range(text: str, key: str, operator: str, values: str) -> Range:
    if key == LABEL:
        _refuse(text, "compares the label, which is a text, with a number", "write 'label=drink' or 'label!=drink'")
    bounds = _read_values(text, key, values)
    if len(bounds) != 1 or isinstance(bounds[0], str | bool):
        _refuse(
            text, f"does not have exactly one number after {operator!r}", "write it like 'subject>=3' or 'age<10.5'"
        )
    return Range(key, **{_BOUNDS[operator]: bounds[0]})


def _read_values(text: str, key: str, values: str, *, numbers_are_texts: bool = False) -> list[str | float | bool]:
    found: list[str | float | bool] = []
    values = values.strip()
    position = 0
    while True:
        match = _VALUE.match(values, position)
        if match is None:
            _refuse(
                text,
                "has a quoted text that does not end where its value ends",
                'write it like \'subject="3"\'; within a text, write a quote as \\"',
            )
        if match["quoted"] is not None:
            found.append(_plain(match["quoted"]))
        else:
            plain = match["plain"].strip()
            found.append(_read_plain(text, key, plain))
            if numbers_are_texts and isinstance(found[-1], float):
                found.append(plain)
        if match["comma"] is None:
            return found
        position = match.end()


def _read_plain(text: str, key: str, value: str) -> str | float | bool:
    if not value:
        _refuse(text, "lacks a value", "write it like 'label=drink'; the empty text is \"\"")
    if value[0] in "!=<>":
        _refuse(
            text,
            f"has the value {quoted(value)}, which looks like an operator",
            "the operators are =, !=, >, >=, < and <=; put such a text in quotes, for example 'mark=\"=\"'",
        )
    if key == LABEL:
        return _plain(value)
    if value in ("true", "false"):
        return value == "true"
    if not _NUMBER.fullmatch(value):
        return _plain(value)
    number = float(value)
    if math.isinf(number):
        _refuse(text, f"has the number {quoted(value)}, which is too large", "the largest number is 1.79e308")
    return number


def _plain(written: str) -> str:
    return _ESCAPED.sub(r"\1", written)


def _refuse(text: str, wrong: str, right: str) -> NoReturn:
    raise InvalidRequestError(f"the condition {quoted(text)} {wrong}; {right}.")
