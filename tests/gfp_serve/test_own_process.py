"""A process of its own does its work in its folder, keeps to its bounds, and ends with whoever started it."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading

import psutil
import pytest

from gfp_serve.own_process import (
    BoundPassedError,
    Bounds,
    OwnProcessError,
    folder_of_its_own,
    in_thread,
    remove_abandoned_folders,
    run,
)
from tests.support.servers import HANG_S, until

ROOMY = Bounds(seconds=HANG_S, memory_bytes=2**30, file_bytes=2**20)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that processes find, and gives its name."""
    places = tmp_path / "modules"
    places.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(places), *sys.path]))

    def write(code: str) -> str:
        (places / "planted.py").write_text(textwrap.dedent(code))
        return "planted"

    return write


def needs_a_network_of_its_own() -> None:
    """Skip the test where this system does not let everybody's processes have one; containers often do not."""
    if shutil.which("unshare") is None:
        pytest.skip("the program unshare is missing, by which the test sees whether networks can be had")
    tried = subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this system gives processes no network of their own: {tried.stderr.strip()}")


async def test_it_works_in_its_folder_with_low_priority_and_few_threads(module):
    name = module(
        """
        import os
        from pathlib import Path
        said = [os.getpriority(os.PRIO_PROCESS, 0), os.environ["OMP_NUM_THREADS"], os.environ["TMPDIR"] == os.getcwd()]
        Path("made").write_text(Path("given").read_text() + str(said))
        """
    )
    with folder_of_its_own() as folder:
        (folder / "given").write_text("x")
        await run(name, folder, ROOMY, num_threads=3)
        assert (folder / "made").read_text() == "x[10, '3', True]"
        await run(name, folder, ROOMY, is_low=False)
        assert "[0, '1'" in (folder / "made").read_text()
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_a_folder_whose_owner_was_killed_is_removed_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    starter = """
import os, signal
from gfp_serve.own_process import folder_of_its_own
with folder_of_its_own() as folder:
    (folder / "sent").write_text("of a caller")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", starter], env={**os.environ, "TMPDIR": str(tmp_path)})
    (left,) = tmp_path.iterdir()
    assert (left / "sent").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "gfp-process-link").symlink_to(elsewhere)
    (tmp_path / "gfp-process-file").touch()

    with folder_of_its_own() as of_a_living_one:
        remove_abandoned_folders()
        assert {path.name for path in tmp_path.iterdir()} == {
            of_a_living_one.name,
            "elsewhere",
            "gfp-process-link",
            "gfp-process-file",
        }
    assert not of_a_living_one.exists()


def test_a_folder_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make = tempfile.mkdtemp
    made = []

    def made_while_another_starts(prefix):
        made.append(make(prefix=prefix))
        if len(made) == 1:
            remove_abandoned_folders()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", made_while_another_starts)
    with folder_of_its_own() as folder:
        assert folder.exists()
    assert len(made) == 2


@pytest.mark.parametrize(
    ("code", "bounds", "problem"),
    [
        ("import time; time.sleep(600)", Bounds(seconds=1, memory_bytes=2**30, file_bytes=1), "took longer than 1 s"),
        ("b'x' * 2**31", ROOMY, "took more than 1024 MiB of memory"),
        ("open('made', 'wb').write(b'x' * 2**21)", ROOMY, "ended with status"),
        ("raise SystemExit(3)", ROOMY, "ended with status 3"),
        ("import os; os.abort()", ROOMY, "ended with status -6"),
    ],
)
async def test_a_bound_that_is_passed_and_a_failure_are_said(module, code, bounds, problem):
    with folder_of_its_own() as folder, pytest.raises(OwnProcessError, match=problem):
        await run(module(code), folder, bounds)


async def test_what_it_said_before_it_failed_is_in_the_log(module, caplog):
    with folder_of_its_own() as folder, pytest.raises(OwnProcessError):
        await run(module("raise ValueError('quite wrong')"), folder, ROOMY)

    assert "quite wrong" in caplog.text


async def test_what_lies_in_the_folder_is_no_module(module):
    name = module("import json; json.dumps(1)")
    with folder_of_its_own() as folder:
        (folder / "json.py").write_text("raise SystemExit(9)")
        await run(name, folder, ROOMY)


async def test_it_reaches_nobody(module):
    name = module(
        """
        import socket, sys
        from pathlib import Path
        try:
            socket.create_connection(("127.0.0.1", int(Path("port").read_text())), timeout=5)
        except OSError:
            Path("refused").touch()
        """
    )
    needs_a_network_of_its_own()
    with folder_of_its_own() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        (folder / "port").write_text(str(server.getsockname()[1]))
        await run(name, folder, ROOMY)
        assert (folder / "refused").exists()


@pytest.mark.parametrize(
    ("unshare", "reason"), [("", "is missing"), ("#!/bin/sh\necho not permitted >&2; exit 1", "network.*not permitted")]
)
def test_where_a_network_of_its_own_cannot_be_had_the_test_of_it_is_skipped(tmp_path, monkeypatch, unshare, reason):
    if unshare:
        (tmp_path / "unshare").write_text(unshare)
        (tmp_path / "unshare").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(pytest.skip.Exception, match=reason):
        needs_a_network_of_its_own()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this score")
async def test_where_memory_runs_out_it_is_ended_before_the_server(module):
    name = module("from pathlib import Path; Path('score').write_text(Path('/proc/self/oom_score_adj').read_text())")
    with folder_of_its_own() as folder:
        await run(name, folder, ROOMY)
        assert int((folder / "score").read_text()) == 1000


@pytest.mark.parametrize(
    ("code", "is_bound"),
    [("b'x' * 2**31", True), ("import os; os.kill(os.getpid(), 9)", True), ("raise SystemExit(3)", False)],
)
async def test_a_bound_that_is_passed_is_told_from_a_failure(module, code, is_bound):
    with folder_of_its_own() as folder, pytest.raises(OwnProcessError) as caught:
        await run(module(code), folder, ROOMY)
    assert isinstance(caught.value, BoundPassedError) == is_bound


async def test_when_the_work_is_not_wanted_any_more_the_process_ends(module):
    name = module(
        """
        import subprocess, sys
        from pathlib import Path
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path("child.part").write_text(str(child.pid))
        Path("child.part").rename("child")
        child.wait()
        """
    )
    with folder_of_its_own() as folder:
        running = asyncio.create_task(run(name, folder, ROOMY))
        await until((folder / "child").exists)
        child = psutil.Process(int((folder / "child").read_text()))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process when its parent ends")
async def test_when_whoever_started_it_is_killed_it_ends_too(module, tmp_path):
    name = module("import os, time, pathlib; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)")
    starter = f"""
import asyncio, pathlib
from gfp_serve.own_process import Bounds, run
asyncio.run(run({name!r}, pathlib.Path({str(tmp_path)!r}), Bounds(seconds=600, memory_bytes=2**30, file_bytes=2**20)))
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", starter)
    await until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    worker = psutil.Process(int((tmp_path / "pid").read_text()))
    process.kill()
    await process.wait()

    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


async def test_a_thread_has_ended_when_waiting_for_it_is_cancelled():
    begun, may_end, has_ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        may_end.wait(HANG_S)
        has_ended.append(True)

    waiting = asyncio.create_task(in_thread(work))
    await until(begun.is_set)
    waiting.cancel()
    await asyncio.sleep(0.01)
    assert not waiting.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert has_ended == [True]
