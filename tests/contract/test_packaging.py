"""The distributions hold every file that they need, and each extra is enough for the commands that need it.

The commands run under strace, with an empty home folder. None may connect or write anywhere unless it is told to.
Onnxruntime with its telemetry left on is the canary: it proves that strace would show a connection.

The tests make three environments from the wheel: without an extra, with `cpu`, and with `cpu` and `train`. pip installs
the first two. What `train` adds, above all torch, is linked from the tests' own environment, in the same versions.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution, distributions
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import gfp_serve
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.items import Item
from gfp_serve.layouts import NTU25
from tests.contract.answers import EVERY_HELP, answers_in, script_of
from tests.contract.commands import SCRIPTS, command_path_of, command_paths
from tests.contract.watched import FONT_LIST, Seen, canary, watch
from tests.support.tiny_bundle import walk

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "examples" / "clips" / "cmu_sample.npz"
VIDEO = ROOT / "examples" / "videos" / "basketball-006_08.mp4"

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
FOLDERS = ("gfp_serve", "trainer", "proto", "page", "examples", "tests", "benchmarks", "docs")

# What a bare install can ask a server for.
WITH_SERVER = (
    ("gfp", "info"),
    ("gfp", "health"),
    ("gfp", "add", "{clips}"),
    ("gfp", "gallery", "create", "windows"),
    ("gfp", "add", "{clips}", "--windows", "30:20", "--gallery", "windows"),
    ("gfp", "embed", "{clips}", "--out", "vectors.npz"),
    ("gfp", "search", "{clips}", "--where", "label=l1"),
    ("gfp", "search", "{clips}", "--moments", "--gallery", "windows"),
    ("gfp", "search", "{clips}", "--html", "found.html"),
    ("gfp", "classify", "{clips}", "--balanced"),
    ("gfp", "get", "clips/c0"),
    ("gfp", "compare", "{clips}", "--with", "clips/c0"),
    ("gfp", "count", "{clips}", "--with", "clips/c0"),
    ("gfp", "remove", "clips/c0"),
    ("gfp", "gallery", "list"),
    ("gfp", "gallery", "describe", "windows"),
    ("gfp", "gallery", "drop", "windows", "--yes"),
)
# What a bare install does with recordings and galleries in folders.
WITHOUT_SERVER = (
    ("gfp-data", "import", "{clips}", "--out", "store"),
    ("gfp-data", "info", "store"),
    ("gfp-data", "joint-map", "{clips}"),
    ("gfp", "gallery", "snapshot", "create", "galleries", "--out", "snapshot.sqlite"),
    ("gfp", "gallery", "snapshot", "verify", "snapshot.sqlite"),
    ("gfp", "gallery", "snapshot", "restore", "snapshot.sqlite", "restored"),
    ("gfp", "gallery", "snapshot", "list", "galleries"),
    ("gfp", "gallery", "calibrate", "galleries"),
    ("gfp", "gallery", "check", "galleries"),
    ("gfp", "gallery", "repair", "galleries"),
    ("gfp-serve", "config"),
    ("gfp-serve", "bundle", "--no-time"),
)
# What more the extra `cpu` is enough for.
WITH_CPU = (
    ("gfp", "gallery", "copy", "galleries", "copy"),
    ("gfp", "gallery", "check", "copy"),
    ("gfp", "gallery", "repair", "copy"),
    ("gfp-serve", "bundle", "pose-statistics"),
    ("gfp-data", "info", "{clips}"),
    ("gfp-data", "import", "{clips}", "--out", "store"),
)
_SMALL = ("--width", 16, "--depth", 1, "--num-heads", 2, "--local-width", 8, "--global-width", 16)
_SHORT = ("--epochs", 1, "--warmup-epochs", 0, "--batch-clips", 4, "--device", "cpu")
# What `cpu` and `train` together are enough for.
WITH_TRAIN = (
    ("gfp-data", "import", "{clips}", "--out", "store", "--test-subject", "clips/3", "--num-workers", 2),
    ("gfp-data", "plot", "store", "--out", "clips.png"),
    ("gfp-train", "store", "--out", "run", *_SHORT, *_SMALL),
    ("gfp-evaluate", "retrieval", "run", "store", "--device", "cpu", "--out", "evaluation"),
    ("gfp-export", "run", "--out", "bundle", "--clips", "{clips}"),
)
# Commands that take long. Only their help is run here.
ONLY_HELP = {
    "gfp-cost",
    "gfp-evaluate compare",
    "gfp-evaluate fine-tune",
    "gfp-evaluate linear-probe",
    "gfp-evaluate semi-supervised",
    "gfp-evaluate suite",
    "gfp-evaluate tokens",
    "gfp-evaluate transfer",
}
# A server is started by a test of its own. Tables need pyarrow and videos mediapipe, which none of the environments
# has. Snapshots of a server and embedding again need a server whose token has the role admin, or two servers, which
# other tests have.
RUN_APART = {
    "gfp-pose",
    "gfp-serve",
    "gfp gallery export",
    "gfp gallery import",
    "gfp gallery reembed",
    "gfp gallery snapshot fetch",
    "gfp gallery snapshot prune",
    "gfp gallery snapshot remove",
}
HELP_WITHOUT_EXTRAS = ("gfp", "gfp-pose", "gfp-serve", "gfp-data")
HELP_WITH_TRAIN = ("gfp-train", "gfp-cost", "gfp-evaluate", "gfp-export")

IMPORT_EVERY_MODULE = """
import importlib, importlib.util, pkgutil, gfp_serve
assert importlib.util.find_spec("torch") is None
names = {module.name for module in pkgutil.walk_packages(gfp_serve.__path__, "gfp_serve.")}
# These need extras that are not installed: numba, to read NTU files faster, and matplotlib.
of_extras = {"formats.ntu.compiled", "figure_file", "gallery.care.threshold_figure"}
for name in names - {f"gfp_serve.{each}" for each in of_extras}:
    importlib.import_module(name)
print(len(names))
"""


def run(*command, **options):
    # Test only what was installed: PYTHONPATH could lead to the repository.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, timeout=300, **options
    )


def answers_of(environment, watched, *commands, **variables):
    """Run commands of an environment; return their answers. Fails at a traceback, a connection or a write elsewhere."""
    answers = answers_in(watched.run(environment / "bin" / "python", *script_of(*commands), **variables))
    assert [each for each in answers if each.is_broken] == []
    assert watched.seen(caches=FONT_LIST) == Seen()
    return answers


def filled(commands, *, clips):
    """Commands of a list above, with the path of the clips."""
    return [[str(word).replace("{clips}", str(clips)) for word in words] for words in commands]


def install(environment, what, module):
    """Install with pip. To save time, only what our `module` imports is compiled."""
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet")
    installed = run(*pip, "--no-compile", "-c", ROOT / "constraints.txt", what)
    assert installed.returncode == 0, installed.stderr
    run(environment / "bin" / "python", "-c", f"import {module}", check=True)


def link(source, target):
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)


def copy_of(environment, folder):
    """Copy an environment to another folder."""
    shutil.copytree(environment, folder, symlinks=True, copy_function=link)
    for script in (folder / "bin").iterdir():
        if not script.is_symlink():
            text = script.read_text().replace(str(environment), str(folder))
            mode = script.stat().st_mode
            script.unlink()  # it is a hard link to the original
            script.write_text(text)
            script.chmod(mode)
    return folder


def packages_of(environment):
    (folder,) = environment.glob("lib/python*/site-packages")
    return folder


def needed(package, extras, found):
    """Add to `found` a distribution with extras and all that it needs, as installed for the tests."""
    found[package.name, *sorted(extras)] = package
    for requirement in map(Requirement, package.requires or ()):
        here = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        if here and (requirement.name, *sorted({"", *requirement.extras})) not in found:
            # One of our extras may name another.
            ours = canonicalize_name(requirement.name) == canonicalize_name(package.name)
            needed(package if ours else distribution(requirement.name), {"", *requirement.extras}, found)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The source distribution and the wheel that `make dist` makes from a copy of the repository."""
    tree = tmp_path_factory.mktemp("checkout")
    for file in (path for path in ROOT.iterdir() if path.is_file()):
        shutil.copy(file, tree)
    for name in filter(lambda name: (ROOT / name).exists(), FOLDERS):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    environment = Path(sys.executable).parent
    # Use the tests' environment, and do not install anything into it.
    done = run("make", "dist", f"BIN={environment}", "VENV=none", "-o", "none/test.stamp", cwd=tree)
    assert done.returncode == 0, done.stdout + done.stderr
    (source,), (wheel,) = tree.glob("dist/*.tar.gz"), tree.glob("dist/*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def wheel(made):
    return made[1]


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """A new environment with the wheel and no extra."""
    environment = tmp_path_factory.mktemp("bare") / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, check=True)
    install(environment, wheel, "gfp_serve.cli.ask")
    return environment


@pytest.fixture(scope="module")
def serving(bare, wheel, tmp_path_factory):
    """An environment with the extra `cpu`."""
    environment = copy_of(bare, tmp_path_factory.mktemp("serving") / "environment")
    install(environment, f"{wheel}[cpu]", "gfp_serve.server_process")
    return environment


@pytest.fixture(scope="module")
def training(serving, tmp_path_factory):
    """An environment with the extras `cpu` and `train`."""
    environment = copy_of(serving, tmp_path_factory.mktemp("training") / "environment")
    packages = packages_of(environment)
    (ours,) = distributions(name="gfp-serve", path=[str(packages)])
    found = {}
    needed(ours, {"train"}, found)
    there = {canonicalize_name(each.name) for each in distributions(path=[str(packages)])}
    for each in found.values():
        if canonicalize_name(each.name) not in there:
            for file in (file for file in each.files if ".." not in file.parts):
                target = packages / file
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    link(each.locate_file(file), target)
    return environment


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings") / "clips.npz"
    said = [{"name": f"c{n}", "label": f"l{n % 3}", "subject": str(n % 4)} for n in range(12)]
    write_clip_file(
        path, [Clip(sequence=walk(n, frames=70), layout=NTU25, fps=30.0, **each) for n, each in enumerate(said)]
    )
    return path


@pytest.fixture
def watched(tmp_path):
    """A folder to watch commands in. It has galleries that no server has open."""
    made = watch(tmp_path / "watched")
    folder = made.work / "galleries"
    galleries = FolderGalleries(folder, encoder_digest="0" * 64, embedding_size=4)
    vectors = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    galleries["default"].upsert([Item(f"i{n}", vector, f"l{n % 2}") for n, vector in enumerate(vectors)])
    galleries.close()
    return made


def test_the_wheel_holds_both_packages_and_the_licences_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = {name.split("/", 1)[1] for name in archive.namelist() if ".dist-info/" in name}

    files = [path for package in ("gfp_serve", "trainer") for path in (ROOT / package).rglob("*") if path.is_file()]
    assert held == {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert {"gfp_serve/py.typed", "trainer/py.typed", "gfp_serve/v1/embedding_pb2.pyi"} <= held
    assert {f"gfp_serve/bundles/pose-statistics/{name}" for name in ("encoder.onnx", "manifest.json")} <= held
    licences = {"LICENSE", "NOTICE", "examples/clips/LICENSE-precog", "examples/clips/LICENSE-cmu_sample"}
    licences |= {"gfp_serve/pose_model/LICENSE", "gfp_serve/page/licences.txt"}
    assert {f"licenses/{name}" for name in licences} <= metadata


def test_the_source_distribution_holds_all_that_building_and_testing_need(made):
    with tarfile.open(made[0]) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}

    assert {"LICENSE", "NOTICE", "README.md", "Makefile", "constraints.txt", "pyproject.toml"} <= held
    for folder, pattern in (("proto", "*.proto"), ("tests", "*.py"), ("examples", "*"), ("gfp_serve", "*.py")):
        files = [path.relative_to(ROOT) for path in (ROOT / folder).rglob(pattern) if path.is_file()]
        assert {str(path) for path in files if "__pycache__" not in path.parts} <= held


def test_pinned_packages_run_on_every_python_that_the_project_does() -> None:
    """Debian 12 has 3.11.2. What is installed in another version than the pinned one is not looked at."""
    pinned = dict(pin.split("==") for pin in PINS)
    needs = {
        name: SpecifierSet(each.metadata["Requires-Python"] or "")
        for each in distributions()
        if pinned.get(name := canonicalize_name(each.name)) == each.version
    }
    assert len(needs) > 20
    assert [name for name, versions in needs.items() if not versions.contains("3.11.0")] == []


def test_every_line_of_the_constraints_is_one_exact_version():
    # No path, no address of an index, no "+cpu": such a line would work on one machine only.
    assert [pin for pin in PINS if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []


@pytest.mark.parametrize("extras", ["bare", "serving", "training"])
def test_everything_that_is_installed_has_a_pinned_version(extras, request):
    environment = request.getfixturevalue(extras)
    packages = distributions(path=[str(packages_of(environment))])
    installed = {(canonicalize_name(each.name), each.version.split("+")[0]) for each in packages}
    pinned = {(canonicalize_name(name), version) for name, version in (pin.split("==") for pin in PINS)}

    assert len(installed) > 10
    assert installed - pinned == {("gfp-serve", gfp_serve.__version__)}


def test_every_command_shows_its_help_in_an_environment_and_all_but_the_long_ones_run_in_one():
    assert {*HELP_WITHOUT_EXTRAS, *HELP_WITH_TRAIN} == set(SCRIPTS)
    paths = command_paths()
    tried = {command_path_of(words, paths) for words in (*WITH_SERVER, *WITHOUT_SERVER, *WITH_CPU, *WITH_TRAIN)}
    assert paths - tried == ONLY_HELP | RUN_APART


def test_the_extra_train_has_all_that_it_needs(training):
    checked = run(sys.executable, "-m", "pip", "--python", training / "bin" / "python", "check")

    assert checked.returncode == 0, checked.stdout


def test_a_bare_install_has_no_engine_and_imports_the_client(bare):
    engines = ("faiss", "onnxruntime", "torch", "matplotlib", "mediapipe", "pymilvus", "pyarrow")
    absent = f"import importlib.util; assert not any(map(importlib.util.find_spec, {engines}))"
    result = run(bare / "bin" / "python", "-I", "-c", f"{absent}; import gfp_serve.client")

    assert result.returncode == 0, result.stderr


def test_every_command_of_a_bare_install_shows_its_help(bare, watched):
    answers = answers_of(bare, watched, *((name, EVERY_HELP) for name in HELP_WITHOUT_EXTRAS))

    assert [each.words for each in answers if each.code or "Usage: " not in each.output] == []
    assert len(answers) > 20


@pytest.mark.parametrize("command", ["gfp", "gfp-pose", "gfp-serve", "gfp-data"])
def test_an_installed_command_shows_its_help(bare, command):
    result = run(bare / "bin" / command, "--help")

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"Usage: {command} ")


def test_a_bare_client_and_a_cpu_server_talk_to_each_other_and_to_nobody_else(bare, serving, clips, tmp_path):
    server, client = watch(tmp_path / "server"), watch(tmp_path / "client")
    given = ("--port", "0", "--gallery", server.work / "gallery", "--metrics-port", "0")
    with (
        subprocess.Popen(
            [*server.prefix, serving / "bin" / "gfp-serve", *given],
            cwd=server.work,
            env=server.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
        canary(tmp_path / "canary") as seen_of_canary,
    ):
        address = re.search(r"127\.0\.0\.1:\d+", running.stdout.readline())
        try:
            answers = answers_of(
                bare,
                client,
                *filled(WITH_SERVER, clips=clips),
                GFP_ADDRESS=address[0],
            )
            # Watch the server until the canary has tried to reach onnxruntime's maker.
            alone = seen_of_canary()
        finally:
            running.terminate()
            _, errors = running.communicate(timeout=60)

    assert running.returncode == 0, errors
    assert [each for each in answers if each.code] == []
    assert {path.name for path in client.work.iterdir()} == {"vectors.npz", "found.html"}
    assert any("a name was looked up" in each for each in alone.connections), alone
    assert any("deviceid" in each for each in alone.files), alone
    assert server.seen() == Seen()


def says_which_extra(answer, extra):
    # Exit code 1 of `gfp gallery check` means that the gallery is damaged.
    code = 2 if answer.words[:3] == ["gfp", "gallery", "check"] else 1
    return answer.code == code and answer.errors.count("\n") == 1 and f"extra '{extra}'" in answer.errors


def test_a_bare_install_reads_recordings_and_says_what_other_commands_need(bare, watched, clips):
    answers = answers_of(
        bare,
        watched,
        *filled(WITHOUT_SERVER, clips=clips),
        ("gfp-data", "plot", "store", "--out", "clips.png"),
        ("gfp", "gallery", "calibrate", "galleries", "--plot", "found.png"),
        ("gfp-serve",),
        ("gfp", "gallery", "copy", "galleries", "copy"),
        ("gfp", "gallery", "import", "new", "items.parquet"),
        ("gfp", "gallery", "export", "galleries", "items.parquet"),
        ("gfp-pose", VIDEO, "--out", "skeletons.npz"),
        ("gfp-data", "info", VIDEO),
        *((name,) for name in ("gfp-train", "gfp-cost", "gfp-evaluate", "gfp-export")),
    )
    num_working = len(WITHOUT_SERVER)
    said = zip(
        answers[num_working:], ["plot"] * 2 + ["cpu"] * 3 + ["parquet"] + ["video"] * 2 + ["train"] * 4, strict=True
    )

    assert [each for each in answers[:num_working] if each.code] == []
    assert [each for each, extra in said if not says_which_extra(each, extra)] == []


@pytest.mark.parametrize("command", ["gfp-serve", "gfp-train"])
def test_an_installed_command_says_in_one_line_which_extra_it_needs(bare, command):
    result = run(bare / "bin" / command)

    assert result.returncode == 1
    assert re.fullmatch(r"Error: \w+ is not installed, .*'\.\[cpu(,train)?\]'\.\n", result.stderr), result.stderr


def test_every_module_of_the_server_loads_where_torch_is_not_installed(serving):
    result = run(serving / "bin" / "python", "-I", "-c", IMPORT_EVERY_MODULE)

    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 10


def test_with_cpu_commands_on_folders_run_and_those_that_draw_say_what_they_need(serving, watched):
    answers = answers_of(
        serving,
        watched,
        *filled(WITH_CPU, clips=CLIPS),
        ("gfp-data", "plot", CLIPS, "--out", "clips.png"),
        ("gfp", "gallery", "calibrate", "copy", "--plot", "found.png"),
        ("gfp", "gallery", "export", "copy", "items.parquet"),
        ("gfp-train",),
    )
    num_working = len(WITH_CPU)
    said = zip(answers[num_working:], ("plot", "plot", "parquet", "train"), strict=True)

    assert [each for each in answers[:num_working] if each.code] == []
    assert "61 clips" in answers[num_working - 1].output
    assert [each for each, extra in said if not says_which_extra(each, extra)] == []


def test_with_cpu_the_live_example_runs_and_those_that_draw_say_what_they_need(serving, tmp_path):
    python, examples = serving / "bin" / "python", ROOT / "examples"
    live = run(python, examples / "live.py", "--speed", 1000, cwd=tmp_path)
    drawing = [run(python, examples / name, cwd=tmp_path) for name in ("find_moments.py", "demo.py")]

    assert live.returncode == 0, live.stderr
    assert "windows were named" in live.stdout
    for done, extra in zip(drawing, ("plot", "train"), strict=True):
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert f"extra '{extra}'" in done.stderr


def test_with_train_every_command_of_the_trainer_runs(training, watched, clips):
    answers = answers_of(
        training,
        watched,
        *((name, EVERY_HELP) for name in HELP_WITH_TRAIN),
        *filled(WITH_TRAIN, clips=clips),
        OMP_NUM_THREADS="1",
    )

    assert [each for each in answers if each.code] == []
    made = {path.name for path in watched.work.iterdir()} - {"galleries"}
    assert made == {"store", "clips.png", "run", "evaluation", "bundle"}
