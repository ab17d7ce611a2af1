"""Pickles of plain values and numpy arrays, read without running what they ask for.

A pickle is a program, and `pickle.load` runs it. Here short lists have the instructions and the names that it may call;
everything else is refused by name. Each name stands for a few lines of this package. Not even numpy's own functions are
called, because they trust their arguments. Nothing is allocated that the file is too short to fill, and no content
counts twice.
"""

import codecs
import io
import os
import pickle
import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary
from gfp_serve.formats.pickled_array import NotPlainError, PickledArray, PickledDtype

# What pickle's code and this package raise for a program that makes no sense, found by damaging files.
_NONSENSE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, OverflowError),
    *(struct.error, AssertionError, MemoryError, RecursionError),
)

# Everything that pickles of protocol 0 to 5 need for plain values and arrays, as Python 2 and 3 write them.
_OPCODES = (
    *("PROTO", "FRAME", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("LIST", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_SET", "ADDITEMS"),
    *("DICT", "EMPTY_DICT", "SETITEM", "SETITEMS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
)
_OPCODE_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_BUFFERS_ELSEWHERE = ("NEXT_BUFFER", "READONLY_BUFFER")

# What is in a pickle is held in memory. Those of the largest data sets have 3 GiB.
_MAX_BYTES = 8 * 2**30
# No number and no name of a function is longer. The longest call is that which makes an array.
_MAX_LINE, _MAX_ARGUMENTS = 1000, 5
# The escapes that Python 2 writes. Others would raise a warning.
_ESCAPES = re.compile(rb"\\(?:x[0-9a-f]{2}|[\\'\"nrt])")


class PickledDict(dict[str, Any]):
    """A mapping by text. Entries with other keys are left out and counted in `num_left_out`."""

    num_left_out = 0


def load(path: Path) -> Any:
    """The content of a pickle: `PickledDict`, list, tuple, str, bytes, int, float, bool, None, and `PickledArray`.

    Bytearrays become bytes; text of Python 2 becomes str, by Latin-1; single values of numpy become those of Python;
    sets become lists, ordered and default mappings `PickledDict`. Raises `DamagedFileError` for a file that is cut off
    or has anything else in it, which it names.
    """
    try:
        with open_ordinary(path, at_most=_MAX_BYTES) as file:
            return load_stream(file, os.fstat(file.fileno()).st_size, str(path))
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error


def load_stream(file: io.BufferedIOBase, size: int, where: str) -> Any:
    """The content of a pickle in an open file that has `size` bytes in all; errors name it as `where`. See `load`."""
    try:
        return _PlainUnpickler(file, size).load()
    except _NONSENSE as error:
        plain = not isinstance(error, NotPlainError)
        words = "it ends too early" if plain and not file.read(1) else _words(error)
        raise DamagedFileError(
            f"{where} is not a pickle of plain values and arrays of numbers: {words}. Nothing of it was run; "
            f"{'copy it again, or ' if plain else ''}write its content as a pickle of lists, dicts, text, numbers and "
            f"numpy arrays."
        ) from error


def _no_bytes() -> bytes:
    return b""


def _new_array(*_of_what: object) -> PickledArray:
    return PickledArray()


def _list_of_set(items: object = None) -> list[Any]:
    if not isinstance(items, list):
        raise pickle.UnpicklingError("a set that is not made from a list")
    return items


def _dtype_of_text(*_flags: object) -> PickledDtype:
    return PickledDtype("O")  # numpy 2 writes its arrays of text of any length as lists


def _refuse_to_make(*_arguments: object) -> NoReturn:
    raise pickle.UnpicklingError("an array or value that is made in an unknown way")


_CALLABLE: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): PickledDtype,
    ("numpy._core._internal", "_convert_to_stringdtype_kwargs"): _dtype_of_text,
    # Pickles only pass these to another call.
    ("numpy", "ndarray"): _refuse_to_make,
}
for _builtins in ("__builtin__", "builtins"):  # protocols before 3, and from 3 on
    _CALLABLE[_builtins, "bytes"] = _no_bytes
    _CALLABLE[_builtins, "set"] = _list_of_set
    _CALLABLE |= {(_builtins, name): _refuse_to_make for name in ("list", "dict", "int", "float", "str", "tuple")}
_NUMPY_CORES = ("numpy.core", "numpy._core")  # numpy 1 and numpy 2
for _core in _NUMPY_CORES:
    _CALLABLE[f"{_core}.multiarray", "_reconstruct"] = _new_array


class _Allowed(dict[int, Callable[[Any], None]]):
    def __missing__(self, code: int) -> NoReturn:
        name = _OPCODE_NAMES.get(code)
        if name is None:
            raise pickle.UnpicklingError(f"no pickle has the byte {code} where this file has it")
        if name in _BUFFERS_ELSEWHERE:
            raise NotPlainError(f"its arrays were written outside this file ({name})")
        raise NotPlainError(f"it has the instruction {name}")


# The Unpickler written in Python. The one in C allocates for any number that a file gives to a remembered value, and
# its instructions cannot be chosen.
class _PlainUnpickler(pickle._Unpickler):
    # Attributes of the base class, which does not declare them.
    stack: list[Any]
    metastack: list[list[Any]]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    readline: Callable[[], bytes]
    pop_mark: Callable[[], list[Any]]

    dispatch = _Allowed(
        {code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _OPCODES)}
    )

    def __init__(self, file: io.BufferedIOBase, size: int) -> None:
        super().__init__(file, encoding="latin1")
        self._file, self._size = file, size
        # Each array has a content of its own, so that together they are not longer than the file. So do encoded texts.
        self._left_to_use = self._left_to_encode = size
        self._callable = _CALLABLE | {
            ("_codecs", "encode"): self._encode,
            ("collections", "OrderedDict"): self._ordered_dict,
            ("collections", "defaultdict"): self._default_dict,
        }
        for core in _NUMPY_CORES:
            self._callable[f"{core}.multiarray", "scalar"] = self._scalar
            self._callable[f"{core}.numeric", "_frombuffer"] = self._array_from_buffer

    def load(self) -> Any:
        # As the base class does it, but without frames.
        self.stack, self.metastack = [], []
        self.append = self.stack.append
        self.read, self.readline = self._file.read, self._short_line
        read, dispatch = self.read, self.dispatch
        while (code := read(1)[0]) != pickle.STOP[0]:
            dispatch[code](self)
        return self.stack.pop()

    def _load_frame(self) -> None:
        self.read(8)  # how much to read at once, which is not needed

    dispatch[pickle.FRAME[0]] = _load_frame

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        call = self._callable.get((module, name))
        if call is None:
            raise NotPlainError(f"it asks for {module[:80]}.{name[:80]}")
        return call

    def _use(self, size: int) -> None:
        self._left_to_use -= size
        if self._left_to_use < 0:
            raise pickle.UnpicklingError("one content that is used many times")

    def _encode(self, text: object, encoding: object) -> bytes:
        # Protocols 0 to 2 write bytes in this way, each from a text of its own.
        if not isinstance(text, str) or encoding != "latin1":
            raise NotPlainError("an encoding that is not latin1")
        self._left_to_encode -= len(text)
        if self._left_to_encode < 0:
            raise pickle.UnpicklingError("one text that is encoded many times")
        return text.encode("latin1")

    def _array_from_buffer(
        self, content: object, dtype: object, shape: object, order: object, axes: object = None
    ) -> PickledArray:
        array = PickledArray()
        array.fill(content, dtype, shape, order, axes)
        self._use(array.num_bytes)
        return array

    def _scalar(self, dtype: object, content: object) -> Any:
        (value,) = self._array_from_buffer(content, dtype, (), "C").values()
        return value

    def _ordered_dict(self, pairs: object = ()) -> PickledDict:
        # Python 2 writes pairs; later versions set the entries afterwards.
        if not isinstance(pairs, list | tuple) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise pickle.UnpicklingError("an ordered mapping that is not made from pairs")
        self._use(len(pairs))
        values = PickledDict()
        _set_items(values, [part for pair in pairs for part in pair])
        return values

    def _default_dict(self, *_default: object) -> PickledDict:
        return PickledDict()

    def _load_reduce(self) -> None:
        arguments, call = self.stack.pop(), self.stack.pop()
        if type(arguments) is not tuple or len(arguments) > _MAX_ARGUMENTS:
            raise pickle.UnpicklingError("a call with arguments that no pickler writes")
        self.append(call(*arguments))

    dispatch[pickle.REDUCE[0]] = _load_reduce

    def _load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, PickledArray | PickledDtype):
            raise NotPlainError(f"it changes a {type(target).__name__}")
        target.restore(state)
        if isinstance(target, PickledArray):
            self._use(target.num_bytes)

    dispatch[pickle.BUILD[0]] = _load_build

    def _short_line(self) -> bytes:
        return self._line(_MAX_LINE)

    def _line(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        if not line.endswith(b"\n"):
            raise pickle.UnpicklingError("a line in it has no end")
        return line

    def _sized(self, length: str) -> bytes:
        """What has its length before it. Memory is only taken for a length that the file can have."""
        (size,) = struct.unpack(length, self.read(struct.calcsize(length)))
        if size > self._size:
            raise NotPlainError("it ends too early")
        return self.read(size)

    def _load_bytes(self) -> None:
        self.append(self._sized("<I"))

    def _load_long_bytes(self) -> None:
        self.append(self._sized("<Q"))

    def _load_text(self) -> None:
        self.append(self._sized("<I").decode(errors="surrogatepass"))

    def _load_long_text(self) -> None:
        self.append(self._sized("<Q").decode(errors="surrogatepass"))

    def _load_binstring(self) -> None:
        self.append(self._sized("<I").decode("latin1"))

    dispatch[pickle.BINBYTES[0]] = _load_bytes
    dispatch[pickle.BINBYTES8[0]] = _load_long_bytes
    # As bytes, so that the program cannot change the content of an array afterwards.
    dispatch[pickle.BYTEARRAY8[0]] = _load_long_bytes
    dispatch[pickle.BINUNICODE[0]] = _load_text
    dispatch[pickle.BINUNICODE8[0]] = _load_long_text
    dispatch[pickle.BINSTRING[0]] = _load_binstring

    def _load_unicode(self) -> None:
        self.append(self._line(self._size)[:-1].decode("raw-unicode-escape"))

    dispatch[pickle.UNICODE[0]] = _load_unicode

    def _load_string(self) -> None:
        line = self._line(self._size)[:-1]
        quoted = len(line) >= 2 and line[:1] == line[-1:] and line[:1] in (b"'", b'"')
        if not quoted or b"\\" in _ESCAPES.sub(b"", line):
            raise pickle.UnpicklingError("a text that is not as Python 2 writes it")
        self.append(codecs.escape_decode(line[1:-1])[0].decode("latin1"))

    dispatch[pickle.STRING[0]] = _load_string

    # A set becomes a list: hashing its entries may take very long.
    def _load_empty_set(self) -> None:
        self.append([])

    def _load_additems(self) -> None:
        items = self.pop_mark()
        self.stack[-1].extend(items)

    dispatch[pickle.EMPTY_SET[0]] = _load_empty_set
    dispatch[pickle.ADDITEMS[0]] = _load_additems

    def _load_empty_dict(self) -> None:
        self.append(PickledDict())

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.append(PickledDict())
        _set_items(self.stack[-1], items)

    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _set_items(self.stack[-1], [key, value])

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        _set_items(self.stack[-1], items)

    dispatch[pickle.EMPTY_DICT[0]] = _load_empty_dict
    dispatch[pickle.DICT[0]] = _load_dict
    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems


def _set_items(values: Any, items: list[Any]) -> None:
    if not isinstance(values, PickledDict):
        raise pickle.UnpicklingError("entries of a mapping that are given to something else")
    # Only text is hashed: hashing other keys may take very long, or the whole stack.
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is str:
            values[key] = value
        else:
            values.num_left_out += 1


def _words(error: BaseException) -> str:
    if isinstance(error, pickle.UnpicklingError | EOFError) and str(error):
        return str(error)
    return "it is damaged" if str(error) == "" else f"it is damaged ({str(error)[:100]})"
