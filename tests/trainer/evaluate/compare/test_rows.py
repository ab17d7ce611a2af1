"""Names of rows, tables and the picture, of made-up values."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import CleanConfig, PreprocessConfig
from tests.support.small_runs import tiny_config
from trainer.config import TrainConfig
from trainer.evaluate.compare.picture import accuracy_against_cost, spread_out
from trainer.evaluate.compare.runs import Run, rows_of
from trainer.evaluate.compare.tables import cost_text, latex, to_latex
from trainer.objectives.mamp import MampConfig
from trainer.start import Start


def run(name: str, config: TrainConfig, start: TrainConfig | None = None) -> Run:
    preprocess = PreprocessConfig(cleaning=CleanConfig(), sampling=config.sampling)
    data: dict[str, Any] = {}
    if start is not None:
        first = Start(name=name, digest=name, config=start, preprocess=preprocess, data={}, encoder={}, terms={})
        data["started_from"] = first.origin()
    return Run(path=Path(name), config=config, preprocess=preprocess, data=data, step=1, digest=name, record={})


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


def test_places_are_spread_in_the_order_of_their_values() -> None:
    assert spread_out(np.array([5.0, 5.0, 0.0]), (0.0, 10.0), least=0.2) == pytest.approx([4.0, 6.0, 0.0])
    assert spread_out(np.array([9.0, 10.0, 9.5]), (0.0, 10.0), least=0.3) == pytest.approx([4.0, 10.0, 7.0])
    assert spread_out(np.zeros(3), (0.0, 10.0), least=0.9) == pytest.approx([0.0, 5.0, 10.0])  # as far as they can be


def test_latex_has_special_letters_escaped_and_the_best_in_bold() -> None:
    assert latex("a_b & 1 % {x} $2 #3 ~ ^ \\") == (
        r"a\_b \& 1 \% \{x\} \$2 \#3 \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    given = report(2)
    for row, mean in zip(given["rows"], (70.0, 71.04), strict=True):
        row["scores"]["1-NN"]["top1_percent"] = {"mean": mean, "deviation": 0.25, "seeds": [1, 2, 3]}
    lines = to_latex(given).splitlines()
    assert r"objective\_0 & 70.0 {\scriptsize$\pm$0.2} & " in "\n".join(lines)
    assert r"objective\_1 & \textbf{71.0} {\scriptsize$\pm$0.2} & " in "\n".join(lines)
    assert r" & 1-NN & semi 10 \% & GFLOP a step" in "\n".join(lines)
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
