"""One pass over the text of an NTU file in machine code, to import tens of thousands of files. Needs numba.

`scan` accepts only texts that are plainly right. A text that it doubts is read again by `text.parse_carefully`, which
accepts it or says what is wrong in which line.
"""

from collections.abc import Callable
from typing import Any, no_type_check

import numba
import numpy as np
from jaxtyping import Float32

from gfp_serve.formats.ntu.limits import MAX_BODY_FRAMES

# Bytes that must follow the text: they end any field, and eight bytes can be loaded at each place of the text.
PADDING = b"\n" + bytes(15)

_SHORTEST_BODY = 25 * 24  # bytes: a joint is at least twelve digits and what separates them

_DOUBT = (-1, 0, 0)
_MAX_IDS = 64  # different bodies in a file
_MAX_COUNT_DIGITS, _MAX_ID_DIGITS, _MAX_NUMBER_DIGITS, _MAX_EXPONENT_DIGITS = 9, 19, 18, 3
_SPACE, _LF, _CR, _MINUS, _PLUS, _DOT, _ZERO, _E = 32, 10, 13, 45, 43, 46, 48, 101

# A double holds every whole number below this, and every power of ten up to the last of these, exactly; so the
# quotient or product of the two is the double nearest to the decimal number (Clinger, PLDI 1990).
_EXACT = np.uint64(1 << 53)
_POWERS_OF_TEN = 10.0 ** np.arange(23)

# These work on eight bytes at once, each below 128, the first byte lowest. A sum or difference sets the highest bit of
# each byte from 33 on, from 32 on, above "9", or below "0" (and perhaps of bytes after the first such byte).
_ALL_LOWEST_BITS, _ALL_HIGHEST_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_TO_33, _TO_32 = np.uint64(0x5F5F5F5F5F5F5F5F), np.uint64(0x6060606060606060)
_ABOVE_9, _BELOW_0 = np.uint64(0x4646464646464646), np.uint64(0x3030303030303030)
_ONE, _BYTE, _LAST_BYTE, _HIGHEST_BIT = np.uint64(1), np.uint64(8), np.uint64(56), np.uint64(7)

# What the compiled functions take.
_TEXT = numba.uint8[::1]
_WORDS = numba.types.Array(numba.uint64, 1, "A", aligned=False)
_INTS = numba.int64[::1]


def _compiled(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    def compile_now(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(signature, cache=True)(function)
        except RuntimeError:  # no folder can keep the machine code, so each process compiles it again
            return numba.njit(signature)(function)

    return compile_now


_inlined = numba.njit(inline="always")  # a call would cost as much as reading a number

# The functions below are never interpreted; no_type_check keeps run-time checks of annotations out of them. They take
# the place of a first byte, and return the place after what they read, or -1 for a doubt.


@_inlined
@no_type_check
def _digits(text, place):
    value = np.uint64(0)
    digit = np.uint8(text[place] - _ZERO)
    while digit <= 9:
        value = value * np.uint64(10) + np.uint64(digit)
        place += 1
        digit = np.uint8(text[place] - _ZERO)
    return value, place


@_inlined
@no_type_check
def _count(text, start):
    """A line with a whole number."""
    value, place = _digits(text, start)
    is_number = 0 < place - start <= _MAX_COUNT_DIGITS
    place += text[place] == _CR
    return np.int64(value), place + 1 if is_number and text[place] == _LF else -1


@_compiled(numba.types.Tuple((numba.float64, numba.int64))(_TEXT, numba.int64, numba.boolean))
@no_type_check
def _any_number(text, start, negative):
    whole, place = _digits(text, start)
    num_digits = place - start
    exponent = 0
    if text[place] == _DOT:
        start = place + 1
        fraction, place = _digits(text, start)
        exponent = start - place
        num_digits -= exponent
        if num_digits <= _MAX_NUMBER_DIGITS:
            whole = whole * np.uint64(_POWERS_OF_TEN[-exponent]) + fraction
    if num_digits == 0 or num_digits > _MAX_NUMBER_DIGITS or whole >= _EXACT:
        return 0.0, -1
    if text[place] | _SPACE == _E:  # E or e
        place += 1
        negative_exponent = text[place] == _MINUS
        start = place + (negative_exponent or text[place] == _PLUS)
        power, place = _digits(text, start)
        if not 0 < place - start <= _MAX_EXPONENT_DIGITS:
            return 0.0, -1
        exponent += -np.int64(power) if negative_exponent else np.int64(power)
    if text[place] != _SPACE or abs(exponent) >= _POWERS_OF_TEN.size:
        return 0.0, -1
    value = np.float64(whole)
    value = value / _POWERS_OF_TEN[-exponent] if exponent < 0 else value * _POWERS_OF_TEN[exponent]
    return -value if negative else value, place + 1


@_inlined
@no_type_check
def _num_before(mark):
    """The number of bytes, of eight, before the one whose highest bit is set in `mark`; 8 if none is."""
    return np.int64(((((mark >> _HIGHEST_BIT) - _ONE) & _ALL_LOWEST_BITS) * _ALL_LOWEST_BITS) >> _LAST_BYTE)


@_inlined
@no_type_check
def _number(text, words, place):
    """A decimal number and the space after it."""
    negative = text[place] == _MINUS
    place += negative
    digit = np.uint8(text[place] - _ZERO)
    if digit <= 9 and text[place + 1] == _DOT:
        # Nearly every coordinate is a digit, a point and at most eight digits, which are read all at once.
        word = words[place + 2]
        others = ((word + _ABOVE_9) | (word - _BELOW_0)) & _ALL_HIGHEST_BITS
        num_digits = _num_before(others & (~others + _ONE))
        if num_digits > 0 and text[place + 2 + num_digits] == _SPACE:
            digits = (word << np.uint64(64 - 8 * num_digits)) & np.uint64(0x0F0F0F0F0F0F0F0F)
            pairs = ((digits * np.uint64(10 << 8 | 1)) >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
            fours = ((pairs * np.uint64(100 << 16 | 1)) >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
            fraction = np.float64((fours * np.uint64(10000 << 32 | 1)) >> np.uint64(32))
            scale = _POWERS_OF_TEN[num_digits]
            value = (digit * scale + fraction) / scale
            return -value if negative else value, place + 3 + num_digits
    return _any_number(text, place, negative)


@_inlined
@no_type_check
def _rest_of_line(text, words, place, num_fields):
    """Skip the fields that nobody reads: ASCII, the expected number, one space between them."""
    num_spaces = adjacent = all_bytes = end = np.uint64(0)
    carried = np.uint64(0x80)  # there is a space before the first byte
    while end == 0:
        word = words[place]
        all_bytes |= word
        spaces = ~(word + _TO_33) & _ALL_HIGHEST_BITS  # marks bytes up to 32
        controls = ~(word + _TO_32) & _ALL_HIGHEST_BITS  # marks bytes below 32, the first of which ends the line
        end = controls & (~controls + _ONE)
        spaces &= end - _ONE  # those before the end; all, if it does not end here
        adjacent |= spaces & ((spaces << _BYTE) | carried)
        num_spaces += ((spaces >> _HIGHEST_BIT) * _ALL_LOWEST_BITS) >> _LAST_BYTE
        carried = spaces >> _LAST_BYTE
        place += 8
    place += _num_before(end) - 8
    is_ascii = all_bytes & _ALL_HIGHEST_BITS == 0
    has_fields = np.int64(num_spaces) == num_fields - 1 and adjacent == 0 and text[place - 1] != _SPACE
    place += text[place] == _CR
    return place + 1 if is_ascii and has_fields and text[place] == _LF else -1


@_compiled(numba.types.UniTuple(numba.int64, 3)(_TEXT, numba.int64, _WORDS, numba.float32[:, :, ::1], _INTS, _INTS))
@no_type_check
def _scan(text, end, words, joints, frames, columns):
    """Fill in joints, frame and column of each body of each frame.

    Returns the numbers of frames, of bodies in all frames, and of different bodies. The loops are nested like the
    format, so that this reads like its description.
    """
    ids = np.empty(_MAX_IDS, np.uint64)
    num_ids = num_seen = 0
    num_frames, place = _count(text, 0)
    if place < 0 or num_frames < 1:
        return _DOUBT
    for frame in range(num_frames):
        num_bodies, place = _count(text, place)
        if place < 0:
            return _DOUBT
        first_of_frame = num_seen
        for _ in range(num_bodies):
            start = place
            identity, place = _digits(text, start)
            num_digits = place - start
            ambiguous = num_digits > 1 and text[start] == _ZERO
            if num_digits == 0 or num_digits > _MAX_ID_DIGITS or ambiguous or text[place] != _SPACE:
                return _DOUBT
            place = _rest_of_line(text, words, place + 1, 9)
            if place < 0:
                return _DOUBT
            num_joints, place = _count(text, place)
            if place < 0 or num_joints != 25:
                return _DOUBT
            column = 0
            while column < num_ids and ids[column] != identity:
                column += 1
            if column == _MAX_IDS:
                return _DOUBT
            if column == num_ids:
                ids[column] = identity
                num_ids += 1
            for earlier in range(first_of_frame, num_seen):
                if columns[earlier] == column:
                    return _DOUBT
            for joint in range(25):
                for axis in range(3):
                    value, place = _number(text, words, place)
                    if place < 0:
                        return _DOUBT
                    joints[num_seen, joint, axis] = value
                place = _rest_of_line(text, words, place, 9)
                if place < 0:
                    return _DOUBT
            frames[num_seen] = frame
            columns[num_seen] = column
            num_seen += 1
    for after in range(place, end):
        if text[after] != _LF and text[after] != _CR:
            return _DOUBT
    return num_frames, num_seen, num_ids


def scan(padded: bytearray) -> Float32[np.ndarray, "frames bodies 25 3"] | None:
    """The result of `text.parse_carefully` for a text, which is followed here by `PADDING`; None for a doubt.

    It reads numbers with an exponent, negative and whole ones. NaN is a doubt, and so is anything else in the place of
    a number, a count or the end of a line.
    """
    end = len(padded) - len(PADDING)
    text = np.frombuffer(padded, np.uint8)
    words = np.ndarray(len(padded) - 7, np.uint64, text.data, strides=(1,))  # eight bytes from each place on
    most = end // _SHORTEST_BODY + 1
    joints = np.empty((most, 25, 3), np.float32)
    frames, columns = np.empty(most, np.int64), np.empty(most, np.int64)
    num_frames, num_seen, num_bodies = _scan(text, end, words, joints, frames, columns)
    if num_seen == 0 or num_frames * num_bodies > MAX_BODY_FRAMES:
        return None
    sequence = np.full((num_frames, num_bodies, 25, 3), np.nan, dtype=np.float32)
    sequence[frames[:num_seen], columns[:num_seen]] = joints[:num_seen]
    return sequence
