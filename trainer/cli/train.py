"""`gfp-train`: train an encoder on the clips of a store."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource

from gfp_serve.bundle import Bundle
from gfp_serve.cli.options import Command, options_from, version_option
from gfp_serve.cli.printing import say
from gfp_serve.cli.progress import errors, progress, warn
from gfp_serve.cli.settings_file import settings_as_toml, settings_file_option
from gfp_serve.config import bundle_at
from gfp_serve.extras import load
from gfp_serve.formats import TEST_SPLIT
from trainer import encoders, objectives, parallel
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointError
from trainer.config import CHANGEABLE, PRESETS, TrainConfig
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.evaluate.candidates import check_cleaned_alike
from trainer.loop import RunEnd, StepReport, Trainer
from trainer.metrics import SCORE, read_scores, read_terms
from trainer.objectives import NoObjectiveConfig
from trainer.readout import ENOUGH_TO_FIT
from trainer.run_record import NEW_RUN, read_record, write_record
from trainer.start import Start, adapting, read_start
from trainer.teacher import FOLDER as TEACHER_FOLDER
from trainer.teacher import Teacher, ask
from trainer.teacher import read as read_teacher

_PATH = click.Path(path_type=Path)


def _settings_before(given: Mapping[str, Any]) -> TrainConfig | None:
    """The settings of the run to resume or to start from, on top of which given options are read."""
    if given["resume"]:
        return Checkpoint.read(given["run"]).config
    if given["init"] is not None:
        num_clips = int((ClipStore.open(given["store"]).splits != TEST_SPLIT).sum())
        return adapting(read_start(given["init"]).config, num_clips)
    return None


def _following(given: Mapping[str, Any], before: TrainConfig | None) -> Mapping[str, Any]:
    """A shorter warm-up for a short run; and a weight of 1 for --teacher if none was given."""
    context = click.get_current_context()
    has_teacher = context.params.get("teacher") is not None
    # A file of settings names all of them, with 0 for those that are not used.
    is_said = context.get_parameter_source("teacher_weight") is ParameterSource.COMMANDLINE
    weight = given.get("teacher_weight", 0.0 if before is None else before.terms.teacher_weight)
    has_weight = is_said or weight > 0
    # A run that goes on has the warm-up that it was started with.
    goes_on = context.params.get("resume") and not context.params.get("preset")
    if goes_on and before is not None:
        _check_warmup_fits(given, before)
    warmup = {} if goes_on else _shorter_warmup(given, before)
    return {**warmup, **({"teacher_weight": 1.0} if has_teacher and not has_weight else {})}


def _check_warmup_fits(given: Mapping[str, Any], before: TrainConfig) -> None:
    """Raise `UsageError` for a run that shall go on with fewer epochs than its learning rate needs to rise."""
    epochs = given.get("epochs", before.epochs)
    if 1 <= epochs < before.warmup_epochs:
        raise click.UsageError(
            f"--epochs is {epochs}, and the learning rate of this run rises in its first {before.warmup_epochs} "
            f"epochs; choose {before.warmup_epochs} or more."
        )


def _shorter_warmup(given: Mapping[str, Any], before: TrainConfig | None) -> Mapping[str, Any]:
    """For a run so short that the warm-up below it would take most of it: a warm-up of the same share.

    A file of settings counts as what is below, as a preset does, unless its own epochs are those of the run.
    """
    context = click.get_current_context()
    of_file = {name for name in given if context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP}
    before = before or TrainConfig()
    epochs, warmup, long = given.get("epochs", before.epochs), before.warmup_epochs, before.epochs
    if "warmup_epochs" in of_file and "epochs" not in of_file:
        written = (context.default_map or {}).get("epochs")
        warmup, long = given["warmup_epochs"], long if written is None else written
        if warmup and isinstance(written, int) and epochs > written:
            warn(
                f"--epochs is {epochs}, and --config is of a run of {long} epochs, the first {warmup} of which are its "
                f"warm-up: this run has a warm-up of {warmup} too. Give --warmup-epochs if it should have another."
            )
    elif "warmup_epochs" in given:
        return {}
    if epochs < 1 or warmup <= max(1, epochs / 2) or not isinstance(long, int) or long <= epochs:
        return {}
    fitting = max(1, round(warmup * epochs / long))
    warn(f"--epochs is {epochs}, so --warmup-epochs is {fitting} instead of {warmup}.")
    return {"warmup_epochs": fitting}


@click.command(cls=Command, no_args_is_help=True)
@version_option
@click.argument("store", metavar="STORE", type=_PATH)
@click.option("--out", "run", metavar="RUN", required=True, type=_PATH, help="Folder for checkpoint and metrics.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from the checkpoint in RUN with the settings of that run. A larger --epochs makes it longer.",
)
@click.option(
    "--init",
    metavar="NAME",
    type=_PATH,
    help="Start from the weights of NAME and adapt them to the clips of STORE, with the settings of NAME and a short "
    "schedule. NAME is a run folder, a checkpoint, a bundle, or the name of a bundle in the package.",
)
@click.option(
    "--teacher",
    metavar="BUNDLE",
    type=_PATH,
    help="Distil: learn to give the vectors of this encoder, usually a larger one. An embedding then costs what the "
    "encoder that learns costs. BUNDLE is a bundle, or the name of one in the package. It is asked of each clip once, "
    "before the first step.",
)
@settings_file_option(
    "TOML file of settings, as every run has one in its folder, config.toml. Flags win, and it wins over --preset.",
    listed="gfp-train --help lists all settings",
    from_packages=frozenset(("encoder", "objective")),
)
@options_from(TrainConfig, presets=PRESETS, start=_settings_before, following=_following)
def gfp_train(
    store: Path, run: Path, resume: bool, init: Path | None, teacher: Path | None, config: TrainConfig
) -> None:
    """Train a skeleton encoder on the clips of STORE; only --label-weight needs labels.

    It never trains on test clips of the store. Ctrl-C and SIGTERM end the run after its step, with a checkpoint;
    --resume goes on from it and gives the same losses as an unbroken run. Watch it with: tensorboard --logdir RUN

    On several GPUs: torchrun --nproc-per-node 8 --no-python gfp-train ... (they share each step; the losses stay)
    """
    for sentence in (*encoders.others().left_out.values(), *objectives.others().left_out.values()):
        warn(f"warning: {sentence}")
    _check_effect(config)
    if resume and init is not None:
        raise click.UsageError("--resume goes on with a run as it was started; leave out --init, which it remembers.")
    checkpoint = _checkpoint_to_resume(run, resume)
    load("matplotlib")  # not found at the end, it would spoil a run of hours
    clips = ClipStore.open(store)
    with errors.status("checking the clips"):
        clips.verify()
    if checkpoint is not None:
        if checkpoint.data["content_sha256"] != clips.content_digest:
            raise CheckpointError(
                f"{run} was trained on a store with content {checkpoint.data['content_sha256'][:12]}…, but {store} has "
                f"{clips.content_digest[:12]}…; name the store that the run was started with."
            )
        _check_settings(checkpoint.config, config)
    start = None if init is None else _start_for(init, clips, config)
    said = _said_by_teacher(teacher, clips, run, config)
    with parallel.processes(cuda=pick_device(config.device).type == "cuda"):
        is_first = parallel.rank() == 0
        try:
            with errors.status("preparing the clips") if is_first else nullcontext():
                trainer = Trainer(config, clips, run, resume=checkpoint, start=start, teacher=said)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        settings = list(settings_as_toml(click.get_current_context(), config.settings(), _notes(config)))
        before, started = read_record(run) if resume else NEW_RUN, time.monotonic()

        def record(ended: RunEnd | None = None) -> None:
            if is_first:
                write_record(run, trainer, settings, before=before, wall_s=time.monotonic() - started, ended=ended)

        if checkpoint is not None:
            _check_is_longer(trainer, checkpoint)
            if is_first:
                _say_how_it_goes_on(trainer, checkpoint)
        with _training_progress(trainer) if is_first else nullcontext(lambda _: None) as show:
            ended = trainer.fit(show, record, at_begin=record)
        if is_first:
            has_test_clips = bool((clips.splits == TEST_SPLIT).any())
            _report_end(ended, run, clips, has_test_clips=has_test_clips, learned=config.terms.learns_embedding)
    if ended.signal is not None:
        raise click.exceptions.Exit(128 + ended.signal)


def _notes(config: TrainConfig) -> dict[str, str]:
    """What the file of settings says of those that need another package."""
    return {name: f"This one is of the package {package}." for name, package in config.packages().items()}


def _checkpoint_to_resume(run: Path, resume: bool) -> Checkpoint | None:
    if resume:
        return Checkpoint.read(run)
    if (run / CHECKPOINT_FILE).exists():
        raise click.UsageError(
            f"{run} already has a run in it; add --resume to go on with it, or name another folder for --out."
        )
    return None


def _check_settings(started_with: TrainConfig, config: TrainConfig) -> None:
    """Raise `UsageError` for a changed setting, except those of where and how often.

    Fewer epochs must be asked for by --epochs itself: those of a preset or a file would cut the run unawares.
    """
    wanted, before = config.settings(), started_with.settings()
    is_typed = click.get_current_context().get_parameter_source("epochs") is ParameterSource.COMMANDLINE
    differing = [
        f"--{name.replace('_', '-')} is {wanted[name]} and was {before[name]}"
        for name in sorted(wanted.keys() & before.keys() - CHANGEABLE)  # not those of another objective
        if wanted[name] != before[name] and not (name == "epochs" and (is_typed or wanted[name] > before[name]))
    ]
    if differing:
        raise click.UsageError(
            f"a run goes on with the settings it was started with, but {'; '.join(differing)}. Leave these out, or "
            f"start a new run in another folder. Only --epochs may differ."
        )


def _check_is_longer(trainer: Trainer, before: Checkpoint) -> None:
    """Raise `UsageError` for other --epochs that are done already: the run cannot go back."""
    epochs = trainer.config.epochs
    if epochs != before.config.epochs and trainer.step >= trainer.total_steps:
        raise click.UsageError(
            f"--epochs is {epochs}, which is {trainer.total_steps:,} steps, and this run has done {trainer.step:,}; "
            f"choose {trainer.step // trainer.steps_per_epoch + 1} or more."
        )


def _say_how_it_goes_on(trainer: Trainer, before: Checkpoint) -> None:
    """Of a run that is done, how it gets more epochs; of one that gets others, which schedule its rate then follows."""
    if trainer.step >= trainer.total_steps:
        warn(f"All {trainer.config.epochs} epochs of this run are done; --epochs with a larger number adds some.")
    if trainer.config.epochs == before.config.epochs:
        return
    was, now = (trainer.learning_rate(each.epochs) for each in (before.config, trainer.config))
    epochs = trainer.config.epochs
    warn(
        f"--epochs is {epochs} and was {before.config.epochs}: from here on the learning rate is that of a run of "
        f"{epochs} epochs, so the next step has {now:.2g} instead of {was:.2g}. What else changes along a run, such as "
        f"the momentum of a slow copy, follows the new length too. A run that had all epochs from the start has other "
        f"weights here."
    )


def _check_effect(config: TrainConfig) -> None:
    """Raise `UsageError` for settings of the terms that were given although no term that is used looks at them."""
    terms, context = config.terms, click.get_current_context()
    inner = [field.name for settings in (terms, config.views, config.class_draws) for field in fields(settings)]
    # What the settings need, and whether it is there.
    needs: list[tuple[str, bool, list[str]]] = [
        ("--label-weight, --statistics-weight, --view-weight or --teacher", terms.are_used, inner),
        ("--label-weight", terms.label_weight > 0, [field.name for field in fields(config.class_draws)]),
        ("--statistics-weight", terms.statistics_weight > 0, ["statistics_size"]),
        ("--label-weight or --view-weight", terms.label_weight + terms.view_weight > 0, ["temperature"]),
        ("--label-weight, --view-weight or --teacher", terms.learns_embedding, ["embedding_size"]),
        ("--general-size", terms.general_size > 0, ["general_hidden_size", "general_areas"]),
        ("--embedding-size or --statistics-weight", terms.read_tokens, ["term_tokens"]),
    ]
    for needed, is_there, names in needs:
        given = [
            f"--{name.replace('_', '-')}"
            for name in names
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and not name.endswith("_weight")
        ]
        if given and not is_there:
            raise click.UsageError(
                f"{', '.join(given)}: without effect, because it needs {needed}; give that, or leave it out."
            )


def _start_for(name: Path, store: ClipStore, config: TrainConfig) -> Start:
    """The weights to start from. Raises `UsageError` when settings or the cleaning of clips do not fit them."""
    start = read_start(name)
    if differing := start.differing_shapes(config):
        raise click.UsageError(
            f"the weights of {name} have another shape than these settings: {'; '.join(differing)}. Leave these out, "
            f"or leave out --init."
        )
    check_cleaned_alike(store, start.preprocess.cleaning)
    return start


def _said_by_teacher(path: Path | None, store: ClipStore, run: Path, config: TrainConfig) -> Teacher | None:
    """What the teacher says of the clips that are learned from. A resumed run has it in its folder."""
    clips = np.flatnonzero(store.splits != TEST_SPLIT)
    is_there = (run / TEACHER_FOLDER).exists()
    if path is None:
        return read_teacher(store, clips, run) if config.terms.teacher_weight and is_there else None
    if not config.terms.teacher_weight:
        raise click.UsageError("--teacher has no effect with --teacher-weight 0; leave one of them out.")
    bundle = Bundle.read(bundle_at(path))
    _check_teacher(bundle, store, config)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if not is_there:
            raise click.UsageError(
                "one process asks the teacher: start the run with one, stop it with Ctrl-C when it trains, and go on "
                "with several and --resume."
            )
        return read_teacher(store, clips, run)
    try:
        with progress() as bars:
            bar = bars.add(f"ask {bundle.manifest.name}", "clips", total=len(clips))
            return ask(bundle, store, clips, run, show=bar.reach)
    except KeyboardInterrupt:
        say(f"Stopped by Ctrl-C; the same command goes on asking, from what {run / TEACHER_FOLDER} has.", err=True)
        raise click.exceptions.Exit(128 + signal.SIGINT) from None


def _check_teacher(bundle: Bundle, store: ClipStore, config: TrainConfig) -> None:
    """Refuse a teacher that cannot teach these clips, before it is asked for hours."""
    manifest = bundle.manifest
    check_cleaned_alike(store, manifest.preprocess.cleaning, who=f"the teacher {manifest.name!r}")
    if config.terms.embedding_size > manifest.embedding_size:
        raise click.UsageError(
            f"--embedding-size is {config.terms.embedding_size}; the teacher's vectors have {manifest.embedding_size} "
            f"numbers, so choose that or fewer."
        )
    if store.dimensions not in manifest.dimensions:
        takes = " and ".join(f"{each}-D" for each in manifest.dimensions)
        raise click.UsageError(
            f"{store.path} has {store.dimensions}-D clips, and the teacher {manifest.name!r} takes {takes}; name "
            f"another teacher or another store."
        )


def _report_end(ended: RunEnd, run: Path, store: ClipStore, *, has_test_clips: bool, learned: bool) -> None:
    _draw_losses(ended, run)
    if ended.signal is not None:
        say(
            f"Stopped by {ended.signal.name} at step {ended.step} of {ended.total_steps}; go on with --resume.",
            err=True,
        )
        return
    evaluate = f"gfp-evaluate retrieval {run} {store.path}, " if has_test_clips else ""
    # An embedding that was learned is served as it is; one that was not gains much from a read-out of enough clips.
    is_fitted = not learned and int((store.splits != TEST_SPLIT).sum()) >= ENOUGH_TO_FIT
    then = f"--fit {store.path}" if is_fitted else "--clips RECORDING"
    say(f"{run / CHECKPOINT_FILE}: {ended.step} steps. Next: {evaluate}gfp-export {run} --out BUNDLE {then}")


def _draw_losses(ended: RunEnd, run: Path) -> None:
    """Draw the losses of a run. A picture that the disk refuses does not make a run a failed one."""
    from gfp_serve.figure_file import save_figure
    from trainer.loss_figure import loss_curves

    curves, picture = loss_curves(*read_terms(run)), run / "losses.png"
    try:
        save_figure(curves, picture, dpi=100)
    except OSError as error:
        warn(
            f"warning: {picture} cannot be written: {error.strerror}; the checkpoint of step {ended.step} is whole. "
            f"Free some space; the same command with --resume draws the picture."
        )


@contextmanager
def _training_progress(trainer: Trainer) -> Iterator[Callable[[StepReport], None]]:
    """A bar with loss and clips/s on a terminal; elsewhere a line for each logged step, and at least one a minute."""
    on = f"{trainer.device}" if parallel.num_processes() == 1 else f"{parallel.num_processes()} × {trainer.device}"
    steps = f"{trainer.steps_per_epoch} {'step' if trainer.steps_per_epoch == 1 else 'steps'}"
    is_passed = not isinstance(trainer.config.objective, NoObjectiveConfig)  # else a step draws its clips
    left_out = len(trainer.clips.index) - trainer.steps_per_epoch * trainer.config.batch_clips if is_passed else 0
    errors.print(
        f"{len(trainer.clips.index)} training clips, {steps} an epoch"
        + (f" (each leaves out {left_out}, not always the same)" if left_out > 0 else "")
        + f", on {on} in "
        f"{'bf16' if trainer.bf16 else 'fp32'}" + (f", from step {trainer.step}" if trainer.step else ""),
        highlight=False,
    )
    if trainer.lessons is not None and (never := trainer.lessons.never_drawn):
        warn(
            f"warning: --label-weight does not learn from {sum(never.values())} of {len(trainer.clips.index)} training "
            f"clips, which have no label or are of the only class of their source: "
            f"{', '.join(f'{name} ({count})' for name, count in sorted(never.items()))}."
        )
    if said := trainer.objective.never_reached(trainer.total_steps * trainer.config.batch_clips):
        warn(f"warning: {said}")
    warned: set[str] = set()  # the levels, and "graphs"
    scores = read_scores(trainer.run, trainer.step)  # those of the part that a resumed run goes on from
    with progress(keep=True) as bars:
        bar = bars.add("train", "steps", total=trainer.total_steps, done=trainer.step, line_every_s=60)

        def show(step: StepReport) -> None:
            bar.reach(step.step)
            for level in step.collapsed.keys() - warned:
                warned.add(level)
                warn(f"warning: {step.collapsed[level]}")
            if step.skipped_graphs and "graphs" not in warned:
                warned.add("graphs")
                warn(
                    f"warning: --compile graphs has no effect on {step.skipped_graphs} parts of the step, which run "
                    f"without CUDA graphs. TORCH_LOGS=perf_hints says why; --compile fused compiles faster."
                )
            if SCORE in step.metrics:
                scores[step.step] = step.metrics[SCORE]
                errors.print(score_line(scores, trainer.steps_per_epoch), highlight=False, markup=False)
            if step.clips_per_s is not None:
                bar.say(f"loss {step.metrics['loss']:.3f}  {step.clips_per_s:.0f} clips/s")

        yield show


def score_line(scores: Mapping[int, float], steps_per_epoch: int) -> str:
    """The newest score of a run, given by its steps, beside the best one before it."""
    *before, newest = scores
    text = f"step {newest:,}, epoch {newest // steps_per_epoch}: 1-NN {scores[newest]:.1f} % of the test clips"
    if not before:
        return text
    best = max(before, key=lambda step: scores[step])
    if scores[newest] > scores[best]:
        return f"{text}, the best so far (before: {scores[best]:.1f})"
    return f"{text}; best so far {scores[best]:.1f} at epoch {best // steps_per_epoch}"
