from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import SampleConfig
from tests.support.small_runs import TINY_ENCODER, write_store
from trainer.embedding import PoseStatistics
from trainer.encoders.transformer import Transformer
from trainer.readout import GridMeans, ReadoutConfig, fit_readout, projection

CPU = torch.device("cpu")
UNKNOWN = np.full(500, -1)


def test_whitened_clips_vary_equally_in_all_directions_without_correlation() -> None:
    draws = np.random.default_rng(0)
    features = (draws.normal(size=(500, 6)) @ draws.normal(size=(6, 6)) + 7).astype(np.float32)
    mean, directions = projection(features, UNKNOWN, ReadoutConfig(shrinkage=0.0))
    white = (features - mean) @ directions
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(white.T @ white / 500, np.eye(6), atol=1e-3)


def test_shrinkage_keeps_a_rare_direction_small() -> None:
    # Two directions of variance 1 and 0.0001. Their mean is about 0.5; a tenth of it is added to both.
    features = np.array([[1, 0.01], [-1, 0.01], [1, -0.01], [-1, -0.01]], dtype=np.float32)
    _, directions = projection(features, UNKNOWN[:4], ReadoutConfig(shrinkage=0.1))
    scale = np.abs(directions).max(axis=0)
    assert scale == pytest.approx([1 / (1 + 0.05) ** 0.5, 1 / (0.0001 + 0.05) ** 0.5], rel=1e-2)


def test_the_size_is_at_most_the_requested_one_and_the_dimensions_that_clips_span() -> None:
    features = np.random.default_rng(1).normal(size=(20, 50)).astype(np.float32)
    assert projection(features, UNKNOWN[:20], ReadoutConfig(readout_size=8))[1].shape == (50, 8)
    # 20 centred clips span 19 dimensions.
    assert projection(features, UNKNOWN[:20], ReadoutConfig())[1].shape == (50, 19)


def test_centred_features_keep_their_distances_and_lose_their_mean() -> None:
    features = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32) + 5
    mean, directions = projection(features, UNKNOWN[:40], ReadoutConfig(readout="centred"))
    centred = (features - mean) @ directions
    np.testing.assert_allclose(centred.mean(axis=0), 0, atol=1e-5)
    distances = [np.linalg.norm(x[:, None] - x, axis=-1) for x in (features, centred)]
    np.testing.assert_allclose(*distances, atol=1e-4)


def test_clips_of_one_class_vary_equally_in_all_directions_and_unlabelled_ones_do_not_count() -> None:
    draws = np.random.default_rng(3)
    labels = np.repeat([3, 8, -1], 200)
    # Within a class the first number varies ten times as much as the others; between classes the second one does.
    features = draws.normal(size=(600, 4)) * [10, 1, 1, 1] + np.outer(labels == 8, [0, 6, 0, 0])
    features[labels == -1, 3] *= 30
    mean, directions = projection(
        features.astype(np.float32), labels, ReadoutConfig(readout="within-class", shrinkage=0.0)
    )
    projected = (features - mean) @ directions
    of_class = [projected[labels == label] for label in (3, 8)]
    scatter = sum((x - x.mean(axis=0)).T @ (x - x.mean(axis=0)) for x in of_class) / 398
    np.testing.assert_allclose(scatter, np.eye(4), atol=1e-2)
    # The direction that separates the classes is now far larger than the others.
    assert np.linalg.norm(of_class[1].mean(axis=0) - of_class[0].mean(axis=0)) > 5


def test_within_class_needs_labels_and_says_so(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=24)
    store.labels[:] = -1
    with pytest.raises(InvalidRequestError, match=r"0 labelled clips .* choose --readout whitened"):
        fit_readout(PoseStatistics(), store, SampleConfig(), ReadoutConfig(readout="within-class"), CPU)


@pytest.mark.parametrize(
    "wrong", [{"time_parts": 0}, {"readout_size": 0}, {"shrinkage": -1.0}, {"shrinkage": float("nan")}]
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", "-")):
        ReadoutConfig(**wrong)


def test_the_mean_over_all_joints_and_the_whole_clip_is_the_published_feature() -> None:
    encoder = Transformer(TINY_ENCODER, num_frames=120).eval()
    bodies = torch.randn(2, 120, 25, 3)
    torch.testing.assert_close(
        GridMeans(encoder, 1, per_joint=False).features(bodies), encoder.features(bodies), rtol=1e-4, atol=1e-5
    )
    assert GridMeans(encoder, 6, per_joint=False).features(bodies).shape == (2, 6 * 16)


def test_the_grid_keeps_time_parts_and_joints_apart() -> None:
    encoder = Transformer(TINY_ENCODER, num_frames=120).eval()
    bodies = torch.randn(2, 120, 25, 3)
    tokens = encoder(encoder.segments(bodies)).view(2, 30, 25, 16)
    grid = GridMeans(encoder, 3).features(bodies).view(2, 3, 25, 16)
    torch.testing.assert_close(grid[1, 2, 7], tokens[1, 20:30, 7].mean(dim=0))


def test_parts_that_do_not_divide_the_clip_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="choose a divisor"):
        GridMeans(Transformer(TINY_ENCODER, num_frames=120), 4)


def test_the_same_store_gives_the_same_readout_without_using_test_clips(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=24)
    first = fit_readout(PoseStatistics(), store, SampleConfig(), ReadoutConfig(), CPU)
    rows = store.rows.copy()
    for clip in np.flatnonzero(store.splits == 1):
        rows[store.offsets[clip] : store.offsets[clip + 1]] = 5.0
    store.rows = rows
    second = fit_readout(PoseStatistics(), store, SampleConfig(), ReadoutConfig(), CPU)
    assert torch.equal(first.mean, second.mean)
    assert torch.equal(first.directions, second.directions)
    assert first.directions.shape == (618, 17)  # 18 clips are not test clips


def test_too_few_clips_to_fit_on_are_refused_and_counted(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=12)
    with pytest.raises(InvalidRequestError, match=r"has 9 clips .* at least 16"):
        fit_readout(PoseStatistics(), store, SampleConfig(), ReadoutConfig(), CPU)
