"""`gfp-evaluate suite`, as a user runs it, on tiny clips and encoders."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.small_runs import moving_body, tiny_config, write_store
from trainer.checkpoint import Checkpoint, data_summary
from trainer.cli.evaluate import gfp_evaluate
from trainer.data.store_writer import StoreWriter
from trainer.evaluate.suite import run as suite_run
from trainer.evaluate.suite.changes import CHANGES
from trainer.evaluate.suite.encoders import suite_encoders
from trainer.evaluate.suite.resume import STATE_FILE
from trainer.evaluate.suite.sets import find_sets, read_set
from trainer.evaluate.suite.training_clips import TrainingStores
from trainer.loop import Trainer

SMALL = ["--device", "cpu", "--query-clips", 12, "--gallery-clips", 20]
FEW = ["--change", "window", "--change", "2d-in-2d", "--change", "turned"]


def invoke(*words: object) -> Result:
    return CliRunner().invoke(gfp_evaluate, ["suite", *map(str, words)])


def report_of(*words: object) -> dict:
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def said(result: Result) -> str:
    return " ".join(result.output.split())


def swings(*, classes: int = 4, people: int = 4, times: int = 2) -> list[Clip]:
    """Each class swings in its own way, and each person is noisy in an own way."""
    clips = []
    for number in range(classes * people * times):
        label, person = number % classes, number // classes % people
        body = moving_body(label, num_frames=50 + 2 * person)
        noise = np.random.default_rng(number).normal(0, 0.02, body.shape)
        clips.append(
            Clip(
                name=f"clip{number}",
                sequence=(body + noise).astype(np.float32),
                layout=NTU25,
                fps=30.0,
                label=f"class{label}",
                subject=str(person + 1),
            )
        )
    return clips


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip file whose people are known, and a store."""
    folder = tmp_path_factory.mktemp("data")
    write_clip_file(folder / "swings.npz", swings())
    write_store(folder / "store", num_clips=24)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    store = write_store(tmp_path_factory.mktemp("stores") / "training", num_clips=12)
    Trainer(tiny_config(), store, folder).fit()
    return folder


def test_encoders_are_called_by_the_whole_names_of_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / "mine-0.1", tmp_path / "mine-0.2"]
    for path in paths:
        shutil.copytree(SHIPPED_BUNDLES / "pose-statistics", path)
    encoders = suite_encoders([str(path) for path in paths], "cpu", with_untrained=False)
    assert [encoder.name for encoder in encoders] == ["pose-statistics", "mine-0.1", "mine-0.2"]


def test_pose_statistics_alone_are_measured_on_every_set_and_every_change(data: Path, tmp_path: Path) -> None:
    report = report_of("pose-statistics", "--data", data, *SMALL, "--out", tmp_path / "out")
    assert [each["name"] for each in report["encoders"]] == ["pose-statistics"]
    assert list(report["figures"]) == ["made-up", "swings"]
    about = report["sets"]["swings"]
    assert (about["protocol"], about["same_people"]) == ("gallery: odd subjects; queries: even ones", False)
    assert (about["num_gallery"], about["num_queries"], about["num_people"]) == ([16], 12, 2)
    found = report["figures"]["swings"]["pose-statistics"]
    assert found["changes"]["clean"]["1nn_percent"] == 100
    assert len(found["changes"]["clean"]["right_by_1"]) == 12
    assert found["linear_probe_percent"] == found["changes"]["clean"]["linear_percent"] > 90
    # A probe of the gallery as it is says nothing of one that is changed.
    of_gallery = {change.name for change in CHANGES if change.of_gallery}
    assert {name for name, each in found["changes"].items() if "linear_percent" not in each} == of_gallery
    assert found["unknown_auroc"] > 0.9
    assert found["moments"]["num_questions"] == 8
    assert found["changes"].keys() == report["changes"].keys()
    assert found["changes"]["clean"]["calibration_error"] < 0.3
    assert report["differences"] == []
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("suite.json", "suite.md", "accuracy-pose-statistics.png")
    }
    assert json.loads((tmp_path / "out" / "suite.json").read_text()) == report
    text = (tmp_path / "out" / "suite.md").read_text()
    assert "| swings | 100.0 |" in text
    assert "**rest**: The first frame is held" in text


def test_a_run_is_compared_with_pose_statistics_and_untrained_over_the_same_queries(
    data: Path, run: Path, tmp_path: Path
) -> None:
    result = invoke(run, "--data", data, *SMALL, *FEW, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "tiny against pose-statistics:" in said(result)
    assert "all sets, clean queries alone: " in said(result)
    text = (tmp_path / "out" / "suite.md").read_text()
    assert "| untrained against pose-statistics | clean queries alone |" in text
    assert "| tiny against pose-statistics | all changes |" in text
    # Two people ask.
    assert "single queries were drawn, because fewer than 5 people or recordings ask" in text
    report = json.loads((tmp_path / "out" / "suite.json").read_text())
    assert [each["name"] for each in report["encoders"]] == ["pose-statistics", "untrained", "tiny"]
    figures = report["figures"]["swings"]
    assert list(figures["tiny"]["changes"]) == ["clean", "window", "turned", "2d-in-2d"]
    assert list(figures["untrained"]["changes"]) == ["clean"]
    (pair,) = [each for each in report["differences"] if (each["first"], each["other"]) == ("tiny", "pose-statistics")]
    paired = pair["sets"]["swings"]["clean"]
    percent = [figures[name]["changes"]["clean"]["1nn_percent"] for name in ("tiny", "pose-statistics")]
    assert paired["points"] == pytest.approx(percent[0] - percent[1])
    assert paired["num_queries"] == 12
    assert paired["low"] <= paired["points"] <= paired["high"]
    assert (tmp_path / "out" / "difference-tiny.png").stat().st_size > 5000


def test_the_same_suite_gives_the_same_figures_and_another_seed_other_ones(data: Path) -> None:
    words = [
        "pose-statistics",
        "--data",
        data,
        *SMALL,
        "--set",
        "swings",
        "--change",
        "lost-joints",
        "--change",
        "noise",
    ]
    assert report_of(*words) == report_of(*words)
    assert report_of(*words, "--seed", 1)["figures"] != report_of(*words)["figures"]


def test_ctrl_c_stops_in_one_line_and_resume_measures_only_what_is_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["pose-statistics", "--data", data, *SMALL, *FEW]
    whole = report_of(*words)
    measure_set, measured = suite_run.measure_set, []

    def interrupted(given, *others):
        measured.append(given.clips.name)
        if measured == ["made-up", "swings"]:
            raise KeyboardInterrupt
        return measure_set(given, *others)

    monkeypatch.setattr(suite_run, "measure_set", interrupted)
    stopped = invoke(*words, "--out", tmp_path / "out")
    assert stopped.exit_code == 130
    assert "the same command with --resume goes on" in said(stopped)
    refused = invoke(*words, "--out", tmp_path / "out")
    assert (refused.exit_code, "add --resume" in said(refused)) == (1, True)
    other = invoke(*words, "--out", tmp_path / "out", "--resume", "--seed", 3)
    assert "seed is 3 and was 0" in said(other)
    assert report_of(*words, "--out", tmp_path / "out", "--resume") == whole
    assert measured == ["made-up", "swings", "swings"]
    assert not (tmp_path / "out" / STATE_FILE).exists()


def test_queries_of_the_store_itself_are_counted_though_cleaning_changes_their_last_digits(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=12, num_sources=2, gaps=True)
    encoder = replace(suite_encoders([], "cpu", with_untrained=False)[0], data=data_summary(store))
    stores = TrainingStores([store], [encoder])
    sets = [read_set(found, ("label",), print) for found in find_sets(store.path)]
    # Each has six clips. Subject 3, every fourth clip of the store, is the test split.
    assert [stores.overlap(encoder, given, given.clips).num_queries for given in sets] == [5, 4]


def test_clips_of_the_same_names_with_other_joints_are_told(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=12, num_sources=2)
    encoder = replace(suite_encoders([], "cpu", with_untrained=False)[0], data=data_summary(store))
    stores = TrainingStores([store], [encoder])
    given = read_set(find_sets(store.path)[0], ("label",), print)
    # As when the recordings were imported again with another rate.
    moved = [replace(clip, sequence=clip.sequence[1:]) for clip in given.clips]
    found = stores.overlap(encoder, replace(given, sha256="2" * 64), moved)
    assert found.is_doubtful
    assert found.says == (
        "it was trained on 0 of the 6 queries, by its store, and on clips with the names of 5 more, whose joints differ"
    )


def test_clips_with_other_names_and_last_digits_are_known_by_their_joints(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=12, num_sources=2)
    encoder = replace(suite_encoders([], "cpu", with_untrained=False)[0], data=data_summary(store))
    stores = TrainingStores([store], [encoder])
    given = read_set(find_sets(store.path)[0], ("label",), print)
    # As when another release cleaned them, which sums in another order.
    renamed = [replace(clip, name=f"other {clip.name}", sequence=clip.sequence + 1e-6) for clip in given.clips]
    found = stores.overlap(encoder, replace(given, sha256="2" * 64), renamed)
    assert (found.num_queries, found.is_doubtful) == (5, True)


def test_an_encoder_that_was_trained_on_the_queries_is_named_by_its_store(run: Path, tmp_path: Path) -> None:
    training = write_store(tmp_path / "training", num_clips=12)
    write_store(tmp_path / "data" / "copy", num_clips=12, tested=False)
    words = [run, "--data", tmp_path / "data", *SMALL, "--change", "window", "--no-untrained"]
    by_name = report_of(*words)["sets"]["made-up"]["trained_on"]["tiny"]
    assert "it was trained on a set of this name" in by_name["says"]
    exact = report_of(*words, "--trained-on", training.path)["sets"]["made-up"]["trained_on"]
    # Queries are the clips of subjects 0 and 2; subject 3 alone is the test split, which training leaves out.
    assert exact["tiny"]["num_queries"] == 6
    assert exact["pose-statistics"]["num_queries"] == 0


def test_a_store_asks_its_own_test_split_which_training_leaves_out(run: Path, tmp_path: Path) -> None:
    same = write_store(tmp_path / "copy", num_clips=12)
    words = [run, "--data", same.path, *SMALL, "--change", "window", "--no-untrained"]
    result = invoke(*words, "--json")
    report = json.loads(result.stdout)
    about = report["sets"]["made-up"]
    assert (about["protocol"], about["same_people"]) == (
        "queries: the store's test split; gallery: its other clips",
        False,
    )
    assert (about["num_gallery"], about["num_queries"]) == ([9], 3)
    says = "it was trained on this store, but not on its test split, which asks"
    assert about["trained_on"]["tiny"] == {"says": says, "num_queries": 0, "is_doubtful": False}
    assert "warning: made-up" not in said(result)


def test_clips_that_the_start_of_an_adapted_encoder_was_trained_on_are_named(run: Path, tmp_path: Path) -> None:
    training = write_store(tmp_path / "training", num_clips=12)
    write_store(tmp_path / "data" / "copy", num_clips=12, tested=False)
    trained = Checkpoint.read(run)
    start = {"name": "first", "digest": "0" * 64, "data": trained.data}
    other = {"content_sha256": "1" * 64, "num_clips": 4, "dimensions": 3, "sources": [], "started_from": start}
    (tmp_path / "adapted").mkdir()
    replace(trained, data=other).write(tmp_path / "adapted")
    words = [tmp_path / "adapted", "--data", tmp_path / "data", *SMALL, "--change", "window", "--no-untrained"]
    report = report_of(*words)
    assert "it was trained on a set of this name" in report["sets"]["made-up"]["trained_on"]["adapted"]["says"]
    assert report["encoders"][1]["identity"]["data"]["started_from"]["name"] == "first"
    exact = report_of(*words, "--trained-on", training.path)["sets"]["made-up"]["trained_on"]
    assert exact["adapted"]["num_queries"] == 6


def test_clips_of_the_test_split_were_not_trained_on(run: Path, tmp_path: Path) -> None:
    store = write_store(tmp_path / "training", num_clips=12)
    held = [index for index in range(12) if store.splits[index] == 1]
    cleaning = CleanConfig()
    with StoreWriter(tmp_path / "data" / "held", cleaning) as writer:
        writer.add_source("held", sha256="1" * 64)
        for number, index in enumerate(held):
            about = {
                "label": f"class{number % 2}",
                "subject": str(number // 2 % 2 + 1),
                "camera": 0,
                "split": 0,
                "fps": 30.0,
            }
            writer.add(store.cleaned(index), source="held", name=f"clip{number}", **about)
    words = [run, "--data", tmp_path / "data", *SMALL, "--change", "window", "--no-untrained"]
    found = report_of(*words, "--trained-on", store.path)["sets"]["held"]["trained_on"]["tiny"]
    assert found == {"says": "it saw none of the queries, by its store", "num_queries": 0, "is_doubtful": False}


def test_sets_that_cannot_be_used_are_left_out_with_the_reason(data: Path, tmp_path: Path) -> None:
    write_clip_file(tmp_path / "swings.npz", swings())
    write_clip_file(tmp_path / "one_class.npz", swings(classes=1))
    np.savez(tmp_path / "other.npz", keypoints=np.zeros(3))
    words = ["pose-statistics", "--data", tmp_path, *SMALL, "--change", "window"]
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    assert "one_class is left out: all clips of one_class that answer are of one class" in said(result)
    assert "other is left out:" in said(result)
    chosen = invoke(*words, "--set", "one_class")
    assert (chosen.exit_code, "are of one class" in said(chosen)) == (1, True)
    (tmp_path / "swings.npz").unlink()
    nothing = invoke(*words)
    assert nothing.exit_code == 1
    assert "none of the 2 sets can be used" in said(nothing)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["no-such-encoder"], 1, "no-such-encoder"),
        (["pose-statistics", "--query-clips", 1], 2, "--query-clips is 1; it must be at least 2"),
        (["pose-statistics", "--change", "sideways"], 2, "sideways"),
        (["pose-statistics", "--resume"], 1, "leave --resume out"),
        (["pose-statistics", "--set", "walks"], 1, "no set 'walks'; it has made-up, swings"),
        (
            ["pose-statistics", "--trained-on", "STORE"],
            1,
            "is not the store that an encoder of this suite was trained on",
        ),
    ],
)
def test_a_suite_that_cannot_be_run_is_refused_with_the_reason(
    data: Path, words: list[object], code: int, text: str
) -> None:
    given = [data / "store" if word == "STORE" else word for word in words]
    result = invoke(*given, "--data", data)
    assert result.exit_code == code, result.output
    assert text in said(result)


def test_two_encoders_of_one_name_and_an_out_that_is_a_file_are_refused(data: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "checkpoint.pt").write_bytes((run / "checkpoint.pt").read_bytes())
    assert "two encoders are called 'tiny'" in said(invoke(run, tmp_path / "tiny", "--data", data))
    (tmp_path / "notes").touch()
    assert "notes is a file" in said(invoke(run, "--data", data, "--out", tmp_path / "notes"))


def test_without_matplotlib_figures_are_written_without_pictures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["pose-statistics", "--data", data, *SMALL, "--set", "swings", "--change", "window"]
    result = invoke(*words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "There are no pictures: matplotlib is not installed" in said(result)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"suite.json", "suite.md"}


def test_a_store_that_was_aligned_is_refused_for_an_encoder_that_learned_from_clips_as_they_stand(
    run: Path, tmp_path: Path
) -> None:
    with StoreWriter(tmp_path / "aligned", CleanConfig(align_view=True)) as writer:
        writer.add_source("swings", sha256="0" * 64)
        for clip in swings():
            cleaned = clean(clip.sequence, clip.layout, CleanConfig(align_view=True))
            about = {"label": clip.label, "subject": clip.subject, "camera": 0, "split": 0, "fps": 30.0}
            writer.add(cleaned, source="swings", name=clip.name, **about)
    words = ["--data", tmp_path / "aligned", *SMALL, "--change", "window"]
    assert invoke("pose-statistics", *words).exit_code == 0
    result = invoke(run, *words)
    assert result.exit_code == 1
    assert "imported with --align-view, which cannot be undone" in said(result)
