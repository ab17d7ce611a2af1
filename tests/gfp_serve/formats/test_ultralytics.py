"""Results of YOLO-pose by Ultralytics."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import find_named_files, read_clips
from gfp_serve.layouts import COCO17

from .estimates import detection
from .videos import check_walks, read_with_remarks, walking, write_json


@pytest.mark.parametrize(
    "written",
    [
        json.dumps,
        lambda results: json.dumps([json.dumps(result, indent=2) for result in results]),
        lambda results: "\n".join(map(json.dumps, results)),
    ],
    ids=["a list", "a list of texts", "a line for each frame"],
)
def test_results_of_all_frames_are_a_clip(written: Callable[[Any], str], tmp_path: Path) -> None:
    pixels = walking(COCO17, 5)
    results = [[], *([detection(joints)] for joints in pixels)]
    (tmp_path / "walk.json").write_text(written(results))
    (file,) = find_named_files([tmp_path])
    (clip,), said = read_with_remarks(file.path)
    assert (clip.name, clip.layout, clip.dimensions) == ("walk", COCO17, 2)
    check_walks(clip, np.concatenate([np.full((1, 17, 2), np.nan), pixels]))
    assert said == [
        "it does not say how many frames a second it has; 30 were assumed. Say it with --fps.",
        "read as 2-D joints of the layout coco17.",
    ]


def test_tracks_are_kept_and_people_without_one_are_followed(tmp_path: Path) -> None:
    left, right = walking(COCO17, 6), walking(COCO17, 6, start=900)
    results = []
    for number in range(6):
        given = {} if number == 3 else {"track_id": 2}  # the tracker lost one of them in a frame
        both = [detection(left[number], **given), detection(right[number], track_id=5)]
        results.append(both[:: (-1) ** number])
    (clip,) = read_clips(write_json(tmp_path / "walk.json", results))
    assert clip.sequence.shape[1] == 2
    check_walks(clip, left, body=0)
    check_walks(clip, right, body=1)


def test_other_things_than_people_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    dog = {"name": "dog", "class": 16, "confidence": 0.9, "box": {}}
    results = [[dog, detection(joints)] for joints in walking(COCO17, 3)]
    (clip,), said = read_with_remarks(write_json(tmp_path / "walk.json", results))
    assert clip.sequence.shape[1] == 1
    assert said[0] == "detections that are not people were left out."


def test_a_result_alone_is_a_frame_and_visibility_may_be_missing(tmp_path: Path) -> None:
    single = detection(walking(COCO17, 1)[0])
    del single["keypoints"]["visible"]
    (clip,) = read_clips(write_json(tmp_path / "walk.json", [single]))
    check_walks(clip, walking(COCO17, 1))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([{"name": "person", "class": 0}], r"frame 1, person 0 has no 'keypoints'; the model must be one for poses"),
        ([{"keypoints": {"x": [1.0], "y": [1.0]}}], r"frame 1, person 0 has 1, 1 numbers in its key points"),
        ([{"keypoints": {"x": [1.0] * 17, "y": 3}}], r"frame 1, person 0 must have a list of numbers in 'y', got int"),
        ("cut off [", r"frame 1 must be a list of detections"),
        ([5], r"frame 1, person 0 must have fields"),
    ],
)
def test_a_damaged_result_is_refused_with_its_frame(result: Any, message: str, tmp_path: Path) -> None:
    results = [[detection(walking(COCO17, 1)[0])], result]
    with pytest.raises(DamagedFileError, match=message):
        list(read_clips(write_json(tmp_path / "walk.json", results)))
