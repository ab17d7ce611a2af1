"""The other encoders go the whole way: trained, stopped and resumed, evaluated, adapted, counted and exported."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click import Command
from click.testing import CliRunner, Result

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from tests.support.small_objectives import OTHER_ENCODERS, SETTINGS
from tests.support.small_runs import TINY_ENCODER, moving_body, tiny_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.cli.cost import gfp_cost
from trainer.cli.evaluate import gfp_evaluate
from trainer.cli.export import gfp_export
from trainer.cli.train import gfp_train
from trainer.config import PRESETS, TrainConfig
from trainer.data.batches import Batch
from trainer.data.store import ClipStore
from trainer.encoders import build_encoder
from trainer.encoders.gru import GruConfig
from trainer.encoders.transformer import TransformerConfig
from trainer.evaluate.fine_tune import ActionClassifier, FineTuneConfig, parameter_groups
from trainer.flops import cost_table, parameter_table
from trainer.loop import StepReport, Trainer
from trainer.objectives import OBJECTIVES, Outcome
from trainer.objectives.gfp import GfpConfig
from trainer.objectives.halp import HalpConfig
from trainer.readout import GridMeans
from trainer.schedule import dropped_once
from trainer.start import adapting, read_start
from trainer.terms import Lesson

every_encoder = pytest.mark.parametrize("name", OTHER_ENCODERS)
OBJECTIVE_OF = {"gru": "halp", "two_stream": "usdrl"}
OPTIMIZER_OF = {"gru": "sgd", "two_stream": "adam"}


def config_of(name: str, **changes: object) -> TrainConfig:
    settings = {**SETTINGS[OBJECTIVE_OF[name]], "view_tokens": 0}
    objective = OBJECTIVES[OBJECTIVE_OF[name]].config_type(**settings)
    values: dict[str, Any] = {"optimizer": OPTIMIZER_OF[name], "lr_drop_at": 0.5, "num_frames": 24, **changes}
    return tiny_config(encoder=OTHER_ENCODERS[name], objective=objective, **values)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)  # a read-out is fitted on 16 or more


@pytest.fixture(scope="module")
def runs(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each encoder, by its name."""
    folder = tmp_path_factory.mktemp("runs")
    for name in OTHER_ENCODERS:
        Trainer(config_of(name), store, folder / name).fit()
    return folder


def invoke(command: Command, *words: object) -> Result:
    ended = CliRunner().invoke(command, [str(word) for word in words])
    assert ended.exit_code == 0, ended.output
    return ended


@every_encoder
def test_a_stopped_and_resumed_run_has_the_weights_of_an_unbroken_one(
    name: str, store: ClipStore, runs: Path, tmp_path: Path
) -> None:
    def stop(now: StepReport) -> None:
        if now.step == 2:
            signal.raise_signal(signal.SIGTERM)

    assert Trainer(config_of(name), store, tmp_path).fit(stop).step == 2
    saved = Checkpoint.read(tmp_path)
    assert saved.config == config_of(name)
    Trainer(saved.config, store, tmp_path, resume=saved).fit()
    whole, resumed = Checkpoint.read(runs / name), Checkpoint.read(tmp_path)
    for weights, others in ((whole.encoder, resumed.encoder), (whole.objective, resumed.objective)):
        assert weights.keys() == others.keys()
        for key, weight in weights.items():
            torch.testing.assert_close(others[key], weight, rtol=1e-5, atol=1e-6)


@every_encoder
def test_each_protocol_reads_the_encoder(name: str, store: ClipStore, runs: Path) -> None:
    short = ("--epochs", 1, "--warmup-epochs", 0, "--batch-clips", 4, "--head-width", 8)
    for protocol, words in (
        ("retrieval", ()),
        ("retrieval", ("--fit", store.path, "--no-per-joint", "--time-parts", 8)),
        ("linear-probe", ("--epochs", 1)),
        ("fine-tune", short),
        ("semi-supervised", (*short, "--ratio", 0.5, "--num-seeds", 1)),
    ):
        report = json.loads(invoke(gfp_evaluate, protocol, runs / name, store.path, *words, "--json").stdout)
        assert "trained" in json.dumps(report)


@every_encoder
def test_a_bundle_has_torchs_vectors(name: str, store: ClipStore, runs: Path, tmp_path: Path) -> None:
    clips = [
        Clip(name=str(seed), sequence=moving_body(seed, num_bodies=1 + seed), layout=NTU25, fps=30.0) for seed in (0, 1)
    ]
    write_clip_file(tmp_path / "clips.npz", clips)
    invoke(gfp_export, runs / name, "--out", tmp_path / "bundle", "--clips", tmp_path / "clips.npz")
    bundle = Bundle.read(tmp_path / "bundle")
    assert bundle.manifest.embedding_size == Checkpoint.read(runs / name).build_encoder().feature_size
    drawn = np.random.default_rng(0).normal(size=(3, 2, 24, 25, 3)).astype(np.float32)
    encoder = Checkpoint.read(runs / name).build_encoder()
    with torch.inference_mode():
        features = encoder.features(torch.from_numpy(drawn).flatten(0, 1)).view(3, 2, -1).mean(dim=1)
    expected = torch.nn.functional.normalize(features, dim=1).numpy()
    np.testing.assert_allclose(Encoder(bundle, device="cpu").encode(drawn), expected, atol=1e-5)


@every_encoder
def test_a_run_starts_from_another_and_not_from_one_of_another_shape(name: str, store: ClipStore, runs: Path) -> None:
    start = read_start(runs / name)
    adapted = adapting(start.config, 18)
    assert (adapted.optimizer, adapted.lr_drop_at) == ("adamw", 0.0)
    assert start.differing_shapes(adapted) == []
    model = Trainer(adapted, store, runs / "unused", start=start).objective
    for key, weight in start.encoder.items():
        assert torch.equal(model.encoder.state_dict()[key], weight)
    other = next(each for each in OTHER_ENCODERS if each != name)
    assert f"--encoder is {other} and was {name}" in start.differing_shapes(config_of(other))


def test_a_read_out_needs_tokens_that_tell_joints_and_parts_of_time_apart() -> None:
    gru = build_encoder(OTHER_ENCODERS["gru"], num_frames=24)
    with pytest.raises(
        InvalidRequestError, match="tell joints apart, and those of this run do not; add --no-per-joint"
    ):
        GridMeans(gru, 6)
    bodies = torch.randn(2, 24, 25, 3)
    means = GridMeans(gru.eval(), 6, per_joint=False).features(bodies).view(2, 6, 8)
    torch.testing.assert_close(means[:, 1], gru.tokens(bodies)[:, 4:8].mean(dim=1))
    two_stream = build_encoder(OTHER_ENCODERS["two_stream"], num_frames=24)
    assert GridMeans(two_stream, 6).features(bodies).shape == (2, (6 + 25) * 8)
    with pytest.raises(InvalidRequestError, match="which does not divide the 24 segments"):
        GridMeans(gru, 5, per_joint=False)


@every_encoder
def test_fine_tuning_reads_the_features_and_lets_low_layers_learn_more_slowly(name: str) -> None:
    encoder = build_encoder(OTHER_ENCODERS[name], num_frames=24)
    classifier = ActionClassifier(encoder, 3, FineTuneConfig(head_width=8))
    assert classifier.hidden[0].in_features == encoder.feature_size
    groups = list(parameter_groups(classifier, layer_decay=0.5, weight_decay=0.1))
    name_of = {id(parameter): key for key, parameter in classifier.named_parameters()}
    scale = {name_of[id(p)]: group["scale"] for group in groups for p in group["params"]}
    assert set(scale.values()) == {1.0, 0.5, 0.25, 0.125}
    assert scale["classify.weight"] == 1.0
    lowest = {"gru": "encoder.norm.weight", "two_stream": "encoder.time.embed.0.weight"}[name]
    assert scale[lowest] == 0.125


def test_flop_of_a_recurrent_encoder_are_those_of_its_gates() -> None:
    gates = 3 * 4 * ((75 + 4 + 2) + (8 + 4 + 2))  # of one half of both layers
    norm = 2 * 75
    of_clip = 2 * 2 * 24 * (2 * gates + norm) / 1e9  # two FLOPs a multiply-add, two bodies
    config = HalpConfig(queue_keys=6, prototype_keys=6, num_prototypes=3)
    table = cost_table(OTHER_ENCODERS["gru"], config, num_frames=24)
    assert table["encoder, all tokens"] == pytest.approx(of_clip)
    assert table["encoder"] == pytest.approx(of_clip)
    published = parameter_table(GruConfig(), config, num_frames=64)["encoder"]
    assert published == 2 * sum(3 * 1024 * (size + 1024 + 2) for size in (75, 2048, 2048)) + 150


def test_the_cost_table_has_the_objectives_that_fit_the_encoder() -> None:
    words = ("--encoder", "two_stream", "--width", 8, "--num-frames", 24, "--json")
    assert list(json.loads(invoke(gfp_cost, *words).stdout)) == ["halp", "usdrl"]
    refused = CliRunner().invoke(gfp_cost, ["--encoder", "gru", "--objective", "gfp"])
    assert refused.exit_code == 2
    assert "--objective gfp hides tokens of --encoder gru" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--encoder", "gru"), "--objective gfp hides tokens of --encoder gru, which cannot be left out"),
        (("--encoder", "gru", "--objective", "halp", "--view-tokens", 9), "--objective halp with --view-tokens hides"),
        (("--encoder", "gru", "--objective", "halp", "--label-weight", 1), "show a part of the tokens of an encoder"),
        (("--encoder", "gru", "--num-heads", 2), "--num-heads has no meaning for --encoder gru"),
        (("--lr-drop-at", 1), "--lr-drop-at is 1.0; it must be 0 or more and below 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(words: tuple[object, ...], said: str, store: ClipStore) -> None:
    ended = CliRunner().invoke(gfp_train, [str(store.path), "--out", "run", *map(str, words)])
    assert ended.exit_code == 2
    assert said in " ".join(ended.output.split())


def test_settings_without_the_name_of_an_encoder_are_of_a_transformer() -> None:
    values = tiny_config().to_json()
    assert values["encoder"].pop("name") == "transformer"
    assert TrainConfig.from_json(values) == tiny_config()
    for settings in ("optimizer", "lr_drop_at"):
        values.pop(settings)
    assert TrainConfig.from_json(values).encoder == TINY_ENCODER


# What the public codes have, as numbers also where they are our defaults: a change of a default must not change what a
# preset repeats.
HALP: dict[str, Any] = {
    "encoder": "gru",
    "width": 2048,  # 1024 in each direction
    "depth": 3,
    "frame": "room",
    "num_frames": 64,
    "batch_clips": 64,
    "optimizer": "sgd",
    "peak_lr": 0.01,
    "floor_lr": 0.001,
    "warmup_epochs": 0,
    "weight_decay": 1e-4,
    "final_weight_decay": 0.0,
    "clip_gradient": 0.0,
    "objective": "halp",
    "view_tokens": 0,
    "projection_size": 128,
    "key_momentum": 0.999,
    "queue_keys": 16_384,
    "contrast_temperature": 0.07,
    "num_prototypes": 20,
    "prototype_keys": 256,
    "prototype_every_steps": 10,
    "num_hallucinations": 100,
    "hallucination_reach": 0.8,
}
USDRL: dict[str, Any] = {
    "encoder": "two_stream",
    "width": 1024,
    "depth": 2,
    "num_heads": 1,
    "stream_layers": "dense",
    "drop_path": 0.1,
    "frame": "room",
    "num_frames": 64,
    "optimizer": "adam",
    "peak_lr": 5e-4,
    "floor_lr": 5e-5,
    "warmup_epochs": 0,
    "weight_decay": 1e-5,
    "final_weight_decay": 0.0,
    "clip_gradient": 0.0,
    "objective": "usdrl",
    "view_tokens": 0,
    "similarity_weight": 5.0,
    "spread_weight": 1.0,
    "correlation_weight": 0.001,
    "time_weight": 0.5,
    "space_weight": 0.5,
    "instance_weight": 1.0,
}
SLIM: dict[str, Any] = {
    "encoder": "slim",
    "width": 256,
    "depth": 8,
    "num_heads": 8,
    "segment_frames": 8,
    "num_registers": 4,
    "frame": "room",
    "num_frames": 64,
    "batch_clips": 768,  # of four GPUs with 192 each
    "optimizer": "adamw",
    "peak_lr": 2e-4 * (768 / 1024) ** 0.5,
    "floor_lr": 1e-6,
    "weight_decay": 0.04,
    "final_weight_decay": 0.2,
    "clip_gradient": 3.0,
    "embed_lr_share": 0.2,
    "gradient_memory": 0.999,
    "lr_drop_at": 0.0,
    "objective": "slim",
    "target_momentum": 0.994,
    "first_target_temperature": 0.04,
    "target_temperature": 0.07,
    "temperature_share": 30 / 150,
    "prediction_temperature": 0.1,
    "clip_weight": 1.0,
    "token_weight": 1.0,
    "crowding_weight": 0.1,
    "least_hidden": 0.5,
    "most_hidden": 0.9,
    "num_prototypes": 65_536,
    "head_width": 2048,
    "head_size": 256,
}


# MAMP's values, which GFP's paper takes over; the last six are GFP's, with the weights of variance and covariance as
# the preset chooses them, not as printed.
GFP: dict[str, Any] = {
    "encoder": "transformer",
    "width": 256,
    "depth": 8,
    "num_heads": 8,
    "segment_frames": 4,
    "frame": "room",
    "num_frames": 120,
    "batch_clips": 128,  # of four GPUs with 32 each
    "epochs": 400,
    "warmup_epochs": 20,
    "optimizer": "adamw",
    "peak_lr": 1e-3,
    "floor_lr": 5e-4,
    "weight_decay": 0.05,
    "final_weight_decay": 0.0,
    "lr_drop_at": 0.0,
    "clip_gradient": 0.0,
    "embed_lr_share": 1.0,
    "gradient_memory": 0.95,
    "mask_ratio": 0.9,
    "objective": "gfp",
    "levels": "short,mid,long,global",
    "target_input": "motion",
    "prediction_weight": 5.0,
    "variance_weight": 5.0,
    "covariance_weight": 1.0,
}


@pytest.mark.parametrize(
    ("preset", "published"),
    [
        ("ntu60-xsub", {**GFP, "mask_temperature": 0.8}),
        ("ntu120-xsub", {**GFP, "mask_temperature": 0.75}),
        ("halp-ntu60", {**HALP, "epochs": 451, "hallucination_weight": 2.0}),
        ("halp-pku", {**HALP, "epochs": 1001, "hallucination_weight": 1.0}),
        ("usdrl-ntu60", {**USDRL, "epochs": 451, "batch_clips": 356}),
        ("usdrl-pku", {**USDRL, "epochs": 1201, "batch_clips": 512}),
        ("slim-ntu60", SLIM),
    ],
)
def test_presets_have_the_published_values(preset: str, published: dict[str, Any]) -> None:
    settings = PRESETS[preset].settings()
    assert {name: settings[name] for name in published} == pytest.approx(published)


@pytest.mark.parametrize(("data_set", "plain", "dropped"), [("ntu60", 201, 351), ("pku", 501, 801)])
def test_presets_change_at_the_published_epochs(data_set: str, plain: int, dropped: int) -> None:
    halp, usdrl = PRESETS[f"halp-{data_set}"], PRESETS[f"usdrl-{data_set}"]
    assert isinstance(halp.objective, HalpConfig)
    # Epochs are counted from 0: prototypes are used after number 200, and number 450 is the last one.
    assert halp.epochs * halp.objective.plain_share == pytest.approx(plain)
    assert halp.epochs * halp.lr_drop_at == pytest.approx(dropped)
    assert usdrl.epochs * usdrl.lr_drop_at == pytest.approx(dropped)
    slim = PRESETS["slim-ntu60"]
    assert slim.warmup_epochs / slim.epochs == pytest.approx(20 / 150, abs=1e-3)


def test_the_smallest_preset_is_gfp_on_the_transformer() -> None:
    assert PRESETS["demo"].optimizer == "adamw"
    assert isinstance(PRESETS["demo"].encoder, TransformerConfig)
    assert isinstance(PRESETS["demo"].objective, GfpConfig)


def test_the_rate_falls_once_after_its_share_of_the_run(store: ClipStore, tmp_path: Path) -> None:
    rates: list[float] = []
    Trainer(config_of("gru", warmup_epochs=0), store, tmp_path).fit(
        lambda step: rates.append(step.metrics["learning_rate"])
    )
    assert rates == 4 * [1e-3] + 4 * [5e-4]
    assert dropped_once(1, peak=1.0, floor=0.1, warmup_steps=4, drop_step=9) == 0.25


@pytest.mark.parametrize(("kind", "step_of"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_a_loss_that_is_not_finite_reaches_no_weight_with_any_optimiser(
    kind: str, step_of: type[torch.optim.Optimizer], store: ClipStore, tmp_path: Path
) -> None:
    trainer = Trainer(config_of("gru", optimizer=kind), store, tmp_path)
    assert type(trainer.optimizer) is step_of
    before = {name: weight.clone() for name, weight in trainer.objective.encoder.named_parameters()}
    compute = trainer.compute_loss

    def spoiled(own: Batch | None, lesson: Lesson | None) -> Outcome:
        outcome = compute(own, lesson)
        return replace(outcome, total=outcome.total * torch.nan)

    trainer.compute_loss = spoiled
    trainer.train_step()
    for name, weight in trainer.objective.encoder.named_parameters():
        assert torch.equal(weight, before[name])
