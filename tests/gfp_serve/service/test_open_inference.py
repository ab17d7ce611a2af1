"""The Open Inference Protocol: valid and invalid messages, and Triton's own client in a separate environment."""

import json
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from gfp_serve.client import AsyncClient, Client, ClipItem
from gfp_serve.conventions import Conventions
from gfp_serve.errors import GalleryError
from gfp_serve.server import Server
from gfp_serve.service.open_inference_tensors import reading_tensors
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.v1 import open_inference_pb2_grpc
from tests.support.inference_messages import inference_request, outputs_of
from tests.support.servers import channel_to, running, running_in_thread, small_config
from tests.support.tiny_bundle import SIZE, embedding_of, walk

Stub = open_inference_pb2_grpc.GRPCInferenceServiceStub


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, small_config(max_sequences=4, max_frames=50, max_top_k=3)) as running_server:
        async with AsyncClient(f"127.0.0.1:{running_server.port}") as client:
            await client.upsert([ClipItem(f"clip{number}", walk(number), f"class{number % 2}") for number in range(4)])
        yield running_server


@pytest.fixture
async def stub(server: Server) -> AsyncIterator[Stub]:
    async with channel_to(server) as channel:
        yield Stub(channel)


CLIPS = np.stack([walk(number)[:20] for number in range(3)]).astype(np.float32)  # clips, frames, bodies, joints, 3


async def test_the_server_and_its_models_describe_themselves(stub: Stub) -> None:
    assert (await stub.ServerLive(oip.ServerLiveRequest())).live
    assert (await stub.ServerReady(oip.ServerReadyRequest())).ready
    assert (await stub.ServerMetadata(oip.ServerMetadataRequest())).name == "gfp-serve"
    for name, version, ready in (
        ("gfp-encoder", "", True),
        ("gfp-knn", "1", True),
        ("gfp-knn", "2", False),
        ("x", "", False),
    ):
        assert (await stub.ModelReady(oip.ModelReadyRequest(name=name, version=version))).ready is ready
    found = await stub.ModelMetadata(oip.ModelMetadataRequest(name="gfp-encoder"))
    assert [(each.name, each.datatype, list(each.shape)) for each in (*found.inputs, *found.outputs)] == [
        ("skeleton", "FP32", [-1, -1, -1, -1, -1]),
        ("embedding", "FP32", [-1, SIZE]),
    ]
    config = (await stub.ModelConfig(oip.ModelConfigRequest(name="gfp-knn"))).config
    assert [each.name for each in config.output] == ["ids", "similarity", "label", "label_score"]


async def test_raw_and_typed_input_with_or_without_a_body_axis_give_our_services_embeddings(
    stub: Stub, server: Server
) -> None:
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        expected = await client.embed(list(CLIPS))
    reply = await stub.ModelInfer(inference_request(skeleton=CLIPS))
    np.testing.assert_array_equal(outputs_of(reply)["embedding"], expected)
    assert (reply.model_name, reply.model_version) == ("gfp-encoder", "1")
    first_bodies = np.ascontiguousarray(CLIPS[:, :, 0])
    without_axis = outputs_of(await stub.ModelInfer(inference_request(skeleton=first_bodies)))["embedding"]
    np.testing.assert_allclose(without_axis[0], embedding_of(first_bodies[0]), atol=1e-5)
    typed = oip.ModelInferRequest(model_name="gfp-encoder", id="mine")
    contents = oip.InferTensorContents(fp32_contents=CLIPS.reshape(-1))
    typed.inputs.add(name="skeleton", datatype="FP32", shape=CLIPS.shape, contents=contents)
    reply = await stub.ModelInfer(typed)
    np.testing.assert_array_equal(outputs_of(reply)["embedding"], expected)
    assert reply.id == "mine"


async def test_parameters_say_the_conventions_of_the_clips(stub: Stub) -> None:
    expected = outputs_of(await stub.ModelInfer(inference_request(skeleton=CLIPS)))["embedding"]
    z_up = (CLIPS @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float32) * 100).astype(np.float32)
    request = inference_request(skeleton=z_up)
    request.parameters["up"].string_param, request.parameters["unit"].string_param = "z", "cm"
    np.testing.assert_allclose(outputs_of(await stub.ModelInfer(request))["embedding"], expected, atol=1e-4)
    request.parameters["unit"].string_param = "furlong"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ModelInfer(request)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "unit is 'furlong'; choose one of m, dm, cm" in refused.value.details()


async def test_joints_of_an_image_give_our_services_embeddings(stub: Stub, server: Server) -> None:
    image = (CLIPS[..., :2] * (1, -1) * 0.2 + 0.5).astype(np.float32)
    seen = np.ones_like(image[..., :1])
    seen[:, 5:9, :, 7] = 0.4
    said = Conventions(image_size=(640, 320), min_confidence=0.5)
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        expected = await client.embed(list(image), conventions=said)
        said = replace(said, dimensions=2)
        with_gap = await client.embed(list(np.concatenate([image, seen], axis=-1)), conventions=said)
    assert not np.allclose(with_gap, expected, atol=1e-4)
    request = inference_request(skeleton=image)
    request.parameters["image_width"].int64_param, request.parameters["image_height"].int64_param = 640, 320
    np.testing.assert_array_equal(outputs_of(await stub.ModelInfer(request))["embedding"], expected)
    request = inference_request(skeleton=np.concatenate([image, seen], axis=-1))
    request.parameters["image_width"].int64_param, request.parameters["image_height"].double_param = 640, 320
    request.parameters["dimensions"].int64_param, request.parameters["min_confidence"].double_param = 2, 0.5
    np.testing.assert_array_equal(outputs_of(await stub.ModelInfer(request))["embedding"], with_gap)
    request.parameters["dimensions"].double_param = 1.5
    with pytest.raises(grpc.aio.AioRpcError, match=r"dimensions: it is 1\.5; joints have 2 or 3"):
        await stub.ModelInfer(request)
    request.parameters["dimensions"].int64_param = 3
    with pytest.raises(grpc.aio.AioRpcError, match="image_width: it is for joints of an image"):
        await stub.ModelInfer(request)
    request.parameters["dimensions"].int64_param = 2
    for name, wrong in {"image_width": "640", "dimensions": "2"}.items():
        request.parameters[name].string_param = wrong
        with pytest.raises(grpc.aio.AioRpcError, match=f"{name}: it must be a number, 0 or more"):
            await stub.ModelInfer(request)
        request.parameters[name].int64_param = int(wrong)
    request.parameters["min_confidence"].double_param = 2
    with pytest.raises(grpc.aio.AioRpcError, match=r"min_confidence: it is 2\.0; expected a number from 0 to 1"):
        await stub.ModelInfer(request)


async def test_clips_and_embeddings_give_neighbours_and_their_vote(stub: Stub) -> None:
    whole = np.stack([walk(number) for number in range(2)]).astype(np.float32)
    found = outputs_of(await stub.ModelInfer(inference_request("gfp-knn", skeleton=whole, k=np.array([2], np.int32))))
    assert found["ids"].shape == found["similarity"].shape == (2, 2)
    assert found["ids"][:, 0].tolist() == ["clip0", "clip1"]
    assert found["label"].tolist() == ["class0", "class1"]
    assert (found["label_score"] > 0.5).all()
    embeddings = outputs_of(await stub.ModelInfer(inference_request(skeleton=whole)))["embedding"]
    asked = inference_request("gfp-knn", embedding=embeddings)
    asked.parameters["k"].int64_param = 1
    asked.outputs.add(name="ids")
    from_embeddings = outputs_of(await stub.ModelInfer(asked))
    assert list(from_embeddings) == ["ids"]
    assert from_embeddings["ids"].tolist() == [["clip0"], ["clip1"]]


def changed(**fields: object) -> oip.ModelInferRequest:
    """Return a good request with other values in its first input."""
    message = inference_request(skeleton=CLIPS)
    for name, value in fields.items():
        if name == "shape":
            del message.inputs[0].shape[:]
            message.inputs[0].shape.extend(value)
        elif name == "raw":
            del message.raw_input_contents[:]
            message.raw_input_contents.extend(value)
        else:
            setattr(message.inputs[0], name, value)
    return message


BOTH = inference_request(skeleton=CLIPS)
BOTH.inputs[0].contents.fp32_contents.append(1.0)
HALF = inference_request("gfp-knn", skeleton=CLIPS)
HALF.parameters["k"].double_param = 2.5
LAYOUT = inference_request(skeleton=CLIPS)
LAYOUT.parameters["layout"].string_param = "octopus"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (changed(raw=[b""]), "has 0 raw bytes"),
        (changed(raw=[CLIPS.tobytes()[:-1]]), "asks for"),
        (changed(raw=[CLIPS.tobytes()] * 2), "2 entries for 1 inputs"),
        (changed(shape=[3, 21, 1, 25, 3]), "asks for"),
        # Before any number is read.
        (changed(shape=[1, 10**9, 25, 3], raw=[b""]), "has 1000000000 frames"),
        (changed(shape=[2**62, 2**62, 25, 3]), "1 to 4 of them"),
        (changed(shape=[-1, 20, 1, 25, 3]), "every axis must be 1 or more"),
        (changed(shape=[]), "has 0 axes; it must have 1 to 8"),
        # numpy has no such shapes. Multiplying the sizes of the last one would take seconds.
        (changed(shape=[1] * 65, raw=[bytes(4)]), "has 65 axes"),
        (changed(shape=[0, 2**62, 2**62], raw=[b""]), "every axis must be 1 or more"),
        (changed(shape=[2**62] * 25_000), "has 25000 axes"),
        (changed(shape=[CLIPS.size]), "its shape is"),
        (changed(datatype="FP64"), "it must be FP32"),
        (changed(datatype=""), "it must be FP32"),
        (changed(name="x"), "input 'x' is unknown; gfp-encoder takes skeleton"),
        (BOTH, "both raw and typed contents"),
        (LAYOUT, "octopus"),
        (inference_request(), "gfp-encoder takes one input"),
        (inference_request(skeleton=CLIPS[:0]), "every axis must be 1 or more"),
        (inference_request(skeleton=CLIPS[:, :0]), "every axis must be 1 or more"),
        (inference_request(skeleton=np.repeat(CLIPS, 2, axis=0)), "1 to 4 of them"),
        (inference_request(skeleton=np.repeat(CLIPS, 10, axis=1)), "has 90 frames"),
        (inference_request(skeleton=np.full_like(CLIPS, np.nan)), "skeleton[0]"),
        (inference_request("gfp-knn"), "send one of them"),
        (inference_request("gfp-knn", skeleton=CLIPS, k=np.array([0], np.int32)), "gives 1 to 3"),
        (inference_request("gfp-knn", skeleton=CLIPS, k=np.array([4], np.int32)), "gives 1 to 3"),
        (inference_request("gfp-knn", skeleton=CLIPS, k=np.array([1, 1], np.int32)), "it must hold one"),
        (HALF, "it is 2.5; it must be a whole number"),
        (inference_request("gfp-knn", embedding=np.zeros((1, SIZE), np.float32)), "no direction"),
        (inference_request("gfp-knn", embedding=np.ones((1, SIZE + 1), np.float32)), "its shape is"),
    ],
)
async def test_a_contradictory_request_is_refused_with_the_reason(
    stub: Stub, message: oip.ModelInferRequest, said: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ModelInfer(message)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert said in refused.value.details()


def test_typed_numbers_are_read_in_pieces_so_that_others_have_their_turn() -> None:
    numbers = np.arange(100_000, dtype=np.float32)
    message = oip.ModelInferRequest()
    message.inputs.add(name="skeleton", datatype="FP32", shape=[100, 1000])
    message.inputs[0].contents.fp32_contents.extend(numbers)
    tensors: dict[str, np.ndarray] = {}
    num_pieces = sum(1 for _ in reading_tensors(message, tensors))
    assert num_pieces > 10
    assert np.array_equal(tensors["skeleton"], numbers.reshape(100, 1000))


async def test_an_unknown_model_version_or_output_is_refused(stub: Stub) -> None:
    for message in (inference_request("x"), oip.ModelInferRequest(model_name="gfp-encoder", model_version="7")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ModelInfer(message)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    message = inference_request(skeleton=CLIPS)
    message.outputs.add(name="y")
    with pytest.raises(grpc.aio.AioRpcError, match="'y' is not an output; gfp-encoder gives embedding"):
        await stub.ModelInfer(message)


async def test_a_stream_answers_in_order_and_goes_on_after_a_request_that_fails(stub: Stub) -> None:
    bad = changed(datatype="FP64")
    good, bad.id = inference_request(skeleton=CLIPS), "bad"
    replies = [reply async for reply in stub.ModelStreamInfer(iter([good, bad, good]))]
    assert [bool(reply.error_message) for reply in replies] == [False, True, False]
    assert replies[1].infer_response.id == "bad"
    assert replies[1].error_message == "inputs[0]: skeleton has datatype 'FP64'; it must be FP32."
    np.testing.assert_array_equal(
        outputs_of(replies[0].infer_response)["embedding"], outputs_of(replies[2].infer_response)["embedding"]
    )


async def test_a_request_with_a_long_id_or_layout_does_not_end_its_stream(stub: Stub) -> None:
    text = "\1" * 10 * 2**20  # four times as long where it is quoted
    bad, good = inference_request(skeleton=CLIPS), inference_request(skeleton=CLIPS)
    bad.parameters["layout"].string_param, bad.id = text, text
    replies = [reply async for reply in stub.ModelStreamInfer(iter([bad, good]))]
    assert [bool(reply.error_message) for reply in replies] == [True, False]
    assert "choose one of azure32" in replies[0].error_message
    assert replies[0].ByteSize() < 2000


async def test_a_fault_of_the_server_ends_a_stream_without_internal_details(
    stub: Stub, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise GalleryError("the gallery /secret/path cannot be read")

    monkeypatch.setattr(server.deployment.galleries[""], "search", fail)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        [reply async for reply in stub.ModelStreamInfer(iter([inference_request("gfp-knn", skeleton=CLIPS)]))]
    assert ended.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in ended.value.details()


async def test_a_reply_that_would_be_too_large_is_refused_with_the_reason(tmp_path: Path) -> None:
    config = small_config(max_message_bytes=2**14)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            await client.upsert([ClipItem(f"{number}" + 200 * "é", walk(number)) for number in range(10)])
        queries = np.ones((100, SIZE), np.float32)
        many, named = (
            inference_request("gfp-knn", embedding=queries),
            inference_request("gfp-knn", embedding=queries[:1]),
        )
        named.id = "x" * (2**14 - 300)
        for message in (many, named):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await Stub(channel).ModelInfer(message)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "lower k, shorten the id or send fewer clips" in refused.value.details()
        many.outputs.add(name="similarity")
        assert outputs_of(await Stub(channel).ModelInfer(many))["similarity"].shape == (100, 5)


async def test_statistics_count_clips_calls_and_failures(stub: Stub) -> None:
    await stub.ModelInfer(inference_request(skeleton=CLIPS))
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.ModelInfer(changed(datatype="FP64"))
    (found,) = (await stub.ModelStatistics(oip.ModelStatisticsRequest(name="gfp-encoder"))).model_stats
    assert (found.inference_count, found.execution_count) == (3, 1)
    assert (found.inference_stats.success.count, found.inference_stats.fail.count) == (1, 1)
    assert found.inference_stats.compute_infer.ns > 0
    assert len((await stub.ModelStatistics(oip.ModelStatisticsRequest())).model_stats) == 2


STOCK_CLIENT = """
import json, sys
import numpy as np
import tritonclient.grpc as triton

client = triton.InferenceServerClient(sys.argv[1])
clips = np.load(sys.argv[2])
told = {
    "live": client.is_server_live(), "ready": client.is_server_ready(), "model": client.is_model_ready("gfp-encoder"),
    "server": client.get_server_metadata(as_json=True)["name"],
    "outputs": [each["name"] for each in client.get_model_metadata("gfp-knn", as_json=True)["outputs"]],
    "config": client.get_model_config("gfp-encoder", as_json=True)["config"]["name"],
}
skeleton = triton.InferInput("skeleton", clips.shape, "FP32")
skeleton.set_data_from_numpy(clips)
told["embedding"] = client.infer("gfp-encoder", [skeleton]).as_numpy("embedding").tolist()
k = triton.InferInput("k", [1], "INT32")
k.set_data_from_numpy(np.array([1], np.int32))
found = client.infer("gfp-knn", [skeleton, k])
told["ids"] = [[each.decode() for each in row] for row in found.as_numpy("ids")]
told["label"] = [each.decode() for each in found.as_numpy("label")]
streamed = []
client.start_stream(lambda result, error: streamed.append((result, error)))
client.async_stream_infer("gfp-encoder", [skeleton])
client.stop_stream()
(result, error), = streamed
told["streamed"] = error is None and result.as_numpy("embedding").tolist() == told["embedding"]
told["statistics"] = client.get_inference_statistics("gfp-encoder", as_json=True)["model_stats"][0]["inference_count"]
print(json.dumps(told))
"""


@pytest.mark.install
@pytest.mark.timeout(600)
def test_tritons_own_client_gets_embeddings_and_neighbours(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-compile", "tritonclient[grpc]==2.73.0"], check=True)
    whole = np.stack([walk(number) for number in range(2)]).astype(np.float32)
    np.save(tmp_path / "clips.npy", whole)
    with running_in_thread(tmp_path) as address:
        with Client(address) as ours:
            ours.upsert([ClipItem(f"clip{number}", walk(number), f"class{number}") for number in range(3)])
            expected = ours.embed(list(whole))
        # Isolated: it can import neither this repository nor this environment's packages.
        done = subprocess.run(
            [python, "-I", "-c", STOCK_CLIENT, address, tmp_path / "clips.npy"], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    np.testing.assert_allclose(told.pop("embedding"), expected, atol=1e-6)
    assert told == {
        "live": True,
        "ready": True,
        "model": True,
        "server": "gfp-serve",
        "outputs": ["ids", "similarity", "label", "label_score"],
        "config": "gfp-encoder",
        "ids": [["clip0"], ["clip1"]],
        "label": ["class0", "class1"],
        "streamed": True,
        "statistics": "4",  # two clips, in one call and in one stream
    }
