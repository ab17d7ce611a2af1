"""Which pace suits an encoder on this machine: measured at the start, in some seconds."""

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep

import numpy as np

from gfp_serve.batching.batcher import Pace
from gfp_serve.bundle import Encode
from gfp_serve.encoder import Encoder
from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT
from gfp_serve.runtime import LARGEST_BATCH

_log = logging.getLogger(__name__)

# Measurements stop after this time: a slow encoder gains little by lanes or larger batches.
_MEASURING_S = 1.0
# Each way is timed this many times at most. The least time counts, because other programs can only add to it.
_REPEATS = 4
_MAX_BATCH = LARGEST_BATCH

# A batch is large enough when its time per body is within this factor of the best. A larger one only adds waiting.
_NEAR_BEST = 1.07
# The least gain for which lanes are worth the memory of a second session.
_WORTH_IT = 1.05
# More threads for a lone clip are worth it if it takes this much longer on fewer: they keep cores from other work.
_WORTH_THREADS = 1.1
# A lone clip comes after silence, when the cores have other things to do or sleep: then threads cost more.
_SILENCE_S = 0.01
_LONE_CALLS = 7


def measure_pace(encoder: Encoder, num_frames: int, *, max_bodies: int = 0, num_lanes: int = 0) -> Pace:
    """The pace at which clips of one body are encoded fastest; a lone clip is always answered as soon as it can be.

    Lanes are measured beside each other, lone calls on 1, 2, 4 and so on threads after a silence, and batches as the
    lanes will run them; all with clips of one body. `num_frames` is the length of the encoder's input. `max_bodies` and
    `num_lanes` that are not 0 are not measured.
    """
    clip = np.zeros((1, 1, num_frames, MODEL_LAYOUT.num_joints, 3), dtype=np.float32)
    most = min(num_lanes or encoder.num_threads, encoder.num_threads)
    on_one = encoder.open_on(1) if encoder.num_threads > 1 else encoder.encode
    lanes, in_lane_s = _choose_lanes(encoder, on_one, clip, most, is_set=num_lanes > 0)
    encode_in_lane = on_one if lanes > 1 else None
    alone = _choose_alone(encoder, on_one, clip)
    seconds = {} if max_bodies else _time_batches(encode_in_lane or encoder.encode, clip, lanes)
    if seconds:
        enough = next(size for size, each in seconds.items() if each <= _NEAR_BEST * min(seconds.values()))
        max_bodies = max(MAX_BODIES, enough)
    # As many clips as are encoded one by one in the time of one lane. Fewer clips are done sooner that way.
    split_from = 1 if encode_in_lane is None or alone.num_threads == 1 else max(2, math.ceil(in_lane_s / alone.seconds))
    _log.info(
        "max_batch_bodies=%d lanes=%d threads_alone=%d ms_alone=%.2f ms_per_body=%s",
        max_bodies,
        lanes,
        alone.num_threads,
        1000 * alone.seconds,
        {size: round(1000 * each, 2) for size, each in seconds.items()},
    )
    return Pace(max_bodies, lanes, split_from, encode_in_lane, alone.encode)


@dataclass(frozen=True, slots=True)
class _Alone:
    """How a lone clip is encoded: on how many threads, by what, and in which time."""

    num_threads: int
    encode: Encode
    seconds: float


def _choose_lanes(
    encoder: Encoder, on_one: Encode, clip: np.ndarray, num_lanes: int, *, is_set: bool
) -> tuple[int, float]:
    """How many calls on one thread each run at the same time, and the seconds of one of them beside the others."""
    if num_lanes == 1:
        return 1, 0.0
    alone_s, in_lane_s = _compare(encoder.encode, on_one, clip, num_lanes)
    if not is_set and in_lane_s / num_lanes * _WORTH_IT >= alone_s:
        return 1, 0.0
    return num_lanes, in_lane_s


def _choose_alone(encoder: Encoder, on_one: Encode, clip: np.ndarray) -> _Alone:
    """The fewest threads on which a lone clip is answered about as soon as on twice as many, and as on all."""
    most = encoder.num_threads
    on_all = _Alone(most, encoder.encode, _time_alone(encoder.encode, clip) if most > 1 else 0.0)
    best = _Alone(0, encoder.encode, math.inf)
    for num_threads in _doubling_below(most):
        encode = on_one if num_threads == 1 else encoder.open_on(num_threads)
        tried = _Alone(num_threads, encode, _time_alone(encode, clip))
        if best.seconds < _WORTH_THREADS * min(tried.seconds, on_all.seconds):
            return best
        best = tried
    return best if best.seconds < _WORTH_THREADS * on_all.seconds else on_all


def _doubling_below(most: int) -> Iterator[int]:
    """1, 2, 4 and so on, less than `most`."""
    return (1 << power for power in range((most - 1).bit_length()))


def _time_batches(encode: Encode, clip: np.ndarray, num_lanes: int) -> dict[int, float]:
    """Seconds per body in batches of 1, 2, 4 and so on, as long as more bodies may be faster."""
    seconds: dict[int, float] = {}
    end = perf_counter() + _MEASURING_S
    for size in (2**power for power in range(_MAX_BATCH.bit_length())):
        batch = np.repeat(clip, size, axis=0)
        seconds[size] = min(_time_in_lanes(encode, batch, num_lanes) for _ in _repeats(end)) / size / num_lanes
        # Where batching gains anything, it does so early.
        if perf_counter() > end or seconds[size] > 2 * min(seconds.values()):
            break
    return seconds


def _time_alone(encode: Encode, clip: np.ndarray) -> float:
    """Seconds of a call that comes after a silence, the median of some."""
    encode(clip)  # the first call of a session is slow
    end = perf_counter() + _MEASURING_S
    seconds: list[float] = []
    while len(seconds) < _LONE_CALLS and not (seconds and perf_counter() > end):
        sleep(_SILENCE_S)
        seconds.append(_time(encode, clip))
    return median(seconds)


def _compare(encode: Encode, encode_in_lane: Encode, clip: np.ndarray, num_lanes: int) -> tuple[float, float]:
    """Seconds of a call that has all cores, and of one of `num_lanes` calls that have one each, timed in turns."""
    encode(clip), encode_in_lane(clip)  # the first call of a session is slow
    end = perf_counter() + _MEASURING_S
    times = [(_time(encode, clip), _time_in_lanes(encode_in_lane, clip, num_lanes)) for _ in _repeats(end)]
    return min(alone for alone, _ in times), min(in_lane for _, in_lane in times)


def _repeats(end: float) -> Iterator[int]:
    for number in range(_REPEATS):
        if number and perf_counter() > end:
            return
        yield number


def _time_in_lanes(encode: Encode, batch: np.ndarray, num_lanes: int) -> float:
    """Seconds of the slowest of `num_lanes` calls that run at the same time."""
    if num_lanes == 1:
        return _time(encode, batch)
    with ThreadPoolExecutor(num_lanes) as workers:
        return max(workers.map(lambda _: _time(encode, batch), range(num_lanes)))


def _time(encode: Callable[[np.ndarray], object], batch: np.ndarray) -> float:
    started = perf_counter()
    encode(batch)
    return perf_counter() - started
