"""Measure the time of a training step of gfp and of other objectives, with the same clips, encoder and loop.

    python benchmarks/train_step.py                      on this machine's GPU, or its CPU
    python benchmarks/train_step.py --device cuda --batch-clips 128 --out benchmarks/train_step_h200.json

Each side has a process of its own, because torch compiles what sides share only a few times. On a CPU sides take
turns, so that all see the same machine; on a GPU one comes after another, and has its memory alone. The report is
written again after each side or round, so that what was measured stays if time runs out.

Besides medians, the report has the ratio to `mamp`, the ratio that FLOPs alone would give, the share of the device's
peak arithmetic that a step reaches, and the projected time of the published run (400 epochs of NTU-60: 40,091 clips).
"""

import json
import multiprocessing
import platform
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
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
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.encoders.transformer import TransformerConfig
from trainer.flops import cost_table
from trainer.loop import Trainer
from trainer.objectives import config_types
from trainer.speed import StepTimes, measure_steps
from trainer.step import repeatable, skipped_graphs

PUBLISHED_CLIPS = 400 * 40_091
SIDES = ("gfp", "mamp", "skeleton_mae", "s_jepa")
# Clips in the store. More than a batch, so that steps differ.
NUM_CLIPS = 512
# Peak of dense bf16 arithmetic, measured elsewhere with large matrix products, by GPU.
TFLOP_S = {"H100": 798, "H200": 790}


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
@click.option("--tiny", is_flag=True, help="A tiny encoder, to see whether everything runs.")
@click.option("--losses", default=0, help="Also record the losses of this many first steps.")
@click.option("--profile", is_flag=True, help="Write where the time of the first side's step goes, beside the report.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/train_step.json"), show_default=True)
def main(
    device: Any,
    batch_clips: int,
    rounds: int,
    steps: int,
    sides: tuple[str, ...],
    mixes: tuple[int, ...],
    compile_mode: Any,
    published_mamp: bool,
    tiny: bool,
    losses: int,
    profile: bool,
    out: Path,
) -> None:
    encoder = TransformerConfig(width=16, depth=1, num_heads=2) if tiny else TransformerConfig()
    base = TrainConfig(encoder=encoder, batch_clips=batch_clips, device=device, compile=compile_mode)
    flops = {side: cost_table(base.encoder, config_types()[side](), num_frames=base.num_frames) for side in sides}
    cuda = pick_device(device).type == "cuda"
    report: dict[str, Any] = {"batch_clips": batch_clips, "rounds": rounds, "gflop": flops, "mixes": {}}
    report |= {"torch": torch.__version__, "python": platform.python_version()}
    for mix in (MIXES[place] for place in mixes):
        configs = {side: replace(base, objective=config_types()[side]()) for side in sides}
        if published_mamp and not cuda and mix.one_body_share == 0:
            configs["mamp, as published"] = replace(base, objective=config_types()["mamp"](), batch_clips=8)
        facts: dict[str, dict[str, Any]] = {}
        seconds: dict[str, list[float]] = {}
        with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True)) as progress:
            store = write_store(Path(folder) / "store", num_clips=NUM_CLIPS, one_body_share=mix.one_body_share).path
            task = progress.add_task(mix.name, total=rounds * len(configs))
            for together in [[side] for side in configs] if cuda else [list(configs)]:
                with ExitStack() as open_sides:
                    running = {side: open_sides.enter_context(_own_process()) for side in together}
                    for side, process in running.items():
                        report["device"], facts[side] = process.submit(
                            _begin, side, configs[side], store, losses
                        ).result()
                    for _ in range(rounds):
                        for side, process in running.items():
                            took = process.submit(_turn, steps or (20 if cuda else 1)).result()
                            seconds.setdefault(side, []).extend(took)
                            progress.advance(task)
                        times = {
                            side: StepTimes(tuple(each), configs[side].batch_clips) for side, each in seconds.items()
                        }
                        report["mixes"][mix.name] = _report(times, facts, flops, mix, report["device"])
                        out.write_text(json.dumps(report, indent=2) + "\n")
                    for side, process in running.items():
                        facts[side] |= process.submit(_end).result()
                        if profile and side == sides[0]:
                            out.with_suffix(".profile.txt").write_text(process.submit(_profile).result())
                    report["mixes"][mix.name] = _report(times, facts, flops, mix, report["device"])
                    out.write_text(json.dumps(report, indent=2) + "\n")
        _print(mix, report["mixes"][mix.name])
    click.echo(out)


def _own_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


# The side that this process measures.
_trainer: Trainer


def _begin(side: str, config: TrainConfig, store: Path, num_losses: int) -> tuple[str, dict[str, Any]]:
    """Make the side's trainer and take its first steps, in which torch compiles. The device, and what they took."""
    global _trainer  # noqa: PLW0603  (the process is there for this one)
    kind = Published if side == "mamp, as published" else Trainer
    start = time.perf_counter()
    _trainer = kind(config, ClipStore.open(store), store.parent / side)
    made = time.perf_counter()
    losses = []
    with repeatable(_trainer.device):
        for _ in range(max(2, num_losses)):
            losses.append(_trainer.train_step().total.item())
            if len(losses) == 1:
                first = time.perf_counter()
    cuda = _trainer.device.type == "cuda"
    return torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads", {
        "start_s": made - start,
        "first_step_s": first - made,
        "first_losses": losses[:num_losses],
    }


def _turn(steps: int) -> tuple[float, ...]:
    """Seconds of a step, of one turn."""
    return measure_steps({"": _trainer}, rounds=1, steps_per_round=steps, warmup_steps=0)[""].seconds


def _end() -> dict[str, Any]:
    """What is known after all turns."""
    facts: dict[str, Any] = {"cudagraph_skips": skipped_graphs()} if _trainer.config.compile == "graphs" else {}
    if _trainer.device.type == "cuda":
        facts["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return facts


def _report(
    times: dict[str, StepTimes],
    known: dict[str, dict[str, Any]],
    flops: dict[str, dict[str, float]],
    mix: Mix,
    device: str,
) -> dict[str, Any]:
    peak = next((value for name, value in TFLOP_S.items() if name in device), None)
    return {side: _facts(side, times, flops, mix, peak) | known[side] for side in times}


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


def _profile() -> str:
    """Where the time of a step goes, as a table."""
    cuda = _trainer.device.type == "cuda"
    kinds = [torch.profiler.ProfilerActivity.CPU] + [torch.profiler.ProfilerActivity.CUDA] * cuda
    with torch.profiler.profile(activities=kinds) as profile:
        for _ in range(3):
            _trainer.train_step()
        if cuda:
            torch.cuda.synchronize()  # otherwise the profile ends before the device does
    return profile.key_averages().table(sort_by=f"self_{'cuda' if cuda else 'cpu'}_time_total", row_limit=40) + "\n"


if __name__ == "__main__":
    main()
