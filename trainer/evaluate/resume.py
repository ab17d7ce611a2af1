"""Where a long evaluation stands, in one file of its folder: what is finished, and the run in progress."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gfp_serve.errors import InvalidRequestError
from gfp_serve.files import written_whole
from trainer.evaluate.learning import Epoch, Learned

UNFINISHED_FILE = "unfinished.pt"
FORMAT_VERSION = 1

# A state of the published size takes a second to write.
SAVE_EVERY_S = 60.0


class Unfinished:
    """Remembers the runs of an evaluation by their keys; without a folder, for the life of the process.

    A crash or Ctrl-C loses at most the last minute and the epoch in progress.
    """

    def __init__(self, folder: Path | None, identity: dict[str, Any], *, resume: bool) -> None:
        """`identity` says what is evaluated and how, as flat JSON: a file that says otherwise is not gone on with.

        Raises `InvalidRequestError` when there is a file and `resume` is not asked for, when there is none and it is,
        when it was written by another evaluation (each difference is named), or when it cannot be read.
        """
        self._path = None if folder is None else folder / UNFINISHED_FILE
        self._identity = identity
        self._finished: dict[str, dict[str, Any]] = {}
        self._current: tuple[str, dict[str, Any]] | None = None
        self._saved_at = time.monotonic()
        if resume:
            self._read(folder)
        elif self._path is not None and self._path.exists():
            raise InvalidRequestError(
                f"{folder} holds an unfinished evaluation; add --resume to go on with it, or name another folder for "
                f"--out."
            )

    def finished(self, key: str) -> Learned | None:
        """What a run gave that is finished."""
        if (found := self._finished.get(key)) is None:
            return None
        features = found["features"]
        return Learned(
            found["predictions"].numpy(),
            tuple(Epoch(**epoch) for epoch in found["epochs"]),
            None if features is None else features.numpy(),
        )

    def finish(self, key: str, learned: Learned, *, keep_features: bool) -> None:
        """Remember what a run gave, and forget its state."""
        self._finished[key] = {
            "predictions": torch.from_numpy(learned.predictions),
            "epochs": [asdict(epoch) for epoch in learned.epochs],
            "features": torch.from_numpy(learned.features) if keep_features and learned.features is not None else None,
        }
        self._current = None
        self._write()

    def state(self, key: str) -> dict[str, Any] | None:
        """The state of the run in progress, if it is the one of this key."""
        return self._current[1] if self._current is not None and self._current[0] == key else None

    def save_if_due(self, key: str, state: Callable[[], dict[str, Any]], epochs: Sequence[Epoch]) -> None:
        """Write where a run stands, if that was not done within the last minute."""
        if self._path is not None and time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._current = key, state() | {"epochs": [asdict(epoch) for epoch in epochs]}
            self._write()

    def remove(self) -> None:
        """The evaluation is complete and its report written."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._path is None:
            return
        values = {
            "format_version": FORMAT_VERSION,
            "identity": self._identity,
            "finished": self._finished,
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
            self._finished, self._current = values["finished"], values["current"]
        except Exception as error:  # torch raises many types for a damaged file; all mean the same here
            raise InvalidRequestError(
                f"{self._path} cannot be read (damaged?): {error}; delete it and start again without --resume."
            ) from error
        names = sorted({*identity, *self._identity})
        differing = [name for name in names if identity.get(name) != self._identity.get(name)]
        if version != FORMAT_VERSION or differing:
            told = "; ".join(f"{name} is {self._identity.get(name)} and was {identity.get(name)}" for name in differing)
            raise InvalidRequestError(
                f"{self._path} is of another evaluation: {told or f'format {version}'}. Say the same as then, or name "
                f"another folder for --out."
            )
