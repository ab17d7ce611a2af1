"""TRC, the marker files of OpenSim."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Remark, find_files, read_clips
from gfp_serve.formats.named_joints import known_name
from gfp_serve.joint_map import JointMap
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged
from trainer.cli.data import gfp_data

from .videos import read_with_remarks
from .walking_markers import PLACES, STANDARD, walk


def write(
    path: Path, places: np.ndarray, names: Sequence[str] = tuple(PLACES), unit: str = "m", rate: str = "60.00"
) -> Path:
    frames, count = places.shape[:2]
    heading = "\t".join(f"{name}\t\t" for name in names)
    axes = "\t".join(f"X{number}\tY{number}\tZ{number}" for number in range(1, count + 1))
    rows = [
        f"{number}\t{(number - 1) / 60:.5f}\t" + "\t".join("" if np.isnan(x) else f"{x:.6f}" for x in frame.reshape(-1))
        for number, frame in enumerate(places, start=1)
    ]
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{frames}\t{count}\t{unit}\t{rate}\t1\t{frames}",
        f"Frame#\tTime\t{heading}",
        f"\t\t{axes}",
        "",
        *rows,
    ]
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    return path


def check_walks(path: Path, expected: np.ndarray, **said: str) -> list[str]:
    (clip,), remarks = read_with_remarks(path, **said)
    for name, standard in STANDARD.items():
        joint = clip.layout.canonical_names.index(standard)
        np.testing.assert_allclose(clip.sequence[:, 0, joint], expected[:, [*PLACES].index(name)], atol=1e-5)
    return remarks


def test_markers_that_are_called_after_joints_are_read(tmp_path: Path) -> None:
    file = write(tmp_path / "walk.TRC", walk(5))
    assert find_files(tmp_path) == [file]
    (clip,) = read_clips(file)
    assert (clip.name, clip.fps, clip.dimensions, clip.layout.num_joints) == ("walk", 60.0, 3, 17)
    assert check_walks(file, walk(5)) == ["read as 3-D joints of the layout custom: y up, metres, right-handed."]


def test_the_header_says_the_unit_and_anatomy_which_way_is_up(tmp_path: Path) -> None:
    z_up = walk(5)[..., [0, 2, 1]] * (1, -1, 1) * 1000
    said = check_walks(write(tmp_path / "walk.trc", z_up, unit="mm"), walk(5))
    assert said == ["read as 3-D joints of the layout custom: z up, millimetres, right-handed."]
    check_walks(write(tmp_path / "walk.trc", walk(5), unit="mm"), walk(5), unit="m")


def test_other_markers_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    places = np.concatenate([walk(3), np.ones((3, 2, 3))], axis=1)
    file = write(tmp_path / "walk.trc", places, [*(f"Ada:{name}" for name in PLACES), "Ada:r.ASIS", "Ada:C7"])
    said = check_walks(file, walk(3))
    assert said[0] == "17 of its 19 markers were taken as joints; the others were left out."


@pytest.mark.parametrize("form", ["{0}{1}JC", "{0}_{1}JC", "{2}_{3}_centre", "{0}{3}JointCenter"])
def test_centres_of_joints_are_joints(form: str, tmp_path: Path) -> None:
    parts = {"Shoulder": "S", "Elbow": "E", "Wrist": "W", "Hip": "H", "Knee": "K", "Ankle": "A"}
    names = [
        form.format(name[0], parts[name[1:]], {"L": "left", "R": "right"}[name[0]], name[1:])
        for name in PLACES
        if name[1:] in parts
    ]
    kept = [place for place, name in enumerate(PLACES) if name[1:] in parts]
    (clip,) = read_clips(write(tmp_path / "walk.trc", walk(3)[:, kept], names))
    wrist = clip.layout.canonical_names.index("WristLeft")
    np.testing.assert_allclose(clip.sequence[:, 0, wrist], walk(3)[:, -1], atol=1e-5)


def test_empty_fields_and_fields_that_are_lacking_at_the_end_are_lost_markers(tmp_path: Path) -> None:
    places = walk(3)
    places[1, 2] = places[2, -1] = np.nan
    file = write(tmp_path / "walk.trc", places)
    file.write_bytes(file.read_bytes().rstrip(b"\r\n\t"))
    (clip,) = read_clips(file)
    lost = np.argwhere(np.isnan(clip.sequence).any(axis=3))
    assert [(int(frame), clip.layout.joint_names[joint]) for frame, _, joint in lost] == [
        (1, "KneeRight"),
        (2, "WristLeft"),
    ]


def test_a_joint_map_says_which_marker_is_which(tmp_path: Path) -> None:
    names = [f"M{number}" for number in range(len(PLACES))]
    file = write(tmp_path / "walk.trc", walk(3) * 1000, names, unit="mm")
    with pytest.raises(DamagedFileError, match=r"its markers do not make a body.*--joint-map.*Unknown markers: M0, M1"):
        list(read_clips(file))
    called = ["SpineBase", "HipRight", "KneeRight", "AnkleRight", "BigToeRight", "HipLeft", "KneeLeft", "AnkleLeft"]
    called += ["BigToeLeft", "Neck", "Head", "ShoulderRight", "ElbowRight", "WristRight", "ShoulderLeft", "ElbowLeft"]
    joint_map = JointMap(dict(zip(names, called, strict=False)), Conventions(up="y"))
    (clip,) = read_clips(file, joint_map=joint_map)
    assert clip.layout.num_joints == len(called)
    order = [called.index(name) for name in clip.layout.canonical_names]
    np.testing.assert_allclose(clip.sequence[:, 0], walk(3)[:, order], atol=1e-6)


def test_markers_around_a_joint_make_it_by_a_joint_map(tmp_path: Path) -> None:
    names = [*PLACES, "LInner", "LOuter"]
    places = np.concatenate([walk(3), walk(3)[:, -1:] + (0, 0, 0.03), walk(3)[:, -1:] - (0, 0, 0.03)], axis=1)
    places[1, -1] = np.nan
    calls = {name: name for name in PLACES if name != "LWrist"} | {"LInner": "LWrist", "LOuter": "LWrist"}
    joint_map = JointMap({marker: known_name(joint) or "" for marker, joint in calls.items()})
    said: list[Remark] = []
    (clip,) = read_clips(write(tmp_path / "walk.trc", places, names), joint_map=joint_map, report=said.append)
    wrist = clip.sequence[:, 0, clip.layout.canonical_names.index("WristLeft")]
    np.testing.assert_allclose(wrist[[0, 2]], walk(3)[[0, 2], -1], atol=1e-6)
    assert np.isnan(wrist[1]).all()
    assert str(said[0]) == "18 of its 19 markers were taken as joints; the others were left out."


def test_a_map_to_start_from_has_the_markers_that_are_known(tmp_path: Path) -> None:
    places = np.concatenate([walk(3), np.ones((3, 3, 3))], axis=1)
    file = write(tmp_path / "walk.trc", places, [*PLACES, "r.ASIS", "LWRA", "LWRB"])
    begun = CliRunner().invoke(gfp_data, ["joint-map", str(file)])
    assert begun.exit_code == 0, begun.output
    assert '# "r.ASIS" = ""' in begun.stdout
    assert '"LWRA" = "WristLeft"\n"LWRB" = "WristLeft"\n' in begun.stdout
    assert "called by one joint stand around it" in begun.stdout
    assert all(f'"{name}" = ' in begun.stdout for name in PLACES)


def test_fields_may_be_parted_by_spaces(tmp_path: Path) -> None:
    file = write(tmp_path / "walk.trc", walk(5))
    (expected,) = read_clips(file)
    file.write_text("\n".join(" ".join(line.split()) for line in file.read_text().splitlines()) + "\n")
    (found,) = read_clips(file)
    np.testing.assert_array_equal(found.sequence, expected.sequence)


def test_a_file_without_a_rate_is_taken_to_have_30_frames_a_second(tmp_path: Path) -> None:
    (clip,), said = read_with_remarks(write(tmp_path / "walk.trc", walk(3), rate=""))
    assert clip.fps == 30
    assert said[0] == "it does not say how many frames a second it has; 30 were assumed. Say it with --fps."


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"PathFileType", b"Path", r"is not a TRC file: expected a line 'PathFileType'"),
        (b"Frame#", b"Row", r"is not a TRC file"),
        (b"RHip\t", b"LHip\t", r"line 4 must name each marker once"),
        (b"RHip\t", b"\t", r"line 4 must name 17 markers, as NumMarkers says; it names 16"),
        (b"0.950000", b"none", r"line 7 must hold numbers, got 'none'"),
        (b"\r\n2\t", b"\t1.0\r\n2\t", r"line 7 must hold 51 coordinates, has 52"),
    ],
)
def test_a_damaged_file_is_refused(before: bytes, after: bytes, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "walk.trc", walk(3))
    assert before in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(before, after, 1))
    with pytest.raises(DamagedFileError, match=message) as refusal:
        list(read_clips(file))
    assert str(file) in str(refusal.value)


def test_a_file_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="has no frames"):
        list(read_clips(write(tmp_path / "walk.trc", walk(3)[:0])))


@given(data=st.data())
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = write(tmp_path_factory.mktemp("fuzz") / "walk.trc", walk(2))
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    check_gives_clips_or_is_refused_by_name(file)
