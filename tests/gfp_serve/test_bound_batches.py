"""Batches in bound memory give the vectors of `session.run`. In a CPU's memory here; a GPU's is used the same way."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gfp_serve.bound_batches import LARGEST_BATCH, BoundBatches
from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME
from gfp_serve.runtime import open_session
from tests.support.tiny_bundle import SIZE, tiny_bundle, tiny_encode


@pytest.fixture(scope="module")
def session() -> Any:
    return open_session(tiny_bundle(), "cpu", 1)


def some_clips(batch: int, bodies: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, bodies, 6, 25, 3)).astype(np.float32)


@pytest.mark.parametrize("bodies", [1, 2])
def test_batches_of_every_size_have_the_vectors_of_an_ordinary_run(session: Any, bodies: int) -> None:
    batches = BoundBatches(session, SIZE, memory="cpu")
    sizes = [1, 2, 3, 4, 7, 8, 16, 31, 32, 64, LARGEST_BATCH, LARGEST_BATCH + 3, 5, 1, 8]
    for seed, size in enumerate(sizes):
        clips = some_clips(size, bodies, seed)
        (expected,) = session.run([OUTPUT_NAME], {INPUT_NAME: clips})
        found = batches.run(clips)
        assert found.shape == (size, SIZE)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_vectors_stay_as_they_are_when_the_memory_is_used_again(session: Any) -> None:
    batches = BoundBatches(session, SIZE, memory="cpu")
    first = batches.run(some_clips(4, 1, seed=1))
    kept = first.copy()
    batches.run(some_clips(4, 1, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_clips_that_do_not_lie_one_after_another_in_memory_are_understood(session: Any) -> None:
    clips = some_clips(4, 2)[:, :, :, ::-1]
    vectors = BoundBatches(session, SIZE, memory="cpu").run(clips)
    np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)


def test_calls_from_several_threads_get_the_vectors_of_their_own_clips(session: Any) -> None:
    batches = BoundBatches(session, SIZE, memory="cpu")
    calls = [some_clips(size, 1, seed) for seed, size in enumerate((3, 4, 4, 3, 1, 2) * 20)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(batches.run, calls))
    for clips, vectors in zip(calls, found, strict=True):
        np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)
