"""The state of a long evaluation, in one file of its folder: results of its runs, and the run in progress."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gfp_serve.errors import InvalidRequestError
from gfp_serve.files import written_whole
from trainer.evaluate.learning import Epoch, HeadResult

STATE_FILE = "unfinished.pt"
FORMAT_VERSION = 2  # 2: whether the right class is among five

# Writing the state of an encoder of the published size takes a second.
SAVE_EVERY_S = 60.0


class EvaluationState:
    """Keeps the results of an evaluation's runs by their keys, and the state of the run in progress.

    Without a folder it keeps them in memory only. A crash or Ctrl-C loses at most the last minute and the epoch in
    progress.
    """

    def __init__(self, folder: Path | None, identity: dict[str, Any], *, resume: bool) -> None:
        """`identity` says what is evaluated and how, as flat JSON. A file of another identity is not resumed.

        Raises `InvalidRequestError` without `resume` when the folder has a file, and with `resume` when it has none,
        when the file is of another evaluation (each difference is named), or when it cannot be read.
        """
        self._path = None if folder is None else folder / STATE_FILE
        self._identity = identity
        self._results: dict[str, dict[str, Any]] = {}
        self._current: tuple[str, dict[str, Any]] | None = None
        self._saved_at = time.monotonic()
        if resume:
            self._read(folder)
        elif self._path is not None and self._path.exists():
            raise InvalidRequestError(
                f"{folder} holds an unfinished evaluation; add --resume to go on with it, or name another folder for "
                f"--out."
            )

    def result(self, key: str) -> HeadResult | None:
        """The result of a finished run; None if it is not finished."""
        if (found := self._results.get(key)) is None:
            return None
        features, among_five = found["features"], found["among_five"]
        return HeadResult(
            found["predictions"].numpy(),
            tuple(Epoch(**epoch) for epoch in found["epochs"]),
            None if features is None else features.numpy(),
            None if among_five is None else among_five.numpy(),
        )

    def add_result(self, key: str, result: HeadResult, *, keep_features: bool) -> None:
        """Keep the result of a run, and forget its state."""
        self._results[key] = {
            "predictions": torch.from_numpy(result.predictions),
            "epochs": [asdict(epoch) for epoch in result.epochs],
            "features": torch.from_numpy(result.features) if keep_features and result.features is not None else None,
            "among_five": None if result.among_five is None else torch.from_numpy(result.among_five),
        }
        self._current = None
        self._write()

    def run_state(self, key: str) -> dict[str, Any] | None:
        """The state of the run in progress; None if that is not the run of this key."""
        return self._current[1] if self._current is not None and self._current[0] == key else None

    def save_if_due(self, key: str, state: Callable[[], dict[str, Any]], epochs: Sequence[Epoch]) -> None:
        """Write the state of a run, unless one was written within the last minute."""
        if self._path is not None and time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._current = key, state() | {"epochs": [asdict(epoch) for epoch in epochs]}
            self._write()

    def remove(self) -> None:
        """Delete the file, because the evaluation is complete."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._path is None:
            return
        values = {
            "format_version": FORMAT_VERSION,
            "identity": self._identity,
            "finished": self._results,
            "current": self._current,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self._path) as file:
                torch.save(values, file)
        except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
            raise InvalidRequestError(
                f"{self._path} cannot be written ({error}); what it held before is whole. Free some space, then go on "
                f"with --resume."
            ) from error
        self._saved_at = time.monotonic()

    def _read(self, folder: Path | None) -> None:
        if self._path is None or not self._path.exists():
            raise InvalidRequestError(
                f"there is no unfinished evaluation in {folder or '--out, which was not given'}; leave --resume out to "
                f"start one."
            )
        try:
            values = torch.load(self._path, map_location="cpu", weights_only=True)
            version, identity = values["format_version"], values["identity"]
            self._results, self._current = values["finished"], values["current"]
        except Exception as error:  # torch raises many types for a damaged file; all mean the same here
            raise InvalidRequestError(
                f"{self._path} cannot be read, perhaps because it is damaged: {error}; delete it and start again "
                f"without --resume."
            ) from error
        names = sorted({*identity, *self._identity})
        differing = [name for name in names if identity.get(name) != self._identity.get(name)]
        if version != FORMAT_VERSION or differing:
            what = "; ".join(f"{name} is {self._identity.get(name)} and was {identity.get(name)}" for name in differing)
            raise InvalidRequestError(
                f"{self._path} is of another evaluation: {what or f'format {version}'}. Use the same settings as then, "
                f"or name another folder for --out."
            )
