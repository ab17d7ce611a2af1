"""Pictures: everything is drawn where the numbers say, and all real data can be drawn."""

import io
import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from gfp_serve.layouts import LAYOUTS, NTU25, Layout
from trainer.evaluate.charts import confusion_matrix, embedding_map, learning_curves
from trainer.evaluate.learning import Epoch
from trainer.figures import LEFT_COLOUR, RIGHT_COLOUR, Strip, draw_strips
from trainer.loss_figure import loss_curves


def save(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content)
    return content.getvalue()


def make_strip(layout: Layout = NTU25, num_frames: int = 20, bodies: int = 1, **values: object) -> Strip:
    sequence = np.random.default_rng(0).normal(size=(num_frames, bodies, layout.num_joints, 3)).astype(np.float32)
    return Strip(**{"title": "walk", "sequence": sequence, "layout": layout, "fps": 10.0} | values)  # type: ignore[arg-type]


def test_each_column_of_a_strip_has_a_pose_with_its_time_and_all_bones() -> None:
    (axes,) = draw_strips([make_strip(num_frames=41)], num_poses=5).axes
    bodies = [part for part in axes.collections if isinstance(part, LineCollection)]
    assert [len(body.get_segments()) for body in bodies] == [24] * 5
    assert [text.get_text() for text in axes.texts] == ["0.0 s", "1.0 s", "2.0 s", "3.0 s", "4.0 s"]


def test_titles_are_drawn_as_they_are() -> None:
    assert save(draw_strips([make_strip(title="a$b^{$c d\udce9"), make_strip(title="{x}")]))


def test_everything_is_drawn_inside_the_axes() -> None:
    figure = draw_strips([make_strip(), make_strip(bodies=2), make_strip(num_frames=1)], num_poses=6)
    for axes in figure.axes:
        points = np.concatenate([part.get_segments() for part in axes.collections]).reshape(-1, 2)
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert left < points[:, 0].min()
        assert points[:, 0].max() < right
        assert low < points[:, 1].min()
        assert points[:, 1].max() < high


def test_left_limbs_right_limbs_and_a_second_body_differ_in_colour() -> None:
    (axes,) = draw_strips([make_strip(num_frames=1, bodies=2)]).axes
    second, first = axes.collections
    child = NTU25.joint_names.index
    colours = [tuple(colour[:3]) for colour in first.get_colors()]
    hexes = {
        name: "#{:02X}{:02X}{:02X}".format(*(round(255 * part) for part in colours[child(name) - 1]))
        for name in ("ElbowLeft", "KneeRight")
    }
    assert hexes == {"ElbowLeft": LEFT_COLOUR, "KneeRight": RIGHT_COLOUR}
    assert np.all(second.get_colors()[:, :3] > first.get_colors()[:, :3])


def test_a_person_who_faces_away_is_drawn_from_the_front() -> None:
    pose = np.zeros((1, 1, 25, 3), dtype=np.float32)
    left, right = (NTU25.joint_names.index(f"Hip{side}") for side in ("Left", "Right"))
    for seen_x in (0.2, -0.2):
        pose[0, 0, left], pose[0, 0, right] = (seen_x, 1, 0), (-seen_x, 1, 0)
        (axes,) = draw_strips([make_strip(sequence=pose)]).axes
        ends = {joint: axes.collections[0].get_segments()[joint - 1][0, 0] for joint in (left, right)}
        assert ends[left] > ends[right]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_every_layout_can_be_drawn(layout: Layout) -> None:
    assert save(draw_strips([make_strip(layout)]))


def test_gaps_clips_of_one_frame_and_clips_without_anybody_can_be_drawn() -> None:
    gaps = make_strip(bodies=2)
    gaps.sequence[5:, 1] = np.nan
    gaps.sequence[:3] = 0
    gaps.sequence[::2, 0, 7] = np.nan
    nobody = make_strip(sequence=np.full((9, 1, 25, 3), np.nan, dtype=np.float32))
    point = make_strip(sequence=np.ones((9, 1, 25, 3), dtype=np.float32))
    figure = draw_strips([gaps, nobody, point, make_strip(num_frames=1)])
    assert save(figure)
    assert "nobody is seen" in [text.get_text() for text in figure.axes[1].texts]


def test_a_title_says_by_sign_and_colour_whether_an_answer_is_right() -> None:
    strips = [make_strip(right=right) for right in (True, False, None)]
    titles = [axes.get_title(loc="left") for axes in draw_strips(strips).axes]
    assert titles == ["✓ walk", "✗ walk", "walk"]


def test_confusions_are_shares_of_the_true_class_and_unknown_has_its_own_column() -> None:
    labels, predictions = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, -1])
    axes = confusion_matrix(labels, predictions, ["sit", "walk"], title="60 % right").axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[75, 25, 0], [0, 50, 50]])
    assert axes.figure.get_suptitle() == "60 % right"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["sit", "walk", "unknown"]
    assert [text.get_text() for text in axes.texts] == ["75", "25", "50", "50"]
    without = confusion_matrix(labels[:4], predictions[:4], ["sit", "walk"]).axes[0]
    np.testing.assert_array_equal(without.images[0].get_array(), [[75, 25], [0, 0]])


def test_sixty_classes_have_names_that_can_be_read_and_numbers_where_they_say_something() -> None:
    names = [f"put on a number {number}" for number in range(60)]
    labels = np.repeat(np.arange(60), 50)
    predictions = labels.copy()
    predictions[0], predictions[50:55] = 59, 0  # 2 % of the first class, and 10 % of the second
    figure = confusion_matrix(labels, predictions, names)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes = figure.axes[0]
    beside, below = axes.get_yticklabels(), axes.get_xticklabels()
    assert all(label.get_fontsize() >= 8 for label in (*beside, *below))
    boxes = sorted((label.get_window_extent() for label in beside), key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 for lower, upper in itertools.pairwise(boxes))
    boxes = sorted((label.get_window_extent() for label in below), key=lambda box: box.x0)
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))
    width, height = canvas.get_width_height()
    for text in (*beside, *below, axes.xaxis.label, axes.yaxis.label):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert max(box.x1 / width, box.y1 / height) <= 1
    assert sorted(text.get_text() for text in axes.texts) == ["10", *["100"] * 58, "90", "98"]


def test_classes_have_numbers_on_the_map_when_there_are_more_of_them_than_colours() -> None:
    names = [f"class {number}" for number in range(40)]
    figure = embedding_map(np.eye(40), np.arange(40), names)
    assert [text.get_text() for text in figure.axes[0].texts] == [str(number) for number in range(1, 41)]
    assert [text.get_text() for text in figure.legends[0].get_texts()][7] == "8  class 7"
    few = embedding_map(np.eye(20), np.arange(20), names)
    assert not few.axes[0].texts
    assert few.legends[0].get_texts()[7].get_text() == "class 7"


@pytest.mark.parametrize("count", [60, 120])
@pytest.mark.parametrize("name", ["sit", "WALK WITH A LARGE UMBRELLA"])
def test_the_list_of_names_beside_a_map_of_many_classes_can_be_read(count: int, name: str) -> None:
    figure = embedding_map(np.eye(count), np.arange(count), [f"{name} {number}" for number in range(count)])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (names,), (axes,) = figure.legends, figure.axes
    assert len(names.get_texts()) == count
    assert all(text.get_fontsize() >= 8 for text in names.get_texts())
    boxes = [text.get_window_extent() for text in names.get_texts()]
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    marks = [mark.get_offset_transform().transform(mark.get_offsets())[0] for mark in names.legend_handles]
    assert len(marks) == count
    assert not [mark for mark, box in itertools.product(marks, boxes) if box.contains(*mark)]
    width, height = canvas.get_width_height()
    plane, whole = axes.get_window_extent(), names.get_window_extent()
    assert plane.x1 <= whole.x0
    for box in (whole, *boxes):
        assert box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    assert plane.width >= 0.9 * plane.height  # the list does not squeeze the map


def test_no_two_of_120_classes_on_a_map_have_the_same_colour_and_marker() -> None:
    axes = embedding_map(np.eye(120), np.arange(120), [f"class {number}" for number in range(120)]).axes[0]
    drawn = {(*part.get_facecolor()[0], part.get_paths()[0].vertices.tobytes()) for part in axes.collections}
    assert len(drawn) == 120


def test_the_map_keeps_clips_that_point_the_same_way_together() -> None:
    # Twelve clips in each of two directions. Their lengths, which the cosine ignores, would mix the two.
    draws = np.random.default_rng(0)
    directions = np.repeat(np.eye(5)[:2], 12, axis=0) + draws.normal(0, 0.01, (24, 5))
    vectors = directions * draws.uniform(0.1, 9, (24, 1))
    axes = embedding_map(vectors, np.repeat([0, -1], 12), ["up"], title="all").axes[0]
    shown = {part.get_label(): np.asarray(part.get_offsets()) for part in axes.collections}
    assert set(shown) == {"up", "not labelled"}
    apart = np.linalg.norm(shown["up"].mean(axis=0) - shown["not labelled"].mean(axis=0))
    assert apart > 2 * np.linalg.norm(shown["up"] - shown["up"].mean(axis=0), axis=1).max()
    assert axes.get_title(loc="left") == "all"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 40])
def test_a_map_of_few_clips_or_many_classes_can_be_drawn(count: int) -> None:
    figure = embedding_map(np.eye(40)[:count], np.arange(count), [f"class {number}" for number in range(40)])
    assert save(figure)
    assert sum(len(part.get_offsets()) for part in figure.axes[0].collections) == count


def test_a_map_of_very_many_clips_draws_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.evaluate.charts.MAX_MAP_CLIPS", 10)
    axes = embedding_map(np.eye(40), np.zeros(40, dtype=int), ["all"]).axes[0]
    assert len(axes.collections[0].get_offsets()) == 10


def test_learning_curves_mark_the_last_epoch_and_not_the_best() -> None:
    def epochs(*percents: float | None) -> list[Epoch]:
        return [Epoch(number, 1 / number, 0.1, percent) for number, percent in enumerate(percents, start=1)]

    runs = {"trained": [epochs(None, 90.0, 40.0), epochs(None, 80.0, 60.0)], "untrained": [epochs(None, 10.0, 30.0)]}
    figure = learning_curves(runs, chance_percent=25.0)
    loss, test = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["trained: 50.0", "untrained: 30.0", "chance: 25.0"]
    mean = next(line for line in test.lines if line.get_label() == "trained: 50.0")
    np.testing.assert_allclose(mean.get_data(), [[2, 3], [85, 50]])
    marks = [line.get_data() for line in test.lines if line.get_marker() == "o"]
    assert [(x[0], y[0]) for x, y in marks] == [(3, 50.0), (3, 30.0)]
    assert len(loss.lines) == 2 + 1 + 1  # two runs and their mean, and a single run
    assert save(figure)


def test_loss_curves_show_values_and_their_running_mean() -> None:
    steps = np.arange(0, 100, 10)
    axes = loss_curves(steps, {"total": np.linspace(2.0, 1.0, 10), "variance": np.zeros(10)}).axes[0]
    assert axes.get_yscale() == "linear"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), steps)
    np.testing.assert_allclose(axes.lines[1].get_ydata(), np.linspace(2.0, 1.0, 10))
    hundred = np.arange(1.0, 101.0)  # the mean is over 2 of 100 values
    long = loss_curves(np.arange(100), {"total": hundred}).axes[0]
    assert long.get_yscale() == "log"
    np.testing.assert_allclose(long.lines[1].get_ydata()[[0, 1, 99]], [1.0, 1.5, 99.5])
    assert save(loss_curves(np.array([], dtype=int), {}))


def test_a_term_that_some_steps_lack_has_a_curve_over_the_others() -> None:
    figure = loss_curves(np.arange(4), {"total": np.ones(4), "early": np.array([2.0, np.nan, 1.0, np.nan])})
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    for line in axes.lines[2:4]:  # the values, and their mean
        np.testing.assert_array_equal(line.get_xdata(), [0, 2])
        np.testing.assert_array_equal(line.get_ydata(), [2.0, 1.0])
    assert save(figure)
