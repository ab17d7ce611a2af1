"""The commands that `pyproject.toml` installs, for tests that look at all of them."""

import importlib
import tomllib
from collections.abc import Container, Iterable, Iterator
from itertools import accumulate
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def command_of(script: str) -> click.Command:
    """The command of one of `SCRIPTS`."""
    module, attribute = SCRIPTS[script].split(":")
    return getattr(importlib.import_module(module), attribute)


def contexts() -> Iterator[click.Context]:
    """Return a context for each installed command and each of its subcommands."""
    for script in SCRIPTS:
        yield from _with_subcommands(command_of(script), script, None)


def _with_subcommands(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    with click.Context(command, info_name=name, parent=parent) as context:
        yield context
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found is not None
                yield from _with_subcommands(found, below, context)


def command_paths() -> set[str]:
    """Return the commands that a user can run: `gfp gallery drop`, but not the group `gfp gallery`."""
    return {
        context.command_path
        for context in contexts()
        if not isinstance(context.command, click.Group) or context.command.invoke_without_command
    }


def command_path_of(words: Iterable[str], paths: Container[str]) -> str:
    """Return which of these commands a command line runs: `gfp gallery drop` for `gfp gallery drop walks --yes`."""
    beginnings = accumulate(words, "{} {}".format)
    return max((path for path in beginnings if path in paths), key=len, default="")
