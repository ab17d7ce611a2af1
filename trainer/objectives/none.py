"""No objective of its own: the encoder learns from the terms of `trainer.terms` alone."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from trainer.objectives.objective import Objective, ObjectiveConfig, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class NoObjectiveConfig(ObjectiveConfig):
    """Nothing to set."""


class NoObjective(Objective):
    """An encoder and nothing else."""

    config_type: ClassVar[type[ObjectiveConfig]] = NoObjectiveConfig

    def forward(self, bodies: Float[Tensor, "rows frames joints 3"], uniform: Float[Tensor, "rows tokens"]) -> Outcome:
        return Outcome(bodies.new_zeros(()) * uniform.new_zeros(()), {}, {})
