"""Nothing leaves the machine: no program of ours connects to anybody whom it was not told to, or writes elsewhere.

Each runs under strace, with an empty home folder; what counts is in `tests/contract/watched.py`. A canary, onnxruntime
as it comes, shows that the watcher sees what it looks for; what the canary sends is held back.
"""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.skeleton import NTU25
from tests.contract import watched as watched_module
from tests.contract.commands import ROOT, SCRIPTS
from tests.contract.watched import Seen, read_calls, watch
from tests.support.server_processes import process
from tests.support.tiny_bundle import tiny_bundle, walk

pytestmark = pytest.mark.timeout(300)

# Each word list is a command of ours, run in one process after another's end: what takes time is to import them.
RUN_COMMANDS = f"""
import importlib, json, sys
for name, *arguments in json.loads(sys.argv[1]):
    module, function = {SCRIPTS}[name].split(":")
    assert not getattr(importlib.import_module(module), function).main(arguments, name, standalone_mode=False), name
"""
# Where matplotlib keeps which fonts the machine has.
FONT_LIST = (".config/matplotlib", ".cache/matplotlib")
RUN_DEMO = """
import demo
from gfp_serve.config import DEFAULT_BUNDLE
serving = demo.serving
demo.run = lambda *words: None
demo.serving = lambda bundle: serving(DEFAULT_BUNDLE)
demo.main()
"""
# One for each library that could connect: opentelemetry, pymilvus with milvus-lite, and onnxruntime in a file that
# imports it before our own module does.
WATCHED_TESTS = (
    "test_tracing.py::test_each_call_is_a_span_below_its_callers_with_its_status",
    "test_milvus.py::test_a_write_of_one_server_is_seen_by_the_next_and_both_count[milvus-lite]",
    "test_encoder.py::test_the_device_is_the_one_that_the_session_really_runs_on",
)
CANARY = """
import sys, onnxruntime
sys.stdin.read()
"""


@pytest.fixture
def watched(tmp_path):
    return watch(tmp_path / "watched")


def commands(*each):
    return [sys.executable, "-c", RUN_COMMANDS, json.dumps([list(map(str, words)) for words in each])]


def to(ip, port=443):
    """An address as strace shows it."""
    if ":" in ip:
        return (
            f'{{sa_family=AF_INET6, sin6_port=htons({port}), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "{ip}", &a)}}'
        )
    return f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{ip}")}}'


def write_clips(path, sequences):
    labels = ("sit", "wave", "walk")
    write_clip_file(
        path,
        [
            Clip(
                name=f"c{number}",
                sequence=sequence,
                layout=NTU25,
                fps=30.0,
                label=labels[number % 3],
                subject=str(number % 4),
            )
            for number, sequence in enumerate(sequences)
        ],
    )
    return path


@contextmanager
def canary(folder):
    """onnxruntime as it comes, whose connections fail, and a function that waits until it has tried two."""
    watched = watch(folder)
    calls = ",".join(("connect", "sendto", "sendmsg", "sendmmsg"))
    with subprocess.Popen(
        [*watched.prefix, f"--inject={calls}:error=ENETUNREACH", "--output=/dev/stderr", sys.executable, "-c", CANARY],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=watched.environment,
        cwd=watched.work,
    ) as running:
        lines, tried = [], threading.Event()

        def read():
            for line in running.stderr:
                lines.append(line)
                if read_calls([line], watched.work, []).connections:
                    tried.set()

        reader = threading.Thread(target=read)
        reader.start()

        def seen():
            assert tried.wait(60), lines
            running.stdin.close()
            reader.join()
            return read_calls(lines, watched.work, [watched.work])

        try:
            yield seen
        finally:
            running.kill()
            reader.join()


def test_a_server_and_the_commands_that_ask_it_reach_nobody_else(watched, tmp_path):
    tiny_bundle().write(tmp_path / "tiny.zip")
    clips = write_clips(tmp_path / "clips.npz", [walk(seed) for seed in range(4)])
    client = watch(tmp_path / "client")
    options = (
        "--bundle",
        tmp_path / "tiny.zip",
        "--port",
        0,
        "--gallery",
        watched.work / "gallery",
        "--metrics-port",
        0,
    )
    with process(*options, wrapper=watched.prefix, **watched.environment) as (server, address):
        with canary(tmp_path / "canary") as seen_of_canary:
            told = client.run(
                *commands(
                    ("gfp", "info"),
                    ("gfp", "health"),
                    ("gfp", "add", clips),
                    ("gfp", "add", clips, "--windows", "4:2"),
                    ("gfp", "embed", clips),
                    ("gfp", "search", clips, "--html", "page.html"),
                    ("gfp", "search", clips, "--moments"),
                    ("gfp", "classify", clips),
                    ("gfp", "remove", "clips/c0"),
                    ("gfp", "gallery", "create", "other"),
                    ("gfp", "gallery", "list"),
                    ("gfp", "gallery", "describe", "other"),
                    ("gfp", "gallery", "drop", "other", "--yes"),
                ),
                GFP_ADDRESS=address,
            )
            assert "wave" in told
            # The server is watched for as long as onnxruntime, left alone, takes to look for its maker.
            alone = seen_of_canary()
        server.terminate()
        _, errors = server.communicate()
        assert server.returncode == 0, errors

    assert any("microsoft" in each or "htons(53)" in each for each in alone.connections), alone
    assert any("deviceid" in each for each in alone.files), alone
    assert (watched.seen(), client.seen()) == (Seen(), Seen())


def test_import_training_evaluation_and_export_reach_nobody(watched, tmp_path):
    clips = write_clips(tmp_path / "clips.npz", [walk(seed, frames=70) for seed in range(12)])
    small = ("--width", 16, "--depth", 1, "--num-heads", 2, "--local-width", 8, "--global-width", 16)
    told = watched.run(
        *commands(
            ("gfp-data", "import", clips, "--out", "store", "--test-subject", "clips/3", "--num-workers", 2),
            ("gfp-data", "info", "store"),
            ("gfp-data", "plot", "store", "--out", "clips.png"),
            (
                "gfp-train",
                "store",
                "--out",
                "run",
                "--epochs",
                1,
                "--warmup-epochs",
                0,
                "--batch-clips",
                4,
                "--device",
                "cpu",
                *small,
            ),
            ("gfp-evaluate", "retrieval", "run", "store", "--device", "cpu", "--out", "evaluation"),
            ("gfp-export", "run", "--out", "bundle", "--clips", clips),
        ),
        OMP_NUM_THREADS="1",
    )

    assert "bundle: " in told
    assert (watched.work / "evaluation").is_dir()
    assert watched.seen(caches=FONT_LIST) == Seen()


def test_the_demo_reaches_nobody(watched):
    # Without its commands, which the test above watches: what is left is to serve, to fill the gallery and to ask.
    watched.run(sys.executable, "-c", RUN_DEMO, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'examples'}")

    assert list(watched.work.glob("runs/demo/pictures/*.png"))
    assert watched.seen(caches=FONT_LIST) == Seen()


def test_the_tests_reach_nobody(watched):
    told = watched.run(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--config-file", ROOT / "pyproject.toml"),
        *("--rootdir", ROOT, *(ROOT / "tests" / "gfp_serve" / name for name in WATCHED_TESTS)),
    )

    assert re.search(r"\d+ passed", told)
    assert watched.seen() == Seen()


@pytest.mark.parametrize(
    "line",
    [
        f"7 connect(3<s>, {to('192.0.2.1')}, 16) = 0",
        f"7 sendto(3<s>, 'x', 1, 0, {to('10.0.0.1', 9)}, 16) = 1",
        # A resolver on this machine is asked for names that are of no other use.
        f"7 connect(3<s>, {to('127.0.0.53', 53)}, 16) = 0",
        '7 connect(3<s>, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = 0',
        '7 openat(AT_FDCWD</work>, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3</etc/hosts>',
        # What failed was tried.
        f"7 connect(3<s>, {to('2001:db8::1')}, 28) = -1 EPERM (No)",
        # So was what never came back.
        f"7 connect(3<s>, {to('192.0.2.1', 1)}, 16 <unfinished ...>",
        f"7 sendmmsg(3<s>, [{{msg_hdr={{msg_name={to('10.0.0.1', 1)}",
        "7 connect(3<s>, {sa_family=AF_VSOCK, svm_cid=2, svm_port=1}, 16) = 0",
        "7 io_uring_setup(8, {flags=0}) = 4",
    ],
)
def test_a_call_that_leaves_the_machine_or_could_is_seen(line):
    assert len(read_calls([line], Path("/work"), []).connections) == 1


@pytest.mark.parametrize(
    "line",
    [
        f"7 connect(3<s>, {to('127.0.0.2')}, 16) = 0",
        f"7 connect(3<s>, {to('::ffff:127.0.0.1')}, 28) = 0",
        '7 connect(3<s>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No)',
        '7 sendto(3<s>, "x", 1, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 1',
        '7 sendto(3<s>, "x", 1, MSG_NOSIGNAL, NULL, 0) = 1',
        '7 openat(AT_FDCWD</work>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>',
        '7 openat(AT_FDCWD</work>, "/etc/new", O_WRONLY|O_CREAT, 0666) = -1 EACCES (Permission denied)',
        '7 openat(AT_FDCWD</work>, "/dev/null", O_RDWR) = 3</dev/null>',
        '7 openat(AT_FDCWD</work>, "new", O_WRONLY|O_CREAT, 0666) = 3</work/new>',
        '7 mkdir("new", 0777) = 0',
        '7 mkdir("/home/cache", 0777) = 0',
        '7 openat(AT_FDCWD</work>, "/home/cache/fonts/list", O_WRONLY|O_CREAT, 0666) = 3</home/cache/fonts/list>',
    ],
)
def test_a_call_that_stays_within_the_machine_and_the_programs_folders_is_let_pass(line):
    assert read_calls([line], Path("/work"), [Path("/work"), Path("/home/cache/fonts")]) == Seen()


@pytest.mark.parametrize(
    ("lines", "changed"),
    [
        (['7 open("/etc/new", O_RDWR|O_CREAT, 0666) = 3</etc/new>'], ["open /etc/new"]),
        (['7 openat(5</home/cache>, "new", O_WRONLY) = 3</home/cache/new>'], ["openat /home/cache/new"]),
        (['7 mkdirat(5</home/cache>, "new", 0777) = 0'], ["mkdirat /home/cache/new"]),
        (['7 rename("new", "../new") = 0'], ["rename /new"]),
        (
            ['7 renameat2(5</work>, "new", 6</home>, "new", 0 <unfinished ...>', "7 <... renameat2 resumed>) = 0"],
            ["renameat2 /home/new"],
        ),
        (['7 unlink("/home/.profile") = 0'], ["unlink /home/.profile"]),
    ],
)
def test_a_file_that_is_changed_elsewhere_is_seen(lines, changed):
    assert read_calls(lines, Path("/work"), [Path("/work")]).files == changed


def test_where_processes_cannot_be_watched_a_test_fails_and_says_why(tmp_path, monkeypatch):
    refusing = [sys.executable, "-c", "import sys; sys.exit('ptrace: Operation not permitted')"]
    monkeypatch.setattr(watched_module, "command_of", lambda _: refusing)

    with pytest.raises(pytest.fail.Exception, match=r"ptrace: Operation not permitted.*--cap-add SYS_PTRACE"):
        watch(tmp_path / "watched")


def test_whoever_imports_onnxruntime_turns_its_reports_off_before():
    files = [
        file for folder in ("gfp_serve", "trainer", "benchmarks", "examples") for file in (ROOT / folder).rglob("*.py")
    ]
    before = {
        file: text[: found.start()]
        for file in files
        if (found := re.search(r"^ *(?:import|from) onnxruntime\b", text := file.read_text(), re.MULTILINE))
    }

    assert ROOT / "gfp_serve" / "encoder.py" in before
    assert [file for file, text in before.items() if 'os.environ["ORT_DISABLE_TELEMETRY"] = "1"' not in text] == []
