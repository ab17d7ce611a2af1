"""Hostile pickles: nothing in them is run, and they take neither time nor memory beyond the size of the file."""

import builtins
import os
import pickle
import re
import struct
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import read_clips
from gfp_serve.formats.plain_pickle import load
from tests.support.pyskl_files import PROTOCOLS, make_annotation, named, short, write


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
    "an array of objects": lambda mark: (np.array([Call(os.system, f"touch {mark}")]), f"{os.name}.system"),
    "a class": lambda mark: (Counter(a=mark), "collections.Counter"),
    "a default that calls": lambda mark: (defaultdict(os.abort, a=mark), f"{os.name}.abort"),
    "a type that is called": lambda mark: (Call(list, mark), "made in an unknown way"),
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


RECONSTRUCT = named("numpy._core.multiarray", "_reconstruct")
EMPTY_ARRAY = RECONSTRUCT + pickle.EMPTY_TUPLE + pickle.REDUCE
FLOATS = named("numpy", "dtype") + short("f4") + pickle.TUPLE1 + pickle.REDUCE
HUGE = struct.pack("<Q", 2**60)
LONGEST_INT = pickle.LONG1 + b"\xff" + b"\x7f" * 255


def array_of(dtype: bytes, size: int, content: bytes) -> bytes:
    """Return the program that makes an array of one axis."""
    shape = pickle.BININT + struct.pack("<i", size) + pickle.TUPLE1
    state = pickle.MARK + pickle.NONE + shape + dtype + pickle.NONE + content + pickle.TUPLE
    return EMPTY_ARRAY + state + pickle.BUILD


# 60 lists, each with the list before it twice: 2^60 entries if written out. The last is number 60.
NO_BYTES = pickle.SHORT_BINBYTES + b"\x00"
NO_CHARACTER = pickle.SHORT_BINBYTES + b"\x04" + b"\xff" * 4
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
    "arrays in other files": (pickle.NEXT_BUFFER, "written outside this file (NEXT_BUFFER)"),
    "a persistent object": (pickle.NONE + pickle.BINPERSID, "BINPERSID"),
    "a number that takes hours to read": (b"I" + b"1" * 1_000_000 + b"\n", "a line in it has no end"),
    "a text of Python 2 with an escape that warns": (b"S'\\q'\n", "not as Python 2 writes it"),
    "a text of Python 2 without quotes": (b"Sx\n", "not as Python 2 writes it"),
    "an unknown instruction": (b"\xff", "no pickle has the byte 255"),
    "an array class that is called": (named("numpy", "ndarray") + pickle.EMPTY_TUPLE + pickle.REDUCE, "unknown way"),
    "a text that is called": (short("os") + pickle.EMPTY_TUPLE + pickle.REDUCE, "damaged"),
    "a function that is changed": (RECONSTRUCT + pickle.EMPTY_DICT + pickle.BUILD, "changes a function"),
    "a text that is changed": (short("os") + pickle.EMPTY_DICT + pickle.BUILD, "changes a str"),
    "an encoding that runs code of its own": (
        named("_codecs", "encode") + short("x") + short("zlib") + pickle.TUPLE2 + pickle.REDUCE,
        "not latin1",
    ),
    "a dtype of records": (
        named("numpy", "dtype") + short("V8") + pickle.TUPLE1 + pickle.REDUCE,
        "arrays of dtype 'V8'; expected numbers or text",
    ),
    "a call with a list instead of arguments": (
        RECONSTRUCT + pickle.EMPTY_LIST + pickle.REDUCE,
        "a call with arguments that no pickler writes",
    ),
    "a call with a thousand arguments": (
        RECONSTRUCT + pickle.MARK + pickle.NONE * 1000 + pickle.TUPLE + pickle.REDUCE,
        "a call with arguments that no pickler writes",
    ),
    "an array that has more objects than it lists": (
        array_of(named("numpy", "dtype") + short("O8") + pickle.TUPLE1 + pickle.REDUCE, 2**30, pickle.EMPTY_LIST),
        "no list of objects for an array of 1073741824",
    ),
    "texts without a character": (
        array_of(named("numpy", "dtype") + short("U0") + pickle.TUPLE1 + pickle.REDUCE, 2**30, NO_BYTES),
        "0 bytes for an array of 1073741824",
    ),
    "an array of characters that do not exist": (
        array_of(named("numpy", "dtype") + short("U1") + pickle.TUPLE1 + pickle.REDUCE, 1, NO_CHARACTER),
        "damaged",
    ),
    "characters that do not exist": (
        named("numpy._core.multiarray", "scalar")
        + (named("numpy", "dtype") + short("U1") + pickle.TUPLE1 + pickle.REDUCE)
        + (NO_CHARACTER + pickle.TUPLE2 + pickle.REDUCE),
        "damaged",
    ),
    "axes that are not those of the array": (
        named("numpy._core.numeric", "_frombuffer")
        + (pickle.MARK + pickle.SHORT_BINBYTES + b"\x04wxyz" + FLOATS + pickle.BININT1 + b"\x01" + pickle.TUPLE1)
        + (short("K") + pickle.BININT1 + b"\x07" + pickle.TUPLE1 + pickle.TUPLE + pickle.REDUCE),
        "axes are not those of its shape",
    ),
    "one content for a thousand arrays": (
        (pickle.SHORT_BINBYTES + b"\xc8" + b"x" * 200 + pickle.MEMOIZE)
        + (named("numpy._core.numeric", "_frombuffer") + pickle.MEMOIZE + FLOATS + pickle.MEMOIZE)
        + (pickle.EMPTY_LIST + pickle.MARK)
        + (
            (pickle.BINGET + b"\x01" + pickle.MARK + pickle.BINGET + b"\x00" + pickle.BINGET + b"\x02")
            + (pickle.BININT1 + b"\x32" + pickle.TUPLE1 + short("C") + pickle.TUPLE + pickle.REDUCE)
        )
        * 1000
        + pickle.APPENDS,
        "one content that is used many times",
    ),
    "one list of pairs for a thousand mappings": (
        (named("collections", "OrderedDict") + pickle.MEMOIZE + pickle.EMPTY_LIST + pickle.MARK)
        + (pickle.EMPTY_LIST + pickle.NONE + pickle.APPEND + pickle.NONE + pickle.APPEND) * 100
        + (pickle.APPENDS + pickle.TUPLE1 + pickle.MEMOIZE)
        + (pickle.BINGET + b"\x00" + pickle.BINGET + b"\x01" + pickle.REDUCE) * 1000,
        "one content that is used many times",
    ),
    "pairs of an ordered mapping that are text": (
        named("collections", "OrderedDict") + short("ab") + pickle.TUPLE1 + pickle.REDUCE,
        "not made from pairs",
    ),
    "entries that are given to a list": (
        pickle.EMPTY_LIST + short("a") + pickle.NONE + pickle.SETITEM,
        "given to something else",
    ),
    "a dtype that does not exist": (
        EMPTY_ARRAY
        + (pickle.MARK + pickle.NONE + pickle.EMPTY_TUPLE)
        + (named("numpy", "dtype") + short("f3") + pickle.TUPLE1 + pickle.REDUCE)
        + (pickle.NONE + pickle.SHORT_BINBYTES + b"\x00" + pickle.TUPLE + pickle.BUILD),
        "damaged",
    ),
    "a large array of few bytes": (
        array_of(FLOATS, 2**30, pickle.SHORT_BINBYTES + b"\x01x"),
        "1 bytes for an array of 1073741824",
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
    "a longer text of Python 2 than the file": (pickle.BINSTRING + b"\xff" * 4, "ends too early"),
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


def test_an_array_that_is_changed_after_it_was_made_has_its_last_content(tmp_path: Path) -> None:
    objects = named("numpy", "dtype") + short("O8") + pickle.TUPLE1 + pickle.REDUCE
    numbers = array_of(FLOATS, 1, pickle.SHORT_BINBYTES + b"\x04" + struct.pack("<f", 0.5))
    program = array_of(objects, 0, pickle.EMPTY_LIST) + numbers.removeprefix(EMPTY_ARRAY)
    assert load(write(tmp_path / "some.pkl", pickle.PROTO + b"\x04" + program + pickle.STOP)).values() == [0.5]
