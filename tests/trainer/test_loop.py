import errno
import fcntl
import json
import logging
import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gfp_serve.errors import InvalidRequestError, StoreError
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.small_runs import moving_body, tiny_config, write_store
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointError
from trainer.data.store import POSITIONS_FILE, ClipStore
from trainer.data.store_writer import StoreWriter
from trainer.encoders.transformer import TransformerConfig
from trainer.evaluate.embeddings import torch_embedder
from trainer.health import COLLAPSED_STEPS, MAX_ROWS, CollapseWatch, effective_rank, health
from trainer.loop import NonFiniteLossError, StepReport, Trainer
from trainer.metrics import METRICS_FILE
from trainer.objectives import NoObjectiveConfig
from trainer.speed import measure_steps
from trainer.terms import TermsConfig


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


def losses_of(run: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in map(json.loads, (run / METRICS_FILE).read_text().splitlines())}


def stop_after(step: int, number: signal.Signals) -> Callable[[StepReport], None]:
    def show(now: StepReport) -> None:
        if now.step == step:
            os.kill(os.getpid(), number)

    return show


def test_a_resumed_run_with_terms_reaches_the_losses_of_an_unbroken_one(store: ClipStore, tmp_path: Path) -> None:
    config = tiny_config(epochs=3, terms=TermsConfig(label_weight=1.0, statistics_weight=1.0, view_weight=1.0))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    Trainer(config, store, whole).fit()
    Trainer(config, store, broken).fit(stop_after(3, signal.SIGINT))
    Trainer(config, store, broken, resume=Checkpoint.read(broken)).fit()
    assert losses_of(broken) == losses_of(whole)
    lines = [json.loads(line) for line in (broken / METRICS_FILE).read_text().splitlines()]
    assert {"terms/labels", "terms/statistics", "terms/views", "terms/prediction"} <= lines[0].keys()


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
    # The same arithmetic on the same numbers.
    assert losses_of(broken) == pytest.approx(losses_of(whole), rel=1e-6)
    a, b = Checkpoint.read(whole), Checkpoint.read(broken)
    for name, weight in a.encoder.items():
        torch.testing.assert_close(b.encoder[name], weight, rtol=1e-6, atol=1e-7)


def test_a_resumed_run_leaves_no_hole_in_tensorboard(
    store: ClipStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(epochs=3)
    Trainer(config, store, tmp_path).fit(stop_after(3, signal.SIGINT))
    Trainer(config, store, tmp_path, resume=Checkpoint.read(tmp_path)).fit()
    caplog.set_level(logging.ERROR)  # a warning that it removed the steps that the resumed run repeats
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in board.Scalars("loss")] == [1, 2, 3, 4, 5, 6]


def test_a_line_of_metrics_that_a_crash_cut_off_does_not_stop_a_resumed_run(store: ClipStore, tmp_path: Path) -> None:
    config = tiny_config()
    Trainer(config, store, tmp_path).fit(stop_after(2, signal.SIGINT))
    with (tmp_path / METRICS_FILE).open("a") as log:
        log.write('{"step": 3, "lo')
    Trainer(config, store, tmp_path, resume=Checkpoint.read(tmp_path)).fit()
    assert list(losses_of(tmp_path)) == [1, 2, 3, 4]


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, as in a terminal. Programs that a shell starts in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_ctrl_c")
def test_a_second_signal_interrupts(store: ClipStore, tmp_path: Path) -> None:
    def show(_: StepReport) -> None:
        # Not os.kill: another thread may receive both signals before Python handles them, and Python would see one.
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Trainer(tiny_config(), store, tmp_path / "run").fit(show)


def test_the_same_run_gives_the_same_losses_and_weights_to_the_last_bit(tmp_path: Path) -> None:
    # Enough tokens for several threads: the order of additions differed there. Weights show it in two steps.
    store = write_store(tmp_path / "store", num_clips=44)
    config = tiny_config(
        encoder=TransformerConfig(width=64, depth=2, num_heads=2),
        batch_clips=32,
        epochs=2,
        warmup_epochs=1,
        num_threads=2,
    )
    for name in ("first", "second"):
        Trainer(config, store, tmp_path / name).fit()
    assert losses_of(tmp_path / "first") == losses_of(tmp_path / "second")
    first, second = (Checkpoint.read(tmp_path / name) for name in ("first", "second"))
    assert first.step == 2
    for mine, yours in ((first.encoder, second.encoder), (first.objective, second.objective)):
        assert [name for name, weight in mine.items() if not torch.equal(weight, yours[name])] == []
    assert not torch.are_deterministic_algorithms_enabled()


def test_signal_handlers_are_restored_after_a_run(store: ClipStore, tmp_path: Path) -> None:
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

    def show(now: StepReport) -> None:
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


def test_a_step_advances_the_counter_and_a_run_goes_on_from_there(store: ClipStore, tmp_path: Path) -> None:
    whole, begun = (Trainer(tiny_config(), store, tmp_path / name) for name in ("whole", "begun"))
    whole.fit()
    begun.train_step()
    assert begun.step == 1
    assert begun.fit().step == whole.step
    for name, weight in whole.objective.named_parameters():
        assert torch.equal(dict(begun.objective.named_parameters())[name], weight), name


def test_more_steps_than_a_run_has_may_be_timed(store: ClipStore, tmp_path: Path) -> None:
    trainer = Trainer(tiny_config(epochs=1), store, tmp_path / "run")
    times = measure_steps({"gfp": trainer}, rounds=trainer.total_steps + 1)["gfp"]
    assert len(times.seconds) == trainer.total_steps + 1
    assert trainer.step > trainer.total_steps


def test_a_bad_clip_never_reaches_a_weight(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    content = bytearray((tmp_path / "store" / POSITIONS_FILE).read_bytes())
    for place in range(0, len(content), 4000):
        content[place : place + 4] = np.float32(np.nan).tobytes()
    (tmp_path / "store" / POSITIONS_FILE).write_bytes(content)
    trainer = Trainer(tiny_config(), store, tmp_path / "run")
    before = {name: weight.clone() for name, weight in trainer.objective.named_parameters()}
    assert not trainer.train_step().total.isfinite()
    for name, weight in trainer.objective.named_parameters():
        assert torch.equal(weight, before[name]), name


def test_clips_that_change_during_a_run_end_it_at_the_next_checkpoint(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")

    def show(now: StepReport) -> None:
        if now.step == 3:
            with (tmp_path / "store" / POSITIONS_FILE).open("r+b") as file:
                file.write(np.float32(1.5).tobytes())

    with pytest.raises(StoreError, match=r"was changed while it was in use: .*are not those that were written"):
        Trainer(tiny_config(), store, tmp_path / "run").fit(show)
    assert Checkpoint.read(tmp_path / "run").step == 2


def test_clips_with_a_new_time_but_the_same_content_do_not_end_a_run(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    (tmp_path / "store" / POSITIONS_FILE).touch()
    Trainer(tiny_config(), store, tmp_path / "run").fit()


def in_a_process(lines: str, store: ClipStore, run: Path) -> subprocess.CompletedProcess[str]:
    """Run a few lines in another process. They may use `store`, `run` and the names imported here."""
    code = f"""
import contextlib, os, signal
from pathlib import Path
from tests.support.full_disk import file_size_limit
from tests.support.small_runs import tiny_config
from trainer.loop import Trainer
from trainer.checkpoint import Checkpoint
from trainer.data.store import ClipStore
store, run = ClipStore.open(Path({str(store.path)!r})), Path({str(run)!r})
{textwrap.dedent(lines)}
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_kill_in_the_middle_of_a_checkpoint_leaves_the_one_before(store: ClipStore, tmp_path: Path) -> None:
    lines = """
        writes = 0
        def die_in_the_second(file):
            global writes
            writes += 1
            if writes > 2:  # each checkpoint syncs its file and its folder
                os.truncate(*run.glob(".checkpoint.pt.*.new"), 1000)
                os.kill(os.getpid(), signal.SIGKILL)
        os.fsync = die_in_the_second
        Trainer(tiny_config(epochs=3), store, run).fit()
    """
    assert in_a_process(lines, store, tmp_path / "run").returncode == -signal.SIGKILL
    (unfinished,) = (tmp_path / "run").glob(".checkpoint.pt.*.new")
    assert unfinished.stat().st_size == 1000
    left = Checkpoint.read(tmp_path / "run")
    assert left.step == 2
    assert Trainer(tiny_config(epochs=3), store, tmp_path / "run", resume=left).fit().step == 6
    assert not unfinished.exists()


def test_two_runs_do_not_train_into_one_folder(store: ClipStore, tmp_path: Path) -> None:
    refused = []

    def train_another(_: StepReport) -> None:
        with pytest.raises(CheckpointError, match=r"another process is training into .* at this moment"):
            Trainer(tiny_config(seed=1), store, tmp_path).fit()
        refused.append(1)

    Trainer(tiny_config(), store, tmp_path).fit(train_another)
    assert refused
    assert Checkpoint.read(tmp_path).config.seed == 0


def test_a_file_system_without_locks_is_reported(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(CheckpointError, match="its file system cannot lock it"):
        Trainer(tiny_config(), store, tmp_path).fit()


def test_a_full_disk_is_reported_and_the_last_checkpoint_kept(store: ClipStore, tmp_path: Path) -> None:
    lines = """
        trainer = Trainer(tiny_config(epochs=3), store, run)
        with contextlib.ExitStack() as disk:
            def show(now):
                if now.step == 3:
                    disk.enter_context(file_size_limit(20_000))
            try:
                trainer.fit(show)
            except Exception as error:
                disk.close()
                print(type(error).__name__, error)
    """
    ended = in_a_process(lines, store, tmp_path / "run")
    assert ended.stdout.startswith("CheckpointError"), ended.stderr
    assert "cannot be written at step 4: File too large; the checkpoint of step 2 is whole" in ended.stdout
    assert Checkpoint.read(tmp_path / "run").step == 2
    assert not list((tmp_path / "run").glob("*.new"))


def test_bad_weights_are_never_saved(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = Trainer(tiny_config(), store, run)

    def show(now: StepReport) -> None:
        if now.step == 4:  # the last step: no later loss can show it
            with torch.no_grad():
                trainer.objective.encoder.embed.weight.fill_(math.inf)

    with pytest.raises(NonFiniteLossError, match=r"encoder\.embed\.weight are not finite after step 3 of 4"):
        trainer.fit(show)
    assert Checkpoint.read(run).step == 2


def test_every_logged_step_has_loss_terms_health_and_speed(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    seen: list[StepReport] = []
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


def test_more_clips_in_a_step_than_the_store_has_are_refused(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose at most 9"):
        Trainer(tiny_config(batch_clips=64), store, tmp_path / "run")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match="it was damaged or cut off") as caught:
        Checkpoint.read(tmp_path)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)  # torch's advice: run what is in the file


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


def test_health_distinguishes_a_full_spread_from_a_collapsed_one() -> None:
    spread = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    line = spread[:, :1].expand(-1, 8)
    assert effective_rank(spread) > 7
    assert effective_rank(line) == pytest.approx(1.0, abs=0.01)
    report = health({"short": (spread, spread)})
    assert report["short/unpredicted"] == 0
    assert report["short/target_std"] == pytest.approx(1.0, abs=0.1)
    assert report["short/target_full_rank"] == 8


@pytest.mark.filterwarnings("error")
def test_a_level_of_one_row_says_nothing_of_a_spread() -> None:
    rows = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    report = health({"clip": (rows[:1], rows[:1]), "short": (rows, rows)})
    assert {name.partition("/")[0] for name in report} == {"short"}


def test_a_level_is_reported_after_it_has_been_collapsed_for_long_without_a_break() -> None:
    draws = torch.Generator().manual_seed(0)
    spread = torch.randn(500, 64, generator=draws)
    line = torch.randn(500, 1, generator=draws).expand(-1, 64)  # std 1, but a single direction
    good, faint, narrow = (health({"mid": (spread, target)}) for target in (spread, spread / 20, line))
    watch = CollapseWatch()
    assert watch.collapsed(0, faint) == {}
    assert watch.collapsed(COLLAPSED_STEPS - 1, narrow) == {}
    (sentence,) = watch.collapsed(COLLAPSED_STEPS, narrow).values()
    assert "level 'mid' have collapsed since step 0" in sentence
    assert "effective rank 1 of 64" in sentence
    assert watch.collapsed(COLLAPSED_STEPS + 1, good) == {}
    assert watch.collapsed(COLLAPSED_STEPS + 2, faint) == {}  # counting starts again


def test_the_rank_includes_all_joints_for_any_number_of_bodies() -> None:
    # Rows go joint by joint, and each joint has its own direction: 25 of them, centred, have rank 24. If every n-th row
    # were taken, with n = rows / MAX_ROWS = 25 or 50, all would be of the same joint.
    for num_rows in (25 * MAX_ROWS, 50 * MAX_ROWS):
        joints = torch.eye(25).repeat(num_rows // 25, 1)
        assert num_rows > MAX_ROWS
        assert effective_rank(joints) == pytest.approx(24, abs=0.5)


def test_training_uses_the_requested_number_of_threads(store: ClipStore, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        for num_threads in (1, 2):
            Trainer(tiny_config(num_threads=num_threads), store, tmp_path / "run")
            assert torch.get_num_threads() == num_threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("every", "saved"), [(1, [3, 4]), (2, [])])
def test_a_checkpoint_is_written_every_few_epochs(
    store: ClipStore, tmp_path: Path, every: int, saved: list[int]
) -> None:
    seen = []

    def show(now: StepReport) -> None:  # this comes before the step's own checkpoint
        if (tmp_path / CHECKPOINT_FILE).exists():
            seen.append(now.step)

    Trainer(tiny_config(save_every_epochs=every), store, tmp_path).fit(show)
    assert seen == saved
    assert Checkpoint.read(tmp_path).step == 4


@pytest.mark.parametrize(("every", "evaluated"), [(0, []), (1, [2, 4]), (2, [4])])
def test_retrieval_is_measured_every_few_epochs(
    store: ClipStore, tmp_path: Path, every: int, evaluated: list[int]
) -> None:
    Trainer(tiny_config(evaluate_every_epochs=every), store, tmp_path).fit()
    lines = [json.loads(line) for line in (tmp_path / METRICS_FILE).read_text().splitlines()]
    assert [line["step"] for line in lines if "retrieval/top1" in line] == evaluated


def test_retrieval_is_that_of_what_the_run_learned(store: ClipStore, tmp_path: Path) -> None:
    terms = TermsConfig(label_weight=1.0, embedding_size=0, general_size=6, general_hidden_size=5)
    config = tiny_config(objective=NoObjectiveConfig(), terms=terms, evaluate_every_epochs=1)
    embedded: list[torch.nn.Module] = []
    trainer = Trainer(config, store, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "trainer.loop.torch_embedder", lambda model, device: embedded.append(model) or torch_embedder(model, device)
        )
        trainer.fit()
    clip = torch.from_numpy(moving_body(1, num_frames=120).transpose(1, 0, 2, 3).copy())
    expected = Checkpoint.read(tmp_path).build_embedding()
    torch.testing.assert_close(embedded[-1].features(clip), expected.features(clip))


def test_a_run_that_measures_retrieval_needs_a_test_split_before_its_first_step(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    store.splits = np.zeros_like(store.splits)
    with pytest.raises(InvalidRequestError, match="0 labelled test clips"):
        Trainer(tiny_config(evaluate_every_epochs=1), store, tmp_path / "run")


def test_extreme_clips_can_be_stored_and_trained_on(tmp_path: Path) -> None:
    whole = moving_body(1, num_frames=80)
    lost_joints, lost_frames, one_pose = whole.copy(), whole.copy(), np.full_like(whole, np.nan)
    lost_joints[:, :, 5:9], lost_frames[10:20], one_pose[5] = np.nan, np.nan, whole[5]
    pair = np.concatenate([whole, np.full_like(whole, np.nan)], axis=1)
    pair[30:45, 1] = whole[30:45, 0] + 1
    clips = [
        *(whole[:1], moving_body(2, num_frames=20_000, num_bodies=2), lost_joints, lost_frames, one_pose, pair),
        *(whole.astype(np.float64), whole.astype(np.float16), (100 * whole).astype(np.int16) // 50),
        *(whole[::-2], np.asfortranarray(whole)),
    ]
    cleaning = CleanConfig()
    with StoreWriter(tmp_path / "store", cleaning) as writer:
        writer.add_source("made-up", sha256="0" * 64)
        for number, clip in enumerate(clips):
            about = {"label": None, "subject": "1", "camera": 0, "split": 0, "fps": 30.0}
            writer.add(clean(clip, NTU25, cleaning), source="made-up", name=str(number), **about)  # type: ignore[arg-type]
    trainer = Trainer(tiny_config(batch_clips=len(clips)), ClipStore.open(tmp_path / "store"), tmp_path / "run")
    assert len(trainer.clips.batch(0).bodies) == len(clips) + 2  # two clips of two bodies
    outcome = trainer.train_step()
    assert outcome.total.isfinite()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in trainer.objective.parameters())
