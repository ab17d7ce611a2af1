"""Commands have help, and what README and docs tell people to type works."""

import re
import shlex
from collections.abc import Iterator
from contextlib import nullcontext

import click
import pytest
import torch
from click.testing import CliRunner

from gfp_serve import __version__
from gfp_serve.formats import READERS
from tests.contract.code_blocks import blocks_of, run_page
from tests.contract.commands import ROOT, SCRIPTS, command_of, contexts
from trainer.cli.train import gfp_train

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES_WITH_CODE = [
    page for page in PAGES if any(b.language in ("sh", "python") and not b.reason_not_to_run for b in blocks_of(page))
]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def one_thread():
    """One thread for tiny encoders: on a busy machine two take ten times longer, waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_command_has_a_help_text():
    assert [context.command_path for context in contexts() if not context.command.help] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_command_says_its_version(script):
    assert CliRunner().invoke(command_of(script), ["--version"]).stdout == f"{__version__}\n"


def test_every_option_has_a_help_text():
    options = [(context, option) for context in contexts() for option in context.command.params]
    silent = [
        f"{context.command_path} {option.opts[0]}"
        for context, option in options
        if isinstance(option, click.Option) and not option.help
    ]

    assert options
    assert silent == []


@pytest.mark.parametrize("command", ["gfp add", "gfp-data import"])
def test_the_help_of_commands_that_read_recordings_names_the_suffix_of_every_format(command):
    (shown,) = [context.get_help() for context in contexts() if context.command_path == command]

    assert [suffix for suffix in READERS if not re.search(rf"\{suffix}\b", shown)] == []


def test_the_lists_of_commands_cut_no_summary_at_the_width_of_a_terminal():
    groups = [context for context in contexts() if isinstance(context.command, click.Group)]
    lines = [(group.command_path, line) for group in groups for line in group.get_help().splitlines()]

    assert len(groups) >= 4
    assert [each for each in lines if "..." in each[1] and "Usage:" not in each[1]] == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=name_of)
def test_the_code_blocks_of_a_page_do_what_the_page_says(page, tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    assert run_page(page, tmp_path) > 0


@pytest.mark.parametrize(("shown", "fails"), [("2", ""), ("3", r"page.md:6 fails: it prints:\none 1\n2"), ("…", "")])
def test_a_block_fails_if_its_output_is_not_what_the_page_shows(shown, fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"```python\nprint('one', 1)\nprint(2)\n```\n\n```output\none …\n{shown}\n```\n")

    with pytest.raises(AssertionError, match=fails) if fails else nullcontext():
        run_page(page, tmp_path)


def test_a_block_that_is_not_run_says_why():
    skipped = [block for page in PAGES for block in blocks_of(page) if block.comment.startswith("not run")]

    assert skipped
    assert [block.line for block in skipped if len(block.reason_not_to_run.split()) < 3] == []


def commands_in(text: str) -> Iterator[str]:
    """Find our command lines in a page: in backticks, and in blocks."""
    names = "|".join(sorted(SCRIPTS, key=len, reverse=True))
    for quoted, typed in re.findall(
        rf"`((?:{names}) [^`]+)`|^(?:\$ )?((?:{names}) .+?)(?: +# .*)?$", text.replace("\\\n", ""), re.MULTILINE
    ):
        yield quoted or typed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_in_a_command_line_of_a_page_exists(page):
    options = {
        context.command_path: {
            name for option in context.command.get_params(context) for name in (*option.opts, *option.secondary_opts)
        }
        for context in contexts()
    }
    wrong = []
    for line in commands_in(page.read_text()):
        words = [word.split("=")[0] for word in shlex.split(line.replace("'", " "))]
        command, known = "", set[str]()
        for word in words:
            if f"{command} {word}".strip() in options:
                command = f"{command} {word}".strip()
                known |= options[command]
            elif word.startswith("--") and word not in known:
                wrong.append((line, word))

    assert wrong == []


def published_runs() -> Iterator[str]:
    """The pre-training commands that reproduce the paper and its ablations."""
    section = (ROOT / "docs" / "train.md").read_text().split("### Row by row")[1].split("###")[0]
    runs = re.findall(r"`(gfp-train [^`]+)`", section)
    yield from runs
    for options in re.findall(r"`(--[^`]+)`", section):
        if options.split()[0] not in ("--protocol", "--objective"):
            yield f"{runs[0]} {options}"


@pytest.mark.parametrize("command", list(published_runs()))
def test_gfp_train_accepts_the_commands_of_the_published_runs(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(gfp_train, shlex.split(command)[1:])

    # The only error is that the clips are missing.
    assert result.exit_code == 1, result.output
    assert "gfp-data import` makes a store" in result.output


def test_the_readme_is_short_and_holds_no_pasted_help():
    readme = (ROOT / "README.md").read_text()

    assert len(readme.splitlines()) <= 200
    assert "Usage:" not in readme
    assert "--help" not in readme


def test_every_link_of_the_readme_leads_somewhere():
    readme = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", readme)
    missing = [(path, anchor) for path, anchor in links if not (ROOT / path).exists() or anchor not in anchors_of(path)]

    assert links
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page):
    folders = "gfp_serve|trainer|tests|examples|benchmarks|docs|proto"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text())

    # Pages made from docstrings name no files. A name in capitals stands for a name of the reader's.
    assert [path for path in named if "NAME" not in path and not (ROOT / path).exists()] == []


def anchors_of(path):
    """What may stand after `#` in a link to a page: its headings, as GitHub and MyST write them, or nothing."""
    if not path.endswith(".md"):
        return {""}
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE)
    return {"", *(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)}
