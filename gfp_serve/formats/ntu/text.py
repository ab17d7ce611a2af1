"""The text of an NTU `.skeleton` file -> every body that was seen, in true time.

The text starts with the number of frames. Each frame has the number of bodies. Each body has a line of 10 fields that
starts with its ID, the number of joints, and for each joint a line of 12 fields that starts with x, y, z.
"""

import os
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary
from gfp_serve.formats.ntu.limits import MAX_BODY_FRAMES
from gfp_serve.formats.text import MAX_TEXT_BYTES
from gfp_serve.layouts import NTU25

_BODY_FIELDS, _JOINT_FIELDS = 10, 12
_MAX_DIGITS = 9  # of a count
_MAX_FLOAT32 = float(np.finfo(np.float32).max)


def parse(path: Path) -> Float32[np.ndarray, "frames bodies 25 3"]:
    """All bodies of the file in the order in which they appeared, in metres; NaN where a body is not seen.

    The first three fields of a joint must be numbers; the other nine are only counted. With numba installed machine
    code reads a sound file, 15 to 20 times as fast; what it doubts is read again by `parse_carefully`.
    Raises `DamagedFileError`, which names the line, for a file that is cut off, malformed, or without any body.
    """
    compiled = _compiled()
    padding = b"" if compiled is None else compiled.PADDING
    try:
        # The text is read directly into its place: copying it would take as long as scanning a tenth of it.
        with open_ordinary(path, at_most=MAX_TEXT_BYTES) as file:
            text = bytearray(os.fstat(file.fileno()).st_size + len(padding))
            text[file.readinto(text) :] = padding
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
    sequence = None if compiled is None else compiled.scan(text)
    return parse_carefully(path, text.removesuffix(padding)) if sequence is None else sequence


def parse_carefully(path: Path, text: bytes | bytearray) -> Float32[np.ndarray, "frames bodies 25 3"]:
    """The same from the text of the file, line by line. The path is for messages only."""
    try:
        lines = text.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is not a text file: byte {error.start} is not ASCII; copy it again.") from error
    return _Walk(path, lines).sequence()


@cache
def _compiled() -> ModuleType | None:
    # Imported when the first file is read: numba takes a quarter of a second, which other commands save.
    try:
        from gfp_serve.formats.ntu import compiled
    except ImportError:
        return None
    return compiled


class _Walk:
    """Reads the lines of one file; the numbers of the joints are parsed all at once."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path, self.lines, self.next = path, lines, 0

    def sequence(self) -> np.ndarray:
        """Float32 of frames, bodies, 25 joints, 3."""
        num_frames = self._count("frames", at_least=1)
        bodies: dict[str, int] = {}
        seen: list[tuple[int, int]] = []  # frame and body of each block of joint lines
        blocks: list[int] = []  # where each block starts
        for frame in range(num_frames):
            for _ in range(self._count("bodies", at_least=0)):
                body = bodies.setdefault(self._body_id(), len(bodies))
                if (frame, body) in seen[-len(bodies) :]:
                    raise self._damaged(self.next, "has a body of this frame a second time")
                joints = self._count("joints", at_least=1)
                if joints != NTU25.num_joints:
                    raise self._damaged(self.next, f"says {joints} joints; expected {NTU25.num_joints}")
                seen.append((frame, body))
                blocks.append(self.next)
                self.next += joints
                if self.next > len(self.lines):
                    raise self._cut_off()
        if any(line.strip() for line in self.lines[self.next :]):
            raise self._damaged(self.next + 1, f"goes on after the {num_frames} frames that line 1 announces")
        if not seen:
            raise DamagedFileError(
                f"{self.path} shows nobody: each of its {num_frames} frames has 0 bodies; leave it out."
            )
        if num_frames * len(bodies) > MAX_BODY_FRAMES:
            raise DamagedFileError(
                f"{self.path} has {len(bodies)} different bodies in {num_frames} frames, too many for the recording "
                f"of an action: leave it out, or cut it."
            )
        sequence = np.full((num_frames, len(bodies), NTU25.num_joints, 3), np.nan, dtype=np.float32)
        frames, columns = np.array(seen).T
        sequence[frames, columns] = self._joints(blocks)
        return sequence

    def _count(self, what: str, *, at_least: int) -> int:
        text = self._line().strip()
        if not text.isdecimal() or len(text) > _MAX_DIGITS or int(text) < at_least:
            raise self._damaged(self.next, f"must be the number of {what}, at least {at_least}, got {text[:40]!r}")
        return int(text)

    def _body_id(self) -> str:
        fields = self._line().split()
        if len(fields) != _BODY_FIELDS:
            raise self._damaged(self.next, f"must describe a body in {_BODY_FIELDS} fields, has {len(fields)}")
        return fields[0]

    def _line(self) -> str:
        if self.next == len(self.lines):
            raise self._cut_off()
        self.next += 1
        return self.lines[self.next - 1]

    def _joints(self, blocks: list[int]) -> np.ndarray:
        numbers = []
        for line in (line for start in blocks for line in range(start, start + NTU25.num_joints)):
            fields = self.lines[line].split()
            if len(fields) != _JOINT_FIELDS:
                raise self._damaged(line + 1, f"must give a joint in {_JOINT_FIELDS} fields, has {len(fields)}")
            numbers.append([self._number(line, field) for field in fields[:3]])
        # Through float64, as every other reader of these files does.
        return np.array(numbers, np.float64).astype(np.float32).reshape(len(blocks), NTU25.num_joints, 3)

    def _number(self, line: int, field: str) -> float:
        try:
            # Python's separator of thousands is refused too, and what float32 cannot hold.
            if "_" not in field and not abs(number := float(field)) > _MAX_FLOAT32:
                return number
        except ValueError:
            pass
        raise self._damaged(line + 1, f"must hold numbers, got {field[:40]!r}")

    def _cut_off(self) -> DamagedFileError:
        return DamagedFileError(
            f"{self.path}: the file ends at line {len(self.lines)}, before all frames that its first line announces; "
            f"it was cut off: copy it again."
        )

    def _damaged(self, line: int, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path}: line {line} {what}.")
