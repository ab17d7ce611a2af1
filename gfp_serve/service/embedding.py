"""EmbeddingService of the wire."""

import asyncio
import time

from gfp_serve.gallery.protocols import Gallery
from gfp_serve.service.embedder import Embedder, write_timing
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from gfp_serve.wire.arrays import write_embedding
from gfp_serve.wire.warnings import write_warnings


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Embeds, and says what the server is: `about` is the part of GetInfo's reply that does not change."""

    def __init__(self, embedder: Embedder, gallery: Gallery, about: embedding_pb2.GetInfoResponse) -> None:
        self._embedder = embedder
        self._gallery = gallery
        self._about = about

    async def Embed(self, request: embedding_pb2.EmbedRequest, _context: object) -> embedding_pb2.EmbedResponse:
        started_ns = time.perf_counter_ns()
        self._embedder.check_encoder(request.expected_encoder_digest)
        self._embedder.check_count("sequences", len(request.sequences))
        embedded = await self._embedder.embed(
            [(f"sequences[{number}]", sequence) for number, sequence in enumerate(request.sequences)]
        )
        return embedding_pb2.EmbedResponse(
            embeddings=map(write_embedding, embedded.vectors),
            encoder_digest=self._embedder.encoder_digest,
            timing=write_timing(started_ns, embedded),
            warnings=write_warnings(embedded.doubts),
        )

    async def GetInfo(self, _request: embedding_pb2.GetInfoRequest, _context: object) -> embedding_pb2.GetInfoResponse:
        reply = embedding_pb2.GetInfoResponse()
        reply.CopyFrom(self._about)

        def count() -> tuple[int, int]:
            return len(self._gallery), self._gallery.generation

        # In a thread, because a gallery may be on another machine.
        reply.gallery.num_items, reply.gallery.generation = await asyncio.to_thread(count)
        return reply
