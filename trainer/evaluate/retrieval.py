"""Action retrieval: does the nearest training clip have the class of the test clip?

1-NN by cosine, as in UmURL, USDRL and the GFP paper: frozen encoder, centre crop, no augmentation. The training clips
are the gallery, the test clips are the queries. With more neighbours, these vote as they do when a server classifies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from gfp_serve.classify import nearest, vote
from trainer.data.store import ClipStore
from trainer.evaluate.candidates import Candidate, check_cleaned_alike
from trainer.evaluate.embeddings import embed_store
from trainer.evaluate.folds import Answers, Fold, answers, used_clips
from trainer.evaluate.learning import TOP


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalResult:
    """The answers of one embedding, and the vectors that gave them."""

    candidate: Candidate
    answers: Answers
    vectors: Float32[np.ndarray, "clips size"]  # zeros for clips that belong to no fold


def retrieval(
    store: ClipStore, folds: list[Fold], tested: list[Candidate], *, show: Callable[[int], None] = lambda _: None
) -> list[RetrievalResult]:
    """Test every candidate on the same folds. `show` gets the number of clips of each finished batch.

    Raises `InvalidRequestError` when the store's clips were not cleaned as a candidate needs them.
    """
    used = used_clips(folds)
    rows = []
    for candidate in tested:
        check_cleaned_alike(store, candidate.preprocess.cleaning)
        vectors = embed_store(candidate.embed, store, candidate.preprocess.sampling, used, show=show)
        of_store = np.zeros((len(store), vectors.shape[1]), dtype=np.float32)
        of_store[used] = vectors
        rows.append(RetrievalResult(candidate, retrieve(of_store, store, folds), of_store))
    return rows


def retrieve(
    vectors: Float32[np.ndarray, "clips size"], store: ClipStore, folds: list[Fold], *, num_neighbours: int = 1
) -> Answers:
    """The labels that the nearest training clips give to the test clips of every fold.

    `vectors` has a row for each clip of the store. With `TOP` neighbours, the answers also say whether one of them has
    the right label.
    """
    predictions, among_five = [], []
    for fold in folds:
        index, similarities = nearest(vectors[fold.test], vectors[fold.train], top_k=num_neighbours)
        found = store.labels[fold.train][index]  # test clips, neighbours
        predictions.append(found[:, 0] if num_neighbours == 1 else _voted(found, similarities))
        among_five.append((found == store.labels[fold.test][:, None]).any(axis=1) if num_neighbours == TOP else None)
    return answers(store, folds, predictions, among_five)


def _voted(
    labels: Int[np.ndarray, "test neighbours"], similarities: Float32[np.ndarray, "test neighbours"]
) -> Int[np.ndarray, " test"]:
    # The vote takes a label of 0 for none, so it gets texts.
    votes = [vote(list(map(str, theirs)), near).label for theirs, near in zip(labels, similarities, strict=True)]
    return np.array([int(label) for label in votes if label is not None])
