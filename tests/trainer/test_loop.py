import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.small import tiny_config, write_store
from trainer.batches import TrainingClips
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointError
from trainer.loop import METRICS_FILE, NonFiniteLossError, Progress, Trainer
from trainer.store import ClipStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


def losses_of(run: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in map(json.loads, (run / METRICS_FILE).read_text().splitlines())}


def stop_after(step: int, number: signal.Signals) -> Callable[[Progress], None]:
    def show(now: Progress) -> None:
        if now.step == step:
            os.kill(os.getpid(), number)

    return show


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_and_resumed_run_reaches_the_losses_of_an_unbroken_one(
    store: ClipStore, tmp_path: Path, number: signal.Signals
) -> None:
    config = tiny_config(epochs=3)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert Trainer(config, store, whole).fit().signal is None
    ended = Trainer(config, store, broken).fit(stop_after(3, number))
    assert (ended.step, ended.signal) == (3, number)
    resumed = Trainer(config, store, broken, resume=Checkpoint.read(broken)).fit()
    assert resumed.step == resumed.total_steps == 6
    # Twice the same arithmetic on the same numbers.
    assert losses_of(broken) == pytest.approx(losses_of(whole), rel=1e-6)
    a, b = Checkpoint.read(whole), Checkpoint.read(broken)
    for name, weight in a.encoder.items():
        torch.testing.assert_close(b.encoder[name], weight, rtol=1e-6, atol=1e-7)


def test_a_second_signal_is_not_swallowed(store: ClipStore, tmp_path: Path) -> None:
    def show(_: Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Trainer(tiny_config(), store, tmp_path / "run").fit(show)


def test_signals_are_given_back_after_a_run(store: ClipStore, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    Trainer(tiny_config(epochs=1), store, tmp_path / "run").fit()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_that_goes_bad_names_the_step_and_its_clips_and_keeps_the_last_good_checkpoint(
    tmp_path: Path,
) -> None:
    store = write_store(tmp_path / "store")
    run = tmp_path / "run"
    trainer = Trainer(tiny_config(epochs=3, log_every_steps=100), store, run)
    bad_step = 3

    def show(now: Progress) -> None:
        if now.step == bad_step:
            with torch.no_grad():
                trainer.objective.encoder.embed.weight.fill_(math.nan)

    with pytest.raises(NonFiniteLossError, match=rf"loss became nan at step {bad_step} of 6") as caught:
        trainer.fit(show)
    for name in trainer.clips.names_of_step(bad_step):
        assert name in str(caught.value)
    saved = Checkpoint.read(run)
    assert saved.step == 2
    assert all(weight.isfinite().all() for weight in saved.encoder.values() if weight.is_floating_point())


def test_bad_weights_are_never_saved(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = Trainer(tiny_config(), store, run)

    def show(now: Progress) -> None:
        if now.step == 4:  # the last: no later loss can tell
            with torch.no_grad():
                trainer.objective.encoder.embed.weight.fill_(math.inf)

    with pytest.raises(NonFiniteLossError, match=r"encoder\.embed\.weight are not finite after step 3 of 4"):
        trainer.fit(show)
    assert Checkpoint.read(run).step == 2


def test_terms_health_and_speed_are_logged_for_every_logged_step(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    seen: list[Progress] = []
    Trainer(tiny_config(log_every_steps=3, evaluate_every_epochs=1), store, run).fit(seen.append)
    lines = [json.loads(line) for line in (run / METRICS_FILE).read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 4]
    for name in ("loss", "learning_rate", "clips_per_s", "terms/variance", "short/target_std", "global/target_rank"):
        assert name in lines[0], name
    assert 0 <= lines[0]["retrieval/top1"] <= 100
    assert [now.step for now in seen] == [1, 2, 3, 4]
    assert list(run.glob("events.out.tfevents.*"))


def test_only_matrices_of_linear_layers_decay(store: ClipStore, tmp_path: Path) -> None:
    trainer = Trainer(tiny_config(), store, tmp_path / "run")
    decayed = {id(p) for group in trainer.optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    for name, parameter in trainer.objective.named_parameters():
        is_matrix = name.endswith("weight") and parameter.dim() == 2
        assert (id(parameter) in decayed) == is_matrix, name


def test_test_clips_are_never_trained_on(store: ClipStore) -> None:
    clips = TrainingClips(store, store.preprocess, batch_clips=2, seed=0)
    used = np.concatenate([clips.of_step(step) for step in range(20)])
    assert not (store.splits[used] == 1).any()
    assert len(set(used.tolist())) == (store.splits != 1).sum()


def test_absent_bodies_have_no_row_unless_they_are_kept(store: ClipStore) -> None:
    from dataclasses import replace

    packed = TrainingClips(store, store.preprocess, batch_clips=9, seed=0).batch(0)
    kept = TrainingClips(store, replace(store.preprocess, keep_absent_bodies=True), batch_clips=9, seed=0).batch(0)
    pairs = int((store.num_bodies[store.splits != 1] == 2).sum())
    assert len(packed) == 9 + pairs
    assert len(kept) == 18
    assert int((kept.abs().amax(dim=(1, 2, 3)) == 0).sum()) == 9 - pairs
    assert (packed.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_more_clips_in_a_step_than_the_store_has_are_refused(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose at most 9"):
        Trainer(tiny_config(batch_clips=64), store, tmp_path / "run")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match="checkpoint"):
        Checkpoint.read(tmp_path)


def test_a_missing_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        Checkpoint.read(tmp_path)


def test_weights_that_do_not_fit_the_config_are_refused(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = Trainer(tiny_config(epochs=1), store, run)
    run.mkdir()
    trainer.save()
    values = torch.load(run / CHECKPOINT_FILE, weights_only=True)
    del values["encoder"]["norm.weight"]
    torch.save(values, run / CHECKPOINT_FILE)
    with pytest.raises(CheckpointError, match=r"norm\.weight"):
        Checkpoint.read(run).build_encoder()


def test_a_checkpoint_runs_no_code_when_it_is_read(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.system, ("touch hacked",))

    torch.save({"format_version": 1, "config": Hostile()}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(CheckpointError):
        Checkpoint.read(tmp_path)
    assert not Path("hacked").exists()


def test_health_tells_a_full_spread_from_a_collapsed_one() -> None:
    from trainer.health import effective_rank, health

    spread = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    line = spread[:, :1].expand(-1, 8)
    assert effective_rank(spread) > 7
    assert effective_rank(line) == pytest.approx(1.0, abs=0.01)
    report = health({"short": (spread, spread)})
    assert report["short/unpredicted"] == 0
    assert report["short/target_std"] == pytest.approx(1.0, abs=0.1)
