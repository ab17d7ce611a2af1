"""A client of HTTP/2 in a few lines that does what gRPC's own never do: it sends what it is told and reads nothing."""

import socket
import struct

_BEGIN = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RESET, SETTINGS, PING, CONTINUATION = 1, 3, 4, 6, 9
_DATA = 0
END_STREAM, END_HEADERS = 1, 4
_INITIAL_WINDOW = 4


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def header(name: str, value: str) -> bytes:
    """A header that no table remembers, of at most 126 bytes a part. A half surrogate stands for any byte."""
    content = value.encode(errors="surrogateescape")
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(content)]) + content


def headers_of(method: str, *more: tuple[str, str]) -> bytes:
    """The header block of a call, e.g. of "/package.Service/Method"."""
    return b"".join(
        header(*each)
        for each in (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *more,
        )
    )


def call(stream: int, method: str, request: bytes = b"", *more: tuple[str, str]) -> bytes:
    """The frames of a call with one request. Calls of a connection have the odd numbers of `stream` in their order."""
    message = b"\0" + struct.pack(">I", len(request)) + request
    return frame(HEADERS, END_HEADERS, stream, headers_of(method, *more)) + frame(_DATA, END_STREAM, stream, message)


def connected(port: int, *, from_host: str = "127.0.0.1", window: int = 0, room: int | None = None) -> socket.socket:
    """A connection whose client takes `window` bytes of each reply, and whose machine keeps `room` bytes unread."""
    opened = socket.socket()
    opened.settimeout(60)
    if room is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    opened.bind((from_host, 0))
    opened.connect(("127.0.0.1", port))
    opened.sendall(_BEGIN + frame(SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW, window)) + frame(SETTINGS, 1, 0))
    return opened
