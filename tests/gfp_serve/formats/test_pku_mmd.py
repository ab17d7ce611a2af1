"""PKU-MMD: labels cut recordings into clips, the released folders are found, and an error names the line."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, Remark, files_beside, find_files, read_clips
from gfp_serve.layouts import NTU25
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged

# Folders of recordings, labels and split files below the data set's folder, in the forms that people have.
LAYOUTS = {
    "as released": ("Data/PKU_Skeleton_Renew", "Label/Train_Label_PKU_final", "Split"),
    "unpacked deeper": ("Data/Skeleton/PKU_Skeleton_Renew", "Label/Train_Label_PKU_final", "Split"),
    "as for MAMP": ("skeleton", "label", "."),
    "side by side": ("PKU_Skeleton_Renew", "Train_Label_PKU_final", "."),
}
LABELS = ["13,0,2,1", "1, 2, 5, 2"]


def make_rows(num_frames: int, *, second: bool = False) -> list[str]:
    """Return lines of a recording: joint j of body 1 is at (frame + 1, j, 0.5); body 2 is 10 further in x."""
    rows = []
    for frame in range(num_frames):
        first = [f"{frame + 1:e} {joint:.7f} 0.5" for joint in range(25)]
        other = [f"{frame + 11} {joint} 0.5" if second else "0 0 0" for joint in range(25)]
        rows.append(" ".join([*first, *other]))
    return rows


def write(path: Path, lines: Sequence[str], end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def write_recording(
    folder: Path,
    name: str = "0002-L",
    *,
    rows: Sequence[str] | None = None,
    labels: Sequence[str] = LABELS,
    layout: str = "as released",
) -> Path:
    recordings, label_folder, _ = LAYOUTS[layout]
    write(folder / label_folder / f"{name}.txt", labels)
    return write(folder / recordings / f"{name}.txt", make_rows(6) if rows is None else rows)


def test_a_clip_is_the_rows_from_a_labels_start_up_to_its_end(tmp_path: Path) -> None:
    wave, bow = read_clips(write_recording(tmp_path))
    assert (wave.label, bow.label) == ("hand waving", "bow")
    assert (wave.name, bow.name) == ("0002-L_00", "0002-L_01")
    assert wave.sequence.shape == (2, 1, 25, 3)
    np.testing.assert_array_equal(bow.sequence[:, 0, 4], [[3, 4, 0.5], [4, 4, 0.5], [5, 4, 0.5]])
    assert (wave.layout, wave.fps, wave.subject, wave.split) == (NTU25, 30.0, "unknown", NO_SPLIT)
    assert bow.description == "frames 2 to 5"


def test_the_last_letter_of_the_name_is_the_camera(tmp_path: Path) -> None:
    cameras = [next(read_clips(write_recording(tmp_path, name))).camera for name in ("0002-L", "0002-M", "A01N01-R")]
    assert cameras == [1, 2, 3]


def test_a_second_body_is_kept_only_in_clips_that_show_it(tmp_path: Path) -> None:
    rows = [*make_rows(2), *make_rows(6, second=True)[2:]]
    alone, both = read_clips(write_recording(tmp_path, rows=rows))
    assert alone.sequence.shape == (2, 1, 25, 3)
    np.testing.assert_array_equal(both.sequence[:, :, 0, 0], [[3, 13], [4, 14], [5, 15]])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_naming_the_folder_of_the_data_set_is_enough(layout: str, tmp_path: Path) -> None:
    for name in ("0002-L", "0003-M"):
        write_recording(tmp_path, name, layout=layout)
    write(tmp_path / LAYOUTS[layout][2] / "cross-subject.txt", ["Training videos:", "0002-L", "Others:", "0003-M"])
    write(tmp_path / "README.txt", ["Please cite us."])
    files = find_files(tmp_path)
    assert [file.relative_to(tmp_path) for file in files] == [
        Path(LAYOUTS[layout][0]) / name for name in ("0002-L.txt", "0003-M.txt")
    ]
    clips = [clip for file in files for clip in read_clips(file)]
    assert [clip.split for clip in clips] == [TRAIN_SPLIT, TRAIN_SPLIT, TEST_SPLIT, TEST_SPLIT]
    assert {len(clip.sequence) for clip in clips} == {2, 3}


def test_labels_in_files_of_csv_are_found(tmp_path: Path) -> None:
    write(tmp_path / "label" / "0002-L.csv", LABELS)
    assert len(list(read_clips(write(tmp_path / "skeleton" / "0002-L.txt", make_rows(6))))) == 2


@pytest.mark.parametrize("name", ["cross_subject", "cross-subject"])
def test_recordings_that_are_not_listed_for_training_are_test_recordings(name: str, tmp_path: Path) -> None:
    training = ["0002-L, 0004-R,0005-M, ", ""]
    write(tmp_path / "Split" / f"{name}.txt", ["Training videos: ", *training, "Held videos: ", "0003-L"], "\r\n")
    sides = {}
    for recording in ("0002-L", "0005-M", "0002-M", "0003-L"):
        sides[recording] = next(read_clips(write_recording(tmp_path, recording))).split
    assert sides == {"0002-L": TRAIN_SPLIT, "0005-M": TRAIN_SPLIT, "0002-M": TEST_SPLIT, "0003-L": TEST_SPLIT}


def test_each_phase_has_its_own_split_file(tmp_path: Path) -> None:
    write(tmp_path / "Split" / "cross_subject.txt", ["Training videos:", "0002-L", "Validation videos:", "0003-L"])
    write(
        tmp_path / "Split" / "cross_subject_v2.txt", ["Training videos:", "A01N01-L", "Validation videos:", "A02N01-L"]
    )
    names = ("0002-L", "0003-L", "A01N01-L", "A02N01-L")
    sides = [next(read_clips(write_recording(tmp_path, name))).split for name in names]
    assert sides == [TRAIN_SPLIT, TEST_SPLIT, TRAIN_SPLIT, TEST_SPLIT]


def test_a_recording_has_a_part_in_each_protocol_that_has_a_file(tmp_path: Path) -> None:
    write(tmp_path / "Split" / "cross-subject.txt", ["Training videos:", "0002-M"])
    write(tmp_path / "Split" / "cross_view.txt", ["Training videos:", "0002-L, 0002-M"])
    clip = next(read_clips(write_recording(tmp_path)))
    assert clip.splits == {"x-sub": TEST_SPLIT, "x-view": TRAIN_SPLIT}
    assert clip.split == TEST_SPLIT


def test_labels_may_overlap_and_have_decimal_points(tmp_path: Path) -> None:
    first, second = read_clips(write_recording(tmp_path, labels=["1.0,0.0,4.0,0.9", "2,1,3,x"]))
    assert (len(first.sequence), len(second.sequence)) == (4, 2)


@pytest.mark.parametrize("label", ["5,3,3,1", "5,4,3,1"])
def test_a_label_without_frames_gives_an_empty_clip_and_leaves_the_others_alone(label: str, tmp_path: Path) -> None:
    empty, whole = read_clips(write_recording(tmp_path, labels=[label, LABELS[1]]))
    assert (empty.sequence.shape, whole.sequence.shape) == ((0, 1, 25, 3), (3, 1, 25, 3))


def test_a_label_past_the_end_of_its_recording_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    recording = write_recording(tmp_path, labels=[LABELS[0], "1,2,7,1", "5,7,9,1", LABELS[1]])
    remarks: list[Remark] = []
    clips = list(read_clips(recording, report=remarks.append))
    assert [clip.name for clip in clips] == ["0002-L_00", "0002-L_03"]
    assert [remark.left_out for remark in remarks] == ["0002-L_01", "0002-L_02"]
    file = tmp_path / "Label" / "Train_Label_PKU_final" / "0002-L.txt"
    assert f"line 2 of {file}, ends at frame 7, but the recording has 6" in remarks[0].text


def test_suffixes_are_read_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "skeleton").mkdir()
    write(tmp_path / "skeleton" / "0002-L.TXT", make_rows(6))
    write(tmp_path / "label" / "0002-L.Txt", LABELS)
    write(tmp_path / "Split" / "cross-subject.TXT", ["Training videos:", "0002-L"])
    (file,) = find_files(tmp_path)
    assert [clip.split for clip in read_clips(file)] == [TRAIN_SPLIT] * 2
    assert [beside.name for beside in files_beside(file)] == ["0002-L.Txt", "cross-subject.TXT"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["52,0,2,1"], "line 1 names action 52; expected 1 to 51"),
        (["0,0,2,1"], "line 1 names action 0"),
        (["13,0,2,1", "13,0,2"], "line 2 must be `action, start, end, confidence`, got '13,0,2'"),
        (["13,-1,2,1"], "line 1 must be"),
        (["13,0.5,2,1"], "line 1 must be"),
        (["13,zero,2,1"], "line 1 must be"),
        (["13,0,99999999999999999999,1"], "line 1 must be"),
    ],
)
def test_a_wrong_label_is_named_by_file_and_line(labels: list[str], said: str, tmp_path: Path) -> None:
    recording = write_recording(tmp_path, labels=labels)
    file = tmp_path / "Label" / "Train_Label_PKU_final" / "0002-L.txt"
    with pytest.raises(DamagedFileError, match=re.escape(f"{file}: {said}")):
        next(read_clips(recording))


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        (1, "1 2 3", "line 1 must hold 150 numbers, has 3"),
        (3, "", "line 3 must hold 150 numbers, has 0"),
        (4, " ".join(["1"] * 149 + ["one"]), "line 4 must hold numbers, got 'one'"),
        (6, " ".join(["0.1"] * 75), "line 6 must hold 150 numbers, has 75"),
        (2, " ".join(["1"] * 149 + ["1e39"]), "line 2 holds a number that is infinite"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(line: int, text: str, said: str, tmp_path: Path) -> None:
    rows = make_rows(6)
    rows[line - 1] = text
    recording = write_recording(tmp_path, rows=rows)
    with pytest.raises(DamagedFileError, match=re.escape(f"{recording}: {said}")):
        next(read_clips(recording))


def test_a_split_file_that_lists_something_else_is_refused(tmp_path: Path) -> None:
    split = write(tmp_path / "Split" / "cross-subject.txt", ["Training videos:", "0002-L, everybody"])
    with pytest.raises(DamagedFileError, match=re.escape(f"{split}: line 2 lists 'everybody'")):
        next(read_clips(write_recording(tmp_path)))
    write(split, ["Training videos:"])
    with pytest.raises(DamagedFileError, match="names no training recording"):
        next(read_clips(write_recording(tmp_path)))


def test_a_recording_without_labels_or_frames_and_other_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"has no labels; expected a file 0002-L\.txt in a folder with 'label'"):
        next(read_clips(write(tmp_path / "skeleton" / "0002-L.txt", make_rows(2))))
    with pytest.raises(DamagedFileError, match="names no action in"):
        next(read_clips(write_recording(tmp_path, labels=[])))
    with pytest.raises(DamagedFileError, match=r"0002-L\.txt is empty"):
        next(read_clips(write_recording(tmp_path, rows=[])))
    with pytest.raises(DamagedFileError, match="is not a recording of PKU-MMD"):
        next(read_clips(write(tmp_path / "notes.txt", ["hello"])))


@given(data=st.data(), what=st.sampled_from(["recording", "labels", "split"]))
def test_files_cut_off_or_with_wrong_bytes_give_clips_or_are_refused(
    data: st.DataObject, what: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    recording = write_recording(folder)
    split = write(folder / "Split" / "cross-subject.txt", ["Training videos:", "0002-L, 0003-L"])
    file = {"recording": recording, "labels": folder / LAYOUTS["as released"][1] / "0002-L.txt", "split": split}[what]
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    check_gives_clips_or_is_refused_by_name(recording, file)
