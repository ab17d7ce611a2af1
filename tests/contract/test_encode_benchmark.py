"""benchmarks/encode.py on a tiny encoder: every side gives the same vector, but for 8 bits and fewer tokens."""

import json
import runpy
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from tests.support.small_runs import tiny_config, write_store
from trainer.loop import Trainer

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "encode.py"))
MAIN: click.Group = BENCHMARK["main"]


def test_all_sides_are_timed_and_whole_ones_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Trainer(tiny_config(epochs=1), write_store(tmp_path / "store"), tmp_path / "run").fit()
    monkeypatch.setitem(BENCHMARK["_sides"].__globals__, "BUDGETS", (75,))
    out, before = tmp_path / "encode.json", torch.get_num_threads()
    words = ("run", "--work", tmp_path / "work", "--run", tmp_path / "run", "--rounds", 1, "--out", out)
    try:
        ended = CliRunner().invoke(MAIN, list(map(str, words)))
    finally:
        torch.set_num_threads(before)
    assert ended.exit_code == 0, ended.output
    report = json.loads(out.read_text())
    forms = {f"ours, {form}" for form in ("standard", "attention", "fused")}
    cheaper = {"ours, 8 bits, signed", "ours, 8 bits, unsigned", "ours, 75 tokens"}
    others = {"torch, explicit softmax", "torch, fused attention", "graph as torch writes it"}
    assert report["sides"].keys() == forms | cheaper | others
    for name, side in report["sides"].items():
        assert side["ms_a_clip"] > 0
        assert (side["difference"] < 1e-5) == (name not in cheaper), name
    assert report["one_body_share"] == 0.4
    assert "| ours, fused |" in CliRunner().invoke(MAIN, ["table", "--out", str(out)]).output


def test_preparing_is_timed_beside_the_shipped_encoder_whole_and_with_gaps(tmp_path: Path) -> None:
    out = tmp_path / "shipped.json"
    ended = CliRunner().invoke(MAIN, ["shipped", "--rounds", "1", "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    sides = json.loads(out.read_text())["sides"]
    layouts = ("ntu25", "kinect20", "coco17", "mediapipe33")
    assert list(sides) == ["encode", *(f"prepare {name}{gaps}" for name in layouts for gaps in ("", ", gaps"))]
    assert all(side["of_encoding"] == side["ms_a_clip"] / sides["encode"]["ms_a_clip"] > 0 for side in sides.values())
