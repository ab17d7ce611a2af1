"""The one mapping from a config dataclass to click options, so that name, type, default and help are written once."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gfp_serve.errors import GfpError

C = typing.TypeVar("C")


class Command(click.Command):
    """Turns the mistakes of a caller into one line and exit code 1; a traceback is a bug of ours."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GfpError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            # One that names a file is about a path that the caller gave; any other is click's (a closed pipe) or ours.
            if error.filename is None:
                raise
            raise click.ClickException(f"{error.filename} cannot be used: {error.strerror}.") from error


class Group(Command, click.Group):
    """The same for the commands of a group."""


def setting(default: Any, help_text: str, *, parse: click.ParamType[Any] | None = None) -> Any:
    """A dataclass field that becomes the option `--field-name`, with `parse` where the type alone is not enough."""
    return dataclasses.field(default=default, metadata={"help": help_text, "parse": parse})


def settings_of(config_type: type[C]) -> Any:
    """A dataclass field that holds another config, whose settings become options beside the outer one's."""
    return dataclasses.field(default_factory=config_type, metadata={"settings_of": config_type})


def options_from(
    config_type: type[C], *, presets: Mapping[str, C] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option for each `setting` of a dataclass, and call it with `config=config_type(...)`.

    With `presets`, an option `--preset NAME` chooses the values that the other options then override.
    A `ValueError` from `__post_init__` becomes one line and exit code 2.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def call(**given: Any) -> Any:
            context = click.get_current_context()
            values = {field.name: given.pop(field.name) for field, _ in _settings(config_type)}
            start = presets[name] if presets is not None and (name := given.pop("preset")) else None
            if start is not None:
                values = {
                    name: value
                    for name, value in values.items()
                    if context.get_parameter_source(name) is not ParameterSource.DEFAULT
                }
            try:
                config = _build(config_type, values, start)
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            return command(config=config, **given)

        call.__name__, call.__doc__ = command.__name__, command.__doc__
        call.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
        for field, hint in reversed(list(_settings(config_type))):
            call = _option(field, hint)(call)
        if presets is not None:
            names = click.Choice(list(presets))
            call = click.option("--preset", type=names, help="Named set of values; other options override it.")(call)
        return call

    return decorate


def _settings(config_type: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """Every `setting` with its type, those of inner configs in the place where the inner config stands."""
    hints = typing.get_type_hints(config_type)
    for field in dataclasses.fields(config_type):
        if inner := field.metadata.get("settings_of"):
            yield from _settings(inner)
        elif "help" in field.metadata:
            yield field, hints[field.name]


def _build(config_type: type[C], values: Mapping[str, Any], start: C | None) -> C:
    """The config with `values` by setting name, on top of `start` (or of the defaults)."""
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(config_type):  # type: ignore[arg-type]
        if inner := field.metadata.get("settings_of"):
            chosen[field.name] = _build(inner, values, None if start is None else getattr(start, field.name))
        elif field.name in values:
            chosen[field.name] = values[field.name]
    return config_type(**chosen) if start is None else dataclasses.replace(start, **chosen)  # type: ignore[type-var]


def _option(field: dataclasses.Field[Any], hint: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    name = field.name.replace("_", "-")
    shown = field.default is not None and field.default != ""
    common: dict[str, Any] = {"default": field.default, "show_default": shown, "help": field.metadata["help"]}
    if hint is bool:
        return click.option(f"--{name}/--no-{name}", field.name, **common)
    return click.option(f"--{name}", field.name, type=field.metadata["parse"] or _click_type(hint), **common)


def _click_type(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        (hint,) = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if typing.get_origin(hint) is typing.Literal:
        return click.Choice(list(typing.get_args(hint)))
    if hint is Path:
        return click.Path(path_type=Path)
    return hint
