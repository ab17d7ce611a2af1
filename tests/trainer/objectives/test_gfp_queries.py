import math

import pytest
import torch

from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives.gfp import Gfp, GfpConfig
from trainer.objectives.gfp_queries import CrossAttention, GfpQueries, GfpQueriesConfig
from trainer.objectives.gfp_targets import TargetWindows

SMALL = TransformerConfig(width=16, depth=1, num_heads=2)
WIDTHS = {"local_width": 8, "global_width": 16}


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
    assert ours.terms["prediction"] != theirs.terms["prediction"]


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
