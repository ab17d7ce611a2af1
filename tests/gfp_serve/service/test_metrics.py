"""Metrics over HTTP, and logs."""

import asyncio
import dataclasses
import json
import logging
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gfp_serve.client import AsyncClient, ClipItem
from gfp_serve.errors import GfpError, InvalidSkeletonError, OverloadedError, UnavailableError
from gfp_serve.logs import JsonFormatter
from gfp_serve.server import Server
from tests.support.servers import HANG_S, GatedEncoder, calls_in, running, small_config, until
from tests.support.tiny_bundle import tiny_bundle, walk

CONFIG = dataclasses.replace(small_config(), metrics_port=0)


async def scrape(server: Server) -> dict[str, float]:
    """Return every sample, by its name and labels as Prometheus writes them."""

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as reply:
            return reply.read().decode()

    text = await asyncio.to_thread(read)
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


async def test_calls_batches_and_the_gallery_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        before = await scrape(server)
        await client.embed([walk(1), walk(2)])
        await client.upsert([ClipItem("a", walk(1), "walk")])
        with pytest.raises(InvalidSkeletonError):
            await client.embed(walk(1)[:, :0])
        found = await scrape(server)
    embed = "gfp_serve.v1.EmbeddingService/Embed"
    assert found[f"gfp_requests_total{{code=OK,rpc={embed}}}"] == 1
    assert found[f"gfp_request_duration_seconds_count{{rpc={embed}}}"] >= 1
    assert found["gfp_queue_duration_seconds_count"] - before["gfp_queue_duration_seconds_count"] == 3
    assert found["gfp_batch_size_sum"] - before["gfp_batch_size_sum"] == 3
    assert found["gfp_inference_duration_seconds_sum"] > before["gfp_inference_duration_seconds_sum"]
    of_gallery = [found[f"gfp_gallery_{name}{{gallery=default}}"] for name in ("items", "generation")]
    assert (*of_gallery, found["gfp_queue_depth"]) == (1, 1, 0)
    (model,) = (name for name in found if name.startswith("gfp_model_info"))
    assert tiny_bundle().manifest.encoder_digest in model
    assert "provider=CPUExecutionProvider" in model


async def test_every_gallery_has_its_own_metrics_until_it_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.create_gallery("other")
        await client.upsert([ClipItem("a", walk(1)), ClipItem("b", walk(2))], gallery="other")
        found = await scrape(server)
        assert [found[f"gfp_gallery_items{{gallery={name}}}"] for name in ("default", "other")] == [0, 2]
        assert [found[f"gfp_gallery_generation{{gallery={name}}}"] for name in ("default", "other")] == [0, 1]
        await client.drop_gallery("other")
        assert [name for name in await scrape(server) if "gallery=" in name] == [
            "gfp_gallery_items{gallery=default}",
            "gfp_gallery_generation{gallery=default}",
        ]


async def test_refusals_are_counted_by_reason_and_so_are_clips_whose_caller_left(tmp_path: Path) -> None:
    encoder = GatedEncoder(tiny_bundle())
    config = dataclasses.replace(CONFIG, max_calls=2, behind_proxy=True)
    async with running(tmp_path, config, encoder) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.info()  # it asks once, before its first call
        encoder.shut()
        first = asyncio.create_task(client.embed(walk(1)))
        assert await asyncio.to_thread(encoder.entered.wait, HANG_S)
        second = asyncio.create_task(client.embed(walk(2)))
        await until(lambda: bool(server.deployment.batcher._lines))
        assert (await scrape(server))["gfp_calls_in_progress"] == 2
        with pytest.raises(OverloadedError):
            await client.info()
        second.cancel()
        await calls_in(server, 1)
        encoder.gate.set()
        await first
        await client.embed(walk(3))
        found = await scrape(server)
    assert found["gfp_rejected_total{reason=overloaded}"] == 1
    assert found["gfp_dropped_total"] == 1
    assert found["gfp_requests_total{code=CANCELLED,rpc=gfp_serve.v1.EmbeddingService/Embed}"] == 1


async def test_a_metrics_port_that_is_in_use_is_reported(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = dataclasses.replace(CONFIG, metrics_port=taken.getsockname()[1])
        with pytest.raises(UnavailableError, match="choose another --metrics-port"):
            async with running(tmp_path, config):
                pass


def test_a_log_line_is_one_json_object_with_all_its_fields() -> None:
    try:
        raise GfpError("over\nlines")
    except GfpError:
        record = logging.getLogger("gfp").makeRecord(
            "gfp", logging.ERROR, "file", 1, "request_id=%s failed", ("x1",), True, extra={"request_id": "x1"}
        )
        record.exc_info = sys.exc_info()
    line = JsonFormatter().format(record)
    assert "\n" not in line
    values = json.loads(line)
    assert (values["level"], values["logger"], values["message"]) == ("error", "gfp", "request_id=x1 failed")
    assert values["request_id"] == "x1"
    assert "GfpError" in values["exception"]
    assert values["time"].endswith("Z")


async def test_a_batch_size_is_measured_when_none_is_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    config = dataclasses.replace(small_config(), max_batch_bodies=0)
    async with running(tmp_path, config) as server:
        assert 2 <= server.deployment.batcher.pace.max_bodies <= 128
    assert "ms_per_body" in caplog.text
