"""Labelled clips: a head is tested on the server's model input, and trained on random views of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import SampleConfig, sample
from tests.support.small_runs import write_store
from trainer.data.model_input import ClipRows
from trainer.data.store import ClipStore
from trainer.embedding import ClipEmbedding, PoseStatistics
from trainer.evaluate.labelled import LabelledClips, frozen_features

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("labelled") / "store")


@pytest.mark.parametrize("keep_absent_bodies", [False, True])
def test_centre_crops_equal_the_servers_model_input(store: ClipStore, keep_absent_bodies: bool) -> None:
    sampling = SampleConfig(keep_absent_bodies=keep_absent_bodies)
    chosen = np.array([5, 0, 1])  # of two, one and two bodies
    views = LabelledClips(store, sampling, CPU).views(chosen)
    expected = [sample(store.cleaned(int(clip)), sampling) for clip in chosen]
    assert views.clip.tolist() == [place for place, clip in enumerate(expected) for _ in clip]
    np.testing.assert_allclose(views.bodies.numpy(), np.concatenate(expected), atol=1e-5)


def test_random_views_depend_only_on_the_draws_and_turn_all_bodies_of_a_clip_together(store: ClipStore) -> None:
    clips = LabelledClips(store, SampleConfig(), CPU)
    first, again, other = (clips.views(np.array([1]), np.random.default_rng(seed)).bodies for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    # Both bodies are turned about the origin together, so their distances are those of the window before the rotation.
    assert torch.allclose(first.norm(dim=-1).mean(), other.norm(dim=-1).mean(), rtol=0.1)
    apart = (first[0] - first[1]).norm(dim=-1)
    assert apart.min() > 0.3
    assert apart.max() < 2.0


def test_the_features_of_a_clip_are_the_mean_of_its_bodies() -> None:
    views = ClipRows(torch.zeros(3, 1, 1, 3), torch.tensor([0, 1, 1]), 2)
    assert views.mean_of_bodies(torch.tensor([[1.0], [2.0], [6.0]])).tolist() == [[1.0], [4.0]]


def test_pose_statistics_get_lacking_joints_as_nan_and_the_clips_are_loaded_once(tmp_path: Path) -> None:
    clips = LabelledClips(write_store(tmp_path / "store", gaps=True), SampleConfig(), CPU)
    chosen = np.array([0, 1])
    assert clips.for_model(torch.nn.Identity()) is clips
    seen = clips.for_model(PoseStatistics())
    assert seen is clips.for_model(PoseStatistics())
    assert seen._input._stored is clips._input._stored
    bodies = seen.views(chosen).bodies.numpy()
    expected = [sample(clips.store.cleaned(int(clip)), SampleConfig(keep_lacking=True)) for clip in chosen]
    np.testing.assert_allclose(bodies, np.concatenate(expected), atol=1e-5)
    assert np.isnan(bodies).any()
    assert np.isfinite(clips.views(chosen).bodies.numpy()).all()


def test_frozen_features_are_the_embedding_before_it_is_scaled_to_unit_length(store: ClipStore) -> None:
    views = LabelledClips(store, SampleConfig(), CPU).views(np.array([1, 2]))
    features = frozen_features(PoseStatistics(), views)
    assert not torch.allclose(features.norm(dim=1), torch.ones(2))
    graph = ClipEmbedding(PoseStatistics())
    for clip, vector in zip((1, 2), features, strict=True):
        served = graph(torch.from_numpy(sample(store.cleaned(clip), SampleConfig()))[None])[0]
        torch.testing.assert_close(vector / vector.norm(), served)
