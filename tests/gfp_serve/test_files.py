import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gfp_serve.files import lock, replacing, sync_directory, unfinished_file, write_whole, written_whole
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
    with file_size_limit(1000), pytest.raises(OSError, match="File too large"):
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


def test_after_a_kill_before_the_renaming_the_old_content_is_there_and_can_be_replaced(path):
    killed = in_a_process(
        """
        def die(*_):
            os.kill(os.getpid(), signal.SIGKILL)
        Path.replace = die
        write_whole(path, "killed", mode=0o600)
        """,
        path,
    )
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert (names(path.parent), path.read_text()) == ([".report.json.new", "report.json"], "before")
    write_whole(path, "after", mode=0o644)
    assert (names(path.parent), path.read_text()) == (["report.json"], "after")
    assert mode_of(path) == 0o644  # not the mode of the file that was left


def test_of_two_writers_at_once_the_second_is_refused_and_the_first_is_whole(path):
    first = in_a_process(
        """
        with written_whole(path) as file:
            file.write(b"first")
            print("writing", flush=True)
            sys.stdin.readline()
        """,
        path,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "writing\n"
    with pytest.raises(BlockingIOError, match=r"another process is writing this file.*report\.json"):
        write_whole(path, "second")
    first.communicate("go on\n")
    assert (names(path.parent), path.read_text()) == (["report.json"], "first")


def test_a_writer_that_finishes_while_another_begins_is_not_overwritten_in_part(path, monkeypatch):
    """The second writer opens the unfinished file, and tries to lock it after it has become the finished one."""
    opened = os.open
    unfinished = unfinished_file(path)
    unfinished.write_text("finished")

    def finish_meanwhile(name: Path, *how: int) -> int:
        descriptor = opened(name, *how)
        if unfinished.exists() and path.read_text() == "before":
            unfinished.rename(path)
        return descriptor

    monkeypatch.setattr(os, "open", finish_meanwhile)
    with pytest.raises(BlockingIOError):
        write_whole(path, "second")
    assert path.read_text() == "finished"


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
    write_whole(path, "after")
    assert steps == ["sync .report.json.new", "rename .report.json.new", f"sync {path.parent.name}"]


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


def test_a_folder_that_was_renamed_before_it_was_locked_is_refused(tmp_path, monkeypatch):
    opened = os.open
    folder = tmp_path / "folder"
    folder.mkdir()

    def rename_meanwhile(*how: object) -> int:
        descriptor = opened(*how)  # type: ignore[arg-type]
        folder.rename(tmp_path / "another")
        return descriptor

    monkeypatch.setattr(os, "open", rename_meanwhile)
    before = num_open_files()
    with pytest.raises(BlockingIOError, match="replaced or removed"):
        lock(folder)
    assert num_open_files() == before
