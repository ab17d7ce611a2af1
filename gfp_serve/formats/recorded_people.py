"""The clip of people that a pose estimator found in a video: 2-D joints of images, or 3-D joints."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gfp_serve.conventions import Conventions, to_standard
from gfp_serve.formats.clip import NO_FRAMES, Clip
from gfp_serve.formats.image_clips import image_axis, standard_clip
from gfp_serve.formats.people import Bodies, Frames, bodies_of
from gfp_serve.formats.remark import Remark
from gfp_serve.formats.upright import settled
from gfp_serve.image_joints import MIN_CONFIDENCE
from gfp_serve.layouts import Layout

# Of a video, if its file does not say it.
USUAL_FPS = 30.0
UNKNOWN = Conventions()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Video:
    """What a file says of one video."""

    name: str
    frames: Frames
    layout: Layout
    fps: float | None = None  # None: the file does not say it
    image_size: tuple[float, float] | None = None  # width and height of the frames
    conventions: Conventions = UNKNOWN  # of 3-D joints, as far as the format says them
    assumed: tuple[str, str] | None = None  # the size and the rate that the format says of all its files, in words
    notes: tuple[str, ...] = ()  # how the file was read, each a sentence
    label: str | None = None


def clips_of(path: Path, video: Video, said: Conventions) -> Iterator[Clip | Remark]:
    """Yield what must be said about a video, and its clip if somebody is seen in it."""
    bodies = bodies_of(path, video.frames, said.min_confidence)
    if bodies is None:
        yield Remark("nobody is seen in it.", left_out=video.name)
        return
    yield from map(Remark, (*video.notes, *bodies.remarks))
    if video.assumed is not None:
        size, rate = video.assumed
        assumed = [size] * (said.image_size is None) + [rate] * (said.fps is None)
        if assumed:
            yield Remark(f"it was taken to have {' and '.join(assumed)}, as all files of its format.")
    if None not in (video.fps, said.fps) and video.fps != said.fps and video.assumed is None:
        yield Remark(f"it says {video.fps:g} frames a second; {said.fps:g} were taken, as --fps says.")
    if video.fps is None and said.fps is None:
        yield Remark(f"it does not say how many frames a second it has; {USUAL_FPS:g} were assumed. Say it with --fps.")
    clip = Clip(
        name=video.name,
        sequence=NO_FRAMES,
        layout=video.layout,
        fps=video.fps or USUAL_FPS,
        label=video.label,
    )
    make = _flat if bodies.joints.shape[-1] == 2 else _solid
    yield from make(path, video, bodies, said, clip)


def _flat(path: Path, video: Video, bodies: Bodies, said: Conventions, clip: Clip) -> Iterator[Clip | Remark]:
    image_axis(path, said.up)  # before anything is said
    yield Remark(f"read as 2-D joints of the layout {video.layout.name}.")
    yield from standard_clip(path, clip, bodies.joints, said, confidence=bodies.confidence, image_size=video.image_size)


def _solid(path: Path, video: Video, bodies: Bodies, said: Conventions, clip: Clip) -> Iterator[Clip | Remark]:
    sequence = bodies.joints.astype(np.float32)
    if bodies.confidence is not None:
        least = MIN_CONFIDENCE if said.min_confidence is None else said.min_confidence
        sequence[~(bodies.confidence >= least)] = np.nan
    found = settled(path, sequence, video.layout, said.or_else(video.conventions))
    yield Remark(f"read as 3-D joints of the layout {video.layout.name}: {found}.")
    yield replace(clip, sequence=to_standard(sequence, found))
