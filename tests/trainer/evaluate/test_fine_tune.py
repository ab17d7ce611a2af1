"""Fine-tuning: learning rates and drop-path computed by hand; a resumed run ends like an unbroken one."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import SampleConfig
from tests.support.small_runs import TINY_ENCODER, write_store
from trainer.data.model_input import ClipRows
from trainer.encoders.gru import Gru, GruConfig
from trainer.encoders.slim import SlimEncoder, SlimEncoderConfig
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.evaluate import resume as unfinished_module
from trainer.evaluate.fine_tune import (
    ActionClassifier,
    FineTuneConfig,
    add_drop_path,
    clips_read,
    drop_path_rates,
    drop_rows,
    fine_tune,
    parameter_groups,
)
from trainer.evaluate.folds import Fold, split_folds
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import HeadResult
from trainer.evaluate.resume import STATE_FILE, EvaluationState

CPU = torch.device("cpu")
TWO_BLOCKS = TransformerConfig(width=16, depth=2, num_heads=2)


def make_encoder(config: TransformerConfig = TWO_BLOCKS) -> Transformer:
    torch.manual_seed(0)
    return Transformer(config, num_frames=120)


def make_classifier(**changes: object) -> ActionClassifier:
    return ActionClassifier(make_encoder(), 3, FineTuneConfig(head_width=8, **changes))  # type: ignore[arg-type]


def test_learning_rates_fall_from_the_head_to_the_embedding() -> None:
    classifier = make_classifier()
    name_of = {id(parameter): name for name, parameter in classifier.named_parameters()}
    groups = list(parameter_groups(classifier, layer_decay=0.5, weight_decay=0.05))
    scale = {name_of[id(p)]: group["scale"] for group in groups for p in group["params"]}
    assert len(scale) == len(name_of)
    by_layer = {
        1.0: ["classify.weight", "hidden.0.bias", "hidden.1.weight", "encoder.norm.weight"],
        0.5: ["encoder.blocks.1.mlp.0.weight", "encoder.blocks.1.norm1.bias"],
        0.25: ["encoder.blocks.0.attention.qkv.weight"],
        0.125: ["encoder.embed.weight", "encoder.positions.time", "encoder.positions.joint"],
    }
    for expected, names in by_layer.items():
        assert {scale[name] for name in names} == {expected}
    assert set(scale.values()) == set(by_layer)


def test_only_matrices_decay() -> None:
    classifier = make_classifier()
    name_of = {id(parameter): name for name, parameter in classifier.named_parameters()}
    groups = list(parameter_groups(classifier, layer_decay=0.8, weight_decay=0.05))
    decayed = {name_of[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.05}
    assert "encoder.embed.weight" in decayed
    assert "classify.weight" in decayed
    assert not [name for name in decayed if name.endswith("bias") or "norm" in name or "positions" in name]


def test_the_matrices_of_recurrent_layers_decay_as_in_pre_training() -> None:
    classifier = ActionClassifier(Gru(GruConfig(width=8, depth=1), num_frames=24), 3, FineTuneConfig(head_width=8))
    groups = list(parameter_groups(classifier, layer_decay=0.8, weight_decay=0.05))
    decayed = {id(weight) for group in groups if group["weight_decay"] for weight in group["params"]}
    layers = [part for part in classifier.modules() if isinstance(part, torch.nn.GRU)]
    assert layers
    for layer in layers:
        for name, weight in layer.named_parameters():
            assert (id(weight) in decayed) == name.startswith("weight"), name


def test_drop_path_rises_from_0_in_the_first_block_to_its_rate_in_the_last() -> None:
    assert drop_path_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0.0]


def test_dropped_rows_are_zero_and_the_others_keep_the_mean() -> None:
    torch.manual_seed(0)
    dropped = drop_rows(torch.ones(4000, 2, 1), 0.25)
    assert torch.equal(dropped[:, 0], dropped[:, 1])  # whole rows
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


def test_drop_path_acts_only_in_training_and_changes_no_names_and_no_other_encoder() -> None:
    plain, dropping = make_encoder(), make_encoder()
    add_drop_path(dropping, 0.9)
    assert list(dropping.state_dict()) == list(plain.state_dict())
    segments = plain.segments(torch.randn(8, 120, 25, 3))
    assert torch.equal(dropping.eval()(segments), plain.eval()(segments))
    assert not torch.allclose(dropping.train()(segments), plain(segments))
    assert torch.equal(plain.train()(segments), plain.eval()(segments))


def test_if_every_update_is_dropped_a_block_returns_its_tokens_unchanged() -> None:
    encoder = make_encoder().train()
    add_drop_path(encoder, 1 - 1e-9)
    tokens = torch.randn(4, 5, 16)
    torch.manual_seed(0)
    assert torch.equal(encoder.blocks[1](tokens), tokens)
    assert not torch.allclose(encoder.blocks[0](tokens), tokens)  # its drop rate is 0


def test_the_head_sees_each_joints_mean_over_time_averaged_over_bodies() -> None:
    classifier = make_classifier().eval()
    bodies = torch.randn(3, 120, 25, 3)
    views = ClipRows(bodies, torch.tensor([0, 1, 1]), 2)
    tokens = classifier.encoder(classifier.encoder.segments(bodies)).view(3, 30, 25, 16)
    joints = tokens.mean(dim=1).flatten(1)
    expected = classifier.hidden(torch.stack([joints[0], (joints[1] + joints[2]) / 2]))
    torch.testing.assert_close(classifier.features(views), expected)
    assert classifier(views).shape == (2, 3)


# --- whole runs ---


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> LabelledClips:
    store = write_store(tmp_path_factory.mktemp("fine-tune") / "store")
    return LabelledClips(store, SampleConfig(), CPU)


SHORT = FineTuneConfig(epochs=3, warmup_epochs=1, batch_clips=4, head_width=8, peak_lr=1e-2)


def run(clips: LabelledClips, remembered: EvaluationState, config: FineTuneConfig = SHORT) -> HeadResult:
    (fold,) = split_folds(clips.store)
    return fine_tune(make_encoder(TINY_ENCODER), clips, fold, config, state=remembered, key="one")


def nothing_remembered() -> EvaluationState:
    return EvaluationState(None, {}, resume=False)


def test_of_slim_the_head_sees_the_class_token_and_the_mean_of_tokens_as_published() -> None:
    torch.manual_seed(0)
    encoder = SlimEncoder(SlimEncoderConfig(width=16, depth=1, num_heads=2), num_frames=64)
    classifier = ActionClassifier(encoder, 3, FineTuneConfig(head_width=8)).eval()
    bodies = torch.randn(2, 64, 25, 3)
    read = []
    classifier.hidden.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    with torch.no_grad():
        classifier(ClipRows(bodies, torch.tensor([0, 1]), 2))
        of_body, tokens = encoder.filled(encoder.segments(bodies))
    torch.testing.assert_close(read[0], torch.cat([of_body, tokens.mean(dim=1)], dim=1))


def test_fine_tuning_learns_its_training_clips_by_heart(clips: LabelledClips) -> None:
    (fold,) = split_folds(clips.store)
    known = Fold(test=fold.train, train=fold.train)
    config = FineTuneConfig(
        epochs=15, warmup_epochs=1, batch_clips=9, head_width=32, peak_lr=2e-2, head_dropout=0.0, test_every_epochs=15
    )
    learned = fine_tune(make_encoder(TINY_ENCODER), clips, known, config, state=nothing_remembered(), key="one")
    assert learned.epochs[-1].top1_percent is not None
    assert learned.epochs[-1].top1_percent >= 80
    assert learned.epochs[-1].train_loss < learned.epochs[0].train_loss


def test_rates_warm_up_and_end_at_the_floor_and_the_last_epoch_is_tested(clips: LabelledClips) -> None:
    config = FineTuneConfig(epochs=3, warmup_epochs=1, batch_clips=4, head_width=8, test_every_epochs=2)
    epochs = run(clips, nothing_remembered(), config).epochs
    # Two steps an epoch. The last step of the first epoch is at the peak, the very last one at the floor.
    assert epochs[0].learning_rate == pytest.approx(3e-4)
    assert epochs[2].learning_rate == pytest.approx(1e-5)
    assert [epoch.top1_percent is None for epoch in epochs] == [True, False, False]


def test_an_interrupted_and_resumed_run_ends_like_an_unbroken_one(
    clips: LabelledClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(clips, nothing_remembered())
    monkeypatch.setattr(unfinished_module, "SAVE_EVERY_S", 0.0)

    class Unplugged(EvaluationState):
        """Writes once; then the power fails."""

        def save_if_due(self, *arguments) -> None:
            super().save_if_due(*arguments)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(clips, Unplugged(tmp_path, {"seed": 0}, resume=False))
    resumed = run(clips, EvaluationState(tmp_path, {"seed": 0}, resume=True))
    assert resumed.epochs == whole.epochs
    np.testing.assert_array_equal(resumed.predictions, whole.predictions)
    np.testing.assert_array_equal(resumed.features, whole.features)


def test_finished_parts_are_remembered_and_another_run_is_refused_with_each_difference(
    clips: LabelledClips, tmp_path: Path
) -> None:
    remembered = EvaluationState(tmp_path, {"seed": 0, "epochs": 3}, resume=False)
    learned = run(clips, remembered)
    remembered.add_result("one", learned, keep_features=False)
    again = EvaluationState(tmp_path, {"seed": 0, "epochs": 3}, resume=True).result("one")
    assert again is not None
    assert again.epochs == learned.epochs
    np.testing.assert_array_equal(again.predictions, learned.predictions)
    assert again.features is None
    assert again.among_five is None  # there are three classes
    among_five = np.arange(len(learned.predictions)) % 2 == 0
    remembered.add_result("one", replace(learned, among_five=among_five), keep_features=False)
    again = EvaluationState(tmp_path, {"seed": 0, "epochs": 3}, resume=True).result("one")
    assert again is not None
    np.testing.assert_array_equal(again.among_five, among_five)
    with pytest.raises(InvalidRequestError, match="epochs is 5 and was 3; seed is 1 and was 0"):
        EvaluationState(tmp_path, {"seed": 1, "epochs": 5}, resume=True)
    with pytest.raises(InvalidRequestError, match="add --resume"):
        EvaluationState(tmp_path, {"seed": 0, "epochs": 3}, resume=False)
    (tmp_path / STATE_FILE).write_bytes(b"cut off")
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        EvaluationState(tmp_path, {}, resume=True)
    remembered.remove()
    with pytest.raises(InvalidRequestError, match="leave --resume out"):
        EvaluationState(tmp_path, {}, resume=True)


def test_a_full_disk_is_reported_and_the_last_state_stays(
    clips: LabelledClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = HeadResult(np.array([1, 2]), ())
    remembered = EvaluationState(tmp_path, {}, resume=False)
    remembered.add_result("one", learned, keep_features=False)

    def full(values: object, file: BinaryIO) -> None:
        file.write(b"the first bytes")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(InvalidRequestError, match=r"cannot be written .*No space left.* is whole"):
            remembered.add_result("two", learned, keep_features=False)
    assert [file.name for file in tmp_path.iterdir()] == [STATE_FILE]
    again = EvaluationState(tmp_path, {}, resume=True)
    assert again.result("two") is None
    assert again.result("one") is not None


def test_a_run_reads_exactly_as_many_clips_as_announced(clips: LabelledClips) -> None:
    (fold,) = split_folds(clips.store)
    read: list[int] = []
    fine_tune(
        make_encoder(TINY_ENCODER),
        clips,
        fold,
        SHORT,
        state=nothing_remembered(),
        key="one",
        show=lambda done, _: read.append(done),
    )
    assert sum(read) == clips_read(len(fold.train), SHORT) == 3 * 2 * 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warmup_epochs": 101}, "--warmup-epochs is 101"),
        ({"floor_lr": 1.0}, "with 0 < floor <= peak"),
        ({"layer_decay": 0.0}, "--layer-decay is 0.0"),
        ({"drop_path": 1.0}, r"--drop-path is 1.0; it must be 0 or more and below 1"),
        ({"head_dropout": float("nan")}, "--head-dropout is nan"),
        ({"batch_clips": 1}, "batch norm needs at least 2"),
        ({"weight_decay": -1.0}, "--weight-decay is -1.0"),
        ({"test_every_epochs": 0}, "--test-every-epochs is 0"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FineTuneConfig(**changes)  # type: ignore[arg-type]


def test_the_published_recipe_is_the_default() -> None:
    config = FineTuneConfig()
    assert (config.epochs, config.warmup_epochs, config.batch_clips) == (100, 5, 48)
    assert (config.peak_lr, config.floor_lr, config.weight_decay) == (3e-4, 1e-5, 0.05)
    assert (config.layer_decay, config.drop_path, config.head_dropout, config.label_smoothing) == (0.8, 0.3, 0.3, 0.1)
