"""A call over HTTP, as the guard and the servicers see it: they take it for one over gRPC."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, Protocol, runtime_checkable
from urllib.parse import quote

import grpc
from google.rpc.status_pb2 import Status

from gfp_serve.errors import InvalidRequestError
from gfp_serve.service.guard import REQUEST_ID

# A body must be there, and an answer taken, within this time, as the first message of a call over gRPC.
TRANSFER_S = 60.0
# Answers are handed to the connection in pieces of this size, each when there is room.
_PIECE_BYTES = 2**16
# What is left of a refused body is read for this time, and up to this many times what a body may have.
REST_S = 3.0
_REST_TIMES = 2

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@runtime_checkable
class Connection(Protocol):
    """What calls need of their connection beside HTTP."""

    def peer(self) -> str:
        """The caller's address and port, as gRPC writes them."""
        ...

    def certificate(self) -> bytes | None:
        """The certificate that the caller showed, in DER."""
        ...

    def answering(self, task: asyncio.Task[Any] | None) -> None:
        """Say which task answers now; it is cancelled when the connection is lost."""
        ...

    def has_rest(self) -> bool:
        """Whether a part of the request's body has not arrived."""
        ...

    async def sent(self) -> None:
        """Wait until most of what was written has been taken."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Exchange:
    """A request of HTTP and its answer, within limits of size and time."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send, *, max_bytes: int) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("ascii", errors="replace")
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.connection: Connection = scope["state"]["connection"]
        self.has_begun = self.is_too_large = False
        self.always: dict[str, str] = {}  # headers that every answer gets
        self._receive, self._send, self._max_bytes = receive, send, max_bytes
        self._lacks_end = False

    def check_size(self) -> None:
        """Raise `InvalidRequestError` when the headers announce a body that is too large or compressed."""
        if self.headers.get("content-encoding", "identity") != "identity":
            raise InvalidRequestError("this server takes no compressed bodies; send it without content-encoding.")
        length = self.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_bytes:
            self._refuse_size()

    async def body(self) -> bytes:
        """The body. Raises `InvalidRequestError` when it is too large. The caller bounds the time."""
        self.check_size()
        parts, num_bytes = [], 0
        while True:
            event = await self._receive()
            if event["type"] != "http.request":
                raise asyncio.CancelledError
            parts.append(event.get("body", b""))
            num_bytes += len(parts[-1])
            if num_bytes > self._max_bytes:
                self._refuse_size()
            if not event.get("more_body", False):
                return b"".join(parts)

    async def begin(self, code: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.has_begun = True
        told = {"x-content-type-options": "nosniff", **self.always, **headers}
        if self.connection.has_rest():
            # What is left of the body would be read for nothing.
            told["connection"] = "close"
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
        await self._in_time(self._send({"type": "http.response.start", "status": code, "headers": raw}))

    async def write(self, content: bytes, *, ends: bool = False) -> None:
        """Send a part of the answer's body. A caller who does not take it in time is cut off."""
        await self._in_time(self._write(content, ends))

    async def answer(self, code: int, headers: Mapping[str, str], content: bytes) -> None:
        """Send a whole answer."""
        length = {} if code in (204, 304) else {"content-length": str(len(content))}
        await self.begin(code, {**headers, **length})
        await self.write(content, ends=True)

    async def finish(self) -> None:
        """End the connection of a request that was answered before all of it had come.

        Its rest is read first, for a moment and to no use: to a caller who still sends, a connection that is closed
        seems broken, and many then never look at the answer.
        """
        if not self._lacks_end:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_S):
                left = _REST_TIMES * self._max_bytes
                while left > 0 and self.connection.has_rest():
                    event = await self._receive()
                    if event["type"] != "http.request":
                        raise asyncio.CancelledError
                    left -= len(event.get("body", b""))
        await self._in_time(self._send({"type": "http.response.body", "body": b"", "more_body": False}))

    async def _write(self, content: bytes, ends: bool) -> None:
        for start in range(0, len(content) or 1, _PIECE_BYTES):
            is_last = ends and start + _PIECE_BYTES >= len(content)
            # The connection ends with the answer's end, and that waits for the rest of the request.
            self._lacks_end = is_last and self.connection.has_rest()
            piece = content[start : start + _PIECE_BYTES]
            more = not is_last or self._lacks_end
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})
            await asyncio.sleep(0)  # others have their turn, also when the kernel takes all at once
        await self.connection.sent()

    async def _in_time(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(TRANSFER_S):
                await sending
        except TimeoutError:
            self.connection.abort()
            raise asyncio.CancelledError from None

    def _refuse_size(self) -> None:
        self.is_too_large = True
        raise InvalidRequestError(
            f"the body is larger than the {self._max_bytes} bytes that this server takes; send less at once, or raise "
            f"--max-message-bytes of the server."
        )


class Metadatum(NamedTuple):
    """A header of a call, as gRPC has it."""

    key: str
    value: str


class Context:
    """Stands for gRPC's context in a call with one request. `written` has what the call wrote before it returned."""

    def __init__(self, exchange: Exchange, deadline_s: float | None) -> None:
        self.status = Status()
        self.trailing: dict[str, Any] = {}
        self.exchange = exchange
        self._ends = None if deadline_s is None else asyncio.get_running_loop().time() + deadline_s
        self._has_read = False
        self._told: list[Callable[[], object]] = []

    @property
    def request_id(self) -> str:
        return str(self.trailing.get(REQUEST_ID, ""))

    def end(self) -> None:
        """Tell those who wait for the end of the call."""
        for tell in self._told:
            tell()

    def when_over(self, tell: Callable[[], object]) -> None:
        """Call `tell` when the call has ended."""
        self._told.append(tell)

    # What follows is gRPC's.

    def peer(self) -> str:
        return self.exchange.connection.peer()

    def auth_context(self) -> Mapping[str, list[bytes]]:
        certificate = self.exchange.connection.certificate()
        return {} if certificate is None else {"x509_pem_cert": [ssl.DER_cert_to_PEM_cert(certificate).encode()]}

    def invocation_metadata(self) -> tuple[Metadatum, ...]:
        return tuple(Metadatum(*each) for each in self.exchange.headers.items())

    def time_remaining(self) -> float | None:
        return None if self._ends is None else self._ends - asyncio.get_running_loop().time()

    def set_trailing_metadata(self, metadata: tuple[tuple[str, Any], ...]) -> None:
        self.trailing.update(metadata)

    async def send_initial_metadata(self, _metadata: object) -> None: ...

    async def read(self) -> Any:
        if self._has_read:
            return grpc.aio.EOF
        self._has_read = True
        return await self.exchange.body()

    async def write(self, _content: bytes) -> None:
        raise AssertionError("a call with one reply returns it")

    async def abort(self, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, Any], ...] = ()) -> None:
        self.trailing.update(trailing)
        found = self.trailing.pop("grpc-status-details-bin", None)
        self.status = Status(code=code.value[0], message=details) if found is None else Status.FromString(found)
        raise grpc.aio.AbortError(details)


def peer_of(address: tuple[Any, ...]) -> str:
    """An address and port as gRPC writes them: ipv4:192.0.2.1:50123."""
    host, port = address[:2]
    return f"ipv6:{quote(f'[{host}]', safe=':')}:{port}" if ":" in host else f"ipv4:{host}:{port}"


@asynccontextmanager
async def ending(context: Context) -> AsyncIterator[None]:
    """Use this around a call and its answer."""
    try:
        yield
    finally:
        context.end()
