"""COCO's keypoint results and AlphaPose's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import find_named_files, read_clips
from gfp_serve.layouts import COCO17, COCO_WHOLEBODY133, HALPE26, Layout

from .videos import check_walks, flat_row, read_with_remarks, walking, write_json


def entry(image: Any, joints: np.ndarray, **fields: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": 1, "keypoints": flat_row(joints), "score": 0.8, **fields}


@pytest.mark.parametrize("layout", [COCO17, HALPE26, COCO_WHOLEBODY133], ids=lambda layout: layout.name)
def test_coco_results_are_a_clip_with_frames_by_image_id(layout: Layout, tmp_path: Path) -> None:
    pixels = walking(layout, 8)
    entries = [entry(number, pixels[number]) for number in (3, 0, 1, 2, 4, 5, 7)]
    write_json(tmp_path / "results.json", entries)
    (file,) = find_named_files([tmp_path])
    (clip,), said = read_with_remarks(file.path)
    assert (clip.name, clip.layout, clip.dimensions) == ("results", layout, 2)
    pixels[6] = np.nan
    check_walks(clip, pixels)
    assert said == [
        "numbers of frames are missing in it; nobody is seen in these frames.",
        "it does not say how many frames a second it has; 30 were assumed. Say it with --fps.",
        f"read as 2-D joints of the layout {layout.name}.",
    ]


@pytest.mark.parametrize("image", ["{}.jpg", "frame_{:06}.png", "video/{:04}.jpg"])
def test_alphapose_names_images_and_its_tracks_are_kept(image: str, tmp_path: Path) -> None:
    left, right = walking(COCO17, 4), walking(COCO17, 4, start=900)
    entries = []
    for number in range(4):
        here, there = (left, right) if number < 2 else (right, left)
        name = image.format(number + 9)
        entries += [entry(name, here[number], idx=[1.0], box=[0, 0, 1, 1]), entry(name, there[number], idx=[2.0])]
    (clip,), said = read_with_remarks(write_json(tmp_path / "alphapose-results.json", entries))
    assert clip.name == "alphapose-results"
    check_walks(clip, np.concatenate([left[:2], right[2:]]), body=0)
    assert not any("who is who" in text for text in said)


def test_with_a_lower_confidence_people_are_followed_by_their_faint_joints(tmp_path: Path) -> None:
    pixels = walking(COCO17, 40)
    faint = [entry(f"{number}.jpg", joints) for number, joints in enumerate(pixels)]
    for each in faint:
        each["keypoints"][2::3] = [0.2] * COCO17.num_joints
    file = write_json(tmp_path / "results.json", faint)
    assert not read_with_remarks(file)[0]
    (clip,), _ = read_with_remarks(file, min_confidence=0.05)
    check_walks(clip, pixels)
    assert clip.sequence.shape[1] == 1
    (clip,), _ = read_with_remarks(file, min_confidence=0)
    check_walks(clip, pixels)


def test_alphapose_that_does_not_track_gives_everyone_one_number(tmp_path: Path) -> None:
    left, right = walking(COCO17, 6), walking(COCO17, 6, start=900)
    entries = []
    for number in range(6):
        both = [left[number], right[number]]
        entries += [entry(f"{number}.jpg", joints, idx=[0.0]) for joints in (both if number % 2 else both[::-1])]
    (clip,), said = read_with_remarks(write_json(tmp_path / "results.json", entries))
    check_walks(clip, right, body=0)
    check_walks(clip, left, body=1)
    assert "it does not say who is who; people were followed from frame to frame by their joints." in said


def test_long_numbers_of_images_and_tracks_differ(tmp_path: Path) -> None:
    left, right = walking(COCO17, 3), walking(COCO17, 3, start=900)
    entries = []
    for number in range(3):
        here, there = (left, right) if number < 2 else (right, left)
        image = 10_000_010_000_101 + number  # as in PoseTrack
        entries += [entry(image, here[number], track_id=12_345_678), entry(image, there[number], track_id=12_345_679)]
    (clip,) = read_clips(write_json(tmp_path / "results.json", entries))
    check_walks(clip, np.concatenate([left[:2], right[2:]]), body=0)


def test_the_body_of_halpe_136_is_its_first_26(tmp_path: Path) -> None:
    pixels = walking(HALPE26, 3)
    entries = [
        entry(f"{number}.jpg", np.concatenate([joints, np.full((110, 2), 500.0)]))
        for number, joints in enumerate(pixels)
    ]
    (clip,), said = read_with_remarks(write_json(tmp_path / "results.json", entries))
    assert clip.layout is HALPE26
    check_walks(clip, pixels)
    assert said[0] == "its points of face and hands were left out."


def test_each_video_of_a_file_is_a_clip(tmp_path: Path) -> None:
    joints = walking(COCO17, 1)[0]
    entries = [entry(f"{name}_{number}.jpg", joints) for name in ("run", "walk") for number in range(3)]
    clips = list(read_clips(write_json(tmp_path / "results.json", entries)))
    assert [(clip.name, len(clip.sequence)) for clip in clips] == [("run", 3), ("walk", 3)]


def test_entries_that_are_not_people_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    joints = walking(COCO17, 1)[0]
    entries = [entry(0, joints), entry(0, joints, category_id=17), entry(1, joints)]
    (clip,), said = read_with_remarks(write_json(tmp_path / "results.json", entries))
    assert clip.sequence.shape[:2] == (2, 1)
    assert said[0] == "entries that are not people were left out."


def test_images_that_are_not_of_one_video_are_refused(tmp_path: Path) -> None:
    joints = walking(COCO17, 1)[0]
    file = write_json(tmp_path / "results.json", [entry(image, joints) for image in (139, 872, 581_929)])
    with pytest.raises(DamagedFileError, match=r"3 frames, numbered from 139 to 581929: these are not the frames of"):
        list(read_clips(file))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"keypoints": [1.0] * 42}, r"entry 1 has 42 numbers in 'keypoints'; expected x, y and confidence"),
        ({"keypoints": "x"}, r"entry 1, image '1' must have a list of numbers in 'keypoints', got str"),
        ({"keypoints": [[1.0], [2.0, 3.0]]}, r"entry 1, image '1' must have numbers in 'keypoints'"),
        ({"image_id": "cat.jpg"}, r"entry 1 is of the image 'cat.jpg'; expected a number"),
    ],
)
def test_a_damaged_entry_is_refused_with_its_number(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    joints = walking(COCO17, 1)[0]
    file = write_json(tmp_path / "results.json", [entry(0, joints), entry(1, joints) | wrong])
    with pytest.raises(DamagedFileError, match=message):
        list(read_clips(file))
