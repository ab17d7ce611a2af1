"""The HTTP port itself: connections, each bounded in time and in what it may cost before a call is known.

uvicorn's protocol reads requests and calls the application, in the server's own event loop. Listening and accepting are
ours, so that connections are counted before they encrypt, and certificates are those of now.
"""

import asyncio
import errno
import logging
import socket
from contextlib import suppress
from typing import Any

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gfp_serve.service.http.call import peer_of
from gfp_serve.service.tls import Contexts
from gfp_serve.service.transport import HANDSHAKE_S, IDLE_CONNECTION_S

_log = logging.getLogger(__name__)

# When no file is left for another connection, the next is taken after this time.
_ACCEPT_AGAIN_S = 0.1
_BACKLOG = 1024
# The kernel takes twice as much for what was sent to a caller and not received yet.
_SEND_BYTES = 2**17
# Of all headers of a request together. To read this many in lines of three letters takes 15 ms.
_HEADER_BYTES = 2**13
# Bytes of headers, and of bodies in chunks, are looked at this many at a time, because many short lines take long.
_PIECE_BYTES = 2**13
# What chunks may have beside their contents: these bytes, and this part of the contents.
_CHUNKS_FREE, _CHUNKS_SHARE = 2**14, 0.05
# While a call runs, this much of later requests is held. A caller who sends more is answered, and its connection then
# closed; of what it sends until then, this much is read and thrown away.
_AHEAD_BYTES, _SKIPPED_BYTES = 2**18, 2**24
# After the last answer, connections that still send it have this time.
_LAST_BYTES_S = 0.5


class HttpPort:
    """Listens after `open`, until `close`. `tls` gives the context of a new connection; None is in the clear."""

    def __init__(self, application: Any, *, tls: Contexts | None, max_connections: int) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # strangers' mistakes are warnings there
        self._config = Config(
            application,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_CONNECTION_S,
            h11_max_incomplete_event_size=_HEADER_BYTES,
            # What a call sets must not be there in the next call of its connection.
            reset_contextvars=True,
        )
        self._config.load()
        self._state = ServerState()
        self._tls = tls
        self._max_connections = max_connections
        self._listening: list[socket.socket] = []
        self._connections: set[_Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._accepting: list[asyncio.Task[None]] = []

    def open(self, host: str, port: int) -> int:
        """Listen; the port. Raises `OSError` when that cannot be."""
        missing: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            try:
                listening = _listening((address[0], port, *address[2:]), family, kind, protocol)
            except OSError as error:
                # A name such as localhost may have an address of IPv6 where the machine has none.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
                continue
            self._listening.append(listening)
            port = listening.getsockname()[1]
        if missing is not None and not self._listening:
            raise missing
        self._accepting = [asyncio.create_task(self._accept(each), name="http") for each in self._listening]
        return port

    async def close(self) -> None:
        """Take no more connections, and end those that are open: idle ones at once, others when they have answered."""
        for task in self._accepting:
            task.cancel()
        for listening in self._listening:
            listening.close()
        for connection in list(self._connections):
            connection.shutdown()
        if self._serving:
            await asyncio.wait(self._serving, timeout=_LAST_BYTES_S)
        for connection in list(self._connections):
            connection.abort()
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, *self._accepting, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                _log.warning("no connection can be taken at the moment: %s", error.strerror)
                await asyncio.sleep(_ACCEPT_AGAIN_S)
                continue
            if len(self._serving) >= self._max_connections:
                accepted.close()
                continue
            serving = loop.create_task(self._serve(accepted), name="http connection")
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        connection, loop = _Connection(self._config, self._state), asyncio.get_running_loop()
        # A caller who does not encrypt, or leaves at once, has made that mistake, not we.
        with suppress(OSError):
            if self._tls is None:
                await loop.connect_accepted_socket(lambda: connection, accepted)
            else:
                await loop.connect_accepted_socket(
                    lambda: connection, accepted, ssl=self._tls.current(), ssl_handshake_timeout=HANDSHAKE_S
                )
            self._connections.add(connection)
            try:
                await connection.lost.wait()
            finally:
                self._connections.discard(connection)


def _listening(address: Any, family: int, kind: int, protocol: int) -> socket.socket:
    # With the protocol, by which asyncio knows that it must not let small packets wait for each other (40 ms).
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        # Its connections have it too. Otherwise the kernel takes megabytes for each caller who does not read.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


class _Connection(H11Protocol):
    """A connection. It ends when no whole request comes in time; calls in it end when it is lost."""

    def __init__(self, config: Config, state: ServerState) -> None:
        super().__init__(config=config, server_state=state, app_state={"connection": self})
        self.lost = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._rest = b""  # what arrived and was not looked at yet
        self._looks_again = False  # as soon as others had their turn
        self._skipped = 0  # bytes of later requests that were thrown away
        self._overhead = 0.0  # bytes that chunks had beside their contents, less those that they may have

    # For calls, see `call.Connection`.

    def peer(self) -> str:
        return peer_of(self.transport.get_extra_info("peername") or ("", 0))

    def certificate(self) -> bytes | None:
        ssl_object = self.transport.get_extra_info("ssl_object")
        found: bytes | None = None if ssl_object is None else ssl_object.getpeercert(binary_form=True)
        return found

    def answering(self, task: asyncio.Task[Any] | None) -> None:
        self._task = task

    def has_rest(self) -> bool:
        return self.cycle.more_body or self._skipped > 0

    async def sent(self) -> None:
        await self.flow.drain()

    def abort(self) -> None:
        self.transport.abort()

    # For asyncio.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(HANDSHAKE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._rest = b""
        if self._task is not None:
            self._task.cancel()
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if self._is_whole:
            self._hold()
        elif self._looks_again:
            self.transport.pause_reading()
        else:
            self._look()

    def on_response_complete(self) -> None:
        self._overhead = 0.0
        super().on_response_complete()
        if not self._has_request:  # also if it is closing, which takes until the caller has taken all
            self._wait(IDLE_CONNECTION_S)
        if self._rest:
            self._look_soon()

    @property
    def _has_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_whole(self) -> bool:
        """Whether there is a request that has arrived and is not answered."""
        return self._has_request and not self.cycle.more_body

    @property
    def _is_chunked(self) -> bool:
        return self._has_request and any(name == b"transfer-encoding" for name, _ in self.headers)

    def _look(self) -> None:
        """Look at a piece of what arrived, and at the rest after others had their turn."""
        is_plain = self._has_request and not self._is_chunked
        piece = self._rest if is_plain else self._rest[:_PIECE_BYTES]
        self._rest = self._rest[len(piece) :]
        before = len(self.cycle.body) if self._has_request else 0
        was_chunked = self._is_chunked
        try:
            super().data_received(piece)
        except h11.LocalProtocolError:  # it does not fit to the answer that is being sent
            self.transport.abort()
            return
        if self._has_request:
            self._stop_waiting()
        if was_chunked and self._is_chunked:
            self._overhead += len(piece) - (1 + _CHUNKS_SHARE) * (len(self.cycle.body) - before)
            if self._overhead > _CHUNKS_FREE:
                self.transport.abort()
                return
        if self._is_whole:
            self._hold()
        elif self._rest:
            self.transport.pause_reading()
            self._look_soon()

    def _hold(self) -> None:
        """Keep what comes behind a whole request until that is answered.

        Reading goes on meanwhile, which uvicorn stops after a large body and before a second request: the end of a
        connection is read like its bytes, so otherwise nobody would notice a caller who leaves.
        """
        if self._skipped or len(self._rest) > _AHEAD_BYTES:
            self._skipped += len(self._rest)
            self._rest = b""
            self.cycle.keep_alive = False
            if self._skipped > _SKIPPED_BYTES:
                self.transport.abort()
                return
        self.flow.resume_reading()
        self.transport.resume_reading()  # it may have been stopped here too

    def _look_soon(self) -> None:
        if not self._looks_again:
            self._looks_again = True
            self.loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        self._looks_again = False
        if self.transport.is_closing():
            return
        if self._is_whole:
            self._hold()
            return
        if not self.flow.read_paused:
            self.transport.resume_reading()
        self._look()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
