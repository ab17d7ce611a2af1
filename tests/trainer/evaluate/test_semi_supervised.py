"""Semi-supervised draws: one for each seed, the same in every process, with as many clips as the ratio gives."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import InvalidRequestError
from tests.support.small_runs import write_store
from tests.support.two_processes import run_two
from trainer.data.store import ClipStore
from trainer.evaluate.folds import Fold, split_folds
from trainer.evaluate.semi_supervised import describe_draw, draw, mean_and_deviation


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("semi") / "store", num_clips=60)


@given(seed=st.integers(0, 2**31), ratio=st.floats(0.05, 1.0))
def test_a_draw_has_the_published_number_of_training_clips_each_once(store: ClipStore, seed: int, ratio: float) -> None:
    (fold,) = split_folds(store)
    drawn = draw(store, fold, ratio, seed=seed, balanced=False)
    assert len(drawn.train) == int(len(fold.train) * ratio)
    assert len(np.unique(drawn.train)) == len(drawn.train)
    assert set(drawn.train) <= set(fold.train)
    np.testing.assert_array_equal(drawn.test, fold.test)


def test_a_seed_always_draws_the_same_clips_and_another_seed_draws_others(store: ClipStore) -> None:
    (fold,) = split_folds(store)
    first, again, other = (draw(store, fold, 0.2, seed=seed, balanced=False) for seed in (3, 3, 4))
    told = [describe_draw(store, [each], seed=0)["names_sha256"] for each in (first, again, other)]
    assert told[0] == told[1] != told[2]
    assert set(first.train) < set(draw(store, fold, 0.5, seed=3, balanced=False).train)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_balanced_draw_takes_from_the_classes_in_turn(store: ClipStore, balanced: bool) -> None:
    train = np.flatnonzero(store.labels == 0)
    train = np.concatenate([train, np.flatnonzero(store.labels == 1)[:3], np.flatnonzero(store.labels == 2)[:1]])
    fold = Fold(test=train, train=train)  # 20, 3 and 1 clips of three classes
    counts = [
        np.bincount(store.labels[draw(store, fold, 9 / 24, seed=seed, balanced=balanced).train], minlength=3).tolist()
        for seed in range(5)
    ]
    assert (counts == [[5, 3, 1]] * 5) == balanced


@pytest.mark.parametrize(("ratio", "said"), [(0.0, "above 0"), (1.5, "at most 1"), (0.02, "gives 0; at least 2")])
def test_ratios_that_draw_nothing_are_refused(store: ClipStore, ratio: float, said: str) -> None:
    (fold,) = split_folds(store)
    with pytest.raises(InvalidRequestError, match=said):
        draw(store, fold, ratio, seed=0, balanced=False)


def test_the_deviation_is_that_of_a_sample() -> None:
    assert mean_and_deviation([1.0, 2.0, 3.0]) == {"mean": 2.0, "deviation": 1.0, "seeds": [1.0, 2.0, 3.0]}
    assert mean_and_deviation([4.0])["deviation"] == 0.0


PROCESS = """
import json, os, sys
from pathlib import Path
from torch import distributed
from trainer import parallel
from trainer.evaluate.folds import split_folds
from trainer.evaluate.semi_supervised import describe_draw, draw
from trainer.data.store import ClipStore

distributed.init_process_group("gloo")
assert parallel.rank() == int(os.environ["RANK"])
store = ClipStore.open(Path(sys.argv[1]))
drawn = [draw(store, fold, 0.2, seed=1, balanced=False) for fold in split_folds(store)]
Path(sys.argv[2], os.environ["RANK"]).write_text(json.dumps(describe_draw(store, drawn, seed=1)))
distributed.barrier()  # a process that leaves while the other still connects would break its connection
distributed.destroy_process_group()
"""


def test_two_processes_of_a_run_draw_the_same_clips(store: ClipStore, tmp_path: Path) -> None:
    run_two(PROCESS, str(store.path), str(tmp_path))
    told = [json.loads((tmp_path / rank).read_text()) for rank in "01"]
    assert told[0] == told[1]
    assert told[0]["num_clips"] == 9
