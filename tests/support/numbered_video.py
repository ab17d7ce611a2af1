"""Videos whose frames have a number, and a pose finder that reads it: for tests of all that is not MediaPipe's.

A frame is a grey picture, as bright as its number, with a red mark in the upper left corner.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve import pose
from gfp_serve.layouts import MEDIAPIPE33
from tests.support.drawn_video import write_video

WRIST = MEDIAPIPE33.joint_names.index("left_wrist")
# Numbers from 0 to this can be told apart.
MOST = 29

# A person who stands, in metres from the middle of the hips: x to the right of the picture, y down.
_PLACES = {"nose": (0, -0.65, -0.1), "ear": (0.08, -0.65, 0), "shoulder": (0.18, -0.5, 0), "elbow": (0.2, -0.2, 0)}
_PLACES |= {"wrist": (0.2, 0.05, -0.1), "hip": (0.1, 0, 0), "knee": (0.1, 0.45, 0), "ankle": (0.1, 0.9, 0)}
_PLACES |= {"heel": (0.1, 0.93, 0.05), "index": (0.1, 0.93, -0.15)}


def numbered(number: int, *, width: int = 96, height: int = 64) -> np.ndarray:
    """The picture of a number."""
    picture = np.full((height, width, 3), 16 + 8 * number, dtype=np.uint8)
    picture[: height // 4, : width // 4] = (250, 20, 20)
    return picture


def write_numbered(path: Path, numbers: range = range(20), fps: float = 10.0, **how: Any) -> Path:
    """Write a video of these numbers; see `write_video`."""
    return write_video(path, map(numbered, numbers), fps, quality=8, **how)


@dataclass
class NumberFinder:
    """Finds a person whose left wrist is as far to the right, in metres, as the number of the picture says.

    Nobody is found at the numbers `empty`. Joints of `hidden` have a visibility of 0.1, others of 0.9.
    """

    empty: frozenset[int] = frozenset()
    hidden: tuple[str, ...] = ()
    shapes: set[tuple[int, ...]] = field(default_factory=set)  # of pictures
    corners: set[tuple[str, str]] = field(default_factory=set)  # in which the red mark was
    most_held: int = 0  # pictures in memory
    _held: list[Any] = field(default_factory=list)

    @contextmanager
    def opened(self, _: Any) -> Iterator[Callable[[np.ndarray, float], np.ndarray | None]]:
        """Take the place of `pose._finder`."""
        yield self._find

    def _find(self, image: np.ndarray, _: float) -> np.ndarray | None:
        self._held.append(weakref.ref(image))
        self.most_held = max(self.most_held, sum(each() is not None for each in self._held))
        self.shapes.add(image.shape)
        red = image[..., 0].astype(int) - image[..., 1] > 100
        rows, columns = (np.flatnonzero(red.any(axis=axis)).mean() / red.shape[1 - axis] for axis in (1, 0))
        self.corners.add(("upper" if rows < 0.5 else "lower", "left" if columns < 0.5 else "right"))
        number = round((float(np.median(image)) - 16) / 8)
        if number in self.empty:
            return None
        landmarks = standing()
        landmarks[WRIST, 0] = number
        landmarks[[MEDIAPIPE33.joint_names.index(name) for name in self.hidden], 3] = 0.1
        return landmarks


def standing() -> np.ndarray:
    """The landmarks of a person who stands: x, y, z, visibility."""
    landmarks = np.empty((33, 4), dtype=np.float32)
    for joint, name in enumerate(MEDIAPIPE33.joint_names):
        side = 1 if name.startswith("left") else -1 if name.startswith("right") else 0
        part = next((part for part in _PLACES if part in name and "foot" not in name), "nose")
        part = "index" if "foot" in name else "wrist" if name.endswith(("pinky", "_index", "thumb")) else part
        x, y, z = _PLACES[part]
        landmarks[joint] = side * x, y, z, 0.9
    return landmarks


def finding_numbers(monkeypatch: pytest.MonkeyPatch, **how: Any) -> NumberFinder:
    """Read numbers instead of poses, also where MediaPipe is not installed. Skips where PyAV is not."""
    pytest.importorskip("av", reason="the extra video is not installed")
    finder = NumberFinder(**how)
    monkeypatch.setattr(pose, "_mediapipe", lambda: None)
    monkeypatch.setattr(pose, "_finder", finder.opened)
    return finder
