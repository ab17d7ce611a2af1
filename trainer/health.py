"""Is the objective learning or collapsing? Numbers read off predictions and targets, never part of the loss."""

import torch
from jaxtyping import Float
from torch import Tensor

# Rows are subsampled: ranks of more rows cost as much as many steps, and say the same of what is asked, a collapse.
MAX_ROWS = 256
COLLAPSED_STD, COLLAPSED_RANK_SHARE, COLLAPSED_STEPS = 0.1, 0.1, 200


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
        # No more directions than features, nor than (centred) rows.
        report[f"{level}/target_full_rank"] = float(min(target.shape[1], min(len(target), MAX_ROWS) - 1))
        report[f"{level}/prediction_rank"] = effective_rank(prediction)
        report[f"{level}/unpredicted"] = (error / target.var(dim=0).mean().clamp_min(1e-12)).item()
    return report


def effective_rank(features: Float[Tensor, "rows features"]) -> float:
    """exp of the entropy of the normalised singular values of the centred features (Roy and Vetterli, 2007)."""
    # Drawn, not every n-th: rows go joint by joint, and a step of 25 would see a single joint.
    chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MAX_ROWS]
    rows = features[chosen.to(features.device)].double()
    centred = rows - rows.mean(dim=0)
    # By way of the rows' products, of which there are fewer than of features; in float64, where squaring loses nothing.
    values = torch.linalg.eigvalsh(centred @ centred.T).clamp_min(0).sqrt()
    share = values / values.sum().clamp_min(1e-12)
    return torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()).item()


class CollapseWatch:
    """Tells when the targets of a level have hardly varied, or in hardly any directions, for many steps on end."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}

    def collapsed(self, step: int, report: dict[str, float]) -> dict[str, str]:
        """A sentence, by level, for each collapsed for `COLLAPSED_STEPS` steps; `report` is this step's."""
        sentences = {}
        for level in [name.removesuffix("/target_std") for name in report if name.endswith("/target_std")]:
            std, rank, full = (report[f"{level}/target_{name}"] for name in ("std", "rank", "full_rank"))
            if std >= COLLAPSED_STD and rank >= COLLAPSED_RANK_SHARE * full:
                self._since.pop(level, None)
            elif step - self._since.setdefault(level, step) >= COLLAPSED_STEPS:
                sentences[level] = (
                    f"the targets of level {level!r} have collapsed since step {self._since[level]}: their std is "
                    f"{std:.2g} (healthy is {COLLAPSED_STD} or more), their effective rank {rank:.0f} of {full:.0f}"
                )
        return sentences
