"""The optimiser's groups and what a step does with gradients."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.small_runs import tiny_config, write_store
from trainer.data.store import ClipStore
from trainer.encoders import EncoderConfig
from trainer.encoders.gru import GruConfig
from trainer.encoders.two_stream import TwoStreamConfig
from trainer.loop import Trainer
from trainer.objectives import Objective
from trainer.objectives.halp import HalpConfig
from trainer.step import build_optimizer, clip_gradients

HALP = HalpConfig(projection_size=8, queue_keys=8, prototype_keys=6, num_prototypes=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


def test_the_first_layer_learns_at_its_share_and_each_weight_is_in_one_group(store: ClipStore, tmp_path: Path) -> None:
    trainer = Trainer(tiny_config(embed_lr_share=0.2), store, tmp_path / "run")
    trainer.train_step()
    rates = {id(weight): group["lr"] for group in trainer.optimizer.param_groups for weight in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in trainer.optimizer.param_groups)
    usual = rates[id(trainer.objective.encoder.norm.weight)]
    for name, weight in trainer.objective.named_parameters():
        share = 0.2 if name.startswith("encoder.embed.") else 1.0
        assert rates[id(weight)] == pytest.approx(share * usual), name


def test_decay_goes_from_the_first_to_the_final_one_and_what_has_none_stays_so(
    store: ClipStore, tmp_path: Path
) -> None:
    trainer = Trainer(tiny_config(weight_decay=0.04, final_weight_decay=0.2), store, tmp_path / "run")
    seen = []
    for _ in range(trainer.total_steps):
        trainer.train_step()
        seen.append([group["weight_decay"] for group in trainer.optimizer.param_groups])
    assert [none for _, none in seen] == [0.0] * len(seen)
    decays = [decay for decay, _ in seen]
    assert decays == sorted(decays)
    assert (decays[0], decays[-1]) == pytest.approx((0.04, 0.2))


def test_the_gradient_of_each_part_is_cut_by_itself_and_shorter_ones_are_kept() -> None:
    model = torch.nn.Module()
    model.one, model.other = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)
    model.own = torch.nn.Parameter(torch.zeros(3))
    long, short = torch.full((2, 2), 5.0), torch.full((2, 2), 0.1)
    model.one.weight.grad, model.other.weight.grad, model.own.grad = long.clone(), short.clone(), torch.ones(3)
    clip_gradients(model, 0.0)
    assert torch.equal(model.one.weight.grad, long)
    clip_gradients(model, 1.0)
    assert model.one.weight.grad.norm() == pytest.approx(1.0, rel=1e-4)
    assert torch.equal(model.other.weight.grad, short)
    assert model.own.grad.norm() == pytest.approx(1.0, rel=1e-4)


def test_matrices_of_recurrent_layers_decay_as_those_of_linear_ones_do(store: ClipStore, tmp_path: Path) -> None:
    config = tiny_config(encoder=GruConfig(width=8, depth=1), objective=HALP, num_frames=24, weight_decay=0.04)
    trainer = Trainer(config, store, tmp_path / "run")
    decays = {
        id(weight): group["weight_decay"] for group in trainer.optimizer.param_groups for weight in group["params"]
    }
    for name, weight in trainer.objective.named_parameters():
        assert decays[id(weight)] == (0.04 if weight.ndim == 2 else 0.0), name


def changes_by_sgd(objective: Objective, decay: float, gradients: list[float]) -> list[tuple[Tensor, Tensor]]:
    """Each weight before some steps with these gradients and a learning rate of 0.01, and how it changed."""
    before = [weight.detach().clone() for weight in objective.parameters()]
    optimizer = build_optimizer(
        objective, tiny_config(optimizer="sgd", peak_lr=0.01, floor_lr=0.001, weight_decay=decay)
    )
    for gradient in gradients:
        for weight in objective.parameters():
            weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
    return [(old, new.detach() - old) for old, new in zip(before, objective.parameters(), strict=True)]


def test_sgd_has_the_published_momentum_and_decays_every_weight(store: ClipStore, tmp_path: Path) -> None:
    objective = Trainer(tiny_config(), store, tmp_path / "run").objective
    # The second step goes its own way, and nine tenths of that of the first once more.
    for _, change in changes_by_sgd(objective, 0.0, [1.0, 1.0]):
        torch.testing.assert_close(change, torch.full_like(change, -0.01 * (1 + 1.9)), atol=1e-5, rtol=0)
    for before, change in changes_by_sgd(objective, 0.5, [0.0]):
        torch.testing.assert_close(change, -0.01 * 0.5 * before, atol=1e-5, rtol=0)


@pytest.mark.parametrize("encoder", [GruConfig(width=8, depth=1), TwoStreamConfig(width=8, depth=1)])
def test_a_share_of_the_first_layer_is_refused_where_there_is_no_such_layer(
    store: ClipStore, tmp_path: Path, encoder: EncoderConfig
) -> None:
    config = tiny_config(encoder=encoder, objective=HALP, num_frames=24, embed_lr_share=0.2)
    with pytest.raises(ValueError, match=r"--embed-lr-share is 0\.2, but this encoder has no single first layer"):
        Trainer(config, store, tmp_path / "run")


@pytest.mark.parametrize("setting", [{"embed_lr_share": 0.5}, {"gradient_memory": 0.9}])
def test_settings_of_adamw_are_refused_for_other_optimisers(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="are settings of --optimizer adamw, and it is sgd"):
        tiny_config(optimizer="sgd", **setting)
