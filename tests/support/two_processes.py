"""Two Python processes that work together, as torchrun starts them."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress


def run_two(program: str, *words: str, status: int = 0, timeout_s: float = 240) -> tuple[str, str]:
    """Run a Python program in two processes that can meet at a port; return what each of them printed.

    Raises `AssertionError` with that text when one of them ends with another status. The other is then ended too, as
    torchrun does: it would wait for its partner for half an hour. When they hang, the text says where.
    """
    with ExitStack() as held:
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": held.enter_context(_reserved_port())}
        # torch asks the name server who 127.0.0.1 is, and warns when nobody answers. The default waits half a minute.
        names = {"RES_OPTIONS": "timeout:1 attempts:1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
        # Not a pipe, which blocks the process when nobody reads it. A process that is ended may leave half a character.
        printed = [held.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in range(2)]
        # What was printed before a hang must be there, and where it hangs.
        told = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
        started = [
            held.enter_context(
                _ended_at_last(
                    subprocess.Popen(
                        [sys.executable, "-c", program, *words],
                        stdout=printed[rank],
                        stderr=subprocess.STDOUT,
                        env={**os.environ, **meeting, **names, **told}
                        | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
                    )
                )
            )
            for rank in range(2)
        ]
        _wait_for(started, status, timeout_s)
        for file in printed:
            file.seek(0)
        first, second = (file.read() for file in printed)
        ended = [process.returncode for process in started]
        assert ended == [status] * 2, f"statuses {ended}, not {status}\nfirst: {first}\nsecond: {second}"
    return first, second


def _wait_for(started: list[subprocess.Popen[bytes]], status: int, timeout_s: float) -> None:
    """Wait until both have ended, one has failed, or the time is over. End those that still run, which say where."""
    until = time.monotonic() + timeout_s
    while None in (statuses := {process.poll() for process in started}) and time.monotonic() < until:
        if statuses - {None, status}:
            until = min(until, time.monotonic() + 5)  # the other may fail in the same way
        time.sleep(0.05)
    running = [process for process in started if process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGABRT)
    for process in running:
        with suppress(subprocess.TimeoutExpired):  # one that is stopped does not end by this
            process.wait(10)


@contextmanager
def _ended_at_last(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _reserved_port() -> Iterator[str]:
    """A port that is held, so that no other test gets it. A program can still listen there."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield str(reserved.getsockname()[1])
