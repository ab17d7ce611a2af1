"""Labels that are not in the files: the names of their folders, a part of their names, or a table beside them.

A rule is one of three texts:

- `folder`: the label of a file is the name of its folder.
- A regular expression with a group `(?P<label>...)`, and `(?P<subject>...)` and `(?P<camera>...)` if wanted. It is
  searched for in the file's path below the folder that was named, such as `s1/walk_02.bvh`.
- The path of a `.csv` file. Its first line names the columns: `file` and `label`, and if wanted `subject`, `camera` and
  `split` (`train` or `test`). `file` is the path below the folder that was named; folders and the suffix may be left
  out where one file alone fits.

What a rule says wins over what the file says. Where it says nothing, the file's own label, subject, camera and split
stay.
"""

import csv
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from gfp_serve.errors import InvalidRequestError, in_field
from gfp_serve.formats.clip import TEST_SPLIT, TRAIN_SPLIT, Clip
from gfp_serve.formats.file_names import NamedFile, ends_of
from gfp_serve.formats.text import damaged_line, read_lines

FOLDER = "folder"
_SPLITS = {"train": TRAIN_SPLIT, "test": TEST_SPLIT}
_COLUMNS = ("file", "label", "subject", "camera", "split")


@dataclass(frozen=True, slots=True)
class FileLabels:
    """What a rule says about one file; None where it says nothing."""

    label: str | None = None
    subject: str | None = None
    camera: int | None = None
    split: int | None = None


@dataclass(frozen=True, slots=True)
class FolderLabels:
    """What a rule says about the files of a command."""

    by_file: dict[Path, FileLabels]
    unlabelled: list[NamedFile] = field(default_factory=list)  # files to which the rule gives no label

    def applied_to(self, clip: Clip, file: Path) -> Clip:
        """The clip of this file with what the rule says about it."""
        says = self.by_file[file]
        changed = {name: value for name in ("label", "subject", "camera") if (value := getattr(says, name)) is not None}
        if says.split is not None:
            # The file's own protocols would say otherwise.
            changed |= {"split": says.split, "splits": {}}
        return replace(clip, **changed)

    def about_unlabelled(self) -> str:
        """A sentence about the files that have no label by the rule; empty if all have one."""
        if not self.unlabelled:
            return ""
        named = ", ".join(file.below for file in self.unlabelled[:3])
        others = len(self.unlabelled) - 3
        more = "" if others < 1 else " and 1 other" if others == 1 else f" and {others:,} others"
        return (
            f"--label-from gives no label to {len(self.unlabelled):,} of {len(self.by_file):,} files: {named}{more}. "
            f"Their clips keep the label that the file itself gives, if it gives one."
        )


def label_files(rule: str, files: Sequence[NamedFile]) -> FolderLabels:
    """What the rule says about each file.

    Raises `InvalidRequestError` for a rule that is none of the three, for one that gives no file a label, and for a
    camera that is not a number; `DamagedFileError`, which names the line, for a table that is malformed, that names a
    file which is not there, or that names one twice.
    """
    with in_field("label_from"):
        if rule == FOLDER:
            says = {file.path: FileLabels(label=_folder_of(file.path) or None) for file in files}
        elif rule.lower().endswith(".csv") and "(?P<" not in rule:
            says = _from_table(Path(rule), files)
        else:
            says = _from_paths(_expression(rule), files)
        found = FolderLabels(says, [file for file in files if says[file.path].label is None])
        if len(found.unlabelled) == len(files):
            raise InvalidRequestError(
                f"{rule!r} gives no label to any of the {len(files):,} files, for example not to {files[0].below!r}."
            )
        return found


def _folder_of(file: Path) -> str:
    return Path(os.path.abspath(file)).parent.name  # noqa: PTH100 (keeps links)


def _expression(rule: str) -> re.Pattern[str]:
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise InvalidRequestError(f"{rule!r} is not a regular expression: {error}.") from error
    if "label" not in expression.groupindex:
        raise InvalidRequestError(
            f"{rule!r} does not say what the label is. Give `{FOLDER}`, the path of a .csv file, or a regular "
            f"expression with a group (?P<label>...), such as '(?P<label>[a-z]+)_[0-9]+'."
        )
    unknown = sorted(expression.groupindex.keys() - {"label", "subject", "camera"})
    if unknown:
        raise InvalidRequestError(
            f"{rule!r} has a group named {unknown[0]!r}; groups are label, subject and camera. Write (?:...) for a "
            f"group without a name."
        )
    return expression


def _from_paths(expression: re.Pattern[str], files: Sequence[NamedFile]) -> dict[Path, FileLabels]:
    says = {}
    for file in files:
        found = expression.search(file.below)
        groups = found.groupdict() if found else {}
        try:
            says[file.path] = _file_labels(groups)
        except ValueError as error:
            raise InvalidRequestError(f"{file.below} {error}.") from error
    return says


def _from_table(table: Path, files: Sequence[NamedFile]) -> dict[Path, FileLabels]:
    whole: dict[str, list[Path]] = defaultdict(list)
    ends: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        below = PurePosixPath(file.below)
        for path in {str(below), str(below.with_suffix(""))}:
            whole[path].append(file.path)
        for end in ends_of(file.path):
            ends[end].append(file.path)
    says: dict[Path, FileLabels] = {}
    lines: dict[Path, int] = {}  # that name the files
    rows = csv.reader(read_lines(table))
    try:
        heading = next(rows, [])
        _check_heading(heading)
        for row in rows:
            if len(row) != len(heading):
                raise ValueError(f"must hold {', '.join(heading)}, has {len(row)} fields")
            fields = dict(zip(heading, row, strict=True))
            name = str(PurePosixPath(fields.pop("file"))).lstrip("/")
            named = _the_one(name, whole.get(name) or ends.get(name) or [], files)
            if lines.setdefault(named, rows.line_num) != rows.line_num:
                raise ValueError(f"names {name}, which line {lines[named]} names too")
            says[named] = _file_labels(fields)
    except (ValueError, csv.Error) as error:
        raise damaged_line(table, max(rows.line_num, 1), str(error)) from error
    return {file.path: says.get(file.path, FileLabels()) for file in files}


def _check_heading(heading: Sequence[str]) -> None:
    right = {"file", "label"} <= set(heading) <= set(_COLUMNS) and len(set(heading)) == len(heading)
    if not right:
        raise ValueError(
            f"must name the columns, with commas between them: file and label, and if wanted subject, camera and "
            f"split; got {','.join(heading)[:60]!r}"
        )


def _the_one(name: str, found: Sequence[Path], files: Sequence[NamedFile]) -> Path:
    if not found:
        raise ValueError(
            f"names {name}, which is not among the {len(files):,} files; expected a path below the folder of the "
            f"recordings, such as {files[0].below}"
        )
    if len(found) > 1:
        raise ValueError(f"names {name}, which may be {found[0]} or {found[1]}; write more of its path")
    return found[0]


def _file_labels(fields: Mapping[str, str | None]) -> FileLabels:
    """The values of a row or of groups. Raises `ValueError` for a camera or split that cannot be one."""
    given = {name: value.strip() for name, value in fields.items() if value and value.strip()}
    camera, split = given.get("camera"), given.get("split")
    if camera is not None and not re.fullmatch(r"[0-9]{1,4}", camera):
        raise ValueError(f"has the camera {camera[:40]!r}; expected a whole number from 0 to 9999")
    if split is not None and split not in _SPLITS:
        raise ValueError(f"has the split {split[:40]!r}; expected train, test or nothing")
    return FileLabels(
        label=given.get("label"),
        subject=given.get("subject"),
        camera=None if camera is None else int(camera),
        split=None if split is None else _SPLITS[split],
    )
