"""The import contracts (`[tool.importlinter]`) hold, and each fails for an import that it forbids."""

import re
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
    """A copy of what lint-imports reads. Tests add forbidden imports to it."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("gfp_serve", "trainer"):
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "bundles", "page", "pose_model"),
        )
    return tmp_path


def test_no_import_breaks_a_contract(tree):
    result = lint_imports(tree)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("gfp_serve/preprocess.py", "import torch", "Serving needs neither torch nor the trainer"),
        ("gfp_serve/bundle.py", "import trainer", "Serving needs neither torch nor the trainer"),
        ("gfp_serve/skeleton.py", "import gfp_serve.preprocess", "Each room of gfp_serve uses only rooms below it"),
        ("gfp_serve/bundle.py", "import grpc", "Only client, service, server and wire import grpc"),
        ("trainer/__init__.py", "import grpc.aio", "Only client, service, server and wire import grpc"),
        (
            "gfp_serve/bundle.py",
            "from onnxruntime import InferenceSession",
            "Only the sessions import onnxruntime",
        ),
        ("gfp_serve/service/guard.py", "import uvicorn", "Only the HTTP port imports uvicorn and h11"),
        ("trainer/__init__.py", "import faiss", "Only the embedded gallery imports faiss"),
        ("gfp_serve/gallery/milvus/rows.py", "import faiss", "Only the embedded gallery imports faiss"),
        ("gfp_serve/gallery/care/backup.py", "import sqlite3", "Only the embedded gallery imports sqlite3"),
        ("gfp_serve/gallery/places.py", "import pymilvus", "Only the galleries in Milvus import pymilvus"),
        ("gfp_serve/formats/video.py", "import mediapipe", "Only the finding of poses imports av and mediapipe"),
        ("gfp_serve/client/__init__.py", "import gfp_serve.service.guard", "Each room of gfp_serve uses only rooms"),
        ("gfp_serve/wire/__init__.py", "import gfp_serve.client", "Each room of gfp_serve uses only rooms below it"),
        ("gfp_serve/items.py", "import gfp_serve.gallery", "Each room of gfp_serve uses only rooms below it"),
        (
            "gfp_serve/gallery/embedded/rows.py",
            "import gfp_serve.gallery.care.repair",
            "Care looks after galleries; the backends import neither each other nor care",
        ),
        (
            "gfp_serve/gallery/embedded/rows.py",
            "import gfp_serve.gallery.milvus.rows",
            "Care looks after galleries; the backends import neither each other nor care",
        ),
        ("trainer/figures.py", "import trainer.evaluate.learning", "Commands use the trainer, evaluation uses"),
        ("trainer/data/store.py", "import trainer.objectives", "Commands use the trainer, evaluation uses objectives"),
        (
            "gfp_serve/formats/ntu/limits.py",
            "import gfp_serve.formats.ntu.text",
            "No circular imports between rooms or files",
        ),
        ("gfp_serve/client/streaming.py", "import gfp_serve.encoder", "A bare install needs no engine"),
        ("gfp_serve/formats/__init__.py", "import click", "Only commands import click"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tree, module, planted, contract):
    path = tree / module
    path.write_text(f"{planted}\n{path.read_text()}")

    result = lint_imports(tree)

    assert result.returncode == 1
    # Long names are broken into lines; the result is at the end of the last one.
    verdicts = re.split(r"(?<=KEPT|OKEN)[^\n]*\n", result.stdout)
    broken = [" ".join(verdict.split()) for verdict in verdicts if verdict.endswith("BROKEN")]
    assert any(contract in verdict for verdict in broken), result.stdout


def test_a_module_that_is_in_no_layer_is_refused(tree):
    (tree / "gfp_serve" / "drawer.py").write_text('"""Nobody said where this belongs."""\n')

    result = lint_imports(tree)

    assert result.returncode == 1
    assert "drawer" in result.stdout
