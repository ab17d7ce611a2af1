"""Compare the objectives' accuracy, with equal steps and data. Two CPU cores are enough.

    python benchmarks/accuracy.py prepare DATA --work WORK     make stores of the clip files in DATA (see CLIP_FILES)
    python benchmarks/accuracy.py run --work WORK              add missing rows to the report; may be stopped any time
    python benchmarks/accuracy.py table                        print the report as the tables of docs/benchmarks.md

Encoders are trained without labels on the clips of all sets except Florence and UTD-MHAD's even subjects. They are
measured on UTD-MHAD (odd → even subjects), and on Florence and KinderGator adults (coarse classes) with 2 cross-subject
folds. Each measurement uses 1-NN with four read-outs, and the linear probe (centre crop).

The read-outs are: the mean of tokens as published; the same, centred; a grid of time and joints, whitened; the same
grid, normalised within classes. They are fitted on the training clips; only the last one uses their labels. The test
clips of KinderGator are also training clips, without their labels. Those of the other sets are never trained or fitted
on.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, get_args, get_type_hints

import click
import numpy as np
import torch
from rich.console import Console
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import CleanConfig, PreprocessConfig
from trainer.config import TrainConfig
from trainer.data.importing import ImportConfig, find_sources, import_recordings
from trainer.data.reading import ReadConfig
from trainer.data.store import ClipStore
from trainer.embedding import PoseStatistics
from trainer.encoders.transformer import TransformerConfig
from trainer.evaluate.candidates import untrained
from trainer.evaluate.folds import Fold, chance, cross_subject_folds, split_folds
from trainer.evaluate.labelled import LabelledClips, frozen_features
from trainer.evaluate.linear_probe import LinearProbeConfig, train_linear_head
from trainer.evaluate.retrieval import retrieve
from trainer.loop import StepReport, Trainer
from trainer.objectives import OBJECTIVES, config_types
from trainer.readout import MAX_FIT_CLIPS, ReadoutConfig, grid_of, projection

CLIP_FILES = ("bandai", "cmu_sample", "gtu3d", "hdm05", "kindergator_adults", "nwucla_train", "precog", "utdmhad")
TESTED = {
    "utdmhad": None,
    "florence3d": 2,
    "kindergator_coarse": 2,
}  # number of cross-subject folds; None = the file's split
PREPROCESS = PreprocessConfig(cleaning=CleanConfig(align_view=True, scale_torso=True))
CPU = torch.device("cpu")
REPORT = Path("benchmarks/accuracy.json")

# The same for all objectives: a small encoder, few steps. Decoders of tokens have 3 blocks, as in MAMP's NTU-60 script.
ENCODER = TransformerConfig(width=64, depth=3, num_heads=2)
BATCH_CLIPS = 32
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
        config = ImportConfig(read=ReadConfig(cleaning=PREPROCESS.cleaning))
        click.echo(f"{name}: {import_recordings(find_sources(files), work / name, config, overwrite=True)}")


@main.command()
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--epochs", default=1, show_default=True, help="Passes over the clips, the same number for all.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--objective", "objectives", multiple=True, default=tuple(OBJECTIVES), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def run(work: Path, epochs: int, seeds: int, objectives: tuple[str, ...], out: Path) -> None:
    """Train and measure every objective with every seed. Rows that the report already has are kept."""
    report = json.loads(out.read_text()) if out.exists() else {"rows": []}
    about = {"epochs": epochs, "batch_clips": BATCH_CLIPS, "encoder": "64 × 3, 2 heads", "torch": torch.__version__}
    training = ClipStore.open(work / "training")
    if report["rows"] and report["about"] != about:
        raise click.UsageError(f"{out} was made with {report['about']}; this run has {about}. Choose another --out.")
    report["about"] = about
    tests = {name: ClipStore.open(work / name) for name in TESTED}
    report["chance"] = {name: chance(store, _folds(name, store)) for name, store in tests.items()}
    # Rows of clips that were imported otherwise are measured again, each when its turn comes.
    done = {(row["embedding"], row["seed"]) for row in report["rows"] if row["clips_sha256"] == training.content_digest}
    # Seed by seed, so that after a stop all objectives have about the same number of rows.
    for seed in range(seeds):
        for name in ("pose statistics", "untrained", *objectives):
            if (name, seed) in done or (name == "pose statistics" and seed):
                continue
            row = _row(name, seed, training, tests, epochs, work / "runs" / f"{name}-{seed}")
            others = [each for each in report["rows"] if (each["embedding"], each["seed"]) != (name, seed)]
            report["rows"] = [*others, row]
            out.write_text(json.dumps(report, indent=1) + "\n")
            click.echo(f"{name} {seed}: {row['wall_s']:.0f} s, {row['top1']}")


def _row(
    name: str, seed: int, training: ClipStore, tests: dict[str, ClipStore], epochs: int, folder: Path
) -> dict[str, Any]:
    start = time.perf_counter()
    model: nn.Module
    config = _config(name if name in OBJECTIVES else "gfp", seed, epochs)
    row: dict[str, Any] = {"embedding": name, "seed": seed, "clips_sha256": training.content_digest}
    if name == "pose statistics":
        model = PoseStatistics()
    elif name == "untrained":
        model = untrained(config)
    else:
        trainer = Trainer(config, training, folder)
        last: list[StepReport] = []
        trainer.fit(lambda now: last.append(now) if now.metrics else None)
        model, row["metrics"] = trainer.objective.encoder, last[-1].metrics
    row["wall_s"] = time.perf_counter() - start
    row["top1"] = _measured(model.eval(), training, tests, seed)
    return row


def _measured(
    model: nn.Module, training: ClipStore, tests: dict[str, ClipStore], seed: int
) -> dict[str, dict[str, float]]:
    """Return the per cent of right answers by test set and read-out."""
    fit_on = np.flatnonzero(training.splits != TEST_SPLIT)
    fit_on = fit_on[np.linspace(0, len(fit_on) - 1, MAX_FIT_CLIPS).astype(np.int64)]
    of_tested_set = np.char.startswith(training.names[fit_on].astype(str), "kindergator")
    labels = np.where(of_tested_set, -1, training.labels[fit_on])
    grid = grid_of(model, ReadoutConfig())
    fitted, found = _features(grid, training, fit_on), {name: _features(grid, store) for name, store in tests.items()}

    def mean_of_tokens(features: np.ndarray) -> np.ndarray:
        # All cells of the grid hold the same number of tokens.
        return features if grid is model else features.reshape(len(features), -1, ENCODER.width).mean(axis=1)

    right: dict[str, dict[str, float]] = {test: {} for test in tests}
    for kind in get_args(get_type_hints(ReadoutConfig)["readout"]):
        reduce = mean_of_tokens if kind in ("mean", "centred") else np.asarray
        fit = None if kind == "mean" else projection(reduce(fitted), labels, ReadoutConfig(readout=kind))
        for test, store in tests.items():
            vectors = reduce(found[test])
            if fit is not None:
                vectors = (vectors - fit[0]) @ fit[1]
            right[test][kind] = retrieve(vectors, store, _folds(test, store)).accuracy
    for test, store in tests.items():
        right[test]["linear"] = _linear(mean_of_tokens(found[test]), store, _folds(test, store), seed)
    return right


def _features(model: nn.Module, store: ClipStore, index: np.ndarray | None = None) -> np.ndarray:
    clips = LabelledClips(store, PREPROCESS.sampling, CPU).for_model(model)
    index = np.arange(len(store)) if index is None else index
    parts = np.array_split(index, len(index) // 16 + 1)
    return torch.cat([frozen_features(model, clips.views(part)) for part in parts]).numpy()


def _linear(features: np.ndarray, store: ClipStore, folds: list[Fold], seed: int) -> float:
    config = LinearProbeConfig(augment=False, seed=seed)
    given = torch.from_numpy(features)
    right = []
    for fold in folds:
        train, test = given[torch.from_numpy(fold.train)], given[torch.from_numpy(fold.test)]

        def batch(_: int, places: np.ndarray, train: torch.Tensor = train) -> torch.Tensor:
            return train[torch.from_numpy(places)]

        learned = train_linear_head(
            batch,
            store.labels[fold.train],
            test,
            store.labels[fold.test],
            num_classes=len(store.class_names),
            config=config,
        )
        right.append((learned.predictions == store.labels[fold.test]).mean())
    return 100.0 * float(np.mean(right))


def _config(objective: str, seed: int, epochs: int) -> TrainConfig:
    settings = config_types()[objective]()
    known = {name: value for name, value in WIDTHS.items() if hasattr(settings, name)}
    return TrainConfig(
        encoder=ENCODER,
        objective=replace(settings, **known),
        epochs=epochs,
        warmup_epochs=0,  # the default, a tenth of the epochs, is less than one epoch here
        batch_clips=BATCH_CLIPS,
        peak_lr=2e-3,
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
    for test in TESTED:
        kinds = list(report["rows"][0]["top1"][test])
        console.print(f"\n| {test} | training | {' | '.join(kinds)} |")
        console.print("|---" * (2 + len(kinds)) + "|")
        console.print(f"| chance | | {report['chance'][test]:.1f} |" + " |" * (len(kinds) - 1))
        for name in dict.fromkeys(row["embedding"] for row in report["rows"]):
            rows = [row for row in report["rows"] if row["embedding"] == name]
            wall = f"{median(row['wall_s'] for row in rows):.0f} s" if name in OBJECTIVES else ""
            cells = [_spread([row["top1"][test][kind] for row in rows]) for kind in kinds]
            console.print(f"| {name} | {wall} | {' | '.join(cells)} |")


def _spread(values: list[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
