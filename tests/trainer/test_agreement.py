"""What is enough of an embedding in fewer bits, and the cosine that says it."""

import numpy as np
import pytest

from trainer.agreement import Agreement, centred_cosine


@pytest.mark.parametrize(
    ("cosine", "accuracy", "is_enough"),
    [(0.99, 79.5, True), (0.9899, 80.0, False), (1.0, 79.4, False), (0.999, 85.0, True), (np.nan, 80.0, False)],
)
def test_what_is_enough(cosine: float, accuracy: float, is_enough: bool) -> None:
    assert Agreement(cosine, accuracy, 80.0).is_enough == is_enough


def test_the_centred_cosine_sees_what_the_mean_of_all_clips_hides() -> None:
    draws = np.random.default_rng(0)
    before = (np.array([10.0, 0, 0]) + draws.normal(0, 0.1, (200, 3))).astype(np.float32)
    after = (np.array([10.0, 0, 0]) + draws.normal(0, 0.1, (200, 3))).astype(np.float32)
    plain = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert plain.min() > 0.99
    assert abs(centred_cosine(before, after)) < 0.2
    assert centred_cosine(before, before) == pytest.approx(1)
