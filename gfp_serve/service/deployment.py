"""A deployment: an encoder, its galleries, and the servicers that use them. Another deployment can take its place."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import numpy as np

from gfp_serve import __version__
from gfp_serve.batching.batcher import Batcher, Pace
from gfp_serve.batching.pace import measure_pace
from gfp_serve.batching.turns import Turns
from gfp_serve.bundle import Manifest
from gfp_serve.config import Limits, ServeConfig
from gfp_serve.encoder import Encoder
from gfp_serve.errors import ClosedError
from gfp_serve.gallery.protocols import Galleries
from gfp_serve.items import DEFAULT_GALLERY
from gfp_serve.layouts import LAYOUTS
from gfp_serve.pose import can_read_videos
from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT
from gfp_serve.service.embedder import Embedder
from gfp_serve.service.embedding import EmbeddingServicer
from gfp_serve.service.gallery import GalleryServicer
from gfp_serve.service.metrics import Metrics
from gfp_serve.service.motion_keeping import MotionKeeping
from gfp_serve.service.movements import Movements
from gfp_serve.service.open_inference import OpenInferenceServicer
from gfp_serve.service.sent_files import SentFiles
from gfp_serve.service.shares import Shares
from gfp_serve.service.snapshots import SnapshotServicer
from gfp_serve.service.stream import StreamServicer
from gfp_serve.service.view import ViewServicer
from gfp_serve.v1 import (
    embedding_pb2,
    embedding_pb2_grpc,
    gallery_pb2_grpc,
    open_inference_pb2_grpc,
    snapshot_pb2_grpc,
    stream_pb2_grpc,
    view_pb2_grpc,
)
from gfp_serve.wire.items import write_struct

_log = logging.getLogger(__name__)


class Deployment:
    """Answers calls after `prepare`, until `close`. Made in the event loop that it is used in.

    The caller closes the galleries, after that.
    """

    def __init__(
        self,
        config: ServeConfig,
        manifest: Manifest,
        encoder: Encoder,
        galleries: Galleries,
        *,
        metrics: Metrics,
        turns: Turns,
        reading: Turns,
        searches: Turns,
        is_ready: Callable[[], bool],
    ) -> None:
        self.manifest = manifest
        self.encoder = encoder
        self.galleries = galleries
        self.batcher = Batcher(
            encoder.encode,
            pace=Pace(config.max_batch_bodies or MAX_BODIES),
            max_lanes=encoder.num_threads,
            max_admitted_bodies=config.max_admitted_bodies,
            watcher=metrics,
        )
        self._config = config
        self._calls: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        embedder = Embedder(manifest, self.batcher, config.limits, turns)
        default = galleries[DEFAULT_GALLERY]
        about = _about(manifest, encoder, config.limits, durable=default.describe().durable)
        movements = Movements(galleries, config.limits, reading, searches)
        about.reads_videos = config.max_file_reads > 0 and can_read_videos()
        self.streams = StreamServicer(
            embedder,
            galleries,
            movements,
            turns,
            searches,
            places=Shares(
                config.max_streams, what="streams open", setting="--max-streams", one_peer=config.behind_proxy
            ),
            max_bytes=config.max_stream_bytes,
        )
        self._gallery_service = GalleryServicer(embedder, galleries, turns, searches, MotionKeeping(config.keep_motion))
        self._view_service = ViewServicer(
            galleries, movements, config.limits, searches, SentFiles(config.limits, config.max_file_reads)
        )
        self.snapshots = SnapshotServicer(galleries, config.limits)
        registry = _Registry()
        for add, servicer in (
            (
                embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server,
                EmbeddingServicer(embedder, default, about, searches),
            ),
            (gallery_pb2_grpc.add_GalleryServiceServicer_to_server, self._gallery_service),
            (stream_pb2_grpc.add_StreamServiceServicer_to_server, self.streams),
            (snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server, self.snapshots),
            (view_pb2_grpc.add_ViewServiceServicer_to_server, self._view_service),
            (
                open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server,
                OpenInferenceServicer(embedder, galleries, reading, searches, is_ready),
            ),
        ):
            add(servicer, registry)  # type: ignore[no-untyped-call]
        self.handlers: Mapping[str, Any] = registry.handlers

    async def prepare(self) -> None:
        """Run the encoder once for each number of bodies, and measure the pace that suits it, unless it is set."""
        sampling = self.manifest.preprocess.sampling
        fewest = MAX_BODIES if sampling.keep_absent_bodies else 1
        for num_bodies in range(fewest, MAX_BODIES + 1):
            clip = np.zeros((num_bodies, sampling.num_frames, MODEL_LAYOUT.num_joints, 3), dtype=np.float32)
            with self.batcher.admit(num_bodies):
                await self.batcher.encode(clip)
        self.batcher.pace = await asyncio.to_thread(
            measure_pace,
            self.encoder,
            sampling.num_frames,
            max_bodies=self._config.max_batch_bodies,
            num_lanes=self._config.lanes,
        )

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """Use this around a call; `close` waits for it."""
        try:
            async with asyncio.timeout(None) as call:
                self._calls.add(call)
                self._idle.clear()
                try:
                    yield
                finally:
                    self._calls.discard(call)
                    if not self._calls:
                        self._idle.set()
        except TimeoutError as error:
            raise ClosedError("another encoder took over before this call was done; make the call again.") from error

    async def close(self) -> None:
        """End the streams, finish the calls within `drain_s`, and end the threads of the encoder and of writes."""
        self.streams.close()
        try:
            await asyncio.wait_for(self._idle.wait(), self._config.drain_s)
        except TimeoutError:
            _log.warning("%d calls did not end within %g s and are cut off", len(self._calls), self._config.drain_s)
            for call in self._calls:
                call.reschedule(0)
            await self._idle.wait()
        await self._view_service.close()
        await self.batcher.close()
        await asyncio.to_thread(self._gallery_service.close)
        await asyncio.to_thread(self.snapshots.close)


class Switch(grpc.GenericRpcHandler):
    """Gives each call to the deployment that is `current` when its request has arrived."""

    def __init__(self, current: Deployment) -> None:
        self.current = current

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        handler = self.current.handlers.get(method)
        if handler is None:
            return None

        async def unary(request: Any, context: Any) -> Any:
            deployment = self.current
            async with deployment.in_use():
                return await deployment.handlers[method].unary_unary(request, context)

        async def stream(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            deployment = self.current
            replies = deployment.handlers[method].stream_stream(requests, context)
            async with deployment.in_use(), aclosing(replies):
                async for reply in replies:
                    yield reply

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(unary, handler.request_deserializer, handler.response_serializer)


class _Registry:
    """Stands in for a server when generated code adds servicers to it, to get their handlers by the method's name."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Generated code gives the same handlers in this form too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        self.handlers.update({f"/{service}/{method}": handler for method, handler in handlers.items()})


def _about(manifest: Manifest, encoder: Encoder, limits: Limits, *, durable: bool) -> embedding_pb2.GetInfoResponse:
    return embedding_pb2.GetInfoResponse(
        server_version=__version__,
        encoder_digest=manifest.encoder_digest,
        encoder=embedding_pb2.EncoderInfo(
            name=manifest.name,
            embedding_size=manifest.embedding_size,
            preprocessing_digest=manifest.preprocess.digest,
            preprocessing=write_struct(manifest.preprocess.to_json()),
            layouts=sorted(LAYOUTS),
            provider=encoder.provider,
            device=encoder.device,
            dimensions=manifest.dimensions,
            compares_dimensions=manifest.compares_dimensions,
        ),
        gallery=embedding_pb2.GalleryInfo(durable=durable),
        limits=embedding_pb2.Limits(**dataclasses.asdict(limits)),
    )
