"""Action retrieval: is the nearest clip of the gallery an example of the query's class?

1-NN by cosine, as UmURL, USDRL and the GFP paper report it: frozen encoder, centre crop, no augmentation.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from gfp_serve.classify import nearest
from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import TEST_SPLIT
from trainer.store import ClipStore


@dataclass(frozen=True, slots=True)
class Fold:
    """Which clips of a store are asked about, and which are searched; both hold labelled clips only."""

    query: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " items"]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Predicted and true labels of all queries of all folds."""

    labels: Int[np.ndarray, " queries"]
    predictions: Int[np.ndarray, " queries"]
    folds: Int[np.ndarray, " queries"]

    @property
    def accuracy(self) -> float:
        """Share of queries whose nearest neighbour has their label, in percent; the mean over folds."""
        right = self.labels == self.predictions
        return 100.0 * float(np.mean([right[self.folds == fold].mean() for fold in np.unique(self.folds)]))


def split_folds(store: ClipStore) -> list[Fold]:
    """The store's own split: its test clips ask, all its other clips are searched."""
    labelled = store.labels >= 0
    fold = Fold(
        query=np.flatnonzero(labelled & (store.splits == TEST_SPLIT)),
        gallery=np.flatnonzero(labelled & (store.splits != TEST_SPLIT)),
    )
    if not len(fold.query) or not len(fold.gallery):
        raise InvalidRequestError(
            f"the store has {len(fold.query)} labelled test clips and {len(fold.gallery)} others; retrieval needs "
            f"both. Mark subjects as test with gfp-data import --test-subject, or use --protocol cross-subject."
        )
    return [fold]


def cross_subject_folds(store: ClipStore, num_folds: int) -> list[Fold]:
    """Subjects dealt in turn to `num_folds` groups; each group asks once while the others are searched."""
    labelled = store.labels >= 0
    subjects = np.unique(store.subjects[labelled])
    if len(subjects) < num_folds or num_folds < 2:
        raise InvalidRequestError(
            f"cross-subject with {num_folds} folds needs 2 folds or more and a subject for each, but the store has "
            f"{len(subjects)} labelled subjects."
        )
    group = {subject: place % num_folds for place, subject in enumerate(subjects)}
    fold_of = np.array([group.get(subject, -1) for subject in store.subjects])
    return [
        Fold(query=np.flatnonzero(labelled & (fold_of == fold)), gallery=np.flatnonzero(labelled & (fold_of != fold)))
        for fold in range(num_folds)
    ]


def retrieve(vectors: Float32[np.ndarray, "clips size"], store: ClipStore, folds: list[Fold]) -> Retrieval:
    """1-NN labels for every query of every fold; `vectors` has a row for each clip of the store."""
    labels, predictions, numbers = [], [], []
    for number, fold in enumerate(folds):
        index, _ = nearest(vectors[fold.query], vectors[fold.gallery], top_k=1)
        labels.append(store.labels[fold.query])
        predictions.append(store.labels[fold.gallery][index[:, 0]])
        numbers.append(np.full(len(fold.query), number))
    return Retrieval(np.concatenate(labels), np.concatenate(predictions), np.concatenate(numbers))


def chance(store: ClipStore, folds: list[Fold]) -> float:
    """Percent of right answers when each query's neighbour is drawn blindly from its gallery; the mean over folds."""
    shares = []
    for fold in folds:
        items_of_class = np.bincount(store.labels[fold.gallery], minlength=len(store.class_names))
        shares.append(np.mean(items_of_class[store.labels[fold.query]] / len(fold.gallery)))
    return 100.0 * float(np.mean(shares))
