"""The fuzzer works. It runs for a moment here; `make fuzz` runs it for longer."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="make fuzz installs atheris")


def fuzz(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.fuzz_wire", *arguments]
    return subprocess.run(command, cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=100)


def test_a_few_hundred_inputs_find_no_fault_and_are_counted(tmp_path: Path) -> None:
    done = fuzz("--inputs", "300", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" of 300 inputs\n")
    assert "/gfp_serve.v1.EmbeddingService/Embed OK\n" in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_input_can_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "crash").write_bytes(b"\0\xff")
    done = fuzz("crash", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["1", "calls", "of", "1", "inputs"]
