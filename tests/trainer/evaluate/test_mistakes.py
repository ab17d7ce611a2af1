"""The page of what is answered wrongly: which clips it shows, in which order, and what it says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.page_data import data_of, positions, seconds
from tests.support.small_runs import write_store
from trainer.data.store import ClipStore
from trainer.evaluate import mistakes
from trainer.evaluate.folds import Fold, answers, cross_subject_folds
from trainer.evaluate.mistakes import MistakesPage, write_head_page, write_retrieval_page
from trainer.evaluate.report import Row
from trainer.evaluate.retrieval import retrieve

# Classes go 0, 1, 2, 0, 1, 2 ... along the clips (small_runs.py).
GALLERY = [0, 1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24, gaps=True)


def degrees(*angles: float) -> np.ndarray:
    turns = np.radians(np.array(angles))
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def retrieved(path: Path, store: ClipStore, queries: dict[int, float]) -> tuple[MistakesPage, dict[str, Any]]:
    """Write the page for clips at these angles; classes 0, 1 and 2 of the gallery are at 0, 40 and 100 degrees."""
    vectors = np.zeros((len(store), 2), dtype=np.float32)
    vectors[GALLERY] = degrees(0, 40, 100, 1, 41, 101)
    vectors[list(queries)] = degrees(*queries.values())
    folds = [Fold(test=np.array(list(queries)), train=np.array(GALLERY))]
    row = Row("trained", "plain", retrieve(vectors, store, folds))
    return write_retrieval_page(path, store, folds, row, vectors), data_of(path.read_text())


def test_a_wrong_clip_stands_beside_its_nearest_training_clips_and_the_nearest_of_its_own_class(
    store, tmp_path, monkeypatch
):
    monkeypatch.setattr(mistakes, "NUM_NEIGHBOURS", 3)
    # A clip of class 0 at 99 degrees: nearest are both of class 2, both of class 1, and then those of class 0.
    page, data = retrieved(tmp_path / "page.html", store, {6: 99.0, 7: 42.0})
    (row,) = data["rows"]

    assert (page.num_shown, page.num_wrong) == (1, 1)
    assert row["heading"] == "class0, taken for class2: 1 of 1 test clips"
    assert (row["query"]["title"], row["query"]["subtitle"]) == ("class0", "made-up/clip6")
    assert (row["query"]["right"], row["query"]["verdict"]) == (False, "taken for class2")
    found = [(each["rank"], each["title"], each["right"]) for each in row["neighbours"]]
    assert found == [(1, "class2", False), (2, "class2", False), (5, "class0", True)]
    assert row["neighbours"][0]["similarity"] == pytest.approx(np.cos(np.radians(1)), abs=1e-4)
    assert data["note"].startswith("trained: 1 of 2 test clips is answered wrongly. It is here,")


def test_the_most_frequent_confusion_comes_first_and_in_it_the_surest_mistake(store, tmp_path):
    # Class 0 is taken for class 1 twice, and class 1 for class 2 once, which is surer than both.
    _, data = retrieved(tmp_path / "page.html", store, {7: 99.0, 6: 25.0, 9: 38.0})
    assert [row["query"]["subtitle"] for row in data["rows"]] == [f"made-up/clip{clip}" for clip in (9, 6, 7)]
    assert [row["heading"] for row in data["rows"]] == [
        "class0, taken for class1: 2 of 2 test clips",
        "",
        "class1, taken for class2: 1 of 1 test clips",
    ]


def test_of_many_mistakes_each_confusion_shows_some_and_the_note_says_how_many(store, tmp_path, monkeypatch):
    monkeypatch.setattr(mistakes, "MAX_MISTAKES", 3)
    page, data = retrieved(tmp_path / "page.html", store, {6: 38.0, 9: 39.0, 12: 40.0, 7: 99.0})
    assert [row["query"]["title"] for row in data["rows"]] == ["class0", "class0", "class1"]
    assert (page.num_shown, page.num_wrong) == (3, 4)
    assert "4 of 4 test clips are answered wrongly. 3 of them are here" in data["note"]
    assert data["rows"][0]["heading"] == "class0, taken for class1: 3 of 3 test clips"


def test_without_a_mistake_the_page_says_so(store, tmp_path):
    page, data = retrieved(tmp_path / "page.html", store, {6: 0.0, 7: 40.0})
    assert (page.num_shown, data["rows"]) == (0, [])
    assert data["note"] == "trained: all 2 test clips are answered rightly."


def test_a_class_that_no_training_clip_has_can_be_wrong(store, tmp_path):
    vectors = np.zeros((24, 2), dtype=np.float32)
    vectors[[1, 2, 6]] = degrees(40, 100, 0)
    folds = [Fold(test=np.array([6]), train=np.array([1, 2]))]
    row = Row("trained", "plain", retrieve(vectors, store, folds))
    write_retrieval_page(tmp_path / "page.html", store, folds, row, vectors)
    (shown,) = data_of((tmp_path / "page.html").read_text())["rows"]
    assert [each["title"] for each in shown["neighbours"]] == ["class1", "class2"]


def test_motion_is_that_of_the_stores_prepared_clips_without_lacking_joints(store, tmp_path):
    _, data = retrieved(tmp_path / "page.html", store, {6: 99.0})
    motion = data["motions"][data["rows"][0]["query"]["motion"]]
    cleaned = store.cleaned(6)
    shown = positions(motion)
    numbers = motion["frame_numbers"]

    assert seconds(motion) == pytest.approx(store.num_frames[6] / 30)
    assert not cleaned.known.all()
    np.testing.assert_array_equal(np.isfinite(shown).all(axis=-1), cleaned.known[numbers])
    np.testing.assert_array_equal(
        np.nan_to_num(shown), np.where(cleaned.known[..., None], cleaned.positions, 0)[numbers]
    )


def test_a_head_shows_a_row_for_each_confusion_with_a_training_clip_of_the_other_class(store, tmp_path):
    folds = cross_subject_folds(store, 2)
    predictions = [store.labels[fold.test].copy() for fold in folds]
    for fold, predicted in zip(folds, predictions, strict=True):
        predicted[store.labels[fold.test] == 0] = 2
    predictions[1][np.flatnonzero(store.labels[folds[1].test] == 1)[0]] = 0
    row = Row("trained", "plain", answers(store, folds, predictions))
    page = write_head_page(tmp_path / "page.html", store, folds, row)
    data = data_of((tmp_path / "page.html").read_text())
    first, second = data["rows"]

    assert first["heading"] == "class0, taken for class2: 8 of 8 test clips"
    assert second["heading"] == "class1, taken for class0: 1 of 8 test clips"
    assert first["query"] is None
    assert [each["verdict"] for each in first["neighbours"]] == ["taken for class2"] * 6 + ["a training clip"]
    assert first["neighbours"][-1]["title"] == "class2"
    assert [each["verdict"] for each in second["neighbours"]] == ["taken for class0", "a training clip"]
    assert (page.num_shown, page.num_wrong) == (7, 9)
    assert "9 of 24 test clips are answered wrongly. 7 of them are here" in data["note"]
