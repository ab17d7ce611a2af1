"""CTR-GCN's `.npz`: clips lose their padding and are read one at a time, and an error names the array and the row."""

import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import TEST_SPLIT, TRAIN_SPLIT, read_clips
from gfp_serve.layouts import NTU25
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged


def make_arrays(num_frames: int = 6, num_classes: int = 60) -> dict[str, np.ndarray]:
    """Return two training clips and a test clip. Coordinates are the frame's number, from 1; body 2 has 10 more."""
    rising = np.zeros((num_frames, 2, 75), dtype=np.float32)
    rising += np.arange(1, num_frames + 1, dtype=np.float32)[:, None, None]
    rising[:, 1] += 10
    train = np.stack([rising, rising])
    train[0, 4:] = 0  # 4 frames, then padding
    train[0, :, 1] = 0  # nobody else
    train[1, 1] = 0  # a frame in which both were lost
    test = rising[None].copy()
    test[:, :, 1] = test[:, :, 0]  # a copy of the only body
    return {
        "x_train": train.reshape(2, num_frames, 150),
        "y_train": np.eye(num_classes)[[0, 1]],
        "x_test": test.reshape(1, num_frames, 150),
        "y_test": np.eye(num_classes)[[num_classes - 1]],
    }


def write(path: Path, arrays: dict[str, np.ndarray], save: Callable[..., None] = np.savez) -> Path:
    save(path, **arrays)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_clips_lose_their_padding_and_bodies_that_are_absent_or_copied(
    save: Callable[..., None], tmp_path: Path
) -> None:
    alone, both, copied = read_clips(write(tmp_path / "NTU60_XSub.npz", make_arrays(), save))
    assert alone.sequence.shape == (4, 1, 25, 3)
    np.testing.assert_array_equal(alone.sequence[:, 0, 7, 2], [1, 2, 3, 4])
    assert both.sequence.shape == (6, 2, 25, 3)
    np.testing.assert_array_equal(both.sequence[:, :, 0, 0], [[1, 11], [0, 0], [3, 13], [4, 14], [5, 15], [6, 16]])
    assert copied.sequence.shape == (6, 1, 25, 3)
    assert {(clip.layout, clip.fps, clip.subject) for clip in (alone, both, copied)} == {(NTU25, 30.0, "unknown")}
    assert [clip.name for clip in (alone, both, copied)] == ["train_00000", "train_00001", "test_00000"]
    assert [clip.split for clip in (alone, both, copied)] == [TRAIN_SPLIT, TRAIN_SPLIT, TEST_SPLIT]


@pytest.mark.parametrize(
    ("num_classes", "first", "last"),
    [
        (60, "drink water", "walking apart from each other"),
        (120, "drink water", "finger-guessing game (playing rock-paper-scissors)"),
        (51, "bow", "writing"),
        (10, "A001", "A010"),
    ],
)
def test_the_number_of_classes_tells_which_data_set_it_is(
    num_classes: int, first: str, last: str, tmp_path: Path
) -> None:
    arrays = make_arrays(num_classes=num_classes)
    arrays["y_train"] = np.eye(num_classes)[[0, 0]]
    labels = [clip.label for clip in read_clips(write(tmp_path / "some.npz", arrays))]
    assert labels == [first, first, last]


def test_a_file_of_one_split_is_read(tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays["x_train"], arrays["y_train"]
    (clip,) = read_clips(write(tmp_path / "test_only.npz", arrays))
    assert clip.name == "test_00000"


def test_a_clip_of_zeros_is_read_as_one_frame_without_anybody(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["x_train"][0] = 0
    empty = next(read_clips(write(tmp_path / "some.npz", arrays)))
    assert empty.sequence.shape == (1, 1, 25, 3)
    assert not empty.sequence.any()


@given(
    clips=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 5), st.just(2), st.just(25), st.just(3)),
        elements=st.floats(1, 3, width=32),
    ),
    padding=st.integers(0, 3),
)
def test_clips_are_read_as_they_were_before_padding(
    clips: np.ndarray, padding: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    padded = np.pad(clips, ((0, 0), (0, padding), (0, 0), (0, 0), (0, 0)))
    arrays = {"x_test": padded.reshape(*padded.shape[:2], 150), "y_test": np.eye(60)[: len(clips)]}
    back = list(read_clips(write(tmp_path_factory.mktemp("clips") / "some.npz", arrays)))
    for clip, written in zip(back, clips, strict=True):
        same = np.array_equal(written[:, 0], written[:, 1])
        np.testing.assert_array_equal(clip.sequence, written[:, :1] if same else written)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_does_not_grow_with_the_number_of_clips(save: Callable[..., None], tmp_path: Path) -> None:
    count, num_frames = 400, 100
    arrays = {"x_train": np.ones((count, num_frames, 150), dtype=np.float32), "y_train": np.eye(60)[[5] * count]}
    path = write(tmp_path / "large.npz", arrays, save)
    size = arrays.pop("x_train").nbytes
    tracemalloc.start()
    assert sum(1 for _ in read_clips(path)) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 10


DAMAGES: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "other columns": ("x_train", lambda a: a[:, :, :75], "expected floating-point clips × frames × 150"),
    "no frames": ("x_train", lambda a: a[:, :0], "of shape 2 × 0 × 150"),
    "axes of their own": ("x_test", lambda a: a.reshape(1, 6, 2, 25, 3), "of shape 1 × 6 × 2 × 25 × 3"),
    "whole numbers": ("x_train", lambda a: a.astype(int), "is int64"),
    "column order": ("x_train", np.asfortranarray, "in column order"),
    "objects": ("x_train", lambda a: a.astype(object), "holds object"),
    "text as classes": ("y_train", lambda a: a.astype(str), "expected numbers"),
    "too few classes": ("y_train", lambda a: a[:1], "expected 2 clips × classes"),
    "class numbers": ("y_train", lambda a: a.argmax(axis=1), "has shape 2; expected 2 clips × classes"),
    "no class": ("y_train", lambda a: a * [[1], [0]], "row 1 does not"),
    "two classes": ("y_test", np.ones_like, "row 0 does not"),
    "shares of classes": ("y_test", lambda a: a / 2, "row 0 does not"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_contradiction_is_refused_with_file_and_array(damage: str, tmp_path: Path) -> None:
    name, change, said = DAMAGES[damage]
    arrays = make_arrays()
    arrays[name] = change(arrays[name])
    path = write(tmp_path / "bad.npz", arrays)
    with pytest.raises(DamagedFileError, match=re.escape(f"{path}: array {name!r} ")) as refusal:
        next(read_clips(path))
    assert said in str(refusal.value)


def test_a_split_without_labels_is_refused(tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays["y_test"]
    with pytest.raises(DamagedFileError, match="has no array 'y_test'"):
        next(read_clips(write(tmp_path / "bad.npz", arrays)))


def test_an_array_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "whole.npz", make_arrays())
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "short.npz", "w") as short:
        for member in whole.namelist():
            short.writestr(member, whole.read(member)[: -4 if member == "x_test.npy" else None])
    with pytest.raises(DamagedFileError, match="array 'x_test' announces 1 × 6 × 150 numbers, but has more or fewer"):
        next(read_clips(tmp_path / "short.npz"))


def test_a_flipped_bit_in_the_coordinates_is_found_when_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "flipped.npz", make_arrays())
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="array 'x_train' cannot be read: Bad CRC"):
        list(read_clips(path))


@given(data=st.data(), save=st.sampled_from([np.savez, np.savez_compressed]))
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, save: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz") / "some.npz", make_arrays(), save)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    check_gives_clips_or_is_refused_by_name(path)
