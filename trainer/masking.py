"""Which tokens the encoder sees: visible and target token indices; nothing is ever multiplied by a mask."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def num_visible_tokens(num_tokens: int, mask_ratio: float) -> int:
    """How many tokens stay visible: 74 of 750 at 0.9.

    Floating point makes 750 · (1 − 0.9) a little less than 75; the published code cuts it to 74, and so do the FLOPs
    of the GFP paper.
    """
    return int(num_tokens * (1 - mask_ratio))


def random_mask(
    uniform: Float[Tensor, "rows tokens"], *, mask_ratio: float
) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
    """Every token is hidden with the same odds (SkeletonMAE); `uniform` are random numbers in [0, 1)."""
    return _sample(torch.zeros_like(uniform), uniform, mask_ratio)


def motion_aware_mask(
    segments: Float[Tensor, "rows tokens coordinates"],
    num_joints: int,
    uniform: Float[Tensor, "rows tokens"],
    *,
    mask_ratio: float,
    temperature: float,
) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
    """Joints that move are hidden more often (MAMP, section 3.3): odds grow as exp(motion / temperature).

    Motion is the mean absolute difference to the same joint's segment before, divided by the body's largest; so the
    most moving token's odds of being hidden are exp(1 / temperature) times a resting one's, 3.5 at 0.8. At 0 or less
    motion makes no difference. `uniform` are random numbers in [0, 1).
    """
    if temperature <= 0:
        return random_mask(uniform, mask_ratio=mask_ratio)
    return _sample(motion_of(segments, num_joints) / temperature, uniform, mask_ratio)


def motion_of(segments: Float[Tensor, "rows tokens coordinates"], num_joints: int) -> Float[Tensor, "rows tokens"]:
    """Motion of each token in [0, 1], 1 for the body's most moving one; the first segment takes the second's."""
    rows, tokens, _ = segments.shape
    grid = segments.float().view(rows, tokens // num_joints, num_joints, -1)
    motion = torch.zeros(grid.shape[:3], device=grid.device)
    if grid.shape[1] > 1:  # else there is nothing to compare with, and no motion
        motion[:, 1:] = (grid[:, 1:] - grid[:, :-1]).abs().mean(-1)
        motion[:, 0] = motion[:, 1]
    motion = motion.flatten(1)
    return motion / (motion.amax(dim=1, keepdim=True) + 1e-10)


def _sample(
    log_odds: Float[Tensor, "rows tokens"], uniform: Float[Tensor, "rows tokens"], mask_ratio: float
) -> tuple[Int[Tensor, "rows visible"], Int[Tensor, "rows target"]]:
    # Gumbel top-k: adding this noise and sorting draws without replacement with the softmax of the log odds.
    order = (log_odds - torch.log(-torch.log(uniform + 1e-10) + 1e-10)).argsort(dim=1)
    visible = num_visible_tokens(log_odds.shape[1], mask_ratio)
    return order[:, :visible], order[:, visible:]
