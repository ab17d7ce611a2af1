"""What each change does, on a person who waves and walks."""

from dataclasses import replace

import numpy as np
import pytest

from gfp_serve.formats import Clip
from gfp_serve.layouts import COCO17, KINECT20, MEDIAPIPE33, NTU25, OPENNI15, PENN13
from gfp_serve.preprocess import CleanConfig, clean, rotate_about_vertical
from tests.support.person import waving
from trainer.evaluate.suite import changes
from trainer.evaluate.suite.cameras import filmed, front_angle
from trainer.evaluate.suite.changes import CHANGES, CLEAN, Draws, draws_of
from trainer.evaluate.suite.joining import joined
from trainer.evaluate.suite.other_layouts import can_be_seen_as, place_of, root_of, seen_as

LEFT_WRIST = NTU25.joint_names.index("WristLeft")


def clip(frames: int = 60, **others: object) -> Clip:
    return Clip(name="a", sequence=waving(frames=frames), layout=NTU25, fps=30.0, label="wave", **others)  # type: ignore[arg-type]


def draws(seed: int = 0, *others: Clip) -> Draws:
    return Draws(np.random.default_rng(seed), others)


def marked(frames: int, mark: float) -> Clip:
    """A clip whose every coordinate is its frame's number and a mark."""
    sequence = (
        np.full((frames, 1, 25, 3), mark, dtype=np.float32) + np.arange(frames, dtype=np.float32)[:, None, None, None]
    )
    return replace(clip(), sequence=sequence)


def test_every_change_says_what_it_does_and_has_a_name_of_its_own() -> None:
    assert len({change.name for change in CHANGES}) == len(CHANGES)
    assert [change.name for change in CHANGES if len(change.meaning) < 10] == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_is_a_function_of_its_draws_and_leaves_a_clip_that_can_be_cleaned(change: changes.Change) -> None:
    given = (
        replace(clip(), layout=KINECT20, sequence=clip().sequence[:, :, :20]) if change.name == "13-joints" else clip()
    )
    before = given.sequence.copy()
    other = replace(given, sequence=given.sequence * np.float32(1.1))
    assert change.fits(given)
    first, again = (change.apply(given, draws_of(7, "set", change.name, 3, [other])) for _ in range(2))
    np.testing.assert_array_equal(first.sequence, again.sequence)
    np.testing.assert_array_equal(given.sequence, before)
    cleaned = clean(first.sequence, first.layout, CleanConfig())
    assert np.isfinite(cleaned.positions).all()


def test_a_window_has_60_percent_of_the_frames_in_one_piece() -> None:
    frames = changes.window(marked(100, 0), draws()).sequence[:, 0, 0, 0]
    assert len(frames) == 60
    np.testing.assert_array_equal(np.diff(frames), 1)


@pytest.mark.parametrize(("frames", "kept"), [(30, 24), (20, 20)])
def test_a_window_has_at_least_24_frames_or_all(frames: int, kept: int) -> None:
    assert len(changes.window(marked(frames, 0), draws()).sequence) == kept


def test_windows_begin_anywhere() -> None:
    starts = {float(changes.window(marked(50, 0), draws(seed)).sequence[0, 0, 0, 0]) for seed in range(200)}
    assert starts == set(range(21))


def test_rest_holds_the_first_and_last_frame_together_for_half_the_length() -> None:
    frames = changes.rest(marked(40, 0), draws()).sequence[:, 0, 0, 0]
    assert len(frames) == 60
    before = int((frames == 0).sum()) - 1
    np.testing.assert_array_equal(frames[before : before + 40], np.arange(40))
    assert (frames[before + 40 :] == 39).all()


def test_another_motion_ends_before_and_begins_after_where_the_body_stands() -> None:
    given, other = clip(frames=40), replace(clip(), sequence=waving(frames=50, height_m=3.0) + np.float32([8, 0, 8]))
    changed = changes.other_motion(given, draws(3, other)).sequence
    before = changes._split(given, draws(3))[0]
    assert len(changed) == 60
    assert 0 < before < 20
    own = changed[before : before + 40]
    offset = own[0, 0, 0] - given.sequence[0, 0, 0]
    assert offset[1] == 0
    np.testing.assert_allclose(own - offset, given.sequence, atol=1e-5)
    np.testing.assert_allclose(changed[:before, 0, 0, 1], 3.0)
    middle = changed[:, 0].mean(axis=1)
    np.testing.assert_allclose(middle[before], middle[before - 1], atol=2.5)
    np.testing.assert_allclose(middle[before, [0, 2]], middle[before - 1, [0, 2]], atol=1e-5)


def test_noise_has_a_spread_of_3_cm_and_gives_no_depth_to_flat_clips() -> None:
    given = clip()
    difference = changes.noise(given, draws()).sequence - given.sequence
    assert difference.std() == pytest.approx(0.03, rel=0.05)
    flat = replace(given, dimensions=2, sequence=given.sequence * np.float32([1, 1, 0]))
    assert not changes.noise(flat, draws()).sequence[..., 2].any()


def test_a_third_of_the_joints_is_lost_for_a_span_of_time_each() -> None:
    lost = np.isnan(changes.lost_joints(clip(frames=100), draws()).sequence).all(axis=3)[:, 0]
    spans = lost.sum(axis=0)
    assert (spans > 0).sum() == 8
    assert ((spans[spans > 0] >= 30) & (spans[spans > 0] <= 60)).all()
    assert (np.abs(np.diff(lost.astype(int), axis=0)).sum(axis=0) <= 2).all()


def test_half_the_frames_are_every_second_one_at_half_the_rate() -> None:
    changed = changes.half_the_frames(marked(7, 0), draws())
    np.testing.assert_array_equal(changed.sequence[:, 0, 0, 0], [0, 2, 4, 6])
    assert changed.fps == 15


def test_speed_goes_forward_at_0_7_to_1_4_times_and_changes_smoothly() -> None:
    slowest, fastest = [], []
    for seed in range(20):
        moments = changes.speed(marked(100, 0), draws(seed)).sequence[:, 0, 0, 0]
        steps = np.diff(moments)
        assert moments[0] == 0
        assert moments[-1] == pytest.approx(99, abs=1.4)
        slowest.append(steps.min())
        fastest.append(steps.max())
        assert np.abs(np.diff(steps)).max() < 0.05
    assert 0.69 < min(slowest) < 0.8
    assert 1.25 < max(fastest) < 1.41


def test_a_frame_beside_a_lost_one_is_lost_when_time_is_changed() -> None:
    given = marked(50, 0)
    given.sequence[20, 0, 5] = np.nan
    changed = changes.speed(given, draws()).sequence
    assert 1 <= np.isnan(changed[:, 0, 5]).all(axis=1).sum() <= 3
    assert np.isfinite(changed[:, 0, 4]).all()


def test_turning_is_about_the_vertical_by_at_most_45_degrees_after_cleaning() -> None:
    cleaned = clean(clip().sequence, NTU25, CleanConfig(align_view=True))
    angles = []
    for seed in range(50):
        positions = changes.turned(cleaned, draws(seed)).positions
        angles.append(front_angle(positions, NTU25) - front_angle(cleaned.positions, NTU25))
        np.testing.assert_allclose(positions[..., 1], cleaned.positions[..., 1], atol=1e-6)
    assert max(np.abs(angles)) < np.pi / 4
    assert max(np.abs(angles)) > np.pi / 5


def test_without_travel_the_hips_stay_at_the_origin() -> None:
    given = clip()
    given.sequence[10, 0, NTU25.joint_names.index("HipLeft")] = np.nan
    changed = changes.no_travel(given, draws())
    hips = np.delete(root_of(changed), 10, axis=0)
    np.testing.assert_allclose(hips, 0, atol=1e-6)
    np.testing.assert_allclose(changed.sequence[10, 0, 0], 0, atol=0.02)


def test_layouts_that_lack_what_another_needs_are_not_turned_into_it() -> None:
    assert can_be_seen_as(NTU25, KINECT20)
    assert can_be_seen_as(KINECT20, MEDIAPIPE33)
    assert can_be_seen_as(OPENNI15, COCO17)
    assert not can_be_seen_as(OPENNI15, KINECT20)
    assert not can_be_seen_as(OPENNI15, MEDIAPIPE33)
    assert not can_be_seen_as(KINECT20, KINECT20)


@pytest.mark.parametrize("target", [KINECT20, OPENNI15, COCO17, MEDIAPIPE33, PENN13], ids=lambda layout: layout.name)
def test_the_model_sees_the_same_body_in_another_layout(target) -> None:
    given = clip()
    whole = clean(given.sequence, NTU25, CleanConfig())
    changed = seen_as(given, target)
    seen = clean(changed.sequence, target, CleanConfig())
    far = np.linalg.norm(seen.positions - whole.positions, axis=3)
    moved = far - far[:, :, [NTU25.joint_names.index("WristLeft")]]
    assert np.abs(moved[seen.known]).max() < 0.12
    assert seen.known.any(axis=0).sum() < 25
    exact = [NTU25.joint_names.index(name) for name in ("ElbowLeft", "KneeRight", "HipLeft")]
    shift = seen.positions[:, :, exact] - whole.positions[:, :, exact]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:1, :1, :1], shift.shape), atol=1e-5)


def test_mediapipe_keeps_the_hand_where_it_was() -> None:
    given = clip()
    seen = seen_as(given, MEDIAPIPE33)
    np.testing.assert_allclose(
        place_of(seen.sequence, MEDIAPIPE33, "HandLeft"), place_of(given.sequence, NTU25, "HandLeft"), atol=1e-6
    )


@pytest.mark.parametrize(("name", "has_hips"), [("no-legs", True), ("upper-body", False)])
def test_people_behind_desks_have_no_legs(name: str, has_hips: bool) -> None:
    (change,) = [change for change in CHANGES if change.name == name]
    lost = np.isnan(change.apply(clip(), draws()).sequence).all(axis=(0, 1, 3))
    by_name = dict(zip(NTU25.joint_names, lost, strict=True))
    assert [bool(by_name[joint]) for joint in ("KneeLeft", "FootRight", "AnkleRight")] == [True] * 3
    assert [bool(by_name[joint]) for joint in ("WristLeft", "SpineShoulder")] == [False] * 2
    assert bool(by_name["HipLeft"]) is not has_hips


def test_a_camera_gives_flat_joints_with_a_trunk_of_half_a_metre() -> None:
    seen = filmed(clip(), np.random.default_rng(0))
    assert seen.dimensions == 2
    assert not seen.sequence[..., 2].any()
    trunk = place_of(seen.sequence, NTU25, "SpineShoulder") - place_of(seen.sequence, NTU25, "SpineBase")
    assert np.median(np.linalg.norm(trunk, axis=2)) == pytest.approx(0.5, abs=0.01)
    head, foot = (place_of(seen.sequence, NTU25, name)[..., 1].mean() for name in ("Head", "FootLeft"))
    assert head - foot > 1


def test_cameras_stand_before_people_whichever_way_they_face() -> None:
    for seed in range(20):
        turned = replace(clip(), sequence=rotate_about_vertical(clip().sequence, float(seed)))
        seen = filmed(turned, np.random.default_rng(seed))
        left, right = (place_of(seen.sequence, NTU25, f"Hip{side}")[..., 0].mean() for side in ("Left", "Right"))
        assert left > right


def test_flat_clips_are_not_filmed_again() -> None:
    flat = replace(clip(), dimensions=2)
    assert {change.name for change in CHANGES if not change.fits(flat)} == {"turned", "2d-in-3d", "2d-in-2d"}
    assert [change.name for change in CHANGES if change.of_gallery] == ["2d-in-2d"]


def test_the_clean_change_changes_nothing() -> None:
    given = clip()
    assert CLEAN.apply(given, draws()) is given


def test_joined_parts_go_on_from_where_the_body_was_and_absent_bodies_are_not_seen() -> None:
    two = np.concatenate([waving(frames=5), waving(frames=5) + np.float32(1)], axis=1)
    whole = joined([waving(frames=8), np.zeros((0, 1, 25, 3), dtype=np.float32), two])
    assert whole.shape == (13, 2, 25, 3)
    assert np.isnan(whole[:8, 1]).all()
    np.testing.assert_allclose(whole[8, 0, :, [0, 2]].mean(axis=1), whole[7, 0, :, [0, 2]].mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(whole[8:, 0, 0, 1], 1.0)
    assert whole[8, 0, LEFT_WRIST, 1] == two[0, 0, LEFT_WRIST, 1]
