"""NW-UCLA, the JSON of CTR-GCN."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, find_files, read_clips
from gfp_serve.layouts import KINECT20

from .videos import read_with_remarks, standing, write_json


def walk(num_frames: int) -> np.ndarray:
    """Frames × 20 × 3, metres, y up."""
    flat = standing(KINECT20)
    joints = np.repeat(np.column_stack([flat, np.full(len(flat), 2.5)])[None], num_frames, axis=0)
    return np.round(joints + (0, 0, 0.05) * np.arange(num_frames)[:, None, None], 4)


def content(skeletons: np.ndarray, name: str = "a01_s01_e00_v01", label: int = 1) -> dict[str, Any]:
    return {"file_name": name, "skeletons": skeletons.tolist(), "label": label}


@pytest.mark.parametrize(
    ("name", "label", "split"),
    [
        ("a01_s10_e03_v01", "pick up with one hand", TRAIN_SPLIT),
        ("a12_s02_e00_v03", "carry", TEST_SPLIT),
        ("a08_s02_e00_v04", "donning", NO_SPLIT),
    ],
)
def test_action_subject_camera_and_split_come_from_the_name(name: str, label: str, split: int, tmp_path: Path) -> None:
    write_json(tmp_path / f"{name}.json", content(walk(4), name))
    write_json(tmp_path / "settings.json", {"label": 3})
    (file,) = find_files(tmp_path)
    (clip,), said = read_with_remarks(file)
    np.testing.assert_allclose(clip.sequence, walk(4)[:, None], atol=1e-6)
    assert (clip.name, clip.layout, clip.fps, clip.dimensions) == (name, KINECT20, 30.0, 3)
    assert (clip.label, clip.subject, clip.camera) == (label, str(int(name[5:7])), int(name[-1]))
    assert (clip.split, dict(clip.splits)) == (split, {} if split == NO_SPLIT else {"x-view": split})
    assert said == []


def test_without_such_a_name_the_label_is_a_number(tmp_path: Path) -> None:
    (clip,) = read_clips(write_json(tmp_path / "mine.json", content(walk(4), "mine", 7)))
    assert (clip.name, clip.label, clip.subject, clip.split) == ("mine", "A007", "unknown", NO_SPLIT)
    (clip,) = read_clips(write_json(tmp_path / "copy.json", content(walk(4), "a02_s03_e00_v02", 2)))
    assert (clip.label, clip.subject) == ("pick up with two hands", "3")


def test_the_unit_is_that_of_the_legs_and_a_caller_wins(tmp_path: Path) -> None:
    file = write_json(tmp_path / "a01_s01_e00_v01.json", content(walk(4) * 1000))
    (clip,), said = read_with_remarks(file)
    np.testing.assert_allclose(clip.sequence, walk(4)[:, None], atol=1e-5)
    assert said == ["read as y up, millimetres, right-handed."]
    (clip,), said = read_with_remarks(file, unit="cm", up="-y")
    np.testing.assert_allclose(clip.sequence, walk(4)[:, None] * (-10, -10, 10), atol=1e-4)


def test_a_file_of_zeros_is_left_out_and_null_is_a_lost_joint(tmp_path: Path) -> None:
    file = write_json(tmp_path / "a01_s01_e00_v01.json", content(np.zeros((3, 20, 3))))
    assert read_with_remarks(file) == ([], ["clip 'a01_s01_e00_v01': nobody is seen in it."])
    fields = content(walk(3))
    fields["skeletons"][1][4] = [None, None, None]
    (clip,) = read_clips(write_json(file, fields))
    assert np.argwhere(np.isnan(clip.sequence[..., 0])).tolist() == [[1, 0, 4]]


@pytest.mark.parametrize(
    ("skeletons", "message"),
    [
        (walk(3)[:, :15].tolist(), r"has 3 × 15 × 3 numbers in 'skeletons'; expected frames × 20 × 3"),
        ([], r"has 0 numbers in 'skeletons'"),
        ([[[1, 2, 3]] * 20, [[1, 2]] * 20], r"must have numbers in 'skeletons', got other things or rows that differ"),
        ("none", r"must have a list of numbers in 'skeletons', got str"),
    ],
)
def test_other_shapes_are_refused(skeletons: Any, message: str, tmp_path: Path) -> None:
    file = write_json(tmp_path / "a01_s01_e00_v01.json", {**content(walk(3)), "skeletons": skeletons})
    with pytest.raises(DamagedFileError, match=message) as refusal:
        list(read_clips(file))
    assert str(file) in str(refusal.value)
