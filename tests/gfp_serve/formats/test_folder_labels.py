"""A rule labels files by their folders, their names or a table, and says what is wrong with itself."""

import re
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError, InvalidRequestError
from gfp_serve.formats import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, Clip, NamedFile, find_named_files
from gfp_serve.formats.folder_labels import FileLabels, label_files
from gfp_serve.layouts import NTU25


@pytest.fixture
def files(tmp_path: Path) -> list[NamedFile]:
    """Files of two people, who both walk; one sits too."""
    for path in ("ada/walk_1.bvh", "bob/walk_1.bvh", "bob/sit_2.BVH"):
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path).touch()
    return find_named_files([tmp_path / "data"])


def labels(rule: object, files: list[NamedFile]) -> dict[str, FileLabels]:
    found = label_files(str(rule), files)
    return {file.below: found.by_file[file.path] for file in files}


def table(tmp_path: Path, *lines: str) -> Path:
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "labels.csv"


def test_folder_is_the_name_of_the_folder_that_the_file_lies_in(files: list[NamedFile], tmp_path: Path) -> None:
    assert {path: says.label for path, says in labels("folder", files).items()} == {
        "ada/walk_1.bvh": "ada",
        "bob/sit_2.BVH": "bob",
        "bob/walk_1.bvh": "bob",
    }
    alone = find_named_files([tmp_path / "data" / "bob" / ".." / "ada" / "walk_1.bvh"])
    assert [says.label for says in labels("folder", alone).values()] == ["ada"]


def test_groups_of_an_expression_are_label_subject_and_camera(files: list[NamedFile]) -> None:
    found = labels(r"(?P<subject>\w+)/(?P<label>[a-z]+)_(?P<camera>\d)", files)
    assert found["ada/walk_1.bvh"] == FileLabels("walk", "ada", 1)
    assert found["bob/sit_2.BVH"] == FileLabels("sit", "bob", 2)


def test_a_file_that_is_named_itself_is_matched_by_its_whole_path(files: list[NamedFile]) -> None:
    named = find_named_files([file.path for file in files])
    assert {says.label for says in labels(r"data/(?P<label>\w+)/", named).values()} == {"ada", "bob"}


def test_files_without_a_label_are_named_in_one_sentence(files: list[NamedFile]) -> None:
    found = label_files("(?P<label>sit)", files)
    assert [file.below for file in found.unlabelled] == ["ada/walk_1.bvh", "bob/walk_1.bvh"]
    assert "no label to 2 of 3 files: ada/walk_1.bvh, bob/walk_1.bvh." in found.about_unlabelled()
    assert label_files("folder", files).about_unlabelled() == ""
    many = [NamedFile(Path(f"{n}.bvh"), Path(f"{n}.bvh"), str(n)) for n in range(9)]
    assert "8 of 9 files: 0.bvh, 1.bvh, 2.bvh and 5 others." in label_files("(?P<label>8)", many).about_unlabelled()


def test_a_table_has_columns_in_any_order_and_files_by_as_much_of_their_path_as_is_needed(
    files: list[NamedFile], tmp_path: Path
) -> None:
    rows = (
        "label,file,split,subject,camera",
        "walk,./ada/walk_1.bvh,train,,",
        '"sit, still",sit_2,test,7,3',
        "limp,data/bob/walk_1,,,",
    )
    assert labels(table(tmp_path, *rows), files) == {
        "ada/walk_1.bvh": FileLabels("walk", split=TRAIN_SPLIT),
        "bob/sit_2.BVH": FileLabels("sit, still", "7", 3, TEST_SPLIT),
        "bob/walk_1.bvh": FileLabels("limp"),
    }


def test_a_path_below_the_folder_is_meant_before_an_end_of_another(tmp_path: Path) -> None:
    for path in ("walk.bvh", "s1/walk.bvh"):
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path).touch()
    files = find_named_files([tmp_path / "data"])
    found = labels(table(tmp_path, "file,label", "walk.bvh,walk"), files)
    assert {path: says.label for path, says in found.items()} == {"walk.bvh": "walk", "s1/walk.bvh": None}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1 must name the columns"),
        (["file;label"], "line 1 must name the columns, with commas between them: file and label"),
        (["file,label,sbject"], "line 1 must name the columns"),
        (["file,label,label"], "line 1 must name the columns"),
        (["file,label", "sit_2"], "line 2 must hold file, label, has 1 fields"),
        (
            ["file,label", "sit_2,sit", "x/sit_2,sit"],
            "line 3 names x/sit_2, which is not among the 3 files;",
        ),
        (["file,label", "walk_1.bvh,walk"], "line 2 names walk_1.bvh, which may be "),
        (["file,label", "sit_2,sit", "bob/sit_2,sit"], "line 3 names bob/sit_2, which line 2 names too"),
        (
            ["file,label,camera", "sit_2,sit,left"],
            "line 2 has the camera 'left'; expected a whole number",
        ),
        (["file,label,split", "sit_2,sit,0"], "line 2 has the split '0'; expected train, test or nothing"),
    ],
)
def test_a_wrong_table_is_named_by_its_line(
    files: list[NamedFile], tmp_path: Path, lines: list[str], said: str
) -> None:
    path = table(tmp_path, *lines)
    with pytest.raises(DamagedFileError, match=re.escape(f"{path}: {said}")):
        label_files(str(path), files)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("(?P<label>", "is not a regular expression"),
        ("[a-z]+", "does not say what the label is. Give `folder`, the path of a .csv file, or"),
        ("(?P<label>a)(?P<side>b)", "has a group named 'side'; groups are label, subject and camera"),
        ("(?P<label>zzz)", "gives no label to any of the 3 files, for example not to 'ada/walk_1.bvh'"),
        ("(?P<label>walk)_(?P<camera>.*)", "ada/walk_1.bvh has the camera '1.bvh'; expected"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_to_give(files: list[NamedFile], rule: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(said)) as refused:
        label_files(rule, files)
    assert refused.value.field == "label_from"


def test_what_a_rule_says_replaces_what_the_file_says_and_the_rest_stays(
    files: list[NamedFile], tmp_path: Path
) -> None:
    sequence = np.ones((2, 1, 25, 3), dtype=np.float32)
    clip = Clip(
        name="c", sequence=sequence, layout=NTU25, fps=30.0, label="own", subject="own", camera=9, splits={"x-sub": 0}
    )
    found = label_files(str(table(tmp_path, "file,label,split", "sit_2,sit,test", "ada/walk_1,,")), files)
    ada, sit, bob = (found.applied_to(clip, file.path) for file in files)
    assert (sit.label, sit.subject, sit.camera, sit.split, sit.splits) == ("sit", "own", 9, TEST_SPLIT, {})
    for unchanged in (ada, bob):
        assert (unchanged.label, unchanged.split, unchanged.splits) == ("own", NO_SPLIT, {"x-sub": 0})
