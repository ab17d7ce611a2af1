"""Arrays, dtypes and single numbers of numpy as a pickle describes them.

Nothing here trusts the description: what does not fit together is refused before memory is taken for it, and numpy's
own functions for unpickling are not called.
"""

import math
import pickle
import re
from typing import Any

import numpy as np

# numpy's own limit before version 2. The product of many long numbers takes too long.
_MAX_AXES = 32
# Numbers, text, bytes, and Python's objects. 'O8' is how 64-bit machines write an object.
_DTYPES = re.compile(r"[fiub]\d{1,2}|[US]\d{1,6}|O\d?")


class NotPlainError(pickle.UnpicklingError):
    """The pickle may be whole, but it holds something other than plain values and arrays."""


class PickledDtype:
    """A numpy dtype of numbers, text, bytes or objects. The pickle gives the byte order after it has made the dtype."""

    def __init__(self, code: object, *_flags: object) -> None:
        if not isinstance(code, str) or not _DTYPES.fullmatch(code):
            # Only text is shown: a list that contains itself twice, many times over, would print without end.
            shown = repr(code[:20]) if isinstance(code, str) else f"of type {type(code).__name__}"
            raise NotPlainError(f"arrays of dtype {shown}; expected numbers or text")
        self._code = code
        self._dtype = np.dtype(object if code[0] == "O" else code)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take the byte order from the state that numpy's dtypes have in a pickle."""
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("a byte order that does not exist")
        if self._dtype.kind != "O":
            self._dtype = np.dtype(f"{state[1]}{self._code}")

    def numpy(self) -> np.dtype[Any]:
        return self._dtype


class PickledArray:
    """A numpy array as its pickle describes it. It is checked: the content fills the shape exactly.

    `dtype` is of numbers (kind f, i, u or b), text (U), bytes (S) or objects (O).
    """

    __slots__ = ("_axes", "_bytes", "_objects", "_order", "_text", "dtype", "shape")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.uint8)
        self._bytes, self._text = b"", ""
        self._objects: list[Any] = []
        self._order = "C"
        self._axes: tuple[int, ...] | None = None

    @property
    def num_bytes(self) -> int:
        """The size of the content in the file, without that of objects."""
        return len(self._bytes)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take everything from the state that numpy's arrays have in a pickle."""
        _version, shape, dtype, fortran_order, content = state
        self.fill(content, dtype, shape, "F" if fortran_order else "C")

    def fill(self, content: object, dtype: object, shape: object, order: object, axes: object = None) -> None:
        """Take content, dtype, shape and memory order.

        `axes` comes with order "K", which protocol 5 writes for transposed arrays: `shape` is then that of the memory,
        and axis i of the array is axis `axes[i]` of the memory.
        """
        if not isinstance(dtype, PickledDtype):
            raise pickle.UnpicklingError("an array without a dtype")
        if not isinstance(shape, tuple) or len(shape) > _MAX_AXES or not all(map(_is_size, shape)):
            raise pickle.UnpicklingError("an array whose shape is not a tuple of sizes")
        self.dtype, count = dtype.numpy(), math.prod(shape)
        if self.dtype.kind == "O":
            if not isinstance(content, list) or len(content) != count:
                raise pickle.UnpicklingError(f"no list of objects for an array of {_shown(shape)}")
            self._objects = content
        else:
            self._bytes = _bytes_of(content)
            if count * self.dtype.itemsize != len(self._bytes) or (self.dtype.itemsize == 0 and count > 1):
                raise pickle.UnpicklingError(f"{len(self._bytes)} bytes for an array of {_shown(shape)}")
        if self.dtype.kind == "U":
            # Characters that do not exist make numpy's own conversion fail with a SystemError.
            self._text = self._bytes.decode("utf-32-be" if self.dtype.str[0] == ">" else "utf-32-le")
        if order == "K":
            if not isinstance(axes, tuple) or not all(map(_is_size, axes)) or sorted(axes) != [*range(len(shape))]:
                raise pickle.UnpicklingError("an array whose axes are not those of its shape")
            self._axes = axes
            self.shape = tuple(shape[axis] for axis in axes)
        elif order in ("C", "F") and axes is None:
            self._axes = None
            self.shape = shape
        else:
            raise pickle.UnpicklingError("an array in an unknown memory order")
        self._order = order

    def array(self) -> np.ndarray:
        """The numbers, read-only and without a copy. Only for a dtype of numbers."""
        flat = np.frombuffer(self._bytes, self.dtype)
        if self._axes is None:
            return flat.reshape(self.shape, order="F" if self._order == "F" else "C")
        in_memory = [self.shape[self._axes.index(axis)] for axis in range(len(self._axes))]
        return flat.reshape(in_memory).transpose(self._axes)

    def values(self) -> list[Any]:
        """The entries as values of Python, in the order of the memory: for single values and arrays of one axis."""
        if self.dtype.kind == "O":
            return self._objects
        if self.dtype.kind not in "US":
            return self.array().reshape(-1).tolist()
        size = self.dtype.itemsize
        if size == 0:
            return [self.dtype.type().item()] * math.prod(self.shape)
        if self.dtype.kind == "S":
            return [self._bytes[start : start + size].rstrip(b"\0") for start in range(0, len(self._bytes), size)]
        width = size // 4
        return [self._text[start : start + width].rstrip("\0") for start in range(0, len(self._text), width)]


def _bytes_of(content: object) -> bytes:
    if isinstance(content, str):  # how Python 2 writes bytes
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise pickle.UnpicklingError("an array whose content is not bytes")
    return content


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one value"


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63
