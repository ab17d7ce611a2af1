"""Videos, in which the pose landmarker of MediaPipe finds one person a frame, on this machine (see `pose`).

It gives places in metres from the middle of the hips, so nobody travels, and how visible each joint is.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from gfp_serve.conventions import Conventions, to_standard
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.mediapipe_landmarks import TRUNK, WORLD
from gfp_serve.formats.people import FREE_GAPS, MAX_GAPS
from gfp_serve.formats.recorded_people import USUAL_FPS
from gfp_serve.formats.remark import Remark, Step
from gfp_serve.image_joints import MIN_CONFIDENCE
from gfp_serve.layouts import MEDIAPIPE33
from gfp_serve.pose import WHOLE, VideoPart, seen_frames

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".3gp")

# In frames of even times: a frame may be this far from where it should be.
_UNEVEN = 0.5
# Frames further apart than this, and than usual, are not interpolated: what happened between them is not known.
_LONGEST_GAP_S, _LONGEST_GAP_STEPS = 0.5, 2.5

# A video may be this much shorter than it says: sound goes on for a while.
_MISSING_S = 1.0

_NOBODY = np.full((MEDIAPIPE33.num_joints, 4), np.nan, dtype=np.float32)

_Landmarks = Float32[np.ndarray, "frames 33 4"]  # x, y, z, visibility; NaN: nobody is seen


def read(path: Path, said: Conventions, part: VideoPart = WHOLE) -> Iterator[Clip | Remark | Step]:
    """Yield steps, what must be said about the video, and its clip if somebody is seen in it.

    A frame in which nobody is found is lost, and so is a joint with too little visibility; hips and shoulders are kept,
    because MediaPipe places them where they are out of view too. Frames that come at uneven times are interpolated at
    even ones. Raises what `pose.seen_frames` does, and `DamagedFileError` for a part without a frame.
    """
    times: list[float] = []
    people: list[Float32[np.ndarray, "33 4"]] = []
    share = 0.0
    for frame in seen_frames(path, part):
        times.append(frame.time_s)
        people.append(_NOBODY if frame.landmarks is None else frame.landmarks)
        yield Step(max(0.0, frame.share - share))
        share = max(share, frame.share)
    if not times:
        raise DamagedFileError(f"{path} has no picture {_in_words(part)}.")
    landmarks = np.stack(people)
    seen = np.isfinite(landmarks[:, 0, 0])
    if not seen.any():
        yield Remark(
            f"nobody is seen in any of its {len(times)} frames; the pose landmarker needs a whole person, upright and "
            f"not too small.",
            left_out=path.stem,
        )
        return
    if share > 0 and (times[-1] - part.start) * (1 - share) / share > _MISSING_S:
        yield Remark("its pictures end before the time that it says; perhaps it was cut off.")
    yield Remark("its skeletons are those of one person in each frame, with the hips in one place, so nobody travels.")
    if (few := _few(float(seen.mean()))) is not None:
        yield Remark(f"nobody is seen in {few} of its frames.")
    fps, landmarks, were_even = evenly(path, np.array(times), landmarks)
    if not were_even:
        yield Remark("its frames come at uneven times; the joints were interpolated at even ones.")
    if len(times) == 1:
        advice = "; choose a smaller --every" if part.every > 1 else ""
        yield Remark(f"one frame of it was looked at, which shows no movement and has no rate{advice}.")
    elif said.fps is not None and said.fps != fps:
        yield Remark(f"it says {fps:g} frames a second; {said.fps:g} were taken, as --fps says.")
    visibility = landmarks[..., 3].copy()
    visibility[:, TRUNK] = 1.0
    least = MIN_CONFIDENCE if said.min_confidence is None else said.min_confidence
    joints = landmarks[..., :3].copy()
    joints[~(visibility >= least)] = np.nan
    sequence = to_standard(joints[:, None], said.or_else(WORLD))
    yield Clip(name=path.stem, sequence=sequence, layout=MEDIAPIPE33, fps=fps)


def _in_words(part: VideoPart) -> str:
    if part.end is not None:
        return f"from {part.start:g} to {part.end:g} s"
    return f"after {part.start:g} s" if part.start else "that can be decoded"


def _few(seen: float) -> str | None:
    """How much of a video has nobody in it, so roughly that videos share the words; None if it is little."""
    return "more than half" if seen < 0.5 else "more than a tenth" if seen < 0.9 else None


def evenly(
    path: Path, times: Float64[np.ndarray, " frames"], landmarks: _Landmarks
) -> tuple[float, Float32[np.ndarray, "even_frames 33 4"], bool]:
    """Frames a second, the landmarks at even times, and whether the times were even already.

    They are if no frame is half a frame or more from its place. Otherwise frames become as far apart as most are, and
    are interpolated between the two nearest ones. In gaps of more than 0.5 s, and beside frames that show nobody,
    nobody is seen.
    Raises `DamagedFileError` if nearly all frames would be in such gaps.
    """
    if len(times) == 1:
        return USUAL_FPS, landmarks, True
    step = (times[-1] - times[0]) / (len(times) - 1)
    off = np.abs(times - times[0] - step * np.arange(len(times))) / step
    if off.max() < _UNEVEN:
        return _rate(step), landmarks, True
    step = float(np.median(np.diff(times)))
    count = math.floor((times[-1] - times[0]) / step + 1e-6) + 1
    if count > FREE_GAPS + MAX_GAPS * len(times):
        raise DamagedFileError(
            f"{path} says that its {len(times):,} frames are spread over {times[-1] - times[0]:,.0f} s, most of them "
            f"{1000 * step:.0f} ms apart: its times are damaged. Convert it to one frame rate."
        )
    even = times[0] + step * np.arange(count)
    after = np.clip(np.searchsorted(times, even), 1, len(times) - 1)
    before = after - 1
    apart = times[after] - times[before]
    weight = np.clip((even - times[before]) / apart, 0, 1)[:, None, None]
    found = ((1 - weight) * landmarks[before] + weight * landmarks[after]).astype(np.float32)
    # At a frame itself, what is beside it does not matter.
    for near, index in ((weight[:, 0, 0] < 1e-3, before), (weight[:, 0, 0] > 1 - 1e-3, after)):
        found[near] = landmarks[index[near]]
        apart = np.where(near, 0.0, apart)
    found[apart > max(_LONGEST_GAP_S, _LONGEST_GAP_STEPS * step)] = np.nan
    return _rate(step), found, False


def _rate(step_s: float) -> float:
    """Frames a second, as exactly as times in files say them: to a hundredth, or to three digits of few."""
    rate = 1 / float(step_s)
    return round(rate, 2) if rate >= 1 else float(f"{rate:.3g}")
