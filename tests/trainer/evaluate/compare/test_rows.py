"""Names of rows, tables and the picture, of made-up values."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import CleanConfig, PreprocessConfig
from tests.support.small_runs import TINY_ENCODER, tiny_config, write_store
from trainer.checkpoint import data_summary
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.encoders.gru import GruConfig
from trainer.evaluate.compare.contestants import contestants_of
from trainer.evaluate.compare.measure import Data
from trainer.evaluate.compare.picture import PictureCost, accuracy_against_cost, spread_out
from trainer.evaluate.compare.report import make_report, warnings_of
from trainer.evaluate.compare.runs import Run, rows_of
from trainer.evaluate.compare.scores import Figures
from trainer.evaluate.compare.settings import CompareConfig
from trainer.evaluate.compare.tables import cost_text, latex, to_latex
from trainer.evaluate.folds import cross_subject_folds, split_folds
from trainer.objectives.halp import HalpConfig
from trainer.objectives.mamp import MampConfig
from trainer.start import Start


def run(
    name: str, config: TrainConfig, start: TrainConfig | None = None, record: Mapping[str, Any] | None = None
) -> Run:
    preprocess = PreprocessConfig(cleaning=CleanConfig(), sampling=config.sampling)
    data: dict[str, Any] = {}
    if start is not None:
        first = Start(
            name=name, digest=name, config=start, preprocess=preprocess, data={}, step=5, encoder={}, terms={}
        )
        data["started_from"] = first.origin()
    return Run(
        path=Path(name), config=config, preprocess=preprocess, data=data, step=1, digest=name, record=record or {}
    )


def names(*configs: TrainConfig) -> list[str]:
    return [row.name for row in rows_of([run(str(n), each) for n, each in enumerate(configs)], {})]


def test_a_row_is_called_by_what_tells_it_from_the_others() -> None:
    gfp, mamp = tiny_config(), tiny_config(objective=MampConfig(decoder_depth=1))
    assert names(gfp, tiny_config(seed=1), mamp) == ["gfp", "mamp"]
    assert names(gfp) == ["gfp"]
    assert names(gfp, tiny_config(batch_clips=8)) == ["batch-clips 4", "batch-clips 8"]
    assert names(gfp, tiny_config(epochs=3), mamp) == ["gfp, epochs 2", "gfp, epochs 3", "mamp"]
    # Where it was trained, and how often it was saved, makes no other row.
    assert names(gfp, tiny_config(seed=1, num_threads=1, save_every_epochs=2)) == ["gfp"]


def test_runs_that_start_from_others_are_rows_of_their_own_by_the_settings_of_these() -> None:
    gfp, mamp = tiny_config(), tiny_config(objective=MampConfig(decoder_depth=1))
    runs = [run("alone", gfp), run("other", gfp, start=mamp)]
    # Each seed may start from a run with its own seed.
    runs += [run(f"seed {seed}", tiny_config(seed=seed), start=tiny_config(seed=seed)) for seed in range(2)]
    rows = rows_of(runs, {})
    assert [[each.path.name for each in row.runs] for row in rows] == [["alone"], ["other"], ["seed 0", "seed 1"]]
    assert [row.name.rpartition(" ")[0] or row.name for row in rows] == ["gfp", "from mamp", "from gfp"]


def test_runs_that_start_from_runs_on_other_clips_are_rows_of_their_own() -> None:
    runs = [run(name, tiny_config(), start=tiny_config()) for name in ("a", "b")]
    for each in runs:
        each.data["started_from"]["data"] = {"content_sha256": 64 * each.digest}
    assert [[each.path.name for each in row.runs] for row in rows_of(runs, {})] == [["a"], ["b"]]


def test_clips_that_a_start_saw_make_other_numbers_of_clips() -> None:
    one, other = run("a", tiny_config()), run("b", tiny_config(), start=tiny_config())
    rows = rows_of([one, other], {})
    (said,) = (each for each in warnings_of({"rows": []}, rows, []) if "numbers of clips" in each)
    assert said.startswith(f"the runs saw different numbers of clips: {rows[0].name}: 4; {rows[1].name}: 4 after 20 of")
    assert other.clips_seen_before == 20  # 5 steps of 4 clips
    del other.data["started_from"]["clips_seen"]  # as earlier releases wrote it
    assert "4 after an unknown number of its start" in " ".join(warnings_of({"rows": []}, rows, []))


def test_tested_clips_that_runs_learned_from_without_labels_are_counted(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    trained = replace(run("a", tiny_config()), data=data_summary(store))
    rows = rows_of([trained, run("b", tiny_config(objective=MampConfig(decoder_depth=1)))], {})
    by_folds = Data(store=store, folds=cross_subject_folds(store, 2))
    (said,) = (each for each in warnings_of({"rows": []}, rows, [by_folds]) if "without labels" in each)
    assert said.startswith("9 of the 12 clips that are tested (75 %) were learned from in pre-training, without labels")
    assert "by these rows: gfp. Their" in said
    by_split = Data(store=store, folds=split_folds(store))
    assert "without labels" not in " ".join(warnings_of({"rows": []}, rows, [by_split]))


def test_a_run_that_was_made_longer_is_named_beside_one_that_had_its_epochs_from_the_start() -> None:
    unbroken = run("a", tiny_config())
    data = {"content_sha256": "1" * 64, "lengths": [[1, 0], [2, 3]]}
    longer = replace(run("b", tiny_config(seed=1)), data=data)
    (said,) = (each for each in warnings_of({"rows": []}, rows_of([unbroken, longer], {}), []) if "--epochs" in each)
    assert said.endswith("than that of the others: b: it had --epochs 1 from step 0 on and --epochs 2 from step 3 on.")
    started = replace(run("c", tiny_config()), data={"content_sha256": "2" * 64, "started_from": {"data": data}})
    (of_start,) = started.lengths
    assert of_start.startswith("the encoder that it started from had --epochs 1 from step 0 on and")
    again = replace(longer, path=Path("d"), config=tiny_config(seed=2))
    assert "--epochs" not in " ".join(warnings_of({"rows": []}, rows_of([longer, again], {}), []))


def test_settings_that_rows_differ_in_and_that_their_names_do_not_show_are_named() -> None:
    gfp = run("a", tiny_config(num_frames=24))
    mamp = run("b", tiny_config(objective=MampConfig(decoder_depth=2), encoder=replace(TINY_ENCODER, width=32)))

    def hidden(runs: list[Run], names: Mapping[Path, str] | None = None) -> list[str]:
        return [each for each in warnings_of({"rows": []}, rows_of(runs, names or {}), []) if "do not show" in each]

    (said,) = hidden([gfp, mamp])
    assert said == (
        "the rows also differ in settings that their names do not show: num-frames (gfp: 24; mamp: 120); "
        "width (gfp: 16; mamp: 32)."
    )
    shown = [run("a", tiny_config()), run("b", tiny_config(epochs=3))]
    assert hidden(shown) == []  # they are called by it
    (said,) = hidden(shown, {Path("a"): "short", Path("b"): "long"})
    assert "epochs (short: 2; long: 3)" in said


def test_two_rows_of_few_seeds_have_no_p_value_and_one_row_alone_needs_none() -> None:
    rows = rows_of([run("a", tiny_config())], {})
    said = [" ".join(warnings_of({"rows": [{"seeds": [0]}] * number}, rows, [])) for number in (1, 2)]
    assert ["no p-value" in each for each in said] == [False, True]


def report_of(runs: list[Run], store: ClipStore, *, with_untrained: bool = False) -> dict[str, Any]:
    rows = rows_of(runs, {})
    contestants = contestants_of(rows, with_untrained=with_untrained, with_statistics=False)
    figures: dict[str, list[Figures]] = {name: [] for name in contestants}
    return make_report(
        rows, contestants, figures, (), CompareConfig(), Data(store=store, folds=split_folds(store)), None, device="cpu"
    )


def test_seconds_of_seeds_that_were_not_trained_alike_have_no_mean(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    on_cpu = {"wall_s": 2.0, "device": "cpu", "precision": "fp32", "machine": {"cores": 2}}
    on_gpu = {"wall_s": 1.0, "device": "cuda", "precision": "bf16", "machine": {"cores": 16, "gpu": "a GPU"}}
    alike = [run("a", tiny_config(), record=on_cpu), run("b", tiny_config(seed=1), record=on_cpu)]
    (row,) = report_of(alike, store)["rows"]
    assert (row["cost"]["clips_per_s"], row["cost"]["wall_s"]) == (2.0, 2.0)
    mixed = [alike[0], run("b", tiny_config(seed=1), record=on_gpu)]
    (row,) = report_of(mixed, store)["rows"]
    assert (row["cost"]["clips_per_s"], row["cost"]["wall_s"]) == (None, None)
    assert [(each["device"], each["precision"], each["machine"]["cores"]) for each in row["runs"]] == [
        ("cpu", "fp32", 2),
        ("cuda", "bf16", 16),
    ]
    said = " ".join(warnings_of({"rows": []}, rows_of(mixed, {}), []))
    assert "the seeds of gfp were not trained alike" in said
    assert "a device cpu, precision fp32" in said
    assert "trained alike" not in " ".join(warnings_of({"rows": []}, rows_of(alike, {}), []))
    threads = [alike[0], run("b", tiny_config(seed=1, num_threads=1), record=on_cpu)]
    assert "num_threads 1" in " ".join(warnings_of({"rows": []}, rows_of(threads, {}), []))


def test_evaluations_of_a_run_are_part_of_its_seconds(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    alone = run("a", tiny_config(), record={"wall_s": 2.0})
    evaluated = run("b", tiny_config(seed=1, evaluate_every_epochs=1), record={"wall_s": 3.0})
    (row,) = report_of([alone, evaluated], store)["rows"]
    assert (row["cost"]["clips_per_s"], row["cost"]["wall_s"]) == (None, None)
    assert [each["evaluate_every_epochs"] for each in row["runs"]] == [0, 1]
    said = " ".join(warnings_of({"rows": []}, rows_of([alone, evaluated], {}), []))
    assert "a evaluate_every_epochs 0; b evaluate_every_epochs 1" in said
    assert "include evaluations" not in said  # the seconds of the row are left out
    mamp = tiny_config(objective=MampConfig(decoder_depth=1), evaluate_every_epochs=2)
    said = " ".join(warnings_of({"rows": []}, rows_of([alone, run("c", mamp)], {}), []))
    assert "include evaluations, which not all rows did alike: gfp: never; mamp: every 2 epochs." in said


def test_the_report_names_the_packages_of_encoders_and_objectives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainConfig, "packages", lambda _: {"objective": "theirs"})
    (row,) = report_of([run("a", tiny_config())], write_store(tmp_path / "store"))["rows"]
    assert row["runs"][0]["packages"] == {"objective": "theirs"}


def test_a_whole_training_costs_three_passes_of_each_clip_and_with_a_start_it_is_not_known(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    alone, started = (
        row["cost"]
        for row in report_of([run("a", tiny_config()), run("b", tiny_config(), tiny_config())], store)["rows"]
    )
    assert alone["training_pflop"] == pytest.approx(3 * alone["step_gflop"] * 1e9 * 4 / 1e15)
    assert (started["step_gflop"], started["training_pflop"]) == (alone["step_gflop"], None)


def test_pose_statistics_do_not_depend_on_the_order_of_runs() -> None:
    runs = [run("a", tiny_config()), run("b", tiny_config(num_frames=240)), run("c", tiny_config(seed=1))]
    runs.append(run("d", tiny_config(seed=1, keep_absent_bodies=True)))
    found = []
    for order in (runs, runs[::-1]):
        contestants = contestants_of(rows_of(order, {}), with_untrained=False, with_statistics=True)
        of_statistics = {name: own for name, own in contestants.items() if name.startswith("pose statistics")}
        found.append({name: [(each.seed, each.preprocess) for each in own] for name, own in of_statistics.items()})
    assert found[0] == found[1]
    assert list(found[0]) == ["pose statistics, 120 frames", "pose statistics, 240 frames"]
    assert [seed for seed, _ in found[0]["pose statistics, 120 frames"]] == [0, 1]
    assert not any(each.sampling.keep_absent_bodies for own in found[0].values() for _, each in own)
    (name, *_) = contestants_of(rows_of(runs[:1], {}), with_untrained=False, with_statistics=True)
    assert name == "pose statistics"


def test_untrained_rows_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    wide = replace(TINY_ENCODER, width=32)
    mamp = MampConfig(decoder_depth=1)
    runs = [run("a", tiny_config()), run("b", tiny_config(objective=mamp, encoder=wide, num_frames=24))]
    rows = report_of(runs, write_store(tmp_path / "store"), with_untrained=True)["rows"]
    assert [row["name"] for row in rows[:2]] == [
        "untrained transformer, num-frames 120, width 16",
        "untrained transformer, num-frames 24, width 32",
    ]
    assert [row["settings_that_differ"] for row in rows[:2]] == [
        {"num_frames": 120, "width": 16},
        {"num_frames": 24, "width": 32},
    ]
    halp = HalpConfig(projection_size=8, queue_keys=6, prototype_keys=6, num_prototypes=3)
    gru = run("c", tiny_config(encoder=GruConfig(width=8, depth=1), objective=halp))
    for chosen, names in (
        (runs[:1], ["untrained"]),
        ([runs[0], gru], ["untrained transformer", "untrained gru"]),
    ):
        found = contestants_of(rows_of(chosen, {}), with_untrained=True, with_statistics=False)
        assert [name for name in found if name.startswith("untrained")] == names


def test_two_names_for_a_row_and_one_for_two_are_refused() -> None:
    runs = [run("a", tiny_config()), run("b", tiny_config(seed=1)), run("c", tiny_config(epochs=3))]
    assert [row.name for row in rows_of(runs, {Path("b"): "ours"})] == ["ours", "epochs 3"]
    with pytest.raises(InvalidRequestError, match="gives one row several names: ours, theirs"):
        rows_of(runs, {Path("a"): "ours", Path("b"): "theirs"})
    with pytest.raises(InvalidRequestError, match="two rows are called 'ours'"):
        rows_of(runs, {Path("a"): "ours", Path("c"): "ours"})


def report(num_rows: int, *, name: str = "objective_{}") -> dict[str, Any]:
    draws = np.random.default_rng(0)
    rows = []
    for number in range(num_rows):
        mean = 60 + draws.uniform(0, 4)
        score = {"mean": mean, "deviation": 0.4, "seeds": [mean - 0.4, mean, mean + 0.4]}
        cost = None
        if number:
            cost = {"step_gflop": 10 ** draws.uniform(0, 1), "embedding_gflop": 28.3, "parameters": 6.3e6}
            cost |= {"training_pflop": 1e3 * cost["step_gflop"]}
            cost |= {"clips_seen": 1e5, "clips_per_s": None, "wall_s": 7200.0}
        scores = {column: {"top1_percent": score, "top5_percent": None} for column in ("1-NN", "semi 10 %")}
        rows.append({"name": name.format(number), "seeds": [0, 1, 2], "scores": scores, "cost": cost})
    store = {"num_test_clips": 24, "content_sha256": "0" * 64}
    return {"columns": ["1-NN", "semi 10 %"], "rows": rows, "store": store}


def test_names_in_the_picture_do_not_lie_on_each_other_with_twelve_rows() -> None:
    figure = accuracy_against_cost(report(12, name="objective {} with a long name"))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    for axes in figure.axes:
        # Of the name alone: an annotation's own extent has its line too.
        boxes = sorted((Text.get_window_extent(text) for text in axes.texts), key=lambda box: box.y0)
        assert len(boxes) == 12
        assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
        assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)


@pytest.mark.parametrize(("cost", "largest"), [("step", 1e1), ("training", 1e4), ("embedding", 28.3)])
def test_the_picture_shows_the_cost_that_is_asked_for(cost: PictureCost, largest: float) -> None:
    axes = accuracy_against_cost(report(4), cost).axes[0]
    assert largest / 10 < axes.get_xlim()[1] < 2 * largest
    assert cost in axes.get_xlabel()


def test_places_are_spread_in_the_order_of_their_values() -> None:
    assert spread_out(np.array([5.0, 5.0, 0.0]), (0.0, 10.0), least=0.2) == pytest.approx([4.0, 6.0, 0.0])
    assert spread_out(np.array([9.0, 10.0, 9.5]), (0.0, 10.0), least=0.3) == pytest.approx([4.0, 10.0, 7.0])
    assert spread_out(np.zeros(3), (0.0, 10.0), least=0.9) == pytest.approx([0.0, 5.0, 10.0])  # as far as they can be


def test_latex_has_special_letters_escaped_and_the_best_in_bold() -> None:
    assert latex("a_b & 1 % {x} $2 #3 ~ ^ \\ |<>") == (
        r"a\_b \& 1 \% \{x\} \$2 \#3 \textasciitilde{} \textasciicircum{} \textbackslash{} "
        r"\textbar{}\textless{}\textgreater{}"
    )
    given = report(2)
    for row, mean in zip(given["rows"], (70.0, 71.04), strict=True):
        row["scores"]["1-NN"]["top1_percent"] = {"mean": mean, "deviation": 0.25, "seeds": [1, 2, 3]}
    lines = to_latex(given).splitlines()
    assert r"objective\_0 & 70.0 {\scriptsize$\pm$0.2} & " in "\n".join(lines)
    assert r"objective\_1 & \textbf{71.0} {\scriptsize$\pm$0.2} & " in "\n".join(lines)
    assert r" & 1-NN & semi 10 \% & GFLOP a clip in a step" in "\n".join(lines)
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len({line.count(" & ") for line in rows}) == 1
    begin = next(line for line in lines if line.startswith(r"\begin"))
    assert begin == r"\begin{tabular}{l" + "r" * rows[0].count(" & ") + "}"


def test_costs_are_as_people_read_them() -> None:
    cost = {"step_gflop": 0.0312, "parameters": 6.34e6, "wall_s": 5400.0, "clips_seen": 123456.0, "clips_per_s": None}
    assert [cost_text(cost, name) for name in cost] == ["0.031", "6.34", "90.0 min", "123,456", ""]


def test_a_very_long_name_is_cut_in_the_picture() -> None:
    figure = accuracy_against_cost(report(2, name="{}" + 9000 * "n"))
    FigureCanvasAgg(figure).draw()
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert all(len(label) < 110 and "…" in label for label in labels)


def test_no_name_begins_with_what_latex_takes_for_a_space_between_rows() -> None:
    lines = to_latex(report(2, name="[red] {}")).splitlines()
    assert not any(line.startswith("[") for line in lines)
    assert any(line.startswith("{[}red] 1 &") for line in lines)
    assert not any(line.startswith("*") for line in to_latex(report(2, name="*ours {}")).splitlines())
