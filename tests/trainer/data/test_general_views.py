"""Changes of clips in training: what they do, and that they are a function of their draws."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gfp_serve.layouts import KINECT20, NTU25, OPENNI15, PENN13
from gfp_serve.preprocess import CleanConfig, SampleConfig, clean, sample
from tests.support.small_runs import moving_body
from trainer.data.general_views import (
    LAYOUT_WEIGHTS,
    GeneralViewsConfig,
    Moments,
    as_other_layout,
    change,
    draw_moments,
    draw_turns,
    mirror,
    with_limb_lengths,
    with_other_motion,
)

NOTHING = GeneralViewsConfig(
    window_share=1.0,
    time_warp=0.0,
    rest_odds=0.0,
    other_motion_odds=0.0,
    mirror_odds=0.0,
    yaw=0.0,
    tilt=0.0,
    scale=0.0,
    limb_lengths=0.0,
    offset_m=0.0,
    noise_m=0.0,
    no_travel_odds=0.0,
    other_layout_odds=0.0,
    hidden_legs_odds=0.0,
    lost_joints_odds=0.0,
    flat_odds=0.0,
)
LENGTHS = torch.tensor([12, 40, 200])


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bodies(count: int = 40) -> torch.Tensor:
    return torch.from_numpy(np.stack([moving_body(seed, num_frames=24)[:, 0] for seed in range(count)]))


def test_without_changes_a_view_is_the_whole_clip() -> None:
    moments = draw_moments(LENGTHS, 120, NOTHING, draws()).in_clip
    for row, length in zip(moments, LENGTHS.tolist(), strict=True):
        np.testing.assert_allclose(row, np.linspace(0, length - 1, 120), atol=1e-4)
    seen = change(bodies(), NOTHING, draws())
    torch.testing.assert_close(seen.bodies, bodies())
    assert not seen.mirrored.any()
    torch.testing.assert_close(draw_turns(bodies(), NOTHING, draws()), torch.eye(3).expand(40, 3, 3))


def test_draws_with_one_seed_are_the_same() -> None:
    config = GeneralViewsConfig()
    for function in (
        lambda d: draw_moments(LENGTHS, 120, config, d).in_clip,
        lambda d: change(bodies(), config, d).bodies,
    ):
        torch.testing.assert_close(function(draws(3)), function(draws(3)), equal_nan=True)
        assert not torch.equal(function(draws(3)).nan_to_num(), function(draws(4)).nan_to_num())


def test_windows_lie_in_their_clips_and_time_never_goes_back() -> None:
    config = GeneralViewsConfig(rest_odds=0.5)
    length = torch.full((500,), 100)
    moments = draw_moments(length, 60, config, draws()).in_clip
    assert moments.min() >= 0
    assert moments.max() <= 99
    assert (moments.diff(dim=1) >= 0).all()
    shares = (moments[:, -1] - moments[:, 0] + 1) / 100
    assert shares.min() >= 0.49
    assert shares.max() > 0.95


def test_a_short_clip_is_seen_whole() -> None:
    moments = draw_moments(torch.full((50,), 20), 60, replace(NOTHING, window_share=0.5), draws()).in_clip
    assert (moments[:, 0] == 0).all()
    np.testing.assert_allclose(moments[:, -1], 19)


def test_who_rests_holds_the_first_and_the_last_pose() -> None:
    config = replace(NOTHING, rest_odds=1.0, rest_share=0.6)
    moments = draw_moments(torch.full((300,), 100), 120, config, draws()).in_clip
    still = ((moments == 0).sum(dim=1) - 1 + (moments == 99).sum(dim=1) - 1) / 120
    assert still.min() >= 0
    assert 0.5 < still.max() <= 0.61
    assert 0.2 < still.float().mean() < 0.4


def test_it_is_known_how_many_frames_rest_however_time_is_warped() -> None:
    config = replace(NOTHING, rest_odds=1.0, rest_share=0.6, time_warp=0.5)
    moments = draw_moments(torch.full((300,), 100), 120, config, draws())
    frame, before, end = torch.arange(120), moments.before[:, None], 119 - moments.after[:, None]
    assert torch.equal((moments.in_clip == 0) & (frame != before), (frame < before))
    assert torch.equal((moments.in_clip == 99) & (frame != end), (frame > end))


def test_others_move_before_and_after_and_the_body_goes_on_from_where_it_was() -> None:
    given = bodies(4)
    given = given + torch.arange(4.0)[:, None, None, None] * torch.tensor([1.0, 0.0, 5.0])
    six = torch.full((4,), 6)
    moments = Moments(torch.zeros(4, 24), six, six)
    may_join = torch.zeros(4, 4, dtype=torch.bool)
    may_join[0, 2] = may_join[1, 3] = may_join[2, 0] = True  # and nobody may join the last
    seen = with_other_motion(given, moments, may_join, replace(NOTHING, other_motion_odds=1.0), draws())

    torch.testing.assert_close(seen[3], given[3])
    torch.testing.assert_close(seen[0, 6:18], given[0, 6:18])
    before, after = seen[0, :6], seen[0, 18:]
    torch.testing.assert_close(before - before[:, :1], given[2, 18:] - given[2, 18:, :1])
    torch.testing.assert_close(after - after[:, :1], given[2, :6] - given[2, :6, :1])
    torch.testing.assert_close(before[-1, 0, [0, 2]], given[0, 6, 0, [0, 2]])
    torch.testing.assert_close(after[0, 0, [0, 2]], given[0, 17, 0, [0, 2]])
    torch.testing.assert_close(before[:, :, 1], given[2, 18:, :, 1])  # the height is the other's


def test_others_join_as_often_as_asked() -> None:
    given = bodies(200)
    moments = Moments(torch.zeros(200, 24), torch.full((200,), 12), torch.zeros(200, dtype=torch.long))
    may_join = ~torch.eye(200, dtype=torch.bool)
    seen = with_other_motion(given, moments, may_join, replace(NOTHING, other_motion_odds=0.4), draws())
    changed = (seen != given).flatten(1).any(dim=1)
    assert 0.3 < changed.float().mean() < 0.5
    torch.testing.assert_close(seen[:, 12:], given[:, 12:])


def test_a_root_that_is_lacking_does_not_spoil_the_joints_that_are_known() -> None:
    given = bodies(2)
    given[:, :, 0] = torch.nan
    moments = Moments(torch.zeros(2, 24), torch.full((2,), 12), torch.zeros(2, dtype=torch.long))
    may_join = torch.tensor([[False, True], [True, False]])
    seen = with_other_motion(given, moments, may_join, replace(NOTHING, other_motion_odds=1.0), draws())
    assert seen[:, :, 1:].isfinite().all()


def test_speed_changes_along_a_window() -> None:
    config = replace(NOTHING, time_warp=0.35)
    speed = draw_moments(torch.full((300,), 100), 120, config, draws()).in_clip.diff(dim=1)
    ratio = speed.max(dim=1).values / speed.min(dim=1).values
    assert 1.5 < ratio.median() < 4


def test_mirrored_bodies_have_left_and_right_swapped() -> None:
    seen = change(bodies(), replace(NOTHING, mirror_odds=1.0), draws())
    assert seen.mirrored.all()
    place = NTU25.joint_names.index
    expected = bodies()[:, :, place("HandRight")] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(seen.bodies[:, :, place("HandLeft")], expected)
    torch.testing.assert_close(mirror(mirror(bodies())), bodies())


def test_two_windows_of_a_clip_are_mirrored_together() -> None:
    seen = change(bodies(40), replace(NOTHING, mirror_odds=0.5), draws(), in_pairs=True)
    assert torch.equal(seen.mirrored[:20], seen.mirrored[20:])
    assert 0 < seen.mirrored.sum() < 40


def test_travel_and_depth_are_taken_away() -> None:
    stays = change(bodies(), replace(NOTHING, no_travel_odds=1.0), draws()).bodies
    assert (stays[:, :, 0] == 0).all()
    flat = change(bodies(), replace(NOTHING, flat_odds=1.0), draws()).bodies
    assert (flat[..., 2] == 0).all()
    assert flat[..., :2].abs().max() > 0.5
    gap = bodies()
    gap[:, 3, 5] = torch.nan
    assert change(gap, replace(NOTHING, flat_odds=1.0), draws()).bodies[:, 3, 5].isnan().all()


def test_a_clip_gets_the_joints_of_a_layout_as_they_are_served() -> None:
    """By the same rules as a request in that layout: names of both are the same for these."""
    given = bodies(1)[0]
    place = NTU25.joint_names.index
    for layout in (OPENNI15, PENN13, KINECT20):
        has = [name for name in layout.canonical_names if name in NTU25.joint_names]
        sent = np.zeros((len(given), 1, layout.num_joints, 3), dtype=np.float32)
        for name in has:
            sent[:, 0, layout.canonical_names.index(name)] = given[:, place(name)]
        cleaned = clean(sent, layout, CleanConfig())
        served = torch.from_numpy(sample(cleaned, SampleConfig(num_frames=len(given), crop=1.0, keep_lacking=True)))[0]
        every = torch.arange(len(LAYOUT_WEIGHTS))
        seen = as_other_layout(given.expand(len(every), -1, -1, -1), every)
        served = served - served[:, [place("HipLeft")]] + given[:, [place("HipLeft")]]
        off = (seen - served).abs().nan_to_num().flatten(1).amax(dim=1)
        same_known = (seen.isnan() == served.isnan()).flatten(1).all(dim=1)
        assert (off[same_known] < 1e-4).any(), layout.name


def test_every_known_layout_is_drawn_and_lacks_its_joints() -> None:
    seen = change(bodies(400), replace(NOTHING, other_layout_odds=1.0), draws()).bodies
    lacking = seen.isnan().all(dim=3).all(dim=1)
    assert not lacking[:, [NTU25.joint_names.index(f"Shoulder{side}") for side in ("Left", "Right")]].any()
    assert len({tuple(row.tolist()) for row in lacking}) == len({tuple(row) for row in LAYOUT_WEIGHTS.any(2).tolist()})
    assert (lacking.any(dim=1)).float().mean() > 0.6


def test_what_is_made_of_a_lacking_joint_is_lacking() -> None:
    given = bodies(1)
    given[:, 3, NTU25.joint_names.index("HipLeft")] = torch.nan
    every = torch.arange(len(LAYOUT_WEIGHTS))
    base = as_other_layout(given.expand(len(every), -1, -1, -1), every)[:, :, NTU25.joint_names.index("SpineBase"), 0]
    derived = LAYOUT_WEIGHTS[:, NTU25.joint_names.index("SpineBase"), NTU25.joint_names.index("HipLeft")] != 0
    assert derived.any()
    assert not derived.all()
    assert base[derived, 3].isnan().all()
    assert base[~derived, 3].isfinite().all()
    assert base[:, 4].isfinite().all()


def test_legs_are_hidden_and_half_of_the_time_hips_too() -> None:
    seen = change(bodies(400), replace(NOTHING, hidden_legs_odds=0.5), draws()).bodies
    lacking = seen.isnan().all(dim=3).all(dim=1)
    knee, hip, wrist = (lacking[:, NTU25.joint_names.index(name)] for name in ("KneeLeft", "HipLeft", "WristLeft"))
    assert 0.4 < knee.float().mean() < 0.6
    assert 0.15 < hip.float().mean() < 0.35
    assert (knee | ~hip).all()
    assert not wrist.any()


def test_limbs_get_other_lengths_and_keep_their_directions() -> None:
    place = NTU25.joint_names.index
    factors = torch.ones((40, 25))
    factors[:, [place("ElbowLeft"), place("ElbowRight")]] = 1.5
    seen = with_limb_lengths(bodies(), factors)
    upper_arm = bodies()[:, :, place("ElbowLeft")] - bodies()[:, :, place("ShoulderLeft")]
    moved = 0.5 * upper_arm
    for name in ("ElbowLeft", "WristLeft", "HandLeft", "HandTipLeft", "ThumbLeft"):
        torch.testing.assert_close(seen[:, :, place(name)], bodies()[:, :, place(name)] + moved)
    for name in ("SpineBase", "Head", "ShoulderLeft", "FootRight"):
        torch.testing.assert_close(seen[:, :, place(name)], bodies()[:, :, place(name)])


def test_both_sides_get_the_same_lengths() -> None:
    place = NTU25.joint_names.index
    seen = change(bodies(), replace(NOTHING, limb_lengths=0.2), draws()).bodies

    def factor(side: str) -> torch.Tensor:
        bones = [each[:, :, place(f"Knee{side}")] - each[:, :, place(f"Hip{side}")] for each in (seen, bodies())]
        return bones[0].norm(dim=2) / bones[1].norm(dim=2)

    torch.testing.assert_close(factor("Left"), factor("Right"), atol=1e-3, rtol=0)
    assert 0.1 < factor("Left")[:, 0].log().std() < 0.3


def test_limbs_of_lacking_parents_stay_as_they_are() -> None:
    gap = bodies()
    gap[:, :, [NTU25.joint_names.index(f"Wrist{side}") for side in ("Left", "Right")]] = torch.nan
    hand = NTU25.joint_names.index("HandLeft")
    seen = with_limb_lengths(gap, torch.full((40, 25), 1.0).index_fill(1, torch.tensor(hand), 2.0))
    torch.testing.assert_close(seen, gap, equal_nan=True)


def test_some_joints_are_lost_for_a_while() -> None:
    seen = change(bodies(400), replace(NOTHING, lost_joints_odds=1.0), draws()).bodies
    lost = seen.isnan().all(dim=3)
    share = lost.any(dim=1).float().mean()
    assert 0.1 < share < 0.25
    assert lost.float().mean(dim=1).max() <= 0.6 + 1 / 24  # a whole frame
    assert (lost.int().diff(dim=1) == 1).sum(dim=1).max() <= 1  # one span
    torch.testing.assert_close(seen[~seen.isnan()], bodies(400)[~seen.isnan()])


def test_bodies_without_depth_are_turned_in_their_plane_alone() -> None:
    flat = bodies() * torch.tensor([1.0, 1.0, 0.0])
    turned = flat @ draw_turns(flat, GeneralViewsConfig(), draws()).transpose(1, 2)[:, None]
    assert (turned[..., 2].abs() < 1e-6).all()
    assert not torch.allclose(turned, flat, atol=1e-2)


def test_joints_of_an_image_get_no_depth_and_are_not_filmed_again() -> None:
    image = bodies() * torch.tensor([1.0, 1.0, 0.0])
    image[:, 3, 5] = torch.nan
    seen = change(image, replace(GeneralViewsConfig(), mirror_odds=0.0), draws()).bodies
    assert (seen[..., 2].nan_to_num() == 0).all()
    assert seen[:, 3, 5].isnan().all()
    filmed = change(image, replace(NOTHING, flat_odds=1.0), draws()).bodies
    torch.testing.assert_close(filmed, image, equal_nan=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mirror_odds": 1.5}, "--mirror-odds is 1.5; it must be from 0 to 1"),
        ({"window_share": 0.0}, "--window-share is 0.0; it must be above 0 and at most 1"),
        ({"rest_share": 1.0}, "--rest-share is 1, so nobody would move; it must be below 1"),
        ({"time_warp": 50.0}, "--time-warp is 50.0; it must be from 0 to 2"),
        ({"limb_lengths": float("nan")}, "--limb-lengths is nan; it must be from 0 to 2"),
        ({"yaw": float("nan")}, "--yaw is nan; it must be 0 or more"),
    ],
)
def test_a_value_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneralViewsConfig(**wrong)
