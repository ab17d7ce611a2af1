"""GFP beside prototypes: GFP's part is GFP's, and the rest are SwAV's formulas, written again in numpy."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.support.small_objectives import batch, build
from tests.support.small_runs import tiny_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.health import health
from trainer.loop import StepReport, Trainer
from trainer.objectives import Objective
from trainer.objectives.gfp_prototypes import GfpPrototypes, GfpPrototypesConfig
from trainer.objectives.prototypes import balanced_odds


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def sinkhorn(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """The shares by multiplication, as the paper has it: each column gets 1 / columns, then each row 1 / rows."""
    shares = np.exp(cosines / temperature)
    rows, columns = shares.shape
    for _ in range(3):
        shares /= columns * shares.sum(axis=0)
        shares /= rows * shares.sum(axis=1, keepdims=True)
    return rows * shares


def small(model: Objective | None = None) -> GfpPrototypes:
    found = model or build("gfp_prototypes")
    assert isinstance(found, GfpPrototypes)
    return found


def test_shares_are_those_of_sinkhorns_algorithm_over_the_vectors_that_count() -> None:
    cosines = unit(9, 5) @ unit(4, 5, seed=1).T
    counts = torch.tensor([True] * 6 + [False] * 3)
    shares = balanced_odds(cosines, torch.tensor(0.2), counts)
    np.testing.assert_allclose(shares[:6], sinkhorn(cosines[:6].double().numpy(), 0.2), rtol=1e-4)
    assert shares.isfinite().all()


def test_vectors_that_are_nearly_the_same_are_shared_evenly_among_all_prototypes() -> None:
    # All are nearest to the same prototype, to which a nearest neighbour would send them all.
    vectors = F.normalize(unit(1, 8) + 0.02 * unit(64, 8, seed=1), dim=1)
    cosines = vectors @ unit(4, 8, seed=2).T
    assert len(cosines.argmax(dim=1).unique()) == 1
    shares = balanced_odds(cosines, torch.tensor(0.05))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(64))
    assert (shares.sum(dim=0) > 0.5 * 64 / 4).all()
    assert len(shares.argmax(dim=1).unique()) == 4


def test_the_loss_is_the_cross_entropy_of_each_window_with_the_shares_of_the_other() -> None:
    model = small()
    model.recent.add(unit(7, 8, seed=3))
    given = batch(model)
    outcome = model(given)
    with torch.no_grad():
        _, one, other = model.both_views(given)
    prototypes = F.normalize(model.prototypes.weight.detach(), dim=1).double().numpy()
    cosines = [vectors.double().numpy() @ prototypes.T for vectors in (one, other, model.recent.vectors[:7])]
    shares = sinkhorn(np.concatenate(cosines), 0.05)
    wanted = 0.0
    for own, target in ((cosines[0], shares[6:12]), (cosines[1], shares[:6])):
        odds = np.exp(own / 0.1) / np.exp(own / 0.1).sum(axis=1, keepdims=True)
        wanted -= (target * np.log(odds)).sum(axis=1).mean() / 2
    assert outcome.terms["prototypes"].item() == pytest.approx(wanted, rel=1e-4)


def test_the_length_of_a_prototype_does_not_matter() -> None:
    model = small()
    before = model(batch(model)).total
    with torch.no_grad():
        model.prototypes.weight.mul_(7)
    torch.testing.assert_close(model(batch(model)).total, before)


def test_the_queue_has_the_first_windows_of_earlier_steps() -> None:
    model = small()
    given = batch(model)
    model(given)
    assert not model.recent.are_real.any()  # nothing changes before the weights do
    _, one, _ = model.both_views(given)
    model.after_update(0.1)
    torch.testing.assert_close(model.recent.newest(6).flip(0), one)


def test_vectors_that_start_alike_do_not_stay_alike() -> None:
    # The trap of clustering: if all shares are even, learning to predict them makes all clips the same.
    model = small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    given = batch(model)
    views = (given.views[0], given.views[0] + 0.1 * given.views[1])  # two windows of the same clip
    for step in range(10):
        outcome = model(given._replace(views=views))
        optimizer.zero_grad()
        outcome.total.backward()
        optimizer.step()
        model.after_update((step + 1) / 10)
    report = health({"prototypes": outcome.levels["prototypes"]})
    assert report["prototypes/target_std"] > 1
    assert report["prototypes/unpredicted"] < 0.5  # without batch norm it is 1.7


def test_a_run_that_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    objective = GfpPrototypesConfig(local_width=8, global_width=16, num_prototypes=4, recent_clips=6)
    config = tiny_config(epochs=3, objective=objective)

    def stop(now: StepReport) -> None:
        if now.step == 3:
            signal.raise_signal(signal.SIGTERM)

    Trainer(config, store, tmp_path / "whole").fit()
    assert Trainer(config, store, tmp_path / "broken").fit(stop).step == 3
    saved = Checkpoint.read(tmp_path / "broken")
    assert saved.objective["recent.added"] == 12
    Trainer(saved.config, store, tmp_path / "broken", resume=saved).fit()
    whole, broken = (Checkpoint.read(tmp_path / name) for name in ("whole", "broken"))
    for name, weight in (whole.encoder | whole.objective).items():
        torch.testing.assert_close((broken.encoder | broken.objective)[name], weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prototype_weight": 0.0}, "choose --objective gfp"),
        ({"prototype_temperature": 0.0}, "--prototype-temperature is 0"),
        ({"share_temperature": 0.01}, "--share-temperature is 0.01; it must be at least 0.02"),
        ({"share_temperature": float("nan")}, "--share-temperature is nan"),
        ({"num_prototypes": 1}, "--num-prototypes is 1"),
        ({"recent_clips": 0}, "--recent-clips is 0"),
        ({"projection_size": 0}, "--projection-size is 0"),
        ({"stop_gradient": "prediction"}, "makes no sense here"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GfpPrototypesConfig(**settings)  # type: ignore[arg-type]
