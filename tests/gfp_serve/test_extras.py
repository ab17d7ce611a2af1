"""An error about a missing package names the extra that has it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from gfp_serve.errors import MissingExtraError
from gfp_serve.extras import load, missing

ROOT = Path(__file__).parents[2]
# The tests run with `cpu`. They cannot check that `gpu` has the same modules.
GPU_TWINS = {"faiss-cpu", "onnxruntime"}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(tree):
    """Find every module that a file imports anywhere, with a statement or with `load`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load":
            yield from (each.value for each in node.args if isinstance(each, ast.Constant))


def names_of(requirements):
    """Return the names of the distributions in requirements."""
    return {canonical(re.match(r"[\w.-]+", each)[0]) for each in requirements}


def test_an_installed_module_is_loaded():
    assert load("json").loads("1") == 1


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("matplotlib.figure", r"matplotlib is not installed.*the extra 'plot', .*'\.\[plot\]'"),
        ("faiss", r"the extra 'cpu' or 'gpu', not both, .*'\.\[cpu\]'"),
        ("torch", r"the extra 'train', .*'\.\[cpu,train\]'"),
        ("mediapipe", r"the extra 'video', .*'\.\[video\]'"),
    ],
)
def test_the_extra_that_has_a_module_is_named(module, said):
    error = missing(ModuleNotFoundError(name=module))

    assert isinstance(error, MissingExtraError)
    with pytest.raises(MissingExtraError, match=said):
        raise error
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["gfp_serve.nothing", "no_such_package", None])
def test_a_missing_module_that_no_extra_has_is_our_mistake(name):
    with pytest.raises(ModuleNotFoundError):
        raise missing(ModuleNotFoundError(name=name))


def test_every_imported_package_is_in_a_bare_install_or_in_the_extra_named_for_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bare = names_of(project["dependencies"])
    extras = {extra: names_of(packages) for extra, packages in project["optional-dependencies"].items()}
    files = [file for package in ("gfp_serve", "trainer") for file in (ROOT / package).rglob("*.py")]
    modules = {name.partition(".")[0] for file in files for name in imported(ast.parse(file.read_text()))}
    distributions = packages_distributions()
    wrong = []
    # milvus-lite is in no extra; gallery/milvus/connection.py says why.
    for module in modules - {"gfp_serve", "trainer", "milvus_lite"} - sys.stdlib_module_names:
        # What is not installed, as `video` on machines without its wheels, is called as its module is, but for Rerun.
        bring = {canonical(name) for name in distributions.get(module, ["rerun-sdk" if module == "rerun" else module])}
        if not bring & bare:
            named = re.findall(r"'(\w+)'(?: or '(\w+)')?", str(missing(ModuleNotFoundError(name=module))))[0]
            wrong += [(module, extra) for extra in named if extra and not bring & (extras[extra] | GPU_TWINS)]

    assert {"av", "faiss", "mediapipe", "torch", "opentelemetry"} <= modules
    assert wrong == []
