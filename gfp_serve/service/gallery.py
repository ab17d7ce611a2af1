"""GalleryService of the wire."""

import asyncio
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from google.protobuf.message import Message
from jaxtyping import Float32

from gfp_serve.classify import Weighting, vote
from gfp_serve.config import Limits
from gfp_serve.errors import ClosedError, GalleryNotFoundError, InvalidRequestError
from gfp_serve.filters import Filter
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import (
    DEFAULT_GALLERY,
    Effort,
    Item,
    Neighbour,
)
from gfp_serve.moments import Moment, are_settled, merge
from gfp_serve.service.embedder import Embedded, Embedder, write_timing
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.convert import (
    in_field,
    read_attributes,
    read_effort,
    read_embedding,
    read_filter,
    read_index_kind,
    read_source,
    write_description,
    write_embedding,
    write_moment,
    write_neighbour,
    write_source,
    write_struct,
)

DEFAULT_TOP_K = 5
DEFAULT_TEMPERATURE = 0.07

# A gallery makes durable together what waits together, and a write that waits is a thread that does.
MAX_WRITES = 64

# Items that are checked in less time than it takes to hand them to a thread and back.
_FEW_ITEMS = 8

# What a reply needs beside its repeated part: the encoder's digest and the timing.
_ENVELOPE_BYTES = 256
# What a part of a message needs in the whole: its tag and its length.
_FRAME_BYTES = 6

M = TypeVar("M", bound=Message)
T = TypeVar("T")

_WEIGHTINGS: dict[int, Weighting] = {
    gallery_pb2.WEIGHTING_UNSPECIFIED: "similarity",
    gallery_pb2.WEIGHTING_SIMILARITY: "similarity",
    gallery_pb2.WEIGHTING_UNIFORM: "uniform",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a request looks: in which gallery, at which of its items, and how hard."""

    gallery: str
    where: Filter | None
    effort: Effort


@dataclass(frozen=True, slots=True)
class Ballot:
    """How a ClassifyRequest lets neighbours vote."""

    num_neighbours: int
    weighting: Weighting
    temperature: float
    unknown_below: float | None
    balanced: bool


class GalleryServicer(gallery_pb2_grpc.GalleryServiceServicer):
    """Gallery calls run in threads, so that a search, an fsync or a large reply does not hold up other calls.

    Writes have threads of their own, until `close`.
    """

    def __init__(self, embedder: Embedder, galleries: Galleries) -> None:
        self._embedder = embedder
        self._galleries = galleries
        self._writers = ThreadPoolExecutor(MAX_WRITES, thread_name_prefix="gallery-write")

    def close(self) -> None:
        """Wait for the writes that have begun, even if their callers have left."""
        self._writers.shutdown()

    async def Search(self, request: gallery_pb2.SearchRequest, _context: object) -> gallery_pb2.SearchResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        top_k = top_k_of(request)
        scope = read_scope(request)
        gallery = find_gallery(self._galleries, scope.gallery)
        reply = gallery_pb2.SearchResponse(encoder_digest=self._embedder.encoder_digest)

        def write(neighbours: list[Neighbour], room: Room) -> None:
            room.take(_FRAME_BYTES)
            result = reply.results.add()
            for neighbour in neighbours:
                result.neighbours.append(room.fit(write_neighbour(neighbour)))

        def write_moments(moments: list[Moment], room: Room) -> None:
            room.take(_FRAME_BYTES)
            result = reply.results.add()
            for moment in moments:
                result.moments.append(room.fit(write_moment(moment)))

        if request.merge_windows:
            look = functools.partial(_moments, most=self._embedder.limits.max_top_k)
            nearest = self._nearest(gallery, scope, request.queries, "top_k", top_k, write_moments, look)
        else:
            nearest = self._nearest(gallery, scope, request.queries, "top_k", top_k, write, _neighbours)
        embedded, search_s = await nearest
        reply.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        return reply

    async def Classify(self, request: gallery_pb2.ClassifyRequest, _context: object) -> gallery_pb2.ClassifyResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        ballot = read_ballot(request)
        scope = read_scope(request)
        gallery = find_gallery(self._galleries, scope.gallery)
        reply = gallery_pb2.ClassifyResponse(encoder_digest=self._embedder.encoder_digest)

        @functools.cache  # once a request, right after the search
        def class_counts() -> Mapping[str, int] | None:
            return gallery.label_counts(scope.where) if ballot.balanced else None

        def write(neighbours: list[Neighbour], room: Room) -> None:
            room.take(_FRAME_BYTES)
            reply.results.append(write_classification(neighbours, ballot, class_counts(), room))

        embedded, search_s = await self._nearest(
            gallery, scope, request.queries, "num_neighbours", ballot.num_neighbours, write, _neighbours
        )
        reply.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        return reply

    async def Upsert(self, request: gallery_pb2.UpsertRequest, _context: object) -> gallery_pb2.UpsertResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        gallery = find_gallery(self._galleries, request.gallery)
        self._embedder.check_count("items", len(request.items))
        for number, message in enumerate(request.items):
            with in_field(f"items[{number}]"):
                _check_size(message, self._embedder.limits)
        vectors, embedded = await self._vectors_of(gallery, "items", request.items)
        items = []
        for number, (message, vector) in enumerate(zip(request.items, vectors, strict=True)):
            with in_field(f"items[{number}]"):
                source = read_source(message.source) if message.HasField("source") else None
                items.append(Item(message.id, vector, message.label, read_attributes(message.attributes), source))
        search_ns = time.perf_counter_ns()
        if isinstance(gallery, FaissGallery) and len(items) <= _FEW_ITEMS:
            generation = await asyncio.wrap_future(gallery.upsert_soon(items))
        else:
            generation = await self._write(lambda: gallery.upsert(items))
        return gallery_pb2.UpsertResponse(
            generation=generation,
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, embedded, (time.perf_counter_ns() - search_ns) / 1e9),
        )

    async def Delete(self, request: gallery_pb2.DeleteRequest, _context: object) -> gallery_pb2.DeleteResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        self._embedder.check_count("ids", len(request.ids))
        gallery = find_gallery(self._galleries, request.gallery)
        num_deleted = await self._write(lambda: gallery.delete(list(request.ids)))
        return gallery_pb2.DeleteResponse(
            num_deleted=num_deleted,
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, search_s=(time.perf_counter_ns() - started_ns) / 1e9),
        )

    async def Get(self, request: gallery_pb2.GetRequest, _context: object) -> gallery_pb2.GetResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        self._embedder.check_count("ids", len(request.ids))
        gallery = find_gallery(self._galleries, request.gallery)
        reply = gallery_pb2.GetResponse(encoder_digest=self._embedder.encoder_digest)

        def read() -> None:
            room = Room(self._embedder.limits, "ask for fewer ids")
            for item in gallery.get(list(request.ids)):
                message = gallery_pb2.Item(
                    id=item.id,
                    embedding=write_embedding(item.vector) if request.with_embeddings else None,
                    label=item.label,
                    attributes=write_struct(item.attributes),
                    source=write_source(item.source) if item.source else None,
                )
                with in_field("ids"):
                    reply.items.append(room.fit(message))

        await asyncio.to_thread(read)
        reply.timing.CopyFrom(write_timing(started_ns, search_s=(time.perf_counter_ns() - started_ns) / 1e9))
        return reply

    async def CreateGallery(
        self, request: gallery_pb2.CreateGalleryRequest, _context: object
    ) -> gallery_pb2.CreateGalleryResponse:
        self._embedder.expect(request.expected_encoder_digest)
        if request.metric not in (gallery_pb2.METRIC_UNSPECIFIED, gallery_pb2.METRIC_COSINE):
            with in_field("metric"):
                raise InvalidRequestError(f"{request.metric} is no Metric; galleries compare by METRIC_COSINE.")
        with in_field("index_kind"):
            index_kind = read_index_kind(request.index_kind)
        with in_field("gallery"):
            description = await self._write(
                lambda: self._galleries.create(request.gallery, index_kind=index_kind).describe()
            )
        return gallery_pb2.CreateGalleryResponse(description=write_description(request.gallery, description))

    async def DescribeGallery(
        self, request: gallery_pb2.DescribeGalleryRequest, _context: object
    ) -> gallery_pb2.DescribeGalleryResponse:
        gallery = find_gallery(self._galleries, request.gallery)
        description = await asyncio.to_thread(gallery.describe)
        return gallery_pb2.DescribeGalleryResponse(
            description=write_description(request.gallery or DEFAULT_GALLERY, description)
        )

    async def ListGalleries(
        self, _request: gallery_pb2.ListGalleriesRequest, _context: object
    ) -> gallery_pb2.ListGalleriesResponse:
        reply = gallery_pb2.ListGalleriesResponse()

        def read() -> None:
            room = Room(self._embedder.limits, "drop some, or raise --max-message-bytes of the server")
            for name, digest in self._galleries.encoder_digests().items():
                if digest != self._embedder.encoder_digest:
                    reply.galleries.append(room.fit(gallery_pb2.GalleryDescription(name=name, encoder_digest=digest)))
                    continue
                with suppress(GalleryNotFoundError, ClosedError):  # dropped a moment ago
                    description = self._galleries[name].describe()
                    reply.galleries.append(room.fit(write_description(name, description)))

        await asyncio.to_thread(read)
        return reply

    async def DropGallery(
        self, request: gallery_pb2.DropGalleryRequest, _context: object
    ) -> gallery_pb2.DropGalleryResponse:
        self._embedder.expect(request.expected_encoder_digest)
        with in_field("gallery"):
            num_items = await self._write(lambda: self._galleries.drop(request.gallery))
        return gallery_pb2.DropGalleryResponse(num_items=num_items)

    async def _write(self, write: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writers, write)

    async def _nearest(
        self,
        gallery: Gallery,
        scope: Scope,
        queries: Sequence[gallery_pb2.Query],
        field: str,
        top_k: int,
        write: Callable[[list[T], "Room"], None],
        look: "Callable[[Gallery, Scope, _Asked, int], list[list[T]]]",
    ) -> tuple[Embedded, float]:
        """Give `write` what `look` finds for each query, nearest first; return what it took.

        `field` is `top_k`'s name on the wire. `look` and `write` run in a thread.
        """
        self._embedder.check_count("queries", len(queries))
        check_top_k(field, top_k, self._embedder.limits)
        vectors, embedded = await self._vectors_of(gallery, "queries", queries)
        started = time.perf_counter()
        asked = _Asked(vectors, [query.id if _kind(query) == "id" else None for query in queries])

        def find() -> None:
            room = Room(self._embedder.limits, f"lower {field} or send fewer queries")
            for found in look(gallery, scope, asked, top_k):
                with in_field(field):
                    write(found, room)

        await asyncio.to_thread(find)
        return embedded, time.perf_counter() - started

    async def _vectors_of(
        self, gallery: Gallery, field: str, messages: Sequence[gallery_pb2.Query | gallery_pb2.Item]
    ) -> tuple[Float32[np.ndarray, "messages embedding_size"], Embedded]:
        """The vector that each query or item gives, embeds, or names."""
        vectors = np.empty((len(messages), self._embedder.embedding_size), dtype=np.float32)
        sequences, ids = [], []
        for number, message in enumerate(messages):
            path = f"{field}[{number}]"
            kind = _kind(message)
            with in_field(path):
                if kind == "sequence":
                    sequences.append((number, f"{path}.sequence", message.sequence))
                elif kind == "embedding":
                    vectors[number] = read_embedding(message.embedding, self._embedder.embedding_size)
                elif kind == "id":
                    ids.append(number)
                else:
                    raise InvalidRequestError(f"it holds nothing to go by; {_ALTERNATIVES[field]}.")
        if ids:
            with in_field(field):
                stored = await asyncio.to_thread(gallery.get, [messages[number].id for number in ids])
            vectors[ids] = [item.vector for item in stored]
        embedded = await self._embedder.embed([(path, sequence) for _, path, sequence in sequences])
        vectors[[number for number, _, _ in sequences]] = embedded.vectors
        return vectors, embedded


def find_gallery(galleries: Galleries, name: str, path: str = "gallery") -> Gallery:
    """The gallery that the request's field `path` names. Raises what `Galleries` does, with that field."""
    with in_field(path):
        return galleries[name]


def read_scope(request: gallery_pb2.SearchRequest | gallery_pb2.ClassifyRequest, prefix: str = "") -> Scope:
    """Raises `InvalidRequestError` that names the field, after `prefix`, of what cannot be looked for."""
    return Scope(
        request.gallery,
        read_filter(request.filter, f"{prefix}filter"),
        read_effort(request.effort, f"{prefix}effort"),
    )


def top_k_of(request: gallery_pb2.SearchRequest) -> int:
    """How many neighbours it asks for; see `check_top_k`."""
    return request.top_k if request.HasField("top_k") else DEFAULT_TOP_K


def check_top_k(field: str, top_k: int, limits: Limits) -> None:
    """Raise `InvalidRequestError` for a number of neighbours that the server does not give."""
    if not 1 <= top_k <= limits.max_top_k:
        with in_field(field):
            raise InvalidRequestError(f"it is {top_k}; this server gives 1 to {limits.max_top_k} neighbours.")


def read_ballot(request: gallery_pb2.ClassifyRequest) -> Ballot:
    """Raises `InvalidRequestError` for values out of range; `check_top_k` is the caller's to ask."""
    temperature = request.temperature if request.HasField("temperature") else DEFAULT_TEMPERATURE
    unknown_below = request.unknown_below if request.HasField("unknown_below") else None
    if not 0 < temperature < math.inf:
        with in_field("temperature"):
            raise InvalidRequestError(f"it is {temperature:g}; it must be above 0 and finite. 0.07 is usual.")
    if unknown_below is not None and not -1 <= unknown_below <= 1:
        with in_field("unknown_below"):
            raise InvalidRequestError(f"it is {unknown_below:g}; a similarity lies between -1 and 1.")
    if request.weighting not in _WEIGHTINGS:
        with in_field("weighting"):
            raise InvalidRequestError(f"{request.weighting} is no Weighting; choose one that gallery.proto lists.")
    return Ballot(
        request.num_neighbours if request.HasField("num_neighbours") else DEFAULT_TOP_K,
        _WEIGHTINGS[request.weighting],
        temperature,
        unknown_below,
        request.balanced,
    )


def write_classification(
    neighbours: Sequence[Neighbour], ballot: Ballot, class_counts: Mapping[str, int] | None, room: "Room"
) -> gallery_pb2.Classification:
    """The vote of those that have a label; with the gallery's `class_counts` it is balanced.

    Raises `InvalidRequestError` when the reply has no room for it.
    """
    voters = [neighbour for neighbour in neighbours if neighbour.label]
    decision = vote(
        [voter.label for voter in voters],
        [voter.similarity for voter in voters],
        weighting=ballot.weighting,
        temperature=ballot.temperature,
        unknown_below=ballot.unknown_below,
        class_counts=class_counts,
    )
    result = room.fit(gallery_pb2.Classification(label=decision.label or "", unknown=decision.label is None))
    for each in decision.scores:
        result.scores.append(room.fit(gallery_pb2.ClassScore(label=each.label, score=each.score)))
    for voter in voters:
        result.neighbours.append(room.fit(write_neighbour(voter)))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is looked for. A stored item would be its own nearest neighbour, which nobody asks for."""

    vectors: Float32[np.ndarray, "queries embedding_size"]
    own_ids: Sequence[str | None]  # of each query the item that it names


def _neighbours(gallery: Gallery, scope: Scope, asked: _Asked, top_k: int) -> list[list[Neighbour]]:
    one_more = any(asked.own_ids)
    found = gallery.search(asked.vectors, top_k=top_k + one_more, where=scope.where, effort=scope.effort)
    return [
        [neighbour for neighbour in neighbours if neighbour.id != own_id][:top_k]
        for own_id, neighbours in zip(asked.own_ids, found, strict=True)
    ]


def _moments(gallery: Gallery, scope: Scope, asked: _Asked, top_k: int, *, most: int) -> list[list[Moment]]:
    """The moments of each query but that of the item which it names, from as few neighbours as it takes.

    Fewer than `top_k` when the gallery, or the `most` nearest items, hold no more.
    """
    one_more = any(asked.own_ids)
    most += one_more
    moments: list[list[Moment]] = [[] for _ in asked.own_ids]
    rows, num_looked_at = list(range(len(moments))), 0
    while rows and num_looked_at < most:
        # Windows overlap, and those of a recording in which little happens are all alike: a guess, and then more.
        num_looked_at = min(most, 4 * num_looked_at or 16 * top_k)
        found = gallery.search(asked.vectors[rows], top_k=num_looked_at, where=scope.where, effort=scope.effort)
        unsettled = []
        for row, neighbours in zip(rows, found, strict=True):
            moments[row] = merge(neighbours, top_k + one_more)
            if len(neighbours) == num_looked_at and not are_settled(moments[row], neighbours, top_k + one_more):
                unsettled.append(row)
        rows = unsettled
    return [
        [moment for moment in each if own_id not in moment.ids][:top_k]
        for own_id, each in zip(asked.own_ids, moments, strict=True)
    ]


class Room:
    """What is left of the largest reply. Counted while it is built: one that is too large must not exist first."""

    def __init__(self, limits: Limits, remedy: str) -> None:
        self._most = limits.max_message_bytes
        self._left = limits.max_message_bytes - _ENVELOPE_BYTES
        self._remedy = remedy

    def fit(self, message: M) -> M:
        """The same message, counted. Raises `InvalidRequestError` when the reply has no room for it."""
        self.take(message.ByteSize() + _FRAME_BYTES)
        return message

    def take(self, num_bytes: int) -> None:
        self._left -= num_bytes
        if self._left < 0:
            raise InvalidRequestError(
                f"the reply would be larger than the {self._most} bytes that this server sends at once; {self._remedy}."
            )


def _check_size(item: gallery_pb2.Item, limits: Limits) -> None:
    num_bytes = len(item.id.encode()) + len(item.label.encode()) + item.attributes.ByteSize() + item.source.ByteSize()
    if num_bytes > limits.max_item_bytes:
        raise InvalidRequestError(
            f"the id, label, attributes and source of item {item.id[:40]!r} have {num_bytes} bytes; this server keeps "
            f"at most {limits.max_item_bytes} an item. Keep large facts elsewhere, or raise --max-item-bytes of the "
            f"server."
        )


def _kind(message: gallery_pb2.Query | gallery_pb2.Item) -> str | None:
    # An item's id is its name; only a query's is one of the alternatives.
    return message.WhichOneof("by" if isinstance(message, gallery_pb2.Query) else "content")


_ALTERNATIVES = {
    "queries": "set one of sequence, embedding and id",
    "items": "set one of sequence and embedding",
}
