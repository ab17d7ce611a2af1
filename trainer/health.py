"""Is the objective learning or collapsing? Numbers read off predictions and targets, never part of the loss."""

import torch
from jaxtyping import Float
from torch import Tensor

# Rows are subsampled: ranks of more rows cost seconds on a CPU and say the same.
MAX_ROWS = 1024
COLLAPSED_STD = 0.1


@torch.no_grad()
def health(levels: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """For each level: mean std and effective rank of targets and predictions, and how predictable the targets are.

    `unpredicted` is the prediction error over the targets' variance: 1 when the decoder knows no more than the mean.
    """
    report = {}
    for level, (prediction, target) in levels.items():
        error = (prediction - target).square().mean()
        report[f"{level}/target_std"] = target.std(dim=0).mean().item()
        report[f"{level}/prediction_std"] = prediction.std(dim=0).mean().item()
        report[f"{level}/target_rank"] = effective_rank(target)
        report[f"{level}/prediction_rank"] = effective_rank(prediction)
        report[f"{level}/unpredicted"] = (error / target.var(dim=0).mean().clamp_min(1e-12)).item()
    return report


def effective_rank(features: Float[Tensor, "rows features"]) -> float:
    """exp of the entropy of the normalised singular values of the centred features (Roy and Vetterli, 2007)."""
    # Drawn, not every n-th: rows go joint by joint, and a step of 25 would see a single joint.
    chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MAX_ROWS]
    rows = features[chosen.to(features.device)].float()
    values = torch.linalg.svdvals(rows - rows.mean(dim=0))
    share = values / values.sum().clamp_min(1e-12)
    return torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()).item()


def collapsed(report: dict[str, float]) -> list[str]:
    """The levels whose targets hardly vary any more."""
    return [name.split("/")[0] for name, v in report.items() if name.endswith("/target_std") and v < COLLAPSED_STD]
