"""p-values against those by hand."""

import pytest

from trainer.evaluate.compare.significance import difference


def test_seeds_that_both_have_are_compared_in_pairs() -> None:
    found = difference({0: 70.0, 1: 72.0, 2: 74.0}, {0: 68.0, 1: 71.0, 2: 71.0})
    # Differences of 2, 1 and 3: mean 2, deviation 1, t = 2 · √3. With 2 degrees of freedom p = 1 - t / √(t² + 2).
    assert found.points == pytest.approx(2.0)
    assert found.p_value == pytest.approx(1 - 12**0.5 / 14**0.5)
    assert (found.test, found.says) == ("paired t-test", "paired t-test over 3 seeds")
    assert difference({0: 68.0, 1: 71.0, 2: 71.0}, {0: 70.0, 1: 72.0, 2: 74.0}).points == pytest.approx(-2.0)


def test_a_pair_of_rows_with_more_seeds_than_they_share_says_that_the_table_has_all_of_them() -> None:
    found = difference({0: 70.0, 1: 72.0, 2: 74.0, 3: 90.0}, {0: 68.0, 1: 71.0, 2: 71.0})
    assert found.points == pytest.approx(2.0)
    assert found.says == (
        "paired t-test over 3 seeds that both rows have, as the points are, while means in the table are over all "
        "seeds of a row"
    )


def test_other_seeds_are_compared_by_welchs_test() -> None:
    found = difference({0: 3.0, 1: 4.0, 2: 5.0}, {3: 1.0, 4: 2.0, 5: 3.0})
    # t² = 2² / (1/3 + 1/3) = 6 with 4 degrees of freedom, whose distribution is a polynomial of t / √(1 + t²/4).
    s = (6 / 2.5) ** 0.5
    assert found.p_value == pytest.approx(2 * (1 - (0.5 + 0.375 * s * (1 - s * s / 12))))
    assert found.says == "Welch's t-test, 3 and 3 seeds"


def test_a_row_without_deviation_is_compared_with_one_that_has_some() -> None:
    found = difference({0: 3.0, 1: 5.0, 2: 7.0}, {3: 1.0, 4: 1.0, 5: 1.0})
    # t² = 4² / (4/3) = 12; only the first varies, so there are 2 degrees of freedom, not 4 as for equal variances.
    assert found.p_value == pytest.approx(1 - 12**0.5 / 14**0.5)


@pytest.mark.parametrize(
    ("first", "other", "said"),
    [
        ({0: 1.0, 1: 2.0}, {0: 3.0, 1: 4.0, 2: 5.0}, "it needs 3 seeds of each row"),
        ({0: 1.0, 1: 2.0, 2: 3.0}, {0: 2.0, 1: 3.0, 2: 4.0}, "it needs scores that vary"),
        ({0: 1.0, 1: 1.0, 2: 1.0}, {3: 2.0, 4: 2.0, 5: 2.0}, "it needs scores that vary"),
    ],
)
def test_there_is_no_test_where_it_would_say_nothing(
    first: dict[int, float], other: dict[int, float], said: str
) -> None:
    found = difference(first, other)
    assert (found.test, found.p_value) == (None, None)
    assert said in found.says
    assert found.points == pytest.approx(sum(first.values()) / len(first) - sum(other.values()) / len(other))
