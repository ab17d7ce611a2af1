"""PYSKL's annotation pickles: clips and splits are read from them, in every form that numpy and MMAction2 write."""

import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, read_clips
from gfp_serve.layouts import NTU25
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged
from tests.support.pyskl_files import NAMES, PROTOCOLS, make_annotation, make_file, write


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_annotation_is_a_clip_of_its_frames_and_bodies(protocol: int, tmp_path: Path) -> None:
    drink, wave = read_clips(write(tmp_path / "ntu60_3danno.pkl", make_file(), protocol))
    assert drink.sequence.shape == (3, 2, 25, 3)
    np.testing.assert_array_equal(drink.sequence[1, :, 4], [[2, 4, 3], [2, 4, 13]])
    assert (drink.name, drink.label, drink.subject, drink.camera) == (NAMES[0], "drink water", "3", 2)
    assert (wave.label, wave.layout, wave.fps) == ("hand waving", NTU25, 30.0)


def test_a_body_of_zeros_is_left_out(tmp_path: Path) -> None:
    alone = make_annotation()
    alone["keypoint"][1] = 0
    (clip,) = read_clips(write(tmp_path / "some.pkl", [alone]))
    assert clip.sequence.shape == (3, 1, 25, 3)


@pytest.mark.parametrize(
    ("splits", "sides"),
    [
        (make_file()["split"], [TEST_SPLIT, TRAIN_SPLIT]),
        ({"train": [NAMES[0]], "test": [NAMES[1]]}, [TRAIN_SPLIT, TEST_SPLIT]),
        ({"train1": [NAMES[0]], "test1": [NAMES[1]], "train2": [NAMES[1]]}, [TRAIN_SPLIT, TEST_SPLIT]),
        ({"xview_val": [NAMES[0]], "all": list(NAMES)}, [TEST_SPLIT, NO_SPLIT]),
        ({}, [TEST_SPLIT, TRAIN_SPLIT]),  # by the performers, 3 and 1
    ],
)
def test_the_split_is_that_of_the_cross_subject_protocol_or_of_the_first_one(
    splits: dict[str, list[str]], sides: list[int], tmp_path: Path
) -> None:
    path = write(tmp_path / "some.pkl", make_file(split=splits))
    assert [clip.split for clip in read_clips(path)] == sides


def test_a_clip_has_a_part_in_each_protocol_of_the_file(tmp_path: Path) -> None:
    first, second = read_clips(write(tmp_path / "some.pkl", make_file()))
    assert list(first.splits.items()) == [("x-sub", TEST_SPLIT), ("x-view", TRAIN_SPLIT)]
    assert second.splits == {"x-sub": TRAIN_SPLIT, "x-view": TEST_SPLIT}


def test_classes_have_ntu_names_only_if_the_file_uses_the_ntu_numbers(tmp_path: Path) -> None:
    other = [make_annotation(), make_annotation(NAMES[1], 5)]
    assert [clip.label for clip in read_clips(write(tmp_path / "own.pkl", other))] == ["A001", "A006"]
    (named,) = read_clips(write(tmp_path / "other.pkl", [make_annotation("v_HandStand_g01", 0)]))
    assert (named.label, named.subject, named.split) == ("A001", "unknown", NO_SPLIT)
    unlabelled = make_annotation("mine")
    del unlabelled["label"], unlabelled["total_frames"]
    assert next(read_clips(write(tmp_path / "none.pkl", [unlabelled]))).label is None


@given(
    keypoint=hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.dtype(">f4"), np.int16, np.uint8]),
        st.tuples(st.integers(1, 2), st.integers(1, 4), st.just(25), st.just(3)),
        elements=st.integers(2, 9),
    ),
    axes_in_memory=st.permutations(range(4)),
    protocol=st.sampled_from(PROTOCOLS),
)
def test_pickled_annotations_are_read_back(
    keypoint: np.ndarray, axes_in_memory: list[int], protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keypoint = np.ascontiguousarray(keypoint.transpose(axes_in_memory)).transpose(np.argsort(axes_in_memory))
    path = tmp_path_factory.mktemp("clips") / "some.pkl"
    annotation = make_annotation(keypoint=keypoint, total_frames=keypoint.shape[1])
    (clip,) = read_clips(write(path, [annotation], protocol))
    twins = len(keypoint) == 2 and np.array_equal(keypoint[0], keypoint[1])
    np.testing.assert_array_equal(clip.sequence.transpose(1, 0, 2, 3), keypoint[:1] if twins else keypoint)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "names_of",
    [
        tuple,
        set,
        np.array,
        lambda names: np.array(names, dtype=object),
        lambda names: np.array(names, dtype=bytes),
        lambda names: np.array(names, dtype=">U30"),
        lambda names: np.array(names, dtype=np.dtypes.StringDType()),
        lambda names: list(np.array(names)),
        lambda names: [np.array(name) for name in names],
        lambda names: [name.encode() for name in names],
    ],
)
def test_splits_may_be_any_kind_of_list_and_of_text(
    names_of: Callable[[list[str]], Any], protocol: int, tmp_path: Path
) -> None:
    splits = OrderedDict(xsub_train=names_of([NAMES[0]]), xsub_val=names_of([NAMES[1], "not in this file"]))
    path = write(tmp_path / "some.pkl", make_file(split=splits), protocol)
    assert [clip.split for clip in read_clips(path)] == [TRAIN_SPLIT, TEST_SPLIT]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_and_numbers_may_be_single_values_of_numpy(protocol: int, tmp_path: Path) -> None:
    first = make_annotation(np.str_(NAMES[0]), np.int64(0), total_frames=np.int32(3))
    second = make_annotation(np.array(NAMES[1]), np.array(22), total_frames=np.array(3, np.uint16))
    path = write(tmp_path / "some.pkl", [first, second], protocol)
    assert [(clip.name, clip.label) for clip in read_clips(path)] == [
        (NAMES[0], "drink water"),
        (NAMES[1], "hand waving"),
    ]


def test_fields_that_are_not_needed_may_be_anything(tmp_path: Path) -> None:
    other = {0.5: 20, (1, 2): {None: [], b"x": "y"}, "box_score": np.ones(3), "tags": {"sport", "indoors"}}
    annotation = make_annotation(valid={0.5: 20}, frames=defaultdict(list, {1: [2]}), other=other)
    (clip,) = read_clips(write(tmp_path / "some.pkl", [annotation | {7: "seven"}]))
    assert clip.name == NAMES[0]


@pytest.mark.parametrize(
    "annotations", [(make_annotation(),), np.array([make_annotation()]), OrderedDict(make_annotation())]
)
def test_annotations_may_be_a_tuple_an_array_or_one_alone(annotations: Any, tmp_path: Path) -> None:
    (clip,) = read_clips(write(tmp_path / "some.pkl", annotations))
    assert clip.sequence.shape == (3, 2, 25, 3)


@pytest.mark.parametrize("size", [np.array([240, 320]), np.zeros((0, 2**40), "u1"), np.array(3), "wide", None])
def test_the_size_of_an_image_may_be_anything_as_3d_joints_do_not_need_it(size: Any, tmp_path: Path) -> None:
    (clip,) = read_clips(write(tmp_path / "some.pkl", [make_annotation(img_shape=size)]))
    assert clip.name == NAMES[0]


def test_a_clip_may_be_named_by_its_video(tmp_path: Path) -> None:
    annotation = make_annotation(filename="videos/a.mp4")
    del annotation["frame_dir"]
    (clip,) = read_clips(
        write(tmp_path / "some.pkl", {"split": {"val": ["videos/a.mp4"]}, "annotations": [annotation]})
    )
    assert (clip.name, clip.split) == ("videos/a.mp4", TEST_SPLIT)


SHARED = np.full((2, 30, 25, 3), 4.0)
DAMAGES: dict[str, tuple[Any, str]] = {
    "no annotations": ([], "expected a list of annotations"),
    "another mapping": ({"joints": [1]}, "expected a list of annotations"),
    "a number": (7, "expected a list of annotations"),
    "a split that is a list": (make_file(split=[1]), "expected a list of annotations"),
    "a list of numbers": ([1], "annotation 0 is not a dict"),
    "no name": ([{"label": 1}], "annotation 0 is not a dict with a name"),
    "no joints": ([make_annotation(keypoint=None)], "must have an array of numbers"),
    "joints of text": ([make_annotation(keypoint=np.full((1, 3, 25, 3), "x"))], "must have an array of numbers"),
    "joints in other files": (
        [make_annotation(raw_file="k400/0.pkl")],
        "of all frames, 2-D or 3-D, in 'keypoint', as in ntu60_hrnet.pkl or",
    ),
    "joints packed by frame": (
        [make_annotation(frame_inds=np.arange(3))],
        "of all frames, 2-D or 3-D, in 'keypoint', as in ntu60_hrnet.pkl or",
    ),
    "flat rows": ([make_annotation(keypoint=np.ones((3, 75)))], "3 × 75 in 'keypoint'; expected one of"),
    "other joints": ([make_annotation(keypoint=np.full((1, 3, 17, 3), 4.0))], "has 17 3-D joints; expected 25"),
    "nobody": ([make_annotation(keypoint=np.ones((0, 3, 25, 3)))], "0 × 3 × 25 × 3 in 'keypoint'; expected one of"),
    "a crowd": ([make_annotation(keypoint=np.ones((65, 3, 25, 3)))], "65 bodies in 'keypoint'; expected at most 64"),
    "a protocol too many": (make_file(split={f"train{fold}": [] for fold in range(101)}), "more than 100 protocols"),
    "other frames": ([make_annotation(total_frames=4)], "has 3 frames in 'keypoint', but another"),
    "no frames": ([make_annotation(total_frames=0)], "number of frames from 1 in 'total_frames'"),
    "text as frames": ([make_annotation(total_frames="all")], "number of frames from 1 in 'total_frames'"),
    "a label below 0": ([make_annotation(label=-1)], "class number from 0"),
    "text as label": ([make_annotation(label="sit")], "class number from 0"),
    "a name twice": ([make_annotation(), make_annotation()], "annotations 0 and 1 have the same name"),
    "both sides": (make_file(split={"train": [NAMES[0]], "val": [NAMES[0]]}), "also on the other side"),
    "a split of numbers": (make_file(split={"train": [1]}), "split 'train' must be a list of names"),
    "a split in an array of numbers": (make_file(split={"train": np.arange(2)}), "must be a list of names"),
    "a split in a table": (make_file(split={"train": np.array([NAMES])}), "must be a list of names"),
    "a split without a name": (make_file(split={1: [NAMES[0]]}), "'split' has names that are not text"),
    "a thousand names of one array": (
        [make_annotation(str(number), keypoint=SHARED, total_frames=30) for number in range(1000)],
        "share arrays, more than 10 times the file",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_contradiction_is_refused_with_file_and_annotation(damage: str, tmp_path: Path) -> None:
    content, said = DAMAGES[damage]
    path = write(tmp_path / "bad.pkl", content)
    with pytest.raises(DamagedFileError, match=re.escape(str(path))) as refusal:
        next(read_clips(path))
    assert said in str(refusal.value)


@given(data=st.data(), protocol=st.sampled_from(PROTOCOLS))
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz") / "some.pkl", make_file(), protocol)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    check_gives_clips_or_is_refused_by_name(path)
