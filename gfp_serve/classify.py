"""k-NN classification: the nearest vectors by cosine, and the vote of their labels. numpy only.

The server votes over what its gallery finds; the trainer's evaluation uses `nearest` and the same `vote`.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Int64

from gfp_serve.errors import InvalidRequestError

Weighting = Literal["similarity", "uniform"]
WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)

# What decides a vote unless a request says otherwise: how many neighbours vote, and how their votes are weighted.
DEFAULT_NUM_NEIGHBOURS = 5
DEFAULT_WEIGHTING: Weighting = "similarity"
DEFAULT_TEMPERATURE = 0.07

# Similarities that are held in memory at a time: 64 MiB of float32.
BLOCK_SIMILARITIES = 2**24

# A float32 vector that was scaled to length 1 is at most this far from it.
_ROUNDING = 3e-7


@dataclass(frozen=True, slots=True)
class ClassScore:
    """A class and its share of the vote, in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Vote:
    """The result of a vote: the winning class, or `None` for unknown, and every class that got a vote, best first.

    The scores sum to 1. There are no scores when no neighbour has a label.
    """

    label: str | None
    scores: tuple[ClassScore, ...]


def vote(
    labels: Sequence[str],
    similarities: Sequence[float] | Float[np.ndarray, " neighbours"],
    *,
    weighting: Weighting = DEFAULT_WEIGHTING,
    temperature: float = DEFAULT_TEMPERATURE,
    unknown_below: float | None = None,
    class_counts: Mapping[str, int] | None = None,
) -> Vote:
    """Let neighbours vote for their class. Each vote weighs 1 ("uniform") or exp(similarity / temperature).

    The weight and its default temperature are those of the k-NN protocol of self-supervised learning (Wu et al. 2018,
    "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4). A neighbour with the
    label "" has no vote. If classes tie, the class whose best neighbour is nearer wins, then the class named first.
    The answer is unknown if no neighbour with a label has a similarity of at least `unknown_below`.

    `class_counts` says how many labelled items each class has in the gallery. If it is given, each vote is divided by
    the count of its class, so that a class does not win because it is frequent. The gallery may change between its
    search and its count, so a count below the number of votes, or a missing one, is raised to that number.

    Raises `InvalidRequestError` for a similarity that is not finite or a temperature that is not above 0.
    """
    if len(labels) != len(similarities):
        raise InvalidRequestError(
            f"there are {len(labels)} labels and {len(similarities)} similarities; give one of each per neighbour."
        )
    if not (math.isfinite(temperature) and temperature > 0):
        raise InvalidRequestError(
            f"the vote's temperature is {temperature}; it must be above 0 and finite, for example "
            f"{DEFAULT_TEMPERATURE}."
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
    if weighting == "uniform":
        weights = {label: float(len(theirs)) for label, theirs in votes.items()}
    else:
        # Relative to the nearest, so that a low temperature cannot overflow. The common factor cancels in the shares.
        # fsum: two classes with the same similarities in a different order must tie exactly.
        weights = {
            label: math.fsum(math.exp((similarity - nearest_of_all) / temperature) for similarity in theirs)
            for label, theirs in votes.items()
        }
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
    """Find the `top_k` gallery vectors nearest to each query: their row numbers and cosines, nearest first.

    Vectors may have any length. Equal similarities keep the gallery's order. If the gallery has fewer than `top_k`
    vectors, all are returned. Every query is compared with every vector, in blocks of bounded memory.

    Raises `InvalidRequestError` for a zero or non-finite vector, an empty gallery, or a `top_k` below 1.
    """
    if top_k < 1 or len(gallery) == 0:
        raise InvalidRequestError(
            f"the request asks for the nearest {top_k} of {len(gallery)} vectors; both numbers must be at least 1."
        )
    found = min(top_k, len(gallery))
    queries = unit_vectors(queries, lambda row: f"query {row}")
    gallery = unit_vectors(gallery, lambda row: f"gallery vector {row}")
    indices = np.empty((len(queries), found), dtype=np.int64)
    similarities = np.empty((len(queries), found), dtype=np.float32)
    block = max(1, BLOCK_SIMILARITIES // len(gallery))
    for start in range(0, len(queries), block):
        cosines = np.clip(queries[start : start + block] @ gallery.T, -1, 1)  # block, num_items
        rows = slice(start, start + len(cosines))
        indices[rows] = most_similar(cosines, top_k=found)
        similarities[rows] = np.take_along_axis(cosines, indices[rows], axis=1)
    return indices, similarities


def most_similar(
    similarities: Float32[np.ndarray, "num_queries num_items"], *, top_k: int
) -> Int64[np.ndarray, "num_queries {top_k}"]:
    """Find the columns of the `top_k` largest similarities of each row, largest first; equal ones keep their order.

    `top_k` must be at least 1 and at most the number of items.
    """
    places = np.empty((len(similarities), top_k), dtype=np.int64)
    least = np.partition(similarities, -top_k, axis=1)[:, -top_k]
    for row, (ours, bound) in enumerate(zip(similarities, least, strict=True)):
        # Includes everything that ties with the last place, in the gallery's order: numpy must not decide who wins.
        candidates = np.flatnonzero(ours >= bound)
        places[row] = candidates[np.argsort(-ours[candidates], kind="stable")[:top_k]]
    return places


def unit_vectors(
    vectors: Float32[np.ndarray, "num_vectors embedding_size"],
    name: Callable[[int], str],
    *,
    field: Callable[[int], str] = lambda _: "",
) -> Float32[np.ndarray, "num_vectors embedding_size"]:
    """Scale the vectors to length 1.

    A vector that has length 1 already, within float32's precision, stays as it is, bit by bit. If all of them do, they
    are not copied.

    Raises `InvalidRequestError` for a vector that is zero or not finite. `name(row)` is what the message calls it, and
    `field(row)` is its field in a request.
    """
    if len(vectors) == 1 and abs(math.sqrt(np.vdot(vectors, vectors)) - 1) <= _ROUNDING:
        return vectors  # one query is the most frequent case: this takes a quarter of the time
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if (np.abs(lengths - 1) <= _ROUNDING).all():
        return vectors
    # In float64 the squares of float32 numbers neither overflow nor vanish.
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        row = int(bad[0])
        kind = "is all zeros" if lengths[row] == 0 else "contains NaN or infinity"
        raise InvalidRequestError(
            f"the vector of {name(row)} {kind}; a cosine needs a finite vector that is not zero: send what the encoder "
            f"gave.",
            field=field(row),
        )
    return (vectors / np.where(np.abs(lengths - 1) <= _ROUNDING, 1, lengths)[:, None]).astype(np.float32)
