"""benchmarks/objectives.py for a few steps: what is asked is never learned from, and rows are measured once."""

import importlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from gfp_serve.preprocess import SampleConfig
from tests.support.outside_package import write_package
from trainer.data.store import ClipStore
from trainer.evaluate.candidates import untrained
from trainer.evaluate.embeddings import torch_embedder
from trainer.evaluate.suite.changes import CHANGES
from trainer.objectives import OBJECTIVES, name_of
from trainer.readout import ReadoutConfig, fit_readout

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "examples" / "clips"
LONGEST_S = 1200  # on a busy machine

BENCHMARK = runpy.run_path(str(ROOT / "benchmarks" / "objectives.py"))
MAIN: click.Group = BENCHMARK["main"]
asked_by = importlib.import_module("benchmarks.comparing.asked")
rows = importlib.import_module("benchmarks.comparing.rows")
tables = importlib.import_module("benchmarks.comparing.tables")
write_store = importlib.import_module("benchmarks.made_up_clips").write_store
SMALL = ("--width", "16", "--depth", "1", "--num-heads", "2", "--batch-clips", "4", "--peak-lr", "2e-3")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a tiny encoder, with four clips a step."""
    for module in (rows, importlib.import_module("benchmarks.comparing.bench")):
        monkeypatch.setattr(module, "SHARED", SMALL)


def objectives(*words: object) -> Result:
    before = torch.get_num_threads()
    try:
        ended = CliRunner().invoke(MAIN, list(map(str, words)))
    finally:
        torch.set_num_threads(before)
    assert ended.exit_code == 0, ended.output
    return ended


def test_every_objective_has_a_row() -> None:
    assert {name_of(rows.settings_of(row, 0).objective) for row in rows.ROWS} == OBJECTIVES.keys()


def test_an_objective_of_another_package_is_a_row(tmp_path: Path) -> None:
    path = {"PYTHONPATH": os.pathsep.join([str(write_package(tmp_path)), str(ROOT)])}
    command = [sys.executable, str(ROOT / "benchmarks" / "objectives.py"), "run", "--help"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | path)
    assert "|alike|" in ended.stdout


@pytest.mark.parametrize("row", rows.ROWS)
def test_every_row_has_the_shared_size_and_the_same_clips_a_step(row: str) -> None:
    config, gfp = (rows.settings_of(each, 3) for each in (row, "gfp"))
    assert row == rows.OWN_ENCODER or type(config.encoder) is type(gfp.encoder)
    for shared in ("batch_clips", "peak_lr", "floor_lr"):
        assert getattr(config, shared) == getattr(gfp, shared)
    for size in ("width", "depth", "num_heads"):
        assert getattr(config.encoder, size) == getattr(gfp.encoder, size)


@pytest.mark.usefixtures("small")
@pytest.mark.timeout(LONGEST_S)
def test_what_is_asked_is_not_learned_from_and_every_row_is_measured_once(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "report.json"
    of_data = ("--data", CLIPS, "--work", work, "--set", "precog")
    objectives("prepare", *of_data)
    store = ClipStore.open(work / "store")
    names = {str(name).partition("/")[2] for name in store.names}
    asked = asked_by.Asked(CLIPS, ("precog",), 1000)._sets[0]
    queries = {asked.clips.clips[query].name for fold in asked.folds for query in fold.test}
    assert queries
    assert names
    assert not queries & names

    few = ("--seeds", 1, "--clips", 8, "--out", out)
    objectives("run", *of_data, *few, "--steps", 2, "--only", "gfp")
    report: dict[str, Any] = json.loads(out.read_text())
    row = report["runs"]["2"]["gfp"]["0"]
    assert row["settings"] == "--objective gfp"
    assert row["clips_seen"] == 8
    assert row["plain"]["means"].keys() == {"clean", "window", "rest", "linear"} == row["whitened"]["means"].keys()
    assert report["untrained"]["0"]["plain"]["sets"].keys() == {"precog"}
    assert report["pose statistics"]["plain"]["means"]["clean"] > 0

    objectives("run", *of_data, *few, "--steps", 2, "--only", "gfp")
    assert json.loads(out.read_text()) == report
    said = CliRunner().invoke(MAIN, [*map(str, ("longer", *of_data, *few, "--steps", 2, "--seeds", 2))])
    assert said.exit_code == 2
    assert "no row of 2 steps with 2 seeds" in " ".join(said.output.split())
    objectives("longer", *of_data, *few, "--steps", 2, "--times", 2, "--best", 1)
    report_after = json.loads(out.read_text())
    assert report_after["runs"]["4"].keys() == {"gfp"}
    lines = objectives("table", "--out", out, "--picture", tmp_path / "rows.png").stdout.splitlines()
    assert sum(line.startswith("| `gfp` |") for line in lines) == 2
    assert (tmp_path / "rows.png").stat().st_size > 0

    objectives("robustness", *of_data, "--clips", 8, "--out", out, "--steps", 2, "--only", "gfp")
    asked_more = json.loads(out.read_text())
    assert {name: asked_more[name] for name in asked_more if name != "robustness"} == report_after
    robust = asked_more["robustness"]["runs"]["2"]["gfp"]["0"]
    assert {change for changes in tables.GROUPS.values() for change in changes} == {each.name for each in CHANGES} - {
        "clean"
    }
    every = {each.name for each in CHANGES}
    assert set(robust["plain"]["means"]) == every - {"kinect20"} | {"linear"}  # the clips have these joints only
    assert asked_more["robustness"]["about"]["changes"] == [each.name for each in CHANGES]
    assert robust["plain"]["means"]["window"] == row["plain"]["means"]["window"]  # the same run, asked the same
    lines = objectives("table", "--out", out).stdout.splitlines()
    assert "All changes of the suite, 2 steps" in lines
    assert sum(line.startswith("| `gfp` |") for line in lines) == 3
    first = next(
        line for line in lines[lines.index("All changes of the suite, 2 steps") :] if line.startswith("| `gfp`")
    )
    assert float(first.split("|")[2]) == pytest.approx(robust["plain"]["means"]["clean"], abs=0.05)
    changed = [robust["plain"]["sets"]["precog"][name] for name in ("no-legs", "upper-body")]
    assert float(first.split("|")[8]) == pytest.approx(np.mean(changed), abs=0.05)
    objectives("run", *of_data, *few, "--steps", 2, "--only", "gfp")
    assert json.loads(out.read_text()) == asked_more

    # Of other clips that are asked, rows would not stand in one table.
    other = CliRunner().invoke(MAIN, [*map(str, ("run", *of_data)), "--clips", "9", "--out", str(out)])
    assert other.exit_code == 2
    assert "was measured with other clips or settings" in " ".join(other.output.split())


@pytest.mark.parametrize("name", ["gfp", "usdrl", "slim, its own encoder"])
def test_one_pass_of_the_encoder_gives_what_it_embeds_and_the_readout(name: str, tmp_path: Path) -> None:
    config = rows.settings_of(name, 0)
    model = untrained(config).eval()
    store = write_store(tmp_path / "store", num_clips=20, one_body_share=0.5)
    fitted = fit_readout(
        model, store, SampleConfig(num_frames=config.num_frames), ReadoutConfig(time_parts=2), torch.device("cpu")
    )
    both = asked_by.Both(model, fitted)
    for bodies in (1, 2):
        clips = torch.randn(3, bodies, config.num_frames, 25, 3).numpy()
        for embed, of in ((both.plain, model), (both.whitened, fitted)):
            np.testing.assert_allclose(embed(clips), torch_embedder(of, torch.device("cpu"))(clips), atol=1e-6)


@pytest.mark.usefixtures("small")
@pytest.mark.timeout(LONGEST_S)
def test_time_and_memory_of_a_step_stand_beside_those_of_gfp(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    objectives("cost", "--work", tmp_path, "--out", out, "--rounds", 1, "--only", "gfp")
    cost = json.loads(out.read_text())["cost"]
    assert cost.keys() == {"gfp"}
    assert cost["gfp"]["time_of_gfp"] == 1
    assert all(facts["peak_mb"] > facts["step_mb"] > 0 for facts in cost.values())


def test_costs_that_are_measured_later_are_told_in_steps_of_gfp_of_the_report() -> None:
    beside = importlib.import_module("benchmarks.comparing.cost").beside
    known = {"gfp": {"step_s": 0.4, "time_of_gfp": 1.0}, "mamp": {"step_s": 1.2, "time_of_gfp": 3.0}}
    later = {"gfp": {"step_s": 0.8, "time_of_gfp": 1.0}, "usdrl": {"step_s": 4.0, "time_of_gfp": 5.0}}
    assert beside(known, later) == known | {"usdrl": {"step_s": 2.0, "time_of_gfp": 5.0}}
    assert beside({}, later) == later


@pytest.mark.usefixtures("small")
def test_a_run_of_other_clips_is_not_measured_as_one_of_these(tmp_path: Path) -> None:
    bench = importlib.import_module("benchmarks.comparing.bench")
    stores = [write_store(tmp_path / name, num_clips=num, one_body_share=1.0) for name, num in (("a", 8), ("b", 9))]
    config = rows.settings_of("gfp", 0)
    importlib.import_module("benchmarks.encoder_terms").OfSteps(config, stores[0], tmp_path / "run", 1).fit()
    made = bench.Bench.__new__(bench.Bench)
    made.store = stores[0]
    made._check_run(tmp_path / "run", config)
    with pytest.raises(click.UsageError, match="trained on other clips or with other settings"):
        made._check_run(tmp_path / "run", rows.settings_of("gfp", 1))
    made.store = stores[1]
    with pytest.raises(click.UsageError, match="trained on other clips or with other settings"):
        made._check_run(tmp_path / "run", config)


@pytest.mark.usefixtures("small")
def test_a_run_that_was_killed_before_its_seconds_were_kept_is_named(tmp_path: Path) -> None:
    bench = importlib.import_module("benchmarks.comparing.bench")
    made = bench.Bench.__new__(bench.Bench)
    made.work, made.store = tmp_path, write_store(tmp_path / "store", num_clips=8, one_body_share=1.0)
    made._trained("gfp", 1, 0)
    folder = tmp_path / "runs" / "gfp-1-0"
    assert made._trained("gfp", 1, 0)[1] == float((folder / "seconds.json").read_text())
    (folder / "seconds.json").unlink()
    with pytest.raises(click.UsageError, match=r"gfp-1-0 was killed after its checkpoint .*; remove this folder"):
        made._trained("gfp", 1, 0)


def test_a_report_that_was_cut_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"runs": {')
    ended = CliRunner().invoke(MAIN, ["table", "--out", str(tmp_path / "report.json")])
    assert ended.exit_code == 2
    assert "report.json is damaged" in " ".join(ended.output.split())
