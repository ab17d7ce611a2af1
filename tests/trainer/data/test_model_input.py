"""Model input of a store's clips: torch and numpy give the same as the server."""

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import SampleConfig, resample, sample
from tests.support.small_runs import write_store
from trainer.data.model_input import ModelInput, cut_windows
from trainer.data.store import ClipStore

SAMPLINGS = [
    SampleConfig(),
    SampleConfig(num_frames=60, crop=0.5, keep_absent_bodies=True),
    SampleConfig(keep_lacking=True),
    SampleConfig(num_frames=60, crop=0.5, keep_absent_bodies=True, keep_lacking=True),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", gaps=True)


@pytest.mark.parametrize("num_frames", [1, 60, 120, 299])
def test_windows_are_resampled_as_in_serving(num_frames: int) -> None:
    rows = np.random.default_rng(0).normal(size=(500, 75)).astype(np.float32)
    first, length = np.array([0, 17, 100, 499, 3]), np.array([1, 2, 64, 1, 497])
    cut = cut_windows(torch.from_numpy(rows), torch.from_numpy(first), torch.from_numpy(length), num_frames)
    for window, start, count in zip(cut.numpy(), first, length, strict=True):
        expected = resample(rows[start : start + count].reshape(count, 25, 3), num_frames)
        np.testing.assert_allclose(window, expected, atol=1e-6)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_rows_of_centre_crops_are_the_servers_model_input(store: ClipStore, sampling: SampleConfig) -> None:
    model_input = ModelInput(store, sampling)
    clips = np.array([5, 0, 1])  # of two, one and two bodies
    served = [model_input.served(int(clip)) for clip in clips]
    assert model_input.clip_of_rows(clips).tolist() == [place for place, bodies in enumerate(served) for _ in bodies]
    np.testing.assert_allclose(model_input.rows(clips).numpy(), np.concatenate(served), atol=1e-6)
    assert np.isnan(np.concatenate(served)).any() == sampling.keep_lacking


def test_chosen_rows_equal_the_same_rows_of_all(store: ClipStore) -> None:
    model_input = ModelInput(store, SampleConfig())
    clips = np.array([1, 0, 5])
    assert torch.equal(model_input.rows(clips, chosen=np.array([3, 1])), model_input.rows(clips)[[3, 1]])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_batches_have_every_clip_once_with_the_servers_model_input(store: ClipStore, sampling: SampleConfig) -> None:
    clips = np.arange(len(store))[::-1].copy()
    seen = []
    for places, batch in ModelInput(store, sampling).served_batches(clips, 5):
        assert len(places) == len(batch) <= 5
        for place, bodies in zip(places, batch, strict=True):
            np.testing.assert_array_equal(bodies, sample(store.cleaned(int(clips[place])), sampling))
        seen += places
    assert sorted(seen) == list(range(len(store)))
