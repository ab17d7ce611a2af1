"""BVH: channels place the joints, families of names are known, the legs tell the unit, and errors name the line."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, read_clips
from gfp_serve.formats.bvh import Joint, forward_kinematics
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged

X, Y, Z = 0, 1, 2

# A person of 1.6 m at rest, in centimetres, y up, facing z: joint, parent, offset.
PERSON = (
    ("hips", "", (0, 0, 0)),
    ("spine", "hips", (0, 20, 0)),
    ("chest", "spine", (0, 20, 0)),
    ("neck", "chest", (0, 10, 0)),
    ("head", "neck", (0, 10, 0)),
    *(
        joint
        for side, x in (("l", 1), ("r", -1))
        for joint in (
            (f"{side} collar", "chest", (5 * x, 5, 0)),
            (f"{side} shoulder", f"{side} collar", (15 * x, 0, 0)),
            (f"{side} elbow", f"{side} shoulder", (30 * x, 0, 0)),
            (f"{side} wrist", f"{side} elbow", (25 * x, 0, 0)),
            (f"{side} hip", "hips", (10 * x, -5, 0)),
            (f"{side} knee", f"{side} hip", (0, -40, 0)),
            (f"{side} ankle", f"{side} knee", (0, -40, 0)),
            (f"{side} toe", f"{side} ankle", (0, -5, 15)),
        )
    ),
)
LEAVES = ("head", "l wrist", "r wrist", "l toe", "r toe")
LIMB = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
# Names of these joints in each family. < and > stand for the side, at the start or the end of a name.
FAMILIES = {
    "MotionBuilder": "<Shoulder <Arm <ForeArm <Hand <UpLeg <Leg <Foot <ToeBase",
    "Biovision": "<Collar <Shoulder <Elbow <Wrist <Hip <Knee <Ankle <Toe",
    "SOMA": "<Shoulder <Arm <ForeArm <Hand <Leg <Shin <Foot <ToeBase",
    "Bandai Namco": "Shoulder_> UpperArm_> LowerArm_> Hand_> UpperLeg_> LowerLeg_> Foot_> Toes_>",
    "Unreal": "clavicle_> upperarm_> lowerarm_> hand_> thigh_> calf_> foot_> ball_>",
    "Rigify": "shoulder.> upper_arm.> forearm.> hand.> thigh.> shin.> foot.> toe.>",
    "Poser": "<Collar <Shldr <ForeArm <Hand <Thigh <Shin <Foot <Toe",
    "SMPL": "<_collar <_shoulder <_elbow <_wrist <_hip <_knee <_ankle <_foot",
    "Acclaim": "<clavicle <humerus <radius <wrist <femur <tibia <foot <toes",
    "Character Studio": "<_Clavicle <_UpperArm <_Forearm <_Hand <_Thigh <_Calf <_Foot <_Toe0",
    "one word": "<collar <shoulder <elbow <wrist <hip <knee <ankle <toe",
}
SIDES = {"Unreal": "lr", "Poser": "lr", "Acclaim": "lr", "SMPL": ("left", "right"), "one word": ("left", "right")}
WORDS, LETTERS = ("Left", "Right"), "LR"


def names_of(family: str, prefix: str = "") -> dict[str, str]:
    """Return the name of each joint of PERSON in a family."""
    names = {joint: prefix + joint.capitalize() for joint in ("hips", "spine", "chest", "neck", "head")}
    for number, side in enumerate("lr"):
        for joint, name in zip(LIMB, FAMILIES[family].split(), strict=True):
            marks = SIDES.get(family, LETTERS if ">" in name or "<_" in name else WORDS)
            names[f"{side} {joint}"] = prefix + re.sub("[<>]", marks[number], name)
    return names


def write_person(
    path: Path,
    rows: Sequence[Sequence[float]] | None = None,
    *,
    names: dict[str, str] | None = None,
    scale: float = 1.0,
    without: Sequence[str] = (),
) -> Path:
    """Return a file of PERSON. A row has the root's position, then each joint's rotations about z, x, y."""
    names = names or names_of("MotionBuilder")
    joints = [joint for joint in PERSON if joint[0] not in without]
    lines = ["HIERARCHY"]

    def add(joint: str, offset: Sequence[float], depth: int) -> None:
        tabs = "\t" * depth
        lines.append(f"{tabs}{'JOINT' if depth else 'ROOT'} {names[joint]}")
        lines.append(tabs + "{")
        lines.append(f"{tabs}\tOFFSET {' '.join(str(part * scale) for part in offset)}")
        position = "" if depth else "Xposition Yposition Zposition "
        lines.append(f"{tabs}\tCHANNELS {3 if depth else 6} {position}Zrotation Xrotation Yrotation")
        for child, parent, its_offset in joints:
            if parent == joint:
                add(child, its_offset, depth + 1)
        if joint in LEAVES or not any(parent == joint for _, parent, _ in joints):
            end = (0.0, 0.0, 15.0) if "ankle" in joint else (0.0, 5.0, 0.0)
            lines.extend(
                [f"{tabs}\tEnd Site", tabs + "\t{", f"{tabs}\t\tOFFSET {' '.join(str(p * scale) for p in end)}"]
            )
            lines.append(tabs + "\t}")
        lines.append(tabs + "}")

    add("hips", (0, 0, 0), 0)
    if rows is None:
        rows = [[0, 90 * scale, 0, *[0] * 3 * len(joints)]]
    lines += ["MOTION", f"Frames: {len(rows)}", "Frame Time: 0.0333333"]
    lines += [" ".join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def place(clip: Clip, joint: str, frame: int = 0) -> list[float]:
    return [round(float(part), 4) for part in clip.sequence[frame, 0, clip.layout.joint_names.index(joint)]]


def test_an_arm_of_two_bones_turns_as_computed_by_hand() -> None:
    turn = (("rotation", Z),)
    arm = [
        Joint("shoulder", -1, (1, 2, 0), turn, 0),
        Joint("elbow", 0, (3, 0, 0), turn, 1),
        Joint("wrist", 1, (2, 0, 0), (), 2),
    ]
    positions = forward_kinematics(arm, np.array([[0.0, 0.0], [90.0, 0.0], [90.0, 90.0]]))
    expected = [
        [[1, 2, 0], [4, 2, 0], [6, 2, 0]],  # stretched along x
        [[1, 2, 0], [1, 5, 0], [1, 7, 0]],  # along y
        [[1, 2, 0], [1, 5, 0], [-1, 5, 0]],  # bent back along x
    ]
    np.testing.assert_allclose(positions, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("order", "expected"),
    # A bone along y, turned by 90 degrees about both axes: the axis listed last turns it first.
    [((Z, X), [0, 0, 1]), ((X, Z), [-1, 0, 0]), ((Y, X), [1, 0, 0]), ((X, Y), [0, 0, 1])],
)
def test_rotations_apply_in_the_files_order(order: tuple[int, int], expected: list[float]) -> None:
    bone = [
        Joint("hip", -1, (0, 0, 0), tuple(("rotation", axis) for axis in order), 0),
        Joint("knee", 0, (0, 1, 0), (), 2),
    ]
    np.testing.assert_allclose(forward_kinematics(bone, np.array([[90.0, 90.0]]))[0, 1], expected, atol=1e-12)


def test_a_position_channel_replaces_that_axis_of_the_offset() -> None:
    joints = [Joint("root", -1, (1, 2, 3), (("position", Y),), 0), Joint("tip", 0, (5, 5, 5), (("position", X),), 1)]
    np.testing.assert_array_equal(forward_kinematics(joints, np.array([[20.0, 7.0]]))[0], [[1, 20, 3], [8, 25, 8]])


def by_matrices(joints: Sequence[Joint], row: np.ndarray) -> np.ndarray:
    """Place the joints of one frame, one after another, with matrices of 4 × 4."""
    world: list[np.ndarray] = []
    for joint in joints:
        matrix = np.eye(4)
        matrix[:3, 3] = joint.offset
        for number, (kind, axis) in enumerate(joint.channels):
            value = row[joint.first_column + number]
            if kind == "position":
                matrix[axis, 3] = value
                continue
            cos, sin = np.cos(np.deg2rad(value)), np.sin(np.deg2rad(value))
            turn = {
                X: [[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]],
                Y: [[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1]],
                Z: [[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
            }[axis]
            matrix = matrix @ np.array(turn)
        world.append(matrix if joint.parent < 0 else world[joint.parent] @ matrix)
    return np.array([matrix[:3, 3] for matrix in world])


channels = st.permutations([*itertools.product(("position", "rotation"), (X, Y, Z))])
offsets = st.tuples(*[st.floats(-10, 10)] * 3)


@given(
    drawn=st.lists(st.tuples(offsets, channels, st.integers(0, 6), st.integers(0, 99)), min_size=1, max_size=6),
    num_frames=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_joints_are_where_plain_matrices_put_them(drawn: list[Any], num_frames: int, seed: int) -> None:
    joints: list[Joint] = []
    num_columns = 0
    for index, (offset, kinds, count, parent) in enumerate(drawn):
        joints.append(Joint(str(index), parent % index if index else -1, offset, tuple(kinds[:count]), num_columns))
        num_columns += count
    rows = np.random.default_rng(seed).uniform(-200, 200, size=(num_frames, num_columns))
    expected = [by_matrices(joints, row) for row in rows]
    np.testing.assert_allclose(forward_kinematics(joints, rows), expected, atol=1e-9)


def test_a_person_is_read_in_metres_with_an_arm_raised(tmp_path: Path) -> None:
    order = list(dict.fromkeys(walk("hips")))
    raised = [0.0, 90.0, 0.0, *[0.0] * 3 * len(order)]
    raised[3 + 3 * order.index("l shoulder")] = 90.0  # about z
    (clip,) = read_clips(write_person(tmp_path / "raise.bvh", [[0, 90, 0, *[0] * 3 * len(order)], raised]))
    assert (clip.name, clip.fps, clip.label, clip.sequence.shape) == ("raise", 30.0, None, (2, 1, 25, 3))
    assert clip.layout == NTU25
    assert place(clip, "SpineBase") == [0, 0.9, 0]
    assert place(clip, "SpineShoulder") == [0, 1.35, 0]
    assert place(clip, "Head") == [0, 1.5, 0]
    assert place(clip, "AnkleRight") == [-0.1, 0.05, 0]
    assert place(clip, "FootRight") == [-0.1, 0, 0.15]
    assert place(clip, "WristLeft") == [0.75, 1.35, 0]
    assert place(clip, "WristLeft", frame=1) == [0.2, 1.9, 0]
    assert place(clip, "WristRight", frame=1) == [-0.75, 1.35, 0]


def walk(joint: str) -> list[str]:
    """Return PERSON's joints in the order of the file."""
    return [joint, *(name for child, parent, _ in PERSON if parent == joint for name in walk(child))]


@pytest.mark.parametrize("prefix", ["", "mixamorig:", "Character1_", "Bip01 "])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_families_of_names_give_the_same_body(family: str, prefix: str, tmp_path: Path) -> None:
    (usual,) = read_clips(write_person(tmp_path / "usual.bvh"))
    (clip,) = read_clips(write_person(tmp_path / "other.bvh", names=names_of(family, prefix)))
    np.testing.assert_array_equal(clip.sequence, usual.sequence)
    assert clean(clip.sequence, clip.layout, CleanConfig()).shape == (1, 1, 25, 3)


def test_a_root_may_lack_the_prefix_of_the_others(tmp_path: Path) -> None:
    names = names_of("Character Studio", "Bip01 ") | {"hips": "Bip01"}
    (clip,) = read_clips(write_person(tmp_path / "biped.bvh", names=names))
    assert (place(clip, "WristLeft"), place(clip, "FootRight")) == ([0.75, 1.35, 0], [-0.1, 0, 0.15])


def test_without_a_toe_the_ankles_end_site_is_the_foot(tmp_path: Path) -> None:
    names = names_of("Biovision")
    (clip,) = read_clips(write_person(tmp_path / "toeless.bvh", names=names, without=("l toe", "r toe")))
    assert place(clip, "FootLeft") == [0.1, 0.05, 0.15]


@pytest.mark.parametrize(
    ("unit", "scale"),
    [("m", 0.01), ("CMU", 0.01 / 0.0564), ("inch", 1 / 2.54), ("cm", 1.0), ("mm", 10.0), ("cm, a child", 0.6)],
)
def test_the_legs_tell_the_unit(unit: str, scale: float, tmp_path: Path) -> None:
    (clip,) = read_clips(write_person(tmp_path / "some.bvh", scale=scale))
    expected = 0.9 * (0.6 if "child" in unit else 1)
    assert place(clip, "SpineBase")[1] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("scale", [0.0, 0.03, 1e-6, 40.0, 1e6])
def test_legs_that_are_too_long_or_short_for_a_human_are_refused(scale: float, tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"some\.bvh: the legs are .* units long"):
        next(read_clips(write_person(tmp_path / "some.bvh", scale=scale)))


@pytest.mark.parametrize(("joint", "missing"), [("l elbow", "arms"), ("r knee", "legs"), ("head", "a head")])
def test_a_body_without_known_names_is_refused_and_its_names_are_listed(
    joint: str, missing: str, tmp_path: Path
) -> None:
    names = names_of("MotionBuilder") | {joint: "Wing"}
    with pytest.raises(DamagedFileError, match=rf"some\.bvh: it has no known joint names for {missing}; .*Wing"):
        next(read_clips(write_person(tmp_path / "some.bvh", names=names)))


def test_a_long_recording_is_read_to_its_end(tmp_path: Path) -> None:
    rows = [[frame, 90, 0, *[0] * 3 * len(PERSON)] for frame in range(2_100)]
    (clip,) = read_clips(write_person(tmp_path / "long.bvh", rows))
    np.testing.assert_allclose(clip.sequence[:, 0, 0, 0], np.arange(2_100) / 100, rtol=1e-6)


def test_spaces_line_ends_braces_and_case_make_no_difference(tmp_path: Path) -> None:
    plain = write_person(tmp_path / "plain.bvh")
    text = plain.read_text().replace("\n", "\r\n").replace("JOINT ", "joint  ").replace("End Site", "End site")
    text = re.sub(r"\s*\{", " {", text).replace("Zrotation", "ZROTATION").replace("Frames: ", "FRAMES:\t")
    (tmp_path / "other.bvh").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n \r\n")
    (expected,), (clip,) = read_clips(plain), read_clips(tmp_path / "other.bvh")
    np.testing.assert_array_equal(clip.sequence, expected.sequence)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("HIERARCHY", "SKELETON", "line 1 must be 'HIERARCHY', got 'SKELETON'"),
        ("ROOT Hips", "JOINT Hips", "line 2 must open or close a joint"),
        ("JOINT Spine", "BONE Spine", "line 6 must open or close a joint, got 'BONE Spine'"),
        ("JOINT Spine", "JOINT", "line 6 must open or close a joint, got 'JOINT'"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0.0 0.0", "line 4 must be OFFSET and three numbers"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0.0 0.0 left", "line 4 must be OFFSET and three numbers"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0.0 0.0 nan", "line 4 must be OFFSET and three numbers"),
        ("CHANNELS 6", "CHANNELS 5", "line 5 must be CHANNELS, their number"),
        ("Xposition Y", "Wposition Y", "line 5 must be CHANNELS, their number"),
        ("Xposition Y", "Yposition Y", "line 5 names a channel twice"),
        ("MOTION", "", "must be 'MOTION', got 'Frames: 1'"),
        ("Frames: 1", "Frames: one", "must be 'Frames:' and their number"),
        ("Frames: 1", "Frames: 2", "announces 2 frames, but 1 lines follow"),
        ("Frame Time: 0.0333333", "Frame Time: 0", "must be 'Frame Time:' and seconds above 0"),
        ("Frame Time: 0.0333333", "Frame Rate: 30", "must be 'Frame Time:' and seconds above 0"),
        ("\n0 90.0 0", "\n90.0 0", "must hold 66 numbers, has 65"),
        ("\n0 90.0 0", "\n0 high 0", "must hold numbers, got 'high'"),
        ("\n0 90.0 0", "\n0 inf 0", "holds a number that is not finite"),
    ],
)
def test_a_wrong_line_is_named(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = write_person(tmp_path / "bad.bvh")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DamagedFileError, match=re.escape(str(path))) as refusal:
        next(read_clips(path))
    assert said in str(refusal.value)


def test_a_file_cut_off_after_any_line_is_refused(tmp_path: Path) -> None:
    lines = write_person(tmp_path / "whole.bvh").read_text().splitlines()
    for kept in range(len(lines)):
        (tmp_path / "cut.bvh").write_text("\n".join(lines[:kept]))
        with pytest.raises(DamagedFileError, match=r"cut\.bvh"):
            next(read_clips(tmp_path / "cut.bvh"))


def test_a_file_with_too_many_nested_joints_is_refused(tmp_path: Path) -> None:
    joint = "{{\nOFFSET 0 1 0\nCHANNELS 0\n{}\n"
    tower = "HIERARCHY\nROOT a\n" + "".join(joint.format("JOINT a") for _ in range(2_000))
    (tmp_path / "tower.bvh").write_text(tower)
    with pytest.raises(DamagedFileError, match="opens more than 1000 joints"):
        next(read_clips(tmp_path / "tower.bvh"))


@given(data=st.data())
def test_a_file_cut_off_or_with_wrong_bytes_gives_a_clip_or_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_person(tmp_path_factory.mktemp("fuzz") / "some.bvh")
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    check_gives_clips_or_is_refused_by_name(path)
