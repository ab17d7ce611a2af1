"""The embedding without learning: its definition, and what it does not depend on."""

import numpy as np
import pytest
import torch
from jaxtyping import Float32

from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, SampleConfig, clean, rotate_about_vertical, sample
from tests.support.tiny_bundle import walk
from trainer.embedding import ClipEmbedding, PoseStatistics, sampling_for

JOINT = {name: number for number, name in enumerate(NTU25.joint_names)}
LEGS = [JOINT[f"{part}{side}"] for part in ("Knee", "Ankle", "Foot") for side in ("Left", "Right")]


def person(seed: int = 0) -> Float32[np.ndarray, "frames 25 3"]:
    """120 frames of a body that walks."""
    return sample(clean(walk(seed, frames=120), NTU25, CleanConfig()), SampleConfig(crop=1.0))[0]


def embed(body: Float32[np.ndarray, "frames joints 3"]) -> Float32[np.ndarray, " size"]:
    with torch.inference_mode():
        return ClipEmbedding(PoseStatistics())(torch.from_numpy(body)[None, None])[0].numpy()


def features(body: Float32[np.ndarray, "frames joints 3"]) -> Float32[np.ndarray, " size"]:
    return PoseStatistics().features(torch.from_numpy(body)[None])[0].numpy()


def by_definition(body: Float32[np.ndarray, "frames joints 3"]) -> Float32[np.ndarray, " size"]:
    """Pose statistics as the documentation defines them, for a body of which everything is known."""
    across = sum(
        (body[:, JOINT[f"{part}Left"]] - body[:, JOINT[f"{part}Right"]]).mean(axis=0) for part in ("Hip", "Shoulder")
    )
    body = rotate_about_vertical(body, float(-np.arctan2(across[2], across[0])))
    trunk = np.linalg.norm(body[:, JOINT["SpineShoulder"]] - body[:, JOINT["SpineBase"]], axis=1).mean()
    body = body * (0.5 / trunk)
    root = body[:, JOINT["SpineBase"]]
    joints = body - root[:, None]
    part = np.arange(len(body)) * 6 // len(body)
    return np.concatenate(
        [
            *(joints[part == number].mean(axis=0).ravel() for number in range(6)),
            2 * joints.std(axis=0).ravel(),
            8 * np.abs(joints[4:] - joints[:-4]).mean(axis=0).ravel(),
            *(0.5 * root[part == number].mean(axis=0) for number in range(6)),
        ]
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_they_are_what_their_definition_says(seed: int) -> None:
    assert len(features(person(seed))) == 618
    np.testing.assert_allclose(features(person(seed)), by_definition(person(seed)), atol=2e-5)


@pytest.mark.parametrize("frames", [64, 32, 7])
def test_parts_may_differ_by_a_frame_where_they_do_not_divide_a_clip(frames: int) -> None:
    np.testing.assert_allclose(features(person()[:frames]), by_definition(person()[:frames]), atol=2e-5)


@pytest.mark.parametrize("angle", [0.7, 3.0])
def test_neither_the_camera_nor_the_size_of_a_person_counts(angle: float) -> None:
    np.testing.assert_allclose(embed(rotate_about_vertical(person(), angle)), embed(person()), atol=1e-5)
    np.testing.assert_allclose(embed(1.7 * person()), embed(person()), atol=1e-5)


def test_travel_changes_only_the_path_of_the_root() -> None:
    body = person()
    travelling = body + np.linspace(0, 4, 120, dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(features(travelling)[:600], features(body)[:600], atol=1e-4)
    assert np.abs(features(travelling)[600:] - features(body)[600:]).max() > 0.5


def test_frames_in_which_a_joint_is_lacking_do_not_count_for_it() -> None:
    body, hand = person(), JOINT["HandLeft"]
    body[:, hand] = body[:, JOINT["SpineBase"]] + np.float32([0.3, 0.2, 0.1])
    whole = features(body)
    lost, wild = body.copy(), body.copy()
    lost[30:70, hand], wild[30:70, hand] = np.nan, 5.0
    np.testing.assert_allclose(features(lost), whole, atol=1e-5)
    assert np.abs(features(wild) - whole).max() > 0.5


def test_a_part_of_the_clip_without_a_joint_takes_the_mean_of_the_clip() -> None:
    body, hand = person(), JOINT["HandLeft"]
    body[20:40, hand] = np.nan
    parts = features(body)[:450].reshape(6, 25, 3)[:, hand]
    known = [0, 2, 3, 4, 5]
    np.testing.assert_allclose(parts[1], parts[known].mean(axis=0), atol=1e-5)


def test_a_joint_that_is_never_known_stands_as_in_an_upright_person_and_does_not_move() -> None:
    body = person()
    body[:, LEGS] = np.nan
    found = features(body)
    parts = found[:450].reshape(6, 25, 3)
    for side in ("Left", "Right"):
        np.testing.assert_allclose(
            parts[:, JOINT[f"Ankle{side}"]] - parts[:, JOINT[f"Hip{side}"]], [[0, -0.86, 0]] * 6, atol=1e-5
        )
    deviation = found[450:525].reshape(25, 3)
    np.testing.assert_allclose(deviation[JOINT["AnkleLeft"]], deviation[JOINT["HipLeft"]], atol=1e-5)
    assert np.isfinite(found).all()


def test_a_body_whose_hips_are_never_seen_hangs_from_its_shoulders() -> None:
    body = person()
    hips = [JOINT[name] for name in ("SpineBase", "SpineMid", "HipLeft", "HipRight")]
    body[:, [*hips, *LEGS]] = np.nan
    found = features(body)
    parts = found[:450].reshape(6, 25, 3)
    np.testing.assert_allclose(parts[:, JOINT["SpineShoulder"]], [[0, 0.5, 0]] * 6, atol=1e-4)
    np.testing.assert_allclose(parts[:, JOINT["HipLeft"]], [[0.09, 0, 0]] * 6, atol=1e-6)


def test_people_of_whom_one_side_is_never_seen_differ_as_they_do_whole() -> None:
    bodies = [person(seed) for seed in range(3)]
    hidden = [body.copy() for body in bodies]
    middles = [JOINT["SpineBase"], JOINT["SpineShoulder"]]
    for body in hidden:
        body[:, [right for _, right in NTU25.pairs] + middles] = np.nan
    for one in range(3):
        for other in range(one):
            assert embed(hidden[one]) @ embed(hidden[other]) < 0.9
    for body in hidden:
        body[:, [left for left, _ in NTU25.pairs]] = np.nan  # only head, neck and the middle of the spine are left
    assert embed(hidden[0]) @ embed(hidden[1]) < 0.9999


def test_a_clip_without_depth_is_not_turned() -> None:
    flat = person()
    flat[..., 2] = 0
    mirrored = flat * np.float32([-1, 1, 1])
    left, right = (features(each)[:450].reshape(6, 25, 3)[:, JOINT["HipLeft"], 0] for each in (flat, mirrored))
    np.testing.assert_allclose(left, -right, atol=1e-6)


def test_a_side_that_a_clip_without_depth_hides_is_where_the_other_side_is() -> None:
    from_the_side = person()
    from_the_side[..., 2] = 0
    for left, right in NTU25.pairs:
        from_the_side[:, right] = from_the_side[:, left]
    for middle, parts in (("SpineBase", ("HipLeft", "HipRight")), ("SpineShoulder", ("ShoulderLeft", "ShoulderRight"))):
        from_the_side[:, JOINT[middle]] = from_the_side[:, [JOINT[part] for part in parts]].mean(axis=1)
    hidden = from_the_side.copy()
    hidden[:, [right for _, right in NTU25.pairs]] = np.nan
    hidden[:, [JOINT["SpineBase"], JOINT["SpineShoulder"]]] = np.nan
    np.testing.assert_allclose(features(hidden), features(from_the_side), atol=1e-5)


def test_a_hand_that_is_hidden_in_a_view_from_the_front_is_not_where_the_other_hand_is() -> None:
    flat = person()
    flat[..., 2] = 0
    for part, x in (("Hip", 0.1), ("Shoulder", 0.2)):
        flat[:, JOINT[f"{part}Left"], 0], flat[:, JOINT[f"{part}Right"], 0] = x, -x
    flat[:, JOINT["HandRight"]] = flat[:, JOINT["SpineBase"]] + np.float32([-0.3, 0.1, 0])
    hidden = flat.copy()
    hidden[30:60, JOINT["HandRight"]] = np.nan
    np.testing.assert_allclose(features(hidden), features(flat), atol=1e-5)


def test_with_depth_a_hidden_side_is_not_where_the_other_side_is() -> None:
    body = person()
    hidden = body.copy()
    hidden[:, JOINT["HandRight"]] = np.nan
    hand, wrist = (features(hidden)[:450].reshape(6, 25, 3)[:, JOINT[f"{part}Right"]] for part in ("Hand", "Wrist"))
    np.testing.assert_allclose(hand, wrist, atol=1e-5)


def test_nothing_known_at_all_gives_numbers() -> None:
    assert np.isfinite(features(np.full((120, 25, 3), np.nan, dtype=np.float32))).all()


def test_they_take_lacking_joints_as_nan_and_other_models_do_not() -> None:
    assert sampling_for(PoseStatistics(), SampleConfig()) == SampleConfig(keep_lacking=True)
    assert sampling_for(torch.nn.Identity(), SampleConfig(keep_lacking=True)) == SampleConfig()
