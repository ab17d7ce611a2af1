"""Folds: which clips of a store are for learning and which are tested, and the answers for these."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import TEST_SPLIT
from trainer.data.store import ClipStore


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Store indices of the test clips, and of the clips to search or to learn from. All are labelled."""

    test: Int[np.ndarray, " test"]
    train: Int[np.ndarray, " train"]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """True and predicted labels of the test clips of all folds, fold after fold."""

    labels: Int[np.ndarray, " test"]
    predictions: Int[np.ndarray, " test"]
    folds: Int[np.ndarray, " test"]  # the number of each clip's fold
    # Whether the right label is among the five best (of an embedding, those of the five nearest); None if not known.
    among_five: Bool[np.ndarray, " test"] | None = None

    @property
    def accuracy(self) -> float:
        """Share of test clips with the right label, in percent; the mean over folds."""
        return self._percent(self.labels == self.predictions)

    @property
    def top5(self) -> float | None:
        """Share of test clips whose right label is among the five best, in percent; the mean over folds."""
        return None if self.among_five is None else self._percent(self.among_five)

    def _percent(self, right: Bool[np.ndarray, " test"]) -> float:
        return 100.0 * float(np.mean([right[self.folds == fold].mean() for fold in np.unique(self.folds)]))


def answers(
    store: ClipStore,
    folds: list[Fold],
    predictions: list[Int[np.ndarray, " _"]],
    among_five: list[Bool[np.ndarray, " _"] | None] | None = None,
) -> Answers:
    """The predictions for the test clips of each fold, beside their labels."""
    known = [each for each in among_five or () if each is not None]
    return Answers(
        labels=store.labels[np.concatenate([fold.test for fold in folds])],
        predictions=np.concatenate(predictions),
        folds=np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds]),
        among_five=np.concatenate(known) if len(known) == len(folds) else None,
    )


def split_folds(store: ClipStore) -> list[Fold]:
    """The store's own split as the only fold: its test clips, and all other clips to learn from.

    Raises `InvalidRequestError` when there are no labels, no clips on one side, or only one class.
    """
    labelled = store.labels >= 0
    fold = Fold(
        test=np.flatnonzero(labelled & (store.splits == TEST_SPLIT)),
        train=np.flatnonzero(labelled & (store.splits != TEST_SPLIT)),
    )
    if not labelled.any():
        raise InvalidRequestError(
            f"none of the {len(store)} clips in the store has a label; evaluation compares labels: import recordings "
            f"with labels."
        )
    if not len(fold.test) or not len(fold.train):
        raise InvalidRequestError(
            f"the store has {len(fold.test)} labelled test clips and {len(fold.train)} others; evaluation needs both. "
            f"Mark subjects as test with gfp-data import --test-subject. (gfp-evaluate --folds needs no marks: it "
            f"tests each subject once.)"
        )
    _check_classes(store, [fold])
    return [fold]


def cross_subject_folds(store: ClipStore, num_folds: int) -> list[Fold]:
    """Subjects are dealt in turn to `num_folds` groups. Each group is tested once, with the others to learn from.

    Raises `InvalidRequestError` when there are fewer labelled subjects than folds, or only one class.
    """
    labelled = store.labels >= 0
    subjects = np.unique(store.subjects[labelled])
    if len(subjects) < num_folds or num_folds < 2:
        raise InvalidRequestError(
            f"--folds is {num_folds}; it must be at least 2, and each fold needs a subject: the store has "
            f"{len(subjects)} labelled subjects."
        )
    group = {subject: place % num_folds for place, subject in enumerate(subjects)}
    fold_of = np.array([group.get(subject, -1) for subject in store.subjects])
    folds = [
        Fold(test=np.flatnonzero(labelled & (fold_of == fold)), train=np.flatnonzero(labelled & (fold_of != fold)))
        for fold in range(num_folds)
    ]
    _check_classes(store, folds)
    return folds


def _check_classes(store: ClipStore, folds: list[Fold]) -> None:
    classes = np.unique(store.labels[used_clips(folds)])
    if len(classes) < 2:
        raise InvalidRequestError(
            f"all labelled clips of {store.path} are of one class, {store.class_names[classes[0]]!r}, so every answer "
            f"would be right; evaluation needs two or more classes: import clips of other actions too."
        )


def check_not_fitted_on(store: ClipStore, folds: list[Fold], fitted: ClipStore) -> None:
    """Raise `InvalidRequestError` when a read-out would be fitted on clips that are tested."""
    sums = {source.name: source.sha256 for source in fitted.sources}
    shared = tuple(f"{source.name}/" for source in store.sources if sums.get(source.name) == source.sha256)
    tested = {str(name) for fold in folds for name in store.names[fold.test]}
    learned = (str(name) for name in fitted.names[fitted.splits != TEST_SPLIT])
    if seen := sum(name in tested and name.startswith(shared) for name in learned):
        raise InvalidRequestError(
            f"the read-out would be fitted on {seen} of the clips that are tested: --fit takes all clips of "
            f"{fitted.path} outside its own test split. Fit on a store of other recordings, or test by the split of "
            f"that store (without --folds)."
        )


def used_clips(folds: list[Fold]) -> Int[np.ndarray, " clips"]:
    """Every clip that belongs to a fold, once."""
    return np.unique(np.concatenate([side for fold in folds for side in (fold.test, fold.train)]))


def chance(store: ClipStore, folds: list[Fold]) -> float:
    """Percent of right answers if each is the label of a random training clip; the mean over folds."""
    shares = []
    for fold in folds:
        clips_of_class = np.bincount(store.labels[fold.train], minlength=len(store.class_names))
        shares.append(np.mean(clips_of_class[store.labels[fold.test]] / len(fold.train)))
    return 100.0 * float(np.mean(shares))
