"""benchmarks/reproduce.py: every row of its file can be measured; here at tiny sizes, on made-up clips."""

import importlib
import json
import math
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.support.small_runs import write_store
from trainer.checkpoint import Checkpoint
from trainer.config import PRESETS

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "benchmarks" / "reproduce.toml"
LONGEST_S = 1800  # on a busy machine; on a quiet one it takes a minute

MAIN: click.Group = runpy.run_path(str(ROOT / "benchmarks" / "reproduce.py"))["main"]


def reproduce(*words: object, fails: bool = False) -> Result:
    ended = CliRunner().invoke(MAIN, list(map(str, words)), prog_name="reproduce.py")
    assert (ended.exit_code != 0) == fails, ended.output
    return ended


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(reproduce("list", "--json").stdout)}


def test_rows_have_the_settings_options_and_published_values_of_their_tables(rows: dict[str, dict[str, Any]]) -> None:
    # Listing builds the settings of each row's run and protocol, so wrong ones would have ended it.
    gfp, mamp = rows["linear/gfp/ntu60-xsub"], rows["linear/mamp/ntu120-xset"]
    assert (gfp["published"], gfp["unit"], gfp["config"]) == (85.9, "%", PRESETS["ntu60-xsub"].settings())
    assert (mamp["published"], mamp["config"]["decoder_depth"], mamp["config"]["mask_temperature"]) == (79.1, 5, 0.75)
    assert rows["linear/gfp/pku2-xsub"]["options"] == {"batch_clips": 32, "peak_lr": 0.01}
    assert rows["semi-1/gfp/ntu60-xview"]["options"]["ratio"] == 0.01
    assert rows["linear/s-jepa/ntu60-xsub"]["config"]["epochs"] == 1200
    # Clips of HaLP and USDRL are turned to one view.
    assert rows["linear/halp/ntu60-xsub-aligned"]["published"] == 79.7
    for table, method in (("linear", "USDRL, DSTE"), ("semi-1", "HaLP"), ("linear", "SLiM"), ("linear", "GFP")):
        found = [
            row["store"].endswith("-aligned")
            for row in rows.values()
            if (row["table"], row["method"]) == (table, method)
        ]
        assert set(found) == {method not in ("SLiM", "GFP")}
    for store, clips in (("ntu60-xsub", 40_091), ("ntu120-xsub", 63_026)):
        config = rows[f"linear/slim/{store}"]["config"]
        assert config["epochs"] * (clips // config["batch_clips"]) == pytest.approx(187_500, rel=1e-3)
    assert rows["transfer/s-jepa/ntu120-xsub"]["target"] == "pku2-xsub"
    # The published hours stand beside the cost of 5 blocks, the published figures were made with 3.
    depths = [rows[f"{table}/mamp/ntu60-xsub"]["config"]["decoder_depth"] for table in ("hours", "linear")]
    assert depths == [5, 3]
    assert rows["hours/mamp-3-blocks/ntu60-xsub"]["published"] is None
    assert rows["ablation/without-mid/ntu60-xsub"]["config"]["levels"] == "short,long,global"
    assert rows["ablation/targets-of-joints/ntu60-xsub"]["published"] is None
    assert all(0 < row["published"] < 100 and row["source"] for row in rows.values() if row["published"] is not None)
    of_table = Counter(row["table"] for row in rows.values())
    assert of_table.keys() >= {"linear", "semi-1", "semi-10", "retrieval", "transfer", "ablation", "figure-3"}


def test_status_says_below_a_table_in_what_the_read_out_differs_from_the_published_one(tmp_path: Path) -> None:
    shown = " ".join(reproduce("status", "--work", tmp_path).stdout.split())
    for said in (
        "HaLP: the published rate of the linear layer falls in steps, at epochs 50 and 70; here along half a cosine.",
        "USDRL, DSTE; USDRL, STTR: the published linear layer has batches of 512 and rates of 0.006 to 0.03, by set;",
        "GFP; MAMP; SkeletonMAE; S-JEPA: the encoder starts with larger positions and inputs than MAMP's public code",
    ):
        assert shown.count(said) == 1  # below the table of the linear layer, and below no other
    assert shown.count("MAMP: published from a script whose two processes each draw their own labels") == 2
    assert not re.search(r"zeros for absent bodies[^│]*: the encoder starts", shown)  # that row differs in just this
    for method, value in (("UmURL", "72.0"), ("NAT with contrast", "86.9"), ("GFP, on one L20", "4.90 h")):
        assert re.search(rf"│ {method} │ ntu60-xsub │ {value}", shown)


class Known:
    """What was timed and imported, for an estimate by hand."""

    def __init__(self, times: dict[str, dict[str, Any]], stores: dict[str, dict[str, Any]], run: Path) -> None:
        self.times, self.stores, self._run = lambda: times, lambda: stores, run

    def run_folder(self, *_: object, **__: object) -> Path:
        return self._run


def test_missing_hours_are_those_of_a_count_by_hand(tmp_path: Path) -> None:
    timing, of_rows = (importlib.import_module(f"benchmarks.reproducing.{name}") for name in ("timing", "rows"))
    known = of_rows.Rows()
    named = {row.name: row for row in known.rows}
    # The first three share a run of 400 passes over 40,091 clips; that of 5 blocks is another, and another kind.
    rows = [named[f"{table}/mamp/ntu60-xsub"] for table in ("linear", "retrieval", "semi-1", "hours")]
    kinds = list(dict.fromkeys(map(timing.kind_of_step, rows)))
    assert len(kinds) == 2
    about = {"device": "a GPU", "tiny": False, "read_clips_per_s": 1000.0}
    times = {kind: {**about, "train_clips_per_s": speed} for kind, speed in zip(kinds, (100.0, 50.0), strict=True)}
    read = 100 * 40_091 + 16_487  # the linear layer, 100 passes and one over the test clips
    read += 40_091 + 16_487  # retrieval
    read += 5 * (100 * 0.01 * 40_091 * 3 + 16_487)  # five draws, which go back through the encoder
    trained = 400 * 40_091 / 100 + 400 * 40_091 / 50
    found = timing.estimate(rows, known, Known(times, {}, tmp_path))
    assert found.hours == pytest.approx((trained + read / 1000) / 3600)
    assert (found.devices, found.runs, found.untimed, found.unsized) == (("a GPU",), 2, (), ())

    # Of a run that stopped, what is left counts, over the clips of the store at hand.
    store = write_store(tmp_path / "store")
    (tmp_path / "run.json").write_text(json.dumps({"steps": 30, "of_steps": 40}))
    stores = {"ntu60-xsub": {"path": str(store.path), "train": 800, "test": 0}}
    found = timing.estimate(rows[-1:], known, Known(times, stores, tmp_path))
    assert found.hours == pytest.approx(400 * 800 / 4 / 50 / 3600)
    found = timing.estimate(rows, known, Known({kinds[0]: times[kinds[0]]}, stores, tmp_path))
    assert found.untimed == ("hours/mamp/ntu60-xsub",)


def test_a_setting_that_gfp_train_refuses_is_named_with_its_row(tmp_path: Path) -> None:
    changed = tmp_path / "rows.toml"
    changed.write_text(ROWS.read_text().replace("mlp_layers = 4", "mlp_layers = 1"))
    said = reproduce("list", "--rows", changed, fails=True).stderr
    assert "ablation/mlps-of-4-layers/ntu60-xsub: gfp-train refuses its settings: --mlp-layers is 1" in said


@pytest.mark.parametrize("text", ["rows = [", "a = 1"])
def test_a_file_that_has_no_rows_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.toml").write_text(text)
    said = reproduce("list", "--rows", tmp_path / "rows.toml", fails=True).stderr
    assert "rows.toml is not a file of rows" in said
    assert "Traceback" not in said


@pytest.mark.timeout(LONGEST_S)
def test_every_row_is_measured_once_and_rows_with_equal_settings_share_a_run(
    rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    store, work = write_store(tmp_path / "store").path, tmp_path / "work"
    words = ("run", "*", store, "--work", work, "--tiny", "--device", "cpu")
    reproduce(*words)
    wanted = rows.keys()
    results = {each["row"]: each for each in map(json.loads, map(Path.read_text, (work / "results").iterdir()))}
    assert results.keys() == wanted
    assert all(math.isfinite(each["value"]) for each in results.values())
    assert all(0 <= each["value"] <= 100 for each in results.values() if each["unit"] == "%")
    runs = {name: each["run"] for name, each in results.items()}
    assert (
        runs["linear/gfp/ntu60-xsub"]
        == runs["semi-1/gfp/ntu60-xview"]
        == runs["figure-3/short-mid-long-global/ntu60-xsub"]
    )
    assert len({runs[name] for name in wanted if name.startswith("ablation/")}) == sum(
        name.startswith("ablation/") for name in wanted
    )
    assert len(list((work / "runs").iterdir())) == len(set(runs.values())) < len(wanted) / 2

    again = reproduce(*words).stderr
    assert again.count("measured before") == len(wanted)
    changed = tmp_path / "changed.toml"
    # What was measured with another setting counts as not measured.
    settings = 'objective = "mamp", decoder_depth = 3'
    changed.write_text(ROWS.read_text().replace(settings, f"{settings}, mask_ratio = 0.8"))
    row = "retrieval/mamp/ntu60-xsub"
    said = reproduce("run", row, *words[2:], "--rows", changed)
    assert "measured before" not in said.stderr
    assert f"{row}: " in said.stdout
    # A rehearsal counts for nothing.
    status = json.loads(reproduce("status", "--work", work, "--json").stdout)
    assert set(status["missing"]) == wanted
    assert status["stores"]["ntu60-xview"]["make"].endswith("--protocol x-view")


@pytest.mark.timeout(LONGEST_S)
def test_what_was_stopped_goes_on_and_a_row_is_shown_beside_its_published_value(tmp_path: Path) -> None:
    store, work = write_store(tmp_path / "store").path, tmp_path / "work"
    changed = tmp_path / "rows.toml"
    small = 'preset = "demo", epochs = 1, warmup_epochs = 0, width = 16, depth = 1, num_heads = 1, batch_clips = 4'
    assert ROWS.read_text().count('ntu60 = { preset = "ntu60-xsub" }') == 1
    changed.write_text(ROWS.read_text().replace('ntu60 = { preset = "ntu60-xsub" }', f"ntu60 = {{ {small} }}", 1))
    words = ("--work", work, "--rows", changed, "--device", "cpu")
    reproduce("run", "retrieval/gfp/ntu60-xview", store, *words)
    (run,) = (work / "runs").iterdir()
    trained = (run / "checkpoint.pt").stat().st_mtime_ns
    (work / "results" / "retrieval-gfp-ntu60-xview.json").unlink()
    said = reproduce("run", "retrieval/gfp/ntu60-xview", store, *words)
    assert "published 87.1" in said.stdout
    assert "9 clips to learn from instead of 37,646" in said.stderr
    assert (run / "checkpoint.pt").stat().st_mtime_ns == trained

    # Without its record nobody knows whether a run is done, or how long it took.
    (run / "run.json").write_text("{")
    said = reproduce("run", "hours/gfp/ntu60-xsub", store, *words, fails=True)
    assert "does not say how long the run took" in " ".join(said.stderr.split())
    assert (run / "checkpoint.pt").stat().st_mtime_ns > trained

    reproduce("time", "linear/gfp/ntu60-xview", store, "--minutes", 0.01, *words)
    status = reproduce("status", *words).stdout
    shown = " ".join(status.split())
    assert "other clips than published" in shown
    assert "1 of" in shown
    assert re.search(r"AMR │ ntu60-xsub │ 87.4 │ +│ +│ published alone", shown)
    assert "HaLP; USDRL, DSTE; USDRL, STTR: a row of a batch is one body" in shown
    assert "SLiM: published is the best of 26 heads on the test clips" in shown
    assert re.search(r"takes about [\d,.]+ hours on a CPU", shown)
    assert "gfp-data import PKU-MMD-II --out STORE --protocol x-sub" in shown


@pytest.mark.timeout(LONGEST_S)
def test_what_was_found_of_an_earlier_training_is_not_taken_for_one_of_a_new_one(tmp_path: Path) -> None:
    store, work = write_store(tmp_path / "store").path, tmp_path / "work"
    rows = ("retrieval/gfp/ntu60-xsub", "hours/gfp/ntu60-xsub")

    def found() -> list[float]:
        for row in rows:
            reproduce("run", row, store, "--work", work, "--tiny", "--device", "cpu")
        results = [work / "results" / f"{row.replace('/', '-')}.json" for row in rows]
        values = [json.loads(result.read_text())["value"] for result in results]
        for result in results:
            result.unlink()
        return values

    found()
    for file in (work / "evaluations").rglob("found.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"value": 99.9}))
    assert found() == [99.9, 99.9]  # of the same training
    for run in (work / "runs").iterdir():
        checkpoint = Checkpoint.read(run)
        for weight in checkpoint.encoder.values():
            weight.add_(1)
        checkpoint.write(run)
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | {"begun": "2026-01-01T00:00:00+00:00", "wall_s": 7200}))
    accuracy, hours = found()
    assert accuracy != 99.9
    assert hours == 2


def test_a_store_whose_clips_are_not_turned_to_one_view_is_named(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=4).path
    said = reproduce("run", "linear/halp/ntu60-xsub-aligned", store, "--work", tmp_path / "work", fails=True).stderr
    assert "is not ntu60-xsub-aligned as published" in said
    assert "clips not turned to one view" in said


def test_a_transfer_to_other_clips_is_not_compared_with_the_published_value(tmp_path: Path) -> None:
    of_rows, running = (importlib.import_module(f"benchmarks.reproducing.{name}") for name in ("rows", "running"))
    known, work = of_rows.Rows(), running.Work(tmp_path)
    row = next(row for row in known.rows if row.table == "transfer" and row.published is not None)
    published, aimed_at = (known.stores[name] for name in (row.store, row.target))
    sizes = {"train": published.train, "test": published.test, "align_view": published.align_view}
    result = {
        "value": 91.0,
        "published": row.published,
        "unit": "%",
        "tiny": False,
        "commands": [],
        "device": "a CPU",
        "measured": "2026-01-01T00:00",
        "settings": running._settings_of(row, tiny=False),
        "trained_on": {**sizes, "classes": published.classes},
        "tested_on": {"train": 18, "test": 6, "classes": aimed_at.classes, "align_view": aimed_at.align_view},
    }
    difference = f"{91.0 - row.published:+.1f}"
    work.keep_result(row, result)
    shown = " ".join(reproduce("status", "--work", tmp_path).stdout.split())
    assert difference in shown
    assert "other clips than published" not in shown
    work.keep_result(row, result | {"tested_on": {**result["tested_on"], "classes": 3}})
    shown = " ".join(re.sub("│", " ", reproduce("status", "--work", tmp_path).stdout).split())
    assert difference not in shown
    assert "91.0" in shown
    assert f"in {row.target}:" in shown


def test_rows_of_several_stores_and_a_transfer_without_its_target_are_refused_in_words(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store").path
    said = reproduce("run", "linear/gfp/*", store, "--work", tmp_path / "work", fails=True).stderr
    assert "different stores, ntu120-xset, ntu120-xsub" in said
    said = reproduce("run", "transfer/mamp/ntu60-xsub", store, "--work", tmp_path / "work", fails=True).stderr
    assert "transfers to pku2-xsub; name that store with --target" in said
    assert "no row is called" in reproduce("list", "linear/nobody/*", fails=True).stderr
