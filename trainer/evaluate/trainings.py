"""What an encoder learned from: the clips of its own run, and those of the encoders before it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trainer.data.store import ClipStore

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
