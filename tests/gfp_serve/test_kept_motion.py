"""The small copy of a clip: what it keeps, to the millimetre, and what it refuses."""

import base64
import struct
import tracemalloc
import zlib
from contextlib import suppress
from copy import copy
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from gfp_serve import preprocess
from gfp_serve.errors import InvalidRequestError
from gfp_serve.kept_motion import (
    LAYOUT,
    LEAST_FPS,
    MOST_BODIES,
    MOST_FRAME_NUMBER,
    MOST_FRAMES,
    MOST_M,
    KeptMotion,
    check_motion,
    motion_of,
    unpack,
)
from gfp_serve.layouts import FLORENCE15
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.kept_motions import kept_motion
from tests.support.tiny_bundle import walk

JOINTS = LAYOUT.num_joints
COORDINATES = (
    st.floats(-MOST_M, MOST_M, width=32) | st.floats(-2, 2, width=32) | st.sampled_from([0.0, MOST_M, -MOST_M])
)


@st.composite
def motions(draw: st.DrawFn) -> KeptMotion:
    frames, bodies = draw(st.integers(1, MOST_FRAMES)), draw(st.integers(1, MOST_BODIES))
    # A few values fill most of the array, so that it is drawn quickly.
    positions = draw(arrays(np.float32, (frames, bodies, JOINTS, 3), elements=COORDINATES))
    lacking = draw(arrays(bool, (frames, bodies, JOINTS)))
    positions[lacking] = np.nan
    numbers = draw(st.lists(st.integers(0, MOST_FRAME_NUMBER), min_size=frames, max_size=frames, unique=True))
    fps = draw(st.none() | st.floats(LEAST_FPS, 1e6))
    return KeptMotion(positions, np.array(sorted(numbers), dtype=np.int64), fps)


@given(motions())
def test_what_is_unpacked_is_what_was_packed_to_half_a_millimetre(motion: KeptMotion) -> None:
    check_motion(motion)
    found = unpack(motion.packed)

    np.testing.assert_array_equal(np.isnan(found.positions), np.isnan(motion.positions))
    # Kilometres away, float32 itself has steps of a quarter of a millimetre.
    rounding = np.spacing(np.abs(motion.positions))
    error = np.abs(found.positions.astype(np.float64) - motion.positions)
    assert (np.isnan(error) | (error <= 0.0005 + rounding)).all()
    np.testing.assert_array_equal(found.frame_numbers, motion.frame_numbers)
    assert found.fps == motion.fps
    assert replace(found).packed == motion.packed  # packing again changes nothing


@given(st.data())
def test_damaged_bytes_are_refused_in_words_or_are_a_motion(data: st.DataObject) -> None:
    packed = bytearray(kept_motion(1, clip_frames=data.draw(st.sampled_from([1, 5, 64]))).packed)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(packed) - 1))
        match data.draw(st.sampled_from(["change", "cut", "add"])):
            case "change":
                packed[place] = data.draw(st.integers(0, 255))
            case "cut":
                del packed[place + 1 :]
            case "add":
                packed[place:place] = data.draw(st.binary(max_size=4))
    with suppress(InvalidRequestError):  # any other error fails the test
        check_motion(unpack(bytes(packed)))


@given(st.binary(max_size=200))
def test_any_bytes_after_a_head_are_refused_or_are_a_motion(content: bytes) -> None:
    for inside in (content, zlib.compress(content)):
        with pytest.raises(InvalidRequestError, match="damaged"):
            unpack(struct.pack("<BBBBd", 1, 64, 2, JOINTS, 30.0) + inside)


def test_bytes_that_would_become_gigabytes_take_no_memory() -> None:
    bomb = struct.pack("<BBBBd", 1, 64, 2, JOINTS, 30.0) + zlib.compress(bytes(2**28))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequestError, match="more or fewer bytes than it says"):
            unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_the_largest_motion_fits_into_a_text_of_milvus() -> None:
    random = np.random.default_rng(0)
    positions = random.uniform(-MOST_M, MOST_M, (MOST_FRAMES, MOST_BODIES, JOINTS, 3)).astype(np.float32)
    numbers = np.sort(random.choice(MOST_FRAME_NUMBER, MOST_FRAMES, replace=False)).astype(np.int64)
    assert len(base64.b64encode(KeptMotion(positions, numbers, 29.97).packed)) <= 65_535


def test_a_later_format_is_refused_by_its_number() -> None:
    packed = kept_motion(1).packed
    with pytest.raises(InvalidRequestError, match="format 2; this release reads format 1"):
        unpack(b"\x02" + packed[1:])


@pytest.mark.parametrize("num_frames", [1, 2, 63, 64, 65, 100, 1000])
def test_frames_are_chosen_evenly_from_the_first_to_the_last(num_frames: int) -> None:
    motion = kept_motion(2, clip_frames=num_frames, fps=25.0)
    numbers = motion.frame_numbers

    assert len(numbers) == min(num_frames, MOST_FRAMES)
    assert (numbers[0], numbers[-1]) == (0, num_frames - 1)
    steps = np.diff(numbers)
    assert num_frames == 1 or steps.max() - steps.min() <= 1
    assert motion.times_s is not None
    np.testing.assert_allclose(motion.times_s, numbers / 25)
    assert kept_motion(2, fps=None).times_s is None


def test_a_clip_of_another_layout_has_the_same_joints_and_those_that_it_lacks_are_marked() -> None:
    cleaned = clean(walk(3, frames=30, layout=FLORENCE15), FLORENCE15, CleanConfig())
    motion = motion_of(cleaned.positions, cleaned.known)
    assert motion is not None
    found = unpack(motion.packed).positions

    assert found.shape == (30, 1, JOINTS, 3)
    lacking = np.isnan(found).all(axis=(0, 1, 3))
    assert lacking[LAYOUT.joint_names.index("ThumbLeft")]
    assert not lacking[LAYOUT.joint_names.index("ElbowLeft")]
    np.testing.assert_allclose(found[:, :, ~lacking], cleaned.positions[:, :, ~lacking], atol=0.00051)


def test_joints_of_an_image_have_no_depth_before_and_after() -> None:
    flat = walk(4, frames=70)
    flat[..., 2] = 0
    cleaned = clean(flat, LAYOUT, CleanConfig())
    motion = motion_of(cleaned.positions, cleaned.known)
    assert motion is not None
    assert not unpack(motion.packed).positions[..., 2].any()


def test_of_a_clip_that_is_too_far_out_none_is_made() -> None:
    positions, known = walk(1), np.ones((9, 1, JOINTS), dtype=bool)
    positions[3, 0, 5, 1] = 4001
    assert motion_of(positions, known) is None
    known[3, 0, 5] = False  # a place holder, which nobody sees
    assert motion_of(positions, known) is not None


def test_the_layout_and_the_most_bodies_are_those_of_preprocessing() -> None:
    assert (LAYOUT, MOST_BODIES) == (preprocess.MODEL_LAYOUT, preprocess.MAX_BODIES)


GOOD = kept_motion(1, clip_frames=5)


def with_position(value: float) -> np.ndarray:
    positions = GOOD.positions.copy()
    positions[0, 0, 3, 1] = value
    return positions


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"positions": GOOD.positions[:0]}, "has the shape 0 × 1 × 25 × 3"),
        ({"positions": np.zeros((65, 1, 25, 3), np.float32)}, "1 to 64 frames"),
        ({"positions": np.zeros((5, 3, 25, 3), np.float32)}, "1 to 2 bodies"),
        ({"positions": np.zeros((5, 1, 17, 3), np.float32)}, "25 joints of ntu25"),
        ({"positions": np.zeros((5, 25, 3), np.float32)}, "has the shape 5 × 25 × 3"),
        ({"positions": with_position(np.nan)}, "lacks some of its coordinates"),
        ({"positions": with_position(np.inf)}, "infinite or beyond 4000 m"),
        ({"positions": with_position(4001)}, "infinite or beyond 4000 m"),
        ({"frame_numbers": GOOD.frame_numbers[:-1]}, "not 5 rising numbers"),
        ({"frame_numbers": GOOD.frame_numbers[::-1]}, "not 5 rising numbers"),
        ({"frame_numbers": GOOD.frame_numbers - 1}, "not 5 rising numbers"),
        ({"frame_numbers": GOOD.frame_numbers + 2**31}, "not 5 rising numbers"),
        ({"fps": float("nan")}, "nan are not frames a second"),
        ({"fps": 0.0}, "0 are not frames a second"),
        ({"fps": -3.0}, "-3 are not frames a second"),
        ({"fps": 1e-310}, "1e-310 are not frames a second; they lie from 0.001 to 1,000,000"),
        ({"fps": 1e9}, "1e\\+09 are not frames a second"),
    ],
)
def test_a_motion_that_cannot_be_kept_is_refused_in_words(changed: dict[str, object], words: str) -> None:
    motion = copy(GOOD)
    for name, value in changed.items():
        object.__setattr__(motion, name, value)  # the tests' check of shapes would refuse some of them first
    with pytest.raises(InvalidRequestError, match=words):
        check_motion(motion)
