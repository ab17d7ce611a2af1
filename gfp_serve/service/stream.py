"""StreamService of the wire: frames come in, and each window of them is answered while more come."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from gfp_serve.batching.admission import Admission
from gfp_serve.batching.turns import Turns, Work
from gfp_serve.conventions import STANDARD, Conventions, to_standard
from gfp_serve.doubts import Doubt
from gfp_serve.errors import (
    ClosedError,
    EmptyGalleryError,
    GfpError,
    InvalidRequestError,
    InvalidSkeletonError,
    OverloadedError,
    in_field,
)
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import Neighbour
from gfp_serve.kept_motion import LEAST_FPS, MOST_FPS, is_fps
from gfp_serve.layouts import Layout
from gfp_serve.movement import joint_angles, movement_of_clip
from gfp_serve.repetitions import RepetitionCounter
from gfp_serve.service.access import caller_of
from gfp_serve.service.embedder import Embedded, Embedder, write_timing
from gfp_serve.service.finding import (
    Queries,
    ask_gallery,
    classify,
    cost_of,
    count_classes,
    find_neighbours,
    find_parted,
)
from gfp_serve.service.movements import Movements
from gfp_serve.service.reply_budget import ReplyBudget
from gfp_serve.service.shares import Shares
from gfp_serve.service.window_queue import MAX_WAITING, WindowQueue
from gfp_serve.v1 import stream_pb2, stream_pb2_grpc
from gfp_serve.windows import Window, WindowCutter
from gfp_serve.wire.arrays import (
    Image,
    check_size,
    read_conventions,
    read_image,
    read_image_joints,
    read_layout,
    read_positions,
    write_embedding,
)
from gfp_serve.wire.items import write_neighbour
from gfp_serve.wire.searches import (
    Scope,
    Voting,
    check_top_k,
    read_scope,
    read_top_k,
    read_voting,
    write_classification,
)
from gfp_serve.wire.warnings import write_warnings

# Windows that a stream holds at most: two in its cutter, those that wait, one that will, and one that is answered.
_WINDOWS_HELD = MAX_WAITING + 4
_BYTES_PER_JOINT = 12
# Frames or windows of fewer bytes are handled in less time than it takes to hand them to a thread and back.
_FEW_BYTES = 2**18

T = TypeVar("T")


class StreamServicer(stream_pb2_grpc.StreamServiceServicer):
    """Answers streams. Each takes one of the `places`, and they may hold `max_bytes` all together."""

    def __init__(
        self,
        embedder: Embedder,
        galleries: Galleries,
        movements: Movements,
        turns: Turns,
        searches: Turns,
        *,
        places: Shares,
        max_bytes: int,
    ) -> None:
        self._embedder = embedder
        self._galleries = galleries
        self._movements = movements
        self._turns = turns
        self._searches = searches
        self._places = places
        self._open: set[WindowQueue] = set()
        self._bytes = Admission(max_bytes, what="bytes are kept for open streams", setting="--max-stream-bytes")

    def close(self) -> None:
        """End every stream after the windows that wait in it."""
        for queue in self._open:
            queue.end(ClosedError("the server is shutting down; open the stream again, there or at another server."))

    async def EmbedStream(
        self, requests: AsyncIterator[stream_pb2.EmbedStreamRequest], context: Any
    ) -> AsyncIterator[stream_pb2.EmbedStreamResponse]:
        queue, caller = WindowQueue(), caller_of(context)
        reader: asyncio.Task[None] | None = None
        held = ExitStack()
        # It counts from here on, because a stream that never sends its first message takes a place too.
        held.enter_context(self._places.place(context))
        self._open.add(queue)
        try:
            asked = await self._read_config(await _first(requests), caller)
            held.enter_context(self._bytes.admit(_WINDOWS_HELD * asked.window_bytes))
            queue.lossless = asked.lossless
            # Tells the caller that the config was accepted. A caller who waits for this never sends frames into a
            # stream that was refused.
            await context.send_initial_metadata(())
            reader = asyncio.create_task(
                _read(requests, asked, queue, self._embedder, self._bytes, partial(self._turns.do, caller=caller)),
                name="stream reader",
            )
            while (window := await queue.take()) is not None:
                reply = await self._answer(window, asked, queue, caller)
                if reply is not None:
                    with queue.sending():
                        yield reply
            await reader  # raises a bug of ours, which must not look like the end of the frames
        finally:
            self._open.discard(queue)
            if reader is not None:
                reader.cancel()
                await asyncio.wait([reader])
            held.close()

    async def _read_config(self, config: stream_pb2.StreamConfig, caller: str) -> "_Asked":
        self._embedder.check_encoder(config.expected_encoder_digest)
        limits = self._embedder.limits
        with in_field("config"):
            layout = read_layout(config.layout, config.joint_names)
            if config.num_bodies < 1 or not is_fps(config.fps):
                raise InvalidRequestError(
                    f"num_bodies is {config.num_bodies} and fps is {config.fps:g}; num_bodies must be at least 1, and "
                    f"fps from {LEAST_FPS:g} to {MOST_FPS:,.0f}."
                )
            check_size(config.window_frames, config.num_bodies, limits)
            asked = _Asked(
                layout,
                STANDARD if (image := read_image(config)) else read_conventions(config),
                image,
                config.num_bodies,
                config.fps,
                WindowCutter(config.window_frames, config.stride_frames),
                *_read_scopes(config),
                read_top_k(config.search) if config.HasField("search") else 0,
                read_voting(config.classify) if config.HasField("classify") else None,
                config.lossless,
                config.window_frames * config.num_bodies * layout.num_joints * _BYTES_PER_JOINT,
                await self._counting(config, caller) if config.count else None,
            )
            if config.search.merge_windows:
                with in_field("search.merge_windows"):
                    raise InvalidRequestError(
                        "a stream's windows come with their nearest items, not with moments; ask Search for these."
                    )
            if asked.search is not None:
                check_top_k("search.top_k", asked.top_k, limits)
                await self._gallery(asked.search, "search.gallery", caller)
            if asked.classify is not None and asked.voting is not None:
                check_top_k("classify.num_neighbours", asked.voting.num_neighbours, limits)
                await self._gallery(asked.classify, "classify.gallery", caller)
        return asked

    async def _counting(self, config: stream_pb2.StreamConfig, caller: str) -> "_Counting":
        gallery = config.search.gallery or config.classify.gallery
        with in_field("config.count"):
            if config.num_bodies > 1:
                raise InvalidRequestError(
                    f"repetitions are counted of one body, and num_bodies is {config.num_bodies}; open a stream for "
                    f"each body."
                )
            counter = await self._movements.counter_of(config.count, gallery, caller)
            counter.check_rate(config.fps)
            return _Counting(counter, config.fps)

    async def _gallery(self, scope: Scope, path: str, caller: str) -> Gallery:
        return await ask_gallery(self._galleries, scope.gallery, self._searches, caller=caller, path=path)

    async def _answer(
        self, window: Window, asked: "_Asked", queue: WindowQueue, caller: str
    ) -> stream_pb2.EmbedStreamResponse | None:
        """The reply to a window; None when the server has no room for it, which counts as a dropped window."""
        started_ns = time.perf_counter_ns()
        reply = stream_pb2.EmbedStreamResponse(
            first_frame=window.first_frame,
            start_s=window.first_frame / asked.fps,
            end_s=(window.first_frame + len(window.sequence)) / asked.fps,
            encoder_digest=self._embedder.encoder_digest,
        )
        embedded, search_s = None, 0.0
        doubts: list[tuple[str, Doubt]] = []
        try:
            sequence, placing = await self._placed(window, asked, caller)
            if asked.counting is not None:
                await self._turns.run(asked.counting.adding(window, sequence, asked.layout), caller=caller)
            embedded = await self._embed(sequence, asked, caller)
            reply.embedding.CopyFrom(write_embedding(embedded.vectors[0]))
            started = time.perf_counter()
            further = [("frames", doubt) for doubt in placing]
            doubts = [*further, *embedded.doubts, *await self._search(embedded, asked, reply, caller)]
            search_s = time.perf_counter() - started
        except InvalidSkeletonError as error:
            # That nobody is in front of a camera now and then must not end its stream.
            reply.problem = error.message
        except OverloadedError:
            queue.num_dropped += 1
            return None
        new = [(path, doubt) for path, doubt in doubts if doubt.kind not in asked.warned]
        asked.warned.update(doubt.kind for _, doubt in new)
        reply.warnings.extend(write_warnings(new))
        reply.num_dropped, queue.num_dropped = queue.num_dropped, 0
        if asked.counting is not None:
            reply.num_repetitions = asked.counting.num_repetitions
        reply.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        return reply

    async def _placed(
        self, window: Window, asked: "_Asked", caller: str
    ) -> tuple[Float32[np.ndarray, "frames bodies joints 3"], tuple[Doubt, ...]]:
        """The window's sequence in metres or, of an image, with trunks of one length; and doubts about that."""
        if asked.image is None:
            return window.sequence, ()
        return await self._turns.do(partial(asked.image.placed, window.sequence, asked.layout), caller=caller)

    async def _embed(
        self, sequence: Float32[np.ndarray, "frames bodies joints 3"], asked: "_Asked", caller: str
    ) -> Embedded:
        sequences = [("frames", sequence, asked.layout)]
        return await _when_there_is_room(asked, lambda: self._embedder.embed_arrays(sequences, caller=caller))

    async def _search(
        self, embedded: Embedded, asked: "_Asked", reply: stream_pb2.EmbedStreamResponse, caller: str
    ) -> list[tuple[str, Doubt]]:
        """Write what is near to a window into its reply; what may be wrong with the window and these items."""
        queries = Queries(embedded.vectors, [None], list(embedded.looks))
        found: list[list[Neighbour]] = []
        budget = ReplyBudget(self._embedder.limits, "ask for fewer neighbours")
        num_voters = asked.voting.num_neighbours if asked.voting else 0
        neighbours: list[Neighbour] = []
        if asked.search is not None:
            # Found again for each window, because it may have been dropped.
            gallery = await self._gallery(asked.search, "search.gallery", caller)
            most = max(asked.top_k, num_voters) if asked.classify is asked.search else asked.top_k
            neighbours = await self._nearest(asked, gallery, asked.search, queries, most, caller)
            found.append(neighbours)
            reply.neighbours.extend(budget.fit(write_neighbour(each)) for each in neighbours[: asked.top_k])
        if asked.classify is not None and asked.voting is not None:
            gallery = await self._gallery(asked.classify, "classify.gallery", caller)
            if asked.classify is not asked.search:
                neighbours = await self._nearest(asked, gallery, asked.classify, queries, num_voters, caller)
                found.append(neighbours)
            class_counts: Mapping[str, int] | None = None
            if asked.voting.balanced:
                class_counts = await self._count(asked, gallery, asked.classify, queries, caller)
            classification = classify(neighbours[:num_voters], asked.voting, class_counts)
            reply.classification.CopyFrom(write_classification(classification, budget.fit))
        return [
            ("frames", doubt)
            for each in found
            for _, doubt in queries.doubts([each], sees_travel=self._embedder.sees_travel)
        ]

    async def _nearest(
        self, asked: "_Asked", gallery: Gallery, scope: Scope, queries: Queries, top_k: int, caller: str
    ) -> list[Neighbour]:
        found: list[Neighbour] = []

        def search() -> Work:
            neighbours = partial(find_neighbours, gallery, top_k=top_k)
            (nearest,) = find_parted(queries, scope, neighbours, compares_dimensions=self._embedder.compares_dimensions)
            found.extend(nearest)
            yield

        with suppress(EmptyGalleryError):  # it may be filled while the stream goes on
            cost = cost_of(gallery, scope, 1, top_k)
            await _when_there_is_room(asked, lambda: self._in_turn(search(), cost, caller))
        return found

    async def _count(
        self, asked: "_Asked", gallery: Gallery, scope: Scope, queries: Queries, caller: str
    ) -> Mapping[str, int]:
        found: dict[str, int] = {}

        def count() -> Work:
            compares = self._embedder.compares_dimensions
            (counts,) = count_classes(gallery, queries, scope, compares_dimensions=compares)
            found.update(counts)
            yield

        cost = cost_of(gallery, scope, 1, 1)
        await _when_there_is_room(asked, lambda: self._in_turn(count(), cost, caller))
        return found

    async def _in_turn(self, work: Work, cost: int, caller: str) -> None:
        with self._searches.admit(cost):
            await self._searches.run(work, caller=caller)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the first message of a stream asks for."""

    layout: Layout
    conventions: Conventions
    image: Image | None  # of 2-D joints
    num_bodies: int
    fps: float
    cutter: WindowCutter
    search: Scope | None  # None = no neighbours
    classify: Scope | None  # `search` itself when both look at the same items, so that one search does for both
    top_k: int
    voting: Voting | None
    lossless: bool
    window_bytes: int
    counting: "_Counting | None"
    warned: set[str] = field(default_factory=set)  # kinds of warnings that the caller has got


class _Counting:
    """Counts repetitions over the windows of a stream, which may overlap, and some of which may be missing."""

    def __init__(self, counter: RepetitionCounter, fps: float) -> None:
        self._counter = counter
        self._fps = fps
        self._next_frame = 0

    @property
    def num_repetitions(self) -> int:
        return len(self._counter.repetitions)

    def adding(self, window: Window, sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout) -> Work:
        """Go on with the frames of a window that no window before had. Raises `InvalidSkeletonError`."""
        known = max(self._next_frame - window.first_frame, 0)
        self._next_frame = window.first_frame + len(sequence)
        angles = joint_angles(movement_of_clip(sequence, layout, self._fps))[known:]
        times_s = np.arange(self._next_frame - len(angles), self._next_frame) / self._fps
        yield from self._counter.adding(angles, times_s)


def _read_scopes(config: stream_pb2.StreamConfig) -> tuple[Scope | None, Scope | None]:
    search = read_scope(config.search, "search.") if config.HasField("search") else None
    if not config.HasField("classify"):
        return search, None
    # Compared as messages, where 1 and true are not equal.
    if search is not None and all(
        getattr(config.search, name) == getattr(config.classify, name) for name in ("gallery", "filter", "effort")
    ):
        return search, search
    return search, read_scope(config.classify, "classify.")


async def _when_there_is_room(asked: _Asked, work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives. When the server has no room for it, a lossless stream waits; others get `OverloadedError`."""
    while True:
        try:
            return await work()
        except OverloadedError as error:
            if not asked.lossless:
                raise
            await asyncio.sleep(error.retry_after_s)


async def _first(requests: AsyncIterator[stream_pb2.EmbedStreamRequest]) -> stream_pb2.StreamConfig:
    async for request in requests:
        if request.WhichOneof("payload") == "config":
            return request.config
        break
    raise InvalidRequestError("the first message of a stream must hold its config: layout, num_bodies, fps, windows.")


async def _read(
    requests: AsyncIterator[stream_pb2.EmbedStreamRequest],
    asked: _Asked,
    queue: WindowQueue,
    embedder: Embedder,
    room: Admission,
    do: Callable[[Callable[[], Any]], Awaitable[Any]],
) -> None:
    """Read frames and cut windows of them. What is long is left to `do`, so that other calls go on meanwhile."""
    try:
        async for request in requests:
            if request.WhichOneof("payload") != "frames":
                raise InvalidRequestError("every message of a stream but the first must hold frames.")
            with in_field("frames"):
                check_size(request.frames.num_frames, asked.num_bodies, embedder.limits)
            num_bytes = request.frames.num_frames * asked.num_bodies * asked.layout.num_joints * _BYTES_PER_JOINT
            # The message and its frames, which are kept until all windows of them have room in the queue.
            with room.admit(2 * num_bytes):
                is_long = num_bytes > _FEW_BYTES
                read = partial(_read_frames, request.frames, asked, embedder)
                with in_field("frames"):
                    frames = await do(read) if is_long else read()
                is_long |= asked.window_bytes > _FEW_BYTES and asked.cutter.completes(len(frames))
                cut = partial(next, asked.cutter.add(frames), None)
                while (window := await do(cut) if is_long else cut()) is not None:
                    await queue.put(window)
    except GfpError as error:
        queue.end(error)
    finally:
        queue.end()


def _read_frames(
    message: stream_pb2.Frames, asked: _Asked, embedder: Embedder
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    read = read_positions if asked.image is None else read_image_joints
    frames = read(message.positions, message.num_frames, asked.num_bodies, asked.layout)
    check_size(message.num_frames, asked.num_bodies, embedder.limits)
    if np.isinf(frames).any():
        raise InvalidSkeletonError("a coordinate is infinite; what was not seen is NaN.")
    return to_standard(frames, asked.conventions)
