"""Traces of calls, sent to a collector by OTLP. The only file that imports opentelemetry, which is optional.

A call becomes one span with its method and status, below the caller's span if the call has a `traceparent`.
OpenTelemetry's own environment variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...) apply.
"""

import logging
from collections.abc import Callable

import grpc

from gfp_serve import __version__
from gfp_serve.errors import SettingsError
from gfp_serve.extras import load

_log = logging.getLogger(__name__)

# For one export. A collector that is not there must not delay the end of the server.
_TIMEOUT_S = 2


def trace_calls(endpoint: str, services: tuple[str, ...]) -> tuple[grpc.aio.ServerInterceptor, Callable[[], None]]:
    """The interceptor that makes a span of each call of these services, and a function that sends the rest and ends it.

    `endpoint` is a URL, http://HOST:PORT or https://HOST:PORT. Raises `SettingsError` when it is not,
    `MissingExtraError` without the packages of the extra `trace`.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise SettingsError(f"--trace-to is {endpoint!r}; it must be a URL, e.g. http://127.0.0.1:4317.")
    instrumentation = load("opentelemetry.instrumentation.grpc")
    otlp = load("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    resources = load("opentelemetry.sdk.resources")
    sdk = load("opentelemetry.sdk.trace")
    export = load("opentelemetry.sdk.trace.export")
    about = {"service.name": "gfp-serve", "service.version": __version__}
    provider = sdk.TracerProvider(resource=resources.Resource(about).merge(resources.OTELResourceDetector().detect()))
    exporter = otlp.OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=_TIMEOUT_S)
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    prefixes = tuple(f"/{service}/" for service in services)
    interceptor = instrumentation.aio_server_interceptor(
        tracer_provider=provider, filter_=lambda details: details.method.startswith(prefixes)
    )
    _log.info("traces=%s", endpoint)
    return interceptor, provider.shutdown
