import numpy as np
import pytest
import torch

from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives.s_jepa import SJepa, SJepaConfig, centred_and_sharpened, target_momentum

SMALL = TransformerConfig(width=16, depth=1, num_heads=2)


def build(**settings: float) -> SJepa:
    torch.manual_seed(0)
    return SJepa(Transformer(SMALL, num_frames=120), SJepaConfig(decoder_depth=1, **settings))  # type: ignore[arg-type]


def bodies() -> torch.Tensor:
    return torch.randn(3, 120, 25, 3, generator=torch.Generator().manual_seed(0))


def draws() -> torch.Tensor:
    return torch.rand(3, 750, generator=torch.Generator().manual_seed(1))


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def test_the_loss_is_the_cross_entropy_of_centred_and_sharpened_features_at_hidden_tokens() -> None:
    model, clips, uniform = build(), bodies(), draws()
    with torch.no_grad():  # the two encoders start equal; make them differ
        for weight in model.target_encoder.parameters():
            weight.mul_(1.1)
    segments = model.encoder.segments(clips)
    visible, hidden = model.mask(segments, uniform)
    predicted = model.decoder(model.encoder(segments, visible), visible, hidden).detach().double().numpy()
    seen = model.target_encoder(segments).detach().double().numpy()
    target = unit(np.concatenate([row[at] for row, at in zip(seen, hidden.numpy(), strict=True)]))
    wanted = softmax((target - target.mean(axis=0)) / 0.04)
    given = softmax(unit(predicted.reshape(-1, 16)) / 0.1)
    expected = -np.mean(np.sum(wanted * np.log(given), axis=1))
    outcome = model(Batch.of_bodies(uniform, clips))
    assert outcome.total.item() == pytest.approx(expected, rel=1e-5)
    prediction, target_level = outcome.levels["features"]
    np.testing.assert_allclose(prediction, 16 * given, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(target_level, 16 * wanted, rtol=1e-3, atol=1e-5)


def test_the_target_encoder_starts_as_a_copy_and_learns_nothing_from_the_loss() -> None:
    model = build()
    for (name, weight), target in zip(model.encoder.named_parameters(), model.target_encoder.parameters(), strict=True):
        assert torch.equal(weight, target), name
    model(Batch.of_bodies(draws(), bodies())).total.backward()
    assert all(weight.grad is None and not weight.requires_grad for weight in model.target_encoder.parameters())
    assert all(weight.grad is not None for weight in model.encoder.parameters())


def test_the_momentum_rises_along_half_a_cosine_to_one() -> None:
    assert target_momentum(0.0, start=0.996) == pytest.approx(0.996)
    assert target_momentum(1 / 3, start=0.996) == pytest.approx(0.997)  # cos 60° = 1/2: a quarter of the way
    assert target_momentum(0.5, start=0.996) == pytest.approx(0.998)
    assert target_momentum(1.0, start=0.996) == 1.0


def test_an_update_moves_the_target_encoder_by_one_minus_the_momentum() -> None:
    model = build(target_momentum=0.9)
    name = "embed.weight"
    before = model.target_encoder.get_parameter(name).clone()
    with torch.no_grad():
        model.encoder.get_parameter(name).add_(1.0)
    model.after_update(0.5)  # momentum 0.95
    torch.testing.assert_close(model.target_encoder.get_parameter(name), before + 0.05)
    model.after_update(1.0)
    torch.testing.assert_close(model.target_encoder.get_parameter(name), before + 0.05)


def test_targets_can_be_checked_by_hand() -> None:
    # Unit vectors (1, 0) and (0, 1), their mean (1/2, 1/2); at temperature 1 the odds are e^(1/2) : e^(-1/2) = e : 1.
    features = torch.tensor([[5.0, 0.0], [0.0, 0.1]])
    high, low = np.e / (np.e + 1), 1 / (np.e + 1)
    torch.testing.assert_close(
        centred_and_sharpened(features, 1.0), torch.tensor([[high, low], [low, high]], dtype=torch.float32)
    )


def test_a_feature_that_all_targets_share_is_centred_away() -> None:
    shared = torch.zeros(4, 8)
    shared[:, 3] = 7.0
    torch.testing.assert_close(centred_and_sharpened(shared, 0.04), torch.full((4, 8), 1 / 8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_momentum": 1.1}, "--target-momentum is 1.1; it must lie between 0 and 1"),
        ({"target_momentum": float("nan")}, "--target-momentum is nan"),
        ({"target_temperature": 0.2}, "with 0 < target <= prediction"),
        ({"target_temperature": 0.0}, "with 0 < target <= prediction"),
        ({"prediction_temperature": float("inf")}, "with 0 < target <= prediction"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SJepaConfig(**settings)  # type: ignore[arg-type]
