"""The names by which commands speak of recordings: a clip is FILE/CLIP, and this says what FILE is.

FILE is the shortest end of the file's path, without the suffix, that no other file of the command has: `walk`, or
`s1/walk` beside `s2/walk`. Where files of one folder differ in the suffix only, it is kept: `walk.bvh` and `walk.npz`.
A recording that has a file for each frame is called after its video.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gfp_serve.formats import frame_files, json_file
from gfp_serve.formats.clip import sayable


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A recording as a command knows it."""

    path: Path
    place: Path  # what the command was given: the file itself, or a folder above it
    name: str  # FILE in the names FILE/CLIP of its clips

    @property
    def below(self) -> str:
        """Its path below the folder that was named, or the whole path of a file that was named itself."""
        return (self.path if self.path == self.place else self.path.relative_to(self.place)).as_posix()

    def name_of(self, clip: str) -> str:
        """The name of a clip among the clips of all files of the command."""
        return f"{self.name}/{clip}"


def names_of(files: Sequence[Path]) -> list[str]:
    """FILE of each of these files, which differ. A file whose name is the only one of its kind is called after it."""
    stem_of = {file: stem(file) for file in files}
    stems = Counter(stem_of.values())
    if len(stems) == len(files):
        return list(stems)
    ends = Counter(end for file in files for end in ends_of(file))

    def shortest(file: Path) -> str:
        own = ends_of(file)
        return next((end for end in own if ends[end] == 1), own[-1])

    return [stem_of[file] if stems[stem_of[file]] == 1 else shortest(file) for file in files]


def stem(file: Path) -> str:
    """The name of a file without its suffix; the video's, where each frame has a file."""
    return sayable(frame_files.video_of(file) if json_file.is_frame(file) else file.stem)


def ends_of(file: Path) -> list[str]:
    """All names that a file can have, the shortest first: those without its suffix, then those with it."""
    *folders, last = map(sayable, Path(os.path.abspath(file)).parts[1:])  # noqa: PTH100 (keeps links)
    parts = [*reversed(folders)]
    return [
        "/".join([*reversed(parts[:depth]), name])
        for name in dict.fromkeys((stem(file), last))
        for depth in range(len(parts) + 1)
    ]
