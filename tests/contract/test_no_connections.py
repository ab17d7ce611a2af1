"""Nothing leaves the machine: our programs connect only where they are told to, and write only where they are told to.

These tests cover the demo, the tests, and what counts as leaving. `test_packaging.py` covers the commands.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract import watched as watched_module
from tests.contract.commands import ROOT
from tests.contract.watched import FONT_LIST, Seen, read_calls, watch

pytestmark = pytest.mark.timeout(300)

RUN_DEMO = """
import demo
from gfp_serve.config import DEFAULT_BUNDLE
serving = demo.serving
demo.run = lambda *words: None
demo.serving = lambda bundle, **given: serving(DEFAULT_BUNDLE, **given)
demo.main()
"""
# A test file for each library that could connect: opentelemetry, pymilvus with milvus-lite, and onnxruntime, in a file
# that imports it before our own module does.
WATCHED_TESTS = (
    "service/test_tracing.py::test_each_call_has_a_span_with_its_status_below_the_callers_span",
    "gallery/milvus/test_milvus.py::test_a_write_of_one_server_is_seen_by_the_next_and_both_count[milvus-lite]",
    "test_encoder.py::test_the_reported_device_is_the_one_on_which_the_session_runs",
)


@pytest.fixture
def watched(tmp_path):
    return watch(tmp_path / "watched")


def to(ip, port=443):
    """Return an address as strace shows it."""
    if ":" in ip:
        return (
            f'{{sa_family=AF_INET6, sin6_port=htons({port}), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "{ip}", &a)}}'
        )
    return f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{ip}")}}'


def test_the_demo_makes_no_outside_connection(watched):
    # Without its commands, which test_packaging.py covers. It serves, fills the gallery and searches it.
    watched.run(sys.executable, "-c", RUN_DEMO, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'examples'}")

    assert list(watched.work.glob("runs/demo/pictures/*.png"))
    assert watched.seen(caches=FONT_LIST) == Seen()


RUN_POSE = "from gfp_serve.cli.pose import gfp_pose; gfp_pose()"
POSE = (
    sys.executable,
    "-c",
    RUN_POSE,
    ROOT / "examples" / "videos" / "basketball-006_08.mp4",
    "--out",
    "skeletons.npz",
    "--end",
    0.5,
)


def test_finding_poses_in_a_video_makes_no_outside_connection(watched):
    pytest.importorskip("mediapipe", reason="the extra video is not installed")
    told = watched.run(*POSE, PYTHONPATH=str(ROOT))

    assert "1 clip" in told
    assert watched.seen() == Seen()


def test_poses_are_found_where_there_is_no_network(tmp_path):
    pytest.importorskip("mediapipe", reason="the extra video is not installed")
    alone = ("unshare", "--map-root-user", "--net")
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a network namespace")
    watching = (
        "import sys; sys.addaudithook(lambda event, given: "
        "event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto') and sys.exit(f'{event} {given}')); "
    )
    program = (sys.executable, "-c", watching + RUN_POSE)
    done = subprocess.run(
        [*alone, *map(str, (*program, *POSE[3:]))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "1 clip" in done.stdout


def test_the_tests_make_no_outside_connection(watched):
    told = watched.run(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--config-file", ROOT / "pyproject.toml"),
        *("--rootdir", ROOT, *(ROOT / "tests" / "gfp_serve" / name for name in WATCHED_TESTS)),
        PYTEST_ADDOPTS="",  # options of the outer run, such as a report, would write files too
    )

    assert re.search(r"\d+ passed", told)
    assert watched.seen() == Seen()


@pytest.mark.parametrize(
    "line",
    [
        f"7 connect(3<s>, {to('192.0.2.1')}, 16) = 0",
        f"7 sendto(3<s>, 'x', 1, 0, {to('10.0.0.1', 9)}, 16) = 1",
        # A program asks the machine's resolver only to look up names.
        f"7 connect(3<s>, {to('127.0.0.53', 53)}, 16) = 0",
        '7 connect(3<s>, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = 0',
        '7 openat(AT_FDCWD</ours>, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3</etc/hosts>',
        # A failed attempt is an attempt.
        f"7 connect(3<s>, {to('2001:db8::1')}, 28) = -1 EPERM (No)",
        # So is a call that never returned.
        f"7 connect(3<s>, {to('192.0.2.1', 1)}, 16 <unfinished ...>",
        f"7 sendmmsg(3<s>, [{{msg_hdr={{msg_name={to('10.0.0.1', 1)}",
        "7 connect(3<s>, {sa_family=AF_VSOCK, svm_cid=2, svm_port=1}, 16) = 0",
        "7 io_uring_setup(8, {flags=0}) = 4",
    ],
)
def test_every_call_that_leaves_the_machine_or_could_is_reported(line):
    assert len(read_calls([line], Path("/ours"), []).connections) == 1


@pytest.mark.parametrize(
    "line",
    [
        f"7 connect(3<s>, {to('127.0.0.2')}, 16) = 0",
        f"7 connect(3<s>, {to('::ffff:127.0.0.1')}, 28) = 0",
        '7 connect(3<s>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No)',
        '7 sendto(3<s>, "x", 1, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 1',
        '7 sendto(3<s>, "x", 1, MSG_NOSIGNAL, NULL, 0) = 1',
        '7 openat(AT_FDCWD</ours>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>',
        '7 openat(AT_FDCWD</ours>, "/etc/new", O_WRONLY|O_CREAT, 0666) = -1 EACCES (Permission denied)',
        '7 openat(AT_FDCWD</ours>, "/dev/null", O_RDWR) = 3</dev/null>',
        '7 openat(AT_FDCWD</ours>, "new", O_WRONLY|O_CREAT, 0666) = 3</ours/new>',
        '7 mkdir("new", 0777) = 0',
        '7 mkdir("/home/cache", 0777) = 0',
        '7 openat(AT_FDCWD</ours>, "/home/cache/fonts/list", O_WRONLY|O_CREAT, 0666) = 3</home/cache/fonts/list>',
    ],
)
def test_no_call_within_the_machine_and_the_programs_folders_is_reported(line):
    assert read_calls([line], Path("/ours"), [Path("/ours"), Path("/home/cache/fonts")]) == Seen()


@pytest.mark.parametrize(
    ("lines", "changed"),
    [
        (['7 open("/etc/new", O_RDWR|O_CREAT, 0666) = 3</etc/new>'], ["open /etc/new"]),
        (['7 openat(5</home/cache>, "new", O_WRONLY) = 3</home/cache/new>'], ["openat /home/cache/new"]),
        (['7 mkdirat(5</home/cache>, "new", 0777) = 0'], ["mkdirat /home/cache/new"]),
        (['7 rename("new", "../new") = 0'], ["rename /new"]),
        (
            ['7 renameat2(5</ours>, "new", 6</home>, "new", 0 <unfinished ...>', "7 <... renameat2 resumed>) = 0"],
            ["renameat2 /home/new"],
        ),
        (['7 unlink("/home/.profile") = 0'], ["unlink /home/.profile"]),
    ],
)
def test_every_change_of_a_file_elsewhere_is_reported(lines, changed):
    assert read_calls(lines, Path("/ours"), [Path("/ours")]).files == changed


def test_if_processes_cannot_be_watched_the_test_fails_with_the_reason(tmp_path, monkeypatch):
    refusing = [sys.executable, "-c", "import sys; sys.exit('ptrace: Operation not permitted')"]
    monkeypatch.setattr(watched_module, "command_of", lambda _: refusing)

    with pytest.raises(pytest.fail.Exception, match=r"ptrace: Operation not permitted.*--cap-add SYS_PTRACE"):
        watch(tmp_path / "watched")


def test_every_file_that_imports_onnxruntime_turns_its_telemetry_off_first():
    files = [
        file for folder in ("gfp_serve", "trainer", "benchmarks", "examples") for file in (ROOT / folder).rglob("*.py")
    ]
    before = {
        file: text[: found.start()]
        for file in files
        if (found := re.search(r"^ *(?:import|from) onnxruntime\b", text := file.read_text(), re.MULTILINE))
    }

    assert ROOT / "gfp_serve" / "runtime.py" in before
    assert [file for file, text in before.items() if 'os.environ["ORT_DISABLE_TELEMETRY"] = "1"' not in text] == []
