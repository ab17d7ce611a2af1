"""What readers say about files reaches the caller of `read_clips`, and is said once for all files that it is about."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gfp_serve import formats
from gfp_serve.formats import Clip, Remark, read_clips
from gfp_serve.formats.remark import Remarks
from gfp_serve.layouts import NTU25

TURNED, LOST = Remark("z pointed up; the clips were turned."), Remark("it has one frame.", left_out="b")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose reader makes two remarks and yields one clip."""

    def read(_: Path) -> Iterator[Clip | Remark]:
        yield TURNED
        yield Clip(name="a", sequence=np.ones((2, 1, 25, 3), dtype=np.float32), layout=NTU25, fps=30.0)
        yield LOST

    monkeypatch.setitem(formats.READERS, ".bvh", read)
    (tmp_path / "walk.bvh").touch()
    return tmp_path / "walk.bvh"


def test_remarks_go_to_report_and_clips_to_the_caller(file: Path) -> None:
    remarks: list[Remark] = []
    assert [clip.name for clip in read_clips(file, report=remarks.append)] == ["a"]
    assert remarks == [TURNED, LOST]


def test_remarks_are_logged_where_nobody_takes_them(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        list(read_clips(file))
    assert caplog.messages == [f"{file}: {TURNED.text}", f"{file}: clip 'b': it has one frame."]


def test_a_remark_on_several_files_is_one_line() -> None:
    remarks = Remarks()
    for name in ("a", "a", "b", "c"):
        remarks.add(Path(name), "it was turned.")
    remarks.add(Path("b"), "its unit is the inch.")
    remarks.add(Path("d"), "its unit is the inch.")
    remarks.add(Path("d"), "it is mirrored.")
    assert remarks.lines() == [
        "a and 2 other files: it was turned.",
        "b and 1 other file: its unit is the inch.",
        "d: it is mirrored.",
    ]
