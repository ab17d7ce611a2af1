"""The trainer's commands, as a user runs them, from a clip file to a bundle."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click import Command, UsageError
from click.testing import CliRunner, Result

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.formats import Clip, read_clips, write_clip_file
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import PreprocessConfig, prepare
from tests.support.small_runs import moving_body, tiny_config
from trainer.checkpoint import Checkpoint
from trainer.cli.data import gfp_data
from trainer.cli.evaluate import gfp_evaluate
from trainer.cli.export import _dimensions, gfp_export
from trainer.cli.train import gfp_train
from trainer.config import PRESETS, TrainConfig
from trainer.data.store import ClipStore
from trainer.evaluate.suite.encoders import suite_encoders
from trainer.learned_head import Shares
from trainer.loop import Trainer
from trainer.objectives import NoObjectiveConfig
from trainer.terms import TermsConfig

TINY = ["--width", "16", "--depth", "1", "--num-heads", "2", "--local-width", "8", "--global-width", "16"] + [
    *("--batch-clips", "4", "--warmup-epochs", "1", "--device", "cpu", "--log-every-steps", "1"),
]


def invoke(command, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def succeed(command, *words: object) -> str:
    result = invoke(command, *words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "swings.npz"
    clips = [
        Clip(
            name=f"clip{number}",
            sequence=moving_body(number, num_frames=60 + number),
            layout=NTU25,
            fps=30.0,
            label=f"class{number % 3}",
            subject=str(number % 4),
        )
        for number in range(24)
    ]
    write_clip_file(path, clips)
    return path


@pytest.fixture(scope="module")
def store(recording: Path) -> Path:
    path = recording.parent / "store"
    succeed(gfp_data, "import", recording, "--out", path, "--test-subject", "swings/3")
    return path


@pytest.fixture(scope="module")
def run(store: Path) -> Path:
    path = store.parent / "run"
    succeed(gfp_train, store, "--out", path, "--epochs", 2, *TINY)
    return path


@pytest.fixture(scope="module")
def bundle(recording: Path, run: Path) -> Path:
    path = run.parent / "bundle.zip"
    assert "differ by at most" in succeed(gfp_export, run, "--out", path, "--clips", recording)
    return path


def test_the_commands_lead_from_a_clip_file_to_a_bundle(store: Path, run: Path, bundle: Path, tmp_path: Path) -> None:
    assert (run / "losses.png").stat().st_size > 1000
    report = json.loads(
        invoke(gfp_evaluate, "retrieval", run, store, "--json", "--out", tmp_path / "evaluation").stdout
    )
    assert list(report["top1_percent"]) == ["pose statistics", "untrained", "trained"]
    assert report["top1_percent_readout"] == {}
    assert report["num_test_clips"] == 6
    assert report["encoder"]["training"]["seed"] == 0
    assert {file.name for file in (tmp_path / "evaluation").iterdir()} == {"report.json", "confusion.png", "map.png"}
    manifest = Bundle.read(bundle).manifest
    assert (manifest.objective, manifest.step, manifest.embedding_size) == ("gfp", 8, 16)
    assert manifest.data["sources"][0]["name"] == "swings"
    from_bundle = json.loads(invoke(gfp_evaluate, "retrieval", bundle, store, "--json").stdout)
    assert from_bundle["top1_percent"] == report["top1_percent"]


def test_a_fitted_readout_is_in_the_bundle_and_has_the_same_accuracy_as_from_the_run(
    store: Path, run: Path, tmp_path: Path
) -> None:
    # Without --clips, those of the store are the bundle's own.
    succeed(gfp_export, run, "--fit", store, "--out", tmp_path / "bundle")
    manifest = Bundle.read(tmp_path / "bundle").manifest
    assert (manifest.readout["kind"], manifest.readout["time_parts"]) == ("whitened", 6)
    assert manifest.readout["data"]["sources"][0]["name"] == "swings"
    from_run = json.loads(invoke(gfp_evaluate, "retrieval", run, store, "--json", "--fit", store).stdout)
    from_bundle = json.loads(invoke(gfp_evaluate, "retrieval", tmp_path / "bundle", store, "--json").stdout)
    assert list(from_run["top1_percent_readout"]) == ["pose statistics", "untrained", "trained"]
    assert from_bundle["top1_percent_readout"] == {"trained": from_run["top1_percent_readout"]["trained"]}


@pytest.mark.parametrize(
    ("words", "kind", "size"),
    [
        (["--time-parts", "3", "--per-joint"], {"kind": "mean", "time_parts": 3, "per_joint": True}, 3 * 25 * 16),
        # 18 clips are not test clips.
        (["--fit", "STORE", "--readout", "centred"], {"kind": "centred", "size": 256}, 17),
        (
            ["--fit", "STORE", "--readout", "within-class", "--readout-size", "4"],
            {"kind": "within-class", "size": 4},
            4,
        ),
    ],
)
def test_every_kind_of_readout_is_in_the_bundle_as_it_was_measured(
    words: list[str], kind: dict[str, Any], size: int, recording: Path, store: Path, run: Path, tmp_path: Path
) -> None:
    words = [str(store) if word == "STORE" else word for word in words]
    succeed(gfp_export, run, "--out", tmp_path / "bundle", "--clips", recording, *words)
    manifest = Bundle.read(tmp_path / "bundle").manifest
    assert kind.items() <= manifest.readout.items()
    assert manifest.embedding_size == size
    from_run = json.loads(invoke(gfp_evaluate, "retrieval", run, store, "--json", *words).stdout)
    from_bundle = json.loads(invoke(gfp_evaluate, "retrieval", tmp_path / "bundle", store, "--json").stdout)
    assert from_bundle["top1_percent_readout"]["trained"] == from_run["top1_percent_readout"]["trained"]
    assert from_run["config"]["readout"] == manifest.readout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--readout", "whitened"], "name a store with --fit STORE"),
        (["--fit", "STORE", "--readout", "mean"], "leave --fit out"),
        (["--readout-size", "4"], "have no effect on a mean"),
        (["--fit", "STORE", "--time-parts", "0"], "each must be at least 1"),
        (
            ["--fit", "STORE", "--time-parts", "7"],
            "--time-parts is 7, which does not divide the 30 segments",
        ),
    ],
)
def test_read_out_options_that_make_no_sense_are_refused_with_the_reason(
    words: list[str], said: str, recording: Path, store: Path, run: Path, tmp_path: Path
) -> None:
    words = [str(store) if word == "STORE" else word for word in words]
    for command, rest in ((gfp_export, ["--out", tmp_path / "bundle", "--clips", recording]), (gfp_evaluate, [store])):
        protocol = ["retrieval"] if command is gfp_evaluate else []
        result = invoke(command, *protocol, run, *rest, *words)
        assert result.exit_code != 0
        assert said in " ".join(result.output.split())
        assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("command", [gfp_evaluate, gfp_export])
def test_a_readout_fitted_on_clips_with_other_cleaning_is_refused(
    command: Command, recording: Path, store: Path, run: Path, tmp_path: Path
) -> None:
    succeed(gfp_data, "import", recording, "--out", tmp_path / "turned", "--align-view")
    rest = [store] if command is gfp_evaluate else ["--out", tmp_path / "bundle", "--clips", recording]
    protocol = ["retrieval"] if command is gfp_evaluate else []
    result = invoke(command, *protocol, run, *rest, "--fit", tmp_path / "turned")
    assert result.exit_code == 1
    assert "Import the data again with --no-align-view" in result.output


def test_a_bundle_trained_with_settings_of_another_release_is_refused_in_one_line(
    store: Path, bundle: Path, tmp_path: Path
) -> None:
    exported = Bundle.read(bundle)
    training = {**exported.manifest.training, "momentum": 0.9}
    replace(exported, manifest=replace(exported.manifest, training=training)).write(tmp_path / "bundle")
    result = invoke(gfp_evaluate, "retrieval", tmp_path / "bundle", store)
    assert result.exit_code == 1
    assert "momentum" in result.output
    assert "export it again" in result.output


@pytest.fixture(scope="module")
def pose_statistics(recording: Path) -> Path:
    """A bundle whose folder existed before, exported with one more clip, in which nobody is seen."""
    nobody = moving_body(0, num_frames=10)
    nobody[:5], nobody[5:] = np.nan, 0
    empty, path = recording.parent / "nobody.npz", recording.parent / "pose-statistics"
    write_clip_file(empty, [Clip(name="nobody", sequence=nobody, layout=NTU25, fps=30.0)])
    path.mkdir()
    succeed(gfp_export, "--pose-statistics", "--out", path, "--clips", empty, "--clips", recording, "--overwrite")
    return path


def test_clips_without_anybody_are_not_canonical_clips(pose_statistics: Path) -> None:
    canonical = Bundle.read(pose_statistics).canonical
    assert min(len(clip.sequence) for clip in canonical) == 60  # the shortest of the others


def test_a_level_that_has_been_collapsed_for_long_is_named_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*TINY, "--epochs", 2, "--log-every-steps", 1]
    monkeypatch.setattr("trainer.health.COLLAPSED_STEPS", 2)
    assert "collapsed" not in succeed(gfp_train, store, "--out", tmp_path / "healthy", *words)
    monkeypatch.setattr("trainer.health.COLLAPSED_STD", 100.0)
    said = succeed(gfp_train, store, "--out", tmp_path / "low", *words)
    for level in ("short", "mid", "long", "global"):
        assert said.count(f"the targets of level '{level}' have collapsed since step 1") == 1


def test_scores_on_the_test_clips_stay_on_the_console_beside_the_best_so_far(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([40.0, 30.0, 50.0])
    monkeypatch.setattr(Trainer, "_retrieval_accuracy", lambda _: next(scores))
    words = [store, "--out", tmp_path / "run", *TINY, "--evaluate-every-epochs", 1]
    said = succeed(gfp_train, *words, "--epochs", 2).splitlines()
    per_epoch = next(int(line.split(" steps an epoch")[0].split()[-1]) for line in said if "steps an epoch" in line)
    first, second = (line for line in said if "1-NN" in line)
    assert first == f"step {per_epoch}, epoch 1: 1-NN 40.0 % of the test clips"
    assert second == f"step {2 * per_epoch}, epoch 2: 1-NN 30.0 % of the test clips; best so far 40.0 at epoch 1"
    said = succeed(gfp_train, *words, "--epochs", 3, "--resume").splitlines()
    (third,) = (line for line in said if "1-NN" in line)
    assert third.endswith("epoch 3: 1-NN 50.0 % of the test clips, the best so far (before: 40.0)")


def test_parts_of_a_step_without_a_cuda_graph_are_told_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*TINY, "--epochs", 2, "--log-every-steps", 1, "--compile", "graphs"]
    monkeypatch.setattr("trainer.loop.compiled_loss", lambda objective, *_: objective.learn)
    monkeypatch.setattr("torch.compiler.cudagraph_mark_step_begin", lambda: None)  # loads torch's compiler
    monkeypatch.setattr("trainer.loop.skipped_graphs", lambda: 3)
    said = succeed(gfp_train, store, "--out", tmp_path / "run", *words)
    assert said.count("--compile graphs has no effect on 3 parts of the step") == 1
    monkeypatch.setattr("trainer.loop.skipped_graphs", lambda: 0)
    assert "no effect" not in succeed(gfp_train, store, "--out", tmp_path / "whole", *words)


def test_evaluation_prints_a_table_by_default(store: Path, run: Path) -> None:
    output = succeed(gfp_evaluate, "retrieval", run, store, "--folds", 4)
    for word in ("chance", "pose statistics", "untrained", "trained", "24 test clips", "4 cross-subject folds"):
        assert word in output
    (header,) = [line for line in output.splitlines() if "embedding" in line]
    assert [name.strip() for name in header.split("┃")[1:-1]] == ["embedding", "right in %"]


def test_pose_statistics_become_a_bundle_without_training(pose_statistics: Path) -> None:
    manifest = Bundle.read(pose_statistics).manifest
    assert (manifest.name, manifest.embedding_size, manifest.training) == ("pose-statistics", 618, None)


GENERAL = ["--preset", "general", "--width", "16", "--depth", "1", "--num-heads", "2", "--epochs", "2"] + [
    *("--batch-clips", "8", "--device", "cpu", "--log-every-steps", "1", "--seed", "3"),
]


def test_what_labels_taught_is_served_beside_pose_statistics(store: Path, recording: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed(gfp_train, store, "--out", run, *GENERAL)
    figures = json.loads(invoke(gfp_evaluate, "retrieval", run, store, "--json").stdout)["top1_percent"]
    assert set(figures) == {"pose statistics", "untrained", "trained"}
    said = succeed(gfp_export, run, "--out", tmp_path / "b", "--clips", recording, "--half", "--name", "mine")
    assert "mine, 512 numbers a clip" in said
    manifest = Bundle.read(tmp_path / "b").manifest
    assert (manifest.dimensions, manifest.sees_travel) == ([2, 3], False)
    assert manifest.preprocess.sampling.keep_lacking
    encoder = Encoder(Bundle.read(tmp_path / "b"), device="cpu")
    whole = moving_body(3)
    without = whole.copy()
    tips = [joint for joint, name in enumerate(NTU25.joint_names) if name.startswith(("HandTip", "Thumb"))]
    without[:, :, tips] = np.nan
    vectors = [encoder.encode(prepare(clip, NTU25, manifest.preprocess)[None])[0] for clip in (whole, without)]
    assert np.isfinite(vectors).all()
    assert 0.8 < vectors[0] @ vectors[1] < 0.99999
    few = ("--tokens", 40, "--token-choice", "joints")
    alone = succeed(gfp_export, run, "--out", tmp_path / "a", "--clips", recording, "--shares", 1, 0, 0, *few)
    assert "128 numbers a clip" in alone
    readout = Bundle.read(tmp_path / "a").manifest.readout
    assert (readout["tokens"], readout["token_choice"]) == (40, "joints")
    unused = invoke(gfp_export, run, "--out", tmp_path / "d", "--clips", recording, "--shares", 0, 1, 0, "--tokens", 40)
    assert unused.exit_code == 1
    assert "no token is served" in unused.output
    beside = Checkpoint.read(run).build_embedding(Shares(0, 0.5, 0.5))
    assert beside.features(torch.zeros(1, 120, 25, 3)).shape == (1, 384)
    nothing = invoke(gfp_export, run, "--out", tmp_path / "d", "--clips", recording, "--shares", 0, 0, 0)
    assert nothing.exit_code == 1
    assert "nothing is left to embed with: this run has general, statistics, tokens" in " ".join(nothing.output.split())


@pytest.mark.parametrize(("of_clips", "served"), [(3, [2, 3]), (2, [2])])
def test_clips_whose_depth_is_taken_away_teach_2d_and_clips_of_images_do_not_teach_3d(
    of_clips: int, served: list[int]
) -> None:
    config = tiny_config(terms=TermsConfig(label_weight=1.0))
    values = {"preprocess": PreprocessConfig(), "step": 0, "encoder": {}, "objective": {}, "optimizer": {}}
    assert _dimensions(Checkpoint(config=config, data={"dimensions": of_clips}, **values)) == served


def test_an_encoder_that_sees_the_room_is_served_as_it_is_evaluated(
    store: Path, recording: Path, tmp_path: Path
) -> None:
    config = tiny_config(objective=NoObjectiveConfig(), terms=TermsConfig(label_weight=1.0, embedding_size=8), epochs=1)
    Trainer(config, ClipStore.open(store), tmp_path / "run").fit()
    (evaluated,) = suite_encoders([str(tmp_path / "run")], "cpu", with_untrained=False)[1:]
    succeed(gfp_export, tmp_path / "run", "--out", tmp_path / "b", "--clips", recording)
    bundle = Bundle.read(tmp_path / "b")
    without = moving_body(3)
    without[:, :, [11, 23, 24]] = np.nan
    vectors = []
    for encode, preprocess in (
        (evaluated.embed, evaluated.preprocess),
        (Encoder(bundle, device="cpu").encode, bundle.manifest.preprocess),
    ):
        vectors.append(encode(prepare(without, NTU25, preprocess)[None])[0])
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


def test_general_features_are_learned_without_the_encoder(store: Path, recording: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    # Without swept areas, which make the export take longer: the test of all parts above has them.
    small = ["--preset", "general-features", "--epochs", 2, "--batch-clips", 8, "--general-hidden-size", 16]
    small += ["--no-general-areas"]
    succeed(gfp_train, store, "--out", run, *small, "--device", "cpu", "--log-every-steps", 1)
    said = succeed(gfp_export, run, "--out", tmp_path / "b", "--clips", recording)
    assert "336 numbers a clip" in said
    bundle = Bundle.read(tmp_path / "b")
    assert len(bundle.model) < 1_000_000  # the weights of the encoder alone would be 3 MB
    assert bundle.check(Encoder(bundle, device="cpu").encode) < 1e-5
    figures = json.loads(invoke(gfp_evaluate, "retrieval", tmp_path / "b", store, "--json").stdout)["top1_percent"]
    assert "trained" in figures


def test_terms_are_named_when_they_cannot_be_learned(recording: Path, tmp_path: Path) -> None:
    unlabelled = [replace(clip, label=None) for clip in read_clips(recording)]
    write_clip_file(tmp_path / "swings.npz", unlabelled)
    succeed(gfp_data, "import", tmp_path / "swings.npz", "--out", tmp_path / "store")
    result = invoke(gfp_train, tmp_path / "store", "--out", tmp_path / "run", *GENERAL)
    assert result.exit_code == 2
    assert "--label-weight needs labels: no source of the store has clips of two classes" in result.output
    succeed(gfp_train, tmp_path / "store", "--out", tmp_path / "run", *GENERAL, "--label-weight", 0, "--view-weight", 1)


def test_shares_of_pose_statistics_are_refused(recording: Path, tmp_path: Path) -> None:
    given = ["--pose-statistics", "--out", tmp_path / "b", "--clips", recording, "--shares", 1, 0, 0]
    result = invoke(gfp_export, *given)
    assert result.exit_code == 2
    assert "--shares has no effect on --pose-statistics" in " ".join(result.output.split())


def test_shares_of_a_run_that_learned_no_embedding_are_refused(recording: Path, run: Path, tmp_path: Path) -> None:
    result = invoke(gfp_export, run, "--out", tmp_path / "b", "--clips", recording, "--shares", 0.3, 0.5, 0.2)
    assert result.exit_code == 2
    assert "--shares is of runs that learned an embedding" in result.output
    assert not (tmp_path / "b").exists()


def test_a_share_that_is_not_a_number_is_refused(recording: Path, run: Path, tmp_path: Path) -> None:
    result = invoke(gfp_export, run, "--out", tmp_path / "b", "--clips", recording, "--shares", "nan", 0, 1)
    assert result.exit_code == 2
    assert "--shares has NaN" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--token-choice", "motion"), "--token-choice has no effect without --tokens"),
        (("--tokens", 0), "0 is not in the range x>=1"),
        (("--tokens", 751), "--tokens is 751; it must be from 1 to 750"),
        (("--int8", "STORE", "--half"), "leave --half out"),
        (("--int8", "STORE", "--graph", "fused"), "--graph has no effect beside --int8"),
        (("--fp16", "STORE", "--half"), "leave --half out"),
        (("--int8", "STORE", "--token-table", "table.json"), "--token-table was measured in 32 bits"),
        (("--fp16", "STORE", "--token-table", "table.json"), "--token-table was measured in 32 bits"),
        (("--fp16", "STORE", "--int8", "STORE"), "--int8 is for CPUs and --fp16 is for GPUs"),
    ],
)
def test_cheaper_embeddings_that_make_no_sense_are_refused(
    words: tuple[str | int, ...], message: str, recording: Path, run: Path, tmp_path: Path
) -> None:
    result = invoke(gfp_export, run, "--out", tmp_path / "b", "--clips", recording, *words)
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_bundle_of_fewer_bits_is_written_and_says_what_was_lost(
    bits: int, recording: Path, run: Path, store: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How much so small an encoder loses and gains is chance; what is refused, others test.
    monkeypatch.setattr("trainer.agreement.LEAST_COSINE", -1.0)
    monkeypatch.setattr("trainer.agreement.MOST_POINTS", 100.0)
    monkeypatch.setattr("trainer.int8.time_in_turns", lambda *_: {"whole": 2.0, "smaller": 1.0})
    option = {8: "--int8", 16: "--fp16"}[bits]
    said = succeed(gfp_export, run, "--out", tmp_path / "b", "--clips", recording, option, store)
    assert f"In {bits} bits, " in said
    assert "centred cosine " in said
    assert f"before {bits} bits, onnxruntime and torch differ by at most" in said
    smaller = Bundle.read(tmp_path / "b")
    name = option.removeprefix("--")
    assert smaller.manifest.graph == name
    assert smaller.manifest.readout[name].keys() >= {"centred_cosine", "1nn_percent", "1nn_percent_in_32_bits"}
    assert smaller.manifest.encoder_digest != Bundle.read(bundle).manifest.encoder_digest
    smaller.check(Encoder(smaller, device="cpu", num_threads=1).encode)


def test_pose_statistics_have_no_tokens_to_leave_out(recording: Path, tmp_path: Path) -> None:
    result = invoke(gfp_export, "--pose-statistics", "--out", tmp_path / "b", "--clips", recording, "--tokens", 10)
    assert result.exit_code == 2
    assert "--pose-statistics have no tokens" in " ".join(result.output.split())


def test_a_form_of_attention_is_refused_where_there_is_none(recording: Path, tmp_path: Path) -> None:
    result = invoke(gfp_export, "--pose-statistics", "--out", tmp_path / "b", "--clips", recording, "--graph", "fused")
    assert result.exit_code == 2
    assert "--graph fused has no effect on an encoder without attention" in " ".join(result.output.split())


def test_an_existing_bundle_is_replaced_only_on_request(recording: Path, run: Path, pose_statistics: Path) -> None:
    result = invoke(gfp_export, run, "--out", pose_statistics, "--clips", recording)
    assert result.exit_code == 2
    assert "add --overwrite" in result.output
    assert Bundle.read(pose_statistics).manifest.name == "pose-statistics"


def test_an_existing_run_is_not_overwritten(store: Path, run: Path) -> None:
    before = (run / "checkpoint.pt").read_bytes()
    result = invoke(gfp_train, store, "--out", run, *TINY)
    assert result.exit_code == 2
    assert "add --resume" in result.output
    assert (run / "checkpoint.pt").read_bytes() == before


def test_each_setting_that_differs_on_resume_is_named_with_both_values(store: Path, run: Path) -> None:
    result = invoke(gfp_train, store, "--out", run, "--resume", "--seed", 9, "--peak-lr", 0.1, "--depth", 1)
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "--peak-lr is 0.1 and was 0.001; --seed is 9 and was 0. Leave these out" in said
    by_preset = " ".join(invoke(gfp_train, store, "--out", run, "--resume", "--preset", "small").output.split())
    for difference in ("--batch-clips is 64 and was 4", "--width is 128 and was 16", "--local-width is 256 and was 8"):
        assert difference in by_preset


def test_options_on_resume_are_checked_with_the_runs_settings_and_not_the_defaults(store: Path, tmp_path: Path) -> None:
    words = [*TINY[:6], *TINY[10:], "--objective", "s_jepa", "--target-momentum", 0.9, "--epochs", 2]
    succeed(gfp_train, store, "--out", tmp_path, *words)
    # With the defaults, --epochs 2 is shorter than the warm-up, and gfp has no setting --target-momentum.
    succeed(gfp_train, store, "--out", tmp_path, "--resume", "--epochs", 2, "--target-momentum", 0.9)
    longer_warmup = invoke(gfp_train, store, "--out", tmp_path, "--resume", "--warmup-epochs", 3)
    assert longer_warmup.exit_code == 2
    assert "--warmup-epochs is 3, longer than the whole run of 2 epochs" in " ".join(longer_warmup.output.split())
    other = " ".join(invoke(gfp_train, store, "--out", tmp_path, "--resume", "--objective", "mamp").output.split())
    assert "but --objective is mamp and was s_jepa. Leave these out" in other


def test_device_threads_and_logging_may_differ_on_resume(store: Path, run: Path) -> None:
    succeed(gfp_train, store, "--out", run, "--resume", "--device", "cpu", "--log-every-steps", 7, "--num-threads", 0)


def test_another_store_is_refused_on_resume(recording: Path, run: Path, tmp_path: Path) -> None:
    succeed(gfp_data, "import", recording, "--out", tmp_path / "other")
    result = invoke(gfp_train, tmp_path / "other", "--out", run, "--resume")
    assert result.exit_code == 1
    assert "name the store that the run was started with" in result.output


def test_a_finished_run_can_be_resumed_without_harm_and_says_how_it_gets_more_epochs(store: Path, run: Path) -> None:
    said = succeed(gfp_train, store, "--out", run, "--resume")
    assert "8 steps" in said
    assert "epochs of this run are done; --epochs with a larger number adds some." in " ".join(said.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mask-ratio", "1.5"], "The published runs use 0.9"),
        (["--warmup-epochs", "500"], "longer than the whole run"),
        (["--floor-lr", "1"], "with 0 < floor <= peak"),
        (["--precision", "bf16", "--device", "cpu", "--batch-clips", "4"], "bf16 needs a GPU and --device cuda"),
        (["--precision", "bf16", "--device", "auto", "--batch-clips", "4"], "bf16 needs a GPU and --device cuda"),
        (["--mask-ratio", "0.9999", "--batch-clips", "4"], "so 0 of the 750 tokens stay visible"),
        (["--mask-temperature", "nan"], "--mask-temperature is nan"),
        (["--mask-temperature", "inf"], "--mask-temperature is inf; it must be a finite number"),
        (["--variance-weight", "-1"], "each must be 0 or more, and finite"),
        (["--position-std", "0"], "--position-std is 0.0; it must be above 0"),
        (["--input-scale", "nan"], "--input-scale is nan; it must be above 0"),
        (["--weight-decay", "nan"], "--weight-decay is nan; it must be 0 or more"),
        (["--width", "30"], "must be a multiple of --num-heads"),
        (["--num-frames", "60", "--batch-clips", "4"], "--num-frames divided by --segment-frames gives 15"),
        (["--seed", "99999999999999999999"], "--seed is 99999999999999999999; it must lie between 0 and 4294967295"),
        (["--peak-lr", "inf"], "they must be finite, with 0 < floor <= peak"),
        (["--batch-clips", "100"], "choose at most 18"),
        (["--noise-m", "0", "--general-size", "8"], "needs --label-weight or --view-weight"),
        (["--noise-m", "0", "--term-tokens", "8"], "--term-tokens, --noise-m: without effect, because it needs"),
        (["--clips-per-class", "2"], "--clips-per-class: without effect"),
        (
            ["--view-weight", "1", "--clips-per-class", "2"],
            "without effect, because it needs --label-weight; give that",
        ),
        (
            ["--view-weight", "1", "--statistics-size", "2"],
            "without effect, because it needs --statistics-weight; give",
        ),
        (["--statistics-weight", "1", "--temperature", "1"], "because it needs --label-weight or --view-weight; give"),
        (["--view-weight", "1", "--general-hidden-size", "8"], "because it needs --general-size; give that"),
        (["--view-weight", "1", "--batch-clips", "3"], "--batch-clips is 3; with --view-weight it must be at least 4"),
    ],
)
def test_a_bad_setting_stops_before_training_with_exit_code_2(
    store: Path, tmp_path: Path, options: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = invoke(gfp_train, store, "--out", tmp_path / "run", *options)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_cuda_without_cuda_is_refused(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = invoke(gfp_train, store, "--out", tmp_path / "run", "--device", "cuda")
    assert result.exit_code == 1
    assert "finds no CUDA device" in result.output


@pytest.mark.parametrize("command", [gfp_evaluate, gfp_export])
def test_a_path_that_is_neither_run_nor_bundle_is_refused_in_one_line(
    command, store: Path, recording: Path, tmp_path: Path
) -> None:
    words = (
        ["retrieval", tmp_path / "nothing", store]
        if command is gfp_evaluate
        else [*(tmp_path / "nothing", "--out", tmp_path / "bundle", "--clips", recording)]
    )
    result = invoke(command, *words)
    assert result.exit_code == 1
    assert "nothing" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("words", [[], ["run", "--pose-statistics"]])
def test_export_needs_a_run_or_pose_statistics(recording: Path, tmp_path: Path, words: list[str]) -> None:
    result = invoke(gfp_export, *words, "--out", tmp_path / "bundle", "--clips", recording)
    assert result.exit_code == 2
    assert "name either a RUN, or --pose-statistics" in result.output


def test_an_export_without_any_clips_is_refused(run: Path, tmp_path: Path) -> None:
    result = invoke(gfp_export, run, "--out", tmp_path / "bundle")
    assert result.exit_code == 2
    assert "name a recording for --clips, or a store for --fit" in " ".join(result.output.split())


def test_a_preset_sets_its_values_and_flags_override_them() -> None:
    assert PRESETS["ntu60-xsub"] == TrainConfig()
    published = PRESETS["published-weights"].objective
    assert (published.variance_weight, published.covariance_weight, published.prediction_weight) == (1.0, 5.0, 5.0)
    assert PRESETS["ntu120-xsub"].objective.mask_temperature == 0.75


@pytest.mark.parametrize("preset", [(), ("--preset", "ntu60-xsub")])
def test_a_short_try_of_a_long_run_has_a_warm_up_of_the_same_share_and_says_so(
    store: Path, tmp_path: Path, preset: tuple[str, ...]
) -> None:
    place = TINY.index("--warmup-epochs")
    small = TINY[:place] + TINY[place + 2 :]
    output = succeed(gfp_train, store, "--out", tmp_path / "run", *preset, *small, "--epochs", 2)
    assert "--epochs is 2, so --warmup-epochs is 1 instead of 20." in output
    assert Checkpoint.read(tmp_path / "run").config.warmup_epochs == 1


def test_a_short_try_of_a_runs_file_of_settings_has_a_shorter_warm_up_too(store: Path, tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(
        "".join(f"{line}\n" for line in ("epochs = 400", "warmup_epochs = 20", "width = 16", "depth = 1"))
    )
    file = ("--config", tmp_path / "long.toml")
    place = TINY.index("--warmup-epochs")
    small = TINY[:place] + TINY[place + 2 :]
    output = succeed(gfp_train, store, "--out", tmp_path / "run", *file, *small, "--epochs", 2)
    assert "--epochs is 2, so --warmup-epochs is 1 instead of 20." in output
    assert Checkpoint.read(tmp_path / "run").config.warmup_epochs == 1
    # A longer run keeps the warm-up of the file, and says so.
    said = " ".join(
        succeed(
            gfp_train,
            store,
            "--out",
            tmp_path / "again",
            *small,
            "--epochs",
            3,
            "--config",
            tmp_path / "run" / "config.toml",
        ).split()
    )
    assert "--config is of a run of 2 epochs, the first 1 of which are its warm-up: this run has a warm-up of 1" in said
    # What the file says of a run of its own length is what its writer wants.
    (tmp_path / "odd.toml").write_text("epochs = 3\nwarmup_epochs = 2\n")
    succeed(gfp_train, store, "--out", tmp_path / "odd", "--config", tmp_path / "odd.toml", *small)
    assert Checkpoint.read(tmp_path / "odd").config.warmup_epochs == 2


@pytest.mark.parametrize("preset", ["halp-ntu60", "slim-ntu60", "usdrl-ntu60"])
def test_presets_of_peers_survive_a_short_try(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    seen: list[TrainConfig] = []

    def stop(config: TrainConfig, *_: object, **__: object) -> None:
        seen.append(config)
        raise UsageError("far enough")

    monkeypatch.setattr("trainer.cli.train.Trainer", stop)
    ended = invoke(gfp_train, store, "--out", tmp_path / "run", "--preset", preset, "--epochs", 2, "--device", "cpu")
    assert "far enough" in ended.output
    assert seen[0].epochs == 2
    assert seen[0].warmup_epochs <= 1


def test_every_preset_is_the_same_after_a_checkpoints_json() -> None:
    for preset in PRESETS.values():
        assert TrainConfig.from_json(json.loads(json.dumps(preset.to_json()))) == preset


def test_at_sigterm_the_command_writes_a_checkpoint_and_resume_finishes_the_run(store: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from trainer.cli.train import gfp_train; gfp_train()",
        store,
        "--out",
        tmp_path / "run",
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    started = subprocess.Popen(
        [*command, "--epochs", "2000", *TINY],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert started.stderr is not None
    while "train: 3/" not in (line := started.stderr.readline()):
        assert line, "gfp-train ended before its third step"
    started.send_signal(signal.SIGTERM)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 128 + signal.SIGTERM
    assert "Stopped by SIGTERM at step" in said
    assert (tmp_path / "run" / "checkpoint.pt").exists()
