"""Whether an encoder was trained on what it is asked: what can be told, and what cannot."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError
from gfp_serve.formats import TEST_SPLIT, Clip
from gfp_serve.preprocess import clean
from trainer.data.store import ClipStore
from trainer.evaluate.suite.encoders import SuiteEncoder
from trainer.evaluate.suite.sets import LabelledSet
from trainer.evaluate.trainings import trainings

# A clip is known by this many coordinates, spread over all its frames and joints, in millimetres. They are few, so
# hardly any of them lies near the edge of a millimetre, where other last digits would move it across.
_LOOKED_AT, _ROUNDED_TO_M = 24, 1e-3


@dataclass(frozen=True, slots=True)
class Overlap:
    """What is known of an encoder's training clips among the queries of a set."""

    says: str
    num_queries: int | None  # queries that it was trained on; None if that cannot be told
    is_doubtful: bool  # whether a reader should be warned

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class TrainingStores:
    """The stores that encoders were trained on, as far as they were given."""

    def __init__(self, stores: Sequence[ClipStore], encoders: Sequence[SuiteEncoder]) -> None:
        """Raises `InvalidRequestError` for a store that none of the encoders was trained on."""
        trained_on = {each.data.get("content_sha256") for encoder in encoders for each in trainings(encoder.data)}
        self._stores: dict[str, ClipStore] = {}
        self._digests: dict[str, frozenset[bytes]] = {}
        for store in stores:
            if store.content_digest not in trained_on:
                raise InvalidRequestError(
                    f"--trained-on {store.path} is not the store that an encoder of this suite was trained on: their "
                    f"contents differ. Name the one that gfp-train was given."
                )
            self._stores[store.content_digest] = store

    def overlap(self, encoder: SuiteEncoder, given: LabelledSet, queries: Sequence[Clip]) -> Overlap:
        """Whether the encoder was trained on these queries of a set.

        With its store, clips are compared one by one, whatever their names are. Without, the names and sums of its
        sources are all that is known. An encoder that was adapted knows the clips of the one that it started from too.
        """
        found = [self._overlap_with(each.data, given, queries) for each in trainings(encoder.data)]
        doubtful = [overlap for overlap in found if overlap.is_doubtful]
        return [*doubtful, *found, Overlap("it was trained on nothing", 0, is_doubtful=False)][0]

    def _overlap_with(self, data: Mapping[str, Any], given: LabelledSet, queries: Sequence[Clip]) -> Overlap:
        store = self._stores.get(data.get("content_sha256", ""))
        if store is not None:
            learned = set(store.names[store.splits != TEST_SPLIT].tolist())
            named = sum(f"{given.name}/{clip.name}" in learned for clip in queries)
            if data["content_sha256"] == given.sha256:  # cleaning its clips again may change their last digits
                count = named
            else:
                count = sum(self._is_in(store, clip) for clip in queries)
            if named > count:
                # As when the store was imported with other options, or holds another file of this name.
                says = (
                    f"it was trained on {count} of the {len(queries)} queries, by its store, and on clips with the "
                    f"names of {named - count} more, whose joints differ"
                )
                return Overlap(says, None, is_doubtful=True)
            says = f"it was trained on {count} of the {len(queries)} queries" if count else "it saw none of the queries"
            return Overlap(f"{says}, by its store", count, is_doubtful=count > 0)
        if data.get("content_sha256") == given.sha256:
            if any(given.tested) and not all(given.tested):  # it asks the queries, see `protocols.split_of`
                return Overlap("it was trained on this store, but not on its test split, which asks", 0, False)
            return Overlap("it was trained on this store; queries outside its test split were seen", None, True)
        sources = data.get("sources", [])
        if any(source.get("sha256") == given.sha256 for source in sources):
            says = "it was trained on clips of this file; give --trained-on to know whether queries are among them"
            return Overlap(says, None, is_doubtful=True)
        if any(source.get("name") == given.name for source in sources):
            says = "it was trained on a set of this name; give --trained-on to know whether queries are among its clips"
            return Overlap(says, None, is_doubtful=True)
        return Overlap("none of its sources has this name or content", None, is_doubtful=False)

    def _is_in(self, store: ClipStore, clip: Clip) -> bool:
        if store.content_digest not in self._digests:
            self._digests[store.content_digest] = _digests_of(store)
        return _is_among(clip, store, self._digests[store.content_digest])


def of_fitted_clips(store: ClipStore, queries: Sequence[Clip]) -> Overlap | None:
    """Of an encoder whose read-out was fitted on a store: how many queries were among its clips; None if none was."""
    digests = _digests_of(store)
    count = sum(_is_among(clip, store, digests) for clip in queries)
    says = f"its read-out was fitted on {count} of the {len(queries)} queries"
    return Overlap(says, count, is_doubtful=True) if count else None


def _digests_of(store: ClipStore) -> frozenset[bytes]:
    """Of the clips outside its test split."""
    return frozenset(_digest(store.clip(int(index))) for index in np.flatnonzero(store.splits != TEST_SPLIT))


def _is_among(clip: Clip, store: ClipStore, digests: frozenset[bytes]) -> bool:
    try:
        return _digest(clean(clip.sequence, clip.layout, store.cleaning).positions) in digests
    except InvalidSkeletonError:
        return False


def _digest(positions: np.ndarray) -> bytes:
    """What tells a clip from others, and stays when another release cleans it with other last digits."""
    places = np.linspace(0, positions.size - 1, _LOOKED_AT).astype(np.int64)
    seen = np.round(positions.reshape(-1)[places] / _ROUNDED_TO_M).astype(np.int64)
    return hashlib.blake2b(repr(positions.shape).encode() + seen.tobytes(), digest_size=16).digest()
