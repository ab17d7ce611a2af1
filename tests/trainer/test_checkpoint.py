"""A checkpoint whose parts are not what a run writes is refused in words, wherever it is read."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.small_runs import tiny_config, write_store
from trainer.checkpoint import Checkpoint, CheckpointError
from trainer.loop import Trainer
from trainer.run_record import RECORD_FILE, read_record


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp("run")
    trainer = Trainer(tiny_config(), write_store(folder / "store"), folder / "run")
    trainer.run.mkdir()
    trainer.save()
    return trainer


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("config", [1]),
        ("preprocess", None),
        ("data", {}),
        ("step", "10"),
        ("encoder", [1]),
        ("objective", None),
        ("objective", {"decoder": 1}),
        ("optimizer", None),
        ("start", [1]),
    ],
)
def test_a_part_that_a_run_does_not_write_is_named(trainer: Trainer, tmp_path: Path, part: str, value: Any) -> None:
    values = torch.load(trainer.run / "checkpoint.pt", weights_only=True)
    torch.save({**values, part: value}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=f"checkpoint.pt is damaged: its {part} is missing"):
        Checkpoint.read(tmp_path)


@pytest.mark.parametrize("state", [{}, {"state": {}, "param_groups": []}, {"state": 1, "param_groups": 1}])
def test_a_state_of_the_optimiser_that_does_not_fit_is_refused(
    trainer: Trainer, tmp_path: Path, state: dict[str, Any]
) -> None:
    values = torch.load(trainer.run / "checkpoint.pt", weights_only=True)
    torch.save({**values, "optimizer": state}, tmp_path / "checkpoint.pt")
    damaged = Checkpoint.read(tmp_path)
    with pytest.raises(CheckpointError, match="state of the optimiser does not fit"):
        Trainer(trainer.config, trainer.store, tmp_path, resume=damaged)


@pytest.mark.parametrize(
    "text", ['{"wall_s": "soon"}', '{"of_steps": [1]}', '{"steps": null}', '{"wall_s": NaN}', "[]", "{"]
)
def test_a_damaged_record_of_a_run_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD_FILE).write_text(text)
    assert read_record(tmp_path) == {}
    (tmp_path / RECORD_FILE).write_text('{"wall_s": 1.5}')
    assert read_record(tmp_path) == {"wall_s": 1.5}
