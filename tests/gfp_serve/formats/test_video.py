"""Videos as recordings: with a finder that reads numbers, and with MediaPipe on the drawn person of examples/videos."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfp_serve.bundle import Bundle
from gfp_serve.config import DEFAULT_BUNDLE
from gfp_serve.conventions import Conventions
from gfp_serve.encoder import Encoder
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, VideoPart, find_files, read_clips, write_clip_file
from gfp_serve.formats.video import evenly
from gfp_serve.layouts import MEDIAPIPE33, NTU25
from gfp_serve.preprocess import prepare
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged
from tests.support.drawn_video import seen_by_camera, write_video
from tests.support.numbered_video import WRIST, finding_numbers, standing, write_numbered
from tests.support.tiny_bundle import walk

from .videos import read_with_remarks

EXAMPLES = Path(__file__).parents[3] / "examples"
VIDEO = EXAMPLES / "videos" / "basketball-006_08.mp4"
HELD = "its skeletons are those of one person in each frame, with the hips in one place, so nobody travels."
PLACE = {name: joint for joint, name in enumerate(MEDIAPIPE33.joint_names)}


@pytest.fixture
def finder(monkeypatch):
    return finding_numbers(monkeypatch)


def wrists(clip: Clip) -> np.ndarray:
    """The number of each frame; the reader turns the picture about, so that what was to its right is at -x."""
    return -clip.sequence[:, 0, WRIST, 0]


def test_a_video_becomes_an_upright_clip_with_its_rate(tmp_path, finder):
    (clip,), remarks = read_with_remarks(write_numbered(tmp_path / "Walk.MP4", fps=25))

    assert (clip.name, clip.layout, clip.fps, clip.label, clip.dimensions) == ("Walk", MEDIAPIPE33, 25, None, 3)
    np.testing.assert_allclose(wrists(clip), np.arange(20), atol=1e-5)
    x, y, z, _ = standing()[PLACE["nose"]]
    np.testing.assert_allclose(clip.sequence[0, 0, PLACE["nose"]], [-x, -y, z], atol=1e-6)
    assert remarks == [HELD]


@pytest.mark.parametrize("fps", [12.5, 29.97, 59.94])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_rate_of_a_video_is_kept(tmp_path, finder, suffix, fps):
    path = write_numbered(tmp_path / f"a{suffix}", fps=fps)

    assert read_with_remarks(path)[0][0].fps == pytest.approx(fps, abs=0.05)
    (third,) = read_clips(path, part=VideoPart(every=3), report=lambda _: None)
    assert third.fps == pytest.approx(fps / 3, abs=0.05)
    assert len(third.sequence) == 7


def test_another_rate_can_be_said(tmp_path, finder):
    (clip,), remarks = read_with_remarks(write_numbered(tmp_path / "slow.mp4"), fps=120)

    assert clip.fps == 120
    assert remarks == [HELD, "it says 10 frames a second; 120 were taken, as --fps says."]


def test_frames_at_uneven_times_are_interpolated_at_even_ones(tmp_path, finder):
    times = [0.0, 0.1, 0.2, 0.35, 0.4, 0.5, 0.6, 0.9, 1.0]  # of 10 a second, one is late and two are missing
    (clip,), remarks = read_with_remarks(write_numbered(tmp_path / "phone.mp4", range(9), times=times))

    assert remarks == [HELD, "its frames come at uneven times; the joints were interpolated at even ones."]
    assert clip.fps == 10
    expected = [0, 1, 2, 2 + 2 / 3, 4, 5, 6, 6 + 1 / 3, 6 + 2 / 3, 7, 8]
    np.testing.assert_allclose(wrists(clip), expected, atol=1e-3)


def test_nobody_is_seen_in_a_long_gap_between_frames(tmp_path, finder):
    times = [*np.arange(10) / 10, *(2 + np.arange(10) / 10)]
    (clip,), _ = read_with_remarks(write_numbered(tmp_path / "pause.mp4", times=times))

    assert np.flatnonzero(np.isnan(wrists(clip))).tolist() == [*range(10, 20)]
    np.testing.assert_allclose(wrists(clip)[[0, 9, 20, 29]], [0, 9, 10, 19], atol=1e-3)


def people(count: int) -> np.ndarray:
    """Landmarks of frames; each number is that of its frame."""
    return np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None], (count, 33, 4)).copy()


def test_times_that_only_shake_are_even():
    times = np.arange(100) / 30 + np.random.default_rng(0).uniform(-0.01, 0.01, 100)
    fps, landmarks, were_even = evenly(Path("a.mp4"), times, people(100))

    assert were_even
    assert fps == pytest.approx(30, abs=0.2)
    np.testing.assert_array_equal(landmarks, people(100))


def test_a_frame_beside_one_that_shows_nobody_is_lost_between_them():
    found = people(6)
    found[3] = np.nan
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.7])
    _, landmarks, _ = evenly(Path("a.mp4"), times, found)

    np.testing.assert_allclose(landmarks[:, 0, 0], [0, 1, 2, np.nan, 4, 4 + 1 / 3, 4 + 2 / 3, 5], atol=1e-4)


def test_times_that_would_fill_the_memory_are_refused():
    times = np.append(np.arange(99) / 30, 1e9)

    with pytest.raises(DamagedFileError, match=r"a.mp4 says that its 100 frames are spread over 1,000,000,000 s"):
        evenly(Path("a.mp4"), times, people(100))


@pytest.mark.parametrize(("count", "every", "advice"), [(1, 1, ""), (20, 1000, "; choose a smaller --every")])
def test_one_frame_is_a_clip_and_it_is_said_that_it_has_no_rate(tmp_path, finder, count, every, advice):
    remarks = []
    path = write_numbered(tmp_path / "still.mp4", range(count))
    said = Conventions(fps=25)
    (clip,) = read_clips(path, conventions=said, part=VideoPart(every=every), report=remarks.append)

    assert clip.sequence.shape == (1, 1, 33, 3)
    assert list(map(str, remarks)) == [
        HELD,
        f"one frame of it was looked at, which shows no movement and has no rate{advice}.",
    ]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_frames_that_are_minutes_apart_have_a_rate_above_0(tmp_path, finder, suffix):
    path = write_numbered(tmp_path / f"lapse{suffix}", range(4), times=[0.0, 300.0, 600.0, 900.0])
    (clip,), _ = read_with_remarks(path)

    assert clip.fps == 0.00333
    write_clip_file(tmp_path / "clips.npz", [clip])
    (read,) = read_clips(tmp_path / "clips.npz", report=lambda _: None)
    assert read.fps == pytest.approx(clip.fps)


def test_frames_without_a_person_and_joints_with_little_visibility_are_lost(tmp_path, monkeypatch):
    hidden = ("left_ankle", "nose", "left_hip", "right_shoulder")
    finding_numbers(monkeypatch, empty=frozenset([4, 5, 6]), hidden=hidden)
    path = write_numbered(tmp_path / "a.mp4")
    (clip,), remarks = read_with_remarks(path)
    lost = np.isnan(clip.sequence[:, 0]).any(axis=-1)

    assert remarks == [HELD, "nobody is seen in more than a tenth of its frames."]
    assert np.flatnonzero(lost.all(axis=1)).tolist() == [4, 5, 6]
    # MediaPipe places hips and shoulders where they are out of view, too.
    assert np.flatnonzero(lost[0]).tolist() == sorted(PLACE[name] for name in ("left_ankle", "nose"))
    (clip,), _ = read_with_remarks(path, min_confidence=0.05)
    assert not np.isnan(clip.sequence[0]).any()


def test_a_video_that_shows_nobody_is_left_out(tmp_path, monkeypatch):
    finding_numbers(monkeypatch, empty=frozenset(range(30)))
    clips, (remark,) = read_with_remarks(write_numbered(tmp_path / "empty_room.mp4"))

    assert clips == []
    assert remark.startswith("clip 'empty_room': nobody is seen in any of its 20 frames; ")


def test_a_camera_that_lay_on_its_side_can_be_said(tmp_path, finder):
    (clip,), _ = read_with_remarks(write_numbered(tmp_path / "a.mp4"), up="x")

    x, y, z, _ = standing()[PLACE["nose"]]
    np.testing.assert_allclose(clip.sequence[0, 0, PLACE["nose"]], [-y, x, z], atol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello", "cannot be read as a video"),
        (b"\0" * 10_000, "cannot be read as a video"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path, finder, content, said):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)

    with pytest.raises(DamagedFileError, match=f"{path} {said}"):
        next(read_clips(path))


def test_sound_alone_is_refused(tmp_path, finder):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), dtype=np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    with pytest.raises(DamagedFileError, match=r"sound\.mp4 has no pictures"):
        next(read_clips(path))


def test_a_video_that_was_cut_off_is_read_as_far_as_it_goes_and_it_is_said(tmp_path, finder):
    path = write_numbered(tmp_path / "a.webm", fps=5, codec="libvpx-vp9")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    (clip,), remarks = read_with_remarks(path)

    assert 0 < len(clip.sequence) < 15
    assert remarks == ["its pictures end before the time that it says; perhaps it was cut off.", HELD]


def test_a_part_behind_the_end_is_refused(tmp_path, finder):
    path = write_numbered(tmp_path / "a.mp4")

    with pytest.raises(DamagedFileError, match="has no picture from 5 to 6 s"):
        next(read_clips(path, part=VideoPart(start=5, end=6)))
    with pytest.raises(DamagedFileError, match=r"has no picture after 2\.5 s"):
        next(read_clips(path, part=VideoPart(start=2.5)))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    pytest.importorskip("av", reason="the extra video is not installed")
    folder = tmp_path_factory.mktemp("whole")
    return {suffix: write_numbered(folder / f"a{suffix}", range(8)).read_bytes() for suffix in (".mp4", ".mkv", ".avi")}


@given(data=st.data(), suffix=st.sampled_from([".mp4", ".mkv", ".avi"]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_video_gives_clips_or_is_refused_by_name(data, suffix, content, tmp_path, monkeypatch):
    finding_numbers(monkeypatch)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data.draw(damaged(content[suffix])))
    check_gives_clips_or_is_refused_by_name(path)


def test_videos_of_a_folder_are_found_unless_it_has_other_recordings_too(tmp_path, caplog):
    for name in ("b/two.MOV", "one.mp4", "notes.doc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    videos = [tmp_path / "b" / "two.MOV", tmp_path / "one.mp4"]
    assert find_files(tmp_path) == videos

    clip = Clip(name="c", sequence=walk(1), layout=NTU25, fps=30.0)
    write_clip_file(tmp_path / "clips.npz", [clip])
    assert find_files(tmp_path) == [tmp_path / "clips.npz"]
    assert f"left out: {videos[0]} and 1 more: there are recordings of skeletons beside videos" in caplog.text
    assert find_files(tmp_path, only_videos=True) == videos
    with pytest.raises(DamagedFileError, match=r"is not a video; videos end in \.mp4"):
        find_files(tmp_path / "clips.npz", only_videos=True)


# With MediaPipe.


@pytest.fixture(scope="module")
def found() -> Clip:
    """What MediaPipe finds in the drawn video."""
    pytest.importorskip("mediapipe", reason="the extra video is not installed")
    (clip,) = read_clips(VIDEO, report=lambda _: None)
    return clip


@pytest.fixture(scope="module")
def originals() -> dict[str, Clip]:
    return {clip.name: clip for clip in read_clips(EXAMPLES / "clips" / "cmu_sample.npz")}


def test_the_drawn_person_is_found_where_they_were_drawn(found, originals):
    drawn = seen_by_camera(originals[found.name.rpartition("-")[2]].sequence[:, 0])
    assert (len(found.sequence), found.fps) == (len(drawn), 30)
    assert np.isfinite(found.sequence).all(axis=-1).any(axis=(1, 2)).all()
    hips = [NTU25.joint_names.index(f"Hip{side}") for side in ("Left", "Right")]
    drawn = drawn - drawn[:, hips].mean(axis=1, keepdims=True)
    # The reader turned the picture about the vertical.
    at = found.sequence[:, 0] * np.float32([-1, 1, -1])
    # MediaPipe's people have shorter legs, so ankles tell little.
    for joint in ("Shoulder", "Wrist", "Knee"):
        for side in ("Left", "Right"):
            away = at[:, PLACE[f"{side.lower()}_{joint.lower()}"]] - drawn[:, NTU25.joint_names.index(f"{joint}{side}")]
            # A flat figure shows little of how near the camera its joints are.
            in_picture, in_space = (np.nanmedian(np.linalg.norm(away[:, :axes], axis=1)) for axes in (2, 3))
            assert (in_picture < 0.15, in_space < 0.35) == (True, True), (joint, side, in_picture, in_space)


def test_the_nearest_of_the_clips_is_of_the_class_that_was_drawn(found, originals):
    bundle = Bundle.read(DEFAULT_BUNDLE)
    encoder = Encoder(bundle, num_threads=1)

    def embed(clip: Clip) -> np.ndarray:
        return encoder.encode(prepare(clip.sequence, clip.layout, bundle.manifest.preprocess)[None])[0]

    drawn, query = found.name.rpartition("-")[2], embed(found)
    others = [clip for clip in originals.values() if clip.name != drawn]
    nearest = max(others, key=lambda clip: float(embed(clip) @ query))
    assert nearest.label == originals[drawn].label


def test_an_empty_room_shows_nobody(tmp_path):
    pytest.importorskip("mediapipe", reason="the extra video is not installed")
    path = write_video(tmp_path / "room.mp4", [np.full((240, 320, 3), 180, dtype=np.uint8)] * 5)
    clips, (remark,) = read_with_remarks(path)

    assert clips == []
    assert "nobody is seen in any of its 5 frames" in remark
