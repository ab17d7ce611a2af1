"""Pickles of plain values and arrays are read as `pickle` reads them, from every protocol, Python 2 and both numpys."""

import pickle
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.pickled_array import PickledArray
from gfp_serve.formats.plain_pickle import load
from tests.support.pyskl_files import PROTOCOLS, named, short, write

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
        # A name has its length before it, except in protocols before 4.
        old, new = b"numpy._core." + name, numpy_package.encode() + b"." + name
        content = content.replace(bytes([len(old)]) + old, bytes([len(new)]) + new).replace(b"c" + old, b"c" + new)
    content = re.sub(rb"\x95.{8}", b"", content, flags=re.DOTALL)  # frames, whose length has changed
    array, number, empty = load(write(tmp_path / "some.pkl", content))
    assert isinstance(array, PickledArray)
    np.testing.assert_array_equal(array.array(), [0, 1, 2])
    assert array.array().dtype == np.int16
    assert number == 0.5
    assert empty.array().shape == (0, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_text_and_objects_give_their_entries(protocol: int, tmp_path: Path) -> None:
    arrays = [np.array(["a", "", "ö"]), np.array(["a", "bb"], ">U5"), np.array([b"a", b"bb"]), np.array(["a", None])]
    read = load(write(tmp_path / "some.pkl", arrays, protocol))
    assert [array.values() for array in read] == [["a", "", "ö"], ["a", "bb"], [b"a", b"bb"], ["a", None]]
    single = [np.str_("ab"), np.str_(""), np.bytes_(b"x"), np.bool_(True), np.int8(-1), np.uint64(2**63)]
    assert load(write(tmp_path / "single.pkl", single, protocol)) == ["ab", "", b"x", True, -1, 2**63]


def test_a_transposed_array_of_protocol_5_is_read_with_its_axes(tmp_path: Path) -> None:
    # As numpy 2.4 writes np.arange(6, dtype=np.uint8).reshape(1, 2, 3).transpose(2, 0, 1), by hand: others do not.
    program = (
        (named("numpy._core.numeric", "_frombuffer") + pickle.MARK)
        + (pickle.BYTEARRAY8 + struct.pack("<Q", 6) + bytes(range(6)))
        + (named("numpy", "dtype") + short("u1") + pickle.NEWFALSE + pickle.NEWTRUE + pickle.TUPLE3 + pickle.REDUCE)
        + (numbers(1, 2, 3) + short("K") + numbers(2, 0, 1) + pickle.TUPLE + pickle.REDUCE)
    )
    array = load(write(tmp_path / "some.pkl", pickle.PROTO + b"\x05" + program + pickle.STOP))
    assert array.shape == (3, 1, 2)
    np.testing.assert_array_equal(array.array(), np.arange(6).reshape(1, 2, 3).transpose(2, 0, 1))


def numbers(*values: int) -> bytes:
    return b"".join(pickle.BININT1 + bytes([value]) for value in values) + pickle.TUPLE3


def test_an_array_that_was_pickled_from_read_only_memory_is_read(tmp_path: Path) -> None:
    array = np.arange(4, dtype=np.float32)
    array.flags.writeable = False
    (read,) = load(write(tmp_path / "some.pkl", [array], 5))
    np.testing.assert_array_equal(read.array(), array)


def test_text_and_arrays_of_python_2_are_read(tmp_path: Path) -> None:
    # Protocols 0 and 2 of {'a\n': array([1, 2], '<i2'), 'b': OrderedDict([('c', 1L)])}.
    text = (
        b"(dp0\nS'a\\n'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\n"
        b"tp6\nRp7\n(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'i2'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\n"
        b"tp14\nbI00\nS'\\x01\\x00\\x02\\x00'\np15\ntp16\nbsS\"b\"\np17\nccollections\nOrderedDict\np18\n((lp19\n"
        b"(lp20\nS'c'\np21\naL1L\naatp22\nRp23\ns."
    )
    binary = (
        b"\x80\x02}q\x00(U\x02a\nq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01b"
        b"\x87q\x05Rq\x06(K\x01K\x02\x85q\x07cnumpy\ndtype\nq\x08U\x02i2K\x00K\x01\x87q\tRq\n(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tq\x0bb\x89T\x04\x00\x00\x00\x01\x00\x02\x00tq\x0cbU\x01bccollections\nOrderedDict\n]q\x0d"
        b"]q\x0e(U\x01c\x8a\x01\x01ea\x85Rq\x0fu."
    )
    for content in (text, binary):
        read = load(write(tmp_path / "some.pkl", content))
        assert list(read) == ["a\n", "b"]
        np.testing.assert_array_equal(read["a\n"].array(), [1, 2])
        assert read["b"] == {"c": 1}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_entries_whose_key_is_not_text_are_left_out_and_counted(protocol: int, tmp_path: Path) -> None:
    content = {"a": 1, 0.5: 2, (1, 2): 3, None: 4, b"b": 5, "c": {7: 8}}
    read = load(write(tmp_path / "some.pkl", content, protocol))
    assert (read, read.num_left_out, read["c"].num_left_out) == ({"a": 1, "c": {}}, 4, 1)


def test_a_key_that_would_hash_the_whole_stack_is_left_out_unhashed(tmp_path: Path) -> None:
    nested = pickle.EMPTY_DICT + pickle.EMPTY_TUPLE + pickle.TUPLE1 * 200_000 + pickle.NONE + pickle.SETITEM
    assert load(write(tmp_path / "deep.pkl", pickle.PROTO + b"\x04" + nested + pickle.STOP)) == {}


def test_only_a_damaged_file_is_to_be_copied_again(tmp_path: Path) -> None:
    whole = pickle.dumps([Counter("ab")])
    for content, copy_again in ((whole, False), (whole[:20], True)):
        with pytest.raises(DamagedFileError) as refusal:
            load(write(tmp_path / "some.pkl", content))
        assert ("copy it again" in str(refusal.value)) == copy_again
