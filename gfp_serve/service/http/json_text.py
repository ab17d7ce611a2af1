"""The text of a request in JSON: read within bounds, so that no caller holds up others by it."""

import json
import re
from collections.abc import Iterator
from typing import Any

from gfp_serve.errors import InvalidRequestError, quoted
from gfp_serve.items import MAX_ITEM_BYTES
from gfp_serve.service.message_size import MAX_VALUES

# No other thread runs while Python reads a text of JSON: 0.1 s for this many numbers.
MAX_NUMBERS = 2**19
# Texts that are not base64 are no longer than the largest item, and numbers far shorter: to read one of thousands of
# digits takes as long as to read thousands of others.
_MAX_TEXT, _MAX_DIGITS = MAX_ITEM_BYTES, 128
# This much is looked at before another thread may run.
_COUNTED_AT_ONCE = 2**18
# Half of a character: JSON can write it, and no text of protobuf can hold it.
_HALF = re.compile("[\ud800-\udfff]")
_HALF_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(content: bytes) -> dict[str, Any]:
    """The object that a text of JSON is. No text is an empty one. Raises `InvalidRequestError`."""
    num_values = sum(_count(content, each) for each in (b"[", b"{", b":"))
    if num_values > MAX_VALUES or _count(content, b",") > MAX_NUMBERS:
        raise InvalidRequestError(
            f"the JSON holds more than {MAX_VALUES} lists and fields, or {MAX_NUMBERS} numbers; send several requests, "
            f"or arrays as base64 of little-endian float32."
        )
    try:
        text = content.decode(json.detect_encoding(content))
        said = json.loads(text, parse_int=_whole_number) if content.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the body is not JSON ({error}); send an object of the call's fields.") from error
    if _HALF_ESCAPED.search(text) is not None:
        _refuse_halves(said)
    return object_of(said)


def check_texts(said: Any) -> None:
    """Raise `InvalidRequestError` for a text, in what JSON said, that is longer than any request needs."""
    for each in _texts_of(said):
        if len(each) > _MAX_TEXT:
            raise InvalidRequestError(
                f"a text has {len(each)} characters; at most {_MAX_TEXT} are read where it is not base64."
            )


def _refuse_halves(said: Any) -> None:
    for each in _texts_of(said):
        if _HALF.search(each) is not None:
            raise InvalidRequestError(
                f"the text {quoted(each)} has a half of a character (a lone surrogate, such as \\ud800); write both "
                f"halves, or the character itself."
            )


def _texts_of(said: Any) -> Iterator[str]:
    """All texts in what JSON said, names of fields too."""
    left = [said]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            yield from each
            left += each.values()


def _count(content: bytes, sought: bytes) -> int:
    """How often it is there. Other threads run meanwhile."""
    starts = range(0, len(content), _COUNTED_AT_ONCE)
    return sum(content.count(sought, start, start + _COUNTED_AT_ONCE) for start in starts)


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; at most {_MAX_DIGITS} are read")
    return int(digits)


def object_of(said: Any) -> dict[str, Any]:
    """What JSON said, if it is an object. Raises `InvalidRequestError`."""
    if not isinstance(said, dict):
        raise InvalidRequestError(f"it is {kind_of(said)}; it must be an object of fields.")
    return said


def kind_of(said: Any) -> str:
    """What it is, in the words of errors."""
    if isinstance(said, list):
        return "a list"
    return "an object" if isinstance(said, dict) else type(said).__name__
