import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.masking import motion_aware_mask, motion_of, num_visible_tokens, random_mask


def uniform(seed: int, rows: int, tokens: int) -> torch.Tensor:
    return torch.rand(rows, tokens, generator=torch.Generator().manual_seed(seed))


def test_74_of_750_tokens_stay_visible_at_the_published_ratio() -> None:
    assert num_visible_tokens(750, 0.9) == 74


@given(st.integers(0, 2**31), st.sampled_from([0.5, 0.75, 0.9]), st.booleans())
def test_visible_and_target_tokens_together_are_all_tokens_once(seed: int, ratio: float, by_motion: bool) -> None:
    if by_motion:
        segments = torch.randn(3, 100, 12, generator=torch.Generator().manual_seed(seed))
        visible, target = motion_aware_mask(segments, 25, uniform(seed, 3, 100), mask_ratio=ratio, temperature=0.8)
    else:
        visible, target = random_mask(uniform(seed, 3, 100), mask_ratio=ratio)
    assert visible.shape == (3, num_visible_tokens(100, ratio))
    together = torch.cat([visible, target], dim=1).sort(dim=1).values
    assert torch.equal(together, torch.arange(100).expand(3, -1))


def test_motion_is_the_mean_absolute_difference_to_the_segment_before_over_the_largest() -> None:
    segments = torch.zeros(1, 6, 12)  # three segments of two joints
    segments[0, 2] = 1.0  # joint 0 moves by 1 into segment 1 ...
    segments[0, 4] = 3.0  # ... and by 2 into segment 2; joint 1 rests
    expected = [0.5, 0.0, 0.5, 0.0, 1.0, 0.0]  # the first segment takes the second's
    torch.testing.assert_close(motion_of(segments, 2)[0], torch.tensor(expected))


def test_a_clip_of_a_single_segment_has_no_motion() -> None:
    assert torch.equal(motion_of(torch.ones(2, 25, 12), 25), torch.zeros(2, 25))


def test_the_most_moving_token_is_hidden_first_with_the_published_odds() -> None:
    # Two tokens of one segment each; one is hidden. The odds that it is the moving one are exp(1 / 0.8) = 3.5.
    segments = torch.zeros(40_000, 4, 12)  # two segments of two joints
    segments[:, 2] = 1.0
    rows = torch.arange(40_000)
    _, target = motion_aware_mask(segments, 2, uniform(0, 40_000, 4), mask_ratio=0.25, temperature=0.8)
    num_hidden = target.shape[1]
    assert num_hidden == 1
    moving = ((target == 0) | (target == 2)).sum().item()  # joint 0's tokens move, joint 1's rest
    assert moving / (len(rows) - moving) == pytest.approx(math.exp(1 / 0.8), rel=0.05)


def test_a_resting_body_is_masked_evenly() -> None:
    segments = torch.zeros(20_000, 50, 12)
    visible, _ = motion_aware_mask(segments, 25, uniform(1, 20_000, 50), mask_ratio=0.9, temperature=0.8)
    counts = torch.bincount(visible.flatten(), minlength=50)
    assert counts.min() > 0.85 * counts.float().mean()


def test_two_bodies_of_a_batch_get_different_masks() -> None:
    visible, _ = random_mask(uniform(2, 2, 750), mask_ratio=0.9)
    assert not torch.equal(visible[0].sort().values, visible[1].sort().values)
