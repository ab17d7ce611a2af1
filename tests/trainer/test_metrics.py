import errno
import os
from pathlib import Path

import numpy as np
import pytest

from trainer.metrics import METRICS_FILE, SCORE, MetricsLog, read_scores, read_terms


def test_a_resumed_log_continues_after_the_checkpoints_step(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": float(step)})
    with MetricsLog(tmp_path, 2) as log:
        log.write(3, {"loss": 30.0})
    steps, terms = read_terms(tmp_path)
    assert steps.tolist() == [1, 2, 3]
    assert terms["loss"].tolist() == [1.0, 2.0, 30.0]


def test_scores_are_read_up_to_the_step_that_a_run_goes_on_from(tmp_path: Path) -> None:
    assert read_scores(tmp_path, 9) == {}
    with MetricsLog(tmp_path, 0) as log:
        for step, score in ((1, 40.0), (2, None), (3, 50.0), (4, 60.0)):
            log.write(step, {"loss": 1.0} | ({} if score is None else {SCORE: score}))
    assert read_scores(tmp_path, 3) == {1: 40.0, 3: 50.0}


def test_a_term_that_some_steps_lack_is_read_as_no_number_there(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        for step, terms in enumerate(({"early": 1.0}, {"early": 2.0, "late": 3.0}, {"late": 4.0})):
            log.write(step, {"loss": 5.0, **{f"terms/{name}": value for name, value in terms.items()}})
    steps, found = read_terms(tmp_path)
    assert steps.tolist() == [0, 1, 2]
    assert list(found) == ["loss", "early", "late"]
    np.testing.assert_array_equal(found["early"], [1, 2, np.nan])
    np.testing.assert_array_equal(found["late"], [np.nan, 3, 4])


def test_a_full_disk_at_resume_costs_no_line_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = '{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 0.5}\n'
    (tmp_path / METRICS_FILE).write_text(lines)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # the last moment at which a disk reports that it is full
    with pytest.raises(OSError, match="No space left"):
        MetricsLog(tmp_path, 2)
    assert (tmp_path / METRICS_FILE).read_text() == lines
    assert [path.name for path in tmp_path.iterdir()] == [METRICS_FILE]


def test_files_of_events_are_made_in_different_seconds(tmp_path: Path) -> None:
    """TensorBoard reads them by name. The names begin with the second, and end with a count, where 10 is before 9."""
    for step in range(2):
        with MetricsLog(tmp_path, step) as log:
            log.write(step + 1, {"loss": 1.0})
    first, second = sorted(file.name.split(".")[3] for file in tmp_path.glob("events.*"))
    assert int(first) < int(second)


def test_a_file_of_events_from_the_future_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / f"events.out.tfevents.{2**40}.host.1.0").touch()
    with MetricsLog(tmp_path, 0) as log:
        log.write(1, {"loss": 1.0})
