"""How a head learns from labelled clips: shuffled passes, a loss for each step, and answers after the last epoch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from gfp_serve.errors import InvalidRequestError
from trainer.schedule import take

# Classes that may be named for a clip in a "top-5" accuracy.
TOP = 5

# Gets the number of clips that a step took, and a text for the progress bar.
Show = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training clips."""

    epoch: int  # from 1
    train_loss: float  # mean over its steps
    learning_rate: float  # of its last step
    top1_percent: float | None  # accuracy on the test clips after it; None if it was not tested


@dataclass(frozen=True, slots=True, eq=False)
class HeadResult:
    """What a head answers after its last epoch, and how it learned."""

    predictions: Int[np.ndarray, " test"]
    epochs: tuple[Epoch, ...]
    features: Float32[np.ndarray, "test size"] | None = None  # input of the last layer for the test clips
    # Whether the right class is one of the five with the highest scores; None if there are no more classes than that.
    among_five: Bool[np.ndarray, " test"] | None = None

    @property
    def best(self) -> Epoch:
        """The tested epoch with the best accuracy. It is chosen by the test clips, so it is never a result."""
        return max(self.epochs, key=lambda epoch: -1.0 if epoch.top1_percent is None else epoch.top1_percent)


def among_five(
    scores: Float[Tensor, "test classes"], labels: Int[np.ndarray, " test"]
) -> Bool[np.ndarray, " test"] | None:
    """Whether the right class is one of the five with the highest scores; None if there are no more classes."""
    if scores.shape[1] <= TOP:
        return None
    return (scores.topk(TOP, dim=1).indices.cpu().numpy() == labels[:, None]).any(axis=1)


@dataclass(frozen=True, slots=True)
class Passes:
    """Which training clips a step takes, as a function of the step: shuffled passes, in batches of one size.

    Raises `InvalidRequestError` for fewer than 2 clips.
    """

    num_clips: int
    batch_clips: int  # the largest batch; fewer clips give a smaller one
    epochs: int
    seed: int

    def __post_init__(self) -> None:
        if self.num_clips < 2:
            raise InvalidRequestError(
                f"there are {self.num_clips} labelled clips to learn from; batch norm needs at least 2: import more "
                f"clips, or choose a larger share of them."
            )

    @property
    def batch(self) -> int:
        return min(self.batch_clips, self.num_clips)

    @property
    def steps_per_epoch(self) -> int:
        return self.num_clips // self.batch

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def places(self, step: int) -> Int[np.ndarray, " batch"]:
        """Places of a step's clips in the list of training clips."""
        return take(step * self.batch, self.batch, num_clips=self.num_clips, key=(self.seed, 3))


def learn(
    passes: Passes,
    optimizer: torch.optim.Optimizer,
    *,
    learning_rate: Callable[[int], float],
    loss_of: Callable[[int], Float[Tensor, ""]],
    predict: Callable[[], Int[np.ndarray, " test"]],
    labels: Int[np.ndarray, " test"],
    test_every_epochs: int = 1,
    done: Sequence[Epoch] = (),
    after_epoch: Callable[[Sequence[Epoch]], None] = lambda _: None,
    show: Show = lambda *_: None,
) -> HeadResult:
    """Take all steps after the epochs that are `done`. What `predict` answers after the last step is the result.

    `learning_rate` and `loss_of` are called for each step. A parameter group of the optimiser may have a `scale`, which
    multiplies its learning rate. Raises `InvalidRequestError` when the loss is not finite.
    """
    epochs = list(done)
    predictions = predict() if len(epochs) == passes.epochs else None
    for number in range(len(epochs) + 1, passes.epochs + 1):
        losses, rate = [], math.nan
        for step in range((number - 1) * passes.steps_per_epoch, number * passes.steps_per_epoch):
            rate = learning_rate(step)
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)
            loss = loss_of(step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
            show(passes.batch, f"epoch {number}/{passes.epochs}")
        train_loss = torch.stack(losses).mean().item()
        if not math.isfinite(train_loss):
            raise InvalidRequestError(
                f"the loss became {train_loss} in epoch {number} of {passes.epochs}; learn again with a lower "
                f"--peak-lr, or look at the clips with gfp-data plot."
            )
        tested = number % test_every_epochs == 0 or number == passes.epochs
        predictions = predict() if tested else None
        top1 = None if predictions is None else 100.0 * float((predictions == labels).mean())
        epochs.append(Epoch(number, train_loss, rate, top1))
        after_epoch(epochs)
    assert predictions is not None  # noqa: S101  the last epoch is always tested
    return HeadResult(predictions, tuple(epochs))
