"""C3D, the marker files of motion capture, as the package c3d writes them."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import c3d
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Remark, find_files, read_clips
from gfp_serve.formats.named_joints import known_name
from gfp_serve.joint_map import JointMap, read_joint_map
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged
from trainer.cli.data import gfp_data

from .videos import read_with_remarks
from .walking_markers import PLACES, STANDARD, walk


def write(
    path: Path,
    places: np.ndarray,
    names: Sequence[str] = tuple(PLACES),
    unit: str = "mm",
    scale: float = -1.0,
    first_frame: int = 1,
    analog: int = 0,
    further_names: Sequence[str] = (),
) -> Path:
    """`places` are in the file's unit; NaN is a lost marker. With a positive `scale`, coordinates are its multiples."""
    writer = c3d.Writer(point_rate=100.0, point_scale=scale, point_units=unit, analog_rate=100.0 * bool(analog))
    writer.set_point_labels(names)
    if further_names:
        packed, longest = writer.pack_labels(further_names)
        writer.point_group.add_str("LABELS2", "names of further markers", packed, longest, len(further_names))
    if analog:
        writer.set_analog_labels([f"F{channel}" for channel in range(analog)])
        writer.set_analog_scales(np.ones(analog))
        writer.set_analog_offsets(np.zeros(analog, int))
    writer.set_start_frame(first_frame)
    lost = np.isnan(places).any(axis=2)
    points = np.concatenate([np.nan_to_num(places), np.where(lost, -1, 0)[..., None], 0 * lost[..., None]], axis=2)
    channels = np.ones((analog, 1)) if analog else np.zeros((0, 1))
    writer.add_frames([(frame.astype(np.float32), channels) for frame in points])
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that it leaves out
        writer.write(content)
    path.write_bytes(content.getvalue())
    return path


def check_walks(path: Path, expected: np.ndarray, atol: float = 1e-5) -> list[str]:
    (clip,), remarks = read_with_remarks(path)
    for name, standard in STANDARD.items():
        joint = clip.layout.canonical_names.index(standard)
        np.testing.assert_allclose(clip.sequence[:, 0, joint], expected[:, [*PLACES].index(name)], atol=atol)
    return remarks


def test_markers_that_are_called_after_joints_are_read(tmp_path: Path) -> None:
    z_up = walk(5)[..., [0, 2, 1]] * (1, -1, 1) * 1000
    file = write(tmp_path / "walk.C3D", z_up)
    assert find_files(tmp_path) == [file]
    (clip,) = read_clips(file)
    assert (clip.name, clip.fps, clip.dimensions, clip.layout.num_joints) == ("walk", 100.0, 3, 17)
    assert check_walks(file, walk(5)) == ["read as 3-D joints of the layout custom: z up, millimetres, right-handed."]


def test_coordinates_may_be_integers_and_frames_may_have_analog_channels(tmp_path: Path) -> None:
    file = write(tmp_path / "walk.c3d", walk(5) * 1000, scale=0.1, first_frame=41, analog=3)
    check_walks(file, walk(5), atol=1e-4)


def test_a_negative_residual_is_a_lost_marker(tmp_path: Path) -> None:
    places = walk(3)
    places[1, 2] = np.nan
    (clip,) = read_clips(write(tmp_path / "walk.c3d", places, unit="m"))
    lost = np.argwhere(np.isnan(clip.sequence).any(axis=3))
    assert [(int(frame), clip.layout.joint_names[joint]) for frame, _, joint in lost] == [(1, "KneeRight")]


def test_markers_that_nobody_named_are_left_out(tmp_path: Path) -> None:
    places = np.concatenate([walk(3), np.ones((3, 4, 3))], axis=1)
    names = [*(f"Ada:{name}" for name in PLACES), "Ada:C7", "*12", "*13", ""]
    said = check_walks(write(tmp_path / "walk.c3d", places, names, unit="m"), walk(3))
    assert said[0] == "17 of its 18 markers were taken as joints; the others were left out."


def test_names_of_many_markers_are_in_several_parameters(tmp_path: Path) -> None:
    first, further = [*PLACES][:10], [*PLACES][10:]
    check_walks(write(tmp_path / "walk.c3d", walk(3), first, unit="m", further_names=further), walk(3))


def test_a_map_begins_with_the_markers_of_plug_in_gait(tmp_path: Path) -> None:
    joints = dict(zip(PLACES, walk(3).swapaxes(0, 1), strict=True))
    around = {"LWRA": joints["LWrist"] + (0, 0, 0.03), "LWRB": joints["LWrist"] - (0, 0, 0.03)}
    around |= {"LASI": joints["LHip"] + (0.1, 0, 0), "LPSI": joints["LHip"] - (0.1, 0, 0)}
    around |= {"RASI": joints["RHip"] + (0.1, 0, 0), "RPSI": joints["RHip"] - (0.1, 0, 0)}
    around |= {"LSHO": joints["LShoulder"], "RSHO": joints["RShoulder"], "LKNE": joints["LKnee"], "XYZ": joints["Head"]}
    around |= {"LANK": joints["LAnkle"], "RKNE": joints["RKnee"], "RANK": joints["RAnkle"], "LTOE": joints["LBigToe"]}
    file = write(tmp_path / "walk.c3d", np.stack([*around.values()], axis=1) * 1000, list(around))
    with pytest.raises(DamagedFileError, match=r"Markers on the skin are not joints.*`gfp-data joint-map` makes a map"):
        list(read_clips(file))
    begun = CliRunner().invoke(gfp_data, ["joint-map", str(file)])
    assert begun.exit_code == 0, begun.output
    assert '# "XYZ" = ""' in begun.stdout
    (tmp_path / "map.toml").write_text(begun.stdout)
    (clip,) = read_clips(file, joint_map=read_joint_map(tmp_path / "map.toml"))
    for name, joint in {"LWrist": "WristLeft", "RHip": "HipRight", "LHip": "HipLeft"}.items():
        found = clip.sequence[:, 0, clip.layout.canonical_names.index(joint)]
        np.testing.assert_allclose(found, joints[name], atol=1e-5)


def test_a_map_for_other_markers_does_not_keep_a_file_from_being_read(tmp_path: Path) -> None:
    said: list[Remark] = []
    file = write(tmp_path / "walk.c3d", walk(3), unit="m")
    (clip,) = read_clips(file, joint_map=JointMap({"LASI": "HipLeft"}), report=said.append)
    assert clip.layout.num_joints == len(PLACES)
    assert "has no joint of the joint map" in str(said[-1])


def test_of_two_people_in_one_file_a_map_names_one(tmp_path: Path) -> None:
    names = [f"{who}:{name}" for who in ("Ada", "Bob") for name in PLACES]
    file = write(tmp_path / "both.c3d", np.concatenate([walk(3), walk(3) + 1], axis=1), names, unit="m")
    with pytest.raises(DamagedFileError, match=r"both\.c3d has two markers 'Hip', 'Ada:Hip' and 'Bob:Hip'\. If it has"):
        list(read_clips(file))
    calls = {f"Bob:{name}": joint for name in PLACES if (joint := known_name(name))}
    (clip,) = read_clips(file, joint_map=JointMap(calls))
    wrist = clip.layout.canonical_names.index("WristLeft")
    np.testing.assert_allclose(clip.sequence[:, 0, wrist], walk(3)[:, -1] + 1, atol=1e-6)


def test_markers_of_things_do_not_matter(tmp_path: Path) -> None:
    names = [*(f"Ada:{name}" for name in PLACES), "Box1:TL", "Box2:TL", "Ada:LHeel"]
    file = write(tmp_path / "walk.c3d", np.concatenate([walk(3), np.ones((3, 3, 3))], axis=1), names, unit="m")
    check_walks(file, walk(3))
    begun = CliRunner().invoke(gfp_data, ["joint-map", str(file)])
    (tmp_path / "map.toml").write_text(begun.stdout)
    (clip,) = read_clips(file, joint_map=read_joint_map(tmp_path / "map.toml"))
    assert "HeelLeft" not in clip.layout.canonical_names  # not one of our names


def test_rates_of_analog_channels_and_late_first_frames_do_not_matter(tmp_path: Path) -> None:
    file = write(tmp_path / "walk.c3d", walk(5), unit="m", first_frame=70_000, analog=3)
    expected = file.read_bytes()
    rate = np.float32(100).tobytes()
    assert expected.count(rate) >= 2
    at = expected.rindex(rate)  # that of the analog channels comes after that of the points
    file.write_bytes(expected[:at] + np.float32(100.5).tobytes() + expected[at + 4 :])
    check_walks(file, walk(5))


def test_a_file_without_a_rate_is_taken_to_have_30_frames_a_second(tmp_path: Path) -> None:
    file = write(tmp_path / "walk.c3d", walk(5), unit="m")
    content = file.read_bytes()
    file.write_bytes(content.replace(np.float32(100).tobytes(), np.float32(0).tobytes()))
    (clip,), said = read_with_remarks(file)
    assert clip.fps == 30
    assert said[0].startswith("it does not say how many frames a second it has")


def test_a_file_without_markers_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "force.c3d", walk(3)[:, :0], [""], analog=3)
    with pytest.raises(DamagedFileError, match=r"force\.c3d has no markers \(POINT\)"):
        list(read_clips(file))


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "walk.c3d", walk(20), unit="m")
    content = file.read_bytes()
    (tmp_path / "walk.c3d").write_bytes(content[:-1024])
    with pytest.raises(DamagedFileError, match=r"walk\.c3d is cut off: it has \d+ of 20 frames"):
        list(read_clips(file))
    file.write_bytes(b"")
    with pytest.raises(DamagedFileError, match=r"walk\.c3d is not a C3D file, or is damaged"):
        list(read_clips(file))


@given(data=st.data())
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = write(tmp_path_factory.mktemp("fuzz") / "walk.c3d", walk(2), unit="m")
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    check_gives_clips_or_is_refused_by_name(file)
