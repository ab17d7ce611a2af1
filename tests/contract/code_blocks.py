"""Runs the code blocks of a page of Markdown in their order, as a reader would type them.

- `sh`: each line is a command. A server keeps running until the page starts another one, has the comment
  `<!-- stop the server -->`, or ends.
- `python`: all blocks of a page share their names.
- `output`: what the block before it prints on standard output. `…` stands for any text; alone on a line, for any number
  of lines.
- Blocks in other languages are not run, and pages that call curl need it.

A block after the comment `<!-- not run: REASON -->` is not run. `<!-- gfp-train is tested with: OPTIONS -->` adds
options to the training commands of a block, so that they take seconds.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.contract.commands import ROOT, SCRIPTS, command_of

# The address that pages show. A test's server has another one.
ADDRESS, HTTP_ADDRESS = "127.0.0.1:50051", "127.0.0.1:8080"

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (.+?) -->\s*\Z")
_SERVER = (sys.executable, "-c", "from gfp_serve.cli.serve import gfp_serve; gfp_serve()")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the comment just before it."""

    language: str
    content: str
    line: int
    comment: str = ""

    @property
    def reason_not_to_run(self) -> str:
        return self.comment.removeprefix("not run: ") if self.comment.startswith("not run:") else ""


def blocks_of(page: Path) -> Iterator[Block]:
    """Return the fenced blocks of a page, in their order. Directives of MyST do not count."""
    text = page.read_text()
    for fence in _FENCE.finditer(text):
        comment = _COMMENT.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start()) + 1
        yield Block(fence["language"], fence["content"], line, comment[1] if comment else "")


def run_page(page: Path, folder: Path) -> int:
    """Run a page's blocks in the current folder; return how many were run.

    The folder gets the repository's `examples`. Raises `AssertionError`, which names the line of the page.
    """
    (folder / "examples").symlink_to(ROOT / "examples")
    num_run = 0
    with _Reader() as reader:
        printed = ""
        for block in blocks_of(page):
            if block.language not in ("sh", "python", "output") or block.reason_not_to_run:
                continue
            place = f"{page.name}:{block.line}"
            try:
                if block.language == "output":
                    assert _pattern(block.content).fullmatch(_plain(printed)), f"it prints:\n{printed}"
                    continue
                printed = reader.run(block)
            except Exception as error:
                raise AssertionError(f"the block at {place} fails: {error}") from error
            num_run += 1
    return num_run


class _Reader:
    """Types what a page says. Keeps the page's server and the names that its Python blocks define."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._server: subprocess.Popen[str] | None = None
        self._address, self._http_address = ADDRESS, HTTP_ADDRESS

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_server()

    def run(self, block: Block) -> str:
        """Run the block; return what it prints on standard output."""
        if block.comment == "stop the server":
            self._stop_server()
        if block.language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(self._with_addresses(block.content), self._names)
            return printed.getvalue()
        extra = block.comment.removeprefix("gfp-train is tested with:") if "is tested with:" in block.comment else ""
        lines = block.content.replace("\\\n", " ").splitlines()
        return "".join(self._type(f"{line}{extra}" if line.startswith("gfp-train") else line) for line in lines)

    def _type(self, line: str) -> str:
        words = shlex.split(line, comments=True)
        if not words:
            return ""
        if words[0] not in SCRIPTS or re.search(r"[|<>&;$`]", re.sub(r"'[^']*'", "", line)):
            return self._ask_the_shell(line)
        if words[0] == "gfp-serve" and "config" not in words:
            self._start_server(words[1:])
            return ""
        # In this process: another one would take a second to import everything again.
        done = CliRunner().invoke(
            command_of(words[0]), words[1:], prog_name=words[0], env={"GFP_ADDRESS": self._address}
        )
        assert done.exit_code == 0, f"{line}\n{done.output}{done.exception or ''}"
        return done.stdout

    def _ask_the_shell(self, line: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GFP_ADDRESS": self._address}
        if line.startswith("curl ") and shutil.which("curl") is None:
            pytest.skip("needs curl")
        line = self._with_addresses(line)
        done = subprocess.run(["bash", "-ec", line], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _with_addresses(self, text: str) -> str:
        return text.replace(ADDRESS, self._address).replace(HTTP_ADDRESS, self._http_address)

    def _start_server(self, arguments: list[str]) -> None:
        self._stop_server()
        arguments = ["0" if before == "--http-port" else each for before, each in pairwise(["", *arguments])]
        environment = {**os.environ, "GFP_SERVE_PORT": "0", "PYTHONPATH": str(ROOT)}
        self._server = subprocess.Popen(
            [*_SERVER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        address = re.search(r"127\.0\.0\.1:\d+", line)
        assert address, f"the server does not start: {line}"
        self._address = address[0]
        if http_address := re.search(r", http://(\S+)$", line.strip()):
            self._http_address = http_address[1]

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.communicate()
            self._server = None


def _pattern(expected: str) -> re.Pattern[str]:
    lines = [r"(?:.*\n)*" if line == "…" else f"{_line_pattern(line)}\n" for line in _plain(expected).splitlines()]
    return re.compile("".join(lines))


def _line_pattern(line: str) -> str:
    return ".*".join(map(re.escape, line.split("…")))


def _plain(printed: str) -> str:
    """Remove empty lines at the end, and spaces at the ends of lines, which tables have."""
    return "\n".join(line.rstrip() for line in printed.rstrip().splitlines()) + "\n"
