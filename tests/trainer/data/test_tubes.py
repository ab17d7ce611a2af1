"""Semantic tube masks beside the published way to draw them, written again in numpy."""

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import MODEL_LAYOUT
from trainer.data.tubes import NUM_TUBE_DRAWS, semantic_tubes

# The published groups of the 25 joints of Kinect, by number.
LIMBS = [[0, 1, 20, 2, 3], [4, 5, 6, 7, 21, 22], [8, 9, 10, 11, 23, 24], [12, 13, 14, 15], [16, 17, 18, 19]]


def uniform(rows: int, draws: int = NUM_TUBE_DRAWS, seed: int = 0) -> torch.Tensor:
    return torch.rand(rows, draws, generator=torch.Generator().manual_seed(seed))


def tubes(rows: int, segments: int, most_segments: int = 8, draws: int = NUM_TUBE_DRAWS) -> torch.Tensor:
    return semantic_tubes(uniform(rows, draws), torch.full((rows,), segments), most_segments)


def drawn_alone(draws: np.ndarray, segments: int) -> np.ndarray:
    """The mask of one row: tube after tube, until enough is hidden or ten in a row do not fit."""
    mask = np.zeros((segments, 25), dtype=bool)
    wanted = int(segments * 25 * np.float32(0.5 + 0.4 * draws[0]))
    failures = 0
    for group, width, first, area, start in draws[1:].reshape(-1, 5):
        left = min(wanted - mask.sum(), 100)
        if left == 0 or failures == 10:
            break
        limb = LIMBS[int(5 * group)]
        count = 1 + int(len(limb) * width)
        begin = int((len(limb) - count + 1) * first)
        length = min(max(round((segments + (left - segments) * area) / count), 1), segments)
        top = int((segments - length + 1) * start)
        place = np.ix_(range(top, top + length), limb[begin : begin + count])
        new = count * length - mask[place].sum()
        failures = 0 if 0 < new <= left else failures + 1
        mask[place] |= 0 < new <= left
    return mask


@pytest.mark.parametrize("segments", [8, 4, 2, 1])
def test_tubes_are_drawn_as_published(segments: int) -> None:
    found = tubes(50, segments).view(50, 8, 25)
    assert not found[:, segments:].any()
    for row, draws in zip(found, uniform(50).numpy(), strict=True):
        np.testing.assert_array_equal(row[:segments].numpy(), drawn_alone(draws, segments))


def test_tubes_hide_about_half_to_nine_tenths_of_the_tokens() -> None:
    share = tubes(500, 8).float().mean(dim=1)
    assert share.max() <= 0.9
    # Few rows end before, when no tube fits any more.
    assert (share >= 0.45).float().mean() > 0.98
    assert share.mean().item() == pytest.approx(0.695, abs=0.015)
    assert share.std() > 0.08


def test_the_first_tube_is_a_run_of_neighbouring_joints_of_a_limb_over_a_run_of_segments() -> None:
    for hidden in tubes(200, 8, draws=6).view(200, 8, 25):
        joints, segments = (hidden.any(dim=axis).nonzero().flatten().tolist() for axis in (0, 1))
        assert int(hidden.sum()) == len(joints) * len(segments) > 0
        assert segments == list(range(segments[0], segments[-1] + 1))
        # All but one of its joints hang on, or carry, another of them; at a hand three do.
        edges = [(j, MODEL_LAYOUT.parents[j]) for j in joints if MODEL_LAYOUT.parents[j] in joints]
        assert len(edges) >= len(joints) - 2
