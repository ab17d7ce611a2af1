"""`gfp-evaluate tokens`: a table of budgets, which a bundle then carries."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gfp_serve.bundle import Bundle
from gfp_serve.cli.serve import gfp_serve
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from tests.support.small_runs import moving_body, tiny_config, write_store
from trainer.cli.evaluate import gfp_evaluate
from trainer.cli.export import gfp_export
from trainer.loop import Trainer


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of other seeds."""
    folder = tmp_path_factory.mktemp("runs")
    store = write_store(folder / "store")
    for seed in (0, 1):
        Trainer(tiny_config(seed=seed), store, folder / str(seed)).fit()
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, two people."""
    folder = tmp_path_factory.mktemp("sets")
    clips = []
    for number in range(24):
        label, person = number % 3, number // 3 % 2
        body = moving_body(label, num_frames=40)
        noise = np.random.default_rng(number).normal(0, 0.02, body.shape)
        sequence = (body + noise).astype(np.float32)
        subject = str(person + 1)
        clips.append(
            Clip(name=str(number), sequence=sequence, layout=NTU25, fps=30.0, label=f"class{label}", subject=subject)
        )
    write_clip_file(folder / "swings.npz", clips)
    return folder


def tokens(*words: object) -> Result:
    return CliRunner().invoke(gfp_evaluate, ["tokens", *map(str, words)])


@pytest.fixture(scope="module")
def table(runs: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("table") / "tokens.json"
    kinds = ("--token-choice", "spread", "--token-choice", "motion")
    ended = tokens(runs / "0", "--data", data, "--tokens", 30, *kinds, "--change", "rest", "--out", out)
    assert ended.exit_code == 0, ended.output
    assert "points more or less than without --tokens" in ended.output
    return out


def test_each_budget_is_measured_beside_the_whole_embedding(table: Path) -> None:
    report: dict[str, Any] = json.loads(table.read_text())
    assert [(row["tokens"], row["choice"]) for row in report["rows"]] == [(30, "spread"), (30, "motion")]
    assert report["sets"].keys() == {"swings"}
    for row in report["rows"]:
        assert row["speed_up"] > 0
        assert row["percent"].keys() == report["whole"].keys() == {"clean", "rest", "linear, clean", "linear, rest"}
        for what, points in row["points"].items():
            assert points == pytest.approx(row["percent"][what] - report["whole"][what])


def test_a_table_of_a_fitted_readout_goes_into_a_bundle_that_has_it(runs: Path, data: Path, tmp_path: Path) -> None:
    write_store(tmp_path / "store", num_clips=40)
    fitted = ("--fit", tmp_path / "store", "--readout-size", 8)
    out = tmp_path / "fitted.json"
    ended = tokens(runs / "0", "--data", data, "--tokens", 30, "--change", "rest", *fitted, "--out", out)
    assert ended.exit_code == 0, ended.output
    given = ("--clips", data / "swings.npz", "--tokens", 30, "--token-table", out)

    def export(name: str, *words: object) -> Result:
        return CliRunner().invoke(gfp_export, list(map(str, (runs / "0", "--out", tmp_path / name, *given, *words))))

    ended = export("fitted", *fitted)
    assert ended.exit_code == 0, ended.output
    assert "is not in the manifest" not in ended.output
    readout = Bundle.read(tmp_path / "fitted").manifest.readout
    report = json.loads(out.read_text())
    assert (readout["kind"], readout["token_table"]["whole"]) == ("whitened", report["whole"])
    for others in ((), ("--fit", tmp_path / "store", "--readout-size", 9)):
        ended = export("other", *others)
        assert ended.exit_code == 2
        assert "measured with another read-out or other --shares" in " ".join(ended.output.split())


def test_a_readout_that_was_fitted_on_the_queries_is_doubted(runs: Path, tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=40, tested=False)
    out = tmp_path / "t.json"
    fitted = ("--fit", store.path, "--readout-size", 8)
    ended = tokens(runs / "0", "--data", store.path, "--tokens", 30, "--change", "rest", *fitted, "--out", out)
    assert ended.exit_code == 0, ended.output
    about = json.loads(out.read_text())["trained_on"]["made-up"]
    assert about["is_doubtful"]
    assert about["says"] == "its read-out was fitted on 20 of the 20 queries"
    said = " ".join(ended.output.split())
    assert said.count("may find less than the plain mean does") == 1  # not for each number of tokens


def test_a_set_that_is_not_there_is_told_before_a_readout_is_fitted(
    runs: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.cli.tokens.budget_models", lambda *_: pytest.fail("fitted"))
    ended = tokens(runs / "0", "--data", data, "--set", "elsewhere")
    assert ended.exit_code == 1
    assert "has no set 'elsewhere'" in ended.output


def test_doubts_about_the_sets_go_into_the_bundle(runs: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.json"
    assert tokens(runs / "0", "--data", data, "--tokens", 30, "--change", "rest", "--out", out).exit_code == 0
    report = json.loads(out.read_text())
    report["trained_on"]["swings"] = {"says": "it was trained on it", "num_queries": None, "is_doubtful": True}
    out.write_text(json.dumps(report))
    given = ("--clips", data / "swings.npz", "--tokens", 30, "--token-table", out, "--out", tmp_path / "b")
    assert CliRunner().invoke(gfp_export, list(map(str, (runs / "0", *given)))).exit_code == 0
    shown = CliRunner().invoke(gfp_serve, ["bundle", str(tmp_path / "b"), "--no-time"])
    assert "warning: swings: it was trained on it. What fewer tokens cost" in " ".join(shown.output.split())


def test_shares_of_a_run_that_has_none_are_refused(runs: Path, data: Path) -> None:
    ended = tokens(runs / "0", "--data", data, "--shares", 1, 0, 0)
    assert ended.exit_code == 2
    assert "--shares is of runs that learned an embedding" in " ".join(ended.output.split())


def test_a_bundle_without_a_table_says_that_the_price_of_fewer_tokens_is_not_known(
    runs: Path, data: Path, tmp_path: Path
) -> None:
    given = ("--clips", data / "swings.npz", "--tokens", 30, "--out", tmp_path / "b")
    ended = CliRunner().invoke(gfp_export, list(map(str, (runs / "0", *given))))
    assert ended.exit_code == 0, ended.output
    assert "gfp-evaluate tokens --tokens 30 --out FILE measures it" in " ".join(ended.output.split())
    facts = json.loads(CliRunner().invoke(gfp_serve, ["bundle", str(tmp_path / "b"), "--no-time", "--json"]).stdout)
    assert facts["lost_by_fewer_tokens"] == "not measured"


def test_a_bundle_carries_the_table_of_its_own_run_only(runs: Path, data: Path, table: Path, tmp_path: Path) -> None:
    def export(run: str, *words: object) -> Result:
        given = ("--clips", data / "swings.npz", "--token-table", table, "--out", tmp_path / run)
        return CliRunner().invoke(gfp_export, list(map(str, (runs / run, *given, *words))))

    assert export("0", "--tokens", 30).exit_code == 0
    readout = Bundle.read(tmp_path / "0").manifest.readout
    report = json.loads(table.read_text())
    assert (readout["tokens"], readout["token_choice"]) == (30, "spread")
    assert readout["token_table"] == {"sets": ["swings"], "whole": report["whole"], "rows": report["rows"]}
    assert "doubts" not in readout["token_table"]
    shown = CliRunner().invoke(gfp_serve, ["bundle", str(tmp_path / "0"), "--no-time"])
    assert shown.exit_code == 0, shown.output
    assert "30, spread" in shown.output
    assert " ".join(shown.output.split()).count("spread, this bundle") == 1
    heads = next(line for line in shown.output.splitlines() if "times as fast" in line)
    assert [cell.strip() for cell in heads.split("┃")[4:-1]] == ["clean", "rest", "linear, clean", "linear, rest"]
    assert "the mean of swings" in " ".join(shown.output.split())
    other = export("1", "--tokens", 30)
    assert other.exit_code == 2
    assert "measured with other weights" in " ".join(other.output.split())
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--tokens", 31), "has no row of 31 tokens, spread; it has 30 tokens, spread; 30 tokens, motion."),
        (("--tokens", 30, "--token-choice", "time"), "has no row of 30 tokens, time"),
        (("--tokens", 30, "--time-parts", 3), "measured with another read-out or other --shares"),
    ],
)
def test_a_table_of_another_embedding_is_refused(
    runs: Path, data: Path, table: Path, tmp_path: Path, words: tuple[object, ...], problem: str
) -> None:
    given = ("--clips", data / "swings.npz", "--token-table", table, "--out", tmp_path / "b", *words)
    ended = CliRunner().invoke(gfp_export, list(map(str, (runs / "0", *given))))
    assert ended.exit_code == 2
    assert problem in " ".join(ended.output.split())


def test_what_is_not_a_table_is_refused(runs: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"rows": [{"tokens": 1}]}')
    for name in ("other.json", "missing.json"):
        words = ("--clips", data / "swings.npz", "--token-table", tmp_path / name, "--out", tmp_path / "b")
        ended = CliRunner().invoke(gfp_export, list(map(str, (runs / "0", *words))))
        assert ended.exit_code == 2
        assert "is not a table that gfp-evaluate tokens --out wrote" in " ".join(ended.output.split())


def test_a_table_that_cannot_be_written_is_refused_before_the_work(runs: Path, data: Path, tmp_path: Path) -> None:
    ended = tokens(runs / "0", "--data", data, "--out", tmp_path / "missing" / "t.json")
    assert ended.exit_code == 1
    assert "t.json cannot be used: No such file or directory" in " ".join(ended.output.split())
    assert "timing" not in ended.output


def test_more_tokens_than_a_body_has_are_refused(runs: Path, data: Path) -> None:
    ended = tokens(runs / "0", "--data", data, "--tokens", 999)
    assert ended.exit_code == 1
    assert "must be from 1 to 750" in " ".join(ended.output.split())
