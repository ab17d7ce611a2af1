"""HaLP's recurrent encoder beside torch's bidirectional one, fed as HaLP's public code feeds it."""

import pytest
import torch
from torch import nn

from trainer.encoders.gru import Gru, GruConfig
from trainer.encoders.transformer import Transformer, TransformerConfig

SMALL = GruConfig(width=8, depth=3)


def build(config: GruConfig = SMALL, num_frames: int = 5) -> Gru:
    torch.manual_seed(0)
    return Gru(config, num_frames=num_frames).eval()


def test_the_published_size_is_the_default() -> None:
    with torch.device("meta"):
        encoder = Gru(GruConfig(), num_frames=64)
    published = nn.GRU(75, 1024, num_layers=3, bidirectional=True, device="meta")
    weights = sum(weight.numel() for weight in encoder.layers.parameters())
    assert weights == sum(weight.numel() for weight in published.parameters())
    assert (encoder.width, encoder.feature_size, encoder.num_tokens, encoder.num_joints) == (2048, 2048, 64, 1)


def test_matrices_start_at_xaviers_numbers_as_published() -> None:
    encoder = build(GruConfig(width=64, depth=2))
    for layer, numbers in zip(encoder.layers, (75, 64), strict=True):
        for half in layer.halves:  # type: ignore[union-attr]
            # The matrices of three gates, with 32 numbers each, are one.
            for weight, inputs in ((half.weight_ih_l0, numbers), (half.weight_hh_l0, 32)):
                bound = (6 / (3 * 32 + inputs)) ** 0.5
                assert 0.98 * bound < weight.abs().max() <= bound


def test_it_equals_bidirectional_layers_that_get_one_frame_after_the_other() -> None:
    encoder = build()
    published = nn.GRU(75, 4, num_layers=3, bidirectional=True, batch_first=True)
    for number, layer in enumerate(encoder.layers):
        for half, suffix in zip(layer.halves, ("", "_reverse"), strict=True):  # type: ignore[arg-type]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(published, f"{name}_l{number}{suffix}").data = getattr(half, f"{name}_l0").data
    bodies = torch.randn(2, 5, 25, 3)
    frames = encoder.norm(bodies.reshape(10, 75)).view(2, 5, 75)
    state, made = None, []
    for place in range(5):
        out, state = published(frames[:, place : place + 1], state)
        made.append(out)
    expected = torch.cat(made, dim=1)
    torch.testing.assert_close(encoder.tokens(bodies), expected)
    torch.testing.assert_close(encoder.features(bodies), expected[:, -1])
    # Fed at once, the other direction would have seen the last frame only.
    assert not torch.allclose(published(frames)[0][:, -1], expected[:, -1], atol=1e-3)


def test_a_frame_is_normed_number_by_number_over_the_batch_in_training() -> None:
    encoder = build(GruConfig(width=4, depth=1)).train()
    bodies = 3 + 2 * torch.randn(6, 5, 25, 3)
    frames = encoder.norm(bodies.reshape(30, 75)).detach()
    torch.testing.assert_close(frames.mean(dim=0), torch.zeros(75), atol=1e-5, rtol=0)
    torch.testing.assert_close(frames.var(dim=0, correction=0), torch.ones(75), atol=1e-3, rtol=0)


def test_a_lacking_joint_is_at_0() -> None:
    encoder, bodies = build(), torch.randn(2, 5, 25, 3)
    lacking, zero = bodies.clone(), bodies.clone()
    lacking[:, 1:3, 7], zero[:, 1:3, 7] = torch.nan, 0.0
    assert torch.equal(encoder.features(lacking), encoder.features(zero))


def test_low_layers_are_named_for_fine_tuning() -> None:
    encoder = build()
    assert {encoder.layers_above(name) for name, _ in encoder.named_parameters()} == {1, 2, 3, 4}
    assert encoder.layers_above("norm.weight") == 4
    assert encoder.layers_above("layers.2.halves.1.weight_hh_l0") == 1
    transformer = Transformer(TransformerConfig(width=16, depth=2, num_heads=2), num_frames=4)
    assert [transformer.layers_above(name) for name in ("norm.weight", "blocks.1.norm1.bias", "embed.bias")] == [
        0,
        1,
        3,
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"width": 7}, "--width is 7; it must be even"), ({"depth": 0}, "must each be at least 1; --depth is 0")],
)
def test_bad_sizes_are_refused(settings: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GruConfig(**settings)  # type: ignore[arg-type]
