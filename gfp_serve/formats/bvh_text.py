"""The text of a BVH file -> its joints and a row of channel values for each frame.

The text is read word by word. Where lines end, and whether some are empty, makes no difference: a frame may take
several lines, and a line may have several frames. Errors still name the line.
"""

import codecs
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import Float64

from gfp_serve.errors import DamagedFileError
from gfp_serve.files import read_ordinary
from gfp_serve.formats.text import MAX_TEXT_BYTES, damaged_line

# Follows the name of an end site; without a name of its own it has that of the joint it belongs to.
END_SITE = " end"

_WORD = re.compile(r"[{}]|[^\s{}]+")
_REST = re.compile(r"[{}]|[^\n{}]*")  # of a line, up to a brace
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)
_ANY_NUMBER = re.compile(rf"{_NUMBER.pattern}|[-+]?(nan|inf|infinity)", re.IGNORECASE)
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
_FRAMES = re.compile(r"\s*frames\s*:?\s*(\S*)", re.IGNORECASE)
_FRAME_TIME = re.compile(r"\s*frame\s*time\s*:?\s*(\S*)", re.IGNORECASE)
_MAX_DIGITS = 9  # of a count
_MAX_JOINTS = 1_000
# Numbers far beyond degrees and positions make sines and sums meaningless.
_TOO_LARGE = 1e9
# UTF-32 first: its mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Joint:
    """A joint of the hierarchy. An end site is a joint without channels, whose name ends in `END_SITE`."""

    name: str
    parent: int  # index, -1 for a root; parents come before their children
    offset: tuple[float, float, float]
    channels: tuple[tuple[str, int], ...]  # "position" or "rotation", and the axis, in the file's order
    first_column: int  # of its channels in a row of the motion


def parse(path: Path) -> tuple[list[Joint], Float64[np.ndarray, "frames columns"], float]:
    """The joints, the values of their channels in each frame, and the frames a second.

    Raises `DamagedFileError`, which names the line, for a file that cannot be read, is cut off or is malformed.
    """
    words = _Words(path, _text_of(path))
    joints = _hierarchy(words)
    rows, fps = _motion(words, num_columns=sum(len(joint.channels) for joint in joints))
    return joints, rows, fps


def _text_of(path: Path) -> str:
    """The file's text, in which every line ends in a single line feed."""
    try:
        content = read_ordinary(path, at_most=MAX_TEXT_BYTES)
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise DamagedFileError(
                f"{path} begins as {encoding.upper()} text, but byte {error.start} is not; copy it again."
            ) from error
        # Only names can have letters beyond ASCII. Latin-1 keeps such a name apart from the others, whatever it says.
        text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _Words:
    """Takes words and braces from a text, one after another."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        self.start = self.end = 0  # of the word that was taken last

    def next(self) -> str:
        """The word that comes next; empty at the end of the text."""
        found = _WORD.search(self.text, self.end)
        return found[0] if found else ""

    def take(self) -> str:
        found = _WORD.search(self.text, self.end)
        if found is None:
            raise DamagedFileError(
                f"{self.path}: the file ends before the word MOTION; it was cut off or is not BVH: copy it again."
            )
        self.start, self.end = found.span()
        return found[0]

    def expect(self, word: str) -> None:
        if self.take().upper() != word:
            self.refuse(f"must be {word!r}")

    def take_numbers(self, count: int) -> list[float]:
        """The next words as finite numbers; fewer if one of them is not a finite number."""
        numbers: list[float] = []
        while len(numbers) < count and _NUMBER.fullmatch(self.next()) and abs(float(self.next())) < _TOO_LARGE:
            numbers.append(float(self.take()))
        return numbers

    def refuse(self, what: str, start: int | None = None) -> NoReturn:
        """Raise the error for the line of a word; without `start`, of the word that was taken last."""
        start = self.start if start is None else start
        found = _REST.match(self.text, start)
        got = found[0].strip()[:60] if found else ""
        raise damaged_line(self.path, self.line_of(start), f"{what}, got {got!r}{_about_commas(got)}")

    def line_of(self, start: int) -> int:
        """The number of the line, counted from 1, in which a character is."""
        return self.text.count("\n", 0, start) + 1


def _about_commas(text: str) -> str:
    if not re.search(r"[0-9],|,[0-9]", text):
        return ""
    return "; numbers need a decimal point and no comma: export the file again with the number format of English"


def _hierarchy(words: _Words) -> list[Joint]:
    """The joints up to the word MOTION, which is taken."""
    joints: list[Joint] = []
    open_joints: list[int] = []
    num_columns = 0
    words.expect("HIERARCHY")
    while True:
        word = words.take()
        kind, start = word.upper(), words.start
        if word == "}" and open_joints:
            open_joints.pop()
            continue
        if kind == "MOTION" and joints and not open_joints:
            return joints
        is_end = kind == "END" and bool(open_joints) and words.next().upper() == "SITE"
        if is_end:
            words.take()
        name = _name(words)
        if is_end:
            name = (name or joints[open_joints[-1]].name) + END_SITE
        elif not (name and kind == ("JOINT" if open_joints else "ROOT")):
            expected = "open or close a joint" if open_joints or not joints else "be 'MOTION'"
            words.refuse(f"must {expected}", start)
        words.expect("{")
        parent = open_joints[-1] if open_joints else -1
        if len(joints) == _MAX_JOINTS:
            words.refuse(f"opens more than {_MAX_JOINTS} joints; a body has fewer", start)
        joint = Joint(name, parent, _offset(words), () if is_end else _channels(words), num_columns)
        num_columns += len(joint.channels)
        open_joints.append(len(joints))
        joints.append(joint)


def _name(words: _Words) -> str:
    """The words before the next brace: a name may have spaces. Stops where a brace is missing."""
    taken: list[str] = []
    while words.next() not in ("", "{", "}") and not (taken and words.next().upper() in ("OFFSET", "CHANNELS")):
        taken.append(words.take())
    return " ".join(taken)


def _offset(words: _Words) -> tuple[float, float, float]:
    word, start = words.take(), words.start
    numbers = words.take_numbers(3) if word.upper() == "OFFSET" else []
    if len(numbers) != 3:
        words.refuse("must be OFFSET and three numbers", start)
    return numbers[0], numbers[1], numbers[2]


def _channels(words: _Words) -> tuple[tuple[str, int], ...]:
    word, start = words.take(), words.start
    count = words.take() if word.upper() == "CHANNELS" else ""
    named: list[re.Match[str]] = []
    while found := _CHANNEL.fullmatch(words.next()):
        named.append(found)
        words.take()
    if count != str(len(named)):
        words.refuse(
            "must be CHANNELS, their number, and this many names like Xposition or Zrotation",
            start,
        )
    channels = tuple((each[2].lower(), "XYZ".index(each[1].upper())) for each in named)
    if len(set(channels)) < len(channels):
        words.refuse("names a channel twice", start)
    return channels


def _motion(words: _Words, *, num_columns: int) -> tuple[Float64[np.ndarray, "frames columns"], float]:
    """The values of the channels in each frame, and the frames a second."""
    text = words.text
    frames = _heading(words, _FRAMES)
    if not frames or not re.fullmatch(rf"[0-9]{{1,{_MAX_DIGITS}}}", frames):
        words.refuse("must be 'Frames:' and their number")
    announced, frames_line = int(frames), words.line_of(words.start)
    time = _heading(words, _FRAME_TIME)
    if not time or not _NUMBER.fullmatch(time) or not 1e-5 < float(time) <= 10:
        words.refuse("must be 'Frame Time:' and seconds above 0 and up to 10")
    table = _table(words, announced, num_columns)
    if table is None:
        raise _wrong_table(words, announced, num_columns, frames_line)
    wrong = np.flatnonzero(~(np.abs(table) < _TOO_LARGE))
    if len(wrong):
        start = next(itertools.islice(_WORD.finditer(text, words.end), int(wrong[0]), None)).start()
        words.refuse("holds a number that is not finite or beyond 1e9", start)
    return table, round(1 / float(time), 2)  # 0.0333333 is 30


def _heading(words: _Words, heading: re.Pattern[str]) -> str | None:
    """What follows the heading, which is taken; None if another word is there."""
    found = heading.match(words.text, words.end)
    if not words.next():
        last = words.line_of(len(words.text.rstrip()))
        raise DamagedFileError(f"{words.path}: the file ends at line {last}, before its motion; copy it again.")
    words.take()
    if found is None:
        return None
    words.end = found.end()
    return found[1]


def _table(words: _Words, num_frames: int, num_columns: int) -> Float64[np.ndarray, "frames columns"] | None:
    """The numbers after the headings; None if they are not numbers, or not this many."""
    if not words.next() or not num_frames * num_columns:
        return None
    lines = words.text[words.end :].split("\n")
    try:
        # In nearly all files all lines have the same number of numbers. numpy skips empty lines.
        table = np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2)
    except ValueError:
        numbers = " ".join(lines).split()
        if len(numbers) != num_frames * num_columns:
            return None
        rows = [" ".join(numbers[first : first + num_columns]) for first in range(0, len(numbers), num_columns)]
        try:
            table = np.loadtxt(rows, dtype=np.float64, comments=None, ndmin=2)
        except ValueError:
            return None
    return table.reshape(num_frames, num_columns) if table.size == num_frames * num_columns else None


def _wrong_table(words: _Words, num_frames: int, num_columns: int, frames_line: int) -> DamagedFileError:
    """The error for what is not a table of this size."""
    numbers = list(_WORD.finditer(words.text, words.end))
    for number in numbers:
        if not _ANY_NUMBER.fullmatch(number[0]):
            got = number[0][:40]
            return damaged_line(
                words.path, words.line_of(number.start()), f"must hold numbers, got {got!r}{_about_commas(got)}"
            )
    first_line = words.line_of(words.end)
    lines = words.text[words.end :].split("\n")
    counts = {line: len(text.split()) for line, text in enumerate(lines, start=first_line) if text.strip()}
    if len(counts) == num_frames and num_columns:
        wrong = next((line for line, count in counts.items() if count != num_columns), first_line)
        return damaged_line(words.path, wrong, f"must hold {num_columns} numbers, has {counts[wrong]}")
    return DamagedFileError(
        f"{words.path}: line {frames_line} announces {num_frames} frames of {num_columns} channels, so "
        f"{num_frames * num_columns} numbers, but {len(numbers)} follow; the file was cut off or changed: copy it "
        f"again."
    )
