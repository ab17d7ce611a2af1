"""Filters as people type them: `label=drink,sit down`, `camera!=2`, `subject>=3`."""

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

# An attribute may have any name, that of the label and of this prefix too: `attributes.label` is the attribute "label".
_ATTRIBUTE_PREFIX = "attributes."

# A backslash before one of these makes it a character like others.
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
    """The filter that all of these conditions make together, or `None` when there are none.

    `KEY=VALUE,VALUE` is one of the values, `KEY!=VALUE,VALUE` or `!KEY=VALUE,VALUE` none of them; `KEY>NUMBER`,
    `>=`, `<` and `<=` are bounds. The key `label` is the label, any other an attribute, and so is what follows
    `attributes.`, which may be `label`. Spaces around keys and values do not count.

    A value that reads as a number is meant as that number and as that text, for many write numbers of people or cameras
    as texts; of bounds it is the number. `true` and `false` are booleans, all else is a text, and so is what stands in
    double quotes; of the label all are texts. A backslash makes a comma, quote, operator or backslash that follows
    it a part of the text.

    Raises `InvalidRequestError` that names the text which is no condition, and shows how it is written.
    """
    must: list[Condition] = []
    must_not: list[Condition] = []
    for text in texts:
        condition, holds = _read_condition(text)
        (must if holds else must_not).append(condition)
    return Filter(must=tuple(must), must_not=tuple(must_not)) if texts else None


def _read_condition(text: str) -> tuple[Condition, bool]:
    """A condition, and whether it must hold or must not."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(text, "cannot be written as UTF-8", "type it in a terminal whose encoding is UTF-8")
    match = _CONDITION.fullmatch(text.lstrip())
    if match is None:
        _refuse(text, "does not compare anything", "write KEY=VALUE, KEY!=VALUE or KEY>=NUMBER, as in 'label=drink'")
    name = _plain(match["key"].strip())
    key = LABEL if name == "label" else name.removeprefix(_ATTRIBUTE_PREFIX)
    operator = match["operator"]
    if key == LABEL and name != "label":
        _refuse(text, f"has no key before {operator!r}", "name the label or an attribute, as in 'camera=2'")
    if match["negation"] and operator == "!=":
        _refuse(text, "says 'not' twice", "write '!camera=2' or 'camera!=2'")
    holds = not match["negation"] and operator != "!="
    if operator in _BOUNDS:
        return _read_range(text, key, operator, match["values"]), holds
    return AnyOf(key, tuple(_read_values(text, key, match["values"], numbers_are_texts=True))), holds


def _read_range(text: str, key: str, operator: str, values: str) -> Range:
    if key == LABEL:
        _refuse(text, "compares the label, which is a text, with a number", "write 'label=drink' or 'label!=drink'")
    bounds = _read_values(text, key, values)
    if len(bounds) != 1 or isinstance(bounds[0], str | bool):
        _refuse(text, f"does not have one number after {operator!r}", "write it like 'subject>=3' or 'age<10.5'")
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
                "has a quote that does not end where its value ends",
                'write it like \'subject="3"\', and a quote in a text as \\"',
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
        _refuse(text, "has no value where one is expected", "write it like 'label=drink'; the empty text is \"\"")
    if value[0] in "!=<>":
        _refuse(
            text,
            f"has the value {quoted(value)}, which looks like an operator",
            "operators are =, !=, >, >=, < and <=; write such a text in quotes, as in 'mark=\"=\"'",
        )
    if key == LABEL:
        return _plain(value)
    if value in ("true", "false"):
        return value == "true"
    if not _NUMBER.fullmatch(value):
        return _plain(value)
    number = float(value)
    if math.isinf(number):
        _refuse(text, f"has the number {quoted(value)}, which is too large", "numbers go up to 1.79e308")
    return number


def _plain(written: str) -> str:
    return _ESCAPED.sub(r"\1", written)


def _refuse(text: str, wrong: str, right: str) -> NoReturn:
    raise InvalidRequestError(f"the condition {quoted(text)} {wrong}; {right}.")
