"""The two terms that keep learned targets from collapsing: every feature varies, and no two say the same.

VICReg, "Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR 2022, arXiv 2105.04906,
section 4.1. Statistics are over the rows of all processes; give float32, for squares of covariances lose the small
ones in bf16.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from trainer.parallel import moments, total


def variance_term(features: Float[Tensor, "targets features"]) -> Float[Tensor, ""]:
    """Mean of max(0, 1 − std) over features: pushes every feature's spread up to 1. The std is sqrt(var + 1e-4)."""
    rows, _, centred = moments(features)
    variance = total(centred.square().sum(dim=0)) / (rows - 1)
    return F.relu(1 - torch.sqrt(variance + 1e-4)).mean()


def covariance_term(features: Float[Tensor, "targets features"]) -> Float[Tensor, ""]:
    """Sum of squared off-diagonal covariances over the number of features: keeps features from repeating."""
    rows, _, centred = moments(features)
    covariance = total(centred.T @ centred) / (rows - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / features.shape[1]
