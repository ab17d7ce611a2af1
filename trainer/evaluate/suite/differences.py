"""Whether one encoder is better than another: differences over the same queries, with intervals."""

from dataclasses import asdict, dataclass
from math import lgamma, log, sqrt

import numpy as np
from jaxtyping import Bool, Float, Int

NUM_DRAWS = 2000
# With fewer people, drawing them again and again says little; then single queries are drawn.
MIN_GROUPS = 5
_TAILS = (2.5, 97.5)


class Asked:
    """What the queries of a set have in common for all encoders and changes, with the draws of the bootstrap.

    It draws people or recordings with replacement; single queries if there are fewer than `MIN_GROUPS` of these. Then
    the intervals say nothing about other people.
    """

    def __init__(self, folds: Int[np.ndarray, " queries"], groups: Int[np.ndarray, " queries"], *, seed: int) -> None:
        """`groups` are numbers of the person, or the recording, of each query."""
        self.weight = 1 / np.bincount(folds)[folds]  # so that a mean over queries is one over folds
        self.draws_groups = len(np.unique(groups)) >= MIN_GROUPS
        of_query = groups if self.draws_groups else np.arange(len(groups))
        self.group = np.unique(of_query, return_inverse=True)[1]
        count = int(self.group.max()) + 1
        draws = np.random.default_rng([seed, 3])
        self.times = draws.multinomial(count, np.full(count, 1 / count), NUM_DRAWS)  # how often each group is drawn
        # A bootstrap of few groups is too narrow by this factor.
        self.widening = sqrt(count / max(1, count - 1))


@dataclass(frozen=True, slots=True)
class Difference:
    """One encoder's right answers less another's, in points of percent."""

    points: float
    low: float  # bootstrap, 95 %
    high: float
    better: int  # queries that only the first answers right
    worse: int  # queries that only the other answers right
    # McNemar's exact test, both sides. It takes queries for independent, which those of one person are not. None for
    # the mean of several changes of the same queries.
    p_value: float | None
    num_queries: int
    drawn: str  # "people or recordings" or "queries": what the bootstrap drew

    @property
    def verdict(self) -> str:
        """ "better" or "worse" if the interval leaves 0 out, else "not told apart"."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "not told apart"

    def to_json(self) -> dict[str, float | int | str | None]:
        return {**asdict(self), "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """The mean of differences over sets. Its interval draws the queries of each set, not the sets."""

    points: float
    low: float
    high: float
    num_sets: int

    @property
    def verdict(self) -> str:
        """As that of `Difference`."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "not told apart"

    def to_json(self) -> dict[str, float | int | str]:
        return {**asdict(self), "verdict": self.verdict}


def compare(
    first: Bool[np.ndarray, " queries"], other: Bool[np.ndarray, " queries"], asked: Asked
) -> tuple[Difference, Float[np.ndarray, " draws"]]:
    """The difference of two encoders' right answers, and the same for each draw of the bootstrap.

    It is the mean over folds, as accuracy is.
    """
    gain = first.astype(float) - other
    gains, weights = np.bincount(asked.group, asked.weight * gain), np.bincount(asked.group, asked.weight)
    points = 100 * float(gains.sum() / weights.sum())
    drawn = points + asked.widening * (100 * (asked.times @ gains) / (asked.times @ weights) - points)
    low, high = np.percentile(drawn, _TAILS)
    better, worse = int((gain > 0).sum()), int((gain < 0).sum())
    of = "people or recordings" if asked.draws_groups else "queries"
    found = Difference(points, float(low), float(high), better, worse, mcnemar(better, worse), len(gain), of)
    return found, drawn


def mean_of(found: list[tuple[Difference, Float[np.ndarray, " draws"]]]) -> MeanDifference:
    """The mean over sets of what `compare` gives for each, with the seeds of its draws all different."""
    low, high = np.percentile(np.mean([draws for _, draws in found], axis=0), _TAILS)
    points = float(np.mean([difference.points for difference, _ in found]))
    return MeanDifference(points, float(low), float(high), len(found))


def mcnemar(better: int, worse: int) -> float:
    """How likely two equal encoders differ this much or more: the exact test of McNemar, a binomial test of both sides.

    Queries that both answer right, or both wrong, do not count.
    """
    total = better + worse
    if total == 0:
        return 1.0
    of_tail = [
        lgamma(total + 1) - lgamma(count + 1) - lgamma(total - count + 1) - total * log(2)
        for count in range(min(better, worse) + 1)
    ]
    return float(min(1.0, 2 * np.exp(of_tail).sum()))
