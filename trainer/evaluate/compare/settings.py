"""The protocols of a comparison: their settings, and the names of the figures that they give."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from gfp_serve.settings import setting
from trainer.evaluate.fine_tune import FineTuneConfig
from trainer.evaluate.learning import TOP
from trainer.evaluate.linear_probe import LinearProbeConfig, check_positive
from trainer.schedule import LARGEST_SEED

Protocol = Literal["retrieval", "linear-probe", "semi-supervised", "fine-tune", "transfer"]
PROTOCOLS: tuple[Protocol, ...] = ("retrieval", "linear-probe", "semi-supervised", "fine-tune", "transfer")
QUICK: tuple[Protocol, ...] = ("retrieval", "linear-probe")
FINE_TUNED = frozenset(("semi-supervised", "fine-tune", "transfer"))

_COLUMNS = {"linear-probe": "linear", "fine-tune": "fine-tuned", "transfer": "transfer"}
# Of a run's seed, the seeds of its draws of labels are this far apart.
_NEXT_DRAW = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """Settings of the protocols. What is not here is as published. Raises `ValueError` for a value out of range."""

    linear_epochs: int = setting(100, "Passes of the linear probe over the training clips.")
    linear_augment: bool = setting(
        False,
        "Let the linear probe learn from random windows and rotations, as published, which takes a hundred times as "
        "long.",
    )
    fine_tune_epochs: int = setting(
        100, "Passes of fine-tuning over the clips that it learns from, also in semi-supervised and transfer."
    )
    num_draws: int = setting(1, "Draws of labels for each run and share in semi-supervised.")
    balanced: bool = setting(False, "Draw labels equally from all classes; published draws ignore classes.")
    ratios: tuple[float, ...] = (0.01, 0.1)  # shares of the training clips whose labels semi-supervised uses

    def __post_init__(self) -> None:
        check_positive(self, "linear_epochs", "fine_tune_epochs", "num_draws")

    def probe(self, seed: int) -> LinearProbeConfig:
        """Settings of the linear probe for a run of this seed."""
        return LinearProbeConfig(epochs=self.linear_epochs, augment=self.linear_augment, seed=seed)

    def fine_tune(self, seed: int) -> FineTuneConfig:
        """Settings of fine-tuning for a run of this seed. A short one has a warm-up of the published share."""
        epochs, published = self.fine_tune_epochs, FineTuneConfig()
        warmup = min(published.warmup_epochs, round(published.warmup_epochs * epochs / published.epochs))
        # Only the last epoch counts, so no other one is tested.
        return replace(published, epochs=epochs, warmup_epochs=warmup, test_every_epochs=epochs, seed=seed)

    def draw_seeds(self, seed: int) -> list[int]:
        """Seeds of the draws of labels for a run of this seed; runs of one seed get the same labels."""
        return [(seed + number * _NEXT_DRAW) % (LARGEST_SEED + 1) for number in range(self.num_draws)]


def settings_of_protocols(protocols: Sequence[Protocol], config: CompareConfig) -> dict[str, dict[str, Any]]:
    """The settings of each protocol, for the report; the seed of a head is that of its run."""
    return {name: {**settings_of_score(name, None, config, 0), "seed": "that of the run"} for name in protocols}


def columns_of(protocols: Sequence[Protocol], config: CompareConfig) -> list[str]:
    """The names of the figures that these protocols give, in the order of the table."""
    names: list[str] = []
    for protocol in protocols:
        if protocol == "retrieval":
            names += ["1-NN", f"{TOP}-NN"]
        elif protocol == "semi-supervised":
            names += [title_of("semi-supervised", ratio) for ratio in config.ratios]
        else:
            names.append(title_of(protocol))
    return names


def title_of(protocol: Protocol, ratio: float | None = None) -> str:
    """What a score is called; `ratio` is the share of labels of semi-supervised."""
    return _COLUMNS.get(protocol, protocol) if ratio is None else f"semi {100 * ratio:g} %"


def settings_of_score(protocol: Protocol, ratio: float | None, config: CompareConfig, seed: int) -> dict[str, Any]:
    """What a score depends on besides encoder and clips."""
    if protocol == "retrieval":
        return {"num_neighbours": [1, TOP]}
    if protocol == "linear-probe":
        return asdict(config.probe(seed))
    settings = asdict(config.fine_tune(seed))
    if protocol == "semi-supervised":
        settings |= {"num_draws": config.num_draws, "balanced": config.balanced}
        settings |= {"ratios": list(config.ratios)} if ratio is None else {"ratio": ratio}
    return settings
