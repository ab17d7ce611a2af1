import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from gfp_serve.classify import ClassScore, Vote, nearest, vote
from gfp_serve.client import Client
from gfp_serve.errors import InvalidRequestError
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.items import Item
from tests.support.servers import running_in_thread
from tests.support.tiny_bundle import SIZE


def f32(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def shares(result: Vote) -> dict[str, float]:
    return {score.label: score.score for score in result.scores}


def test_with_uniform_weight_the_most_neighbours_win():
    result = vote(["sit", "walk", "walk", "walk"], [0.9, 0.5, 0.4, 0.3], weighting="uniform")
    assert result == Vote("walk", (ClassScore("walk", 0.75), ClassScore("sit", 0.25)))


def test_with_similarity_weight_one_near_neighbour_beats_two_far_ones():
    # e^(0.9/0.1) = e^9 against 2 e^5: the shares are 1/(1 + 2 e^-4) and the rest.
    result = vote(["sit", "walk", "walk"], [0.9, 0.5, 0.5], temperature=0.1)
    share = 1 / (1 + 2 * math.exp(-4))
    assert result.label == "sit"
    assert [(score.label, score.score) for score in result.scores] == [
        ("sit", pytest.approx(share)),
        ("walk", pytest.approx(1 - share)),
    ]


def test_a_high_temperature_makes_similarity_weight_uniform():
    near = vote(["sit", "walk", "walk"], [0.9, 0.1, 0.1], temperature=1e6)
    assert near.label == "walk"
    assert near.scores[0].score == pytest.approx(2 / 3, abs=1e-5)


def test_the_lowest_temperatures_do_not_overflow():
    assert vote(["sit", "walk"], [1.0, -1.0], temperature=1e-300).scores == (
        ClassScore("sit", 1.0),
        ClassScore("walk", 0.0),
    )


def test_the_default_weight_is_the_exponential_of_similarity_over_007():
    share = 1 / (1 + math.exp(-0.1 / 0.07))
    assert vote(["sit", "walk"], [0.8, 0.7]).scores[0].score == pytest.approx(share)


def test_a_tie_goes_to_the_class_whose_best_neighbour_is_nearer():
    labels, similarities = ["walk", "sit", "sit", "walk"], [0.5, 0.9, 0.1, 0.5]
    assert vote(labels, similarities, weighting="uniform").label == "sit"


def test_a_tie_of_equal_neighbours_goes_to_the_class_named_first():
    assert vote(["walk", "sit"], [0.5, 0.5]).label == "walk"
    assert vote(["sit", "walk"], [0.5, 0.5]).label == "sit"


def test_neighbours_without_label_do_not_vote():
    assert vote(["", "sit", ""], [0.9, 0.2, 0.1]) == Vote("sit", (ClassScore("sit", 1.0),))


@pytest.mark.parametrize(("labels", "similarities"), [([], []), (["", ""], [0.9, 0.8])])
def test_without_any_label_the_answer_is_unknown_and_no_class_has_a_score(labels, similarities):
    assert vote(labels, similarities) == Vote(None, ())


def test_the_answer_is_unknown_when_no_labelled_neighbour_is_near_enough():
    labels, similarities = ["", "sit", "walk"], [0.95, 0.6, 0.5]
    assert vote(labels, similarities, unknown_below=0.7).label is None
    assert vote(labels, similarities, unknown_below=0.6).label == "sit"
    assert vote(labels, similarities, unknown_below=0.7).scores == vote(labels, similarities).scores


def test_with_class_counts_a_frequent_class_has_no_advantage():
    labels, similarities = ["walk", "walk", "walk", "sit"], [0.9, 0.8, 0.7, 0.6]
    assert vote(labels, similarities, weighting="uniform").label == "walk"
    # 3 votes of 30 items against 1 vote of 2.
    result = vote(labels, similarities, weighting="uniform", class_counts={"walk": 30, "sit": 2, "wave": 1})
    assert (result.label, shares(result)) == ("sit", {"sit": pytest.approx(5 / 6), "walk": pytest.approx(1 / 6)})
    # e^9 + e^8 + e^7 for three votes of 30 items, e^6 for one vote of 2.
    result = vote(labels, similarities, temperature=0.1, class_counts={"walk": 30, "sit": 2})
    walk, sit = (math.exp(9) + math.exp(8) + math.exp(7)) / 30, math.exp(6) / 2
    assert (result.label, shares(result)["sit"]) == ("walk", pytest.approx(sit / (walk + sit)))


def test_equal_shares_of_two_classes_tie_exactly_and_the_nearer_one_wins():
    labels, similarities = ["walk"] * 7 + ["sit"], [0.5] * 7 + [0.6]
    result = vote(labels, similarities, weighting="uniform", class_counts={"walk": 21, "sit": 3})
    assert result == Vote("sit", (ClassScore("sit", 0.5), ClassScore("walk", 0.5)))


def test_a_class_counts_at_least_as_many_items_as_vote_for_it():
    labels, similarities = ["walk", "walk", "sit"], [0.5, 0.5, 0.5]
    lost = vote(labels, similarities, weighting="uniform", class_counts={"walk": 1, "sit": 4})
    assert shares(lost) == {"walk": pytest.approx(0.8), "sit": pytest.approx(0.2)}
    assert lost == vote(labels, similarities, weighting="uniform", class_counts={"sit": 4})


def test_balanced_votes_do_not_overflow_at_the_lowest_temperature():
    result = vote(["sit", "walk"], [1.0, -1.0], temperature=1e-300, class_counts={"sit": 10**9, "walk": 1})
    assert result.scores == (ClassScore("sit", 1.0), ClassScore("walk", 0.0))


@pytest.mark.parametrize("temperature", [0.0, -0.07, math.nan, math.inf])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(InvalidRequestError, match="temperature"):
        vote(["sit"], [0.5], temperature=temperature)


def test_similarities_that_do_not_fit_the_labels_are_refused():
    with pytest.raises(InvalidRequestError, match="2 labels and 1 similarities"):
        vote(["sit", "walk"], [0.5])
    with pytest.raises(InvalidRequestError, match="NaN"):
        vote(["sit"], [math.nan])


neighbours = st.lists(st.tuples(st.sampled_from(["", "sit", "walk", "wave"]), st.floats(-1, 1)), max_size=20)


counts = st.none() | st.dictionaries(st.sampled_from(["sit", "walk", "wave"]), st.integers(0, 10**12))


@given(neighbours, st.sampled_from(["uniform", "similarity"]), st.floats(1e-3, 10), counts)
def test_each_label_has_a_score_best_first_and_scores_sum_to_one(found, weighting, temperature, class_counts):
    labels, similarities = [label for label, _ in found], [similarity for _, similarity in found]
    result = vote(labels, similarities, weighting=weighting, temperature=temperature, class_counts=class_counts)
    assert {score.label for score in result.scores} == set(labels) - {""}
    assert [score.score for score in result.scores] == sorted((score.score for score in result.scores), reverse=True)
    if result.scores:
        assert result.label == result.scores[0].label
        assert math.fsum(score.score for score in result.scores) == pytest.approx(1)


@given(st.permutations([("sit", 0.9), ("sit", 0.3), ("walk", 0.8), ("walk", 0.7), ("wave", 0.75)]))
def test_the_order_of_neighbours_does_not_change_the_vote(found):
    shuffled = vote([label for label, _ in found], np.array([similarity for _, similarity in found]))
    assert shuffled == vote(["sit", "sit", "walk", "walk", "wave"], [0.9, 0.3, 0.8, 0.7, 0.75])


def test_nearest_ranks_by_cosine_and_ignores_lengths():
    gallery = f32([0, 1], [10, 10], [0.1, 0], [-3, 0])
    indices, similarities = nearest(f32([7, 0], [0, 2]), gallery, top_k=3)
    assert indices.tolist() == [[2, 1, 0], [0, 1, 2]]
    np.testing.assert_allclose(similarities, [[1, 0.5**0.5, 0], [1, 0.5**0.5, 0]], atol=1e-6)


def test_equal_similarities_keep_the_gallerys_order_and_the_first_fill_the_last_place():
    gallery = f32([0, 1], [2, 0], [1, 0], [0, -1], [3, 0])
    indices, _ = nearest(f32([1, 0]), gallery, top_k=5)
    assert indices.tolist() == [[1, 2, 4, 0, 3]]
    indices, _ = nearest(f32([1, 0]), gallery, top_k=2)
    assert indices.tolist() == [[1, 2]]


def test_a_small_gallery_gives_all_its_items():
    indices, similarities = nearest(f32([1, 0]), f32([1, 0]), top_k=5)
    assert (indices.tolist(), similarities.tolist()) == ([[0]], [[1.0]])


def test_blocks_do_not_change_what_is_nearest(monkeypatch):
    rng = np.random.default_rng(0)
    queries, gallery = (rng.integers(-3, 4, (n, 4)).astype(np.float32) + 0.5 for n in (23, 31))
    at_once = nearest(queries, gallery, top_k=7)
    monkeypatch.setattr("gfp_serve.classify.BLOCK_SIMILARITIES", 64)  # 2 queries at a time
    in_blocks = nearest(queries, gallery, top_k=7)
    np.testing.assert_allclose(at_once[1], in_blocks[1], atol=1e-6)
    assert at_once[0].shape == in_blocks[0].shape == (23, 7)


@pytest.mark.parametrize(
    ("queries", "gallery", "top_k", "expected"),
    [
        (f32([1, 0]), np.empty((0, 2), dtype=np.float32), 1, "of 0 vectors"),
        (f32([1, 0]), f32([1, 0]), 0, "nearest 0"),
        (f32([1, 0], [0, 0]), f32([1, 0]), 1, "query 1 is all zeros"),
        (f32([1, 0]), f32([1, 0], [1, math.inf]), 1, "gallery vector 1 contains NaN or infinity"),
    ],
)
def test_vectors_that_have_no_cosine_are_refused_by_name(queries, gallery, top_k, expected):
    with pytest.raises(InvalidRequestError, match=expected):
        nearest(queries, gallery, top_k=top_k)


def test_a_server_balances_by_the_items_that_a_query_may_find(tmp_path):
    def item(number: int, degrees: float, label: str, side: str) -> Item:
        vector = np.zeros(SIZE, dtype=np.float32)
        vector[:2] = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return Item(str(number), vector, label, {"side": side})

    near = [(1, "walk", "left"), (2, "walk", "left"), (3, "sit", "left")]
    far = [(180 + step, "walk", "left") for step in range(2)] + [(120 + step, "sit", "right") for step in range(8)]
    items = [item(number, *each) for number, each in enumerate([*near, *far])]
    where = Filter(must=(AnyOf("side", ("left",)),))
    query = item(0, 0, "", "").vector
    with running_in_thread(tmp_path) as address, Client(address) as client:
        client.upsert(items)

        def ask(**settings: object) -> dict[str, float]:
            found = client.classify([query], num_neighbours=3, weighting="uniform", **settings)[0]
            return {score.label: pytest.approx(score.score) for score in found.scores}

        assert ask() == {"walk": 2 / 3, "sit": 1 / 3}
        # 2 of 4 against 1 of 9; among the items on the left, 2 of 4 against 1 of 1.
        assert ask(balanced=True) == {"walk": 9 / 11, "sit": 2 / 11}
        assert ask(balanced=True, where=where) == {"walk": 1 / 3, "sit": 2 / 3}
