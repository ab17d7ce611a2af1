"""The longest training of the general encoder in the time that is left, its evaluation, and its checkpoint in pieces.

First steps are timed, and the number of epochs is chosen so that the learning rate comes to its end in time. If time
runs out all the same, SIGINT stops the run with a checkpoint. The same call again goes on with it.
"""

import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.made_up_clips import write_store
from benchmarks.on_gpu.settings import Settings, caught
from gfp_serve.formats import TEST_SPLIT
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import PRESETS, TrainConfig
from trainer.data.store import ClipStore
from trainer.encoders.transformer import TransformerConfig
from trainer.loop import Trainer
from trainer.metrics import read_terms
from trainer.schedule import steps_per_epoch
from trainer.speed import measure_steps
from trainer.terms import TermsConfig

PIECE_BYTES = 16 << 20
# For the evaluation at the end; for a step, a checkpoint and a picture after SIGINT; for both, at most this share.
EVALUATION_S, STOP_S, AT_MOST = 60.0, 20.0, 0.3
# The share of the time for training that its epochs are to fill: the speed was measured for a few seconds.
FILLED = 0.9
# Of a rehearsal, which shows whether everything runs.
TINY_EPOCHS = 3


def run(settings: Settings) -> dict[str, Any]:
    start = time.perf_counter()
    end = start + settings.seconds
    store = _store(settings)
    run_folder = settings.out / "general-run"
    stop_at = end - min(EVALUATION_S + STOP_S, AT_MOST * settings.seconds)
    found: dict[str, Any] = {"clips": len(store), "made_up": settings.store is None}
    if (run_folder / CHECKPOINT_FILE).exists():
        words = ["--resume"]
    else:
        config, speed = _timed(settings, store)
        words, planned = _words(settings, config, store, speed, stop_at - time.perf_counter())
        found |= {"steps_per_s": speed, "planned_epochs": planned}
    found |= _train(store, run_folder, words, stop_at)
    found["checkpoint"] = _cut(run_folder / CHECKPOINT_FILE, settings.out / "general-checkpoint")
    found["evaluation"] = caught(lambda: _evaluated(settings, store, run_folder, end - time.perf_counter()))
    found["unfinished"] = found["steps"] < found["total_steps"] or "error" in found["evaluation"]
    return found


def _store(settings: Settings) -> ClipStore:
    if settings.store is not None:
        return ClipStore.open(settings.store)
    made = settings.out / "made-up-store"
    if not made.exists():
        write_store(
            made, num_clips=60 if settings.tiny else 4096, one_body_share=1.0, num_classes=6 if settings.tiny else 60
        )
    return ClipStore.open(made)


def _config(settings: Settings, compile_mode: str) -> TrainConfig:
    config = replace(PRESETS["general"], device=settings.device, compile=compile_mode)  # type: ignore[arg-type]
    if not settings.tiny:
        return config
    terms = TermsConfig(label_weight=1.0, statistics_weight=1.0, embedding_size=16, statistics_size=8, term_tokens=20)
    encoder = TransformerConfig(width=16, depth=1, num_heads=2, frame="body")
    return replace(config, encoder=encoder, terms=terms, batch_clips=8)


def _timed(settings: Settings, store: ClipStore) -> tuple[TrainConfig, float]:
    """The settings of the run, and its steps a second. CUDA graphs are taken if gfp's kept to its losses with them."""
    mode = "off"
    if settings.device == "cuda":
        mode = "graphs" if _graphs_hold(settings.out) else "fused"
    config = _config(settings, mode)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, store, Path(folder))
        steps = 1 if settings.device == "cpu" else 50
        times = measure_steps({"": trainer}, rounds=3, steps_per_round=steps, warmup_steps=1 if settings.tiny else 5)
    return config, times[""].clips_per_s / config.batch_clips


def _graphs_hold(out: Path) -> bool:
    fused, graphs = (out / f"gfp_{mode}.json" for mode in ("fused", "graphs"))
    if not (fused.exists() and graphs.exists()):
        return False
    theirs, ours = (json.loads(file.read_text()) for file in (fused, graphs))
    return ours["cudagraph_skips"] == 0 and all(
        abs(a - b) <= 0.02 * abs(b) for a, b in zip(ours["first_losses"], theirs["first_losses"], strict=True)
    )


def _words(
    settings: Settings, config: TrainConfig, store: ClipStore, steps_per_s: float, seconds: float
) -> tuple[list[str], int]:
    steps = _steps_per_epoch(store, config)
    epochs = max(1, int(FILLED * seconds * steps_per_s / steps))
    if settings.tiny:
        epochs = min(epochs, TINY_EPOCHS)
    saves = max(1, round(60 * steps_per_s / steps))  # one a minute
    words = ["--preset", "general", "--device", settings.device, "--compile", config.compile]
    words += ["--epochs", str(epochs), "--save-every-epochs", str(min(saves, epochs))]
    if settings.tiny:
        words += ["--width", "16", "--depth", "1", "--num-heads", "2", "--batch-clips", "8", "--term-tokens", "20"]
        words += ["--embedding-size", "16", "--statistics-size", "8", "--log-every-steps", "5"]
    return words, epochs


def _steps_per_epoch(store: ClipStore, config: TrainConfig) -> int:
    return steps_per_epoch(int((store.splits != TEST_SPLIT).sum()), config.batch_clips)


def _command(name: str, *words: object) -> list[str]:
    return [sys.executable, "-c", f"from trainer.cli import {name}; {name}()", *map(str, words)]


def _train(store: ClipStore, run_folder: Path, words: list[str], stop_at: float) -> dict[str, Any]:
    process = subprocess.Popen(_command("gfp_train", store.path, "--out", run_folder, *words))
    stopped = False
    try:
        process.wait(max(1.0, stop_at - time.perf_counter()))
    except subprocess.TimeoutExpired:
        stopped = True
        process.send_signal(signal.SIGINT)
        process.wait(60)
    checkpoint = Checkpoint.read(run_folder)
    steps, terms = read_terms(run_folder)
    config = checkpoint.config
    return {
        "exit_code": process.returncode,
        "stopped_by_time": stopped,
        "steps": checkpoint.step,
        "total_steps": config.epochs * _steps_per_epoch(store, config),
        "clips_seen": checkpoint.step * config.batch_clips,
        "settings": config.settings(),
        "terms": {name: [float(values[0]), float(values[-1])] for name, values in terms.items() if len(steps)},
    }


def _evaluated(settings: Settings, store: ClipStore, run_folder: Path, seconds: float) -> dict[str, Any]:
    report = settings.out / "general-retrieval"
    subprocess.run(
        _command("gfp_evaluate", "retrieval", run_folder, store.path, "--device", settings.device, "--out", report),
        check=True,
        timeout=max(5.0, seconds),
    )
    found = json.loads((report / "report.json").read_text())
    return {name: found[name] for name in ("chance_percent", "top1_percent", "top1_percent_readout")}


def _cut(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """The checkpoint in pieces, with a script that joins them and checks the whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    content = checkpoint.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    pieces = [content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES)]
    for number, piece in enumerate(pieces):
        (folder / f"{CHECKPOINT_FILE}.{number:03d}").write_bytes(piece)
    (folder / "join.sh").write_text(
        f'cd "$(dirname "$0")" && cat {CHECKPOINT_FILE}.??? > {CHECKPOINT_FILE} && '
        f'echo "{digest}  {CHECKPOINT_FILE}" | sha256sum --check\n'
    )
    return {"sha256": digest, "bytes": len(content), "pieces": len(pieces)}
