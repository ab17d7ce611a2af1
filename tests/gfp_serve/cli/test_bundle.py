"""`gfp-serve bundle`: what is served, what it costs, and what was given up."""

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gfp_serve.bundle import INT8_GRAPH
from gfp_serve.cli.serve import gfp_serve
from gfp_serve.errors import MissingExtraError
from tests.support.tiny_bundle import tiny_bundle


def facts(*words: object) -> dict[str, object]:
    ended = CliRunner().invoke(gfp_serve, ["bundle", *map(str, words), "--json"])
    assert ended.exit_code == 0, ended.output
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def test_the_shipped_bundle_is_timed_with_its_preparing() -> None:
    found = facts()
    assert (found["bits"], found["bodies_of_the_timed_clip"]) == (32, 1)
    assert found["preparing_ms"] > 0  # type: ignore[operator]
    assert found["embedding_ms"] > 0  # type: ignore[operator]
    assert facts("pose-statistics", "--no-time").keys() == found.keys() - {
        *("preparing_ms", "embedding_ms", "bodies_of_the_timed_clip"),
    }


def test_what_fewer_bits_lost_is_said(tmp_path: Path) -> None:
    lost = {"weights": "signed", "centred_cosine": 0.9998, "1nn_percent": 69.0, "times_as_fast": 1.3}
    bundle = tiny_bundle()
    manifest = dataclasses.replace(
        bundle.manifest,
        graph=INT8_GRAPH,
        readout={"kind": "mean", "tokens": 75, "token_choice": "spread", "int8": lost},
    )
    dataclasses.replace(bundle, manifest=manifest).write(tmp_path / "b")
    found = facts(tmp_path / "b", "--no-time")
    assert (found["bits"], found["tokens_of_a_body"], found["lost_by_fewer_bits"]) == (8, "75, spread", lost)
    said = CliRunner().invoke(gfp_serve, ["bundle", str(tmp_path / "b"), "--no-time"]).stdout
    assert "centred cosine 0.9998" in " ".join(said.split())


def test_without_onnxruntime_the_rest_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> None:
        assert module == "gfp_serve.encoder"  # not onnxruntime itself, which would report to its maker
        raise MissingExtraError("onnxruntime is not installed")

    monkeypatch.setattr("gfp_serve.cli.bundle.load", missing)
    ended = CliRunner().invoke(gfp_serve, ["bundle", "pose-statistics"])
    assert ended.exit_code == 0
    assert "Nothing is timed: onnxruntime is not installed" in ended.stderr
    assert "pose-statistics" in ended.stdout


def test_columns_of_the_table_of_tokens_stand_in_the_order_of_the_suite(tmp_path: Path) -> None:
    asked = ["clean", "window", "rest", "linear, clean", "linear, window", "linear, rest"]
    row = {"tokens": 75, "choice": "spread", "speed_up": 9.0} | dict.fromkeys(
        ("percent", "points"), dict.fromkeys(asked, 1)
    )
    bundle = tiny_bundle()
    readout = {"kind": "mean", "token_table": {"whole": dict.fromkeys(sorted(asked), 70.0), "rows": [row]}}
    dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, readout=readout)).write(tmp_path / "b")
    shown = CliRunner().invoke(gfp_serve, ["bundle", str(tmp_path / "b"), "--no-time"]).stdout
    heads = next(line for line in shown.splitlines() if "times as fast" in line)
    assert [cell.strip() for cell in heads.split("┃")[4:-1]] == asked


def test_a_damaged_table_of_tokens_is_named(tmp_path: Path) -> None:
    bundle = tiny_bundle()
    readout = {"kind": "mean", "token_table": {"whole": {"clean": 70.0}, "rows": [{"tokens": 75}]}}
    manifest = dataclasses.replace(bundle.manifest, readout=readout)
    dataclasses.replace(bundle, manifest=manifest).write(tmp_path / "b")
    ended = CliRunner().invoke(gfp_serve, ["bundle", str(tmp_path / "b"), "--no-time"])
    assert ended.exit_code == 1
    assert "the table of tokens in the manifest" in " ".join(ended.output.split())
