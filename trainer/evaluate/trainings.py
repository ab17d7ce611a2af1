"""What an encoder learned from: the clips of its own run, and those of the encoders before it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gfp_serve.formats import TEST_SPLIT
from trainer.data.store import ClipStore
from trainer.evaluate.folds import Fold

_BEFORE = {"started_from": "the encoder that it started from", "taught_by": "its teacher"}


class Training(NamedTuple):
    """A training whose clips an encoder knows."""

    who: str  # which encoder was trained, in words
    data: Mapping[str, Any]  # what it was trained on, see `checkpoint.data_summary`
    label_weight: float | None  # None if nobody knows


def trainings(
    data: Mapping[str, Any] | None, *, who: str = "the encoder", label_weight: float | None = None
) -> Iterator[Training]:
    """The training of an encoder, by its `data`, and those of the encoders that it started from or that taught it.

    These may have started from others, and so on.
    """
    if not data:
        return
    yield Training(who, data, label_weight)
    for role, words in _BEFORE.items():
        before = data.get(role) or {}
        yield from trainings(before.get("data"), who=words, label_weight=before.get("label_weight"))


def recordings_learned(data: Mapping[str, Any] | None, store: ClipStore) -> list[str]:
    """The recordings of a store that an encoder, or one before it, was trained on in another store.

    A training on this very store does not count: it left out the test split, which the other store may not have.
    """
    known = {
        recording.get("sha256")
        for training in trainings(data)
        if training.data.get("content_sha256") != store.content_digest
        for recording in training.data.get("sources", [])
    }
    return [source.name for source in store.sources if source.sha256 in known]


def tested_clips(folds: Sequence[Fold]) -> Int[np.ndarray, " tested"]:
    """The clips that folds test, by their store index, each once."""
    return np.unique(np.concatenate([fold.test for fold in folds]))


def tested_clips_learned(data: Mapping[str, Any] | None, store: ClipStore, folds: Sequence[Fold]) -> int:
    """How many clips that folds test an encoder, or one before it, was trained on in this very store.

    These are the ones outside its test split. Only folds that are not the split test them.
    """
    if not any(training.data.get("content_sha256") == store.content_digest for training in trainings(data)):
        return 0
    return int((store.splits[tested_clips(folds)] != TEST_SPLIT).sum())
