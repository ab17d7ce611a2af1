"""`gfp-cost`: the cost table of the papers, counted on the modules and timed on this machine."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.table import Table

from gfp_serve.cli.options import Command, options_from, version_option
from gfp_serve.cli.printing import output, print_json
from gfp_serve.cli.progress import progress, status, warn
from gfp_serve.devices import Device
from gfp_serve.settings import choice_of, setting
from trainer.config import PRESETS, TrainConfig
from trainer.data.store import ClipStore
from trainer.encoders import Encoder, EncoderConfig, type_of
from trainer.encoders import config_types as encoder_types
from trainer.encoders.transformer import TransformerConfig
from trainer.flops import ENCODER, ENCODER_ALL_TOKENS, cost_table, not_counted, parameter_table, published_costs
from trainer.loop import Trainer
from trainer.objectives import NoObjectiveConfig, ObjectiveConfig, config_types, installed, needed_encoder
from trainer.objectives import name_of as objective_name
from trainer.speed import StepTimes, measure_steps

# More parts than these are summed in the table, which would be too wide for a terminal.
_MOST_PARTS = 4

# The paper compares with this objective, with the size of decoder in its cost table.
COMPARED_WITH = "mamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfig:
    """What is counted and how it is timed."""

    encoder: EncoderConfig = choice_of(encoder_types, TransformerConfig, "What turns bodies into vectors.")
    num_frames: int = setting(120, "Frames of a clip.")
    batch_clips: int = setting(32, "Clips in a step.")
    rounds: int = setting(5, "Number of times that each objective is timed; the median counts.")
    device: Device = setting("auto", "Where to run; auto takes the GPU when there is one.")
    compile: Literal["auto", "off", "fused", "graphs"] = setting("auto", "torch.compile, as in gfp-train.")
    num_threads: int = setting(0, "CPU threads; 0 lets torch choose.")
    # A preset sets this, and no option does: the one objective that does not have its default settings.
    objective: ObjectiveConfig | None = None

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise ValueError(f"--num-frames is {self.num_frames}; it must be at least 1.")
        if self.rounds < 1:
            raise ValueError(f"--rounds is {self.rounds}; it must be at least 1.")

    def train_config(self, objective: str) -> TrainConfig:
        """The settings of a run with this objective."""
        own = self.objective
        if own is None or objective_name(own) != objective:
            own = config_types()[objective]()
        return TrainConfig(
            encoder=self.encoder,
            num_frames=self.num_frames,
            objective=own,
            batch_clips=self.batch_clips,
            device=self.device,
            compile=self.compile,
            num_threads=self.num_threads,
        )


# What presets of gfp-train set of all this.
_PRESETS = {
    name: CostConfig(encoder=preset.encoder, num_frames=preset.num_frames, objective=preset.objective)
    for name, preset in PRESETS.items()
}


@click.command(cls=Command)
@version_option
@click.argument("store", metavar="[STORE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--objective",
    "names",
    multiple=True,
    type=click.Choice(list(installed())),
    help="Objective to show; may be given several times. [default: that of --preset, or all that fit the encoder]",
)
@options_from(CostConfig, presets=_PRESETS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def gfp_cost(store: Path | None, names: tuple[str, ...], config: CostConfig, as_json: bool) -> None:
    """Show what a training step of each objective costs: GFLOP of its parts for a clip of two bodies, and parameters.

    It also shows what an embedding costs, and the figures of papers that count the same encoder.
    With STORE it also times steps on its clips, all objectives in turn, beside mamp as in the published table. All
    objectives have the same encoder, and each has its default settings. --preset takes encoder, frames and objective
    of a preset of gfp-train. What an embedding by a bundle costs on this machine, `gfp-serve bundle` says.
    """
    if isinstance(config.objective, NoObjectiveConfig) and not names:
        raise click.UsageError(
            "this preset has no objective, and what it learns from labels and views is not counted; gfp-serve bundle "
            "says what an embedding by its bundle takes. Name an --objective, or another preset."
        )
    fitting = [name for name in installed() if issubclass(type_of(config.encoder), _needed(name))]
    of_preset = None if config.objective is None else objective_name(config.objective)
    chosen = list(dict.fromkeys(names or ([of_preset] if of_preset else fitting)))
    if store is not None and COMPARED_WITH not in chosen and COMPARED_WITH in fitting:
        chosen.append(COMPARED_WITH)
    clips = None if store is None else ClipStore.open(store)  # before half a minute of counting
    runs: dict[str, TrainConfig] = {}
    table: dict[str, dict[str, Any]] = {}
    refused: dict[str, ValueError] = {}
    for name in chosen:
        try:
            run = config.train_config(name)
            with status(f"counting {name}"):
                table[name] = _counted(run)
            runs[name] = run
        except ValueError as error:
            if name in names or name == of_preset:
                raise click.UsageError(str(error)) from error
            refused[name] = error
    if not table:
        first = next(iter(refused.values()))
        raise click.UsageError(str(first)) from first
    for name, problem in refused.items():
        warn(f"{name} is left out: {problem}")
    if clips is not None:
        for name, times in _time(runs, clips, config.rounds).items():
            table[name] |= {"clips_per_s": times.clips_per_s, "step_s": times.seconds}
    print_json(table) if as_json else _print_table(table, config)


def _counted(run: TrainConfig) -> dict[str, Any]:
    """What the modules of a run cost. Raises `ValueError` for settings that do not fit each other."""
    sizes: dict[str, Any] = {"num_frames": run.num_frames}
    gflop = cost_table(run.encoder, run.objective, **sizes)
    published = published_costs(run.encoder, run.objective, **sizes)
    return {
        "gflop": gflop,
        "parameters": parameter_table(run.encoder, run.objective, **sizes),
        "not_counted": not_counted(run.encoder, run.objective, **sizes),
        "step_gflop": _of_step(gflop),
        "embedding_gflop": gflop[ENCODER_ALL_TOKENS],
        **({"gflop_published": published} if published else {}),
    }


def _needed(objective: str) -> type[Encoder]:
    return needed_encoder(config_types()[objective]())


def _time(runs: dict[str, TrainConfig], clips: ClipStore, rounds: int) -> dict[str, StepTimes]:
    with tempfile.TemporaryDirectory() as folder, progress() as bars:
        bar = bars.add("time steps", "percent")
        try:
            trainers = {name: Trainer(run, clips, Path(folder)) for name, run in runs.items()}
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        on_gpu = any(trainer.device.type == "cuda" for trainer in trainers.values())
        return measure_steps(
            trainers,
            rounds=rounds,
            steps_per_round=20 if on_gpu else 1,
            show=bar.reach,
        )


def _print_table(table: dict[str, dict[str, Any]], config: CostConfig) -> None:
    parts = list(dict.fromkeys(part for row in table.values() for part in row["gflop"] if part != ENCODER_ALL_TOKENS))
    in_columns = len(parts) <= _MOST_PARTS
    if not in_columns:
        parts = [ENCODER]
    shown = Table(title="forward pass, GFLOP a clip of two bodies", title_justify="left")
    shown.add_column("objective", no_wrap=True)
    timed = any("clips_per_s" in row for row in table.values())
    compared = timed and COMPARED_WITH in table
    of_time = ("clips/s", *([f"× {COMPARED_WITH}"] if compared else [])) if timed else ()
    others = () if in_columns else ("other parts",)
    for column in (*parts, *others, "step", "embedding", "M weights in training", *of_time):
        shown.add_column(column, justify="right")
    for name, row in table.items():
        cells = [
            *_gflop_cells(row["gflop"], parts, with_others=not in_columns),
            f"{sum(row['parameters'].values()) / 1e6:.2f}",
        ]
        if timed:
            speed = row["clips_per_s"]
            cells.append(f"{speed:.1f}")
            if compared:
                cells.append(f"{speed / table[COMPARED_WITH]['clips_per_s']:.2f}")
        shown.add_row(name, *cells)
        if published := row.get("gflop_published"):
            cells = _gflop_cells(published, parts, with_others=not in_columns)
            cells[-2] = ""  # no paper has the sum
            shown.add_row("  as published", *cells, style="dim")
    captions = [] if in_columns else ["--json has each part"]
    if kinds := sorted({kind for row in table.values() for kind in row["not_counted"]}):
        captions.append(f"what {', '.join(kinds)} compute is not counted, so the true cost is higher")
    if timed:
        captions.append(f"steps of {config.batch_clips} clips")
    shown.caption, shown.caption_justify = "; ".join(captions), "left"
    output().print(shown)


def _of_step(gflop: dict[str, float]) -> float:
    return sum(each for part, each in gflop.items() if part != ENCODER_ALL_TOKENS)


def _gflop_cells(gflop: dict[str, float], parts: list[str], *, with_others: bool) -> list[str]:
    """The cells of the parts, of all others if asked for, of a step and of an embedding; empty if it is not known."""
    of_step = _of_step(gflop)
    others = of_step - sum(gflop.get(part, 0.0) for part in parts)
    return [
        *(f"{gflop[part]:.2f}" if part in gflop else "" for part in parts),
        *([f"{others:.2f}" if others else ""] if with_others else []),
        f"{of_step:.2f}" if of_step else "",
        f"{gflop[ENCODER_ALL_TOKENS]:.2f}" if ENCODER_ALL_TOKENS in gflop else "",
    ]
