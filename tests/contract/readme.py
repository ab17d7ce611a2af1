"""The commands of pyproject.toml, and their help as README.md shows it.

A block of README.md that cog fills in and `make readme` renews:

    <!-- [[[cog
    import cog
    from tests.contract.readme import help_of
    cog.out(help_of("gfp search"))
    ]]] -->
    <!-- [[[end]]] -->
"""

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
HELP_WIDTH = 100


def contexts(script: str) -> Iterator[click.Context]:
    """One context for a command that `pyproject.toml` installs, and one for each command below it."""
    module, attribute = SCRIPTS[script].split(":")
    return _with_subcommands(getattr(importlib.import_module(module), attribute), script, None)


def help_of(path: str) -> str:
    """The help of a command such as `gfp search`, as a fenced block, at a width that no terminal changes."""
    (context,) = [context for context in contexts(path.split()[0]) if context.command_path == path]
    return f"```\n$ {path} --help\n{context.get_help().rstrip()}\n```\n"


def _with_subcommands(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    with click.Context(command, info_name=name, parent=parent, terminal_width=HELP_WIDTH) as context:
        yield context
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found is not None
                yield from _with_subcommands(found, below, context)
