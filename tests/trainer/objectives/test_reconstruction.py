"""MAMP, SkeletonMAE and NAT give the same as their formulas in numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives.mamp import Mamp, MampConfig, frame_motion
from trainer.objectives.nat import Nat, NatConfig, normalised_over_time
from trainer.objectives.reconstruction import Reconstruction, TokenDecoder, normalised_segments
from trainer.objectives.skeleton_mae import SkeletonMae, SkeletonMaeConfig

SMALL = TransformerConfig(width=16, depth=1, num_heads=2)


def build(kind: type[Reconstruction], *, mask_temperature: float | None = None) -> Reconstruction:
    torch.manual_seed(0)
    encoder = Transformer(SMALL, num_frames=120)
    if kind is SkeletonMae:
        return kind(encoder, SkeletonMaeConfig(decoder_depth=2))
    config = MampConfig if kind is Mamp else NatConfig
    return kind(
        encoder, config(decoder_depth=2, mask_temperature=0.8 if mask_temperature is None else mask_temperature)
    )


def bodies(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 120, 25, 3, generator=torch.Generator().manual_seed(0))


def draws(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 750, generator=torch.Generator().manual_seed(1))


def patches(body: np.ndarray) -> np.ndarray:
    """[frames, 25, 3] → [750, 12]: token 25 · t + j is joint j in frames 4t to 4t + 3."""
    return np.stack([body[4 * t : 4 * t + 4, j].reshape(12) for t in range(30) for j in range(25)])


def per_patch(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, ddof=1, keepdims=True) + 1e-6)


def mamp_target(body: np.ndarray) -> np.ndarray:
    return per_patch(patches(np.concatenate([np.diff(body, axis=0), np.zeros((1, 25, 3))])))


def skeleton_mae_target(body: np.ndarray) -> np.ndarray:
    return per_patch(patches(body))


def nat_target(body: np.ndarray) -> np.ndarray:
    return patches((body - body.mean(axis=0)) / np.sqrt(body.var(axis=0, ddof=1) + 1e-6))


@pytest.mark.parametrize(
    ("kind", "formula"), [(Mamp, mamp_target), (SkeletonMae, skeleton_mae_target), (Nat, nat_target)]
)
def test_the_loss_is_the_mean_square_error_at_hidden_tokens_of_the_papers_targets(
    kind: type[Reconstruction], formula: object
) -> None:
    model, clips, uniform = build(kind), bodies(), draws()
    outcome = model(Batch.of_bodies(uniform, clips))
    segments = model.encoder.segments(clips)
    visible, hidden = model.mask(segments, uniform)
    assert hidden.shape == (3, 750 - 74)
    predicted = model.decoder(model.encoder(segments, visible), visible, hidden).detach().double().numpy()
    wanted = np.stack([formula(body)[at] for body, at in zip(clips.double().numpy(), hidden.numpy(), strict=True)])  # type: ignore[operator]
    assert outcome.total.item() == pytest.approx(np.mean((predicted - wanted) ** 2), rel=1e-5)
    np.testing.assert_allclose(outcome.levels["segments"][1], wanted.reshape(-1, 12), atol=1e-4)


def test_the_decoder_reads_visible_tokens_and_mask_tokens_in_their_places() -> None:
    torch.manual_seed(0)
    decoder = TokenDecoder(Transformer(SMALL, num_frames=120), 2, nn.Linear(16, 12))
    tokens, order = torch.randn(2, 74, 16), torch.stack([torch.randperm(750) for _ in range(2)])
    visible, hidden = order[:, :74], order[:, 74:]
    for row in range(2):
        places = decoder.mask_token.repeat(750, 1)
        places[visible[row]] = decoder.embed(tokens[row])
        whole = decoder.head(decoder.norm(decoder.blocks((places + decoder.positions())[None])))[0]
        torch.testing.assert_close(decoder(tokens, visible, hidden)[row], whole[hidden[row]], atol=1e-4, rtol=1e-4)


def test_hidden_tokens_change_the_targets_and_not_the_predictions() -> None:
    model, clips, uniform = build(SkeletonMae), bodies(), draws()
    _, hidden = model.mask(model.encoder.segments(clips), uniform)
    t, j = divmod(int(hidden[0, 0]), 25)
    changed = clips.clone()
    changed[0, 4 * t : 4 * t + 4, j] += torch.randn(4, 3)
    (predicted, wanted), (predicted_2, wanted_2) = (
        model(Batch.of_bodies(uniform, x)).levels["segments"] for x in (clips, changed)
    )
    torch.testing.assert_close(predicted, predicted_2)
    assert (wanted != wanted_2).any(dim=1).nonzero().flatten().tolist() == [0]


def test_skeleton_mae_hides_moving_and_resting_joints_alike() -> None:
    still, moving, uniform = torch.zeros(3, 120, 25, 3), bodies(), draws()
    for kind, alike in ((SkeletonMae, True), (Mamp, False)):
        model = build(kind)
        masks = [model.mask(model.encoder.segments(clips), uniform)[1] for clips in (still, moving)]
        assert torch.equal(*masks) is alike


def test_motion_is_the_next_frame_minus_this_one_and_ends_with_zeros() -> None:
    clips = torch.tensor([0.0, 1.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 1, 3)
    assert frame_motion(clips)[0, :, 0, 0].tolist() == [1.0, 2.0, 0.0]


def test_normalising_can_be_checked_by_hand() -> None:
    # Mean 2, unbiased variance 1.
    torch.testing.assert_close(normalised_segments(torch.tensor([[[1.0, 2.0, 3.0]]])), torch.tensor([[[-1.0, 0, 1]]]))
    over_time = normalised_over_time(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 1, 3))
    torch.testing.assert_close(over_time[0, :, 0, 0], torch.tensor([-1.0, 0.0, 1.0]))


def test_a_resting_joint_gives_zeros_and_not_noise() -> None:
    still = torch.ones(1, 120, 25, 3)
    assert normalised_over_time(still).abs().max() == 0
    assert normalised_segments(still.view(1, 750, 12)).abs().max() == 0
    trembling = still + 1e-5 * bodies(1)  # a hundredth of a millimetre
    assert normalised_over_time(trembling).abs().max() < 0.1


def test_neighbouring_segments_of_a_slow_joint_differ_if_normalised_over_time_only() -> None:
    # One slow swing of every joint, on all axes at once.
    swing = torch.sin(torch.linspace(0, 3, 120)).view(1, 120, 1, 1).expand(1, 120, 25, 3)
    encoder = Transformer(SMALL, num_frames=120)
    by_itself = normalised_segments(encoder.segments(swing.contiguous())).view(30, 25, 12)
    over_time = encoder.segments(normalised_over_time(swing)).view(30, 25, 12)
    assert (by_itself[3] - by_itself[2]).abs().max() < 0.05
    assert (over_time[3] - over_time[2]).abs().max() > 0.3
