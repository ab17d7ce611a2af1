"""Makes the OpenAPI description of the HTTP port from the protos, with their comments.

`make proto` runs this file, which writes what servers give as /openapi.json.
"""

import json
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, MethodOptions
from openapi_paths import answer, error, event, live, plain, rest, tensors
from protocol import read_protocol

from gfp_serve import __version__

WRITTEN = Path(__file__).parents[2] / "gfp_serve" / "service" / "http" / "openapi.json"

_JSON, _PROTO = "application/json", "application/proto"

# The path to a comment is made of the numbers of fields in descriptor.proto.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _SERVICE_METHOD, _ENUM_VALUE = 2, 3, 2, 2

_Type = FieldDescriptorProto
_WHOLE = {"type": ["integer", "string"], "pattern": r"^-?\d+$"}
_KINDS: dict[int, dict[str, Any]] = {
    _Type.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _Type.TYPE_FLOAT: {"type": "number", "format": "float"},
    _Type.TYPE_INT32: {"type": "integer", "format": "int32"},
    _Type.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    # ProtoJSON writes them as texts, because a JavaScript number holds 53 bits; requests may have numbers.
    _Type.TYPE_INT64: {**_WHOLE, "format": "int64"},
    _Type.TYPE_UINT64: {**_WHOLE, "format": "uint64"},
    _Type.TYPE_BOOL: {"type": "boolean"},
    _Type.TYPE_STRING: {"type": "string"},
    _Type.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_GOOGLES: dict[str, dict[str, Any]] = {
    ".google.protobuf.Struct": {"type": "object"},
    ".google.protobuf.Value": {},
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}
# Arrays of float32, which may be lists too.
_ARRAYS = (
    "gfp_serve.v1.Sequence.positions",
    "gfp_serve.v1.Frames.positions",
    "gfp_serve.v1.Motion.positions",
    "gfp_serve.v1.Embedding.values",
)
_ABOUT = """\
The calls of a gfp-serve server over HTTP, as JSON. They are those of its gRPC port, and behave alike: tokens, limits,
errors. `POST` a request as JSON; or as a message of protobuf (`application/proto`), or by a client of Connect or
gRPC-Web. Fields of int64 and uint64 come as texts. Fields that a request does not set have their defaults; unknown ones
are refused. Arrays are base64 of little-endian float32, or nested lists in which null is NaN."""


class _Names:
    """Every message and enumeration of the protos as a schema, and the comments of everything by its full name."""

    def __init__(self) -> None:
        self.comments: dict[str, str] = {}
        self.schemas: dict[str, dict[str, Any]] = {}
        for file in read_protocol().values():
            self._places = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
            for number, service in enumerate(file.service):
                name = f"{file.package}.{service.name}"
                self._note(name, (_FILE_SERVICE, number))
                for at, method in enumerate(service.method):
                    self._note(f"{name}.{method.name}", (_FILE_SERVICE, number, _SERVICE_METHOD, at))
            for number, enum in enumerate(file.enum_type):
                name, place = f"{file.package}.{enum.name}", (_FILE_ENUM, number)
                self._note(name, place)
                said = [self._said((*place, _ENUM_VALUE, at)) for at in range(len(enum.value))]
                values = [f"`{value.name}`: {text}" for value, text in zip(enum.value, said, strict=True) if text]
                self.schemas[name] = {
                    **_described(" ".join((self.comments[name], *values)).strip()),
                    "type": "string",
                    "enum": [value.name for value in enum.value],
                }
            for number, message in enumerate(file.message_type):
                self._message(message, file.package, (_FILE_MESSAGE, number))

    def _message(self, message: DescriptorProto, package: str, place: tuple[int, ...]) -> None:
        name = f"{package}.{message.name}"
        self._note(name, place)
        maps = {f".{name}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
        fields = {}
        for at, field in enumerate(message.field):
            text = self._said((*place, _MESSAGE_FIELD, at))
            if field.HasField("oneof_index") and not field.proto3_optional:
                text = f"One of `{message.oneof_decl[field.oneof_index].name}`. {text}".strip()
            fields[field.name] = self._field(f"{name}.{field.name}", field, maps, text)
        self.schemas[name] = {
            **_described(self.comments[name]),
            "type": "object",
            "properties": fields,
            "additionalProperties": False,
        }
        for at, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                self._message(nested, name, (*place, _MESSAGE_NESTED, at))

    def _field(
        self, name: str, field: FieldDescriptorProto, maps: dict[str, DescriptorProto], text: str
    ) -> dict[str, Any]:
        if field.type_name in maps:
            _, value = maps[field.type_name].field
            return {**_described(text), "type": "object", "additionalProperties": _schema(value)}
        schema = _schema(field)
        if name in _ARRAYS:
            lists = {"type": "array", "description": "Nested lists of numbers; null is NaN."}
            schema = {"anyOf": [schema, lists]}
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            schema = {"type": "array", "items": schema}
        return {**_described(text), **schema}

    def _note(self, name: str, place: tuple[int, ...]) -> None:
        self.comments[name] = self._said(place)

    def _said(self, place: tuple[int, ...]) -> str:
        return " ".join(self._places.get(place, "").split())


def _schema(field: FieldDescriptorProto) -> dict[str, Any]:
    if field.type_name in _GOOGLES:
        return _GOOGLES[field.type_name]
    return {"$ref": f"#/components/schemas/{field.type_name[1:]}"} if field.type_name else _KINDS[field.type]


def _described(text: str) -> dict[str, str]:
    return {"description": text} if text else {}


def description() -> dict[str, Any]:
    """The whole OpenAPI description."""
    names = _Names()
    paths: dict[str, Any] = {}
    for file in read_protocol().values():
        for service in file.service:
            full_name = f"{file.package}.{service.name}"
            for method in service.method:
                if not method.client_streaming:
                    changes = method.options.idempotency_level != MethodOptions.NO_SIDE_EFFECTS
                    paths[f"/{full_name}/{method.name}"] = {
                        "post": _operation(
                            f"{service.name}.{method.name}",
                            names.comments[f"{full_name}.{method.name}"],
                            service.name,
                            request=method.input_type[1:],
                            reply=method.output_type[1:],
                            marks={} if changes else {"x-idempotency": "no-side-effects"},
                        )
                    }
    paths |= live() | rest() | plain()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gfp-serve",
            "version": __version__,
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": {**names.schemas, "Error": error(), "Event": event(), **tensors()},
            "responses": {"Error": answer("What was wrong, and what to do.", {"$ref": "#/components/schemas/Error"})},
            "parameters": {
                "arrays": {
                    "name": "arrays",
                    "in": "query",
                    "description": "With `lists`, arrays of the reply are lists of numbers, and not base64.",
                    "schema": {"type": "string", "enum": ["lists"]},
                },
                "stream": {
                    "name": "stream",
                    "in": "query",
                    "description": "The id that the event `open` gave. Without it, a stream is opened.",
                    "schema": {"type": "string"},
                },
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where the server has tokens.",
                }
            },
        },
    }


def _operation(
    operation_id: str, text: str, tag: str, *, request: str, reply: str, marks: dict[str, Any]
) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        **_described(text),
        "tags": [tag],
        **marks,
        "parameters": [{"$ref": "#/components/parameters/arrays"}],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{request}"}}, _PROTO: {}},
        },
        "responses": {
            "200": {
                "description": "The reply.",
                "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{reply}"}}, _PROTO: {}},
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    }


def written() -> str:
    """The description as the file has it."""
    return json.dumps(description(), indent=1) + "\n"


if __name__ == "__main__":
    WRITTEN.write_text(written())
