"""Pictures for people: clips as strips of poses, losses, confusions, embeddings; as matplotlib figures to be saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float, Float32, Integer
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from gfp_serve.preprocess import rotate_about_vertical
from gfp_serve.skeleton import Layout
from trainer.evaluate.learning import Epoch

# Told apart by every kind of colour vision.
LEFT_COLOUR, RIGHT_COLOUR, TRUNK_COLOUR = "#0072B2", "#D55E00", "#3A3A3A"
_FAINT, _TEXT = "#8A8A8A", "#222222"
_VERDICTS = {True: ("#1B7837", "✓ "), False: ("#B2182B", "✗ "), None: (_TEXT, "")}

# How much of the second body's colours is white.
_SECOND_BODY_WHITE = 0.55
# In units of a body's size: what lies at least between two poses (of one body, of two) and between their middles.
_GAP, _GROUP_GAP, _MIN_PITCH = 0.06, 0.3, 0.5
_HEAD_RADIUS = 0.05
# More points than this hide each other, and take minutes to place.
MAX_MAP_CLIPS = 3000
# Poses are seen from a little beside the front, so that what moves forwards is seen to move.
_VIEW_ANGLE = np.radians(25)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """One row of `draw_strips`: a clip, raw or cleaned."""

    title: str
    sequence: Float32[np.ndarray, "frames bodies joints 3"]  # metres, y up; NaN = not drawn
    layout: Layout
    fps: float
    right: bool | None = None  # colours the title as a right or a wrong answer; None = neither


def draw_strips(strips: Sequence[Strip], *, num_poses: int = 9) -> Figure:
    """Rows of poses below each other, one clip a row, in equal columns.

    Poses are taken at equal steps from a clip's first frame to its last, with their time below; each clip is turned to
    its front and brought to the same size, so that rows can be compared.
    """
    poses = [_poses(strip, num_poses) for strip in strips]
    pitch = max(row.pitch for row in poses)
    inches = min(1.5, 10.0 / (num_poses * pitch))  # what one unit takes
    size = (inches * pitch * num_poses + 0.2, len(strips) * (1.1 * inches + 0.5) + 0.1)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.05, hspace=0.0))
    rows = figure.subplots(len(strips), 1, squeeze=False)[:, 0]
    for axes, strip, row in zip(rows, strips, poses, strict=True):
        _draw(axes, row, strip.layout, num_columns=num_poses, pitch=pitch)
        colour, mark = _VERDICTS[strip.right]
        axes.set_title(mark + strip.title, loc="left", fontsize=9, color=colour, pad=4)
    return figure


def loss_curves(steps: Integer[np.ndarray, " logged"], terms: Mapping[str, Float[np.ndarray, " logged"]]) -> Figure:
    """Each term of a loss over the logged steps: its values faint, their running mean strong.

    Logarithmic where all values are above 0.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(terms.items()):
        colour = f"C{number}"
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(steps, _running_mean(values, max(1, len(values) // 50)), color=colour, linewidth=1.8, label=name)
    if terms and all((values > 0).all() for values in terms.values()):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if terms:
        axes.legend(frameon=False, fontsize=9)
    return figure


def confusion_matrix(
    labels: Integer[np.ndarray, " clips"],
    predictions: Integer[np.ndarray, " clips"],
    class_names: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """How often (in %) clips of a class (row) were taken for a class (column); a prediction of -1 is "unknown"."""
    num_classes = len(class_names)
    columns = [*class_names, "unknown"] if (predictions < 0).any() else list(class_names)
    counts = np.zeros((num_classes, num_classes + 1))
    np.add.at(counts, (labels, predictions), 1)  # -1 is the last column
    counts = counts[:, : len(columns)]
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    inches = min(0.42, 9.0 / num_classes) if num_classes > 6 else 0.6
    longest = max(map(len, columns))  # its letters take room, beside the matrix and slanting below it
    size = (inches * len(columns) + 0.075 * longest + 1.4, inches * num_classes + 0.055 * longest + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    font = min(8.5, 72 * inches * 0.55)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor", fontsize=font)
    axes.set_yticks(range(num_classes), class_names, fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    if inches >= 0.3:
        for row, column in np.argwhere(shares >= 0.5):
            colour = "white" if shares[row, column] > 55 else _TEXT
            text = f"{shares[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=0.85 * font, color=colour)
    figure.colorbar(image, ax=axes, shrink=0.7, label="% of the true class")
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def learning_curves(runs: Mapping[str, Sequence[Sequence[Epoch]]], *, chance_percent: float) -> Figure:
    """Loss and accuracy after each epoch, a colour for each name: its runs faint, where several, their mean strong.

    The last epoch, which counts, is marked with its accuracy.
    """
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    loss_axes, test_axes = figure.subplots(1, 2)
    for number, (name, epochs_of_runs) in enumerate(runs.items()):
        colour = f"C{number}"
        losses = [[epoch.train_loss for epoch in epochs] for epochs in epochs_of_runs]
        _draw_runs(loss_axes, [epoch.epoch for epoch in epochs_of_runs[0]], losses, colour=colour)
        tested = [epoch.epoch for epoch in epochs_of_runs[0] if epoch.top1_percent is not None]
        right = [[e.top1_percent for e in epochs if e.top1_percent is not None] for epochs in epochs_of_runs]
        last = _draw_runs(test_axes, tested, right, colour=colour, label=f"{name}: {np.mean(right, axis=0)[-1]:.1f}")
        test_axes.plot(tested[-1], last, "o", color=colour, markersize=5, clip_on=False)
    test_axes.axhline(chance_percent, color=_FAINT, linestyle=":", linewidth=1, label=f"chance: {chance_percent:.1f}")
    loss_axes.set_ylabel("loss on training clips")
    test_axes.set_ylabel("test clips right, in % (the last epoch counts)")
    test_axes.set_ylim(0, 100)
    for axes in (loss_axes, test_axes):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    # Below both, where it hides no curve.
    figure.legend(
        *test_axes.get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=8, ncols=4
    )
    return figure


def _draw_runs(axes: Axes, x: Sequence[int], runs: Sequence[Sequence[float]], *, colour: str, label: str = "") -> float:
    for values in runs if len(runs) > 1 else ():
        axes.plot(x, values, color=colour, alpha=0.2, linewidth=0.8)
    mean = np.mean(runs, axis=0)
    axes.plot(x, mean, color=colour, linewidth=1.8, label=label)
    return float(mean[-1])


def embedding_map(
    vectors: Float[np.ndarray, "clips size"],
    labels: Integer[np.ndarray, " clips"],
    class_names: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Embeddings in a plane that keeps neighbours by cosine together (t-SNE), coloured by class; label -1 is grey.

    Distances between groups and the sizes of groups mean nothing in it. Of more than `MAX_MAP_CLIPS` clips, so many are
    drawn, evenly chosen.
    """
    chosen = np.linspace(0, len(vectors) - 1, min(len(vectors), MAX_MAP_CLIPS)).astype(np.int64)
    vectors, labels = vectors[chosen], labels[chosen]
    plane = _neighbour_map(vectors)

    present = [int(label) for label in np.unique(labels)]
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    pairs = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
    colours = pairs[::2] + pairs[1::2]  # the strong ones first
    markers = "os^Dv"  # a new one whenever the colours are used up
    for number, label in enumerate(present):
        of_class = labels == label
        axes.scatter(
            plane[of_class, 0],
            plane[of_class, 1],
            s=18,
            color="#BBBBBB" if label < 0 else colours[number % len(colours)],
            marker=markers[number // len(colours) % len(markers)],
            linewidths=0,
            alpha=0.85,
            label="not labelled" if label < 0 else class_names[label],
        )
    axes.set_xlabel("t-SNE by cosine: near means alike; axes have no unit", fontsize=9, color=_FAINT)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#DDDDDD")
    if title:
        axes.set_title(title, fontsize=11, loc="left")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, ncols=1 + len(present) // 35)
    return figure


def _neighbour_map(vectors: Float[np.ndarray, "clips size"]) -> Float[np.ndarray, "clips 2"]:
    if len(vectors) < 4:
        return np.stack([np.arange(len(vectors)), np.zeros(len(vectors))], axis=1)
    from sklearn.manifold import TSNE  # takes seconds, which no other picture and no other command needs

    plane = TSNE(
        metric="cosine",
        init="pca" if vectors.shape[1] > 1 else "random",
        perplexity=min(30.0, (len(vectors) - 1) / 3),
        random_state=0,
    )
    return plane.fit_transform(vectors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Poses:
    """Some poses of a clip, seen from the front, each around x = 0; one unit is what the largest body takes."""

    points: Float[np.ndarray, "poses bodies joints 2"]  # x, y; the lowest point of all poses is at y = 0
    times_s: Float[np.ndarray, " poses"]
    pitch: float  # how far apart they must stand so as not to touch


def _poses(strip: Strip, num_poses: int) -> _Poses:
    # Where a tracker lost the body it often writes zeros.
    lost = (np.nan_to_num(strip.sequence) == 0).all(axis=(2, 3), keepdims=True)
    front = _turn_to_front(np.where(lost, np.float32(np.nan), strip.sequence), strip.layout)
    frames = np.unique(np.linspace(0, len(front) - 1, num_poses).round().astype(int))
    points = np.ma.masked_invalid(front[frames][..., :2].astype(np.float64))  # poses, bodies, joints, 2
    if points.count() > 0:
        middle = np.ma.median(points[..., 0], axis=(1, 2), keepdims=True)  # type: ignore[no-untyped-call]
        points[..., 0] -= middle
        points[..., 1] -= points[..., 1].min()
        widths = points[..., 0].max(axis=2) - points[..., 0].min(axis=2)  # poses, bodies
        points /= max(float(widths.max()), float(points[..., 1].max()), 1e-6)
    left = points[..., 0].min(axis=(1, 2)).filled(0)
    right = points[..., 0].max(axis=(1, 2)).filled(0)
    gaps = right[:-1] - left[1:] + (_GAP if points.shape[1] == 1 else _GROUP_GAP)
    return _Poses(points=points.filled(np.nan), times_s=frames / strip.fps, pitch=max([_MIN_PITCH, *gaps]))


def _turn_to_front(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """Turned about the vertical so that the first body that is seen faces the reader, where hips or shoulders tell."""
    names = layout.canonical_names
    for part in ("Hip", "Shoulder"):
        if f"{part}Left" in names and f"{part}Right" in names:
            across = sequence[..., names.index(f"{part}Left"), :] - sequence[..., names.index(f"{part}Right"), :]
            known = across[np.isfinite(across).all(axis=-1)]  # those of frames and bodies, 3
            if len(known) and np.hypot(known[0, 0], known[0, 2]) > 1e-3:
                return rotate_about_vertical(sequence, -float(np.arctan2(known[0, 2], known[0, 0])) + _VIEW_ANGLE)
    return sequence


def _draw(axes: Axes, poses: _Poses, layout: Layout, *, num_columns: int, pitch: float) -> None:
    bones = [(child, parent) for child, parent in enumerate(layout.parents) if parent >= 0]
    colours = [_side_colour(layout.canonical_names[child]) for child, _ in bones]
    digits = 1 if poses.times_s[-1] >= 2.0 else 2
    for column, points in enumerate(poses.points):
        for body in reversed(range(len(points))):  # the first body lies on top
            placed = points[body] + (column * pitch, 0.0)  # joints, 2
            shades = [_whiten(colour, _SECOND_BODY_WHITE if body else 0.0) for colour in colours]
            segments = [placed[[child, parent]] for child, parent in bones]
            axes.add_collection(LineCollection(segments, colors=shades, linewidths=1.8, capstyle="round"))
            head = layout.canonical_names.index("Head") if "Head" in layout.canonical_names else None
            if head is not None and np.isfinite(placed[head]).all():
                colour = _whiten(TRUNK_COLOUR, _SECOND_BODY_WHITE if body else 0.0)
                axes.add_patch(Circle(tuple(placed[head]), _HEAD_RADIUS, color=colour, linewidth=0))
        axes.text(
            column * pitch,
            -0.05,
            f"{poses.times_s[column]:.{digits}f} s",
            ha="center",
            va="top",
            fontsize=7,
            color=_FAINT,
        )
    if not np.isfinite(poses.points).any():
        axes.text((num_columns - 1) / 2 * pitch, 0.4, "nobody is seen", ha="center", fontsize=9, color=_FAINT)
    axes.plot([-0.5 * pitch, (num_columns - 0.5) * pitch], [-0.02, -0.02], color="#DDDDDD", linewidth=0.8, zorder=0)
    axes.set_xlim(-0.5 * pitch, (num_columns - 0.5) * pitch)
    axes.set_ylim(-0.16, 1.0 + _HEAD_RADIUS)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _side_colour(joint: str) -> str:
    if joint.endswith("Left"):
        return LEFT_COLOUR
    return RIGHT_COLOUR if joint.endswith("Right") else TRUNK_COLOUR


def _whiten(colour: str, white: float) -> tuple[float, ...]:
    return tuple(white + (1 - white) * part for part in to_rgb(colour))


def _running_mean(values: Float[np.ndarray, " steps"], width: int) -> Float[np.ndarray, " steps"]:
    # Each value with those before it, so that the end of the curve is the newest.
    sums = np.cumsum(np.concatenate([np.zeros(1), values.astype(np.float64)]))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - width, 0)
    return (sums[stop] - sums[start]) / (stop - start)
