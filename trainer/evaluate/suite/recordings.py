"""Moments: clips joined to recordings, in which an action is asked for as a server would be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from gfp_serve.formats import Clip
from gfp_serve.items import Neighbour, Source
from gfp_serve.moments import merge
from gfp_serve.windows import WindowCutter
from trainer.evaluate.suite.joining import joined
from trainer.evaluate.suite.protocols import SplitSet

NUM_RECORDINGS, NUM_ACTIONS, MIN_ACTIONS = 16, 6, 3
# From one window to the next, as a part of a window.
STRIDE = 1 / 4


@dataclass(frozen=True, slots=True)
class Question:
    """An action that is asked for in a recording."""

    recording: int
    asked_by: int  # the clip of the gallery, by its number in the set
    first_frame: int  # where the action is
    end_frame: int


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """Windows of recordings, and what is asked in these."""

    windows: tuple[Clip, ...]
    recording_of: tuple[int, ...]  # of each window
    spans: tuple[tuple[int, int], ...]  # first frame and end of each window in its recording
    questions: tuple[Question, ...]


def join_recordings(given: SplitSet, *, seed: int) -> Recordings | None:
    """Recordings of the queries of the first fold, each of up to `NUM_ACTIONS` clips of different classes.

    Each is of one person, if people are known. It is cut into windows as long as the median clip of the gallery. Each
    action is asked by a clip of the gallery of its class. None if nobody has clips of `MIN_ACTIONS` classes.
    """
    draws = np.random.default_rng([seed, 4])
    clips, fold = given.clips.clips, given.folds[0]
    length = max(1, round(float(np.median([len(clips[index].sequence) for index in fold.train]))))
    answering: dict[str | None, list[int]] = {}
    for index in fold.train.tolist():
        answering.setdefault(clips[index].label, []).append(index)
    windows: list[Clip] = []
    recording_of: list[int] = []
    spans: list[tuple[int, int]] = []
    questions: list[Question] = []
    for number, chosen in enumerate(_chosen(given, draws)):
        whole = joined([clips[index].sequence for index in chosen])
        start = 0
        for index in chosen:
            end = start + len(clips[index].sequence)
            asked_by = int(draws.choice(answering[clips[index].label]))
            questions.append(Question(number, asked_by, start, end))
            start = end
        for window in WindowCutter(min(length, len(whole)), max(1, round(STRIDE * length))).add(whole):
            windows.append(replace(clips[chosen[0]], sequence=window.sequence))
            recording_of.append(number)
            spans.append((window.first_frame, window.first_frame + len(window.sequence)))
    if not questions:
        return None
    return Recordings(tuple(windows), tuple(recording_of), tuple(spans), tuple(questions))


def _chosen(given: SplitSet, draws: np.random.Generator) -> list[list[int]]:
    """The clips of each recording: of one person and layout, no class twice."""
    clips, people = given.clips.clips, given.clips.people
    pools: dict[tuple[object, str], list[int]] = {}
    for index in draws.permutation(given.folds[0].test).tolist():
        pools.setdefault((clips[index].layout, people[index]), []).append(index)
    recordings: list[list[int]] = []
    # One recording of each person in turn, until nobody has clips of enough classes.
    waiting = list(pools.values())
    while waiting and len(recordings) < NUM_RECORDINGS:
        pool = waiting.pop(0)
        first_of = {clips[index].label: index for index in reversed(pool)}
        chosen = [index for index in pool if first_of[clips[index].label] == index][:NUM_ACTIONS]
        if len(chosen) < MIN_ACTIONS:
            continue
        recordings.append(chosen)
        waiting.append([index for index in pool if index not in chosen])
    return recordings


def overlaps(
    asked: Recordings,
    windows: Float32[np.ndarray, "windows size"],
    gallery: dict[int, Float32[np.ndarray, " size"]],
    fps: float,
) -> list[float]:
    """For each question, how far the nearest moment of its recording and the action overlap: 0 to 1 (IoU).

    Vectors have length 1; those of windows that could not be embedded are all zeros, and are not found.
    """
    recording_of = np.array(asked.recording_of)
    found = []
    for question in asked.questions:
        own = np.flatnonzero((recording_of == question.recording) & windows.any(axis=1))
        similarities = windows[own] @ gallery[question.asked_by]
        ranked = [
            _neighbour(int(place), float(near), asked.spans[int(place)], fps)
            for place, near in sorted(zip(own, similarities, strict=True), key=lambda each: -each[1])
        ]
        moments = merge(ranked, top_k=1)
        source = moments[0].source if moments else None
        true = question.first_frame / fps, question.end_frame / fps
        found.append(0.0 if source is None else overlap((source.start_s, source.end_s), true))
    return found


def overlap(first: Sequence[float], other: Sequence[float]) -> float:
    """The length of what two spans of time share, as a part of the length that either covers."""
    shared = max(0.0, min(first[1], other[1]) - max(first[0], other[0]))
    return shared / (first[1] - first[0] + other[1] - other[0] - shared)


def _neighbour(place: int, similarity: float, span: tuple[int, int], fps: float) -> Neighbour:
    return Neighbour(str(place), "", similarity, {}, Source("recording", span[0] / fps, span[1] / fps))
