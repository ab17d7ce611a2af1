"""How much memory a message would take, from its bytes before they are parsed: two bytes can stand for an object.

An empty item of a list takes two bytes on the wire and seventy in memory. A message of the largest size that is allowed
could fill gigabytes and keep all other callers waiting for seconds, before any limit on counts is checked.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gfp_serve.batching.turns import Work
from gfp_serve.errors import InvalidRequestError

# How many values of fields a message may have, also in nested messages: a thousand for each of 256 items. Counting this
# many takes a quarter of a second, and objects for all of them take twenty megabytes.
MAX_VALUES = 2**18

# Counting this many takes some milliseconds.
_COUNTED_AT_ONCE = 4096

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
# Numbers of these types take one byte or more in a packed list, and eight in memory. Others take as much in both.
_OF_ANY_LENGTH = {
    FieldDescriptor.CPPTYPE_BOOL,
    FieldDescriptor.CPPTYPE_ENUM,
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_PACKED = "packed"


def check_num_values(content: bytes, message_type: Descriptor) -> None:
    """Raise `InvalidRequestError` for a message that has more values than any valid one, or is not a message.

    Bytes that are damaged in another way are left to the parser, which reads no further than this.
    """
    for _ in checking_num_values(content, message_type):
        pass


def checking_num_values(content: bytes, message_type: Descriptor) -> Work:
    """Do `check_num_values` in pieces."""
    if len(content) <= MAX_VALUES:  # the common case: there is no room for more values
        return
    total = 0
    try:
        for count in _counting(content, message_type):
            total = count
            yield
    except IndexError:  # it is cut off: the parser refuses it
        return
    if total > MAX_VALUES:
        raise InvalidRequestError(
            f"the message holds more than {MAX_VALUES} values in {len(content)} bytes; split it into several, and send "
            f"lists of numbers as raw bytes."
        )


def pieces_of(content: bytes, piece_bytes: int) -> Iterator[bytes]:
    """A valid message as several that, one after another, say the same: each ends after a field, at this many bytes."""
    start = at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        wire_type = tag & 7
        if wire_type == _LENGTH:
            length, at = _varint(content, at)
            at += length
        else:
            at = _varint(content, at)[1] if wire_type == _VARINT else at + (4 if wire_type == _FIXED32 else 8)
        if at - start >= piece_bytes or at >= len(content):
            yield content[start:at]
            start = at


def _count(content: bytes, message_type: Descriptor) -> int:
    """The values in a message, nested ones too, up to the first that is too many."""
    return list(_counting(content, message_type))[-1]


def _counting(content: bytes, message_type: Descriptor) -> Iterator[int]:
    """How many values were counted so far, now and then; at last what `_count` gives."""
    count, at, end = 0, 0, len(content)
    fields = _fields(message_type)
    outer: list[tuple[int, dict[int, Any]]] = []  # end and fields of the messages around this one
    while count <= MAX_VALUES:
        if count % _COUNTED_AT_ONCE == 0:
            yield count
        while at >= end:
            if not outer:
                yield count
                return
            end, fields = outer.pop()
        # Most numbers are one byte, for which a call would take longer than everything else.
        tag, at = (content[at], at + 1) if content[at] < 128 else _varint(content, at)
        wire_type = tag & 7
        count += 1
        if wire_type == _VARINT:
            at = at + 1 if content[at] < 128 else _varint(content, at)[1]
        elif wire_type == _LENGTH:
            length, at = (content[at], at + 1) if content[at] < 128 else _varint(content, at)
            held = fields.get(tag >> 3)
            if held is not None and held is not _PACKED:
                outer.append((end, fields))
                end, fields = at + length, _fields(held)
                continue
            count += length if held is _PACKED else 0
            at += length
        elif wire_type in (_FIXED32, _FIXED64):
            at += 4 if wire_type == _FIXED32 else 8
        else:
            raise InvalidRequestError(
                f"the bytes are not a message of this call (wire type {wire_type}); see the .proto."
            )
    yield count


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = content[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise InvalidRequestError(
        "the bytes are not a message of this call (a number of more than ten bytes); see the .proto."
    )


@cache
def _fields(message_type: Descriptor) -> dict[int, Any]:
    """The fields that can hold more than one value, by number: the type of their message, or `_PACKED`."""
    held: dict[int, Any] = {}
    for field in message_type.fields:
        if field.message_type is not None:
            held[field.number] = field.message_type
        elif field.is_repeated and field.cpp_type in _OF_ANY_LENGTH:
            held[field.number] = _PACKED
    return held
