"""Predictions of MMPose and RTMPose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import find_named_files, read_clips
from gfp_serve.layouts import COCO17, COCO_WHOLEBODY133, H36M17, HALPE26, MPII16, Layout

from .estimates import instance, predictions
from .videos import check_walks, read_with_remarks, standing, walking, write_json


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("layout", [COCO17, HALPE26, COCO_WHOLEBODY133, MPII16], ids=lambda layout: layout.name)
def test_predictions_are_a_clip(layout: Layout, named: bool, tmp_path: Path) -> None:
    pixels = walking(layout, 6)
    names = {str(number): name for number, name in enumerate(layout.joint_names)}
    content = predictions([[instance(joints)] for joints in pixels], **({"keypoint_id2name": names} if named else {}))
    write_json(tmp_path / "results_walk.json", content)
    (file,) = find_named_files([tmp_path])
    (clip,), said = read_with_remarks(file.path)
    assert (clip.name, clip.layout, clip.dimensions) == ("results_walk", layout, 2)
    check_walks(clip, pixels)
    assert said[-1] == f"read as 2-D joints of the layout {layout.name}."


def test_the_list_alone_of_an_inferencer_is_read_and_its_tracks_are_kept(tmp_path: Path) -> None:
    left, right = walking(COCO17, 4), walking(COCO17, 4, start=900)
    frames = []
    for number in range(4):
        here, there = (left, right) if number < 2 else (right, left)
        frames.append([instance(here[number], track_id=4), instance(there[number], track_id=7)])
    (clip,) = read_clips(write_json(tmp_path / "video.json", predictions(frames)["instance_info"]))
    check_walks(clip, np.concatenate([left[:2], right[2:]]), body=0)


@pytest.mark.parametrize("around", [lambda people: people, lambda people: {"meta_info": {}, "instance_info": people}])
def test_the_people_of_one_image_are_a_frame(around: Callable[[Any], Any], tmp_path: Path) -> None:
    pixels = walking(COCO17, 3)
    for number, joints in enumerate(pixels):
        write_json(tmp_path / f"image_{number}.json", around([instance(joints)]))
    (file,) = find_named_files([tmp_path])
    (clip,) = read_clips(file.path)
    check_walks(clip, pixels)


def test_joints_that_the_file_names_make_a_layout_of_their_own(tmp_path: Path) -> None:
    names = ["left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"]
    names += ["right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "top_head", "neck"]
    chosen = [COCO17.joint_names.index(name) if name in COCO17.joint_names else 0 for name in names]
    frames = [[instance(joints[chosen])] for joints in walking(COCO17, 3)]
    content = predictions(frames, keypoint_id2name=dict(zip(map(str, range(14)), names, strict=True)))
    (clip,) = read_clips(write_json(tmp_path / "crowdpose.json", content))
    assert clip.layout.joint_names == tuple(names)
    check_walks(clip, walking(COCO17, 3)[:, chosen])


def test_3d_predictions_of_human36m_are_turned_upright(tmp_path: Path) -> None:
    joints = standing(H36M17)
    solid = np.column_stack([joints[:, 0], np.linspace(0, 0.1, 17), joints[:, 1]])  # z up
    content = predictions([[instance(solid)]] * 4, dataset_name="h36m")
    (clip,), said = read_with_remarks(write_json(tmp_path / "lifted.json", content))
    assert (clip.layout, clip.dimensions) == (H36M17, 3)
    np.testing.assert_allclose(clip.sequence[0, 0, :, 1], joints[:, 1], atol=1e-6)
    assert said[-1].startswith("read as 3-D joints of the layout h36m17: z up, metres")


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([{"keypoints": [[1, 2]] * 16}], r"frame 2, person 0 has 16 joints; the people before have 17"),
        ([{"keypoints": [1, 2]}], r"frame 2, person 0 has 2 numbers in 'keypoints'; expected joints × 2"),
        ([{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1]}], r"person 0 has 17 joints and 1 'keypoint_scores'"),
        ([{}], r"frame 2, person 0 must have a list of numbers in 'keypoints', got nothing"),
        ([7], r"frame 2, person 0 must have fields"),
    ],
)
def test_a_damaged_person_is_refused_with_its_frame(people: list[Any], message: str, tmp_path: Path) -> None:
    content = predictions([[instance(walking(COCO17, 1)[0])], people])
    with pytest.raises(DamagedFileError, match=message):
        list(read_clips(write_json(tmp_path / "video.json", content)))


def test_joints_of_unknown_number_and_name_are_refused(tmp_path: Path) -> None:
    content = predictions([[instance(walking(COCO17, 1)[0][:9])]])
    with pytest.raises(DamagedFileError, match=r"people of 9 2-D joints and does not name them in 'meta_info'"):
        list(read_clips(write_json(tmp_path / "video.json", content)))
