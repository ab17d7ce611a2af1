"""CSV of depth sensors, in every form in which recorders name its columns."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, Remark, find_files, read_clips
from gfp_serve.formats.named_joints import known_name, layout_of_names
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import AZURE32, KINECT20, NTU25, Layout
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged
from trainer.cli.data import gfp_data

from .videos import read_with_remarks, standing

_KINECT1 = ["HipCenter", "Spine", "ShoulderCenter", *KINECT20.joint_names[3:]]


def person(layout: Layout, num_frames: int, x: float = 0.0) -> np.ndarray:
    """Frames × joints × 3, metres, y up."""
    flat = standing(layout)
    joints = np.column_stack([flat[:, 0] + x, flat[:, 1], np.full(len(flat), 2.0)])
    return np.round(joints + (0, 0, 0.01) * np.arange(num_frames)[:, None, None], 4)


def write(path: Path, heading: Sequence[str], rows: Sequence[Sequence[object]], separator: str = ",") -> Path:
    lines = [heading, *rows]
    path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines), encoding="utf-8")
    return path


def columns(names: Sequence[str], form: str = "{}_{}", axes: str = "XYZ") -> list[str]:
    return [form.format(name, axis) for name in names for axis in axes]


def flat(joints: np.ndarray) -> list[list[float]]:
    return joints.reshape(len(joints), -1).tolist()


@pytest.mark.parametrize(
    ("names", "form", "axes", "layout"),
    [
        (NTU25.joint_names, "{}_{}", "XYZ", NTU25),
        (NTU25.joint_names, "{}{}", "XYZ", NTU25),
        (NTU25.joint_names, " {}_{}", "xyz", NTU25),
        (NTU25.joint_names, "{} {} (m)", "XYZ", NTU25),
        (NTU25.joint_names, "JointType_{}.Position.{}", "XYZ", NTU25),
        ([name.lower() for name in NTU25.joint_names], "{}_{}", "xyz", NTU25),
        (AZURE32.joint_names, "{}.{}", "xyz", AZURE32),
        ([name.lower() for name in AZURE32.joint_names], "{}_{}", "xyz", AZURE32),
        ([f"K4ABT_JOINT_{name}" for name in AZURE32.joint_names], "{}_{}", "xyz", AZURE32),
        (_KINECT1, "{}_{}", "xyz", KINECT20),
    ],
)
def test_any_usual_heading_is_read(names: Sequence[str], form: str, axes: str, layout: Layout, tmp_path: Path) -> None:
    joints = person(layout, 4)
    file = write(tmp_path / "take.csv", columns(names, form, axes), flat(joints))
    (tmp_path / "labels.csv").write_text("file,label\na,b\n")
    assert find_files(tmp_path) == [file]
    (clip,), said = read_with_remarks(file)
    assert (clip.name, clip.layout, clip.fps, clip.dimensions) == ("take", layout, 30.0, 3)
    np.testing.assert_allclose(clip.sequence[:, 0], joints, atol=1e-6)
    assert said == [
        "it does not say how many frames a second it has; 30 were assumed. Say it with --fps.",
        f"read as 3-D joints of the layout {layout.name}: y up, metres, right-handed.",
    ]


@pytest.mark.parametrize("zero", ["0", "0.00", "0e0", "NotTracked"])
def test_a_joint_without_confidence_is_lost_however_zero_is_written(zero: str, tmp_path: Path) -> None:
    heading = [*columns(NTU25.joint_names), "HandLeft_Confidence"]
    rows = [[*row, "1.00" if number else zero] for number, row in enumerate(flat(person(NTU25, 3)))]
    (clip,) = read_clips(write(tmp_path / "one.csv", heading, rows))
    hand = clip.sequence[:, 0, clip.layout.canonical_names.index("HandLeft")]
    assert np.isnan(hand).all(axis=1).tolist() == [True, False, False]


def test_two_people_side_by_side_in_a_row_are_refused(tmp_path: Path) -> None:
    names = [f"{name}_{number}" for number in (1, 2) for name in NTU25.joint_names]
    both = np.concatenate([person(NTU25, 3), person(NTU25, 3, 1.0)], axis=1)
    path = write(tmp_path / "two.csv", columns(names), flat(both))
    with pytest.raises(DamagedFileError, match=r"has the joint SpineBase twice, as 'SpineBase_1' and as 'SpineBase_2'"):
        list(read_clips(path))


def test_columns_in_another_order_and_of_other_things_do_not_matter(tmp_path: Path) -> None:
    joints = person(NTU25, 3)
    order = [*range(24, -1, -1)]
    heading = ["Extra", *columns([NTU25.joint_names[joint] for joint in order]), "Head_QX", "Head_QY", "Head_QZ", "Max"]
    rows = [["a", *row, 1, 2, 3, 9] for row in flat(joints[:, order])]
    (clip,) = read_clips(write(tmp_path / "take.csv", heading, rows, ";"))
    assert clip.layout == NTU25
    np.testing.assert_allclose(clip.sequence[:, 0], joints, atol=1e-6)


def test_a_part_of_the_joints_is_a_layout_of_its_own(tmp_path: Path) -> None:
    kept = [NTU25.joint_names.index(n) for n in ("SpineBase", "HipLeft", "HipRight", "ShoulderLeft", "ShoulderRight")]
    kept += [NTU25.joint_names.index("WristLeft")]
    joints = person(NTU25, 3)[:, kept]
    file = write(tmp_path / "take.csv", columns([NTU25.joint_names[joint] for joint in kept]), flat(joints))
    (clip,) = read_clips(file)
    assert clip.layout.name == "custom"
    assert clip.layout.parents[clip.layout.joint_names.index("WristLeft")] == clip.layout.joint_names.index(
        "ShoulderLeft"
    )
    place = clip.layout.joint_names.index("WristLeft")
    np.testing.assert_allclose(clip.sequence[:, 0, place], joints[:, 5], atol=1e-6)


def test_millimetres_with_y_down_are_turned_upright(tmp_path: Path) -> None:
    joints = person(AZURE32, 3)
    turned = joints * (1000, -1000, 1000)
    (clip,), said = read_with_remarks(write(tmp_path / "take.csv", columns(AZURE32.joint_names), flat(turned)))
    np.testing.assert_allclose(clip.sequence[:, 0], joints * (-1, 1, 1), atol=1e-5)
    assert said[-1] == "read as 3-D joints of the layout azure32: -y up, millimetres, right-handed."
    (clip,), _ = read_with_remarks(tmp_path / "take.csv", up="y", unit="cm")
    np.testing.assert_allclose(clip.sequence[:, 0], turned / 100, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("Timestamp", lambda frame: frame * 0.04),
        ("timestamp_ms", lambda frame: 1.7e12 + frame * 40),
        ("Device_Timestamp_usec", lambda frame: frame * 40_000),
        ("RelativeTime", lambda frame: 638_000_000_000_000_000 + frame * 400_000),
        ("Time (s)", lambda frame: frame * 0.04),
    ],
)
def test_times_give_the_rate(name: str, times: Callable[[int], float], tmp_path: Path) -> None:
    rows = [[times(frame), *row] for frame, row in enumerate(flat(person(NTU25, 5)))]
    (clip,), said = read_with_remarks(write(tmp_path / "take.csv", [name, *columns(NTU25.joint_names)], rows))
    assert (clip.fps, len(clip.sequence)) == (pytest.approx(25, abs=0.01), 5)
    assert len(said) == 1


@pytest.mark.parametrize("with_frames", [True, False])
def test_bodies_keep_their_numbers(with_frames: bool, tmp_path: Path) -> None:
    first, second = person(NTU25, 6), person(NTU25, 6, 1.0)
    ids = ["72057594037927936", "72057594037927937"]
    rows = []
    for frame in range(6):
        bodies = [(ids[0], first), (ids[1], second)] if frame % 2 == 0 else [(ids[1], second), (ids[0], first)]
        for body, joints in bodies[: 1 if frame == 2 else 2]:
            start = [frame + 10] if with_frames else []
            rows.append([*start, 0.033 * frame + 0.001 * len(rows) % 0.002, body, *flat(joints[frame : frame + 1])[0]])
    heading = [*(["Frame"] if with_frames else []), "Timestamp", "TrackingID", *columns(NTU25.joint_names)]
    (clip,) = read_clips(write(tmp_path / "take.csv", heading, rows))
    assert clip.sequence.shape == (6, 2, 25, 3)
    np.testing.assert_allclose(clip.sequence[:, 0], first, atol=1e-6)
    assert np.isnan(clip.sequence[2, 1]).all()
    others = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(clip.sequence[others, 1], second[others], atol=1e-6)


def test_without_frames_and_times_a_number_that_comes_again_begins_a_frame(tmp_path: Path) -> None:
    rows = [
        [body, *row]
        for pair in zip(flat(person(NTU25, 3)), flat(person(NTU25, 3, 1.0)), strict=True)
        for body, row in zip("AB", pair, strict=True)
    ]
    (clip,) = read_clips(write(tmp_path / "take.csv", ["BodyID", *columns(NTU25.joint_names)], rows))
    assert clip.sequence.shape == (3, 2, 25, 3)


def test_numbers_of_lines_are_not_those_of_bodies(tmp_path: Path) -> None:
    rows = [[number, *row] for number, row in enumerate(flat(person(NTU25, 4)))]
    (clip,) = read_clips(write(tmp_path / "take.csv", ["id", *columns(NTU25.joint_names)], rows))
    assert clip.sequence.shape == (4, 1, 25, 3)


@pytest.mark.parametrize(
    ("state", "values"),
    [
        ("WristLeft_TrackingState", ["Tracked", "NotTracked", "Inferred"]),
        ("WristLeft_state", ["2", "0", "1"]),
        ("WristLeft_confidence", ["2", "0", "1"]),
        ("WristLeft.conf", ["0.9", "0.0", "0.1"]),
    ],
)
def test_joints_that_were_not_tracked_are_lost(state: str, values: Sequence[str], tmp_path: Path) -> None:
    rows = [[*row, value] for row, value in zip(flat(person(NTU25, 3)), values, strict=True)]
    rows[2][9] = ""  # the head's x
    (clip,) = read_clips(write(tmp_path / "take.csv", [*columns(NTU25.joint_names), state], rows))
    lost = [(1, NTU25.joint_names.index("WristLeft")), (2, NTU25.joint_names.index("Head"))]
    assert [(int(f), int(j)) for f, _, j in np.argwhere(np.isnan(clip.sequence).any(axis=3))] == lost


def test_a_label_that_is_the_same_in_all_lines_is_the_clips(tmp_path: Path) -> None:
    rows = [[*row, "wave"] for row in flat(person(NTU25, 3))]
    file = write(tmp_path / "take.csv", [*columns(NTU25.joint_names), "Label"], rows)
    assert next(read_clips(file)).label == "wave"
    rows[1][-1] = "sit"
    clips, said = read_with_remarks(write(file, [*columns(NTU25.joint_names), "Label"], rows))
    assert clips[0].label is None
    assert said[0] == "its column 'label' is not the same in all lines, so it has no label."


def read_mapped(file: Path, joints: dict[str, str]) -> tuple[list[Clip], list[str]]:
    said: list[Remark] = []
    clips = list(read_clips(file, joint_map=JointMap(joints), report=said.append))
    return clips, list(map(str, said))


def test_a_joint_map_says_which_joint_is_which(tmp_path: Path) -> None:
    names = [f"marker{number}" for number in range(25)]
    joints = person(NTU25, 3)
    file = write(tmp_path / "take.csv", columns(names), flat(joints))
    with pytest.raises(DamagedFileError, match=r"these are known: none\. Say which joint is which with --joint-map"):
        list(read_clips(file))
    (clip,) = read_clips(file, joint_map=JointMap(dict(zip(names, NTU25.joint_names, strict=True))))
    np.testing.assert_allclose(clip.sequence[:, 0], joints, atol=1e-6)
    assert len(clip.layout.bones) == 24  # so that a picture shows a body
    some = dict(zip(names[:20], NTU25.joint_names, strict=False)) | {"tail": "HandTipLeft"}
    (clip,), said = read_mapped(file, some)
    assert clip.layout.num_joints == 20
    assert "it does not have tail, which the joint map names." in said


def test_a_caller_says_from_which_confidence_a_joint_is_seen(tmp_path: Path) -> None:
    joints = person(NTU25, 3)
    rows = [[*row, 0.4] for row in flat(joints)]
    file = write(tmp_path / "take.csv", [*columns(NTU25.joint_names), "Head_confidence"], rows)
    head = NTU25.joint_names.index("Head")
    for least, lost in ((None, False), (0.3, False), (0.5, True)):
        (clip,), _ = read_with_remarks(file, min_confidence=least)
        assert np.isnan(clip.sequence[:, 0, head]).all() == lost
    rows[1][-1] = ""
    (clip,), _ = read_with_remarks(
        write(file, [*columns(NTU25.joint_names), "Head_confidence"], rows), min_confidence=0.5
    )
    assert np.isnan(clip.sequence[:, 0, head]).all()


def test_decimal_commas_are_read_where_another_sign_parts_the_fields(tmp_path: Path) -> None:
    joints = person(NTU25, 3)
    file = write(tmp_path / "take.csv", columns(NTU25.joint_names), flat(joints), separator=";")
    content = file.read_text()
    assert "." in content
    file.write_text(content.replace(".", ","))
    (clip,) = read_clips(file)
    np.testing.assert_allclose(clip.sequence[:, 0], joints, atol=1e-6)


def test_a_map_to_start_from_has_the_joints_of_the_heading(tmp_path: Path) -> None:
    names = [*NTU25.joint_names[:24], "tail"]
    file = write(tmp_path / "take.csv", [*columns(names), "x_only_X", "time"], [[1] * 77])
    begun = CliRunner().invoke(gfp_data, ["joint-map", str(file)])
    assert begun.exit_code == 0, begun.output
    assert '"SpineBase" = "SpineBase"\n' in begun.stdout
    assert '# "tail" = ""\n\n' in begun.stdout
    other = write(tmp_path / "other.csv", ["a", "b"], [[1, 2]])
    refused = CliRunner().invoke(gfp_data, ["joint-map", str(other)])
    assert refused.exit_code == 1
    assert "line 1 does not name joints; expected columns such as SpineBase_X" in refused.stderr


@pytest.mark.parametrize(
    ("heading", "rows", "message"),
    [
        (columns(NTU25.joint_names[:4]), [[1] * 12], r"line 1 does not name joints .* these are known: SpineBase, "),
        (columns(NTU25.joint_names, axes="XY"), [[1] * 50], r"line 1 does not name joints that make a body"),
        (columns(NTU25.joint_names), [[1] * 75, [1] * 74], r"line 3 must hold 75 fields, has 74"),
        (columns(NTU25.joint_names), [["a"] * 75], r"line 2 must hold numbers, got 'a'"),
        (columns(NTU25.joint_names), [], r"has a heading and no frames"),
        (columns(NTU25.joint_names), [[1] * 75], r"nothing says which way is up and in which unit"),
    ],
)
def test_what_cannot_be_read_is_refused(
    heading: list[str], rows: list[list[object]], message: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "take.csv", heading, rows)
    with pytest.raises(DamagedFileError, match=message) as refusal:
        list(read_clips(file))
    assert str(file) in str(refusal.value)


def test_nobody_in_the_file_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "take.csv", columns(NTU25.joint_names), [[""] * 75] * 2)
    assert read_with_remarks(file) == ([], ["clip 'take': nobody is seen in it."])


def test_names_that_no_sensor_has_hang_on_the_nearest_joint() -> None:
    names = ["RHip", "LHip", "RShoulder", "LShoulder", "RAnkle", "RBigToe", "Head", "Nose", "other"]
    layout, kept = layout_of_names(names)
    assert [known_name(names[place]) for place in kept] == list(layout.joint_names)
    above = {
        name: layout.joint_names[parent] if parent >= 0 else ""
        for name, parent in zip(layout.joint_names, layout.parents, strict=True)
    }
    assert (above["BigToeRight"], above["Nose"], above["AnkleRight"]) == ("AnkleRight", "Head", "HipRight")


@given(data=st.data())
def test_a_file_cut_off_or_with_wrong_bytes_gives_clips_or_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [[frame / 30, "A", *row] for frame, row in enumerate(flat(person(KINECT20, 2)))]
    heading = ["Time", "BodyID", *columns(KINECT20.joint_names)]
    file = write(tmp_path_factory.mktemp("fuzz") / "take.csv", heading, rows)
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    check_gives_clips_or_is_refused_by_name(file)
