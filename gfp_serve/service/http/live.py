"""Live windows over HTTP: EmbedStream for browsers and curl, whose requests cannot go on while answers come.

    POST   /gfp_serve.v1.StreamService/EmbedStream             {"config": {...}}: opens a stream; the answer is a
                                                               stream of server-sent events, the windows among them
    POST   /gfp_serve.v1.StreamService/EmbedStream?stream=ID   {"frames": {...}}: answered when they were taken
    DELETE /gfp_serve.v1.StreamService/EmbedStream?stream=ID   no more frames: the last windows come, and the end

Events are `open` with the stream's id, `window` with an EmbedStreamResponse, and at last `end`, or `error` with what
other calls say of an error. To the guard and the servicer this is one call over gRPC, with its place and its bytes.
"""

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from gfp_serve.errors import InvalidRequestError, OverloadedError, quoted
from gfp_serve.service.http.answers import said_of
from gfp_serve.service.http.call import Context, Exchange

EMBED_STREAM = "/gfp_serve.v1.StreamService/EmbedStream"


class LiveStream(Context):
    """A stream whose frames come with other requests. `owner` is the identity of its caller, if there are tokens."""

    def __init__(self, exchange: Exchange, owner: str | None, deadline_s: float | None) -> None:
        super().__init__(exchange, deadline_s)
        self.owner = owner
        self.stream_id = secrets.token_urlsafe(16)
        self._is_busy = self._has_ended = False
        self._offer: tuple[bytes, asyncio.Future[None]] | None = None
        self._offered = asyncio.Event()

    @contextmanager
    def offering(self) -> Iterator[None]:
        """Use this around the reading and the offering of frames. Raises `OverloadedError` when others are there."""
        if self._is_busy:
            raise OverloadedError(
                "frames of this stream were sent before and are not taken yet; wait for the answer to them.",
                retry_after_s=0.1,
            )
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False

    async def offer(self, content: bytes) -> None:
        """Give the stream a message, and wait until it is taken. Raises `InvalidRequestError` when the stream ends."""
        taken = asyncio.get_running_loop().create_future()
        self._offer = content, taken
        self._offered.set()
        try:
            if self._has_ended:
                raise _no_stream(self.stream_id)
            await taken
        finally:
            self._offer = None

    def finish(self) -> None:
        """Say that no more frames come."""
        self._has_ended = True
        self._offered.set()

    def refuse_more(self) -> None:
        """Refuse what waits to be taken: the call has ended."""
        self._has_ended = True
        if self._offer is not None and not self._offer[1].done():
            self._offer[1].set_exception(_no_stream(self.stream_id))

    async def close(self) -> None:
        """Send the last event."""
        if self.status.code:
            await self._event("error", json.dumps(said_of(self.status)).encode())
        else:
            await self._event("end", b"{}")
        await self.exchange.write(b"", ends=True)

    async def read(self) -> Any:
        if not self._has_read:
            return await super().read()
        while self._offer is None or self._offer[1].done():
            if self._has_ended:
                return grpc.aio.EOF
            self._offered.clear()
            await self._offered.wait()
        content, taken = self._offer
        taken.set_result(None)
        return content

    async def send_initial_metadata(self, _metadata: object) -> None:
        headers = {"content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"}
        await self.exchange.begin(200, headers)
        await self._event("open", json.dumps({"stream": self.stream_id}).encode())

    async def write(self, content: bytes) -> None:
        await self._event("window", content.strip())

    async def _event(self, name: str, said: bytes) -> None:
        # JSON is one line here, as an event's data must be.
        await self.exchange.write(b"event: %s\ndata: %s\n\n" % (name.encode(), said))


class OpenStreams:
    """The streams that frames may be sent to."""

    def __init__(self) -> None:
        self._streams: dict[str, LiveStream] = {}

    @contextmanager
    def opened(self, stream: LiveStream) -> Iterator[None]:
        self._streams[stream.stream_id] = stream
        try:
            yield
        finally:
            del self._streams[stream.stream_id]
            stream.refuse_more()

    def find(self, stream_id: str, owner: str | None) -> LiveStream:
        """The open stream of this id and this caller. Raises `InvalidRequestError` when there is none."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.owner != owner:
            raise _no_stream(stream_id)
        return stream


def _no_stream(stream_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"this caller has no open stream {quoted(stream_id)}; open one, and send its frames while its events come.",
        field="stream",
    )
