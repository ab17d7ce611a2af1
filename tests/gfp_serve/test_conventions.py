"""Which way is up, in which unit, and which hand is which: said, or decided from the anatomy of a whole file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.conventions import METRES, STANDARD, Conventions, decide, size, to_standard
from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError
from gfp_serve.formats import read_clips
from gfp_serve.layouts import KINECT20, NTU25

CLIPS = Path(__file__).parents[2] / "examples" / "clips"

# What brings y up to each axis, by rows: x, y, z of the source in terms of x, y, z of the standard. All are turns.
TURNED = {
    "y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "-y": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
    "z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "-z": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "x": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
    "-x": [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
}
MIRROR = np.diag([1, 1, -1])


@pytest.fixture(scope="module")
def mocap():
    """People who play basketball, climb, dance and walk, by optical motion capture."""
    return [clip.sequence for clip in read_clips(CLIPS / "cmu_sample.npz")]


@pytest.fixture(scope="module")
def kinect():
    """Recordings of a sensor, with frames in which nobody was seen."""
    found = [clip.sequence for clip in read_clips(CLIPS / "precog.npz")]
    return [np.where((clip == 0).all(axis=(2, 3), keepdims=True), np.nan, clip).astype(np.float32) for clip in found]


def seen_from(clips, up="y", unit="m", hand="right"):
    """The clips as a source with these conventions would give them."""
    turn = np.array(TURNED[up]) @ (MIRROR if hand == "left" else np.eye(3))
    return [(clip @ turn.T.astype(np.float32) / np.float32(METRES[unit])).astype(np.float32) for clip in clips]


@pytest.mark.parametrize("hand", ["right", "left"])
@pytest.mark.parametrize("unit", ["m", "cm", "cmu"])
@pytest.mark.parametrize("up", ["y", "-y", "z", "-z"])
def test_conventions_are_found_out_and_the_motion_is_the_same(mocap, up, unit, hand):
    source = seen_from(mocap, up, unit, hand)
    found = decide(source, NTU25, Conventions())
    assert found == Conventions(up=up, unit=unit, hand=hand)
    for clip, expected in zip(source[:3], mocap[:3], strict=True):
        np.testing.assert_allclose(to_standard(clip, found), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("up", ["y", "-y", "z", "-z"])
def test_they_are_found_out_with_lost_joints_and_a_tilted_sensor(kinect, up):
    assert decide(seen_from(kinect, up, "mm", "left"), KINECT20, Conventions()) == Conventions(
        up=up, unit="mm", hand="left"
    )


@pytest.mark.parametrize("unit", ["m", "dm", "cmu", "in", "cm", "mm"])
def test_every_usual_unit_is_told_apart(kinect, unit):
    assert decide(seen_from(kinect, unit=unit), KINECT20, Conventions()).unit == unit


@pytest.mark.parametrize("up", list(TURNED))
def test_a_turn_keeps_hands(up):
    # Each row is a point on an axis of the standard; the source has it turned.
    (points,) = seen_from([np.eye(3, dtype=np.float32)], up)
    np.testing.assert_array_equal(to_standard(points, Conventions(up=up, unit="m", hand="right")), np.eye(3))


def test_what_is_said_is_not_decided(mocap):
    source = seen_from(mocap, "z", "cm")
    said = Conventions(up="x", unit="ft", hand="left")
    assert decide(source, NTU25, said) == said
    assert decide(source, NTU25, Conventions(unit="mm")) == Conventions(up="z", unit="mm", hand="right")


def test_a_file_of_people_who_lie_is_not_turned_upright(mocap):
    lying = [clip @ np.array(TURNED["x"], dtype=np.float32).T for clip in mocap]
    assert decide(lying, NTU25, Conventions()).up is None


def test_one_who_lies_or_stands_on_the_hands_does_not_turn_the_others(mocap):
    upside_down = seen_from(mocap[:15], "-y")
    assert decide([*upside_down, *mocap[15:]], NTU25, Conventions()).up == "y"


def test_standard_coordinates_stay_as_they_are(mocap):
    assert to_standard(mocap[0], STANDARD) is mocap[0]


def test_what_is_not_known_must_be_said(mocap):
    with pytest.raises(InvalidSkeletonError, match=r"not known \(z up\); say which axis is up, the unit and the hand"):
        to_standard(mocap[0], Conventions(up="z"))
    with pytest.raises(InvalidSkeletonError, match="nothing is said"):
        to_standard(mocap[0], Conventions())
    nobody = np.full((5, 1, 25, 3), np.nan, dtype=np.float32)
    assert decide([nobody], NTU25, Conventions()) == Conventions()
    assert decide([], NTU25, Conventions()) == Conventions()


def test_a_convention_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InvalidRequestError, match="unit is 'metre'; choose one of m, dm, cm, mm, in, ft, cmu"):
        Conventions.from_texts(unit="metre")
    assert Conventions.from_texts(up="-z", hand="left") == Conventions(up="-z", hand="left")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"image_size": 1920}, "image_size: it is 1920; expected width and height, both above 0"),
        ({"image_size": "1920x1080"}, "image_size: it is '1920x1080'; expected width and height"),
        ({"image_size": (1920, 0)}, "expected width and height, both above 0"),
        ({"image_size": (1, 2, 3)}, "expected width and height, both above 0"),
        ({"min_confidence": "0.5"}, "min_confidence: it is '0.5'; expected a number from 0 to 1"),
        ({"min_confidence": 1.5}, "min_confidence: it is 1.5; expected a number from 0 to 1"),
        ({"fps": 0}, "fps: it is 0; expected a number from 0.001 to 1,000,000"),
        ({"fps": float("nan")}, "fps: it is nan; expected a number from 0.001"),
        ({"dimensions": 4}, "dimensions is 4; choose one of 2, 3"),
        ({"up": "q"}, "up is 'q'; choose one of x, y, z"),
    ],
)
def test_values_that_cannot_be_are_refused(said, message):
    # In a process without checks of types, as users have it, all of these reach the check.
    code = f"from gfp_serve.conventions import Conventions\nnan = float('nan')\nConventions(**{said!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert message in found.stderr.splitlines()[-1]


def test_a_size_is_read_from_a_text():
    assert size("1920x1080") == size("1920 × 1080") == (1920, 1080)
    with pytest.raises(ValueError, match="'1920' is not a size of images, such as 1920x1080"):
        size("1920")


def test_an_infinite_coordinate_is_refused_and_not_turned_into_a_lost_one(mocap):
    broken = mocap[0].copy()
    broken[2, 0, 3, 1] = np.inf
    with pytest.raises(InvalidSkeletonError, match="a coordinate is infinite"):
        to_standard(broken, Conventions(up="z", unit="m", hand="right"))


def test_conventions_are_said_in_words():
    assert str(Conventions(up="-y", unit="cm", hand="left")) == "-y up, centimetres, left-handed"
    assert str(Conventions(unit="mm")) == "millimetres"
