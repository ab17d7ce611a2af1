"""Linear probe: how well a linear layer on the mean feature of a frozen encoder separates the classes.

The recipe is MAMP's (main_linprobe.py): batch norm without weights, SGD with momentum, half a cosine down to 0. MAMP
reports the best epoch on the test clips; here the last epoch counts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.settings import setting
from trainer.data.model_input import to_device
from trainer.evaluate.folds import Fold
from trainer.evaluate.labelled import LabelledClips, frozen_features
from trainer.evaluate.learning import Epoch, HeadResult, Passes, Show, among_five, learn
from trainer.evaluate.resume import EvaluationState
from trainer.schedule import LARGEST_SEED, warmup_cosine, window_draws

# This many test clips are cut at a time.
TEST_CLIPS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProbeConfig:
    """Settings of a linear probe. Defaults are MAMP's for NTU RGB+D. Raises `ValueError` for a value out of range."""

    epochs: int = setting(100, "Passes over the training clips.")
    batch_clips: int = setting(256, "Clips in a step.")
    peak_lr: float = setting(0.1, "Learning rate of the first step; AMR, by the authors of GFP, has 0.01.")
    augment: bool = setting(
        True,
        "Learn from random windows and rotations, as published: every epoch encodes every clip again. Without it, "
        "learn from centre crops that are encoded once, which is about a hundred times faster.",
    )
    seed: int = setting(0, "Seed of all random draws: weights, order, windows, rotations.")

    def __post_init__(self) -> None:
        check_positive(self, "epochs", "batch_clips")
        if self.batch_clips < 2:
            raise ValueError("--batch-clips is 1; batch norm needs at least 2 clips (the published runs use 256).")
        if not 0 < self.peak_lr < math.inf:
            raise ValueError(f"--peak-lr is {self.peak_lr}; it must be above 0 and finite (published: 0.1).")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"--seed is {self.seed}; it must lie between 0 and {LARGEST_SEED}.")


class LinearHead(nn.Module):
    """Scales each feature to mean 0 and variance 1 over the batch; then one linear layer."""

    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size, affine=False, eps=1e-6)
        self.classify = nn.Linear(size, num_classes)
        nn.init.trunc_normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.bias)

    def forward(self, features: Float[Tensor, "clips size"]) -> Float[Tensor, "clips classes"]:
        return self.classify(self.norm(features))


def linear_probe(
    model: nn.Module,
    clips: LabelledClips,
    fold: Fold,
    config: LinearProbeConfig,
    *,
    state: EvaluationState | None = None,
    key: str = "",
    show: Show = lambda *_: None,
) -> HeadResult:
    """Train a linear head on the features of a frozen model, and test it after every epoch.

    `state` keeps the state of this run under `key`. `show` gets the number of clips that `model` has just read.
    """
    clips = clips.for_model(model)
    model = model.to(clips.device).eval()
    tested = _features(model, clips, fold.test, show)
    frozen = None if config.augment else _features(model, clips, fold.train, show)

    def batch(step: int, places: Int[np.ndarray, " batch"]) -> Float[Tensor, "batch size"]:
        if frozen is not None:
            return frozen[to_device(places, clips.device)]
        return frozen_features(model, clips.views(fold.train[places], window_draws(step, seed=config.seed)))

    return train_linear_head(
        batch,
        clips.store.labels[fold.train],
        tested,
        clips.store.labels[fold.test],
        num_classes=len(clips.store.class_names),
        config=config,
        state=state,
        key=key,
        show=show if config.augment else lambda _, text: show(0, text),
    )


def train_linear_head(
    batch: Callable[[int, Int[np.ndarray, " batch"]], Float[Tensor, "batch size"]],
    labels: Int[np.ndarray, " train"],
    test_features: Float[Tensor, "test size"],
    test_labels: Int[np.ndarray, " test"],
    *,
    num_classes: int,
    config: LinearProbeConfig,
    state: EvaluationState | None = None,
    key: str = "",
    show: Show = lambda *_: None,
) -> HeadResult:
    """Train a head on features. `batch` gives those of a step's clips, by their places in `labels`.

    `state` keeps the state of this run under `key`.
    """
    passes = Passes(len(labels), config.batch_clips, config.epochs, config.seed)
    device = test_features.device
    targets = torch.from_numpy(labels).to(device)
    torch.manual_seed(config.seed)
    head = LinearHead(test_features.shape[1], num_classes).to(device)
    optimizer = torch.optim.SGD(head.parameters(), lr=config.peak_lr, momentum=0.9, weight_decay=0.0)
    done: list[Epoch] = []
    if state is not None and (saved := state.run_state(key)) is not None:
        head.load_state_dict(saved["head"])
        optimizer.load_state_dict(saved["optimizer"])
        done = [Epoch(**epoch) for epoch in saved["epochs"]]
        show(len(done) * passes.steps_per_epoch * passes.batch, "resumed")

    def loss_of(step: int) -> Float[Tensor, ""]:
        places = passes.places(step)
        head.train()
        return F.cross_entropy(head(batch(step, places)), targets[to_device(places, device)])

    @torch.no_grad()
    def predict() -> Int[np.ndarray, " test"]:
        return head.eval()(test_features).argmax(dim=1).cpu().numpy()

    def save(epochs: Sequence[Epoch]) -> None:
        if state is not None:
            state.save_if_due(key, lambda: {"head": head.state_dict(), "optimizer": optimizer.state_dict()}, epochs)

    result = learn(
        passes,
        optimizer,
        learning_rate=lambda step: warmup_cosine(
            step, peak=config.peak_lr, floor=0.0, warmup_steps=0, total_steps=passes.total_steps
        ),
        loss_of=loss_of,
        predict=predict,
        labels=test_labels,
        done=done,
        after_epoch=save,
        show=show,
    )
    with torch.no_grad():
        seen = head.eval().norm(test_features)
        found = among_five(head.classify(seen), test_labels)
    return replace(result, features=seen.cpu().numpy(), among_five=found)


def clips_read(fold: Fold, config: LinearProbeConfig) -> int:
    """The number of clips that the model reads in its probe, for a progress bar."""
    if not config.augment:
        return len(fold.test) + len(fold.train)
    passes = Passes(len(fold.train), config.batch_clips, config.epochs, config.seed)
    return len(fold.test) + passes.total_steps * passes.batch


def check_positive(config: object, *names: str) -> None:
    """Raise `ValueError`, with the name of the option, for a setting below 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(config, name)}; it must be at least 1.")


def _features(
    model: nn.Module, clips: LabelledClips, index: Int[np.ndarray, " chosen"], show: Show
) -> Float[Tensor, "chosen size"]:
    parts = []
    for start in range(0, len(index), TEST_CLIPS):
        chosen = index[start : start + TEST_CLIPS]
        parts.append(frozen_features(model, clips.views(chosen)))
        show(len(chosen), "encoding")
    return torch.cat(parts)
