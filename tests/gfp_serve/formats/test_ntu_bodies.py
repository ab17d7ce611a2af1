"""Which bodies of an NTU file are people: the published rules, without and with the mistakes of the published code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.formats.ntu.bodies import choose_actors, choose_actors_as_published

Frames = list[dict[str, np.ndarray]]


def make_bodies(num_frames: int, *tracks: tuple[int, int, float], wide: tuple[int, ...] = ()) -> np.ndarray:
    """Make bodies from (first frame, frame after the last, amount of motion). All but the `wide` are upright."""
    bodies = np.full((num_frames, len(tracks), 25, 3), np.nan, dtype=np.float32)
    for body, (start, end, motion) in enumerate(tracks):
        height = 0.5 if body in wide else 2.0
        pose = np.stack([np.linspace(0, 1, 25), np.linspace(0, height, 25), np.full(25, float(body))], axis=1)
        sway = motion * np.sin(np.arange(end - start))
        bodies[start:end, body] = pose + sway[:, None, None]
    return bodies


def who(actors: np.ndarray) -> list[list[int | None]]:
    """Return, for each frame, which body each actor is. Their z tells them apart."""
    z = actors[:, :, 0, 2] - actors[:, :, 0, 0]  # the sway cancels out
    return [[None if np.isnan(value) else round(float(value)) for value in frame] for frame in z]


def test_a_body_tracked_for_11_frames_is_dropped_and_one_tracked_for_12_is_kept() -> None:
    actors = choose_actors(make_bodies(40, (0, 40, 0.1), (5, 16, 0.5), (20, 32, 0.2)))
    assert who(actors) == [[0, 2 if 20 <= frame < 32 else None] for frame in range(40)] or who(actors) == [
        [2 if 20 <= frame < 32 else None, 0] for frame in range(40)
    ]
    assert actors.shape[1] == 2


def test_a_single_short_body_is_kept_and_if_all_are_short_all_are_kept() -> None:
    single = make_bodies(5, (0, 3, 0.1))
    np.testing.assert_array_equal(choose_actors(single), single)
    assert choose_actors(make_bodies(5, (0, 5, 0.1), (0, 5, 0.2))).shape[1] == 2


def test_a_body_wider_than_high_is_not_a_person_unless_it_is_the_only_one() -> None:
    two = make_bodies(20, (0, 20, 0.1), (0, 20, 0.5), wide=(1,))
    assert who(choose_actors(two)) == [[0]] * 20
    assert who(choose_actors(make_bodies(20, (0, 20, 0.1), (0, 20, 0.5), wide=(0, 1)))) == [[1]] * 20


def test_the_first_actor_is_the_one_who_moves_most() -> None:
    assert who(choose_actors(make_bodies(20, (0, 20, 0.1), (0, 20, 0.5)))) == [[1, 0]] * 20


def test_a_person_who_comes_back_with_another_id_is_one_actor() -> None:
    bodies = make_bodies(40, (0, 15, 0.3), (20, 40, 0.2))
    assert who(choose_actors(bodies)) == [[0 if f < 15 else 1 if f >= 20 else None] for f in range(40)]


def test_a_third_who_overlaps_both_actors_is_dropped() -> None:
    bodies = make_bodies(20, (0, 20, 0.5), (0, 20, 0.4), (0, 20, 0.3))
    assert who(choose_actors(bodies)) == [[0, 1]] * 20


def test_gaps_in_time_are_kept_by_default_and_closed_up_as_published() -> None:
    bodies = make_bodies(45, (0, 40, 0.1))
    bodies[10:20] = np.nan
    assert who(choose_actors(bodies)) == [[None if 10 <= f < 20 or f >= 40 else 0] for f in range(45)]
    assert who(choose_actors_as_published(bodies)) == [[0]] * 30
    np.testing.assert_array_equal(choose_actors_as_published(bodies)[10], bodies[20])


def test_as_published_a_returning_body_is_moved_back_in_time_and_the_other_is_not() -> None:
    bodies = make_bodies(40, (0, 40, 0.5), (0, 40, 0.1))
    bodies[10:30, 1] = np.nan
    assert who(choose_actors(bodies)) == [[0, None if 10 <= f < 30 else 1] for f in range(40)]
    assert who(choose_actors_as_published(bodies)) == [[0, 1 if f < 20 else None] for f in range(40)]


def test_a_person_with_two_ids_for_a_few_frames_is_one_actor_beside_another() -> None:
    # While both exist, body 2 is in the place of body 0. Body 1 is always a metre away.
    bodies = make_bodies(100, (0, 52, 0.5), (0, 100, 0.1), (49, 100, 0.4))
    bodies[49:52, 2] = bodies[49:52, 0] + 0.02
    actors = choose_actors(bodies)
    assert np.isfinite(actors).all()
    np.testing.assert_array_equal(actors[:49, 0], bodies[:49, 0])
    np.testing.assert_allclose(actors[49:52, 0], bodies[49:52, 0], atol=0.03)  # from either ID
    np.testing.assert_array_equal(actors[52:, 0], bodies[52:, 2])
    np.testing.assert_array_equal(actors[:, 1], bodies[:, 1])


def test_a_short_track_fills_the_gap_of_the_person_in_the_same_place() -> None:
    bodies = make_bodies(100, (0, 100, 0.5), (0, 100, 0.1), (30, 70, 0.4))
    bodies[30:70, 0] = np.nan
    bodies[:, 2] -= [0, 0, 1.9]
    actors = choose_actors(bodies)
    np.testing.assert_array_equal(actors[:, 1], bodies[:, 1])
    np.testing.assert_array_equal(actors[30:70, 0], bodies[30:70, 2])
    np.testing.assert_array_equal(actors[70:, 0], bodies[70:, 0])


def test_tracks_that_share_many_frames_in_one_place_are_two_people() -> None:
    assert who(choose_actors(make_bodies(40, (0, 30, 0.5), (15, 40, 0.4))))[20] == [0, 1]


def test_tracks_that_share_one_frame_overlap_but_not_as_published() -> None:
    bodies = make_bodies(40, (0, 21, 0.5), (20, 40, 0.1))
    assert who(choose_actors(bodies))[19:22] == [[0, None], [0, 1], [None, 1]]
    assert who(choose_actors_as_published(bodies))[19:22] == [[0], [1], [1]]


def test_a_track_before_the_second_actor_becomes_part_of_it_but_not_as_published() -> None:
    bodies = make_bodies(60, (0, 60, 0.5), (30, 60, 0.4), (5, 25, 0.1))
    assert who(choose_actors(bodies))[10] == [0, 2]
    assert who(choose_actors_as_published(bodies))[10] == [0, None]


def test_nobody_stays_nobody() -> None:
    nobody = np.full((3, 2, 25, 3), np.nan, dtype=np.float32)
    assert np.isnan(choose_actors(nobody)).all()
    assert np.isnan(choose_actors_as_published(nobody)).all()


def reference(frames: Frames) -> np.ndarray:
    """Do the published steps one after another. Return frames × 75 or frames × 150; zeros = absent."""
    rows: dict[str, list[np.ndarray]] = {}
    intervals: dict[str, list[int]] = {}
    num_frames = 0
    for frame in frames:
        if not frame:
            continue
        for body, joints in frame.items():
            rows.setdefault(body, []).append(joints)
            known = intervals.setdefault(body, [])
            known.append(known[-1] + 1 if known else num_frames)
        num_frames += 1
    joints_of = {body: np.stack(poses).astype(np.float64) for body, poses in rows.items()}  # frames, 25, 3
    if len(joints_of) == 1:
        (alone,) = joints_of.values()
        return alone.reshape(-1, 75)
    motion = {body: joints.reshape(-1, 3).var(axis=0).sum() for body, joints in joints_of.items()}
    left = [body for body in joints_of if len(intervals[body]) > 11] or list(joints_of)
    for body in list(left):
        if len(left) == 1:
            break
        noisy = []
        for pose in joints_of[body]:
            width, height = np.ptp(pose[:, 0]), np.ptp(pose[:, 1])
            noisy.append(width > 0.8 * height)
        if sum(noisy) / len(noisy) >= 0.69754:
            left.remove(body)
        elif any(noisy):
            good = joints_of[body][~np.array(noisy)]
            motion[body] = min(motion[body], good.reshape(-1, 3).var(axis=0).sum())
    left.sort(key=lambda body: motion[body], reverse=True)
    result = np.zeros((num_frames, 150))
    first = left[0]
    start1, end1 = intervals[first][0], intervals[first][-1]
    result[start1 : end1 + 1, :75] = joints_of[first].reshape(-1, 75)
    start2 = end2 = 0
    for body in left[1:]:
        start, end = intervals[body][0], intervals[body][-1]
        if min(end1, end) - max(start1, start) <= 0:
            result[start : end + 1, :75] = joints_of[body].reshape(-1, 75)
            start1, end1 = min(start1, start), max(end1, end)
        elif min(end2, end) - max(start2, start) <= 0:
            result[start : end + 1, 75:] = joints_of[body].reshape(-1, 75)
            start2, end2 = min(start2, start), max(end2, end)
    return result[(result != 0).any(axis=1)]


# First frame, the frame after the last, and whether the body is lost in between. Many touch or are one frame apart.
spans = st.tuples(st.sampled_from([0, 3, 13, 14, 26]), st.sampled_from([14, 15, 27, 40]), st.booleans())


@given(seed=st.integers(0, 2**32 - 1), tracks=st.lists(spans, min_size=1, max_size=5))
def test_the_choice_as_published_equals_that_of_a_plain_reference(
    seed: int, tracks: list[tuple[int, int, bool]]
) -> None:
    rng = np.random.default_rng(seed)
    bodies = np.full((40, len(tracks), 25, 3), np.nan, dtype=np.float32)
    for body, (start, end, is_lost) in enumerate(tracks):
        poses = rng.normal(size=(40, 25, 3)) * [rng.uniform(0.4, 1.2), 1, 1] * rng.choice([1, 3], size=(40, 1, 1))
        bodies[start:end, body] = poses[start:end]
        if is_lost:
            bodies[start + 4 : start + 7, body] = np.nan
    frames: Frames = [
        {str(body): joints for body, joints in enumerate(frame) if not np.isnan(joints).any()} for frame in bodies
    ]
    # The reference meets bodies in the order of their first frames, as the file's reader does.
    order = list(dict.fromkeys(int(body) for frame in frames for body in frame))
    if not order:
        return
    actors = choose_actors_as_published(bodies[:, order])
    expected = reference(frames)
    ours = np.zeros((len(actors), expected.shape[1] // 75, 25, 3), dtype=np.float32)
    ours[:, : actors.shape[1]] = np.nan_to_num(actors)
    np.testing.assert_array_equal(ours.reshape(len(ours), -1), expected.astype(np.float32))


@pytest.mark.parametrize("choose", [choose_actors, choose_actors_as_published])
def test_no_coordinate_is_changed_or_invented(choose: object) -> None:
    assert callable(choose)
    bodies = make_bodies(60, (0, 60, 0.5), (0, 20, 0.4), (25, 60, 0.1), (3, 12, 0.9))
    poses = {pose.tobytes() for pose in bodies.reshape(-1, 25, 3)}
    assert {pose.tobytes() for pose in choose(bodies).reshape(-1, 25, 3)} <= poses
