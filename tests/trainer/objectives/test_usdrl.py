"""USDRL beside its formulas, written again in numpy."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.small_objectives import batch, build, build_on
from trainer.config import PRESETS
from trainer.data.batches import Batch
from trainer.encoders import build_encoder
from trainer.objectives import build_objective
from trainer.objectives.usdrl import UsdrlConfig, cross_correlation, decorrelation, largest_mean, similarity


def views(seed: int = 0) -> list[torch.Tensor]:
    return list(torch.randn(4, 9, 5, generator=torch.Generator().manual_seed(seed)))


def arrays() -> list[np.ndarray]:
    return [view.double().numpy() for view in views()]


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix[~np.eye(len(matrix), dtype=bool)]


def test_views_are_near_the_last_one_and_the_middle_of_the_others() -> None:
    *others, last = arrays()
    middle = sum(others) / 3
    wanted = sum(((view - last) ** 2).mean() + ((view - middle) ** 2).mean() for view in others)
    assert similarity(views()).item() == pytest.approx(wanted, rel=1e-5)


def test_no_view_is_a_fixed_target_of_the_others() -> None:
    given = torch.stack(views()).requires_grad_()
    similarity(list(given)).backward()
    *others, last = arrays()
    middle = sum(others) / 3
    wanted = [2 * (view - last) + 2 * (view - middle) for view in others]
    wanted.append(sum(2 * (last - view) for view in others))
    np.testing.assert_allclose(given.grad, np.stack(wanted) / last.size, rtol=1e-4, atol=1e-6)


def test_each_view_of_a_clip_teaches_the_encoder() -> None:
    model = build("usdrl")
    model.config = UsdrlConfig(view_tokens=300, spread_weight=0.0, correlation_weight=0.0)
    given = batch(model)
    seen = [view.requires_grad_() for view in given.views]
    model(given).total.backward()
    assert len(seen) == 4
    assert all(view.grad is not None and view.grad.abs().max() > 0 for view in seen)


def test_projectors_of_the_presets_have_the_published_sizes() -> None:
    for name in ("usdrl-ntu60", "usdrl-pku"):
        with torch.device("meta"):
            model = build_objective(build_encoder(PRESETS[name].encoder, num_frames=64), PRESETS[name].objective)
        local, whole = [1024, 2048, 2048, 2048], [2048, 2048, 2048, 4096]
        for domain, sizes in (("time", local), ("space", local), ("instance", whole)):
            projector = getattr(model, f"{domain}_projector")
            kinds = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
            assert all(isinstance(part, kind) for part, kind in zip(projector, kinds, strict=True))
            layers = [part for part in projector if isinstance(part, nn.Linear)]
            assert [layers[0].in_features, *(layer.out_features for layer in layers)] == sizes


def test_each_view_varies_and_its_features_are_not_alike() -> None:
    wanted = 0.0
    for view in arrays():
        hinge = np.maximum(0, 1 - np.sqrt(view.var(axis=0, ddof=1) + 1e-4)).mean()
        wanted += 5 * hinge + (off_diagonal(np.cov(view.T)) ** 2).sum() / 5
    assert decorrelation(views()).item() == pytest.approx(wanted, rel=1e-4)


def test_features_of_two_views_correlate_with_themselves_alone() -> None:
    wanted = 0.0
    scaled = [(view - view.mean(axis=0)) / view.std(axis=0, ddof=1) for view in arrays()]
    for one, other in combinations(scaled, 2):
        correlation = one.T @ other / 9
        wanted += ((np.diag(correlation) - 1) ** 2).sum() + 0.005 * (off_diagonal(correlation) ** 2).sum()
    assert cross_correlation(views()).item() == pytest.approx(wanted, rel=1e-5)


def test_a_feature_that_never_varies_gives_finite_numbers() -> None:
    constant = [torch.zeros(9, 5, requires_grad=True) for _ in range(4)]
    found = cross_correlation([view + 1 for view in constant])
    found.backward()
    assert found.item() == pytest.approx(6 * 5)
    assert all(view.grad.isfinite().all() for view in constant)  # type: ignore[union-attr]


def test_of_the_means_of_groups_the_largest_counts_and_empty_ones_do_not() -> None:
    tokens = -torch.tensor([[[1.0, 8.0], [3.0, 2.0], [7.0, 7.0]]])
    found = largest_mean(tokens, torch.tensor([[0, 0, 2]]), 4)
    assert found.tolist() == [[-2.0, -5.0]]


def test_the_loss_is_the_weighted_sum_of_three_terms_in_three_domains() -> None:
    model = build("usdrl")
    outcome = model(batch(model))
    terms = {name: term.item() for name, term in outcome.terms.items()}
    weights = {"similarity": 5, "spread": 1, "correlation": 0.001}
    domains = {"time": 0.5, "space": 0.5, "instance": 1}
    assert len(terms) == 9
    wanted = sum(w * of * terms[f"{domain} {name}"] for domain, of in domains.items() for name, w in weights.items())
    assert outcome.total.item() == pytest.approx(wanted, rel=1e-5)


def test_losses_are_computed_in_32_bits_where_the_encoder_is_not() -> None:
    model, projected = build("usdrl").eval(), []
    for projector in (model.time_projector, model.space_projector, model.instance_projector):
        projector.register_forward_hook(lambda *given: projected.append(given[2].detach()))  # type: ignore[operator]
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        terms = model(batch(model)).terms
    assert {each.dtype for each in projected} == {torch.bfloat16}
    for number, domain in enumerate(("time", "space", "instance")):
        views = [each.float() for each in projected[4 * number :][:4]]
        assert terms[f"{domain} correlation"].item() == pytest.approx(cross_correlation(views).item(), rel=1e-5)
        assert terms[f"{domain} spread"].item() == pytest.approx(decorrelation(views).item(), rel=1e-5)


def test_with_all_tokens_the_streams_are_those_of_frames_and_joints() -> None:
    model = build("usdrl")
    model.config = UsdrlConfig()
    given = batch(model)
    in_time, in_space, whole = model._pooled(given, 2)  # type: ignore[operator]
    assert torch.equal(whole, torch.cat([in_time, in_space], dim=1))
    grid = model.encoder(model.encoder.segments(given.views[2])).view(6, 30, 25, 16)
    torch.testing.assert_close(in_time, grid.mean(dim=2).amax(dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(in_space, grid.mean(dim=1).amax(dim=1), atol=1e-5, rtol=0)


def test_two_streams_are_compared_as_they_are_and_recurrent_tokens_in_time_and_by_their_last_state() -> None:
    model = build_on("two_stream", "usdrl").eval()
    given = batch(model)._replace(uniform=torch.full((6, 4 * (24 + 49)), 0.5))
    in_time, in_space, whole = model._pooled(given, 1)  # type: ignore[operator]
    of_encoder, _ = model.draws_of(given, 1)  # type: ignore[operator]
    tokens = model.encoder.tokens(given.views[1], of_encoder)
    assert torch.equal(in_time, tokens[:, :24].amax(dim=1))
    assert torch.equal(in_space, tokens[:, 24:].amax(dim=1))
    assert torch.equal(whole, torch.cat([in_time, in_space], dim=1))
    model = build_on("gru", "usdrl").eval()
    given = batch(model)
    in_time, whole = model._pooled(given, 1)  # type: ignore[operator]
    tokens = model.encoder.tokens(given.views[1])
    assert torch.equal(in_time, tokens.amax(dim=1))
    assert torch.equal(whole, tokens[:, -1])
    assert {name.split()[0] for name in model(given).terms} == {"time", "instance"}


def test_a_clip_of_two_bodies_is_one_row_of_each_view() -> None:
    model = build("usdrl")
    given = batch(model)
    both = Batch(given.views, given.uniform, torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 2, 4]))
    outcome = model(both)
    assert outcome.total.isfinite()
    assert {level[0].shape[0] for level in outcome.levels.values()} == {3}


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"time_weight": -1.0}, "--time-weight is -1"), ({"compared_width": -1}, "--compared-width is -1")],
)
def test_a_setting_out_of_its_range_is_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        UsdrlConfig(**settings)  # type: ignore[arg-type]
