"""A TOML file of settings, for a command whose options are settings.

A flag wins over an environment variable, which wins over the file, which wins over the default. Keys are the options'
names without the leading dashes, with underscores between words. Unknown keys are refused.
"""

import difflib
import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gfp_serve.files import MAX_SMALL_FILE_BYTES, read_ordinary

OPTION = "config"

_SOURCES = {
    ParameterSource.COMMANDLINE: "a flag",
    ParameterSource.ENVIRONMENT: "the environment",
    ParameterSource.DEFAULT_MAP: "the file",
    ParameterSource.DEFAULT: "the default",
}


def settings_file_option(
    help_text: str, *, listed: str, from_packages: frozenset[str] = frozenset()
) -> Callable[[Any], Any]:
    """Give a command `--config FILE`, whose values are used where neither a flag nor an environment variable is.

    `listed` says who reads of an unknown key where all settings are. `from_packages` are settings whose choices other
    packages may add to.
    """
    return click.option(
        "--config",
        OPTION,
        metavar="FILE",
        type=click.Path(path_type=Path),
        is_eager=True,  # read before the options that it gives values to
        expose_value=False,
        callback=partial(_load, listed=listed, from_packages=from_packages),
        help=help_text,
    )


def written_settings(context: click.Context) -> Iterator[str]:
    """The settings of a command as lines of such a file, each with its help and where its value comes from."""
    for option in _options(context.command):
        name = str(option.name)
        value, source = context.params[name], context.get_parameter_source(name)
        yield f"# {option.help}" + (f" From {_SOURCES[source]}." if source in _SOURCES else "")
        yield _line(name, value)


def settings_as_toml(
    context: click.Context, values: Mapping[str, Any], notes: Mapping[str, str] | None = None
) -> Iterator[str]:
    """These settings of a command as lines of such a file, each with its help, and with its note if it has one."""
    for option in _options(context.command):
        if option.name in values:
            note = (notes or {}).get(str(option.name))
            yield f"# {option.help}" + (f" {note}" if note else "")
            yield _line(str(option.name), values[option.name])


def _load(
    context: click.Context,
    _parameter: click.Parameter,
    path: Path | None,
    *,
    listed: str,
    from_packages: frozenset[str],
) -> None:
    if path is None:
        return
    try:
        values = tomllib.loads(read_ordinary(path, at_most=MAX_SMALL_FILE_BYTES).decode())
    except OSError as error:
        raise click.UsageError(f"--config {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise click.UsageError(f"--config {path} is not TOML: {error}.") from error
    options = {str(option.name): option for option in _options(context.command)}
    for name, value in values.items():
        if name not in options:
            near = difflib.get_close_matches(name, options, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; {listed}."
            raise click.UsageError(f"--config {path} sets {name}, which is not a setting{meant}")
        expected = _toml_type(options[name])
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise click.UsageError(
                f"--config {path} sets {name} to {_as_toml(value)}; expected {_NAMES[expected]}, e.g. "
                f"{_EXAMPLES[expected]}."
            )
        choices = options[name].type
        if name in from_packages and isinstance(choices, click.Choice) and value not in choices.choices:
            raise click.UsageError(
                f"--config {path} sets {name} to {_as_toml(value)}; expected one of {', '.join(choices.choices)}. If "
                f"another package brings it, install that package; the line above it in the file may name it."
            )
    context.default_map = values


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_EXAMPLES = {bool: "true", int: "8", float: "2.5", str: '"some text"'}


def _options(command: click.Command) -> list[click.Option]:
    return [
        option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value and option.name != OPTION
    ]


def _toml_type(option: click.Option) -> type:
    if option.is_flag:
        return bool
    return {click.INT: int, click.FLOAT: float}.get(option.type, str)


def _line(name: str, value: Any) -> str:
    """The line of a setting; a comment if it has no value, which TOML cannot say."""
    return f"# {name} =" if value is None else f"{name} = {_as_toml(value)}"


def _as_toml(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf, -inf or nan, as TOML has them; JSON would have other words
    # JSON's texts, other numbers, true and false are valid TOML.
    return json.dumps(str(value) if isinstance(value, Path) else value, default=str)
