"""No objective of its own: the encoder learns from the terms of `trainer.terms` alone."""

from dataclasses import dataclass
from typing import ClassVar

from trainer.data.batches import Batch
from trainer.objectives.objective import MaskConfig, Objective, ObjectiveConfig, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class NoObjectiveConfig(MaskConfig):
    """Nothing to set; runs that began earlier name a mask ratio."""


class NoObjective(Objective):
    """An encoder and nothing else."""

    config_type: ClassVar[type[ObjectiveConfig]] = NoObjectiveConfig

    def forward(self, batch: Batch) -> Outcome:
        return Outcome(batch.bodies.new_zeros(()), {}, {})
