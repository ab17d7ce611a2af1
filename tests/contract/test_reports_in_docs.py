"""Tables of docs/benchmarks.md have the figures of the reports that they are pasted from."""

import runpy

import click
import pytest
from click.testing import CliRunner

from tests.contract.commands import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def figures_of(line: str) -> list[str]:
    """The cells of a line but the first. Docs may call a row by another name, and leave out a change of 0."""
    return [cell.strip().removesuffix(" (+0.0)") for cell in line.strip().strip("|").split("|")[1:]]


@pytest.mark.parametrize("benchmark", ["objectives", "cheaper"])
def test_every_line_of_a_report_is_in_the_docs(benchmark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    main: click.Group = runpy.run_path(str(ROOT / "benchmarks" / f"{benchmark}.py"))["main"]
    said = CliRunner().invoke(main, ["table"])
    assert said.exit_code == 0, said.output
    lines = [line for line in said.stdout.splitlines() if line.startswith("|")]
    assert len(lines) > 10
    shown = [figures_of(line) for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert [line for line in lines if figures_of(line) not in shown] == []
