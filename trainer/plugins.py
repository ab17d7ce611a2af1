"""Encoders and objectives that other packages bring, found by the entry points of these packages.

Nothing is imported before somebody asks for a name that is not built in, or for all names.
"""

import traceback
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gfp_serve.errors import GfpError

# Beside these, what a checkpoint says of an encoder or objective are its settings.
_OF_CHECKPOINTS = ("name", "package")
# What the values of an option can be, beside one of several words.
_TYPES = (bool, int, float, str)
# Kind -> names of settings that are taken, see `reserve`.
_reserved: defaultdict[str, set[str]] = defaultdict(set)


class MissingPluginError(ValueError):
    """Settings name an encoder or objective that is not installed here. The message says which, and of what package."""


class PluginError(GfpError):
    """An encoder or objective of another package failed, or gave what cannot be used. The message says what, and whose.

    What it refuses in words, by a `ValueError` when it is built, is not one.
    """


@dataclass(frozen=True, slots=True)
class Plugin:
    """A class of another package."""

    kind: str  # "encoder" or "objective"
    name: str
    found: type[Any]
    package: str  # name and version

    def __str__(self) -> str:
        return f"the {self.kind} {self.name!r} of the package {self.package}"

    def gave(self, problem: str) -> PluginError:
        """The error for what it gave and nobody can use."""
        return PluginError(f"{self} {problem}. {_advice([self])}")


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the packages of this environment bring of one kind."""

    kind: str  # "encoder" or "objective"
    by_name: dict[str, Plugin]
    left_out: dict[str, str]  # name -> a sentence that says why

    def types(self) -> dict[str, type[Any]]:
        """The classes by name."""
        return {name: plugin.found for name, plugin in self.by_name.items()}

    def package_of(self, name: str) -> dict[str, str]:
        """`package` with the package of this name, for a checkpoint; nothing if it is built in."""
        return {"package": self.by_name[name].package} if name in self.by_name else {}

    def missing(self, name: object, package: object, installed: Collection[str]) -> MissingPluginError:
        """The error for settings that name what is not there."""
        if name in self.left_out:
            return MissingPluginError(self.left_out[str(name)])
        brought = f" of the package {package}" if package else ""
        advice = "install that package" if package else "install the package that brings it, or a newer release"
        return MissingPluginError(
            f"the {self.kind} {str(name)!r}{brought} is not installed; {advice}. Installed are {', '.join(installed)}."
        )


@contextmanager
def blamed(used: Sequence[Plugin], what: str, *, may_refuse: bool = False) -> Iterator[None]:
    """Say of an error in `what`, such as "step 3", that these plugins were used. Without any, it stays as it is.

    What is said in words passes; with `may_refuse`, also a `ValueError`, by which settings are refused.
    """
    try:
        yield
    except Exception as error:  # whatever a stranger's code raises
        # Fewer clips a step would help. The GPU's error is known by its name, because this file does without torch.
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            raise
        if not used or isinstance(error, GfpError) or (may_refuse and isinstance(error, ValueError)):
            raise
        said = str(error).strip().partition("\n")[0]
        raise PluginError(
            f"{what} with {' and '.join(map(str, used))} ended in {type(error).__name__}: {said}"
            f"{_place(error, used)}. {_advice(used)}"
        ) from error


def _advice(used: Sequence[Plugin]) -> str:
    flags = " or ".join(f"--{plugin.kind}" for plugin in used)
    return f"Tell those who make the package, or choose another {flags}."


def _place(error: Exception, used: Sequence[Plugin]) -> str:
    """The last line of the plugins' own modules that an error came through; empty if it came through none."""
    modules, place = {plugin.found.__module__ for plugin in used}, ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") in modules:
            place = f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return place


def reserve(kind: str, names: Iterable[str]) -> None:
    """Names that settings of classes of a kind cannot have, because other settings of a command have them."""
    if new := set(names) - _reserved[kind]:
        _reserved[kind] |= new
        _load.cache_clear()


def plugins(kind: str, base: type[Any], config_base: type[Any], built_in: Mapping[str, type[Any]]) -> Plugins:
    """The classes of a kind, subclasses of `base`, that the entry points of the group `gfp.<kind>s` name.

    Their settings are subclasses of `config_base`. One that cannot be imported or used, or has a name that is
    `built_in` or another's, is left out; the others still work.
    """
    hashable: Any = (base, config_base)  # mypy takes a class for something that has no hash
    return _load(kind, hashable, tuple(built_in.items()))


@cache
def _load(kind: str, bases: tuple[Any, Any], built_in: tuple[tuple[str, Any], ...]) -> Plugins:
    known = dict(built_in)
    found = Plugins(kind, {}, {})
    points = sorted(entry_points(group=f"gfp.{kind}s"), key=lambda point: (point.name, _package_of(point)))
    for point in points:
        package = _package_of(point)
        about = f"the {kind} {point.name!r} of the package {package}"
        if point.name in known:
            other = "is built in"
        elif point.name in found.by_name:
            other = f"comes from the package {found.by_name[point.name].package}"
        else:
            other = ""
        if other:
            found.left_out[f"{point.name} of {package}"] = (
                f"{about} is left out, because one with this name {other}; its entry point needs another name."
            )
            continue
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module raises, the others must work
            why = f"{type(error).__name__}: {error}"
            found.left_out[point.name] = f"{about} is left out, because it cannot be imported: {why}"
            continue
        if why := _unfit(plugin, *bases) or _unfit_settings(plugin, kind, {**known, **found.types()}):
            found.left_out[point.name] = f"{about} is left out, because {why}."
        else:
            found.by_name[point.name] = Plugin(kind, point.name, plugin, package)
    return found


def _unfit(plugin: Any, base: type[Any], config_base: type[Any]) -> str:
    """What a class lacks to be used; nothing if it lacks nothing."""
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        return f"its entry point names {plugin!r}, not a subclass of {base.__module__}.{base.__name__}"
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        return f"it does not have what every one needs: {', '.join(missing)}"
    config = getattr(plugin, "config_type", None)
    if not (isinstance(config, type) and is_dataclass(config)):
        return "it has no `config_type`, the dataclass of its settings"
    if not issubclass(config, config_base):
        return f"its `config_type` is not a subclass of {config_base.__module__}.{config_base.__name__}"
    return ""


def _unfit_settings(plugin: type[Any], kind: str, known: Mapping[str, type[Any]]) -> str:
    """What keeps the settings of a class from being options beside those of the `known` ones; nothing if they can."""
    config = plugin.config_type
    names = [field.name for field in fields(config)]
    if reserved := [name for name in names if name in _OF_CHECKPOINTS]:
        return f"it has a setting called {reserved[0]}, which checkpoints use for something else"
    if taken := [name for name in names if name in _reserved[kind]]:
        return f"it has a setting called {taken[0]}, and the option of this name is for something else"
    # An option that is true or false has such a flag beside its own, and not only those that are known now.
    if negative := [name for name in names if name.startswith("no_")]:
        return f"it has a setting called {negative[0]}, and a flag that begins with --no- turns another option off"
    # What is trained is found by the type of its settings.
    if alike := [name for name, other in known.items() if other.config_type is config]:
        return f"it has the settings of {alike[0]}; it needs a `config_type` of its own, such as a subclass of that"
    try:
        config()
        types = get_type_hints(config)
    except Exception as error:  # whatever a stranger's class raises, the others must work
        return f"its settings cannot be made without values: {type(error).__name__}: {error}"
    for name in names:
        if types[name] not in _TYPES and not _is_words(types[name]):
            return f"its setting {name} is not a whole number, a number, a text, true or false, or a Literal of texts"
        for other, owner in known.items():
            theirs = get_type_hints(owner.config_type)
            if theirs.get(name, types[name]) != types[name]:
                return f"its setting {name} has another type than that of {other}, and both have one option"
    return ""


def _is_words(hint: Any) -> bool:
    """Whether it is a Literal of texts: a command line has no other values to choose from."""
    return get_origin(hint) is Literal and all(isinstance(each, str) for each in get_args(hint))


def _package_of(point: EntryPoint) -> str:
    return "of no name" if point.dist is None else f"{point.dist.name} {point.dist.version}"
