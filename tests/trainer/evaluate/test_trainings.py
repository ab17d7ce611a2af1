"""Which recordings an encoder learned from, also by the encoders before it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gfp_serve.errors import InvalidRequestError
from tests.support.small_runs import tiny_config, write_store
from trainer.checkpoint import Checkpoint, data_summary
from trainer.data.store import ClipStore
from trainer.evaluate.trainings import recordings_learned
from trainer.evaluate.transfer import source_and_target
from trainer.loop import Trainer
from trainer.start import read_start

ELSEWHERE: dict[str, Any] = {"content_sha256": "1" * 64, "sources": []}


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "split")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """The same recordings without a test split."""
    return write_store(tmp_path_factory.mktemp("clips") / "whole", tested=False)


@pytest.mark.parametrize("role", ["started_from", "taught_by"])
def test_an_encoder_knows_the_recordings_of_those_before_it(role: str, split: ClipStore, whole: ClipStore) -> None:
    before = {role: {"data": data_summary(whole)}}
    assert recordings_learned(data_summary(split) | before, split) == ["made-up"]
    assert recordings_learned(ELSEWHERE | {"started_from": {"data": ELSEWHERE | before}}, split) == ["made-up"]
    # A start on the store itself left out its test split.
    assert recordings_learned(data_summary(split) | {role: {"data": data_summary(split)}}, split) == []


def test_a_store_that_a_start_was_trained_on_is_no_store_to_transfer_to(
    split: ClipStore, whole: ClipStore, tmp_path: Path
) -> None:
    for name in ("first", "next"):
        (tmp_path / name).mkdir()
    Trainer(tiny_config(), whole, tmp_path / "first").save()
    Trainer(tiny_config(), split, tmp_path / "next", start=read_start(tmp_path / "first")).save()
    checkpoint = Checkpoint.read(tmp_path / "next")
    with pytest.raises(InvalidRequestError, match="is the store that the encoder that it started from was pre-trained"):
        source_and_target(checkpoint, whole)
    adapted = replace(checkpoint, data=ELSEWHERE | {"started_from": checkpoint.data["started_from"]})
    assert source_and_target(adapted, split)["shared_sources"] == ["made-up"]
