"""`gfp add --windows` and `gfp search --moments` as a user runs them, and the file of annotations."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.client import Client, recordings
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, annotations, write_clip_file
from gfp_serve.formats.annotations import Annotation, label_of
from gfp_serve.items import Source
from gfp_serve.layouts import NTU25
from tests.support.servers import running_in_thread
from tests.support.tiny_bundle import embedding_of, walk


@pytest.fixture
def address(tmp_path):
    with running_in_thread(tmp_path) as address:
        yield address


@pytest.fixture
def run(address, monkeypatch):
    monkeypatch.setenv("GFP_ADDRESS", address)

    def run(*arguments, code=0):
        result = CliRunner().invoke(gfp, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        return result

    return run


def long_clip(seed=1, frames=40):
    return Clip(
        name=f"c{seed}", sequence=walk(seed, frames=frames), layout=NTU25, fps=10.0, label="day", subject=str(seed)
    )


@pytest.fixture
def recording(tmp_path):
    write_clip_file(tmp_path / "day.npz", [long_clip(), long_clip(2, frames=9)])
    return tmp_path / "day.npz"


def test_windows_are_added_with_their_recording_and_time(run, recording, address):
    result = run("add", recording, "--windows", "16:8")
    assert "4 windows were added" in result.stdout
    assert "clip 'c2': it has 9 frames, fewer than a window of 16" in result.stderr
    with Client(address) as client:
        first, last = client.get(["day/c1@0-16", "day/c1@24-40"])
    assert (first.source, last.source) == (Source("day/c1", 0.0, 1.6), Source("day/c1", 2.4, 4.0))
    assert (last.label, last.attributes["subject"]) == ("day", "1")
    np.testing.assert_allclose(last.vector, embedding_of(long_clip().sequence[24:40]), atol=1e-5)


def test_windows_of_several_lengths_stay_apart_and_adding_them_again_replaces_them(run, recording):
    once = [run("add", recording, "--windows", "16:8", "--windows", "8:4", "--json").stdout for _ in range(2)]
    assert once[0] == once[1]
    assert json.loads(run("info", "--json").stdout)["num_items"] == 4 + 9 + 1  # 9 + 1 of 8 frames


@pytest.mark.parametrize("option", ["--annotations", "--segments"])
def test_windows_have_the_label_of_the_annotation_that_covers_half_of_them(run, recording, tmp_path, option):
    (tmp_path / "s.csv").write_text(
        "recording,start_s,end_s,label\n"
        "day/c1,0.8,1.6,sit\n"  # covers half of 0 to 1.6 s and of 0.8 to 2.4 s, and less of the others
        'day/c1,2.5,4.0,"wave, twice"\n'
        "day/other,0,1,sit\n"
    )
    result = run("add", recording, "--windows", "16:8", option, tmp_path / "s.csv", "--json")
    labels = {line["id"]: line["label"] for line in map(json.loads, result.stdout.splitlines())}
    assert labels == {
        "day/c1@0-16": "sit",
        "day/c1@8-24": "sit",
        "day/c1@16-32": None,
        "day/c1@24-40": "wave, twice",
    }
    assert "recordings of which no window was added: 'day/other'.\n" in result.stderr


def test_help_shows_only_the_new_name_of_annotations(run):
    shown = run("add", "--help").stdout
    assert "--annotations" in shown
    assert "--segments" not in shown


def test_windows_that_show_nobody_are_counted_in_one_line_and_the_others_are_added(run, tmp_path):
    clip = long_clip()
    clip.sequence[8:32] = np.nan
    write_clip_file(tmp_path / "gap.npz", [clip])
    result = run("add", tmp_path / "gap.npz", "--windows", "8:8")
    assert "2 windows were added" in result.stdout
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("skipped:")]
    assert "clip 'c1': 3 of 5 windows, the first 'c1@8-16': nobody is seen" in line


def test_progress_counts_no_frame_of_a_recording_twice(recording, monkeypatch):
    monkeypatch.setattr(recordings, "read_clips", lambda _, **__: [long_clip()])
    windows = recordings.Recordings([recording]).answered(list, recordings.WindowPlan([(16, 4), (8, 2)]))
    whole = long_clip().sequence.nbytes
    assert 0.7 * whole < sum(window.num_new_bytes for window, _ in windows) <= whole


@pytest.mark.parametrize("windows", ["120", "120:0", "0:30", "a:b", "1:2:3"])
def test_windows_that_cannot_be_cut_are_refused_with_an_example(run, recording, windows):
    assert "120:30" in run("add", recording, "--windows", windows, code=2).stderr


def test_annotations_without_windows_are_refused(run, recording, tmp_path):
    assert "--windows" in run("add", recording, "--annotations", tmp_path / "s.csv", code=2).stderr


def test_a_clip_is_found_at_the_place_in_the_recording_where_it_was_cut_out(run, recording, tmp_path):
    run("add", recording, "--windows", "16:8")
    part = dataclasses.replace(long_clip(), name="part", sequence=long_clip().sequence[8:24])
    write_clip_file(tmp_path / "query.npz", [part])
    (answer,) = map(json.loads, run("search", tmp_path / "query.npz", "--moments", "--json").stdout.splitlines())
    assert answer["moments"][0]["source"] == {"recording": "day/c1", "start_s": 0.8, "end_s": 2.4}
    table = run("search", tmp_path / "query.npz", "--moments", "--top-k", 1).stdout
    assert all(word in table for word in ("query/part", "1.000", "0.80", "2.40", "day/c1"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("day/c1,0,1,sit\n", "line 1 must be recording,start_s,end_s,label, got 'day/c1,0,1,sit'"),
        ("recording,start_s,end_s,label\nday/c1,0,1\n", "line 2 must hold recording, start_s, end_s, label, got 3"),
        ("recording,start_s,end_s,label\nday/c1,0,x,sit\n", "line 2 must hold seconds, got 'x'"),
        ("recording,start_s,end_s,label\nday/c1,2,1,sit\n", "line 2 goes from 2 s to 1 s"),
        ("recording,start_s,end_s,label\nday/c1,nan,1,sit\n", "line 2 goes from nan s to 1 s"),
    ],
)
def test_an_error_in_a_file_of_annotations_names_its_line(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(DamagedFileError, match=words):
        annotations.read(tmp_path / "s.csv")


def test_a_window_has_the_label_of_the_annotation_that_covers_most_of_it():
    both = [Annotation(0, 6, "sit"), Annotation(5, 12, "wave")]
    assert label_of(both, 1, 7) == "sit"
    assert label_of(both, 5, 9) == "wave"
    assert label_of(both, 11, 14) is None
    assert label_of([], 0, 1) is None
