"""Traces of calls, sent to a collector by OTLP. The only file that imports opentelemetry, which is optional.

A call becomes one span with its method and status, below the caller's span if the call has a `traceparent`.
OpenTelemetry's own environment variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...) apply, but OTEL_PROPAGATORS does
not: callers may say this one thing.
"""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from gfp_serve import __version__
from gfp_serve.errors import SettingsError
from gfp_serve.extras import load

_log = logging.getLogger(__name__)

# For one export. A collector that is not there must not delay the end of the server.
_TIMEOUT_S = 2

# What callers may say of their own trace: w3.org/TR/trace-context. OpenTelemetry writes a line into the log for
# anything else, with what the caller sent in it, also for callers without a token.
_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MEMBER = r"[a-z][_0-9a-z*/-]{0,63}(@[a-z][_0-9a-z*/-]{0,13})?=[!-+\--<>-~]{1,256}"
_STATE = re.compile(rf"{_MEMBER}([ \t]*,[ \t]*{_MEMBER}){{0,31}}")
_MAX_STATE_CHARS = 512


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
    load("opentelemetry.propagate").set_global_textmap(_parents(load("opentelemetry.trace.propagation.tracecontext")))
    prefixes = tuple(f"/{service}/" for service in services)
    interceptor = instrumentation.aio_server_interceptor(
        tracer_provider=provider, filter_=lambda details: details.method.startswith(prefixes)
    )
    _log.info("traces=%s", endpoint)
    return interceptor, provider.shutdown


def _parents(tracecontext: Any) -> Any:
    """What reads the caller's span of the headers of a call, and nothing else."""

    class Parents(tracecontext.TraceContextTextMapPropagator):  # type: ignore[misc]
        def extract(self, carrier: Mapping[str, Any], *how: Any, **named: Any) -> Any:
            return super().extract(_valid(carrier), *how, **named)

    return Parents()


def _valid(headers: Mapping[str, Any]) -> dict[str, str]:
    parent, state = headers.get("traceparent"), headers.get("tracestate")
    if not isinstance(parent, str) or _PARENT.fullmatch(parent) is None:
        return {}
    if isinstance(state, str) and len(state) <= _MAX_STATE_CHARS and _STATE.fullmatch(state) is not None:
        return {"traceparent": parent, "tracestate": state}
    return {"traceparent": parent}
