"""The REST form of the Open Inference Protocol: JSON, bytes behind it, and Triton's own client in an environment."""

import json
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.client import AsyncClient, Client, ClipItem
from gfp_serve.server import Server
from tests.support.http_calls import ask, http_config
from tests.support.servers import running, server_in_thread
from tests.support.tiny_bundle import SIZE, walk

CLIPS = np.stack([walk(number)[:20] for number in range(2)]).astype(np.float32)
ENCODER, KNN = "/v2/models/gfp-encoder", "/v2/models/gfp-knn"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, http_config(max_sequences=4, max_top_k=3)) as running_server:
        async with AsyncClient(f"127.0.0.1:{running_server.port}") as client:
            await client.upsert([ClipItem(f"clip{number}", walk(number), f"class{number % 2}") for number in range(4)])
        yield running_server


def tensor(name: str, values: np.ndarray, datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    said = {"name": name, "shape": list(values.shape), "datatype": datatype}
    return {**said, **(more or {"data": values.tolist()})}


async def test_the_server_and_its_models_describe_themselves(server: Server) -> None:
    about = (await ask(server, "/v2")).said
    assert (about["name"], "binary_tensor_data" in about["extensions"]) == ("gfp-serve", True)
    for path, code in (
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        (f"{ENCODER}/ready", 200),
        (f"{ENCODER}/versions/1/ready", 200),
        (f"{ENCODER}/versions/2/ready", 400),
        ("/v2/models/x/ready", 400),
        ("/v2/models/x", 404),
        (f"{KNN}/stats", 200),
        ("/v2/models/stats", 200),
    ):
        assert (await ask(server, path)).code == code, path
    model = (await ask(server, f"{ENCODER}/versions/1")).said
    assert model["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": [-1, SIZE]}]
    config = (await ask(server, f"{KNN}/config")).said
    assert [each["data_type"] for each in config["output"]] == ["TYPE_STRING", "TYPE_FP32", "TYPE_STRING", "TYPE_FP32"]


async def test_json_and_bytes_behind_it_give_our_services_embeddings(server: Server) -> None:
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        expected = await client.embed(list(CLIPS))
    reply = await ask(server, f"{ENCODER}/infer", {"id": "mine", "inputs": [tensor("skeleton", CLIPS)]})
    (output,) = reply.said["outputs"]
    assert (reply.said["model_name"], reply.said["id"], output["shape"]) == ("gfp-encoder", "mine", [2, SIZE])
    np.testing.assert_array_equal(np.array(output["data"], np.float32).reshape(2, SIZE), expected)
    about = {"inputs": [tensor("skeleton", CLIPS, parameters={"binary_data_size": CLIPS.nbytes})]}
    for asked in ({"parameters": {"binary_data_output": True}}, _wanted("embedding", binary_data=True)):
        text = json.dumps({**about, **asked}).encode()
        lengths = {"inference_header_content_length": str(len(text))}
        reply = await ask(server, f"{ENCODER}/infer", text + CLIPS.tobytes(), **lengths)
        length = int(reply.headers["inference-header-content-length"])
        size = json.loads(reply.content[:length])["outputs"][0]["parameters"]["binary_data_size"]
        assert size == len(reply.content) - length == expected.nbytes
        np.testing.assert_array_equal(np.frombuffer(reply.content[length:], "<f4").reshape(2, SIZE), expected)


def _wanted(name: str, **parameters: bool) -> dict[str, Any]:
    return {"outputs": [{"name": name, "parameters": parameters}]}


async def test_neighbours_and_their_vote_come_as_texts_and_numbers(server: Server) -> None:
    whole = np.stack([walk(number) for number in range(2)])
    inputs = [tensor("skeleton", whole), tensor("k", np.array([2]), "INT32")]
    found = {each["name"]: each for each in (await ask(server, f"{KNN}/infer", {"inputs": inputs})).said["outputs"]}
    assert found["ids"]["shape"] == found["similarity"]["shape"] == [2, 2]
    assert found["ids"]["data"][::2] == ["clip0", "clip1"]
    assert found["label"]["data"] == ["class0", "class1"]
    by_parameter = {"inputs": inputs[:1], "parameters": {"k": 2, "gallery": "default"}, **_wanted("label")}
    (only,) = (await ask(server, f"{KNN}/infer", by_parameter)).said["outputs"]
    assert only["data"] == found["label"]["data"]


SKELETON = tensor("skeleton", CLIPS)
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("inputs[0]", {"inputs": [{**SKELETON, "data": [1.0]}]}, "its shape [2, 9, 1, 25, 3] of FP32 asks for"),
    ("inputs[0]", {"inputs": [{**SKELETON, "data": None}]}, "it has no data"),
    ("inputs[0]", {"inputs": [{**SKELETON, "data": ["x"]}]}, "must hold numbers"),
    ("inputs[0]", {"inputs": [{**SKELETON, "datatype": "FP64"}]}, "it must be FP32"),
    ("inputs[0]", {"inputs": [{**SKELETON, "shape": "x"}]}, "a value is missing or has the wrong type"),
    ("inputs[0]", {"inputs": [{"name": "skeleton"}]}, "a value is missing or has the wrong type"),
    ("inputs[0]", {"inputs": [{**SKELETON, "parameters": {"binary_data_size": 8}}]}, "0 bytes are left"),
    ("inputs[0].parameters", {"inputs": [{**SKELETON, "parameters": [1]}]}, "an object of parameters"),
    ("inputs[0].parameters", {"inputs": [{**SKELETON, "parameters": "x"}]}, "an object of parameters"),
    *(
        (
            "inputs[0]",
            {"inputs": [{"name": "k", "datatype": "INT32", "shape": [1], "data": data}]},
            "whole numbers of 32",
        )
        for data in ([1.5], [2**31], [2**70], ["1"], [True], [None], [[1], [1, 2]])
    ),
    ("inputs[0].dtype", {"inputs": [{**SKELETON, "dtype": 1}]}, "there is no field 'dtype'"),
    ("inputs", {"inputs": 3}, "a list of objects"),
    ("outputs", {"inputs": [SKELETON], "outputs": [{"name": "x"}]}, "'x' is not an output"),
    ("parameters.k", {"inputs": [SKELETON], "parameters": {"k": [1]}}, "wrong type"),
    ("parameters", {"inputs": [SKELETON], "parameters": 3}, "an object of parameters"),
    ("input", {"input": []}, "there is no field 'input'"),
]


async def test_a_wrong_request_is_refused_with_the_protocol_s_error(server: Server) -> None:
    for field, body, words in WRONG:
        reply = await ask(server, f"{ENCODER}/infer", body)
        assert reply.code == 400, words
        assert words in reply.said["error"], reply.said
        assert reply.said.get("field", "") == field, words
    for length in ("x", "99999", "-1", "\u00b2", 5000 * "1"):
        reply = await ask(server, f"{ENCODER}/infer", b"{}", inference_header_content_length=length)
        assert "inference-header-content-length" in reply.said["error"]
    left = await ask(server, f"{ENCODER}/infer", b"{}abc", inference_header_content_length="2")
    assert "3 bytes behind the JSON belong to no input" in left.said["error"]
    missing = await ask(server, "/v2/models/x/infer", {"inputs": []})
    assert (missing.code, missing.said["reason"]) == (404, "MODEL_NOT_FOUND")


STOCK_CLIENT = """
import json, sys
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1])
clips = np.load(sys.argv[2])
told = {
    "live": client.is_server_live(), "ready": client.is_server_ready(), "model": client.is_model_ready("gfp-encoder"),
    "server": client.get_server_metadata()["name"],
    "outputs": [each["name"] for each in client.get_model_metadata("gfp-knn")["outputs"]],
    "config": client.get_model_config("gfp-encoder")["name"],
}
for binary in (True, False):
    skeleton = triton.InferInput("skeleton", clips.shape, "FP32")
    skeleton.set_data_from_numpy(clips, binary_data=binary)
    wanted = [triton.InferRequestedOutput("embedding", binary_data=binary)]
    told[f"embedding {binary}"] = client.infer("gfp-encoder", [skeleton], outputs=wanted).as_numpy("embedding").tolist()
k = triton.InferInput("k", [1], "INT32")
k.set_data_from_numpy(np.array([1], np.int32))
found = client.infer("gfp-knn", [skeleton, k])
told["ids"] = [[each.decode() for each in row] for row in found.as_numpy("ids")]
told["label"] = [each.decode() for each in found.as_numpy("label")]
try:
    client.infer("gfp-knn", [k])
except triton.InferenceServerException as error:
    told["error"] = str(error)
told["count"] = client.get_inference_statistics("gfp-encoder")["model_stats"][0]["inference_count"]
print(json.dumps(told))
"""


@pytest.mark.install
@pytest.mark.timeout(600)
def test_tritons_own_client_gets_embeddings_and_neighbours(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-compile", "tritonclient[http]==2.69.0"], check=True)
    whole = np.stack([walk(number) for number in range(2)]).astype(np.float32)
    np.save(tmp_path / "clips.npy", whole)
    with server_in_thread(tmp_path, http_config()) as server:
        with Client(f"127.0.0.1:{server.port}") as ours:
            ours.upsert([ClipItem(f"clip{number}", walk(number), f"class{number}") for number in range(3)])
            expected = ours.embed(list(whole))
        # Isolated: it can import neither this repository nor this environment's packages.
        done = subprocess.run(
            [python, "-I", "-c", STOCK_CLIENT, f"127.0.0.1:{server.http_port}", tmp_path / "clips.npy"],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    np.testing.assert_array_equal(np.array(told.pop("embedding True"), np.float32), expected)
    np.testing.assert_array_equal(np.array(told.pop("embedding False"), np.float32), expected)
    assert "takes either skeleton or embedding as input" in told.pop("error")
    assert told == {
        "live": True,
        "ready": True,
        "model": True,
        "server": "gfp-serve",
        "outputs": ["ids", "similarity", "label", "label_score"],
        "config": "gfp-encoder",
        "ids": [["clip0"], ["clip1"]],
        "label": ["class0", "class1"],
        "count": 4,
    }
