import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.small_runs import tiny_config, write_store
from trainer.cli.cost import gfp_cost
from trainer.loop import Trainer
from trainer.speed import StepTimes, measure_steps

TINY = ["--width", 16, "--depth", 1, "--num-heads", 2, "--batch-clips", 2, "--rounds", 2, "--device", "cpu"]


def cost(*words: Any) -> Any:
    return CliRunner().invoke(gfp_cost, [str(word) for word in words])


def test_the_cost_table_has_the_papers_figures_for_the_modules_in_use() -> None:
    table = json.loads(cost("--objective", "gfp", "--objective", "mamp", "--json").stdout)
    assert list(table) == ["gfp", "mamp"]
    parts = table["gfp"]["gflop"]
    published = {"encoder": 1.97, "decoder": 1.57, "target network": 0.64, "encoder, all tokens": 28.32}
    assert parts == pytest.approx(published, rel=0.01)
    assert table["mamp"]["gflop"]["decoder"] == pytest.approx(17.70, rel=0.01)
    assert table["mamp"]["parameters"]["encoder"] == pytest.approx(6.34e6, rel=0.01)
    assert "clips_per_s" not in table["gfp"]
    assert table["gfp"]["gflop_published"] == published
    shown = cost("--objective", "gfp", "--objective", "s_jepa").stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    assert [cells[0] for cells in rows] == ["gfp", "as published", "s_jepa", "as published"]
    assert rows[1][1:] == ["1.97", "1.57", "0.64", "", "", "28.32", ""]
    assert rows[3][1:] == ["1.97", "17.70", "", "28.32", "", "", ""]


def test_a_preset_of_training_is_counted_with_its_encoder_and_the_settings_of_its_objective() -> None:
    table = json.loads(cost("--preset", "demo", "--json").stdout)
    assert list(table) == ["gfp"]
    (as_default,) = json.loads(cost("--objective", "gfp", *TINY[:6], "--json").stdout).values()
    (overridden,) = json.loads(cost("--preset", "demo", *TINY[:6], "--json").stdout).values()
    assert overridden["parameters"]["encoder"] == as_default["parameters"]["encoder"]
    assert overridden["parameters"]["encoder"] < table["gfp"]["parameters"]["encoder"]
    assert overridden["parameters"]["decoder"] != as_default["parameters"]["decoder"]  # of the preset's widths
    assert "gflop_published" not in table["gfp"]  # papers count another encoder
    assert list(json.loads(cost("--preset", "demo", "--objective", "mamp", *TINY[:6], "--json").stdout)) == ["mamp"]
    learns_no_objective = cost("--preset", "general")
    assert learns_no_objective.exit_code == 2
    assert "this preset has no objective" in " ".join(learns_no_objective.output.split())
    named = cost("--preset", "general", "--objective", "gfp", "--width", 16, "--depth", 1, "--num-heads", 2, "--json")
    assert list(json.loads(named.stdout)) == ["gfp"]


def test_many_parts_are_summed_so_that_the_table_fits_a_terminal() -> None:
    small = ("--width", 16, "--depth", 1, "--num-heads", 2)
    names = ("gfp", "s_jepa", "usdrl")
    words = [word for name in names for word in ("--objective", name)]
    table = json.loads(cost(*words, *small, "--json").stdout)
    shown = cost(*words, *small).stdout
    assert max(map(len, shown.splitlines())) <= 100
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    for name, (shown_name, encoder, others, step, embedding, _) in zip(names, rows, strict=True):
        gflop = table[name]["gflop"]
        assert shown_name == name
        expected = (gflop["encoder"], table[name]["step_gflop"] - gflop["encoder"], table[name]["step_gflop"])
        assert [float(cell) for cell in (encoder, others, step)] == pytest.approx(expected, abs=0.0051)
        assert float(embedding) == pytest.approx(table[name]["embedding_gflop"], abs=0.0051)
    assert table["gfp"]["step_gflop"] == pytest.approx(
        sum(each for part, each in table["gfp"]["gflop"].items() if part != "encoder, all tokens")
    )


def test_with_a_store_steps_are_timed_and_compared_with_mamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_store(tmp_path / "store")
    table = json.loads(cost(tmp_path / "store", "--objective", "gfp", *TINY, "--json").stdout)
    assert list(table) == ["gfp", "mamp"]
    for row in table.values():
        assert len(row["step_s"]) == 2
        assert row["clips_per_s"] > 0
    times = {"gfp": StepTimes((0.5, 0.5), batch_clips=2), "mamp": StepTimes((0.8, 0.8), batch_clips=2)}
    monkeypatch.setattr("trainer.cli.cost.measure_steps", lambda *_, **__: times)
    shown = cost(tmp_path / "store", "--objective", "gfp", *TINY).stdout
    assert "× mamp" in shown
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    assert {cells[0]: cells[-2:] for cells in rows} == {"gfp": ["4.0", "1.60"], "mamp": ["2.5", "1.00"]}


def test_an_objective_that_does_not_fit_the_frames_is_left_out_unless_it_was_asked_for() -> None:
    sizes = ("--encoder", "slim", "--width", 16, "--depth", 1, "--num-heads", 2, "--num-frames", 64)
    shown = cost(*sizes, "--json")
    assert "slim" in json.loads(shown.stdout)
    assert "gfp" not in json.loads(shown.stdout)
    assert "gfp is left out: --num-frames divided by --segment-frames gives" in " ".join(shown.stderr.split())
    asked = cost("--objective", "gfp", *sizes)
    assert asked.exit_code == 2
    assert "gives 8 segments; gfp needs a multiple of 30" in " ".join(asked.output.split())


def test_a_store_with_fewer_clips_than_a_step_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_store(tmp_path / "store", num_clips=4)
    result = cost(tmp_path / "store", *TINY, "--batch-clips", 50)
    assert result.exit_code == 2
    assert "choose at most 3" in result.output


def test_a_folder_that_is_not_a_store_is_refused_before_anything_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.cli.cost.cost_table", lambda *_, **__: pytest.fail("counted"))
    assert "does not exist; `gfp-data import` makes a store" in cost(tmp_path / "nowhere", *TINY).output


def test_runs_are_timed_in_turns_and_compared_by_median(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    order: list[str] = []

    class Noted(Trainer):
        def train_step(self) -> Any:
            order.append(str(self.run.name))
            return super().train_step()

    trainers = {name: Noted(tiny_config(), store, tmp_path / name) for name in ("a", "b")}
    times = measure_steps(trainers, rounds=3, steps_per_round=2, warmup_steps=1)
    assert "".join(order) == "ab" + 3 * "aabb"
    assert {len(side.seconds) for side in times.values()} == {3}
    assert StepTimes((1.0, 8.0, 2.0), batch_clips=4).clips_per_s == 2.0


def test_steps_with_cuda_graphs_are_warmed_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.compiler.cudagraph_mark_step_begin", lambda: None)  # loads torch's compiler
    store, counts = write_store(tmp_path / "store"), {}
    for mode in ("off", "graphs"):
        trainer = Trainer(tiny_config(), store, tmp_path / mode)
        trainer.config = replace(trainer.config, compile=mode)  # it was built for "off", which a CPU can run
        measure_steps({mode: trainer}, rounds=1)
        counts[mode] = trainer.step
    assert counts == {"off": 3, "graphs": 6}
