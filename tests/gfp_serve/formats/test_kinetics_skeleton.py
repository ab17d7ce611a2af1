"""Kinetics-skeleton, the JSON of ST-GCN."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import find_named_files, read_clips
from gfp_serve.layouts import OPENPOSE18

from .videos import check_walks, read_with_remarks, walking, write_json


def skeleton(joints: np.ndarray) -> dict[str, Any]:
    return {"pose": np.round(joints, 6).reshape(-1).tolist(), "score": [0.8] * len(joints)}


def video(*frames: list[dict[str, Any]]) -> dict[str, Any]:
    data = [{"frame_index": number, "skeleton": people} for number, people in enumerate(frames, start=1)]
    return {"data": data, "label": "yoga", "label_index": 397}


def test_a_video_is_a_clip_with_its_label(tmp_path: Path) -> None:
    pixels = walking(OPENPOSE18, 5)
    content = video(*([skeleton(joints / (1700, 1280))] for joints in pixels))  # five times 340 × 256
    write_json(tmp_path / "-0a1b2c.json", content)
    write_json(tmp_path / "kinetics_val_label.json", {"-0a1b2c": {"has_skeleton": True, "label": "yoga"}})
    (file,) = find_named_files([tmp_path])
    (clip,), said = read_with_remarks(file.path)
    assert (clip.name, clip.label, clip.layout, clip.fps) == ("-0a1b2c", "yoga", OPENPOSE18, 30.0)
    check_walks(clip, pixels)
    assert said == [
        "it was taken to have 340 × 256 pixels and 30 frames a second, as all files of its format.",
        "read as 2-D joints of the layout openpose18.",
    ]


def test_what_a_caller_says_is_not_assumed(tmp_path: Path) -> None:
    pixels = walking(OPENPOSE18, 5)
    file = write_json(tmp_path / "a.json", video(*([skeleton(joints / (1280, 720))] for joints in pixels)))
    (clip,), said = read_with_remarks(file, fps=25, image_size=(1280, 720))
    check_walks(clip, pixels)
    assert (clip.fps, said) == (25, ["read as 2-D joints of the layout openpose18."])
    _, said = read_with_remarks(file, fps=25)
    assert said[0] == "it was taken to have 340 × 256 pixels, as all files of its format."


def test_a_video_without_people_is_left_out(tmp_path: Path) -> None:
    content = video([], [])
    assert read_with_remarks(write_json(tmp_path / "empty.json", content)) == (
        [],
        ["clip 'empty': nobody is seen in it."],
    )
    content["data"] = []
    assert read_with_remarks(write_json(tmp_path / "empty.json", content))[0] == []


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([{"pose": [0.1] * 36, "score": [1.0] * 17}], r"frame 2, person 0 has 36 numbers in 'pose' and 17 in 'score'"),
        ([{"pose": [0.1] * 36}], r"frame 2, person 0 must have a list of numbers in 'score', got nothing"),
        ([[]], r"frame 2, person 0 must have 'pose' and 'score'"),
    ],
)
def test_a_damaged_person_is_refused_with_its_frame(people: list[Any], message: str, tmp_path: Path) -> None:
    content = video([skeleton(walking(OPENPOSE18, 1)[0])], people)
    with pytest.raises(DamagedFileError, match=message):
        list(read_clips(write_json(tmp_path / "video.json", content)))
