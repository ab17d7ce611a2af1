"""People that pose estimators find in the frames of a video, as bodies that go on from frame to frame.

Many estimators do not say who is who. Then people are followed: in each frame, the person and the body that are nearest
to each other belong together, then the next nearest, and so on. The distance is the mean over the joints that the
person shows now and the body showed last, in parts of the body's size: the longer side of the box around its joints. A
person who is further than half of it from every body is a new one. Tracks that are given are kept.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float64

from gfp_serve.errors import DamagedFileError
from gfp_serve.image_joints import MIN_CONFIDENCE

# A clip has no more bodies than this: the ones that are seen in the most frames.
MAX_BODIES = 8
# A person within this many sizes of a body is the same one. At 30 frames a second, a runner moves a tenth of one.
_MAX_DISTANCE = 0.5
# This many bodies, those that were seen last, are compared with the people of a frame.
_MAX_REMEMBERED = 64
# Frames without people are gaps. More than this many for each frame with people are images that are not of one video.
MAX_GAPS, FREE_GAPS = 20, 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A person in one frame."""

    joints: Float64[np.ndarray, "joints axes"]  # 2 or 3 axes; NaN = lost
    confidence: Float64[np.ndarray, " joints"] | None = None  # 0 to 1
    track: str | None = None  # who it is, if the file says it
    # Where joints are seen in the image, if `joints` are centred on the person and do not say where it is.
    place: Float64[np.ndarray, "joints 2"] | None = None

    def seen(self, min_confidence: float = MIN_CONFIDENCE) -> Float64[np.ndarray, "joints axes"]:
        """The joints by which the person is followed: NaN where they are lost (little confidence, or at the origin)."""
        joints = self.joints if self.place is None else self.place
        lost = (joints == 0).all(axis=1)
        if self.confidence is not None:
            lost |= ~(self.confidence >= min_confidence)
        return np.where(lost[:, None], np.nan, joints)


Frames = Mapping[int, Sequence[Person]]  # the people of each frame, by its number


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """Bodies over all frames from the first to the last, and what must be said about how they were found."""

    joints: Float64[np.ndarray, "frames bodies joints axes"]  # NaN where a body is not in a frame
    confidence: Float64[np.ndarray, "frames bodies joints"] | None
    remarks: tuple[str, ...] = ()


def bodies_of(path: Path, frames: Frames, min_confidence: float | None = None) -> Bodies | None:
    """The bodies of a video; None if nobody is in it. All people have the same number of joints and axes.

    Joints with less than `min_confidence`, which is `MIN_CONFIDENCE` if it is None, do not tell who is who.

    A frame whose number is missing is a gap: nobody is seen in it. Raises `DamagedFileError` if nearly all are missing.
    """
    first, num_frames = _range(path, frames)
    least = MIN_CONFIDENCE if min_confidence is None else min_confidence
    followed = list(_followed(frames, least))
    if not followed:
        return None
    remarks = []
    if len(frames) < num_frames:
        remarks.append("numbers of frames are missing in it; nobody is seen in these frames.")
    counts = Counter(body for _, body, _ in followed)
    if len(counts) > 1 and any(person.track is None for _, _, person in followed):
        remarks.append("it does not say who is who; people were followed from frame to frame by their joints.")
    if len(counts) > MAX_BODIES:
        remarks.append(f"it shows more than {MAX_BODIES} people; only those seen in the most frames were taken.")
    # In the order in which they appear.
    kept = {body for body, _ in counts.most_common(MAX_BODIES)}
    places = {body: place for place, body in enumerate(body for body in counts if body in kept)}
    example = followed[0][2].joints
    joints = np.full((num_frames, len(places), *example.shape), np.nan)
    confidence = np.zeros(joints.shape[:3])
    known = False
    for frame, body, person in followed:
        if body in places:
            where = (frame - first, places[body])
            joints[where] = person.joints
            confidence[where] = 1.0 if person.confidence is None else person.confidence
            known |= person.confidence is not None
    return Bodies(joints, confidence if known else None, tuple(remarks))


def _range(path: Path, frames: Frames) -> tuple[int, int]:
    """The first frame and the number of frames up to the last one."""
    if not frames:
        return 0, 0
    first, last = min(frames), max(frames)
    num_frames = last - first + 1
    if num_frames > FREE_GAPS + MAX_GAPS * len(frames):
        raise DamagedFileError(
            f"{path} has {len(frames):,} frames, numbered from {first} to {last}: these are not the frames of one "
            f"video. Make a file for each video, with frames that follow each other."
        )
    return first, num_frames


def _followed(frames: Frames, min_confidence: float) -> Iterator[tuple[int, str, Person]]:
    """Frame, body and person of everyone, in the order of frames."""
    # Some estimators give everyone the same number if they do not track.
    tracks_hold = all(_differ([person.track for person in people]) for people in frames.values())
    last: dict[str, Float64[np.ndarray, "joints axes"]] = {}  # the joints of bodies, the one seen last at the end
    num_new = 0
    for frame in sorted(frames):
        people = frames[frame] if tracks_hold else [replace(person, track=None) for person in frames[frame]]
        # One who shows no joint is like nobody that was seen, and would be a new body in each frame.
        people = [each for each in people if each.track is not None or np.isfinite(each.seen(min_confidence)).any()]
        bodies = ["" if person.track is None else f"given {person.track}" for person in people]
        seen = [person.seen(min_confidence) for person in people]
        unknown = [number for number, body in enumerate(bodies) if not body]
        if unknown:
            free = [body for body in last if body not in bodies][-_MAX_REMEMBERED:]
            nearest = _nearest([seen[number] for number in unknown], [last[body] for body in free])
            for number, found in zip(unknown, nearest, strict=True):
                num_new += found is None
                bodies[number] = f"new {num_new}" if found is None else free[found]
        for body, person, joints in zip(bodies, people, seen, strict=True):
            last.pop(body, None)
            last[body] = joints
            yield frame, body, person


def _differ(tracks: Sequence[str | None]) -> bool:
    given = [track for track in tracks if track is not None]
    return len(set(given)) == len(given)


def _nearest(
    people: Sequence[Float64[np.ndarray, "joints axes"]], bodies: Sequence[Float64[np.ndarray, "joints axes"]]
) -> list[int | None]:
    """The body of each person, None for a new one. No body is given twice."""
    found: list[int | None] = [None] * len(people)
    if not people or not bodies:
        return found
    distances = _distances(np.stack(people), np.stack(bodies))
    for _ in range(min(distances.shape)):
        person, body = (int(index) for index in np.unravel_index(np.argmin(distances), distances.shape))
        if distances[person, body] > _MAX_DISTANCE:
            break
        found[person] = body
        distances[person], distances[:, body] = np.inf, np.inf
    return found


def _distances(
    people: Float64[np.ndarray, "people joints axes"], bodies: Float64[np.ndarray, "bodies joints axes"]
) -> Float64[np.ndarray, "people bodies"]:
    """The mean distance of joints that both show, in sizes of the larger of both; infinite if they share no joint."""
    apart = np.linalg.norm(people[:, None] - bodies, axis=-1)  # people, bodies, joints
    shared: Bool[np.ndarray, "people bodies joints"] = np.isfinite(apart)
    count = shared.sum(axis=2)
    mean = np.where(shared, apart, 0).sum(axis=2) / np.maximum(count, 1)
    size = np.maximum(_sizes(people)[:, None], _sizes(bodies))
    return np.where((count > 0) & (size > 0), mean / np.where(size > 0, size, 1), np.inf)


def _sizes(people: Float[np.ndarray, "people joints axes"]) -> Float64[np.ndarray, " people"]:
    seen = np.isfinite(people)
    sides = np.where(seen, people, -np.inf).max(axis=1) - np.where(seen, people, np.inf).min(axis=1)
    return np.where(np.isfinite(sides), sides, 0).max(axis=1)
