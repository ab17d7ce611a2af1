"""Files of a command are found in any case of their suffix, each once, and have names that differ."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.formats import Clip, NamedFile, find_files, find_named_files, read_clips, write_clip_file
from gfp_serve.formats.file_names import ends_of, names_of
from gfp_serve.layouts import NTU25


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sequence = np.ones((2, 1, 25, 3), dtype=np.float32)
    write_clip_file(path, [Clip(name="c", sequence=sequence, layout=NTU25, fps=30.0)])
    return path


def names(*paths: str) -> list[str]:
    return names_of([Path("/data") / path for path in paths])


@pytest.mark.parametrize("suffix", ["NPZ", "Npz", "npz"])
def test_a_suffix_is_read_in_any_case(suffix: str, tmp_path: Path) -> None:
    file = write(tmp_path / f"RUN.{suffix}")
    assert find_files(tmp_path) == find_files(file) == [file]
    (clip,) = read_clips(file)
    assert clip.name == "c"


def test_a_file_that_has_its_name_alone_is_called_after_it() -> None:
    assert names("s1/walk.bvh", "s2/run.bvh", "sit.npz") == ["walk", "run", "sit"]


def test_files_of_one_name_keep_the_folders_that_tell_them_apart() -> None:
    assert names("s1/walk.bvh", "s2/walk.bvh", "s2/run.bvh") == ["s1/walk", "s2/walk", "run"]
    assert names("a/x/walk.bvh", "b/x/walk.bvh", "b/y/walk.bvh") == ["a/x/walk", "b/x/walk", "y/walk"]
    assert names("walk.bvh", "s1/walk.bvh") == ["data/walk", "s1/walk"]


def test_files_of_one_folder_that_differ_in_the_suffix_keep_it() -> None:
    assert names("walk.bvh", "walk.npz", "run.bvh") == ["walk.bvh", "walk.npz", "run"]
    assert names("walk.bvh", "walk.BVH") == ["walk.bvh", "walk.BVH"]
    assert names("s1/walk.bvh", "s1/walk.npz", "s2/walk.bvh") == ["s1/walk.bvh", "walk.npz", "s2/walk"]


paths = st.lists(st.sampled_from(["s1", "s2", "walk", "walk.bvh"]), max_size=3).flatmap(
    lambda folders: st.sampled_from(["walk.bvh", "walk.npz", "walk.bvh.npz", "run.bvh"]).map(
        lambda name: "/".join([*folders, name])
    )
)


@given(st.lists(paths, unique=True, max_size=12))
def test_no_two_files_have_one_name_and_each_name_is_an_end_of_its_path(drawn: list[str]) -> None:
    found = names(*drawn)
    assert len(set(found)) == len(found)
    assert all(name in ends_of(Path("/data") / path) for name, path in zip(found, drawn, strict=True))


def test_a_file_in_two_of_the_named_folders_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk, run = write(tmp_path / "s1" / "walk.npz"), write(tmp_path / "run.npz")
    monkeypatch.chdir(tmp_path)
    again = Path(os.pardir) / tmp_path.name / "run.npz"
    files = find_named_files([tmp_path, tmp_path / "s1", again])
    assert files == [NamedFile(run, tmp_path, "run"), NamedFile(walk, tmp_path, "walk")]
    assert [file.below for file in files] == ["run.npz", "s1/walk.npz"]
    assert [file.below for file in find_named_files([again])] == [again.as_posix()]
