"""Moments of recordings: near windows that belong together become one answer, from when to when."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gfp_serve.items import Neighbour, Source

# A window joins a moment while 1 - similarity, the cosine distance from the query, is at most so many times that of the
# moment's nearest window.
REACH = 1.3

_Place = tuple[str, bool]  # a recording, and whether as a whole


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a recording that is near a query; without a `source` it is an item of which none is known.

    `similarity` and `label` are those of the nearest of its items, `ids` all of them, nearest first.
    """

    source: Source | None
    similarity: float
    label: str
    ids: tuple[str, ...]


def merge(neighbours: Iterable[Neighbour], top_k: int) -> list[Moment]:
    """At most `top_k` moments, nearest first, made of neighbours of one query that come nearest first.

    The nearest window that is in no moment yet begins the next one. Windows of the same recording join it when they
    are nearly as near (`REACH`) and an unbroken row of such windows, each touching or overlapping the next, leads to
    it; its time is from the first begin to the last end of them. What overlaps a moment without belonging to it is left
    out, so that moments of a recording never overlap. Items that are whole recordings (both seconds are 0) merge with
    one another, not with windows; items without a source are moments of their own.

    Why not all windows that touch: in UTD-MHAD, one person's clips joined to recordings of four minutes, the first
    moment overlaps a true one by half (intersection over union) for 84 % of the queries as the nearest window alone
    and for 85 % as here, with windows of 60 frames, about as long as the actions. As the union of what touches it is
    60 % with 200 neighbours and 18 % with 1000: the more one looks at, the longer moments get. Windows shorter than
    the actions gain from joining: KinderGator, 90 frames of 170, 29 % alone and 36 % here. A reach of 1.5 gains a
    little more there and loses 4 of 72 points with windows longer than the actions. Ends that are averages of the
    windows' ends, or what most windows cover, were not better. It is a ratio because encoders differ in how far apart
    their vectors lie.
    """
    ranked = list(neighbours)
    # Of each recording, the windows that no moment overlaps yet, by id and nearest first.
    free: dict[_Place, dict[str, Neighbour]] = defaultdict(dict)
    for neighbour in ranked:
        free[_place(neighbour)][neighbour.id] = neighbour
    moments: list[Moment] = []
    for nearest in ranked:
        if len(moments) == top_k:
            break
        if nearest.source is None:
            moments.append(Moment(None, nearest.similarity, nearest.label, (nearest.id,)))
            continue
        windows = free[_place(nearest)]
        if nearest.id not in windows:
            continue
        joined = _joined(nearest, windows.values())
        start_s, end_s = min(map(_start, joined)), max(map(_end, joined))
        source = Source(nearest.source.recording, start_s, 0.0 if _is_whole(nearest.source) else end_s)
        moments.append(Moment(source, nearest.similarity, nearest.label, tuple(window.id for window in joined)))
        taken = set(moments[-1].ids)
        free[_place(nearest)] = {
            id: window
            for id, window in windows.items()
            if id not in taken and not (_start(window) < end_s and start_s < _end(window))
        }
    return moments


def are_settled(moments: Sequence[Moment], neighbours: Sequence[Neighbour], top_k: int) -> bool:
    """Whether `merge` gives the same moments however many neighbours follow these, from which it made them."""
    return len(moments) == top_k and neighbours[-1].similarity < _least_similarity(moments[-1].similarity)


def _joined(nearest: Neighbour, windows: Iterable[Neighbour]) -> list[Neighbour]:
    """Those of a recording's windows that belong to the moment of the nearest, nearest first, as they are given."""
    near = [window for window in windows if window.similarity >= _least_similarity(nearest.similarity)]
    row: set[str] = set()
    end_s = -math.inf
    for window in sorted(near, key=_start):
        if _start(window) > end_s:  # a gap: another row begins
            if nearest.id in row:
                break
            row.clear()
        row.add(window.id)
        end_s = max(end_s, _end(window))
    return [window for window in near if window.id in row]


def _least_similarity(nearest: float) -> float:
    # Rounding makes similarities a little larger than 1.
    return nearest - (REACH - 1) * max(0.0, 1 - nearest)


def _place(neighbour: Neighbour) -> _Place:
    source = neighbour.source or Source("")
    return source.recording, _is_whole(source)


def _is_whole(source: Source) -> bool:
    return source.start_s == source.end_s == 0


def _start(window: Neighbour) -> float:
    return window.source.start_s if window.source else 0.0


def _end(window: Neighbour) -> float:
    return math.inf if window.source is None or _is_whole(window.source) else window.source.end_s
