"""The arrays of ST-GCN and 2s-AGCN: clips lose their padding, and are read one at a time."""

import pickle
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import TEST_SPLIT, TRAIN_SPLIT, files_beside, find_files, read_clips
from gfp_serve.layouts import NTU25, OPENPOSE18
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged

from .videos import check_walks, read_with_remarks, standing, walking

NAMES = ["S001C002P001R001A001.skeleton", "S003C001P003R002A060.skeleton", "S018C003P103R001A106.skeleton"]
LABELS = [0, 59, 105]
FRAMES = 12


def person(num_frames: int, x: float = 0.0) -> np.ndarray:
    """Someone who walks towards the sensor: frames × 25 × 3, metres, y up."""
    flat = standing(NTU25)
    joints = np.repeat(np.column_stack([flat, np.zeros(len(flat))])[None], num_frames, axis=0)
    joints[:, [NTU25.joint_names.index(name) for name in ("FootLeft", "FootRight")], 2] += 0.15
    return joints + np.stack([np.full(num_frames, x), np.zeros(num_frames), 0.05 * np.arange(num_frames)], 1)[:, None]


def arrays() -> np.ndarray:
    """Three clips × 3 × 12 × 25 × 2: one alone for 7 frames, one with a second body, one of zeros."""
    clips = np.zeros((3, FRAMES, 2, 25, 3), dtype=np.float32)
    clips[0, :7, 0] = person(7)
    clips[1, :, 0], clips[1, 4:, 1] = person(FRAMES), person(FRAMES - 4, 1.0)
    return np.ascontiguousarray(clips.transpose(0, 4, 1, 3, 2))


def write(
    folder: Path, array: np.ndarray, name: str = "train_data", content: Any = (NAMES, LABELS), label: str = "train"
) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", array)
    with (folder / f"{label}_label.pkl").open("wb") as file:
        pickle.dump(content, file)
    return folder / f"{name}.npy"


@pytest.mark.parametrize("name", ["train_data", "train_data_joint"])
def test_clips_lose_their_padding_and_have_what_their_names_say(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "xsub", arrays(), name)
    (alone, both), said = read_with_remarks(path)
    np.testing.assert_allclose(alone.sequence, person(7)[:, None], atol=1e-6)
    assert both.sequence.shape == (FRAMES, 2, 25, 3)
    assert not both.sequence[:4, 1].any()
    assert (alone.name, alone.label, alone.subject, alone.camera, alone.layout, alone.fps) == (
        *("S001C002P001R001A001", "drink water", "1", 2, NTU25, 30.0),
    )
    assert (both.label, both.split) == ("walking apart from each other", TRAIN_SPLIT)
    assert list(both.splits.items())[:2] == [("x-sub", TRAIN_SPLIT), ("x-view", TEST_SPLIT)]
    assert said == ["clip 'S018C003P103R001A106': all of its numbers are zero: nobody is seen in it."]


def test_the_names_of_file_and_folder_say_the_split(tmp_path: Path) -> None:
    content = (NAMES, LABELS)
    in_view = next(read_clips(write(tmp_path / "xview", arrays(), "val_data", content, "val")))
    assert (in_view.split, next(iter(in_view.splits.items()))) == (TEST_SPLIT, ("x-view", TEST_SPLIT))
    elsewhere = next(read_clips(write(tmp_path / "mine", arrays(), "test_data", content, "test")))
    assert next(iter(elsewhere.splits.items())) == ("own", TEST_SPLIT)


def test_a_folder_has_the_array_and_not_its_labels_as_a_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "xsub", arrays())
    np.save(tmp_path / "xsub" / "mean.npy", np.zeros(25))
    assert find_files(tmp_path) == [path]
    assert files_beside(path) == [path.with_name("train_label.pkl")]


@pytest.mark.parametrize(
    "content",
    [
        [NAMES, LABELS],
        (tuple(NAMES), np.array(LABELS)),
        (np.array(NAMES), [np.int64(label) for label in LABELS]),
        (np.array(NAMES, dtype=object), np.array(LABELS, dtype=np.uint8)),
    ],
    ids=["lists", "tuple and array", "array of text", "objects"],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_labels_may_have_any_form(content: Any, protocol: int, tmp_path: Path) -> None:
    path = write(tmp_path, arrays())
    (tmp_path / "train_label.pkl").write_bytes(pickle.dumps(content, protocol))
    assert [clip.label for clip in read_clips(path)] == ["drink water", "walking apart from each other"]


def test_classes_that_disagree_with_the_names_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path, arrays(), content=(NAMES, [0, 5, 105]))
    assert [clip.label for clip in read_clips(path)] == ["A001", "A006"]
    path = write(tmp_path, arrays(), content=(["a", "b", "c"], [3, 4, 5]))
    assert [(clip.name, clip.label) for clip in read_clips(path)] == [("a", "A004"), ("b", "A005")]


def test_without_labels_clips_are_numbered_and_it_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "val_data.npy", arrays())
    clips, said = read_with_remarks(tmp_path / "val_data.npy")
    assert [(clip.name, clip.label, clip.split) for clip in clips] == [("val_0", None, 1), ("val_1", None, 1)]
    assert said[0] == "there is no val_label.pkl, so its clips have numbers for names, and no labels."


def test_clips_of_2s_agcn_are_turned_upright_and_lose_their_repetitions(tmp_path: Path) -> None:
    first, second = person(5), person(3, 1.0)
    clip = np.zeros((1, FRAMES, 2, 25, 3), dtype=np.float32)
    clip[0, :, 0], clip[0, :, 1] = first[np.arange(FRAMES) % 5], second[np.arange(FRAMES) % 3]
    z_up = clip[..., [0, 2, 1]] * np.float32([1, -1, 1])
    path = write(tmp_path, z_up.transpose(0, 4, 1, 3, 2), "train_data_joint", (NAMES[:1], LABELS[:1]))
    (found,), said = read_with_remarks(path)
    np.testing.assert_allclose(found.sequence[:, 0], first, atol=1e-6)
    np.testing.assert_allclose(found.sequence[:3, 1], second, atol=1e-6)
    assert not found.sequence[3:, 1].any()
    assert said == [
        "read as z up, metres, right-handed.",
        "short clips were filled up by repeating them; the repetitions were left out.",
    ]


def test_a_body_that_is_absent_at_first_and_at_last_is_no_repetition(tmp_path: Path) -> None:
    clips = arrays()
    clips[1, :, -4:, :, 1] = 0
    _, said = read_with_remarks(write(tmp_path / "xsub", clips))
    assert not [text for text in said if "repeating" in text]


def test_a_body_that_stands_still_is_no_repetition(tmp_path: Path) -> None:
    still = np.repeat(person(1), FRAMES, axis=0)[None, :, None].astype(np.float32)
    (found,) = read_clips(write(tmp_path, still.transpose(0, 4, 1, 3, 2), content=(NAMES[:1], LABELS[:1])))
    assert len(found.sequence) == FRAMES


@pytest.mark.parametrize(("sign", "up"), [(1, "-y"), (-1, "y")])
def test_18_joints_are_2d_with_a_confidence(sign: int, up: str, tmp_path: Path) -> None:
    pixels = walking(OPENPOSE18, 5)
    parts = (pixels / (1700, 1280) - 0.5) * (1, sign)  # five times 340 × 256
    clip = np.zeros((1, FRAMES, 2, 18, 3), dtype=np.float32)
    clip[0, :5, 0] = np.concatenate([parts, np.full((5, 18, 1), 0.8)], axis=2)
    clip[0, 2, 0, 4] = 0  # lost
    path = write(tmp_path, clip.transpose(0, 4, 1, 3, 2), "val_data", (["-0a1b2c.json"], [397]), "val")
    (found,), said = read_with_remarks(path)
    assert (found.name, found.label, found.dimensions, found.layout) == ("-0a1b2c", "A398", 2, OPENPOSE18)
    pixels[2, 4] = np.nan
    check_walks(found, pixels)
    expected = f"read as 2-D joints of the layout openpose18, {up} up, in images of 340 × 256 pixels"
    assert said == [f"{expected}, as those of Kinetics-skeleton."]
    with pytest.raises(DamagedFileError, match=r"these are 2-D joints, so y or -y is up, and not z"):
        read_with_remarks(path, up="z")


def test_what_a_caller_says_wins(tmp_path: Path) -> None:
    path = write(tmp_path, arrays() * 100)
    (found, _), said = read_with_remarks(path)
    np.testing.assert_allclose(found.sequence[:, 0], person(7), atol=1e-5)
    assert said[0] == "read as y up, centimetres, right-handed."
    (found, _), said = read_with_remarks(path, unit="mm")
    np.testing.assert_allclose(found.sequence[:, 0], person(7) / 10, atol=1e-5)


def test_a_clip_with_infinity_is_left_out(tmp_path: Path) -> None:
    array = arrays()
    array[0, 1, 2, 3, 0] = np.inf
    clips, said = read_with_remarks(write(tmp_path, array))
    assert [clip.name for clip in clips] == ["S003C001P003R002A060"]
    assert said[0].startswith("clip 'S001C002P001R001A001': a coordinate is infinite or not a number")


def test_memory_does_not_grow_with_the_number_of_clips(tmp_path: Path) -> None:
    count = 400
    array = np.ones((count, 3, 100, 25, 2), dtype=np.float32)
    path = write(tmp_path, array, content=([f"clip {number}" for number in range(count)], [5] * count))
    size = array.nbytes
    del array
    tracemalloc.start()
    assert sum(1 for _ in read_clips(path)) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 3  # the clips by which conventions are decided are a part of it


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a[:, :2], "holds float32 of shape 3 × 2 × 12 × 25 × 2; expected floating-point clips × 3 ×"),
        (lambda a: a[..., :17, :], "of shape 3 × 3 × 12 × 17 × 2"),
        (lambda a: a.astype(np.int32), "holds int32 of shape"),
        (lambda a: a[:0], "of shape 0 × 3 × 12 × 25 × 2"),
        (lambda a: a[0], "has shape 3 × 12 × 25 × 2, which is of no known format"),
        (lambda a: a.astype(str), "expected an array of numbers"),
    ],
)
def test_an_array_of_another_shape_is_refused(
    change: Callable[[np.ndarray], np.ndarray], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, change(arrays()))
    with pytest.raises(DamagedFileError, match=re.escape(message)) as refusal:
        list(read_clips(path))
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"names": NAMES}, "has no labels of ST-GCN"),
        ((NAMES, LABELS, LABELS), "has no labels of ST-GCN"),
        ((NAMES[:2], LABELS[:2]), "has 2 names and 2 labels for 3 clips"),
        ((NAMES[:2], LABELS), "has 2 names and 3 labels for 3 clips"),
        ((NAMES, [0, 59, -1]), "clip 2 must have a text as its name and a class number from 0"),
        ((NAMES, [0, 5.5, 1]), "clip 1 must have a text"),
        ((NAMES[:1] * 3, LABELS), "the name 'S001C002P001R001A001' comes twice"),
        ((NAMES, [Path(), 1, 2]), "is not a pickle of plain values"),
    ],
)
def test_labels_that_do_not_fit_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, arrays(), content=content)
    with pytest.raises(DamagedFileError, match=message) as refusal:
        list(read_clips(path))
    assert "train_label.pkl" in str(refusal.value)


@pytest.mark.parametrize("name", ["train_data_bone", "val_data_joint_motion"])
def test_bones_and_motion_are_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"has bones or motion.*give train_data.npy or train_data_joint.npy"):
        list(read_clips(write(tmp_path, arrays(), name)))


@given(data=st.data(), in_labels=st.booleans())
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, in_labels: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz"), arrays()[:, :, :3])
    labels = path.with_name("train_label.pkl")
    changed = labels if in_labels else path
    changed.write_bytes(data.draw(damaged(changed.read_bytes())))
    check_gives_clips_or_is_refused_by_name(path, labels)
