"""A server from start to stop: health, reflection, draining, and the reasons not to start."""

import asyncio
import dataclasses
import os
import signal
import subprocess

import grpc
import numpy as np
import onnxruntime
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gfp_serve.bundle import Bundle
from gfp_serve.client import AsyncClient, Client, ClipItem
from gfp_serve.config import Limits, ServeConfig, is_loopback
from gfp_serve.errors import UnavailableError
from gfp_serve.items import MAX_ITEM_BYTES
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import SampleConfig
from gfp_serve.server import SERVICES
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.server_processes import COMMAND, process
from tests.support.servers import HANG_S, GatedEncoder, channel_to, running, small_config, unstarted
from tests.support.tiny_bundle import CONFIG, embedding_of, tiny_bundle, walk

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def refusal(*arguments, **environment):
    """Run a `gfp-serve` that must not start; return its exit code and standard error."""
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, env={**os.environ, **environment})
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_health_says_serving_for_the_server_and_each_service(tmp_path, service):
    async with running(tmp_path) as server, channel_to(server) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
        assert reply.status == SERVING


async def test_health_is_not_serving_until_the_encoder_is_warm(tmp_path):
    encoder = GatedEncoder(tiny_bundle())
    encoder.shut()
    async with unstarted(tmp_path, encoder=encoder) as server:
        start = asyncio.create_task(server.start())
        assert await asyncio.to_thread(encoder.entered.wait, HANG_S)
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            assert await client.health() is False
            encoder.gate.set()
            await start
            assert await client.health() is True
    assert [clip.shape for clip in encoder.seen] == [(1, 6, 25, 3), (2, 6, 25, 3)]


async def test_health_watchers_see_not_serving_before_calls_in_progress_are_finished(tmp_path):
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, encoder=encoder) as server, channel_to(server) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        encoder.shut()
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        request = embedding_pb2.EmbedRequest(sequences=[write_sequence(walk(1), NTU25)])
        in_progress = stub.Embed(request)
        assert await asyncio.to_thread(encoder.entered.wait, HANG_S)  # its request was taken
        stopping = asyncio.create_task(server.stop())
        assert (await watch.read()).status == NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Embed(request)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        encoder.gate.set()
        assert (await in_progress).embeddings
        await stopping


async def test_a_call_that_takes_longer_than_the_drain_is_cut_off(tmp_path, caplog):
    encoder = GatedEncoder(tiny_bundle())
    config = dataclasses.replace(small_config(), drain_s=0.05)
    async with running(tmp_path, config, encoder) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.info()
        encoder.shut()
        late = asyncio.create_task(client.embed(walk(1)))
        assert await asyncio.to_thread(encoder.entered.wait, HANG_S)  # its request was taken
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(UnavailableError):
            await late
        encoder.gate.set()
        await stopping
    assert "1 calls did not finish" in caplog.text


async def test_reflection_lists_our_services_and_health(tmp_path):
    async with running(tmp_path) as server, channel_to(server) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for reply in stub.ServerReflectionInfo(iter([request])):
            names = {service.name for service in reply.list_services_response.service}
    assert names == {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert set(SERVICES) == {
        "gfp_serve.v1.EmbeddingService",
        "gfp_serve.v1.GalleryService",
        "gfp_serve.v1.SnapshotService",
        "gfp_serve.v1.StreamService",
        "gfp_serve.v1.ViewService",
        "inference.GRPCInferenceService",
    }


async def test_a_port_that_is_in_use_is_refused_and_named(tmp_path):
    async with running(tmp_path / "a") as first:
        config = dataclasses.replace(small_config(), port=first.port)
        with pytest.raises(UnavailableError, match=f"cannot listen on .*:{first.port}"):
            async with running(tmp_path / "b", config):
                pass


def test_sigterm_finishes_calls_and_keeps_the_gallery(tmp_path, bundle_path):
    arguments = ("--bundle", bundle_path, "--gallery", tmp_path / "gallery", "--port", 0)
    for number in (1, 2):
        with process(*arguments) as (server, address), Client(address) as client:
            client.upsert([ClipItem(f"clip {number}", walk(number), "wave")])
            assert client.info().num_items == number
            np.testing.assert_allclose(client.get(["clip 1"])[0].vector, embedding_of(walk(1)), atol=1e-5)
            server.send_signal(signal.SIGTERM)
            assert server.wait(HANG_S) == 0
            assert "shutting down" in server.stderr.read()


def test_sigint_stops_the_server_too_and_without_a_gallery_it_warns_that_items_are_lost(bundle_path):
    with process("--bundle", bundle_path, GFP_SERVE_PORT="0") as (server, address):
        with Client(address) as client:
            assert client.info().durable is False
        server.send_signal(signal.SIGINT)
        assert server.wait(HANG_S) == 0
        assert "lost when the server exits" in server.stderr.read()


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is here")
def test_with_device_cuda_and_no_gpu_the_server_does_not_start(bundle_path):
    code, error = refusal("--bundle", bundle_path, "--port", 0, "--device", "cuda")
    assert code == 1
    assert "CUDA cannot be used" in error
    assert "--device cpu" in error


def test_the_server_does_not_start_with_a_bundle_whose_encoder_gives_other_vectors(tmp_path):
    bundle = tiny_bundle()
    turned = [dataclasses.replace(clip, embedding=np.roll(clip.embedding, 1)) for clip in bundle.canonical]
    Bundle(bundle.manifest, bundle.model, tuple(turned)).write(tmp_path / "bundle")
    code, error = refusal("--bundle", tmp_path / "bundle", "--port", 0)
    assert code == 1
    assert "gives other vectors here" in error


def test_the_server_does_not_start_with_a_gallery_of_another_encoder(tmp_path, bundle_path):
    with process("--bundle", bundle_path, "--gallery", tmp_path / "gallery", "--port", 0):
        pass
    # Other settings that happen to give the same vectors for these clips: only the digest counts.
    other = tiny_bundle(preprocess=dataclasses.replace(CONFIG, sampling=SampleConfig(num_frames=6, crop=0.999)))
    other.write(tmp_path / "other")
    code, error = refusal("--bundle", tmp_path / "other", "--gallery", tmp_path / "gallery", "--port", 0)
    assert code == 1
    assert other.manifest.encoder_digest[:12] in error
    assert tiny_bundle().manifest.encoder_digest[:12] in error


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_listening_beyond_loopback_needs_insecure(host):
    with pytest.raises(ValueError, match="--insecure"):
        ServeConfig(host=host)
    assert ServeConfig(host=host, insecure=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_flag(host):
    assert is_loopback(host)
    assert ServeConfig(host=host).insecure is False


@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_an_ipv6_address_is_put_in_brackets_once(tmp_path, monkeypatch, host):
    asked = []

    def add_insecure_port(_server, address):
        asked.append(address)
        raise RuntimeError

    monkeypatch.setattr(grpc.aio._server.Server, "add_insecure_port", add_insecure_port)
    with pytest.raises(UnavailableError):
        async with running(tmp_path, dataclasses.replace(small_config(), host=host)):
            pass
    assert asked == ["[::1]:0"]


def test_a_refused_option_gives_one_line_and_exit_code_2():
    code, error = refusal("--host", "0.0.0.0")
    assert code == 2
    assert "Error: --host is 0.0.0.0" in error


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"port": 70_000}, "--port is 70000"),
        ({"num_threads": -1}, "--num-threads is -1"),
        ({"max_batch_bodies": 1}, "--max-batch-bodies is 1"),
        ({"max_admitted_bodies": 511}, "512 bodies"),
        ({"drain_s": -0.5}, "--drain-s"),
        ({"drain_s": float("nan")}, "--drain-s is nan"),
        ({"drain_s": float("inf")}, "--drain-s is inf"),
        ({"num_threads": 1025}, "--num-threads is 1025; it must lie between 0 and 1024"),
        ({"num_threads": 99_999_999_999}, "--num-threads is 99999999999"),
        ({"max_calls": 0}, "--max-calls is 0"),
        ({"max_admitted_bodies": 2**31}, "--max-admitted-bodies is 2147483648"),
    ],
)
def test_options_that_cannot_work_are_refused_with_their_name(wrong, words):
    with pytest.raises(ValueError, match=words):
        ServeConfig(**wrong)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
def test_a_limit_of_zero_is_refused(name):
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} is 0"):
        Limits(**{name: 0})


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
def test_every_limit_fits_into_the_message_for_clients_or_is_refused(name):
    # What an item may be is the same for all ways in, so this limit is lower.
    most = MAX_ITEM_BYTES if name == "max_item_bytes" else 2**31 - 1
    Limits(**{name: most})
    embedding_pb2.Limits(**{name: most})
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} is {most + 1}"):
        Limits(**{name: most + 1})


def test_what_a_killed_server_left_of_its_callers_is_removed_at_the_next_start(bundle_path, tmp_path):
    place = tmp_path / "temporary"
    for name in ("gfp-process-left", "gfp-gallery-left"):
        (place / name / "folder").mkdir(parents=True)
    with process("--bundle", bundle_path, "--port", 0, TMPDIR=str(place)):
        (own,) = place.iterdir()
        assert own.name.startswith("gfp-gallery-")
        assert (own / "galleries").exists()
