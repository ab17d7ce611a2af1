"""HTTP/2 by hand, for what no client library sends: frames of any content, in any order (RFC 9113, RFC 7541)."""

import re
import select
import socket
import struct
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = 8  # the reason of a reset
INITIAL_WINDOW, INITIAL_WINDOW_SETTING, MAX_FRAME = 65_535, 4, 16_384
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# gRPC writes the status in its trailers as plain text: name, length, digits.
STATUS = re.compile(rb"grpc-status[\x01\x02](\d{1,2})", re.DOTALL)
# The address that attackers call from. Honest callers are at 127.0.0.1, and the server counts by address.
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + content


def header_block(path: str, token: str | None = None, encoding: str | None = None) -> bytes:
    """The headers of a gRPC call, each as a literal that is not indexed."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    if encoding:
        headers["grpc-encoding"] = encoding
    if token:
        headers["authorization"] = f"Bearer {token}"
    block = b""
    for name, value in headers.items():
        block += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


class Connection:
    """A connection that has said hello. Use it in a `with` block."""

    HELLO = PREFACE + frame(SETTINGS, 0, 0)

    def __init__(self, port: int, timeout_s: float = 10.0, source: str = ELSEWHERE) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s, source_address=(source, 0))
        self.socket.sendall(self.HELLO)
        self._received = b""
        self._window = self._window_of_stream = INITIAL_WINDOW
        self._ended = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.socket.close()

    def call(self, path: str, message: bytes, *, token: str | None = None, encoding: str | None = None) -> str:
        """Send one message as stream 1, as fast as the server takes it; the name of the status, or how else it ended.

        With an `encoding`, the message is sent as it is and said to be compressed.
        """
        self.socket.sendall(frame(HEADERS, END_HEADERS, 1, header_block(path, token, encoding)))
        content = bytes([encoding is not None]) + struct.pack(">I", len(message)) + message
        sent = 0
        try:
            while sent < len(content) and not self._ended:
                room = min(MAX_FRAME, self._window, self._window_of_stream, len(content) - sent)
                if room <= 0:
                    self._read()
                    continue
                last = END_STREAM if sent + room == len(content) else 0
                self.socket.sendall(frame(DATA, last, 1, content[sent : sent + room]))
                sent += room
                self._window -= room
                self._window_of_stream -= room
            while not self._ended:
                self._read()
        except TimeoutError:
            return "no answer"
        except OSError:
            return self._ended or "connection closed"
        return self._ended

    def frames(self, is_enough: Callable[[], bool]) -> Iterator[tuple[int, int, int, bytes]]:
        """Kind, flags, stream and content of each frame that comes, until it is enough or the connection is closed."""
        while self._ended != "connection closed" and not is_enough():
            readable, _, _ = select.select([self.socket], [], [], 0.1)
            if readable:
                yield from self._receive()

    def _read(self) -> None:
        for each in self._receive():
            self._take(*each)

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        received = self.socket.recv(65_536)
        if not received:
            self._ended = self._ended or "connection closed"
        self._received += received
        while len(self._received) >= 9:
            length = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + length:
                return
            kind, flags = self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:9], "big") & 0x7FFF_FFFF
            content, self._received = self._received[9 : 9 + length], self._received[9 + length :]
            yield kind, flags, stream, content

    def _take(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            for place in range(0, len(content), 6):
                name, value = struct.unpack(">HI", content[place : place + 6])
                if name == INITIAL_WINDOW_SETTING:
                    self._window_of_stream += value - INITIAL_WINDOW
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, content))
        elif kind == WINDOW and stream:
            self._window_of_stream += int.from_bytes(content, "big")
        elif kind == WINDOW:
            self._window += int.from_bytes(content, "big")
        elif kind == HEADERS and flags & END_STREAM and not self._ended:
            said = STATUS.search(content)
            self._ended = CODES[int(said[1])] if said else "ended without a status"
        elif kind == RESET and not self._ended:
            self._ended = "stream reset"
        elif kind == GO_AWAY and not self._ended:
            self._ended = "connection refused"
