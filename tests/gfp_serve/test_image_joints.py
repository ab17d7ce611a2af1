"""2-D joints as sequences: lost joints, scale, and what happens where hips or shoulders are not seen."""

import numpy as np
import pytest

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.image_joints import from_image
from gfp_serve.layouts import COCO17
from gfp_serve.layouts.person import PERSON

# A person in an image of 640 × 480, y down: frames, 1 body, 17 joints, 2. In the second frame a step to the right.
POSE = np.array([PERSON[name][:2] for name in COCO17.canonical_names])
POINTS = np.stack([POSE, POSE + [0.2, 0]])[:, None] * [150, -150] + [320, 400]


def joint(name: str) -> int:
    return COCO17.joint_names.index(name)


def trunk_of(sequence: np.ndarray) -> float:
    middle = [
        sequence[:, 0, [joint(f"left_{part}"), joint(f"right_{part}")]].mean(axis=1) for part in ("shoulder", "hip")
    ]
    return float(np.median(np.linalg.norm(middle[0] - middle[1], axis=-1)))


def test_a_clip_is_upright_flat_and_scaled_by_its_trunk():
    placed = from_image(POINTS, COCO17)
    assert placed.assumed == ""
    assert placed.sequence.shape == (2, 1, 17, 3)
    assert (placed.sequence[..., 2] == 0).all()
    assert trunk_of(placed.sequence) == pytest.approx(0.5, rel=1e-5)
    nose, hip = (placed.sequence[0, 0, joint(name), 1] for name in ("nose", "left_hip"))
    assert nose > hip
    # The whole clip has one scale: the step stays a step.
    assert (placed.sequence[1] - placed.sequence[0])[..., 0] == pytest.approx(0.2 * 0.5 / 0.48, rel=0.02)


def test_one_body_needs_no_axis_of_bodies_and_a_layout_may_be_named():
    confidence = np.ones(POINTS.shape[:3])
    expected = from_image(POINTS, COCO17, confidence=confidence).sequence
    found = from_image(POINTS[:, 0], "coco17", confidence=confidence[:, 0]).sequence
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(InvalidSkeletonError, match="2-D coco17 joints must have shape frames × bodies × 17 × 2"):
        from_image(np.concatenate([POINTS, confidence[..., None]], axis=-1), COCO17)


@pytest.mark.parametrize("factor", [0.01, 3.0])
def test_the_size_of_the_image_does_not_matter(factor):
    np.testing.assert_allclose(
        from_image(POINTS * factor, COCO17).sequence, from_image(POINTS, COCO17).sequence, atol=1e-5
    )


@pytest.mark.parametrize("mark", [0.0, -1.0, np.nan])
def test_a_lost_joint_is_nan_whatever_the_source_writes(mark):
    points = POINTS.copy()
    points[1, 0, joint("left_wrist")] = mark
    lost = np.isnan(from_image(points, COCO17).sequence).any(axis=-1)
    assert np.argwhere(lost).tolist() == [[1, 0, joint("left_wrist")]]


def test_a_joint_without_confidence_is_lost():
    confidence = np.ones(POINTS.shape[:3])
    confidence[0, 0, joint("nose")], confidence[1, 0, joint("nose")] = 0.29, np.nan
    lost = np.isnan(from_image(POINTS, COCO17, confidence=confidence).sequence).any(axis=-1)
    assert np.argwhere(lost).tolist() == [[0, 0, joint("nose")], [1, 0, joint("nose")]]


@pytest.mark.parametrize(
    ("never_seen", "measure"), [(("hip",), "the width of the shoulders"), (("hip", "left_shoulder"), "the height")]
)
def test_without_a_trunk_shoulders_or_the_height_give_the_scale(never_seen, measure):
    points = POINTS.copy()
    points[:, 0, [index for index, name in enumerate(COCO17.joint_names) if name.endswith(never_seen)]] = np.nan
    sequence = from_image(points, COCO17).sequence
    if measure == "the width of the shoulders":
        across = sequence[0, 0, joint("left_shoulder"), 0] - sequence[0, 0, joint("right_shoulder"), 0]
        assert abs(across) == pytest.approx(0.36, rel=1e-5)
    else:
        assert np.nanmax(sequence[0, 0, :, 1]) - np.nanmin(sequence[0, 0, :, 1]) == pytest.approx(1.6, rel=1e-5)


def test_nobody_is_refused():
    with pytest.raises(InvalidSkeletonError, match="no two joints of a body are seen"):
        from_image(np.zeros_like(POINTS), COCO17)
