"""Pickles of plain values and numpy arrays, read without running what they ask for.

A pickle is a program, and `pickle.load` runs it. Here short lists have the instructions and the names that it may call;
everything else is refused by name. Each name stands for a few lines of this module. Not even numpy's own functions are
called, because they trust their arguments. Nothing is allocated that the file is too short to fill.
"""

import io
import math
import os
import pickle
import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gfp_serve.errors import DamagedFileError

# What pickle's code and this module raise for a program that makes no sense, found by damaging files.
_NONSENSE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, OverflowError),
    *(struct.error, AssertionError, MemoryError, RecursionError),
)

# numpy's own limit before version 2. The product of many long numbers takes too long.
_MAX_AXES = 32

# Everything that pickles of protocol 2 to 5 need for plain values and arrays. Protocol 5 stores arrays as bytearrays.
_OPCODES = (
    *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
)


_OPCODE_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}


class PickledArray:
    """A numpy array as its pickle describes it. It is checked: `dtype` is of numbers, and the bytes fill `shape`."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.uint8)
        self._bytes: bytes | bytearray = b""
        self._order = "C"

    def restore(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran_order, content = state
        self._fill(content, dtype, shape, "F" if fortran_order else "C")

    def _fill(self, content: object, dtype: object, shape: object, order: object) -> None:
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray):
            raise pickle.UnpicklingError("an array of objects; expected arrays of numbers")
        if not isinstance(shape, tuple) or len(shape) > _MAX_AXES or not all(map(_is_size, shape)):
            raise pickle.UnpicklingError("an array whose shape is not a tuple of sizes")
        if math.prod(shape) * dtype.numpy().itemsize != len(content):
            raise pickle.UnpicklingError(f"{len(content)} bytes for an array of {' × '.join(map(str, shape))}")
        self.shape, self.dtype, self._bytes = shape, dtype.numpy(), content
        self._order = "F" if order == "F" else "C"

    def array(self) -> np.ndarray:
        """The numbers, read-only and without a copy."""
        flat = np.frombuffer(bytes(self._bytes), self.dtype)
        return flat.reshape(self.shape, order="F" if self._order == "F" else "C")


def load(path: Path) -> Any:
    """The content of a pickle: dict with str keys, list, tuple, str, bytes, int, float, bool, None, and `PickledArray`.

    Raises `DamagedFileError` for a file that is cut off or has anything else in it, which it names.
    """
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, os.fstat(file.fileno()).st_size).load()
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
    except _NONSENSE as error:
        raise DamagedFileError(
            f"{path} is not a pickle of plain values and arrays of numbers: {_words(error)}. Nothing of it was run; "
            f"copy it again, or write its content as such a pickle."
        ) from error


class _Dtype:
    """A numpy dtype of numbers. The pickle gives the byte order after it has made the dtype."""

    def __init__(self, code: object, *_flags: object) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[fiub]\d{1,2}", code):
            # Only text is shown: a list that contains itself twice, many times over, would print without end.
            shown = repr(code[:20]) if isinstance(code, str) else f"of type {type(code).__name__}"
            raise pickle.UnpicklingError(f"arrays of dtype {shown}; expected numbers")
        self._code, self._byte_order = code, "="

    def restore(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("a byte order that does not exist")
        self._byte_order = state[1]

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"{self._byte_order}{self._code}")


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _new_array(*_of_what: object) -> PickledArray:
    return PickledArray()


def _array_from_buffer(content: object, dtype: object, shape: object, order: object) -> PickledArray:
    array = PickledArray()
    array._fill(content, dtype, shape, order)
    return array


def _scalar(dtype: object, content: object) -> Any:
    return _array_from_buffer(content, dtype, (), "C").array().item()


def _no_bytes() -> bytes:
    return b""


def _refuse_to_make(*_arguments: object) -> NoReturn:
    raise pickle.UnpicklingError("an array that is made in an unknown way")


_CALLABLE: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _refuse_to_make,  # pickles only pass it to _reconstruct
    ("numpy", "dtype"): _Dtype,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}
for _numpy in ("numpy.core", "numpy._core"):  # numpy 1 and numpy 2
    _CALLABLE[f"{_numpy}.multiarray", "_reconstruct"] = _new_array
    _CALLABLE[f"{_numpy}.multiarray", "scalar"] = _scalar
    _CALLABLE[f"{_numpy}.numeric", "_frombuffer"] = _array_from_buffer


class _Allowed(dict[int, Callable[[Any], None]]):
    def __missing__(self, code: int) -> NoReturn:
        name = _OPCODE_NAMES.get(code)
        wrong = f"it has the instruction {name}" if name else f"no pickle has the byte {code} where this file has it"
        raise pickle.UnpicklingError(wrong)


class _BoundedReader:
    """A file that refuses to read more than it has, before memory is taken for it."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file, self._left = file, size

    def read(self, count: int) -> bytes:
        if count > self._left:
            raise EOFError("it ends too early")
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline(1000)
        self._left -= len(line)
        return line


# The Unpickler written in Python. The one in C allocates for any number that a file gives to a remembered value, and
# its instructions cannot be chosen.
class _PlainUnpickler(pickle._Unpickler):
    # Attributes of the base class, which does not declare them.
    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    dispatch = _Allowed(
        {code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _OPCODES)}
    )

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        super().__init__(_BoundedReader(file, size))
        self._left_to_encode = size

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        call = self._encode if (module, name) == ("_codecs", "encode") else _CALLABLE.get((module, name))
        if call is None:
            raise pickle.UnpicklingError(f"it asks for {module[:80]}.{name[:80]}")
        return call

    def _encode(self, text: object, encoding: object) -> bytes:
        # Protocol 2 writes bytes in this way: each from a text of its own, so that together they fit in the file.
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("an encoding that is not latin1")
        self._left_to_encode -= len(text)
        if self._left_to_encode < 0:
            raise pickle.UnpicklingError("one text that is encoded many times")
        return text.encode("latin1")

    def _load_bytearray(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray

    def _load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, PickledArray | _Dtype):
            raise pickle.UnpicklingError(f"it changes a {type(target).__name__}")
        target.restore(state)

    dispatch[pickle.BUILD[0]] = _load_build

    # Keys must be text: hashing other values may take very long, or the whole stack.
    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def _load_setitems(self) -> None:
        self._set_items(self.pop_mark())

    def _set_items(self, items: list[Any]) -> None:
        values = self.stack[-1]
        if type(values) is not dict or not all(type(key) is str for key in items[::2]):
            raise pickle.UnpicklingError("a mapping whose keys are not text")
        values.update(zip(items[::2], items[1::2], strict=True))

    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems


def _words(error: BaseException) -> str:
    if isinstance(error, pickle.UnpicklingError | EOFError) and str(error):
        return str(error)
    return "it is damaged" if str(error) == "" else f"it is damaged ({str(error)[:100]})"
