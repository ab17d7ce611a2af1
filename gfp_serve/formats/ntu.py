"""NTU RGB+D `.skeleton` text: one clip a file, written by a Kinect v2, bodies told apart by an ID.

A file is the number of frames; per frame the number of bodies; per body a line of 10 fields that starts with its ID,
the number of joints, and a line of 12 fields for each joint that starts with x, y, z.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.clip import TEST_SPLIT, TRAIN_SPLIT, UNKNOWN_SUBJECT, Clip
from gfp_serve.formats.ntu_actions import ACTIONS
from gfp_serve.skeleton import NTU25

FPS = 30.0
_BODY_FIELDS, _JOINT_FIELDS = 10, 12
_MAX_DIGITS = 9  # of a count

# Performers whose clips are trained on in the cross-subject protocol of NTU RGB+D 120 (Liu et al. 2019); among the
# first 40, who are all there is in NTU RGB+D 60, they are those of its protocol (Shahroudy et al. 2016).
_CROSS_SUBJECT_TRAIN = frozenset(
    (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
    + (45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94)
    + (95, 97, 98, 100, 103)
)

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


def read(path: Path) -> Iterator[Clip]:
    """The file's clip: every body that was ever seen, in the order in which they appeared, in true time.

    A body is NaN in the frames in which it is not seen, also where nobody is (the authors' own tools close such gaps,
    which makes a body that comes back jump). Action, subject and camera come from a name like S001C002P003R002A013, and
    from the subject the side of the published cross-subject split.
    Raises `DamagedFileError`, which names the line, for a file that is cut off, malformed, or without any body.
    """
    sequence = _Parser(path, _lines(path)).sequence()
    yield Clip(name=path.stem, sequence=sequence, layout=NTU25, fps=FPS, **facts_of(path.stem))


def facts_of(name: str) -> dict[str, Any]:
    """What a name like S001C002P003R002A013 says about its clip, as fields of `Clip`; nothing for another name."""
    named = _NAME.match(name)
    if named is None:
        return {}
    setup, camera, subject, replication, action = map(int, named.groups())
    return {
        "label": ACTIONS[action - 1] if 1 <= action <= len(ACTIONS) else f"A{action:03}",
        "subject": str(subject) if subject else UNKNOWN_SUBJECT,
        "camera": camera,
        "split": TRAIN_SPLIT if subject in _CROSS_SUBJECT_TRAIN else TEST_SPLIT,
        "description": f"setup {setup}, replication {replication}",
    }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is no text file: byte {error.start} is not ASCII; copy it again.") from error
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error}.") from error


class _Parser:
    """Walks over one file's lines; the joints' numbers are parsed all at once, in compiled code."""

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
                    raise self._damaged(self.next, "gives a body of this frame a second time")
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
                f"{self.path} holds nobody: each of its {num_frames} frames has 0 bodies; leave it out."
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
        text = [line for start in blocks for line in self.lines[start : start + NTU25.num_joints]]
        if not all(map(str.strip, text)):  # loadtxt passes over empty lines
            raise self._damaged_joint(blocks)
        try:
            numbers = np.loadtxt(text, dtype=np.float32, comments=None, ndmin=2)
            return numbers.reshape(len(blocks), NTU25.num_joints, _JOINT_FIELDS)[..., :3]
        except ValueError:
            raise self._damaged_joint(blocks) from None

    def _damaged_joint(self, blocks: list[int]) -> DamagedFileError:
        for line in (line for start in blocks for line in range(start, start + NTU25.num_joints)):
            fields = self.lines[line].split()
            if len(fields) != _JOINT_FIELDS:
                return self._damaged(line + 1, f"must give a joint in {_JOINT_FIELDS} fields, has {len(fields)}")
            for field in fields:
                try:
                    float(field)
                except ValueError:
                    return self._damaged(line + 1, f"must hold numbers, got {field[:40]!r}")
        return self._damaged(blocks[0] + 1, "starts joints that cannot be read as numbers")

    def _cut_off(self) -> DamagedFileError:
        return DamagedFileError(
            f"{self.path}: the file ends at line {len(self.lines)}, before all frames that its first line announces; "
            f"it was cut off: copy it again."
        )

    def _damaged(self, line: int, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path}: line {line} {what}.")
