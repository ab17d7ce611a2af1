"""What the encoder is trained to do. Each objective has a file with its citation, and one line here."""

import dataclasses
from typing import Any

from trainer.encoders.encoder import Encoder
from trainer.objectives.gfp import Gfp
from trainer.objectives.gfp_contrast import GfpContrast
from trainer.objectives.gfp_queries import GfpQueries
from trainer.objectives.halp import Halp
from trainer.objectives.mamp import Mamp
from trainer.objectives.nat import Nat
from trainer.objectives.none import NoObjective, NoObjectiveConfig
from trainer.objectives.objective import MaskConfig, Objective, ObjectiveConfig, Outcome
from trainer.objectives.s_jepa import SJepa
from trainer.objectives.skeleton_mae import SkeletonMae
from trainer.objectives.usdrl import Usdrl

__all__ = [
    "OBJECTIVES",
    "MaskConfig",
    "NoObjectiveConfig",
    "Objective",
    "ObjectiveConfig",
    "Outcome",
    "build_objective",
    "config_from_json",
    "config_to_json",
    "config_types",
    "name_of",
    "needed_encoder",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "gfp": Gfp,
    "gfp_contrast": GfpContrast,
    "gfp_queries": GfpQueries,
    "halp": Halp,
    "mamp": Mamp,
    "nat": Nat,
    "s_jepa": SJepa,
    "skeleton_mae": SkeletonMae,
    "usdrl": Usdrl,
}


def _choices() -> dict[str, type[Objective]]:
    """What a run may have: an objective, or none beside what it learns from labels, statistics and views."""
    return {**OBJECTIVES, "none": NoObjective}


def config_types() -> dict[str, type[ObjectiveConfig]]:
    """The settings of every objective, and of none, by name."""
    return {name: objective.config_type for name, objective in _choices().items()}


def name_of(config: ObjectiveConfig) -> str:
    """The name of the objective that a config belongs to."""
    return next(name for name, config_type in config_types().items() if config_type is type(config))


def build_objective(encoder: Encoder, config: ObjectiveConfig) -> Objective:
    """The objective of a config around an encoder, with new weights for its other parts.

    Raises `ValueError` for settings that do not fit the encoder.
    """
    return _choices()[name_of(config)](encoder, config)


def needed_encoder(config: ObjectiveConfig) -> type[Encoder]:
    """What an encoder must be able to do for an objective with this config: those that fit are of this type."""
    return _choices()[name_of(config)].needed_encoder(config)


def config_to_json(config: ObjectiveConfig) -> dict[str, Any]:
    """The name and the settings of an objective."""
    return {"name": name_of(config), **dataclasses.asdict(config)}


def config_from_json(values: dict[str, Any]) -> ObjectiveConfig:
    """The config that `config_to_json` wrote.

    Raises `ValueError` for an unknown objective and `TypeError` for an unknown setting.
    """
    settings = dict(values)
    name = settings.pop("name", None)
    if name not in config_types():
        raise ValueError(f"there is no objective {name!r}; choose one of {', '.join(config_types())}.")
    return config_types()[name](**settings)
