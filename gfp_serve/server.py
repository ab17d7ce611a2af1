"""One server: it starts, drains, says how it is, and lets another encoder take over while calls go on."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gfp_serve import __version__
from gfp_serve.batching.admission import Admission
from gfp_serve.batching.turns import Turns
from gfp_serve.bundle import Manifest
from gfp_serve.config import ServeConfig, bare_host, is_loopback
from gfp_serve.cores import num_cores
from gfp_serve.encoder import Encoder
from gfp_serve.errors import UnavailableError
from gfp_serve.extras import load
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.protocols import Galleries, sizes_of
from gfp_serve.memory import MemoryReturn
from gfp_serve.service.access import Access, Tokens
from gfp_serve.service.access_log import AccessLog
from gfp_serve.service.deployment import Deployment, Switch
from gfp_serve.service.guard import Guard
from gfp_serve.service.health import NOT_SERVING, SERVING, HealthServicer
from gfp_serve.service.metrics import Metrics
from gfp_serve.service.metrics_port import expose_metrics
from gfp_serve.service.open_places import OpenPlaces
from gfp_serve.service.shares import Shares
from gfp_serve.service.snapshot_schedule import SnapshotSchedule
from gfp_serve.service.tls import Certificates, Contexts
from gfp_serve.service.tracing import trace_calls
from gfp_serve.service.transport import most_connections, server_options
from gfp_serve.v1 import embedding_pb2, gallery_pb2, open_inference_pb2, snapshot_pb2, stream_pb2, view_pb2

_log = logging.getLogger(__name__)

# Full names of our services, as health and reflection know them.
SERVICES = tuple(
    service.full_name
    for file in (embedding_pb2, gallery_pb2, stream_pb2, view_pb2, snapshot_pb2, open_inference_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)

# Calls of health that are answered in addition to `max_calls` calls of our services.
_OTHER_CALLS = 64

# Peaks last for less time than this, and memory must go back within a minute after one.
_GIVE_BACK_EACH_S = 15.0

# Searches that wait for another machine, such as that of Milvus, at the same time.
_SEARCHES_ELSEWHERE = 16

# Turns are short, so there is room again soon.
_LONGEST_WAIT_S = 5.0

# Between the last answer and the closing of connections. gRPC cancels calls that come while it closes; those who call
# again at once get a clear UNAVAILABLE instead.
_LAST_WORDS_S = 0.1


class Server:
    """One encoder and its galleries behind one port. Made, started and stopped in one event loop.

    The caller closes the galleries, after `stop` or `switch`.
    """

    def __init__(self, config: ServeConfig, manifest: Manifest, encoder: Encoder, galleries: Galleries) -> None:
        self.port = self.metrics_port = self.http_port = 0
        self.http_url = ""
        self._is_ready = False
        self._giving_back: asyncio.Task[None] | None = None
        self._config = config
        # First, because a file that cannot be used must leave nothing started.
        security = config.security
        self._tokens = Tokens(security.tokens) if security.tokens else None
        access = Access(self._tokens, mutual_tls=security.tls_client_ca is not None)
        self._certificates = (
            Certificates(security.tls_certificate, security.tls_key, security.tls_client_ca)
            if security.tls_certificate and security.tls_key
            else None
        )
        self.metrics = Metrics()
        # Two or more, because some work waits for cores that it uses itself.
        num_threads = max(2, num_cores())
        room = Admission(
            config.max_admitted_neighbours,
            what="neighbours (or what takes as long to find) wait for their turn",
            setting="--max-admitted-neighbours",
            # What light work measures says little about heavy work.
            longest_wait_s=_LONGEST_WAIT_S,
        )
        self._turns = Turns(num_threads, room)
        # What Python alone does gets no faster in two threads, which share the interpreter's lock, and the event loop
        # would wait twice as long for it.
        self._reading = Turns(1, room)
        # Searches on another machine wait for that machine, in threads of their own: if it hangs, the rest goes on.
        is_here = isinstance(galleries, FolderGalleries)
        self._searches = self._turns if is_here else Turns(_SEARCHES_ELSEWHERE, room)
        self._access_log = AccessLog(config.access_log, config.audit_log)
        self._guard = Guard(
            # A stream of reflection is a caller's as any other is: it ends when the caller's token is withdrawn.
            (*SERVICES, reflection.SERVICE_NAME),
            places=Shares(
                config.max_calls, what="calls in progress", setting="--max-calls", one_peer=config.behind_proxy
            ),
            max_idle_s=config.max_idle_s,
            other_places=OpenPlaces(_OTHER_CALLS, one_peer=config.behind_proxy),
            access=access,
            metrics=self.metrics,
            access_log=self._access_log,
            turns=self._reading,
        )
        self._switch = Switch(self._deploy(manifest, encoder, galleries))
        self._schedule: asyncio.Task[None] | None = None
        self._stop_metrics: Callable[[], None] = lambda: None
        self._stop_tracing: Callable[[], None] = lambda: None
        tracer: grpc.aio.ServerInterceptor | None = None
        if config.trace_to is not None:
            tracer, self._stop_tracing = trace_calls(config.trace_to, SERVICES)
        self._http = self._make_http(access, tracer)
        self._health = HealthServicer(("", *SERVICES))
        max_answered_calls = config.max_calls + 2 * _OTHER_CALLS
        self._server = grpc.aio.server(
            interceptors=[self._guard] if tracer is None else [tracer, self._guard],
            # gRPC's own limit (maximum_concurrent_rpcs) counts a refused call until its caller has read the refusal.
            # Somebody who reads nothing would soon hold it all, without a token.
            options=server_options(config, max_answered_calls),
        )
        self._server.add_generic_rpc_handlers((self._switch,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    @property
    def deployment(self) -> Deployment:
        """The deployment that answers calls now."""
        return self._switch.current

    async def start(self) -> None:
        """Listen, warm up the encoder, then say SERVING. `port` is the real port after that.

        Raises `UnavailableError` when the server cannot listen on the address.
        """
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
                f"the server cannot listen on {host}:{self._config.port}; another program may have the port, or the "
                f"address is not this machine's. Choose another --port (0 takes a free one)."
            ) from error
        if not is_loopback(host) and not self._config.behind_proxy:
            _log.info(
                "other machines can reach %s: gRPC does not bound connections and new calls of each address; a proxy "
                "in front can, as the page Operate shows. Say --behind-proxy if there is one",
                host,
            )
        self._expose_metrics()
        self._open_http(host)
        await self._server.start()
        self._giving_back = asyncio.create_task(_give_memory_back(), name="memory")
        await self.deployment.prepare()
        self._describe()
        self._health.say(SERVING)
        self._is_ready = True
        if self._config.snapshot_every_h:
            self._schedule = asyncio.create_task(
                SnapshotSchedule(
                    lambda: self.deployment.snapshots,
                    every_s=3600 * self._config.snapshot_every_h,
                    keep=self._config.keep_snapshots,
                    metrics=self.metrics,
                ).run()
            )

    async def stop(self) -> None:
        """Say NOT_SERVING, refuse calls after `notice_s`, finish calls in progress in `drain_s`, release the port."""
        was_ready, self._is_ready = self._is_ready, False
        if self._schedule is not None:
            self._schedule.cancel()
        self._health.say(NOT_SERVING)
        if was_ready:
            await asyncio.sleep(self._config.notice_s)
        self.deployment.streams.close()
        await self._guard.close(self._config.drain_s)
        if was_ready:
            await asyncio.sleep(_LAST_WORDS_S)
        if self._http is not None:
            await self._http.close()
        # What is left is the last bytes of replies, and health watches, which do not end by themselves.
        await self._server.stop(grace=0.5)
        await self.deployment.close()
        await self._reading.close()
        await self._turns.close()
        await self._searches.close()
        if self._giving_back is not None:
            self._giving_back.cancel()
        await asyncio.to_thread(self._stop_metrics)
        await asyncio.to_thread(self._stop_tracing)
        await asyncio.to_thread(self._access_log.close)

    async def switch(self, manifest: Manifest, encoder: Encoder, galleries: Galleries) -> None:
        """Let another encoder and its galleries take over once it is warm.

        Calls that have begun end on the old ones, or are cut off after `drain_s`. When this returns, no call uses the
        old galleries any more; a thread may be about to finish a piece of a search that was cut off.
        """
        fresh = self._deploy(manifest, encoder, galleries)
        try:
            await fresh.prepare()
        except BaseException:
            await fresh.close()
            raise
        old, self._switch.current = self._switch.current, fresh
        self._describe()
        await old.close()

    def _deploy(self, manifest: Manifest, encoder: Encoder, galleries: Galleries) -> Deployment:
        return Deployment(
            self._config,
            manifest,
            encoder,
            galleries,
            metrics=self.metrics,
            turns=self._turns,
            reading=self._reading,
            searches=self._searches,
            is_ready=lambda: self._is_ready,
        )

    def _make_http(self, access: Access, tracer: grpc.aio.ServerInterceptor | None) -> Any:
        """The HTTP port; None without the setting. Imported here, because most servers do without."""
        if self._config.http_port is None:
            return None
        application = load("gfp_serve.service.http.application")
        port = load("gfp_serve.service.http.port")
        security = self._config.security
        return port.HttpPort(
            application.Application(self._config, access, self._guard, self._switch, lambda: self._is_ready, tracer),
            tls=None if security.tls_certificate is None else Contexts(security),
            max_connections=most_connections(self._config.max_connections),
        )

    def _open_http(self, host: str) -> None:
        if self._http is None or self._config.http_port is None:
            return
        try:
            self.http_port = self._http.open(bare_host(self._config.host), self._config.http_port)
        except OSError as error:
            raise UnavailableError(
                f"the server cannot listen on {host}:{self._config.http_port} for HTTP ({error.strerror}); choose "
                f"another --http-port (0 takes a free one)."
            ) from error
        scheme = "http" if self._config.security.tls_certificate is None else "https"
        self.http_url = f"{scheme}://{host}:{self.http_port}"

    def _describe(self) -> None:
        now = self.deployment
        self.metrics.describe(
            name=now.manifest.name,
            digest=now.manifest.encoder_digest,
            provider=now.encoder.provider,
            version=__version__,
        )
        self.metrics.follow(
            queue_depth=lambda: now.batcher.admitted_bodies,
            calls=lambda: self._guard.num_calls,
            galleries=lambda: sizes_of(now.galleries, now.manifest.encoder_digest),
        )

    def _expose_metrics(self) -> None:
        if self._config.metrics_port is None:
            return
        host, security = bare_host(self._config.metrics_host), self._config.security
        # On loopback in the clear, elsewhere as calls are.
        is_open = is_loopback(host)
        tls = None if is_open or security.tls_certificate is None else security
        try:
            self.metrics_port, self._stop_metrics = expose_metrics(
                self.metrics.registry,
                host,
                self._config.metrics_port,
                tls=tls,
                tokens=None if is_open else self._tokens,
            )
        except OSError as error:
            raise UnavailableError(
                f"the server cannot listen on {host}:{self._config.metrics_port} for metrics ({error.strerror}); "
                f"choose another --metrics-port (0 takes a free one) or --metrics-host."
            ) from error
        _log.info("metrics=%s://%s:%d/metrics", "http" if tls is None else "https", host, self.metrics_port)


async def _give_memory_back() -> None:
    memory = MemoryReturn()
    while True:
        await asyncio.sleep(_GIVE_BACK_EACH_S)
        await asyncio.to_thread(memory.give_back)
