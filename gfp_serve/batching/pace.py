"""Which pace suits an encoder on the device at hand: measured at start, in two seconds or three."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gfp_serve.batching.batcher import Pace
from gfp_serve.bundle import Encode
from gfp_serve.encoder import Encoder
from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT

_log = logging.getLogger(__name__)

# Neither lanes nor larger batches are tried again once this time is over: a slow encoder gains little by them.
_PATIENCE_S = 1.0
# Times of each way at most; the least counts, for others come from what else the machine does.
_REPEATS = 4
_MAX_BATCH = 128

# A batch is large enough when it is as near as this to the fastest: a larger one only adds waiting.
_NEARLY = 1.07
# What lanes must gain to be worth the memory of a second session.
_WORTH_IT = 1.05


def calibrate(encoder: Encoder, num_frames: int, *, max_bodies: int = 0, num_lanes: int = 0) -> Pace:
    """The pace at which clips of one body are encoded fastest; a lone clip is always answered as soon as it can be.

    `max_bodies` and `num_lanes` that are not 0 are taken as they are.
    """
    clip = np.zeros((1, 1, num_frames, MODEL_LAYOUT.num_joints, 3), dtype=np.float32)
    lanes, split_from, beside = _choose_lanes(encoder, clip, num_lanes)
    seconds = {} if max_bodies else _time_batches(beside or encoder.encode, clip, lanes)
    if seconds:
        enough = next(size for size, each in seconds.items() if each <= _NEARLY * min(seconds.values()))
        max_bodies = max(MAX_BODIES, enough)
    _log.info(
        "max_batch_bodies=%d lanes=%d ms_a_body=%s",
        max_bodies,
        lanes,
        {size: round(1000 * each, 2) for size, each in seconds.items()},
    )
    return Pace(max_bodies, lanes, split_from, beside)


def _choose_lanes(encoder: Encoder, clip: np.ndarray, num_lanes: int) -> tuple[int, int, Encode | None]:
    """How many lanes, from how many waiting clips, and what runs in them; None for one lane."""
    most = min(num_lanes or encoder.num_lanes, encoder.num_lanes)
    if most == 1:
        return 1, 1, None
    beside = encoder.beside()
    alone_s, beside_s = _compare(encoder.encode, beside, clip, most)
    if not num_lanes and beside_s / most * _WORTH_IT >= alone_s:
        return 1, 1, None
    # As many clips as one lane takes the time of: fewer are sooner done one after another, on all cores.
    return most, max(2, math.ceil(beside_s / alone_s)), beside


def _time_batches(encode: Encode, clip: np.ndarray, num_lanes: int) -> dict[int, float]:
    """Seconds a body in batches of 1, 2, 4 and so on, until more cannot pay."""
    seconds: dict[int, float] = {}
    end = time.perf_counter() + _PATIENCE_S
    for size in (2**power for power in range(_MAX_BATCH.bit_length())):
        batch = np.repeat(clip, size, axis=0)
        seconds[size] = min(_side_by_side(encode, batch, num_lanes) for _ in _repeats(end)) / size / num_lanes
        # A device that batching pays on shows it early.
        if time.perf_counter() > end or seconds[size] > 2 * min(seconds.values()):
            break
    return seconds


def _compare(encode: Encode, beside: Encode, clip: np.ndarray, num_lanes: int) -> tuple[float, float]:
    """Seconds of a call that has the device to itself, and of one among `num_lanes` others, in turns."""
    encode(clip), beside(clip)  # the first call of a session is slow
    end = time.perf_counter() + _PATIENCE_S
    times = [(_timed(encode, clip), _side_by_side(beside, clip, num_lanes)) for _ in _repeats(end)]
    return min(alone for alone, _ in times), min(each for _, each in times)


def _repeats(end: float) -> Iterator[int]:
    for number in range(_REPEATS):
        if number and time.perf_counter() > end:
            return
        yield number


def _side_by_side(encode: Encode, batch: np.ndarray, num_lanes: int) -> float:
    if num_lanes == 1:
        return _timed(encode, batch)
    with ThreadPoolExecutor(num_lanes) as workers:
        return max(workers.map(lambda _: _timed(encode, batch), range(num_lanes)))


def _timed(encode: Callable[[np.ndarray], object], batch: np.ndarray) -> float:
    started = time.perf_counter()
    encode(batch)
    return time.perf_counter() - started
