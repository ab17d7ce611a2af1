"""StreamService of the wire: windows of frames as they come, answered while more come in."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import (
    ClosedError,
    EmptyGalleryError,
    GfpError,
    InvalidRequestError,
    InvalidSkeletonError,
    OverloadedError,
)
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import Neighbour
from gfp_serve.service.embedder import Embedded, Embedder, write_timing
from gfp_serve.service.gallery import (
    Ballot,
    Room,
    Scope,
    check_top_k,
    find_gallery,
    read_ballot,
    read_scope,
    top_k_of,
    write_classification,
)
from gfp_serve.skeleton import Layout, layout_named
from gfp_serve.v1 import stream_pb2, stream_pb2_grpc
from gfp_serve.windows import Window, WindowCutter
from gfp_serve.wire.convert import (
    check_size,
    in_field,
    read_positions,
    write_embedding,
    write_neighbour,
)

# Windows that a stream holds while others are answered: enough for a hiccup, and little memory.
MAX_WAITING = 4


class StreamServicer(stream_pb2_grpc.StreamServiceServicer):
    """`max_streams` may be open at once."""

    def __init__(self, embedder: Embedder, galleries: Galleries, *, max_streams: int) -> None:
        self._embedder = embedder
        self._galleries = galleries
        self._max_streams = max_streams
        self._open: set[_Waiting] = set()

    def close(self) -> None:
        """End every stream after the windows that it holds."""
        for waiting in self._open:
            waiting.end(ClosedError("the server is shutting down; open the stream again, there or at another."))

    async def EmbedStream(
        self, requests: AsyncIterator[stream_pb2.EmbedStreamRequest], context: Any
    ) -> AsyncIterator[stream_pb2.EmbedStreamResponse]:
        if len(self._open) >= self._max_streams:
            raise OverloadedError(
                f"{self._max_streams} streams are open and no more are taken; try again later, or raise --max-streams.",
                retry_after_s=5.0,
            )
        waiting = _Waiting()
        # From here on, for one that says nothing takes a place too.
        self._open.add(waiting)
        reader: asyncio.Task[None] | None = None
        try:
            plan = self._plan(await _first(requests))
            waiting.lossless = plan.lossless
            # Says that the config was taken: whoever waits for it never sends frames into a stream that was refused.
            await context.send_initial_metadata(())
            reader = asyncio.create_task(_read(requests, plan, waiting, self._embedder), name="stream reader")
            while (window := await waiting.take()) is not None:
                reply = await self._answer(window, plan, waiting)
                if reply is not None:
                    with waiting.sending():
                        yield reply
            await reader  # which raises a fault of ours: it must not look like the end of the frames
        finally:
            self._open.discard(waiting)
            if reader is not None:
                reader.cancel()
                await asyncio.wait([reader])

    def _plan(self, config: stream_pb2.StreamConfig) -> "_Plan":
        self._embedder.expect(config.expected_encoder_digest)
        limits = self._embedder.limits
        with in_field("config"):
            layout = layout_named(config.layout)
            if not config.num_bodies >= 1 or not 0 < config.fps < math.inf:
                raise InvalidRequestError(
                    f"num_bodies is {config.num_bodies} and fps {config.fps:g}; needed are 1 or more, and above 0."
                )
            check_size(config.window_frames, config.num_bodies, limits)
            plan = _Plan(
                layout,
                config.num_bodies,
                config.fps,
                WindowCutter(config.window_frames, config.stride_frames),
                *_read_scopes(config),
                top_k_of(config.search) if config.HasField("search") else 0,
                read_ballot(config.classify) if config.HasField("classify") else None,
                config.lossless,
            )
            if config.search.merge_windows:
                with in_field("search.merge_windows"):
                    raise InvalidRequestError(
                        "a stream's windows come with their nearest items, not with moments; ask Search for these."
                    )
            if plan.search is not None:
                check_top_k("search.top_k", plan.top_k, limits)
                find_gallery(self._galleries, plan.search.gallery, "search.gallery")
            if plan.classify is not None and plan.ballot is not None:
                check_top_k("classify.num_neighbours", plan.ballot.num_neighbours, limits)
                find_gallery(self._galleries, plan.classify.gallery, "classify.gallery")
        return plan

    async def _answer(
        self, window: Window, plan: "_Plan", waiting: "_Waiting"
    ) -> stream_pb2.EmbedStreamResponse | None:
        """The reply to a window; None when the server has no room for it, which counts as one left out."""
        started_ns = time.perf_counter_ns()
        reply = stream_pb2.EmbedStreamResponse(
            first_frame=window.first_frame,
            start_s=window.first_frame / plan.fps,
            end_s=(window.first_frame + len(window.sequence)) / plan.fps,
            encoder_digest=self._embedder.encoder_digest,
        )
        embedded, search_s = None, 0.0
        try:
            embedded = await self._embed(window, plan)
        except InvalidSkeletonError as error:
            # Nobody stands before a camera all day: that ends no stream.
            reply.problem = str(error)
        except OverloadedError:
            waiting.num_dropped += 1
            return None
        if embedded is not None:
            reply.embedding.CopyFrom(write_embedding(embedded.vectors[0]))
            started = time.perf_counter()
            await self._look_up(embedded.vectors, plan, reply)
            search_s = time.perf_counter() - started
        reply.num_dropped, waiting.num_dropped = waiting.num_dropped, 0
        reply.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        return reply

    async def _embed(self, window: Window, plan: "_Plan") -> Embedded:
        while True:
            try:
                return await self._embedder.embed_arrays([("frames", window.sequence, plan.layout)])
            except OverloadedError as error:
                if not plan.lossless:
                    raise
                await asyncio.sleep(error.retry_after_s)

    async def _look_up(
        self, vectors: Float32[np.ndarray, "1 size"], plan: "_Plan", reply: stream_pb2.EmbedStreamResponse
    ) -> None:
        room = Room(self._embedder.limits, "ask for fewer neighbours")
        num_voters = plan.ballot.num_neighbours if plan.ballot else 0
        neighbours: list[Neighbour] = []
        if plan.search is not None:
            # Asked for again at each window: it may have been dropped.
            gallery = find_gallery(self._galleries, plan.search.gallery, "search.gallery")
            most = max(plan.top_k, num_voters) if plan.classify is plan.search else plan.top_k
            neighbours = await _nearest(gallery, plan.search, vectors, most)
            reply.neighbours.extend(room.fit(write_neighbour(each)) for each in neighbours[: plan.top_k])
        if plan.classify is not None and plan.ballot is not None:
            gallery = find_gallery(self._galleries, plan.classify.gallery, "classify.gallery")
            if plan.classify is not plan.search:
                neighbours = await _nearest(gallery, plan.classify, vectors, num_voters)
            class_counts = (
                await asyncio.to_thread(gallery.label_counts, plan.classify.where) if plan.ballot.balanced else None
            )
            classification = write_classification(neighbours[:num_voters], plan.ballot, class_counts, room)
            reply.classification.CopyFrom(classification)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the first message of a stream said."""

    layout: Layout
    num_bodies: int
    fps: float
    cutter: WindowCutter
    search: Scope | None  # None = no neighbours
    classify: Scope | None  # `search` itself when both look at the same items: one search then does for both
    top_k: int
    ballot: Ballot | None
    lossless: bool


class _Waiting:
    """The windows of one stream that wait to be answered; full, it makes the reader wait or leaves out the oldest."""

    def __init__(self) -> None:
        self.lossless = False
        self.num_dropped = 0  # since the last reply
        self._windows: deque[Window] = deque()
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._is_sending = False
        self._ended = False
        self._error: GfpError | None = None

    async def put(self, window: Window) -> None:
        while len(self._windows) >= MAX_WAITING:
            # A caller that does not read its replies is not read either. One that reads them waits for the encoder:
            # what is newest matters most to it.
            if not self.lossless and not self._is_sending:
                self._windows.popleft()
                self.num_dropped += 1
                break
            self._room.clear()
            await self._room.wait()
        self._windows.append(window)
        self._arrived.set()
        await asyncio.sleep(0)  # frames that come faster than they can be read must not keep the answers from going

    async def take(self) -> Window | None:
        """The next window; None at the end. Raises what the stream was ended with."""
        while not self._windows:
            if self._ended:
                if self._error is not None:
                    try:
                        raise self._error
                    finally:
                        # Its traceback will know this stream: a circle that would keep the last message for long.
                        self._error = None
                return None
            self._arrived.clear()
            await self._arrived.wait()
        self._room.set()
        return self._windows.popleft()

    def end(self, error: GfpError | None = None) -> None:
        """No more windows come; the first word holds."""
        if not self._ended:
            self._ended, self._error = True, error
        self._arrived.set()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Around the sending of a reply."""
        self._is_sending = True
        self._room.set()
        try:
            yield
        finally:
            self._is_sending = False
            self._room.set()


def _read_scopes(config: stream_pb2.StreamConfig) -> tuple[Scope | None, Scope | None]:
    search = read_scope(config.search, "search.") if config.HasField("search") else None
    if not config.HasField("classify"):
        return search, None
    # Compared as messages, in which 1 and true are not equal.
    if search is not None and all(
        getattr(config.search, name) == getattr(config.classify, name) for name in ("gallery", "filter", "effort")
    ):
        return search, search
    return search, read_scope(config.classify, "classify.")


async def _nearest(
    gallery: Gallery, scope: Scope, vectors: Float32[np.ndarray, "1 size"], top_k: int
) -> list[Neighbour]:
    def search() -> list[Neighbour]:
        (found,) = gallery.search(vectors, top_k=top_k, where=scope.where, effort=scope.effort)
        return found

    with suppress(EmptyGalleryError):  # it may be filled while the stream goes on
        return await asyncio.to_thread(search)
    return []


async def _first(requests: AsyncIterator[stream_pb2.EmbedStreamRequest]) -> stream_pb2.StreamConfig:
    async for request in requests:
        if request.WhichOneof("payload") == "config":
            return request.config
        break
    raise InvalidRequestError("the first message of a stream must hold its config: layout, num_bodies, fps, windows.")


async def _read(
    requests: AsyncIterator[stream_pb2.EmbedStreamRequest], plan: _Plan, waiting: _Waiting, embedder: Embedder
) -> None:
    try:
        async for request in requests:
            if request.WhichOneof("payload") != "frames":
                raise InvalidRequestError("every message of a stream but the first must hold frames.")
            with in_field("frames"):
                frames = _read_frames(request.frames, plan, embedder)
            for window in plan.cutter.add(frames):
                await waiting.put(window)
    except GfpError as error:
        waiting.end(error)
    finally:
        waiting.end()


def _read_frames(
    message: stream_pb2.Frames, plan: _Plan, embedder: Embedder
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    frames = read_positions(message.positions, message.num_frames, plan.num_bodies, plan.layout)
    check_size(message.num_frames, plan.num_bodies, embedder.limits)
    if np.isinf(frames).any():
        raise InvalidSkeletonError("a coordinate is infinite; coordinates are metres, and what was not seen is NaN.")
    return frames
