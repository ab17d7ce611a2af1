"""Config dataclasses -> click options, so that name, type, default and help are written once."""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gfp_serve import __version__
from gfp_serve.errors import GfpError
from gfp_serve.extras import missing
from gfp_serve.printable import printable

C = typing.TypeVar("C")


class Command(click.Command):
    """A command that shows a caller's mistake as one line with exit code 1. Only our bugs give a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GfpError as error:
            raise click.ClickException(printable(self._in_words(error))) from error
        except ModuleNotFoundError as error:
            raise click.ClickException(str(missing(error))) from error
        except OSError as error:
            # With a file, it is about a path that the caller gave. Without, it is click's (a closed pipe) or a bug.
            if error.filename is None:
                raise
            raise click.ClickException(printable(f"{error.filename} cannot be used: {error.strerror}.")) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, those without one first."""
        headed = {param.heading for param in self.params if isinstance(param, _HeadedOption)}
        if not headed:
            super().format_options(ctx, formatter)
            return
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None:
                heading = param.heading if isinstance(param, _HeadedOption) else "Options"
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def _in_words(self, error: GfpError) -> str:
        """The error with the option's name, as it was typed, instead of the request's field."""
        first, *_, last = re.findall(r"\w+", error.field) * 2 or ("", "")
        name = "where" if first == "filter" else last
        flags = [param.opts[0] for param in self.params if param.name == name and isinstance(param, click.Option)]
        return f"{flags[0]}: {error.message}" if flags else str(error)


class Group(Command, click.Group):
    """The same for a group of commands, and for each command of it."""

    command_class = Command


# Each installed command has it.
version_option = click.version_option(__version__, message="%(version)s")


def html_option(shows: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --html PAGE.html of a command that also writes a web page; `shows` ends the sentence of its help."""
    return click.option(
        "--html",
        metavar="PAGE.html",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_checked_page,
        help=f"Also write a web page that shows {shows} It is one file that loads nothing.",
    )


def _checked_page(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix not in (".html", ".htm"):
        raise click.BadParameter(f"{path} must end in .html.")
    return path


def with_options_of(command: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a function the name, the help and the options of the command that it calls.

    Not `functools.wraps`: with it, an option added to the one would be added to the other too.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__name__, function.__doc__ = command.__name__, command.__doc__
        function.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
        return function

    return decorate


def options_from(
    config_type: type[C],
    *,
    into: str = "config",
    presets: Mapping[str, C] | None = None,
    start: Callable[[Mapping[str, Any]], C | None] = lambda _: None,
    following: Callable[[Mapping[str, Any], C | None], Mapping[str, Any]] = lambda *_: {},
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option for each `setting` of a dataclass, and call it with `config=config_type(...)`.

    `into` is the name of that argument, for a command that takes two dataclasses.

    With `presets`, the option `--preset NAME` chooses values, which other options override. Without a preset, options
    override the config that `start` makes of the command's own parameters, or the defaults if that is None.
    `following` gets the given values and the config below them, and returns values of settings that follow from these.
    A `ValueError` from `__post_init__` becomes one line and exit code 2.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @with_options_of(command)
        def call(**given: Any) -> Any:
            context = click.get_current_context()
            values = {name: given.pop(name) for name in names}
            preset = given.pop("preset") if presets is not None else None
            before = presets[preset] if presets is not None and preset else start(given)
            overrides = {
                name: value
                for name, value in values.items()
                if context.get_parameter_source(name) is not ParameterSource.DEFAULT
            }
            try:
                config = _build(config_type, overrides | dict(following(overrides, before)), before)
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            return command(**{into: config}, **given)

        for option in reversed(options):
            call = option.decorate(call)
        if presets is not None:
            choice = click.Choice(list(presets))
            call = click.option("--preset", type=choice, help="Named set of values; other options override it.")(call)
        return call

    options = list(_options(config_type))
    names = [option.name for option in options]
    return decorate


class _Parsed(click.ParamType[Any]):
    """A value that a function makes of a text; what is wrong with it is said by the function's `ValueError`."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self.name, self._parse = parse.__name__, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class _HeadedOption(click.Option):
    """An option that help shows under a heading."""

    def __init__(self, *words: Any, heading: str, **names: Any) -> None:
        super().__init__(*words, **names)
        self.heading = heading


@dataclasses.dataclass(slots=True)
class _Option:
    """A click option that is yet to be made."""

    name: str  # of the dataclass field
    hint: Any
    default: Any
    help_text: str
    parse: Any = None
    heading: str = ""
    defaults: dict[str, Any] = dataclasses.field(default_factory=dict)  # by chosen config, where it depends on that

    @property
    def _type(self) -> Any:
        if self.parse is None:
            return _click_type(self.hint)
        return _Parsed(self.parse) if isinstance(self.parse, types.FunctionType) else self.parse

    def decorate(self, command: Callable[..., Any]) -> Callable[..., Any]:
        flag = self.name.replace("_", "-")
        default, shown = self.default, self.default is not None and self.default != ""
        common: dict[str, Any] = {"default": default, "show_default": shown, "help": self.help_text}
        if self.heading:
            common |= {"cls": _HeadedOption, "heading": self.heading}
        if self.hint is bool:
            return click.option(f"--{flag}/--no-{flag}", self.name, **common)(command)
        return click.option(f"--{flag}", self.name, type=self._type, **common)(command)


def _options(config_type: type[Any], heading: str = "") -> Iterator[_Option]:
    """An option for every `setting`, also of inner configs, in the order of the fields.

    Those that have no heading of their own get this one.
    """
    hints = typing.get_type_hints(config_type)
    for field in dataclasses.fields(config_type):
        about = field.metadata
        own = about.get("heading") or heading
        if inner := about.get("settings_of"):
            yield from _options(inner, own)
        elif choices := about.get("choice_of"):
            yield from _options_of_choice(field, choices(), own)
        elif "help" in about:
            yield _Option(field.name, hints[field.name], field.default, about["help"], about["parse"], own)


def _options_of_choice(
    field: dataclasses.Field[Any], types_by_name: Mapping[str, type[Any]], heading: str
) -> Iterator[_Option]:
    default = type(field.metadata["default"]())
    name_of = {config_type: name for name, config_type in types_by_name.items()}
    yield _Option(field.name, typing.Literal[tuple(types_by_name)], name_of[default], field.metadata["help"])
    shared: dict[str, _Option] = {}
    # The default config's settings come first, so that its defaults are the ones shown.
    for config_type in sorted(types_by_name.values(), key=lambda each: each is not default):
        for option in _options(config_type, heading):
            known = shared.setdefault(option.name, option)
            known.defaults[name_of[config_type]] = option.default
    for option in shared.values():
        if set(option.defaults) != set(types_by_name):
            option.help_text += f" [{', '.join(name for name in types_by_name if name in option.defaults)}]"
        if others := [f"{name} {value}" for name, value in option.defaults.items() if value != option.default]:
            option.help_text += f" [default of {', '.join(others)}]"
        yield option


def _build(config_type: type[C], overrides: Mapping[str, Any], start: C | None) -> C:
    """The config with these values, by name of their setting, in place of those of `start` or the defaults."""
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(config_type):  # type: ignore[arg-type]
        before = None if start is None else getattr(start, field.name)
        if inner := field.metadata.get("settings_of"):
            chosen[field.name] = _build(inner, overrides, before)
        elif choices := field.metadata.get("choice_of"):
            chosen[field.name] = _build_choice(field, choices(), overrides, before)
        elif field.name in overrides:
            chosen[field.name] = overrides[field.name]
    return config_type(**chosen) if start is None else dataclasses.replace(start, **chosen)  # type: ignore[type-var]


def _build_choice(
    field: dataclasses.Field[Any], types_by_name: Mapping[str, type[Any]], overrides: Mapping[str, Any], before: Any
) -> Any:
    before = field.metadata["default"]() if before is None else before
    name = overrides.get(field.name) or next(
        n for n, config_type in types_by_name.items() if config_type is type(before)
    )
    chosen = types_by_name[name]
    settings = {n: {option.name for option in _options(config_type)} for n, config_type in types_by_name.items()}
    for setting_name in overrides:
        owners = [n for n, names in settings.items() if setting_name in names]
        if owners and name not in owners:
            raise ValueError(
                f"--{setting_name.replace('_', '-')} has no meaning for --{field.name.replace('_', '-')} {name}; it is "
                f"a setting of {', '.join(owners)}."
            )
    if type(before) is not chosen:
        # What a preset changed stays changed, if the other config has that setting.
        kept = {f.name: value for f in dataclasses.fields(before) if (value := getattr(before, f.name)) != f.default}
        before = chosen(**{n: value for n, value in kept.items() if n in settings[name]})
    return _build(chosen, overrides, before)


def _click_type(hint: Any) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if typing.get_origin(hint) is typing.Literal:
        return click.Choice(list(typing.get_args(hint)))
    if hint is Path:
        return click.Path(path_type=Path)
    return hint
