"""What a run says of itself: settings that can be given again, and what they were used with."""

import errno
import json
import os
import shutil
import signal
import time
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

from gfp_serve.files import lock
from tests.support.small_runs import write_store
from trainer.checkpoint import Checkpoint
from trainer.cli.train import gfp_train
from trainer.data.store import ClipStore
from trainer.loop import StepReport, Trainer
from trainer.metrics import METRICS_FILE

TINY = ["--width", "16", "--depth", "1", "--num-heads", "2", "--batch-clips", "4", "--warmup-epochs", "1"] + [
    *("--device", "cpu", "--log-every-steps", "1", "--epochs", "2"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


def train(store: ClipStore, run: Path, *words: str) -> Result:
    return CliRunner().invoke(gfp_train, [str(store.path), "--out", str(run), *words])


def test_the_settings_of_a_run_give_the_same_run_again(store: ClipStore, tmp_path: Path) -> None:
    assert train(store, tmp_path / "one", *TINY, "--objective", "mamp", "--decoder-depth", "1").exit_code == 0
    settings = tmp_path / "one" / "config.toml"
    said = tomllib.loads(settings.read_text())
    assert (said["objective"], said["decoder_depth"], said["width"]) == ("mamp", 1, 16)
    assert "local_width" not in said  # a setting of another objective
    again = train(store, tmp_path / "two", "--config", str(settings))
    assert again.exit_code == 0, again.output
    assert (tmp_path / "two" / "config.toml").read_text() == settings.read_text()
    logs = [(tmp_path / run / METRICS_FILE).read_text().splitlines() for run in ("one", "two")]
    losses = [[json.loads(line)["loss"] for line in log] for log in logs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_flags_win_over_the_file_and_an_unknown_key_is_refused(store: ClipStore, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("width = 32\nseed = 5\n")
    assert train(store, tmp_path / "run", "--config", str(file), *TINY).exit_code == 0
    said = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (said["width"], said["seed"]) == (16, 5)
    file.write_text("epoch = 3\n")
    refused = train(store, tmp_path / "other", "--config", str(file))
    assert refused.exit_code == 2
    assert "sets epoch, which is not a setting; did you mean epochs?" in " ".join(refused.output.split())


def test_a_run_says_on_what_it_was_trained_with_what_and_for_how_long(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    take_step, moments = Trainer.train_step, []

    def stopped_in_step_2(trainer: Trainer) -> object:
        if trainer.step == 1:
            moments.append(datetime.now(UTC))
            time.sleep(1.5)  # the record says whole seconds
            signal.raise_signal(signal.SIGTERM)
        return take_step(trainer)

    monkeypatch.setattr(Trainer, "train_step", stopped_in_step_2)
    assert train(store, run, *TINY).exit_code == 128 + signal.SIGTERM
    first = json.loads((run / "run.json").read_text())
    assert (first["steps"], first["of_steps"], first["clips_seen"], first["stopped_by"]) == (2, 4, 8, "SIGTERM")
    assert first["store"] == {"content_sha256": store.content_digest, "clips": 12}
    assert datetime.fromisoformat(first["begun"]) <= moments[0]
    assert {"gfp-serve", "python", "torch", "numpy"} == set(first["versions"])
    monkeypatch.setattr(Trainer, "train_step", take_step)
    assert train(store, run, "--resume").exit_code == 0
    whole = json.loads((run / "run.json").read_text())
    assert (whole["steps"], whole["clips_seen"], whole["stopped_by"]) == (4, 16, None)
    assert whole["begun"] == first["begun"]
    assert whole["wall_s"] >= first["wall_s"]


def test_a_run_that_was_killed_keeps_the_seconds_of_the_steps_that_were_saved(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    take_step = Trainer.train_step

    def killed_in_step_4(trainer: Trainer) -> object:
        if trainer.step == 3:
            pytest.fail("killed")
        time.sleep(0.2)
        return take_step(trainer)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", killed_in_step_4)
        with pytest.raises(pytest.fail.Exception):
            train(store, run, *TINY, "--save-every-epochs", "1")  # two steps
    killed = json.loads((run / "run.json").read_text())
    assert (killed["steps"], killed["of_steps"]) == (2, 4)
    assert killed["device_s"] == killed["wall_s"] >= 0.4
    shutil.copytree(run, tmp_path / "lost")
    assert train(store, run, "--resume").exit_code == 0
    assert json.loads((run / "run.json").read_text())["wall_s"] >= killed["wall_s"]
    # Where the seconds of the first part are lost, those of the second one are not the run's.
    (tmp_path / "lost" / "run.json").write_text("{")
    assert train(store, tmp_path / "lost", "--resume").exit_code == 0
    record = json.loads((tmp_path / "lost" / "run.json").read_text())
    assert (record["steps"], "wall_s" in record, "device_s" in record) == (4, False, False)


def test_a_run_that_another_process_trains_keeps_its_files(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(store, run, *TINY).exit_code == 0
    before = {name: (run / name).read_bytes() for name in ("config.toml", "run.json", METRICS_FILE)}
    held = lock(run)  # as a process that trains into the folder has it
    try:
        refused = train(store, run, "--resume", "--epochs", "77")
    finally:
        os.close(held)
    assert refused.exit_code == 1
    assert "another process is training into" in " ".join(refused.output.split())
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_run_whose_picture_the_disk_refuses_is_done_and_says_that_its_checkpoint_is_whole(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", refuse)
        ended = train(store, run, *TINY)
    said = " ".join(ended.output.split())
    assert ended.exit_code == 0, said
    assert "losses.png cannot be written: No space left on device; the checkpoint of step 4 is whole" in said
    assert not list(run.glob("*losses.png*"))
    assert train(store, run, "--resume").exit_code == 0
    assert (run / "losses.png").exists()


def test_a_run_can_be_given_more_epochs_and_says_what_schedule_it_then_follows(
    store: ClipStore, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(store, run, *TINY).exit_code == 0
    longer = train(store, run, "--resume", "--epochs", "4")
    assert longer.exit_code == 0, longer.output
    said = " ".join(longer.output.split())
    # Half a cosine from 1e-3 to 5e-4 after a warm-up of one of 4 epochs, at the fifth of 8 steps.
    assert "--epochs is 4 and was 2: from here on the learning rate is that of a run of 4 epochs" in said
    assert "so the next step has 0.00075 instead of 0.0005" in said
    logged = [json.loads(line) for line in (run / METRICS_FILE).read_text().splitlines()]
    assert [line["step"] for line in logged] == list(range(1, 9))
    assert logged[4]["learning_rate"] == pytest.approx(7.5e-4)
    record = json.loads((run / "run.json").read_text())
    assert (record["of_steps"], record["lengths"]) == (8, [[2, 0], [4, 4]])
    checkpoint = Checkpoint.read(run)
    assert checkpoint.data["lengths"] == [[2, 0], [4, 4]]
    # It is kept when the run goes on again, whether that changes its length or not.
    again = [
        Trainer(replace(checkpoint.config, epochs=epochs), store, run, resume=checkpoint).lengths for epochs in (4, 5)
    ]
    assert again == [[[2, 0], [4, 4]], [[2, 0], [4, 4], [5, 8]]]
    assert tomllib.loads((run / "config.toml").read_text())["epochs"] == 4
    fewer = train(store, run, "--resume", "--epochs", "3")
    assert fewer.exit_code == 2
    said = " ".join(fewer.output.split())
    assert "--epochs is 3, which is 6 steps, and this run has done 8; choose 5 or more." in said


def stopped_after_3(store: ClipStore, run: Path, patched: pytest.MonkeyPatch, *words: str) -> None:
    """Train a run that gets SIGINT in its third step."""
    fit = Trainer.fit

    def stop(now: StepReport) -> None:
        if now.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    patched.setattr(Trainer, "fit", lambda self, _, *others, **more: fit(self, stop, *others, **more))
    assert train(store, run, *words).exit_code == 128 + signal.SIGINT


def test_a_run_can_be_made_shorter(store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        stopped_after_3(store, run, patched, *TINY[:-1], "40")
    # Fewer epochs that nobody typed would cut the run unawares.
    (tmp_path / "fewer.toml").write_text("epochs = 2\n")
    unawares = train(store, run, "--resume", "--config", str(tmp_path / "fewer.toml"))
    assert unawares.exit_code == 2
    assert "--epochs is 2 and was 40. Leave these out" in " ".join(unawares.output.split())
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", lambda _: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            train(store, run, "--resume", "--epochs", "2")
    assert Checkpoint.read(run).config.epochs == 2
    shorter = train(store, run, "--resume")
    assert shorter.exit_code == 0, shorter.output
    logged = [json.loads(line) for line in (run / METRICS_FILE).read_text().splitlines()]
    assert [line["step"] for line in logged] == [1, 2, 3, 4]
    assert logged[-1]["learning_rate"] == pytest.approx(5e-4)


def test_a_run_cannot_be_shorter_than_the_rise_of_its_learning_rate(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    stopped_after_3(store, run, monkeypatch, *TINY[:-1], "40", "--warmup-epochs", "5")
    refused = train(store, run, "--resume", "--epochs", "4")
    assert refused.exit_code == 2
    said = " ".join(refused.output.split())
    assert "--epochs is 4, and the learning rate of this run rises in its first 5 epochs; choose 5 or more." in said


def test_a_short_try_of_a_preset_goes_on_with_the_same_words(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--preset", "demo", *TINY[:6], "--device", "cpu", "--epochs", "3", "--batch-clips", "4"]
    with monkeypatch.context() as patched:
        stopped_after_3(store, tmp_path / "run", patched, *words)
    again = train(store, tmp_path / "run", "--resume", *words)
    assert again.exit_code == 0, again.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["steps"] == 6
