"""The edge to PyAV and MediaPipe: which frames are looked at, how they are turned, and what is refused."""

import hashlib
import select
import socket
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gfp_serve import pose
from gfp_serve.errors import DamagedFileError, MissingExtraError
from gfp_serve.pose import VideoPart, seen_frames
from tests.support.drawn_video import write_video
from tests.support.numbered_video import WRIST, finding_numbers, numbered, write_numbered


def numbers_in(path: Path, **part: float) -> list[int]:
    """The numbers of the frames that are looked at."""
    return [round(float(frame.landmarks[WRIST, 0])) for frame in seen_frames(path, VideoPart(**part))]


@pytest.fixture
def finder(monkeypatch):
    return finding_numbers(monkeypatch)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({}, range(20)),
        ({"every": 3}, range(0, 20, 3)),
        ({"start": 0.5}, range(5, 20)),
        ({"end": 0.5}, range(5)),
        ({"start": 0.45, "end": 1.55, "every": 2}, range(5, 16, 2)),
        ({"start": 1.9, "end": 60}, [19]),
        ({"start": 1e18}, []),
        ({"start": 1e300, "end": 1.5e308}, []),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_the_frames_of_a_part_are_looked_at(tmp_path, finder, suffix, part, expected):
    path = write_numbered(tmp_path / f"video{suffix}")

    assert numbers_in(path, **part) == [*expected]
    times = [frame.time_s for frame in seen_frames(path, VideoPart(**part))]
    assert times == pytest.approx([number / 10 for number in expected], abs=1e-3)


def test_times_are_those_of_the_video_even_if_they_do_not_begin_at_0(tmp_path, finder):
    times = 7 + np.array([0.0, 0.1, 0.25, 0.3])
    path = write_numbered(tmp_path / "late.mkv", range(4), times=times.tolist())

    assert [frame.time_s for frame in seen_frames(path)] == pytest.approx([0, 0.1, 0.25, 0.3], abs=2e-3)
    assert numbers_in(path, start=0.2) == [2, 3]


def test_where_the_container_says_no_beginning_frames_have_their_own_times(tmp_path, finder):
    import av

    # FFmpeg knows of none where frames are far apart.
    path = write_numbered(tmp_path / "lapse.mkv", range(2), times=[0.0, 400.0])
    with av.open(str(path)) as container:
        assert container.streams.video[0].start_time is None

    assert [frame.time_s for frame in seen_frames(path)] == pytest.approx([0, 400], abs=2e-3)
    assert numbers_in(path, start=100) == [1]
    assert numbers_in(path, end=100) == [0]


def test_the_share_that_is_read_rises_to_1(tmp_path, finder):
    path = write_numbered(tmp_path / "video.mp4")
    for part in (VideoPart(), VideoPart(start=0.5, end=1.5)):
        shares = [frame.share for frame in seen_frames(path, part)]
        assert shares == sorted(shares)
        assert 0 <= shares[0] < 0.2
        assert 0.8 < shares[-1] <= 1


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_video_that_a_phone_took_sideways_is_turned_upright(tmp_path, finder, rotation):
    # As a phone that was held so writes it: turned the other way, with a note to turn it back.
    pictures = (np.rot90(numbered(number), -rotation // 90) for number in range(4))
    path = write_video(tmp_path / "phone.mp4", map(np.ascontiguousarray, pictures), rotation=rotation)

    assert numbers_in(path) == [0, 1, 2, 3]
    assert finder.corners == {("upper", "left")}
    assert finder.shapes == {(64, 96, 3)}


def test_pixels_that_are_not_square_are_made_square(tmp_path, finder):
    import av

    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(3), format="rgb24")))
        container.mux(stream.encode(None))

    assert numbers_in(path) == [3]
    assert finder.shapes == {(64, 192, 3)}


def test_large_pictures_are_made_smaller(tmp_path, finder):
    picture = numbered(5, width=2560, height=1440)
    assert numbers_in(write_video(tmp_path / "large.mp4", [picture, picture])) == [5, 5]
    assert finder.shapes == {(720, 1280, 3)}


def test_a_long_video_is_not_held_in_memory(tmp_path, finder):
    numbers_in(write_numbered(tmp_path / "video.mp4"))

    assert finder.most_held <= 2


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"every": 0}, "--every is 0; it must be 1"),
        ({"start": -1.0}, "--start is -1; it must be 0 or more"),
        ({"start": float("nan")}, "--start is nan"),
        ({"start": 2.0, "end": 2.0}, "--end is 2; it must be later than --start, which is 2"),
        ({"end": float("inf")}, "--end is inf"),
    ],
)
def test_a_part_that_cannot_be_is_refused(part, said):
    with pytest.raises(ValueError, match=said):
        VideoPart(**part)


def test_a_file_that_names_an_address_or_another_file_opens_neither(tmp_path, finder, monkeypatch):
    """FFmpeg takes any file that begins like a playlist for one, whatever its name, and reads what it names."""
    monkeypatch.chdir(tmp_path)
    other = write_numbered(tmp_path / "other.mp4")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for name, content in {
            "address.mp4": playlist.format(f"http://127.0.0.1:{port}/secret.ts"),
            "file.mp4": playlist.format(other),
            "list.mp4": "ffconcat version 1.0\nfile other.mp4\n",
            "page.mp4": f"ffconcat version 1.0\nfile http://127.0.0.1:{port}/secret.ts\n",
        }.items():
            (tmp_path / name).write_text(content)
            with pytest.raises(DamagedFileError, match="cannot be read as a video"):
                list(seen_frames(tmp_path / name))
        assert select.select([server], [], [], 0)[0] == []


@pytest.mark.parametrize("installed", ["0.10.21", "0.10.35", "1.2.2"])
def test_another_mediapipe_is_refused_before_it_is_imported(tmp_path, monkeypatch, installed):
    monkeypatch.setattr(pose, "version", lambda _: installed)
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # importing it would be another error
    (tmp_path / "video.mp4").write_bytes(b"x")

    with pytest.raises(MissingExtraError, match=rf"mediapipe {installed} is installed.*report to their maker"):
        next(seen_frames(tmp_path / "video.mp4"))


@pytest.mark.parametrize("module", ["av", "mediapipe"])
def test_a_missing_package_is_said_with_its_extra(tmp_path, monkeypatch, module):
    if module == "av":
        pytest.importorskip("mediapipe", reason="the extra video is not installed")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(pose, "version", lambda _: pose.MEDIAPIPE)
    (tmp_path / "video.mp4").write_bytes(b"x")

    with pytest.raises(MissingExtraError, match=rf"{module} is not installed.*the extra 'video'"):
        next(seen_frames(tmp_path / "video.mp4"))


def test_the_model_is_the_one_whose_licence_is_named():
    notice = (Path(pose.__file__).parents[1] / "NOTICE").read_text()
    assert hashlib.sha256(pose.MODEL.read_bytes()).hexdigest() in notice.replace("\n", "").replace(" ", "")
