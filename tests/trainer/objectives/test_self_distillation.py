"""Heads and losses of self-distillation beside their formulas, written again in numpy."""

import numpy as np
import pytest
import torch

from trainer.objectives.prototypes import balanced_odds
from trainer.objectives.self_distillation import PrototypeHead, cross_entropy, crowding


def cosines(rows: int = 20, prototypes: int = 7, seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(rows, prototypes, generator=torch.Generator().manual_seed(seed)) - 1


def sinkhorn(scores: np.ndarray, temperature: float) -> np.ndarray:
    """The published form: all sum to 1; each prototype to 1 / K, then each row to 1 / B; three times."""
    q = np.exp(scores.astype(np.float64) / temperature).T
    q /= q.sum()
    for _ in range(3):
        q = q / q.sum(axis=1, keepdims=True) / q.shape[0]
        q = q / q.sum(axis=0, keepdims=True) / q.shape[1]
    return (q * q.shape[1]).T


@pytest.mark.parametrize("temperature", [0.04, 0.07, 0.5])
def test_odds_are_those_of_three_rounds_of_sinkhorn_knopp(temperature: float) -> None:
    found = balanced_odds(cosines(), torch.tensor(temperature)).numpy()
    np.testing.assert_allclose(found, sinkhorn(cosines().numpy(), temperature), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert np.ptp(found.sum(axis=0)) < np.ptp(torch.softmax(cosines() / temperature, dim=1).sum(dim=0).numpy())


def test_rows_that_do_not_count_change_no_other_and_have_no_odds() -> None:
    counts = torch.arange(20) % 3 > 0
    found = balanced_odds(cosines(), torch.tensor(0.07), counts)
    torch.testing.assert_close(found[counts], balanced_odds(cosines()[counts], torch.tensor(0.07)))
    assert (found[~counts] == 0).all()


def test_odds_are_finite_at_the_sharpest_temperature_and_without_rows_that_count() -> None:
    assert balanced_odds(cosines(), torch.tensor(1e-3)).isfinite().all()
    assert (balanced_odds(cosines(), torch.tensor(0.07), torch.zeros(20, dtype=torch.bool)) == 0).all()


def test_the_cross_entropy_of_a_row_is_that_of_its_odds() -> None:
    odds = torch.softmax(cosines(seed=1), dim=1)
    scores = cosines().double().numpy() / 0.1
    log_softmax = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    wanted = -(odds.numpy() * log_softmax).sum(axis=1)
    np.testing.assert_allclose(cross_entropy(cosines(), odds, 0.1).numpy(), wanted, rtol=1e-5)


def test_crowding_is_the_mean_of_the_logarithms_of_distances_to_the_nearest_other_vector() -> None:
    vectors = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    unit = vectors.double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    distances = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert crowding(vectors).item() == pytest.approx(-np.log(distances.min(axis=1)).mean(), rel=1e-4)


def test_two_equal_vectors_are_crowded_but_the_loss_and_its_gradient_are_finite() -> None:
    vectors = torch.ones(2, 4, requires_grad=True)
    loss = crowding(vectors)
    loss.backward()
    assert loss.isfinite()
    assert loss > 10
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


def test_a_head_gives_cosines_with_prototypes_of_any_length() -> None:
    head = PrototypeHead(6, 8, 4, 5)
    tokens = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        vectors, found = head(tokens)
        np.testing.assert_allclose(vectors.norm(dim=1), 1, rtol=1e-5)
        unit = head.prototypes.weight / head.prototypes.weight.norm(dim=1, keepdim=True)
        torch.testing.assert_close(found, vectors @ unit.T)
        head.prototypes.weight.mul_(3.0)
        torch.testing.assert_close(head(tokens)[1], found)


def test_cosines_are_in_32_bits_even_if_the_rest_is_bf16() -> None:
    head = PrototypeHead(6, 8, 4, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, found = head(torch.randn(3, 6))
    assert found.dtype == torch.float32
