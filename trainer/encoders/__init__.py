"""What turns bodies into vectors. Each encoder has a file with its citation, and one line here.

Other packages bring more by entry points of the group `gfp.encoders`.
"""

import dataclasses
from typing import Any

from trainer.encoders.encoder import (
    Encoder,
    EncoderConfig,
    FillableEncoder,
    MaskableEncoder,
    MaskableEncoderConfig,
    broken_promise,
)
from trainer.encoders.gru import Gru
from trainer.encoders.slim import SlimEncoder
from trainer.encoders.transformer import Transformer
from trainer.encoders.two_stream import TwoStream
from trainer.plugins import Plugin, Plugins, blamed, plugins

__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderConfig",
    "FillableEncoder",
    "MaskableEncoder",
    "MaskableEncoderConfig",
    "build_encoder",
    "config_from_json",
    "config_to_json",
    "config_types",
    "installed",
    "name_of",
    "others",
    "plugin_of",
    "type_of",
]

ENCODERS: dict[str, type[Encoder]] = {
    "gru": Gru,
    "slim": SlimEncoder,
    "transformer": Transformer,
    "two_stream": TwoStream,
}


def installed() -> dict[str, type[Encoder]]:
    """Every encoder by name: those of this package, and those that other packages bring (see `trainer.plugins`)."""
    return {**ENCODERS, **others().types()}


def others() -> Plugins:
    """The encoders of other packages."""
    return plugins("encoder", Encoder, EncoderConfig, ENCODERS)


def config_types() -> dict[str, type[EncoderConfig]]:
    """The settings of every encoder by name."""
    return {name: encoder.config_type for name, encoder in installed().items()}


def name_of(config: EncoderConfig) -> str:
    """The name of the encoder that a config belongs to."""
    own = _named(ENCODERS, config)
    # Other packages are imported only if they are asked for.
    if (name := own or _named(installed(), config)) is None:
        raise ValueError(f"no encoder has settings of the type {type(config).__name__}.")
    return name


def _named(encoders: dict[str, type[Encoder]], config: EncoderConfig) -> str | None:
    return next((name for name, encoder in encoders.items() if encoder.config_type is type(config)), None)


def type_of(config: EncoderConfig) -> type[Encoder]:
    """The encoder that a config belongs to."""
    name = name_of(config)
    return ENCODERS[name] if name in ENCODERS else installed()[name]


def build_encoder(config: EncoderConfig, *, num_frames: int) -> Encoder:
    """The encoder of a config with new weights, for clips of this many frames.

    Raises `ValueError` for settings that do not fit the frames, and `PluginError` for an encoder of another package
    that cannot be built, or does not give the tokens and the vectors that it promises.
    """
    if (plugin := plugin_of(config)) is None:
        return type_of(config)(config, num_frames=num_frames)
    with blamed([plugin], "the start", may_refuse=True):
        encoder: Encoder = plugin.found(config, num_frames=num_frames)
    with blamed([plugin], "a look at two bodies"):
        problem = broken_promise(encoder, num_frames)
    if problem:
        raise plugin.gave(problem)
    return encoder


def plugin_of(config: EncoderConfig) -> Plugin | None:
    """The encoder of a config, if another package brings it."""
    name = name_of(config)
    return None if name in ENCODERS else others().by_name[name]


def config_to_json(config: EncoderConfig) -> dict[str, Any]:
    """The name and the settings of an encoder, and the package that brings it if it is not built in."""
    name = name_of(config)
    package = {} if name in ENCODERS else others().package_of(name)
    return {"name": name, **package, **dataclasses.asdict(config)}


def config_from_json(values: dict[str, Any]) -> EncoderConfig:
    """The config that `config_to_json` wrote. Settings without a name are of a transformer, once the only encoder.

    Raises `MissingPluginError` for an encoder that is not installed and `TypeError` for an unknown setting.
    """
    settings = dict(values)
    name, package = settings.pop("name", "transformer"), settings.pop("package", None)
    if name not in ENCODERS and name not in installed():
        raise others().missing(name, package, installed())
    return (ENCODERS[name] if name in ENCODERS else installed()[name]).config_type(**settings)
