"""Batches in bound memory give the vectors of `session.run`. In a CPU's memory here; a GPU's is used the same way."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gfp_serve.bound_batches import BoundBatches
from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME
from gfp_serve.errors import DeviceError
from gfp_serve.runtime import LARGEST_BATCH, onnxruntime, open_session
from tests.support.tiny_bundle import SIZE, tiny_bundle, tiny_encode


@pytest.fixture(scope="module")
def session() -> Any:
    return open_session(tiny_bundle(), "cpu", 1)


def some_clips(batch: int, bodies: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, bodies, 6, 25, 3)).astype(np.float32)


@pytest.mark.parametrize("bodies", [1, 2])
def test_batches_of_every_size_have_the_vectors_of_an_ordinary_run(session: Any, bodies: int) -> None:
    batches = BoundBatches(session, SIZE, "cpu")
    sizes = [1, 2, 3, 4, 7, 8, 16, 31, 32, 64, LARGEST_BATCH, LARGEST_BATCH + 3, 5, 1, 8]
    for seed, size in enumerate(sizes):
        clips = some_clips(size, bodies, seed)
        (expected,) = session.run([OUTPUT_NAME], {INPUT_NAME: clips})
        found = batches.run(clips)
        assert found.shape == (size, SIZE)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_vectors_stay_as_they_are_when_the_memory_is_used_again(session: Any) -> None:
    batches = BoundBatches(session, SIZE, "cpu")
    first = batches.run(some_clips(4, 1, seed=1))
    kept = first.copy()
    batches.run(some_clips(4, 1, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_clips_that_do_not_lie_one_after_another_in_memory_are_understood(session: Any) -> None:
    clips = some_clips(4, 2)[:, :, :, ::-1]
    vectors = BoundBatches(session, SIZE, "cpu").run(clips)
    np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)


def test_calls_from_several_threads_get_the_vectors_of_their_own_clips(session: Any) -> None:
    batches = BoundBatches(session, SIZE, "cpu")
    calls = [some_clips(size, 1, seed) for seed, size in enumerate((3, 4, 4, 3, 1, 2) * 20)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(batches.run, calls))
    for clips, vectors in zip(calls, found, strict=True):
        np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)


class Recorder:
    """Stands for a session on CUDA that records graphs: it notes each run, and a replay does what `replay` says."""

    def __init__(self, session: Any, replay: str = "run") -> None:
        self._session = session
        self._replay = replay
        self.io_binding = session.io_binding
        self.graphs: list[int] = []
        self.threads: set[int] = set()

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        graph = int(options.get_run_config_entry("gpu_graph_id"))
        is_replay = graph != -1 and graph in self.graphs
        self.graphs.append(graph)
        self.threads.add(threading.get_ident())
        if not is_replay or self._replay == "run":
            self._session.run_with_iobinding(binding, options)


def test_each_shape_is_recorded_once_and_replayed_from_then_on_in_one_thread(session: Any) -> None:
    recorder = Recorder(session)
    batches = BoundBatches(recorder, SIZE, "cpu", graphs=True)
    calls = [some_clips(size, bodies, seed) for seed, (size, bodies) in enumerate([(4, 1), (1, 2), (3, 1), (1, 2)])]
    with ThreadPoolExecutor(2) as threads:
        for clips, vectors in zip(calls, threads.map(batches.run, calls), strict=True):
            np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)
    first, second = 1, 2
    counts = Counter(recorder.graphs)
    # An ordinary run, a recording, and a replay that is compared; then a replay for each call.
    assert counts == {-1: 2, first: 4, second: 4}
    assert len(recorder.threads) == 1


def test_a_run_with_options_of_its_own_is_not_recorded(session: Any) -> None:
    recorder = Recorder(session)
    clips = some_clips(2, 1)
    vectors = BoundBatches(recorder, SIZE, "cpu", graphs=True).run(clips, onnxruntime.RunOptions())
    np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)
    assert recorder.graphs == [-1]


def test_a_replay_that_writes_nothing_is_found(session: Any) -> None:
    batches = BoundBatches(Recorder(session, replay="nothing"), SIZE, "cpu", graphs=True)
    with pytest.raises(DeviceError, match="other vectors than an ordinary run"):
        batches.run(some_clips(2, 1))


def test_vectors_that_are_not_numbers_do_not_stop_the_recording(session: Any) -> None:
    clips = np.zeros((1, 1, 6, 25, 3), dtype=np.float32)
    clips[:] = np.nan
    assert np.isnan(BoundBatches(Recorder(session), SIZE, "cpu", graphs=True).run(clips)).all()
