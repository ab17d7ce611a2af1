"""Runs many commands in one process, so that they are imported once, and says what each printed for its user."""

import json
from dataclasses import dataclass

from tests.contract.commands import SCRIPTS

# Stands for all helps that a command and its subcommands have. No option looks like this.
EVERY_HELP = "(every help)"

# Text, because another environment's Python runs it, which cannot import this project's tests.
_SCRIPT = f"""
import importlib, json, sys
from click.testing import CliRunner

def below(command, words):
    yield words
    for name, inner in sorted(getattr(command, "commands", {{}}).items()):
        yield from below(inner, [*words, name])

def answer(name, arguments):
    module, function = {SCRIPTS!r}[name].split(":")
    try:
        command = getattr(importlib.import_module(module), function)
    except SystemExit as end:  # the import of the command itself ended
        yield [name, *arguments], 1, "", f"{{end}}\\n", False
        return
    for words in below(command, []) if arguments == [{EVERY_HELP!r}] else [arguments]:
        given = [*words, "--help"] if arguments == [{EVERY_HELP!r}] else words
        result = CliRunner().invoke(command, given, prog_name=name)
        broken = not isinstance(result.exception, SystemExit | None)
        errors = repr(result.exception) if broken else result.stderr
        yield [name, *given], result.exit_code, result.stdout, errors, broken

for name, *arguments in json.loads(sys.argv[1]):
    for each in answer(name, arguments):
        print(json.dumps(each), flush=True)
"""


@dataclass(frozen=True)
class Answer:
    """The answer of one command. `is_broken`: it would have ended in a traceback; `errors` has the exception."""

    words: list[str]
    code: int
    output: str
    errors: str
    is_broken: bool


def script_of(*commands: tuple[object, ...]) -> list[str]:
    """Return arguments with which Python runs these commands one after another. `gfp info` is ("gfp", "info").

    `EVERY_HELP` as the only argument asks for the help of a command and of all its subcommands.
    """
    return ["-c", _SCRIPT, json.dumps([list(map(str, words)) for words in commands])]


def answers_in(output: str) -> list[Answer]:
    """Read the answers of the commands from the standard output of `script_of`."""
    return [Answer(*json.loads(line)) for line in output.splitlines()]
