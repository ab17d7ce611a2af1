"""No objective of its own: the encoder learns from the terms of `trainer.terms` alone."""

from dataclasses import dataclass
from typing import Any, ClassVar

from trainer.data.batches import Batch
from trainer.encoders.encoder import Encoder
from trainer.objectives.objective import MaskConfig, Objective, ObjectiveConfig, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class NoObjectiveConfig(MaskConfig):
    """Nothing to set; runs that began earlier name a mask ratio."""


class NoObjective(Objective):
    """An encoder and nothing else."""

    config_type: ClassVar[type[ObjectiveConfig]] = NoObjectiveConfig

    @classmethod
    def needed_encoder(cls, _config: Any) -> type[Encoder]:
        """It asks nothing of an encoder. The terms beside it may, see `TrainConfig`."""
        return Encoder

    def forward(self, batch: Batch) -> Outcome:
        return Outcome(batch.bodies.new_zeros(()), {}, {})
