"""No test imports another test or a benchmark: parts that several use are in `support/` or `proving/`."""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LONG_FILES

ROOT = Path(__file__).parents[2]


def forbidden_imports(path: Path, root: Path) -> list[str]:
    """Find imports of tests and benchmarks, in a file and in programs inside its texts, as `file:line: module`."""
    package = path.relative_to(root).parent.parts
    return [
        f"{path.relative_to(root)}:{line}: {module}"
        for line, module in _imports(ast.parse(path.read_text()), package)
        if module.split(".")[0] == "benchmarks" or any(part.startswith("test_") for part in module.split("."))
    ]


def _imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Return every module that may be imported, with its line. `from a import b` may import a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            try:
                program = ast.parse(textwrap.dedent(node.value))
            except SyntaxError:  # not a program, or one with places to fill in
                continue
            yield from ((node.lineno, module) for _, module in _imports(program, package))


def test_no_test_imports_another_test_or_a_benchmark() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    files.remove(Path(__file__))  # its own texts hold forbidden imports
    assert len(files) > 100
    assert [each for file in files for each in forbidden_imports(file, ROOT)] == []


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("from tests.gfp_serve.test_bundle import manifest", "tests.gfp_serve.test_bundle.manifest"),
        ("from tests.gfp_serve import test_bundle", "tests.gfp_serve.test_bundle"),
        ("import tests.gfp_serve.test_bundle", "tests.gfp_serve.test_bundle"),
        ("from .test_bundle import manifest", "tests.gfp_serve.test_bundle.manifest"),
        ("from ..trainer import test_loop", "tests.trainer.test_loop"),
        ("from benchmarks.serving import load", "benchmarks.serving.load"),
        ("import benchmarks.serve", "benchmarks.serve"),
        ('PROGRAM = """\n    import benchmarks.serve\n"""', "benchmarks.serve"),
    ],
)
def test_every_kind_of_forbidden_import_is_found(tmp_path: Path, line: str, module: str) -> None:
    path = tmp_path / "tests" / "gfp_serve" / "test_planted.py"
    path.parent.mkdir(parents=True)
    path.write_text(f"from tests.support.tiny_bundle import walk\nimport numpy\n\n{line}\n")
    assert forbidden_imports(path, tmp_path) == [f"tests/gfp_serve/test_planted.py:4: {module}"]


def test_the_files_that_begin_first_exist() -> None:
    assert [file for file in LONG_FILES if not file.is_file()] == []
