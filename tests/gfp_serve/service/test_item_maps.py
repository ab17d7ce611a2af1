"""Maps of galleries over the wire: at once, then better; kept until the gallery changes; filtered; within a message."""

import asyncio
import dataclasses
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from gfp_serve import item_map
from gfp_serve.batching.turns import Turns, Work
from gfp_serve.client import AsyncClient, Client
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.items import Item
from gfp_serve.own_process import OwnProcessError
from gfp_serve.server import Server
from gfp_serve.service import item_maps
from gfp_serve.v1 import view_pb2, view_pb2_grpc
from gfp_serve.wire.searches import write_filter
from tests.support.refusals import CODE, refused
from tests.support.servers import HANG_S, channel_to, running, small_config, until
from tests.support.tiny_bundle import SIZE


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make maps without processes: components as they are made there, and a t-SNE that leaves all where it begins."""

    async def made(_bounds: object, *, is_low: bool, num_threads: int = 1, **given: np.ndarray) -> np.ndarray:
        return given["start"] if is_low else await asyncio.to_thread(item_map.components, given["vectors"])

    monkeypatch.setattr(item_maps, "_in_own_process", made)


async def mapped(server: Server, **asked: object) -> view_pb2.MapItemsResponse:
    async with channel_to(server) as channel:
        return await view_pb2_grpc.ViewServiceStub(channel).MapItems(view_pb2.MapItemsRequest(**asked))


async def better_map(server: Server, **asked: object) -> view_pb2.MapItemsResponse:
    while (found := await mapped(server, **asked)).is_improving:  # noqa: ASYNC110  (what a caller does)
        await asyncio.sleep(0.05)
    return found


def items_of(prefix: str, axis: int, count: int) -> list[Item]:
    """Items near to an axis, labelled with the prefix."""
    rng = np.random.default_rng(axis)
    vectors = np.eye(SIZE)[axis] + rng.normal(scale=0.05, size=(count, SIZE))
    return [
        Item(f"{prefix}{number}", vector.astype(np.float32), prefix, {"n": number, prefix: True})
        for number, vector in enumerate(vectors)
    ]


async def filled(server: Server, items: list[Item]) -> None:
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert(items)


def places_of(found: view_pb2.MapItemsResponse) -> dict[str, tuple[float, float]]:
    return {item.id: (item.x, item.y) for item in found.items}


def nearest_labels(found: view_pb2.MapItemsResponse) -> list[bool]:
    places = np.array([(item.x, item.y) for item in found.items])
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    return [found.items[row].label == found.items[other].label for row, other in enumerate(distances.argmin(axis=1))]


async def test_a_map_comes_at_once_and_a_better_one_follows(server):
    await filled(server, [*items_of("a", 0, 12), *items_of("b", 1, 12)])

    first, better = await mapped(server), await better_map(server)

    assert (first.projection, first.is_improving) == ("PCA", True)
    assert (better.projection, better.is_improving) == ("t-SNE", False)
    for found in (first, better):
        assert [item.id for item in found.items] == [f"{label}{number}" for label in "ab" for number in range(12)]
        assert (found.num_items, found.num_mapped, found.generation) == (24, 24, 1)
        assert list(found.attributes) == ["a", "b", "n"]
        assert dict(found.items[3].attributes) == {"n": 3, "a": True}
        assert all(nearest_labels(found))
        assert max(abs(number) for place in places_of(found).values() for number in place) == pytest.approx(1)
    # Kept: nothing is made again.
    assert await mapped(server) == better


async def test_a_map_that_is_bettered_while_its_reply_is_written_says_that_a_better_one_comes(
    server, at_once, monkeypatch
):
    run = Turns.run

    async def slow(self: Turns, work: Work, *, caller: str) -> None:
        await run(self, work, caller=caller)
        if caller != "maps":
            await asyncio.sleep(0.3)  # in which the better map is made

    monkeypatch.setattr(Turns, "run", slow)
    await filled(server, items_of("a", 0, 12))

    found = await mapped(server)

    assert (found.projection, found.is_improving) == ("PCA", True)
    assert (await better_map(server)).projection == "t-SNE"


async def test_without_scikit_learn_the_map_by_components_is_all(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(item_maps, "has_tsne", lambda: False)
    async with running(tmp_path) as server:
        await filled(server, items_of("a", 0, 12))
        found = await mapped(server)

    assert (found.projection, found.is_improving) == ("PCA", False)


async def test_few_items_have_a_map_too_and_none_have_none(at_once, server):
    async with channel_to(server) as channel:
        stub = view_pb2_grpc.ViewServiceStub(channel)
        await refused(stub.MapItems(view_pb2.MapItemsRequest()), CODE.FAILED_PRECONDITION, "EMPTY_GALLERY")
        missing = stub.MapItems(view_pb2.MapItemsRequest(gallery="other"))
        assert (await refused(missing, CODE.NOT_FOUND, "GALLERY_NOT_FOUND"))[1] == "gallery"
    await filled(server, items_of("a", 0, 1))

    found = await mapped(server)

    assert places_of(found) == {"a0": (0, 0)}
    assert (found.projection, found.is_improving) == ("PCA", False)


async def test_a_filter_leaves_items_out_and_moves_none(at_once, server):
    await filled(server, [*items_of("a", 0, 6), *items_of("b", 1, 6)])
    everything = await mapped(server)

    some = await mapped(server, filter=write_filter(Filter(must=(AnyOf("", ("b",)), AnyOf("n", (1, 2))))))

    assert list(places_of(some)) == ["b1", "b2"]
    assert places_of(some).items() <= places_of(everything).items()
    assert (some.num_items, some.num_mapped) == (12, 12)
    assert list(some.attributes) == ["a", "b", "n"]


async def test_both_clients_map_items(at_once, server):
    await filled(server, [*items_of("a", 0, 4), *items_of("b", 1, 4)])
    address, where = f"127.0.0.1:{server.port}", Filter(must=(AnyOf("", ("b",)),))

    async with AsyncClient(address) as client:
        found = await client.map_items(where=where)
    with Client(address) as blocking:
        assert await asyncio.to_thread(lambda: blocking.map_items(gallery="default", where=where)) == found

    assert [(item.id, item.label, item.attributes["n"]) for item in found.items] == [
        (f"b{number}", "b", number) for number in range(4)
    ]
    assert {item.id: (item.x, item.y) for item in found.items} == places_of(
        await mapped(server, filter=write_filter(where))
    )
    assert (found.projection, found.generation, found.num_items, found.num_mapped) == ("PCA", 1, 8, 8)
    assert not found.attributes_left_out


async def test_after_a_change_items_stay_where_they_were_and_new_ones_come_to_those_like_them(at_once, server):
    await filled(server, [*items_of("a", 0, 12), *items_of("b", 1, 12)])
    await mapped(server)
    before = places_of(await better_map(server))
    await filled(server, items_of("b", 1, 14)[12:])
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.delete(["a0"])

    after = await mapped(server)

    # The next t-SNE waits, so that a gallery that changes all the time keeps no core busy.
    assert (after.projection, after.is_improving, after.generation) == ("t-SNE", True, 3)
    now = places_of(after)
    assert set(now) == (set(before) - {"a0"}) | {"b12", "b13"}
    assert {id: now[id] for id in now if id in before} == {id: before[id] for id in now if id in before}
    assert all(nearest_labels(after))
    assert server.deployment._view_service._maps._improving is None


async def test_a_gallery_of_other_items_gets_a_map_of_its_own_at_once(at_once, server):
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.create_gallery("two")
        await client.upsert(items_of("a", 0, 12), gallery="two")
        await better_map(server, gallery="two")
        await client.drop_gallery("two")
        await client.create_gallery("two")
        await client.upsert(items_of("b", 1, 12), gallery="two")
        found = await mapped(server, gallery="two")

    assert set(places_of(found)) == {f"b{number}" for number in range(12)}
    assert found.projection == "PCA"


async def test_a_failed_improvement_is_logged_and_the_map_stays(server, monkeypatch, caplog, at_once):
    await filled(server, items_of("a", 0, 12))
    made = item_maps._in_own_process

    async def fail(bounds, *, is_low, **given):
        if is_low:
            raise OwnProcessError("it took longer than 0 s")
        return await made(bounds, is_low=is_low, **given)

    monkeypatch.setattr(item_maps, "_in_own_process", fail)
    await mapped(server)

    found = await better_map(server)

    assert found.projection == "PCA"
    assert "the map of the gallery default stays as it is, because t-SNE failed: it took longer than 0 s" in caplog.text


async def test_a_map_that_cannot_be_made_is_no_fault_inside(server, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    await filled(server, items_of("a", 0, 3))

    async with channel_to(server) as channel:
        asked = view_pb2_grpc.ViewServiceStub(channel).MapItems(view_pb2.MapItemsRequest())
        message, _ = await refused(asked, CODE.FAILED_PRECONDITION, "NOT_WRITABLE")

    assert "no map could be made: temporary files cannot be written (No such file or directory)" in message


async def test_a_map_of_many_items_has_a_sample_that_stays(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(item_maps, "MAX_ITEMS", 10)
    monkeypatch.setattr("gfp_serve.service.view.MAX_ITEMS", 10)
    monkeypatch.setattr(item_maps, "has_tsne", lambda: False)
    async with running(tmp_path) as server:
        await filled(server, items_of("a", 0, 40))
        first = await mapped(server)
        await filled(server, items_of("c", 2, 1))
        second = await mapped(server)

    assert (first.num_items, first.num_mapped, len(first.items)) == (40, 10, 10)
    assert len({item.id for item in first.items} & {item.id for item in second.items}) >= 9


async def test_a_reply_that_is_too_large_leaves_attributes_out_and_then_says_what_to_do(tmp_path, at_once):
    items = [dataclasses.replace(item, attributes={"text": 300 * "x"}) for item in items_of("a", 0, 8)]
    async with running(tmp_path, small_config(max_message_bytes=2048, max_sequences=4)) as server:
        for start in range(0, 8, 4):
            await filled(server, items[start : start + 4])
        found = await mapped(server)
        one = await mapped(server, filter=write_filter(Filter(must=(AnyOf("", ("a",)),), must_not=())))
        many = [dataclasses.replace(item, id=item.id + 250 * "y", attributes={}) for item in items_of("b", 1, 8)]
        for start in range(0, 8, 4):
            await filled(server, many[start : start + 4])
        async with channel_to(server) as channel:
            asked = view_pb2_grpc.ViewServiceStub(channel).MapItems(view_pb2.MapItemsRequest())
            message, _ = await refused(asked, CODE.INVALID_ARGUMENT, "INVALID_REQUEST")

    assert "larger than the 2048 bytes" in message
    assert "ask for fewer items by a filter" in message
    assert (found.attributes_left_out, len(found.items), list(found.attributes)) == (True, 8, ["text"])
    assert not any(item.HasField("attributes") for item in found.items)
    assert one.attributes_left_out


async def test_the_end_of_a_server_ends_the_making_of_a_map(tmp_path, monkeypatch, at_once):
    begun, ended = asyncio.Event(), []
    made = item_maps._in_own_process

    async def wait(bounds, *, is_low, **given):
        if not is_low:
            return await made(bounds, is_low=is_low, **given)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    monkeypatch.setattr(item_maps, "_in_own_process", wait)
    async with running(tmp_path) as server:
        await filled(server, items_of("a", 0, 12))
        await mapped(server)
        await begun.wait()
        assert (await mapped(server)).is_improving

    assert ended == [True]


async def test_who_waits_for_a_map_takes_no_room_from_searches(server, monkeypatch, at_once):
    begun, may_end = asyncio.Event(), asyncio.Event()
    made = item_maps._in_own_process

    async def wait(bounds, **given):
        begun.set()
        await may_end.wait()
        return await made(bounds, **given)

    monkeypatch.setattr(item_maps, "_in_own_process", wait)
    await filled(server, items_of("a", 0, 12))
    waiting = [asyncio.create_task(mapped(server)) for _ in range(3)]
    await begun.wait()
    await until(server.deployment._view_service._maps._making["default"].locked)

    assert server.deployment._view_service._searches.admitted == 0
    may_end.set()
    assert [len((await each).items) for each in waiting] == [12, 12, 12]


async def test_no_better_map_is_made_of_a_gallery_that_is_dropped_or_whose_map_is_forgotten(
    server, monkeypatch, at_once
):
    monkeypatch.setattr(item_maps, "_MAPS", 2)
    monkeypatch.setattr(item_maps, "_LOOK_S", HANG_S)
    may_end, sizes = asyncio.Event(), []
    made = item_maps._in_own_process

    async def wait(bounds, *, is_low, **given):
        if is_low:
            sizes.append(len(given["start"]))
            await may_end.wait()
        return await made(bounds, is_low=is_low, **given)

    monkeypatch.setattr(item_maps, "_in_own_process", wait)
    maps = server.deployment._view_service._maps
    await filled(server, items_of("a", 0, 12))
    await mapped(server)
    await until(lambda: bool(sizes))
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        for number in (13, 14, 15):
            await client.create_gallery(f"of{number}")
            await client.upsert(items_of("a", 0, number), gallery=f"of{number}")
            await mapped(server, gallery=f"of{number}")
        assert list(maps._waiting) == list(maps._maps) == ["of14", "of15"]
        await client.drop_gallery("of15")
    may_end.set()
    await until(maps._worker.done)

    assert sizes == [12, 14]
    assert set(maps._not_before) == {"of14"}


@pytest.mark.parametrize("why", ["dropped", "other items", "some more items"])
async def test_a_better_map_that_nobody_would_see_is_not_made_to_its_end(server, monkeypatch, at_once, why):
    monkeypatch.setattr(item_maps, "_LOOK_S", 0.02)
    may_end, begun, ended = asyncio.Event(), [], []
    made = item_maps._in_own_process

    async def wait(bounds, *, is_low, **given):
        if is_low:
            begun.append(len(given["start"]))
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                ended.append(len(given["start"]))
                raise
        return await made(bounds, is_low=is_low, **given)

    monkeypatch.setattr(item_maps, "_in_own_process", wait)
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        for name, count in (("first", 12), ("next", 13)):
            await client.create_gallery(name)
            await client.upsert(items_of("a", 0, count), gallery=name)
            await mapped(server, gallery=name)
        await until(lambda: begun == [12])
        if why == "dropped":
            await client.drop_gallery("first")
        else:
            await client.upsert(items_of("b", 1, 20 if why == "other items" else 5), gallery="first")
            await mapped(server, gallery="first")
        if why != "some more items":
            await until(lambda: begun == [12, 13])
        else:
            await asyncio.sleep(0.2)
        may_end.set()

    assert ended == ([] if why == "some more items" else [12])


async def test_the_names_of_attributes_are_counted_too(tmp_path, at_once):
    items = [dataclasses.replace(item, attributes={90 * item.id[1]: 1}) for item in items_of("a", 0, 10)]
    most = 0
    for limit in range(1500, 2000, 100):
        async with running(tmp_path / str(limit), small_config(max_message_bytes=limit, max_sequences=4)) as server:
            for start in range(0, 10, 4):
                await filled(server, items[start : start + 4])
            found = await mapped(server)
        assert found.ByteSize() <= limit
        assert len(found.items) == 10
        assert list(found.attributes) == sorted(found.attributes)
        assert len(found.attributes) >= most
        most = len(found.attributes)
    assert most == 10


def test_scikit_learn_is_found_where_it_is_installed():
    assert item_map.has_tsne()
