"""What a run says of itself in its folder: `config.toml`, its settings, and `run.json`, what they were used with."""

import json
import math
import platform
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gfp_serve import __version__
from gfp_serve.cores import num_cores
from gfp_serve.files import write_whole
from trainer import parallel
from trainer.loop import RunEnd, Trainer

SETTINGS_FILE = "config.toml"
RECORD_FILE = "run.json"

_PACKAGES = ("torch", "numpy")
# What later runs and comparisons calculate with.
_COUNTS = ("steps", "of_steps", "wall_s", "device_s")
# The record before a run that begins.
NEW_RUN: dict[str, Any] = {"wall_s": 0.0, "device_s": 0.0}


def read_record(run: Path) -> dict[str, Any]:
    """What `write_record` wrote into the folder of a run; nothing if it did not, or if the file is damaged.

    The seconds of a run are not there if those of an earlier part of it are not known.
    """
    try:
        record = json.loads((run / RECORD_FILE).read_text())
    except (OSError, ValueError):
        return {}
    is_sound = isinstance(record, dict) and all(_is_count(record.get(name, 0)) for name in _COUNTS)
    return record if is_sound else {}


def _gpu(device: torch.device) -> dict[str, str]:
    return {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < math.inf


def write_record(
    run: Path,
    trainer: Trainer,
    settings: Iterable[str],
    *,
    before: dict[str, Any],
    wall_s: float = 0.0,
    ended: RunEnd | None = None,
) -> None:
    """Write both files: at the begin of a run, after each checkpoint, and at its end.

    So the seconds of a run that was killed are those of the steps that its checkpoint has. `wall_s` are those of this
    part. `before` is the record of the part that a resumed run goes on from, or `NEW_RUN`: seconds are added up, and
    versions are those of the last part.
    """
    seconds = {"wall_s": wall_s, "device_s": wall_s * parallel.num_processes()}
    begun = datetime.now(UTC) - timedelta(seconds=wall_s)
    record = {
        "begun": before.get("begun", begun.isoformat(timespec="seconds")),
        "store": {"content_sha256": trainer.store.content_digest, "clips": len(trainer.store)},
        # The encoder that it started from, and its teacher; which clips these saw is in the checkpoint.
        **{
            role: {name: value for name, value in about.items() if name != "data"}
            for role, about in trainer.origin.items()
        },
        "training_clips": len(trainer.clips.index),
        "steps": trainer.step,
        "of_steps": trainer.total_steps,
        **trainer.length_changes,
        "clips_seen": trainer.step * trainer.config.batch_clips,
        "stopped_by": None if ended is None or ended.signal is None else ended.signal.name,
        # Of a part whose record is lost they are not known, and a sum without them would be too small.
        **{name: round(before[name] + seconds[name], 1) for name in seconds if name in before},
        "device": trainer.device.type,
        "processes": parallel.num_processes(),
        "precision": "bf16" if trainer.bf16 else "fp32",
        "versions": {
            "gfp-serve": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
        # Of encoders and objectives that are not built in.
        "packages": trainer.config.packages(),
        "machine": {"system": platform.platform(), "cores": num_cores(), **_gpu(trainer.device)},
    }
    run.mkdir(parents=True, exist_ok=True)
    write_whole(run / SETTINGS_FILE, "".join(f"{line}\n" for line in settings))
    write_whole(run / RECORD_FILE, json.dumps(record, indent=1) + "\n")
