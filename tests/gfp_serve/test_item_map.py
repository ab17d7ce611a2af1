"""Maps keep together what is together, by components and by t-SNE."""

import numpy as np
import pytest

from gfp_serve.item_map import among_known, by_components, by_tsne, components, fitted


def groups(num_each: int = 20, size: int = 12) -> np.ndarray:
    """Unit vectors in three groups, one after the other."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(size)[:3], num_each, axis=0) + rng.normal(scale=0.05, size=(3 * num_each, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def are_apart(places: np.ndarray, num_each: int) -> bool:
    """Whether each item's nearest other one is of its own group."""
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    return bool((distances.argmin(axis=1) // num_each == np.arange(len(places)) // num_each).all())


def all_of(work):
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_components_hold_the_distances_and_the_first_ones_hold_most():
    vectors = groups()
    found = components(vectors)

    assert found.shape == (60, 12)
    np.testing.assert_allclose(
        np.linalg.norm(found[:, None] - found, axis=2), np.linalg.norm(vectors[:, None] - vectors, axis=2), atol=1e-5
    )
    spread = found.std(axis=0)
    assert (np.diff(spread) <= 1e-6).all()
    assert spread[1] > 5 * spread[2]


@pytest.mark.parametrize("num_vectors", [1, 2])
def test_a_map_of_one_or_two_is_in_the_middle_of_the_plane(num_vectors):
    places = by_components(components(groups()[:num_vectors]))

    assert places.shape == (num_vectors, 2)
    assert np.abs(places).max() <= 1
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-5)


def test_a_map_fills_the_plane_and_keeps_its_form():
    places = fitted(np.array([[10.0, 0.0], [14.0, 0.0], [14.0, 2.0]]))

    np.testing.assert_allclose(places, [[-1, -0.5], [1, -0.5], [1, 0.5]])


def test_both_maps_keep_groups_together_and_apart_from_others():
    found = components(groups())
    start = by_components(found)

    assert are_apart(start, 20)
    assert are_apart(by_tsne(found, start), 20)


def test_a_new_vector_comes_to_those_that_are_like_it_and_the_others_stay():
    found = components(groups())
    places = by_components(found)
    is_known = np.ones(60, dtype=bool)
    is_known[[3, 45]] = False
    before = places.copy()
    before[~is_known] = 9.0

    placed = all_of(among_known(found, is_known, before))

    np.testing.assert_array_equal(placed[is_known], places[is_known])
    assert are_apart(placed, 20)
