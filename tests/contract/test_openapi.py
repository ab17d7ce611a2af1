"""The description of the HTTP port is OpenAPI, is made from the protos as they are, and says what servers do."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pool
from jsonschema import Draft202012Validator

from gfp_serve import __version__
from gfp_serve.server import SERVICES
from tests.support.http_calls import ask, http_config, sequence_of
from tests.support.servers import running
from tests.support.tiny_bundle import walk

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "gfp_serve" / "service" / "http" / "openapi.json"
DESCRIPTION = json.loads(SHIPPED.read_text())
# By the OpenAPI Initiative: https://spec.openapis.org/oas/3.1/schema/2022-10-07
SPECIFICATION = json.loads((Path(__file__).parent / "openapi_spec" / "openapi-3.1.json").read_text())


def methods() -> Iterator[Any]:
    for service in SERVICES:
        yield from descriptor_pool.Default().FindServiceByName(service).methods


def schema_of(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DESCRIPTION["components"]["schemas"][name], "components": DESCRIPTION["components"]})


def test_the_description_is_made_from_the_protos_as_they_are():
    command = "import sys; sys.path.insert(0, 'docs/_ext'); import openapi; print(openapi.written(), end='')"
    made = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)

    assert made.stdout == SHIPPED.read_text(), "run `make proto`"
    assert DESCRIPTION["info"]["version"] == __version__


def test_the_description_is_openapi():
    Draft202012Validator(SPECIFICATION).validate(DESCRIPTION)
    for name in DESCRIPTION["components"]["schemas"]:
        Draft202012Validator.check_schema(DESCRIPTION["components"]["schemas"][name])


def test_a_description_that_is_not_openapi_is_found():
    wrong = {**DESCRIPTION, "paths": {"no-slash": {}}}

    assert not Draft202012Validator(SPECIFICATION).is_valid(wrong)


def test_every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own():
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(DESCRIPTION)))
    operations = [each["operationId"] for path in DESCRIPTION["paths"].values() for each in path.values()]

    assert len(references) > 30
    assert [each for each in references if each[1] not in DESCRIPTION["components"][each[0]]] == []
    assert len(set(operations)) == len(operations)


def test_every_call_of_every_service_is_described_and_no_other():
    described = {path for path in DESCRIPTION["paths"] if path.count("/") == 2 and "." in path}
    called = {f"/{each.containing_service.full_name}/{each.name}" for each in methods()}

    # This stream needs both directions at once. EmbedStream has events instead.
    assert called - described == {"/inference.GRPCInferenceService/ModelStreamInfer"}
    assert described <= called
    for each in methods():
        operation = DESCRIPTION["paths"].get(f"/{each.containing_service.full_name}/{each.name}", {}).get("post", {})
        if not each.client_streaming:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert schema.endswith(f"/{each.input_type.full_name}")


def test_every_field_of_a_message_is_described_with_its_comment():
    for each in methods():
        for message in (each.input_type, each.output_type):
            described = DESCRIPTION["components"]["schemas"][message.full_name]["properties"]
            assert list(described) == [field.name for field in message.fields], message.full_name
    sequence = DESCRIPTION["components"]["schemas"]["gfp_serve.v1.Sequence"]["properties"]
    assert 'NaN means "not seen", and so do 0 0 0' in sequence["positions"]["description"]


@pytest.mark.parametrize("arrays", ["", "?arrays=lists"])
async def test_requests_and_replies_are_as_described(tmp_path, arrays):
    sequence = sequence_of(walk(1))
    item = {"id": "a", "sequence": sequence, "label": "x", "attributes": {"n": 1}, "source": {"recording": "r"}}
    calls = [
        ("EmbeddingService/GetInfo", {}),
        ("EmbeddingService/Embed", {"sequences": [sequence]}),
        ("GalleryService/Upsert", {"items": [item]}),
        ("GalleryService/Search", {"queries": [{"sequence": sequence}], "top_k": 1}),
        ("GalleryService/Search", {"queries": [{"id": "a"}], "merge_windows": True, "top_k": 1}),
        ("GalleryService/Classify", {"queries": [{"sequence": sequence}], "weighting": "WEIGHTING_UNIFORM"}),
        ("GalleryService/Get", {"ids": ["a"], "with_embeddings": True}),
        ("GalleryService/ListGalleries", {}),
        ("SnapshotService/CreateSnapshot", {"name": "s"}),
        ("SnapshotService/ListSnapshots", {}),
        ("SnapshotService/ReadSnapshot", {"name": "s", "offset": 0}),
        ("GalleryService/Delete", {"ids": ["a"]}),
    ]
    async with running(tmp_path, http_config()) as server:
        for path, request in calls:
            operation = DESCRIPTION["paths"][f"/gfp_serve.v1.{path}"]["post"]
            asked, given = (
                each["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                for each in (operation["requestBody"], operation["responses"]["200"])
            )
            schema_of(asked).validate(request)
            reply = await ask(server, f"/gfp_serve.v1.{path}{arrays}", request)
            assert reply.code == 200, (path, reply.content)
            schema_of(given).validate(reply.said)
        failed = await ask(server, "/gfp_serve.v1.GalleryService/Search", {"queries": []})
        schema_of("Error").validate(failed.said)
        assert not schema_of("Error").is_valid({})
        inference = {"inputs": [{"name": "skeleton", "shape": [1, 9, 1, 25, 3], "datatype": "FP32"}]}
        inference["inputs"][0]["data"] = np.ravel(walk(1)).tolist()
        schema_of("InferRequest").validate(inference)
        schema_of("InferReply").validate((await ask(server, "/v2/models/gfp-encoder/infer", inference)).said)


async def test_every_path_that_is_described_is_answered_by_a_server(tmp_path):
    async with running(tmp_path, http_config()) as server:
        assert (await ask(server, "/openapi.json")).said == DESCRIPTION
        for path, operations in DESCRIPTION["paths"].items():
            for method in operations:
                place = path.format(name="gfp-encoder", version="1")
                reply = await ask(server, place, {} if method == "post" else None, method=method.upper())
                assert not (reply.code == 404 and b"/openapi.json lists all calls" in reply.content), (method, path)
