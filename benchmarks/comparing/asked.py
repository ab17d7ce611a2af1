"""The sets that are asked, and the two vectors of a clip by which they are."""

import hashlib
from pathlib import Path
from statistics import mean
from typing import Any, cast

import click
import numpy as np
import torch
from torch.nn import functional as F

from trainer.encoders import Encoder
from trainer.evaluate.suite.encoders import SuiteEncoder
from trainer.evaluate.suite.resume import SuiteState
from trainer.evaluate.suite.run import SuiteConfig, choose_changes, describe_settings, measure_sets, open_sets
from trainer.evaluate.suite.sets import find_sets
from trainer.readout import GridMeans, Projected

CHANGES = ("clean", "window", "rest")


class Both:
    """What an encoder embeds, and a read-out that was fitted on its tokens, by one pass of the encoder if it can be.

    The suite asks for the same clips by one and then by the other.
    """

    def __init__(self, encoder: Encoder, fitted: Projected) -> None:
        self._encoder, self._fitted, self._grid = encoder.eval(), fitted, cast(GridMeans, fitted.model)
        # SLiM's encoder embeds more than its tokens: a class token too.
        self._embeds_tokens = type(encoder).features is Encoder.features
        self._known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def plain(self, clips: np.ndarray) -> np.ndarray:
        return self._of(clips)[0]

    def whitened(self, clips: np.ndarray) -> np.ndarray:
        return self._of(clips)[1]

    def _of(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = hashlib.sha256(clips.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._computed(torch.from_numpy(clips))
        return self._known[key]

    @torch.inference_mode()
    def _computed(self, clips: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        bodies = clips.flatten(0, 1)
        tokens = self._encoder.tokens(bodies)
        means = self._encoder.means(tokens, self._grid.time_parts, per_joint=self._grid.per_joint)
        embedded = self._encoder.pooled(tokens) if self._embeds_tokens else self._encoder.features(bodies)
        found = embedded, (means - self._fitted.mean) @ self._fitted.directions
        of_clips = (each.view(*clips.shape[:2], -1).mean(dim=1) for each in found)
        plain, whitened = (F.normalize(each, dim=1).numpy() for each in of_clips)
        return plain, whitened


class Asked:
    """The sets, and how they are asked."""

    def __init__(self, data: Path, names: tuple[str, ...], clips: int, changes: tuple[str, ...] = CHANGES) -> None:
        """Sets of these names, asked as they are and with these changes; with all of the suite if none is named."""
        self._config = SuiteConfig(gallery_clips=clips, query_clips=clips)
        self._changes = choose_changes(changes)
        self._sets = open_sets(find_sets(data, names), self._config, click.echo, must_all=True)
        self.changes = [change.name for change in self._changes]
        self.about = {"sets": {each.clips.name: each.says for each in self._sets}, "asked_clips": clips}

    def scores(self, encoders: list[SuiteEncoder]) -> dict[str, dict[str, Any]]:
        """For each encoder 1-NN in percent by set and change, the linear probe, and the means over sets."""
        state = SuiteState(None, describe_settings(self._config, self._changes), resume=False)
        found = measure_sets(self._sets, encoders, self._changes, self._config, state=state, with_moments=False)
        return {encoder.name: self._of_encoder(encoder.name, found) for encoder in encoders}

    def _of_encoder(self, encoder: str, found: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
        by_set = {
            name: {change: told["1nn_percent"] for change, told in of_set[encoder]["changes"].items()}
            | {"linear": of_set[encoder]["linear_probe_percent"]}
            for name, of_set in found.items()
        }
        # Not every change fits every set: clips of 20 joints cannot be shown as a skeleton of the same 20.
        said = [*self.changes, "linear"]
        by_change = {each: [scores[each] for scores in by_set.values() if each in scores] for each in said}
        return {"means": {each: mean(scores) for each, scores in by_change.items() if scores}, "sets": by_set}
