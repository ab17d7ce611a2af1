"""What real use does to a clip: each change is a small function of the clip and of random draws.

The gallery stays as it was, unless a change says otherwise. The first sentences of a change's docstring are what the
report says of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from gfp_serve.formats import Clip
from gfp_serve.layouts import COCO17, KINECT20, MEDIAPIPE33, OPENNI15, PENN13
from gfp_serve.preprocess import Cleaned, rotate_about_vertical
from trainer.evaluate.suite.cameras import filmed
from trainer.evaluate.suite.joining import joined
from trainer.evaluate.suite.other_layouts import can_be_seen_as, root_of, seen_as, without

WINDOW_SHARE, MIN_WINDOW_FRAMES = 0.6, 24
# Frames that rest, or another motion, add to a clip, as a share of its own.
ADDED_SHARE = 0.5
NOISE_M = 0.03
LOST_JOINTS, LOST_SPAN = 1 / 3, (0.3, 0.6)
SPEED, SPEED_POINTS = (0.7, 1.4), 4
LARGEST_TURN = math.pi / 4

_LEGS = ("Knee", "Ankle", "Foot", "Heel", "BigToe", "SmallToe", "Toe")


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What a change may draw from."""

    numbers: np.random.Generator
    others: Sequence[Clip] = ()  # clips of other classes of the same fold and layout


def as_it_is(clip: Clip, _: Draws) -> Clip:
    """The clip as it is."""
    return clip


def window(clip: Clip, draws: Draws) -> Clip:
    """A random 60 % of the frames, in one piece; at least 24 frames, or all if there are fewer."""
    frames = len(clip.sequence)
    length = min(frames, max(MIN_WINDOW_FRAMES, round(WINDOW_SHARE * frames)))
    start = int(draws.numbers.integers(0, frames - length + 1))
    return replace(clip, sequence=clip.sequence[start : start + length])


def rest(clip: Clip, draws: Draws) -> Clip:
    """The first frame is held before and the last one after, together for half the clip's length, split at random."""
    before, after = _split(clip, draws)
    parts = [np.repeat(clip.sequence[:1], before, axis=0), clip.sequence, np.repeat(clip.sequence[-1:], after, axis=0)]
    return replace(clip, sequence=np.concatenate(parts))


def other_motion(clip: Clip, draws: Draws) -> Clip:
    """The end of a clip of another class comes before, and the beginning of one after.

    Together they have half the clip's length, split at random, or fewer frames if the others are shorter. All parts are
    moved on the ground so that the body goes on from where it was.
    """
    before, after = _split(clip, draws)
    first, last = (draws.others[int(place)].sequence for place in draws.numbers.integers(0, len(draws.others), 2))
    return replace(clip, sequence=joined([first[len(first) - min(before, len(first)) :], clip.sequence, last[:after]]))


def noise(clip: Clip, draws: Draws) -> Clip:
    """Each coordinate of each joint and frame gets normal noise with a spread of 3 cm; depth 0 stays 0."""
    spread = draws.numbers.normal(0, NOISE_M, clip.sequence.shape).astype(np.float32)
    if clip.dimensions == 2:
        spread[..., 2] = 0
    return replace(clip, sequence=clip.sequence + spread)


def lost_joints(clip: Clip, draws: Draws) -> Clip:
    """A random third of each body's joints is lost, each for a span of 30 to 60 % of the clip at a random time."""
    sequence = clip.sequence.copy()
    frames, bodies, joints = sequence.shape[:3]
    for body in range(bodies):
        for joint in draws.numbers.permutation(joints)[: round(LOST_JOINTS * joints)]:
            length = round(draws.numbers.uniform(*LOST_SPAN) * frames)
            start = int(draws.numbers.integers(0, frames - length + 1))
            sequence[start : start + length, body, joint] = np.nan
    return replace(clip, sequence=sequence)


def half_the_frames(clip: Clip, _: Draws) -> Clip:
    """Every second frame, from the first on."""
    return replace(clip, sequence=clip.sequence[::2], fps=clip.fps / 2)


def speed(clip: Clip, draws: Draws) -> Clip:
    """Time runs 0.7 to 1.4 times as fast, and its speed changes smoothly along the clip.

    The logarithm of the speed is drawn at four equally spaced frames and goes between them along half cosines.
    """
    frames = len(clip.sequence)
    drawn = np.log(SPEED[0]) + np.log(SPEED[1] / SPEED[0]) * draws.numbers.random(SPEED_POINTS)
    place = np.linspace(0, SPEED_POINTS - 1, frames)
    before = np.minimum(place.astype(np.int64), SPEED_POINTS - 2)
    share = 0.5 - 0.5 * np.cos(np.pi * (place - before))
    step = np.exp(-(drawn[before] * (1 - share) + drawn[before + 1] * share))  # time that each frame takes
    times = np.concatenate([[0], np.cumsum((step[1:] + step[:-1]) / 2)])
    moments = np.interp(np.arange(int(times[-1]) + 1), times, np.arange(frames))
    return replace(clip, sequence=_at(clip.sequence, moments))


def turned(cleaned: Cleaned, draws: Draws) -> Cleaned:
    """The cleaned clip is turned by up to 45° about the vertical, so that no alignment can undo it."""
    angle = draws.numbers.uniform(-LARGEST_TURN, LARGEST_TURN)
    return replace(cleaned, positions=rotate_about_vertical(cleaned.positions, angle))


def no_travel(clip: Clip, _: Draws) -> Clip:
    """Each frame is seen from the root of the first body, the middle of the hips."""
    return replace(clip, sequence=clip.sequence - root_of(clip)[:, None, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of queries, and of which clips it can be made."""

    name: str  # in options, files and tables
    apply: Callable[[Clip, Draws], Clip] = as_it_is
    after_cleaning: Callable[[Cleaned, Draws], Cleaned] | None = None
    fits: Callable[[Clip], bool] = lambda _: True
    of_gallery: bool = False  # the clips of the gallery are changed too
    needs_others: bool = False  # it takes clips of other classes, see `Draws.others`
    says: str = ""  # what it does, where its function's docstring does not say it

    @property
    def meaning(self) -> str:
        """What it does, in a sentence or two."""
        text = self.says or (self.after_cleaning or self.apply).__doc__ or ""
        return " ".join(text.split())


def _has_depth(clip: Clip) -> bool:
    return clip.dimensions == 3


def _split(clip: Clip, draws: Draws) -> tuple[int, int]:
    """How many frames come before and after a clip."""
    added = round(ADDED_SHARE * len(clip.sequence))
    before = int(draws.numbers.integers(0, added + 1))
    return before, added - before


def _at(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], moments: Float[np.ndarray, " times"]
) -> Float32[np.ndarray, "times bodies joints 3"]:
    """The sequence at moments between its frames, by linear interpolation; NaN beside a frame that is NaN."""
    before = np.minimum(moments.astype(np.int64), len(sequence) - 1)
    after = np.minimum(before + 1, len(sequence) - 1)
    share = (moments - before)[:, None, None, None].astype(np.float32)
    return np.where(share > 0, sequence[before] * (1 - share) + sequence[after] * share, sequence[before])


def _film(clip: Clip, draws: Draws) -> Clip:
    return filmed(clip, draws.numbers)


def _layout_change(name: str, target_name: str, says: str) -> Change:
    target = {layout.name: layout for layout in (KINECT20, OPENNI15, COCO17, MEDIAPIPE33, PENN13)}[target_name]
    return Change(
        name=name,
        apply=lambda clip, _: seen_as(clip, target),
        fits=lambda clip: can_be_seen_as(clip.layout, target),
        says=says,
    )


CLEAN = Change(name="clean")

CHANGES: tuple[Change, ...] = (
    CLEAN,
    Change(name="window", apply=window),
    Change(name="rest", apply=rest),
    Change(name="other-motion", apply=other_motion, needs_others=True),
    Change(name="noise", apply=noise),
    Change(name="lost-joints", apply=lost_joints),
    Change(name="half-the-frames", apply=half_the_frames),
    Change(name="speed", apply=speed),
    Change(name="turned", after_cleaning=turned, fits=_has_depth),
    Change(name="no-travel", apply=no_travel),
    _layout_change("kinect20", "kinect20", "Only the 20 joints of the first Kinect."),
    _layout_change("openni15", "openni15", "Only the 15 joints of OpenNI."),
    _layout_change(
        "coco17", "coco17", "The 17 joints of COCO. Both ears are where the head is; nose and eyes are lost."
    ),
    _layout_change(
        "mediapipe33",
        "mediapipe33",
        "The 33 joints of MediaPipe. Both ears are where the head is, knuckles lie beyond hands; other points of the "
        "face, and what the clips lack, are lost.",
    ),
    _layout_change("13-joints", "penn13", "Only head, shoulders, elbows, wrists, hips, knees and ankles."),
    Change(
        name="no-legs",
        apply=lambda clip, _: without(clip, _LEGS),
        says="Knees, ankles and feet are lost throughout.",
    ),
    Change(
        name="upper-body",
        apply=lambda clip, _: without(clip, (*_LEGS, "Hip", "SpineBase")),
        says="Legs, hips and spine base are lost throughout, as of people behind desks.",
    ),
    Change(name="2d-in-3d", apply=_film, fits=_has_depth, says=" ".join((filmed.__doc__ or "").split())),
    Change(
        name="2d-in-2d",
        apply=_film,
        fits=_has_depth,
        of_gallery=True,
        says="The same, and each clip of the gallery is seen by a random camera of its own too.",
    ),
)


def draws_of(seed: int, set_name: str, change: str, clip: int, others: Sequence[Clip] = ()) -> Draws:
    """The draws of a change of one clip: a function of these values, whatever was drawn before."""
    words = [int.from_bytes(text.encode(), "little") for text in (set_name, change)]
    return Draws(np.random.default_rng([seed, *words, clip]), others)
