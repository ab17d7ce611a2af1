"""Files that have no joints without a body model or another program say what to do instead."""

from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import find_files, read_clips
from gfp_serve.formats.without_joints import why

EXAMPLE = Path(__file__).parents[3] / "examples" / "clips" / "precog.npz"


def amass(path: Path, **arrays: np.ndarray) -> Path:
    poses = {"poses": np.zeros((4, 156)), "trans": np.zeros((4, 3)), "betas": np.zeros(16)}
    np.savez(path, **(arrays or poses), mocap_framerate=np.array(120.0))
    return path


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("run.fbx", "export the armature as Motion Capture"),
        ("run.GLB", "export the armature as Motion Capture"),
        ("run.gltf", "export the armature as Motion Capture"),
        ("run.vrm", "with the VRM add-on"),
        ("02.asf", "Name its .amc files"),
    ],
)
def test_a_format_that_is_not_read_is_refused_with_the_way_to_convert_it(
    name: str, advice: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(b"any")
    for refuse in (find_files, lambda path: list(read_clips(path))):
        with pytest.raises(DamagedFileError, match=advice) as refusal:
            refuse(file)
        assert str(refusal.value).startswith(f"{file}: ")
    with pytest.raises(DamagedFileError, match=rf"a folder without recordings.*{advice}"):
        find_files(tmp_path)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"pose_body": np.zeros((4, 63)), "root_orient": np.zeros((4, 3)), "betas": np.zeros(16)},
        {"smpl_poses": np.zeros((4, 72)), "gender": np.array("neutral")},
    ],
)
def test_parameters_of_a_body_model_are_refused(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    file = amass(tmp_path / "walk_poses.npz", **arrays)
    with pytest.raises(DamagedFileError, match=r"parameters of a body model.*package smplx.*write_clip_file"):
        list(read_clips(file))


def test_a_clip_file_that_has_poses_too_is_read(tmp_path: Path) -> None:
    with np.load(EXAMPLE) as arrays:
        np.savez(tmp_path / "both.npz", **arrays, poses=np.zeros((4, 156)), trans=np.zeros((4, 3)))
    assert why(tmp_path / "both.npz") == ""
    assert next(read_clips(tmp_path / "both.npz")).name == "Seq1_1"


def test_in_a_folder_they_are_left_out_and_each_kind_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clips.npz").write_bytes(EXAMPLE.read_bytes())
    amass(tmp_path / "a_poses.npz")
    amass(tmp_path / "b_poses.npz")
    (tmp_path / "run.fbx").write_bytes(b"any")
    (tmp_path / "notes.md").write_text("other files are passed over")
    assert find_files(tmp_path) == [tmp_path / "clips.npz"]
    of_models, of_fbx = caplog.messages
    assert of_models.startswith(f"left out: {tmp_path / 'a_poses.npz'} and 1 more: it has the parameters")
    assert of_fbx.startswith(f"left out: {tmp_path / 'run.fbx'}: FBX is not read.")
