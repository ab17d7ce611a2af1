"""The log of a run: `metrics.jsonl` has a line and TensorBoard a point for each logged step."""

import json
import time
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float, Int
from torch.utils.tensorboard import SummaryWriter

from gfp_serve.files import write_whole

METRICS_FILE = "metrics.jsonl"
SCORE = "retrieval/top1"  # right answers in % of the test clips, by 1-NN


class MetricsLog:
    """Appends to the log of a run after `step`. It first removes the steps that a resumed run does again."""

    def __init__(self, run: Path, step: int) -> None:
        _forget_after(run / METRICS_FILE, step)
        self._lines = (run / METRICS_FILE).open("a")
        _wait_for_a_later_second(run)
        self._board = SummaryWriter(run, purge_step=step + 1)  # this step and all after it

    def write(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)
        self._lines.write(json.dumps({"step": step, **metrics}) + "\n")
        self._lines.flush()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._board.close()


def read_terms(run: Path) -> tuple[Int[np.ndarray, " steps"], dict[str, Float[np.ndarray, " steps"]]]:
    """The logged steps of a run, and its loss and the terms of the loss at each of them; NaN where a step lacks one."""
    lines = [json.loads(line) for line in (run / METRICS_FILE).read_text().splitlines()]
    names = dict.fromkeys(name for line in lines for name in line if name == "loss" or name.startswith("terms/"))
    steps = np.array([line["step"] for line in lines], dtype=np.int64)
    values = {name: np.array([line.get(name, np.nan) for line in lines]) for name in names}
    return steps, {name.removeprefix("terms/"): of_steps for name, of_steps in values.items()}


def read_scores(run: Path, step: int) -> dict[int, float]:
    """The scores that a run logged up to `step`, by their steps; nothing for a run that has no log."""
    path = run / METRICS_FILE
    lines = path.read_text(errors="replace").splitlines() if path.exists() else ()
    logged = [json.loads(line) for line in lines if (at := _step_of(line)) is not None and at <= step]
    return {line["step"]: float(line[SCORE]) for line in logged if SCORE in line}


def _wait_for_a_later_second(run: Path) -> None:
    """TensorBoard reads files of events in the order of their names, which begin with the second they were made in.

    Of two in one second it may read the later one first, and then it drops what the other one has.
    """
    seconds = [int(file.name.split(".")[3]) for file in run.glob("events.out.tfevents.*")]
    while seconds and time.time() < max(seconds) + 1 <= time.time() + 2:
        time.sleep(0.02)


def _forget_after(path: Path, step: int) -> None:
    """Remove the lines of steps that a resumed run repeats, and a line that a crash cut off."""
    if path.exists():
        kept = [
            line
            for line in path.read_text(errors="replace").splitlines()
            if (at := _step_of(line)) is not None and at <= step
        ]
        # A full disk or a kill must not take the lines so far.
        write_whole(path, "".join(line + "\n" for line in kept))


def _step_of(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except ValueError:
        return None
