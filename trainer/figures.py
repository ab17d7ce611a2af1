"""Pictures of clips as strips of poses, as matplotlib figures to be saved."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Circle

from gfp_serve.layouts import Layout
from gfp_serve.motion_page import as_drawn
from gfp_serve.preprocess import rotate_about_vertical

# People with any kind of colour vision can tell these apart.
LEFT_COLOUR, RIGHT_COLOUR, TRUNK_COLOUR = "#0072B2", "#D55E00", "#3A3A3A"
FAINT, TEXT = "#8A8A8A", "#222222"
_VERDICTS = {True: ("#1B7837", "✓ "), False: ("#B2182B", "✗ "), None: (TEXT, "")}

# How much of the second body's colours is white.
_SECOND_BODY_WHITE = 0.55
# The least distances, in units of a body's size: between two poses (of one body, of two), and between their middles.
_GAP, _GROUP_GAP, _MIN_PITCH = 0.06, 0.3, 0.5
_HEAD_RADIUS = 0.05
# Poses are seen from a little beside the front, which also shows motion to the front.
_VIEW_ANGLE = float(np.radians(25))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """One row of `draw_strips`: a clip, raw or cleaned."""

    title: str
    sequence: Float32[np.ndarray, "frames bodies joints 3"]  # metres, y up; NaN = not drawn
    layout: Layout
    fps: float
    right: bool | None = None  # colours the title as a right or a wrong answer; None = as neither


def draw_strips(strips: Sequence[Strip], *, num_poses: int = 9) -> Figure:
    """Draw a row of poses for each clip, in equal columns.

    The poses of a clip are taken at equal steps from its first frame to its last; their times stand below. Each clip is
    turned to its front and scaled to the same size, so that rows can be compared.
    """
    poses = [_poses(strip, num_poses) for strip in strips]
    pitch = max(row.pitch for row in poses)
    inches = min(1.5, 10.0 / (num_poses * pitch))  # for one unit
    size = (inches * pitch * num_poses + 0.2, len(strips) * (1.1 * inches + 0.5) + 0.1)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.05, hspace=0.0))
    rows = figure.subplots(len(strips), 1, squeeze=False)[:, 0]
    for axes, strip, row in zip(rows, strips, poses, strict=True):
        _draw(axes, row, strip.layout, num_columns=num_poses, pitch=pitch)
        colour, mark = _VERDICTS[strip.right]
        title = (mark + strip.title).encode("utf-8", "replace").decode()  # names of files may not be UTF-8
        axes.set_title(title, loc="left", fontsize=9, color=colour, pad=4, parse_math=False)
    return figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Poses:
    """Some poses of a clip, seen from the front, each around x = 0. One unit is the size of the largest body."""

    points: Float[np.ndarray, "poses bodies joints 2"]  # x, y; the lowest point of all poses is at y = 0
    times_s: Float[np.ndarray, " poses"]
    pitch: float  # how far apart they must stand so that they do not touch


def _poses(strip: Strip, num_poses: int) -> _Poses:
    front = rotate_about_vertical(as_drawn(strip.sequence, strip.layout), _VIEW_ANGLE)
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


def _draw(axes: Axes, poses: _Poses, layout: Layout, *, num_columns: int, pitch: float) -> None:
    bones = layout.bones
    names = layout.canonical_names
    # A line across is of no side.
    colours = [TRUNK_COLOUR if layout.parents[child] != end else _side_colour(names[child]) for child, end in bones]
    digits = 1 if poses.times_s[-1] >= 2.0 else 2
    for column, points in enumerate(poses.points):
        for body in reversed(range(len(points))):  # the first body comes on top
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
            color=FAINT,
        )
    if not np.isfinite(poses.points).any():
        axes.text((num_columns - 1) / 2 * pitch, 0.4, "nobody is seen", ha="center", fontsize=9, color=FAINT)
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
