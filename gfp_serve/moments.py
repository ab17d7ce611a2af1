"""Moments of recordings: similar windows that follow each other become one answer with a start and an end."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gfp_serve.items import Neighbour, Source

# A window joins a moment if its cosine distance to the query (1 - similarity) is at most this factor times the distance
# of the moment's nearest window. It is a ratio because encoders differ in how far apart their vectors lie.
REACH = 1.3

# A recording's name, and whether its items are whole recordings.
_Recording = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a recording that is similar to a query. `source` is None for an item without a source.

    `ids` are its items, nearest first. `similarity` and `label` are those of the nearest.
    """

    source: Source | None
    similarity: float
    label: str
    ids: tuple[str, ...]


def merge(neighbours: Iterable[Neighbour], top_k: int) -> list[Moment]:
    """Merge the neighbours of one query, given nearest first, into at most `top_k` moments, nearest first.

    Each moment begins with the nearest window that is not part of a moment yet. A window of the same recording joins if
    it is nearly as near (`REACH`) and an unbroken row of such windows connects it to the first one: each touches or
    overlaps the next. The moment lasts from the earliest begin to the latest end of its windows. Windows that overlap a
    moment without belonging to it are dropped, so moments of one recording never overlap. Items that are whole
    recordings (both seconds are 0) merge with each other, but not with windows. An item without a source is a moment of
    its own.

    Windows that touch are not all merged, because moments would become longer with every neighbour that is found. The
    measurements behind `REACH` are in docs/benchmarks.md, "Which windows become one moment".
    """
    ranked = list(neighbours)
    # The windows of each recording that no moment overlaps yet, by id, nearest first.
    free: dict[_Recording, dict[str, Neighbour]] = defaultdict(dict)
    for neighbour in ranked:
        free[_recording(neighbour)][neighbour.id] = neighbour
    moments: list[Moment] = []
    for nearest in ranked:
        if len(moments) == top_k:
            break
        if nearest.source is None:
            moments.append(Moment(None, nearest.similarity, nearest.label, (nearest.id,)))
            continue
        windows = free[_recording(nearest)]
        if nearest.id not in windows:
            continue
        joined = _windows_of_moment(nearest, windows.values())
        start_s, end_s = min(map(_start, joined)), max(map(_end, joined))
        source = Source(nearest.source.recording, start_s, 0.0 if _is_whole(nearest.source) else end_s)
        moments.append(Moment(source, nearest.similarity, nearest.label, tuple(window.id for window in joined)))
        taken = set(moments[-1].ids)
        free[_recording(nearest)] = {
            id: window
            for id, window in windows.items()
            if id not in taken and not (_start(window) < end_s and start_s < _end(window))
        }
    return moments


def are_settled(moments: Sequence[Moment], neighbours: Sequence[Neighbour], top_k: int) -> bool:
    """Whether more neighbours could not change these moments, which `merge` made from `neighbours`."""
    return len(moments) == top_k and neighbours[-1].similarity < _least_similarity(moments[-1].similarity)


def _windows_of_moment(nearest: Neighbour, windows: Iterable[Neighbour]) -> list[Neighbour]:
    """The windows of a recording that belong to the moment of its nearest window, in the given order."""
    near = [window for window in windows if window.similarity >= _least_similarity(nearest.similarity)]
    row: set[str] = set()
    end_s = -math.inf
    for window in sorted(near, key=_start):
        if _start(window) > end_s:  # a gap: a new row begins
            if nearest.id in row:
                break
            row.clear()
        row.add(window.id)
        end_s = max(end_s, _end(window))
    return [window for window in near if window.id in row]


def _least_similarity(nearest: float) -> float:
    # Rounding can make a similarity slightly larger than 1.
    return nearest - (REACH - 1) * max(0.0, 1 - nearest)


def _recording(neighbour: Neighbour) -> _Recording:
    source = neighbour.source or Source("")
    return source.recording, _is_whole(source)


def _is_whole(source: Source) -> bool:
    return source.start_s == source.end_s == 0


def _start(window: Neighbour) -> float:
    return window.source.start_s if window.source else 0.0


def _end(window: Neighbour) -> float:
    return math.inf if window.source is None or _is_whole(window.source) else window.source.end_s
