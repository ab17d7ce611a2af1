"""EmbeddingService of the wire."""

import time

from gfp_serve.batching.turns import Turns
from gfp_serve.gallery.protocols import Gallery
from gfp_serve.service.access import ROLE, caller_of
from gfp_serve.service.embedder import Embedder, write_timing
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from gfp_serve.wire.arrays import write_embedding
from gfp_serve.wire.warnings import write_warnings


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Embeds, and says what the server is: `about` is the part of GetInfo's reply that does not change."""

    def __init__(
        self, embedder: Embedder, gallery: Gallery, about: embedding_pb2.GetInfoResponse, searches: Turns
    ) -> None:
        self._embedder = embedder
        self._gallery = gallery
        self._about = about
        self._searches = searches

    async def Embed(self, request: embedding_pb2.EmbedRequest, context: object) -> embedding_pb2.EmbedResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.check_encoder(request.expected_encoder_digest)
        self._embedder.check_count("sequences", len(request.sequences))
        embedded = await self._embedder.embed(
            [(f"sequences[{number}]", sequence) for number, sequence in enumerate(request.sequences)],
            caller=caller_of(context),
        )
        return embedding_pb2.EmbedResponse(
            embeddings=map(write_embedding, embedded.vectors),
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, embedded),
            warnings=write_warnings(embedded.doubts),
        )

    async def GetInfo(self, _request: embedding_pb2.GetInfoRequest, context: object) -> embedding_pb2.GetInfoResponse:
        reply = embedding_pb2.GetInfoResponse()
        reply.CopyFrom(self._about)
        reply.role = ROLE.get() or ""

        def count() -> tuple[int, int]:
            return len(self._gallery), self._gallery.generation

        # Not here, because a gallery may be on another machine.
        counted = await self._searches.do(count, caller=caller_of(context))
        reply.gallery.num_items, reply.gallery.generation = counted
        return reply
