"""Whether an objective learns or collapses: numbers taken from predictions and targets, never part of the loss."""

import torch
from jaxtyping import Float
from torch import Tensor

# Ranks are taken of this many rows. More cost as much as many steps, and show a collapse no better.
MAX_ROWS = 256
COLLAPSED_STD, COLLAPSED_RANK_SHARE, COLLAPSED_STEPS = 0.1, 0.1, 200


@torch.no_grad()
def health(levels: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """For each level: mean standard deviation and effective rank of targets and predictions, and `unpredicted`.

    `unpredicted` is the prediction error over the variance of the targets: 1 when the decoder knows the mean only. A
    level of one row, such as that of one clip, is left out: one row does not vary.
    """
    report = {}
    for level, (prediction, target) in levels.items():
        if len(target) < 2:
            continue
        error = (prediction - target).square().mean()
        report[f"{level}/target_std"] = target.std(dim=0).mean().item()
        report[f"{level}/prediction_std"] = prediction.std(dim=0).mean().item()
        report[f"{level}/target_rank"] = effective_rank(target)
        # A rank is at most the number of features, and of (centred) rows.
        report[f"{level}/target_full_rank"] = float(min(target.shape[1], min(len(target), MAX_ROWS) - 1))
        report[f"{level}/prediction_rank"] = effective_rank(prediction)
        report[f"{level}/unpredicted"] = (error / target.var(dim=0).mean().clamp_min(1e-12)).item()
    return report


def effective_rank(features: Float[Tensor, "rows features"]) -> float:
    """exp of the entropy of the normalised singular values of the centred features (Roy and Vetterli, 2007)."""
    # Rows are drawn at random. They go joint by joint, so every 25th would be the same joint.
    chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MAX_ROWS]
    # On the CPU: there float64 is fast, and eight of these would take a GPU half a step.
    rows = features[chosen.to(features.device)].cpu().double()
    centred = rows - rows.mean(dim=0)
    # From the products of rows: there are fewer rows than features. In float64 squaring loses nothing.
    values = torch.linalg.eigvalsh(centred @ centred.T).clamp_min(0).sqrt()
    share = values / values.sum().clamp_min(1e-12)
    return torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()).item()


class CollapseWatch:
    """Says when the targets of a level have hardly varied, or varied in few directions only, for many steps."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}

    def collapsed(self, step: int, report: dict[str, float]) -> dict[str, str]:
        """A sentence for each level that has been collapsed for `COLLAPSED_STEPS` steps; `report` is this step's."""
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
