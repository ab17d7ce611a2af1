from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, PreprocessConfig, SampleConfig
from tests.support.small_runs import moving_body, tiny_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.data.store import ClipStore
from trainer.embedding import ClipEmbedding, PoseStatistics
from trainer.evaluate.candidates import candidates, read_run
from trainer.evaluate.embeddings import embed_store, torch_embedder
from trainer.evaluate.folds import Fold, chance, check_not_fitted_on, cross_subject_folds, split_folds
from trainer.evaluate.retrieval import retrieval, retrieve
from trainer.export import Origin, export_bundle
from trainer.loop import Trainer
from trainer.readout import ReadoutConfig, fit_readout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)


@pytest.fixture(scope="module")
def run(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    Trainer(tiny_config(), store, folder).fit()
    return folder


def test_the_split_tests_its_test_clips_and_learns_from_the_others(store: ClipStore) -> None:
    (fold,) = split_folds(store)
    assert fold.test.tolist() == [3, 7, 11, 15, 19, 23]
    assert sorted([*fold.test, *fold.train]) == list(range(24))
    assert not set(fold.test) & set(fold.train)


def test_a_read_out_may_not_be_fitted_on_clips_that_are_tested(store: ClipStore, tmp_path: Path) -> None:
    check_not_fitted_on(store, split_folds(store), store)
    other = write_store(tmp_path / "other", num_clips=24)
    other.sources = (replace(other.sources[0], sha256="1" * 64),)  # another recording with the same name
    folds = cross_subject_folds(store, 2)
    check_not_fitted_on(store, folds, other)
    with pytest.raises(InvalidRequestError, match="would be fitted on 18 of the clips that are tested"):
        check_not_fitted_on(store, folds, store)  # 6 of 24 are of its test split


def test_no_subject_is_on_both_sides_of_a_cross_subject_fold(store: ClipStore) -> None:
    folds = cross_subject_folds(store, 2)
    for fold in folds:
        assert not set(store.subjects[fold.test]) & set(store.subjects[fold.train])
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(24))


def test_more_folds_than_subjects_are_refused(store: ClipStore) -> None:
    with pytest.raises(InvalidRequestError, match="4 labelled subjects"):
        cross_subject_folds(store, 5)


def test_the_nearest_of_four_points_in_a_plane_decides(store: ClipStore) -> None:
    # Clips 0 and 3 are of class 0, clips 1 and 4 of class 1 (small.py).
    vectors = np.zeros((24, 2), dtype=np.float32)
    vectors[[0, 1]] = [[1, 0], [0, 1]]  # gallery
    vectors[[3, 4]] = [[0.9, 0.1], [0.8, 0.2]]  # both are nearer to clip 0
    fold = Fold(test=np.array([3, 4]), train=np.array([0, 1]))
    result = retrieve(vectors, store, [fold])
    assert result.predictions.tolist() == [0, 0]
    assert result.accuracy == 50.0
    assert chance(store, [fold]) == 50.0


def test_by_default_one_neighbour_decides_where_halps_public_code_lets_nine_vote(store: ClipStore) -> None:
    # Clips n have class n % 3. Clip 3 is nearest to clip 0, and eight clips of class 1 are nearly as near.
    vectors = np.zeros((24, 2), dtype=np.float32)
    others = np.array([1, 4, 7, 10, 13, 16, 19, 22])
    vectors[[3, 0]] = [1, 0]
    vectors[others] = [np.cos(0.01), np.sin(0.01)]
    fold = Fold(test=np.array([3]), train=np.array([0, *others]))
    assert retrieve(vectors, store, [fold]).predictions.tolist() == [0]
    assert retrieve(vectors, store, [fold], num_neighbours=9).predictions.tolist() == [1]


def test_five_neighbours_vote_and_say_whether_one_of_them_is_right(store: ClipStore) -> None:
    # Clips n have class n % 3. On a circle, clip 3 is nearest to clip 1, but four of class 0 outvote it.
    vectors = np.zeros((24, 2), dtype=np.float32)
    angles = {3: 0.0, 1: 0.02, 0: 0.03, 6: 0.03, 9: 0.03, 12: 0.03, 5: 3.0, 2: 1.0}
    for clip, angle in angles.items():
        vectors[clip] = [np.cos(angle), np.sin(angle)]
    fold = Fold(test=np.array([3, 5]), train=np.array([0, 1, 2, 6, 9, 12]))
    one, five = (retrieve(vectors, store, [fold], num_neighbours=count) for count in (1, 5))
    assert one.predictions.tolist() == [1, 2]
    assert five.predictions[0] == 0
    assert (one.top5, five.top5) == (None, 100.0)
    assert five.among_five is not None
    far = Fold(test=np.array([5]), train=np.array([0, 1, 6, 9, 12]))
    assert retrieve(vectors, store, [far], num_neighbours=5).top5 == 0.0  # none of class 2 is there


def test_vectors_are_in_the_order_of_the_clips_for_any_number_of_bodies(store: ClipStore) -> None:
    embed = torch_embedder(PoseStatistics(), torch.device("cpu"))
    every = embed_store(embed, store, SampleConfig(), np.arange(24))
    single = [embed_store(embed, store, SampleConfig(), np.array([clip]))[0] for clip in range(24)]
    np.testing.assert_allclose(every, np.stack(single), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(every, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("fitted", [False, True])
def test_checkpoint_and_bundle_give_the_same_accuracies(
    store: ClipStore, run: Path, tmp_path: Path, fitted: bool
) -> None:
    checkpoint = Checkpoint.read(run)
    cpu = torch.device("cpu")

    def fit(model: torch.nn.Module, preprocess: PreprocessConfig) -> torch.nn.Module:
        return fit_readout(model, store, preprocess.sampling, ReadoutConfig(), cpu)

    model = checkpoint.build_encoder()
    bundle = export_bundle(
        fit(model, checkpoint.preprocess) if fitted else model,
        [Clip(name="a", sequence=moving_body(1), layout=NTU25, fps=30.0)],
        checkpoint.preprocess,
        Origin(name="gfp", objective="gfp", step=4, data={}, training=checkpoint.config.to_json()),
        {"kind": "whitened" if fitted else "mean"},
    ).bundle
    bundle.write(tmp_path / "bundle")
    folds = cross_subject_folds(store, 2)
    tables = [
        retrieval(store, folds, candidates(path, "cpu", fit if fitted else None)) for path in (run, tmp_path / "bundle")
    ]
    from_run, from_bundle = (
        {(row.candidate.name, row.candidate.readout): row.answers.accuracy for row in table} for table in tables
    )
    trained = ("trained", "read-out" if fitted else "plain")
    assert from_bundle[trained] == from_run[trained]
    assert set(from_run) >= {("pose statistics", "plain"), ("untrained", "plain"), ("trained", "plain"), trained}
    # The nearest neighbours are the same clips; not only the accuracy is the same.
    last = tables[0][-1].answers.predictions, tables[1][-1].answers.predictions
    np.testing.assert_array_equal(*last)


def test_clips_of_a_single_class_are_refused_because_every_answer_would_be_right(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=24)
    store.labels[:] = 1
    for ask in (split_folds, lambda of: cross_subject_folds(of, 2)):
        with pytest.raises(InvalidRequestError, match=r"all labelled clips of .* are of one class, 'class1'"):
            ask(store)


def test_the_untrained_row_is_the_encoder_that_training_started_from(store: ClipStore, run: Path) -> None:
    untrained = next(row for row in candidates(run, "cpu", None) if row.name == "untrained")
    fresh = Trainer(tiny_config(), store, run.parent / "fresh").objective.encoder
    clips = np.random.default_rng(0).normal(size=(2, 1, 120, 25, 3)).astype(np.float32)
    np.testing.assert_array_equal(untrained.embed(clips), torch_embedder(fresh, torch.device("cpu"))(clips))


def test_a_store_with_other_cleaning_is_refused_and_the_right_flag_named(run: Path, tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    store.cleaning = CleanConfig(align_view=True)
    with pytest.raises(InvalidRequestError, match="Import the data again with --no-align-view"):
        retrieval(store, cross_subject_folds(store, 2), candidates(run, "cpu", None))


def test_the_vector_of_two_bodies_is_their_mean_at_unit_length() -> None:
    graph = ClipEmbedding(PoseStatistics())
    clip = torch.randn(1, 2, 120, 25, 3)
    mean = PoseStatistics().features(clip[0]).mean(dim=0)
    torch.testing.assert_close(graph(clip)[0], mean / mean.norm())


def test_a_bundle_is_refused_if_weights_are_needed(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")
    for path in (tmp_path / "bundle", tmp_path / "bundle.zip"):
        with pytest.raises(InvalidRequestError, match=r"is a bundle, .* name the run folder"):
            read_run(path)
