"""`gfp-evaluate compare`, as a user runs it, on tiny runs."""

import csv
import errno
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

from gfp_serve.preprocess import CleanConfig, PreprocessConfig
from tests.support.small_runs import tiny_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.cli.evaluate import gfp_evaluate
from trainer.data.store import ClipStore
from trainer.encoders.gru import GruConfig
from trainer.evaluate import comparison
from trainer.evaluate.compare import measure
from trainer.evaluate.compare.scores import SCORES_FILE
from trainer.loop import Trainer
from trainer.objectives import NoObjectiveConfig
from trainer.objectives.halp import HalpConfig
from trainer.objectives.mamp import MampConfig
from trainer.start import read_start
from trainer.terms import TermsConfig

QUICK = ["--device", "cpu", "--linear-epochs", 2]


def invoke(*words: object) -> Result:
    return CliRunner().invoke(gfp_evaluate, ["compare", *map(str, words)])


def said(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)


@pytest.fixture(scope="module")
def runs(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two objectives of three seeds. Only the first of each is trained; the others are the same with some noise."""
    folder = tmp_path_factory.mktemp("runs")
    found = []
    for name, config in {"gfp": tiny_config(), "mamp": tiny_config(objective=MampConfig(decoder_depth=1))}.items():
        Trainer(replace(config, epochs=1), store, folder / f"{name}-0").fit()
        checkpoint = Checkpoint.read(folder / f"{name}-0")
        for seed in range(3):
            run = folder / f"{name}-{seed}"
            run.mkdir(exist_ok=True)
            torch.manual_seed(seed)
            noisy = {key: weight + 0.1 * torch.randn_like(weight) for key, weight in checkpoint.encoder.items()}
            replace(checkpoint, config=replace(checkpoint.config, seed=seed), encoder=noisy).write(run)
            (run / "run.json").write_text(json.dumps({"wall_s": 10.0 + seed, "of_steps": checkpoint.step}))
            found.append(run)
    return found


@pytest.fixture(scope="module")
def compared(runs: list[Path], store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A comparison with all its files, and what it printed."""
    out = tmp_path_factory.mktemp("compared")
    files = ["--csv", out / "t.csv", "--latex", out / "t.tex", "--picture", out / "t.png"]
    result = invoke(*runs, store.path, "--out", out, *QUICK, "--untrained", "--statistics", *files)
    assert result.exit_code == 0, result.output
    return out, result


def test_runs_that_differ_in_the_seed_alone_are_a_row_and_rows_are_called_by_what_differs(
    compared: tuple[Path, Result], store: ClipStore
) -> None:
    report = json.loads((compared[0] / "compare.json").read_text())
    assert [(row["name"], row["seeds"]) for row in report["rows"]] == [
        (name, [0, 1, 2]) for name in ("pose statistics", "untrained", "gfp", "mamp")
    ]
    assert report["store"]["content_sha256"] == store.content_digest
    assert report["columns"] == ["1-NN", "5-NN", "linear"]
    assert report["protocols"]["linear-probe"]["epochs"] == 2
    assert report["protocols"]["linear-probe"]["peak_lr"] == 0.1
    gfp = report["rows"][2]
    assert gfp["settings_that_differ"]["objective"] == "gfp"
    assert [run["seed"] for run in gfp["runs"]] == [0, 1, 2]


def test_a_picture_that_the_disk_refuses_is_named_and_the_scores_are_kept(
    compared: tuple[Path, Result],
    runs: list[Path],
    store: ClipStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = shutil.copytree(compared[0], tmp_path / "out")
    monkeypatch.setattr(Figure, "savefig", refuse)
    words = (*runs, store.path, "--out", out, *QUICK, "--untrained", "--statistics", "--picture", tmp_path / "new.png")
    result = invoke(*words)
    assert result.exit_code == 1
    assert "new.png cannot be used: No space left on device; free some space, and the same command" in said(result)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_mean_and_deviation_are_those_of_the_seeds_which_the_other_commands_give_too(
    compared: tuple[Path, Result], runs: list[Path], store: ClipStore
) -> None:
    report = json.loads((compared[0] / "compare.json").read_text())
    found = report["rows"][2]["scores"]["1-NN"]["top1_percent"]
    own = [CliRunner().invoke(gfp_evaluate, ["retrieval", str(run), str(store.path), "--json"]) for run in runs[:3]]
    a, b, c = seeds = [json.loads(each.stdout)["top1_percent"]["trained"] for each in own]
    assert found["seeds"] == seeds
    mean = (a + b + c) / 3
    assert found["mean"] == pytest.approx(mean)
    assert found["deviation"] == pytest.approx((((a - mean) ** 2 + (b - mean) ** 2 + (c - mean) ** 2) / 2) ** 0.5)


def test_costs_stand_beside_accuracies(compared: tuple[Path, Result]) -> None:
    report = json.loads((compared[0] / "compare.json").read_text())
    assert [row["cost"] is None for row in report["rows"]] == [True, True, False, False]
    cost = report["rows"][2]["cost"]
    clips_seen = report["rows"][2]["runs"][0]["clips_seen"]
    assert cost["clips_seen"] == clips_seen == 16  # 18 training clips are 4 steps of 4
    assert cost["wall_s"] == 11.0
    assert cost["clips_per_s"] == pytest.approx((16 / 10 + 16 / 11 + 16 / 12) / 3)
    assert cost["parameters"] > cost["encoder_parameters"] > 0
    assert cost["embedding_gflop"] > 0
    assert cost["training_pflop"] == pytest.approx(3 * cost["step_gflop"] * 16 / 1e6)


def test_tables_for_other_programs_have_the_rows_of_the_report(compared: tuple[Path, Result]) -> None:
    out, result = compared
    report = json.loads((out / "compare.json").read_text())
    lines = list(csv.DictReader(io.StringIO((out / "t.csv").read_text())))
    assert [line["name"] for line in lines] == [row["name"] for row in report["rows"]]
    score = report["rows"][3]["scores"]["linear"]["top1_percent"]
    assert float(lines[3]["linear top-1 mean"]) == pytest.approx(score["mean"], abs=1e-4)
    assert float(lines[3]["linear top-1 deviation"]) == pytest.approx(score["deviation"], abs=1e-4)
    text = (out / "t.tex").read_text()
    assert text.count(r"\\") == 2 + 4  # heads and rows
    assert r"\multicolumn{2}{c}{5-NN}" in text
    assert (out / "t.png").stat().st_size > 10_000
    printed = said(result)
    for word in ("pose statistics", "untrained", "mamp", "clips seen", "wall time", "difference to gfp"):
        assert word in printed


def test_the_same_call_measures_nothing_again_and_a_new_run_only_itself(
    compared: tuple[Path, Result], runs: list[Path], store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(compared[0], out)
    first = (out / "compare.json").read_text()
    calls: list[str] = []
    monkeypatch.setattr(measure, "retrieval", lambda *_, **__: calls.append("retrieval"))
    monkeypatch.setattr(measure, "probed", lambda *_, **__: calls.append("probed"))
    words = [*runs, store.path, "--out", out, *QUICK]
    assert invoke(*words, "--untrained", "--statistics").exit_code == 0
    assert (out / "compare.json").read_text() == first
    result = invoke(runs[0], store.path, "--out", out, *QUICK, "--json")
    assert result.exit_code == 0, result.output
    assert calls == []
    monkeypatch.undo()
    with monkeypatch.context() as patched:
        patched.setattr(measure, "retrieval", None)
        again = invoke(runs[0], store.path, "--out", out, "--device", "cpu", "--linear-epochs", 3, "--json")
    assert again.exit_code == 0, again.output  # another number of epochs: only the probe is measured
    assert "p-value" not in said(again)  # one row differs from no other


def test_ctrl_c_keeps_finished_scores_and_the_same_call_goes_on_to_the_same_report(
    compared: tuple[Path, Result], runs: list[Path], store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = [*runs, store.path, "--out", out, *QUICK, "--json"]
    linear_probe, calls = comparison.linear_probe, []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(named["key"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return linear_probe(*arguments, **named)

    monkeypatch.setattr(comparison, "linear_probe", interrupted)
    stopped = invoke(*words)
    assert stopped.exit_code == 130
    assert f"the same command goes on from what {out} holds" in said(stopped)
    assert len(json.loads((out / SCORES_FILE).read_text())["scores"]) == 5  # three retrievals and two probes
    calls[:] = ["begun", "again", "with", "more"]
    ended = invoke(*words)
    assert ended.exit_code == 0, ended.output
    assert len(calls) - 4 == 4  # six probes, of which two were done
    rows = {row["name"]: row["scores"] for row in json.loads(ended.stdout)["rows"]}
    unbroken = json.loads((compared[0] / "compare.json").read_text())["rows"]
    assert rows == {row["name"]: row["scores"] for row in unbroken if row["name"] in rows}
    assert not list(out.glob("unfinished*"))


def test_heads_have_top_5_where_there_are_more_than_five_classes(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_store(tmp_path / "store", num_clips=28, num_classes=7)
    words = ["--protocol", "linear-probe", "--protocol", "fine-tune", "--fine-tune-epochs", 1, *QUICK]
    words += ["--out", tmp_path / "out", "--csv", tmp_path / "t.csv", "--latex", tmp_path / "t.tex"]
    words += ["--trained-elsewhere"]
    seen: list[tuple[int, ...]] = []

    def six_of_seven(scores: torch.Tensor, labels: np.ndarray) -> np.ndarray:
        seen.append(tuple(scores.shape))
        return np.arange(len(labels)) < 6

    for module in ("linear_probe", "fine_tune"):
        monkeypatch.setattr(f"trainer.evaluate.{module}.among_five", six_of_seven)
    first = invoke(runs[0], store.path, *words, "--json")
    assert first.exit_code == 0, first.output
    assert set(seen) == {(7, 7)}  # test clips and classes
    report = json.loads(first.stdout)
    scores = report["rows"][0]["scores"]
    for column in ("linear", "fine-tuned"):
        assert scores[column]["top5_percent"]["mean"] == pytest.approx(600 / 7)
        assert scores[column]["top1_percent"]["mean"] <= 100
    (line,) = csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text()))
    assert line["linear top-5 mean"] == line["fine-tuned top-5 mean"] == "85.7143"
    assert (tmp_path / "t.tex").read_text().count("85.7") == 2
    # What was kept is the same, without asking again.
    monkeypatch.setattr("trainer.evaluate.linear_probe.among_five", None)
    assert json.loads(invoke(runs[0], store.path, *words, "--json").stdout)["rows"] == report["rows"]


def test_a_head_of_seven_classes_has_more_among_five_than_at_the_top(runs: list[Path], tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=28, num_classes=7)
    alone = ["linear-probe", runs[0], store.path, "--epochs", 1, "--no-augment", "--device", "cpu", "--json"]
    found = json.loads(CliRunner().invoke(gfp_evaluate, list(map(str, alone))).stdout)
    assert found["top5_percent"]["trained"] > found["top1_percent"]["trained"]


def test_fine_tuning_and_draws_and_transfer_have_columns_of_their_own(
    runs: list[Path], store: ClipStore, tmp_path: Path
) -> None:
    other = write_store(tmp_path / "other", num_clips=16)
    words = ["--protocol", "semi-supervised", "--protocol", "fine-tune", "--protocol", "transfer"]
    words += ["--transfer-to", other.path, "--ratio", 0.3, "--fine-tune-epochs", 1, "--device", "cpu", "--statistics"]
    result = invoke(runs[0], store.path, "--out", tmp_path / "out", *words, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["columns"] == ["semi 30 %", "fine-tuned", "transfer"]
    assert report["protocols"]["fine-tune"]["warmup_epochs"] == 0
    assert report["transfer_store"]["content_sha256"] == other.content_digest
    # Both have one source, with the same checksum.
    assert f"were trained on recordings that {other.path} has too: made-up" in said(result)
    for row in report["rows"]:
        assert all(0 <= row["scores"][column]["top1_percent"]["mean"] <= 100 for column in report["columns"])


def test_a_start_that_learned_from_the_tested_recordings_is_named(tmp_path: Path) -> None:
    whole, split = (write_store(tmp_path / name, tested=name == "split") for name in ("whole", "split"))
    for name in ("first", "next"):
        (tmp_path / name).mkdir()
    Trainer(tiny_config(), whole, tmp_path / "first").save()
    Trainer(tiny_config(), split, tmp_path / "next", start=read_start(tmp_path / "first")).save()
    words = ["--protocol", "retrieval", "--device", "cpu", "--json"]
    result = invoke(tmp_path / "next", split.path, "--out", tmp_path / "out", *words)
    assert f"were trained on recordings that {split.path} has too: made-up." in said(result)
    words = ["--protocol", "transfer", "--transfer-to", whole.path, "--folds", 2, "--device", "cpu"]
    refused = invoke(tmp_path / "next", split.path, "--out", tmp_path / "out", *words)
    assert refused.exit_code == 1
    assert "is the store that the encoder that it started from was pre-trained on" in said(refused)


@pytest.fixture(scope="module")
def others(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with another encoder, and one that taught its encoder nothing, both as they start."""
    folder = tmp_path_factory.mktemp("others")
    for name in ("gru", "general"):
        (folder / name).mkdir()
    halp = HalpConfig(projection_size=8, queue_keys=6, prototype_keys=6, num_prototypes=3)
    Trainer(tiny_config(encoder=GruConfig(width=8, depth=1), objective=halp), store, folder / "gru").save()
    terms = TermsConfig(label_weight=1.0, embedding_size=0, general_size=6, general_hidden_size=5)
    Trainer(tiny_config(objective=NoObjectiveConfig(), terms=terms), store, folder / "general").save()
    return folder / "gru", folder / "general"


def test_runs_of_other_encoders_and_of_no_encoder_stand_in_the_table(
    runs: list[Path], others: tuple[Path, Path], store: ClipStore, tmp_path: Path
) -> None:
    words = ["--protocol", "retrieval", "--out", tmp_path / "out", "--untrained", "--device", "cpu", "--json"]
    result = invoke(runs[0], *others, store.path, *words)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [row["name"] for row in report["rows"]] == [
        *("untrained transformer", "untrained gru", "gfp, transformer", "halp, gru", "none, transformer")
    ]
    gru, general = (row["cost"] for row in report["rows"][-2:])
    counted = ("step_gflop", "embedding_gflop", "parameters")
    assert all(gru[each] > 0 for each in counted)
    # What it learns of labels is not counted, and no token is in its embedding.
    assert [general[each] for each in counted] == [None] * 3
    assert "saw different numbers of clips" in said(result)


def test_a_run_that_learned_labels_of_clips_in_folds_is_named(
    runs: list[Path], others: tuple[Path, Path], store: ClipStore, tmp_path: Path
) -> None:
    learned = "learned the labels of 18 of the 24 clips that are tested"
    words = ["--protocol", "retrieval", "--out", tmp_path / "out", "--folds", 2, "--device", "cpu", "--json"]
    result = invoke(runs[0], others[1], store.path, *words)
    assert f"Warning: none: the encoder {learned}" in said(result)
    warnings = json.loads(result.stdout)["warnings"]
    (warning,) = (each for each in warnings if "learned the labels" in each)
    assert learned in warning
    # The other run learned from the same clips without labels.
    (warning,) = (each for each in warnings if "without labels" in each)
    assert warning.startswith("18 of the 24 clips that are tested (75 %) were learned from in pre-training")
    assert "by these rows: gfp. Their" in warning
    alone = CliRunner().invoke(gfp_evaluate, ["retrieval", str(others[1]), str(store.path), "--folds", "2", "--json"])
    assert learned in alone.stderr
    assert [learned in each for each in json.loads(alone.stdout)["warnings"]] == [True]
    probe = ["linear-probe", str(runs[0]), str(store.path), "--folds", "2", "--epochs", "1", "--no-augment"]
    assert "labels" not in CliRunner().invoke(gfp_evaluate, probe).stderr


def test_a_difference_of_nothing_has_no_minus_and_only_a_test_explains_its_p(
    runs: list[Path], store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untested = {"points": -1e-9, "p_value": None, "says": "no test: it needs 3 seeds of each row"}
    monkeypatch.setattr("trainer.cli.compare.difference_to", lambda *_: untested)
    words = ["--protocol", "retrieval", "--out", tmp_path / "out", "--statistics", "--device", "cpu"]
    shown = said(invoke(runs[0], store.path, *words))
    assert "+0.0" in shown
    assert "-0.0" not in shown
    assert "Points of top-1; no test: it needs 3 seeds of each row." in shown
    assert "p is of both sides" not in shown


def test_fine_tuning_a_run_of_another_encoder_works_and_one_without_is_refused_by_name(
    others: tuple[Path, Path], store: ClipStore, tmp_path: Path
) -> None:
    words = ["--protocol", "fine-tune", "--fine-tune-epochs", 1, "--out", tmp_path / "out", "--device", "cpu"]
    result = invoke(others[0], store.path, *words)
    assert result.exit_code == 0, result.output
    refused = invoke(*others, store.path, *words)
    assert refused.exit_code == 1
    assert f"{others[1]} learned from general features alone" in said(refused)


def test_every_run_that_cannot_be_compared_is_named_before_anything_is_measured(
    runs: list[Path], store: ClipStore, tmp_path: Path
) -> None:
    damaged, elsewhere, cleaned, failed = (tmp_path / name for name in ("damaged", "elsewhere", "cleaned", "failed"))
    for path in (damaged, elsewhere, cleaned, failed):
        shutil.copytree(runs[0], path)
    (damaged / "checkpoint.pt").write_bytes(b"cut off")
    checkpoint = Checkpoint.read(runs[0])
    replace(checkpoint, data=checkpoint.data | {"content_sha256": "0" * 64}).write(elsewhere)
    aligned = PreprocessConfig(cleaning=CleanConfig(align_view=True), sampling=checkpoint.preprocess.sampling)
    replace(checkpoint, preprocess=aligned).write(cleaned)
    nan = {name: weight * torch.nan for name, weight in checkpoint.encoder.items()}
    replace(checkpoint, encoder=nan).write(failed)
    result = invoke(runs[0], damaged, elsewhere, cleaned, failed, store.path, "--out", tmp_path / "out", *QUICK)
    assert result.exit_code == 1
    text = said(result)
    assert "4 of 5 runs cannot be compared" in text
    assert f"{failed} has weights that are NaN or infinite" in text
    assert f"{damaged / 'checkpoint.pt'} is not a readable checkpoint" in text
    assert f"{elsewhere} was trained on a store with content 000000000000…" in text
    assert f"{cleaned}: the encoder needs clips that were imported with --align-view" in text
    assert not (tmp_path / "out" / SCORES_FILE).exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--protocol", "transfer"], 2, "need each other"),
        (["--picture", "t.svg"], 2, "must end in .png"),
        (["--picture-cost", "training"], 2, "--picture-cost has no effect without --picture"),
        (["--name", "GFP"], 2, "must be RUN=NAME"),
        (["--name", "nowhere=GFP"], 1, "--name names nowhere, which is not among the runs"),
        (["--against", "halp"], 2, "the rows are gfp"),
        (["--linear-epochs", 0], 2, "--linear-epochs is 0; it must be at least 1"),
        (["--protocol", "semi-supervised", "--ratio", 0.01], 1, "at least 2 are needed"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    runs: list[Path], store: ClipStore, tmp_path: Path, words: list[object], code: int, text: str
) -> None:
    words = [tmp_path / word if word == "t.svg" else word for word in words]
    result = invoke(runs[0], store.path, "--out", tmp_path / "out", *words)
    assert result.exit_code == code, result.output
    assert text in said(result)


def test_a_run_twice_by_a_copy_is_refused_and_a_row_takes_the_name_it_is_given(
    runs: list[Path], store: ClipStore, compared: tuple[Path, Result], tmp_path: Path
) -> None:
    shutil.copytree(runs[0], tmp_path / "copy")
    result = invoke(*runs, tmp_path / "copy", store.path, "--out", tmp_path / "out", *QUICK)
    assert "has the settings and the seed of" in said(result)
    out = tmp_path / "named"
    shutil.copytree(compared[0], out)
    words = ["--name", f"{runs[1]}=GFP_ours", "--latex", tmp_path / "t.tex", "--json"]
    taken = invoke(*runs, store.path, "--out", out, *QUICK, "--statistics", "--name", f"{runs[0]}=pose statistics")
    assert "--name 'pose statistics' is the name of a row that is always called so" in said(taken)
    named = invoke(*runs, store.path, "--out", out, *QUICK, *words)
    assert [row["name"] for row in json.loads(named.stdout)["rows"]] == ["GFP_ours", "mamp"]
    assert r"GFP\_ours & " in (tmp_path / "t.tex").read_text()
