"""Repetitions of a movement in a recording, and in frames as they come."""

import numpy as np
import pytest

from gfp_serve.errors import InvalidRequestError
from gfp_serve.layouts import NTU25
from gfp_serve.movement import Movement, joint_angles, movement_of_clip
from gfp_serve.preprocess import rotate_about_vertical
from gfp_serve.repetitions import RepetitionCounter, count_repetitions, num_compared
from tests.support.moving_person import curling
from tests.support.person import waving


def movement(clip: np.ndarray, fps: float | None = 30.0) -> Movement:
    return movement_of_clip(clip, NTU25, fps)


ONCE = movement(curling(1))


@pytest.mark.parametrize("seconds_each", [0.8, 2.0, 5.0])
@pytest.mark.parametrize("num_repetitions", [0, 1, 2, 7])
def test_repetitions_of_any_tempo_are_counted_where_they_are(num_repetitions: int, seconds_each: float) -> None:
    clip = curling(num_repetitions, seconds_each=seconds_each)
    clip = rotate_about_vertical(clip, 0.7) * np.float32(1.2)
    clip += np.random.default_rng(0).normal(0, 0.005, clip.shape).astype(np.float32)
    counter = count_repetitions(movement(clip), ONCE)
    assert len(counter.repetitions) == num_repetitions
    for number, each in enumerate(counter.repetitions):
        middle = 1 + (number + 0.5) * seconds_each
        assert each.start_s < middle < each.end_s
        assert each.nearness > 0.6
    starts_and_ends = [time_s for each in counter.repetitions for time_s in (each.start_s, each.end_s)]
    assert starts_and_ends == sorted(starts_and_ends)


def test_where_the_end_of_one_runs_into_the_next_the_later_one_begins_when_the_earlier_ends() -> None:
    counter = RepetitionCounter(ONCE)
    for start_s, end_s in ((0.5, 3.0), (2.7, 4.9), (6.0, 7.0)):
        counter._best = (0.0, start_s, end_s)
        counter._report()
    assert [(each.start_s, each.end_s) for each in counter.repetitions] == [(0.5, 3.0), (3.0, 4.9), (6.0, 7.0)]


def test_a_smaller_movement_counts_and_another_does_not() -> None:
    assert len(count_repetitions(movement(curling(3, most_degrees=60.0)), ONCE).repetitions) == 3
    assert len(count_repetitions(movement(curling(3, most_degrees=15.0)), ONCE).repetitions) == 0
    assert len(count_repetitions(movement(waving(frames=300)), ONCE).repetitions) == 0


def test_who_lies_down_is_not_counted_as_who_stands() -> None:
    lying = curling(3)[..., [0, 2, 1]] * np.array([1, -1, 1], dtype=np.float32)
    assert len(count_repetitions(movement(lying), ONCE).repetitions) == 0


def test_a_recording_of_another_frame_rate_has_the_same_count() -> None:
    slow = movement(curling(4)[::3], 10.0)
    assert len(count_repetitions(slow, ONCE).repetitions) == 4
    assert len(count_repetitions(movement(curling(4)), movement(curling(1)[::3], 10.0)).repetitions) == 4


@pytest.mark.parametrize("every", [7, 9])
def test_between_few_frames_a_second_the_angles_lie_on_a_line(every: int) -> None:
    few = movement(curling(4)[::every], 30.0 / every)
    assert len(count_repetitions(few, ONCE).repetitions) == 4


def test_frames_too_few_to_tell_are_refused_in_words() -> None:
    with pytest.raises(InvalidRequestError, match=r"2 frames a second, too few .* at least 3 are needed"):
        count_repetitions(movement(curling(3)[::15], 2.0), ONCE)
    with pytest.raises(InvalidRequestError, match="at least 3"):
        RepetitionCounter(ONCE).check_rate(1e-310)
    with pytest.raises(InvalidRequestError, match="only 3 frames of the wanted movement show how it goes"):
        RepetitionCounter(movement(curling(1, seconds_each=0.8)[::15], 2.0))
    assert [num_compared(10, fps) for fps in (60.0, 5.0, 1e-310, float("nan"))] == [10, 30, 500, 500]


def test_what_was_not_seen_for_long_is_lost_and_not_taken_for_a_line() -> None:
    whole = movement(curling(2))
    assert whole.times_s is not None
    with_a_loss = whole.at(np.flatnonzero((whole.times_s < 3.2) | (whole.times_s > 4.8)))
    assert len(count_repetitions(with_a_loss, ONCE).repetitions) == 1


def test_a_loss_of_years_takes_no_more_time_than_one_of_a_minute() -> None:
    once = movement(curling(1))
    assert once.times_s is not None
    angles = joint_angles(once)
    counter = RepetitionCounter(ONCE)
    for begin_s in (0.0, 1e9):
        counter.add(angles, begin_s + once.times_s)
    assert len(counter.finish()) == 2


@pytest.mark.parametrize("piece", [1, 7, 40])
def test_frames_that_come_in_pieces_give_the_same_as_the_whole(piece: int) -> None:
    recording = movement(curling(3))
    whole = count_repetitions(recording, ONCE)
    assert recording.times_s is not None
    angles = joint_angles(recording)
    counter = RepetitionCounter(ONCE)
    for start in range(0, len(angles), piece):
        counter.add(angles[start : start + piece], recording.times_s[start : start + piece])
    assert counter.finish() == whole.repetitions
    assert counter.nearness == []  # a stream may have no end


def test_joints_that_are_lost_are_not_counted_and_do_no_harm() -> None:
    whole = movement(curling(4))
    lost = [NTU25.canonical_names.index(name) for name in ("WristRight", "WristLeft")]
    one, both = (
        Movement(whole.positions, ~np.isin(np.arange(25), lost[:n]) & whole.known, whole.times_s) for n in (1, 2)
    )
    assert len(count_repetitions(one, ONCE).repetitions) == 4
    assert count_repetitions(both, ONCE).repetitions == []


def test_what_cannot_be_counted_is_refused_in_words() -> None:
    with pytest.raises(InvalidRequestError, match="hardly moves"):
        RepetitionCounter(movement(curling(0)))
    with pytest.raises(InvalidRequestError, match="hardly moves"):
        RepetitionCounter(movement(curling(1, most_degrees=8.0)))  # noise of a camera does as much
    with pytest.raises(InvalidRequestError, match="wanted movement has no frames a second"):
        RepetitionCounter(movement(curling(1), None))
    with pytest.raises(InvalidRequestError, match="recording has no frames a second"):
        count_repetitions(movement(curling(1), None), ONCE)
    with pytest.raises(InvalidRequestError, match="takes 26 s; one repetition of less than 20 s"):
        RepetitionCounter(movement(curling(1, seconds_each=24.0)))
    with pytest.raises(InvalidRequestError, match="check the frames a second"):
        RepetitionCounter(movement(curling(1), 1e-6))  # it would be years
