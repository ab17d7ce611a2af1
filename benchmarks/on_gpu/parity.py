"""Whether all objectives and terms compute on the device what a CPU computes, and whether a step waits for it."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.made_up_clips import write_store
from benchmarks.on_gpu.settings import Settings, caught
from tests.support.parity import CASES, CPU, difference, make_case, take_step
from tests.support.small_runs import tiny_config, tiny_general_config
from trainer.config import PRESETS
from trainer.encoders.transformer import TransformerConfig
from trainer.loop import Trainer
from trainer.step import repeatable

# Of the published size, and of the size that ships.
FULL = {"gfp": TransformerConfig(), "mamp": TransformerConfig(), "labels": PRESETS["general"].encoder}


def run(settings: Settings) -> dict[str, Any]:
    cases = {name: (name, None) for name in CASES}
    if not settings.tiny:
        cases |= {f"{name}, full size": (name, encoder) for name, encoder in FULL.items()}
    return {
        "differences": {label: caught(lambda case=case: _compared(settings, *case)) for label, case in cases.items()},
        "steps_that_wait_for_nothing": {
            kind: caught(lambda kind=kind: _step(settings, kind)) for kind in ("gfp", "general")
        },
    }


def _compared(settings: Settings, name: str, encoder: TransformerConfig | None) -> dict[str, Any]:
    case = make_case(name, encoder)
    expected = take_step(case, CPU, bf16=False)
    found: dict[str, Any] = {"loss": expected.loss}
    for precision in ("float32", "bf16"):
        step = take_step(case, torch.device(settings.device), bf16=precision == "bf16")
        found[precision] = {"finite": step.is_finite, **asdict(difference(step, expected))}
    return found


def _step(settings: Settings, kind: str) -> dict[str, Any]:
    """An eager step that fails when anything in it waits for the device."""
    config = {"gfp": tiny_config, "general": tiny_general_config}[kind](device=settings.device, compile="off")
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store", num_clips=24, one_body_share=0.5, num_classes=3)
        trainer = Trainer(config, store, Path(folder) / "run")
        with repeatable(trainer.device):
            for _ in range(2):  # what is made once may wait
                trainer.train_step()
            try:
                if settings.device == "cuda":
                    torch.cuda.set_sync_debug_mode("error")
                outcome = trainer.train_step()
            finally:
                if settings.device == "cuda":
                    torch.cuda.set_sync_debug_mode("default")
        return {"loss": outcome.total.item(), "checked": settings.device == "cuda"}
