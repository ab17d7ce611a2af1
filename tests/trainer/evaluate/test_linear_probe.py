"""The linear probe: its recipe, and that the last epoch counts."""

import numpy as np
import pytest
import torch

from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import SampleConfig
from tests.support.small_runs import write_store
from trainer.embedding import PoseStatistics
from trainer.evaluate import resume as unfinished_module
from trainer.evaluate.folds import split_folds
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import Epoch, HeadResult, Passes, among_five, learn
from trainer.evaluate.linear_probe import LinearHead, LinearProbeConfig, clips_read, linear_probe, train_linear_head
from trainer.evaluate.resume import EvaluationState

# Four corners of a square, each its own class, which are easy to separate.
CORNERS = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


def probe_corners(config: LinearProbeConfig, *, test: torch.Tensor = CORNERS) -> HeadResult:
    return train_linear_head(
        lambda _, places: CORNERS[torch.from_numpy(places)],
        np.arange(4),
        test,
        np.arange(4)[: len(test)],
        num_classes=4,
        config=config,
    )


def test_separable_classes_are_told_apart() -> None:
    learned = probe_corners(LinearProbeConfig(epochs=30))
    assert learned.predictions.tolist() == [0, 1, 2, 3]
    assert learned.epochs[0].train_loss == pytest.approx(np.log(4), abs=0.05)  # weights start near 0
    assert learned.epochs[-1].train_loss < 0.5
    assert learned.epochs[-1].top1_percent == 100.0
    # Batch norm keeps the variance of a sample: 4 / 3 of that of the four corners, which is 1.
    np.testing.assert_allclose(learned.features, CORNERS / (4 / 3) ** 0.5, atol=0.01)


def test_the_rate_starts_at_its_peak_and_falls_along_half_a_cosine() -> None:
    rates = [epoch.learning_rate for epoch in probe_corners(LinearProbeConfig(epochs=4, peak_lr=0.1)).epochs]
    # One step an epoch gives the cosines of 0, 45, 90 and 135 degrees.
    np.testing.assert_allclose(rates, [0.1, 0.05 * (1 + 0.5**0.5), 0.05, 0.05 * (1 - 0.5**0.5)], rtol=1e-6)


def test_features_are_scaled_to_mean_0_and_variance_1_without_trained_weights() -> None:
    head = LinearHead(2, 3)
    assert {name for name, _ in head.named_parameters()} == {"classify.weight", "classify.bias"}
    normed = head.norm(torch.tensor([[1.0, 1000.0], [3.0, 5000.0]]))
    torch.testing.assert_close(normed, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    assert head.classify.weight.abs().max() < 0.05


def test_a_probe_repeats_itself_and_another_seed_gives_other_losses() -> None:
    first, again, other = (probe_corners(LinearProbeConfig(epochs=3, seed=seed)).epochs for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_last_epoch_counts_even_if_an_earlier_one_was_better() -> None:
    # Predictions get worse with each epoch: 2, 1 and 0 of 2 are right.
    answers = iter([np.array([1, 1]), np.array([1, 0]), np.array([0, 0])])
    weight = torch.nn.Parameter(torch.zeros(()))
    learned = learn(
        Passes(num_clips=2, batch_clips=2, epochs=3, seed=0),
        torch.optim.SGD([weight], lr=0.1),
        learning_rate=lambda _: 0.1,
        loss_of=lambda _: weight**2,
        predict=lambda: next(answers),
        labels=np.array([1, 1]),
    )
    assert learned.predictions.tolist() == [0, 0]
    assert [epoch.top1_percent for epoch in learned.epochs] == [100.0, 50.0, 0.0]
    assert learned.best.epoch == 1


def test_a_loss_that_is_not_finite_ends_the_run_with_its_epoch() -> None:
    weight = torch.nn.Parameter(torch.zeros(()))
    with pytest.raises(InvalidRequestError, match="became nan in epoch 1 of 2; learn again with a lower --peak-lr"):
        learn(
            Passes(num_clips=2, batch_clips=2, epochs=2, seed=0),
            torch.optim.SGD([weight], lr=0.1),
            learning_rate=lambda _: 0.1,
            loss_of=lambda _: weight * float("nan"),
            predict=lambda: np.array([0]),
            labels=np.array([0]),
        )


def test_every_pass_sees_every_clip_once_in_steps_of_one_size() -> None:
    passes = Passes(num_clips=10, batch_clips=5, epochs=2, seed=0)
    steps = [passes.places(step) for step in range(passes.total_steps)]
    assert [len(step) for step in steps] == [5, 5, 5, 5]
    assert sorted(np.concatenate(steps[:2]).tolist()) == sorted(np.concatenate(steps[2:]).tolist()) == list(range(10))
    assert steps[0].tolist() != steps[2].tolist()
    few = Passes(num_clips=3, batch_clips=256, epochs=2, seed=0)
    assert (few.batch, few.steps_per_epoch) == (3, 1)


def test_a_single_clip_to_learn_from_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="1 labelled clips to learn from"):
        Passes(num_clips=1, batch_clips=4, epochs=1, seed=0)


@pytest.mark.parametrize("augment", [False, True])
def test_a_model_is_tested_on_the_test_clips_and_reads_as_many_clips_as_announced(tmp_path, augment: bool) -> None:
    store = write_store(tmp_path / "store", num_clips=24)
    (fold,) = split_folds(store)
    config = LinearProbeConfig(epochs=4, batch_clips=8, augment=augment)
    read: list[int] = []
    clips = LabelledClips(store, SampleConfig(), torch.device("cpu"))
    learned = linear_probe(PoseStatistics(), clips, fold, config, show=lambda done, _: read.append(done))
    assert len(learned.predictions) == 6
    assert learned.features is not None
    assert learned.features.shape == (6, 618)
    assert sum(read) == clips_read(fold, config) == (6 + 4 * 2 * 8 if augment else 6 + 18)


@pytest.mark.parametrize("augment", [False, True])
def test_an_interrupted_and_resumed_probe_ends_like_an_unbroken_one(
    tmp_path, monkeypatch: pytest.MonkeyPatch, augment: bool
) -> None:
    store = write_store(tmp_path / "store", num_clips=24)
    (fold,) = split_folds(store)
    clips = LabelledClips(store, SampleConfig(), torch.device("cpu"))
    config = LinearProbeConfig(epochs=4, batch_clips=8, augment=augment)
    monkeypatch.setattr(unfinished_module, "SAVE_EVERY_S", 0.0)

    class Unplugged(EvaluationState):
        """Writes once; then the power fails."""

        def save_if_due(self, *arguments) -> None:
            super().save_if_due(*arguments)
            raise KeyboardInterrupt

    def probe(state: EvaluationState | None, read: list[int]) -> HeadResult:
        return linear_probe(
            PoseStatistics(), clips, fold, config, state=state, key="one", show=lambda done, _: read.append(done)
        )

    whole = probe(None, [])
    with pytest.raises(KeyboardInterrupt):
        probe(Unplugged(tmp_path / "out", {"seed": 0}, resume=False), [])
    read: list[int] = []
    resumed = probe(EvaluationState(tmp_path / "out", {"seed": 0}, resume=True), read)
    assert resumed.epochs == whole.epochs
    np.testing.assert_array_equal(resumed.predictions, whole.predictions)
    np.testing.assert_array_equal(resumed.features, whole.features)
    assert sum(read) == clips_read(fold, config)


def test_a_class_among_the_five_best_scores_is_right_in_top_5() -> None:
    scores = torch.arange(7.0).expand(3, 7)  # classes 2 to 6 have the highest
    assert among_five(scores, np.array([6, 2, 1])).tolist() == [True, True, False]
    assert among_five(scores[:, :5], np.array([0, 1, 2])) is None


def test_augmented_steps_see_other_windows_in_every_epoch(tmp_path) -> None:
    store = write_store(tmp_path / "store", num_clips=24)
    (fold,) = split_folds(store)
    seen: list[torch.Tensor] = []

    class Watching(PoseStatistics):
        def features(self, bodies):
            seen.append(bodies)
            return super().features(bodies)

    clips = LabelledClips(store, SampleConfig(), torch.device("cpu"))
    linear_probe(Watching(), clips, fold, LinearProbeConfig(epochs=2, batch_clips=18))
    _, first, second = seen
    assert first.shape == second.shape
    assert not any(torch.allclose(a, b) for a in first for b in second)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 0}, "--epochs is 0; it must be at least 1"),
        ({"batch_clips": 1}, "batch norm needs at least 2"),
        ({"peak_lr": float("nan")}, "--peak-lr is nan"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LinearProbeConfig(**changes)


def test_the_best_epoch_is_among_those_that_were_tested() -> None:
    epochs = (Epoch(1, 1.0, 0.1, None), Epoch(2, 1.0, 0.1, 50.0), Epoch(3, 1.0, 0.1, 40.0))
    assert HeadResult(np.array([0]), epochs).best.epoch == 2


def test_the_default_is_the_published_recipe() -> None:
    config = LinearProbeConfig()
    assert (config.epochs, config.batch_clips, config.peak_lr, config.augment) == (100, 256, 0.1, True)
