"""The measured pace: lanes are used only where they pay, and batches are only as large as pays."""

import threading

import numpy as np
import pytest

from gfp_serve.batching import pace as module
from gfp_serve.batching.batcher import Encode, Pace
from gfp_serve.batching.pace import measure_pace
from gfp_serve.encoder import Encoder
from tests.support.tiny_bundle import tiny_bundle


class Clock(threading.local):
    """A clock that only encoders advance, each in its own thread, so a busy machine changes nothing."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


class Timed(Encoder):
    """Advances a clock by a time for each call and one for each body: on all cores, on some of them, and on one."""

    def __init__(
        self,
        clock: Clock,
        *,
        alone_s: float,
        in_lane_s: float,
        call_s: float = 0.0,
        num_lanes: int = 2,
        on_some_s: float = 1.0,
    ) -> None:
        super().__init__(tiny_bundle(), num_threads=1)
        self.num_threads = num_lanes
        self._clock = clock
        self._alone_s, self._in_lane_s, self._call_s = alone_s, in_lane_s, call_s
        self._on_some_s = on_some_s
        self.largest = 0
        self.opened: list[int] = []

    def encode(self, clips: np.ndarray) -> np.ndarray:
        return self._take(self._alone_s, clips)

    def open_on(self, num_threads: int) -> Encode:
        self.opened.append(num_threads)
        return lambda clips: self._take(self._in_lane_s if num_threads == 1 else self._on_some_s, clips)

    def _take(self, body_s: float, clips: np.ndarray) -> np.ndarray:
        self.largest = max(self.largest, len(clips))
        self._clock.now += self._call_s + body_s * len(clips)
        return clips[:, 0, 0, 0, :1]


def test_lanes_are_used_where_they_answer_more_clips_in_the_same_time(clock: Clock) -> None:
    pace = measure_pace(Timed(clock, alone_s=0.02, in_lane_s=0.025), num_frames=4)
    assert (pace.num_lanes, pace.split_from) == (2, 2)
    assert pace.encode_in_lane is not None


def test_too_few_clips_for_lanes_use_the_whole_device_one_by_one(clock: Clock) -> None:
    pace = measure_pace(Timed(clock, alone_s=0.01, in_lane_s=0.045, on_some_s=0.02, num_lanes=8), num_frames=4)
    assert (pace.num_lanes, pace.split_from) == (8, 5)


def test_lanes_that_do_not_pay_are_not_used(clock: Clock) -> None:
    pace = measure_pace(Timed(clock, alone_s=0.01, in_lane_s=0.04), num_frames=4)
    assert (pace.num_lanes, pace.encode_in_lane) == (1, None)


def seconds_alone(clock: Clock, pace: Pace, encoder: Encoder) -> float:
    """What a lone clip takes: by what the pace has for it, or as usual."""
    before = clock.now
    (pace.encode_alone or encoder.encode)(np.zeros((1, 1, 4, 25, 3), np.float32))
    return clock.now - before


def test_a_lone_clip_gets_one_core_where_more_do_not_help_it(clock: Clock) -> None:
    encoder = Timed(clock, alone_s=0.0095, in_lane_s=0.01, num_lanes=8)
    pace = measure_pace(encoder, num_frames=4)
    assert seconds_alone(clock, pace, encoder) == pytest.approx(0.01)
    # The lane answers it, so no other session takes memory; two clips are no reason to wait for each other.
    assert encoder.opened == [1, 2]
    assert (pace.num_lanes, pace.split_from, pace.encode_alone) == (8, 1, pace.encode_in_lane)


def test_a_lone_clip_gets_as_many_cores_as_help_it(clock: Clock) -> None:
    encoder = Timed(clock, alone_s=0.0099, in_lane_s=0.03, on_some_s=0.01, num_lanes=8)
    pace = measure_pace(encoder, num_frames=4)
    assert seconds_alone(clock, pace, encoder) == pytest.approx(0.01)
    # Two threads help; four, which take as long, do not.
    assert encoder.opened == [1, 2, 4]
    assert pace.split_from == 3


def test_a_lone_clip_gets_all_cores_where_they_help_it(clock: Clock) -> None:
    encoder = Timed(clock, alone_s=0.02, in_lane_s=0.025)
    pace = measure_pace(encoder, num_frames=4)
    assert seconds_alone(clock, pace, encoder) == pytest.approx(0.02)


def test_a_batch_is_no_larger_than_pays(clock: Clock) -> None:
    assert measure_pace(Timed(clock, alone_s=0.02, in_lane_s=1.0, num_lanes=1), num_frames=4).max_bodies == 2
    encoder = Timed(clock, alone_s=0.0005, in_lane_s=1.0, call_s=0.01, num_lanes=1)
    # 10 ms a call and 0.5 ms a body are 0.578 ms a body in batches of 128, and 0.656 ms, 1.14 times that, in 64.
    assert measure_pace(encoder, num_frames=4).max_bodies == 128
    encoder = Timed(clock, alone_s=0.0005, in_lane_s=1.0, call_s=0.001, num_lanes=1)
    # 0.531 ms a body in batches of 32 is 1.05 times the best.
    assert measure_pace(encoder, num_frames=4).max_bodies == 32


def test_a_slow_encoder_is_not_measured_for_long(clock: Clock) -> None:
    encoder = Timed(clock, alone_s=1.0, in_lane_s=1.0, call_s=9.0, num_lanes=1)
    assert measure_pace(encoder, num_frames=4).max_bodies == 2
    assert encoder.largest == 1


def test_settings_given_by_the_user_are_not_measured(clock: Clock) -> None:
    encoder = Timed(clock, alone_s=0.01, in_lane_s=0.04)
    pace = measure_pace(encoder, num_frames=4, max_bodies=7, num_lanes=2)
    assert (pace.max_bodies, pace.num_lanes) == (7, 2)
    assert encoder.largest == 1
    encoder = Timed(clock, alone_s=0.01, in_lane_s=0.001)
    assert measure_pace(encoder, num_frames=4, max_bodies=7, num_lanes=1).encode_in_lane is None
    assert encoder.largest == 1
    encoder = Timed(clock, alone_s=0.01, in_lane_s=0.001, num_lanes=1)
    measure_pace(encoder, num_frames=4, max_bodies=7)
    assert encoder.largest == 0, "with one core there is nothing to choose"


@pytest.mark.parametrize("num_threads", [1, 3])
def test_an_encoder_gives_the_same_on_any_number_of_threads(num_threads: int) -> None:
    encoder = Encoder(tiny_bundle(), num_threads=num_threads)
    clips = np.random.default_rng(1).normal(size=(5, 2, 6, 25, 3)).astype(np.float32)
    assert encoder.num_threads == num_threads
    for number in (1, 2):
        np.testing.assert_allclose(encoder.open_on(number)(clips), encoder.encode(clips), atol=1e-6)
