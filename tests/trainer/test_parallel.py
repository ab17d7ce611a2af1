"""Two processes that share a step give the same as one process that does all of it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.small_runs import write_store
from trainer.checkpoint import Checkpoint
from trainer.data.store import ClipStore
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


def train(store: ClipStore, run: Path, *words: object, num_processes: int, before: str = "", status: int = 0) -> str:
    """Run gfp-train as torchrun starts it; return the output of the first process."""
    # The port is held until the end, so that no other test gets it. The first process can still listen there.
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    port = reserved.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{COMMAND}", str(store.path), "--out", str(run), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num_processes)}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(num_processes)
    ]
    said = [process.communicate()[0] for process in started]
    reserved.close()
    assert [process.returncode for process in started] == [status] * num_processes, said
    assert said[1:] == [""] * (num_processes - 1)  # only one process prints
    return said[0]


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / METRICS_FILE).read_text().splitlines()]


def test_two_processes_have_the_loss_of_one_with_the_whole_batch(store: ClipStore, tmp_path: Path) -> None:
    train(store, tmp_path / "one", *TINY, num_processes=1)
    said = train(store, tmp_path / "two", *TINY, num_processes=2)
    assert "on 2 × cpu" in said
    one = losses(tmp_path / "one")
    assert len(one) == 6
    assert np.ptp(one) > 1  # a loss that moves
    assert losses(tmp_path / "two") == pytest.approx(one, rel=1e-4)
    a, b = (Checkpoint.read(tmp_path / name) for name in ("one", "two"))
    # Not the means: a bias before a batch norm has no effect. Its gradient is rounding error, yet AdamW takes steps.
    running = [name for name in a.objective if name.endswith("running_var")]
    assert len(running) > 8
    for name in running:
        torch.testing.assert_close(b.objective[name], a.objective[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_run_goes_on_with_another_number_of_processes(
    store: ClipStore, tmp_path: Path, before: int, after: int
) -> None:
    train(store, tmp_path / "whole", *TINY, num_processes=1)
    run = tmp_path / "broken"
    said = train(store, run, *TINY, num_processes=before, before=STOP_IN_STEP_3, status=128 + signal.SIGTERM)
    assert "Stopped by SIGTERM at step 3 of 6" in said
    train(store, run, "--resume", num_processes=after)
    assert losses(run) == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)
