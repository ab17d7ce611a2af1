"""The figures of a suite as they come, in one file, so that a suite that was stopped goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfp_serve.errors import InvalidRequestError
from gfp_serve.files import write_whole

STATE_FILE = "unfinished.json"


class SuiteState:
    """Keeps what was found for each set and encoder. Without a folder it keeps it in memory only."""

    def __init__(self, folder: Path | None, settings: Mapping[str, Any], *, resume: bool) -> None:
        """`settings` say how everything is measured, as plain JSON.

        Raises `InvalidRequestError` without `resume` when the folder has a file, and with `resume` when it has none,
        when the file was made with other settings, which are named, and when it cannot be read.
        """
        self._path = None if folder is None else folder / STATE_FILE
        self._settings = json.loads(json.dumps(settings))
        self._found: dict[str, dict[str, Any]] = {}
        if resume:
            self._read(folder)
        elif self._path is not None and self._path.exists():
            raise InvalidRequestError(
                f"{folder} holds an unfinished suite; add --resume to go on with it, or name another folder for --out."
            )

    def get(self, given: str, encoder: str) -> dict[str, Any] | None:
        """What was found for a set and an encoder, each by its digest; None if that is yet to be measured."""
        return self._found.get(f"{given} {encoder}")

    def add(self, given: str, encoder: str, found: dict[str, Any]) -> None:
        """Keep what was found, on the disk too."""
        self._found[f"{given} {encoder}"] = found
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps({"settings": self._settings, "found": self._found}))

    def remove(self) -> None:
        """Delete the file, because the suite is complete."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self, folder: Path | None) -> None:
        if self._path is None or not self._path.exists():
            raise InvalidRequestError(
                f"there is no unfinished suite in {folder or '--out, which was not given'}; leave --resume out to "
                f"start one."
            )
        try:
            values = json.loads(self._path.read_text(encoding="utf-8"))
            settings, self._found = values["settings"], dict(values["found"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidRequestError(
                f"{self._path} cannot be read, perhaps because it is damaged: {error}; delete it and start again "
                f"without --resume."
            ) from error
        if settings != self._settings:
            names = sorted({*settings, *self._settings})
            other = [name for name in names if settings.get(name) != self._settings.get(name)]
            what = "; ".join(f"{name} is {self._settings.get(name)} and was {settings.get(name)}" for name in other)
            raise InvalidRequestError(
                f"{self._path} is of another suite: {what}. Use the same settings as then, or name another folder for "
                f"--out."
            )
