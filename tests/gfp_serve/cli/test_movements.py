"""`gfp compare` and `gfp count` against a real server."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from tests.support.moving_person import curling
from tests.support.servers import running_in_thread, small_config


def clip(name: str, sequence: np.ndarray, fps: float | None = 30.0) -> Clip:
    return Clip(name=name, sequence=sequence, layout=NTU25, fps=fps, label="curl")


@pytest.fixture
def run(tmp_path, monkeypatch):
    with running_in_thread(tmp_path) as address:
        monkeypatch.setenv("GFP_ADDRESS", address)
        write_clip_file(tmp_path / "wanted.npz", [clip("once", curling(1))])

        def run(*arguments, code=0):
            result = CliRunner().invoke(gfp, list(map(str, arguments)))
            assert result.exit_code == code, result.output
            assert "Traceback" not in result.output
            return result

        run("add", tmp_path / "wanted.npz")
        yield run


def test_repetitions_of_each_clip_are_counted_with_their_times(run, tmp_path):
    write_clip_file(tmp_path / "asked.npz", [clip("none", curling(0)), clip("three", curling(3))])
    table = run("count", tmp_path / "asked.npz", "--with", "wanted/once").stdout
    assert "asked/none" in table
    answers = run("count", tmp_path / "asked.npz", "--with", "wanted/once", "--json").stdout
    found = list(map(json.loads, answers.splitlines()))
    assert [(each["clip"], len(each["repetitions"])) for each in found] == [("asked/none", 0), ("asked/three", 3)]
    assert found[1]["repetitions"][2]["start_s"] == pytest.approx(5, abs=0.4)


def test_a_movement_is_compared_joint_by_joint(run, tmp_path):
    write_clip_file(tmp_path / "asked.npz", [clip("less", curling(1, most_degrees=60.0, seconds_each=3.0))])
    table = run("compare", tmp_path / "asked.npz", "--with", "wanted/once").stdout
    assert "WristLeft" in table
    assert "1.25" in table  # tempo
    found = json.loads(run("compare", tmp_path / "asked.npz", "--with", "wanted/once", "--json").stdout)
    elbow = next(joint for joint in found["joints"] if joint["joint"] == "ElbowLeft")
    assert elbow["most_degrees"] == pytest.approx(-30, abs=4)
    assert found["worst_moments"][0]["motion_s"] == pytest.approx(2.5, abs=0.5)


def test_what_cannot_be_compared_is_said_in_words(run, tmp_path):
    asked = tmp_path / "wanted.npz"
    assert "no item of the gallery has the id 'x'" in run("count", asked, "--with", "x", code=1).output
    assert "Missing option '--with'" in run("compare", asked, code=2).output


def test_a_wanted_movement_that_cannot_be_counted_is_said_once(run, tmp_path):
    write_clip_file(tmp_path / "asked.npz", [clip("still", curling(0)), clip("three", curling(3))])
    run("add", tmp_path / "asked.npz")
    told = run("count", tmp_path / "asked.npz", "--with", "asked/still", code=1).output
    assert told.count("the wanted movement hardly moves") == 1
    assert "no usable clip" not in told
    assert "skipped" not in told


def test_a_clip_of_too_few_frames_a_second_is_left_out_in_words(run, tmp_path):
    write_clip_file(tmp_path / "asked.npz", [clip("few", curling(3)[::15], 2.0), clip("three", curling(3))])
    told = run("count", tmp_path / "asked.npz", "--with", "wanted/once")
    assert "2 frames a second, too few to see the wanted movement" in " ".join(told.stderr.split())
    assert "asked/three" in told.stdout


def test_a_gallery_without_motions_says_so(tmp_path, monkeypatch):
    write_clip_file(tmp_path / "wanted.npz", [clip("once", curling(1))])
    with running_in_thread(tmp_path, dataclasses.replace(small_config(), keep_motion="off")) as address:
        monkeypatch.setenv("GFP_ADDRESS", address)
        assert CliRunner().invoke(gfp, ["add", str(tmp_path / "wanted.npz")]).exit_code == 0
        result = CliRunner().invoke(gfp, ["count", str(tmp_path / "wanted.npz"), "--with", "wanted/once"])
    assert result.exit_code == 1
    assert "the gallery keeps no motion of item 'wanted/once'" in result.output
