"""Recordings are read file by file; a file that cannot be read does not stop the others."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.ntu_files import lines_of, write_lines
from trainer.data.reading import CleanedClip, Problem, ReadConfig, read_all


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of([{"1": [(0.0, joint / 25, 2.0) for joint in range(25)]}])
    closed, other = (write_lines(tmp_path / f"{name}.skeleton", lines) for name in ("closed", "other"))

    def open_others(path: Any, *arguments: Any, **named: Any) -> Any:
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_any(path, *arguments, **named)

    open_any = os.open
    monkeypatch.setattr(os, "open", open_others)
    files = [("lab", closed), ("lab", other)]
    first, second = read_all(files, ReadConfig(), num_workers=1)
    (problem,) = first.outcomes
    assert isinstance(problem, Problem)
    assert problem.is_file
    assert problem.reason.startswith(f"{closed} cannot be read: Permission denied")
    (clip,) = second.outcomes
    assert isinstance(clip, CleanedClip)
