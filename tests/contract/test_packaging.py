"""What users install: the wheel holds all that serving needs, and serving runs in an environment without torch."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "examples" / "clips" / "cmu_sample.npz"
COMMANDS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]

IMPORT_EVERY_MODULE = """
import importlib, importlib.util, pkgutil, gfp_serve
assert importlib.util.find_spec("torch") is None
names = {module.name for module in pkgutil.walk_packages(gfp_serve.__path__, "gfp_serve.")}
# One needs numba, of the extra `train`; who reads an NTU file without it is served more slowly by another.
for name in names - {"gfp_serve.formats.ntu.compiled"}:
    importlib.import_module(name)
print(len(names))
"""


def run(*command, **options):
    # Only what was installed counts: the tree must not be found through a path that this process was given.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, **options)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what the wheel is built from, because building leaves files beside its sources."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("gfp_serve", "trainer"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    return source


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, source)
    assert built.returncode == 0, built.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def serving(wheel, tmp_path_factory):
    """The folder of commands of a new environment in which only `gfp-serve[cpu]` was installed."""
    environment = tmp_path_factory.mktemp("serving")
    run(sys.executable, "-m", "venv", "--without-pip", environment, check=True)
    install = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet")
    installed = run(*install, "-c", ROOT / "constraints.txt", f"{wheel}[cpu]")
    assert installed.returncode == 0, installed.stderr
    return environment / "bin"


def test_the_wheel_holds_every_file_of_both_packages_and_the_licence_and_nothing_else(source, wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = {name.split("/", 1)[1] for name in archive.namelist() if ".dist-info/" in name}

    files = [path for package in ("gfp_serve", "trainer") for path in (source / package).rglob("*") if path.is_file()]
    assert held == {str(path.relative_to(source)) for path in files}
    assert {"gfp_serve/py.typed", "trainer/py.typed", "gfp_serve/v1/embedding_pb2.pyi"} <= held
    assert "licenses/LICENSE" in metadata


def test_every_line_of_the_constraints_is_one_exact_version():
    # No path, no address of an index, no "+cpu": they bind whoever installs to one machine.
    assert [pin for pin in PINS if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []


def test_everything_that_serving_installs_has_a_pinned_version(serving):
    listed = run(sys.executable, "-m", "pip", "--python", serving / "python", "freeze", "--all")

    installed = [line for line in listed.stdout.splitlines() if not line.startswith("gfp-serve")]
    assert len(installed) > 10
    assert [line for line in installed if line not in PINS] == []


def test_every_module_of_the_server_loads_where_torch_is_not_installed(serving):
    result = run(serving / "python", "-I", "-c", IMPORT_EVERY_MODULE)

    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 10


@pytest.mark.parametrize("command", ["gfp", "gfp-serve"])
def test_a_serving_command_shows_its_help_where_torch_is_not_installed(serving, command):
    result = run(serving / command, "--help")

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"Usage: {command} ")


def test_recordings_are_imported_where_torch_is_not_installed(serving, tmp_path):
    result = run(serving / "gfp-data", "import", CLIPS, "--out", tmp_path / "store")

    assert result.returncode == 0, result.stderr
    assert "61 clips" in result.stdout


@pytest.mark.parametrize("command", ["gfp-train", "gfp-cost", "gfp-evaluate", "gfp-export"])
def test_a_training_command_says_in_one_line_which_extra_is_missing(serving, command):
    result = run(serving / command)

    assert result.returncode != 0
    assert result.stderr.count("\n") == 1, result.stderr
    assert re.search(r"pip install 'gfp-serve\[(\w+,)*train\]'", result.stderr)


def test_the_shipped_encoder_embeds_a_clip_through_the_installed_commands(serving):
    server = subprocess.Popen([serving / "gfp-serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"127\.0\.0\.1:\d+", server.stdout.readline())
        assert address is not None
        embedded = run(serving / "gfp", "embed", "--address", address[0], "--json", CLIPS)
        assert embedded.returncode == 0, embedded.stderr
        assert len(embedded.stdout.splitlines()) == 61
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0
