"""Messages as JSON, read and written in pieces: protobuf's own mapping, in which arrays may also be lists of numbers.

Fields have the names of the .proto; requests may write them in lowerCamelCase too. An array (`positions`, `values`) is
base64 of little-endian float32, or nested lists of numbers in which null is NaN. What lists say of their shape need not
be said again: `num_frames`, `num_bodies`, `num_joints` and `size` are then taken from them.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from gfp_serve.batching.turns import Work
from gfp_serve.errors import InvalidRequestError, in_field, quoted
from gfp_serve.service.http.json_text import check_texts, kind_of, object_of, read_json
from gfp_serve.service.message_size import pieces_of

# Of a reply, this much is made into JSON at a time.
_PIECE_BYTES = 2**15
# Of base64, this much is read before another thread may run: a multiple of four.
_BASE64_AT_ONCE = 2**18

# The fields that hold arrays, with those that say the shape, from the last axis but one to the first.
_ARRAYS = {
    "gfp_serve.v1.Sequence.positions": ("num_joints", "num_bodies", "num_frames"),
    "gfp_serve.v1.Frames.positions": ("", "", "num_frames"),
    "gfp_serve.v1.Motion.positions": ("num_joints", "num_bodies", "num_frames"),
    "gfp_serve.v1.Embedding.values": ("size",),
}
# An error of protobuf may show all of a wrong value; this much is told.
_SHOWN = 200
# How an error of protobuf says where it happened, and the end that it then has too often.
_FAILED = re.compile(r"Failed to parse (\w+) field: (.*)", re.DOTALL)
_PLACE = re.compile(r' at "?[A-Z]\w+(\.[\w.\[\]]+)?"?')
# How Python says that a text is not a number.
_NO_NUMBER = re.compile(
    r"(?:invalid literal for int\(\) with base 10|could not convert string to float): (.*)", re.DOTALL
)


class JsonMessages:
    """The form of a call whose messages are JSON. With `as_lists`, replies have arrays as lists. See `guard.Form`."""

    few_bytes = 2**12

    def __init__(self, method: MethodDescriptor, *, as_lists: bool) -> None:
        self._request = message_factory.GetMessageClass(method.input_type)
        self._reply = message_factory.GetMessageClass(method.output_type)
        self._as_lists = as_lists

    def reading(self, content: bytes, read: list[bytes]) -> Work:
        said = read_json(content)
        yield
        message = self._request()
        yield from _filling(message, said)
        read.append(message.SerializeToString())
        yield

    def writing(self, content: bytes, written: list[bytes]) -> Work:
        # Fields that no piece has are there too, with the value that they then have.
        whole = _to_dict(self._reply())
        lists = {field.name for field in self._reply.DESCRIPTOR.fields if field.is_repeated and not _is_map(field)}
        texts: dict[str, list[str]] = {name: [] for name in lists}
        for piece in pieces_of(content, _PIECE_BYTES):
            message = self._reply.FromString(piece)
            said = _to_dict(message)
            if self._as_lists:
                _show_lists(said, self._reply.DESCRIPTOR)
            for field, _ in message.ListFields():
                value = said[field.name]
                if field.name in lists:
                    texts[field.name] += map(json.dumps, value)
                elif isinstance(value, dict):
                    whole.setdefault(field.name, {}).update(value)
                else:
                    whole[field.name] = value
            yield
        fields = (
            f'"{name}": [{", ".join(texts[name])}]' if name in lists else f'"{name}": {json.dumps(whole[name])}'
            for name in (field.name for field in self._reply.DESCRIPTOR.fields)
            if name in lists or name in whole
        )
        written.append(f"{{{', '.join(fields)}}}\n".encode())


def array_of(value: Any) -> np.ndarray:
    """Nested lists of numbers as a float32 array; null is NaN. Raises `InvalidRequestError`."""
    try:
        with np.errstate(over="ignore"):  # the checks of arrays refuse what is infinite
            return np.array(value, dtype="<f4")
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidRequestError(
            "its lists must hold numbers, or null for what was not seen, and lists of one axis must be equally long."
        ) from error


def numbers_of(values: np.ndarray) -> Any:
    """A float32 array as nested lists: each number in the fewest digits that tell it from others, NaN as null."""
    if values.ndim > 1:
        return [numbers_of(each) for each in values]
    # Nine digits tell any two float32 apart.
    return [float(f"{value:.9g}") if value == value else None for value in values.tolist()]


def _to_dict(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _filling(message: Message, said: Mapping[str, Any]) -> Work:
    """Set the fields of an empty message, one entry of a list at a time."""
    rest: dict[str, Any] = {}
    for field, value in _fields_of(message.DESCRIPTOR, said, ""):
        if _is_of_ours(field) and field.is_repeated:
            for number, each in _entries(value, field, field.name):
                _fill(getattr(message, field.name).add(), each, f"{field.name}[{number}]")
                yield
        else:
            rest[field.name] = value
    _fill(message, rest, "")
    yield


def _fields_of(of: Any, said: Mapping[str, Any], path: str) -> Iterator[tuple[Any, Any]]:
    """The fields that an object sets, with their values. Raises `InvalidRequestError` for one that there is not."""
    seen: set[str] = set()
    for name, value in said.items():
        field = of.fields_by_name.get(name) or of.fields_by_camelcase_name.get(name)
        if field is None:
            with in_field(f"{path}.{name[:80]}" if path else name[:80]):
                known = ", ".join(of.fields_by_name) or "no fields"
                raise InvalidRequestError(f"there is no field {quoted(name)}; {of.name} has {known}.")
        if value is None:
            continue
        # Of fields of a oneof, as of two spellings of one field, only one can be set.
        oneof = field.containing_oneof  # also one of a single field, if that is optional
        choice = field.name if oneof is None or len(oneof.fields) == 1 else oneof.name
        if choice in seen:
            with in_field(_below(path, field)):
                raise InvalidRequestError(f"{choice} is set twice; leave one out.")
        seen.add(choice)
        yield field, value


def _entries(value: Any, field: Any, path: str) -> Iterator[tuple[int, Any]]:
    """What messages a field gets, numbered. Raises `InvalidRequestError` if they must be in a list and are not."""
    if field.is_repeated and not isinstance(value, list):
        with in_field(path):
            raise InvalidRequestError(f"it is {kind_of(value)}; it must be a list.")
    return enumerate(value if field.is_repeated else [value])


def _fill(message: Any, said: Any, path: str) -> None:
    """Set the fields of an empty message. What protobuf's parser reads as it is, it reads."""
    with in_field(path):
        said = object_of(said)
    plain: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for field, value in _fields_of(message.DESCRIPTOR, said, path):
        place = _below(path, field)
        if _is_of_ours(field):
            for number, each in _entries(value, field, place):
                if field.is_repeated:
                    _fill(getattr(message, field.name).add(), each, f"{place}[{number}]")
                else:
                    getattr(message, field.name).SetInParent()
                    _fill(getattr(message, field.name), each, place)
        elif field.type == FieldDescriptor.TYPE_BYTES:
            with in_field(place):
                shape = _ARRAYS.get(field.full_name)
                if shape is not None and isinstance(value, list):
                    array = array_of(value)
                    counts = _counts(array, shape)
                    content = array.tobytes()
                else:
                    content = _from_base64(value)
            setattr(message, field.name, content)
        else:
            with in_field(place):
                check_texts(value)
            plain[field.name] = value
    with _errors_in(path):
        json_format.ParseDict({**counts, **plain}, message)


def _from_base64(text: Any) -> bytes:
    """The bytes of a text, by protobuf's JSON: of either alphabet, with or without padding."""
    if not isinstance(text, str):
        raise InvalidRequestError(f"it is {kind_of(text)}; it must be a text in base64.")
    for of_urls, usual in (("-", "+"), ("_", "/"), ("\n", ""), ("\r", "")):
        if of_urls in text:
            text = text.replace(of_urls, usual)
    text = text.rstrip("=")
    text += "=" * (-len(text) % 4)
    try:
        pieces = [
            # Other threads run between two pieces.
            binascii.a2b_base64(text[start : start + _BASE64_AT_ONCE], strict_mode=True)
            for start in range(0, len(text), _BASE64_AT_ONCE)
        ]
    except ValueError as error:  # it has other characters
        raise InvalidRequestError(f"it is not base64 ({error}); encode the bytes by RFC 4648.") from error
    return b"".join(pieces)


def _counts(array: np.ndarray, names: tuple[str, ...]) -> dict[str, int]:
    """What the lists say of their shape. Without an axis of bodies there is one body."""
    sizes = array.shape if len(names) == 1 else array.shape[:-1]
    if len(names) == 3 and len(sizes) == 2:
        sizes = (sizes[0], 1, sizes[1])
    if len(sizes) != len(names):
        return {}
    return {name: size for name, size in zip(names, reversed(sizes), strict=True) if name}


def _show_lists(said: Any, of: Any) -> None:
    """Replace the base64 of arrays by lists, in place."""
    for name, value in said.items():
        field = of.fields_by_name[name]
        if field.full_name in _ARRAYS:
            array = np.frombuffer(base64.b64decode(value), "<f4")
            counts = [said.get(count, 0) for count in reversed(_ARRAYS[field.full_name])]
            # Positions have one axis more, of coordinates.
            is_nested = len(counts) > 1 and all(counts)
            said[name] = numbers_of(array.reshape(*counts, -1) if is_nested else array)
        elif field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
            for each in value if isinstance(value, list) else [value]:
                _show_lists(each, field.message_type)


def _below(path: str, field: Any) -> str:
    return f"{path}.{field.name}" if path else str(field.name)


def _is_of_ours(field: Any) -> bool:
    """Whether its value is one of our messages, or a list of them."""
    message_type = field.message_type
    return message_type is not None and not _is_map(field) and not message_type.full_name.startswith("google.protobuf.")


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


@contextmanager
def _errors_in(path: str) -> Iterator[None]:
    """Raise what protobuf's parser refuses as `InvalidRequestError`, with the path to the field below `path`."""
    try:
        yield
    except (json_format.ParseError, ValueError, TypeError, OverflowError, RecursionError) as error:
        text, names = str(error), [path] if path else []
        while found := _FAILED.fullmatch(text):
            names.append(found[1])
            text = found[2].removesuffix(".")
        if (place := _PLACE.search(text)) is not None:
            names = [*names[:1], place[1].removeprefix(".")] if path and place[1] else names
            text = text.replace(place[0], "")
        if (number := _NO_NUMBER.fullmatch(text)) is not None:
            text = f"{number[1]} is not a number"
        raise InvalidRequestError(
            f"it is not of the type that the .proto asks for ({text[:_SHOWN]}).", field=".".join(names)
        ) from error
