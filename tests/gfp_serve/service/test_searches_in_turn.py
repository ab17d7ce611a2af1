"""Searches are admitted by what they cost, take turns, and end when their caller has left."""

import asyncio
import dataclasses
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest

from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Item
from gfp_serve.server import Server
from gfp_serve.service import finding
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from tests.support.servers import HANG_S, channel_to, running, small_config, until

NUM_ITEMS = 64


def fill(server: Server) -> None:
    gallery = server.deployment.galleries[""]
    vectors = np.random.default_rng(0).normal(size=(NUM_ITEMS, gallery.embedding_size)).astype(np.float32)
    gallery.upsert([Item(f"i{number}", vector, "a") for number, vector in enumerate(vectors)])


def many(number: int, top_k: int = 5) -> gallery_pb2.SearchRequest:
    return gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id=f"i{each}") for each in range(number)], top_k=top_k)


async def test_a_search_that_would_find_too_much_beside_others_is_refused_with_words(tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(), max_admitted_neighbours=100)
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        await asyncio.to_thread(fill, server)
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        with server._turns.admit(25), server._turns.admit(25), server._turns.admit(25):
            for call in (
                stub.Search(many(5)),
                stub.Classify(gallery_pb2.ClassifyRequest(queries=many(5).queries, num_neighbours=5)),
                stub.Search(gallery_pb2.SearchRequest(queries=many(1).queries, merge_windows=True)),
                stub.Get(gallery_pb2.GetRequest(ids=[f"i{number}" for number in range(20)])),
            ):
                with pytest.raises(grpc.aio.AioRpcError, match="--max-admitted-neighbours") as caught:
                    await call
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert len((await stub.Search(many(1, top_k=1))).results) == 1
        assert len((await stub.Search(many(50))).results) == 50


async def test_a_search_whose_caller_left_ends_after_the_piece_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "_NUMBERS_AT_ONCE", 1)  # each query is a piece
    gate, entered, pieces = threading.Event(), threading.Event(), []
    search = FaissGallery.search

    def gated(self: FaissGallery, queries: np.ndarray, **options: object) -> object:
        pieces.append(len(queries))
        entered.set()
        assert gate.wait(HANG_S)
        return search(self, queries, **options)

    async with running(tmp_path) as server, channel_to(server) as channel:
        await asyncio.to_thread(fill, server)
        monkeypatch.setattr(FaissGallery, "search", gated)
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        call = stub.Search(many(50))
        assert await asyncio.to_thread(entered.wait, HANG_S)
        call.cancel()
        await until(lambda: server._turns.admitted == 0)
        gate.set()
        assert len((await stub.Search(many(3))).results) == 3
    assert pieces == [1, 1, 1, 1]


async def test_a_search_in_pieces_finds_what_a_search_at_once_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as server, channel_to(server) as channel:
        await asyncio.to_thread(fill, server)
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        whole = await stub.Search(many(40))
        monkeypatch.setattr(finding, "_NUMBERS_AT_ONCE", 3 * NUM_ITEMS * server.deployment.manifest.embedding_size)
        monkeypatch.setattr(finding, "_NEIGHBOURS_AT_ONCE", 7)
        pieces = await stub.Search(many(40))
    for one, other in zip(whole.results, pieces.results, strict=True):
        assert [each.id for each in one.neighbours] == [each.id for each in other.neighbours]
        np.testing.assert_allclose(
            [each.similarity for each in one.neighbours], [each.similarity for each in other.neighbours], atol=1e-6
        )
