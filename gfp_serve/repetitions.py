"""How often a movement is repeated in a recording, or in frames as they come.

The wanted movement, one repetition of it, slides along the recording and may be stretched to three times or squeezed to
a third of its time, also unevenly (subsequence dynamic time warping; candidates that overlap compete as in SPRING,
Sakurai et al. 2007). What is compared are the angles of joints, so that place, size and direction do not count, each by
how much it moves in the wanted movement.

*Nearness* is 1 where all angles agree, and 0 where somebody holds still in the mean pose of the wanted movement. A
stretch counts as a repetition from `LEAST_NEARNESS` on.
"""

import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gfp_serve.errors import InvalidRequestError
from gfp_serve.movement import Movement, joint_angles

# Frames a second that are compared. Those between are averaged, which takes noise out; where there are fewer, what lies
# on a line between them is compared.
RATE_HZ = 15.0
LEAST_NEARNESS = 0.4
_STEPS_AT_ONCE = 20
# Wanted frames that one frame of the recording may pass, and the other way round.
_MOST_STEP = 3
# Frames that the shortest repetition must have, a third of the wanted movement long: with fewer, nobody can tell how
# often it went there and back.
_LEAST_SEEN = 2
# Compared frames from one frame to the next that are allowed for every wanted movement.
_FREE_GAP = 2
# Of the wanted movement's spread: what its first and last pose may differ by where it has not begun, or has ended.
_STILL = 0.05
# Angles count from where a repetition begins, if it begins within this many degrees of the wanted first pose: people
# stand, bend and are measured differently.
_MOST_OFFSET = 25.0
# Of the weight of all angles, the share of how upright the trunk is, so that who lies and who stands differ.
_UPRIGHT = 0.3
# The wanted movement must move: degrees, as the standard deviation of the angle that moves most.
_LEAST_SPREAD = 5.0
# The share of a repetition, at its end, in which the next may begin.
_SHARED = 0.25
_FEWEST_FRAMES, _MOST_FRAMES = 4, 300


@dataclass(frozen=True, slots=True)
class Repetition:
    """Seconds from the start of the recording, and how near it is to the wanted movement."""

    start_s: float
    end_s: float
    nearness: float


class RepetitionCounter:
    """Counts while frames come. `add` takes angles and times; `finish` gives what was still open at the end.

    `nearness` is that of the movement that ends at each of `times_s`, in seconds, -1 to 1; these are times at which
    there are frames. It is kept only `with_curve`, because a stream may have no end.
    """

    def __init__(self, wanted: Movement, *, with_curve: bool = False) -> None:
        """Raises `InvalidRequestError` for a movement without times, of few frames, of over 20 s, or at rest."""
        if wanted.times_s is None:
            raise InvalidRequestError("the wanted movement has no frames a second; say them, so that it has times.")
        seconds = float(wanted.times_s[-1] - wanted.times_s[0])
        # Before frames are made between those that there are.
        if seconds * RATE_HZ >= _MOST_FRAMES:
            raise InvalidRequestError(
                f"the wanted movement takes {seconds:.0f} s; one repetition of less than {_MOST_FRAMES / RATE_HZ:g} s "
                f"can be counted. Choose a shorter one, and check the frames a second."
            )
        rows, places = _binned(joint_angles(wanted), _bins(wanted.times_s))
        angles = _at_rate(rows, places)
        spread = angles.var(axis=0)
        if len(angles) < _FEWEST_FRAMES or spread.max() < _LEAST_SPREAD**2:
            raise InvalidRequestError(
                f"the wanted movement hardly moves: no angle of a joint varies by {_LEAST_SPREAD:g} degrees or more. "
                f"Choose one repetition of a movement."
            )
        self._spread = float((spread**2).sum() / spread.sum())
        self._weights = spread / spread.sum() * (1 - _UPRIGHT)
        self._weights[-1] += _UPRIGHT
        moving = _moving(angles, self._weights, self._spread)
        self._wanted = angles[moving]
        size = len(self._wanted)
        places -= places[0] + (moving.start or 0)
        if (num_frames := np.count_nonzero((places >= 0) & (places < size))) < _FEWEST_FRAMES:
            raise InvalidRequestError(
                f"only {num_frames} frames of the wanted movement show how it goes, and {_FEWEST_FRAMES} are needed; "
                f"record it with more frames a second."
            )
        # Compared frames from one frame of a recording to the next; what is further apart is lost.
        self._longest_gap = max(_FREE_GAP, math.ceil(size / (_MOST_STEP * _LEAST_SEEN)))
        # Of the last columns of the recording, the newest first: least cost of a path that ends at each wanted frame,
        # and the time at which it began.
        self._costs = [np.full(size, np.inf) for _ in range(_MOST_STEP)]
        self._starts = [np.zeros(size) for _ in range(_MOST_STEP)]
        self._offsets = [np.zeros_like(self._wanted) for _ in range(_MOST_STEP)]
        self._best: tuple[float, float, float] | None = None  # cost, start, end of the candidate
        self._rest: tuple[Float64[np.ndarray, "frames angles"], Float64[np.ndarray, " frames"]] | None = None
        # The last bin that had frames, and its number.
        self._last: tuple[Float64[np.ndarray, " angles"], int] | None = None
        self._with_curve = with_curve
        self.repetitions: list[Repetition] = []
        self.nearness: list[float] = []
        self.times_s: list[float] = []

    def check_rate(self, fps: float) -> None:
        """Raise `InvalidRequestError` if recordings of so few frames a second cannot be counted in."""
        least = RATE_HZ / self._longest_gap
        if fps < least * (1 - 1e-6):
            raise InvalidRequestError(
                f"there are {fps:.3g} frames a second, too few to see the wanted movement, which takes "
                f"{len(self._wanted) / RATE_HZ:.1f} s, when it is done three times as fast; at least {least:.3g} are "
                f"needed."
            )

    def add(self, angles: Float64[np.ndarray, "frames angles"], times_s: Float64[np.ndarray, " frames"]) -> None:
        """Go on with frames that follow those before: `joint_angles` of them, and their times, rising."""
        deque(self.adding(angles, times_s), maxlen=0)

    def adding(
        self, angles: Float64[np.ndarray, "frames angles"], times_s: Float64[np.ndarray, " frames"]
    ) -> Generator[None, None, None]:
        """The same in pieces of some milliseconds."""
        if self._rest is not None:
            angles = np.concatenate([self._rest[0], angles])
            times_s = np.concatenate([self._rest[1], times_s])
        # The last bin may get more frames.
        bins = _bins(times_s)
        whole = bins < bins[-1] if len(bins) else np.zeros(0, dtype=bool)
        self._rest = (angles[~whole], times_s[~whole])
        for number, _ in enumerate(self._stepping(*_binned(angles[whole], bins[whole]))):
            if number % _STEPS_AT_ONCE == 0:
                yield

    def finish(self) -> list[Repetition]:
        """All repetitions, with the one that was open when the recording ended."""
        if self._rest is not None and len(self._rest[1]):
            angles, times_s = self._rest
            deque(self._stepping(*_binned(angles, _bins(times_s))), maxlen=0)
        self._rest = None
        if self._best is not None:
            self._report()
        return self.repetitions

    def _stepping(
        self, rows: Float64[np.ndarray, "bins angles"], places: Int64[np.ndarray, " bins"]
    ) -> Generator[None, None, None]:
        """Take the next bins that have frames, and before each those that lack, on a line or as lost."""
        for row, place in zip(rows, places.tolist(), strict=True):
            if self._last is not None:
                before, first = self._last
                # Frames at equal distances may be one bin further apart.
                is_near = place - first <= self._longest_gap + 1
                # No path that began before a loss is still open after as many lost frames.
                start = first + 1 if is_near else max(first + 1, place - _MOST_STEP * len(self._wanted))
                for between in range(start, place):
                    share = (between - first) / (place - first) if is_near else np.nan
                    self._step((1 - share) * before + share * row, between / RATE_HZ)
                    yield
            self._last = (row, place)
            cost = self._step(row, place / RATE_HZ)
            if self._with_curve:
                self.nearness.append(max(self._nearness(cost), -1.0))
                self.times_s.append(place / RATE_HZ)
            yield

    def _step(self, angles: Float64[np.ndarray, " angles"], time_s: float) -> float:
        """Go on by one compared frame; the cost of the movement that ends there."""
        costs, starts, offsets = self._column(angles, time_s)
        self._costs = [costs, *self._costs[:-1]]
        self._starts = [starts, *self._starts[:-1]]
        self._offsets = [offsets, *self._offsets[:-1]]
        if self._best is not None:
            least, begin, end = self._best
            taken = _taken_until(begin, end)
            # No path that overlaps the candidate can become better than it any more.
            if all(
                (kept[begun <= taken] >= least).all() for kept, begun in zip(self._costs, self._starts, strict=True)
            ):
                self._report()
        nearness = self._nearness(costs[-1])
        if nearness >= LEAST_NEARNESS and (self._best is None or costs[-1] < self._best[0]):
            self._best = (float(costs[-1]), float(starts[-1]), time_s)
        return float(costs[-1])

    def _nearness(self, cost: float) -> float:
        return float(1 - cost / (self._spread * len(self._wanted)))

    def _column(
        self, angles: Float64[np.ndarray, " angles"], time_s: float
    ) -> tuple[Float64[np.ndarray, " wanted"], Float64[np.ndarray, " wanted"], Float64[np.ndarray, "wanted angles"]]:
        """Paths that end in this frame, one for each wanted frame: least cost, begin, and how its first pose differs.

        Each wanted frame counts once, so that tempo costs nothing.
        """
        size = len(self._wanted)
        seen = np.isfinite(angles)
        weights = np.where(seen, self._weights, 0)
        difference = np.where(seen, angles, 0) - self._wanted
        costs, starts = np.full(size, np.inf), np.full(size, time_s)
        offsets = np.where(seen, np.clip(difference, -_MOST_OFFSET, _MOST_OFFSET), 0)

        def cost_of(offset: Float64[np.ndarray, "rows angles"], rows: slice) -> Float64[np.ndarray, " rows"]:
            # Where most of what moves is not seen, nothing is known: as far as holding still.
            if weights.sum() < 0.5:
                return np.full(len(offset), self._spread)
            return ((difference[rows] - offset) ** 2) @ weights / weights.sum()

        # A path may begin at any of the first wanted frames that one frame may pass.
        for first in range(min(_MOST_STEP, size)):
            passed = slice(0, first + 1)
            costs[first] = cost_of(np.repeat(offsets[first : first + 1], first + 1, axis=0), passed).sum()
        ways = [(1, step) for step in range(1, _MOST_STEP + 1)] + [(back, 1) for back in range(2, _MOST_STEP + 1)]
        for back, step in ways:
            if step >= size:
                continue
            offset = self._offsets[back - 1][:-step]
            passing = sum(cost_of(offset, slice(step - skip, size - skip)) for skip in range(step))
            before = self._costs[back - 1][:-step] + passing
            better = before < costs[step:]
            costs[step:][better] = before[better]
            starts[step:][better] = self._starts[back - 1][:-step][better]
            offsets[step:][better] = offset[better]
        return costs, starts, offsets

    def _report(self) -> None:
        assert self._best is not None  # noqa: S101
        cost, start, end = self._best
        # Where two follow at once, the later one is said to begin when the earlier one ends.
        begin = max([start, *(each.end_s for each in self.repetitions[-1:])])
        self.repetitions.append(Repetition(begin, end, self._nearness(cost)))
        for costs, starts in zip(self._costs, self._starts, strict=True):
            costs[starts <= _taken_until(start, end)] = np.inf
        self._best = None


def _taken_until(start_s: float, end_s: float) -> float:
    """Until when no other repetition may begin. Where two follow at once, the end of one runs into the other."""
    return end_s - _SHARED * (end_s - start_s)


def num_compared(num_frames: int, fps: float) -> int:
    """How many frames are compared in a recording of this many, at most; `fps` may be anything."""
    # No recording of a lower rate is counted in, whatever the wanted movement. NaN is below it too.
    least = RATE_HZ * _MOST_STEP * _LEAST_SEEN / _MOST_FRAMES
    return math.ceil(num_frames * max(1.0, RATE_HZ / max(least, fps)))


def count_repetitions(recording: Movement, wanted: Movement) -> RepetitionCounter:
    """Count in a whole recording; the counter's `repetitions`, `nearness` and `times_s` say what was found.

    Raises `InvalidRequestError` for a recording or a wanted movement without times or with too few frames a second, and
    for a wanted one that hardly moves or takes over 20 s.
    """
    counter = RepetitionCounter(wanted, with_curve=True)
    deque(counting(counter, recording), maxlen=0)
    return counter


def counting(counter: RepetitionCounter, recording: Movement) -> Generator[None, None, None]:
    """Count in a whole recording, in pieces of milliseconds.

    Raises `InvalidRequestError` for one without times, or with too few frames a second.
    """
    if recording.times_s is None:
        raise InvalidRequestError("the recording has no frames a second; say them, so that repetitions have times.")
    if seconds := recording.seconds:
        counter.check_rate((recording.num_frames - 1) / seconds)
    yield from counter.adding(joint_angles(recording), recording.times_s)
    counter.finish()


def _bins(times_s: Float64[np.ndarray, " frames"]) -> Int64[np.ndarray, " frames"]:
    return np.floor(times_s * RATE_HZ).astype(np.int64)


def _binned(
    angles: Float64[np.ndarray, "frames angles"], bins: Int64[np.ndarray, " frames"]
) -> tuple[Float64[np.ndarray, "bins angles"], Int64[np.ndarray, " bins"]]:
    """The mean of the frames of each bin; NaN where an angle is in none of them."""
    if not len(bins):
        return angles, bins
    places, first = np.unique(bins, return_index=True)
    rows = np.full((len(places), angles.shape[1]), np.nan)
    for row, part in enumerate(np.split(angles, first[1:])):
        seen = np.isfinite(part)
        count = seen.sum(axis=0)
        total = np.where(seen, part, 0).sum(axis=0)
        rows[row, count > 0] = total[count > 0] / count[count > 0]
    return rows, places


def _at_rate(
    rows: Float64[np.ndarray, "bins angles"], places: Int64[np.ndarray, " bins"]
) -> Float64[np.ndarray, "samples angles"]:
    """All bins from the first to the last: those that lack lie on a line between the others.

    An angle that is never seen is 0: it does not move, so it has no weight.
    """
    wanted = np.arange(places[0], places[-1] + 1)
    return np.stack([_line(wanted, places, column) for column in rows.T], axis=1)


def _line(
    wanted: Int64[np.ndarray, " samples"], places: Int64[np.ndarray, " bins"], column: Float64[np.ndarray, " bins"]
) -> Float64[np.ndarray, " samples"]:
    seen = np.isfinite(column)
    return np.interp(wanted, places[seen], column[seen]) if seen.any() else np.zeros(len(wanted))


def _moving(
    angles: Float64[np.ndarray, "samples angles"], weights: Float64[np.ndarray, " angles"], spread: float
) -> slice:
    """The movement without the rest before and after it."""

    def still(pose: Float64[np.ndarray, " angles"]) -> Bool[np.ndarray, " samples"]:
        return ((angles - pose) ** 2 * weights).sum(axis=1) < _STILL * spread

    begins = max(int(np.argmin(still(angles[0]))) - 1, 0)
    ends = len(angles) - max(int(np.argmin(still(angles[-1])[::-1])) - 1, 0)
    return slice(begins, ends) if ends - begins >= _FEWEST_FRAMES else slice(None)
