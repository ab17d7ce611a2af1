"""What the encoder is trained to do. Each objective has a file with its citation, and one line here.

Other packages bring more by entry points of the group `gfp.objectives`.
"""

import dataclasses
from typing import Any

from trainer import encoders
from trainer.data.views import View
from trainer.encoders.encoder import Encoder
from trainer.objectives.gfp import Gfp
from trainer.objectives.gfp_adaptive import GfpAdaptive
from trainer.objectives.gfp_contrast import GfpContrast
from trainer.objectives.gfp_prototypes import GfpPrototypes
from trainer.objectives.gfp_queries import GfpQueries
from trainer.objectives.halp import Halp
from trainer.objectives.mamp import Mamp
from trainer.objectives.nat import Nat
from trainer.objectives.none import NoObjective, NoObjectiveConfig
from trainer.objectives.objective import MaskConfig, Objective, ObjectiveConfig, Outcome, broken_outcome
from trainer.objectives.s_jepa import SJepa
from trainer.objectives.skeleton_mae import SkeletonMae
from trainer.objectives.slim import Slim
from trainer.objectives.usdrl import Usdrl
from trainer.plugins import Plugin, Plugins, blamed, plugins, reserve

__all__ = [
    "OBJECTIVES",
    "MaskConfig",
    "NoObjectiveConfig",
    "Objective",
    "ObjectiveConfig",
    "Outcome",
    "broken_outcome",
    "build_objective",
    "config_from_json",
    "config_to_json",
    "config_types",
    "installed",
    "name_of",
    "needed_encoder",
    "others",
    "plugin_of",
    "served_part",
    "type_of",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "gfp": Gfp,
    "gfp_adaptive": GfpAdaptive,
    "gfp_contrast": GfpContrast,
    "gfp_prototypes": GfpPrototypes,
    "gfp_queries": GfpQueries,
    "halp": Halp,
    "mamp": Mamp,
    "nat": Nat,
    "s_jepa": SJepa,
    "skeleton_mae": SkeletonMae,
    "slim": Slim,
    "usdrl": Usdrl,
}


def _built_in() -> dict[str, type[Objective]]:
    """What a run may have: an objective, or none beside what it learns from labels, statistics and views."""
    return {**OBJECTIVES, "none": NoObjective}


def others() -> Plugins:
    """The objectives of other packages."""
    # Settings of other packages' encoders are options beside those of objectives.
    of_encoders = [each.config_type for each in encoders.others().types().values()]
    reserve("objective", {field.name for each in of_encoders for field in dataclasses.fields(each)})
    return plugins("objective", Objective, ObjectiveConfig, _built_in())


def installed() -> dict[str, type[Objective]]:
    """Every objective by name: those of this package, and those that other packages bring (see `trainer.plugins`)."""
    return {**OBJECTIVES, **others().types()}


def config_types() -> dict[str, type[ObjectiveConfig]]:
    """The settings of every objective, and of none, by name."""
    found: dict[str, type[Objective]] = {**OBJECTIVES, **others().types(), "none": NoObjective}
    return {name: objective.config_type for name, objective in found.items()}


def name_of(config: ObjectiveConfig) -> str:
    """The name of the objective that a config belongs to."""
    own = _named(_built_in(), config)
    # Other packages are imported only if they are asked for.
    if (name := own or _named(installed(), config)) is None:
        raise ValueError(f"no objective has settings of the type {type(config).__name__}.")
    return name


def _named(objectives: dict[str, type[Objective]], config: ObjectiveConfig) -> str | None:
    return next((name for name, objective in objectives.items() if objective.config_type is type(config)), None)


def type_of(config: ObjectiveConfig) -> type[Objective]:
    """The objective that a config belongs to."""
    name, built_in = name_of(config), _built_in()
    return built_in[name] if name in built_in else installed()[name]


def build_objective(encoder: Encoder, config: ObjectiveConfig) -> Objective:
    """The objective of a config around an encoder, with new weights for its other parts.

    Raises `ValueError` for settings that do not fit the encoder, and `PluginError` for an objective of another package
    that cannot be built, or asks for what is not a view.
    """
    if (plugin := plugin_of(config)) is None:
        return type_of(config)(encoder, config)
    with blamed([plugin], "the start", may_refuse=True):
        objective: Objective = plugin.found(encoder, config)
    with blamed([plugin], "a look at its views"):
        views, num_draws = objective.views, objective.num_draws
    if not isinstance(views, tuple) or not views or not all(isinstance(view, View) for view in views):
        raise plugin.gave(f"has {views!r} as its views; expected is a tuple of one View or more")
    if not isinstance(num_draws, int) or num_draws < 0:
        raise plugin.gave(f"has {num_draws!r} as its num_draws; expected is a whole number of 0 or more")
    return objective


def plugin_of(config: ObjectiveConfig) -> Plugin | None:
    """The objective of a config, if another package brings it."""
    name = name_of(config)
    return None if name in _built_in() else others().by_name[name]


def needed_encoder(config: ObjectiveConfig) -> type[Encoder]:
    """What an encoder must be able to do for an objective with this config: those that fit are of this type."""
    return type_of(config).needed_encoder(config)


def served_part(config: ObjectiveConfig) -> str:
    """The name of the part of an objective with this config that is evaluated and served."""
    return type_of(config).served


def config_to_json(config: ObjectiveConfig) -> dict[str, Any]:
    """The name and the settings of an objective, and the package that brings it if it is not built in."""
    name = name_of(config)
    package = {} if name in _built_in() else others().package_of(name)
    return {"name": name, **package, **dataclasses.asdict(config)}


def config_from_json(values: dict[str, Any]) -> ObjectiveConfig:
    """The config that `config_to_json` wrote.

    Raises `MissingPluginError` for an objective that is not installed and `TypeError` for an unknown setting.
    """
    settings = dict(values)
    name, package = settings.pop("name", None), settings.pop("package", None)
    found = _built_in()
    if name not in found:
        found = found | installed()
    if name not in found:
        raise others().missing(name, package, found)
    return found[name].config_type(**settings)
