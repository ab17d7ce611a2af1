"""The objective gives the same as its formulas in numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives.gfp import Decoder, Gfp, GfpConfig
from trainer.objectives.gfp_targets import (
    LEVELS,
    MotionPooling,
    TargetNetwork,
    TargetWindows,
    level_inputs,
    segment_motion,
    target_input,
)
from trainer.objectives.vicreg import variance_and_covariance

SMALL = TransformerConfig(width=16, depth=1, num_heads=2)


def build(config: GfpConfig | None = None) -> Gfp:
    torch.manual_seed(0)
    return Gfp(Transformer(SMALL, num_frames=120), config or GfpConfig())


def bodies(count: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 120, 25, 3, generator=torch.Generator().manual_seed(seed))


def draws(seed: int = 0, *, count: int = 6) -> torch.Tensor:
    return torch.rand(count, 750, generator=torch.Generator().manual_seed(seed))


def test_251_targets_a_body_are_predicted() -> None:
    outcome = build()(Batch.of_bodies(draws(), bodies()))
    rows = [len(prediction) // 6 for prediction, _ in outcome.levels.values()]
    assert rows == [150, 75, 25, 1]
    assert sum(rows) == 251
    assert [p.shape for p, _ in outcome.levels.values()] == [t.shape for _, t in outcome.levels.values()]
    assert [p.shape[1] for p, _ in outcome.levels.values()] == [32, 32, 32, 128]  # of an encoder of 16


def test_loss_terms_equal_the_formulas_of_the_paper() -> None:
    outcome = build()(Batch.of_bodies(draws(), bodies()))
    prediction = variance = covariance = 0.0
    for level in outcome.levels.values():
        p, t = (side.detach().double().numpy() for side in level)
        prediction += np.mean((p - t) ** 2)
        variance += np.mean(np.maximum(0, 1 - np.sqrt(t.var(axis=0, ddof=1) + 1e-4)))
        c = np.cov(t, rowvar=False)
        covariance += (np.sum(c**2) - np.sum(np.diag(c) ** 2)) / t.shape[1]
    assert outcome.terms["prediction"].item() == pytest.approx(prediction, rel=1e-4)
    assert outcome.terms["variance"].item() == pytest.approx(variance, rel=1e-4)
    assert outcome.terms["covariance"].item() == pytest.approx(covariance, rel=1e-3)


@pytest.mark.parametrize(
    ("config", "weights"), [(GfpConfig(), (5, 5, 1)), (GfpConfig(variance_weight=1, covariance_weight=5), (5, 1, 5))]
)
def test_the_total_is_the_weighted_sum_of_the_terms(config: GfpConfig, weights: tuple[int, int, int]) -> None:
    outcome = build(config)(Batch.of_bodies(draws(), bodies()))
    terms = [outcome.terms[name].item() for name in ("prediction", "variance", "covariance")]
    assert outcome.total.item() == pytest.approx(np.dot(weights, terms), rel=1e-5)


def test_gradient_reaches_encoder_decoder_and_target_network() -> None:
    gfp = build()
    gfp(Batch.of_bodies(draws(), bodies())).total.backward()
    for part in (gfp.encoder, gfp.decoder, gfp.target_network):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name
            # A bias before a batch norm has no effect and no gradient. Everything else must learn.
            if "bias" not in name:
                assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("stopped", "resting"), [("target", "target_network"), ("prediction", "encoder")])
def test_the_side_without_gradient_learns_nothing_from_the_prediction_term(stopped: str, resting: str) -> None:
    gfp = build(GfpConfig(stop_gradient=stopped, variance_weight=0, covariance_weight=0))  # type: ignore[arg-type]
    gfp(Batch.of_bodies(draws(), bodies())).total.backward()
    gradients = [p.grad for p in getattr(gfp, resting).parameters()]
    assert all(g is None or g.abs().max() == 0 for g in gradients)


def test_a_constant_target_network_is_punished_by_the_variance_term() -> None:
    gfp = build()
    before = gfp(Batch.of_bodies(draws(), bodies())).terms["variance"].item()
    for head in gfp.target_network.heads:
        nn.init.zeros_(head[-1].weight)
    after = gfp(Batch.of_bodies(draws(), bodies())).terms["variance"].item()
    # A std of sqrt(1e-4) = 0.01 leaves 0.99 in each of the four levels.
    assert after == pytest.approx(4 * 0.99, abs=1e-4)
    assert after > before


def test_variance_and_covariance_of_four_points_can_be_checked_by_hand() -> None:
    square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) * 3**0.5 / 2
    variance, covariance = variance_and_covariance(square)
    assert variance.item() == pytest.approx(0.0, abs=1e-4)  # each coordinate has variance 1
    assert covariance.item() == pytest.approx(0.0, abs=1e-6)
    line = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]) * 0.5**0.5  # variance 1, covariance 1
    assert variance_and_covariance(line)[1].item() == pytest.approx((1 + 1) / 2, abs=1e-5)


@pytest.mark.parametrize("rows", [5, 50])  # fewer rows than features, and more
def test_value_and_gradient_of_the_covariance_are_those_of_its_formula(rows: int) -> None:
    features = torch.randn(
        rows, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    covariance = torch.cov(features.T)
    expected = (covariance.square().sum() - covariance.diagonal().square().sum()) / 12
    _, ours = variance_and_covariance(features)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, features) for value in (ours, expected)))


def test_motion_is_the_next_segment_minus_this_one_and_ends_with_zeros() -> None:
    segments = torch.tensor([0.0, 10.0, 1.0, 10.0, 3.0, 20.0]).view(1, 6, 1)  # three segments of two joints
    assert segment_motion(segments, 2).flatten().tolist() == [1.0, 0.0, 2.0, 10.0, 0.0, 0.0]


def test_pooling_before_the_first_block_equals_pooling_all_750_tokens() -> None:
    encoder = Transformer(SMALL, num_frames=120)
    decoder = Decoder(encoder, GfpConfig(), (8, 8, 8, 16))
    tokens, visible = torch.randn(2, 74, 16), torch.stack([torch.randperm(750)[:74] for _ in range(2)])
    full = decoder.mask_token.expand(2, 750, 16).scatter(1, visible.unsqueeze(-1).expand(-1, -1, 16), tokens)
    full = full + decoder.positions()
    # Token order is segment · 25 + joint; a window is five segments.
    expected = full.view(2, 6, 5, 25, 16).mean(dim=2).flatten(1, 2)
    torch.testing.assert_close(decoder._first_pool(tokens, visible, TargetWindows(25)), expected, atol=1e-5, rtol=0)


def test_targets_of_a_level_are_means_over_its_window_of_one_joint() -> None:
    network = TargetNetwork((12, 12, 12, 9000), (8, 8, 8, 16), 3).eval()
    segments = torch.randn(1, 750, 12)
    motion = segment_motion(segments, 25).view(30, 25, 12)
    mid = network(level_inputs(segment_motion(segments, 25), TargetWindows(25), LEVELS, "signed"))[
        1
    ]  # windows of 10 segments: row 25 · window + joint
    torch.testing.assert_close(mid[25 * 2 + 7], network.heads[1](motion[20:30, 7].mean(dim=0)[None])[0])


def test_in_bf16_targets_of_joints_are_made_of_coordinates_that_are_not_rounded() -> None:
    # A tenth of a millimetre apart, two metres away: in bf16 both are the same place.
    near = torch.full((2, 12), 2.0) + torch.tensor([[0.0], [1e-4]])
    network = TargetNetwork((12,), (8,), 3, of_places=True)
    first = []
    network.heads[0][0].register_forward_hook(lambda _, __, output: first.append(output))  # type: ignore[index]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network([near])
    expected = network.heads[0][0](near)  # type: ignore[index]
    torch.testing.assert_close(first[0], expected, rtol=1e-6, atol=1e-6)
    assert build(GfpConfig(target_input="masked-joints")).target_network.of_places
    assert not build().target_network.of_places


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.5, -0.1])
def test_a_mask_ratio_outside_its_range_is_refused_with_the_published_one(ratio: float) -> None:
    with pytest.raises(ValueError, match=r"--mask-ratio is .* published runs use 0.9"):
        GfpConfig(mask_ratio=ratio)


def test_levels_are_named_in_order() -> None:
    assert list(build()(Batch.of_bodies(draws(count=2), bodies(2))).levels) == list(LEVELS)


def tiny(**settings: object) -> Gfp:
    return build(GfpConfig(**{"local_width": 8, "global_width": 16, **settings}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kept", ["mid,long,global", "short,long,global", "short,mid,global", "short,mid,long", "global"]
)
def test_without_a_level_its_block_head_and_target_are_left_out_too(kept: str) -> None:
    gfp = tiny(levels=kept)
    outcome = gfp(Batch.of_bodies(draws(count=2), bodies(2)))
    rows = {"short": 150, "mid": 75, "long": 25, "global": 1}
    assert {name: len(p) // 2 for name, (p, _) in outcome.levels.items()} == {n: rows[n] for n in kept.split(",")}
    num_levels = len(kept.split(","))
    assert len(gfp.decoder.blocks) == len(gfp.decoder.heads.projectors) == num_levels  # type: ignore[union-attr, arg-type]
    assert len(gfp.target_network.heads) == num_levels  # type: ignore[arg-type]
    outcome.total.backward()
    assert all(weight.grad is not None for weight in gfp.parameters())


def test_without_the_short_level_the_middle_one_pools_ten_segments_at_once() -> None:
    encoder = Transformer(SMALL, num_frames=120)
    tokens, visible = torch.randn(2, 74, 16), torch.stack([torch.randperm(750)[:74] for _ in range(2)])
    short, mid = (Decoder(encoder, GfpConfig(levels=levels), (8,)) for levels in ("short", "mid"))
    mid.load_state_dict(short.state_dict())
    of_fives = short._first_pool(tokens, visible, TargetWindows(25)).view(2, 3, 2, 25, 16)
    torch.testing.assert_close(mid._first_pool(tokens, visible, TargetWindows(25)), of_fives.mean(dim=2).flatten(1, 2))


def test_targets_come_from_motion_or_joints_or_the_encoders_own_input() -> None:
    segments = torch.arange(1.0, 7.0).view(1, 6, 1)  # three segments of two joints
    visible = torch.tensor([[1, 4]])
    assert target_input(segments, 2, visible, "motion").flatten().tolist() == [2, 2, 2, 2, 0, 0]
    assert target_input(segments, 2, visible, "joints").flatten().tolist() == [1, 2, 3, 4, 5, 6]
    assert target_input(segments, 2, visible, "masked-joints").flatten().tolist() == [0, 2, 0, 0, 5, 0]


@pytest.mark.parametrize(("pooling", "swing"), [("signed", 0.0), ("absolute", 3.0), ("rms", 3.0)])
def test_a_swing_back_and_forth_has_motion_only_in_absolute_and_rms_pooling(
    pooling: MotionPooling, swing: float
) -> None:
    motion = torch.tensor([3.0, -3.0]).repeat(5).view(1, 10, 1)
    windows, whole = level_inputs(motion, TargetWindows(1), ("mid", "global"), pooling)
    assert windows.item() == pytest.approx(swing)
    assert torch.equal(whole, motion.view(1, 10))  # the global target is not pooled


@pytest.mark.parametrize(("layers", "given"), [(2, [12, 8]), (3, [12, 8, 8]), (4, [12, 8, 8, 8])])
def test_mlps_have_the_requested_number_of_layers(layers: int, given: list[int]) -> None:
    gfp = tiny(mlp_layers=layers)
    linear = [part.in_features for part in gfp.target_network.heads[0] if isinstance(part, nn.Linear)]  # type: ignore[index, union-attr]
    assert linear == given
    projector = gfp.decoder.heads.projectors[0]  # type: ignore[union-attr, index]
    assert sum(isinstance(part, nn.Linear) for part in projector) == layers  # type: ignore[union-attr]


def test_low_level_targets_are_the_pooled_motion_standardised_over_the_batch() -> None:
    gfp = tiny(targets="low-level")
    assert list(gfp.target_network.parameters()) == []
    outcome = gfp(Batch.of_bodies(draws(), bodies()))
    assert list(outcome.terms) == ["prediction"]
    assert [t.shape[1] for _, t in outcome.levels.values()] == [12, 12, 12, 9000]
    motion = segment_motion(gfp.encoder.segments(bodies()), 25).double().numpy()
    pooled = motion.reshape(6, 6, 5, 25, 12).mean(axis=2).reshape(900, 12)
    expected = (pooled - pooled.mean(axis=0)) / np.sqrt(pooled.var(axis=0, ddof=1) + 1e-6)
    np.testing.assert_allclose(outcome.levels["short"][1], expected, atol=1e-4)
    squares = [np.mean((p - t).double().numpy() ** 2) for p, t in outcome.levels.values()]
    assert outcome.total.item() == pytest.approx(5 * sum(squares), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"levels": "short,medium"},
            "--levels is 'short,medium'; it must name one or more of short, mid, long, global",
        ),
        ({"levels": ""}, "--levels is ''"),
        ({"levels": "mid,short"}, "in this order"),
        ({"levels": "mid,mid"}, "each once"),
        ({"levels": "short, mid"}, "without spaces"),
        ({"mlp_layers": 1}, "--mlp-layers is 1; it must be at least 2"),
        ({"decoder_depth": 0}, "--decoder-depth is 0; it must be at least 1"),
        ({"motion_pooling": "rms", "target_input": "joints"}, "--motion-pooling rms has no effect"),
        ({"motion_pooling": "absolute", "levels": "global"}, "--motion-pooling absolute has no effect"),
        ({"targets": "low-level", "stop_gradient": "target"}, "--stop-gradient target makes no sense"),
        ({"targets": "low-level", "variance_weight": 1.0}, "have no effect with --targets low-level"),
        ({"targets": "low-level", "covariance_weight": 0.0}, "have no effect with --targets low-level"),
        ({"mask_temperature": float("nan")}, "--mask-temperature is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GfpConfig(**settings)  # type: ignore[arg-type]


def test_a_clip_that_is_not_a_whole_number_of_windows_is_refused() -> None:
    with pytest.raises(ValueError, match="gives 25 segments; gfp needs a multiple of 30"):
        Gfp(Transformer(SMALL, num_frames=100), GfpConfig())


@pytest.mark.parametrize(("width", "local", "whole"), [(256, 512, 2048), (32, 64, 256)])
def test_targets_are_as_wide_as_the_encoder_asks_for_unless_set(width: int, local: int, whole: int) -> None:
    assert GfpConfig().level_widths(width) == (local, local, local, whole)
    assert GfpConfig(local_width=7, global_width=9).level_widths(width) == (7, 7, 7, 9)


@pytest.mark.parametrize("settings", [{"local_width": 1}, {"global_width": 1}, {"local_width": -2}])
def test_targets_of_one_feature_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must each be at least 2, or 0 to follow --width"):
        GfpConfig(**settings)  # type: ignore[arg-type]
