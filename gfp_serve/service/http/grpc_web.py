"""gRPC-Web: gRPC's own messages in frames, for stock clients in browsers. Only calls with one request and one reply."""

import base64
import binascii
from urllib.parse import quote

from google.rpc.status_pb2 import Status

from gfp_serve.batching.turns import Work
from gfp_serve.errors import InvalidRequestError
from gfp_serve.service.guard import REQUEST_ID
from gfp_serve.service.http.answers import Answer

TYPES = ("application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text")
_TEXT = TYPES[2]
_TRAILERS = 0x80
_HEAD_BYTES = 5  # a byte of flags, and four of the length


class GrpcWeb:
    """The form of a call of gRPC-Web. `kind` is its content-type: that ending in -text is in base64."""

    few_bytes = 2**15

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def reading(self, content: bytes, read: list[bytes]) -> Work:
        if self._kind == _TEXT:
            try:
                content = base64.b64decode(content)
            except binascii.Error as error:
                raise InvalidRequestError(f"the body is not base64 ({error}), as {_TEXT} says.") from error
            yield
        if len(content) < _HEAD_BYTES or content[0] != 0 or len(content) - _HEAD_BYTES != _length(content):
            raise InvalidRequestError(
                "the body is not one frame of gRPC-Web: a zero byte, the length in four bytes, and the message, which "
                "must not be compressed."
            )
        read.append(content[_HEAD_BYTES:])
        yield

    def writing(self, content: bytes, written: list[bytes]) -> Work:
        written.append(content)
        yield

    def answer(self, reply: bytes | None, status: Status, request_id: str) -> Answer:
        """The answer: the reply, if there is one, and gRPC's trailers. HTTP's status is always 200."""
        trailers = {"grpc-status": str(status.code)}
        if status.code:
            trailers["grpc-message"] = quote(status.message, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~")
            details = base64.b64encode(status.SerializeToString()).decode("ascii").rstrip("=")
            trailers["grpc-status-details-bin"] = details
        if request_id:
            trailers[REQUEST_ID] = request_id
        lines = "".join(f"{name}: {value}\r\n" for name, value in trailers.items()).encode("ascii")
        body = (b"" if reply is None else _frame(0, reply)) + _frame(_TRAILERS, lines)
        return Answer(200, base64.b64encode(body) if self._kind == _TEXT else body, {"content-type": self._kind})


def _frame(flags: int, content: bytes) -> bytes:
    return bytes([flags]) + len(content).to_bytes(4) + content


def _length(content: bytes) -> int:
    return int.from_bytes(content[1:_HEAD_BYTES])
