"""HumanML3D's joints."""

import re
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import files_beside, find_files, read_clips
from gfp_serve.layouts import HUMANML22

from .videos import read_with_remarks, standing

JOINTS = np.repeat(np.column_stack([standing(HUMANML22), np.zeros(22)])[None], 5, axis=0).astype(np.float32)


def write(folder: Path, array: np.ndarray, name: str = "000021") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.npy", array)
    return folder / f"{name}.npy"


def test_a_clip_has_its_joints_and_the_first_sentence_about_it(tmp_path: Path) -> None:
    file = write(tmp_path / "new_joints", JOINTS)
    texts = tmp_path / "texts" / "000021.txt"
    texts.parent.mkdir()
    texts.write_text("a person waits.#a/DET person/NOUN wait/VERB#0.0#0.0\nsomeone stands.#someone/PRON#0.0#0.0\n")
    (clip,), said = read_with_remarks(file)
    np.testing.assert_array_equal(clip.sequence, JOINTS[:, None])
    assert (clip.name, clip.layout, clip.fps, clip.label) == ("000021", HUMANML22, 20.0, None)
    assert clip.description == "a person waits."
    assert files_beside(file) == [texts]
    assert said == []


def test_a_clip_without_a_text_has_no_description_and_a_caller_says_conventions(tmp_path: Path) -> None:
    file = write(tmp_path, JOINTS[..., [0, 2, 1]] * 1000 * np.float32([1, -1, 1]))
    (clip,), said = read_with_remarks(file, up="z", unit="mm")
    np.testing.assert_allclose(clip.sequence, JOINTS[:, None], atol=1e-5)
    assert clip.description == ""
    assert said == ["read as z up, millimetres, right-handed."]


@pytest.mark.parametrize("shape", ["(0, 9223372036854775808, 3)", "(True, 22, 3)", f"({'1, ' * 70})"])
def test_a_header_of_an_array_that_cannot_be_is_refused_by_name(shape: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.npy"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(500)[:499] + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(4 * 66))
    with pytest.raises(DamagedFileError, match=re.escape(str(path))):
        list(read_clips(path))


def test_infinite_coordinates_leave_the_clip_out(tmp_path: Path) -> None:
    wrong = JOINTS.copy()
    wrong[1, 2, 0] = -np.inf
    clips, said = read_with_remarks(write(tmp_path, wrong))
    assert (clips, said) == ([], ["clip '000021': a coordinate is infinite; what was not seen is NaN."])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (JOINTS[:, :21], "has shape 5 × 21 × 3, which is of no known format; expected floating-point"),
        (JOINTS.astype(np.int16), "has shape 5 × 22 × 3, which is of no known format"),
        (JOINTS[:0], "has shape 0 × 22 × 3, so no frame; leave it out"),
        (np.zeros((5, 263)), "it has the 263 features of HumanML3D (new_joint_vecs), and not the places of joints"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    file = write(tmp_path, array)
    with pytest.raises(DamagedFileError, match=re.escape(message)) as refusal:
        list(read_clips(file))
    assert str(refusal.value).startswith(str(file))


def test_in_the_folder_of_the_data_set_its_features_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path / "new_joints", JOINTS)
    first = write(tmp_path / "new_joint_vecs", np.zeros((5, 263)))
    write(tmp_path / "new_joint_vecs", np.zeros((4, 263)), "000022")
    write(tmp_path, np.zeros(263), "Mean")
    assert find_files(tmp_path) == [file]
    (said,) = caplog.messages
    assert said.startswith(f"left out: {first} and 1 more: it has the 263 features of HumanML3D")
    assert "Give the file of the same name in new_joints" in said
