"""GalleryService of the wire."""

import asyncio
import math
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from gfp_serve.classify import Weighting, vote
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

_WEIGHTINGS: dict[int, Weighting] = {
    gallery_pb2.WEIGHTING_UNSPECIFIED: "similarity",
    gallery_pb2.WEIGHTING_SIMILARITY: "similarity",
    gallery_pb2.WEIGHTING_UNIFORM: "uniform",
}


class GalleryServicer(gallery_pb2_grpc.GalleryServiceServicer):
    """Gallery calls run in threads, so that a search or an fsync does not hold up other calls."""

    def __init__(self, embedder: Embedder, gallery: Gallery) -> None:
        self._embedder = embedder
        self._gallery = gallery

    async def Search(  # noqa: N802
        self, request: gallery_pb2.SearchRequest, _context: object
    ) -> gallery_pb2.SearchResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        top_k = request.top_k if request.HasField("top_k") else DEFAULT_TOP_K
        found, embedded, search_s = await self._nearest(request.queries, "top_k", top_k)
        return gallery_pb2.SearchResponse(
            results=[gallery_pb2.SearchResult(neighbours=map(write_neighbour, neighbours)) for neighbours in found],
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, embedded, search_s),
        )

    async def Classify(  # noqa: N802
        self, request: gallery_pb2.ClassifyRequest, _context: object
    ) -> gallery_pb2.ClassifyResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        num_neighbours = request.num_neighbours if request.HasField("num_neighbours") else DEFAULT_TOP_K
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
        found, embedded, search_s = await self._nearest(request.queries, "num_neighbours", num_neighbours)
        results = []
        for neighbours in found:
            voters = [neighbour for neighbour in neighbours if neighbour.label]
            decision = vote(
                [voter.label for voter in voters],
                [voter.similarity for voter in voters],
                weighting=_WEIGHTINGS[request.weighting],
                temperature=temperature,
                unknown_below=unknown_below,
            )
            results.append(
                gallery_pb2.Classification(
                    label=decision.label or "",
                    unknown=decision.label is None,
                    scores=[gallery_pb2.ClassScore(label=each.label, score=each.score) for each in decision.scores],
                    neighbours=map(write_neighbour, voters),
                )
            )
        return gallery_pb2.ClassifyResponse(
            results=results,
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, embedded, search_s),
        )

    async def Upsert(  # noqa: N802
        self, request: gallery_pb2.UpsertRequest, _context: object
    ) -> gallery_pb2.UpsertResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.expect(request.expected_encoder_digest)
        self._embedder.check_count("items", len(request.items))
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
        items = await asyncio.to_thread(self._gallery.get, list(request.ids))
        search_s = (time.perf_counter_ns() - started_ns) / 1e9
        return gallery_pb2.GetResponse(
            items=[
                gallery_pb2.Item(
                    id=item.id,
                    embedding=write_embedding(item.vector) if request.with_embeddings else None,
                    label=item.label,
                    attributes=write_struct(item.attributes),
                )
                for item in items
            ],
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, search_s=search_s),
        )

    async def _nearest(
        self, queries: Sequence[gallery_pb2.Query], field: str, top_k: int
    ) -> tuple[list[list[Neighbour]], Embedded, float]:
        """Neighbours of each query, nearest first, and what it took. `field` is `top_k`'s name on the wire."""
        self._embedder.check_count("queries", len(queries))
        if not 1 <= top_k <= self._embedder.limits.max_top_k:
            with in_field(field):
                raise InvalidRequestError(
                    f"it is {top_k}; this server gives 1 to {self._embedder.limits.max_top_k} neighbours."
                )
        vectors, embedded = await self._vectors_of("queries", queries)
        started = time.perf_counter()
        # A stored item is its own nearest neighbour, which nobody asks for: one more is fetched and it is left out.
        one_more = any(_kind(query) == "id" for query in queries)
        found = await asyncio.to_thread(self._gallery.search, vectors, top_k=top_k + one_more)
        for query, neighbours in zip(queries, found, strict=True):
            if _kind(query) == "id":
                neighbours[:] = [neighbour for neighbour in neighbours if neighbour.id != query.id]
            del neighbours[top_k:]
        return found, embedded, time.perf_counter() - started

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


def _kind(message: gallery_pb2.Query | gallery_pb2.Item) -> str | None:
    # An item's id is its name; only a query's is one of the alternatives.
    return message.WhichOneof("by" if isinstance(message, gallery_pb2.Query) else "content")


_ALTERNATIVES = {
    "queries": "set one of sequence, embedding and id",
    "items": "set one of sequence and embedding",
}
