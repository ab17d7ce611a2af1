"""GFP by queries: targets and terms are GFP's, and the prediction is written again in numpy."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from torch import nn

from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives.gfp import Gfp, GfpConfig
from trainer.objectives.gfp_queries import CrossAttention, GfpQueries, GfpQueriesConfig
from trainer.objectives.gfp_targets import TargetWindows

SMALL = TransformerConfig(width=16, depth=1, num_heads=2)
WIDTHS = {"local_width": 8, "global_width": 16}
Array = Float[np.ndarray, "..."]


def build(**settings: object) -> GfpQueries:
    torch.manual_seed(0)
    config = GfpQueriesConfig(**{**WIDTHS, **settings})  # type: ignore[arg-type]
    return GfpQueries(Transformer(SMALL, num_frames=120), config)


def bodies() -> torch.Tensor:
    return torch.randn(4, 120, 25, 3, generator=torch.Generator().manual_seed(0))


def draws() -> torch.Tensor:
    return torch.rand(4, 750, generator=torch.Generator().manual_seed(1))


def test_each_of_the_251_targets_has_its_own_query() -> None:
    queries = torch.cat([places() for places in build().decoder.queries])  # type: ignore[union-attr, operator]
    assert queries.shape == (251, 16)
    assert torch.pdist(queries).min() > 0.1


def test_targets_and_terms_are_those_of_gfp() -> None:
    queries = build()
    gfp = Gfp(Transformer(SMALL, num_frames=120), GfpConfig(**WIDTHS))  # type: ignore[arg-type]
    gfp.encoder, gfp.target_network = queries.encoder, queries.target_network
    ours, theirs = queries(Batch.of_bodies(draws(), bodies())), gfp(Batch.of_bodies(draws(), bodies()))
    for level, (prediction, target) in ours.levels.items():
        torch.testing.assert_close(target, theirs.levels[level][1])
        assert prediction.shape == target.shape
    for term in ("variance", "covariance"):
        torch.testing.assert_close(ours.terms[term], theirs.terms[term])


def linear(layer: nn.Linear, x: Array) -> Array:
    return x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()


def norm(layer: nn.Module, x: Array, axis: int) -> Array:
    """A layer norm over the last axis, or a batch norm over the first."""
    scaled = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-5)
    return scaled * layer.weight.detach().double().numpy() + layer.bias.detach().double().numpy()  # type: ignore[operator, union-attr]


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def place_codes(tables: nn.Module) -> Array:
    """A row for each segment or window and joint: the sum of the vectors of both."""
    time, joint = tables.time.detach().double().numpy(), tables.joint.detach().double().numpy()  # type: ignore[operator, union-attr]
    return np.stack([t + j for t in time[:, 0] for j in joint[0]])


def predicted(decoder: nn.Module, tokens: Array, visible: Int[np.ndarray, "rows visible"]) -> list[Array]:
    """What the decoder makes of the visible tokens, level by level, by loops over heads."""
    given = norm(decoder.norm, linear(decoder.embed, tokens) + place_codes(decoder.positions)[visible], -1)  # type: ignore[arg-type]
    own = [place_codes(tables) for tables in decoder.queries]  # type: ignore[union-attr]
    queries = np.repeat(np.concatenate(own)[None], len(tokens), axis=0)
    for block in decoder.blocks:  # type: ignore[union-attr]
        attention, size = block.attention, given.shape[2] // SMALL.num_heads
        asked, keys_values = linear(attention.q, norm(block.norm1, queries, -1)), linear(attention.kv, given)
        found = []
        for head in range(SMALL.num_heads):
            of_head = slice(head * size, (head + 1) * size)
            keys, values = (
                keys_values[..., : given.shape[2]][..., of_head],
                keys_values[..., given.shape[2] :][..., of_head],
            )
            odds = np.exp(asked[..., of_head] @ keys.transpose(0, 2, 1) / math.sqrt(size))
            found.append(odds / odds.sum(axis=2, keepdims=True) @ values)
        queries = queries + linear(attention.proj, np.concatenate(found, axis=2))
        queries = queries + linear(block.mlp[2], gelu(linear(block.mlp[0], norm(block.norm2, queries, -1))))
    predictions, first = [], 0
    for level_norm, projector, table in zip(decoder.heads.norms, decoder.heads.projectors, own, strict=True):  # type: ignore[union-attr, arg-type]
        x = norm(level_norm, queries[:, first : first + len(table)], -1).reshape(-1, queries.shape[2])
        first += len(table)
        for layer in projector:
            if isinstance(layer, nn.Linear):
                x = linear(layer, x)
            elif isinstance(layer, nn.BatchNorm1d):
                x = norm(layer, x, 0)
            else:
                x = np.maximum(x, 0)
        predictions.append(x)
    return predictions


def test_prediction_and_total_equal_the_formulas() -> None:
    model = build(decoder_depth=2)
    with torch.no_grad():  # large enough that every part shows
        for weight in model.decoder.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)))
    outcome = model(Batch.of_bodies(draws(), bodies()))
    segments = model.encoder.segments(bodies())
    visible, _ = model.mask(segments, draws())
    tokens = model.encoder(segments, visible).detach().double().numpy()
    wanted, prediction = predicted(model.decoder, tokens, visible.numpy()), 0.0
    for (found, target), by_hand in zip(outcome.levels.values(), wanted, strict=True):
        np.testing.assert_allclose(found, by_hand, rtol=1e-3, atol=1e-3)
        prediction += np.mean((by_hand - target.double().numpy()) ** 2)
    assert outcome.terms["prediction"].item() == pytest.approx(prediction, rel=1e-4)
    others = outcome.terms["variance"].item() * 5 + outcome.terms["covariance"].item()
    assert outcome.total.item() == pytest.approx(5 * prediction + others, rel=1e-4)


def test_attention_of_a_query_is_the_softmax_of_its_products_with_all_tokens() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(4, 1)
    queries, tokens = torch.randn(1, 3, 4), torch.randn(1, 5, 4)
    q, (k, v) = attention.q(queries), attention.kv(tokens).chunk(2, dim=-1)
    expected = attention.proj(torch.softmax(q @ k.transpose(1, 2) / math.sqrt(4), dim=-1) @ v)
    torch.testing.assert_close(attention(queries, tokens), expected)


def test_queries_do_not_see_each_other() -> None:
    model = build(decoder_depth=2)
    segments = model.encoder.segments(bodies())
    visible, _ = model.mask(segments, draws())
    tokens = model.encoder(segments, visible)
    model.eval()  # batch norm in the heads mixes them
    before = model.decoder(tokens, visible, TargetWindows(25))
    with torch.no_grad():
        model.decoder.queries[0].joint.add_(1.0)  # type: ignore[union-attr, index]
    after = model.decoder(tokens, visible, TargetWindows(25))
    assert not torch.allclose(before[0], after[0])
    for level in (1, 2, 3):
        torch.testing.assert_close(before[level], after[level])


def test_the_order_of_visible_tokens_does_not_matter() -> None:
    model = build()
    segments = model.encoder.segments(bodies())
    visible, _ = model.mask(segments, draws())
    tokens, order = model.encoder(segments, visible), torch.randperm(74)
    for one, other in zip(
        model.decoder(tokens, visible, TargetWindows(25)),
        model.decoder(tokens[:, order], visible[:, order], TargetWindows(25)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kept", ["short", "mid", "long", "global", "short,global", "mid,long"])
def test_without_a_level_its_queries_are_left_out_too(kept: str) -> None:
    model = build(levels=kept)
    assert list(model(Batch.of_bodies(draws(), bodies())).levels) == kept.split(",")
    sizes = {"short": 150, "mid": 75, "long": 25, "global": 1}
    assert [len(places()) for places in model.decoder.queries] == [sizes[level] for level in kept.split(",")]  # type: ignore[union-attr, operator]
