"""What a message would take in memory, told from its bytes before they are parsed: two of them can stand for an object.

An empty item of a list is two bytes on the wire and seventy once it is parsed. The largest message that is taken could
fill gigabytes and keep all other callers waiting for seconds, before any limit on counts is asked.
"""

from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gfp_serve.errors import InvalidRequestError

# Values of fields, nested ones too, that a message may have: a thousand for each of 256 items. Counting them takes a
# quarter of a second, and objects for all of them twenty megabytes.
MAX_VALUES = 2**18

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
# Their numbers are one byte or more in a packed list, and eight in memory; all others take there what they take here.
_OF_ANY_LENGTH = {
    FieldDescriptor.CPPTYPE_BOOL,
    FieldDescriptor.CPPTYPE_ENUM,
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_PACKED = "packed"


def check_weight(content: bytes, message_type: Descriptor) -> None:
    """Raise `InvalidRequestError` for a message of more values than any good one has, or whose bytes are none.

    Bytes that are damaged in another way are left to the parser, which reads no further than this.
    """
    if len(content) <= MAX_VALUES:  # the common case: it has no room for more
        return
    try:
        is_heavy = _count(content, message_type) > MAX_VALUES
    except IndexError:  # it is cut off, which the parser says
        return
    if is_heavy:
        raise InvalidRequestError(
            f"the message holds more than {MAX_VALUES} values in {len(content)} bytes; split it into several, and send "
            f"lists of numbers as raw bytes."
        )


def _count(content: bytes, message_type: Descriptor) -> int:
    """The values in a message, nested ones too, as far as to the first that is too many."""
    count, at, end = 0, 0, len(content)
    fields = _fields(message_type)
    around: list[tuple[int, dict[int, Any]]] = []  # the messages that the present one stands in
    while count <= MAX_VALUES:
        while at >= end:
            if not around:
                return count
            end, fields = around.pop()
        # Most numbers here are one byte, for which a call would cost more than all the rest.
        tag, at = (content[at], at + 1) if content[at] < 128 else _varint(content, at)
        wire_type = tag & 7
        count += 1
        if wire_type == _VARINT:
            at = at + 1 if content[at] < 128 else _varint(content, at)[1]
        elif wire_type == _LENGTH:
            length, at = (content[at], at + 1) if content[at] < 128 else _varint(content, at)
            held = fields.get(tag >> 3)
            if held is not None and held is not _PACKED:
                around.append((end, fields))
                end, fields = at + length, _fields(held)
                continue
            count += length if held is _PACKED else 0
            at += length
        elif wire_type in (_FIXED32, _FIXED64):
            at += 4 if wire_type == _FIXED32 else 8
        else:
            raise InvalidRequestError(f"the bytes are no message of this call (wire type {wire_type}); see the .proto.")
    return count


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = content[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise InvalidRequestError("the bytes are no message of this call (a number of more than ten); see the .proto.")


@cache
def _fields(message_type: Descriptor) -> dict[int, Any]:
    """By number, of the fields that can hold more than one value: the type of their message, or `_PACKED`."""
    held: dict[int, Any] = {}
    for field in message_type.fields:
        if field.message_type is not None:
            held[field.number] = field.message_type
        elif field.is_repeated and field.cpp_type in _OF_ANY_LENGTH:
            held[field.number] = _PACKED
    return held
