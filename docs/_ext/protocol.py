"""Writes the wire reference: services and messages of the protos, with their comments, as Markdown with links.

A page asks for a file with a line of its own, `{{protocol gfp_serve/v1/gallery.proto}}`. protoc reads the protos when
the site is built, so the page says what the proto says.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodOptions,
    ServiceDescriptorProto,
)
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

PROTOS = Path(__file__).parents[2] / "proto"

_REQUEST = re.compile(r"^\{\{protocol ([\w/.]+)\}\}$", re.MULTILINE)

# The path to a comment is made of the numbers of fields in descriptor.proto.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE, _FILE_SYNTAX = 4, 5, 6, 12
_MESSAGE_FIELD, _MESSAGE_NESTED = 2, 3
_SERVICE_METHOD, _ENUM_VALUE = 2, 2

_IDEMPOTENCY = {
    MethodOptions.NO_SIDE_EFFECTS: "Changes nothing.",
    MethodOptions.IDEMPOTENT: "A second call with the same request changes nothing more.",
}

# In a comment: code, a message's field, a name with an underscore, and what Markdown would read as markup.
_WORD = re.compile(r"`[^`]+`|\b[A-Z]\w+\.[a-z]\w*|\b\w+_\w+\b|[*_<\[\]]")

Place = tuple[int, ...]


@cache
def read_protocol() -> Mapping[str, FileDescriptorProto]:
    """Every file below `proto/`, comments included, by its path there."""
    names = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTOS), "--include_source_info", *names]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "protocol"
        done = subprocess.run([*command, f"--descriptor_set_out={out}"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ExtensionError(f"protoc cannot read the protos: {done.stderr}")
        return {file.name: file for file in FileDescriptorSet.FromString(out.read_bytes()).file}


class _Page:
    """One file as Markdown: its services, messages and enumerations, in the file's order."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments = {tuple(place.path): place for place in file.source_code_info.location}
        self._messages = {
            message.name: f"{each.package}.{message.name}"
            for each in read_protocol().values()
            for message in each.message_type
        }

    def lines(self) -> Iterator[str]:
        # The comment that opens a file stands above its first statement.
        first = self._comments[(_FILE_SYNTAX,)]
        yield from (self._text(comment) for comment in (*first.leading_detached_comments, first.leading_comments))
        yield from ("", f"Package `{self._file.package}`, file `proto/{self._file.name}`.", "")
        for number, service in enumerate(self._file.service):
            yield from self._service(service, (_FILE_SERVICE, number))
        yield from ("## Messages", "")
        for number, message in enumerate(self._file.message_type):
            yield from self._message(message, self._file.package, (_FILE_MESSAGE, number))
        if self._file.enum_type:
            yield from ("## Enumerations", "")
        for number, enum in enumerate(self._file.enum_type):
            yield from self._enum(enum, (_FILE_ENUM, number))

    def _service(self, service: ServiceDescriptorProto, place: Place) -> Iterator[str]:
        full_name = f"{self._file.package}.{service.name}"
        yield from (*_heading(2, service.name, full_name), self._comment(place), "")
        for number, method in enumerate(service.method):
            request, reply = _link(method.input_type), _link(method.output_type)
            yield from _heading(3, method.name, f"{full_name}.{method.name}")
            yield "Takes " + (f"a stream of {request}" if method.client_streaming else request) + ","
            yield "gives " + (f"a stream of {reply}" if method.server_streaming else reply) + "."
            yield from ("", self._comment((*place, _SERVICE_METHOD, number)))
            yield from (_IDEMPOTENCY.get(method.options.idempotency_level, ""), "")

    def _message(self, message: DescriptorProto, package: str, place: Place) -> Iterator[str]:
        full_name = f"{package}.{message.name}"
        name = full_name.removeprefix(f"{self._file.package}.")
        yield from (*_heading(3, name, full_name), self._comment(place), "")
        maps = {f".{full_name}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
        rows = [
            (f"`{field.name}`", _type(field, maps), field.number, self._meaning(message, field, (*place, *at)))
            for at, field in (((_MESSAGE_FIELD, number), field) for number, field in enumerate(message.field))
        ]
        yield from _table(("Field", "Type", "No.", "Meaning"), (22, 24, 8, 46), rows) if rows else ("No fields.", "")
        for number, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                yield from self._message(nested, full_name, (*place, _MESSAGE_NESTED, number))

    def _meaning(self, message: DescriptorProto, field: FieldDescriptorProto, place: Place) -> str:
        comment = self._comment(place)
        if field.proto3_optional:
            return f"*optional* {comment}"
        if field.HasField("oneof_index"):
            return f"*one of* `{message.oneof_decl[field.oneof_index].name}` {comment}"
        return comment

    def _enum(self, enum: EnumDescriptorProto, place: Place) -> Iterator[str]:
        yield from (*_heading(3, enum.name, f"{self._file.package}.{enum.name}"), self._comment(place), "")
        rows = [
            (f"`{value.name}`", value.number, self._comment((*place, _ENUM_VALUE, number)))
            for number, value in enumerate(enum.value)
        ]
        yield from _table(("Value", "No.", "Meaning"), (40, 8, 52), rows)

    def _comment(self, place: Place) -> str:
        return self._text(self._comments[place].leading_comments) if place in self._comments else ""

    def _text(self, comment: str) -> str:
        return _WORD.sub(self._word, " ".join(comment.split()))

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        message = word.split(".")[0]
        if "." in word and message in self._messages:
            return f"[`{word}`](#{self._messages[message]})"
        if word.startswith("`"):
            return word
        return f"`{word}`" if len(word) > 1 else f"\\{word}"


def _heading(level: int, text: str, target: str) -> Iterator[str]:
    yield from (f"({target})=", f"{'#' * level} {text}", "")


def _table(heads: tuple[str, ...], widths: tuple[int, ...], rows: list[tuple[object, ...]]) -> Iterator[str]:
    yield from (":::{list-table}", ":header-rows: 1", f":widths: {' '.join(map(str, widths))}", "")
    for first, *rest in (heads, *rows):
        yield f"* - {first}"
        yield from (f"  - {cell}" for cell in rest)
    yield from (":::", "")


def _type(field: FieldDescriptorProto, maps: Mapping[str, DescriptorProto]) -> str:
    if field.type_name in maps:
        key, value = maps[field.type_name].field
        return f"map of {_type(key, {})} to {_type(value, {})}"
    name = _link(field.type_name) if field.type_name else FieldDescriptorProto.Type.Name(field.type)[5:].lower()
    return f"repeated {name}" if field.label == FieldDescriptorProto.LABEL_REPEATED else name


def _link(type_name: str) -> str:
    name = type_name.removeprefix(".")
    # Google's own messages have no page here.
    return f"`{name}`" if name.startswith("google.") else f"[{name.rsplit('.', 1)[1]}](#{name})"


def _fill_in(app: Sphinx, docname: str, content: list[str]) -> None:
    def page(match: re.Match[str]) -> str:
        if match[1] not in read_protocol():
            raise ExtensionError(f"{docname} asks for {match[1]}; proto/ has {', '.join(read_protocol())}")
        app.env.note_dependency(str(PROTOS / match[1]), docname=docname)
        return "\n".join(_Page(read_protocol()[match[1]]).lines())

    content[0] = _REQUEST.sub(page, content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
