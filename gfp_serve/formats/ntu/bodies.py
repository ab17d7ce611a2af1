"""Which bodies in an NTU file are persons: the denoising and body selection of the published pipelines.

MAMP, CTR-GCN and their relatives share these rules (first published with the View-Adaptive networks, Zhang et al.
2019). They are made for the tracker of the Kinect v2, which gives a new ID to a person whom it lost, and takes chairs
for bodies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.preprocess import MAX_GHOST_FRAMES

# The joints of one person under two IDs are at most this far apart, in the median.
MAX_HANDOVER_M = 0.3

# A frame of a body is noisy if the body is wider than this share of its height. If there is another body, one with this
# share of noisy frames or more is not a person.
MAX_WIDTH_TO_HEIGHT = 0.8
MIN_NOISY_SHARE = 0.69754


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """One body ID, from the first to the last frame in which it was seen."""

    start: int
    joints: Float32[np.ndarray, "frames 25 3"]  # NaN = not seen

    @property
    def end(self) -> int:
        """The first frame after the track."""
        return self.start + len(self.joints)

    @property
    def poses(self) -> Float32[np.ndarray, "seen_frames 25 3"]:
        """The frames in which all joints are seen."""
        return self.joints[np.isfinite(self.joints).all(axis=(1, 2))]


def choose_actors(
    bodies: Float32[np.ndarray, "frames bodies 25 3"],
) -> Float32[np.ndarray, "frames actors 25 3"]:
    """The one or two actors of a recording in true time, most moving first; NaN where an actor is not seen.

    A single body stays as it is. Of several, those that were tracked for at most 11 frames are dropped, then those that
    are wider than high in most frames, but never the last body. The rest are taken in the order of motion: the variance
    of all joints over all frames, or over the frames that are not noisy if that is less. Each joins the actor who is
    not seen while it is seen, and the nearer one if that holds for both. Otherwise it becomes the second actor; if
    there are two already, it is dropped.

    A tracker that gives a person a new ID may have both IDs for a few frames. So tracks that share at most 11 frames,
    in one place, are one person.

    Published code compares only spans of time and differs in four other ways, which `choose_actors_as_published` keeps.
    """
    if bodies.shape[1] == 1:
        return bodies
    seen = _seen(bodies)
    tracks = []
    for body in np.flatnonzero(seen.any(axis=0)):
        first, last = np.flatnonzero(seen[:, body])[[0, -1]]
        tracks.append(_Track(int(first), bodies[first : last + 1, body]))
    if len(tracks) < 2:
        return bodies[:, seen.any(axis=0)] if tracks else bodies[:, :1]
    return _join(_denoise(tracks), len(bodies))


def choose_actors_as_published(
    bodies: Float32[np.ndarray, "frames bodies 25 3"],
) -> Float32[np.ndarray, "left_frames actors 25 3"]:
    """Like `choose_actors`, with what the published code does to time and to overlapping tracks.

    0. Only the first and last frame of a track count; neither its place nor gaps in it do.
    1. Frames in which nobody is seen are cut out. 2. If a body vanishes and returns, its frames after the return follow
    directly on those before. 3. A track that begins in the frame in which an actor ends counts as not overlapping, and
    overwrites that frame. 4. The second actor counts as tracked from the first frame on, so that a short track before
    it is dropped. Frames that are empty in the end are cut out too.
    """
    seen = _seen(bodies)
    bodies, seen = bodies[seen.any(axis=1)], seen[seen.any(axis=1)]  # 1
    if not seen.any():
        return bodies[:, :1]
    present = np.flatnonzero(seen.any(axis=0))
    tracks = [_Track(int(seen[:, body].argmax()), bodies[seen[:, body], body]) for body in present]  # 2
    if len(tracks) == 1:
        return tracks[0].joints[:, None]
    actors = _merge_as_published(_denoise(tracks), len(bodies))  # 0, 3, 4
    return actors[_seen(actors).any(axis=1)]


def _seen(bodies: Float32[np.ndarray, "frames bodies 25 3"]) -> Bool[np.ndarray, "frames bodies"]:
    return np.isfinite(bodies).any(axis=(2, 3))


def _denoise(tracks: Sequence[_Track]) -> list[_Track]:
    """The tracks of people, most moving first."""
    long = [track for track in tracks if _num_seen(track) > MAX_GHOST_FRAMES]
    left = long or list(tracks)
    motion = {id(track): _motion(track.poses) for track in left}
    for track in list(left):
        if len(left) == 1:
            break
        extent = np.ptp(track.poses, axis=1)  # frames, 3
        good = extent[:, 0] <= MAX_WIDTH_TO_HEIGHT * extent[:, 1]
        if len(good) == 0 or 1 - good.mean() >= MIN_NOISY_SHARE:
            left.remove(track)
        else:
            motion[id(track)] = min(motion[id(track)], _motion(track.poses[good]))
    return sorted(left, key=lambda track: -motion[id(track)])


def _num_seen(track: _Track) -> int:
    return int(np.isfinite(track.joints).any(axis=(1, 2)).sum())


def _motion(poses: Float32[np.ndarray, "frames 25 3"]) -> float:
    return float(poses.var(axis=(0, 1), dtype=np.float64).sum()) if len(poses) else 0.0


def _join(tracks: Sequence[_Track], num_frames: int) -> Float32[np.ndarray, "frames actors 25 3"]:
    actors = np.full((num_frames, 2, *tracks[0].joints.shape[1:]), np.nan, dtype=np.float32)
    num_actors = 0
    for track in tracks:
        apart = [_distance(actors[:, actor], track) for actor in range(num_actors)]
        if num_actors and min(apart) < np.inf:
            actor = int(np.argmin(apart))
        elif num_actors < 2:
            actor, num_actors = num_actors, num_actors + 1
        else:
            continue
        place = actors[track.start : track.end, actor]
        free = ~np.isfinite(place).any(axis=(1, 2))
        place[free] = track.joints[free]
    return actors[:, :num_actors]


def _distance(actor: Float32[np.ndarray, "frames 25 3"], track: _Track) -> float:
    """Metres between an actor and a track where they are closest in time; infinite for two people seen at once."""
    there = np.flatnonzero(np.isfinite(actor).all(axis=(1, 2)))
    here = track.start + np.flatnonzero(np.isfinite(track.joints).all(axis=(1, 2)))
    shared = np.intersect1d(there, here)
    if len(shared):
        metres = float(np.median(np.linalg.norm(actor[shared] - track.joints[shared - track.start], axis=-1)))
        return metres if len(shared) <= MAX_GHOST_FRAMES and metres <= MAX_HANDOVER_M else np.inf
    if not len(there) or not len(here):
        return np.inf
    gaps = np.abs(there[:, None] - here)
    at, now = np.unravel_index(gaps.argmin(), gaps.shape)
    return float(np.median(np.linalg.norm(actor[there[at]] - track.joints[here[now] - track.start], axis=-1)))


def _merge_as_published(tracks: Sequence[_Track], num_frames: int) -> Float32[np.ndarray, "frames actors 25 3"]:
    actors = np.full((num_frames, 2, *tracks[0].joints.shape[1:]), np.nan, dtype=np.float32)
    spans: list[tuple[int, int] | None] = [None, None]  # first frame, and the first after the last
    for track in tracks:
        for actor, span in enumerate(spans):
            start, end = span or (track.start, track.start)
            if min(end, track.end) - max(start, track.start) <= 1 or span is None:
                actors[track.start : track.end, actor] = track.joints
                spans[actor] = (min(start, track.start) if actor == 0 else 0, max(end, track.end))
                break
    return actors if spans[1] else actors[:, :1]
