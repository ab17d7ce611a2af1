"""The trainer's commands. Thin: parse, call the library, print."""

import importlib.util
import sys

if importlib.util.find_spec("torch") is None:
    sys.exit("Error: the trainer's packages are not installed; run: pip install 'gfp-serve[cpu,train]'")

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from gfp_serve.formats import Clip, find_files, read_clips
from gfp_serve.options import Command, options_from
from gfp_serve.preprocess import PreprocessConfig
from trainer import loop, parallel, pictures
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointError
from trainer.config import CHANGEABLE, PRESETS, TrainConfig
from trainer.cost_cli import gfp_cost
from trainer.data_cli import gfp_data
from trainer.devices import pick_device
from trainer.embedding import PoseStatistics
from trainer.evaluate_cli import gfp_evaluate
from trainer.export import Origin, choose_canonical, export_bundle
from trainer.fitting import AskedReadout, readout_options
from trainer.loop import Trainer
from trainer.metrics import read_terms
from trainer.objectives import name_of
from trainer.progress import clip_progress
from trainer.store import ClipStore

__all__ = ["gfp_cost", "gfp_data", "gfp_evaluate", "gfp_export", "gfp_train"]

_PATH = click.Path(path_type=Path)
_errors = Console(stderr=True)


def _started_with(given: Mapping[str, Any]) -> TrainConfig | None:
    """The settings of the run to go on with: an option of another objective, say, is judged by these."""
    return Checkpoint.read(given["run"]).config if given["resume"] else None


@click.command(cls=Command, no_args_is_help=True)
@click.argument("store", metavar="STORE", type=_PATH)
@click.option("--out", "run", metavar="RUN", required=True, type=_PATH, help="Folder for checkpoint and metrics.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in RUN, with the settings it was started with.")
@options_from(TrainConfig, presets=PRESETS, start=_started_with)
def gfp_train(store: Path, run: Path, resume: bool, config: TrainConfig) -> None:
    """Pre-train a skeleton encoder on the unlabelled clips of STORE.

    Test clips of the store are never trained on. Ctrl-C and SIGTERM finish the step and write a checkpoint; --resume
    goes on from it and reaches the same losses as an unbroken run. Watch it with: tensorboard --logdir RUN

    On several GPUs: torchrun --nproc-per-node 8 --no-python gfp-train ... (the step is shared, the losses stay)
    """
    checkpoint = _checkpoint_to_resume(run, resume)
    clips = ClipStore.open(store)
    with _errors.status("checking the clips"):
        clips.verify()
    if checkpoint is not None:
        if checkpoint.data["content_sha256"] != clips.content_digest:
            raise CheckpointError(
                f"{run} was trained on a store with content {checkpoint.data['content_sha256'][:12]}…, {store} holds "
                f"{clips.content_digest[:12]}…; name the store that the run was started with."
            )
        _check_same(checkpoint.config, config)
    with parallel.processes(cuda=pick_device(config.device).type == "cuda"):
        try:
            trainer = Trainer(config, clips, run, resume=checkpoint)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        is_first = parallel.rank() == 0
        with _training_progress(trainer) if is_first else nullcontext(lambda _: None) as show:
            ended = trainer.fit(show)
        if is_first:
            _tell_the_end(ended, run, store)
    if ended.signal is not None:
        raise click.exceptions.Exit(128 + ended.signal)


def _checkpoint_to_resume(run: Path, resume: bool) -> Checkpoint | None:
    if resume:
        return Checkpoint.read(run)
    if (run / CHECKPOINT_FILE).exists():
        raise click.UsageError(
            f"{run} holds a run already; add --resume to go on with it, or name another folder for --out."
        )
    return None


def _check_same(started_with: TrainConfig, config: TrainConfig) -> None:
    """Refuses to go on with a run with other settings than those of where and how often."""
    wanted, before = config.settings(), started_with.settings()
    differing = [
        f"--{name.replace('_', '-')} is {wanted[name]} and was {before[name]}"
        for name in sorted(wanted.keys() & before.keys() - CHANGEABLE)  # another objective's settings are not at stake
        if wanted[name] != before[name]
    ]
    if differing:
        raise click.UsageError(
            f"a run goes on with the settings it was started with, but {'; '.join(differing)}. Leave these out, or "
            f"start another run in another folder."
        )


def _tell_the_end(ended: loop.Ended, run: Path, store: Path) -> None:
    pictures.loss_curves(*read_terms(run)).savefig(run / "losses.png")
    if ended.signal is not None:
        click.echo(
            f"Stopped by {ended.signal.name} at step {ended.step} of {ended.total_steps}; go on with --resume.",
            err=True,
        )
        return
    click.echo(
        f"{run / CHECKPOINT_FILE}: {ended.step} steps. Next: gfp-evaluate retrieval {run} {store}, "
        f"gfp-export {run} --out BUNDLE --clips FILE"
    )


@contextmanager
def _training_progress(trainer: Trainer) -> Iterator[Callable[[loop.Progress], None]]:
    """A bar with loss, clips/s and ETA on a terminal; a line for each logged step elsewhere."""
    total, config = trainer.total_steps, trainer.config
    on = f"{trainer.device}" if parallel.num_processes() == 1 else f"{parallel.num_processes()} × {trainer.device}"
    _errors.print(
        f"{len(trainer.clips.index)} training clips, {trainer.steps_per_epoch} steps an epoch, on {on} in "
        f"{'bf16' if trainer.bf16 else 'fp32'}" + (f", from step {trainer.step}" if trainer.step else ""),
        highlight=False,
    )
    told: set[str] = set()

    def state(now: loop.Progress, clips_per_s: float) -> str:
        for level, sentence in now.collapsed.items():
            if level not in told:
                told.add(level)
                _errors.print(f"warning: {sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        return f"loss {now.metrics['loss']:.3f}  {clips_per_s:.0f} clips/s"

    if not _errors.is_terminal:

        def show_line(now: loop.Progress) -> None:
            if now.clips_per_s is not None:
                left_s = (total - now.step) * config.batch_clips / now.clips_per_s
                click.echo(
                    f"step {now.step}/{total}  {state(now, now.clips_per_s)}  ETA {left_s / 60:.1f} min", err=True
                )

        yield show_line
        return
    columns = (TextColumn("train"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"))
    with Progress(*columns, TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(), console=_errors) as progress:
        task = progress.add_task("train", total=total, completed=trainer.step, status="")

        def show_bar(now: loop.Progress) -> None:
            progress.update(task, completed=now.step)
            if now.clips_per_s is not None:
                progress.update(task, status=state(now, now.clips_per_s))

        yield show_bar


@click.command(cls=Command, no_args_is_help=True)
@click.argument("run", metavar="[RUN]", required=False, type=_PATH)
@click.option("--pose-statistics", is_flag=True, help="Export the embedding without learning instead of a run.")
@click.option("--out", metavar="BUNDLE", required=True, type=_PATH, help="Folder, or file ending in .zip, to write.")
@click.option(
    "--clips",
    "recordings",
    metavar="FILE",
    multiple=True,
    required=True,
    type=_PATH,
    help="Recording whose raw clips prove that torch and onnxruntime agree; a few of them go into the bundle.",
)
@readout_options(
    "Put a read-out into the model that is fitted on this store's clips, its test split left out: if nothing else is "
    "said, means over a grid of time and joints, whitened without labels. Without --fit the embedding is the mean of "
    "tokens, as published."
)
@click.option(
    "--half", is_flag=True, help="Round weights to 16 bits and store them so: half the file, computed in 32 bits still."
)
@click.option("--name", help="What the encoder is called in the server's replies. [default: its objective]")
@click.option("--overwrite", is_flag=True, help="Replace the bundle if it exists.")
def gfp_export(
    run: Path | None,
    pose_statistics: bool,
    out: Path,
    recordings: tuple[Path, ...],
    readout: AskedReadout,
    half: bool,
    name: str | None,
    overwrite: bool,
) -> None:
    """Export the encoder of RUN (a run folder or checkpoint) as a bundle for gfp-serve.

    The bundle is written only if onnxruntime gives torch's vectors for raw clips to 1e-5. Its encoder.onnx opens in
    plain onnxruntime: input "clips" [batch, bodies, frames, joints, 3], output "embeddings" [batch, size] of length 1.
    """
    if (run is None) != pose_statistics:
        raise click.UsageError("name a RUN, or say --pose-statistics for the embedding without learning; one of both.")
    if out.exists() and not overwrite:
        raise click.UsageError(f"{out} exists; name another place for --out, or say --overwrite to replace it.")
    canonical = choose_canonical(_raw_clips(recordings))
    if run is None:
        model: nn.Module = PoseStatistics()
        origin = Origin(name=name or "pose-statistics", objective="none", step=0, data={}, training=None)
        preprocess = PreprocessConfig()
    else:
        checkpoint = Checkpoint.read(run)
        model, preprocess = checkpoint.build_encoder(), checkpoint.preprocess
        origin = Origin(
            name=name or name_of(checkpoint.config.objective),
            objective=name_of(checkpoint.config.objective),
            step=checkpoint.step,
            data=checkpoint.data,
            training=checkpoint.config.to_json(),
        )
    with clip_progress() as progress:
        if put := readout.putting("cpu", progress):
            model = put(model, preprocess)
    with _errors.status("turning the model into ONNX"):
        bundle, difference = export_bundle(model, canonical, preprocess, origin, readout.to_json(), half=half)
    bundle.write(out)
    manifest = bundle.manifest
    click.echo(
        f"{out}: {manifest.name}, {manifest.embedding_size} numbers a clip, {len(bundle.model) / 1e6:.2f} MB, digest "
        f"{manifest.encoder_digest[:12]}; onnxruntime and torch differ by at most {difference:.1e} on "
        f"{len(canonical)} raw clips."
    )


def _raw_clips(recordings: tuple[Path, ...]) -> list[Clip]:
    clips = [clip for path in recordings for file in find_files(path) for clip in read_clips(file)]
    # A canonical clip must show somebody; what nobody is in, preprocessing refuses.
    return [clip for clip in clips if np.nan_to_num(clip.sequence).any()]
