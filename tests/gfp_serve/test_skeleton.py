import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from gfp_serve.errors import InvalidSkeletonError, UnknownLayoutError
from gfp_serve.skeleton import (
    BANDAI21,
    FLORENCE15,
    KINECT20,
    LAYOUTS,
    MAX_COORDINATE_M,
    NTU25,
    Layout,
    check_sequence,
    layout_named,
    layout_of,
    map_joints,
    mapping_matrix,
)

every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)


def pose(layout: Layout, **points: tuple[float, float, float]) -> np.ndarray:
    """One frame of one body whose joints are at the origin, but for the named ones."""
    sequence = np.zeros((1, 1, layout.num_joints, 3), dtype=np.float32)
    for name, point in points.items():
        sequence[0, 0, layout.joint_names.index(name)] = point
    return sequence


def joint(sequence: np.ndarray, layout: Layout, name: str) -> list[float]:
    return sequence[0, 0, layout.joint_names.index(name)].tolist()


@every_layout
def test_a_layout_is_a_tree_of_differently_named_joints(layout):
    assert len(layout.parents) == layout.num_joints == len(set(layout.joint_names)) == len(set(layout.canonical_names))
    assert layout.parents.count(-1) == 1
    for start in range(layout.num_joints):
        place, steps = start, 0
        while layout.parents[place] != -1:
            place, steps = layout.parents[place], steps + 1
            assert steps < layout.num_joints, f"{layout.joint_names[start]} is its own ancestor"


@every_layout
def test_left_and_right_are_mirror_images(layout):
    mirrored = {"Left": "Right", "Right": "Left", "_L": "_R", "_R": "_L"}

    def mirror(name: str) -> str:
        side = next((side for side in mirrored if name.endswith(side)), "")
        return name.removesuffix(side) + mirrored.get(side, "")

    parents = {
        name: None if parent == -1 else layout.joint_names[parent]
        for name, parent in zip(layout.joint_names, layout.parents, strict=True)
    }
    for name, parent in parents.items():
        assert parents[mirror(name)] == (None if parent is None else mirror(parent))


@every_layout
def test_a_layout_is_found_by_its_name_and_by_its_joints(layout):
    assert layout_named(layout.name) is layout
    assert layout_of(list(layout.joint_names), list(layout.parents)) is layout


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(UnknownLayoutError, match=r"'smpl24'.*bandai21, florence15, kinect20, ntu25"):
        layout_named("smpl24")


@every_layout
def test_every_layout_maps_to_the_models_and_moves_with_the_body(layout):
    matrix = mapping_matrix(layout, NTU25)
    assert matrix.shape == (25, layout.num_joints)
    # Weights that sum to 1: who steps 1 m to the side does so in the other layout, too.
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    assert (matrix >= 0).all()


@every_layout
def test_a_layout_maps_to_itself_unchanged(layout):
    np.testing.assert_array_equal(mapping_matrix(layout, layout), np.eye(layout.num_joints))
    sequence = pose(layout)
    assert map_joints(sequence, layout, layout) is sequence


def test_a_joint_of_the_same_name_is_taken_over():
    mapped = map_joints(pose(KINECT20, HandLeft=(1, 2, 3)), KINECT20, NTU25)
    assert joint(mapped, NTU25, "HandLeft") == [1, 2, 3]


def test_what_kinect_20_lacks_lies_where_its_nearest_relatives_are():
    mapped = map_joints(pose(KINECT20, HandLeft=(1, 2, 3), SpineShoulder=(0, 4, 0), Head=(0, 6, 0)), KINECT20, NTU25)
    assert joint(mapped, NTU25, "HandTipLeft") == joint(mapped, NTU25, "ThumbLeft") == [1, 2, 3]
    assert joint(mapped, NTU25, "HandTipRight") == [0, 0, 0]
    assert joint(mapped, NTU25, "Neck") == [0, 5, 0]


def test_what_florence_lacks_is_derived_from_hips_shoulders_wrists_and_ankles():
    mapped = map_joints(
        pose(FLORENCE15, HipLeft=(2, 1, 0), ShoulderRight=(0, 3, 2), WristLeft=(5, 0, 0), AnkleRight=(0, 0, 7)),
        FLORENCE15,
        NTU25,
    )
    assert joint(mapped, NTU25, "SpineBase") == [1, 0.5, 0]
    assert joint(mapped, NTU25, "SpineShoulder") == [0, 1.5, 1]
    assert joint(mapped, NTU25, "ThumbLeft") == [5, 0, 0]
    assert joint(mapped, NTU25, "FootRight") == [0, 0, 7]


def test_a_mocap_joint_is_called_after_the_bone_that_starts_there():
    mapped = map_joints(pose(BANDAI21, UpperArm_L=(1, 0, 0), Hand_R=(0, 2, 0), Toes_L=(0, 0, 3)), BANDAI21, NTU25)
    assert joint(mapped, NTU25, "ShoulderLeft") == [1, 0, 0]
    assert joint(mapped, NTU25, "WristRight") == [0, 2, 0]
    assert joint(mapped, NTU25, "FootLeft") == [0, 0, 3]


def test_joints_in_another_order_are_a_layout_of_their_own():
    names, parents = NTU25.joint_names[::-1], tuple(24 - p if p >= 0 else -1 for p in NTU25.parents[::-1])
    layout = layout_of(names, parents)
    mapped = map_joints(pose(layout, Head=(0, 2, 0)), layout, NTU25)
    assert joint(mapped, NTU25, "Head") == [0, 2, 0]


def test_joints_that_cannot_make_the_models_are_refused_with_the_first_that_is_missing():
    with pytest.raises(UnknownLayoutError, match=r"neither a joint 'SpineBase'.*HipLeft, Head"):
        layout_of(["HipLeft", "Head"], [-1, 0])


@given(st.integers(1, 5), st.sampled_from([np.float16, np.float32, np.float64, np.int32, np.uint8]))
def test_a_sequence_without_body_axis_is_one_body_of_any_number_type(num_frames, dtype):
    checked = check_sequence(np.ones((num_frames, 25, 3), dtype=dtype), NTU25)
    assert (checked.shape, checked.dtype) == ((num_frames, 1, 25, 3), np.float32)


def test_nan_is_not_seen_and_allowed():
    assert np.isnan(check_sequence(np.full((2, 1, 25, 3), np.nan), NTU25)).all()


def test_the_callers_array_is_not_changed():
    sequence = np.ones((2, 25, 3), dtype=np.float32)
    check_sequence(sequence, NTU25)[:] = 7
    assert (sequence == 1).all()


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (np.zeros((4, 20, 3)), "25 × 3 for one body.*got 4 × 20 × 3"),
        (np.zeros((4, 1, 25, 2)), "got 4 × 1 × 25 × 2"),
        (np.zeros((25, 3)), "got 25 × 3"),
        (np.array(1.0), "a single number"),
        (np.zeros((0, 1, 25, 3)), "0 frames and 1 bodies"),
        (np.zeros((4, 0, 25, 3)), "4 frames and 0 bodies"),
        (np.zeros((4, 25, 3), dtype=bool), "array of numbers, got bool"),
        (np.full((4, 25, 3), "1.0"), "array of numbers"),
        (np.zeros((4, 25, 3), dtype=complex), "array of numbers, got complex128"),
    ],
)
def test_a_sequence_of_another_shape_or_kind_is_refused_with_what_it_is(sequence, expected):
    with pytest.raises(InvalidSkeletonError, match=expected):
        check_sequence(sequence, NTU25)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1.01 * MAX_COORDINATE_M, -1e300])
def test_a_coordinate_out_of_range_is_named_by_frame_body_joint_and_axis(value):
    sequence = np.zeros((3, 2, 25, 3))
    sequence[2, 1, NTU25.joint_names.index("Head"), 1] = value
    with pytest.raises(InvalidSkeletonError, match=r"1 coordinates.*frame 2, body 1, joint 'Head', axis y"):
        check_sequence(sequence, NTU25)
