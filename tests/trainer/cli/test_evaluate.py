"""The protocols, as a user runs them, on a tiny encoder."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.page_data import data_of
from tests.support.small_runs import moving_body, tiny_config, write_store
from trainer.cli.evaluate import gfp_evaluate
from trainer.cli.tables import print_rows
from trainer.data.store import ClipStore
from trainer.data.store_writer import StoreWriter
from trainer.evaluate import comparison
from trainer.evaluate.resume import STATE_FILE
from trainer.loop import Trainer

SHORT = ["--epochs", 1, "--warmup-epochs", 1, "--batch-clips", 6, "--head-width", 8, "--device", "cpu"]
ROWS = ["pose statistics", "untrained", "trained"]


def invoke(*words: object) -> Result:
    return CliRunner().invoke(gfp_evaluate, [str(word) for word in words])


def report_of(*words: object) -> dict:
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)


@pytest.fixture(scope="module")
def run(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    Trainer(tiny_config(), store, folder).fit()
    return folder


@pytest.fixture(scope="module")
def other_store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "other", num_clips=16)


def test_a_linear_probe_reports_its_settings_and_epochs_and_draws_pictures(
    run: Path, store: ClipStore, tmp_path: Path
) -> None:
    words = ["--epochs", 3, "--batch-clips", 6, "--no-augment", "--seed", 5, "--out", tmp_path / "out"]
    report = report_of("linear-probe", run, store.path, *words)
    assert report["store_content_sha256"] == store.content_digest
    assert (report["protocol"], report["seed"], report["num_train_clips"]) == ("linear-probe", 5, 18)
    assert (report["config"]["peak_lr"], report["config"]["augment"]) == (0.1, False)
    assert list(report["top1_percent"]) == ROWS
    assert report["encoder"]["training"]["encoder"]["width"] == 16
    for name in ROWS:
        (epochs,) = report["epochs"][name]
        assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
        assert epochs[-1]["top1_percent"] == report["top1_percent"][name]
    assert "do not report" in report["best_epoch_on_test_percent"]["warning"]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("report.json", "confusion.png", "curves.png", "map.png")
    }
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report


def test_a_linear_probe_can_read_a_fitted_read_out_too(run: Path, store: ClipStore) -> None:
    words = ["--epochs", 1, "--no-augment", "--fit", store.path]
    report = report_of("linear-probe", run, store.path, *words)
    assert list(report["top1_percent"]) == list(report["top1_percent_readout"]) == ROWS
    assert report["config"]["readout"]["kind"] == "whitened"
    assert report["config"]["readout"]["data"]["content_sha256"] == store.content_digest


@pytest.mark.parametrize("encoder", ["a run", "pose-statistics"])
def test_retrieval_writes_a_page_of_what_is_answered_wrongly(
    run: Path, store: ClipStore, tmp_path: Path, encoder: str
) -> None:
    page = tmp_path / "new" / "mistakes.html"
    words = ["retrieval", run if encoder == "a run" else encoder, store.path, "--folds", 4, "--html", page, "--json"]
    result = invoke(*words)
    report = json.loads(result.stdout)
    num_wrong = round(24 * (100 - list(report["top1_percent"].values())[-1]) / 100)
    assert num_wrong > 0
    rows = data_of(page.read_text())["rows"]
    assert len(rows) == num_wrong
    assert f"mistakes.html shows {num_wrong} of {num_wrong} test clips that are answered wrongly" in result.stderr


@pytest.mark.parametrize("protocol", ["linear-probe", "fine-tune", "semi-supervised"])
def test_protocols_that_learn_write_a_page_of_what_their_head_confuses(
    run: Path, store: ClipStore, tmp_path: Path, protocol: str
) -> None:
    page = tmp_path / "mistakes.html"
    words = ["--epochs", 1, "--no-augment"] if protocol == "linear-probe" else [*SHORT]
    words += ["--ratio", 0.2, "--num-seeds", 1] if protocol == "semi-supervised" else []
    result = invoke(protocol, run, store.path, *words, "--html", page)
    assert result.exit_code == 0, result.output
    assert "test clips that are answered wrongly" in " ".join(result.output.split())
    assert "trained: " in data_of(page.read_text())["note"]


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_read(store: ClipStore, tmp_path: Path) -> None:
    refused = invoke("retrieval", tmp_path / "no-run", store.path, "--html", tmp_path / "page.png")
    assert refused.exit_code == 2
    assert "must end in .html" in refused.output
    (tmp_path / "notes").touch()
    refused = invoke("retrieval", tmp_path / "no-run", store.path, "--html", tmp_path / "notes" / "page.html")
    assert refused.exit_code == 1
    assert "notes cannot be used" in " ".join(refused.output.split())


def test_cross_subject_folds_test_every_clip_once(run: Path, store: ClipStore) -> None:
    report = report_of("linear-probe", run, store.path, "--epochs", 1, "--no-augment", "--folds", 4)
    assert (report["num_test_clips"], report["folds"]) == (24, "4 cross-subject folds")
    assert len(report["epochs"]["trained"]) == 4


def test_fine_tuning_prints_its_rows_and_the_warning_in_a_table(run: Path, store: ClipStore, tmp_path: Path) -> None:
    result = invoke("fine-tune", run, store.path, *SHORT, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for word in ("chance", *ROWS, "6 test clips", "chosen by the test clips", "after the last epoch"):
        assert word in " ".join(result.output.split())
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("report.json", "confusion.png", "curves.png", "map.png")
    }


def test_ctrl_c_stops_in_one_line_and_resume_gives_the_report_of_an_unbroken_run(
    run: Path, store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["fine-tune", run, store.path, *SHORT]
    whole = report_of(*words)
    fine_tune, calls = comparison.fine_tune, []

    def interrupted(*arguments, **named):
        calls.append(named["key"])
        if named["key"] == "trained, fold 1":
            raise KeyboardInterrupt
        return fine_tune(*arguments, **named)

    monkeypatch.setattr(comparison, "fine_tune", interrupted)
    result = invoke(*words, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "the same command with --resume goes on" in result.output
    refused = invoke(*words, "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert "add --resume" in refused.output
    monkeypatch.setattr(comparison, "fine_tune", fine_tune)
    assert report_of(*words, "--out", tmp_path / "out", "--resume") == whole
    assert calls == ["untrained, fold 1", "trained, fold 1"]
    assert not (tmp_path / "out" / STATE_FILE).exists()


def test_a_linear_probe_goes_on_after_ctrl_c_and_probes_no_model_twice(
    run: Path, store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["linear-probe", run, store.path, "--epochs", 2, "--no-augment", "--device", "cpu"]
    whole = report_of(*words)
    linear_probe, calls = comparison.linear_probe, []

    def interrupted(*arguments, **named):
        calls.append(named["key"])
        if named["key"] == "trained, fold 1":
            raise KeyboardInterrupt
        return linear_probe(*arguments, **named)

    monkeypatch.setattr(comparison, "linear_probe", interrupted)
    result = invoke(*words, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "the same command with --resume goes on" in result.output
    refused = invoke(*words, "--out", tmp_path / "out", "--resume", "--seed", 1)
    assert "seed is 1 and was 0" in " ".join(refused.output.split())
    monkeypatch.setattr(comparison, "linear_probe", linear_probe)
    assert report_of(*words, "--out", tmp_path / "out", "--resume") == whole
    assert calls == [f"{name}, fold 1" for name in ROWS]
    assert not (tmp_path / "out" / STATE_FILE).exists()


def test_semi_supervised_reports_mean_deviation_and_the_hash_of_every_draw(
    run: Path, store: ClipStore, tmp_path: Path
) -> None:
    words = ["--ratio", 0.2, "--ratio", 0.4, "--num-seeds", 2, "--seed", 7, "--out", tmp_path / "out"]
    report = report_of("semi-supervised", run, store.path, *SHORT, *words)
    assert list(report["ratios"]) == ["0.2", "0.4"]
    for found, count in zip(report["ratios"].values(), (3, 7), strict=True):
        assert list(found["top1_percent"]) == ROWS
        assert [draw["seed"] for draw in found["draws"]] == [7, 8]
        assert [draw["num_clips"] for draw in found["draws"]] == [count, count]
        assert len({draw["names_sha256"] for draw in found["draws"]}) == 2
        for name in ROWS:
            seeds = [of_seed["top1_percent"][name] for of_seed in found["runs"]]
            assert found["top1_percent"][name]["seeds"] == seeds
            assert found["top1_percent"][name]["mean"] == pytest.approx(sum(seeds) / 2)
    assert (tmp_path / "out" / "curves.png").exists()
    result = invoke("semi-supervised", run, store.path, *SHORT, "--ratio", 0.2, "--num-seeds", 1)
    assert "20 %: 3 clips" in " ".join(result.output.split()), result.output


def test_transfer_names_both_stores_and_refuses_the_store_of_pre_training(
    run: Path, store: ClipStore, other_store: ClipStore
) -> None:
    refused = invoke("transfer", run, store.path, *SHORT)
    assert refused.exit_code == 1
    assert "is the store that the encoder was pre-trained on" in " ".join(refused.output.split())
    result = invoke("transfer", run, other_store.path, *SHORT, "--json")
    report = json.loads(result.stdout)
    assert report["transfer"]["source"]["num_clips"] == 24
    assert report["transfer"]["target"]["content_sha256"] == other_store.content_digest
    assert report["transfer"]["shared_sources"] == ["made-up"]  # both have one source, with the same checksum
    assert "from made-up (24 clips) to made-up (16 clips)" in result.stderr
    assert f"was trained on recordings that {other_store.path} has too: made-up." in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["linear-probe", "--epochs", 0], "--epochs is 0"),
        (["linear-probe", "--seed", 2**64], "--seed is 18446744073709551616; it must lie between 0 and"),
        (["fine-tune", "--seed", 2**64], "--seed is 18446744073709551616; it must lie between 0 and"),
        (["fine-tune", "--drop-path", 1], "--drop-path is 1.0"),
        (["semi-supervised", "--num-seeds", 0], "0 is not in the range"),
    ],
)
def test_a_bad_setting_is_named_with_exit_code_2(run: Path, store: ClipStore, words: list[object], said: str) -> None:
    result = invoke(words[0], run, store.path, *words[1:])
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["linear-probe", "--folds", 9], "--folds is 9; it must be at least 2"),
        (["semi-supervised", "--ratio", 0.01], "at least 2 are needed"),
        (["fine-tune", "--resume"], "leave --resume out"),
    ],
)
def test_an_evaluation_that_cannot_be_done_is_refused_with_the_reason(
    run: Path, store: ClipStore, words: list[object], said: str
) -> None:
    result = invoke(words[0], run, store.path, *words[1:])
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize("protocol", ["retrieval", "linear-probe", "fine-tune", "semi-supervised"])
def test_an_out_that_is_a_file_is_refused_before_training(protocol: str, store: ClipStore, tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    result = invoke(protocol, tmp_path / "no-run", store.path, "--out", tmp_path / "notes")
    assert result.exit_code == 1
    assert "notes is a file; name a folder" in " ".join(result.output.split())  # the missing run is not mentioned


def test_the_error_for_clips_without_labels_is_about_labels_and_not_about_a_split(run: Path, tmp_path: Path) -> None:
    cleaning = CleanConfig()
    with StoreWriter(tmp_path / "store", cleaning) as writer:
        writer.add_source("made-up", sha256="0" * 64)
        clip = clean(moving_body(0), NTU25, cleaning)
        about = {"source": "made-up", "name": "a", "label": None, "subject": "0", "camera": 0, "split": 0, "fps": 30.0}
        writer.add(clip, **about)
    result = invoke("retrieval", run, tmp_path / "store")
    assert result.exit_code == 1
    assert "none of the 1 clips in the store has a label" in " ".join(result.output.split())


def test_a_table_shows_a_source_with_brackets_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    report = {"protocol": "transfer", "num_test_clips": 4, "folds": "2 folds", "chance_percent": 50.0}
    print_rows(report | {"top1_percent": {"trained": 75.0}, "top1_percent_readout": {}}, caption="from [/a] to [red]b")
    assert "From [/a] to [red]b." in capsys.readouterr().out
