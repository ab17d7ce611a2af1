"""How much of an embedding is left in a model that computes with fewer bits: measured on clips that were held out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.bundle import Bundle, CanonicalClip
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError, InvalidRequestError
from gfp_serve.layouts import layout_named
from gfp_serve.preprocess import prepare
from trainer.data.store import ClipStore
from trainer.evaluate.candidates import check_cleaned_alike
from trainer.evaluate.embeddings import embed_store
from trainer.evaluate.folds import Fold, split_folds
from trainer.evaluate.retrieval import retrieve

# What is allowed: the mean cosine to the vectors in 32 bits, after the mean of these was taken from both, and by how
# many points 1-NN may fall.
LEAST_COSINE, MOST_POINTS = 0.99, 0.5
# With fewer clips, or with vectors that differ by little more than 32 bits round, the cosine is chance.
LEAST_CLIPS, _LEAST_SPREAD = 4, 1e-4
# At most this many clips answer, and are asked.
_GALLERY_CLIPS, _QUERY_CLIPS = 1000, 500


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much of an embedding is left in fewer bits."""

    centred_cosine: float
    accuracy: float  # 1-NN in percent
    accuracy_before: float

    @property
    def is_enough(self) -> bool:
        # Written so that NaN, which numbers beyond the range of a model give, is not enough.
        return self.centred_cosine >= LEAST_COSINE and self.accuracy >= self.accuracy_before - MOST_POINTS

    def to_json(self) -> dict[str, Any]:
        return {
            "centred_cosine": round(self.centred_cosine, 4),
            "1nn_percent": round(self.accuracy, 2),
            "1nn_percent_in_32_bits": round(self.accuracy_before, 2),
        }

    def __str__(self) -> str:
        return (
            f"centred cosine {self.centred_cosine:.4f}, 1-NN {self.accuracy:.1f} % ({self.accuracy_before:.1f} % in "
            f"32 bits)"
        )


class HeldOut:
    """A bundle's vectors of a store's clips: those of the test split are asked, others answer.

    `show` gets the number of clips of each batch that was embedded. Raises `InvalidRequestError` for too few clips or
    equal ones, and what `split_folds` and `check_cleaned_alike` do.
    """

    def __init__(self, bundle: Bundle, encoder: Encoder, store: ClipStore, show: Callable[[int], None]) -> None:
        self._preprocess = bundle.manifest.preprocess
        check_cleaned_alike(store, self._preprocess.cleaning)
        self._store, self._show = store, show
        self._fold = _spread(split_folds(store)[0])
        if (count := len(self._fold.test)) < LEAST_CLIPS:
            raise InvalidRequestError(
                f"{store.path} has {count} labelled test clips, and {LEAST_CLIPS} or more must be asked to see what "
                f"fewer bits lose; import more, or name another store."
            )
        self._before = self._embed(encoder)
        self._check_spread()
        self._accuracy_before = retrieve(self._before, store, [self._fold]).accuracy

    def _check_spread(self) -> None:
        """Raise `InvalidRequestError` for nearly equal vectors, which cannot tell what is lost."""
        asked = self._before[self._fold.test]
        if np.linalg.norm(asked - asked.mean(axis=0), axis=1).max() < _LEAST_SPREAD:
            raise InvalidRequestError(
                f"the {len(asked)} labelled test clips of {self._store.path} have nearly the same vector, so that "
                f"nobody can see what fewer bits lose; name a store of different actions, or train the encoder."
            )

    def compare(self, encoder: Encoder) -> Agreement:
        """How far another encoder's vectors agree with those of the bundle."""
        after = self._embed(encoder)
        if not np.isfinite(after).all():
            # Numbers were beyond the range of fewer bits. Such vectors cannot be compared.
            return Agreement(math.nan, 0.0, self._accuracy_before)
        asked = self._fold.test
        accuracy = retrieve(after, self._store, [self._fold]).accuracy
        return Agreement(centred_cosine(self._before[asked], after[asked]), accuracy, self._accuracy_before)

    def refusal(self, bits: int, said: str, option: str) -> BundleError:
        """The error for a model that lost too much."""
        return BundleError(
            f"{bits} bits lose too much of this encoder on {len(self._fold.test)} clips of {self._store.path}: {said}. "
            f"Allowed are a centred cosine of {LEAST_COSINE} or more, and a 1-NN at most {MOST_POINTS} points lower; "
            f"export it without {option}."
        )

    def _embed(self, encoder: Encoder) -> Float32[np.ndarray, "clips size"]:
        """A row for each clip of the store, of zeros for clips outside the fold."""
        used = np.union1d(self._fold.test, self._fold.train)
        vectors = np.zeros((len(self._store), encoder.embedding_size), dtype=np.float32)
        vectors[used] = embed_store(encoder.encode, self._store, self._preprocess.sampling, used, show=self._show)
        return vectors


def centred_cosine(before: Float32[np.ndarray, "clips size"], after: Float32[np.ndarray, "clips size"]) -> float:
    """The mean cosine of vectors and what became of them, after the mean of those before was taken from both.

    Vectors of all clips have much in common; a cosine of them as they are would be high whatever is lost.
    """
    mean = before.mean(axis=0)
    a, b = before - mean, after - mean
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)))


def prepared(bundle: Bundle, clip: CanonicalClip) -> Float32[np.ndarray, "bodies frames joints 3"]:
    """A canonical clip as the model takes it."""
    return prepare(clip.sequence, layout_named(clip.layout), bundle.manifest.preprocess)


def with_own_vectors(bundle: Bundle, encoder: Encoder, facts: dict[str, Any]) -> Bundle:
    """The bundle with the vectors that it gives to its canonical clips, and with what it lost in its manifest."""
    canonical = tuple(
        replace(clip, embedding=encoder.encode(prepared(bundle, clip)[None])[0]) for clip in bundle.canonical
    )
    readout = {**bundle.manifest.readout, **facts}
    return Bundle(replace(bundle.manifest, readout=readout), bundle.model, canonical)


def _spread(fold: Fold) -> Fold:
    """A fold with `_QUERY_CLIPS` and `_GALLERY_CLIPS` at most, spread over the one given."""

    def some(clips: np.ndarray, most: int) -> np.ndarray:
        return clips[np.linspace(0, len(clips) - 1, min(len(clips), most)).astype(np.int64)]

    return Fold(test=some(fold.test, _QUERY_CLIPS), train=some(fold.train, _GALLERY_CLIPS))
