"""Two processes that share a step give the same as one process that does all of it."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.support.small_runs import write_store
from tests.support.two_processes import run_two
from trainer.checkpoint import Checkpoint
from trainer.cli.train import gfp_train
from trainer.data.store import ClipStore
from trainer.loop import Trainer
from trainer.metrics import METRICS_FILE

TINY = [
    *("--width", 16, "--depth", 1, "--num-heads", 2, "--local-width", 8, "--global-width", 16, "--batch-clips", 6),
    *("--epochs", 2, "--warmup-epochs", 1, "--log-every-steps", 1, "--save-every-epochs", 1),
    *("--device", "cpu", "--num-threads", 1),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)


# The signal goes to the first process only, as an operator may send it. Both stop after the same step.
STOP_IN_STEP_3 = """
import os, signal
from trainer.loop import Trainer
take_step = Trainer.train_step
def train_step(trainer):
    if trainer.step == 2 and os.environ["RANK"] == "0":
        os.kill(os.getpid(), signal.SIGTERM)
    return take_step(trainer)
Trainer.train_step = train_step
"""
COMMAND = "from trainer.cli.train import gfp_train; gfp_train()"
# Several runs one after the other, each a list of words: to start two processes takes longer than a run. They meet
# once, because each meeting may wait for a name server.
COMMANDS = """
import json, sys
from torch import distributed
from trainer.cli.train import gfp_train
distributed.init_process_group("gloo")
leave = distributed.destroy_process_group
distributed.init_process_group = distributed.destroy_process_group = lambda *_: None
for words in json.loads(sys.argv[1]):
    gfp_train(words, standalone_mode=False)
leave()
"""


def train_alone(store: ClipStore, run: Path, *words: object, status: int = 0) -> str:
    """Run gfp-train in this process; return its output."""
    ended = CliRunner().invoke(gfp_train, [str(store.path), "--out", str(run), *map(str, words)])
    assert ended.exit_code == status, ended.output
    return ended.output


def train_together(store: ClipStore, run: Path, *words: object, before: str = "", status: int = 0) -> str:
    """Run gfp-train in two processes, as torchrun starts it; return the output of the first."""
    return together(f"{before}\n{COMMAND}", str(store.path), "--out", str(run), *map(str, words), status=status)


def together(program: str, *words: str, status: int = 0) -> str:
    """Run a Python program in two processes, as torchrun starts it; return the output of the first."""
    first, second = run_two(program, *words, status=status)
    assert second == ""  # only one process prints
    return first


def test_a_process_that_fails_ends_the_one_that_waits_for_it() -> None:
    program = "import os, sys, time; sys.exit('no clips') if os.environ['RANK'] == '1' else time.sleep(600)"
    began = time.monotonic()
    with pytest.raises(AssertionError, match="no clips"):
        run_two(program)
    assert time.monotonic() - began < 200  # of the 240 that it waits for processes that hang


def test_processes_that_hang_say_where() -> None:
    with pytest.raises(AssertionError, match='File "<string>", line 2 in wait_for_ever'):
        run_two("def wait_for_ever():\n  import time; time.sleep(600)\nwait_for_ever()", timeout_s=10)


@pytest.fixture(scope="module")
def whole(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process that has all of each batch."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train_alone(store, run, *TINY)
    return run


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / METRICS_FILE).read_text().splitlines()]


def test_two_processes_have_the_loss_of_one_with_the_whole_batch(store: ClipStore, whole: Path, tmp_path: Path) -> None:
    assert "on 2 × cpu" in train_together(store, tmp_path / "two", *TINY)
    one = losses(whole)
    assert len(one) == 6
    assert np.ptp(one) > 1  # a loss that moves
    assert losses(tmp_path / "two") == pytest.approx(one, rel=1e-4)
    a, b = (Checkpoint.read(run) for run in (whole, tmp_path / "two"))
    # Not the means: a bias before a batch norm has no effect; its gradient is rounding, of which AdamW makes steps.
    running = [name for name in a.objective if name.endswith("running_var")]
    assert len(running) > 8
    for name in running:
        torch.testing.assert_close(b.objective[name], a.objective[name], rtol=1e-3, atol=1e-4)


PLACE = TINY.index("--local-width")
OF_ALL = (*TINY[:PLACE], *TINY[PLACE + 4 :])
OF_OTHER_ENCODERS = ("--num-frames", 24, *TINY[:4], *OF_ALL[OF_ALL.index("--batch-clips") :])
# What is compared, and how near the losses are.
RUNS: dict[str, tuple[tuple[object, ...], float]] = {
    "labels": ((*TINY, "--label-weight", 1, "--statistics-weight", 1, "--frame", "body"), 1e-4),
    "statistics": ((*TINY, "--statistics-weight", 1, "--frame", "body"), 1e-4),
    "gfp_contrast": ((*OF_ALL, "--objective", "gfp_contrast"), 1e-3),
    "gfp_prototypes": ((*OF_ALL, "--objective", "gfp_prototypes", "--num-prototypes", 4), 1e-3),
    "usdrl": ((*OF_ALL, "--objective", "usdrl", "--compared-width", 8), 1e-3),
    "slim": (
        (*OF_ALL, "--objective", "slim", "--num-prototypes", 12, "--head-width", 16, "--head-size", 8)
        + ("--clip-gradient", 1),
        1e-3,
    ),
    # Prototypes are used from the fourth step on.
    "halp": (
        (*OF_ALL, "--objective", "halp", "--queue-keys", 6, "--prototype-keys", 6, "--num-prototypes", 3)
        + ("--plain-share", 0),
        1e-3,
    ),
    "two_stream": (
        ("--encoder", "two_stream", "--objective", "usdrl", "--compared-width", 8, "--optimizer", "adam")
        + OF_OTHER_ENCODERS,
        1e-3,
    ),
    "gru": (("--encoder", "gru", "--objective", "usdrl", "--compared-width", 8, *OF_OTHER_ENCODERS), 1e-3),
}


@pytest.fixture(scope="module")
def of_two(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two processes, by their names."""
    folder = tmp_path_factory.mktemp("two")
    commands = [[str(store.path), "--out", str(folder / name), *map(str, words)] for name, (words, _) in RUNS.items()]
    together(COMMANDS, json.dumps(commands))
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_as_one_from_the_clips_of_both(
    store: ClipStore, of_two: Path, tmp_path: Path, name: str
) -> None:
    words, nearness = RUNS[name]
    train_alone(store, tmp_path / "one", *words)
    one = losses(tmp_path / "one")
    assert len(one) == 6
    assert losses(of_two / name) == pytest.approx(one, rel=nearness)


def test_views_are_refused_by_several_processes(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="--view-weight compares all clips of a step"):
        train_together(store, tmp_path / "two", *TINY, "--view-weight", 1)


def test_a_run_of_two_processes_is_stopped_by_one_signal_and_goes_on_in_one(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "broken"
    said = train_together(store, run, *TINY, before=STOP_IN_STEP_3, status=128 + signal.SIGTERM)
    assert "Stopped by SIGTERM at step 3 of 6" in said
    train_alone(store, run, "--resume")
    assert losses(run) == pytest.approx(losses(whole), rel=1e-4)


def test_a_run_of_one_process_goes_on_in_two(
    store: ClipStore, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setenv("RANK", "0")
        patch.setattr(Trainer, "train_step", Trainer.train_step)  # given back at the end
        exec(STOP_IN_STEP_3, {})
        said = train_alone(store, run, *TINY, status=128 + signal.SIGTERM)
    assert "Stopped by SIGTERM at step 3 of 6" in said
    train_together(store, run, "--resume")
    assert losses(run) == pytest.approx(losses(whole), rel=1e-4)
