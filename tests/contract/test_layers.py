"""Who may import what is configuration (`[tool.importlinter]`); here it is seen to hold, and to fail where it must."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def tree(tmp_path):
    """A copy of what lint-imports reads, to plant imports in."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("gfp_serve", "trainer"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "bundles"))
    return tmp_path


def test_every_import_keeps_to_the_contracts(tree):
    result = lint_imports(tree)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("gfp_serve/preprocess.py", "import torch", "Serving needs neither torch nor the trainer"),
        ("gfp_serve/bundle.py", "import trainer", "Serving needs neither torch nor the trainer"),
        ("gfp_serve/skeleton.py", "import gfp_serve.preprocess", "Each room of gfp_serve uses only rooms below it"),
        ("gfp_serve/bundle.py", "import grpc", "grpc stays at the edge"),
        ("trainer/__init__.py", "import grpc.aio", "grpc stays at the edge"),
        (
            "gfp_serve/bundle.py",
            "from onnxruntime import InferenceSession",
            "onnxruntime is known to the encoder alone",
        ),
        ("trainer/__init__.py", "import faiss", "faiss, sqlite3 and pymilvus are known to the gallery alone"),
        ("gfp_serve/bundle.py", "import sqlite3", "faiss, sqlite3 and pymilvus are known to the gallery alone"),
        ("gfp_serve/formats/__init__.py", "import click", "click stays in the commands"),
    ],
)
def test_a_planted_import_breaks_its_contract(tree, module, planted, contract):
    path = tree / module
    path.write_text(f"{planted}\n{path.read_text()}")

    result = lint_imports(tree)

    assert result.returncode == 1
    broken = [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), result.stdout


def test_a_module_that_no_layer_names_is_refused(tree):
    (tree / "gfp_serve" / "drawer.py").write_text('"""Nobody said where this belongs."""\n')

    result = lint_imports(tree)

    assert result.returncode == 1
    assert "drawer" in result.stdout
