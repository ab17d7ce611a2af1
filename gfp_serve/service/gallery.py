"""GalleryService of the wire."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from gfp_serve.batching.turns import Turns, Work
from gfp_serve.config import Limits
from gfp_serve.doubts import Doubt, Look, look_of_item, marked
from gfp_serve.errors import (
    ClosedError,
    GalleryError,
    GalleryNotFoundError,
    InvalidRequestError,
    NotWritableError,
    in_field,
    quoted,
)
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import DEFAULT_GALLERY, Description, Item, Neighbour
from gfp_serve.moments import Moment
from gfp_serve.service.access import caller_of
from gfp_serve.service.embedder import Embedded, Embedder, write_timing
from gfp_serve.service.finding import (
    Queries,
    ask_gallery,
    classify,
    cost_of,
    count_classes,
    find_moments,
    find_neighbours,
    find_parted,
)
from gfp_serve.service.motion_keeping import MotionKeeping
from gfp_serve.service.reply_budget import PART_BYTES, ReplyBudget, ReplyParts
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.arrays import read_embedding
from gfp_serve.wire.galleries import read_index_kind, write_description
from gfp_serve.wire.items import read_item, write_item, write_moment, write_neighbour
from gfp_serve.wire.searches import Scope, check_top_k, read_scope, read_top_k, read_voting, write_classification
from gfp_serve.wire.status import is_answerable
from gfp_serve.wire.warnings import write_warnings

# Writes that wait together become durable together, and each that waits takes a thread.
MAX_WRITES = 64

# To read and send a motion takes as long as to find this many neighbours.
_NEIGHBOURS_OF_A_MOTION = 50

# This many items are checked in less time than it takes to hand them to a thread and back.
_FEW_ITEMS = 8

T = TypeVar("T")


class GalleryServicer(gallery_pb2_grpc.GalleryServiceServicer):
    """Gallery calls run in threads, so that a search, an fsync or a large reply does not hold up other calls.

    Searches, classifications and readings take turns in `searches`, and what else is long in `turns`. Writes have
    threads of their own, until `close`.
    """

    def __init__(
        self,
        embedder: Embedder,
        galleries: Galleries,
        turns: Turns,
        searches: Turns,
        motion_keeping: MotionKeeping,
    ) -> None:
        self._embedder = embedder
        self._galleries = galleries
        self._turns = turns
        self._searches = searches
        self._motion_keeping = motion_keeping
        self._writers = ThreadPoolExecutor(MAX_WRITES, thread_name_prefix="gallery-write")

    def close(self) -> None:
        """Wait for the writes that have begun, even if their callers have left."""
        self._writers.shutdown()

    async def Search(self, request: gallery_pb2.SearchRequest, context: object) -> bytes:
        started_ns = time.perf_counter_ns()
        limits = self._embedder.limits
        self._embedder.check_encoder(request.expected_encoder_digest)
        top_k, scope = read_top_k(request), read_scope(request)
        gallery = await self._gallery(scope.gallery, context)
        self._check_queries(request.queries, "top_k", top_k)
        reply, budget = ReplyParts(), ReplyBudget(limits, "lower top_k or send fewer queries")
        merges = request.merge_windows
        find: Callable[[Scope, Queries], Iterable[list[Moment] | list[Neighbour]]] = (
            partial(find_moments, gallery, top_k=top_k, max_neighbours=limits.max_top_k)
            if merges
            else partial(find_neighbours, gallery, top_k=top_k)
        )

        def search(queries: Queries, doubts: list[tuple[str, Doubt]]) -> Work:
            row = 0
            for block in queries.blocks(gallery, scope, for_moments=merges):
                for found in find_parted(block, scope, find, compares_dimensions=self._embedder.compares_dimensions):
                    doubts.extend(queries.doubts_about(row, found, sees_travel=self._embedder.sees_travel))
                    with in_field("top_k"):
                        budget.spend(PART_BYTES)
                        result = gallery_pb2.SearchResult()
                        for each in found:
                            if isinstance(each, Moment):
                                result.moments.append(budget.fit(write_moment(each)))
                            else:
                                result.neighbours.append(budget.fit(write_neighbour(each)))
                    reply.add(gallery_pb2.SearchResponse(results=[result]))
                    row += 1
                    yield

        wanted = limits.max_top_k if merges else top_k
        caller = caller_of(context)
        # Before anything is read or embedded, so that a request that will be refused costs nothing.
        with self._searches.admit(cost_of(gallery, scope, len(request.queries), wanted)):
            queries, embedded = await self._read_queries(gallery, request.queries, caller)
            doubts = embedded.doubts
            search_s = await self._searches.run(search(queries, doubts), caller=caller)
        end = gallery_pb2.SearchResponse(encoder_digest=self._embedder.encoder_digest, warnings=write_warnings(doubts))
        end.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        reply.add(end)
        return reply.joined()

    async def Classify(self, request: gallery_pb2.ClassifyRequest, context: object) -> bytes:
        started_ns = time.perf_counter_ns()
        self._embedder.check_encoder(request.expected_encoder_digest)
        voting, scope = read_voting(request), read_scope(request)
        gallery = await self._gallery(scope.gallery, context)
        num_voters = voting.num_neighbours
        self._check_queries(request.queries, "num_neighbours", num_voters)
        reply, budget = ReplyParts(), ReplyBudget(self._embedder.limits, "lower num_neighbours or send fewer queries")
        compares = self._embedder.compares_dimensions
        find = partial(find_neighbours, gallery, top_k=num_voters)

        def search(queries: Queries, doubts: list[tuple[str, Doubt]]) -> Work:
            row = 0
            for block in queries.blocks(gallery, scope):
                counts: Sequence[Mapping[str, int]] = ()
                for place, neighbours in enumerate(find_parted(block, scope, find, compares_dimensions=compares)):
                    # After the search, so that the classes of what it found are counted as far as possible.
                    if voting.balanced and not counts:
                        counts = count_classes(gallery, block, scope, compares_dimensions=compares)
                    doubts.extend(queries.doubts_about(row, neighbours, sees_travel=self._embedder.sees_travel))
                    with in_field("num_neighbours"):
                        budget.spend(PART_BYTES)
                        classification = classify(neighbours, voting, counts[place] if counts else None)
                        result = write_classification(classification, budget.fit)
                    reply.add(gallery_pb2.ClassifyResponse(results=[result]))
                    row += 1
                    yield

        caller = caller_of(context)
        with self._searches.admit(cost_of(gallery, scope, len(request.queries), num_voters)):
            queries, embedded = await self._read_queries(gallery, request.queries, caller)
            doubts = embedded.doubts
            search_s = await self._searches.run(search(queries, doubts), caller=caller)
        end = gallery_pb2.ClassifyResponse(
            encoder_digest=self._embedder.encoder_digest, warnings=write_warnings(doubts)
        )
        end.timing.CopyFrom(write_timing(started_ns, embedded, search_s))
        reply.add(end)
        return reply.joined()

    async def Upsert(self, request: gallery_pb2.UpsertRequest, context: object) -> gallery_pb2.UpsertResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.check_encoder(request.expected_encoder_digest)
        gallery = await self._gallery(request.gallery, context)
        self._embedder.check_count("items", len(request.items))

        def check() -> Work:
            for number, message in enumerate(request.items):
                with in_field(f"items[{number}]"):
                    _check_item(message, self._embedder.limits)
                yield

        caller = caller_of(context)
        await self._turns.run(check(), caller=caller)
        keeps_motions = self._motion_keeping.keeps(gallery)
        vectors, looks, embedded = await self._vectors_of(
            gallery, "items", request.items, caller, with_motions=keeps_motions
        )
        items: list[Item] = []

        def read() -> Work:
            made = iter(embedded.motions)
            for number, (message, vector, look) in enumerate(zip(request.items, vectors, looks, strict=True)):
                with in_field(f"items[{number}]"):
                    item = read_item(message, vector)
                if look is not None:
                    item = replace(item, attributes=marked(item.attributes, look), motion=next(made, None))
                elif not keeps_motions:
                    item = replace(item, motion=None)
                if item.motion is not None:
                    _ = item.motion.packed  # here, because it takes a millisecond
                items.append(item)
                yield

        await self._turns.run(read(), caller=caller)
        write_ns = time.perf_counter_ns()
        if isinstance(gallery, FaissGallery) and len(items) <= _FEW_ITEMS:
            generation = await asyncio.wrap_future(gallery.upsert_soon(items))
        else:
            generation = await self._write(lambda: gallery.upsert(items))
        return gallery_pb2.UpsertResponse(
            generation=generation,
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, embedded, (time.perf_counter_ns() - write_ns) / 1e9),
            warnings=write_warnings(embedded.doubts),
        )

    async def Delete(self, request: gallery_pb2.DeleteRequest, context: object) -> gallery_pb2.DeleteResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.check_encoder(request.expected_encoder_digest)
        self._embedder.check_count("ids", len(request.ids))
        gallery = await self._gallery(request.gallery, context)
        num_deleted = await self._write(lambda: gallery.delete(list(request.ids)))
        return gallery_pb2.DeleteResponse(
            num_deleted=num_deleted,
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, search_s=(time.perf_counter_ns() - started_ns) / 1e9),
        )

    async def Get(self, request: gallery_pb2.GetRequest, context: object) -> bytes:
        started_ns = time.perf_counter_ns()
        self._embedder.check_encoder(request.expected_encoder_digest)
        self._embedder.check_count("ids", len(request.ids))
        gallery = await self._gallery(request.gallery, context)
        reply, budget = ReplyParts(), ReplyBudget(self._embedder.limits, "ask for fewer ids")

        def read() -> Work:
            get = gallery.get_with_motions if request.with_motions else gallery.get
            for item in get(list(request.ids)):
                vector = item.vector if request.with_embeddings else None
                message = write_item(item.id, item.label, item.attributes, item.source, vector, item.motion)
                with in_field("ids"):
                    budget.fit(message)
                reply.add(gallery_pb2.GetResponse(items=[message]))
                yield

        with self._searches.admit(len(request.ids) * (_NEIGHBOURS_OF_A_MOTION if request.with_motions else 1)):
            search_s = await self._searches.run(read(), caller=caller_of(context))
        end = gallery_pb2.GetResponse(encoder_digest=self._embedder.encoder_digest)
        end.timing.CopyFrom(write_timing(started_ns, search_s=search_s))
        reply.add(end)
        return reply.joined()

    async def CreateGallery(
        self, request: gallery_pb2.CreateGalleryRequest, _context: object
    ) -> gallery_pb2.CreateGalleryResponse:
        self._embedder.check_encoder(request.expected_encoder_digest)
        if request.metric not in (gallery_pb2.METRIC_UNSPECIFIED, gallery_pb2.METRIC_COSINE):
            with in_field("metric"):
                raise InvalidRequestError(f"{request.metric} is not a Metric; galleries compare by METRIC_COSINE.")
        with in_field("index_kind"):
            index_kind = read_index_kind(request.index_kind)

        def create() -> Description:
            try:
                return self._galleries.create(request.gallery, index_kind=index_kind).describe()
            except GalleryError as error:
                if is_answerable(error):
                    raise
                # The disk is full, for example, or the folder of that name has something else in it.
                raise NotWritableError(
                    f"the gallery {quoted(request.gallery)} cannot be made: {error.message}"
                ) from error

        with in_field("gallery"):
            description = await self._write(create)
        return gallery_pb2.CreateGalleryResponse(description=write_description(request.gallery, description))

    async def DescribeGallery(
        self, request: gallery_pb2.DescribeGalleryRequest, context: object
    ) -> gallery_pb2.DescribeGalleryResponse:
        gallery = await self._gallery(request.gallery, context)
        description = await self._searches.do(gallery.describe, caller=caller_of(context))
        return gallery_pb2.DescribeGalleryResponse(
            description=write_description(request.gallery or DEFAULT_GALLERY, description)
        )

    async def ListGalleries(
        self, _request: gallery_pb2.ListGalleriesRequest, context: object
    ) -> gallery_pb2.ListGalleriesResponse:
        reply = gallery_pb2.ListGalleriesResponse()

        def read() -> None:
            budget = ReplyBudget(self._embedder.limits, "drop some, or raise --max-message-bytes of the server")
            for name, digest in self._galleries.encoder_digests().items():
                if digest != self._embedder.encoder_digest:
                    of_another = gallery_pb2.GalleryDescription(name=name, encoder_digest=digest)
                    reply.galleries.append(budget.fit(of_another))
                    continue
                with suppress(GalleryNotFoundError, ClosedError):  # dropped a moment ago
                    description = self._galleries[name].describe()
                    reply.galleries.append(budget.fit(write_description(name, description)))

        await self._searches.do(read, caller=caller_of(context))
        return reply

    async def DropGallery(
        self, request: gallery_pb2.DropGalleryRequest, _context: object
    ) -> gallery_pb2.DropGalleryResponse:
        self._embedder.check_encoder(request.expected_encoder_digest)
        with in_field("gallery"):
            num_items = await self._write(lambda: self._galleries.drop(request.gallery))
        return gallery_pb2.DropGalleryResponse(num_items=num_items)

    async def _gallery(self, name: str, context: object) -> Gallery:
        return await ask_gallery(self._galleries, name, self._searches, caller=caller_of(context))

    async def _write(self, write: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writers, write)

    def _check_queries(self, messages: Sequence[gallery_pb2.Query], field: str, top_k: int) -> None:
        """Raise `InvalidRequestError` for too many or too few; `field` is the name of `top_k` on the wire."""
        self._embedder.check_count("queries", len(messages))
        check_top_k(field, top_k, self._embedder.limits)

    async def _read_queries(
        self, gallery: Gallery, messages: Sequence[gallery_pb2.Query], caller: str
    ) -> tuple[Queries, Embedded]:
        """The queries of a request, and what embedding them took."""
        vectors, looks, embedded = await self._vectors_of(gallery, "queries", messages, caller)
        own_ids = [message.id if _content_of(message) == "id" else None for message in messages]
        return Queries(vectors, own_ids, looks), embedded

    async def _vectors_of(
        self,
        gallery: Gallery,
        field: str,
        messages: Sequence[gallery_pb2.Query | gallery_pb2.Item],
        caller: str,
        *,
        with_motions: bool = False,
    ) -> tuple[Float32[np.ndarray, "messages embedding_size"], list[Look | None], Embedded]:
        """The vector of each query or item: given, embedded from a sequence, or that of the item with a given id.

        And what the sequences look like, None for what is not one.
        """
        vectors = np.empty((len(messages), self._embedder.embedding_size), dtype=np.float32)
        looks: list[Look | None] = [None] * len(messages)
        sequences, ids = [], []
        for number, message in enumerate(messages):
            path = f"{field}[{number}]"
            content = _content_of(message)
            with in_field(path):
                if content == "sequence":
                    sequences.append((number, f"{path}.sequence", message.sequence))
                elif content == "embedding":
                    vectors[number] = read_embedding(message.embedding, self._embedder.embedding_size)
                elif content == "id":
                    ids.append(number)
                else:
                    raise InvalidRequestError(f"it is empty; {_WHAT_TO_SET[field]}.")
        if ids:
            stored: list[Item] = []

            def read() -> Work:
                stored.extend(gallery.get([messages[number].id for number in ids]))
                yield

            with in_field(field):
                await self._searches.run(read(), caller=caller)
            vectors[ids] = [item.vector for item in stored]
            for number, item in zip(ids, stored, strict=True):
                look = look_of_item(item.attributes)
                looks[number] = look if look.dimensions == 2 else None  # without a mark nothing is known
        embedded = await self._embedder.embed(
            [(path, sequence) for _, path, sequence in sequences], caller=caller, with_motions=with_motions
        )
        vectors[[number for number, _, _ in sequences]] = embedded.vectors
        for (number, _, _), look in zip(sequences, embedded.looks, strict=True):
            looks[number] = look
        return vectors, looks, embedded


def _check_item(item: gallery_pb2.Item, limits: Limits) -> None:
    if item.HasField("motion") and item.HasField("sequence"):
        raise InvalidRequestError(
            f"item {quoted(item.id)} has both a sequence and a motion; the motion of a sequence is made by the server. "
            f"Leave the motion out, or send it with an embedding."
        )
    num_bytes = len(item.id.encode()) + len(item.label.encode()) + item.attributes.ByteSize() + item.source.ByteSize()
    if num_bytes > limits.max_item_bytes:
        raise InvalidRequestError(
            f"the id, label, attributes and source of item {quoted(item.id)} have {num_bytes} bytes; this server keeps "
            f"at most {limits.max_item_bytes} an item. Keep large facts elsewhere, or raise --max-item-bytes of the "
            f"server."
        )


def _content_of(message: gallery_pb2.Query | gallery_pb2.Item) -> str | None:
    # An item's id is its name; only a query's is one of the alternatives.
    return message.WhichOneof("by" if isinstance(message, gallery_pb2.Query) else "content")


_WHAT_TO_SET = {
    "queries": "set one of sequence, embedding and id",
    "items": "set one of sequence and embedding",
}
