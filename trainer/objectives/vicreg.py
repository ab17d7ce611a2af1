"""The two terms that keep learned targets from collapsing: every feature varies, and no two features are the same.

VICReg, "Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR 2022, arXiv 2105.04906,
section 4.1. Statistics are over the rows of all processes. Features must be float32: in bf16 the squares of small
covariances are lost.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from trainer.parallel import moments, num_processes, total


def variance_and_covariance(
    features: Float[Tensor, "targets features"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The two terms of a matrix of targets, from one pass over it.

    Variance: the mean of max(0, 1 − std) over the features, which pushes the spread of each up to 1; the std is
    sqrt(var + 1e-4). Covariance: the sum of the squared off-diagonal covariances, divided by the number of features.
    """
    rows, _, centred = moments(features)
    squares = total(centred.square().sum(dim=0))
    variance = squares / (rows - 1)
    off_diagonal = (_squared_norm_of_product(centred) - squares.square().sum()) / (rows - 1) ** 2
    return F.relu(1 - torch.sqrt(variance + 1e-4)).mean(), off_diagonal / features.shape[1]


def _squared_norm_of_product(x: Float[Tensor, "rows features"]) -> Float[Tensor, ""]:
    """‖XᵀX‖², the sum of all squared products of two features over the rows of all processes."""
    # One side is held fixed, so the product is differentiated once instead of twice; that gives half the gradient.
    fixed = x.detach()
    # ‖XᵀX‖ = ‖XXᵀ‖, and a batch has far fewer clips than the global target has features.
    by_rows = num_processes() == 1 and x.shape[0] < x.shape[1]
    product = fixed @ x.T if by_rows else total(fixed.T @ x)
    half = product.square().sum()
    return 2 * half - half.detach()
