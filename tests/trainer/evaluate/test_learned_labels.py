"""What is said of labels that an encoder learned, of clips that are tested."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.small_runs import write_store
from trainer.checkpoint import data_summary
from trainer.data.store import ClipStore
from trainer.evaluate.folds import cross_subject_folds, split_folds
from trainer.evaluate.learned_labels import learned_labels


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


def encoder(data: dict[str, Any], label_weight: float) -> dict[str, Any]:
    return {"data": data, "training": {"terms": {"label_weight": label_weight}}}


def test_folds_test_clips_whose_labels_a_run_learned_and_the_split_of_its_store_does_not(store: ClipStore) -> None:
    data, folds = data_summary(store), cross_subject_folds(store, 2)
    said = learned_labels(encoder(data, 1.0), store, folds)
    assert said.startswith(
        "the encoder learned the labels of 9 of the 12 clips that are tested"
    )  # 3 are its test split
    assert learned_labels(encoder(data, 0.0), store, folds) == ""
    assert learned_labels(encoder(data, 1.0), store, split_folds(store)) == ""
    assert learned_labels({}, store, folds) == ""  # pose statistics


def test_labels_of_a_start_and_of_a_teacher_count_too_and_where_nobody_knows_that_is_said(store: ClipStore) -> None:
    data, folds = data_summary(store), cross_subject_folds(store, 2)
    for role, who in (("started_from", "the encoder that it started from"), ("taught_by", "its teacher")):
        for weight, learned in ((1.0, "learned"), (None, "may have learned"), (0.0, None)):
            origin = {"data": data} | ({} if weight is None else {"label_weight": weight})
            said = learned_labels(encoder({role: origin}, 0.0), store, folds)
            assert said.startswith(f"{who} {learned} the labels of 9") if learned else said == ""


def test_the_same_recordings_in_another_store_are_doubtful(store: ClipStore, tmp_path: Path) -> None:
    other = write_store(tmp_path / "other", num_clips=8)  # its source has the same checksum
    said = learned_labels(encoder(data_summary(other), 1.0), store, split_folds(store))
    assert said.startswith("the encoder may have learned labels of recordings that are tested (made-up)")
