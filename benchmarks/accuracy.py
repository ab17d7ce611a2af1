"""Accuracy of the objectives at equal steps and equal data, on clips that a pair of CPU cores can learn from.

    python benchmarks/accuracy.py prepare DATA --work WORK     clip files of DATA (see CLIP_FILES) into stores
    python benchmarks/accuracy.py run --work WORK              what is not yet in the report, row by row; may be stopped
    python benchmarks/accuracy.py table                        the report as the README's table

Trained without labels on the clips of all sets but Florence, UTD-MHAD's even subjects left out. Measured by 1-NN
(plain: the mean of tokens as published; fitted: a read-out fitted without labels on the training clips) and by linear
probe, on UTD-MHAD odd → even subjects, and on Florence and KinderGator adults (coarse classes) with 2 cross-subject
folds. KinderGator's clips are among those trained and fitted on, without labels; of the others no tested clip is.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click
import numpy as np
import torch
from rich.console import Console
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.preprocess import PreprocessConfig
from trainer.config import TrainConfig
from trainer.embedding import PoseStatistics
from trainer.encoder import EncoderConfig
from trainer.evaluate.candidates import Candidate, untrained
from trainer.evaluate.embeddings import torch_embedder
from trainer.evaluate.folds import Fold, chance, cross_subject_folds, split_folds
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.linear_probe import LinearProbeConfig, linear_probe
from trainer.evaluate.retrieval import retrieval
from trainer.importing import ImportConfig, find_sources, import_recordings
from trainer.loop import Progress, Trainer
from trainer.objectives import OBJECTIVES, config_types
from trainer.reading import ReadConfig
from trainer.readout import ReadoutConfig, fit_readout
from trainer.store import ClipStore

CLIP_FILES = ("bandai", "cmu_sample", "gtu3d", "hdm05", "kindergator_adults", "nwucla_train", "precog", "utdmhad")
TESTED = {"utdmhad": None, "florence3d": 2, "kindergator_coarse": 2}  # cross-subject folds; None = the file's split
PREPROCESS = PreprocessConfig(align_view=True, scale_torso=True)
CPU = torch.device("cpu")
REPORT = Path("benchmarks/accuracy.json")

# The same for all: a small encoder, few steps. Decoders of tokens have 3 blocks, as MAMP's own NTU-60 script.
ENCODER = EncoderConfig(width=64, depth=3, num_heads=2)
BATCH_CLIPS = 64
WIDTHS = {"local_width": 256, "global_width": 512, "decoder_depth": 3}


@click.group(help=__doc__)
def main() -> None:
    torch.set_num_threads(2)


@main.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--work", type=click.Path(path_type=Path), required=True)
def prepare(data: Path, work: Path) -> None:
    """Import the clip files of DATA into the stores of WORK."""
    work.mkdir(parents=True, exist_ok=True)
    with np.load(data / "kindergator_adults.npz") as arrays:
        coarse = dict(arrays)
    coarse["label"], coarse["class_names"] = coarse.pop("coarse_label"), coarse.pop("coarse_names")
    np.savez_compressed(work / "kindergator_coarse.npz", **coarse)
    stores = {"training": [data / f"{name}.npz" for name in CLIP_FILES]}
    stores |= {name: [data / f"{name}.npz"] for name in TESTED if name != "kindergator_coarse"}
    stores["kindergator_coarse"] = [work / "kindergator_coarse.npz"]
    for name, files in stores.items():
        config = ImportConfig(read=ReadConfig(preprocess=PREPROCESS))
        click.echo(f"{name}: {import_recordings(find_sources(files), work / name, config, overwrite=True)}")


@main.command()
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--steps", default=400, show_default=True, help="Steps of 64 clips, the same for all.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--objective", "objectives", multiple=True, default=tuple(OBJECTIVES), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(work: Path, steps: int, seeds: int, objectives: tuple[str, ...], out: Path) -> None:
    """Train and measure every objective with every seed; rows that the report has are not made again."""
    report = json.loads(out.read_text()) if out.exists() else {"rows": []}
    about = {"steps": steps, "batch_clips": BATCH_CLIPS, "encoder": "64 × 3, 2 heads", "torch": torch.__version__}
    training = ClipStore.open(work / "training")
    about["clips_sha256"] = training.content_digest
    if report["rows"] and report["about"] != about:
        raise click.UsageError(f"{out} is of {report['about']}, this would be {about}; name another --out.")
    report["about"] = about
    tests = {name: ClipStore.open(work / name) for name in TESTED}
    report["chance"] = {name: chance(store, _folds(name, store)) for name, store in tests.items()}
    done = {(row["embedding"], row["seed"]) for row in report["rows"]}
    # Seed by seed, so that what there is after a stop is even.
    for seed in range(seeds):
        for name in ("pose statistics", "untrained", *objectives):
            if (name, seed) in done or (name == "pose statistics" and seed):
                continue
            row = _row(name, seed, training, tests, steps, work / "runs" / f"{name}-{seed}")
            report["rows"].append(row)
            out.write_text(json.dumps(report, indent=1) + "\n")
            click.echo(f"{name} {seed}: {row['wall_s']:.0f} s, {row['top1']}")


def _row(
    name: str, seed: int, training: ClipStore, tests: dict[str, ClipStore], steps: int, folder: Path
) -> dict[str, Any]:
    start = time.perf_counter()
    model: nn.Module
    config = _config(name if name in OBJECTIVES else "gfp", seed, steps, training)
    row: dict[str, Any] = {"embedding": name, "seed": seed}
    if name == "pose statistics":
        model = PoseStatistics()
    elif name == "untrained":
        model = untrained(config)
    else:
        trainer = Trainer(config, training, folder)
        last: list[Progress] = []
        trainer.fit(lambda now: last.append(now) if now.metrics else None)
        model, row["metrics"] = trainer.objective.encoder.eval(), last[-1].metrics
    row["wall_s"] = time.perf_counter() - start
    fitted = fit_readout(model, training, PREPROCESS, ReadoutConfig(), CPU)
    row["top1"] = {}
    for test, store in tests.items():
        folds = _folds(test, store)
        candidates = [
            Candidate(name, kind, torch_embedder(embedding, CPU), PREPROCESS)
            for kind, embedding in (("plain", model), ("fitted", fitted))
        ]
        plain, better = (found.answers.accuracy for found in retrieval(store, folds, candidates))
        row["top1"][test] = {"plain": plain, "fitted": better, "linear": _linear(model, store, folds, seed)}
    return row


def _linear(model: nn.Module, store: ClipStore, folds: list[Fold], seed: int) -> float:
    clips, config = LabelledClips(store, PREPROCESS, CPU), LinearProbeConfig(augment=False, seed=seed)
    right = [(linear_probe(model, clips, fold, config).predictions == store.labels[fold.test]).mean() for fold in folds]
    return 100.0 * float(np.mean(right))


def _config(objective: str, seed: int, steps: int, training: ClipStore) -> TrainConfig:
    settings = config_types()[objective]()
    known = {name: value for name, value in WIDTHS.items() if hasattr(settings, name)}
    per_epoch = int((training.splits != 1).sum()) // BATCH_CLIPS
    epochs = round(steps / per_epoch)
    return TrainConfig(
        encoder=ENCODER,
        objective=replace(settings, **known),
        epochs=epochs,
        warmup_epochs=max(1, epochs // 10),
        batch_clips=BATCH_CLIPS,
        peak_lr=3e-3,
        seed=seed,
        device="cpu",
        save_every_epochs=epochs,
    )


def _folds(name: str, store: ClipStore) -> list[Fold]:
    count = TESTED[name]
    return split_folds(store) if count is None else cross_subject_folds(store, count)


@main.command()
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(out: Path) -> None:
    """Print the report as Markdown: mean ± standard deviation over seeds."""
    report = json.loads(out.read_text())
    console = Console(width=250, soft_wrap=True)
    console.print(
        "| embedding | seeds | training | " + " | ".join(f"{name}: 1-NN / fitted / linear" for name in TESTED) + " |"
    )
    console.print("|---|---|---|" + "---|" * len(TESTED))
    console.print("| chance | | | " + " | ".join(f"{report['chance'][name]:.1f}" for name in TESTED) + " |")
    for name in dict.fromkeys(row["embedding"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["embedding"] == name]
        wall = f"{mean(row['wall_s'] for row in rows):.0f} s" if name in OBJECTIVES else ""
        cells = [" / ".join(_spread(rows, test)) for test in TESTED]
        console.print(f"| {name} | {len(rows)} | {wall} | " + " | ".join(cells) + " |")


def _spread(rows: list[dict[str, Any]], test: str) -> Iterator[str]:
    for kind in ("plain", "fitted", "linear"):
        values = [row["top1"][test][kind] for row in rows]
        yield f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
