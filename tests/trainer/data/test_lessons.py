"""Lessons: which clips a step learns from, and what it is told of them."""

import dataclasses
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, SampleConfig, clean
from tests.support.small_runs import moving_body
from trainer.data.class_draws import ClassDraws, ClassDrawsConfig
from trainer.data.general_views import GeneralViewsConfig
from trainer.data.lessons import Lessons
from trainer.data.model_input import ModelInput
from trainer.data.store import ClipStore
from trainer.data.store_writer import StoreWriter
from trainer.embedding import PoseStatistics
from trainer.terms import TermsConfig

VIEWS = GeneralViewsConfig()
TERMS = TermsConfig(label_weight=1.0, statistics_weight=1.0, statistics_size=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Two sources: a large one of four classes and a small one of two. Names of classes are shared."""
    cleaning = CleanConfig()
    path = tmp_path_factory.mktemp("lessons") / "store"
    with StoreWriter(path, cleaning) as writer:
        for source, count, classes in (("large", 24, 4), ("small", 8, 2)):
            writer.add_source(source, sha256="0" * 64)
            for number in range(count):
                writer.add(
                    clean(moving_body(number, num_frames=40 + number), NTU25, cleaning),
                    source=source,
                    name=f"clip{number}",
                    label=None if number == 5 else f"class{number % classes}",
                    subject="1",
                    camera=0,
                    split=0,
                    fps=30.0,
                )
    return ClipStore.open(path)


def lessons(
    store: ClipStore, terms: TermsConfig = TERMS, views: GeneralViewsConfig = VIEWS, **changes: object
) -> Lessons:
    values: dict[str, object] = {"num_tokens": 750, "num_clips": 16, "seed": 0, "device": torch.device("cpu")}
    return Lessons(
        store,
        np.arange(len(store)),
        SampleConfig(),
        terms,
        views,
        ClassDrawsConfig(),
        **{**values, **changes},  # type: ignore[arg-type]
    )


def statistics_of(store: ClipStore) -> torch.Tensor:
    whole = ModelInput(store, SampleConfig(keep_lacking=True)).rows(np.arange(len(store)))
    with torch.inference_mode():
        return torch.nn.functional.normalize(PoseStatistics().features(whole), dim=1)


def test_a_lesson_is_a_function_of_its_step(store: ClipStore) -> None:
    first, second = lessons(store), lessons(store)
    second.lesson(3)
    for mine, yours in zip(first.lesson(7), second.lesson(7), strict=True):
        torch.testing.assert_close(mine, yours, equal_nan=True)
    assert not torch.equal(first.lesson(8).uniform, first.lesson(7).uniform)
    assert not torch.equal(lessons(store, seed=1).lesson(7).uniform, first.lesson(7).uniform)


def test_clips_that_are_all_alike_have_finite_statistics(tmp_path: Path) -> None:
    cleaning = CleanConfig()
    with StoreWriter(tmp_path / "store", cleaning) as writer:
        writer.add_source("one", sha256="0" * 64)
        for number in range(16):
            clip = clean(moving_body(1), NTU25, cleaning)
            writer.add(clip, source="one", name=f"{number}", label=None, subject="1", camera=0, split=0, fps=30.0)
    lesson = lessons(ClipStore.open(tmp_path / "store"), TermsConfig(statistics_weight=1.0)).lesson(0)
    assert lesson.statistics.isfinite().all()
    assert lesson.statistics[~lesson.mirrored].abs().max() < 0.1


def test_clips_are_drawn_by_source_and_class(store: ClipStore) -> None:
    draws = ClassDraws(store, np.arange(len(store)), ClassDrawsConfig(sources_per_step=1, clips_per_class=4))
    assert draws.num_classes == 6
    assert sorted(draws.source_of_class.tolist()) == [0, 0, 0, 0, 1, 1]
    sources = Counter()
    for seed in range(200):
        labels = draws.labels[draws.draw(16, np.random.default_rng(seed))]
        assert (labels >= 0).all()
        (source,) = set(draws.source_of_class[labels].tolist())
        sources[source] += 1
        assert set(Counter(labels.tolist()).values()) == ({4} if source == 0 else {8})
    # By the root of clips × classes: √(23 · 4) to √(7 · 2).
    assert 0.62 < sources[0] / 200 < 0.82


def test_it_is_known_which_clips_teach_no_labels(store: ClipStore) -> None:
    assert lessons(store).never_drawn == {"large": 1, "small": 1}
    assert lessons(store, TermsConfig(statistics_weight=1.0)).never_drawn == {}
    is_small = store.clip_sources == 1
    only_class = store.labels == store.labels[np.flatnonzero(is_small)[0]]
    draws = ClassDraws(store, np.flatnonzero(~is_small | only_class), ClassDrawsConfig())
    assert draws.never_drawn == {"large": 1, "small": int((is_small & only_class).sum())}


def test_a_step_has_clips_of_two_sources(store: ClipStore) -> None:
    sources = store.clip_sources[lessons(store).of_step(0)]
    assert Counter(sources.tolist()) == {0: 8, 1: 8}


def test_without_labels_all_clips_have_their_turn(store: ClipStore) -> None:
    unlabelled = lessons(store, TermsConfig(statistics_weight=1.0))
    seen = np.concatenate([unlabelled.of_step(step) for step in range(len(store) // 16)])
    assert sorted(seen.tolist()) == list(range(len(store)))
    assert (unlabelled.lesson(0).labels == -1).all()


def test_with_views_each_clip_is_seen_twice_and_differently(store: ClipStore) -> None:
    twice = lessons(store, TermsConfig(view_weight=1.0))
    clips = twice.of_step(2)
    assert (clips[:8] == clips[8:]).all()
    seen = twice.lesson(2).bodies.nan_to_num()
    assert not torch.allclose(seen[:8], seen[8:], atol=1e-2)


def test_targets_are_the_statistics_of_the_whole_clip_along_their_main_directions(store: ClipStore) -> None:
    given = lessons(store)
    found = torch.stack(
        [given._targets(given._statistics, np.array([clip]), torch.tensor([False]))[0] for clip in range(len(store))]
    )
    assert found.shape == (len(store), 8)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.square().mean(), torch.tensor(1.0), atol=1e-3, rtol=0)
    # Along the principal directions, by another way: singular values of the centred statistics.
    statistics = statistics_of(store)
    centred = (statistics - statistics.mean(dim=0)).double()
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    expected = left[:, :8] * values[:8] * math.sqrt(8 * len(store) / float(values[:8].square().sum()))
    torch.testing.assert_close(found.abs().flip(1), expected.abs().float(), atol=2e-3, rtol=0)


def test_served_directions_keep_cosines(store: ClipStore) -> None:
    given = lessons(store)
    statistics = statistics_of(store)
    kept = statistics @ given.basis
    torch.testing.assert_close(kept @ kept.T, statistics @ statistics.T, atol=1e-3, rtol=0)


def test_a_store_without_two_classes_cannot_teach_labels(store: ClipStore, tmp_path: Path) -> None:
    one_class = np.flatnonzero(store.labels == store.labels[0])
    with pytest.raises(ValueError, match="--label-weight needs labels: no source of the store has clips of two"):
        ClassDraws(store, one_class, ClassDrawsConfig())


def test_what_comes_before_and_after_is_of_another_class_of_the_same_source(tmp_path: Path) -> None:
    cleaning = CleanConfig()
    with StoreWriter(tmp_path / "store", cleaning) as writer:
        for source in range(2):
            writer.add_source(f"source{source}", sha256="0" * 64)
            for number in range(12):
                body = np.zeros((40, 1, 25, 3), dtype=np.float32)
                body[..., 1] = np.linspace(0, 1, 25)
                body[:, :, 24, 1] = 20 * source + number + 2  # how high it holds a thumb says whose frame it is
                writer.add(
                    clean(body, NTU25, cleaning),
                    source=f"source{source}",
                    name=f"clip{number}",
                    label=f"class{number % 3}",
                    subject="1",
                    camera=0,
                    split=0,
                    fps=30.0,
                )
    clips = ClipStore.open(tmp_path / "store")
    nothing = dict.fromkeys((field.name for field in dataclasses.fields(GeneralViewsConfig)), 0.0)
    wanted = {"window_share": 1.0, "rest_odds": 1.0, "rest_share": 0.6, "other_motion_odds": 1.0}
    given = lessons(clips, views=GeneralViewsConfig(**nothing | wanted))
    joined = 0
    for step in range(4):
        bodies = given.lesson(step).bodies
        shown = (bodies[:, :, 24, 1] - bodies[:, :, 0, 1]).round().int()
        for clip, row in zip(given.of_step(step).tolist(), shown.tolist(), strict=True):
            source, number = clip // 12, clip % 12
            others = set(row) - {20 * source + number + 2}
            assert len(others) < len(set(row))
            assert others <= {20 * source + other + 2 for other in range(12) if other % 3 != number % 3}
            joined += bool(others)
    assert joined > 32
