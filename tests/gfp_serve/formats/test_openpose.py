"""OpenPose's folders of frames: one clip for each video, whatever is in a frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import files_beside, find_files, find_named_files, read_clips
from gfp_serve.layouts import BODY25, OPENPOSE18, Layout

from .videos import check_walks, flat_row, read_with_remarks, walking, write_json


def person(joints: np.ndarray, **fields: Any) -> dict[str, Any]:
    return {"person_id": [-1], "pose_keypoints_2d": flat_row(joints), "face_keypoints_2d": [], **fields}


def write_frame(folder: Path, number: int, *people: dict[str, Any], name: str = "walk") -> Path:
    return write_json(folder / f"{name}_{number:012}_keypoints.json", {"version": 1.3, "people": list(people)})


@pytest.mark.parametrize("layout", [OPENPOSE18, BODY25], ids=lambda layout: layout.name)
def test_a_folder_of_frames_is_one_clip(layout: Layout, tmp_path: Path) -> None:
    pixels = walking(layout, 12)
    files = [write_frame(tmp_path, number, person(joints)) for number, joints in enumerate(pixels)]
    (file,) = find_named_files([tmp_path])
    assert (file.path, file.name) == (files[0], "walk")
    assert files_beside(file.path) == files[1:]
    (clip,), said = read_with_remarks(file.path)
    assert (clip.name, clip.layout, clip.dimensions, clip.fps) == ("walk", layout, 2, 30.0)
    assert clip.sequence.shape == (12, 1, layout.num_joints, 3)
    check_walks(clip, pixels)
    assert said == [
        "it does not say how many frames a second it has; 30 were assumed. Say it with --fps.",
        f"read as 2-D joints of the layout {layout.name}.",
    ]


def test_each_video_of_a_folder_is_a_clip_and_so_are_videos_of_one_name(tmp_path: Path) -> None:
    for folder, name in ((".", "walk"), (".", "run"), ("s2", "walk")):
        for number in (2, 10, 11):
            write_frame(tmp_path / folder, number, person(walking(BODY25, 1)[0]), name=name)
    write_json(tmp_path / "settings.json", {"model": "BODY_25"})
    files = find_named_files([tmp_path])
    assert sorted(file.name for file in files) == sorted(["run", f"{tmp_path.name}/walk", "s2/walk"])
    assert [len(clip.sequence) for file in files for clip in read_clips(file.path)] == [10, 10, 10]


def test_frames_that_are_named_one_by_one_are_one_recording(tmp_path: Path) -> None:
    files = [write_frame(tmp_path, number, person(walking(BODY25, 1)[0])) for number in range(3)]
    assert [file.path for file in find_named_files(reversed(files))] == [files[0]]
    assert find_files(files[2]) == [files[2]]
    (clip,) = read_clips(files[2])
    assert len(clip.sequence) == 3


def test_frames_of_images_are_named_by_their_number(tmp_path: Path) -> None:
    for number in (9, 10):
        write_json(tmp_path / "takes" / f"{number}_keypoints.json", {"people": [person(walking(BODY25, 1)[0])]})
    (file,) = find_named_files([tmp_path])
    assert (file.path.name, file.name) == ("9_keypoints.json", "takes")


def test_a_missing_frame_and_a_frame_without_people_are_gaps(tmp_path: Path) -> None:
    pixels = walking(BODY25, 20)
    for number, joints in enumerate(pixels):
        if number != 7:
            write_frame(tmp_path, number, *([person(joints)] if number != 3 else []))
    (clip,), said = read_with_remarks(find_files(tmp_path)[0])
    unseen = np.isnan(clip.sequence).all(axis=(1, 2, 3))
    assert np.flatnonzero(unseen).tolist() == [3, 7]
    assert said[0] == "numbers of frames are missing in it; nobody is seen in these frames."


def test_joints_that_were_not_found_are_lost(tmp_path: Path) -> None:
    for number, joints in enumerate(walking(BODY25, 3)):
        row = np.array(flat_row(joints)).reshape(-1, 3)
        row[4], row[7, 2] = 0, 0.1  # OpenPose writes 0 0 0 for what it does not find
        write_frame(tmp_path, number, person(joints, pose_keypoints_2d=row.reshape(-1).tolist()))
    (clip,) = read_clips(find_files(tmp_path)[0])
    assert np.flatnonzero(np.isnan(clip.sequence).any(axis=(0, 1, 3))).tolist() == [4, 7]


def test_two_people_whose_order_changes_stay_who_they_are(tmp_path: Path) -> None:
    left, right = walking(BODY25, 10), walking(BODY25, 10, start=900)
    for number, both in enumerate(zip(left, right, strict=True)):
        write_frame(tmp_path, number, *map(person, both if number % 2 else both[::-1]))
    (clip,), said = read_with_remarks(find_files(tmp_path)[0])
    assert clip.sequence.shape[1] == 2
    check_walks(clip, right, body=0)
    check_walks(clip, left, body=1)
    assert "it does not say who is who; people were followed from frame to frame by their joints." in said


def test_tracks_of_openpose_are_kept(tmp_path: Path) -> None:
    left, right = walking(BODY25, 4), walking(BODY25, 4, start=900)
    for number in range(4):
        here, there = (left, right) if number < 2 else (right, left)  # they change places
        write_frame(tmp_path, number, person(here[number], person_id=[5]), person(there[number], person_id=[8]))
    (clip,), said = read_with_remarks(find_files(tmp_path)[0])
    check_walks(clip, np.concatenate([left[:2], right[2:]]), body=0)
    assert not any("who is who" in text for text in said)


def test_3d_joints_are_turned_upright(tmp_path: Path) -> None:
    pixels = walking(BODY25, 6)
    for number, joints in enumerate(pixels):
        solid = np.column_stack([joints * 5, np.full(25, 2_000.0), np.ones(25)])  # millimetres, y down
        solid[4] = 0
        write_frame(tmp_path, number, person(joints, pose_keypoints_3d=solid.reshape(-1).tolist()))
    (clip,), said = read_with_remarks(find_files(tmp_path)[0])
    assert clip.dimensions == 3
    assert said[-1] == "read as 3-D joints of the layout body25: -y up, millimetres, right-handed."
    nose, hips = BODY25.joint_names.index("Nose"), BODY25.joint_names.index("MidHip")
    np.testing.assert_allclose(clip.sequence[:, 0, nose, 1] - clip.sequence[:, 0, hips, 1], 0.67, atol=1e-4)
    assert np.isnan(clip.sequence[:, 0, 4]).all()


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([{"pose_keypoints_2d": [1.0, 2.0]}], r"keypoints.json: person 0 has 2 numbers in 'pose_keypoints_2d'"),
        ([{"pose_keypoints_2d": [1.0] * 45}], r"person 0 has 45 numbers .* expected 75 for body25, 54 for openpose18"),
        ([{"pose_keypoints_2d": ["a"] * 75}], r"person 0 must have numbers in 'pose_keypoints_2d'"),
        ([{"pose_keypoints_2d": [1e30] * 75}], r"person 0 has a number beyond 1e\+09"),
        ([{}], r"person 0 must have a list of numbers in 'pose_keypoints_2d', got nothing"),
        ([3], r"person 0 must have fields"),
    ],
)
def test_a_damaged_frame_is_refused_with_file_and_person(people: list[Any], message: str, tmp_path: Path) -> None:
    write_frame(tmp_path, 0, person(walking(BODY25, 1)[0]))
    write_json(tmp_path / "walk_000000000001_keypoints.json", {"people": people})
    with pytest.raises(DamagedFileError, match=message):
        list(read_clips(find_files(tmp_path)[0]))


def test_a_frame_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    write_frame(tmp_path, 0, person(walking(BODY25, 1)[0]))
    cut = write_frame(tmp_path, 1, person(walking(BODY25, 1)[0]))
    cut.write_text(cut.read_text()[:200])
    with pytest.raises(DamagedFileError, match=r"walk_000000000001_keypoints.json: line 1 is not JSON"):
        list(read_clips(find_files(tmp_path)[0]))


def test_people_without_joints_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    for number, joints in enumerate(walking(BODY25, 3)):
        write_frame(tmp_path, number, person(joints), person(joints, pose_keypoints_2d=[]))
    (clip,), said = read_with_remarks(find_files(tmp_path)[0])
    assert clip.sequence.shape[1] == 1
    assert said[0] == "people without joints in 'pose_keypoints_2d' were left out."


def test_a_video_without_people_is_left_out(tmp_path: Path) -> None:
    write_frame(tmp_path, 0)
    assert read_with_remarks(find_files(tmp_path)[0]) == ([], ["clip 'walk': nobody is seen in it."])


def test_one_axis_of_an_image_can_be_turned_and_others_cannot(tmp_path: Path) -> None:
    for number, joints in enumerate(walking(BODY25, 3) * (1, -1)):
        write_frame(tmp_path, number, person(joints))
    (clip,), _ = read_with_remarks(find_files(tmp_path)[0], up="y")
    check_walks(clip, walking(BODY25, 3))
    with pytest.raises(DamagedFileError, match="2-D joints, so y or -y is up, and not z"):
        read_with_remarks(find_files(tmp_path)[0], up="z")
