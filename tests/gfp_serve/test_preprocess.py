import dataclasses

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.layouts import COCO17, KINECT20, LAYOUTS, NTU25, statuses
from gfp_serve.preprocess import (
    MAX_GAP_FRAMES,
    MAX_TRUNK_M,
    NOMINAL_TRUNK_M,
    CleanConfig,
    Cleaned,
    PreprocessConfig,
    SampleConfig,
    centre_window,
    choose_bodies,
    clean,
    fill_gaps,
    prepare,
    resample,
    rotate_about_vertical,
    sample,
)
from tests.support.tiny_bundle import walk

NAN = np.nan
SIDES = ("Left", "Right")
BASE, MID, SHOULDER = (NTU25.joint_names.index(name) for name in ("SpineBase", "SpineMid", "SpineShoulder"))
HIP_LEFT, HIP_RIGHT = (NTU25.joint_names.index(name) for name in ("HipLeft", "HipRight"))


def track(*xs: float) -> np.ndarray:
    """Return one body of one joint that moves along x."""
    sequence = np.ones((len(xs), 1, 1, 3), dtype=np.float32)
    sequence[:, 0, 0, 0] = xs
    return sequence


def cleaned_positions(sequence: np.ndarray, config: CleanConfig) -> np.ndarray:
    return clean(sequence, NTU25, config).positions


# Filling gaps


@pytest.mark.parametrize(
    ("seen", "filled"),
    [
        ((1, NAN, 3), (1, 2, 3)),
        ((NAN, NAN, 3, 4), (3, 3, 3, 4)),
        ((1, 2, NAN), (1, 2, 2)),
        ((0, NAN, NAN, 6), (0, 2, 4, 6)),
        ((5, NAN), (5, 5)),
    ],
)
def test_a_gap_is_a_straight_line_and_an_end_holds_the_nearest_value(seen, filled):
    np.testing.assert_allclose(fill_gaps(track(*seen))[0], track(*filled))


def test_a_joint_with_one_lost_coordinate_is_lost():
    sequence = track(1, 2, 3)
    sequence[1, 0, 0] = (50, 50, NAN)
    np.testing.assert_allclose(fill_gaps(sequence)[0], track(1, 2, 3))


def test_a_frame_of_zeros_is_a_lost_frame():
    sequence = track(1, 2, 3)
    sequence[1] = 0
    np.testing.assert_allclose(fill_gaps(sequence)[0], track(1, 2, 3))


def test_a_joint_that_is_never_seen_is_put_in_the_middle_of_the_others():
    sequence = np.zeros((2, 1, 3, 3), dtype=np.float32)
    sequence[:, 0, 0], sequence[:, 0, 1], sequence[:, 0, 2] = NAN, (2, 0, 0), (4, 0, 6)
    assert fill_gaps(sequence)[0][:, 0, 0].tolist() == [[3, 0, 3], [3, 0, 3]]


def test_a_body_that_is_never_seen_is_left_out():
    both = np.concatenate([track(NAN, NAN), track(1, 2), 0 * track(0, 0)], axis=1)
    np.testing.assert_array_equal(fill_gaps(both)[0], track(1, 2))


@pytest.mark.parametrize(("num_seen", "num_bodies"), [(3, 1), (11, 1), (12, 2)])
def test_a_body_seen_only_briefly_beside_another_is_left_out(num_seen, num_bodies):
    ghost = walk(1, frames=40)
    ghost[num_seen:] = NAN
    assert fill_gaps(np.concatenate([walk(0, frames=40), ghost], axis=1))[0].shape[1] == num_bodies


def test_the_bodies_of_a_very_short_clip_are_all_kept():
    assert fill_gaps(np.concatenate([walk(0, frames=5), walk(1, frames=5)], axis=1))[0].shape[1] == 2


def test_a_body_whose_joints_are_all_in_one_point_is_refused():
    with pytest.raises(InvalidSkeletonError, match="there is no pose"):
        clean(np.full((4, 1, 25, 3), 2.0, dtype=np.float32), NTU25, CleanConfig())


@pytest.mark.parametrize("empty", [0.0, NAN])
def test_a_sequence_with_nobody_in_it_is_refused(empty):
    with pytest.raises(InvalidSkeletonError, match="nobody is seen in any of the 3 frames"):
        fill_gaps(np.full((3, 2, 25, 3), empty, dtype=np.float32))


def test_seen_joints_are_not_changed():
    sequence = walk(0, frames=12)
    gappy = sequence.copy()
    lost = np.random.default_rng(0).random(gappy.shape[:3]) < 0.3
    gappy[lost] = NAN
    filled, _ = fill_gaps(gappy)
    np.testing.assert_array_equal(filled[~lost], sequence[~lost])
    assert np.isfinite(filled).all()


# Which joints are known


def test_a_gap_is_known_up_to_half_a_second_and_lacking_beyond_wherever_it_is():
    seen = np.ones(100, dtype=bool)
    seen[:MAX_GAP_FRAMES] = seen[20 : 20 + MAX_GAP_FRAMES] = seen[50 : 51 + MAX_GAP_FRAMES] = False
    _, known = fill_gaps(track(*np.where(seen, np.arange(100), NAN)))
    assert np.flatnonzero(~known[:, 0, 0]).tolist() == list(range(50, 51 + MAX_GAP_FRAMES))
    seen[-1 - MAX_GAP_FRAMES :] = False
    assert not fill_gaps(track(*np.where(seen, np.arange(100), NAN)))[1][-1 - MAX_GAP_FRAMES :].any()


def test_a_body_that_comes_late_is_lacking_until_then():
    pair = walk(0, bodies=2, frames=60)
    pair[:30, 1] = NAN
    known = clean(pair, NTU25, CleanConfig()).known
    assert known.shape == (60, 2, 25)
    late = int((~known).any(axis=(0, 2)).argmax())
    assert not known[:30, late].any()
    assert known[30:].all()
    assert known[:, 1 - late].all()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_what_a_layout_lacks_is_lacking_in_every_frame(layout):
    cleaned = clean(walk(0, frames=20, layout=layout), layout, CleanConfig())
    expected = [status != "lacking" for status in statuses(layout, NTU25)]
    np.testing.assert_array_equal(cleaned.known, np.broadcast_to(expected, (20, 1, 25)))
    assert np.isfinite(cleaned.positions).all()


def test_a_joint_is_lacking_where_one_that_it_is_made_of_was_lost():
    sequence = walk(0, frames=60, layout=KINECT20)
    sequence[:40, 0, KINECT20.joint_names.index("SpineShoulder")] = NAN
    known = clean(sequence, KINECT20, CleanConfig()).known
    lost = {NTU25.joint_names[joint] for joint in np.flatnonzero(~known[:40].any(axis=(0, 1)))}
    assert lost == {"SpineShoulder", "Neck"} | {f"{tip}{side}" for tip in ("HandTip", "Thumb") for side in SIDES}


def test_a_head_is_where_the_nose_is_if_neither_ears_nor_eyes_are_ever_seen():
    sequence = walk(0, frames=20, layout=COCO17)
    place = {name: joint for joint, name in enumerate(COCO17.canonical_names)}
    sequence[:, :, [place[f"{part}{side}"] for part in ("Eye", "Ear") for side in SIDES]] = NAN
    cleaned = clean(sequence, COCO17, CleanConfig())
    head, hip = (cleaned.positions[:, 0, NTU25.joint_names.index(name)] for name in ("Head", "HipLeft"))
    np.testing.assert_allclose(head - hip, sequence[:, 0, place["Nose"]] - sequence[:, 0, place["HipLeft"]], atol=1e-5)
    assert cleaned.known[:, 0, NTU25.joint_names.index("Head")].all()


def test_what_one_body_shows_does_not_change_another():
    two = walk(0, frames=20, bodies=2, layout=COCO17)
    place = {name: joint for joint, name in enumerate(COCO17.canonical_names)}
    unseen = [place[f"{part}{side}"] for part in ("Eye", "Ear") for side in SIDES]
    two[:, 0][:, unseen] = NAN
    alone = clean(two[:, :1], COCO17, CleanConfig())
    both = clean(two, COCO17, CleanConfig())
    first = int(np.argmin(both.known[0].all(axis=1))) if not both.known[0].all(axis=1).all() else 0
    apart = [body.positions[:, index] - body.positions[:1, index, :1] for body, index in ((alone, 0), (both, first))]
    matches = [np.allclose(apart[0], both.positions[:, b] - both.positions[:1, b, :1], atol=1e-4) for b in (0, 1)]
    assert sum(matches) == 1
    assert both.known[:, :, NTU25.joint_names.index("Head")].all()


def test_a_clip_that_never_shows_a_hip_is_read_with_it_lacking():
    sequence = walk(0, frames=20, layout=COCO17)
    sequence[:, :, COCO17.canonical_names.index("HipLeft")] = NAN
    known = clean(sequence, COCO17, CleanConfig()).known[0, 0]
    assert not known[[NTU25.joint_names.index(name) for name in ("HipLeft", "SpineBase", "SpineMid")]].any()
    assert known[NTU25.joint_names.index("HipRight")]


def test_an_encoder_that_asks_for_it_gets_nan_in_frames_made_of_lacking_ones():
    sequence = walk(0, frames=60)
    sequence[30:50, 0, 7] = NAN
    config = SampleConfig(num_frames=30, crop=1.0, keep_lacking=True)
    model_input = sample(clean(sequence, NTU25, CleanConfig()), config)
    # Frame i of 30 lies between frames 2i and 2i + 1.
    assert np.argwhere(np.isnan(model_input[0]).any(axis=2)).tolist() == [[frame, 7] for frame in range(15, 25)]
    without = sample(clean(sequence, NTU25, CleanConfig()), dataclasses.replace(config, keep_lacking=False))
    np.testing.assert_array_equal(np.where(np.isnan(model_input), without, model_input), without)


@given(known=hnp.arrays(bool, st.tuples(st.integers(2, 40), st.just(1), st.just(25))), num_frames=st.integers(1, 60))
def test_a_frame_is_lacking_if_one_that_it_is_made_of_is(known, num_frames):
    known[0], known[:, :, 0] = True, True  # something is known of the body
    config = SampleConfig(num_frames=num_frames, crop=1.0, keep_lacking=True)
    lacking = np.isnan(sample(Cleaned(np.ones((*known.shape, 3), np.float32), known), config)).all(axis=-1)[0]
    np.testing.assert_array_equal(lacking, resample(~known, num_frames)[:, 0] > 0)


@pytest.mark.parametrize("num_frames", [1, 2, 7, 8])
def test_the_length_of_a_trunk_is_the_median_of_its_frames(num_frames):
    clip = walk(0, frames=num_frames)
    clip[:, 0, NTU25.joint_names.index("SpineShoulder"), 1] += np.random.default_rng(0).uniform(0, 0.2, num_frames)
    ends = (clip[:, 0, NTU25.joint_names.index(name)] for name in ("SpineShoulder", "SpineBase"))
    lengths = np.linalg.norm(np.subtract(*ends), axis=1)
    assert clean(clip, NTU25, CleanConfig()).trunk_m == pytest.approx(np.median(lengths), rel=1e-6)


def test_an_array_in_another_order_and_of_another_precision_gives_the_same():
    clip = walk(0, frames=30)
    clip[5:9, 0, 3] = np.nan
    other = np.asfortranarray(clip.astype(np.float64))
    other.setflags(write=False)
    before = other.copy()
    np.testing.assert_array_equal(prepare(other, NTU25, PreprocessConfig()), prepare(clip, NTU25, PreprocessConfig()))
    np.testing.assert_array_equal(other, before)


def test_a_body_of_which_nothing_is_known_in_the_crop_keeps_its_place_holders():
    sequence = walk(0, frames=100)
    sequence[1:] = NAN
    model_input = sample(clean(sequence, NTU25, CleanConfig()), SampleConfig(keep_lacking=True))
    assert np.isfinite(model_input).all()


def test_a_clip_without_depth_is_not_turned_and_may_have_any_size():
    flat = walk(4)
    flat[..., 2] = 0
    flat[..., 0] *= -1  # seen from behind: the left hip is to the right of the other
    config = CleanConfig(align_view=True)
    np.testing.assert_array_equal(cleaned_positions(flat, config), cleaned_positions(flat, CleanConfig()))
    long = flat * np.float32(4 * MAX_TRUNK_M)
    np.testing.assert_allclose(
        cleaned_positions(long, CleanConfig(scale_torso=True)),
        cleaned_positions(flat, CleanConfig(scale_torso=True)),
        atol=1e-4,
    )


# Choosing bodies


def test_the_two_bodies_that_move_most_are_kept_most_moving_first():
    still, slow, fast = track(1, 1, 1), track(0, 1, 2), track(0, 5, 10)
    assert choose_bodies(np.concatenate([slow, still, fast], axis=1)).tolist() == [2, 0]


def test_bodies_that_move_equally_keep_their_order():
    bodies = np.concatenate([track(0, 1), track(5, 6), track(8, 9)], axis=1)
    assert choose_bodies(bodies).tolist() == [0, 1]


# Centring, scaling, turning


def test_the_origin_is_the_first_bodys_mid_spine_in_the_first_frame():
    cleaned = cleaned_positions(walk(3, bodies=2), CleanConfig())
    np.testing.assert_array_equal(cleaned[0, 0, MID], 0)
    assert np.abs(cleaned[1, 0, MID]).max() > 0
    assert np.abs(cleaned[0, 1, MID]).max() > 0


@given(st.tuples(*[st.floats(-50, 50)] * 3))
def test_the_place_of_the_camera_changes_nothing(shift):
    here, there = (cleaned_positions(sequence, CleanConfig()) for sequence in (walk(4), walk(4) + np.float32(shift)))
    np.testing.assert_allclose(here, there, atol=1e-4)


@settings(max_examples=30)
@given(st.floats(-np.pi, np.pi))
def test_with_view_alignment_the_direction_of_the_camera_changes_nothing(angle):
    config = CleanConfig(align_view=True)
    here, there = (cleaned_positions(sequence, config) for sequence in (walk(4), rotate_about_vertical(walk(4), angle)))
    np.testing.assert_allclose(here, there, atol=1e-5)
    across = here[0, 0, HIP_LEFT] - here[0, 0, HIP_RIGHT]
    assert across[0] > 0
    assert across[2] == pytest.approx(0, abs=1e-6)


def test_without_view_alignment_the_direction_of_the_camera_matters():
    turned = cleaned_positions(rotate_about_vertical(walk(4), 1.0), CleanConfig())
    assert np.abs(turned - cleaned_positions(walk(4), CleanConfig())).max() > 0.05


def test_a_quarter_turn_takes_x_to_z_and_leaves_height():
    turned = rotate_about_vertical(np.array([[1, 5, 0], [0, 5, 1]], dtype=np.float32), np.pi / 2)
    np.testing.assert_allclose(turned, [[0, 5, 1], [-1, 5, 0]], atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_with_scaling_people_of_every_size_give_the_same(scale):
    config = CleanConfig(scale_torso=True)
    cleaned = cleaned_positions(np.float32(scale) * walk(5), config)
    trunk = np.median(np.linalg.norm(cleaned[:, 0, SHOULDER] - cleaned[:, 0, BASE], axis=-1))
    assert trunk == pytest.approx(NOMINAL_TRUNK_M, rel=1e-5)


def test_positions_in_centimetres_are_refused():
    sequence = walk(6)
    sequence[:, 0, SHOULDER] = sequence[:, 0, BASE] + (0, MAX_TRUNK_M + 0.1, 0)
    with pytest.raises(InvalidSkeletonError, match="divide by 100"):
        clean(sequence, NTU25, CleanConfig())


# Time


@pytest.mark.parametrize(
    ("num_frames", "share", "window"),
    [
        (100, 1.0, (0, 100)),
        (100, 0.95, (2, 96)),
        (100, 0.5, (25, 50)),
        (10, 0.95, (0, 10)),
        (1, 0.5, (0, 1)),
        (2, 0.01, (0, 2)),
    ],
)
def test_the_centre_window_leaves_out_the_same_number_of_frames_at_both_ends(num_frames, share, window):
    assert centre_window(num_frames, share) == window


@pytest.mark.parametrize(
    ("frames", "num_frames", "resampled"),
    [
        # Frame i of N lies at (i + 0.5) L / N - 0.5.
        ([0, 10], 4, [0, 2.5, 7.5, 10]),
        ([0, 10, 20, 30], 2, [5, 25]),
        ([0, 10, 20], 1, [10]),
        ([7], 3, [7, 7, 7]),
        ([0, 6, 12], 2, [1.5, 10.5]),
    ],
)
def test_resampling_is_linear_between_frames_at_half_frame_positions(frames, num_frames, resampled):
    np.testing.assert_allclose(resample(np.array(frames, dtype=np.float32), num_frames), resampled)


sequences = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=12), elements=st.floats(-100, 100, width=32)
)


@given(sequences, st.integers(1, 40))
def test_resampling_never_leaves_the_range_of_the_clip(sequence, num_frames):
    resampled = resample(sequence, num_frames)
    assert resampled.shape == (num_frames, *sequence.shape[1:])
    assert resampled.dtype == np.float32
    assert resampled.min() >= sequence.min() - 1e-4
    assert resampled.max() <= sequence.max() + 1e-4


@given(sequences)
def test_resampling_to_the_same_number_of_frames_changes_nothing(sequence):
    np.testing.assert_array_equal(resample(sequence, len(sequence)), sequence)


@given(sequences, st.integers(1, 40))
def test_resampling_backwards_is_the_clip_backwards(sequence, num_frames):
    np.testing.assert_allclose(
        resample(sequence[::-1].copy(), num_frames), resample(sequence, num_frames)[::-1], atol=1e-2
    )


# The whole


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
@pytest.mark.parametrize(("bodies", "kept"), [(1, 1), (2, 2), (3, 2)])
def test_every_layout_becomes_model_input_of_one_or_two_bodies(layout, bodies, kept):
    model_input = prepare(
        walk(0, bodies=bodies, layout=layout), layout, PreprocessConfig(sampling=SampleConfig(num_frames=6))
    )
    assert (model_input.shape, model_input.dtype) == ((kept, 6, 25, 3), np.float32)
    assert model_input.flags.c_contiguous
    assert np.isfinite(model_input).all()


def test_one_body_without_body_axis_is_the_same_as_with_it():
    config = PreprocessConfig(sampling=SampleConfig(num_frames=6))
    np.testing.assert_array_equal(prepare(walk(0)[:, 0], NTU25, config), prepare(walk(0), NTU25, config))


def test_an_absent_body_is_zeros_where_the_encoder_wants_two():
    config = PreprocessConfig(sampling=SampleConfig(num_frames=6, keep_absent_bodies=True))
    model_input = prepare(walk(0), NTU25, config)
    assert model_input.shape == (2, 6, 25, 3)
    assert (model_input[1] == 0).all()
    np.testing.assert_array_equal(
        model_input[:1], prepare(walk(0), NTU25, PreprocessConfig(sampling=SampleConfig(num_frames=6)))
    )


def test_the_crop_keeps_the_middle_and_the_origin_of_the_whole_clip():
    cleaned = clean(walk(0, frames=40), NTU25, CleanConfig())
    middle = sample(cleaned, SampleConfig(num_frames=20, crop=0.5))
    np.testing.assert_array_equal(middle[0], cleaned.positions[10:30, 0])


def test_the_input_is_not_changed():
    sequence = walk(0, layout=KINECT20)
    sequence[2, 0, 3] = NAN
    before = sequence.copy()
    prepare(sequence, KINECT20, PreprocessConfig(cleaning=CleanConfig(align_view=True, scale_torso=True)))
    np.testing.assert_array_equal(sequence, before)


# The config


OTHER_VALUES = {"num_frames": 60, "crop": 0.5, "align_view": True, "scale_torso": True, "keep_absent_bodies": True}


def config_with(**values):
    return PreprocessConfig.from_json(PreprocessConfig().to_json() | values)


def test_a_config_survives_json():
    config = PreprocessConfig(
        cleaning=CleanConfig(align_view=True, scale_torso=True),
        sampling=SampleConfig(num_frames=60, crop=0.5, keep_absent_bodies=True),
    )
    assert config == config_with(**OTHER_VALUES)
    assert PreprocessConfig.from_json(config.to_json()) == config


def test_files_of_earlier_releases_keep_their_digests():
    """If these digests changed, every bundle and store of earlier releases would be refused."""
    assert PreprocessConfig().digest == "8bd91b516c94"
    assert config_with(**OTHER_VALUES).digest == "a3c504841b5f"
    assert list(PreprocessConfig().to_json()) == ["version", "layout", *OTHER_VALUES]


def test_a_setting_of_a_later_release_is_written_only_where_it_is_used():
    config = config_with(keep_lacking=True)
    assert config.sampling.keep_lacking
    assert PreprocessConfig.from_json(config.to_json()) == config
    assert "keep_lacking" not in PreprocessConfig().to_json()


@pytest.mark.parametrize("change", [{"version": 0}, {"layout": "kinect20"}, {"version": None}])
def test_another_version_or_layout_is_refused(change):
    with pytest.raises(ValueError, match="export again with this release"):
        config_with(**change)


@pytest.mark.parametrize(("name", "value"), [("num_frames", 0), ("crop", 0.0), ("crop", 1.1), ("crop", NAN)])
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}; it must be"):
        SampleConfig(**{name: value})


@pytest.mark.parametrize(
    "name", [field.name for part in (CleanConfig, SampleConfig) for field in dataclasses.fields(part)]
)
def test_every_setting_changes_the_digest_and_the_model_input(name):
    default, other = PreprocessConfig(), config_with(**{name: (OTHER_VALUES | {"keep_lacking": True})[name]})
    assert default.digest == PreprocessConfig().digest != other.digest
    sequence = walk(0, frames=30, layout=KINECT20)
    first, second = (np.nan_to_num(prepare(sequence, KINECT20, config)) for config in (default, other))
    assert first.shape != second.shape or np.abs(first - second).max() > 1e-3
