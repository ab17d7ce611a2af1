"""PYSKL's annotation pickles: clips and splits are read from them, and no code in them is ever run."""

import builtins
import os
import pickle
import re
import struct
import subprocess
from collections import OrderedDict
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
from gfp_serve.formats.plain_pickle import PickledArray, load
from gfp_serve.layouts import NTU25
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged

PROTOCOLS = range(2, 6)
NAMES = ("S001C002P003R001A001", "S001C001P001R002A023")


def make_annotation(name: str = NAMES[0], label: int = 0, **changes: Any) -> dict[str, Any]:
    """Return two bodies of three frames. In frame t, joint j of body b is at (t + 1, j, 10 b)."""
    keypoint = np.zeros((2, 3, 25, 3), dtype=np.float16)
    keypoint[..., 0] = np.array([1, 2, 3])[:, None]
    keypoint[..., 1] = np.arange(25)
    keypoint[1, ..., 2] = 10
    return {"frame_dir": name, "label": label, "total_frames": 3, "keypoint": keypoint} | changes


def make_file(**changes: Any) -> dict[str, Any]:
    return {
        "split": {
            "xview_train": [NAMES[0]],
            "xview_val": [NAMES[1]],
            "xsub_train": [NAMES[1]],
            "xsub_val": [NAMES[0]],
        },
        "annotations": [make_annotation(), make_annotation(NAMES[1], 22)],
    } | changes


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_annotation_is_a_clip_of_its_frames_and_bodies(protocol: int, tmp_path: Path) -> None:
    drink, wave = read_clips(write(tmp_path / "ntu60_3danno.pkl", make_file(), protocol))
    assert drink.sequence.shape == (3, 2, 25, 3)
    np.testing.assert_array_equal(drink.sequence[1, :, 4], [[2, 4, 0], [2, 4, 10]])
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
        st.sampled_from([np.float16, np.float32, np.float64, np.dtype(">f4")]),
        st.tuples(st.integers(1, 2), st.integers(1, 4), st.just(25), st.just(3)),
        elements=st.floats(1, 3, width=16),
    ),
    fortran_order=st.booleans(),
    protocol=st.sampled_from(PROTOCOLS),
)
def test_pickled_annotations_are_read_back(
    keypoint: np.ndarray, fortran_order: bool, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keypoint = np.asfortranarray(keypoint) if fortran_order else keypoint
    path = tmp_path_factory.mktemp("clips") / "some.pkl"
    annotation = make_annotation(keypoint=keypoint, total_frames=keypoint.shape[1])
    (clip,) = read_clips(write(path, [annotation], protocol))
    twins = len(keypoint) == 2 and np.array_equal(keypoint[0], keypoint[1])
    np.testing.assert_array_equal(clip.sequence.transpose(1, 0, 2, 3), keypoint[:1] if twins else keypoint)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
    ),
)


@given(value=plain, protocol=st.sampled_from(PROTOCOLS))
def test_plain_values_are_read_as_pickle_reads_them(
    value: Any, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert load(write(tmp_path_factory.mktemp("plain") / "some.pkl", [value], protocol)) == [value]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("numpy_package", ["numpy.core", "numpy._core"])
def test_arrays_and_numbers_of_numpy_1_and_2_are_read(numpy_package: str, protocol: int, tmp_path: Path) -> None:
    content = pickle.dumps([np.arange(3, dtype=np.int16), np.float32(0.5), np.zeros((0, 2))], protocol=protocol)
    for name in (b"multiarray", b"numeric"):
        # A name has its length before it, except in protocol 2.
        old, new = b"numpy._core." + name, numpy_package.encode() + b"." + name
        content = content.replace(bytes([len(old)]) + old, bytes([len(new)]) + new).replace(b"c" + old, b"c" + new)
    content = re.sub(rb"\x95.{8}", b"", content, flags=re.DOTALL)  # frames, whose length has changed
    array, number, empty = load(write(tmp_path / "some.pkl", content))
    assert isinstance(array, PickledArray)
    np.testing.assert_array_equal(array.array(), [0, 1, 2])
    assert array.array().dtype == np.int16
    assert number == 0.5
    assert empty.array().shape == (0, 2)


DAMAGES: dict[str, tuple[Any, str]] = {
    "no annotations": ([], "expected a list of annotations"),
    "one annotation alone": (make_annotation(), "expected a list of annotations"),
    "a number": (7, "expected a list of annotations"),
    "a split that is a list": (make_file(split=[1]), "expected a list of annotations"),
    "a list of numbers": ([1], "annotation 0 is not a dict"),
    "no name": ([{"label": 1}], "annotation 0 is not a dict with a name"),
    "no joints": ([make_annotation(keypoint=None)], "must have an array of floating-point numbers"),
    "whole numbers": ([make_annotation(keypoint=np.ones((1, 3, 25, 3), int))], "array of floating-point numbers"),
    "a body too few axes": ([make_annotation(keypoint=np.ones((3, 25, 3)))], "bodies × frames × joints × 3"),
    "pixels": ([make_annotation(keypoint=np.ones((1, 3, 17, 2)))], "has 2-D joints, in pixels"),
    "other joints": ([make_annotation(keypoint=np.ones((1, 3, 17, 3)))], "1 × 3 × 17 × 3; expected"),
    "nobody": ([make_annotation(keypoint=np.ones((0, 3, 25, 3)))], "0 × 3 × 25 × 3; expected"),
    "a crowd": ([make_annotation(keypoint=np.ones((65, 3, 25, 3)))], "65 bodies in 'keypoint'; expected at most 64"),
    "a protocol too many": (make_file(split={f"train{fold}": [] for fold in range(101)}), "more than 100 protocols"),
    "other frames": ([make_annotation(total_frames=4)], "has 3 frames in 'keypoint', but another"),
    "a label below 0": ([make_annotation(label=-1)], "class number from 0"),
    "text as label": ([make_annotation(label="sit")], "class number from 0"),
    "a name twice": ([make_annotation(), make_annotation()], "annotations 0 and 1 have the same name"),
    "both sides": (make_file(split={"train": [NAMES[0]], "val": [NAMES[0]]}), "also on the other side"),
    "a split of numbers": (make_file(split={"train": [1]}), "split 'train' must be a list of names"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_contradiction_is_refused_with_file_and_annotation(damage: str, tmp_path: Path) -> None:
    content, said = DAMAGES[damage]
    path = write(tmp_path / "bad.pkl", content)
    with pytest.raises(DamagedFileError, match=re.escape(str(path))) as refusal:
        next(read_clips(path))
    assert said in str(refusal.value)


class Call:
    """An object whose pickle makes `pickle.load` call a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.called = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.called


ATTACKS: dict[str, Callable[[str], tuple[Any, str]]] = {
    "os.system": lambda mark: (Call(os.system, f"touch {mark}"), f"{os.name}.system"),
    "eval": lambda mark: (Call(eval, f"open({mark!r}, 'w')"), ".eval"),
    "exec": lambda mark: (Call(exec, f"open({mark!r}, 'w')"), ".exec"),
    "open": lambda mark: (Call(open, mark, "w"), "io.open"),
    "subprocess": lambda mark: (Call(subprocess.Popen, ["touch", mark]), ".Popen"),
    "getattr": lambda mark: (Call(getattr, mark, "upper"), ".getattr"),
    "import": lambda mark: (Call(builtins.__import__, "os." + mark), ".__import__"),
    "numpy.load": lambda mark: (Call(np.load, mark, None, True), "numpy.load"),
    "numpy.fromfile": lambda mark: (Call(np.fromfile, mark), "numpy.fromfile"),
    "an array of objects": lambda mark: (np.array([Call(os.system, f"touch {mark}")]), "arrays of dtype 'O8'"),
    "a class": lambda mark: (OrderedDict(a=mark), "collections.OrderedDict"),
    "a path": lambda mark: (Path(mark), "pathlib."),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_pickle_that_calls_a_function_is_refused_and_nothing_is_called(
    attack: str, protocol: int, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    payload, name = ATTACKS[attack](str(mark))
    path = write(tmp_path / "evil.pkl", [make_annotation(label=payload)], protocol)
    with pytest.raises(DamagedFileError, match=re.escape(name)) as refusal:
        list(read_clips(path))
    assert "Nothing of it was run" in str(refusal.value)
    assert not mark.exists()


def short(text: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode()


def named(module: str, name: str) -> bytes:
    return short(module) + short(name) + pickle.STACK_GLOBAL


RECONSTRUCT = named("numpy._core.multiarray", "_reconstruct")
EMPTY_ARRAY = RECONSTRUCT + pickle.EMPTY_TUPLE + pickle.REDUCE
FLOATS = named("numpy", "dtype") + short("f4") + pickle.TUPLE1 + pickle.REDUCE
HUGE = struct.pack("<Q", 2**60)
LONGEST_INT = pickle.LONG1 + b"\xff" + b"\x7f" * 255
# 60 lists, each with the list before it twice: 2^60 entries if written out. The last is number 60.
ENDLESS = pickle.EMPTY_LIST + pickle.BINPUT + b"\x00"
for _number in range(60):
    _twice = (pickle.BINGET + bytes([_number])) * 2
    ENDLESS += pickle.EMPTY_LIST + pickle.MARK + _twice + pickle.APPENDS + pickle.BINPUT + bytes([_number + 1])
BY_HAND: dict[str, tuple[bytes, str]] = {
    "an attribute of an allowed name": (named("numpy", "ndarray.tofile"), "numpy.ndarray.tofile"),
    "the globals of an allowed name": (
        named("numpy._core.multiarray", "_reconstruct.__globals__"),
        "_reconstruct.__globals__",
    ),
    "the same in the text form": (b"cnumpy\nndarray.tofile\n", "numpy.ndarray.tofile"),
    "a class made without a call": (RECONSTRUCT + pickle.EMPTY_TUPLE + pickle.NEWOBJ, "NEWOBJ"),
    "a call in the old way": (pickle.MARK + b"iposix\nsystem\n", "INST"),
    "a registered extension": (pickle.EXT1 + b"\x01", "EXT1"),
    "a persistent object": (pickle.NONE + pickle.BINPERSID, "BINPERSID"),
    "protocol 0": (b"I1\n", "INT"),
    "an unknown instruction": (b"\xff", "no pickle has the byte 255"),
    "an array class that is called": (named("numpy", "ndarray") + pickle.EMPTY_TUPLE + pickle.REDUCE, "unknown way"),
    "a text that is called": (short("os") + pickle.EMPTY_TUPLE + pickle.REDUCE, "damaged"),
    "a function that is changed": (RECONSTRUCT + pickle.EMPTY_DICT + pickle.BUILD, "changes a function"),
    "a text that is changed": (short("os") + pickle.EMPTY_DICT + pickle.BUILD, "changes a str"),
    "an encoding that runs code of its own": (
        named("_codecs", "encode") + short("x") + short("zlib") + pickle.TUPLE2 + pickle.REDUCE,
        "not latin1",
    ),
    "a dtype of objects": (
        named("numpy", "dtype") + short("O8") + pickle.TUPLE1 + pickle.REDUCE,
        "arrays of dtype 'O8'; expected numbers",
    ),
    "a dtype that does not exist": (
        EMPTY_ARRAY
        + (pickle.MARK + pickle.NONE + pickle.EMPTY_TUPLE)
        + (named("numpy", "dtype") + short("f3") + pickle.TUPLE1 + pickle.REDUCE)
        + (pickle.NONE + pickle.SHORT_BINBYTES + b"\x00" + pickle.TUPLE + pickle.BUILD),
        "damaged",
    ),
    "a large array of few bytes": (
        EMPTY_ARRAY
        + (pickle.MARK + pickle.NONE + pickle.BININT + b"\x00\x00\x00\x7f" + pickle.TUPLE1 + FLOATS)
        + (pickle.NONE + pickle.SHORT_BINBYTES + b"\x01x" + pickle.TUPLE + pickle.BUILD),
        "1 bytes for an array of 2130706432",
    ),
    "a dtype that is endless when written out": (
        ENDLESS + named("numpy", "dtype") + pickle.BINGET + b"\x3c" + pickle.TUPLE1 + pickle.REDUCE,
        "arrays of dtype of type list",
    ),
    "a shape whose product takes hours": (
        EMPTY_ARRAY
        + (pickle.MARK + pickle.NONE + pickle.MARK + LONGEST_INT + pickle.MEMOIZE)
        + ((pickle.BINGET + b"\x00") * 200_000 + pickle.TUPLE + FLOATS)
        + (pickle.NONE + pickle.SHORT_BINBYTES + b"\x00" + pickle.TUPLE + pickle.BUILD),
        "not a tuple of sizes",
    ),
    "a text that is encoded a thousand times": (
        (named("_codecs", "encode") + pickle.MEMOIZE + short("x" * 200) + pickle.MEMOIZE)
        + (pickle.EMPTY_LIST + pickle.MARK + short("latin1") + pickle.MEMOIZE)
        + (
            (pickle.BINGET + b"\x00" + pickle.BINGET + b"\x01" + pickle.BINGET + b"\x02" + pickle.TUPLE2)
            + pickle.REDUCE
        )
        * 1000
        + pickle.APPENDS,
        "encoded many times",
    ),
    "more bytes than the file has": (pickle.BINBYTES8 + HUGE, "ends too early"),
    "more characters than the file has": (pickle.BINUNICODE8 + HUGE, "ends too early"),
    "a larger array of bytes than the file": (pickle.BYTEARRAY8 + HUGE, "ends too early"),
    "a longer frame than the file": (pickle.FRAME + HUGE, "ends too early"),
    "a mapping that hashes the whole stack": (
        pickle.EMPTY_DICT + pickle.EMPTY_TUPLE + pickle.TUPLE1 * 200_000 + pickle.NONE + pickle.SETITEM,
        "keys are not text",
    ),
    "a value that was never remembered": (pickle.BINGET + b"\x07", "not found at index 7"),
    "nothing on the stack": (pickle.APPEND, "damaged"),
    "no end": (pickle.NONE, "ends too early"),
}


@pytest.mark.parametrize("attack", BY_HAND)
def test_instructions_that_no_pickler_writes_are_refused(attack: str, tmp_path: Path) -> None:
    program, said = BY_HAND[attack]
    end = b"" if attack == "no end" else pickle.STOP
    with pytest.raises(DamagedFileError, match=re.escape(said)):
        load(write(tmp_path / "evil.pkl", pickle.PROTO + b"\x04" + program + end))


def test_a_value_with_a_huge_memo_number_takes_no_more_memory(tmp_path: Path) -> None:
    program = pickle.NONE + pickle.LONG_BINPUT + struct.pack("<I", 2**32 - 1)
    path = write(tmp_path / "some.pkl", pickle.PROTO + b"\x04" + program + pickle.STOP)
    assert load(path) is None  # the Unpickler written in C would take 64 GB


def test_a_deeply_nested_value_is_read_or_refused_without_a_crash(tmp_path: Path) -> None:
    nested = pickle.EMPTY_LIST * 100_000 + pickle.APPEND * 99_999
    with pytest.raises(DamagedFileError, match="annotation 0 is not a dict"):
        next(read_clips(write(tmp_path / "deep.pkl", pickle.PROTO + b"\x04" + nested + pickle.STOP)))


@given(data=st.data(), protocol=st.sampled_from(PROTOCOLS))
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz") / "some.pkl", make_file(), protocol)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    check_gives_clips_or_is_refused_by_name(path)
