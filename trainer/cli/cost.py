"""`gfp-cost`: the paper's cost table, from the live modules and on the present device."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gfp_serve.cli.options import Command, options_from
from gfp_serve.encoder import Device
from gfp_serve.settings import setting, settings_of
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.encoder import EncoderConfig
from trainer.flops import ENCODER_ALL_TOKENS, cost_table, parameter_table
from trainer.loop import Trainer
from trainer.objectives import OBJECTIVES, config_types
from trainer.speed import StepTimes, measure_steps

_errors = Console(stderr=True)


# The paper compares with it, in the decoder's size that its cost table has.
COMPARED_WITH = "mamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class _CostConfig:
    """What is counted, and how it is timed."""

    encoder: EncoderConfig = settings_of(EncoderConfig)
    batch_clips: int = setting(32, "Clips in a step.")
    rounds: int = setting(5, "Turns that each objective gets; the median counts.")
    device: Device = setting("auto", "Where to run; auto takes the GPU when there is one.")
    compile: Literal["auto", "off", "fused", "graphs"] = setting("auto", "torch.compile, as in gfp-train.")
    num_threads: int = setting(0, "CPU threads; 0 leaves the choice to torch.")

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"--rounds is {self.rounds}; it must be at least 1.")

    def run(self, objective: str) -> TrainConfig:
        return TrainConfig(
            encoder=self.encoder,
            objective=config_types()[objective](),
            batch_clips=self.batch_clips,
            device=self.device,
            compile=self.compile,
            num_threads=self.num_threads,
        )


@click.command(cls=Command)
@click.argument("store", metavar="[STORE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--objective",
    "names",
    multiple=True,
    type=click.Choice(list(OBJECTIVES)),
    help="Objective to show; may be given several times. [default: all]",
)
@options_from(_CostConfig)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def gfp_cost(store: Path | None, names: tuple[str, ...], config: _CostConfig, as_json: bool) -> None:
    """What a training step of each objective costs: GFLOP of its parts for a clip of two bodies, and parameters.

    With STORE, steps on its clips are timed too, all objectives in turns on the present device, beside mamp: the
    published table's comparison. Every objective has its own settings' defaults and the same encoder.
    """
    chosen = list(dict.fromkeys(names or OBJECTIVES))
    if store is not None and COMPARED_WITH not in chosen:
        chosen.append(COMPARED_WITH)
    clips = None if store is None else ClipStore.open(store)  # refused before half a minute of counting
    try:
        runs = {name: config.run(name) for name in chosen}
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    table: dict[str, dict[str, Any]] = {
        name: {
            "gflop": cost_table(run.encoder, run.objective, num_frames=run.num_frames),
            "parameters": parameter_table(run.encoder, run.objective, num_frames=run.num_frames),
        }
        for name, run in runs.items()
    }
    if clips is not None:
        for name, times in _time(runs, clips, config.rounds).items():
            table[name] |= {"clips_per_s": times.clips_per_s, "step_s": times.seconds}
    click.echo(json.dumps(table)) if as_json else _print(table, config)


def _time(runs: dict[str, TrainConfig], clips: ClipStore, rounds: int) -> dict[str, StepTimes]:
    columns = (TextColumn("timing steps"), BarColumn(), MofNCompleteColumn(), TextColumn("ETA"), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=_errors, transient=True) as progress:
        task = progress.add_task("time", total=None)
        try:
            trainers = {name: Trainer(run, clips, Path(folder)) for name, run in runs.items()}
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        on_gpu = any(trainer.device.type == "cuda" for trainer in trainers.values())
        return measure_steps(
            trainers,
            rounds=rounds,
            steps_per_round=20 if on_gpu else 1,
            show=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _print(table: dict[str, dict[str, Any]], config: _CostConfig) -> None:
    parts = list(dict.fromkeys(part for row in table.values() for part in row["gflop"] if part != ENCODER_ALL_TOKENS))
    shown = Table(title="forward pass of a training step, GFLOP a clip of two bodies", title_justify="left")
    for column in ("objective", *parts, "sum", "M weights"):
        shown.add_column(column, justify="left" if column == "objective" else "right", no_wrap=column == "objective")
    timed = any("clips_per_s" in row for row in table.values())
    for column in ("clips/s", f"× {COMPARED_WITH}") if timed else ():
        shown.add_column(column, justify="right")
    for name, row in table.items():
        cells = [f"{row['gflop'][part]:.2f}" if part in row["gflop"] else "" for part in parts]
        cells.append(f"{sum(row['gflop'].get(part, 0.0) for part in parts):.2f}")
        cells.append(f"{sum(row['parameters'].values()) / 1e6:.2f}")
        if timed:
            speed = row["clips_per_s"]
            cells += [f"{speed:.1f}", f"{speed / table[COMPARED_WITH]['clips_per_s']:.2f}"]
        shown.add_row(name, *cells)
    everything = next(iter(table.values()))["gflop"][ENCODER_ALL_TOKENS]
    shown.caption = f"an embedding costs {everything:.2f} GFLOP; steps of {config.batch_clips} clips"
    shown.caption_justify = "left"
    Console().print(shown)
