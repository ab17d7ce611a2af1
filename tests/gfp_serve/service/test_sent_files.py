"""Files that callers send: what comes back, what is refused and how, and that nothing is left of any of them."""

import asyncio
import dataclasses
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gfp_serve.client import AsyncClient
from gfp_serve.config import ServeConfig
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from gfp_serve.pose import can_read_videos
from gfp_serve.server import Server
from gfp_serve.service import file_reading, sent_files
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, view_pb2, view_pb2_grpc
from gfp_serve.wire.arrays import read_sequence
from tests.support import pyskl_files
from tests.support.refusals import CODE, refused
from tests.support.servers import channel_to, running, small_config, until
from tests.support.tiny_bundle import walk

VIDEO = Path(__file__).parents[3] / "examples" / "videos" / "basketball-006_08.mp4"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path / "server") as running_server:
        yield running_server


@pytest.fixture
def left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """Lists what processes left in the folder for temporary files."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return lambda: list(place.iterdir())


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[psutil.Process]]:
    """Lets reading take for ever; gives the processes that do."""
    (tmp_path / "endless.py").write_text(
        f"import os, pathlib, time\n(pathlib.Path({str(tmp_path)!r}) / f'{{os.getpid()}}.pid').touch()\ntime.sleep(600)"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setattr(sent_files, "_READER", "endless")

    def alive() -> list[psutil.Process]:
        ids = [int(each.stem) for each in tmp_path.glob("*.pid")]
        return [psutil.Process(each) for each in ids if psutil.pid_exists(each)]

    return alive


def file_of(tmp_path: Path, *clips: Clip) -> bytes:
    write_clip_file(tmp_path / "clips.npz", list(clips))
    return (tmp_path / "clips.npz").read_bytes()


def clip(name: str, seed: int = 1, frames: int = 9, **how: Any) -> Clip:
    return Clip(name=name, sequence=walk(seed, frames=frames), layout=NTU25, fps=30.0, **how)


async def sent(server: Server, content: bytes, name: str, **how: Any) -> view_pb2.ReadFileResponse:
    async with channel_to(server) as channel:
        return await view_pb2_grpc.ViewServiceStub(channel).ReadFile(
            view_pb2.ReadFileRequest(content=content, name=name, **how)
        )


async def refusal(server: Server, content: bytes, name: str, **how: Any) -> tuple[str, str]:
    """Return what was said about a file that cannot be read, and the field."""
    return await refused(sent(server, content, name, **how), CODE.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_the_recordings_of_a_file_come_back_as_they_are_and_can_be_sent(server, tmp_path, left_behind):
    first, second = clip("a", 1, label="wave", subject="7"), clip("b", 2, description="slow")

    reply = await sent(server, file_of(tmp_path, first, second), "C:\\my clips\\Some file.NPZ")

    a, b = reply.recordings
    assert (a.name, a.label, dict(a.attributes), a.dimensions) == ("a", "wave", {"subject": "7", "camera": 0}, 3)
    assert (b.name, b.label, b.attributes["description"]) == ("b", "", "slow")
    assert (a.sequence.layout, a.sequence.fps, reply.num_left_out) == ("ntu25", 30, 0)
    positions, _, _ = read_sequence(a.sequence, server.deployment._config.limits)
    np.testing.assert_array_equal(positions, first.sequence)
    assert set(zip(a.bones[::2], a.bones[1::2], strict=True)) == set(NTU25.bones)
    assert left_behind() == []
    async with channel_to(server) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        assert (await stub.Embed(embedding_pb2.EmbedRequest(sequences=[a.sequence, b.sequence]))).embeddings


async def test_joints_of_an_image_have_two_dimensions_and_remarks_say_how_they_were_read(server, tmp_path):
    rng = np.random.default_rng(0)
    flat = {"keypoint": rng.uniform(100, 500, (1, 9, 17, 2)), "keypoint_score": np.ones((1, 9, 17))}
    annotation = pyskl_files.make_annotation(**flat, total_frames=9, img_shape=(600, 800))
    path = pyskl_files.write(tmp_path / "clips.pkl", {"annotations": [annotation]})

    reply = await sent(server, path.read_bytes(), "clips.pkl")

    (recording,) = reply.recordings
    assert (recording.dimensions, recording.sequence.layout, recording.label) == (2, "coco17", "drink water")
    positions = np.frombuffer(recording.sequence.positions, "<f4").reshape(9, 1, 17, 3)
    assert not positions[..., 2].any()
    assert "read as 2-D joints of the layout coco17." in reply.remarks


@pytest.mark.parametrize(
    ("name", "how", "field", "said"),
    [
        ("notes.md", {}, "name", "'notes.md' is not of a known format; recordings end in .npz, .skeleton"),
        ("", {}, "name", "'' is not of a known format"),
        ("x.npz/..", {}, "name", "'..' is not of a known format"),
        ("walk.amc", {}, "name", "has its skeleton in another file (.asf), so it cannot be read alone"),
        ("walk.fbx", {}, "name", "'walk.fbx' cannot be read: FBX is not read. Open it in Blender"),
        ("walk.npz", {"content": b""}, "content", "walk.npz is empty"),
        ("walk.npz", {"end_s": 2.0}, "end_s", "walk.npz is not a video, and only videos have parts"),
        ("walk.mp4", {"start_s": -1.0}, "start_s", "start is -1; it must be 0 or more"),
        ("walk.mp4", {"start_s": 2.0, "end_s": 1.0}, "end_s", "end is 1; it must be later than start, which is 2"),
        ("walk.npz", {"conventions": {"up": "up"}}, "conventions", "up is 'up'; choose one of x, y, z"),
        ("walk.npz", {"conventions": {"min_confidence": 2.0}}, "conventions.min_confidence", "number from 0 to 1"),
    ],
)
async def test_what_cannot_be_read_is_refused_before_anything_is_done(server, monkeypatch, name, how, field, said):
    monkeypatch.setattr(sent_files, "_READER", "nothing_of_this_name")

    message, found = await refusal(server, how.pop("content", b"x"), name, **how)

    assert (found, said in message) == (field, True), message


async def test_the_readers_own_words_come_back_without_the_folder(server, left_behind):
    message, field = await refusal(server, b"no archive", "../../etc/a b\n;$(x)\x1b.npz")

    assert field == "content"
    assert message.startswith("content: a_b_x.npz ")
    assert "gfp-process" not in message
    assert left_behind() == []


async def test_a_reader_that_takes_too_long_is_ended(server, endless, monkeypatch, left_behind):
    monkeypatch.setattr(sent_files, "_SECONDS", 2.0)

    message, field = await refusal(server, b"x", "walk.npz")

    assert field == "content"
    assert (
        "walk.npz could not be read here: it took longer than 2 s; send a smaller one, or read it elsewhere" in message
    )
    await until(lambda: not endless())
    assert left_behind() == []


async def test_a_reader_that_takes_too_much_memory_is_ended(server, tmp_path, monkeypatch, left_behind, endless):
    monkeypatch.setattr(sent_files, "_MEMORY_BYTES", 2**27)
    (tmp_path / "endless.py").write_text("bytearray(2**28)")

    message, _ = await refusal(server, b"x", "walk.npz")

    assert "walk.npz could not be read here: it took more than 128 MiB of memory; send a smaller one" in message
    assert left_behind() == []


async def test_a_reader_that_fails_is_not_the_end_of_the_server(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sent_files, "_READER", "nothing_of_this_name")

    message, _ = await refusal(server, b"x", "walk.npz")

    assert "walk.npz could not be read here: it ended with status 1; it may be damaged" in message
    assert "smaller" not in message
    assert "No module named nothing_of_this_name" in caplog.text


async def test_a_server_without_room_for_temporary_files_says_so(server, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    message, _ = await refused(sent(server, b"x", "walk.npz"), CODE.FAILED_PRECONDITION, "NOT_WRITABLE")

    assert "the server cannot write temporary files (No such file or directory)" in message


async def test_a_caller_who_leaves_takes_the_process_and_its_folder_along(server, endless, left_behind):
    waiting = asyncio.create_task(sent(server, b"x", "walk.npz"))
    await until(lambda: bool(endless()))
    assert left_behind()
    waiting.cancel()

    await until(lambda: not endless())
    await until(lambda: not left_behind())


async def test_the_end_of_the_server_ends_its_processes(tmp_path, endless, left_behind):
    async with running(tmp_path / "server", dataclasses.replace(small_config(), drain_s=0.1)) as server:
        waiting = asyncio.create_task(sent(server, b"x", "walk.npz"))
        await until(lambda: bool(endless()))

    assert not endless()
    assert left_behind() == []
    await asyncio.wait([waiting])
    assert waiting.exception()


async def test_more_files_than_may_wait_are_refused_at_once(tmp_path, endless, monkeypatch):
    config = dataclasses.replace(small_config(), max_file_reads=1, drain_s=0.1)
    async with running(tmp_path / "server", config) as server:
        waiting = [asyncio.create_task(sent(server, b"x", "walk.npz")) for _ in range(4)]
        await until(lambda: server.deployment._view_service._files._room.admitted == 4)
        message, _ = await refused(sent(server, b"x", "walk.npz"), CODE.RESOURCE_EXHAUSTED, "OVERLOADED")
        await until(lambda: bool(endless()))
        assert len(endless()) == 1
        for each in waiting:
            each.cancel()

    assert "4 files are read or wait for it, and 1 more would pass the limit of 4" in message
    assert "raise --max-file-reads" in message


async def test_recordings_that_do_not_fit_into_a_message_are_counted(tmp_path):
    recorded = walk(1, frames=9)
    clips = [
        Clip(name=name, sequence=np.tile(recorded, (times, 1, 1, 1)), layout=NTU25, fps=30.0)
        for name, times in {"a": 4, "b": 4, "long": 40, "c": 4}.items()
    ]
    file_of(tmp_path, *clips)
    with np.load(tmp_path / "clips.npz") as arrays:
        np.savez_compressed(tmp_path / "small.npz", **arrays)
    limit = int(2.5 * clips[0].sequence.nbytes)
    async with running(tmp_path / "server", small_config(max_message_bytes=limit)) as server:
        reply = await sent(server, (tmp_path / "small.npz").read_bytes(), "clips.npz")

    assert [each.name for each in reply.recordings] == ["a", "b"]
    assert reply.num_left_out == 2
    assert reply.ByteSize() <= limit
    (remark,) = reply.remarks
    assert remark.startswith("the recording 'long' has 360 frames and 1 body, ")
    most = limit - limit // 8 - 6  # an eighth is for remarks
    assert f"this server sends recordings of at most {most} at once" in remark


@pytest.mark.parametrize("name", ["a", 400 * "long"])
def test_a_reply_with_remarks_keeps_to_its_limit_wherever_that_is(tmp_path, monkeypatch, name):
    clips = [clip(f"{name}{number}", number) for number in range(3)]
    file_of(tmp_path, *clips, clip(f"{name}3", frames=90))
    said: list[str] = []
    asked = file_reading.Asked(name="clips.npz", is_video=False, max_bytes=0)
    found = list(file_reading._recordings(tmp_path / "clips.npz", asked, lambda remark: said.append(str(remark))))

    def recordings(_path: Path, _asked: file_reading.Asked, say: Callable[[str], None]) -> list[view_pb2.Recording]:
        for remark in [*said, *(f"{name} {number}" for number in range(60))]:
            say(remark)
        return found

    monkeypatch.setattr(file_reading, "_recordings", recordings)
    numbers = set()
    for limit in range(2 * clips[0].sequence.nbytes, 7 * clips[0].sequence.nbytes, 31):
        content = file_reading._reply(tmp_path / "clips.npz", dataclasses.replace(asked, max_bytes=limit))
        reply = view_pb2.ReadFileResponse.FromString(content)
        assert len(content) <= limit
        assert len(reply.recordings) + reply.num_left_out == 4
        numbers.add(len(reply.recordings))
    assert numbers == {1, 2, 3}


async def test_a_server_may_read_no_files(tmp_path):
    async with running(tmp_path, dataclasses.replace(small_config(), max_file_reads=0)) as server:
        message, _ = await refusal(server, b"x", "walk.npz")
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            assert not (await client.info()).reads_videos

    assert "this server reads no files (--max-file-reads 0)" in message


def test_a_number_of_reads_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"--max-file-reads is -1; it must lie between 0 and 64"):
        ServeConfig(max_file_reads=-1)


@pytest.mark.skipif(not can_read_videos(), reason="the extra video is not installed")
async def test_a_part_of_a_video_becomes_a_skeleton(server, left_behind):
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        assert (await client.info()).reads_videos
    reply = await sent(server, VIDEO.read_bytes(), "My video.MP4", start_s=1.0, end_s=1.5)

    (recording,) = reply.recordings
    assert (recording.name, recording.sequence.layout, recording.sequence.fps) == ("My_video", "mediapipe33", 30)
    assert recording.sequence.num_frames == 15
    assert any("one person in each frame" in remark for remark in reply.remarks)
    assert left_behind() == []
