"""SLiM's encoder: its turns beside numpy, and what it sees."""

import numpy as np
import pytest
import torch

from trainer.encoders.slim import SlimEncoder, SlimEncoderConfig, TurnedAttention, turned

SMALL = SlimEncoderConfig(width=16, depth=2, num_heads=2, segment_frames=4, position_std=0.5)


def small(num_frames: int = 32) -> SlimEncoder:
    torch.manual_seed(0)
    encoder = SlimEncoder(SMALL, num_frames=num_frames).eval()
    # So narrow an encoder begins with attention that looks nowhere.
    with torch.no_grad():
        for weight in encoder.blocks.parameters():
            weight.mul_(10.0)
    return encoder


def segments(rows: int = 2, tokens: int = 200) -> torch.Tensor:
    return torch.randn(rows, tokens, 12, generator=torch.Generator().manual_seed(0))


def test_the_published_encoder_has_eight_by_twenty_five_tokens_and_the_width_of_its_gates() -> None:
    encoder = SlimEncoder(SlimEncoderConfig(), num_frames=64)
    assert encoder.num_tokens == 200
    assert encoder.registers.shape == (4, 256)
    block = encoder.blocks[0]
    assert (block.mlp.widen.out_features, block.mlp.narrow.in_features) == (1376, 688)
    of_block = 3 * 256 * 256 + 3 * 256 + 256 * 256 + 256 + 256 * 1376 + 1376 + 688 * 256 + 256 + 4 * 256
    beside = 24 * 256 + 256 + (25 + 1 + 4) * 256 + 2 * 256
    assert sum(p.numel() for p in encoder.parameters()) == 8 * of_block + beside


def test_queries_and_keys_are_turned_as_complex_numbers_by_the_place_of_their_segment() -> None:
    x = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    place = np.array([0, 0, 1, 1, 2, 5, 9])
    angles = place[:, None] * 10_000.0 ** (-np.arange(0, 8, 2) / 8)
    turns = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)]))[:, None, None].float()
    points = x.double().numpy()
    wanted = (points[..., :4] + 1j * points[..., 4:]) * np.exp(1j * angles)
    found = turned(x, turns).numpy()
    np.testing.assert_allclose(found[..., :4] + 1j * found[..., 4:], wanted, atol=1e-5)


def test_attention_knows_how_far_segments_are_apart_but_not_where_they_are() -> None:
    torch.manual_seed(0)
    attention, x = TurnedAttention(16, 2), torch.randn(1, 6, 16)
    speeds = torch.tensor([1.0, 0.1, 0.01, 0.001])

    def at(place: list[int]) -> torch.Tensor:
        angles = (torch.tensor(place)[:, None] * speeds)[None, None]
        return attention(torch.stack([angles.cos(), angles.sin()]), x)

    torch.testing.assert_close(at([7, 8, 9, 10, 11, 12]), at([0, 1, 2, 3, 4, 5]), atol=1e-5, rtol=0)
    assert (at([0, 2, 4, 6, 8, 10]) - at([0, 1, 2, 3, 4, 5])).abs().max() > 1e-3


def test_tokens_know_their_joint_and_their_segment() -> None:
    encoder = small()
    clip = segments(1)
    grid = clip.view(1, 8, 25, 12)
    body, _ = encoder.filled(clip)
    for swapped in (grid.flip(1), grid.flip(2)):
        assert (encoder.filled(swapped.flatten(1, 2))[0] - body).abs().max() > 1e-3


def test_hidden_tokens_never_enter_and_the_order_of_visible_ones_does_not_matter() -> None:
    encoder = small()
    visible = torch.randperm(200, generator=torch.Generator().manual_seed(0))[None, :40].expand(2, -1)
    changed = segments()
    hidden = torch.ones(200, dtype=torch.bool)
    hidden[visible[0]] = False
    changed[:, hidden] += 1.0
    found = encoder(segments(), visible)
    torch.testing.assert_close(encoder(changed, visible), found)
    torch.testing.assert_close(encoder(segments(), visible.flip(1)).flip(1), found, atol=1e-5, rtol=0)
    everything = torch.arange(200).expand(2, -1)
    torch.testing.assert_close(encoder(segments(), everything), encoder(segments()), atol=1e-5, rtol=0)


def test_a_learned_token_hides_what_stands_there() -> None:
    encoder, token = small(), torch.randn(16)
    hidden = torch.rand(2, 200, generator=torch.Generator().manual_seed(0)) < 0.6
    changed = torch.where(hidden[..., None], 5.0, segments())
    for one, other in zip(
        encoder.filled(segments(), hidden, token), encoder.filled(changed, hidden, token), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert not torch.equal(encoder.filled(segments(), hidden, -token)[0], encoder.filled(segments(), hidden, token)[0])


def test_a_shorter_view_is_read_as_an_encoder_of_its_length_reads_it() -> None:
    encoder, shorter = small(), small(num_frames=8)
    assert shorter.load_state_dict(encoder.state_dict())
    bodies = torch.randn(2, 8, 25, 3)
    torch.testing.assert_close(encoder.filled(encoder.segments(bodies))[0], shorter.filled(shorter.segments(bodies))[0])


def test_class_token_and_mean_of_tokens_are_served() -> None:
    encoder, bodies = small(), torch.randn(2, 32, 25, 3)
    body, tokens = encoder.filled(encoder.segments(bodies))
    torch.testing.assert_close(encoder.features(bodies), torch.cat([body, tokens.mean(dim=1)], dim=1))
    assert tokens.shape == (2, 200, 16)


def test_heads_of_an_odd_size_are_refused() -> None:
    with pytest.raises(ValueError, match="a head has 3 numbers; it must have an even number"):
        SlimEncoderConfig(width=6, num_heads=2)
