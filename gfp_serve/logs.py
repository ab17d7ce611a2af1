"""Logs of the server: text for people, JSON for programs that collect logs, and files with a line for each event."""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Literal, TextIO

from gfp_serve.errors import SettingsError

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
            "time": _utc(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _KNOWN},
        }
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return json.dumps(values, default=str)


def configure_logs(log_format: Literal["auto", "text", "json"], level: str) -> None:
    """Send the logs of this process to standard error. `auto` is text on a terminal and JSON otherwise.

    `debug` is for our own messages only: those of other packages are about their insides, and nobody reads them.
    """
    handler = logging.StreamHandler()
    if log_format == "json" or (log_format == "auto" and not sys.stderr.isatty()):
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(ours, logging.INFO), handlers=[handler], force=True)
    logging.getLogger(__package__).setLevel(ours)


class JsonLines:
    """A file that gets a line of JSON for each event, or standard output for the path `-`.

    When the file was moved away, a new one is begun, so that logrotate needs to tell nobody. The owner may read and
    write it, its group may read it. If a line cannot be written, it is lost: the server's log says so once, and again
    after the next success. Raises `SettingsError` that names `option` when the file cannot be opened.
    """

    def __init__(self, path: Path, option: str) -> None:
        self._option, self._path = option, path
        self._is_closed = self._is_failing = False
        try:
            self._handler: logging.Handler = _StandardOutput(sys.stdout) if path == STANDARD_OUTPUT else _File(path)
        except OSError as error:
            raise SettingsError(
                f"{option} {path} cannot be written: {error.strerror}. Name a file in a folder that exists and that "
                f"this user may write, or - for standard output."
            ) from error
        self._handler.setFormatter(_ValuesFormatter())

    def write(self, values: Mapping[str, Any]) -> None:
        """Write the time (UTC) and these values. After `close`, nothing is written."""
        if self._is_closed:
            return
        try:
            self._handler.handle(logging.makeLogRecord({"values": values}))
        except OSError as error:
            if not self._is_failing:
                _log.error(
                    "%s %s cannot be written: %s. Its lines are lost until it can; calls go on.",
                    *(self._option, self._path, error.strerror),
                )
            self._is_failing = True
        else:
            self._is_failing = False

    def close(self) -> None:
        """Close the file."""
        self._is_closed = True
        with suppress(OSError):  # what a full disk did not take was said when it was written
            self._handler.close()


class _TellsOfErrors(logging.Handler):
    """Raises the error of a line that cannot be written. Other handlers print its traceback and go on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  (logging calls it so)
        raise  # noqa: PLE0704  (it is called while the error is handled)


class _StandardOutput(_TellsOfErrors, logging.StreamHandler[TextIO]):
    pass


class _File(_TellsOfErrors, WatchedFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")

    def _open(self) -> TextIO:  # type: ignore[override]
        return open(self.baseFilename, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o640))


class _ValuesFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"time": _utc(record), **vars(record)["values"]})


def _utc(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{record.msecs:03.0f}Z"
