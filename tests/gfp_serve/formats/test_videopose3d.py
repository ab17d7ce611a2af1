"""VideoPose3D's archives. The pickles in them are never run."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, read_clips
from gfp_serve.layouts import COCO17, H36M17, H36M32, Layout
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged

from .videos import check_walks, read_with_remarks, standing, walking

H36M = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]}
_COCO_SIDES = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]


def solid(layout: Layout, num_frames: int) -> np.ndarray:
    """Frames × joints × 3, metres, z up."""
    flat = standing(layout)
    joints = np.column_stack([flat[:, 0], np.zeros(len(flat)), flat[:, 1]])
    return (joints + (0, -0.02, 0) * np.arange(num_frames)[:, None, None]).astype(np.float32)


def upright(joints: np.ndarray) -> np.ndarray:
    return joints[:, None, :, [0, 2, 1]] * np.float32([1, 1, -1])


def write(path: Path, **mappings: Any) -> Path:
    np.savez_compressed(path, **{name: np.array(value, dtype=object) for name, value in mappings.items()})
    return path


@pytest.mark.parametrize("layout", [H36M32, H36M17])
def test_3d_actions_are_turned_upright(layout: Layout, tmp_path: Path) -> None:
    actions = {
        "S1": {"Directions 1": solid(layout, 4), "Walking": solid(layout, 6)},
        "S11": {"Sitting 2": solid(layout, 5).astype(np.float64)},
        "S2": {"Eating": solid(layout, 3)},
    }
    clips, said = read_with_remarks(write(tmp_path / "data_3d_h36m.npz", positions_3d=actions))
    assert [clip.name for clip in clips] == ["S1_Directions_1", "S1_Walking", "S11_Sitting_2", "S2_Eating"]
    assert [clip.label for clip in clips] == ["Directions", "Walking", "Sitting", "Eating"]
    assert [clip.subject for clip in clips] == ["S1", "S1", "S11", "S2"]
    assert [clip.split for clip in clips] == [TRAIN_SPLIT, TRAIN_SPLIT, TEST_SPLIT, NO_SPLIT]
    assert [dict(clip.splits) for clip in clips[2:]] == [{"x-sub": TEST_SPLIT}, {}]
    assert {(clip.layout, clip.fps, clip.dimensions) for clip in clips} == {(layout, 50.0, 3)}
    np.testing.assert_allclose(clips[1].sequence, upright(solid(layout, 6)), atol=1e-6)
    assert said == ["read as z up, metres, right-handed."] * 4


@pytest.mark.parametrize(
    ("metadata", "layout"),
    [
        (H36M, H36M17),
        ({"keypoints_symmetry": H36M["keypoints_symmetry"]}, H36M17),
        ({"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": _COCO_SIDES}, COCO17),
        ({"num_joints": 17, "keypoints_symmetry": _COCO_SIDES}, COCO17),
    ],
)
def test_2d_actions_have_a_clip_for_each_camera(metadata: dict[str, Any], layout: Layout, tmp_path: Path) -> None:
    cameras = [walking(layout, 5).astype(np.float32), walking(layout, 7, start=200).astype(np.float32)]
    file = write(tmp_path / "data_2d_h36m_gt.npz", positions_2d={"S9": {"Walking 1": cameras}}, metadata=metadata)
    clips, said = read_with_remarks(file)
    assert [(clip.name, clip.camera, clip.label) for clip in clips] == [
        ("S9_Walking_1_cam0", 0, "Walking"),
        ("S9_Walking_1_cam1", 1, "Walking"),
    ]
    for clip, pixels in zip(clips, cameras, strict=True):
        assert (clip.layout, clip.dimensions, clip.split, clip.fps) == (layout, 2, TEST_SPLIT, 50.0)
        check_walks(clip, pixels.astype(np.float64))
    assert set(said) == {f"read as 2-D joints of the layout {layout.name}."}


def test_2d_joints_without_metadata_are_taken_for_those_of_human36m(tmp_path: Path) -> None:
    people = {"S1": {"Posing": [walking(H36M17, 4)]}}
    (clip,), said = read_with_remarks(write(tmp_path / "data_2d_h36m_gt.npz", positions_2d=people))
    assert clip.layout == H36M17
    assert said[0] == "it has no metadata; its joints were taken for the 17 of Human3.6M."


def test_videos_of_ones_own_have_confidence_and_no_label(tmp_path: Path) -> None:
    pixels = walking(COCO17, 4)
    rows = np.concatenate([pixels, np.full((4, 17, 1), 0.9)], axis=2)
    rows[1, 9, 2] = 0.1
    metadata = {"layout_name": "coco", "num_joints": 17, "video_metadata": {"mine.mp4": {"w": 1920, "h": 1080}}}
    file = write(tmp_path / "data_2d_custom_mine.npz", positions_2d={"mine.mp4": {"custom": [rows]}}, metadata=metadata)
    (clip,), said = read_with_remarks(file)
    assert (clip.name, clip.label, clip.fps, clip.split) == ("mine.mp4_custom_cam0", None, 30.0, NO_SPLIT)
    pixels[1, 9] = np.nan
    check_walks(clip, pixels)
    assert said[0] == "it does not say how many frames a second it has; 30 were assumed. Say it with --fps."
    with pytest.raises(DamagedFileError, match="these are 2-D joints, so y or -y is up, and not z"):
        read_with_remarks(file, up="z")


def test_a_clip_with_infinity_is_left_out(tmp_path: Path) -> None:
    wrong = solid(H36M32, 3)
    wrong[0, 1, 2] = np.inf
    people = {"S1": {"Eating": wrong, "Walking": solid(H36M32, 3)}}
    clips, said = read_with_remarks(write(tmp_path / "data_3d_h36m.npz", positions_3d=people))
    assert [clip.name for clip in clips] == ["S1_Walking"]
    assert "clip 'S1_Eating': a coordinate is infinite; what was not seen is NaN." in said


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ({"S1": {"Walking": np.zeros((4, 15, 3))}}, "positions_3d, 'S1', 'Walking' has shape 4 × 15 × 3; expected"),
        ({"S1": {"Walking": np.zeros((0, 32, 3))}}, "has shape 0 × 32 × 3"),
        ({"S1": {"Walking": [1, 2]}}, "positions_3d, 'S1', 'Walking' must be an array of numbers"),
        ({"S1": np.zeros((4, 32, 3))}, "positions_3d, 'S1' must be a mapping by names, which are text"),
        ({1: {"Walking": np.zeros((4, 32, 3))}}, "array 'positions_3d' must be a mapping by names"),
        ({}, "has no action"),
        ([1, 2], "expected one mapping by person"),
        ({"S1": {"Walking": Path("x")}}, "is not a pickle of plain values"),
    ],
)
def test_other_3d_content_is_refused(people: Any, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "data_3d_h36m.npz", positions_3d=people)
    with pytest.raises(DamagedFileError, match=re.escape(message)) as refusal:
        list(read_clips(file))
    assert str(file) in str(refusal.value)


@pytest.mark.parametrize(
    ("actions", "metadata", "message"),
    [
        (np.zeros((4, 17, 2)), H36M, "'Walking' must be a list with an array for each camera"),
        ([np.zeros((4, 16, 2))], H36M, "camera 0 has shape 4 × 16 × 2; expected frames × 17 × 2"),
        ([np.zeros((4, 17, 2))], {"layout_name": "humaneva15"}, "has the layout 'humaneva15'; expected h36m or coco"),
        ([np.zeros((4, 17, 2))], {}, "has left joints of an unknown layout"),
    ],
)
def test_other_2d_content_is_refused(actions: Any, metadata: Any, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "data_2d.npz", positions_2d={"S1": {"Walking": actions}}, metadata=metadata)
    with pytest.raises(DamagedFileError, match=re.escape(message)):
        list(read_clips(file))


def test_many_actions_of_one_array_are_refused(tmp_path: Path) -> None:
    shared = solid(H36M32, 200)
    people = {"S1": {f"Walking {number}": shared for number in range(100)}}
    with pytest.raises(DamagedFileError, match="its actions share their arrays"):
        list(read_clips(write(tmp_path / "data_3d_h36m.npz", positions_3d=people)))


class _Calls:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return warnings.warn, ("run",)  # fails the test if it is called


def test_a_program_in_the_archive_is_not_run(tmp_path: Path) -> None:
    file = write(tmp_path / "data_3d_h36m.npz", positions_3d={"S1": {"Walking": _Calls()}})
    with pytest.raises(DamagedFileError, match=r"it asks for _?warnings.warn. Nothing of it was run"):
        list(read_clips(file))


@given(data=st.data(), save=st.sampled_from([np.savez, np.savez_compressed]))
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, save: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("fuzz") / "some.npz"
    people = {"S1": {"Walking": [walking(H36M17, 2)]}}
    save(file, positions_2d=np.array(people, dtype=object), metadata=np.array(H36M, dtype=object))
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    check_gives_clips_or_is_refused_by_name(file)
