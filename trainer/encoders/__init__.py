"""What turns bodies into vectors. Each encoder has a file with its citation, and one line here."""

import dataclasses
from typing import Any

from trainer.encoders.encoder import Encoder, EncoderConfig, MaskableEncoder, MaskableEncoderConfig
from trainer.encoders.transformer import Transformer

__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderConfig",
    "MaskableEncoder",
    "MaskableEncoderConfig",
    "build_encoder",
    "config_from_json",
    "config_to_json",
    "config_types",
    "name_of",
]

ENCODERS: dict[str, type[Encoder]] = {
    "transformer": Transformer,
}


def config_types() -> dict[str, type[EncoderConfig]]:
    """The settings of every encoder by name."""
    return {name: encoder.config_type for name, encoder in ENCODERS.items()}


def name_of(config: EncoderConfig) -> str:
    """The name of the encoder that a config belongs to."""
    return next(name for name, config_type in config_types().items() if config_type is type(config))


def build_encoder(config: EncoderConfig, *, num_frames: int) -> Encoder:
    """The encoder of a config with new weights, for clips of this many frames.

    Raises `ValueError` for settings that do not fit the frames.
    """
    return ENCODERS[name_of(config)](config, num_frames=num_frames)


def config_to_json(config: EncoderConfig) -> dict[str, Any]:
    """The name and the settings of an encoder."""
    return {"name": name_of(config), **dataclasses.asdict(config)}


def config_from_json(values: dict[str, Any]) -> EncoderConfig:
    """The config that `config_to_json` wrote. Settings without a name are of a transformer, once the only encoder.

    Raises `ValueError` for an unknown encoder and `TypeError` for an unknown setting.
    """
    settings = dict(values)
    name = settings.pop("name", "transformer")
    if name not in config_types():
        raise ValueError(f"there is no encoder {name!r}; choose one of {', '.join(config_types())}.")
    return config_types()[name](**settings)
