"""Pre-training: the step, and around it the log, the checkpoints and the end of a run."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gfp_serve.errors import GfpError
from gfp_serve.files import lock, remove_unfinished
from gfp_serve.memory import keep_what_is_freed
from gfp_serve.preprocess import PreprocessConfig
from trainer import encoders, objectives, parallel
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointError, data_summary, split_state
from trainer.config import TrainConfig
from trainer.data.batches import TrainingClips
from trainer.data.lessons import Lessons
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.embedding import sampling_for
from trainer.encoders import build_encoder
from trainer.evaluate.embeddings import embed_store, torch_embedder
from trainer.evaluate.folds import split_folds
from trainer.evaluate.retrieval import retrieve
from trainer.health import CollapseWatch, health
from trainer.metrics import METRICS_FILE, SCORE, MetricsLog
from trainer.objectives import NoObjectiveConfig, Outcome, broken_outcome, build_objective
from trainer.plugins import blamed
from trainer.schedule import dropped_once, half_cosine, steps_per_epoch, warmup_cosine
from trainer.start import Start
from trainer.step import build_optimizer, clip_gradients, compiled_loss, repeatable, skipped_graphs
from trainer.stopping import stop_signals
from trainer.teacher import Teacher, TeacherError
from trainer.terms import Terms


class NonFiniteLossError(GfpError):
    """The loss became NaN or infinite. The message names the step and its clips."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What the console shows after a step."""

    step: int
    total_steps: int
    clips_per_s: float | None  # None if the step is not logged
    metrics: dict[str, float] = field(default_factory=dict)  # empty if the step is not logged
    collapsed: dict[str, str] = field(default_factory=dict)  # level -> a sentence, for targets long collapsed
    skipped_graphs: int = 0  # parts of the step that run without a CUDA graph although graphs were asked for


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended."""

    step: int
    total_steps: int
    signal: signal.Signals | None  # what stopped it early; None if it reached its last step


class Trainer:
    """One run: builds the model for a config and a store, and trains it.

    With `resume` it goes on from a checkpoint; with `start` it starts from the weights of another run, whose settings
    of the model's shape must not differ. A run with a teacher needs what that said of the store's clips. Raises
    `ValueError` for settings that do not fit the store or the machine, `DeviceError` without the device that was asked
    for, `InvalidRequestError` for a store without a test split if the run evaluates, `TeacherError` for
    another teacher than the resumed run's, `CheckpointError` for a checkpoint of another model, and `PluginError` for
    an encoder or objective of another package that cannot be used.
    """

    def __init__(
        self,
        config: TrainConfig,
        store: ClipStore,
        run: Path,
        *,
        resume: Checkpoint | None = None,
        start: Start | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.config, self.store, self.run = config, store, run
        self.device = pick_device(config.device)
        self.bf16 = self.device.type == "cuda" and config.precision != "fp32"
        if config.precision == "bf16" and not self.bf16:
            raise ValueError("--precision bf16 needs a GPU and --device cuda: in bf16 a CPU is ten times slower.")
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        if self.device.type == "cpu":
            keep_what_is_freed()
        self.preprocess = PreprocessConfig(cleaning=store.cleaning, sampling=config.sampling)
        # Here, so that a store without a test split is refused before the first step.
        self.folds = split_folds(store) if config.evaluate_every_epochs else []
        torch.manual_seed(config.seed)
        encoder = build_encoder(config.encoder, num_frames=config.num_frames)
        self.objective = build_objective(encoder, config.objective).to(self.device)
        self.clips = TrainingClips(
            store,
            self.preprocess.sampling,
            num_draws=self.objective.num_draws,
            batch_clips=config.batch_clips,
            seed=config.seed,
            device=self.device,
            views=self.objective.views,
        )
        self.lessons: Lessons | None = None
        if config.terms.view_weight and parallel.num_processes() > 1:
            raise ValueError(
                "--view-weight compares all clips of a step, which several processes do not do yet; start one process, "
                "or leave it out."
            )
        if config.terms.are_used:
            self.lessons = Lessons(
                store,
                self.clips.index,
                self.preprocess.sampling,
                config.terms,
                config.views,
                config.class_draws,
                num_tokens=encoder.num_tokens,
                num_clips=config.batch_clips,
                seed=config.seed,
                device=self.device,
                teacher=None if teacher is None else teacher.vectors,
            )
            # With random weights of its own, so that those of the objective are the same with and without it.
            torch.manual_seed(config.seed)
            terms = Terms(encoder, config.terms, self.lessons.source_of_class, self.lessons.basis)
            if config.terms.general_size and resume is None and not (start is not None and start.has_general_head):
                terms.fit_general(self.lessons.general_features())
            self.objective.terms = terms.to(self.device)
            encoder.requires_grad_(config.learns_from_tokens)
        if start is not None:
            start.put_into(self.objective, self.lessons)
        # What the weights come from besides the store, and the weights to stay near to. A resumed run keeps both.
        self.origin: dict[str, Any] = {} if start is None else {"started_from": start.origin()}
        if teacher is not None:
            self.origin["taught_by"] = teacher.origin()
        pulled: dict[str, Tensor] = {}
        if config.pull_to_start and start is not None:
            pulled = start.learned(self.objective)
        elif config.pull_to_start and resume is not None:
            pulled = resume.start
        if config.pull_to_start and not pulled:
            raise ValueError("--pull-to-start needs --init, which says the weights to pull to.")
        self._pulled = {name: weight.to(self.device) for name, weight in pulled.items()}
        self.steps_per_epoch = steps_per_epoch(len(self.clips.index), config.batch_clips)
        self.total_steps = config.epochs * self.steps_per_epoch
        self.optimizer = build_optimizer(self.objective, config)
        self._of_objective = objectives.plugin_of(config.objective)
        brought = encoders.plugin_of(config.encoder), self._of_objective
        self._plugins = [plugin for plugin in brought if plugin is not None]
        self._own_is_none = isinstance(config.objective, NoObjectiveConfig)  # it learns from the terms alone
        self.step = 0  # steps that are done
        self.saved_step = 0  # those of them that the checkpoint on disk has
        self._watch = CollapseWatch()
        self._has_new_length = False
        # The epochs that the run was to have, each with the step from which on: several if --resume gave it others.
        self.lengths = [[config.epochs, 0]]
        if resume is not None:
            if teacher is not None and teacher.digest != resume.data.get("taught_by", {}).get("digest"):
                raise TeacherError(
                    f"the run was not taught by {teacher.name!r} (digest {teacher.digest[:12]}…); give the teacher "
                    f"that it was started with, or start a new run in another folder."
                )
            resume.load_objective(self.objective)
            resume.load_optimizer(self.optimizer)
            self.step = self.saved_step = resume.step
            self._has_new_length = resume.config.epochs != config.epochs
            self.lengths = _lengths(resume, config.epochs)
            self.origin = {name: value for name, value in resume.data.items() if name in ("started_from", "taught_by")}
        self.compute_loss = compiled_loss(self.objective, config.compile, self.device)

    def fit(
        self,
        show: Callable[[StepReport], None] = lambda _: None,
        after_save: Callable[[RunEnd | None], None] = lambda _: None,
        *,
        at_begin: Callable[[], None] = lambda: None,
    ) -> RunEnd:
        """Train to the last step, or to the end of the step in which SIGINT or SIGTERM comes; then write a checkpoint.

        `show` is called after each step, and `after_save` after each checkpoint, with the run's end after the last.
        `at_begin` is called before the first step, when no other process may write into the run's folder any more. Of
        several processes only the first one writes a checkpoint; what is logged is shown there alone. Raises
        `NonFiniteLossError`, `StoreError` when the clips were changed during the run, and `CheckpointError` when the
        run's folder cannot be written. The checkpoint on disk is then the last good one.
        """
        config = self.config
        losses: dict[int, Tensor] = {}
        with self._log() as log, stop_signals() as stopped, repeatable(self.device):
            at_begin()
            if self._has_new_length:
                self.save()  # or, were this run killed, the next one would go on with the old length
                after_save(None)
            last_time, last_step = time.perf_counter(), self.step
            while self.step < self.total_steps and not parallel.anyone(bool(stopped)):
                outcome = self.train_step()
                losses[self.step - 1] = outcome.total.detach().clone()  # a CUDA graph overwrites it
                is_last = self.step == self.total_steps
                if self.step % config.log_every_steps and not is_last:
                    show(StepReport(self.step, self.total_steps, None))
                else:
                    self._check_finite(losses)  # it also waits for the device, so that the time measured is true
                    speed = (self.step - last_step) * config.batch_clips / (time.perf_counter() - last_time)
                    # Every process measures: so none waits long for another, and all see the same.
                    metrics = self._metrics_of(outcome) | {"clips_per_s": speed}
                    if log is not None:
                        log.write(self.step, metrics)
                        collapsed = self._watch.collapsed(self.step, metrics)
                        skipped = skipped_graphs() if config.compile == "graphs" else 0
                        show(StepReport(self.step, self.total_steps, speed, metrics, collapsed, skipped))
                    last_time, last_step = time.perf_counter(), self.step
                if self.step % (config.save_every_epochs * self.steps_per_epoch) == 0 and not is_last:  # saved below
                    self._check_finite(losses)
                    self.save()
                    after_save(None)
            self._check_finite(losses)
            self.save()
            ended_early = self.step < self.total_steps
            # The signal may have come to another process of the run.
            by = (stopped or [signal.SIGTERM])[0] if ended_early else None
            ended = RunEnd(self.step, self.total_steps, by)
            after_save(ended)
            return ended

    @contextmanager
    def _log(self) -> Iterator[MetricsLog | None]:
        """The log of the run, for the process that writes it. Raises `CheckpointError` when the disk refuses."""
        if parallel.rank():
            yield None
            return
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            with _only_writer(self.run), MetricsLog(self.run, self.step) as log:
                yield log
        except OSError as error:
            if error.filename is not None and not str(error.filename).startswith(str(self.run)):
                raise
            saved, then = (
                (f"the checkpoint of step {self.saved_step} is whole", "go on with --resume")
                if self.saved_step
                else ("nothing was saved yet", "start again")
            )
            raise CheckpointError(
                f"{self.run} cannot be written at step {self.step}: {error.strerror}; {saved}. Free some space or mend "
                f"the folder, then {then}."
            ) from error

    def train_step(self) -> Outcome:
        """Do the next update (batch, masks, forward, backward, optimiser) and count it in `step`.

        It does not wait for the loss. `fit` ends at the run's last step; a measurement of steps may take more. Raises
        `PluginError` when code of another package fails, or gives a loss that nobody can use.
        """
        config, step = self.config, self.step
        for group in self.optimizer.param_groups:
            group["lr"] = group.get("share", 1.0) * self._learning_rate(self.total_steps)
            if group["weight_decay"] and config.final_weight_decay:
                group["weight_decay"] = half_cosine(
                    config.weight_decay, config.final_weight_decay, step / max(1, self.total_steps - 1)
                )
        self.optimizer.zero_grad(set_to_none=True)  # before the forward pass, which can use the memory
        own = None if self._own_is_none else self.clips.batch(step)
        lesson = None if self.lessons is None else self.lessons.lesson(step)
        if config.compile == "graphs":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with blamed(self._plugins, f"step {step}"):
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
                outcome = self.compute_loss(own, lesson)
            if self._of_objective is not None and (problem := broken_outcome(outcome)):
                raise self._of_objective.gave(problem)
            outcome.total.backward()  # type: ignore[no-untyped-call]
        clip_gradients(self.objective, config.clip_gradient)
        # If this is 1, a fused optimiser leaves the weights alone: a bad loss never reaches them, and nothing has to
        # wait.
        self.optimizer.found_inf = (~outcome.total.detach().isfinite()).float()  # type: ignore[attr-defined]
        self.optimizer.step()
        self._pull()
        self.step = step + 1
        with blamed(self._plugins, f"the end of step {step}"):
            self.objective.after_update(self.step / self.total_steps)
        return outcome

    def learning_rate(self, epochs: int) -> float:
        """That of the next step in a run of this many epochs."""
        return self._learning_rate(epochs * self.steps_per_epoch)

    def _learning_rate(self, total_steps: int) -> float:
        config = self.config
        step, warmup_steps = min(self.step + 1, total_steps), config.warmup_epochs * self.steps_per_epoch
        peak, floor = config.peak_lr, config.floor_lr
        if config.lr_drop_at:
            drop_step = round(config.lr_drop_at * total_steps) + 1  # the first step after that share is done
            return dropped_once(step, peak=peak, floor=floor, warmup_steps=warmup_steps, drop_step=drop_step)
        return warmup_cosine(step, peak=peak, floor=floor, warmup_steps=warmup_steps, total_steps=total_steps)

    @torch.no_grad()
    def _pull(self) -> None:
        """Pull the weights towards those of the start: L2-SP (Li et al. 2018, arXiv 1802.01483), apart from the loss.

        As AdamW's weight decay, it goes with the learning rate.
        """
        if self._pulled:
            rate = min(1.0, self.optimizer.param_groups[0]["lr"] * self.config.pull_to_start)
            weights = dict(self.objective.named_parameters())
            torch._foreach_lerp_([weights[name] for name in self._pulled], list(self._pulled.values()), rate)

    def save(self) -> Path:
        """Write the run's checkpoint and return its path; of several processes the first one writes.

        Raises `NonFiniteLossError` when a weight is not finite and `StoreError` when the clips were changed; then it
        writes nothing.
        """
        for name, weight in self.objective.named_parameters():
            if not weight.isfinite().all():
                raise NonFiniteLossError(
                    f"weights of {name} are not finite after step {self.step - 1} of {self.total_steps}; "
                    f"they are not saved. Start again in another folder with a lower --peak-lr."
                )
        self.store.check_unchanged()
        path = self.run / CHECKPOINT_FILE
        if parallel.rank() == 0:
            self._checkpoint().write(self.run)
        self.saved_step = self.step
        return path

    def _checkpoint(self) -> Checkpoint:
        encoder, rest = split_state(self.objective)
        return Checkpoint(
            config=self.config,
            preprocess=self.preprocess,
            data=data_summary(self.store) | self.origin | self.length_changes,
            step=self.step,
            encoder=encoder,
            objective=rest,
            optimizer=self.optimizer.state_dict(),
            start=self._pulled,
        )

    @property
    def length_changes(self) -> dict[str, list[list[int]]]:
        """What checkpoint and record say of a run that was made longer or shorter: its learning rate fell otherwise."""
        return {"lengths": self.lengths} if len(self.lengths) > 1 else {}

    def _metrics_of(self, outcome: Outcome) -> dict[str, float]:
        metrics = {"loss": outcome.total.item(), "learning_rate": self.optimizer.param_groups[0]["lr"]}
        metrics |= {f"terms/{name}": value.item() for name, value in outcome.terms.items()}
        metrics |= health(outcome.levels)
        every = self.config.evaluate_every_epochs * self.steps_per_epoch
        if every and self.step % every < self.config.log_every_steps:
            metrics[SCORE] = self._retrieval_accuracy()
        return metrics

    def _retrieval_accuracy(self) -> float:
        model = self._checkpoint().build_embedding()  # what an export would serve
        sampling = sampling_for(model, self.preprocess.sampling)
        vectors = embed_store(torch_embedder(model, self.device), self.store, sampling, np.arange(len(self.store)))
        return retrieve(vectors, self.store, self.folds).accuracy

    def _check_finite(self, losses: dict[int, torch.Tensor]) -> None:
        for step, loss in losses.items():
            if not math.isfinite(loss.item()):
                clips = [] if self._own_is_none else [self.clips.of_step(step)]
                clips += [] if self.lessons is None else [self.lessons.of_step(step)]
                names = list(dict.fromkeys(map(str, self.store.names[np.concatenate(clips)])))
                raise NonFiniteLossError(
                    f"the loss became {loss.item()} at step {step} of {self.total_steps}, whose clips were "
                    f"{', '.join(names[:8])}{' ...' if len(names) > 8 else ''}; nothing was saved since. Look at "
                    f"these clips with gfp-data plot, or start again in another folder with a lower --peak-lr."
                )
        losses.clear()


def _lengths(resume: Checkpoint, epochs: int) -> list[list[int]]:
    """The lengths that a resumed run has had, and the one that it now gets, each with the step from which on."""
    before = resume.data.get("lengths", [[resume.config.epochs, 0]])
    # One with which no step was done does not count.
    done = [[length, step] for length, step in before if step < resume.step]
    if done and done[-1][0] == epochs:
        return done
    return [*done, [epochs, resume.step if done else 0]]


@contextmanager
def _only_writer(run: Path) -> Iterator[None]:
    """Refuse a second run in the same folder: the one that ends last would replace the other's checkpoint."""
    try:
        held = lock(run)
    except BlockingIOError as error:
        raise CheckpointError(
            f"another process is training into {run} at this moment; wait until it is done, or name another folder "
            f"for --out."
        ) from error
    try:
        for name in (CHECKPOINT_FILE, METRICS_FILE):
            remove_unfinished(run / name)  # a run that was killed again and again would fill the disk
        yield
    finally:
        os.close(held)
