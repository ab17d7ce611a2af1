"""Moments from a real server: `Search` with merge_windows, and `search_moments` of both clients."""

import asyncio

import grpc
import numpy as np
import pytest

from gfp_serve.client import AsyncClient, Client
from gfp_serve.client.connection import CHANNEL_OPTIONS
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.items import Item, Source
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.arrays import write_embedding
from tests.support.servers import running_in_thread, small_config
from tests.support.tiny_bundle import SIZE


def at(similarity):
    """Return a unit vector with this cosine similarity to `at(1)`."""
    vector = np.zeros(SIZE, np.float32)
    vector[:2] = similarity, (1 - similarity**2) ** 0.5
    return vector


def window(id, similarity, start_s, end_s, *, recording="kitchen", label=""):
    return Item(id, at(similarity), label, {"room": recording}, Source(recording, start_s, end_s))


ITEMS = [
    window("k0", 0.7, 0, 4),
    window("k2", 0.9, 2, 6, label="wash"),
    window("k4", 0.88, 4, 8),
    window("h2", 0.8, 2, 6, recording="hall", label="wave"),
    Item("alone", at(0.6)),
]


@pytest.fixture
def address(tmp_path):
    with running_in_thread(tmp_path, small_config(max_sequences=3, max_top_k=100)) as address:
        yield address


@pytest.fixture(params=[Client, AsyncClient])
def search_moments(request, address):
    """The method `search_moments` of each client."""

    async def call(*args, **given):
        async with AsyncClient(address) as client:
            return await client.search_moments(*args, **given)

    def search(*args, **given):
        if request.param is AsyncClient:
            return asyncio.run(call(*args, **given))
        with Client(address) as client:
            return client.search_moments(*args, **given)

    return search


def add(address, items, gallery=""):
    with Client(address) as client:
        client.upsert(items, gallery=gallery)


def test_moments_are_found_in_any_gallery_and_with_any_filter(search_moments, address):
    with Client(address) as client:
        client.create_gallery("rooms")
    add(address, ITEMS, "rooms")
    found = search_moments(at(1.0), 5, gallery="rooms")
    assert [(moment.source, moment.label, moment.ids) for moment in found] == [
        (Source("kitchen", 2, 8), "wash", ("k2", "k4")),
        (Source("hall", 2, 6), "wave", ("h2",)),
        (None, "", ("alone",)),
    ]
    assert [moment.similarity for moment in found] == pytest.approx([0.9, 0.8, 0.6], abs=1e-5)
    hall = Filter(must=(AnyOf("room", ("hall",)),))
    lists = search_moments([at(1.0)] * 4, gallery="rooms", where=hall)  # more queries than fit into one request
    assert [[moment.ids for moment in each] for each in lists] == [[("h2",)]] * 4


def test_a_moment_of_many_windows_does_not_hide_the_next_moment(search_moments, address):
    long = [window(f"k{start}", 0.9 + start / 10_000, start, start + 4) for start in range(60)]
    add(address, [*long, window("hall", 0.5, 2, 6, recording="hall")])
    first, second = search_moments(at(1.0), 2)
    assert first.source == Source("kitchen", 0, 63)
    assert len(first.ids) == 60
    assert second.ids == ("hall",)


def test_a_search_for_moments_reads_at_most_max_top_k_items(tmp_path):
    long = [window(f"k{start}", 0.9 + start / 10_000, start, start + 4) for start in range(60)]
    with running_in_thread(tmp_path, small_config(max_top_k=20)) as address, Client(address) as client:
        client.upsert([*long, window("hall", 0.5, 2, 6, recording="hall")])
        (moment,) = client.search_moments(at(1.0), 2)
    assert moment.source == Source("kitchen", 40, 63)


def test_a_stored_window_does_not_find_its_own_moment(search_moments, address):
    add(address, ITEMS)
    assert [moment.ids for moment in search_moments("k2", 1)] == [("h2",)]
    # k4 and k0 overlap its moment, so they are not moments.
    assert [moment.ids for moment in search_moments("k2", 9)] == [("h2",), ("alone",)]


def test_a_reply_holds_moments_or_neighbours(address):
    add(address, ITEMS)
    query = gallery_pb2.Query(embedding=write_embedding(at(1.0)))
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        for merge_windows in (False, True):
            (result,) = stub.Search(gallery_pb2.SearchRequest(queries=[query], merge_windows=merge_windows)).results
            assert (len(result.neighbours), len(result.moments)) == ((0, 3) if merge_windows else (5, 0))
