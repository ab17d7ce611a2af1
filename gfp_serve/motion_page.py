"""A web page that shows queries and their neighbours as moving skeletons, side by side.

The page is one file without a link to anything outside it: the frame `motion_page.html`, the viewer's style and script,
which are built from `page/viewer.ts`, and what they show. Drawing and controls are those of the page that the server
gives, and motion has the form that it has on the wire (`Motion` in `gfp_serve.v1`).
"""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from gfp_serve.files import write_whole
from gfp_serve.layouts import Layout
from gfp_serve.preprocess import rotate_about_vertical
from gfp_serve.skeleton import check_sequence

_PACKAGE = Path(__file__).parent
# What the motion of a page may take, as base64. The viewer takes 0.6 MB on top of it.
MOTION_BYTES = 1_400_000
# Frames a second of the stored motion: the first that fits. The page interpolates between frames.
_RATES = (30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1)
# Frames a clip has at least (if it was recorded with this many) and at most.
_MIN_FRAMES, _MAX_FRAMES = 16, 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """What moves in a panel. Panels that share the object share its bytes in the page."""

    sequence: Float32[np.ndarray, "frames bodies joints 3"]  # metres, y up; NaN = not drawn
    layout: Layout
    fps: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionPanel:
    """One skeleton with its text. Without a `motion`, `missing` says in its place why there is none."""

    title: str  # the action
    subtitle: str = ""  # what the clip is called
    motion: Motion | None = None
    missing: str = ""
    similarity: float | None = None  # cosine to the query
    right: bool | None = None  # marks the panel as a right or a wrong answer; None = neither
    verdict: str = ""  # the words beside that mark
    rank: int | None = None  # its place among all neighbours, if that is not its place in the row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionRow:
    """A query and its neighbours, nearest first. Without a query, panels that stand side by side."""

    query: MotionPanel | None
    neighbours: Sequence[MotionPanel]
    heading: str = ""  # stands above the row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionView:
    """The page of `motion_page` inside a notebook: the last value of a cell shows it."""

    rows: Sequence[MotionRow]
    title: str = ""
    height: int = 640  # pixels

    def _repr_html_(self) -> str:
        # Its own document: the notebook's styles do not reach it, and its script reaches nothing of the notebook.
        page = html.escape(motion_page(self.rows, title=self.title), quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="{html.escape(self.title, quote=True)}" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )


def write_motion_page(path: Path, rows: Sequence[MotionRow], *, title: str, note: str = "") -> int:
    """Write the page of `motion_page` to `path`, whose folders are made; return its bytes."""
    page = motion_page(rows, title=title, note=note).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return len(page)


def motion_page(rows: Sequence[MotionRow], *, title: str, note: str = "") -> str:
    """The page as HTML: a row for each query, its neighbours beside it; `note` is a line below the title.

    Each clip is stored with fewer frames, so that all motion together stays below `MOTION_BYTES`; only hundreds of long
    clips can exceed that. The same rows give the same page, byte for byte.

    Raises `InvalidSkeletonError` for a sequence that is not one of its layout.
    """
    panels = [panel for row in rows for panel in (row.query, *row.neighbours) if panel is not None]
    motions = list(dict.fromkeys(panel.motion for panel in panels if panel.motion is not None))
    seen = {motion: body for motion in motions if (body := _seen(motion)).size}
    layouts = _named(motion.layout for motion in seen)
    places = {motion: place for place, motion in enumerate(seen)}

    def plain(panel: MotionPanel | None) -> dict[str, Any] | None:
        if panel is None:
            return None
        missing = panel.missing or ("" if panel.motion in places else "Nobody is seen in this clip.")
        return {
            "title": panel.title,
            "subtitle": panel.subtitle,
            "motion": places.get(panel.motion) if panel.motion is not None else None,
            "missing": missing,
            "similarity": None if panel.similarity is None else round(float(panel.similarity), 4),
            "right": panel.right,
            "verdict": panel.verdict,
            "rank": panel.rank,
        }

    data = {
        "title": title,
        "note": note,
        "rows": [
            {"heading": row.heading, "query": plain(row.query), "neighbours": list(map(plain, row.neighbours))}
            for row in rows
        ],
        "layouts": {name: drawn_skeleton(layout) for layout, name in layouts.items()},
        "motions": [
            _as_on_the_wire(sequence, _even(len(sequence), num_frames), layouts[motion.layout], motion.fps)
            for (motion, sequence), num_frames in zip(seen.items(), _num_frames(seen), strict=True)
        ],
    }
    frame, style, script = _viewer()
    filling = {
        "TITLE": html.escape(_encodable(title)),
        "POLICY": _policy(style, script),
        "STYLE": style,
        "DATA": _as_script(data),
        "SCRIPT": script,
    }
    return re.sub(f"@({'|'.join(filling)})@", lambda found: filling[found[1]], frame)


@cache
def _viewer() -> tuple[str, str, str]:
    """The frame of the page, and the viewer's style and script."""
    paths = (_PACKAGE / "motion_page.html", _PACKAGE / "page" / "viewer.css", _PACKAGE / "page" / "viewer.js")
    frame, style, script = (path.read_text(encoding="utf-8") for path in paths)
    return frame, style, script


def _policy(style: str, script: str) -> str:
    """The content security policy: this page's own script and style run, nothing else does, and nothing is fetched."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    of_style, of_script = (f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {of_script}; style-src {of_style}; base-uri 'none'; form-action 'none'"


def _as_script(data: Any) -> str:
    """JSON that can stand in a script element: ASCII, and without a character that could end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _encodable(text: str) -> str:
    # Names of files that are not UTF-8 have halves of surrogate pairs in them.
    return text.encode("utf-8", "replace").decode()


def _named(layouts: Iterable[Layout]) -> dict[Layout, str]:
    """Each layout once, with a name that no other has: those that files bring along are all called "custom"."""
    names: dict[Layout, str] = {}
    for layout in layouts:
        if layout not in names:
            namesakes = sum(other.name == layout.name for other in names)
            names[layout] = f"{layout.name} {namesakes + 1}" if namesakes else layout.name
    return names


def drawn_skeleton(layout: Layout) -> dict[str, Any]:
    """What a page knows of a layout: lines with their sides (L, R, T), and joints; `head` is -1 if there is none."""
    names = layout.canonical_names
    sides = ["L" if name.endswith("Left") else "R" if name.endswith("Right") else "T" for name in names]
    return {
        "bones": list(map(list, layout.bones)),
        # A line across is of no side.
        "sides": "".join(sides[joint] if layout.parents[joint] == end else "T" for joint, end in layout.bones),
        "joints": layout.num_joints,
        "head": names.index("Head") if "Head" in names else -1,
        "names": list(names),
    }


def _seen(motion: Motion) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The motion with NaN where nobody was seen, and without bodies that are never seen."""
    sequence = _without_lost(check_sequence(motion.sequence, motion.layout))
    return sequence[:, np.isfinite(sequence).any(axis=(0, 2, 3))]


def _without_lost(
    sequence: Float32[np.ndarray, "frames bodies joints 3"],
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    # Where a tracker lost a body it often writes zeros.
    lost = (np.nan_to_num(sequence) == 0).all(axis=(2, 3), keepdims=True) | np.isnan(sequence).any(
        axis=3, keepdims=True
    )
    return np.where(lost, np.float32(np.nan), sequence)


def as_drawn(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """NaN where nobody was seen, and turned about the vertical so that the first body that is seen at first faces +z.

    Its hips tell where it faces, or its shoulders; a clip in which neither is seen is not turned. The page turns clips
    itself; this is for pictures without it.
    """
    sequence = _without_lost(sequence)
    names = layout.canonical_names
    for part in ("Hip", "Shoulder"):
        if f"{part}Left" in names and f"{part}Right" in names:
            across = sequence[..., names.index(f"{part}Left"), :] - sequence[..., names.index(f"{part}Right"), :]
            known = across[np.isfinite(across).all(axis=-1)]  # those of frames and bodies, 3
            if len(known) and np.hypot(known[0, 0], known[0, 2]) > 1e-3:
                return rotate_about_vertical(sequence, -float(np.arctan2(known[0, 2], known[0, 0])))
    return sequence


def _num_frames(seen: dict[Motion, Float32[np.ndarray, "frames bodies joints 3"]]) -> list[int]:
    """Frames that are stored of each clip: all clips at the same rate, the highest at which they fit together."""
    counts: list[int] = []
    for rate in _RATES:
        counts = [
            min(len(sequence), _MAX_FRAMES, max(_MIN_FRAMES, math.ceil(len(sequence) / motion.fps * rate)))
            for motion, sequence in seen.items()
        ]
        num_bytes = sum(
            count * sequence[0].size * 4 * 4 / 3 for count, sequence in zip(counts, seen.values(), strict=True)
        )
        if num_bytes <= MOTION_BYTES:
            break
    return counts


def _even(num_frames: int, num_chosen: int) -> Int64[np.ndarray, " chosen"]:
    """Frames of a clip at equal steps, as far as whole frames can be, with the first and the last."""
    return np.linspace(0, num_frames - 1, num_chosen).round().astype(np.int64)


def _as_on_the_wire(
    sequence: Float32[np.ndarray, "clip_frames bodies joints 3"],
    frame_numbers: Int64[np.ndarray, " frames"],
    layout: str,
    fps: float,
) -> dict[str, Any]:
    """These frames of a clip in the form of the message `Motion`, with its positions as JSON has them."""
    positions = sequence[frame_numbers].astype("<f4")
    frames, bodies, joints, _ = positions.shape
    return {
        "positions": base64.b64encode(positions.tobytes()).decode(),
        "num_frames": frames,
        "num_bodies": bodies,
        "num_joints": joints,
        "layout": layout,
        "frame_numbers": frame_numbers.tolist(),
        "fps": fps,
    }
