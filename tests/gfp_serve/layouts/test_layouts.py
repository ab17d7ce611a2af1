"""The table of layouts, and what the model's joints are made of."""

import numpy as np
import pytest

from gfp_serve.errors import UnknownLayoutError
from gfp_serve.layouts import (
    BANDAI21,
    COCO17,
    FLORENCE15,
    KINECT20,
    LAYOUTS,
    NTU25,
    Layout,
    joint_sources,
    layout_named,
    layout_of,
    map_joints,
    mapping_matrix,
    standard_name,
    statuses,
)
from gfp_serve.layouts.person import PERSON

every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)


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
    mirrored = {joint: joint for joint in range(layout.num_joints)}
    for left, right in layout.pairs:
        mirrored |= {left: right, right: left}
    assert len(layout.pairs) >= 6
    for left, right in layout.pairs:
        assert mirrored[layout.parents[left]] == layout.parents[right]


@every_layout
def test_a_layout_is_found_by_its_name_and_by_its_joints(layout):
    assert layout_named(layout.name) is layout
    found = layout_of(list(layout.joint_names), list(layout.parents))
    assert (found.joint_names, found.parents) == (layout.joint_names, layout.parents)
    assert found is layout or layout.name in ("smplx22", "humanml22")


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(UnknownLayoutError, match=r"'smpl25'.*bandai21, .*florence15, .*kinect20, .*ntu25"):
        layout_named("smpl25")


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


@every_layout
def test_a_person_in_any_layout_is_the_same_person_in_the_models(layout):
    # Joints without a standard name are far away: they must not matter.
    person = np.array([PERSON.get(name, (50, 50, 50)) for name in layout.canonical_names], dtype=np.float32)
    mapped = map_joints(person[None, None], layout, NTU25)[0, 0]
    for name, place, status in zip(NTU25.joint_names, mapped, statuses(layout, NTU25), strict=True):
        off = float(np.linalg.norm(place - PERSON[name]))
        # A nose is further from the middle of the head than any other joint is from what it is derived from.
        assert off < {"measured": 1e-6, "derived": 0.13, "lacking": 0.25}[status], (layout.name, name)


@every_layout
def test_a_layout_says_where_it_is_documented(layout):
    assert len(layout.source) > 15


# The joints of the model that each layout lacks; the other joints are measured or derived.
HANDS = {"HandLeft", "HandRight"}
FEET = {"FootLeft", "FootRight"}
TIPS = {"HandTipLeft", "HandTipRight"}
THUMBS = {"ThumbLeft", "ThumbRight"}
LACKING = {
    "ntu25": set(),
    "azure32": set(),
    "coco_wholebody133": set(),
    "mediapipe33": TIPS,
    "kinect20": TIPS | THUMBS,
    "smpl24": TIPS | THUMBS,
    "h36m32": HANDS | TIPS,
    **dict.fromkeys(("bandai21", "halpe26", "body25", "smpl22", "smplx22", "humanml22"), HANDS | TIPS | THUMBS),
    **dict.fromkeys(
        ("openni15", "florence15", "coco17", "openpose18", "mpii16", "penn13", "jhmdb15", "h36m17"),
        HANDS | FEET | TIPS | THUMBS,
    ),
}


@every_layout
def test_what_a_layout_lacks_is_known(layout):
    found = statuses(layout, NTU25)
    assert {name for name, status in zip(NTU25.joint_names, found, strict=True) if status == "lacking"} == LACKING[
        layout.name
    ]


def test_a_derived_joint_says_from_what_and_by_which_weights():
    sources = dict(zip(NTU25.joint_names, joint_sources(COCO17, NTU25), strict=True))
    assert (sources["Head"].status, dict(sources["Head"].weights)) == ("derived", {"left_ear": 0.5, "right_ear": 0.5})
    assert dict(sources["SpineMid"].weights) == dict.fromkeys(
        ("left_hip", "right_hip", "left_shoulder", "right_shoulder"), 0.25
    )
    assert (sources["HandLeft"].status, dict(sources["HandLeft"].weights)) == ("lacking", {"left_wrist": 1.0})


def without(layout: Layout, *names: str) -> Layout:
    """The layout of what is left when a rig does not have these joints."""
    kept = [name for name in layout.joint_names if name not in names]

    def parent(name: str) -> int:
        above = layout.parents[layout.joint_names.index(name)]
        while above >= 0 and layout.joint_names[above] in names:
            above = layout.parents[above]
        return kept.index(layout.joint_names[above]) if above >= 0 else -1

    return layout_of(kept, [parent(name) for name in kept])


@pytest.mark.parametrize(
    ("missing", "lacking"),
    [
        (("Head",), {"Head"}),
        (("Head", "Neck"), {"Head", "Neck"}),
        (("Neck", "SpineMid", "SpineBase"), set()),
        (("ElbowLeft", "WristLeft", "HandLeft", "HandTipLeft", "ThumbLeft"), None),
        (("WristLeft",), set()),
        (("KneeRight", "AnkleRight", "FootRight"), {"KneeRight", "AnkleRight", "FootRight"}),
        (("AnkleRight",), set()),
    ],
)
def test_a_rig_without_some_joints_goes_in_with_these_lacking(missing, lacking):
    found = statuses(without(NTU25, *missing), NTU25)
    assert {name for name, status in zip(NTU25.joint_names, found, strict=True) if status == "lacking"} == (
        set(missing) if lacking is None else lacking
    )


@pytest.mark.parametrize("missing", ["HipLeft", "ShoulderRight"])
def test_a_body_without_a_hip_or_a_shoulder_is_refused(missing):
    with pytest.raises(UnknownLayoutError, match=f"neither a joint '{missing}'"):
        without(NTU25, missing)


def test_a_joint_is_made_of_what_is_there_before_it_is_given_up():
    # The first recipe for a head has a neck in it, which would be lacking here.
    found = joint_sources(without(NTU25, "Head", "Neck"), NTU25)[NTU25.joint_names.index("Head")]
    assert dict(found.weights) == {"SpineShoulder": 1.0}
    tops = [name.replace("Head", "HeadTop") for name in NTU25.joint_names if name != "Neck"]
    layout = layout_of(tops, [-1, 0, 19, 19, 3, 4, 5, 19, 7, 8, 9, 0, 11, 12, 13, 0, 15, 16, 17, 1, 6, 6, 10, 10])
    head = joint_sources(layout, NTU25)[NTU25.joint_names.index("Head")]
    assert (head.status, dict(head.weights)) == ("derived", {"HeadTop": 0.5, "SpineShoulder": 0.5})


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("left_shoulder", "ShoulderLeft"),
        ("LShoulder", "ShoulderLeft"),
        ("Rshoulder", "ShoulderRight"),
        ("SHOULDER_LEFT", "ShoulderLeft"),
        ("r ankle", "AnkleRight"),
        ("Right Hip", "HipRight"),
        ("MidHip", "SpineBase"),
        ("RHip", "HipRight"),
        ("head top", "HeadTop"),
        ("ToeInRight", "BigToeRight"),
        ("SpineBase", "SpineBase"),
        # Not known, or not sure.
        ("LeftUpLeg", "LeftUpLeg"),
        ("left_eye_inner", "left_eye_inner"),
        ("left right hand", "left right hand"),
        ("Neck/Nose", "Neck/Nose"),
        ("", ""),
    ],
)
def test_joints_are_known_by_many_spellings_of_their_names(name, standard):
    assert standard_name(name) == standard


def test_of_two_joints_with_one_meaning_the_first_is_taken():
    names = ["hips", "pelvis", "LHip", "RHip", "LShoulder", "RShoulder"]
    layout = layout_of(names, [-1, 0, 0, 0, 0, 0])
    assert layout.canonical == {
        "hips": "SpineBase",
        "LHip": "HipLeft",
        "RHip": "HipRight",
        "LShoulder": "ShoulderLeft",
        "RShoulder": "ShoulderRight",
    }
    assert (layout.name, layout.num_joints) == ("custom", 6)
