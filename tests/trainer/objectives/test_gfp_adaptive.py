"""GFP with windows that follow motion: the windows, and its loss written again in numpy."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.support.small_objectives import SMALL, bodies, draws
from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives.gfp import Gfp, GfpConfig
from trainer.objectives.gfp_adaptive import (
    GfpAdaptive,
    GfpAdaptiveConfig,
    MotionWindows,
    motion_in_time,
    stretched_time,
)
from trainer.objectives.gfp_targets import WINDOWS, TargetWindows, segment_motion

WIDTHS: dict[str, Any] = {"local_width": 8, "global_width": 16}


def build(**settings: Any) -> GfpAdaptive:
    torch.manual_seed(0)
    return GfpAdaptive(Transformer(SMALL, num_frames=120), GfpAdaptiveConfig(**{**WIDTHS, **settings}))


def gfp(**settings: Any) -> Gfp:
    torch.manual_seed(0)
    return Gfp(Transformer(SMALL, num_frames=120), GfpConfig(**{**WIDTHS, **settings}))


def gestures() -> torch.Tensor:
    """Six bodies that rest, but for a quick gesture at another time for each."""
    moving = 0.01 * bodies()
    for row in range(6):
        moving[row, 15 * row + 10 : 15 * row + 30] += bodies(1)[row, :20]
    return moving


def ends_by_search(motion: np.ndarray, motion_share: float, count: int) -> np.ndarray:
    """When windows end, in segments: where the blended share of what is done crosses k / count."""
    time = np.linspace(0, len(motion), 100_001)
    moved = np.interp(time, np.arange(len(motion) + 1), np.concatenate([[0], np.cumsum(motion + 1e-4)]))
    done = (1 - motion_share) * time / len(motion) + motion_share * moved / moved[-1]
    return np.interp(np.arange(count + 1) / count, done, time)


def weights_by_search(motion: np.ndarray, motion_share: float, count: int) -> np.ndarray:
    """The weight of each segment in each window: the part of the window's time that it takes."""
    ends, segment = ends_by_search(motion, motion_share, count), np.arange(len(motion))
    common = np.minimum(ends[1:, None], segment + 1) - np.maximum(ends[:-1, None], segment)
    return np.maximum(common, 0) / np.diff(ends)[:, None]


def windows_of(motion: torch.Tensor, motion_share: float, num_joints: int = 25) -> MotionWindows:
    return MotionWindows(num_joints, stretched_time(motion, motion_share))


def test_without_motion_share_everything_is_gfps() -> None:
    ours, theirs = build(motion_share=0.0), gfp()
    given = Batch.of_bodies(draws(), gestures())
    a, b = ours(given), theirs(given)
    a.total.backward()
    b.total.backward()
    assert torch.equal(a.total, b.total)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)  # type: ignore[arg-type]


def test_windows_that_follow_motion_by_nothing_are_gfps_windows() -> None:
    even, ours = TargetWindows(25), windows_of(torch.rand(6, 30), 0.0)
    tokens, visible = torch.randn(6, 750, 4), torch.stack([torch.randperm(750)[:74] for _ in range(6)])
    for window in WINDOWS.values():
        assert torch.equal(ours.lengths(window), torch.full((6, 30 // window), float(window)))
        pooled = even.mean(tokens, window)
        torch.testing.assert_close(ours.mean(tokens, window), pooled)
        some = tokens[:, :74]
        torch.testing.assert_close(
            ours.with_visible(pooled, some, visible, window), even.with_visible(pooled, some, visible, window)
        )
    short = tokens[:, :150]
    torch.testing.assert_close(ours.merged(short, 5, 10), even.merged(short, 5, 10))


@pytest.mark.parametrize("motion_share", [0.3, 1.0])
def test_windows_end_where_the_shares_of_time_and_motion_are_equal(motion_share: float) -> None:
    motion = motion_in_time(build().encoder.segments(gestures()), 25)
    windows = windows_of(motion, motion_share)
    for window in WINDOWS.values():
        for row in range(6):
            ends = ends_by_search(motion[row].double().numpy(), motion_share, 30 // window)
            np.testing.assert_allclose(windows.lengths(window)[row], np.diff(ends), atol=2e-3)


def test_a_gesture_in_a_rest_has_most_of_the_windows() -> None:
    motion = torch.zeros(1, 30)
    motion[0, 20:22] = 0.1
    lengths = windows_of(motion, 1.0).lengths(5)[0]
    # From segment 20 to 22; the tenth of a millimetre that is added to each segment takes 1.5 % of the motion.
    assert ((lengths > 0.3) & (lengths < 0.4)).sum() == 4
    assert lengths.sum().item() == pytest.approx(30, abs=1e-4)


def test_a_body_at_rest_has_windows_of_equal_length() -> None:
    torch.testing.assert_close(windows_of(torch.zeros(2, 30), 1.0).lengths(5), torch.full((2, 6), 5.0))


@pytest.mark.parametrize("metres", [1e3, 1e6])
def test_all_motion_in_one_segment_gives_finite_windows(metres: float) -> None:
    motion = torch.zeros(1, 30)
    motion[0, 7] = metres
    windows = windows_of(motion, 1.0)
    pooled = windows.mean(torch.randn(1, 750, 4), 5)
    assert pooled.isfinite().all()
    assert windows.lengths(5).sum().item() == pytest.approx(30, abs=1e-3)


def test_windows_of_ten_consist_of_two_windows_of_five_and_all_segments_belong_to_some() -> None:
    windows = windows_of(torch.rand(6, 30), 0.7)
    torch.testing.assert_close(windows.shares(5).view(6, 3, 2, 30).sum(dim=2), windows.shares(10), atol=1e-5, rtol=0)
    for window in WINDOWS.values():
        torch.testing.assert_close(windows.shares(window).sum(dim=1), torch.ones(6, 30))
    tokens = torch.randn(6, 750, 4)
    torch.testing.assert_close(
        windows.merged(windows.mean(tokens, 5), 5, 10), windows.mean(tokens, 10), atol=1e-5, rtol=0
    )


def test_motion_is_the_mean_size_of_the_differences_that_targets_average() -> None:
    segments = build().encoder.segments(bodies())
    grid = segments.view(6, 30, 25, 12).double().numpy()
    wanted = np.abs(np.diff(grid, axis=1)).mean(axis=(2, 3))
    motion = motion_in_time(segments, 25)
    np.testing.assert_allclose(motion[:, :-1], wanted, rtol=1e-5)
    assert (motion[:, -1] == 0).all()


def test_a_joint_that_is_lacking_for_a_while_does_not_move() -> None:
    segments = torch.zeros(1, 6, 1)  # three segments of two joints
    segments[0, :, 0] = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 2.0])
    seen = torch.tensor([[True, True, True, False, True, True]])
    # The second joint is lacking in the second segment; the first one moves by 0 and by 0.
    assert motion_in_time(segments, 2, seen).tolist() == [[0.0, 0.0, 0.0]]
    assert motion_in_time(segments, 2).tolist() == [[0.5, 1.0, 0.0]]


def test_lacking_joints_in_the_body_frame_do_not_move_windows() -> None:
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=16, depth=1, num_heads=2, frame="body"), num_frames=120)
    model = GfpAdaptive(encoder, GfpAdaptiveConfig(**WIDTHS))
    given = gestures() + 2 * bodies(3)[:, :1]  # a person who stands somewhere, not a point
    whole = model.windows(*encoder.known_segments(given))
    given[:, 40:60, 15] = torch.nan  # a foot
    assert isinstance(whole, MotionWindows)
    lost = model.windows(*encoder.known_segments(given))
    assert isinstance(lost, MotionWindows)
    torch.testing.assert_close(lost.lengths(5), whole.lengths(5), atol=0.2, rtol=0)


@pytest.mark.parametrize("pooling", ["signed", "absolute", "rms"])
def test_targets_and_loss_equal_the_formulas(pooling: str) -> None:
    model = build(motion_share=0.6, motion_pooling=pooling)
    given = gestures()
    inputs: list[torch.Tensor] = []
    read_by_decoder: list[MotionWindows] = []
    model.decoder.register_forward_pre_hook(lambda _, given: read_by_decoder.append(given[2]))
    model.target_network.register_forward_pre_hook(lambda _, given: inputs.extend(given[0]))
    outcome = model(Batch.of_bodies(draws(), given))
    segments = model.encoder.segments(given)
    signed = segment_motion(segments, 25).view(6, 30, 25 * 12).double().numpy()
    motion = motion_in_time(segments, 25).double().numpy()
    for level, window in enumerate(WINDOWS.values()):
        weights = np.stack([weights_by_search(row, 0.6, 30 // window) for row in motion])
        pooled = {
            "signed": weights @ signed,
            "absolute": weights @ np.abs(signed),
            "rms": np.sqrt(weights @ signed**2),
        }[pooling]
        np.testing.assert_allclose(inputs[level], pooled.reshape(-1, 12), atol=2e-3)
        lengths = np.stack([np.diff(ends_by_search(row, 0.6, 30 // window)) for row in motion])
        np.testing.assert_allclose(read_by_decoder[0].lengths(window), lengths, atol=2e-3)
    prediction = sum(np.mean((p - t).double().numpy() ** 2) for p, t in outcome.levels.values())
    assert outcome.terms["prediction"].item() == pytest.approx(prediction, rel=1e-4)


def test_the_decoder_reads_means_over_the_windows_of_the_targets() -> None:
    model = build(motion_share=0.6)
    decoder, segments = model.decoder, model.encoder.segments(gestures())
    tokens, visible = torch.randn(6, 74, 16), torch.stack([torch.randperm(750)[:74] for _ in range(6)])
    full = decoder.mask_token.expand(6, 750, 16).scatter(1, visible[..., None].expand(-1, -1, 16), tokens)  # type: ignore[union-attr, operator]
    full = (full + decoder.positions()).detach().double().numpy()  # type: ignore[operator]
    found = decoder._first_pool(tokens, visible, model.windows(segments, None))  # type: ignore[operator]
    for row, motion in enumerate(motion_in_time(segments, 25).double().numpy()):
        wanted = weights_by_search(motion, 0.6, 6) @ full[row].reshape(30, 25 * 16)
        np.testing.assert_allclose(found[row].detach(), wanted.reshape(150, 16), atol=1e-3)


@pytest.mark.parametrize("levels", ["short", "mid,long", "short,global"])
def test_without_a_level_its_targets_are_left_out_too(levels: str) -> None:
    outcome = build(levels=levels)(Batch.of_bodies(draws(), gestures()))
    rows = {"short": 150, "mid": 75, "long": 25, "global": 1}
    assert {name: len(p) // 6 for name, (p, _) in outcome.levels.items()} == {n: rows[n] for n in levels.split(",")}


@pytest.mark.parametrize("levels", ["long,global", "global"])
def test_levels_of_one_window_are_refused(levels: str) -> None:
    with pytest.raises(ValueError, match="in which one window is the whole clip; add short or mid"):
        build(levels=levels)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_motion_share_out_of_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"--motion-share is .*; it must be from 0 to 1"):
        GfpAdaptiveConfig(motion_share=share)
