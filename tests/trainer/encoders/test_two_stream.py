"""USDRL's encoders beside numpy and torch's own blocks: what is mixed, what is added, what is left out."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import nn

from trainer.encoders.dense_shift import DRAWS_OF_LAYER, ConvolutionalAttention, DenseLayer, DenseShift, without_some
from trainer.encoders.two_stream import PlainLayer, TwoStream, TwoStreamConfig, sines

SMALL = TwoStreamConfig(width=8, depth=2, num_heads=2)
Array = Float[np.ndarray, "..."]


def build(config: TwoStreamConfig = SMALL, num_frames: int = 6) -> TwoStream:
    torch.manual_seed(0)
    encoder = TwoStream(config, num_frames=num_frames).eval()
    for weight in encoder.parameters():  # large enough that every part shows
        weight.data += 0.2 * torch.randn(weight.shape)
    return encoder


def linear(layer: nn.Module, x: Array) -> Array:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()  # type: ignore[operator, union-attr]


def norm(layer: nn.LayerNorm, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def attend(layer: nn.Module, x: Array) -> Array:
    rows, tokens, width = x.shape
    heads = layer.num_heads
    q, k, v = np.split(linear(layer.qkv, x), 3, axis=-1)  # type: ignore[arg-type]
    q, k, v = (part.reshape(rows, tokens, heads, -1).transpose(0, 2, 1, 3) for part in (q, k, v))
    odds = np.exp(q @ k.transpose(0, 1, 3, 2) / math.sqrt(width // heads))  # type: ignore[operator]
    weights = odds / odds.sum(-1, keepdims=True)
    return linear(layer.proj, (weights @ v).transpose(0, 2, 1, 3).reshape(rows, tokens, width))  # type: ignore[arg-type]


def mlp(part: DenseShift | ConvolutionalAttention, x: Array) -> Array:
    return linear(part.mlp[2], gelu(linear(part.mlp[0], norm(part.norm2, x))))


def dense_by_hand(layer: DenseLayer, x: Array) -> Array:
    """U DSTE.py: half of CA, whose MLP has nothing added to it, and half of DSA."""
    conv, shift, attention = layer.convolution, layer.shift, layer.attention
    through = x + np.maximum(linear(conv.pointwise[0], x), 0)
    of_convolution = mlp(conv, x + attend(attention, norm(conv.norm1, through)))
    along = x.transpose(0, 2, 1)
    mixed = (linear(shift.mix[2], np.maximum(linear(shift.mix[0], along), 0)) + along).transpose(0, 2, 1)
    mixed[:, ::4] = x[:, ::4]
    passed = []
    for tokens in (mixed, x):
        after = tokens + attend(attention, norm(shift.norm1, tokens))
        passed.append(after + mlp(shift, after))
    return 0.5 * of_convolution + 0.5 * (passed[0] + passed[1]) / 2


def test_a_dense_layer_equals_the_published_formula() -> None:
    layer = build().time.layers[0]
    assert isinstance(layer, DenseLayer)
    x = torch.randn(3, 6, 8)
    np.testing.assert_allclose(layer(x).detach().numpy(), dense_by_hand(layer, x.numpy()), rtol=1e-4, atol=1e-5)


def test_every_fourth_token_is_not_mixed_and_the_others_see_all() -> None:
    shift = DenseShift(9, 8, drop_path=0.1)
    x = torch.randn(2, 9, 8, requires_grad=True)
    mixed = shift.mixed(x)
    same = [torch.equal(mixed[:, place], x[:, place]) for place in range(9)]
    assert [place for place in range(9) if same[place]] == [0, 4, 8]
    mixed[:, 1].sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).any(dim=2).any(dim=0).all()


def test_both_parts_of_a_dense_layer_share_one_attention() -> None:
    layer = DenseLayer(6, 8, 1, drop_path=0.1)
    assert sum(name.endswith("qkv.weight") for name, _ in layer.named_parameters()) == 1


def test_a_plain_layer_is_torchs_block_without_dropout() -> None:
    torch.manual_seed(0)
    ours = PlainLayer(8, 2)
    theirs = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0, batch_first=True)
    theirs.self_attn.in_proj_weight.data = ours.attention.qkv.weight.data
    theirs.self_attn.in_proj_bias.data = ours.attention.qkv.bias.data
    theirs.self_attn.out_proj.load_state_dict(ours.attention.proj.state_dict())
    for mine, other in ((ours.mlp[0], theirs.linear1), (ours.mlp[2], theirs.linear2)):
        other.load_state_dict(mine.state_dict())
    x = torch.randn(3, 6, 8)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("kind", ["dense", "plain"])
def test_a_stream_reads_its_own_numbers_and_gets_its_code_where_it_is_published(kind: str) -> None:
    encoder = build(TwoStreamConfig(width=8, depth=2, stream_layers=kind))  # type: ignore[arg-type]
    bodies = torch.randn(2, 6, 25, 3)
    frames = encoder.time.embed(bodies.reshape(2, 6, 75))
    joints = encoder.space.embed(torch.stack([bodies[:, :, joint].reshape(2, 18) for joint in range(25)], dim=1))
    for place in range(2):
        if kind == "dense" or place == 0:
            frames, joints = frames + sines(6, 8), joints + encoder.joint_code
        frames, joints = encoder.time.layers[place](frames), encoder.space.layers[place](joints)
    tokens = encoder.tokens(bodies)
    torch.testing.assert_close(tokens, torch.cat([frames, joints], dim=1))
    largest = torch.cat([frames.amax(dim=1), joints.amax(dim=1)], dim=1)
    torch.testing.assert_close(encoder.features(bodies), largest)
    in_time, in_space = encoder.streams(tokens)
    assert (tuple(in_time.shape), tuple(in_space.shape)) == ((2, 6, 8), (2, 25, 8))  # type: ignore[union-attr]
    assert encoder.num_draws == (2 * 2 * DRAWS_OF_LAYER if kind == "dense" else 0)


def test_numbers_of_a_token_go_through_two_layers_with_a_norm_between_them() -> None:
    for stream, numbers in ((build().time, 75), (build().space, 18)):
        x = torch.randn(2, 5, numbers)
        first, between, _, second = stream.embed
        by_hand = linear(second, np.maximum(norm(between, linear(first, x.numpy())), 0))  # type: ignore[arg-type]
        np.testing.assert_allclose(stream.embed(x).detach().numpy(), by_hand, rtol=1e-4, atol=1e-5)
        assert first.weight.shape == (8, numbers)


def test_codes_of_joints_are_learned_and_start_with_the_published_spread() -> None:
    torch.manual_seed(0)
    code = TwoStream(TwoStreamConfig(width=1024), num_frames=6).joint_code
    assert code.requires_grad
    assert code.shape == (25, 1024)
    assert code.std().item() == pytest.approx(0.02, rel=0.03)
    assert code.mean().item() == pytest.approx(0.0, abs=0.001)


def test_codes_of_time_are_sines_and_cosines_in_turn() -> None:
    codes = sines(5, 4).numpy()
    by_hand = [[math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)] for t in range(5)]
    np.testing.assert_allclose(codes, by_hand, atol=1e-6)


def test_draws_leave_updates_out_by_row_and_nothing_is_left_out_without_them() -> None:
    kept = without_some(torch.ones(4, 2, 3), torch.tensor([0.05, 0.1, 0.5, 0.0]), 0.1)
    assert kept[:, 0, 0].tolist() == pytest.approx([0, 1 / 0.9, 1 / 0.9, 0])
    encoder, bodies = build().train(), torch.randn(3, 6, 25, 3)
    whole = encoder.tokens(bodies)
    assert torch.equal(encoder.tokens(bodies), whole)
    draws = torch.full((3, encoder.num_draws), 0.5)
    draws[1, encoder.time.num_draws :] = 0.0  # everything in space
    dropped = encoder.tokens(bodies, draws)
    assert torch.equal(dropped, encoder.tokens(bodies, draws))
    torch.testing.assert_close(dropped[1, :6], encoder.tokens(bodies, torch.full_like(draws, 0.5))[1, :6])
    assert not torch.allclose(dropped[1, 6:], encoder.tokens(bodies, torch.full_like(draws, 0.5))[1, 6:])


def test_means_have_each_part_of_time_and_each_joint_once() -> None:
    encoder = build()
    tokens = encoder.tokens(torch.randn(2, 6, 25, 3))
    means = encoder.means(tokens, 3, per_joint=True).view(2, 28, 8)
    torch.testing.assert_close(means[:, 1], tokens[:, 2:4].mean(dim=1))
    torch.testing.assert_close(means[:, 3:], tokens[:, 6:])
    whole = encoder.means(tokens, 1, per_joint=False).view(2, 2, 8)
    torch.testing.assert_close(whole[:, 1], tokens[:, 6:].mean(dim=1))


def test_the_published_size_is_the_default() -> None:
    with torch.device("meta"):
        encoder = TwoStream(TwoStreamConfig(), num_frames=64)
        plain = TwoStream(TwoStreamConfig(stream_layers="plain"), num_frames=64)
    assert (encoder.width, encoder.feature_size, encoder.num_tokens) == (1024, 2048, 89)
    block = nn.TransformerEncoderLayer(1024, 1, 1024, device="meta")
    own = sum(weight.numel() for weight in plain.time.layers[0].parameters())
    assert own == sum(weight.numel() for weight in block.parameters())
    assert {encoder.layers_above(name) for name, _ in encoder.named_parameters()} == {1, 2, 3}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 6, "num_heads": 4}, "must be even and a multiple of --num-heads"),
        ({"drop_path": 1.0}, "--drop-path is 1.0"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TwoStreamConfig(**settings)  # type: ignore[arg-type]
