"""The joints of annotations: the order of their axes, padding, and 2-D joints."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, read_clips
from gfp_serve.formats.plain_pickle import load
from gfp_serve.formats.pyskl_keypoint import Joints2d, Keypoint, first_2d, joints_2d
from gfp_serve.image_joints import MIN_CONFIDENCE, from_image
from gfp_serve.layouts import BODY25, COCO17, OPENPOSE18
from tests.support.pyskl_files import make_annotation, write

NUM_FRAMES = 6


def people(num_bodies: int = 2, num_frames: int = NUM_FRAMES, num_joints: int = 25) -> np.ndarray:
    """Make bodies × frames × joints × 3 in metres before a sensor: feet are below it, and nothing is still."""
    rng = np.random.default_rng(num_bodies)
    return rng.uniform([-0.9, -0.9, 2], [0.9, 0.9, 4], (num_bodies, num_frames, num_joints, 3)).astype(np.float32)


def pixels(num_bodies: int = 1, num_joints: int = 17) -> np.ndarray:
    """Make bodies × frames × joints × 2 in an image of 320 × 240."""
    rng = np.random.default_rng(0)
    return rng.uniform(1, [319, 239], (num_bodies, NUM_FRAMES, num_joints, 2)).astype(np.float16)


def read(tmp_path: Path, *keypoints: np.ndarray, **fields: Any) -> list[np.ndarray]:
    """Return what is read of a file with these joints."""
    fields = {"total_frames": NUM_FRAMES} | fields
    annotations = [make_annotation(str(number), keypoint=array, **fields) for number, array in enumerate(keypoints)]
    return [clip.sequence for clip in read_clips(write(tmp_path / "some.pkl", annotations))]


def refusal(tmp_path: Path, *keypoints: np.ndarray, **fields: Any) -> str:
    with pytest.raises(DamagedFileError) as refused:
        read(tmp_path, *keypoints, **fields)
    return str(refused.value)


@pytest.mark.parametrize("num_bodies", [1, 2])
@pytest.mark.parametrize("order", ["MTVC", "CTVM", "TMVC"])
def test_the_axes_may_be_those_of_pyskl_of_st_gcn_or_frames_first(order: str, num_bodies: int, tmp_path: Path) -> None:
    joints = people(num_bodies)
    (sequence,) = read(tmp_path, joints.transpose(["MTVC".index(axis) for axis in order]))
    np.testing.assert_array_equal(sequence, joints.transpose(1, 0, 2, 3))


@pytest.mark.parametrize("order", ["TVC", "CTV"])
def test_the_axis_of_bodies_may_be_missing(order: str, tmp_path: Path) -> None:
    (joints,) = people(1)
    (sequence,) = read(tmp_path, joints.transpose(["TVC".index(axis) for axis in order]))
    np.testing.assert_array_equal(sequence[:, 0], joints)


def test_all_annotations_of_a_file_have_one_order(tmp_path: Path) -> None:
    # Without `total_frames`, the first alone could also have bodies first. The second cannot: those are too many.
    few, many = people(3, 2), people(1, 70)
    sequences = read(tmp_path, few.transpose(1, 0, 2, 3), many.transpose(1, 0, 2, 3), total_frames=None)
    assert [sequence.shape for sequence in sequences] == [(2, 3, 25, 3), (70, 1, 25, 3)]
    said = refusal(tmp_path, people(1), people(1).transpose(3, 1, 2, 0))
    assert "annotation 1 ('1')" in said
    assert "those before it are bodies × frames × joints × coordinates" in said


def test_where_two_orders_fit_the_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    said = refusal(tmp_path, people(NUM_FRAMES, 2), total_frames=None)
    assert "frames × joints × coordinates and frames × bodies" in said
    assert "write the number of frames into 'total_frames'" in said
    said = refusal(tmp_path, np.full((3, NUM_FRAMES, 25, 2), 0.5))
    assert "bodies × frames × joints × coordinates and coordinates × frames × joints × bodies" in said
    assert "write it with bodies first" in said


def test_without_total_frames_the_documented_order_is_taken(tmp_path: Path) -> None:
    (sequence,) = read(tmp_path, people(2), total_frames=None)
    np.testing.assert_array_equal(sequence, people(2).transpose(1, 0, 2, 3))


def test_more_frames_than_total_frames_are_padding_if_they_are_zero(tmp_path: Path) -> None:
    padded = np.pad(people(), ((0, 0), (0, 94), (0, 0), (0, 0)))
    for array in (padded, padded.transpose(3, 1, 2, 0), padded.transpose(1, 0, 2, 3)):
        (sequence,) = read(tmp_path, array)
        np.testing.assert_array_equal(sequence, people().transpose(1, 0, 2, 3))
    padded[1, 50, 3, 0] = 1
    assert "has 100 frames in 'keypoint', but another number in 'total_frames': 6" in refusal(tmp_path, padded)


def test_frames_of_zeros_at_the_end_are_padding(tmp_path: Path) -> None:
    padded = np.pad(people(), ((0, 0), (2, 4), (0, 0), (0, 0)))
    for total_frames in (12, None):
        (sequence,) = read(tmp_path, padded, total_frames=total_frames)
        np.testing.assert_array_equal(sequence, padded.transpose(1, 0, 2, 3)[:8])


def test_a_clip_without_anyone_keeps_its_frames(tmp_path: Path) -> None:
    lost = np.full((1, NUM_FRAMES, 25, 3), np.nan)
    sequences = read(tmp_path, people(), np.zeros((2, NUM_FRAMES, 25, 3)), lost)
    assert [sequence.shape[:2] for sequence in sequences] == [(NUM_FRAMES, 2), (NUM_FRAMES, 1), (NUM_FRAMES, 1)]


def flat_clips(tmp_path: Path, *keypoints: np.ndarray, **fields: Any) -> list[Clip]:
    """Return the clips of a file whose joints are 2-D."""
    fields = {"total_frames": NUM_FRAMES} | fields
    annotations = [make_annotation(str(number), keypoint=array, **fields) for number, array in enumerate(keypoints)]
    clips = list(read_clips(write(tmp_path / "some.pkl", annotations)))
    assert {clip.dimensions for clip in clips} == {2}
    return clips


def test_2d_joints_are_placed_by_their_layout_scores_and_image(tmp_path: Path) -> None:
    joints, scores = pixels(), np.random.default_rng(5).uniform(0, 1, (1, NUM_FRAMES, 17))
    (clip,) = flat_clips(tmp_path, joints, img_shape=(240, 320), keypoint_score=scores.astype(np.float32))
    assert (clip.layout, clip.sequence.shape) == (COCO17, (NUM_FRAMES, 1, 17, 3))
    expected = from_image(
        joints.astype(np.float32).transpose(1, 0, 2, 3),
        COCO17,
        confidence=scores.astype(np.float32).transpose(1, 0, 2),
        image_size=(320, 240),
    )
    np.testing.assert_array_equal(clip.sequence, expected.sequence)
    assert np.isnan(clip.sequence).any()
    (clip,) = flat_clips(tmp_path, pixels(num_joints=18))
    assert clip.layout is OPENPOSE18
    flat_clips(tmp_path, pixels().astype(np.int16), original_shape=[0, "wide"])


def test_2d_joints_of_an_unknown_number_are_refused_with_those_that_are_known(tmp_path: Path) -> None:
    said = refusal(tmp_path, pixels(num_joints=19))
    assert "has 19 2-D joints; expected 13, 15, 17, 18, 25, 26, 133. Make a clip file of them" in said


@pytest.mark.parametrize("num_joints", [17, 18, 25])
def test_x_y_and_a_confidence_are_2d(num_joints: int, tmp_path: Path) -> None:
    confidence = np.random.default_rng(1).uniform(0, 1.05, (1, NUM_FRAMES, num_joints, 1))
    in_pixels = np.concatenate([pixels(1, num_joints), confidence], axis=-1)
    for form in (in_pixels, in_pixels.transpose(3, 1, 2, 0), in_pixels / [320, 240, 1]):
        (clip,) = flat_clips(tmp_path, form)
        assert clip.layout.num_joints == num_joints
        np.testing.assert_array_equal(np.isnan(clip.sequence[:, 0, :, 0]), confidence[0, ..., 0] < MIN_CONFIDENCE)


def test_two_bodies_of_x_y_and_a_confidence_are_told_from_three_bodies(tmp_path: Path) -> None:
    confidence = np.full((2, NUM_FRAMES, 25, 1), 0.9)
    st_gcn = np.concatenate([pixels(2, 25), confidence], axis=-1).transpose(3, 1, 2, 0)
    assert flat_clips(tmp_path, st_gcn)[0].sequence.shape[1] == 2
    assert flat_clips(tmp_path, pixels(3, 25))[0].sequence.shape[1] == 3
    scores = np.ones((3, NUM_FRAMES, 25))
    assert flat_clips(tmp_path, pixels(3, 25) / np.array([320, 240]), keypoint_score=scores)[0].sequence.shape[1] == 3


def test_joints_whose_depth_is_zero_are_2d(tmp_path: Path) -> None:
    flat = people(1)
    flat[..., 2] = 0
    flat[0, :, 0] = np.nan
    assert flat_clips(tmp_path, flat)[0].layout is BODY25


def test_one_clip_near_the_sensor_is_3d_if_others_are(tmp_path: Path) -> None:
    near = np.random.default_rng(2).uniform(0, 1, (1, NUM_FRAMES, 25, 3)).astype(np.float32)
    flat_clips(tmp_path, near)
    sequence, _ = read(tmp_path, near, people(1))
    np.testing.assert_array_equal(sequence[:, 0], near[0])


def test_scores_of_another_shape_are_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, pixels(), keypoint_score=np.ones((1, NUM_FRAMES, 16)))
    assert "scores of shape 1 × 6 × 16 in 'keypoint_score'; expected 1 × 6 × 17" in said


def found(tmp_path: Path, order: str, joints: np.ndarray, score: np.ndarray | None = None) -> Joints2d:
    arrays = load(write(tmp_path / "some.pkl", [joints, score]))
    keypoint = Keypoint("some.pkl", arrays[0], NUM_FRAMES, arrays[1], (320, 240))
    assert first_2d([keypoint], {joints.ndim: order}) is keypoint
    return joints_2d(keypoint, order)


def test_2d_joints_have_their_scores_beside_them_and_no_padding(tmp_path: Path) -> None:
    joints, scores = pixels(2), np.random.default_rng(3).uniform(0, 1, (2, NUM_FRAMES, 17)).astype(np.float32)
    padded = np.pad(joints, ((0, 0), (0, 9), (0, 0), (0, 0))), np.pad(scores, ((0, 0), (0, 9), (0, 0)))
    with_scores = np.concatenate([joints, scores[..., np.newaxis]], axis=-1)
    for read_2d in (
        found(tmp_path, "MTVC", *padded),
        found(tmp_path, "TMVC", *(array.swapaxes(0, 1) for array in padded)),
        found(tmp_path, "MTVC", with_scores),
        found(tmp_path, "CTVM", with_scores.transpose(3, 1, 2, 0)),
    ):
        assert (read_2d.num_joints, read_2d.image_size) == (17, (320, 240))
        np.testing.assert_array_equal(read_2d.joints, joints.transpose(1, 0, 2, 3))
        assert read_2d.scores is not None
        np.testing.assert_array_equal(read_2d.scores, scores.transpose(1, 0, 2))
    alone = found(tmp_path, "TVC", joints[0], scores[0])
    assert (alone.joints.shape, alone.scores is None) == ((NUM_FRAMES, 1, 17, 2), False)
    assert found(tmp_path, "CTV", joints[0].transpose(2, 0, 1)).scores is None


def test_values_beyond_float32_become_infinite_and_are_left_to_the_check_of_coordinates(tmp_path: Path) -> None:
    far = people(1).astype(np.float64)
    far[0, 0, 0, 0], far[0, 1, 0, 0] = 1e300, np.nan
    (sequence,) = read(tmp_path, far)
    assert np.isinf(sequence[0, 0, 0, 0])
    assert np.isnan(sequence[1, 0, 0, 0])


def test_every_number_of_frames_and_bodies_is_read_in_the_documented_order(tmp_path: Path) -> None:
    for num_bodies, num_frames in itertools.product((1, 2, 3, 4, 25), (1, 2, 3, 25)):
        joints = people(num_bodies, num_frames)
        (sequence,) = read(tmp_path, joints, total_frames=num_frames)
        np.testing.assert_array_equal(sequence, joints.transpose(1, 0, 2, 3))


def test_signalling_nans_give_no_warning(tmp_path: Path) -> None:
    for dtype, bits in ((np.uint32, 0x7FA00000), (np.uint16, 0x7D00), (np.uint64, 0x7FF4000000000000)):
        lost = np.full((1, NUM_FRAMES, 25, 3), bits, dtype).view(f"f{np.dtype(dtype).itemsize}")
        (sequence,) = read(tmp_path, np.pad(lost, ((0, 0), (0, 3), (0, 0), (0, 0))))
        assert sequence.shape == (NUM_FRAMES, 1, 25, 3)
        assert np.isnan(sequence).all()
