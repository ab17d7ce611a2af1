"""BVH: channels place the joints, families of names are known, and the legs tell the unit."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.conventions import METRES
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, bvh, read_clips
from gfp_serve.formats.bvh import forward_kinematics, read_motion
from gfp_serve.formats.bvh_body import body_of, unit_of
from gfp_serve.formats.bvh_text import Joint
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.bvh_person import FAMILIES, PERSON, names_of, walk, write_person

X, Y, Z = 0, 1, 2


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


@pytest.mark.parametrize("prefix", ["", "mixamorig:", "Character1_", "Bip01 "])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_families_of_names_give_the_same_body(family: str, prefix: str, tmp_path: Path) -> None:
    (usual,) = read_clips(write_person(tmp_path / "usual.bvh"))
    (clip,) = read_clips(write_person(tmp_path / "other.bvh", names=names_of(family, prefix)))
    np.testing.assert_array_equal(clip.sequence, usual.sequence)
    assert clean(clip.sequence, clip.layout, CleanConfig()).positions.shape == (1, 1, 25, 3)


def test_a_root_may_lack_the_prefix_of_the_others(tmp_path: Path) -> None:
    names = names_of("Character Studio", "Bip01 ") | {"hips": "Bip01"}
    (clip,) = read_clips(write_person(tmp_path / "biped.bvh", names=names))
    assert (place(clip, "WristLeft"), place(clip, "FootRight")) == ([0.75, 1.35, 0], [-0.1, 0, 0.15])


def test_without_a_toe_the_ankles_end_site_is_the_foot(tmp_path: Path) -> None:
    names = names_of("Biovision")
    (clip,) = read_clips(write_person(tmp_path / "toeless.bvh", names=names, without=("l toe", "r toe")))
    assert place(clip, "FootLeft") == [0.1, 0.05, 0.15]


def test_without_a_hand_the_wrists_end_site_is_the_hand(tmp_path: Path) -> None:
    (clip,) = read_clips(write_person(tmp_path / "handless.bvh"))
    assert (place(clip, "WristLeft"), place(clip, "HandLeft")) == ([0.75, 1.35, 0], [0.75, 1.4, 0])


def test_an_end_site_at_its_joint_stands_for_nothing(tmp_path: Path) -> None:
    path = write_person(tmp_path / "ends.bvh", names=names_of("MotionBuilder") | {"head": "Neck1"})
    motion = read_motion(path)
    with_length, _ = body_of(motion.names, motion.parents, motion.lengths)
    lengths = [
        0.0 if name.endswith(" end") else length for name, length in zip(motion.names, motion.lengths, strict=True)
    ]
    without, kept = body_of(motion.names, motion.parents, lengths)
    assert "Head" in with_length.joint_names
    assert "HandLeft" in with_length.joint_names
    assert set(with_length.joint_names) - set(without.joint_names) == {"Head", "HandLeft", "HandRight"}
    assert motion.names[kept[without.joint_names.index("Neck")]] == "Neck1"


def test_a_named_end_site_is_the_joint_of_that_name(tmp_path: Path) -> None:
    path = write_person(tmp_path / "ends.bvh", names=names_of("Biovision") | {"head": "Skull"})
    text = path.read_text()
    start = text.index("End Site")
    path.write_text(text[:start] + "End Site Head" + text[start + len("End Site") :])
    (clip,) = read_clips(path)
    assert place(clip, "Head") == [0, 1.55, 0]


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("m", 0.01),
        ("dm", 0.1),
        ("cmu", 0.01 / 0.0564),
        ("in", 1 / 2.54),
        ("cm", 1.0),
        ("cm", 0.6),  # of a child
        ("mm", 10.0),
    ],
)
def test_the_legs_tell_the_unit(unit: str, scale: float, tmp_path: Path) -> None:
    path = write_person(tmp_path / "some.bvh", scale=scale)
    motion = read_motion(path)
    layout, kept = body_of(motion.names, motion.parents)
    assert unit_of(motion.positions(kept), layout) == unit
    (clip,) = read_clips(path)
    expected = 0.9 * (0.6 if scale == 0.6 else 1)
    assert place(clip, "SpineBase")[1] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("leg", "unit"),
    [
        (0.31, "m"),
        (1.59, "m"),
        (3.01, "dm"),
        (9.3, "dm"),
        (9.4, "cmu"),
        (18.4, "cmu"),
        (18.6, "in"),
        (43.8, "in"),
        (44.0, "cm"),
        (159.0, "cm"),
        (301.0, "mm"),
        (1_590.0, "mm"),
    ],
)
def test_units_meet_where_the_docstring_says(leg: float, unit: str) -> None:
    body = np.zeros((1, 25, 3))
    for joint, height in (("Knee", leg / 2), ("Hip", leg)):
        for side in ("Left", "Right"):
            body[:, NTU25.joint_names.index(joint + side), Y] = height
    assert unit_of(body, NTU25) == unit
    assert 0.3 < leg * METRES[unit] < 1.6


@pytest.mark.parametrize("scale", [0.0, 0.03, 1e-6, 40.0, 1e6])
def test_legs_that_are_too_long_or_short_for_a_human_are_refused(scale: float, tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"some\.bvh: the legs are .* units long"):
        next(read_clips(write_person(tmp_path / "some.bvh", scale=scale)))


@pytest.mark.parametrize(
    ("joint", "limb", "near", "found"),
    [
        (
            "l elbow",
            "arms",
            "LeftShoulder, LeftArm, LeftHand, RightShoulder, RightArm, RightForeArm, RightHand",
            "legs (LeftUpLeg, LeftLeg, LeftFoot, RightUpLeg, RightLeg, RightFoot)",
        ),
        (
            "r knee",
            "legs",
            "Hips, LeftUpLeg, LeftLeg, LeftFoot, RightUpLeg, RightFoot",
            "arms (LeftArm, LeftForeArm, LeftHand, RightArm, RightForeArm, RightHand)",
        ),
    ],
)
def test_a_body_without_known_names_is_refused_with_what_matched_and_what_did_not(
    joint: str, limb: str, near: str, found: str, tmp_path: Path
) -> None:
    names = names_of("MotionBuilder") | {joint: "Wing"}
    with pytest.raises(
        DamagedFileError, match=r"some\.bvh: it has no known joint names .*The file has .*Wing"
    ) as refusal:
        next(read_clips(write_person(tmp_path / "some.bvh", names=names)))
    said = str(refusal.value)
    assert f"for {limb}; names that come near are {near}. Found: {found}, head (Head)." in said


def test_a_creature_is_refused_with_nothing_found(tmp_path: Path) -> None:
    names = {joint: f"bone{number}" for number, (joint, _, _) in enumerate(PERSON)}
    with pytest.raises(DamagedFileError, match=r"arms; names that come near are not there, and none for legs.*no head"):
        next(read_clips(write_person(tmp_path / "snake.bvh", names=names)))


def test_of_several_roots_the_one_with_a_body_is_kept(tmp_path: Path) -> None:
    alone = write_person(tmp_path / "alone.bvh")
    sword = "ROOT LeftHand\n{ OFFSET 0 0 0 CHANNELS 3 Xposition Yposition Zposition End Site { OFFSET 0 90 0 } }\n"
    text = alone.read_text().replace("ROOT Hips", sword + "ROOT Hips").replace("\n0 90.0 0", "\n7 8 9 0 90.0 0")
    (tmp_path / "armed.bvh").write_text(text)
    (expected,), (clip,) = read_clips(alone), read_clips(tmp_path / "armed.bvh")
    np.testing.assert_array_equal(clip.sequence, expected.sequence)


def test_two_bodies_in_a_file_are_refused_by_their_roots(tmp_path: Path) -> None:
    text = write_person(tmp_path / "one.bvh").read_text()
    body = text[text.index("ROOT") : text.index("MOTION")]
    row = text.splitlines()[-1]
    two = text.replace("MOTION", body.replace("ROOT Hips", "ROOT Partner") + "MOTION").replace(row, f"{row} {row}")
    (tmp_path / "two.bvh").write_text(two)
    with pytest.raises(
        DamagedFileError, match=r"two\.bvh: it has 2 bodies, below the roots Hips, Partner; .*of its own"
    ):
        next(read_clips(tmp_path / "two.bvh"))


def test_a_motion_is_given_as_it_is_in_the_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).uniform(-30, 30, size=(1_500, 3 + 3 * len(PERSON)))
    motion = read_motion(write_person(tmp_path / "some.bvh", rows.tolist()))
    assert motion.fps == 30.0
    assert [name for name in motion.names if not name.endswith(" end")][:3] == ["Hips", "Spine", "Chest"]
    assert motion.parents[:4] == [-1, 0, 1, 2]
    everything = motion.positions()
    np.testing.assert_allclose(everything, forward_kinematics(motion.joints, rows), atol=1e-9)
    np.testing.assert_array_equal(everything[:, 0], rows[:, :3])
    head = motion.names.index("Head")
    np.testing.assert_array_equal(motion.positions([head, 0]), everything[:, [head, 0]])


def test_a_file_in_capitals_is_read(tmp_path: Path) -> None:
    _, clip = bvh.read(write_person(tmp_path / "RUN.BVH"))
    assert clip.name == "RUN"


def test_a_long_recording_is_read_to_its_end(tmp_path: Path) -> None:
    rows = [[frame, 90, 0, *[0] * 3 * len(PERSON)] for frame in range(2_100)]
    (clip,) = read_clips(write_person(tmp_path / "long.bvh", rows))
    np.testing.assert_allclose(clip.sequence[:, 0, 0, 0], np.arange(2_100) / 100, rtol=1e-6)
