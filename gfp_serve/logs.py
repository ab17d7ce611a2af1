"""Logs of the server: text for people, JSON for programs that collect logs, and files with a line for each event."""

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gfp_serve.errors import SettingsError
from gfp_serve.printable import printable

_log = logging.getLogger(__name__)

# The path that means standard output.
STANDARD_OUTPUT = Path("-")

# The attributes of every record; others came with `extra`.
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A line of JSON: time (UTC), level, logger, message, what came with `extra`, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline in it or after it."""
        values = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _KNOWN},
        }
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return json.dumps(values, default=str)


class TextFormatter(logging.Formatter):
    """A line for people. Control characters are shown, not written, so that nobody who calls can make lines of a log.

    A traceback follows on lines of its own, which only a fault of ours writes.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, without its traceback."""
        return printable(super().formatMessage(record)).replace("\n", "\\n")

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback, line by line."""
        return printable(super().formatException(ei))


def configure_logs(log_format: Literal["auto", "text", "json"], level: str) -> None:
    """Send the logs of this process to standard error. `auto` is text on a terminal and JSON otherwise.

    `debug` is for our own messages only: those of other packages are about their insides, and nobody reads them.
    """
    handler = logging.StreamHandler()
    if log_format == "json" or (log_format == "auto" and not sys.stderr.isatty()):
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter())
    ours = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(ours, logging.INFO), handlers=[handler], force=True)
    logging.getLogger(__package__).setLevel(ours)


class JsonLines:
    """A file that gets a line of JSON for each event, or standard output for the path `-`.

    A thread of its own writes, so that a slow disk or a pipe that nobody reads holds up nothing else. When
    `MAX_WAITING` lines wait, or `MAX_WAITING_BYTES` of them, more are lost, and a line with the number of those
    (`lines_lost`) says so.

    When the file was moved away, a new one is begun, so that logrotate needs to tell nobody. The owner may read and
    write it, its group may read it. If a line cannot be written, it is lost: the server's log says so once, and again
    after the next success. Raises `SettingsError` that names `option` when the file cannot be opened.
    """

    MAX_WAITING = 10_000
    MAX_WAITING_BYTES = 32 * 2**20
    # How long `close` waits for the lines that wait. Whatever takes them may be stuck for good.
    CLOSE_S = 5.0

    def __init__(self, path: Path, option: str) -> None:
        self._option, self._path = option, path
        self._is_closed = self._is_failing = False
        self._lock = threading.Lock()  # for the two numbers, which callers and the thread change
        self._num_lost = self._num_waiting_bytes = 0
        try:
            self._file = _LineFile(None if path == STANDARD_OUTPUT else path)
        except OSError as error:
            raise SettingsError(
                f"{option} {path} cannot be written: {error.strerror}. Name a file in a folder that exists and that "
                f"this user may write, or - for standard output."
            ) from error
        self._waiting: queue.Queue[bytes | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name=f"{option[2:]}", daemon=True)
        self._thread.start()

    def write(self, values: Mapping[str, Any]) -> None:
        """Write the time (UTC) and these values, soon. After `close`, nothing is written."""
        if self._is_closed:
            return
        line = _line(values)
        with self._lock:
            has_room = (
                self._waiting.qsize() < self.MAX_WAITING
                and self._num_waiting_bytes + len(line) <= self.MAX_WAITING_BYTES
            )
            is_first_lost = not has_room and not self._num_lost
            if has_room:
                self._num_waiting_bytes += len(line)
                self._waiting.put_nowait(line)
            else:
                self._num_lost += 1
        if is_first_lost:
            _log.error(
                "%s %s takes lines more slowly than they come; some are lost, and calls go on. A line with "
                "lines_lost will say how many",
                *(self._option, self._path),
            )

    @classmethod
    def close_all(cls, logs: Sequence["JsonLines"]) -> None:
        """Write what waits, for at most `CLOSE_S` in all, and close the files."""
        ends = time.monotonic() + cls.CLOSE_S
        for log in logs:
            log._is_closed = True
            log._waiting.put_nowait(None)
        for log in logs:
            log._thread.join(max(0.0, ends - time.monotonic()))
            if log._thread.is_alive():
                _log.error("%s %s takes no lines; %d of them are lost", log._option, log._path, log._waiting.qsize())

    def close(self) -> None:
        """Write what waits, for at most `CLOSE_S`, and close the file."""
        self.close_all([self])

    def wait(self) -> None:
        """Return when all lines so far are written or lost."""
        self._waiting.join()

    def _run(self) -> None:
        while (line := self._waiting.get()) is not None:
            self._write(line)
            with self._lock:
                self._num_waiting_bytes -= len(line)
                num_lost, self._num_lost = self._num_lost, 0
            if num_lost:
                self._write(_line({"lines_lost": num_lost}))
            self._waiting.task_done()
        self._file.close()

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            if not self._is_failing:
                _log.error(
                    "%s %s cannot be written: %s. Its lines are lost until it can; calls go on.",
                    *(self._option, self._path, error.strerror),
                )
            self._is_failing = True
        else:
            self._is_failing = False


class _LineFile:
    """A file to append to, or standard output for None. It is opened again when another lies at its path, or none.

    Written without a buffer and its lock: Python would wait for a stuck writer's lock before it exits.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._is_torn = False  # a line of which only a part was written
        self._descriptor = os.dup(sys.stdout.fileno()) if path is None else self._opened(path)

    def write(self, line: bytes) -> None:
        """Append a line. Raises `OSError`."""
        if self._path is not None and not self._is_there(self._path):
            moved_away = self._descriptor
            self._descriptor, self._is_torn = self._opened(self._path), False
            os.close(moved_away)  # last: if it fails, as it may on a disk of the network, the new file is there
        rest = b"\n" + line if self._is_torn else line
        while rest:
            num_written = os.write(self._descriptor, rest)
            rest = rest[num_written:]
            self._is_torn = bool(rest)

    def close(self) -> None:
        os.close(self._descriptor)

    def _is_there(self, path: Path) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _opened(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _line(values: Mapping[str, Any]) -> bytes:
    return f"{json.dumps({'time': _utc(time.time()), **values})}\n".encode()


def _utc(seconds: float) -> str:
    whole, part = divmod(seconds, 1)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int(1000 * part):03d}Z"
