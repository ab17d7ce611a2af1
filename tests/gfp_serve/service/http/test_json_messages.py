"""Messages as JSON: what is written is read back, whatever its values are."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from gfp_serve.errors import InvalidRequestError
from gfp_serve.service.http.json_messages import JsonMessages, array_of, numbers_of
from gfp_serve.service.http.json_text import read_json
from gfp_serve.service.message_size import pieces_of
from gfp_serve.v1 import embedding_pb2, gallery_pb2, snapshot_pb2


def form_of(path: str, *, as_lists: bool = False) -> JsonMessages:
    method = descriptor_pool.Default().FindMethodByName(f"gfp_serve.v1.{path}")
    return JsonMessages(method, as_lists=as_lists)


def read(path: str, said: Any) -> Message:
    got: list[bytes] = []
    for _ in form_of(path).reading(json.dumps(said).encode(), got):
        pass
    method = descriptor_pool.Default().FindMethodByName(f"gfp_serve.v1.{path}")
    return message_factory.GetMessageClass(method.input_type).FromString(got.pop())


def written(path: str, reply: Message, **how: bool) -> Any:
    got: list[bytes] = []
    for _ in form_of(path, **how).writing(reply.SerializeToString(), got):
        pass
    return json.loads(got.pop())


neighbours = st.builds(
    gallery_pb2.Neighbour,
    id=st.text(max_size=5),
    label=st.text(max_size=5),
    similarity=st.floats(-1, 1, width=32),
    source=st.builds(gallery_pb2.Source, recording=st.text(max_size=5), start_s=st.floats(0, 9)),
)
results = st.builds(gallery_pb2.SearchResult, neighbours=st.lists(neighbours, max_size=3))
replies = st.builds(
    gallery_pb2.SearchResponse,
    results=st.lists(results, max_size=4),
    encoder_digest=st.text(max_size=5),
    timing=st.builds(embedding_pb2.Timing, total_ns=st.integers(0, 2**64 - 1)),
)


@settings(max_examples=50, deadline=None)
@given(replies)
def test_a_reply_is_what_protobuf_reads_back(reply: gallery_pb2.SearchResponse) -> None:
    said = written("GalleryService.Search", reply)
    assert json_format.ParseDict(said, gallery_pb2.SearchResponse()) == reply


@settings(max_examples=50, deadline=None)
@given(replies, st.integers(1, 50))
def test_a_message_in_pieces_is_the_message(reply: gallery_pb2.SearchResponse, piece_bytes: int) -> None:
    content = reply.SerializeToString()
    pieces = list(pieces_of(content, piece_bytes))
    assert b"".join(pieces) == content
    merged = gallery_pb2.SearchResponse()
    for piece in pieces:
        merged.MergeFromString(piece)
    assert merged == reply


def test_fields_that_are_not_set_are_shown_with_their_values() -> None:
    said = written("GalleryService.Delete", gallery_pb2.DeleteResponse())
    assert said == {"num_deleted": 0, "encoder_digest": ""}
    assert written("GalleryService.Search", gallery_pb2.SearchResponse())["results"] == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(width=32), max_size=6))
def test_numbers_survive_as_lists(values: list[float]) -> None:
    array = np.array(values, dtype="<f4")
    finite = array[~np.isinf(array)]
    np.testing.assert_array_equal(array_of(json.loads(json.dumps(numbers_of(finite)))), finite)


def test_the_shape_of_lists_says_the_counts() -> None:
    one_body = np.zeros((4, 25, 3)).tolist()
    request = read("EmbeddingService.Embed", {"sequences": [{"positions": one_body}, {"positions": [one_body]}]})
    counts = [(each.num_frames, each.num_bodies, each.num_joints) for each in request.sequences]
    assert counts == [(4, 1, 25), (1, 4, 25)]
    request = read("EmbeddingService.Embed", {"sequences": [{"positions": one_body, "num_frames": 7}]})
    assert request.sequences[0].num_frames == 7, "what is said is not changed"
    request = read("GalleryService.Search", {"queries": [{"embedding": {"values": [1, 2, None]}}]})
    assert request.queries[0].embedding.size == 3
    assert math.isnan(np.frombuffer(request.queries[0].embedding.values, "<f4")[2])
    frames = read("StreamService.EmbedStream", {"frames": {"positions": [one_body, one_body]}}).frames
    assert (frames.num_frames, len(frames.positions)) == (2, 2 * 4 * 25 * 3 * 4)


def test_null_and_both_spellings_are_read() -> None:
    said = {"topK": 3, "gallery": None, "queries": [{"id": "a"}], "filter": {"must": [{"key": "a", "range": {}}]}}
    request = read("GalleryService.Search", said)
    assert (request.top_k, request.gallery, request.filter.must[0].key) == (3, "", "a")


@pytest.mark.parametrize("text", [b"1", b'"a"', b"nul", b'{"a": ', b"\xff", b"{}{}"])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read_json(text)


def test_texts_with_more_values_than_any_request_are_refused_before_they_are_parsed() -> None:
    for text in (b'{"a": [' + b"1," * 2**21 + b"1]}", b'{"a": [' + b"[]," * 2**18 + b"[]]}"):
        with pytest.raises(InvalidRequestError, match="send several requests, or arrays as base64"):
            read_json(text)


def test_bytes_that_are_no_array_are_base64_only() -> None:
    reply = snapshot_pb2.ReadSnapshotResponse(piece=b"\0\0\0")
    assert written("SnapshotService.ReadSnapshot", reply, as_lists=True)["piece"] == "AAAA"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 2**18, 2**18 + 1, 2**20 + 2])
def test_base64_of_either_alphabet_with_and_without_padding_is_read(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = np.random.default_rng(size).bytes(size)
    usual, of_urls = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
    parsed: list[object] = []
    parse = json_format.ParseDict
    monkeypatch.setattr(json_format, "ParseDict", lambda said, into: (parsed.append(said), parse(said, into)))
    for text in (usual, of_urls, usual.rstrip("="), base64.encodebytes(content).decode()):
        assert read("ViewService.ReadFile", {"name": "a", "content": text}).content == content
        sequence = read("EmbeddingService.Embed", {"sequences": [{"positions": text}]}).sequences[0]
        assert sequence.positions == content
    # It would be copied there many times, while nothing else runs.
    assert parsed == [{"name": "a"}, {}, {}] * 4


def test_a_choice_is_made_once() -> None:
    with pytest.raises(InvalidRequestError, match=r"queries\[0\].embedding: .* is set twice"):
        read("GalleryService.Search", {"queries": [{"id": "a", "embedding": {"values": [1]}}]})
    with pytest.raises(InvalidRequestError, match="top_k: top_k is set twice"):
        read("GalleryService.Search", {"top_k": 1, "topK": 2})
    with pytest.raises(InvalidRequestError, match="is set twice"):
        read("StreamService.EmbedStream", {"config": {}, "frames": {}})
    assert read("StreamService.EmbedStream", {"frames": {}}).WhichOneof("payload") == "frames"
