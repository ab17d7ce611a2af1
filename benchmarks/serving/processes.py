"""Child processes of a benchmark: servers, and the sides that take turns."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]


class Side:
    """A child that answers each line of JSON with one. `vector` is its embedding of the clip, to compare sides by."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.serving.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.vector = np.array(self._read()["vector"])

    def turn(self, **settings: Any) -> dict[str, Any]:
        print(json.dumps(settings), file=self._child.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        self._child.kill()
        self._child.communicate()

    def _read(self) -> dict[str, Any]:
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"a side ended with exit code {self._child.wait()}; its output above says why.")
        return json.loads(line)


@contextmanager
def side(module: str, *arguments: object) -> Iterator[Side]:
    made = Side(module, *arguments)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def child(
    command: list[str], ready: str, log: Path | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server for the length of a block; give its process and the group that `ready` matches in its output.

    The output goes to `log`.
    """
    with ExitStack() as stack:
        path = log or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        output = stack.enter_context(path.open("w"))
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env={**os.environ, **environment}
        )
        stack.callback(_stop, process)
        while not (found := re.search(ready, path.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended before it was ready:\n{path.read_text()}")
            time.sleep(0.1)
        yield process, found[1] if found.groups() else ""


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def gfp_serve(
    bundle: Path, *options: object, checkout: Path = ROOT, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `gfp-serve` of a checkout on the CPU and a free port; give its process and its address."""
    # -P: the folder that it is called in would come before the checkout.
    command = [sys.executable, "-P", "-c", "from gfp_serve.cli.serve import gfp_serve; gfp_serve()"]
    given = ["--bundle", bundle, "--port", 0, "--device", "cpu", *options]
    environment = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(checkout.resolve()), **environment}
    with child([*command, *map(str, given)], r"serving \S+ on (\S+) ", **environment) as started:
        yield started
