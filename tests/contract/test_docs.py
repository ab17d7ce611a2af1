"""The commands explain themselves, and README.md says what they say."""

import re
import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tests.contract.readme import ROOT, SCRIPTS, contexts
from trainer.cli.train import gfp_train

BLOCK = """\
<!-- [[[cog
import cog
from tests.contract.readme import help_of
cog.out(help_of("gfp health"))
]]] -->
```
$ gfp health --help
It is what it was a year ago.
```
<!-- [[[end]]] -->
"""


def cog(*arguments):
    command = [sys.executable, "-m", "cogapp", "-I", ROOT, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def every_context():
    return [context for script in SCRIPTS for context in contexts(script)]


def test_the_help_in_the_readme_is_what_the_commands_say():
    result = cog("--check", "--diff", ROOT / "README.md")

    assert result.returncode == 0, f"run `make readme`\n{result.stdout}{result.stderr}"


def test_a_readme_whose_help_is_stale_is_refused_until_it_is_renewed(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(BLOCK)

    assert cog("--check", readme).returncode != 0
    assert cog("-r", readme).returncode == 0
    assert cog("--check", readme).returncode == 0
    assert "a year ago" not in readme.read_text()
    assert "Usage: gfp health" in readme.read_text()


def test_every_command_has_a_help_text():
    assert [context.command_path for context in every_context() if not context.command.help] == []


def test_every_option_has_a_help_text():
    options = [(context, option) for context in every_context() for option in context.command.params]
    silent = [
        f"{context.command_path} {option.opts[0]}"
        for context, option in options
        if isinstance(option, click.Option) and not option.help
    ]

    assert options
    assert silent == []


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text()

    assert [context.command_path for context in every_context() if context.command_path not in readme] == []


COMMAND = re.compile(r"`(gfp-train [^`]+)`|^(gfp-train [^#]+?)(?: *#.*)?$", re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    [
        *(a or b for a, b in COMMAND.findall((ROOT / "benchmarks" / "README.md").read_text())),
        *(
            f"gfp-train stores/ntu60 --out runs/gfp {options}"
            for options in re.findall(r"`(--[^`]+)`", (ROOT / "benchmarks" / "README.md").read_text())
            if options.split()[0] not in ("--protocol", "--objective")
        ),
    ],
)
def test_the_published_runs_are_commands_that_gfp_train_takes(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(gfp_train, shlex.split(command)[1:])

    # All that is wrong is that there are no clips.
    assert result.exit_code == 1, result.output
    assert "gfp-data import` makes one" in result.output
