"""Pre-training: the step, and around it the log, the checkpoints and the ways to stop."""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

from gfp_serve.errors import GfpError
from trainer import parallel
from trainer.batches import TrainingClips
from trainer.checkpoint import Checkpoint, data_summary, split_state
from trainer.config import TrainConfig
from trainer.devices import pick_device
from trainer.encoder import SkeletonEncoder
from trainer.evaluate.embeddings import embed_store, torch_embedder
from trainer.evaluate.folds import split_folds
from trainer.evaluate.retrieval import retrieve
from trainer.health import health
from trainer.objectives import Objective, Outcome, build_objective
from trainer.schedule import steps_per_epoch, warmup_cosine
from trainer.store import ClipStore

METRICS_FILE = "metrics.jsonl"


class NonFiniteLossError(GfpError):
    """The loss became NaN or infinite; names the step and its clips."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the console shows after a step."""

    step: int
    total_steps: int
    clips_per_s: float | None  # None between two logged steps
    metrics: dict[str, float] = field(default_factory=dict)  # empty between two logged steps


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    step: int
    total_steps: int
    signal: signal.Signals | None  # the signal that stopped it early


class Trainer:
    """One run: builds the model for a config and a store, and takes it from its step to the last."""

    def __init__(self, config: TrainConfig, store: ClipStore, run: Path, *, resume: Checkpoint | None = None) -> None:
        self.config, self.store, self.run = config, store, run
        self.device = pick_device(config.device)
        self.bf16 = self.device.type == "cuda" and config.precision != "fp32"
        if config.precision == "bf16" and not self.bf16:
            raise ValueError("--precision bf16 needs --device cuda and a GPU: a CPU is ten times slower in it.")
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        self.preprocess = replace(
            store.preprocess, num_frames=config.num_frames, keep_absent_bodies=config.keep_absent_bodies
        )
        # Asked for here, so that a store without a test split ends the run before its first step.
        self.folds = split_folds(store) if config.evaluate_every_epochs else []
        torch.manual_seed(config.seed)
        encoder = SkeletonEncoder(config.encoder, num_frames=config.num_frames)
        self.objective = build_objective(encoder, config.objective).to(self.device)
        self.clips = TrainingClips(
            store,
            self.preprocess,
            num_tokens=encoder.num_tokens,
            batch_clips=config.batch_clips,
            seed=config.seed,
            device=self.device,
        )
        self.steps_per_epoch = steps_per_epoch(len(self.clips.index), config.batch_clips)
        self.total_steps = config.epochs * self.steps_per_epoch
        self.optimizer = _adamw(self.objective, config)
        self.step = 0
        if resume is not None:
            resume.load_objective(self.objective)
            self.optimizer.load_state_dict(resume.optimizer)
            self.step = resume.step
        self.compute_loss = _prepared(self.objective, config.compile, self.device)

    def fit(self, show: Callable[[Progress], None] = lambda _: None) -> Ended:
        """Train to the last step, or to the next step after SIGINT or SIGTERM; writes a checkpoint either way.

        Raises `NonFiniteLossError`; the checkpoint on disk is then the last one before the loss went bad.
        """
        config = self.config
        self.run.mkdir(parents=True, exist_ok=True)
        _forget_metrics_after(self.run / METRICS_FILE, self.step)
        losses: dict[int, torch.Tensor] = {}
        with (
            # Purges this step and all after it.
            SummaryWriter(self.run, purge_step=self.step + 1) as board,
            (self.run / METRICS_FILE).open("a") as log,
            _stop_signals() as stopped,
            _repeatable(self.device),
        ):
            last_time, last_step = time.perf_counter(), self.step
            while self.step < self.total_steps and not stopped:
                outcome = self.train_step()
                losses[self.step] = outcome.total.detach().clone()  # a CUDA graph writes the next one in its place
                self.step += 1
                if self.step % config.log_every_steps and self.step != self.total_steps:
                    show(Progress(self.step, self.total_steps, None))
                else:
                    self._check_finite(losses)  # also waits for the device, so that the clock is honest
                    now = time.perf_counter()
                    speed = (self.step - last_step) * config.batch_clips / (now - last_time)
                    metrics = self._measure(outcome) | {"clips_per_s": speed}
                    for name, value in metrics.items():
                        board.add_scalar(name, value, self.step)
                    log.write(json.dumps({"step": self.step, **metrics}) + "\n")
                    log.flush()
                    show(Progress(self.step, self.total_steps, speed, metrics))
                    last_time, last_step = time.perf_counter(), self.step
                is_last = self.step == self.total_steps  # saved below
                if self.step % (config.save_every_epochs * self.steps_per_epoch) == 0 and not is_last:
                    self._check_finite(losses)
                    self.save()
            self._check_finite(losses)
            self.save()
            return Ended(self.step, self.total_steps, stopped[0] if stopped else None)

    def train_step(self) -> Outcome:
        """The update of `step`: batch, masks, forward, backward, AdamW; `fit` counts on. The loss is not waited for."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = warmup_cosine(
                self.step + 1,
                peak=config.peak_lr,
                floor=config.floor_lr,
                warmup_steps=config.warmup_epochs * self.steps_per_epoch,
                total_steps=self.total_steps,
            )
        bodies, uniform = self.clips.batch(self.step)
        if config.compile == "graphs":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            outcome = self.compute_loss(bodies, uniform)
        self.optimizer.zero_grad(set_to_none=True)
        outcome.total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.objective.after_update((self.step + 1) / self.total_steps)
        return outcome

    def save(self) -> Path:
        """Write the run's checkpoint; `NonFiniteLossError` instead when a weight is not finite."""
        for name, weight in self.objective.named_parameters():
            if not weight.isfinite().all():
                raise NonFiniteLossError(
                    f"weights of {name} are not finite after step {self.step - 1} of {self.total_steps}; "
                    f"they are not saved. Start again in another folder with a lower --peak-lr."
                )
        encoder, rest = split_state(self.objective)
        return Checkpoint(
            config=self.config,
            preprocess=self.preprocess,
            data=data_summary(self.store),
            step=self.step,
            encoder=encoder,
            objective=rest,
            optimizer=self.optimizer.state_dict(),
        ).write(self.run)

    def _measure(self, outcome: Outcome) -> dict[str, float]:
        metrics = {"loss": outcome.total.item(), "learning_rate": self.optimizer.param_groups[0]["lr"]}
        metrics |= {f"terms/{name}": value.item() for name, value in outcome.terms.items()}
        metrics |= health(outcome.levels)
        every = self.config.evaluate_every_epochs * self.steps_per_epoch
        if every and self.step % every < self.config.log_every_steps:
            metrics["retrieval/top1"] = self._retrieval()
        return metrics

    def _retrieval(self) -> float:
        embed = torch_embedder(self.objective.encoder, self.device)
        vectors = embed_store(embed, self.store, self.preprocess, np.arange(len(self.store)))
        return retrieve(vectors, self.store, self.folds).accuracy

    def _check_finite(self, losses: dict[int, torch.Tensor]) -> None:
        for step, loss in losses.items():
            if not math.isfinite(loss.item()):
                names = self.clips.names_of_step(step)
                raise NonFiniteLossError(
                    f"the loss became {loss.item()} at step {step} of {self.total_steps}, whose clips were "
                    f"{', '.join(names[:8])}{' ...' if len(names) > 8 else ''}; nothing was saved since. Look at "
                    f"these clips with gfp-data plot, or start again in another folder with a lower --peak-lr."
                )
        losses.clear()


def read_terms(run: Path) -> tuple[Int[np.ndarray, " steps"], dict[str, Float[np.ndarray, " steps"]]]:
    """The logged steps of a run, and the loss and its terms at each of them."""
    lines = [json.loads(line) for line in (run / METRICS_FILE).read_text().splitlines()]
    names = [name for name in lines[0] if name == "loss" or name.startswith("terms/")] if lines else []
    steps = np.array([line["step"] for line in lines], dtype=np.int64)
    return steps, {name.removeprefix("terms/"): np.array([line[name] for line in lines]) for name in names}


def _prepared(
    objective: Objective, compile_mode: Literal["auto", "off", "fused", "graphs"], device: torch.device
) -> Callable[[Tensor, Tensor], Outcome]:
    """The objective's forward as it is called in a step: synchronised over processes, and compiled."""
    forward: nn.Module = objective
    if parallel.num_processes() > 1:
        # Statistics are summed over processes in every step, so there are no buffers to hand out.
        forward = DistributedDataParallel(objective, broadcast_buffers=False, find_unused_parameters=False)
    if compile_mode == "auto":
        compile_mode = "fused" if device.type == "cuda" else "off"
    if compile_mode == "off":
        return forward
    mode = "reduce-overhead" if compile_mode == "graphs" else "default"
    # All steps have the same shapes (batches.py).
    return torch.compile(forward, dynamic=False, mode=mode)


def _adamw(objective: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (0.9, 0.95) that decays the matrices of linear layers only."""
    matrices = {id(part.weight) for part in objective.modules() if isinstance(part, nn.Linear)}
    parameters = list(objective.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if id(p) in matrices], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if id(p) not in matrices], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.peak_lr, betas=(0.9, 0.95), fused=True)


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU, let the same run give the same losses to the last bit; it costs no time there.

    Without it, threads add up gradients of scattered tokens in any order, and two runs drift apart within ten steps.
    On CUDA it would forbid the fast kernels, so there a repeated run agrees to rounding.
    """
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(device.type == "cpu" or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def _stop_signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGINT and SIGTERM instead of dying from them; a second one takes its usual course."""
    received: list[signal.Signals] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget_metrics_after(path: Path, step: int) -> None:
    """A resumed run repeats the steps after its checkpoint: their old lines go, and one that a crash cut off."""
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if (at := _step_of(line)) is not None and at <= step]
        path.write_text("".join(line + "\n" for line in kept))


def _step_of(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except ValueError:
        return None
