"""Measures, each against a case that can be worked out by hand."""

import numpy as np
import pytest
import torch

from trainer.evaluate.suite.differences import Asked, compare, mcnemar, mean_of
from trainer.evaluate.suite.measures import (
    answer,
    calibration_error,
    classes_left_out,
    mean_over_folds,
    nearest_similarities,
    probe_percents,
    separation,
)

# Directions in a plane, in degrees: three of class a near 0, three of class b near 90.
GALLERY_ANGLES, GALLERY_LABELS = [0, 40, 42, 90, 44, 100], np.array(["a", "b", "b", "b", "a", "b"])


def at(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_the_nearest_decides_alone_and_five_vote() -> None:
    found = answer(at(44.5, 41.5), at(*GALLERY_ANGLES), np.array(["a", "b"]), GALLERY_LABELS)
    assert found.right_by_1.tolist() == [True, True]
    # Of the five nearest to 44.5 degrees (44, 42, 40, 0, 90) three are b.
    assert found.right_by_5.tolist() == [False, True]
    assert 0.5 < found.confidence[0] < 1


def test_a_query_that_could_not_be_embedded_is_wrong_and_so_is_one_for_an_empty_gallery() -> None:
    queries = np.concatenate([np.zeros((1, 2), dtype=np.float32), at(0)])
    found = answer(queries, at(*GALLERY_ANGLES), np.array(["a", "a"]), GALLERY_LABELS)
    assert found.right_by_1.tolist() == [False, True]
    assert found.confidence[0] == 0
    empty = answer(at(0), np.zeros((0, 2), dtype=np.float32), np.array(["a"]), np.array([], dtype=str))
    assert empty.right_by_1.tolist() == [False]


def test_the_calibration_error_weighs_the_gap_of_each_bin_by_its_queries() -> None:
    # Two answers of confidence 0.85, one right: a gap of 0.35. Two of 0.25, none right: a gap of 0.25.
    confidence, right = np.array([0.85, 0.85, 0.25, 0.25]), np.array([True, False, False, False])
    assert calibration_error(confidence, right) == pytest.approx(0.5 * 0.35 + 0.5 * 0.25)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0


def test_a_linear_probe_learns_what_a_line_can_part() -> None:
    torch.set_num_threads(1)
    draws = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 40)
    vectors = draws.normal(size=(80, 4)).astype(np.float32)
    vectors[:, 0] = np.where(labels == "a", 1, -1) + 0.1 * draws.normal(size=80)
    turned = vectors[:20] * np.array([-1, 1, 1, 1], dtype=np.float32)
    half = vectors[:20] * (np.arange(20) < 10)[:, None]  # the others could not be embedded
    asked = [vectors[:20], turned.astype(np.float32), half.astype(np.float32)]
    assert probe_percents(asked, vectors[20:], labels[:20], labels[20:], seed=0) == [100, 0, 50]


def test_a_third_of_the_classes_is_left_out_by_the_seed() -> None:
    labels = [f"class{number}" for number in range(9)] * 2
    assert len(classes_left_out(labels, seed=0)) == 3
    assert classes_left_out(labels, seed=0) == classes_left_out(labels[::-1], seed=0)
    assert len({classes_left_out(labels, seed=seed) for seed in range(10)}) > 1
    assert classes_left_out(["a", "b"], seed=0) == frozenset()


def test_strangers_are_told_by_how_often_a_known_query_is_nearer() -> None:
    # Of the six pairs, 0.9 beats all three, 0.5 beats 0.1 and ties with 0.5.
    assert separation([0.9, 0.5], [0.1, 0.5, 0.7]) == pytest.approx((3 + 1.5) / 6)


def test_a_query_that_could_not_be_embedded_is_far_from_everything() -> None:
    near = nearest_similarities(np.concatenate([at(60), np.zeros((1, 2), dtype=np.float32)]), at(0, 120))
    np.testing.assert_allclose(near, [0.5, -1], atol=1e-6)


def test_a_mean_over_folds_counts_small_folds_as_much_as_large_ones() -> None:
    assert mean_over_folds([True, False, False, False, True], np.array([0, 0, 0, 0, 1])) == pytest.approx(62.5)


def test_mcnemars_test_counts_only_queries_on_which_the_encoders_differ() -> None:
    # Five of five differing queries for one side: 2 / 2 ** 5.
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    # Nine to one: twice the tail of 0 or 1 of 10.
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    assert mcnemar(4, 4) == 1
    assert mcnemar(0, 0) == 1


def test_a_difference_is_the_mean_over_folds_with_an_interval_around_it() -> None:
    first = np.array([True] * 30 + [False] * 10)
    other = np.array([True] * 20 + [False] * 20)
    asked = Asked(np.zeros(40, dtype=int), np.arange(40) % 8, seed=0)
    found, draws = compare(first, other, asked)
    assert found.points == pytest.approx(25)
    assert (found.better, found.worse, found.num_queries) == (10, 0, 40)
    assert found.low < 25 < found.high
    assert found.verdict == "better"
    assert compare(other, first, asked)[0].verdict == "worse"
    assert draws.mean() == pytest.approx(25, abs=1)


def test_equal_encoders_are_not_told_apart() -> None:
    same = np.array([True, False] * 10)
    found, _ = compare(same, same, Asked(np.zeros(20, dtype=int), np.arange(20), seed=0))
    assert (found.points, found.low, found.high, found.verdict) == (0, 0, 0, "not told apart")


def test_people_are_drawn_if_there_are_enough_of_them_and_queries_otherwise() -> None:
    # All that is gained is of one of six people, so who is drawn decides.
    first, other = np.arange(60) < 10, np.zeros(60, dtype=bool)
    by_people, _ = compare(first, other, Asked(np.zeros(60, dtype=int), np.arange(60) // 10, seed=0))
    by_queries, _ = compare(first, other, Asked(np.zeros(60, dtype=int), np.arange(60) // 20, seed=0))
    assert (by_people.drawn, by_queries.drawn) == ("people or recordings", "queries")
    assert by_people.low <= 0 < 5 < by_queries.low


def test_intervals_over_few_people_are_widened_as_a_bootstrap_of_few_is_too_narrow() -> None:
    first, other = np.arange(60) % 10 < np.arange(60) // 10, np.zeros(60, dtype=bool)
    asked = Asked(np.zeros(60, dtype=int), np.arange(60) // 10, seed=0)
    _, drawn = compare(first, other, asked)
    # The unbiased variance of a mean of six people, who got 0 to 5 of 10 answers right.
    assert drawn.std() == pytest.approx(np.std([0, 10, 20, 30, 40, 50], ddof=1) / np.sqrt(6), rel=0.05)


def test_the_interval_of_a_mean_over_sets_is_narrower_than_that_of_a_set() -> None:
    draws = np.random.default_rng(1)
    found = []
    for seed in range(4):
        first, other = draws.random(100) < 0.7, draws.random(100) < 0.6
        found.append(compare(first, other, Asked(np.zeros(100, dtype=int), np.arange(100), seed=seed)))
    mean = mean_of(found)
    assert mean.points == pytest.approx(np.mean([each.points for each, _ in found]))
    assert mean.high - mean.low < 0.7 * min(each.high - each.low for each, _ in found)
    assert mean.num_sets == 4
