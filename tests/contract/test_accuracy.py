"""`gfp-evaluate` and a server with the same encoder give the same answer for each clip."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.bundle import Bundle
from gfp_serve.classify import Weighting, nearest, vote
from gfp_serve.cli.ask import gfp
from gfp_serve.config import DEFAULT_BUNDLE
from gfp_serve.formats import TEST_SPLIT, TRAIN_SPLIT, read_clips, write_clip_file
from tests.support.server_processes import process
from trainer.cli.evaluate import gfp_evaluate
from trainer.data.importing import ImportConfig, find_sources, import_recordings
from trainer.data.reading import ReadConfig
from trainer.data.store import ClipStore
from trainer.evaluate.candidates import candidates
from trainer.evaluate.folds import Fold, split_folds
from trainer.evaluate.retrieval import RetrievalResult, retrieval

CLIPS = Path(__file__).parents[2] / "examples" / "clips"

Ask = Callable[..., dict[str, dict]]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped clips with a split: every second person is in the test part."""
    folder = tmp_path_factory.mktemp("recordings")
    for file in CLIPS.glob("*.npz"):
        clips = list(read_clips(file))
        tested = sorted({clip.subject for clip in clips})[1::2]
        sides = (TEST_SPLIT if clip.subject in tested else TRAIN_SPLIT for clip in clips)
        split = [dataclasses.replace(clip, split=side) for clip, side in zip(clips, sides, strict=True)]
        write_clip_file(folder / file.name, split)
    return folder


@pytest.fixture(scope="module")
def store(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    path = tmp_path_factory.mktemp("stores") / "store"
    cleaning = Bundle.read(DEFAULT_BUNDLE).manifest.preprocess.cleaning
    import_recordings(find_sources([recordings]), path, ImportConfig(read=ReadConfig(cleaning=cleaning)))
    return ClipStore.open(path)


@pytest.fixture(scope="module")
def evaluated(store: ClipStore) -> tuple[Fold, RetrievalResult]:
    """The trainer's evaluation of the shipped bundle, with the training clips as its gallery."""
    (fold,) = split_folds(store)
    *_, found = retrieval(store, [fold], candidates(DEFAULT_BUNDLE, "cpu", None))
    return fold, found


@pytest.fixture(scope="module")
def ask(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Answers of `gfp classify` for each test clip, from a server whose gallery holds the training clips."""

    def run(address: str, *words: object) -> list[str]:
        result = CliRunner().invoke(gfp, list(map(str, words)), env={"GFP_ADDRESS": address})
        assert result.exit_code == 0, result.output
        return result.stdout.splitlines()

    gallery = tmp_path_factory.mktemp("galleries") / "gallery"
    with process("--port", 0, "--gallery", gallery) as (_, address):
        run(address, "add", recordings, "--split", "train")

        def ask(*options: object) -> dict[str, dict]:
            answers = map(json.loads, run(address, "classify", recordings, "--split", "test", "--json", *options))
            return {answer["clip"]: answer for answer in answers}

        yield ask


def test_a_server_and_the_evaluation_give_each_clip_the_same_class(
    ask: Ask, store: ClipStore, evaluated: tuple[Fold, RetrievalResult]
) -> None:
    fold, found = evaluated
    answered = ask("--num-neighbours", 1)
    assert list(store.names[fold.test]) == list(answered)
    assert [store.class_names[label] for label in found.answers.labels] == [a["true_label"] for a in answered.values()]
    assert [store.class_names[label] for label in found.answers.predictions] == [a["label"] for a in answered.values()]

    right = [answer["label"] == answer["true_label"] for answer in answered.values()]
    report = CliRunner().invoke(gfp_evaluate, ["retrieval", str(DEFAULT_BUNDLE), str(store.path), "--json"])
    percents = json.loads(report.stdout)["top1_percent"]
    assert percents[found.candidate.name] == found.answers.accuracy == 100 * np.mean(right)
    assert 20 < found.answers.accuracy < 95  # with 0 or 100 % this test would prove little


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize(("weighting", "temperature"), [("similarity", 0.07), ("similarity", 0.5), ("uniform", 0.07)])
def test_a_vote_over_the_trainers_vectors_equals_the_servers_vote(
    weighting: Weighting,
    temperature: float,
    balanced: bool,
    ask: Ask,
    store: ClipStore,
    evaluated: tuple[Fold, RetrievalResult],
) -> None:
    fold, found = evaluated
    labels = [store.class_names[label] for label in store.labels]
    places, similarities = nearest(found.vectors[fold.test], found.vectors[fold.train], top_k=7)
    counts = Counter(labels[clip] for clip in fold.train)
    options = ["--num-neighbours", 7, "--weighting", weighting, "--temperature", temperature]
    answered = ask(*options, *(["--balanced"] if balanced else []))
    for clip, rows, near in zip(fold.test, fold.train[places], similarities, strict=True):
        answer = answered[str(store.names[clip])]
        expected = vote(
            [labels[row] for row in rows],
            near,
            weighting=weighting,
            temperature=temperature,
            class_counts=counts if balanced else None,
        )
        assert [voter["id"] for voter in answer["neighbours"]] == list(store.names[rows])
        assert answer["label"] == expected.label
        assert [each["score"] for each in answer["scores"]] == pytest.approx(
            [e.score for e in expected.scores], abs=1e-4
        )
