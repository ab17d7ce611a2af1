"""Spans of real calls, as a collector receives them."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from gfp_serve.config import ServeConfig
from gfp_serve.errors import MissingExtraError, SettingsError
from gfp_serve.layouts import NTU25
from gfp_serve.service.tracing import trace_calls
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, stream_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.http_calls import ask, sequence_of
from tests.support.servers import channel_to, running, small_config
from tests.support.tiny_bundle import walk

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EMBED = "gfp_serve.v1.EmbeddingService/Embed"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """A collector that keeps all spans by name, with their attributes."""

    def __init__(self) -> None:
        self.spans: list = []
        self.resources: list = []

    async def Export(self, request, context):  # noqa: N802
        for resource_spans in request.resource_spans:
            self.resources.append(resource_spans.resource)
            for scope in resource_spans.scope_spans:
                self.spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, ServeConfig]]:
    server, collector = grpc.aio.server(), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield collector, dataclasses.replace(small_config(), trace_to=f"http://127.0.0.1:{port}")
    finally:
        await server.stop(None)


def attributes_of(holder) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in holder.attributes}


async def test_each_call_has_a_span_with_its_status_below_the_callers_span(tmp_path: Path) -> None:
    async with collecting() as (collector, config):
        async with running(tmp_path, config) as server, channel_to(server) as channel:
            stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
            good = embedding_pb2.EmbedRequest(sequences=[write_sequence(walk(1), NTU25)])
            await stub.Embed(good, metadata=(("traceparent", f"00-{TRACE}-{PARENT}-01"),), timeout=20)
            with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT"):
                await stub.Embed(embedding_pb2.EmbedRequest(), timeout=20)
            stream = stream_pb2_grpc.StreamServiceStub(channel).EmbedStream(iter([]), timeout=20)
            with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT"):
                await stream.read()
        good_span, bad_span = (span for span in collector.spans if span.name.endswith("Embed"))
        assert {span.name.strip("/") for span in collector.spans} == {EMBED, "gfp_serve.v1.StreamService/EmbedStream"}
    assert (good_span.trace_id.hex(), good_span.parent_span_id.hex()) == (TRACE, PARENT)
    assert good_span.end_time_unix_nano > good_span.start_time_unix_nano
    assert attributes_of(good_span)["rpc.grpc.status_code"] == 0
    assert attributes_of(bad_span)["rpc.grpc.status_code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert attributes_of(collector.resources[0])["service.name"] == "gfp-serve"


async def test_calls_over_http_make_the_same_spans_as_over_grpc(tmp_path: Path) -> None:
    async with collecting() as (collector, config):
        async with running(tmp_path, dataclasses.replace(config, http_port=0)) as server:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            good = await ask(server, f"/{EMBED}", {"sequences": [sequence_of(walk(1))]}, **headers)
            # HTTP's own status does not tell how a call of gRPC-Web ended.
            bad = await ask(server, f"/{EMBED}", bytes(5), content_type="application/grpc-web+proto")
            stream = await ask(server, "/gfp_serve.v1.StreamService/EmbedStream", {"config": {"fps": -1}})
            nowhere = await ask(server, "/healthz")
            assert [each.code for each in (good, bad, stream, nowhere)] == [200, 200, 400, 200]
        spans = {span.name.strip("/"): span for span in collector.spans if span.trace_id.hex() != TRACE}
        (good_span,) = (span for span in collector.spans if span.trace_id.hex() == TRACE)
    assert (good_span.name.strip("/"), good_span.parent_span_id.hex()) == (EMBED, PARENT)
    assert spans.keys() == {EMBED, "gfp_serve.v1.StreamService/EmbedStream"}
    assert attributes_of(good_span)["rpc.grpc.status_code"] == 0
    for span in spans.values():
        assert attributes_of(span)["rpc.grpc.status_code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]


HOSTILE = (
    {"baggage": ",".join(["x" * 300] * 20)},
    {"baggage": "a=" + "b" * 4000},
    {"traceparent": "0" * 600},
    {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "A fake line of the log"},
    {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b," * 200 + "a=b"},
    {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": ",".join(f"k{number}=v" for number in range(40))},
)


async def test_callers_cannot_write_into_the_log_by_what_they_say_of_their_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with collecting() as (collector, config):
        async with (
            running(tmp_path, dataclasses.replace(config, http_port=0)) as server,
            channel_to(server) as channel,
        ):
            stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
            for said in HOSTILE:
                await stub.GetInfo(embedding_pb2.GetInfoRequest(), metadata=tuple(said.items()), timeout=20)
                assert (await ask(server, "/gfp_serve.v1.EmbeddingService/GetInfo", {}, **said)).code == 200
            parent = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "some/vendor@x=1, b=2"}
            await ask(server, f"/{EMBED}", {}, **parent)
        assert len(collector.spans) == 2 * len(HOSTILE) + 1
    (last,) = (span for span in collector.spans if span.name.endswith("Embed"))
    assert (last.trace_id.hex(), last.trace_state) == (TRACE, "some/vendor@x=1,b=2")
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


async def test_without_a_collector_every_call_is_still_answered(tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(), trace_to="http://127.0.0.1:1")
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        request = embedding_pb2.EmbedRequest(sequences=[write_sequence(walk(1), NTU25)])
        replies = await asyncio.gather(*(stub.Embed(request, timeout=20) for _ in range(20)))
    assert all(reply.embeddings for reply in replies)


def test_an_address_that_is_not_a_url_and_missing_packages_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="must be a URL"):
        trace_calls("127.0.0.1:4317", ())
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.instrumentation.grpc", None)
    with pytest.raises(MissingExtraError, match="extra 'trace'"):
        trace_calls("http://127.0.0.1:4317", ())
