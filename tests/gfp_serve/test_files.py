import contextlib
import errno
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gfp_serve.files import (
    lock,
    read_ordinary,
    remove_unfinished,
    replacing,
    sync_directory,
    unfinished_files,
    write_whole,
    written_whole,
)
from tests.support.full_disk import file_size_limit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that exists already and will be replaced."""
    path = tmp_path / "report.json"
    path.write_text("before")
    return path


def in_a_process(lines: str, path: Path) -> subprocess.Popen[str]:
    """Run a few lines with the variable `path` in a process of their own."""
    code = f"""
import os, signal, sys
from pathlib import Path
from gfp_serve.files import lock, replacing, write_whole, written_whole
path = Path({str(path)!r})
{textwrap.dedent(lines)}
"""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def without_locks(*_: int) -> None:
    """In place of `fcntl.flock`: what it does on a file system that has no locks."""
    raise OSError(errno.ENOLCK, "No locks available")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def num_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- whole or not at all ---


@pytest.mark.parametrize("content", ["after, with é\n", b"after"])
def test_the_new_content_takes_the_place_of_the_old(path, content):
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(path.parent) == ["report.json"]


def test_the_old_content_stays_until_the_block_ends(path):
    with written_whole(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_text() == "before"
    assert path.read_text() == "after"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_content_alone(path, error):
    def write_half() -> None:
        with written_whole(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert (names(path.parent), path.read_text()) == (["report.json"], "before")


def test_a_full_disk_leaves_the_old_content_alone(path):
    # The last bytes reach the disk only when the file is closed.
    with file_size_limit(1000), pytest.raises(OSError, match=rf"File too large: '{path}'"):
        write_whole(path, bytes(1001))
    assert (names(path.parent), path.read_text()) == (["report.json"], "before")


def test_a_file_that_another_library_writes_is_put_in_place_too(path):
    def write(content: str, *, stops: bool) -> None:
        with replacing(path) as unfinished:
            unfinished.unlink()  # some libraries replace the file that they write
            unfinished.write_text(content)
            if stops:
                raise ValueError("in the middle")

    write("after", stops=False)
    assert path.read_text() == "after"
    with pytest.raises(ValueError, match="in the middle"):
        write("half", stops=True)
    assert (names(path.parent), path.read_text()) == (["report.json"], "after")


def kill_a_writer(path: Path) -> Path:
    """Kill a process that has written a file and not yet given it its name; return the file that it leaves."""
    lines = """
        def die(*_):
            os.kill(os.getpid(), signal.SIGKILL)
        Path.replace = die
        write_whole(path, "killed", mode=0o600)
    """
    killed = in_a_process(lines, path)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (left,) = unfinished_files(path)
    return left


def set_age(file: Path, seconds: float) -> None:
    os.utime(file, (time.time() - seconds,) * 2)


def test_a_kill_between_writing_and_renaming_leaves_the_old_content_and_no_obstacle(path):
    left = kill_a_writer(path)
    assert (names(path.parent), path.read_text()) == ([left.name, "report.json"], "before")
    write_whole(path, "after", mode=0o644)
    assert (path.read_text(), mode_of(path)) == ("after", 0o644)  # not the mode of the file that was left


def test_what_a_killed_writer_left_is_removed_when_it_is_too_old_to_be_a_living_writers(path):
    left = kill_a_writer(path)
    set_age(left, 3500)
    write_whole(path, "after")
    assert left.exists()
    set_age(left, 3700)
    write_whole(path, "again")
    assert (names(path.parent), path.read_text()) == (["report.json"], "again")


def test_one_who_is_alone_removes_what_killed_writers_left_at_once_and_nothing_else(path):
    others = [".report.json.new", ".report.json.0123456.new", ".report.json.a.01234567.new", "report.json.01234567.new"]
    for name in others:
        (path.parent / name).touch()
    kill_a_writer(path)
    remove_unfinished(path)
    assert names(path.parent) == sorted([*others, "report.json"])
    for name in others:
        set_age(path.parent / name, 10_000)
    write_whole(path, "after")
    assert names(path.parent) == sorted([*others, "report.json"])


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 120 + "y" * 15])
def test_the_longest_names_that_a_file_can_have_are_written_whole_too(tmp_path, name):
    path = tmp_path / name
    with written_whole(path) as file:
        file.write(b"after")
        assert len(unfinished_files(path)) == 1
    assert path.read_bytes() == b"after"
    assert unfinished_files(path) == []


def test_two_writers_at_once_do_not_mix_and_the_last_to_end_wins(path):
    first = in_a_process(
        """
        with written_whole(path) as file:
            file.write(b"first, half ")
            file.flush()
            print("writing", flush=True)
            sys.stdin.readline()
            file.write(b"and half")
        """,
        path,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "writing\n"
    write_whole(path, "second")
    assert path.read_text() == "second"
    first.communicate("go on\n")
    assert first.returncode == 0
    assert (names(path.parent), path.read_text()) == (["report.json"], "first, half and half")


def test_a_write_needs_no_locks(path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", without_locks)
    write_whole(path, "after")
    assert path.read_text() == "after"


# --- errors ---


def test_errors_name_the_file_and_not_the_unfinished_one(path, monkeypatch):
    missing = path.parent / "missing" / "report.json"
    with pytest.raises(FileNotFoundError, match=rf"No such file or directory: '{missing}'$"):
        write_whole(missing, "after")

    def refuse(file: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(file), None, str(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(PermissionError, match=rf"Permission denied: '{path}'$"):
            write_whole(path, "after")
    expected = rf"another process removed its unfinished file.*: '{path}'$"
    with pytest.raises(FileNotFoundError, match=expected), replacing(path) as unfinished:
        unfinished.unlink()
    assert (names(path.parent), path.read_text()) == (["report.json"], "before")


def test_an_error_about_another_file_keeps_its_name(path):
    with pytest.raises(FileNotFoundError, match=r"'.*source'"), replacing(path):
        (path.parent / "source").read_bytes()


# --- mode ---


@pytest.mark.parametrize(("mode", "umask", "expected"), [(0o600, 0o022, 0o600), (0o666, 0o027, 0o640)])
def test_the_mode_holds_before_the_first_byte(path, mode, umask, expected):
    before = os.umask(umask)
    try:
        with replacing(path, mode=mode) as unfinished:
            assert (mode_of(unfinished), unfinished.stat().st_size) == (expected, 0)
            unfinished.write_text("after")
    finally:
        os.umask(before)
    assert mode_of(path) == expected


# --- synced ---


def test_content_is_synced_before_the_renaming_and_the_folder_after_it(path, monkeypatch):
    steps: list[str] = []

    def noted(step: str, do: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            what = arguments[0]
            place = Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else Path(str(what))
            steps.append(f"{step} {place.name}")
            return do(*arguments)

        return call

    monkeypatch.setattr(os, "fsync", noted("sync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("rename", Path.replace))
    with replacing(path) as unfinished:
        unfinished.write_text("after")
    assert steps == [f"sync {unfinished.name}", f"rename {unfinished.name}", f"sync {path.parent.name}"]


def test_a_disk_that_cannot_sync_leaves_the_old_content_alone(path, monkeypatch):
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_whole(path, "after")
    assert (names(path.parent), path.read_text()) == (["report.json"], "before")
    with pytest.raises(OSError, match="Input/output error"):
        sync_directory(path.parent)


# --- locks ---


def test_a_lock_keeps_others_out_until_it_is_closed(tmp_path):
    held = lock(tmp_path)
    with pytest.raises(BlockingIOError):
        lock(tmp_path)
    other = in_a_process("lock(path)", tmp_path)
    _, errors = other.communicate()
    assert (other.returncode, "BlockingIOError" in errors) == (1, True)
    os.close(held)
    os.close(lock(tmp_path))


def test_a_kill_frees_the_lock(tmp_path):
    holder = in_a_process("lock(path)\nprint('held', flush=True)\nsys.stdin.readline()", tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError):
        lock(tmp_path)
    holder.kill()
    holder.communicate()
    os.close(lock(tmp_path))


def test_a_lock_makes_its_file_only_on_request(tmp_path):
    with pytest.raises(FileNotFoundError):
        lock(tmp_path / "gallery.lock")
    os.close(lock(tmp_path / "gallery.lock", create=True))
    assert mode_of(tmp_path / "gallery.lock") == 0o600
    os.close(lock(tmp_path / "gallery.lock", create=True))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, number):
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = num_open_files()
    with pytest.raises(OSError, match=rf"its file system cannot lock it.*: '{tmp_path}'$") as raised:
        lock(tmp_path)
    assert (raised.value.errno, num_open_files()) == (number, before)


@pytest.mark.parametrize("leaves_another", [False, True])
def test_a_folder_that_was_renamed_before_it_was_locked_is_refused(tmp_path, monkeypatch, leaves_another):
    opened = os.open
    folder = tmp_path / "folder"
    folder.mkdir()

    def rename_meanwhile(*how: object) -> int:
        descriptor = opened(*how)  # type: ignore[arg-type]
        folder.rename(tmp_path / "another")
        if leaves_another:
            folder.mkdir()
        return descriptor

    monkeypatch.setattr(os, "open", rename_meanwhile)
    before = num_open_files()
    with pytest.raises(BlockingIOError, match="replaced or removed"):
        lock(folder)
    assert num_open_files() == before


def test_a_folder_that_is_removed_while_it_is_looked_at_is_refused(tmp_path, monkeypatch):
    def remove_meanwhile(*_: int) -> None:
        folder.rmdir()

    def is_there(_: Path) -> bool:
        return True

    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(fcntl, "flock", remove_meanwhile)
    monkeypatch.setattr(Path, "exists", is_there)  # as it was when a moment ago someone looked
    with pytest.raises(BlockingIOError, match="replaced or removed"):
        lock(folder)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_only_ordinary_files_are_opened_and_nothing_is_waited_for(tmp_path, kind):
    path = tmp_path / "named"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(tmp_path):
            listening.bind("named")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(OSError, match=f"it is a {kind}") as caught:
        read_ordinary(path, at_most=1000)
    assert caught.value.filename == str(path)


def test_a_file_beyond_the_bound_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="it has more than 1 MiB"):
        read_ordinary(tmp_path / "hole", at_most=2**20)


def test_a_file_that_says_that_it_is_empty_is_read_up_to_the_bound():
    status = Path("/proc/self/status")
    assert status.stat().st_size == 0
    assert read_ordinary(status, at_most=2**20).startswith(b"Name:")
    with pytest.raises(OSError, match="has more than 0 MiB"):
        read_ordinary(status, at_most=100)


def test_a_link_to_an_ordinary_file_is_followed(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_ordinary(tmp_path / "link", at_most=100) == b"content"
