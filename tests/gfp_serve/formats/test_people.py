"""People without tracks are followed from frame to frame."""

from pathlib import Path

import numpy as np

from gfp_serve.formats.people import MAX_BODIES, Bodies, Person, bodies_of
from gfp_serve.layouts import COCO17

from .videos import walking

_FOLLOWED = "it does not say who is who; people were followed from frame to frame by their joints."


def person(start: float, *, track: str | None = None, frame: int = 0) -> Person:
    return Person(walking(COCO17, frame + 1, start=start)[frame], np.full(17, 0.9), track)


def found(frames: dict[int, list[Person]]) -> Bodies:
    bodies = bodies_of(Path("video.json"), frames)
    assert bodies is not None
    return bodies


def presence(bodies: Bodies) -> list[list[int]]:
    """The frames in which each body is seen."""
    seen = np.isfinite(bodies.joints).all(axis=(2, 3))
    return [np.flatnonzero(seen[:, body]).tolist() for body in range(seen.shape[1])]


def test_who_comes_back_to_the_same_place_is_the_same_body() -> None:
    frames = {frame: [person(400, frame=frame)] if frame not in (4, 5, 6) else [] for frame in range(10)}
    bodies = found(frames)
    assert presence(bodies) == [[0, 1, 2, 3, 7, 8, 9]]
    assert bodies.remarks == ()


def test_who_appears_elsewhere_is_a_new_body() -> None:
    bodies = found({0: [person(400)], 1: [person(900)], 2: [person(400), person(900)]})
    assert presence(bodies) == [[0, 2], [1, 2]]
    assert bodies.remarks == (_FOLLOWED,)


def test_the_nearest_pair_is_joined_first_and_nobody_twice() -> None:
    bodies = found({0: [person(400), person(500)], 1: [person(470), person(510)]})
    np.testing.assert_array_equal(bodies.joints[1, 0], person(470).joints)
    np.testing.assert_array_equal(bodies.joints[1, 1], person(510).joints)


def test_joints_without_confidence_do_not_say_who_is_who() -> None:
    lost = person(400)
    lost.joints[5:] += 3_000
    assert lost.confidence is not None
    lost.confidence[5:] = 0.1
    assert presence(found({0: [person(400)], 1: [lost]})) == [[0, 1]]


def test_who_shows_no_joint_for_a_while_is_still_the_same_body() -> None:
    def shown(frame: int, confidence: float) -> Person:
        return Person(walking(COCO17, 1)[0], np.full(17, confidence))

    bodies = found({frame: [shown(frame, 0.1 if 20 <= frame < 100 else 0.9)] for frame in range(120)})
    assert presence(bodies) == [[*range(20), *range(100, 120)]]
    assert "it shows more than 8 people; only those seen in the most frames were taken." not in bodies.remarks


def test_tracks_that_are_given_are_kept_however_far_people_jump() -> None:
    bodies = found({0: [person(400, track="a"), person(900, track="b")], 1: [person(400, track="b")]})
    assert presence(bodies) == [[0], [0, 1]]
    assert bodies.remarks == ()


def test_of_a_crowd_those_seen_in_the_most_frames_are_kept() -> None:
    crowd = [400.0 * number for number in range(MAX_BODIES + 3)]
    frames = {frame: [person(start) for start in crowd[: None if frame else MAX_BODIES]] for frame in range(2)}
    bodies = found(frames)
    assert presence(bodies) == [[0, 1]] * MAX_BODIES
    assert bodies.remarks == (
        _FOLLOWED,
        "it shows more than 8 people; only those seen in the most frames were taken.",
    )


def test_a_video_without_people_has_no_bodies() -> None:
    assert bodies_of(Path("video.json"), {0: [], 1: []}) is None
    assert bodies_of(Path("video.json"), {}) is None
