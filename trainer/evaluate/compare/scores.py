"""Scores that were measured, each saved as it is found, so that nothing is measured twice."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gfp_serve.errors import InvalidRequestError
from gfp_serve.files import lock, write_whole
from trainer.evaluate.resume import EvaluationState

SCORES_FILE = "scores.json"
FORMAT_VERSION = 1

# The name of a figure (such as "5-NN") -> its top-1 and its top-5 accuracy in percent; top-5 is None if there is none.
Figures = dict[str, dict[str, float | None]]


class Scores:
    """The scores in a folder, by all that they depend on: weights, clips, protocol and its settings.

    So a folder may be used for more runs, seeds and protocols later, and what is known is not measured again.
    """

    def __init__(self, folder: Path) -> None:
        """Raises `InvalidRequestError` for a file that cannot be read."""
        self._folder, self._path = folder, folder / SCORES_FILE
        self._scores: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            try:
                values = json.loads(self._path.read_text(encoding="utf-8"))
                version, self._scores = values["format_version"], dict(values["scores"])
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidRequestError(
                    f"{self._path} cannot be read, perhaps because it is damaged: {error}; delete it to measure again."
                ) from error
            if version != FORMAT_VERSION:
                raise InvalidRequestError(
                    f"{self._path} has format {version}, and this release reads {FORMAT_VERSION}; name another folder "
                    f"for --out."
                )

    def get(self, key: str) -> Figures | None:
        """What was found; None if that is yet to be measured."""
        found = self._scores.get(key)
        return None if found is None else found["figures"]

    def add(self, key: str, of_what: Mapping[str, Any], figures: Figures) -> None:
        """Keep what was found, on the disk too, and forget the state that led to it."""
        self._scores[key] = {"of": dict(of_what), "figures": figures}
        write_whole(self._path, json.dumps({"format_version": FORMAT_VERSION, "scores": self._scores}, indent=1) + "\n")
        self._forget(key)

    def state(self, key: str) -> EvaluationState:
        """The state of a score that is being measured, as it was when that was stopped."""
        unfinished = self._unfinished(key)
        try:
            return EvaluationState(unfinished, {"key": key}, resume=any(unfinished.glob("*.pt")))
        except InvalidRequestError:  # damaged: only this score begins anew
            self._forget(key)
            return EvaluationState(unfinished, {"key": key}, resume=False)

    def _forget(self, key: str) -> None:
        if (unfinished := self._unfinished(key)).exists():
            shutil.rmtree(unfinished)

    def _unfinished(self, key: str) -> Path:
        return self._folder / f"unfinished-{key[:16]}"


def key_of(of_what: Mapping[str, Any]) -> str:
    """The name of a score: sha256 of all that it depends on."""
    return hashlib.sha256(json.dumps(of_what, sort_keys=True).encode()).hexdigest()


@contextmanager
def only_user(folder: Path) -> Iterator[None]:
    """Refuse a second comparison in the same folder: the one that ends last would forget the other's scores."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = lock(folder)
    except BlockingIOError as error:
        raise InvalidRequestError(
            f"another process is comparing runs in {folder} at this moment; wait until it is done, or name another "
            f"folder for --out."
        ) from error
    try:
        yield
    finally:
        os.close(held)
