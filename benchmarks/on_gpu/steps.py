"""Whole steps, by benchmarks/train_step.py: gfp in fused kernels and in CUDA graphs, and mamp."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.on_gpu.settings import Settings

_PROGRAM = Path(__file__).parents[1] / "train_step.py"
NUM_LOSSES = 20


def gfp_fused(settings: Settings) -> dict[str, Any]:
    return _measured(settings, "gfp_fused", "gfp", "fused", "--profile")


def gfp_graphs(settings: Settings) -> dict[str, Any]:
    return _measured(settings, "gfp_graphs", "gfp", "graphs")


def mamp_fused(settings: Settings) -> dict[str, Any]:
    return _measured(settings, "mamp_fused", "mamp", "fused")


def _measured(settings: Settings, name: str, side: str, compile_mode: str, *words: str) -> dict[str, Any]:
    sizes = (
        ["--batch-clips", "4", "--rounds", "2", "--steps", "1", "--tiny"] if settings.tiny else ["--batch-clips", "128"]
    )
    losses = str(2 if settings.tiny else NUM_LOSSES)
    report = settings.out / f"{name}.steps.json"
    subprocess.run(
        [
            *(sys.executable, str(_PROGRAM), "--device", settings.device, "--side", side, "--mix", "0"),
            *(
                "--compile",
                compile_mode,
                "--losses",
                losses,
                "--no-published-mamp",
                "--out",
                str(report),
                *sizes,
                *words,
            ),
        ],
        check=True,
    )
    found = json.loads(report.read_text())
    (facts,) = next(iter(found["mixes"].values())).values()
    return {"device": found["device"], "batch_clips": found["batch_clips"], **facts}
