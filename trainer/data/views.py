"""Views: how an objective sees a clip in a step, cut in time and then changed in space, one change after the other.

An objective names the views that it needs (`Objective.views`); `TrainingClips` makes them. Each change names the paper
or the public code that it is from. All draws are a function of the step, and both bodies of a clip get the same change.
NaN is a joint that is lacking, and stays so.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainer.body_frame import bodies_turned
from trainer.data.general_views import mirror, with_limb_lengths
from trainer.data.rotations import rotations
from trainer.data.tubes import GROUP_OF_JOINT
from trainer.data.windows import MAX_ANGLE, MIN_FRAMES, MIN_SHARE


class Draws:
    """Random numbers of a step: one row for each row of a batch, the same for all bodies of a clip.

    Numbers are drawn for every clip of the step, also for those of other processes, so that the number of processes
    changes nothing.
    """

    def __init__(self, generator: torch.Generator, clips: Int[Tensor, " rows"], num_clips: int) -> None:
        self._generator, self._clips, self._num_clips = generator, clips, num_clips

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "rows *shape"]:
        """Numbers from `low` to `high`."""
        drawn = torch.rand((self._num_clips, *shape), generator=self._generator, device=self._generator.device)
        return (low + (high - low) * drawn)[self._clips]

    def normal(self, *shape: int) -> Float[Tensor, "rows *shape"]:
        """Numbers with mean 0 and standard deviation 1."""
        drawn = torch.randn((self._num_clips, *shape), generator=self._generator, device=self._generator.device)
        return drawn[self._clips]


@runtime_checkable
class Change(Protocol):
    """What a view changes in space."""

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws, /
    ) -> Float[Tensor, "rows frames joints 3"]:
        """Bodies after the change, in metres."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A random part of a clip in time, and its changes in space, in their order.

    Windows begin anywhere. The defaults are those of MAMP's pre-training.
    """

    min_share: float = MIN_SHARE  # of the clip
    max_share: float = 1.0
    min_frames: int = MIN_FRAMES  # or the whole clip, if it has fewer
    within: int | None = None  # the number of an earlier view, whose window then takes the place of the clip
    num_frames: int | None = None  # to which windows are resampled; None = the frames of the run
    max_angle: float = 0.0  # of turns about each axis, in radians
    changes: tuple[Change, ...] = ()


# What masked objectives see of a clip (MAMP).
MASKED_VIEW = View(max_angle=MAX_ANGLE)


@dataclass(frozen=True, slots=True)
class Shear:
    """Each coordinate gets a part of the two others: a matrix of ones on the diagonal and ± `most` beside it.

    After AS-CAL (Rao et al. 2021, arXiv 2008.00188); HaLP's and USDRL's public code draw up to 1.
    """

    most: float = 1.0

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        beside = draws.uniform(3, 3, low=-self.most, high=self.most)
        one = torch.eye(3, device=bodies.device)
        return _each_point(bodies, torch.where(one > 0, one, beside))


@dataclass(frozen=True, slots=True)
class CorruptJoints:
    """Some joints are at the origin in all frames, or, as often, mixed by one random matrix of numbers from -1 to 1.

    ISC (Thoker et al. 2021, arXiv 2108.03656) calls it joint jittering; HaLP's and USDRL's public code change 15 of 25.
    """

    count: int = 15

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        order = draws.uniform(bodies.shape[2]).argsort(dim=1)
        chosen = (order < self.count)[:, None, :, None]
        mixed = _each_point(bodies, draws.uniform(3, 3, low=-1.0, high=1.0))
        is_mixed = (draws.uniform() < 0.5)[:, None, None, None]
        return torch.where(chosen, torch.where(is_mixed, mixed, 0.0 * bodies), bodies)


@dataclass(frozen=True, slots=True)
class Either:
    """One of two changes: the first with these odds."""

    first: Change
    second: Change
    odds: float = 0.5

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        is_first = (draws.uniform() < self.odds)[:, None, None, None]
        return torch.where(is_first, self.first(bodies, draws), self.second(bodies, draws))


@dataclass(frozen=True, slots=True)
class Sometimes:
    """A change with these odds, or none."""

    change: Change
    odds: float = 0.5

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        return torch.where((draws.uniform() < self.odds)[:, None, None, None], self.change(bodies, draws), bodies)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Left and right are swapped, the names of joints too (SLiM's public code, `flip` with swapped joints)."""

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], _draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        return mirror(bodies)


@dataclass(frozen=True, slots=True)
class ScaleLimbs:
    """Trunk, arms and legs each get another size, along the bones (SLiM's public code: 0.85 to 1.15)."""

    least: float = 0.85
    most: float = 1.15

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        sizes = draws.uniform(3, low=self.least, high=self.most)
        group = torch.tensor(GROUP_OF_JOINT, device=bodies.device)
        return with_limb_lengths(bodies, sizes[:, group])


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn about x, then y, then z, each by up to `most` radians (SLiM's public code: 0.3)."""

    most: float = 0.3

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        angles = draws.uniform(3, low=-self.most, high=self.most)
        return bodies_turned(bodies, rotations(angles))


@dataclass(frozen=True, slots=True)
class Noise:
    """An error of each coordinate in each frame, with this standard deviation in metres (SLiM's public code: 0.01).

    An absent body, which is zeros throughout, stays so.
    """

    std_m: float = 0.01

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        is_there = (bodies != 0).flatten(1).any(dim=1)
        return bodies + self.std_m * draws.normal(*bodies.shape[1:]) * is_there[:, None, None, None]


@dataclass(frozen=True, slots=True)
class WithoutAxis:
    """One of the three coordinates is 0 in all frames (AimCLR, Guo et al. 2022; SLiM's public code)."""

    def __call__(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Draws
    ) -> Float[Tensor, "rows frames joints 3"]:
        axis = (3 * draws.uniform()).long().clamp_max(2)
        taken = torch.nn.functional.one_hot(axis, 3).bool()[:, None, None]
        return torch.where(taken, 0.0 * bodies, bodies)


def changed(
    bodies: Float[Tensor, "rows frames joints 3"], view: View, draws: Draws
) -> Float[Tensor, "rows frames joints 3"]:
    """The bodies after all changes of a view."""
    for change in view.changes:
        bodies = change(bodies, draws)
    return bodies


def _each_point(
    bodies: Float[Tensor, "rows frames joints 3"], matrices: Float[Tensor, "rows 3 3"]
) -> Float[Tensor, "rows frames joints 3"]:
    """Each point, as a column vector, times the matrix of its row."""
    return (bodies.flatten(1, 2) @ matrices.transpose(1, 2)).view(bodies.shape)
