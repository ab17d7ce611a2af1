"""`gfp-train`: pre-train an encoder on the clips of a store."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from gfp_serve.cli.options import Command, options_from
from trainer import figures as pictures
from trainer import parallel
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointError
from trainer.cli.progress import errors
from trainer.config import CHANGEABLE, PRESETS, TrainConfig
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.loop import RunEnd, StepReport, Trainer
from trainer.metrics import read_terms

_PATH = click.Path(path_type=Path)


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
    with errors.status("checking the clips"):
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


def _tell_the_end(ended: RunEnd, run: Path, store: Path) -> None:
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
def _training_progress(trainer: Trainer) -> Iterator[Callable[[StepReport], None]]:
    """A bar with loss, clips/s and ETA on a terminal; a line for each logged step elsewhere."""
    total, config = trainer.total_steps, trainer.config
    on = f"{trainer.device}" if parallel.num_processes() == 1 else f"{parallel.num_processes()} × {trainer.device}"
    errors.print(
        f"{len(trainer.clips.index)} training clips, {trainer.steps_per_epoch} steps an epoch, on {on} in "
        f"{'bf16' if trainer.bf16 else 'fp32'}" + (f", from step {trainer.step}" if trainer.step else ""),
        highlight=False,
    )
    told: set[str] = set()

    def state(now: StepReport, clips_per_s: float) -> str:
        for level, sentence in now.collapsed.items():
            if level not in told:
                told.add(level)
                errors.print(f"warning: {sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        return f"loss {now.metrics['loss']:.3f}  {clips_per_s:.0f} clips/s"

    if not errors.is_terminal:

        def show_line(now: StepReport) -> None:
            if now.clips_per_s is not None:
                left_s = (total - now.step) * config.batch_clips / now.clips_per_s
                click.echo(
                    f"step {now.step}/{total}  {state(now, now.clips_per_s)}  ETA {left_s / 60:.1f} min", err=True
                )

        yield show_line
        return
    columns = (TextColumn("train"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"))
    with Progress(*columns, TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(), console=errors) as progress:
        task = progress.add_task("train", total=total, completed=trainer.step, status="")

        def show_bar(now: StepReport) -> None:
            progress.update(task, completed=now.step)
            if now.clips_per_s is not None:
                progress.update(task, status=state(now, now.clips_per_s))

        yield show_bar
