"""GalleryService of the wire."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from google.protobuf.message import Message
from jaxtyping import Float32

from gfp_serve.classify import Weighting, vote
from gfp_serve.config import Limits
from gfp_serve.errors import InvalidRequestError
from gfp_serve.gallery import Gallery, Item, Neighbour
from gfp_serve.service.convert import (
    in_field,
    read_attributes,
    read_embedding,
    write_embedding,
    write_neighbour,
    write_struct,
)
from gfp_serve.service.embedder import Embedded, Embedder, write_timing
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc

DEFAULT_TOP_K = 5
DEFAULT_TEMPERATURE = 0.07

# What a reply needs beside its repeated part: the encoder's digest and the timing.
_ENVELOPE_BYTES = 256
# What a part of a message needs in the whole: its tag and its length.
_FRAME_BYTES = 6

M = TypeVar("M", bound=Message)

_WEIGHTINGS: dict[int, Weighting] = {
    gallery_pb2.WEIGHTING_UNSPECIFIED: "similarity",
    gallery_pb2.WEIGHTING_SIMILARITY: "similarity",
    gallery_pb2.WEIGHTING_UNIFORM: "uniform",
}


@dataclass(frozen=True, slots=True)
class Ballot:
    """How a ClassifyRequest lets neighbours vote."""

    num_neighbours: int
    weighting: Weighting
    temperature: float
    unknown_below: float | None


class GalleryServicer(gallery_pb2_grpc.GalleryServiceServicer):
    """Gallery calls run in threads, so that a search, an fsync or a large reply does not hold up other calls."""

    def __init__(self, embedder: Embedder, gallery: Gallery) -> None:
        self._embedder = embedder
        self._gallery = gallery

    async def Search(  # noqa: N802
        self, request: gallery_pb2.SearchRequest, _context: object
    ) -> gallery_pb2.SearchResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        top_k = top_k_of(request)
        reply = gallery_pb2.SearchResponse(encoder_digest=self._embedder.encoder_digest)

        def write(neighbours: list[Neighbour], room: Room) -> None:
            room.take(_FRAME_BYTES)
            result = reply.results.add()
            for neighbour in neighbours:
                result.neighbours.append(room.fit(write_neighbour(neighbour)))

        embedded, search_s = await self._nearest(request.queries, "top_k", top_k, write)
        reply.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        return reply

    async def Classify(  # noqa: N802
        self, request: gallery_pb2.ClassifyRequest, _context: object
    ) -> gallery_pb2.ClassifyResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        ballot = read_ballot(request)
        reply = gallery_pb2.ClassifyResponse(encoder_digest=self._embedder.encoder_digest)

        def write(neighbours: list[Neighbour], room: Room) -> None:
            room.take(_FRAME_BYTES)
            reply.results.append(write_classification(neighbours, ballot, room))

        embedded, search_s = await self._nearest(request.queries, "num_neighbours", ballot.num_neighbours, write)
        reply.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        return reply

    async def Upsert(  # noqa: N802
        self, request: gallery_pb2.UpsertRequest, _context: object
    ) -> gallery_pb2.UpsertResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        self._embedder.check_count("items", len(request.items))
        for number, message in enumerate(request.items):
            with in_field(f"items[{number}]"):
                _check_size(message, self._embedder.limits)
        vectors, embedded = await self._vectors_of("items", request.items)
        items = []
        for number, (message, vector) in enumerate(zip(request.items, vectors, strict=True)):
            with in_field(f"items[{number}]"):
                items.append(Item(message.id, vector, message.label, read_attributes(message.attributes)))
        search_ns = time.perf_counter_ns()
        generation = await asyncio.to_thread(self._gallery.upsert, items)
        return gallery_pb2.UpsertResponse(
            generation=generation,
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, embedded, (time.perf_counter_ns() - search_ns) / 1e9),
        )

    async def Delete(  # noqa: N802
        self, request: gallery_pb2.DeleteRequest, _context: object
    ) -> gallery_pb2.DeleteResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        self._embedder.check_count("ids", len(request.ids))
        num_deleted = await asyncio.to_thread(self._gallery.delete, list(request.ids))
        return gallery_pb2.DeleteResponse(
            num_deleted=num_deleted,
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, search_s=(time.perf_counter_ns() - started_ns) / 1e9),
        )

    async def Get(self, request: gallery_pb2.GetRequest, _context: object) -> gallery_pb2.GetResponse:  # noqa: N802
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        self._embedder.check_count("ids", len(request.ids))
        reply = gallery_pb2.GetResponse(encoder_digest=self._embedder.encoder_digest)

        def read() -> None:
            room = Room(self._embedder.limits, "ask for fewer ids")
            for item in self._gallery.get(list(request.ids)):
                message = gallery_pb2.Item(
                    id=item.id,
                    embedding=write_embedding(item.vector) if request.with_embeddings else None,
                    label=item.label,
                    attributes=write_struct(item.attributes),
                )
                with in_field("ids"):
                    reply.items.append(room.fit(message))

        await asyncio.to_thread(read)
        reply.timing.CopyFrom(write_timing(started_ns, search_s=(time.perf_counter_ns() - started_ns) / 1e9))
        return reply

    async def _nearest(
        self,
        queries: Sequence[gallery_pb2.Query],
        field: str,
        top_k: int,
        write: Callable[[list[Neighbour], "Room"], None],
    ) -> tuple[Embedded, float]:
        """Give `write` the neighbours of each query, nearest first; return what it took.

        `field` is `top_k`'s name on the wire. `write` runs in the search's thread.
        """
        self._embedder.check_count("queries", len(queries))
        check_top_k(field, top_k, self._embedder.limits)
        vectors, embedded = await self._vectors_of("queries", queries)
        started = time.perf_counter()
        # A stored item is its own nearest neighbour, which nobody asks for: one more is fetched and it is left out.
        one_more = any(_kind(query) == "id" for query in queries)

        def find() -> None:
            room = Room(self._embedder.limits, f"lower {field} or send fewer queries")
            found = self._gallery.search(vectors, top_k=top_k + one_more)
            for query, neighbours in zip(queries, found, strict=True):
                own_id = query.id if _kind(query) == "id" else None
                with in_field(field):
                    write([neighbour for neighbour in neighbours if neighbour.id != own_id][:top_k], room)

        await asyncio.to_thread(find)
        return embedded, time.perf_counter() - started

    async def _vectors_of(
        self, field: str, messages: Sequence[gallery_pb2.Query | gallery_pb2.Item]
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
                stored = await asyncio.to_thread(self._gallery.get, [messages[number].id for number in ids])
            vectors[ids] = [item.vector for item in stored]
        embedded = await self._embedder.embed([(path, sequence) for _, path, sequence in sequences])
        vectors[[number for number, _, _ in sequences]] = embedded.vectors
        return vectors, embedded


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
    )


def write_classification(neighbours: Sequence[Neighbour], ballot: Ballot, room: "Room") -> gallery_pb2.Classification:
    """The vote of those that have a label. Raises `InvalidRequestError` when the reply has no room for it."""
    voters = [neighbour for neighbour in neighbours if neighbour.label]
    decision = vote(
        [voter.label for voter in voters],
        [voter.similarity for voter in voters],
        weighting=ballot.weighting,
        temperature=ballot.temperature,
        unknown_below=ballot.unknown_below,
    )
    result = room.fit(gallery_pb2.Classification(label=decision.label or "", unknown=decision.label is None))
    for each in decision.scores:
        result.scores.append(room.fit(gallery_pb2.ClassScore(label=each.label, score=each.score)))
    for voter in voters:
        result.neighbours.append(room.fit(write_neighbour(voter)))
    return result


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
    num_bytes = len(item.id.encode()) + len(item.label.encode()) + item.attributes.ByteSize()
    if num_bytes > limits.max_item_bytes:
        raise InvalidRequestError(
            f"the id, label and attributes of item {item.id[:40]!r} have {num_bytes} bytes; this server keeps at most "
            f"{limits.max_item_bytes} an item. Keep large facts elsewhere, or raise --max-item-bytes of the server."
        )


def _kind(message: gallery_pb2.Query | gallery_pb2.Item) -> str | None:
    # An item's id is its name; only a query's is one of the alternatives.
    return message.WhichOneof("by" if isinstance(message, gallery_pb2.Query) else "content")


_ALTERNATIVES = {
    "queries": "set one of sequence, embedding and id",
    "items": "set one of sequence and embedding",
}
