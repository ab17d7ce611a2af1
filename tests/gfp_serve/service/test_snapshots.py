"""Snapshots over the wire, by both clients and by plain calls, while the server runs."""

import asyncio
import dataclasses
import hashlib
import io
import os
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.client import AsyncClient, Client
from gfp_serve.client.snapshot_download import SnapshotDownload
from gfp_serve.errors import (
    EncoderMismatchError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
    NotWritableError,
    SnapshotError,
    SnapshotExistsError,
    SnapshotNotFoundError,
)
from gfp_serve.gallery.care import backup
from gfp_serve.gallery.care.backup import create_snapshot, verify_snapshot
from gfp_serve.gallery.embedded.galleries import RESTORING
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.items import Item, Source
from gfp_serve.server import Server
from gfp_serve.v1 import snapshot_pb2, snapshot_pb2_grpc
from tests.support.refusals import CODE, refused
from tests.support.servers import HANG_S, channel_to, running, running_in_thread, small_config
from tests.support.tiny_bundle import SIZE

UNIT = np.eye(SIZE, dtype=np.float32)
ITEMS = [Item(f"i{n}", UNIT[n], f"label {n}", {"n": float(n)}, Source("r", n, n + 1)) for n in range(SIZE)]

Ask = Callable[..., Any]


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ask]:
    """Run a method of either client; the server sends pieces of 8 KiB."""
    with running_in_thread(tmp_path, small_config(max_message_bytes=2**14)) as address:
        if request.param == "blocking":
            with Client(address) as client:
                yield lambda method, *args, **given: getattr(client, method)(*args, **given)
        else:

            async def call(method: str, args: Any, given: Any) -> Any:
                async with AsyncClient(address) as client:
                    return await getattr(client, method)(*args, **given)

            yield lambda method, *args, **given: asyncio.run(call(method, args, given))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"127.0.0.1:{server.port}") as connected:
        await connected.upsert(ITEMS)
        yield connected


def folder_of(tmp_path: Path, gallery: str = "default") -> Path:
    return tmp_path / "galleries" / "_snapshots" / gallery


def files_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_snapshot_is_made_listed_fetched_and_restored_while_the_server_runs(ask: Ask, tmp_path: Path) -> None:
    ask("upsert", ITEMS)
    made = ask("create_snapshot", "monday")
    assert (made.gallery, made.name, made.num_items, made.generation) == ("default", "monday", SIZE, 1)
    ask("delete", ["i0"])
    later = ask("create_snapshot", "tuesday")
    assert ask("list_snapshots") == [made, later]
    file = tmp_path / "copy.sqlite"
    seen: list[tuple[int, int]] = []
    sha256 = ask("fetch_snapshot", "monday", file, on_progress=lambda done, total: seen.append((done, total)))
    assert sha256 == made.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_mode & 0o077 == 0, "only the owner may read it"
    assert (len(seen) > 1, seen[-1]) == (True, (made.num_bytes, made.num_bytes))
    assert verify_snapshot(file).num_items == SIZE, "the SHA-256 lies beside it"
    assert list(tmp_path.glob(".*.part")) == []
    description = ask("restore_snapshot", "monday", "restored")
    assert (description.num_items, description.generation) == (SIZE, 1)
    assert [each.id for each in ask("get", ["i0", "i7"], gallery="restored")] == ["i0", "i7"]
    assert ask("search", UNIT[0], 1, gallery="restored")[0].id == "i0"
    assert ask("upsert", ITEMS, gallery="restored") == 2, "it takes writes"


def test_a_snapshot_stays_when_its_gallery_is_dropped_and_old_ones_are_pruned(ask: Ask) -> None:
    ask("create_gallery", "people")
    ask("upsert", ITEMS, gallery="people")
    ask("create_snapshot", "of-default")
    for name in ("a", "b", "c"):
        ask("create_snapshot", name, gallery="people")
    ask("drop_gallery", "people")
    assert ask("prune_snapshots", 2, gallery="people") == ["a"]
    assert [(each.gallery, each.name) for each in ask("list_snapshots")] == [
        ("default", "of-default"),
        ("people", "b"),
        ("people", "c"),
    ]
    ask("delete_snapshot", "b", gallery="people")
    assert ask("prune_snapshots", 2, gallery="people") == []
    ask("restore_snapshot", "c", "people", gallery="people")
    assert ask("describe_gallery", "people").num_items == SIZE
    with pytest.raises(InvalidRequestError, match="keep at least 1"):
        ask("prune_snapshots", 0)


def test_an_interrupted_fetch_goes_on_where_it_ended(ask: Ask, tmp_path: Path) -> None:
    made = ask("create_snapshot", "monday")
    file = tmp_path / "copy.sqlite"

    def give_up(done: int, _total: int) -> None:
        assert done == 8192
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask("fetch_snapshot", "monday", file, on_progress=give_up)
    (part,) = tmp_path.glob(".copy.sqlite.*.part")
    assert (file.exists(), part.stat().st_size) == (False, 8192)
    seen: list[int] = []
    ask("fetch_snapshot", "monday", file, on_progress=lambda done, _: seen.append(done))
    assert seen[0] == 8192, "the first piece only says where the file goes on"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == made.sha256
    with pytest.raises(SnapshotExistsError, match="nothing is overwritten"):
        ask("fetch_snapshot", "monday", file)


def test_a_part_that_was_damaged_fails_whole_and_is_not_used_again(ask: Ask, tmp_path: Path) -> None:
    made = ask("create_snapshot", "monday")
    file = tmp_path / "copy.sqlite"
    (tmp_path / f".copy.sqlite.{made.sha256[:16]}.part").write_bytes(bytes(10_000))
    with pytest.raises(SnapshotError, match="so it was removed"):
        ask("fetch_snapshot", "monday", file)
    assert not file.exists()
    ask("fetch_snapshot", "monday", file)
    assert verify_snapshot(file).num_items == 0


OUTSIDE = ("../default", "..", "a/b", "/etc/passwd", "", ".hidden", "x\n", "x" * 101, "ä", "a\0b")


@pytest.mark.parametrize("name", OUTSIDE)
async def test_no_name_leads_out_of_the_folder_of_snapshots(
    server: Server, client: AsyncClient, tmp_path: Path, name: str
) -> None:
    before = files_in(tmp_path)
    async with channel_to(server) as channel:
        stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        for method in ("Create", "Read", "Delete", "Restore"):
            ask, kind = getattr(stub, f"{method}Snapshot"), getattr(snapshot_pb2, f"{method}SnapshotRequest")
            given = {"into": "new"} if method == "Restore" else {}
            _, field = await refused(ask(kind(name=name, **given)), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
            assert field == "name"
            if name:
                other = ask(kind(gallery=name, name="x", **given))
                assert (await refused(other, CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == "gallery"
        await client.create_snapshot("monday")
        into = stub.RestoreSnapshot(snapshot_pb2.RestoreSnapshotRequest(name="monday", into=name))
        assert (await refused(into, CODE.INVALID_ARGUMENT, "INVALID_REQUEST"))[1] == "into"
    await client.delete_snapshot("monday")
    made = {tmp_path / "galleries" / "_snapshots", folder_of(tmp_path)}  # by the one that was made and removed
    assert {path for path in files_in(tmp_path) if path.suffix != ".sqlite-shm"} - before <= made


async def test_what_does_not_exist_or_exists_already_is_refused_by_its_own_status(client: AsyncClient) -> None:
    await client.create_snapshot("monday")
    with pytest.raises(SnapshotExistsError, match="'monday' already"):
        await client.create_snapshot("monday")
    with pytest.raises(GalleryNotFoundError) as refusal:
        await client.create_snapshot("x", gallery="none")
    assert refusal.value.field == "gallery"
    for ask in (client.delete_snapshot, lambda name: client.restore_snapshot(name, "new")):
        with pytest.raises(SnapshotNotFoundError, match="there is no snapshot"):
            await ask("friday")
    await client.create_gallery("taken")
    for name in ("taken", "default"):
        with pytest.raises(GalleryExistsError) as taken:
            await client.restore_snapshot("monday", name)
        assert taken.value.field == "into"
    assert (await client.describe_gallery("taken")).num_items == 0, "nothing is replaced"


async def test_a_damaged_snapshot_is_refused_in_words_and_nothing_is_made(client: AsyncClient, tmp_path: Path) -> None:
    made = await client.create_snapshot("monday")
    file = folder_of(tmp_path) / "monday.sqlite"
    with file.open("r+b") as opened:
        opened.seek(made.num_bytes - 100)
        opened.write(b"damage")
    with pytest.raises(SnapshotError, match=r"'monday' was not restored: .* has another SHA-256"):
        await client.restore_snapshot("monday", "new")
    with pytest.raises(SnapshotError, match="so it was removed"):
        await client.fetch_snapshot("monday", tmp_path / "copy.sqlite")
    (folder_of(tmp_path) / "monday.sqlite.sha256").unlink()
    assert [each.sha256 for each in await client.list_snapshots()] == [""]
    with pytest.raises(SnapshotError, match="copy both files"):
        await client.restore_snapshot("monday", "new")
    assert [each.name for each in await client.list_galleries()] == ["default"]
    assert [path for path in files_in(tmp_path) if RESTORING in str(path)] == []


async def test_a_snapshot_of_another_encoder_is_not_restored(client: AsyncClient, tmp_path: Path) -> None:
    with FaissGallery.create(tmp_path / "theirs", encoder_digest="5e" * 32, embedding_size=4):
        create_snapshot(tmp_path / "theirs", folder_of(tmp_path) / "theirs.sqlite")
    with pytest.raises(EncoderMismatchError, match="of the snapshot 'theirs' was filled by encoder 5e5e5e"):
        await client.restore_snapshot("theirs", "new")
    assert [each.name for each in await client.list_galleries()] == ["default"]


async def test_a_damaged_gallery_gives_no_snapshot_and_the_caller_hears_why(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(self: ItemStore, _on_unfit: object) -> None:
        self.check_count(-1)

    monkeypatch.setattr(ItemStore, "check_items", damaged)
    with pytest.raises(SnapshotError, match=r"no snapshot of the gallery 'default' was made: .* is damaged"):
        await client.create_snapshot("monday")
    assert await client.list_snapshots() == []


async def test_a_full_disk_is_reported_in_words_and_leaves_nothing(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Path, _content: str) -> None:
        raise OSError(28, os.strerror(28), str(file))

    monkeypatch.setattr(backup, "write_whole", full)
    with pytest.raises(NotWritableError, match="No space left on device"):
        await client.create_snapshot("monday")
    assert list(folder_of(tmp_path).iterdir()) == []


async def test_a_caller_who_leaves_ends_the_making_of_a_snapshot(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, stopped = threading.Event(), threading.Event()
    copy_to = ItemStore.copy_to

    def slow(self: ItemStore, file: Path) -> None:
        copy_to(self, file)
        entered.set()
        while not self._should_stop():
            stopped.wait(0.01)
        stopped.set()

    monkeypatch.setattr(ItemStore, "copy_to", slow)
    making = asyncio.create_task(client.create_snapshot("monday"))
    assert await asyncio.to_thread(entered.wait, HANG_S)
    making.cancel()
    assert await asyncio.to_thread(stopped.wait, HANG_S)
    monkeypatch.setattr(ItemStore, "copy_to", copy_to)
    assert (await client.create_snapshot("tuesday")).num_items == SIZE, "the next one has its turn"
    assert sorted(path.name for path in folder_of(tmp_path).iterdir()) == ["tuesday.sqlite", "tuesday.sqlite.sha256"]


@pytest.mark.parametrize("ended_by", ["its caller", "the end of the server"])
async def test_a_restore_stops_between_pieces_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    """The file of this snapshot never ends."""
    entered = threading.Event()

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, place: Any) -> int:
            entered.set()
            return len(place)

    config = dataclasses.replace(small_config(), drain_s=0.2)
    async with running(tmp_path, config) as server:
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            await client.create_snapshot("monday")
            monkeypatch.setattr(backup, "open_ordinary", lambda *_, **__: io.BufferedReader(Endless()))
            restoring = asyncio.create_task(client.restore_snapshot("monday", "again"))
            assert await asyncio.to_thread(entered.wait, HANG_S)
            if ended_by == "its caller":
                restoring.cancel()
                deployment = server.deployment.snapshots
                await asyncio.wait_for(asyncio.wrap_future(deployment._worker.submit(lambda: None)), HANG_S)
            else:
                await asyncio.wait_for(server.stop(), HANG_S)
            await asyncio.wait([restoring])
        assert not list((tmp_path / "galleries").glob(f"{RESTORING}*"))
        assert not (tmp_path / "galleries" / "again").exists()


async def test_writes_and_searches_go_on_while_a_snapshot_is_made(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    copy_to = ItemStore.copy_to

    def held(self: ItemStore, file: Path) -> None:
        copy_to(self, file)
        entered.set()
        assert go_on.wait(HANG_S)

    monkeypatch.setattr(ItemStore, "copy_to", held)
    making = asyncio.create_task(client.create_snapshot("monday"))
    assert await asyncio.to_thread(entered.wait, HANG_S)
    await client.upsert([Item("later", UNIT[1])])
    assert len(await client.search(UNIT[0], 3)) == 3
    assert [each.name for each in await client.list_galleries()] == ["default"]
    go_on.set()
    assert (await making).num_items == SIZE, "as the gallery was when the snapshot began"


async def test_a_fetched_snapshot_is_verified_beside_the_event_loop(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, threads = SnapshotDownload.finish, []

    def noted(self: SnapshotDownload) -> str:
        threads.append(threading.current_thread())
        return finish(self)

    monkeypatch.setattr(SnapshotDownload, "finish", noted)
    made = await client.create_snapshot("monday")
    assert await client.fetch_snapshot("monday", tmp_path / "copy.sqlite") == made.sha256
    assert threads
    assert threading.current_thread() not in threads


async def test_pieces_say_what_they_are_part_of(server: Server, client: AsyncClient) -> None:
    made = await client.create_snapshot("monday")
    async with channel_to(server) as channel:
        stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)

        def ask(offset: int) -> Any:
            return stub.ReadSnapshot(snapshot_pb2.ReadSnapshotRequest(name="monday", offset=offset))

        whole = await ask(0)
        assert (whole.num_bytes, whole.sha256) == (made.num_bytes, made.sha256)
        assert (len(whole.piece), whole.crc32) == (made.num_bytes, zlib.crc32(whole.piece))
        assert (await ask(5)).piece == whole.piece[5:]
        assert (await ask(made.num_bytes)).piece == b""
        _, field = await refused(ask(made.num_bytes + 1), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert field == "offset"


async def test_a_restored_gallery_is_there_after_a_restart_and_half_a_restore_is_not(tmp_path: Path) -> None:
    async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert(ITEMS)
        await client.create_snapshot("monday")
        await client.restore_snapshot("monday", "restored")
    half = tmp_path / "galleries" / f"{RESTORING}0123" / "half"
    half.mkdir(parents=True)
    (half / "gallery.sqlite").write_bytes(b"half")
    async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        found = {each.name: each.description.num_items for each in await client.list_galleries()}
    assert found == {"default": SIZE, "restored": SIZE}
    assert not half.exists()
