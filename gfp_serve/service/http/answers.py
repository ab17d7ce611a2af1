"""Answers of the HTTP port: status lines, JSON, and this project's errors in the form of the Connect protocol.

A failed call answers with the HTTP status that Connect gives its gRPC status, and an object: `code` (gRPC's, in lower
case), `message`, `reason` and `field` as `wire.status` puts them into the status, and `details`, the same as protobuf
messages, which clients of Connect read.
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from gfp_serve.errors import GfpError
from gfp_serve.wire.status import to_status

JSON = "application/json"

# By the Connect protocol: connectrpc.com/docs/protocol, "Error Codes".
_HTTP_CODES = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: HTTP's status, headers, and the body."""

    code: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(code: int, said: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that is an object of JSON."""
    return Answer(code, (json.dumps(said) + "\n").encode(), {"content-type": JSON, **(headers or {})})


def error_answer(error: GfpError, code: int | None = None) -> Answer:
    """The answer to a call that fails with an error that `is_answerable`, with HTTP's usual status or `code`."""
    return status_answer(to_status(error), code)


def status_answer(status: Status, code: int | None = None) -> Answer:
    """The answer to a call that ended with this status, with HTTP's usual status or `code`."""
    headers: dict[str, str] = {}
    if (delay := retry_after_s(status)) is not None:
        headers["retry-after"] = str(math.ceil(delay))
    if status.code == grpc.StatusCode.UNAUTHENTICATED.value[0]:
        headers["www-authenticate"] = "Bearer"
    return json_answer(code or _HTTP_CODES.get(_BY_NUMBER[status.code], 500), said_of(status), headers)


def said_of(status: Status) -> dict[str, Any]:
    """What an error says, as an object."""
    info, bad = ErrorInfo(), BadRequest()
    details = []
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        kind = detail.type_url.rpartition("/")[2]
        details.append({"type": kind, "value": base64.b64encode(detail.value).decode("ascii").rstrip("=")})
    fields = {"field": bad.field_violations[0].field} if bad.field_violations else {}
    reason = {"reason": info.reason} if info.reason else {}
    code = _BY_NUMBER[status.code].name.lower()
    # Connect spells this one as Americans do.
    return {
        "code": "canceled" if code == "cancelled" else code,
        "message": status.message,
        **reason,
        **fields,
        "details": details,
    }


def retry_after_s(status: Status) -> float | None:
    """The seconds to wait before the call is made again; None if the status does not say."""
    retry = RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry):
            return retry.retry_delay.ToNanoseconds() / 1e9
    return None
