"""What strangers wrote is shown on a terminal and never obeyed by it."""

import ast
import json
from pathlib import Path

import click
import pytest

from gfp_serve.cli.options import Command
from gfp_serve.cli.printing import Listing, print_facts, print_json, say
from gfp_serve.cli.progress import errors, progress, warn
from gfp_serve.errors import GfpError
from gfp_serve.printable import printable

ROOT = Path(__file__).parents[3]
# Writes to the clipboard, clears the screen, turns text around, ends a line in three ways, and is half a character.
HOSTILE = "\x1b]52;c;ZWNobyBoaQ==\x07\x1b[2J\x9b2J\u202ewalk\u2066\r\u2028\x85\x7f\t\ud800"
OBEYED = set(HOSTILE) - set("]52;c;ZWNobyBoaQ==[2Jwalk")


def is_harmless(text: str) -> bool:
    return OBEYED.isdisjoint(text) and "walk" in text


def test_control_characters_become_escapes_and_other_text_stays() -> None:
    assert printable("\x1b[2J\x9b\u202e\ud800") == "\\x1b[2J\\x9b\\u202e\\ud800"
    for text in ("walk", "gehen \u2192 \u8d70\u308b", "two\nlines", "\U0001f469\u200d\U0001f680", "na\u00efve [bold]"):
        assert printable(text) == text


def test_sentences_tables_and_facts_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"{HOSTILE} was added.")
    say(f"{HOSTILE} was added.", err=True)
    print_facts({"label": HOSTILE, HOSTILE: "name"})
    listing = Listing(("label",), as_json=False)
    listing.add({}, [(HOSTILE,), ("one\nwalk",)])
    listing.print_table(note=HOSTILE)
    found = capsys.readouterr()
    assert is_harmless(found.out)
    assert is_harmless(found.err)
    assert "one\\nwalk" in found.out


def test_json_says_what_it_was_without_being_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"label": HOSTILE})
    text = capsys.readouterr().out
    assert is_harmless(text)
    assert json.loads(text) == {"label": HOSTILE}


def test_warnings_and_progress_are_harmless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warn(f"{HOSTILE} is left out")
    with progress() as bars:
        bar = bars.add(HOSTILE, "clips", total=2, line_every_s=0.0)
        bar.advance()
        bar.describe(f"{HOSTILE} again")
        bar.say(HOSTILE)
    assert is_harmless(capsys.readouterr().err)
    with errors.capture() as shown:  # as a terminal would get it
        monkeypatch.setattr(errors, "_force_terminal", True)
        with progress(keep=True) as bars:
            bars.add(f"[red]{HOSTILE}", "clips", total=1).say(f"[bold]{HOSTILE}")
    assert "]52;c" in shown.get()
    assert "[red]" in shown.get()
    for code in ("\x1b]52", "\x1b[2J", "\x9b", "\u202e", "\x07"):
        assert code not in shown.get()


def test_errors_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command(cls=Command)
    @click.argument("name")
    def fail(name: str) -> None:
        if name == "file":
            raise FileNotFoundError(2, "No such file", HOSTILE)
        raise GfpError(f"{HOSTILE} is no use")

    for name in ("file", "other"):
        with pytest.raises(SystemExit):
            fail.main([name], prog_name="fail")
        assert is_harmless(capsys.readouterr().err)


def test_commands_print_by_these_functions_alone() -> None:
    """So that no command forgets it. Bars and our own lines on `errors` are in `progress`."""
    found = []
    for file in (*(ROOT / "gfp_serve").rglob("*.py"), *(ROOT / "trainer").rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if call in ("click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write"):
                found.append((name, call))
    assert sorted(set(found)) == [("gfp_serve/cli/printing.py", "click.echo")]
