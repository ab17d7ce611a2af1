"""Which tokens the encoder sees, as indices of visible and of target tokens. Nothing is multiplied by a mask."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def num_visible_tokens(num_tokens: int, mask_ratio: float) -> int:
    """The number of tokens that stay visible: 74 of 750 at a ratio of 0.9.

    In floating point 750 · (1 − 0.9) is a little less than 75. The published code cuts it to 74; the FLOPs of the GFP
    paper agree.
    """
    return int(num_tokens * (1 - mask_ratio))


def random_mask(
    uniform: Float[Tensor, "rows tokens"], *, mask_ratio: float, seen: Bool[Tensor, "rows tokens"] | None = None
) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
    """Hide every token with the same odds (SkeletonMAE). `uniform` has random numbers in [0, 1).

    Tokens that are not `seen` are hidden before all others.
    """
    return _sample(torch.zeros_like(uniform), uniform, mask_ratio, seen)


def motion_aware_mask(
    segments: Float[Tensor, "rows tokens coordinates"],
    num_joints: int,
    uniform: Float[Tensor, "rows tokens"],
    *,
    mask_ratio: float,
    temperature: float,
    seen: Bool[Tensor, "rows tokens"] | None = None,
) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
    """Hide moving joints more often (MAMP, section 3.3): the odds grow as exp(motion / temperature).

    Motion is the mean absolute difference to the previous segment of the same joint, divided by the largest of the
    body. So the odds of the most moving token are exp(1 / temperature) times those of a resting one: 3.5 times at 0.8.
    At a temperature of 0 or less motion has no effect. `uniform` has random numbers in [0, 1). Tokens that are not
    `seen` are hidden before all others.
    """
    if temperature <= 0:
        return random_mask(uniform, mask_ratio=mask_ratio, seen=seen)
    return _sample(motion_of(segments, num_joints) / temperature, uniform, mask_ratio, seen)


def first_known(
    order: Float[Tensor, "*rows tokens"], known: Bool[Tensor, "rows tokens"], count: int
) -> Int[Tensor, "rows count"]:
    """The `count` known tokens that come first in the order, the smallest numbers first.

    A row with fewer known tokens has all of them, and then some again, equally far apart in the order; one without any
    has all.
    """
    last = order.max() + 1
    places = torch.where(known, order, order + last).argsort(dim=1)
    num_known = known.sum(dim=1, keepdim=True)
    among = torch.where(num_known > 0, num_known, known.shape[1])
    number = torch.arange(count, device=known.device)
    # Were the first ones repeated, tokens in order of time would show the beginning of a clip twice, and not its end.
    again = (number - among) * among // (count - among).clamp_min(1)
    return places.gather(1, torch.where(number < among, number, again))


def motion_of(segments: Float[Tensor, "rows tokens coordinates"], num_joints: int) -> Float[Tensor, "rows tokens"]:
    """Motion of each token in [0, 1], 1 for the most moving token of the body. The first segment has the second's."""
    rows, tokens, _ = segments.shape
    grid = segments.float().view(rows, tokens // num_joints, num_joints, -1)
    motion = torch.zeros(grid.shape[:3], device=grid.device)
    if grid.shape[1] > 1:  # a single segment has nothing to compare with, and no motion
        motion[:, 1:] = (grid[:, 1:] - grid[:, :-1]).abs().mean(-1)
        motion[:, 0] = motion[:, 1]
    motion = motion.flatten(1)
    return motion / (motion.amax(dim=1, keepdim=True) + 1e-10)


def _sample(
    log_odds: Float[Tensor, "rows tokens"],
    uniform: Float[Tensor, "rows tokens"],
    mask_ratio: float,
    seen: Bool[Tensor, "rows tokens"] | None,
) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
    # Gumbel top-k: adding this noise and sorting is to draw without replacement by the softmax of the log odds.
    rank = log_odds - torch.log(-torch.log(uniform + 1e-10) + 1e-10)
    if seen is not None:
        rank = rank.masked_fill(~seen, torch.inf)
    order = rank.argsort(dim=1)
    visible = num_visible_tokens(log_odds.shape[1], mask_ratio)
    return order[:, :visible], order[:, visible:]
