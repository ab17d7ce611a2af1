import errno
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from gfp_serve.figure_file import save_figure
from tests.support.full_disk import file_size_limit


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_a_picture_is_of_the_kind_that_its_name_says(tmp_path: Path, suffix: str, begins: bytes) -> None:
    save_figure(Figure(figsize=(1, 1)), tmp_path / f"picture{suffix}", dpi=50)
    assert (tmp_path / f"picture{suffix}").read_bytes().startswith(begins)


def test_a_full_disk_is_told_with_the_name_of_the_picture_and_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("before")
    with file_size_limit(50), pytest.raises(OSError, match="too large") as refused:
        save_figure(Figure(figsize=(1, 1)), path, dpi=50)
    assert (refused.value.errno, refused.value.filename) == (errno.EFBIG, str(path))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]
