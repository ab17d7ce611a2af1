"""Snapshots that the server makes by itself."""

import dataclasses
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.client import AsyncClient
from gfp_serve.config import ServeConfig
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.items import Item
from gfp_serve.server import Server
from gfp_serve.service.metrics import Metrics
from gfp_serve.service.snapshot_schedule import SnapshotSchedule
from gfp_serve.service.snapshots import SnapshotServicer
from tests.support.servers import running, small_config, until
from tests.support.tiny_bundle import SIZE

NOON = datetime(2026, 11, 29, 12, 0, 0, 654_321, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as running_server:
        yield running_server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"127.0.0.1:{server.port}") as connected:
        await connected.upsert([Item("a", np.eye(SIZE, dtype=np.float32)[0])])
        yield connected


def schedule_of(server: Server, keep: int = 2, metrics: Metrics | None = None) -> SnapshotSchedule:
    """A schedule of every two hours."""
    return SnapshotSchedule(
        lambda: server.deployment.snapshots, every_s=7200, keep=keep, metrics=metrics or server.metrics
    )


async def names_in(client: AsyncClient) -> list[str]:
    return [f"{each.gallery}/{each.name}" for each in await client.list_snapshots()]


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_each_gallery_has_a_snapshot_every_few_hours_and_the_newest_are_kept(
    server: Server, client: AsyncClient
) -> None:
    schedule = schedule_of(server)
    await client.create_snapshot("mine")
    await schedule.make_due(NOON)
    assert await names_in(client) == ["default/mine", "default/auto-20261129T120000Z"]
    await client.create_gallery("people")
    await schedule.make_due(NOON + HOUR)
    assert (await names_in(client))[2:] == ["people/auto-20261129T130000Z"], "the other is not due yet"
    for hours in (2, 3, 4, 5):
        await schedule.make_due(NOON + hours * HOUR)
    assert await names_in(client) == [
        *("default/mine", "default/auto-20261129T140000Z", "default/auto-20261129T160000Z"),
        *("people/auto-20261129T150000Z", "people/auto-20261129T170000Z"),
    ], "only what the schedule made is removed"


async def test_snapshots_of_a_wrong_clock_take_no_place_from_right_ones(
    server: Server, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="gfp_serve")
    schedule = schedule_of(server)
    for hours in (0, 2):
        await schedule.make_due(NOON.replace(year=2035) + hours * HOUR)
    ahead = ["default/auto-20351129T120000Z", "default/auto-20351129T140000Z"]
    assert await names_in(client) == ahead
    for hours in (0, 2, 4):
        await schedule.make_due(NOON + hours * HOUR)
    assert sorted(await names_in(client)) == ["default/auto-20261129T140000Z", "default/auto-20261129T160000Z", *ahead]
    assert "2 snapshots of a time that has not come" in caplog.text


async def test_a_restarted_server_goes_on_with_the_snapshots_that_are_there(
    server: Server, client: AsyncClient
) -> None:
    await schedule_of(server).make_due(NOON)
    await schedule_of(server).make_due(NOON + HOUR)
    assert await names_in(client) == ["default/auto-20261129T120000Z"]
    await schedule_of(server, keep=1).make_due(NOON + 2 * HOUR)
    assert await names_in(client) == ["default/auto-20261129T140000Z"]
    await schedule_of(server).make_due(NOON - 24 * HOUR)
    assert len(await names_in(client)) == 2, "a clock that was wrong does not stop it"


async def test_metrics_and_log_say_when_the_last_one_was_made_and_whether_it_failed(
    server: Server, client: AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gfp_serve.service.snapshot_schedule")
    schedule, metrics = schedule_of(server), server.metrics

    def fails(self: ItemStore, file: Path) -> None:
        raise OSError(28, "No space left on device", str(file))

    with monkeypatch.context() as patch:
        patch.setattr(ItemStore, "copy_to", fails)
        await schedule.make_due(NOON)
        await schedule.make_due(NOON + timedelta(minutes=9))
    assert "gallery=default failed, and is tried again in 600 s: no snapshot of the gallery 'default'" in caplog.text
    assert "No space left on device" in caplog.text
    assert sample(metrics, "gfp_snapshots_total", result="failed") == 1, "it was not tried again at once"
    assert sample(metrics, "gfp_snapshot_timestamp_seconds", gallery="default") == 0
    await schedule.make_due(NOON + timedelta(minutes=10))
    assert "snapshot=auto-20261129T121000Z gallery=default items=1 bytes=" in caplog.text
    assert sample(metrics, "gfp_snapshots_total", result="made") == 1
    at = (NOON + timedelta(minutes=10)).replace(microsecond=0).timestamp()
    assert sample(metrics, "gfp_snapshot_timestamp_seconds", gallery="default") == at
    await client.create_gallery("people")
    await schedule.make_due(NOON + HOUR)
    assert sample(metrics, "gfp_snapshot_timestamp_seconds", gallery="people") > at
    await client.drop_gallery("people")
    await schedule.make_due(NOON + HOUR)
    assert sample(metrics, "gfp_snapshot_timestamp_seconds", gallery="people") is None
    assert "people/auto-20261129T130000Z" in await names_in(client), "snapshots of a dropped gallery stay"


async def test_the_server_makes_the_first_snapshot_when_it_starts(tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(), gallery=str(tmp_path / "galleries"), snapshot_every_h=24.0)
    async with running(tmp_path, config) as server:
        await until(lambda: sample(server.metrics, "gfp_snapshots_total", result="made") == 1)
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            (name,) = await names_in(client)
    assert name.startswith("default/auto-20")


async def test_a_schedule_goes_on_after_another_encoder_took_over(server: Server, client: AsyncClient) -> None:
    served = server.deployment.snapshots
    old = SnapshotServicer(server.deployment.galleries, small_config().limits)
    old.close()
    now_served = [old]
    schedule = SnapshotSchedule(lambda: now_served[0], every_s=7200, keep=2, metrics=server.metrics)
    await schedule.make_due(NOON)
    assert await names_in(client) == []
    now_served[0] = served
    await schedule.make_due(NOON)
    assert await names_in(client) == ["default/auto-20261129T120000Z"]


async def test_what_a_killed_server_left_of_a_snapshot_is_removed_later(
    server: Server, client: AsyncClient, tmp_path: Path
) -> None:
    await schedule_of(server).make_due(NOON)
    (whole,) = (tmp_path / "galleries").glob("_snapshots/default/*.sqlite")
    left, at_work = (whole.with_name(f".{whole.name}.0123abc{n}.new") for n in (1, 2))
    for file in (left, at_work):
        file.write_bytes(b"half")
    os.utime(left, (0, 0))
    await schedule_of(server).make_due(NOON + 2 * HOUR)
    assert (left.exists(), at_work.exists(), whole.exists()) == (False, True, True)


@pytest.mark.parametrize("gallery", [None, "milvus://127.0.0.1:19530/gfp"])
def test_a_schedule_needs_galleries_in_a_folder(gallery: str | None) -> None:
    with pytest.raises(ValueError, match="--snapshot-every-h needs --gallery FOLDER"):
        ServeConfig(gallery=gallery, snapshot_every_h=1.0)
