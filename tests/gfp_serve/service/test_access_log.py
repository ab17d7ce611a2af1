"""The access log and the audit log: who called what, and how it ended."""

import asyncio
import dataclasses
import json
import logging
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from gfp_serve.client import AsyncClient, ClipItem, StreamSettings
from gfp_serve.config import Security, ServeConfig
from gfp_serve.errors import ForbiddenError, GalleryNotFoundError, SettingsError, UnauthenticatedError
from gfp_serve.logs import JsonFormatter, JsonLines, TextFormatter, configure_logs
from gfp_serve.server import Server
from gfp_serve.service.access_log import MAX_STRANGERS_PER_SECOND, AccessLog
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from tests.support.servers import HANG_S, channel_to, running, small_config
from tests.support.tiny_bundle import walk

READ, WRITE, STRANGE = "reads-and-no-more", "writes-and-reads-too", "nobody-knows-this"

EMBED, SEARCH = "gfp_serve.v1.EmbeddingService/Embed", "gfp_serve.v1.GalleryService/Search"
GET = "gfp_serve.v1.GalleryService/Get"
UPSERT, DELETE = "gfp_serve.v1.GalleryService/Upsert", "gfp_serve.v1.GalleryService/Delete"
CREATE, DROP = "gfp_serve.v1.GalleryService/CreateGallery", "gfp_serve.v1.GalleryService/DropGallery"


@pytest.fixture
def config(tmp_path: Path) -> ServeConfig:
    (tmp_path / "tokens").write_text(f"read {READ} camera\nwrite {WRITE}\n")
    (tmp_path / "tokens").chmod(0o600)
    return dataclasses.replace(
        small_config(),
        security=Security(tokens=tmp_path / "tokens"),
        access_log=tmp_path / "access.jsonl",
        audit_log=tmp_path / "audit.jsonl",
    )


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def client_of(server: Server, token: str) -> AsyncClient:
    return AsyncClient(f"127.0.0.1:{server.port}", token=token)


async def test_a_line_says_who_called_what_with_which_sizes_and_how_it_ended(
    tmp_path: Path, config: ServeConfig
) -> None:
    async with running(tmp_path, config) as server:
        async with client_of(server, WRITE) as client:
            await client.upsert([ClipItem("a", walk(1)), ClipItem("b", walk(2))])
        async with client_of(server, READ) as client:
            await client.search([walk(1), walk(2), walk(3)], top_k=2)
            with pytest.raises(GalleryNotFoundError):
                await client.get(["a"], gallery="none")
    lines = {line["rpc"]: line for line in lines_of(tmp_path / "access.jsonl")}

    found = lines[SEARCH]
    known = {"code": "OK", "caller": "camera", "gallery": "default", "num_queries": 3, "num_results": 3, "top_k": 2}
    assert found | known == found
    assert found["peer"].startswith("ipv4:127.0.0.1:")
    assert found["request_bytes"] > 3 * walk(1).nbytes
    assert 0 < found["reply_bytes"] < found["request_bytes"]
    assert found["duration_ms"] >= found["inference_ms"] > 0
    assert found["request_id"]
    assert found["time"].endswith("Z")
    assert lines[UPSERT] | {"caller": "line 2", "num_items": 2, "generation": 1} == lines[UPSERT]
    assert lines[GET] | {"code": "NOT_FOUND", "gallery": "none", "num_ids": 1, "reply_bytes": 0} == lines[GET]
    assert "none" in lines[GET]["error"]


async def test_the_id_that_a_caller_sent_is_in_its_line(tmp_path: Path, config: ServeConfig) -> None:
    headers = (("authorization", f"Bearer {READ}"), ("x-request-id", "mine-7"))
    async with running(tmp_path, config) as server, channel_to(server) as channel:
        await gallery_pb2_grpc.GalleryServiceStub(channel).ListGalleries(
            gallery_pb2.ListGalleriesRequest(), metadata=headers
        )
    assert [line["request_id"] for line in lines_of(tmp_path / "access.jsonl")] == ["mine-7"]


async def test_a_stream_is_a_line_with_its_number_of_messages(tmp_path: Path, config: ServeConfig) -> None:
    async def frames():
        yield walk(1)
        yield walk(2)

    settings = StreamSettings(window_frames=8, stride_frames=8)
    async with running(tmp_path, config) as server, client_of(server, READ) as client:
        num_windows = len([window async for window in client.stream(frames(), settings)])
    (line,) = (line for line in lines_of(tmp_path / "access.jsonl") if line["rpc"].endswith("EmbedStream"))
    assert line | {"num_requests": 3, "num_replies": num_windows, "code": "OK"} == line


async def test_the_audit_log_has_who_added_removed_created_and_dropped_what_and_nothing_else(
    tmp_path: Path, config: ServeConfig
) -> None:
    async with running(tmp_path, config) as server:
        async with client_of(server, WRITE) as client:
            await client.create_gallery("mine")
            await client.upsert([ClipItem("a" * 256, walk(1)), ClipItem("b", walk(2))], gallery="mine")
            await client.search(walk(1), gallery="mine")
            await client.delete(["b", "none"], gallery="mine")
            await client.drop_gallery("mine")
        async with client_of(server, READ) as client:
            with pytest.raises(ForbiddenError):
                await client.delete(["b"])
        async with client_of(server, STRANGE) as client:
            with pytest.raises(UnauthenticatedError):
                await client.delete(["b"])
    lines = lines_of(tmp_path / "audit.jsonl")

    shown = [(line["rpc"], line["caller"], line["code"], line.get("gallery"), line.get("ids")) for line in lines]
    assert shown == [
        (CREATE, "line 2", "OK", "mine", None),
        (UPSERT, "line 2", "OK", "mine", ["a" * 256, "b"]),
        (DELETE, "line 2", "OK", "mine", ["b", "none"]),
        (DROP, "line 2", "OK", "mine", None),
        (DELETE, "camera", "PERMISSION_DENIED", None, None),
    ]
    assert lines[2]["num_deleted"] == 1
    assert lines[3]["num_items"] == 1


async def test_no_log_ever_has_a_token(tmp_path: Path, config: ServeConfig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="gfp_serve")
    async with running(tmp_path, config) as server:
        async with client_of(server, WRITE) as client:
            await client.upsert([ClipItem("a", walk(1))])
        async with client_of(server, STRANGE) as client:
            with pytest.raises(UnauthenticatedError):
                await client.info()
    written = (tmp_path / "access.jsonl").read_text() + (tmp_path / "audit.jsonl").read_text() + caplog.text
    assert '"UNAUTHENTICATED"' in written
    assert [token for token in (READ, WRITE, STRANGE) if token in written] == []


def test_callers_without_a_token_cannot_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("gfp_serve.service.access_log.time", SimpleNamespace(monotonic=lambda: now[0]))
    log = AccessLog(access=tmp_path / "access.jsonl")
    for _ in range(MAX_STRANGERS_PER_SECOND + 5):
        log.write(EMBED, {"rpc": EMBED}, [], by_stranger=True)
    now[0] += 1
    log.write(EMBED, {"rpc": EMBED}, [], by_stranger=True)
    log.close()
    lines = lines_of(tmp_path / "access.jsonl")
    assert [line.get("refused_calls_not_written") for line in lines] == [None] * MAX_STRANGERS_PER_SECOND + [5]


async def test_at_the_level_debug_the_servers_log_has_each_call_and_without_it_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.embed(walk(1))
        assert EMBED not in caplog.text
        caplog.set_level(logging.DEBUG, logger="gfp_serve")
        await client.embed(walk(1))
        await client.create_gallery("b")
        caplog.clear()
        await client.upsert([ClipItem("x", walk(2))], gallery="b")
    (record,) = (record for record in caplog.records if "Upsert" in record.getMessage())
    assert "batch: clips=1 bodies=1 longest_wait_ms=" in caplog.text
    assert f"rpc={UPSERT} code=OK duration_ms=" in record.getMessage()
    assert json.loads(JsonFormatter().format(record))["gallery"] == "b"


async def test_a_gallery_that_nobody_has_cannot_forge_a_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="gfp_serve")
    name = "a\nINFO all is well code=OK \x1b[2J" + 10_000 * "x"
    async with running(tmp_path) as server, channel_to(server) as channel:
        with pytest.raises(grpc.RpcError):
            await gallery_pb2_grpc.GalleryServiceStub(channel).Delete(
                gallery_pb2.DeleteRequest(gallery=name, ids=["a"])
            )
    (line,) = (record.getMessage() for record in caplog.records if DELETE in record.getMessage())
    assert line.isprintable()
    assert len(line) < 2500


# Files


def test_a_file_that_was_moved_away_is_begun_again(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "log", "--access-log")
    log.write({"number": 1})
    log.wait()
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.write({"number": 2})
    log.close()
    assert [lines_of(tmp_path / name)[0]["number"] for name in ("log.1", "log")] == [1, 2]
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0, "it names people: not for every user of the machine"


def test_a_line_that_cannot_be_written_is_said_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").mkdir()
    log = JsonLines(tmp_path / "folder" / "log", "--audit-log")
    (tmp_path / "folder" / "log").unlink()
    (tmp_path / "folder").rmdir()
    for _ in range(3):
        log.write({"number": 1})
    log.wait()
    assert caplog.text.count("cannot be written: No such file or directory. Its lines are lost until it can") == 1
    (tmp_path / "folder").mkdir()
    log.write({"number": 2})
    log.close()
    assert lines_of(tmp_path / "folder" / "log")[-1]["number"] == 2


def test_a_full_disk_does_not_stop_calls(caplog: pytest.LogCaptureFixture) -> None:
    log = JsonLines(Path("/dev/full"), "--access-log")
    for _ in range(2):
        log.write({"number": 1})
    log.close()
    assert caplog.text.count("--access-log /dev/full cannot be written: No space left on device") == 1


async def test_a_log_that_cannot_be_opened_stops_the_server_before_it_serves(tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(), audit_log=tmp_path / "none" / "audit.jsonl")
    with pytest.raises(
        SettingsError, match=r"--audit-log .* cannot be written: No such file or directory. Name a file"
    ):
        async with running(tmp_path, config):
            pass


def test_standard_output_takes_lines_too(capfd: pytest.CaptureFixture[str]) -> None:
    log = JsonLines(Path("-"), "--access-log")
    log.write({"number": 1})
    log.close()
    assert json.loads(capfd.readouterr().out)["number"] == 1


def holding_up_writes(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Let lines wait until the second event is set. The first is set when the first line has been taken."""
    taken, released = threading.Event(), threading.Event()
    write = os.write

    def slow(descriptor: int, content: bytes) -> int:
        taken.set()
        assert released.wait(HANG_S)
        return write(descriptor, content)

    monkeypatch.setattr("gfp_serve.logs.os", SimpleNamespace(**{**vars(os), "write": slow}))
    return taken, released


async def test_a_log_that_takes_no_lines_holds_up_no_call_and_says_how_many_it_lost(
    tmp_path: Path, config: ServeConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(JsonLines, "MAX_WAITING", 2)
    stuck, released = holding_up_writes(monkeypatch)
    config = dataclasses.replace(config, audit_log=None)
    async with running(tmp_path, config) as server, client_of(server, READ) as client:
        await client.info()
        assert await asyncio.to_thread(stuck.wait, HANG_S)
        for _ in range(8):
            await client.info()
        released.set()
    lines = lines_of(tmp_path / "access.jsonl")
    num_lost = sum(line.get("lines_lost", 0) for line in lines)
    assert num_lost > 0
    assert sum("rpc" in line for line in lines) + num_lost == server.metrics.registry.get_sample_value(
        "gfp_requests_total", {"rpc": "gfp_serve.v1.EmbeddingService/GetInfo", "code": "OK"}
    )
    assert caplog.text.count("takes lines more slowly than they come") == 1


def test_a_pipe_that_nobody_reads_does_not_keep_a_log_from_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(JsonLines, "CLOSE_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        log = JsonLines(tmp_path / "pipe", "--access-log")
        log.write({"text": "x" * 2**20})
        log.close()
        assert "--access-log" in caplog.text
        assert "takes no lines" in caplog.text
    finally:
        os.close(reader)


def test_lines_that_wait_hold_no_more_memory_than_their_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(JsonLines, "MAX_WAITING_BYTES", 10_000)
    taken, released = holding_up_writes(monkeypatch)
    log = JsonLines(tmp_path / "log", "--audit-log")
    log.write({"ids": 900 * "x"})
    assert taken.wait(HANG_S)
    for _ in range(20):
        log.write({"ids": 900 * "x"})
    released.set()
    log.wait()
    log.write({"ids": 900 * "x"})  # there is room again
    log.close()
    lines = lines_of(tmp_path / "log")
    assert [line["lines_lost"] for line in lines if "lines_lost" in line] == [11]
    assert sum("ids" in line for line in lines) == 10 + 1
    assert caplog.text.count("takes lines more slowly than they come") == 1


def test_a_line_that_is_lost_while_the_number_of_lost_lines_is_taken_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(JsonLines):
        """Another thread loses one more line when the number of lost lines has been read and not yet changed."""

        more: threading.Thread | None = None
        number = 0

        @property
        def _num_lost(self) -> int:
            number = self.number
            if number and threading.current_thread() is self._thread and self.more is None:
                self.more = threading.Thread(target=self.write, args=({"number": 3},))
                self.more.start()
                self.more.join(0.1)  # in vain if it has to wait until the number is changed
            return number

        @_num_lost.setter
        def _num_lost(self, number: int) -> None:
            self.number = number

    monkeypatch.setattr(JsonLines, "MAX_WAITING", 1)
    taken, released = holding_up_writes(monkeypatch)
    log = Interrupted(tmp_path / "log", "--access-log")
    log.write({"number": 0})
    assert taken.wait(HANG_S)
    for number in (1, 2):  # one waits, one is lost
        log.write({"number": number})
    released.set()
    log.wait()
    assert log.more is not None
    log.more.join()
    log.write({"number": 4})
    log.close()
    lines = lines_of(tmp_path / "log")
    assert sum("number" in line for line in lines) + sum(line.get("lines_lost", 0) for line in lines) == 5


def test_what_callers_send_makes_no_line_of_its_own_in_a_log_of_text() -> None:
    record = logging.makeLogRecord(
        {"msg": "asked for %s", "args": ("/x\n2026 INFO forged\x1b[2J\x9b",), "name": "gfp_serve"}
    )
    line = TextFormatter().format(record)
    assert line.endswith(r"asked for /x\n2026 INFO forged\x1b[2J\x9b")
    try:
        raise ValueError("\x1b[31m")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert TextFormatter().format(record).splitlines()[-1] == r"ValueError: \x1b[31m"


def test_the_level_debug_is_for_our_own_messages() -> None:
    configure_logs("text", "debug")
    assert logging.getLogger("gfp_serve.server").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("asyncio").isEnabledFor(logging.DEBUG)
    configure_logs("text", "error")
    for name in ("gfp_serve.server", "asyncio"):
        assert not logging.getLogger(name).isEnabledFor(logging.WARNING)
