"""Fields of config dataclasses that are settings: name, type, default and help are written once.

`gfp_serve.cli.options` makes command-line options of them. Nothing here knows the command line.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

C = TypeVar("C")


def setting(default: Any, help_text: str, *, parse: Any = None, heading: str = "") -> Any:
    """A dataclass field that becomes the option `--field-name`; `parse` replaces the type of the option.

    With a `heading`, the help of a command shows the option under it, below the options without one.
    """
    return dataclasses.field(default=default, metadata={"help": help_text, "parse": parse, "heading": heading})


def settings_of(config_type: type[C], *, heading: str = "") -> Any:
    """A dataclass field that holds another config, whose settings become options too, under this heading."""
    return dataclasses.field(default_factory=config_type, metadata={"settings_of": config_type, "heading": heading})


def choice_of(
    config_types: Callable[[], Mapping[str, type[C]]], default: Callable[[], C], help_text: str, *, heading: str = ""
) -> Any:
    """A dataclass field that holds one of several configs: the option `--field-name NAME` says which one.

    The settings of all of them become options. Settings with the same name become one option. An option that the chosen
    config does not have is refused. `config_types` is called when the options are made, so that more configs can be
    registered before that. The settings, but not the choice itself, are shown under the heading.
    """
    about = {"choice_of": config_types, "default": default, "help": help_text, "heading": heading}
    return dataclasses.field(default_factory=default, metadata=about)
