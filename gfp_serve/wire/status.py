"""This project's errors <-> gRPC statuses. This is the only map between them.

On the wire, an error is a status code and a message, for programs that know only gRPC, and details for those that know
this project: `google.rpc.ErrorInfo` has the reason, `BadRequest` field and message apart, `RetryInfo` the delay.
"""

import re
from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from gfp_serve.errors import (
    ClosedError,
    EmptyGalleryError,
    EncoderMismatchError,
    ForbiddenError,
    GalleryExistsError,
    GalleryNotFoundError,
    GfpError,
    InvalidRequestError,
    InvalidSkeletonError,
    ItemNotFoundError,
    ModelNotFoundError,
    NotWritableError,
    OutOfTimeError,
    OverloadedError,
    ServerError,
    SnapshotError,
    SnapshotExistsError,
    SnapshotNotFoundError,
    UnauthenticatedError,
    UnavailableError,
    UnknownLayoutError,
)

DOMAIN = "gfp_serve"

# Errors that are not here are the server's own fault. A client sees INTERNAL and a request id, nothing more.
STATUS_CODES: dict[type[GfpError], grpc.StatusCode] = {
    InvalidSkeletonError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownLayoutError: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    EncoderMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    EmptyGalleryError: grpc.StatusCode.FAILED_PRECONDITION,
    NotWritableError: grpc.StatusCode.FAILED_PRECONDITION,
    SnapshotError: grpc.StatusCode.FAILED_PRECONDITION,
    SnapshotNotFoundError: grpc.StatusCode.NOT_FOUND,
    SnapshotExistsError: grpc.StatusCode.ALREADY_EXISTS,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    ItemNotFoundError: grpc.StatusCode.NOT_FOUND,
    GalleryNotFoundError: grpc.StatusCode.NOT_FOUND,
    GalleryExistsError: grpc.StatusCode.ALREADY_EXISTS,
    ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ClosedError: grpc.StatusCode.UNAVAILABLE,
    OutOfTimeError: grpc.StatusCode.DEADLINE_EXCEEDED,
    ServerError: grpc.StatusCode.INTERNAL,
}


def reason_of(error_type: type[GfpError]) -> str:
    """The error's name on the wire: `INVALID_SKELETON` for `InvalidSkeletonError`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error_type.__name__.removesuffix("Error")).upper()


_BY_REASON = {reason_of(error_type): error_type for error_type in STATUS_CODES}

# The trailing headers of a call hold a message three times, once with three bytes for each byte. gRPC's clients take
# 8 KiB of headers; with more, they show an error about the headers instead.
_MAX_MESSAGE_BYTES = 1024


def is_answerable(error: GfpError) -> bool:
    """Whether the caller sees this error, because the caller can do something about it."""
    return type(error) in STATUS_CODES


def to_status(error: GfpError) -> Status:
    """The wire form of an error that `is_answerable`."""
    description = shortened(error.message)
    # Clients that know only gRPC see this text; ours read field and description from the details.
    message = f"{error.field}: {description}" if error.field else description
    details: list[Message] = [ErrorInfo(reason=reason_of(type(error)), domain=DOMAIN)]
    if error.field:
        violation = BadRequest.FieldViolation(field=error.field, description=description)
        details.append(BadRequest(field_violations=[violation]))
    if isinstance(error, OverloadedError):
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(RetryInfo(retry_delay=delay))
    status = Status(code=STATUS_CODES[type(error)].value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def to_error(failure: grpc.RpcError, address: str) -> GfpError:
    """The error that a failed call stands for, with the server's message and field."""
    code, message = failure.code(), failure.details() or "no message"
    info, retry, bad = ErrorInfo(), RetryInfo(), BadRequest()
    for detail in _details(failure):
        detail.Unpack(info)
        detail.Unpack(retry)
        detail.Unpack(bad)
    error_type = _BY_REASON.get(info.reason) if info.domain == DOMAIN else None
    if error_type is not None:
        violation = next(iter(bad.field_violations), None)
        if violation is not None:
            message = violation.description  # the status has the field before it
        field = "" if violation is None else violation.field
        if error_type is OverloadedError:
            return OverloadedError(message, field=field, retry_after_s=retry.retry_delay.ToNanoseconds() / 1e9)
        return error_type(message, field=field)
    # Without our ErrorInfo, gRPC itself gave up.
    if code is grpc.StatusCode.UNAVAILABLE and _REFUSED_STREAM in message:
        return OverloadedError(
            f"{address} has too many calls of this connection; try again in a second.", retry_after_s=1
        )
    if code is grpc.StatusCode.INTERNAL and message == "Internal error from Core":
        return UnavailableError(f"{address} ended the stream while it was written to; start it again.")
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return UnavailableError(_why_unreachable(address, message))
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return OutOfTimeError(f"{address} did not answer within timeout_s; give it more time, or send less at once.")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return InvalidRequestError(
            f"{address} does not take or send a message of that size ({message}); send less at once."
        )
    if code is grpc.StatusCode.UNKNOWN and "target uri is not valid" in message:
        return InvalidRequestError(f"{address!r} is not the address of a server; give HOST:PORT, e.g. 127.0.0.1:50051.")
    if code is grpc.StatusCode.NOT_FOUND:  # the health service, about a service
        return ServerError(f"{address} has no service of that name; the empty name asks about all services.")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ServerError(f"{address} does not know this call ({message}); is it gfp-serve, and of this release?")
    return ServerError(f"{address} answered {code.name}: {message}")


# gRPC tells the reason for a connection that failed in its message only.
_REFUSED_STREAM = "RST_STREAM with error code 7"
_UNREACHABLE = {
    "Connection refused": "no server listens at {address}; is gfp-serve running?",
    "WRONG_VERSION_NUMBER": "{address} does not encrypt; call it without TLS, or start it with a certificate.",
    "Hostname Verification Check failed": (
        "the certificate of {address} is for another name; call the server by the name in it, or say that name (gfp: "
        "--tls-server-name)."
    ),
    "CERTIFICATE_VERIFY_FAILED": (
        "the certificate of {address} is not valid for the authorities that are trusted ({reason}); name the "
        "authority that it comes from (gfp: --tls-ca)."
    ),
    "failed to connect to all addresses; last error: UNAVAILABLE": (
        "{address} closed the connection at once ({reason}). If it encrypts, use TLS (gfp: --tls-ca); if it asks for "
        "a client's certificate, show one that it trusts (gfp: --tls-certificate, --tls-key). Or it has too many "
        "connections; then try again later."
    ),
    "Domain name not found": "no machine is found by the name in {address}; check it.",
}


def _why_unreachable(address: str, message: str) -> str:
    reason = message.removesuffix(": OK").rpartition(": ")[2]
    for sign, said in _UNREACHABLE.items():
        if sign in message:
            return said.format(address=address, reason=reason)
    return f"{address} does not answer ({message}); try again, and see the server's log if that does not help."


def shortened(message: str) -> str:
    """A long message without its middle, where it quotes what the caller sent. Its end says what to do, and stays."""
    content = message.encode()
    if len(content) <= _MAX_MESSAGE_BYTES:
        return message
    half = _MAX_MESSAGE_BYTES // 2
    return f"{content[:half].decode(errors='ignore')} … {content[-half:].decode(errors='ignore')}"


def _details(failure: grpc.RpcError) -> Iterable[Any]:
    try:
        status = rpc_status.from_call(failure)
    except (ValueError, DecodeError):  # it contradicts itself, so it is not one of ours
        return ()
    return () if status is None else status.details
