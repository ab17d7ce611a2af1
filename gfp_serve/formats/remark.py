"""What a reader says beside clips: how it read the file, and how far it is; and such remarks on many files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Remark:
    """A reader yields it among the clips: how it read the file, or why it leaves one clip out.

    Files that were read in the same way get the same text, so that a command can say it once for all of them.
    """

    text: str  # a sentence; it need not name the file
    left_out: str = ""  # name of the clip that is left out because of this; empty: nothing is

    def __str__(self) -> str:
        return f"clip {self.left_out!r}: {self.text}" if self.left_out else self.text


Report = Callable[[Remark], None]


@dataclass(frozen=True, slots=True)
class Step:
    """A reader that needs long yields it before its clips: it has read this much more of the file."""

    share: float  # of the whole file; all steps of a file have a sum of 1 at most


@dataclass(slots=True)
class Remarks:
    """How files were read: each text once, with the files that it is about."""

    files: dict[str, list[Path]] = field(default_factory=dict)  # by text

    def add(self, file: Path, text: str) -> None:
        """A text about a file. If it is about this file already, nothing changes."""
        files = self.files.setdefault(text, [])
        if file not in files[-1:]:  # a reader says the same of several clips of a file
            files.append(file)

    def lines(self) -> list[str]:
        """A line for each text, with the file or the number of files."""
        return [f"{_named(files)}: {text}" for text, files in self.files.items()]


def _named(files: list[Path]) -> str:
    others = len(files) - 1
    return str(files[0]) + (
        "" if not others else " and 1 other file" if others == 1 else f" and {others:,} other files"
    )
