"""`gfp-pose`, and videos in the commands of `gfp`, as a user runs them; poses are read from numbers."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.cli.pose import gfp_pose
from gfp_serve.formats import read_clips
from tests.support.numbered_video import finding_numbers, write_numbered
from tests.support.servers import running_in_thread
from trainer.cli.data import gfp_data


@pytest.fixture(autouse=True)
def finder(monkeypatch):
    return finding_numbers(monkeypatch)


def run(command, *arguments, code=0):
    result = CliRunner().invoke(command, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_videos_become_a_clip_file_with_the_rate_of_each(tmp_path):
    for name in ("walk", "run"):
        (tmp_path / "films" / name).mkdir(parents=True)
    write_numbered(tmp_path / "films" / "walk" / "a.mp4", fps=10)
    write_numbered(tmp_path / "films" / "run" / "a.mkv", range(6), fps=25)
    out = tmp_path / "new" / "clips.npz"
    told = run(gfp_pose, tmp_path / "films", "--out", out, "--label-from", "folder")

    clips = {clip.name: clip for clip in read_clips(out)}
    assert {name: (clip.fps, len(clip.sequence), clip.label) for name, clip in clips.items()} == {
        "run/a": (25, 6, "run"),
        "walk/a": (10, 20, "walk"),
    }
    assert told.stdout.splitlines()[-1] == f"{out}: 2 clips."
    assert "run/a" in told.stdout
    assert "and 1 other file: its skeletons are those of one person in each frame" in told.stderr


def test_what_was_made_is_the_same_as_reading_the_video(tmp_path):
    path = write_numbered(tmp_path / "a.mp4")
    run(gfp_pose, path, "--out", tmp_path / "clips.npz", "--every", 2, "--start", 0.5, "--end", 1.5)

    (clip,) = read_clips(tmp_path / "clips.npz")
    (whole,) = read_clips(path, report=lambda _: None)
    np.testing.assert_array_equal(clip.sequence, whole.sequence[5:15:2])
    assert clip.fps == whole.fps / 2


def test_a_part_that_begins_after_the_end_of_a_video_has_nobody(tmp_path):
    path = write_numbered(tmp_path / "a.mp4")
    for start in ("1000", "1e18"):
        told = run(gfp_pose, path, "--out", tmp_path / "clips.npz", "--start", start, code=1)
        assert "nothing was written" in told.stderr


def test_json_says_what_each_clip_is(tmp_path, monkeypatch):
    finding_numbers(monkeypatch, empty=frozenset([0, 1]))
    told = run(gfp_pose, write_numbered(tmp_path / "a.mp4"), "--out", tmp_path / "clips.npz", "--json")

    assert json.loads(told.stdout) == {"clip": "a", "label": None, "frames": 20, "fps": 10.0, "frames_seen": 18}


def test_videos_that_cannot_be_used_are_named_and_the_others_go_on(tmp_path, monkeypatch):
    finding_numbers(monkeypatch, empty=frozenset([29]))
    (tmp_path / "damaged.mp4").write_bytes(b"hello")
    (tmp_path / "empty.mp4").touch()
    write_numbered(tmp_path / "nobody.mp4", range(29, 30))
    write_numbered(tmp_path / "somebody.mp4")
    told = run(gfp_pose, tmp_path, "--out", tmp_path / "clips.npz")

    assert [clip.name for clip in read_clips(tmp_path / "clips.npz")] == ["somebody"]
    said = [line for line in told.stderr.splitlines() if line.startswith("skipped: ")]
    assert [line.split(":")[1].strip() for line in said] == [
        f"{tmp_path / 'damaged.mp4'} cannot be read as a video (Invalid data found when processing input)",
        f"{tmp_path / 'empty.mp4'} is empty; copy it again.",
        f"{tmp_path / 'nobody.mp4'}",
    ]


def test_nothing_is_written_where_nobody_is_found(tmp_path, monkeypatch):
    finding_numbers(monkeypatch, empty=frozenset(range(30)))
    told = run(gfp_pose, write_numbered(tmp_path / "a.mp4"), "--out", tmp_path / "clips.npz", code=1)

    assert told.stderr.splitlines()[-1] == f"Error: nobody was found in {tmp_path / 'a.mp4'}; nothing was written."
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_ctrl_c_leaves_nothing_half_written(tmp_path, finder, monkeypatch):
    def interrupt(image, time_s):
        if time_s > 1:
            raise KeyboardInterrupt
        return

    monkeypatch.setattr(finder, "_find", interrupt)
    told = run(gfp_pose, write_numbered(tmp_path / "a.mp4"), "--out", tmp_path / "clips.npz", code=1)

    assert "interrupted; nothing was written." in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_place_that_cannot_be_written_is_said_before_videos_are_read(tmp_path, finder):
    path = write_numbered(tmp_path / "a.mp4")
    # Not even root makes files there.
    told = run(gfp_pose, path, "--out", "/proc/clips.npz", code=1)

    assert "no file can be made in its folder" in " ".join(told.stderr.split())
    assert finder.shapes == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "clips.mp4"), "clips.mp4 must end in .npz"),
        (("--out", "clips.npz", "--every", 0), "--every is 0"),
        (("--out", "clips.npz", "--start", 3, "--end", 2), "--end is 2; it must be later than --start"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, arguments, said):
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert said in run(gfp_pose, tmp_path / "a.mp4", *arguments, code=2).stderr


def test_the_help_says_that_one_person_is_found_and_what_to_do_for_more():
    told = " ".join(run(gfp_pose, "--help").stdout.split())

    assert "one person in a frame" in told
    assert "For several people, use a tracker such as RTMPose or YOLO-pose" in told


@pytest.fixture
def address(tmp_path, monkeypatch):
    with running_in_thread(tmp_path) as address:
        monkeypatch.setenv("GFP_ADDRESS", address)
        yield address


def test_videos_are_added_searched_classified_and_embedded_like_any_recording(tmp_path, address):
    for name, numbers in {"up": range(20), "down": range(19, 0, -1)}.items():
        (tmp_path / "films" / name).mkdir(parents=True)
        write_numbered(tmp_path / "films" / name / f"{name}.mp4", numbers)
    films = tmp_path / "films"
    told = run(gfp, "add", films, "--label-from", "folder")
    assert told.stdout.startswith("2 clips were added; the gallery default has 2 items. The first id is ")
    assert "with the hips in one place, so nobody travels" in told.stderr

    found = json.loads(run(gfp, "search", films / "up" / "up.mp4", "--top-k", 1, "--json").stdout)
    assert (found["clip"], found["neighbours"][0]["id"]) == ("up/up", "up/up")
    # Items that stay in one place say so, and can be left out.
    assert found["neighbours"][0]["attributes"]["travels"] is False
    assert "2 of 2 labelled clips" in run(gfp, "classify", films, "--label-from", "folder").stdout
    run(gfp, "embed", films, "--out", tmp_path / "vectors.npy")
    assert len(np.load(tmp_path / "vectors.npy")) == 2


def test_windows_of_a_video_are_its_moments(tmp_path, address):
    write_numbered(tmp_path / "long.mp4", range(28))
    told = run(gfp, "add", tmp_path / "long.mp4", "--windows", "10:5")

    assert told.stdout.startswith("4 windows were added; ")


def test_other_commands_read_videos_too(tmp_path):
    path = write_numbered(tmp_path / "a.mp4")

    assert json.loads(run(gfp_data, "info", path, "--json").stdout)["layouts"] == {"mediapipe33": 1}
    run(gfp_data, "import", path, "--out", tmp_path / "store", "--num-workers", 1)
    assert json.loads(run(gfp_data, "info", tmp_path / "store", "--json").stdout)["clips"] == 1
