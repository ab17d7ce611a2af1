"""Show how initialisation and loss weights affect the first two epochs of GFP, changing one setting at a time.

    python benchmarks/early_training.py prepare DATA --work WORK   make stores of the files of CLIP_FILES in DATA
    python benchmarks/early_training.py run --work WORK            add missing rows to the report; goes on if stopped
    python benchmarks/early_training.py table                      print the report as a table

A small encoder learns without labels from the clips of eight sets, but not from those of UTD-MHAD's even subjects. Each
run has two epochs in steps of 64 clips, and one seed. The report has for each level: the effective rank of the
decoder's predictions, the std of the targets, and the share of the targets' variance that is not predicted. It ends
with 1-NN accuracy on UTD-MHAD (odd → even subjects): plain (the mean of tokens) and with a fitted read-out.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.preprocess import CleanConfig, PreprocessConfig
from trainer.config import TrainConfig
from trainer.data.importing import ImportConfig, find_sources, import_recordings
from trainer.data.reading import ReadConfig
from trainer.data.store import ClipStore
from trainer.encoders.transformer import TransformerConfig
from trainer.evaluate.candidates import Candidate, untrained
from trainer.evaluate.embeddings import torch_embedder
from trainer.evaluate.folds import split_folds
from trainer.evaluate.retrieval import retrieval
from trainer.loop import StepReport, Trainer
from trainer.objectives.gfp import GfpConfig
from trainer.readout import ReadoutConfig, fit_readout

REPORT = Path("benchmarks/early_training.json")
CLIP_FILES = ("bandai", "cmu_sample", "gtu3d", "hdm05", "kindergator_adults", "nwucla_train", "precog", "utdmhad")
PREPROCESS = PreprocessConfig(cleaning=CleanConfig(align_view=True, scale_torso=True))
CPU = torch.device("cpu")
ENCODER = TransformerConfig(width=64, depth=3, num_heads=2)
GFP = GfpConfig(local_width=256, global_width=512, decoder_depth=1)
# name -> (changed encoder settings, changed objective settings, peak learning rate)
UPSTREAM: dict[str, Any] = {"position_std": 0.02, "input_scale": 1.0}
PRINTED: dict[str, Any] = {"variance_weight": 1.0, "covariance_weight": 5.0}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "default": ({}, {}, 3e-3),
    "published-weights": (UPSTREAM, PRINTED, 3e-3),
    "published start, default weights": (UPSTREAM, {}, 3e-3),
    "default start, published weights": ({}, PRINTED, 3e-3),
    "--position-std 0.02": ({"position_std": 0.02}, {}, 3e-3),
    "--input-scale 1": ({"input_scale": 1.0}, {}, 3e-3),
    "--input-scale 10": ({"input_scale": 10.0}, {}, 3e-3),
    "--motion-pooling absolute": ({}, {"motion_pooling": "absolute"}, 3e-3),
    "--motion-pooling rms": ({}, {"motion_pooling": "rms"}, 3e-3),
    "--target-input joints": ({}, {"target_input": "joints"}, 3e-3),
    "--stop-gradient target": ({}, {"stop_gradient": "target"}, 3e-3),
    "--targets low-level": ({}, {"targets": "low-level"}, 3e-3),
    "--prediction-weight 25": ({}, {"prediction_weight": 25.0}, 3e-3),
    "--peak-lr 1e-3": ({}, {}, 1e-3),
}


@click.group(help=__doc__)
def main() -> None:
    """Keep `table` apart from `run`, so that it needs no training."""


@main.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--work", type=click.Path(path_type=Path), required=True)
def prepare(data: Path, work: Path) -> None:
    """Import the clip files of DATA into the stores of WORK."""
    work.mkdir(parents=True, exist_ok=True)
    config = ImportConfig(read=ReadConfig(cleaning=PREPROCESS.cleaning))
    for name, sets in {"training": CLIP_FILES, "utdmhad": ("utdmhad",)}.items():
        files = [data / f"{each}.npz" for each in sets]
        click.echo(f"{name}: {import_recordings(find_sources(files), work / name, config, overwrite=True)}")


@main.command()
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--variant", "variants", multiple=True, type=click.Choice(list(VARIANTS)), default=tuple(VARIANTS))
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(work: Path, threads: int, variants: tuple[str, ...], out: Path) -> None:
    """Train and measure every variant. Those that the report already has are kept."""
    torch.set_num_threads(threads)
    training, test = ClipStore.open(work / "training"), ClipStore.open(work / "utdmhad")
    report = json.loads(out.read_text()) if out.exists() else {}
    for name in variants:
        if name in report:
            continue
        encoder, objective, peak_lr = VARIANTS[name]
        config = TrainConfig(
            encoder=replace(ENCODER, **encoder),
            objective=replace(GFP, **objective),
            epochs=2,
            warmup_epochs=1,
            batch_clips=64,
            peak_lr=peak_lr,
            floor_lr=5e-4,
            device="cpu",
            save_every_epochs=2,
            log_every_steps=26,
        )
        report[name] = _measured(config, training, test, work / "early" / name.replace(" ", "_"))
        out.write_text(json.dumps(report, indent=1) + "\n")
        click.echo(f"{name}: {report[name]['top1']}")


def _measured(config: TrainConfig, training: ClipStore, test: ClipStore, folder: Path) -> dict[str, Any]:
    trainer = Trainer(config, training, folder)
    steps: list[dict[str, float]] = []

    def note(now: StepReport) -> None:
        if now.metrics:
            kept = {name: value for name, value in now.metrics.items() if "/" in name or name == "loss"}
            steps.append({"step": now.step, **kept})

    trainer.fit(note)
    models = {"start": untrained(config), "end": trainer.objective.encoder.eval()}
    tested = [
        Candidate(f"{when} {kind}", kind, torch_embedder(model, CPU), PREPROCESS)
        for when, encoder in models.items()
        for kind, model in (
            ("plain", encoder),
            ("read-out", fit_readout(encoder, training, PREPROCESS.sampling, ReadoutConfig(), CPU)),
        )
    ]
    top1 = {found.candidate.name: found.answers.accuracy for found in retrieval(test, split_folds(test), tested)}
    return {"top1": top1, "steps": steps}


@main.command()
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(out: Path) -> None:
    """Print the report as Markdown."""
    report = json.loads(out.read_text())
    console = Console(width=250, soft_wrap=True)
    levels = ("short", "mid", "long", "global")
    console.print("| changed | rank predicted | std of targets | unpredicted | 1-NN plain / fitted |")
    console.print("|---|---|---|---|---|")
    for name, found in report.items():
        last = found["steps"][-1]
        cells = [
            " ".join(f"{last[f'{level}/{what}']:{form}}" for level in levels)
            for what, form in (("prediction_rank", ".0f"), ("target_std", ".2f"), ("unpredicted", ".2f"))
        ]
        console.print(
            f"| {name} | "
            + " | ".join(cells)
            + f" | {found['top1']['end plain']:.0f} / {found['top1']['end read-out']:.0f} |"
        )


if __name__ == "__main__":
    main()
