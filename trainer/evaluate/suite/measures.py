"""What is measured of vectors: answers by neighbours, calibration, a linear probe, and unknown classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int

from gfp_serve.classify import DEFAULT_NUM_NEIGHBOURS, nearest, vote
from trainer.evaluate.linear_probe import LinearProbeConfig, train_linear_head

# Bins of equal width in which confidence and accuracy are compared (Guo et al. 2017, arXiv 1706.04599).
NUM_BINS = 10
# Of a set's classes, this share is left out of the gallery.
UNKNOWN_SHARE = 1 / 3

Vectors = Float32[np.ndarray, "_clips size"]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourly:
    """How queries are answered by their nearest neighbours, in the order of the queries."""

    right_by_1: Bool[np.ndarray, " queries"]
    right_by_5: Bool[np.ndarray, " queries"]  # by the vote of `gfp_serve.classify`
    confidence: Float[np.ndarray, " queries"]  # the score of the class that won the vote, from 0 to 1


def answer(queries: Vectors, gallery: Vectors, asked: np.ndarray, labels: np.ndarray) -> Neighbourly:
    """Answer each query by its neighbours; `asked` and `labels` are the classes of queries and gallery.

    A query whose vector is all zeros could not be embedded: its answer is wrong, with confidence 0. So is that of all
    queries if the gallery is empty.
    """
    right_by_1, right_by_5 = np.zeros(len(queries), dtype=bool), np.zeros(len(queries), dtype=bool)
    confidence = np.zeros(len(queries))
    embedded = np.flatnonzero(queries.any(axis=1))
    if len(embedded) and len(gallery):
        index, similarities = nearest(queries[embedded], gallery, top_k=DEFAULT_NUM_NEIGHBOURS)
        right_by_1[embedded] = labels[index[:, 0]] == asked[embedded]
        for place, neighbours, near in zip(embedded, index, similarities, strict=True):
            voted = vote(labels[neighbours].tolist(), near)
            right_by_5[place] = voted.label == asked[place]
            confidence[place] = voted.scores[0].score
    return Neighbourly(right_by_1, right_by_5, confidence)


def calibration_error(confidence: Float[np.ndarray, " queries"], right: Bool[np.ndarray, " queries"]) -> float:
    """The expected calibration error, from 0 to 1: how far confidence is from accuracy, the mean over all queries.

    Queries are put into `NUM_BINS` bins by confidence; each bin counts by its number of queries.
    """
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    size = np.bincount(bins, minlength=NUM_BINS)
    gap = np.bincount(bins, confidence, NUM_BINS) - np.bincount(bins, right.astype(float), NUM_BINS)
    return float(np.abs(gap[size > 0]).sum() / len(confidence))


def probe_percents(
    queries: Sequence[Vectors], gallery: Vectors, asked: np.ndarray, labels: np.ndarray, *, seed: int
) -> list[float]:
    """Right answers in percent of a linear layer that learned from the gallery's vectors; see `linear_probe`.

    One number for each of `queries`: vectors of the same clips, for example as they are and changed. A clip that could
    not be embedded is wrong.
    """
    classes = np.unique(labels)
    learned = torch.from_numpy(gallery)
    result = train_linear_head(
        lambda _, places: learned[torch.from_numpy(places)],
        np.searchsorted(classes, labels),
        torch.from_numpy(np.concatenate(queries)),
        np.searchsorted(classes, np.tile(asked, len(queries))),
        num_classes=len(classes),
        config=LinearProbeConfig(augment=False, seed=seed),
    )
    said = np.split(classes[result.predictions], len(queries))
    return [
        100 * float(((each == asked) & of_kind.any(axis=1)).mean()) for each, of_kind in zip(said, queries, strict=True)
    ]


def classes_left_out(labels: Sequence[str], *, seed: int) -> frozenset[str]:
    """A third of the classes, drawn by the seed; none if there are fewer than three."""
    classes = sorted(set(labels))
    if len(classes) < 3:
        return frozenset()
    drawn = np.random.default_rng([seed, 2]).permutation(len(classes))
    return frozenset(classes[place] for place in drawn[: round(UNKNOWN_SHARE * len(classes))])


def nearest_similarities(queries: Vectors, gallery: Vectors) -> Float32[np.ndarray, " queries"]:
    """The similarity of each query's nearest neighbour; -1 for one whose vector is all zeros."""
    found = np.full(len(queries), -1.0, dtype=np.float32)
    embedded = np.flatnonzero(queries.any(axis=1))
    if len(embedded):
        found[embedded] = nearest(queries[embedded], gallery, top_k=1)[1][:, 0]
    return found


def separation(known: Sequence[float], strangers: Sequence[float]) -> float:
    """How often a known query's nearest similarity is above a stranger's (AUROC), from 0 to 1; a tie counts half."""
    ordered = np.sort(strangers)
    below = np.searchsorted(ordered, known, side="left") + np.searchsorted(ordered, known, side="right")
    return float(below.mean() / (2 * len(strangers)))


def mean_over_folds(values: Sequence[float], fold_of: Int[np.ndarray, " queries"]) -> float:
    """The mean of a value of each query, in percent: the mean over folds of the means of folds."""
    each = np.asarray(values, dtype=float)
    return 100 * float(np.mean([each[fold_of == fold].mean() for fold in np.unique(fold_of)]))
