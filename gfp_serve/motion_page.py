"""A web page that shows queries and their neighbours as moving skeletons, side by side.

The page is one file without a link to anything outside it. Drawing and controls are in `motion_page.html`, the
template; this module reduces the motion to what the page needs and puts it in.
"""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16

from gfp_serve.files import write_whole
from gfp_serve.layouts import Layout
from gfp_serve.preprocess import rotate_about_vertical
from gfp_serve.skeleton import check_sequence

# What the motion of a page may take, as base64; template and text come to about 25 kB on top of it.
MOTION_BYTES = 700_000
# Frames a second of the stored motion: the first that fits. The page interpolates between frames.
_RATES = (30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1)
# Frames a clip has at least (if it was recorded with this many) and at most.
_MIN_FRAMES, _MAX_FRAMES = 16, 300

# Positions are whole millimetres where a clip stays within 32 m of its middle, and coarser steps beyond.
_STEP_M, _LARGEST, _LOST = 0.001, 32767, -32768


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionRow:
    """A query and its neighbours, nearest first. Without a query, panels that stand side by side."""

    query: MotionPanel | None
    neighbours: Sequence[MotionPanel]


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

    Each clip is turned to face the reader and stored with fewer frames, so that all motion together stays below
    `MOTION_BYTES`; only hundreds of long clips can exceed that. The same rows give the same page, byte for byte.

    Raises `InvalidSkeletonError` for a sequence that is not one of its layout.
    """
    panels = [panel for row in rows for panel in (row.query, *row.neighbours) if panel is not None]
    motions = list(dict.fromkeys(panel.motion for panel in panels if panel.motion is not None))
    seen = {motion: body for motion in motions if (body := _seen(motion)).size}
    layouts = list(dict.fromkeys(motion.layout for motion in seen))
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
        }

    data = {
        "title": title,
        "note": note,
        "rows": [{"query": plain(row.query), "neighbours": list(map(plain, row.neighbours))} for row in rows],
        "skeletons": list(map(drawn_skeleton, layouts)),
        "motions": [
            {"skeleton": layouts.index(motion.layout), "seconds": len(motion.sequence) / motion.fps}
            | _packed(_sampled(sequence, num_frames))
            for (motion, sequence), num_frames in zip(seen.items(), _num_frames(seen), strict=True)
        ],
    }
    template = _template()
    filling = {"TITLE": html.escape(_encodable(title)), "POLICY": _policy(template), "DATA": _as_script(data)}
    return re.sub("@(TITLE|POLICY|DATA)@", lambda found: filling[found[1]], template)


@cache
def _template() -> str:
    return resources.files("gfp_serve").joinpath("motion_page.html").read_text(encoding="utf-8")


def _policy(template: str) -> str:
    """The content security policy: this page's own script and style run, nothing else does, and nothing is fetched."""
    hashes = {}
    for element in ("script", "style"):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", template, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[element] = f"{element}-src 'sha256-{digest}'"
    return f"default-src 'none'; {hashes['script']}; {hashes['style']}; base-uri 'none'; form-action 'none'"


def _as_script(data: Any) -> str:
    """JSON that can stand in a script element: ASCII, and without a character that could end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _encodable(text: str) -> str:
    # Names of files that are not UTF-8 have halves of surrogate pairs in them.
    return text.encode("utf-8", "replace").decode()


def drawn_skeleton(layout: Layout) -> dict[str, Any]:
    """What a page knows of a layout: lines with their sides (L, R, T), the number of joints, the head's (-1: none)."""
    names = layout.canonical_names
    sides = ["L" if name.endswith("Left") else "R" if name.endswith("Right") else "T" for name in names]
    return {
        "bones": list(map(list, layout.bones)),
        # A line across is of no side.
        "sides": "".join(sides[joint] if layout.parents[joint] == end else "T" for joint, end in layout.bones),
        "joints": layout.num_joints,
        "head": names.index("Head") if "Head" in names else -1,
    }


def _seen(motion: Motion) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The motion as it is drawn, without bodies that are never seen."""
    sequence = as_drawn(check_sequence(motion.sequence, motion.layout), motion.layout)
    return sequence[:, np.isfinite(sequence).any(axis=(0, 2, 3))]


def as_drawn(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """NaN where nobody was seen, and turned about the vertical so that the first body that is seen at first faces +z.

    Its hips tell where it faces, or its shoulders; a clip in which neither is seen is not turned.
    """
    # Where a tracker lost a body it often writes zeros.
    lost = (np.nan_to_num(sequence) == 0).all(axis=(2, 3), keepdims=True) | np.isnan(sequence).any(
        axis=3, keepdims=True
    )
    sequence = np.where(lost, np.float32(np.nan), sequence)
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
            count * sequence[0].size * 2 * 4 / 3 for count, sequence in zip(counts, seen.values(), strict=True)
        )
        if num_bytes <= MOTION_BYTES:
            break
    return counts


def _sampled(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], num_frames: int
) -> Float32[np.ndarray, "num_frames bodies joints 3"]:
    """Frames at equal steps from the first to the last, interpolated between the two nearest frames.

    A joint that is lost in one of these two is taken from the nearer frame.
    """
    place = np.linspace(0, len(sequence) - 1, num_frames)
    before = np.floor(place).astype(int)
    after = np.minimum(before + 1, len(sequence) - 1)
    weight = (place - before).astype(np.float32)[:, None, None, None]
    between = sequence[before] * (1 - weight) + sequence[after] * weight
    return np.where(np.isfinite(between), between, np.where(weight < 0.5, sequence[before], sequence[after]))


def _packed(sequence: Float32[np.ndarray, "frames bodies joints 3"]) -> dict[str, Any]:
    """Shape and positions of a clip: steps of `step_m` metres from its middle, as little-endian int16 in base64."""
    centred = sequence.astype(np.float64) - np.nanmedian(sequence, axis=(0, 1, 2))
    step_m = max(_STEP_M, float(np.nanmax(np.abs(centred))) / _LARGEST)
    steps: Int16[np.ndarray, "frames bodies joints 3"] = np.where(
        np.isnan(centred), _LOST, np.rint(np.nan_to_num(centred) / step_m)
    ).astype("<i2")
    frames, bodies = steps.shape[:2]
    return {
        "frames": frames,
        "bodies": bodies,
        "step_m": step_m,
        "positions": base64.b64encode(steps.tobytes()).decode(),
    }
