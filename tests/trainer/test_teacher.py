"""A teacher is asked once, keeps its answers in the run's folder, and is what the embedding learns to give."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME, Bundle, Encode
from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import PreprocessConfig, SampleConfig
from tests.support.small_runs import TINY_ENCODER, tiny_config, write_store
from tests.support.tiny_bundle import tiny_bundle
from trainer import teacher as teachers
from trainer.checkpoint import Checkpoint
from trainer.cli.train import _check_teacher, gfp_train
from trainer.data.general_views import GeneralViewsConfig, mirror
from trainer.data.model_input import ModelInput
from trainer.data.store import ClipStore
from trainer.loop import StepReport, Trainer
from trainer.objectives import NoObjectiveConfig
from trainer.start import read_start
from trainer.teacher import FOLDER, Teacher, TeacherError, ask, read
from trainer.terms import TermsConfig

TEACHER = "pose-statistics"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=16, gaps=True)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.read(SHIPPED_BUNDLES / TEACHER)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "_CHUNK_CLIPS", 5)


def never_asked(*_: object) -> None:
    raise AssertionError("the teacher was asked again")


def test_it_says_its_vectors_of_the_first_body_as_it_is_and_mirrored(
    store: ClipStore, bundle: Bundle, tmp_path: Path
) -> None:
    clips = np.array([1, 2, 5, 7, 8, 11, 13])
    seen: list[int] = []
    said = ask(bundle, store, clips, tmp_path, show=lambda done, _: seen.append(done))
    assert seen == [5, 7]
    assert (said.name, said.digest) == (TEACHER, bundle.manifest.encoder_digest)
    encoder, given = Encoder(bundle, device="cpu"), ModelInput(store, bundle.manifest.preprocess.sampling)
    for clip in clips:
        body = given.served(int(clip))[:1]
        other_side = mirror(torch.from_numpy(body)).numpy()
        expected = np.concatenate([encoder.encode(each[None]) for each in (body, other_side)])
        np.testing.assert_allclose(said.vectors[:, clip], expected, atol=1e-5)
    assert not said.vectors[:, 0].any()


def always_two_bodies() -> tuple[Bundle, np.ndarray]:
    """Return an encoder that takes two bodies and no other number of them, and its weights."""
    weights = np.random.default_rng(3).normal(size=(2 * 25 * 3, 8)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", [INPUT_NAME], ["poses"], axes=[2], keepdims=0),
        helper.make_node("Flatten", ["poses"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], [OUTPUT_NAME], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["batch", "bodies", 6, 25, 3])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["batch", 8])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    sampling = SampleConfig(num_frames=6, crop=1.0, keep_absent_bodies=True)
    return tiny_bundle(model, name="two", preprocess=PreprocessConfig(sampling=sampling)), weights


def test_a_teacher_that_always_sees_two_bodies_sees_nobody_beside_the_first(store: ClipStore, tmp_path: Path) -> None:
    teacher, weights = always_two_bodies()
    teacher.write(tmp_path / "two")
    run = tmp_path / "run"
    ended = train(store.path, "--out", run, "--teacher", tmp_path / "two", *SMALL, "--embedding-size", 8, "--epochs", 1)
    assert ended.exit_code == 0, ended.output
    clips = np.flatnonzero(store.splits != TEST_SPLIT)
    assert {1, 2} == set(store.num_bodies[clips].tolist())
    said, given = read(store, clips, run), ModelInput(store, teacher.manifest.preprocess.sampling)
    assert Checkpoint.read(run).data["taught_by"]["name"] == said.name == "two"
    for clip in clips:
        body = given.served(int(clip))[:1]
        for vector, seen in zip(said.vectors[:, clip], (body, mirror(torch.from_numpy(body)).numpy()), strict=True):
            expected = np.concatenate([seen[0].mean(axis=0).ravel(), np.zeros(75)]) @ weights
            np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-4)


def test_what_it_said_is_not_asked_again(
    store: ClipStore, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = np.arange(12)

    def stop(done: int, _: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(bundle, store, clips, tmp_path, show=stop)
    with pytest.raises(TeacherError, match=r"is missing or damaged .* give --teacher"):
        read(store, clips, tmp_path)
    asked: list[int] = []
    monkeypatch.setattr(teachers, "_said", _counted(asked))
    whole = ask(bundle, store, clips, tmp_path)
    assert asked == [2]
    monkeypatch.setattr(teachers, "_encode_by", never_asked)
    for again in (ask(bundle, store, clips, tmp_path), read(store, clips, tmp_path)):
        np.testing.assert_array_equal(again.vectors, whole.vectors)


def _counted(asked: list[int]) -> Callable[..., np.ndarray]:
    said = teachers._said

    def count(encode: Encode, given: ModelInput, clips: np.ndarray) -> np.ndarray:
        asked.append(len(clips))
        return said(encode, given, clips)

    return count


def test_answers_of_another_teacher_or_of_other_clips_are_refused(
    store: ClipStore, bundle: Bundle, tmp_path: Path
) -> None:
    clips = np.arange(6)
    ask(bundle, store, clips, tmp_path)
    other = replace(bundle, manifest=replace(bundle.manifest, model_sha256="1" * 64))
    with pytest.raises(TeacherError, match="another teacher or other clips"):
        ask(other, store, clips, tmp_path)
    with pytest.raises(TeacherError, match="another teacher or other clips"):
        ask(bundle, store, np.arange(7), tmp_path)
    with pytest.raises(TeacherError, match="answers of other clips"):
        read(store, np.arange(7), tmp_path)
    with pytest.raises(TeacherError, match="is not there; give --teacher"):
        read(store, clips, tmp_path / "nowhere")
    chunk = tmp_path / FOLDER / "0000005.npy"
    said = np.load(chunk)
    for damaged in (b"", b"\x93NUMPY", said[:1], said * np.float32(np.nan), said.astype(np.float64), said[:, :, :1]):
        chunk.write_bytes(damaged) if isinstance(damaged, bytes) else np.save(chunk, damaged)
        with pytest.raises(TeacherError, match=r"0000005\.npy is missing or damaged"):
            read(store, clips, tmp_path)
    np.save(chunk, said)
    facts = tmp_path / FOLDER / "teacher.json"
    for text in ("[]", "{}", "nonsense", facts.read_text().replace('"size": 618', '"size": 1000000000')):
        facts.write_text(text)
        with pytest.raises(TeacherError, match=r"delete .* and ask again"):
            read(store, clips, tmp_path)
    facts.unlink()
    with pytest.raises(TeacherError, match="does not say whose"):
        ask(other, store, clips, tmp_path)


CONFIG = tiny_config(
    encoder=replace(TINY_ENCODER, frame="body"),
    objective=NoObjectiveConfig(),
    terms=TermsConfig(teacher_weight=1.0, embedding_size=16),
    views=GeneralViewsConfig(mirror_odds=0.5),
    epochs=3,
    peak_lr=5e-3,
)


def taught(store: ClipStore, size: int = 24) -> Teacher:
    vectors = np.random.default_rng(0).normal(size=(2, len(store), size)).astype(np.float32)
    return Teacher("made up", "0" * 64, {}, vectors / np.linalg.norm(vectors, axis=2, keepdims=True))


def test_a_mirrored_window_learns_what_was_said_of_the_mirrored_clip(store: ClipStore, tmp_path: Path) -> None:
    teacher = taught(store, size=16)  # as many numbers as the embedding: nothing is lost
    trainer = Trainer(CONFIG, store, tmp_path, teacher=teacher)
    assert trainer.lessons is not None
    for step in range(3):
        lesson = trainer.lessons.lesson(step)
        expected = torch.from_numpy(teacher.vectors)[lesson.mirrored.long(), lesson.clips]
        torch.testing.assert_close(lesson.taught @ lesson.taught.T, expected @ expected.T, atol=1e-5, rtol=0)


def test_main_directions_keep_the_cosines_of_a_larger_teacher(store: ClipStore, tmp_path: Path) -> None:
    few = taught(store, size=10).vectors
    wide = np.linalg.qr(np.random.default_rng(1).normal(size=(40, 10)))[0].astype(np.float32)
    trainer = Trainer(CONFIG, store, tmp_path, teacher=Teacher("wide", "1" * 64, {}, few @ wide.T))
    assert trainer.lessons is not None
    lesson = trainer.lessons.lesson(0)
    expected = torch.from_numpy(few)[lesson.mirrored.long(), lesson.clips]
    torch.testing.assert_close(lesson.taught @ lesson.taught.T, expected @ expected.T, atol=1e-4, rtol=0)


def test_a_run_without_its_teacher_or_with_a_smaller_one_is_refused(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--teacher-weight needs --teacher"):
        Trainer(CONFIG, store, tmp_path)
    with pytest.raises(ValueError, match="the teacher's vectors have 8 numbers"):
        Trainer(CONFIG, store, tmp_path, teacher=taught(store, size=8))


def test_a_start_does_not_bring_a_head_along_directions_of_other_clips(store: ClipStore, tmp_path: Path) -> None:
    Trainer(CONFIG, store, tmp_path / "first", teacher=taught(store)).fit()
    start = read_start(tmp_path / "first")
    assert "terms.head.weight" in start.terms
    trainer = Trainer(CONFIG, store, tmp_path / "second", start=start, teacher=taught(store))
    assert trainer.objective.terms is not None
    assert trainer.objective.terms.head is not None
    assert not torch.equal(trainer.objective.terms.head.weight, start.terms["terms.head.weight"])
    learned = start.learned(trainer.objective)
    assert "terms.head.weight" not in learned
    assert "encoder.norm.weight" in learned


def train(*words: object) -> Result:
    return CliRunner().invoke(gfp_train, list(map(str, words)))


SMALL = (
    *("--objective", "none", "--frame", "body", "--width", 16, "--depth", 1, "--num-heads", 2, "--embedding-size", 16),
    *("--batch-clips", 8, "--device", "cpu", "--epochs", 30, "--warmup-epochs", 1, "--peak-lr", 5e-3),
    *("--log-every-steps", 1),
)


def test_a_student_comes_near_to_its_teacher_and_a_resumed_run_needs_it_no_more(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    ended = train(store.path, "--out", run, "--teacher", TEACHER, *SMALL)
    assert ended.exit_code == 0, ended.output
    terms = [json.loads(line)["terms/teacher"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert np.mean(terms[-3:]) < 0.6 * terms[0]
    checkpoint = Checkpoint.read(run)
    assert checkpoint.config.terms.teacher_weight == 1
    taught_by = checkpoint.data["taught_by"]
    assert taught_by["name"] == TEACHER
    recorded = json.loads((run / "run.json").read_text())["taught_by"]
    assert recorded == {"name": TEACHER, "digest": taught_by["digest"]}
    given = ModelInput(store, replace(checkpoint.preprocess.sampling, keep_lacking=True))
    with torch.inference_mode():
        model = checkpoint.build_embedding()
        said = [F.normalize(model.features(torch.from_numpy(given.served(clip)[:1])), dim=1) for clip in (0, 4)]
    assert torch.cat(said).isfinite().all()

    monkeypatch.setattr(teachers, "_encode_by", never_asked)
    longer = train(store.path, "--out", run, "--resume", "--epochs", 31)
    assert longer.exit_code == 0, longer.output
    assert Checkpoint.read(run).data["taught_by"] == taught_by
    assert json.loads((run / "run.json").read_text())["taught_by"] == recorded
    assert "What else changes along a run, such as the momentum of a slow copy" in " ".join(longer.output.split())


def test_a_stopped_and_resumed_run_has_the_weights_of_an_unbroken_one(store: ClipStore, tmp_path: Path) -> None:
    def stop(now: StepReport) -> None:
        if now.step == 2:
            signal.raise_signal(signal.SIGTERM)

    teacher = taught(store)
    Trainer(CONFIG, store, tmp_path / "whole", teacher=teacher).fit()
    Trainer(CONFIG, store, tmp_path / "broken", teacher=teacher).fit(stop)
    stopped = Checkpoint.read(tmp_path / "broken")
    assert stopped.step == 2
    other = Teacher("other", "1" * 64, {}, teacher.vectors)
    with pytest.raises(TeacherError, match="the run was not taught by 'other'"):
        Trainer(stopped.config, store, tmp_path / "broken", resume=stopped, teacher=other)
    Trainer(stopped.config, store, tmp_path / "broken", resume=stopped, teacher=teacher).fit()
    whole, broken = (Checkpoint.read(tmp_path / name) for name in ("whole", "broken"))
    assert whole.step == broken.step > 2
    for weights, others in ((whole.encoder, broken.encoder), (whole.objective, broken.objective)):
        for name, weight in weights.items():
            torch.testing.assert_close(others[name], weight)


def test_several_processes_do_not_ask_the_teacher(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = train(store.path, "--out", tmp_path / "run", "--teacher", TEACHER, *SMALL)
    assert ended.exit_code == 2
    assert "one process asks the teacher" in " ".join(ended.output.split())


def test_a_teacher_is_refused_before_it_is_asked_of_clips_that_it_does_not_take(
    store: ClipStore, bundle: Bundle
) -> None:
    only_flat = replace(bundle, manifest=replace(bundle.manifest, dimensions=[2]))
    with pytest.raises(click.UsageError, match="has 3-D clips, and the teacher 'pose-statistics' takes 2-D"):
        _check_teacher(only_flat, store, CONFIG)


def test_the_weights_of_a_file_of_settings_do_not_stand_against_a_teacher(store: ClipStore, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("teacher_weight = 0.0\nlabel_weight = 0.0\n")
    ended = train(
        store.path, "--out", tmp_path / "run", "--config", tmp_path / "config.toml", "--teacher", TEACHER, *SMALL
    )
    assert ended.exit_code == 0, ended.output
    assert Checkpoint.read(tmp_path / "run").config.terms.teacher_weight == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--teacher-weight", 1), "--teacher-weight needs --teacher"),
        (
            ("--teacher", TEACHER, "--teacher-weight", 0, "--label-weight", 1),
            "--teacher has no effect with --teacher-weight 0",
        ),
        (("--teacher", TEACHER, "--embedding-size", 0), "--teacher has nothing to teach"),
        (("--teacher", TEACHER, "--embedding-size", 700), "the teacher's vectors have 618 numbers"),
        (("--teacher", TEACHER, "--temperature", 0.2), "because it needs --label-weight or --view-weight"),
        (("--teacher", "nowhere"), "nowhere does not exist"),
    ],
)
def test_a_teacher_that_makes_no_sense_is_refused(
    words: tuple[object, ...], message: str, store: ClipStore, tmp_path: Path
) -> None:
    ended = train(store.path, "--out", tmp_path / "run", *SMALL, *words)
    assert ended.exit_code in (1, 2)
    assert message in " ".join(ended.output.split())
