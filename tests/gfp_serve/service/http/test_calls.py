"""Calls over HTTP give what the same calls over gRPC give, and fail with the same errors."""

import asyncio
import base64
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pool, json_format
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from gfp_serve.client import AsyncClient, ClipItem
from gfp_serve.config import Security, ServeConfig
from gfp_serve.errors import UnavailableError
from gfp_serve.server import SERVICES, Server
from gfp_serve.service.access import RULES
from gfp_serve.v1 import gallery_pb2
from tests.support.http_calls import EMBED, ask, http_config, sequence_of, write_tokens
from tests.support.servers import GatedEncoder, calls_in, channel_to, running, until
from tests.support.tiny_bundle import tiny_bundle, walk

GALLERY = "/gfp_serve.v1.GalleryService"
READ, WRITE, ADMIN = "reads-and-no-more", "writes-and-reads-too", "may-do-everything"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, http_config(max_sequences=4, max_frames=50, max_top_k=5)) as running_server:
        async with AsyncClient(f"127.0.0.1:{running_server.port}") as client:
            await client.upsert([ClipItem(f"clip{number}", walk(number), f"class{number % 2}") for number in range(4)])
        yield running_server


async def vectors_of(server: Server, *clips: np.ndarray) -> np.ndarray:
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        return await client.embed(list(clips))


@pytest.mark.parametrize("bodies", [1, 2])
async def test_lists_of_numbers_and_base64_give_the_embedding_that_grpc_gives(server: Server, bodies: int) -> None:
    clip = walk(5, bodies=bodies)
    clip[2, 0, 7] = np.nan
    (expected,) = await vectors_of(server, clip)
    raw = {
        "positions": base64.b64encode(clip.tobytes()).decode(),
        "layout": "ntu25",
        "numFrames": 9,  # in the spelling of protobuf's JSON
        "num_bodies": bodies,
        "num_joints": 25,
    }
    for sequence in (sequence_of(clip), raw):
        found = (await ask(server, EMBED, {"sequences": [sequence]})).said["embeddings"][0]
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(found["values"]), "<f4"), expected)
        listed = (await ask(server, f"{EMBED}?arrays=lists", {"sequences": [sequence]})).said["embeddings"][0]
        np.testing.assert_array_equal(np.array(listed["values"], np.float32), expected)
        assert listed["size"] == len(expected)


async def test_lists_without_an_axis_of_bodies_are_one_body(server: Server) -> None:
    expected = await ask(server, EMBED, {"sequences": [sequence_of(walk(1))]})
    found = await ask(server, EMBED, {"sequences": [sequence_of(walk(1)[:, 0])]})
    assert found.said["embeddings"] == expected.said["embeddings"]


async def test_a_message_of_protobuf_gives_one(server: Server) -> None:
    request = gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id="clip1")], top_k=2)
    reply = await ask(server, f"{GALLERY}/Search", request.SerializeToString(), content_type="application/proto")
    assert (reply.code, reply.headers["content-type"]) == (200, "application/proto")
    found = gallery_pb2.SearchResponse.FromString(reply.content)
    assert len(found.results[0].neighbours) == 2


async def test_items_are_added_searched_classified_read_and_deleted(server: Server) -> None:
    source = {"recording": "r1", "start_s": 1.5, "end_s": 2}
    item = {"id": "mine", "sequence": sequence_of(walk(9)), "label": "new", "attributes": {"n": 3}, "source": source}
    added = await ask(server, f"{GALLERY}/Upsert", {"items": [item]})
    assert (added.code, added.said["generation"]) == (200, "2")
    asked = {"queries": [{"sequence": sequence_of(walk(9))}], "top_k": 1}
    (near,) = (await ask(server, f"{GALLERY}/Search", asked)).said["results"][0]["neighbours"]
    assert (near["id"], near["label"], near["attributes"], near["source"]) == ("mine", "new", {"n": 3.0}, source)
    assert near["similarity"] == pytest.approx(1, abs=1e-5)
    where = {"must": [{"key": "", "any_of": {"values": ["class1"]}}]}
    voted = (await ask(server, f"{GALLERY}/Classify", {"queries": [{"id": "mine"}], "filter": where})).said
    assert voted["results"][0]["label"] == "class1"
    wanted = {"ids": ["mine"], "with_embeddings": True, "with_motions": True}
    kept = (await ask(server, f"{GALLERY}/Get?arrays=lists", wanted)).said
    motion = kept["items"][0]["motion"]
    shape = motion["num_frames"], motion["num_bodies"], motion["num_joints"], 3
    assert np.shape(motion["positions"]) == shape
    vector = kept["items"][0]["embedding"]["values"]
    by_vector = {"queries": [{"embedding": {"values": vector}}], "top_k": 1}
    assert (await ask(server, f"{GALLERY}/Search", by_vector)).said["results"][0]["neighbours"][0]["id"] == "mine"
    assert (await ask(server, f"{GALLERY}/Delete", {"ids": ["mine", "x"]})).said["num_deleted"] == 1
    described = (await ask(server, f"{GALLERY}/DescribeGallery", b"")).said["description"]
    assert (described["num_items"], described["is_building"]) == ("4", False)


def unary_methods() -> list[str]:
    pool = descriptor_pool.Default()
    methods = [method for service in SERVICES for method in pool.FindServiceByName(service).methods]
    return [f"/{each.containing_service.full_name}/{each.name}" for each in methods if not each.client_streaming]


async def test_an_empty_request_of_every_call_is_answered_as_grpc_answers_it(server: Server) -> None:
    assert len(unary_methods()) > 20
    async with channel_to(server) as channel:
        for path in unary_methods():
            try:
                await channel.unary_unary(path)(b"")
                expected = "ok", ""
            except grpc.aio.AioRpcError as error:
                expected = error.code().name.lower(), error.details()
            reply = await ask(server, path, {})
            found = ("ok", "") if reply.code == 200 else (reply.said["code"], reply.said["message"])
            assert found == expected, path
            assert reply.headers["x-request-id"]


async def test_a_large_reply_is_that_of_grpc(tmp_path: Path) -> None:
    async with running(tmp_path, http_config(max_sequences=64, max_top_k=100)) as server:
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            for start in range(0, 128, 64):
                await client.upsert(
                    [ClipItem(f"clip{n}", walk(n), "label", {"a": "b" * 40}) for n in range(start, start + 64)]
                )
        queries = {"queries": [{"id": f"clip{n}"} for n in range(64)], "top_k": 100}
        request = json_format.ParseDict(queries, gallery_pb2.SearchRequest()).SerializeToString()
        raw = await ask(server, f"{GALLERY}/Search", request, content_type="application/proto")
        expected = gallery_pb2.SearchResponse.FromString(raw.content)
        assert len(raw.content) > 2**18
        reply = await ask(server, f"{GALLERY}/Search", queries)
        found = json_format.Parse(reply.content, gallery_pb2.SearchResponse())
        assert found.results == expected.results
        assert found.encoder_digest == expected.encoder_digest


WRONG: list[tuple[bytes | dict[str, object], str, str]] = [
    ({"sequences": []}, "sequences", "the request holds none"),
    ({"sequence": []}, "sequence", "there is no field 'sequence'; EmbedRequest has sequences"),
    ({"sequences": [{"frames": 3}]}, "sequences[0].frames", "there is no field 'frames'"),
    (
        {"sequences": [{"conventions": {"upp": "z"}}]},
        "sequences[0].conventions.upp",
        "Conventions has up, unit, hand",
    ),
    ({"sequences": [{"num_frames": "x"}]}, "sequences[0].num_frames", "not of the type"),
    ({"sequences": [{"layout": 3}]}, "sequences[0].layout", "not of the type"),
    ({"sequences": [3]}, "sequences[0]", "it is int; it must be an object"),
    ({"sequences": {"a": 1}}, "sequences", "it is an object; it must be a list"),
    ({"sequences": [{"positions": "!!!!"}]}, "sequences[0].positions", "it is not base64"),
    ({"sequences": [{"positions": 3}]}, "sequences[0].positions", "it is int; it must be a text in base64"),
    ({"sequences": [{"num_frames": 1, "numFrames": 1}]}, "sequences[0].num_frames", "num_frames is set twice"),
    (b'{"\\ud800": 1}', "", "the text '\\ud800' has a half of a character"),
    (b'{"sequences": [{"layout": "a\\uDFFF"}]}', "", "has a half of a character"),
    (b'{"\xed\xa0\x80": 1}', "", "the body is not JSON"),
    (b'{"sequences": [{"num_frames": ' + b"9" * 129 + b"}]}", "", "a number has 129 digits"),
    ({"expected_encoder_digest": "a" * (2**20 + 1)}, "expected_encoder_digest", "a text has 1048577 characters"),
    ({"sequences": [{"layout": [0] * 2**18}]}, "sequences[0].layout", "not of the type"),
    ({"sequences": [{"positions": [[1, 2], [3]]}]}, "sequences[0].positions", "must be equally long"),
    ({"sequences": [{"positions": [["a"]]}]}, "sequences[0].positions", "must hold numbers"),
    ({"sequences": [sequence_of(walk(1), "x")]}, "sequences[0]", "there is no joint layout 'x'"),
    (b"{", "", "the body is not JSON"),
    (b"[]", "", "it is a list"),
    (b"[" * 100_000, "", "the body is not JSON"),
    (b'{"a":' + b"[" * 300_000, "", "more than 262144 lists and fields"),
    (b"\xff\xfe", "", "the body is not JSON"),
    ({"expected_encoder_digest": "0" * 64, "sequences": [{}]}, "", "the caller expects encoder 000000"),
    ({"sequences": [{"positions": [[[[1e300, 0, 0]] * 25]], "layout": "ntu25"}]}, "sequences[0]", "infinite"),
]


async def test_a_wrong_request_is_refused_with_its_field_and_what_to_do(server: Server) -> None:
    for body, field, words in WRONG:
        reply = await ask(server, EMBED, body)
        assert reply.code == 400, words
        assert reply.said.get("field", "").startswith(field), words
        assert words in reply.said["message"]


async def test_a_half_of_a_character_is_refused_by_every_form(server: Server) -> None:
    for path in ("/v2/models/gfp-encoder/infer", "/gfp_serve.v1.StreamService/EmbedStream"):
        for body in (b'{"\\ud800": 1}', b'{"inputs": [{"\\ud800": 1}]}', b'{"id": "\\ud83d\\ud83d"}'):
            reply = await ask(server, path, body)
            assert (reply.code, reply.said["code"]) == (400, "invalid_argument"), body
            assert "has a half of a character" in reply.said["message"]
    reply = await ask(server, "/v2/models/gfp-encoder/infer", {"id": "a" * (2**20 + 1)})
    assert (reply.code, "a text has 1048577 characters" in reply.said["message"]) == (400, True)
    whole = await ask(server, f"{GALLERY}/Search", b'{"queries": [{"id": "\\ud83d\\ude00"}]}')
    assert (whole.code, "\U0001f600" in whole.said["message"]) == (404, True)


async def test_an_error_has_the_code_the_text_and_the_details_of_grpc(server: Server) -> None:
    reply = await ask(server, f"{GALLERY}/Search", {"queries": [{"id": "x"}]})
    assert (reply.code, reply.said["code"], reply.said["reason"]) == (404, "not_found", "ITEM_NOT_FOUND")
    info, bad = (
        kind.FromString(base64.b64decode(f"{each['value']}=="))
        for kind, each in zip((ErrorInfo, BadRequest), reply.said["details"], strict=True)
    )
    assert (info.reason, info.domain) == ("ITEM_NOT_FOUND", "gfp_serve")
    assert [each["type"] for each in reply.said["details"]] == ["google.rpc.ErrorInfo", "google.rpc.BadRequest"]
    assert bad.field_violations[0].field == reply.said["field"] == "queries"
    async with channel_to(server) as channel:
        request = gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id="x")]).SerializeToString()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"{GALLERY}/Search")(request)
    assert caught.value.details() == reply.said["message"]


async def test_what_is_not_there_is_said_in_words(server: Server) -> None:
    for method, path in (
        ("POST", "/gfp_serve.v1.EmbeddingService/Nothing"),
        ("POST", "/gfp_serve.v1.Nothing/Embed"),
        ("POST", "/inference.GRPCInferenceService/ModelStreamInfer"),
        ("POST", "/v2/models/gfp-encoder"),
        ("GET", "/nothing"),
        ("PUT", EMBED),
        ("GET", "/v2/nothing"),
    ):
        reply = await ask(server, path, None if method == "GET" else {}, method=method)
        assert reply.code == 404, path
        assert f"there is no {method} {path}; /openapi.json lists all calls" in reply.said["message"]


async def test_a_call_by_get_is_told_to_post_and_a_text_that_is_no_number_is_called_so(server: Server) -> None:
    got = await ask(server, EMBED)
    assert (got.code, got.headers["allow"]) == (405, "POST")
    assert "a call is a POST" in got.said["message"]
    text = await ask(server, f"{GALLERY}/Search", {"queries": [{"id": "x"}], "topK": "three"})
    assert "'three' is not a number" in text.said["message"]
    assert "int()" not in text.said["message"]


async def test_other_kinds_of_content_are_refused(server: Server) -> None:
    reply = await ask(server, EMBED, b"a=1", content_type="application/x-www-form-urlencoded")
    assert reply.code == 415
    assert "send application/json" in reply.said["message"]
    reply = await ask(server, EMBED, b"\x1f\x8b", content_encoding="gzip")
    assert reply.code == 400
    assert "takes no compressed bodies" in reply.said["message"]


async def test_pages_and_health_need_no_token(tmp_path: Path) -> None:
    security = Security(tokens=write_tokens(tmp_path, f"read {READ}"))
    async with running(tmp_path, dataclasses.replace(http_config(), security=security)) as server:
        assert (await ask(server, "/healthz")).said == {"status": "SERVING"}
        assert (await ask(server, "/openapi.json")).said["openapi"] == "3.1.0"
        assert b"<!doctype html>" in (await ask(server, "/")).content
        assert (await ask(server, "/", method="HEAD")).content == b""
        assert (await ask(server, "/v2/health/live")).code == 401


async def test_every_call_needs_the_role_that_it_needs_over_grpc(tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path, f"read {READ}", f"write {WRITE}", f"admin {ADMIN}")
    async with running(tmp_path, dataclasses.replace(http_config(), security=Security(tokens=tokens))) as server:
        for path in unary_methods():
            reply = await ask(server, path, {})
            assert (reply.code, reply.said["code"]) == (401, "unauthenticated"), path
            assert reply.headers["www-authenticate"] == "Bearer"
            assert (await ask(server, path, {}, authorization="Bearer nobody-knows-this")).code == 401, path
            enough = ("read", "write", "admin").index(RULES[path[1:]])
            for rank, token in enumerate((READ, WRITE, ADMIN)):
                reply = await ask(server, path, {}, authorization=f"Bearer {token}")
                assert (reply.code == 403) == (rank < enough), (path, token)
                assert reply.code != 401
        tokens.write_text(f"write {WRITE}\n")
        assert (await ask(server, EMBED, {}, authorization=f"Bearer {READ}")).code == 401


async def test_a_deadline_ends_a_call_and_a_caller_who_leaves_frees_its_place(tmp_path: Path) -> None:
    encoder = GatedEncoder(tiny_bundle())
    async with running(tmp_path, http_config(), encoder) as server:
        encoder.shut()
        body = {"sequences": [sequence_of(walk(1))]}
        try:
            late = await ask(server, EMBED, body, connect_timeout_ms="50")
            assert (late.code, late.said["reason"]) == (504, "OUT_OF_TIME")
            _, writer = await asyncio.open_connection("127.0.0.1", server.http_port)
            content = json.dumps(body).encode()
            writer.write(
                f"POST {EMBED} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                f"content-length: {len(content)}\r\n\r\n".encode()
                + content
            )
            await calls_in(server, 1)
            writer.close()
            await calls_in(server, 0)
        finally:
            encoder.gate.set()


@pytest.mark.parametrize("said", ["0", "-1", "1e3", "99999999999", " ", "0x1", "\u00b2", "1 2"])
async def test_a_deadline_that_is_none_is_refused(server: Server, said: str) -> None:
    for path in (EMBED, "/v2/models/gfp-encoder/infer", "/gfp_serve.v1.StreamService/EmbedStream"):
        reply = await ask(server, path, {}, connect_timeout_ms=said)
        assert (reply.code, reply.said["code"]) == (400, "invalid_argument"), path
        assert "the header connect-timeout-ms is" in reply.said["message"]
    web = await ask(server, EMBED, bytes(5), content_type="application/grpc-web", grpc_timeout=f"{said}S")
    assert b"grpc-status: 3\r\n" in web.content
    assert b"the header grpc-timeout is" in web.content


async def test_a_deadline_ends_an_inference_and_a_stream(tmp_path: Path) -> None:
    encoder = GatedEncoder(tiny_bundle())
    clip = {"name": "skeleton", "datatype": "FP32", "shape": [1, *walk(1).shape], "data": walk(1).ravel().tolist()}
    config = {"layout": "ntu25", "num_bodies": 1, "fps": 30, "window_frames": 6, "stride_frames": 3}
    async with running(tmp_path, http_config(), encoder) as server:
        encoder.shut()
        try:
            late = await ask(server, "/v2/models/gfp-encoder/infer", {"inputs": [clip]}, connect_timeout_ms="50")
            assert (late.code, late.said["code"]) == (504, "deadline_exceeded")
            path = "/gfp_serve.v1.StreamService/EmbedStream"
            late = await ask(server, path, {"config": config}, connect_timeout_ms="300")
            assert b"OUT_OF_TIME" in late.content
        finally:
            encoder.gate.set()


async def test_a_call_is_in_the_metrics_and_in_the_access_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    config = dataclasses.replace(http_config(), access_log=log)
    async with running(tmp_path, config) as server:
        reply = await ask(server, EMBED, {"sequences": [sequence_of(walk(1))]}, x_request_id="mine-1")
        assert reply.headers["x-request-id"] == "mine-1"
        await ask(server, EMBED, {"sequences": []})
        counted = {
            sample.labels["code"]: sample.value
            for family in server.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "gfp_requests_total" and sample.labels["rpc"] == EMBED[1:]
        }
        assert counted == {"OK": 1, "INVALID_ARGUMENT": 1}
    first, second = map(json.loads, log.read_text().splitlines())
    assert (first["rpc"], first["code"], first["request_id"], first["num_sequences"]) == (EMBED[1:], "OK", "mine-1", 1)
    assert first["peer"].startswith("ipv4:127.0.0.1:")
    assert second["error"].startswith("sequences: the request holds none")


async def test_callers_share_places_with_those_of_grpc(tmp_path: Path) -> None:
    encoder = GatedEncoder(tiny_bundle())
    config: ServeConfig = dataclasses.replace(http_config(), max_calls=1)
    async with running(tmp_path, config, encoder) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        encoder.shut()
        try:
            other = asyncio.create_task(client.embed(walk(1)))
            await until(encoder.entered.is_set)  # not at its first call, which asks for the limits
            reply = await ask(server, EMBED, {"sequences": [sequence_of(walk(1))]})
            assert (reply.code, reply.said["code"], reply.headers["retry-after"]) == (429, "resource_exhausted", "1")
        finally:
            encoder.gate.set()
        await other


async def test_a_port_that_is_in_use_is_reported(tmp_path: Path) -> None:
    async with running(tmp_path / "one", http_config()) as server:
        config = dataclasses.replace(http_config(), http_port=server.http_port)
        with pytest.raises(UnavailableError, match="choose another --http-port"):
            async with running(tmp_path / "two", config):
                pass


async def test_without_the_setting_there_is_no_port(tmp_path: Path) -> None:
    async with running(tmp_path, dataclasses.replace(http_config(), http_port=None)) as server:
        assert (server.http_port, server.http_url) == (0, "")
    with pytest.raises(ValueError, match="--http-port is 70000"):
        ServeConfig(http_port=70_000)
