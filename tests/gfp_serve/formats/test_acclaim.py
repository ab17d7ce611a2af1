"""Acclaim motion capture: .asf and .amc, as CMU and HDM05 have them."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import files_beside, find_files, read_clips
from gfp_serve.joint_map import read_joint_map
from gfp_serve.layouts import NTU25, statuses
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged
from trainer.cli.data import gfp_data

from .videos import read_with_remarks

# Name: parent, direction, length in metres. The person faces along z.
BONES = {
    "lhipjoint": ("root", (1, 0, 0), 0.09),
    "lfemur": ("lhipjoint", (0, -1, 0), 0.43),
    "ltibia": ("lfemur", (0, -1, 0), 0.43),
    "lfoot": ("ltibia", (0, -0.6, 0.8), 0.15),
    "rhipjoint": ("root", (-1, 0, 0), 0.09),
    "rfemur": ("rhipjoint", (0, -1, 0), 0.43),
    "rtibia": ("rfemur", (0, -1, 0), 0.43),
    "rfoot": ("rtibia", (0, -0.6, 0.8), 0.15),
    "lowerback": ("root", (0, 1, 0), 0.25),
    "thorax": ("lowerback", (0, 1, 0), 0.25),
    "lowerneck": ("thorax", (0, 1, 0), 0.09),
    "head": ("lowerneck", (0, 1, 0), 0.2),
    "lclavicle": ("thorax", (1, 0, 0), 0.18),
    "lhumerus": ("lclavicle", (0, -1, 0), 0.3),
    "lradius": ("lhumerus", (0, -1, 0), 0.25),
    "rclavicle": ("thorax", (-1, 0, 0), 0.18),
    "rhumerus": ("rclavicle", (0, -1, 0), 0.3),
    "rradius": ("rhumerus", (0, -1, 0), 0.25),
}
UNIT_M = 0.0254 / 0.45  # CMU's
ROOT = "root 0 {height} 0 0 0 0"
STILL = [f"{ROOT.format(height=0.9 / UNIT_M)}\n"]


def skeleton(*, length: str = "0.45", dof: str = "rx ry rz", axes: dict[str, str] | None = None) -> str:
    scale = 0.0254 / float(length)
    bones = "".join(
        f"  begin\n    id {number}\n    name {name}\n    direction {x} {y} {z}\n    length {metres / scale:.6f}\n"
        f"    axis {(axes or {}).get(name, '0 0 0')}  XYZ\n    dof {dof}\n"
        f"    limits (-160.0 20.0)\n  end\n"
        for number, (name, (_, (x, y, z), metres)) in enumerate(BONES.items(), start=1)
    )
    children: dict[str, list[str]] = {}
    for name, (parent, _, _) in BONES.items():
        children.setdefault(parent, []).append(name)
    tree = "".join(f"    {parent} {' '.join(names)}\n" for parent, names in children.items())
    return (
        f"# AST/ASF file\n:version 1.10\n:name VICON\n:units\n  mass 1.0\n  length {length}\n  angle deg\n"
        f":documentation\n  written by hand\n:root\n   order TX TY TZ RX RY RZ\n   axis XYZ\n   position 0 0 0\n"
        f"   orientation 0 0 0\n:bonedata\n{re.sub('    limits.*', '', bones)}:hierarchy\n  begin\n{tree}  end\n"
    )


def write(folder: Path, frames: list[str] | None = None, name: str = "02_01.amc", **about: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "02.asf").write_text(skeleton(**about))  # type: ignore[arg-type]
    motion = "".join(f"{number}\n{frame}" for number, frame in enumerate(frames or STILL * 3, start=1))
    path = folder / name
    path.write_text(f"#!OML:ASF\n:FULLY-SPECIFIED\n:DEGREES\n{motion}")
    return path


def place(clip, joint: str) -> np.ndarray:
    return clip.sequence[:, 0, clip.layout.canonical_names.index(joint)]


def test_a_pose_without_rotations_is_that_of_the_skeleton(tmp_path: Path) -> None:
    (clip,), said = read_with_remarks(write(tmp_path / "cmu"))
    assert said == ["read as y up, metres, right-handed, with the skeleton 02.asf, at 120 frames a second."]
    assert (clip.name, clip.fps, clip.sequence.shape) == ("02_01", 120.0, (3, 1, 19, 3))
    np.testing.assert_allclose(place(clip, "SpineBase"), [[0, 0.9, 0]] * 3, atol=1e-5)
    np.testing.assert_allclose(place(clip, "WristLeft"), [[0.18, 0.9 + 0.5 - 0.55, 0]] * 3, atol=1e-5)
    np.testing.assert_allclose(place(clip, "FootRight"), [[-0.09, 0.9 - 0.86 - 0.09, 0.12]] * 3, atol=1e-5)
    known = dict(zip(NTU25.joint_names, statuses(clip.layout, NTU25), strict=True))
    assert known["Head"] == "derived"  # the bone ends at the top of the head
    assert known["HandLeft"] == "lacking"


def test_a_bone_turns_about_its_parents_end_with_all_that_hangs_on_it(tmp_path: Path) -> None:
    raised = f"{STILL[0]}lhumerus 0 0 90\n"
    (clip,) = read_clips(write(tmp_path / "cmu", [*STILL, raised]))
    elbow, wrist = place(clip, "ElbowLeft"), place(clip, "WristLeft")
    np.testing.assert_allclose(elbow[1], [0.18 + 0.3, 1.4, 0], atol=1e-5)
    np.testing.assert_allclose(wrist[1], [0.18 + 0.55, 1.4, 0], atol=1e-5)
    np.testing.assert_allclose(place(clip, "WristRight")[1], place(clip, "WristRight")[0], atol=1e-6)


def test_rotations_are_in_the_frame_of_the_bone_and_x_comes_first(tmp_path: Path) -> None:
    # The frame of the arm is turned by 90 degrees about y, so its x axis is the world's -z.
    path = write(tmp_path / "cmu", [*STILL, f"{STILL[0]}lhumerus 90 0 0\n"], axes={"lhumerus": "0 90 0"})
    (clip,) = read_clips(path)
    np.testing.assert_allclose(place(clip, "ElbowLeft")[1], [0.18 - 0.3, 1.4, 0], atol=1e-5)
    path = write(tmp_path / "order", [*STILL, f"{STILL[0]}lhumerus 90 0 90\n"])
    (clip,) = read_clips(path)
    # About x first: from -y to -z; then about z, which leaves -z.
    np.testing.assert_allclose(place(clip, "ElbowLeft")[1], [0.18, 1.4, -0.3], atol=1e-5)


def test_a_bone_has_only_the_freedoms_that_the_skeleton_names(tmp_path: Path) -> None:
    path = write(tmp_path / "cmu", [*STILL, f"{STILL[0]}lhumerus 90\n"], dof="rz")
    (clip,) = read_clips(path)
    np.testing.assert_allclose(place(clip, "ElbowLeft")[1], [0.48, 1.4, 0], atol=1e-5)
    path.write_text(path.read_text().replace("lhumerus 90", "lhumerus 90 1"))
    with pytest.raises(DamagedFileError, match=r"02_01.amc: line 8 must hold 1 numbers behind its first word"):
        list(read_clips(path))


def test_the_root_travels_and_turns_everything(tmp_path: Path) -> None:
    turned = f"root {1 / UNIT_M} {0.9 / UNIT_M} 0 0 90 0\n"
    (clip,) = read_clips(write(tmp_path / "cmu", [*STILL * 3, turned]))
    np.testing.assert_allclose(place(clip, "SpineBase")[3], [1, 0.9, 0], atol=1e-5)
    np.testing.assert_allclose(place(clip, "HipLeft")[3], [1, 0.9, -0.09], atol=1e-5)


def test_a_unit_that_gives_no_human_is_decided_by_anatomy(tmp_path: Path) -> None:
    path = write(tmp_path / "cmu", [f"{ROOT.format(height=0.9)}\n"] * 3, length="0.0254")  # its lengths are metres
    file = path.with_name("02.asf")
    file.write_text(file.read_text().replace("length 0.0254", "length 0.45", 1))
    (clip,), said = read_with_remarks(path)
    assert "metres" in said[0]
    np.testing.assert_allclose(place(clip, "HipLeft")[0] - place(clip, "KneeLeft")[0], [0, 0.43, 0], atol=1e-4)


def test_the_skeleton_is_the_one_of_the_subject_or_the_only_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "cmu")
    assert files_beside(path) == [tmp_path / "cmu" / "02.asf"]
    assert find_files(tmp_path / "cmu") == [path]
    assert caplog.text == ""
    other = path.rename(path.with_name("walk.amc"))
    assert len(list(read_clips(other))) == 1
    (tmp_path / "cmu" / "03.asf").write_text(skeleton())
    with pytest.raises(DamagedFileError, match=r"there are 2 .asf files in its folder, and none is called walk.asf"):
        list(read_clips(other))


def test_bones_with_names_of_their_own_are_read_with_a_joint_map(tmp_path: Path) -> None:
    path = write(tmp_path / "cmu")
    for file in (path, path.with_name("02.asf")):
        file.write_text(file.read_text().replace("lfemur", "oberschenkel"))
    (clip,) = read_clips(path)
    assert "KneeLeft" not in clip.layout.canonical_names
    begun = CliRunner().invoke(gfp_data, ["joint-map", str(path)])
    assert begun.exit_code == 0, begun.output
    assert '# "oberschenkel" = ""' in begun.stdout
    assert '"lhipjoint" = "HipLeft"' in begun.stdout
    filled = begun.stdout.replace('# "oberschenkel" = ""', '"oberschenkel" = "KneeLeft"')
    joint_map = tmp_path / "map.toml"
    joint_map.write_text(filled)
    (clip,) = read_clips(path, joint_map=read_joint_map(joint_map))
    np.testing.assert_allclose(place(clip, "HipLeft")[0] - place(clip, "KneeLeft")[0], [0, 0.43, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("02.asf", "direction 1 0 0", "direction 1 0", r"02.asf: line \d+ must hold 3 numbers"),
        ("02.asf", "dof rx ry rz", "dof rx ry rq", "names the freedom 'rq'"),
        ("02.asf", "    root lhipjoint", "    root lhipjoint lhipjoint", "hangs 'lhipjoint' on 'root'"),
        ("02.asf", "rhipjoint lowerback\n", "rhipjoint\n", "begins the bone 'head', which hangs on no other"),
        ("02.asf", "angle deg", "angle rad", r"02.asf: line \d+ says angles in 'rad'; only degrees are read"),
        ("02_01.amc", ":DEGREES", ":RADIANS", "02_01.amc: line 3 says angles in radians"),
        ("02.asf", ":bonedata", ":bones", "hangs|no bones"),
        ("02_01.amc", "root 0", "rot 0", r"02_01.amc: line 5 is for 'rot'; expected a frame's number or a bone"),
        ("02_01.amc", "root 0 ", "root nan ", "line 5 must hold 6 numbers"),
    ],
)
def test_what_contradicts_the_format_is_named_with_its_line(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    path = write(tmp_path / "cmu")
    changed = tmp_path / "cmu" / file
    assert old in changed.read_text()
    changed.write_text(changed.read_text().replace(old, new, 1))
    with pytest.raises(DamagedFileError, match=said):
        list(read_clips(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_gives_clips_or_is_refused_by_name(tmp_path: Path, data: st.DataObject) -> None:
    path = write(tmp_path / "cmu")
    of_skeleton = path.with_name("02.asf")
    file = data.draw(st.sampled_from([path, of_skeleton]))
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    check_gives_clips_or_is_refused_by_name(path, of_skeleton)
