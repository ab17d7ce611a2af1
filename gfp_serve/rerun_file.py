"""Queries and their neighbours as a recording of Rerun (https://rerun.io), a viewer for data over time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.extras import load
from gfp_serve.files import replacing
from gfp_serve.layouts import Layout
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow, as_drawn
from gfp_serve.skeleton import check_sequence

# Metres between skeletons side by side, and between rows one behind the other.
_ACROSS_M, _BEHIND_M = 1.6, 2.5
_RADIUS_M = 0.02
_LEFT, _RIGHT, _TRUNK = (0, 114, 178), (213, 94, 0), (120, 120, 120)


def write_rerun_file(path: Path, rows: Sequence[MotionRow], *, title: str) -> None:
    """Write the recording: each panel's bones over the time of its clip, in metres, panels of a row side by side.

    Entities are `query_1/query`, `query_1/neighbour_1` and so on. Raises `MissingExtraError` without the extra
    `rerun`, and `InvalidSkeletonError` for a sequence that is not one of its layout.
    """
    rerun = load("rerun")
    with replacing(path) as whole:
        recording = rerun.RecordingStream("gfp-serve", send_properties=False)
        recording.save(str(whole))
        recording.log("/", rerun.ViewCoordinates.RIGHT_HAND_Y_UP, static=True)
        recording.log("about", rerun.TextDocument(title), static=True)
        for entity, panel, place in _panels(rows):
            said = panel.title if panel.similarity is None else f"{panel.title}, similarity {panel.similarity:.3f}"
            recording.log(f"{entity}/about", rerun.TextDocument(f"{said}\n{panel.subtitle}"), static=True)
            if panel.motion is not None:
                _log_motion(rerun, recording, entity, panel.motion, place)
        recording.flush()
        recording.disconnect()


def _panels(rows: Sequence[MotionRow]) -> Iterator[tuple[str, MotionPanel, Float32[np.ndarray, " 3"]]]:
    """Each panel with its entity, and where its skeleton stands."""
    for number, row in enumerate(rows):
        panels = [("query", row.query)] if row.query is not None else []
        panels += [(f"neighbour_{rank}", panel) for rank, panel in enumerate(row.neighbours, start=1)]
        for column, (name, panel) in enumerate(panels):
            place = np.array([_ACROSS_M * column, 0, -_BEHIND_M * number], dtype=np.float32)
            yield f"query_{number + 1}/{name}", panel, place


def _log_motion(rerun: Any, recording: Any, entity: str, motion: Motion, place: Float32[np.ndarray, " 3"]) -> None:
    sequence = as_drawn(check_sequence(motion.sequence, motion.layout), motion.layout)
    seen = np.isfinite(sequence)
    if not seen.any():
        return
    # Feet on the floor, and the middle of the first frame that is seen at its place.
    first = sequence[np.flatnonzero(seen.any(axis=(1, 2, 3)))[0]]
    middle = np.nanmedian(first, axis=(0, 1))
    middle[1] = np.nanquantile(sequence[..., 1], 0.01)
    bones, colours = list(motion.layout.bones), _colours(motion.layout)
    for number, frame in enumerate(sequence - middle + place):
        drawn = [
            ([body[joint], body[other]], colour)
            for body in frame
            for (joint, other), colour in zip(bones, colours, strict=True)
            if np.isfinite(body[[joint, other]]).all()
        ]
        recording.set_time("clip", duration=number / motion.fps)
        recording.log(
            f"{entity}/body",
            rerun.LineStrips3D([ends for ends, _ in drawn], colors=[colour for _, colour in drawn], radii=_RADIUS_M),
        )


def _colours(layout: Layout) -> list[tuple[int, int, int]]:
    """Left and right as on the page; a bone across is of no side."""
    names = layout.canonical_names
    sides = [_LEFT if name.endswith("Left") else _RIGHT if name.endswith("Right") else _TRUNK for name in names]
    return [sides[joint] if layout.parents[joint] == end else _TRUNK for joint, end in layout.bones]
