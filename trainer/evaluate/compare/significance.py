"""Whether one row of a table is better than another, by the scores of their seeds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

MIN_SEEDS = 3
_PAIRED, _WELCH = "paired t-test", "Welch's t-test"


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of one row's scores less that of another's, in points of percent, and how sure it is."""

    points: float
    test: str | None  # None if there is none
    p_value: float | None  # of both sides: how likely rows that are equal differ this much or more
    says: str  # the test and its seeds in words, or why there is none

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def difference(first: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    """Compare scores, by their seeds. Seeds that both have are compared in pairs, if these are `MIN_SEEDS` or more.

    Otherwise it is Welch's test, which takes all seeds of both for independent. The p-value is about other seeds of the
    same runs on the same clips. It says nothing about other clips or other people.
    """
    from scipy import stats  # here, because it takes a second and no other command needs it

    points = float(np.mean(list(first.values())) - np.mean(list(other.values())))
    shared = sorted(first.keys() & other.keys())
    if len(shared) >= MIN_SEEDS:
        pairs = np.array([[first[seed], other[seed]] for seed in shared])
        name, says = _PAIRED, f"{_PAIRED} over {len(shared)} seeds"
        if len(shared) < max(len(first), len(other)):
            says += " that both rows have, as the points are, while means in the table are over all seeds of a row"
        is_sure = bool(np.ptp(pairs[:, 0] - pairs[:, 1]) > 1e-9)
        test = stats.ttest_rel(*pairs.T) if is_sure else None
        points = float(np.mean(pairs[:, 0] - pairs[:, 1]))
    elif min(len(first), len(other)) >= MIN_SEEDS:
        name, says = _WELCH, f"{_WELCH}, {len(first)} and {len(other)} seeds"
        is_sure = any(np.ptp(list(scores.values())) > 1e-9 for scores in (first, other))
        # From mean and deviation: given the scores, scipy warns of a row whose scores are all the same.
        about = [
            (np.mean(list(each)), np.std(list(each), ddof=1), len(each)) for each in (first.values(), other.values())
        ]
        test = stats.ttest_ind_from_stats(*about[0], *about[1], equal_var=False) if is_sure else None
    else:
        return Difference(points, None, None, f"no test: it needs {MIN_SEEDS} seeds of each row")
    if test is None:
        return Difference(points, None, None, f"no test: it needs scores that vary ({says})")
    return Difference(points, name, float(test.pvalue), says)
