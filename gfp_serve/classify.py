"""k-NN classification: the nearest vectors by cosine, and the vote of their labels. numpy only.

The server votes over what its gallery finds; the trainer's evaluation uses `nearest` and the same `vote`.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int64

from gfp_serve.errors import InvalidRequestError

Weighting = Literal["uniform", "similarity"]

# How far the length of a vector that was brought to length 1 is from that.
_ROUNDING = 3e-7

# Similarities that `nearest` holds at a time: 64 MiB of float32.
_BLOCK_SIMILARITIES = 2**24


@dataclass(frozen=True, slots=True)
class ClassScore:
    """A class and its share of the vote, in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Vote:
    """What the neighbours say: the winning class, or `None` for unknown, and every class that got a vote, best first.

    The scores sum to 1; there are none when no neighbour has a label.
    """

    label: str | None
    scores: tuple[ClassScore, ...]


def vote(
    labels: Sequence[str],
    similarities: Sequence[float] | Float[np.ndarray, " neighbours"],
    *,
    weighting: Weighting = "similarity",
    temperature: float = 0.07,
    unknown_below: float | None = None,
    class_counts: Mapping[str, int] | None = None,
) -> Vote:
    """Let neighbours vote for their class, each with weight 1 or with exp(similarity / temperature).

    The weight and its default temperature are those of the k-NN protocol of self-supervised learning (Wu et al. 2018,
    "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4). A neighbour with the
    label "" has no vote. A tie goes to the class whose best neighbour is nearer, then to the one named first.
    The answer is unknown when no neighbour with a label has a similarity of at least `unknown_below`.

    With `class_counts`, the number of labelled items that each class has in the gallery, each vote is divided by that
    of its class: a class is then not favoured for being frequent. A class has at least as many items as vote for it:
    a lower count, or none, is taken for that, since a gallery may change between its search and its count.

    Raises `InvalidRequestError` for a similarity that is not finite or a temperature that is not above 0.
    """
    if len(labels) != len(similarities):
        raise InvalidRequestError(
            f"there are {len(labels)} labels for {len(similarities)} similarities; give one similarity a neighbour."
        )
    if not (math.isfinite(temperature) and temperature > 0):
        raise InvalidRequestError(
            f"the vote's temperature is {temperature}; it must be above 0. The usual one is 0.07."
        )
    if not np.isfinite(similarities).all():
        raise InvalidRequestError("a neighbour's similarity is NaN or infinite; a cosine lies in [-1, 1].")
    votes: defaultdict[str, list[float]] = defaultdict(list)  # label -> similarities of its neighbours
    for label, similarity in zip(labels, similarities, strict=True):
        if label:
            votes[label].append(float(similarity))
    if not votes:
        return Vote(None, ())

    nearest_of_all = max(map(max, votes.values()))

    def weight(similarity: float) -> float:
        # Relative to the nearest, so that a low temperature cannot overflow; the ratio cancels in the shares.
        return 1.0 if weighting == "uniform" else math.exp((similarity - nearest_of_all) / temperature)

    # fsum: two classes with the same neighbours in another order must tie exactly.
    weights = {label: math.fsum(map(weight, theirs)) for label, theirs in votes.items()}
    if class_counts is not None:
        for label, theirs in votes.items():
            weights[label] /= max(class_counts.get(label, 0), len(theirs))
    total = math.fsum(weights.values())
    ranked = sorted(votes, key=lambda label: (weights[label], max(votes[label])), reverse=True)
    known = unknown_below is None or nearest_of_all >= unknown_below
    return Vote(ranked[0] if known else None, tuple(ClassScore(label, weights[label] / total) for label in ranked))


def nearest(
    queries: Float32[np.ndarray, "num_queries embedding_size"],
    gallery: Float32[np.ndarray, "num_items embedding_size"],
    *,
    top_k: int,
) -> tuple[Int64[np.ndarray, "num_queries found"], Float32[np.ndarray, "num_queries found"]]:
    """Row numbers of the `top_k` gallery vectors nearest to each query, and their cosines, nearest first.

    Vectors need not be of unit length. Equal similarities keep the gallery's order. A gallery smaller than `top_k`
    gives all it has. Exhaustive, in blocks of bounded memory.

    Raises `InvalidRequestError` for a vector without direction, an empty gallery, or a `top_k` below 1.
    """
    if top_k < 1 or len(gallery) == 0:
        raise InvalidRequestError(
            f"the nearest {top_k} of {len(gallery)} vectors were asked for; both numbers must be at least 1."
        )
    found = min(top_k, len(gallery))
    queries = unit_vectors(queries, lambda row: f"query {row}")
    gallery = unit_vectors(gallery, lambda row: f"gallery vector {row}")
    indices = np.empty((len(queries), found), dtype=np.int64)
    similarities = np.empty((len(queries), found), dtype=np.float32)
    block = max(1, _BLOCK_SIMILARITIES // len(gallery))
    for start in range(0, len(queries), block):
        cosines = np.clip(queries[start : start + block] @ gallery.T, -1, 1)  # block, num_items
        rows = slice(start, start + len(cosines))
        indices[rows] = most_similar(cosines, top_k=found)
        similarities[rows] = np.take_along_axis(cosines, indices[rows], axis=1)
    return indices, similarities


def most_similar(
    similarities: Float32[np.ndarray, "num_queries num_items"], *, top_k: int
) -> Int64[np.ndarray, "num_queries {top_k}"]:
    """In each row the places of the `top_k` largest similarities, largest first; equal ones keep their order.

    `top_k` is at least 1 and at most the number of items.
    """
    places = np.empty((len(similarities), top_k), dtype=np.int64)
    least = np.partition(similarities, -top_k, axis=1)[:, -top_k]
    for row, (ours, bound) in enumerate(zip(similarities, least, strict=True)):
        # All that tie with the last place, in the gallery's order: which of them win must not depend on numpy.
        candidates = np.flatnonzero(ours >= bound)
        places[row] = candidates[np.argsort(-ours[candidates], kind="stable")[:top_k]]
    return places


def unit_vectors(
    vectors: Float32[np.ndarray, "num_vectors embedding_size"], name: Callable[[int], str]
) -> Float32[np.ndarray, "num_vectors embedding_size"]:
    """The vectors at length 1; `InvalidRequestError` for one that is zero or not finite, called by `name(row)`.

    Those that have it already, as float32 can tell, stay as they are, bit by bit; if all have, they are not copied.
    """
    if len(vectors) == 1 and abs(math.sqrt(np.vdot(vectors, vectors)) - 1) <= _ROUNDING:
        return vectors  # one query, the most frequent case, in a quarter of the time
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if (np.abs(lengths - 1) <= _ROUNDING).all():
        return vectors
    # float64: the squares of float32 neither overflow nor vanish in it.
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        row = int(bad[0])
        kind = "is all zeros" if lengths[row] == 0 else "holds NaN or infinity"
        raise InvalidRequestError(
            f"the vector of {name(row)} {kind}; a cosine needs a finite vector with a direction: send what the encoder "
            f"gave."
        )
    return (vectors / np.where(np.abs(lengths - 1) <= _ROUNDING, 1, lengths)[:, None]).astype(np.float32)
