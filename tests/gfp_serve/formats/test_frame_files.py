"""Recordings of pose estimators that have a JSON file for each frame."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import files_beside, find_named_files, json_file, read_clips
from gfp_serve.layouts import COCO17, HALPE26, Layout

from .estimates import as_dicts, detection, in_world, instance, predictions
from .videos import check_walks, read_with_remarks, walking, write_json


def mmpose(people: list[np.ndarray]) -> Any:
    return predictions([[instance(joints) for joints in people]])


def mmpose_of_an_image(people: list[np.ndarray]) -> Any:
    return [instance(joints) for joints in people]


def ultralytics(people: list[np.ndarray]) -> Any:
    return [detection(joints) for joints in people]


def write_frames(folder: Path, pixels: np.ndarray, content_of: Callable[[list[np.ndarray]], Any]) -> list[Path]:
    """A file for each frame; nobody is in the second and in the last one."""
    last = len(pixels) - 1
    shown = [[] if number in (1, last) else [joints] for number, joints in enumerate(pixels)]
    return [write_json(folder / f"walk_{number:03}.json", content_of(people)) for number, people in enumerate(shown)]


@pytest.mark.parametrize(
    ("content_of", "layout"), [(mmpose, HALPE26), (mmpose_of_an_image, HALPE26), (ultralytics, COCO17)]
)
def test_a_file_for_each_frame_is_one_recording(
    content_of: Callable[[list[np.ndarray]], Any], layout: Layout, tmp_path: Path
) -> None:
    pixels = walking(layout, 6)
    files = write_frames(tmp_path, pixels, content_of)
    (found,) = find_named_files([tmp_path])
    assert (found.name, found.path) == ("walk", files[0])
    assert files_beside(found.path) == files[1:]
    (clip,), said = read_with_remarks(found.path)
    assert (clip.name, clip.layout, len(clip.sequence)) == ("walk", layout, 6)
    pixels[[1, 5]] = np.nan
    check_walks(clip, pixels)
    assert said[0] == "6 files of one frame each are this recording."


def test_a_damaged_frame_is_named_and_not_a_gap(tmp_path: Path) -> None:
    files = write_frames(tmp_path, walking(COCO17, 6), ultralytics)
    files[3].write_bytes(files[3].read_bytes()[:-20])
    (found,) = find_named_files([tmp_path])
    with pytest.raises(DamagedFileError, match=r"walk_003\.json"):
        list(read_clips(found.path))


def test_frames_of_different_joints_are_not_one_recording(tmp_path: Path) -> None:
    write_frames(tmp_path, walking(COCO17, 3), mmpose)
    write_json(tmp_path / "walk_002.json", mmpose([walking(HALPE26, 1)[0]]))
    with pytest.raises(DamagedFileError, match="of numbered frames have different joints; put the frames of each"):
        list(read_clips(tmp_path / "walk_000.json"))


def test_pictures_whose_numbers_are_far_apart_are_recordings_of_their_own(tmp_path: Path) -> None:
    for number in (139, 785, 40_083, 581_781):
        write_json(tmp_path / f"{number:012}.json", ultralytics([walking(COCO17, 1)[0]]))
    found = find_named_files([tmp_path])
    assert [len(list(read_clips(each.path))) for each in found] == [1] * 4
    assert found[0].name == "000000000139"


def test_frames_are_found_by_any_spelling_of_their_folder(tmp_path: Path) -> None:
    files = write_frames(tmp_path, walking(COCO17, 4), ultralytics)
    again = tmp_path / "x" / ".." / files[2].name
    (tmp_path / "x").mkdir()
    assert len(find_named_files([files[1], again])) == 1


def test_other_things_between_the_files_do_not_matter(tmp_path: Path) -> None:
    files = write_frames(tmp_path, walking(COCO17, 4), ultralytics)
    (tmp_path / "walk_7.json").mkdir()
    os.mkfifo(tmp_path / "walk_8.json")
    (found,) = find_named_files([tmp_path])
    assert files_beside(found.path) == files[1:]


def test_many_files_of_another_kind_are_told_apart_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        write_json(tmp_path / f"hand_{number}.json", {"landmarks": [{"x": 0.1, "y": 0.2}] * 21})
    reads: list[Path] = []
    load = json_file.load
    monkeypatch.setattr(json_file, "load", lambda path: reads.append(path) or load(path))
    assert len(find_named_files([tmp_path])) == 60
    assert len(reads) == 60


def test_one_frame_alone_keeps_its_name(tmp_path: Path) -> None:
    write_json(tmp_path / "pose_12.json", ultralytics([walking(COCO17, 1)[0]]))
    (found,) = find_named_files([tmp_path])
    (clip,) = read_clips(found.path)
    assert (found.name, clip.name) == ("pose_12", "pose_12")


def test_two_files_of_one_frame_are_named_and_other_recordings_are_read(tmp_path: Path) -> None:
    files = write_frames(tmp_path, walking(COCO17, 4), ultralytics)
    files[0].rename(tmp_path / "walk_2.json")
    found = find_named_files([tmp_path])
    assert [each.name for each in found] == ["walk"]
    assert files_beside(found[0].path) == []
    with pytest.raises(DamagedFileError, match="are both frame 2; remove one of them"):
        list(read_clips(found[0].path))


def test_rates_that_all_frames_say_are_kept(tmp_path: Path) -> None:
    for number, frame in enumerate(in_world(4)):
        write_json(tmp_path / f"a_{number}.json", {"fps": 60, "frames": [{"poseWorldLandmarks": as_dicts(frame)}]})
    (clip,) = read_clips(tmp_path / "a_0.json")
    assert (clip.fps, len(clip.sequence)) == (60, 4)
