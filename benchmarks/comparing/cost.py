"""Time and memory of a step of each row, beside gfp."""

import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median

import click

from benchmarks.comparing.rows import settings_of
from benchmarks.made_up_clips import write_store
from trainer.data.store import ClipStore
from trainer.loop import Trainer
from trainer.speed import measure_steps

# Of a process that measures its memory.
_STEPS = 3


def costs(
    names: tuple[str, ...], store: Path | None, *, rounds: int, step_command: list[str]
) -> dict[str, dict[str, float]]:
    """Seconds of a step, the same in steps of gfp, and memory in MB, by row. Without a store, on made-up clips.

    `step_command` is the command that prints what `step_memory` returns, for a row and a store that are put behind it.
    """
    names = tuple(dict.fromkeys(("gfp", *names)))
    with tempfile.TemporaryDirectory() as folder:
        store = store or write_store(Path(folder) / "store", num_clips=64, one_body_share=1.0).path
        clips = ClipStore.open(store)
        trainers = {name: Trainer(settings_of(name, 0), clips, Path(folder) / name) for name in names}
        times = measure_steps(trainers, rounds=rounds, show=lambda done, of: click.echo(f"{done} of {of}", err=True))
        seconds = {name: median(each.seconds) for name, each in times.items()}
        return {
            name: {
                "step_s": seconds[name],
                "time_of_gfp": seconds[name] / seconds["gfp"],
                **_printed([*step_command, name, str(store)]),
            }
            for name in names
        }


def beside(known: dict[str, dict[str, float]], later: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The costs of a report with some that were measured later, when the machine may have been slower or faster.

    What can be compared with the report is how many steps of gfp a step takes, so its seconds are made of that.
    """
    if "gfp" not in known:
        return later
    gfp_s = known["gfp"]["step_s"]
    others = {name: facts for name, facts in later.items() if name != "gfp"}
    return known | {name: {**facts, "step_s": facts["time_of_gfp"] * gfp_s} for name, facts in others.items()}


def _printed(command: list[str]) -> dict[str, float]:
    measured: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured


def step_memory(name: str, store: Path) -> dict[str, float]:
    """The largest memory of this process after some steps, and by how much they raised it, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(settings_of(name, 0), ClipStore.open(store), Path(folder))
        before = _largest_mb()
        for _ in range(_STEPS):
            trainer.train_step()
    return {"peak_mb": _largest_mb(), "step_mb": _largest_mb() - before}


def _largest_mb() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024
