"""Measure the time of a training step of gfp and of other objectives, with the same clips, encoder and loop, in turns.

    python benchmarks/train_step.py                      on this machine's GPU, or its CPU
    python benchmarks/train_step.py --device cuda --batch-clips 128 --out benchmarks/train_step_h200.json

Besides medians, the report has the ratio to `mamp`, the ratio that FLOPs alone would give, the share of the device's
peak arithmetic that a step reaches, and the projected time of the published run (400 epochs of NTU-60: 40,091 clips).
"""

import json
import platform
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.made_up_clips import write_store
from gfp_serve.encoder import Device
from trainer.config import TrainConfig
from trainer.flops import cost_table
from trainer.loop import Trainer
from trainer.objectives import config_types
from trainer.speed import StepTimes, measure_steps

PUBLISHED_CLIPS = 400 * 40_091
SIDES = ("gfp", "mamp", "skeleton_mae", "s_jepa")
# Clips in the store. More than a batch, so that steps differ.
NUM_CLIPS = 512
# Peak of dense bf16 arithmetic, measured with large matrix products, by GPU.
TFLOP_S = {"H200": 790}


@dataclass(frozen=True)
class Mix:
    """A share of clips has one body; the others have two."""

    name: str
    one_body_share: float


MIXES = (
    Mix("two bodies in every clip", 0.0),
    Mix("40 % of clips with one body", 0.4),
    Mix("40 % of bodies absent", 0.8),
)


@click.command(help=__doc__)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--batch-clips", default=32, show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Number of turns of each side.")
@click.option("--steps", default=0, help="Steps in a turn. [default: 1 on a CPU, 20 on CUDA]")
@click.option("--side", "sides", multiple=True, default=SIDES, show_default=True, help="Objective; may be repeated.")
@click.option("--mix", "mixes", multiple=True, type=click.IntRange(0, 2), default=(0, 1, 2), show_default=True)
@click.option("--compile", "compile_mode", type=click.Choice(["auto", "off", "fused", "graphs"]), default="auto")
@click.option("--published-mamp/--no-published-mamp", default=True, help="Also MAMP with explicit softmax, batch 8.")
@click.option("--profile", is_flag=True, help="Print where the time of the first side's step goes.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/train_step.json"), show_default=True)
def main(
    device: Device,
    batch_clips: int,
    rounds: int,
    steps: int,
    sides: tuple[str, ...],
    mixes: tuple[int, ...],
    compile_mode: Any,
    published_mamp: bool,
    profile: bool,
    out: Path,
) -> None:
    base = TrainConfig(batch_clips=batch_clips, device=device, compile=compile_mode)
    flops = {side: cost_table(base.encoder, config_types()[side](), num_frames=base.num_frames) for side in sides}
    report: dict[str, Any] = {"batch_clips": batch_clips, "rounds": rounds, "gflop": flops, "mixes": {}}
    for mix in (MIXES[place] for place in mixes):
        with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True)) as progress:
            store = write_store(Path(folder) / "store", num_clips=NUM_CLIPS, one_body_share=mix.one_body_share)
            configs = {side: replace(base, objective=config_types()[side]()) for side in sides}
            trainers = {side: Trainer(config, store, Path(folder) / side) for side, config in configs.items()}
            cuda = next(iter(trainers.values())).device.type == "cuda"
            task = progress.add_task(mix.name, total=None)
            if published_mamp and not cuda and mix.one_body_share == 0:
                eight = replace(base, objective=config_types()["mamp"](), batch_clips=8)
                trainers["mamp, as published"] = Published(eight, store, Path(folder) / "published")
            times = measure_steps(
                trainers,
                rounds=rounds,
                steps_per_round=steps or (20 if cuda else 1),
                show=lambda done, total, task=task, progress=progress: progress.update(
                    task, completed=done, total=total
                ),
            )
            peak = next(
                (value for name, value in TFLOP_S.items() if cuda and name in torch.cuda.get_device_name()), None
            )
            report["mixes"][mix.name] = {side: _facts(side, times, flops, mix, peak) for side in times}
            report["device"] = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
            if profile:
                _profile(trainers[sides[0]])
        _print(mix, report["mixes"][mix.name])
    report |= {"torch": torch.__version__, "python": platform.python_version()}
    out.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(out)


class Published(Trainer):
    """Compute attention step by step, with an explicit softmax(Q · K), as the published code does."""

    def train_step(self) -> Any:
        with sdpa_kernel(SDPBackend.MATH):
            return super().train_step()


def _facts(
    side: str, times: dict[str, StepTimes], flops: dict[str, dict[str, float]], mix: Mix, peak: float | None
) -> dict[str, Any]:
    own = times[side]
    facts: dict[str, Any] = {
        "s_per_clip": median(own.seconds) / own.batch_clips,
        "clips_per_s": own.clips_per_s,
        "published_run_minutes": PUBLISHED_CLIPS / own.clips_per_s / 60,
        "step_s": own.seconds,
        "batch_clips": own.batch_clips,
    }
    if side in flops:
        gflop = _step_gflop(flops[side])
        facts["forward_gflop_per_two_body_clip"] = gflop
        # Backward costs twice forward; an absent body costs nothing.
        facts["tflop_per_s"] = 3 * gflop * (1 - mix.one_body_share / 2) * own.clips_per_s / 1e3
        if peak is not None:
            facts["share_of_device"] = facts["tflop_per_s"] / peak
    if "mamp" in times:
        facts["time_of_mamp"] = facts["s_per_clip"] / (median(times["mamp"].seconds) / times["mamp"].batch_clips)
        if side in flops:
            facts["flop_of_mamp"] = _step_gflop(flops[side]) / _step_gflop(flops["mamp"])
    return facts


def _step_gflop(table: dict[str, float]) -> float:
    return sum(value for part, value in table.items() if part != "encoder, all tokens")


def _print(mix: Mix, facts: dict[str, dict[str, Any]]) -> None:
    table = Table("objective", "ms a clip", "clips/s", "time / mamp", "FLOP / mamp", "TFLOP/s", "400 epochs of NTU-60")
    table.title = mix.name
    for side, fact in facts.items():
        table.add_row(
            side,
            f"{1e3 * fact['s_per_clip']:.3g}",
            f"{fact['clips_per_s']:.1f}",
            f"{fact['time_of_mamp']:.3f}" if "time_of_mamp" in fact else "",
            f"{fact['flop_of_mamp']:.3f}" if "flop_of_mamp" in fact else "",
            f"{fact['tflop_per_s']:.2f}" if "tflop_per_s" in fact else "",
            f"{fact['published_run_minutes']:.0f} min",
        )
    Console(width=120).print(table)


def _profile(trainer: Trainer) -> None:
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if trainer.device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profile:
        for _ in range(3):
            trainer.train_step()
    by = "self_cuda_time_total" if trainer.device.type == "cuda" else "self_cpu_time_total"
    click.echo(profile.key_averages().table(sort_by=by, row_limit=25))


if __name__ == "__main__":
    main()
