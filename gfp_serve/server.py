"""The server process: wiring, health, reflection, warm-up, drain."""

import asyncio
import dataclasses
import logging
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gfp_serve import __version__
from gfp_serve.batcher import Batcher, Encode
from gfp_serve.bundle import Bundle, Manifest
from gfp_serve.config import DEFAULT_BUNDLE, Limits, ServeConfig, bare_host
from gfp_serve.encoder import Encoder
from gfp_serve.errors import UnavailableError
from gfp_serve.gallery import FaissGallery, Gallery
from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT
from gfp_serve.service.access import Access, Tokens
from gfp_serve.service.convert import write_struct
from gfp_serve.service.embedder import Embedder
from gfp_serve.service.embedding import EmbeddingServicer
from gfp_serve.service.gallery import GalleryServicer
from gfp_serve.service.guard import Guard
from gfp_serve.service.metrics import Metrics
from gfp_serve.service.open_inference import OpenInferenceServicer
from gfp_serve.service.stream import StreamServicer
from gfp_serve.service.tls import Certificates
from gfp_serve.skeleton import LAYOUTS
from gfp_serve.v1 import (
    embedding_pb2,
    embedding_pb2_grpc,
    gallery_pb2,
    gallery_pb2_grpc,
    open_inference_pb2,
    open_inference_pb2_grpc,
    stream_pb2,
    stream_pb2_grpc,
)

_log = logging.getLogger(__name__)

# Full names of our services, as health and reflection know them.
SERVICES = tuple(
    service.full_name
    for file in (embedding_pb2, gallery_pb2, stream_pb2, open_inference_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)

# Calibration of the batch: seconds that it may take, and how near to the fastest is near enough.
_CALIBRATION_S, _NEARLY = 2.0, 1.1

# Health checks, health watches and reflection that are answered beside `max_calls` calls of our services.
_OTHER_CALLS = 64


class Server:
    """One encoder and one gallery behind one port. Made, started and stopped in one event loop.

    `durable` is what `GetInfo` says about the gallery. The gallery is the caller's to close, after `stop`.
    """

    def __init__(
        self, config: ServeConfig, manifest: Manifest, encoder: Encoder, gallery: Gallery, *, durable: bool
    ) -> None:
        self.port = self.metrics_port = 0
        self._is_ready = False
        self._config = config
        self._manifest = manifest
        self._encoder = encoder
        # First, for a file of these that cannot be used must leave nothing behind.
        security = config.security
        self._access = Access(Tokens(security.tokens) if security.tokens else None)
        self._certificates = (
            Certificates(security.tls_certificate, security.tls_key, security.tls_client_ca)
            if security.tls_certificate and security.tls_key
            else None
        )
        self._metrics = Metrics()
        self._batcher = Batcher(
            encoder.encode,
            max_batch_bodies=config.max_batch_bodies or MAX_BODIES,
            max_admitted_bodies=config.max_admitted_bodies,
            watcher=self._metrics,
        )
        self._guard = Guard(SERVICES, max_calls=config.max_calls, access=self._access, metrics=self._metrics)
        self._metrics.describe(
            name=manifest.name, digest=manifest.encoder_digest, provider=encoder.provider, version=__version__
        )
        self._metrics.follow(
            queue_depth=lambda: self._batcher.admitted_bodies,
            calls=lambda: self._guard.num_calls,
            items=lambda: len(gallery),
            generation=lambda: gallery.generation,
        )
        self._stop_metrics: Callable[[], None] = lambda: None
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[self._guard],
            # The guard refuses in words; this also bounds the calls whose messages are still on their way to it.
            maximum_concurrent_rpcs=config.max_calls + _OTHER_CALLS,
            options=[
                ("grpc.max_receive_message_length", config.limits.max_message_bytes),
                ("grpc.max_send_message_length", config.limits.max_message_bytes),
                # Else a second server on the same port starts without a word and takes half of the calls.
                ("grpc.so_reuseport", 0),
            ],
        )
        embedder = Embedder(manifest, self._batcher, config.limits)
        about = _about(manifest, encoder, config.limits, durable=durable)
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(  # type: ignore[no-untyped-call]
            EmbeddingServicer(embedder, gallery, about), self._server
        )
        gallery_pb2_grpc.add_GalleryServiceServicer_to_server(  # type: ignore[no-untyped-call]
            GalleryServicer(embedder, gallery), self._server
        )
        self._streams = StreamServicer(embedder, gallery, max_streams=config.max_streams)
        stream_pb2_grpc.add_StreamServiceServicer_to_server(self._streams, self._server)  # type: ignore[no-untyped-call]
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(  # type: ignore[no-untyped-call]
            OpenInferenceServicer(embedder, gallery, lambda: self._is_ready), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self) -> None:
        """Listen, run the encoder once for each number of bodies, then say SERVING. `port` is then the real one.

        Raises `UnavailableError` when the address cannot be listened on.
        """
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
        host = bare_host(self._config.host)
        host = f"[{host}]" if ":" in host else host
        try:
            address = f"{host}:{self._config.port}"
            self.port = (
                self._server.add_secure_port(address, self._certificates.credentials())
                if self._certificates
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise UnavailableError(
                f"{host}:{self._config.port} cannot be listened on; another program may have the port, or the address "
                f"is not this machine's. Choose another --port (0 takes a free one)."
            ) from error
        self._expose_metrics()
        await self._server.start()
        await self._warm_up()
        if not self._config.max_batch_bodies:
            await self._calibrate()
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._is_ready = True

    async def stop(self) -> None:
        """Say NOT_SERVING, refuse new calls, finish those in progress within `drain_s`, release the port."""
        self._is_ready = False
        # Health first, so that load balancers stop sending before calls are refused.
        await self._health.enter_graceful_shutdown()
        self._streams.close()
        await self._guard.close(self._config.drain_s)
        # What is left are the last bytes of replies, and health watches, which never end by themselves.
        await self._server.stop(grace=0.5)
        await self._batcher.close()
        await asyncio.to_thread(self._stop_metrics)

    def _expose_metrics(self) -> None:
        if self._config.metrics_port is None:
            return
        host = bare_host(self._config.host)
        try:
            self.metrics_port, self._stop_metrics = self._metrics.expose(host, self._config.metrics_port)
        except OSError as error:
            raise UnavailableError(
                f"{host}:{self._config.metrics_port} cannot be listened on for metrics ({error.strerror}); choose "
                f"another --metrics-port (0 takes a free one)."
            ) from error
        _log.info("metrics=http://%s:%d/metrics", host, self.metrics_port)

    async def _calibrate(self) -> None:
        """Choose the smallest batch that is nearly as fast, a body, as the fastest: a larger one only adds waiting."""
        preprocess = self._manifest.preprocess
        clip = np.zeros((1, 1, preprocess.num_frames, MODEL_LAYOUT.num_joints, 3), dtype=np.float32)
        seconds: dict[int, float] = {}
        started = time.perf_counter()
        for size in (2**power for power in range(8)):
            batch = np.repeat(clip, size, axis=0)
            times = [await asyncio.to_thread(_timed, self._encoder.encode, batch) for _ in range(4)]
            seconds[size] = min(times) / size
            # A device that batching pays on shows it early; a slow one must not keep callers waiting.
            if time.perf_counter() - started > _CALIBRATION_S or seconds[size] > 2 * min(seconds.values()):
                break
        best = min(seconds.values())
        chosen = next(size for size, each in seconds.items() if each <= _NEARLY * best)
        self._batcher.max_batch_bodies = max(chosen, MAX_BODIES)
        _log.info(
            "max_batch_bodies=%d ms_a_body=%s",
            self._batcher.max_batch_bodies,
            {size: round(1000 * each, 2) for size, each in seconds.items()},
        )

    async def _warm_up(self) -> None:
        preprocess = self._manifest.preprocess
        fewest = MAX_BODIES if preprocess.keep_absent_bodies else 1
        for num_bodies in range(fewest, MAX_BODIES + 1):
            clip = np.zeros((num_bodies, preprocess.num_frames, MODEL_LAYOUT.num_joints, 3), dtype=np.float32)
            with self._batcher.admit(num_bodies):
                await self._batcher.encode(clip)


async def serve(config: ServeConfig, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. `announce` gets one line when calls can be made.

    Raises the errors of `Bundle.read`, `Bundle.check`, `Encoder`, `FaissGallery.open_or_create`, `Server.start`.
    """
    asked_to_stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, asked_to_stop.set)
    bundle = Bundle.read(config.bundle or DEFAULT_BUNDLE)
    encoder = Encoder(bundle, device=config.device, num_threads=config.num_threads)
    difference = bundle.check(encoder.encode)
    _log.info(
        "encoder=%s digest=%s provider=%s canonical_difference=%.2g",
        bundle.manifest.name,
        bundle.manifest.encoder_digest[:12],
        encoder.provider,
        difference,
    )
    with _open_gallery(config.gallery, bundle.manifest) as gallery:
        server = Server(config, bundle.manifest, encoder, gallery, durable=config.gallery is not None)
        try:
            await server.start()
            announce(f"serving {bundle.manifest.name} on {config.host}:{server.port} ({encoder.device})")
            await asked_to_stop.wait()
            _log.info("shutting down: calls in progress have %g s to finish", config.drain_s)
        finally:
            await server.stop()


@contextmanager
def _open_gallery(path: Path | None, manifest: Manifest) -> Iterator[Gallery]:
    if path is None:
        with tempfile.TemporaryDirectory(prefix="gfp-gallery-") as folder:
            _log.warning("no --gallery was given: items live in a temporary folder and are lost at exit")
            with _open_gallery(Path(folder) / "gallery", manifest) as gallery:
                yield gallery
        return
    opened = FaissGallery.open_or_create(
        path, encoder_digest=manifest.encoder_digest, embedding_size=manifest.embedding_size
    )
    _log.info("gallery=%s items=%d generation=%d", path, len(opened), opened.generation)
    try:
        yield opened
    finally:
        opened.close()


def _timed(encode: Encode, clips: np.ndarray) -> float:
    started = time.perf_counter()
    encode(clips)
    return time.perf_counter() - started


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
        ),
        gallery=embedding_pb2.GalleryInfo(durable=durable),
        limits=embedding_pb2.Limits(**dataclasses.asdict(limits)),
    )
