"""Which clips a step learns from when it learns from labels: several of each of some classes of some sources.

Clips are told apart from those of their own source only, so that the sensor is no short cut. Sources are drawn by the
root of clips × classes: large ones more often, small ones still often.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from gfp_serve.settings import setting
from trainer.data.store import ClipStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrawsConfig:
    """How many of each. Raises `ValueError` for a number below 1."""

    sources_per_step: int = setting(2, "Sources of a step that learns from labels.")
    clips_per_class: int = setting(4, "Clips of each class in such a step.")

    def __post_init__(self) -> None:
        for name in ("sources_per_step", "clips_per_class"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1.")


class ClassDraws:
    """Draws of clips by source and class. `labels` has a number from 0 for each clip of the store, -1 for none.

    A class is one of a source: the same name in two sources makes two. Raises `ValueError` when there are no two
    classes of one source among the clips.
    """

    def __init__(self, store: ClipStore, clips: Int[np.ndarray, " clips"], config: ClassDrawsConfig) -> None:
        given, clips = clips, clips[store.labels[clips] >= 0]
        pairs = np.stack([store.clip_sources[clips].astype(np.int64), store.labels[clips]], axis=1)
        keys, number = np.unique(pairs, axis=0, return_inverse=True)
        self.labels: Int[np.ndarray, " store_clips"] = np.full(len(store), -1, dtype=np.int64)
        self.labels[clips] = number.reshape(-1)
        self.num_classes = len(keys)
        self.source_of_class: Int[np.ndarray, " classes"] = keys[:, 0]
        self._clips_of_class = [clips[self.labels[clips] == label] for label in range(self.num_classes)]
        self._classes_of_source = [np.flatnonzero(keys[:, 0] == source) for source in np.unique(keys[:, 0])]
        usable = [len(classes) > 1 for classes in self._classes_of_source]
        if not any(usable):
            raise ValueError(
                "--label-weight needs labels: no source of the store has clips of two classes outside its test split. "
                "Import labelled clips, or give --label-weight 0 --view-weight 1 instead."
            )
        is_usable = np.repeat(usable, [len(classes) for classes in self._classes_of_source])  # in the order of `keys`
        taught = self.labels[given]
        passed_over = given[(taught < 0) | ~is_usable[taught]]
        sources, counts = np.unique(store.clip_sources[passed_over], return_counts=True)
        # By source, clips that no step draws: they have no label, or are of the only class of their source.
        self.never_drawn = {
            store.sources[source].name: int(count) for source, count in zip(sources, counts, strict=True)
        }
        weights = [
            math.sqrt(sum(len(self._clips_of_class[each]) for each in classes) * len(classes)) * use
            for classes, use in zip(self._classes_of_source, usable, strict=True)
        ]
        self._odds = np.array(weights) / sum(weights)
        self._config = config

    def draw(self, num_clips: int, draws: np.random.Generator) -> Int[np.ndarray, " num_clips"]:
        """Store indices of the clips of a step."""
        config = self._config
        num_sources = min(config.sources_per_step, int((self._odds > 0).sum()))
        chosen = draws.choice(len(self._odds), num_sources, replace=False, p=self._odds)
        parts = []
        for place, source in enumerate(chosen):
            wanted = num_clips // num_sources + (place < num_clips % num_sources)
            classes = self._classes_of_source[source]
            count = min(len(classes), max(2, wanted // config.clips_per_class))
            for at, label in enumerate(draws.choice(classes, count, replace=False)):
                clips = self._clips_of_class[label]
                size = wanted // count + (at < wanted % count)
                parts.append(draws.choice(clips, size, replace=len(clips) < size))
        return np.concatenate(parts)
