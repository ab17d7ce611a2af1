"""The pace that is found: lanes only where they pay, batches only as large as they pay."""

import time

import numpy as np
import pytest

from gfp_serve.batching.batcher import Encode
from gfp_serve.batching.pace import calibrate
from gfp_serve.encoder import Encoder
from tests.support.tiny_bundle import tiny_bundle


class Timed(Encoder):
    """Takes a time for each call and one for each body, alone and in a lane."""

    def __init__(self, *, alone_s: float, beside_s: float, call_s: float = 0.0, num_lanes: int = 2) -> None:
        super().__init__(tiny_bundle(), num_threads=1)
        self.num_lanes = num_lanes
        self._alone_s, self._beside_s, self._call_s = alone_s, beside_s, call_s
        self.largest = 0

    def encode(self, clips: np.ndarray) -> np.ndarray:
        return self._take(self._alone_s, clips)

    def beside(self) -> Encode:
        return lambda clips: self._take(self._beside_s, clips)

    def _take(self, body_s: float, clips: np.ndarray) -> np.ndarray:
        self.largest = max(self.largest, len(clips))
        time.sleep(self._call_s + body_s * len(clips))
        return clips[:, 0, 0, 0, :1]


def test_lanes_are_used_where_they_answer_more_clips_in_the_same_time() -> None:
    pace = calibrate(Timed(alone_s=0.02, beside_s=0.025), num_frames=4)
    assert (pace.num_lanes, pace.split_from) == (2, 2)
    assert pace.encode_beside is not None


def test_of_fewer_clips_than_a_lane_is_slower_each_has_the_whole_device() -> None:
    pace = calibrate(Timed(alone_s=0.01, beside_s=0.045, num_lanes=8), num_frames=4)
    assert (pace.num_lanes, pace.split_from) == (8, 5)


def test_lanes_that_do_not_pay_are_not_used() -> None:
    pace = calibrate(Timed(alone_s=0.01, beside_s=0.04), num_frames=4)
    assert (pace.num_lanes, pace.encode_beside) == (1, None)


def test_a_batch_is_as_large_as_it_pays_and_no_larger() -> None:
    assert calibrate(Timed(alone_s=0.02, beside_s=1.0, num_lanes=1), num_frames=4).max_bodies == 2
    encoder = Timed(alone_s=0.0005, beside_s=1.0, call_s=0.01, num_lanes=1)
    assert 16 <= calibrate(encoder, num_frames=4).max_bodies <= 128
    assert encoder.largest <= 128


def test_what_is_set_is_not_measured() -> None:
    encoder = Timed(alone_s=0.01, beside_s=0.04)
    pace = calibrate(encoder, num_frames=4, max_bodies=7, num_lanes=2)
    assert (pace.max_bodies, pace.num_lanes) == (7, 2)
    assert encoder.largest == 1
    encoder = Timed(alone_s=0.01, beside_s=0.001)
    assert calibrate(encoder, num_frames=4, max_bodies=7, num_lanes=1).encode_beside is None
    assert encoder.largest == 0


@pytest.mark.parametrize(("num_threads", "num_lanes"), [(1, 1), (3, 3)])
def test_an_encoder_has_a_lane_for_each_thread_and_both_ways_give_the_same(num_threads: int, num_lanes: int) -> None:
    encoder = Encoder(tiny_bundle(), num_threads=num_threads)
    clips = np.random.default_rng(1).normal(size=(5, 2, 6, 25, 3)).astype(np.float32)
    assert encoder.num_lanes == num_lanes
    np.testing.assert_allclose(encoder.beside()(clips), encoder.encode(clips), atol=1e-6)
