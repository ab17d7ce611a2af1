"""What a run may start from, and what it keeps of it."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional as F

from gfp_serve.bundle import Bundle
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25
from tests.support.small_runs import moving_body, tiny_config, tiny_general_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.cli.train import gfp_train
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.export import Origin, export_bundle
from trainer.learned_head import SERVED_SHARES, Shares
from trainer.loop import StepReport, Trainer
from trainer.objectives import NoObjectiveConfig
from trainer.start import StartError, adapting, read_start
from trainer.terms import TermsConfig

TERMS = TermsConfig(label_weight=1.0, embedding_size=0, general_size=6, general_hidden_size=5)
CONFIG = tiny_config(objective=NoObjectiveConfig(), terms=TERMS, peak_lr=1e-2)
EARLIER = replace(CONFIG, terms=replace(TERMS, general_areas=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("start")


@pytest.fixture(scope="module")
def store(folder: Path) -> ClipStore:
    return write_store(folder / "store", num_clips=16)


@pytest.fixture(scope="module")
def run(folder: Path, store: ClipStore) -> Path:
    """A run that learned from general features alone."""
    Trainer(CONFIG, store, folder / "run").fit()
    return folder / "run"


@pytest.fixture(scope="module")
def earlier_run(folder: Path, store: ClipStore) -> Path:
    """A run as earlier releases made it, without swept areas."""
    Trainer(EARLIER, store, folder / "earlier").fit()
    return folder / "earlier"


# To trace a model for export takes long, so tests share bundles.
@pytest.fixture(scope="module")
def earlier_bundle(earlier_run: Path, folder: Path) -> Bundle:
    """What the earlier run learned, alone, in 32 bits."""
    return Bundle.read(export(earlier_run, folder / "earlier-bundle", shares=Shares(0, 1, 0)))


def test_a_run_of_an_earlier_release_has_no_swept_areas_and_can_be_adapted(
    earlier_bundle: Bundle, store: ClipStore, folder: Path, tmp_path: Path
) -> None:
    values = EARLIER.to_json()
    del values["terms"]["general_areas"]
    assert TrainConfig.from_json(values) == EARLIER
    earlier_bundle.write(tmp_path / "bundle")
    start = read_start(tmp_path / "bundle")
    trainer = Trainer(replace(adapting(start.config, 12), epochs=1), store, folder / "adapted", start=start)
    assert trainer.objective.terms is not None
    assert trainer.objective.terms.general is not None
    assert len(trainer.objective.terms.general.mean) == 1143


@pytest.fixture(scope="module")
def mine(folder: Path) -> ClipStore:
    """Clips to adapt to."""
    return write_store(folder / "mine", num_clips=20, num_sources=2)


def export(run: Path, out: Path, *, half: bool = False, shares: Shares = SERVED_SHARES, named: str = "start") -> Path:
    checkpoint = Checkpoint.read(run)
    origin = Origin(
        name=named,
        objective="none",
        step=2,
        data=checkpoint.data,
        training=checkpoint.config.to_json(),
        sees_travel=False,
    )
    clips = [Clip(name="a", sequence=moving_body(3), layout=NTU25, fps=30.0)]
    model = checkpoint.build_embedding(shares)
    bundle = export_bundle(model, clips, checkpoint.preprocess, origin, {"kind": "mean"}, half=half).bundle
    bundle.write(out)
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, folder: Path) -> Bundle:
    """The run with pose statistics beside it, in 16 bits."""
    return Bundle.read(export(run, folder / "bundle", half=True))


def adapt(store: ClipStore, out: Path, name: Path, **changes: object) -> Trainer:
    start = read_start(name)
    config = replace(adapting(start.config, 15), epochs=3, batch_clips=8, device="cpu", **changes)  # type: ignore[arg-type]
    return Trainer(config, store, out, start=start)


@pytest.mark.parametrize("half", [True, False])
def test_the_weights_come_back_out_of_a_bundle(
    run: Path, earlier_run: Path, bundle: Bundle, earlier_bundle: Bundle, tmp_path: Path, half: bool
) -> None:
    trained = Checkpoint.read(run if half else earlier_run).objective
    (bundle if half else earlier_bundle).write(tmp_path / "bundle")
    start = read_start(tmp_path / "bundle")
    weights = ("mean", "scale", "hidden.weight", "hidden.bias", "out.weight", "out.bias")
    heads = ("general", "areas") if half else ("general",)
    names = {f"terms.{head}.{weight}" for head in heads for weight in weights}
    assert set(start.terms) == names | ({"terms.basis"} if half else set())
    for name, weight in start.terms.items():
        torch.testing.assert_close(weight, trained[name].half().float() if half else trained[name], atol=0, rtol=0)
    assert start.config == (CONFIG if half else EARLIER)
    assert start.digest == Bundle.read(tmp_path / "bundle").manifest.encoder_digest


def test_a_bundle_is_called_by_the_whole_name_of_its_folder(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("mine-0.1", "mine.zip"):
        bundle.write(tmp_path / name)
    assert read_start(tmp_path / "mine-0.1").name == "mine-0.1"
    assert read_start(tmp_path / "mine.zip").name == "mine"


def test_a_run_starts_with_the_weights_of_another_and_each_class_at_the_mean_of_its_clips(
    run: Path, mine: ClipStore, tmp_path: Path
) -> None:
    before = Checkpoint.read(run).objective
    trainer = adapt(mine, tmp_path / "out", run)
    terms, lessons = trainer.objective.terms, trainer.lessons
    assert terms is not None
    assert lessons is not None
    now = trainer.objective.state_dict()
    for name in ("terms.general.hidden.weight", "terms.general.mean", "terms.general.scale", "terms.basis"):
        torch.testing.assert_close(now[name], before[name])
    given = trainer.clips.index
    classes = [(mine.clip_sources[clip], mine.labels[clip]) for clip in given]
    first = [clip for clip, key in zip(given, classes, strict=True) if key == sorted(set(classes))[0]]
    sequences = [torch.from_numpy(lessons._input.served(int(clip))[0]) for clip in first]
    vectors = F.normalize(terms.general.features(torch.stack(sequences)), dim=1)
    expected = F.normalize(vectors.mean(dim=0), dim=0)
    torch.testing.assert_close(terms.class_vectors[0][0], expected, atol=1e-4, rtol=0)
    assert not torch.allclose(terms.class_vectors[0][6], expected, atol=1e-3)  # the mirrored side


def test_an_encoder_of_tokens_starts_from_the_run(store: ClipStore, mine: ClipStore, tmp_path: Path) -> None:
    Trainer(tiny_general_config(), store, tmp_path / "tokens").fit()
    before = Checkpoint.read(tmp_path / "tokens")
    now = adapt(mine, tmp_path / "out", tmp_path / "tokens").objective.state_dict()
    for name, weight in before.encoder.items():
        torch.testing.assert_close(now[f"encoder.{name}"], weight)
    torch.testing.assert_close(now["terms.head.weight"], before.objective["terms.head.weight"])


def distance(run: Path, start: Path) -> float:
    name = "terms.general.hidden.weight"
    return float((Checkpoint.read(run).objective[name] - Checkpoint.read(start).objective[name]).norm())


def test_weights_are_pulled_towards_the_start(run: Path, mine: ClipStore, tmp_path: Path) -> None:
    adapt(mine, tmp_path / "free", run, pull_to_start=0.0).fit()
    adapt(mine, tmp_path / "pulled", run, pull_to_start=1000.0).fit()
    assert 0 < distance(tmp_path / "pulled", run) < 0.8 * distance(tmp_path / "free", run)


def stop_after(step: int) -> Callable[[StepReport], None]:
    return lambda report: signal.raise_signal(signal.SIGTERM) if report.step == step else None


def test_a_resumed_run_needs_its_start_no_more_and_ends_as_an_unbroken_one(
    run: Path, mine: ClipStore, tmp_path: Path
) -> None:
    adapt(mine, tmp_path / "whole", run).fit()
    adapt(mine, tmp_path / "broken", run).fit(stop_after(2))
    stopped = Checkpoint.read(tmp_path / "broken")
    assert stopped.step == 2
    Trainer(stopped.config, mine, tmp_path / "broken", resume=stopped).fit()
    whole, broken = (Checkpoint.read(tmp_path / name) for name in ("whole", "broken"))
    for name, weight in whole.objective.items():
        torch.testing.assert_close(broken.objective[name], weight)
    origin = {"name": "run", "digest": read_start(run).digest, "data": Checkpoint.read(run).data}
    assert broken.data["started_from"] == whole.data["started_from"]
    assert whole.data["started_from"].items() > origin.items()


def test_pulling_needs_a_start(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--pull-to-start needs --init"):
        Trainer(replace(CONFIG, pull_to_start=1.0), store, tmp_path / "run")


def test_the_schedule_has_as_many_steps_for_few_clips_as_for_many() -> None:
    for num_clips in (5, 45, 500, 5000):
        config = adapting(CONFIG, num_clips)
        assert config.batch_clips <= num_clips
        assert 300 <= config.epochs * max(1, num_clips // config.batch_clips) < 400
        assert config.terms == TERMS


def test_settings_of_the_machine_that_the_start_learned_on_are_not_taken_over() -> None:
    elsewhere = replace(CONFIG, device="cuda", precision="bf16", compile="graphs", num_threads=1)
    config, usual = adapting(elsewhere, 45), TrainConfig()
    for name in ("device", "precision", "compile", "num_threads"):
        assert getattr(config, name) == getattr(usual, name)


def test_a_store_that_one_pass_is_enough_for_ends_with_a_low_rate() -> None:
    config = adapting(CONFIG, 20_000)
    assert (config.epochs, config.warmup_epochs) == (1, 0)


def test_what_cannot_be_started_from_is_named(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"--init .*nothing does not exist; name a run folder.*pose-statistics"):
        read_start(tmp_path / "nothing")
    with pytest.raises(StartError, match="'pose-statistics' has no learned weights"):
        read_start(Path("pose-statistics"))
    of_tokens = replace(bundle, manifest=replace(bundle.manifest, training=tiny_general_config().to_json()))
    of_tokens.write(tmp_path / "bundle")
    with pytest.raises(StartError, match=r"'start' has an encoder of tokens, .* name the run folder"):
        read_start(tmp_path / "bundle")
    training = {**(bundle.manifest.training or {}), "terms": {**bundle.manifest.training["terms"], "general_size": 7}}  # type: ignore[index]
    replace(bundle, manifest=replace(bundle.manifest, training=training)).write(tmp_path / "other")
    with pytest.raises(StartError, match="does not have the weights that its settings name"):
        read_start(tmp_path / "other")


def call(store: ClipStore, out: Path, init: Path, *words: str) -> tuple[int, str]:
    given = [str(store.path), "--out", str(out), "--init", str(init), "--device", "cpu", *words]
    result = CliRunner().invoke(gfp_train, given)
    return result.exit_code, " ".join(result.output.split())


def test_the_command_adapts_with_the_settings_of_the_start(run: Path, mine: ClipStore, tmp_path: Path) -> None:
    assert call(mine, tmp_path / "out", run, "--epochs", "2", "--warmup-epochs", "1")[0] == 0
    config = Checkpoint.read(tmp_path / "out").config
    assert (config.terms, config.epochs, config.pull_to_start) == (TERMS, 2, 60.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--general-size", "7"], "--general-size is 7 and was 6. Leave these out, or leave out --init"),
        (["--num-frames", "60"], "--num-frames is 60 and was 120"),
    ],
)
def test_settings_of_another_shape_are_refused(
    run: Path, mine: ClipStore, tmp_path: Path, words: list[str], said: str
) -> None:
    code, output = call(mine, tmp_path / "out", run, *words)
    assert code == 2
    assert said in output


def test_a_resumed_run_takes_no_start(run: Path, store: ClipStore) -> None:
    code, output = call(store, run, run, "--resume")
    assert code == 2
    assert "leave out --init, which it remembers" in output


def test_a_store_without_labels_cannot_be_adapted_to(run: Path, tmp_path: Path) -> None:
    unlabelled = write_store(tmp_path / "store", labelled=False)
    code, output = call(unlabelled, tmp_path / "out", run)
    assert code == 2
    assert "--label-weight needs labels" in output
