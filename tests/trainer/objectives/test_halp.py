"""HaLP beside its formulas, written again in numpy, and the traps of its public code."""

import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional as F

from tests.support.small_objectives import batch, build
from tests.support.small_runs import tiny_config, write_store
from tests.support.waiting import NoWaiting
from trainer.checkpoint import Checkpoint
from trainer.cli.train import gfp_train
from trainer.config import PRESETS
from trainer.data.batches import Batch
from trainer.data.views import CorruptJoints, Either, Shear
from trainer.loop import StepReport, Trainer
from trainer.objectives.halp import Halp, HalpConfig, hallucinate, nearest, spherical_k_means


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def hallucination(key: np.ndarray, prototypes: np.ndarray, which: float, how_far: float, reach: float) -> np.ndarray:
    """One made-up positive. The farthest step is found by halving, not by a formula."""
    own = int((prototypes @ key).argmax())
    others = [place for place in range(len(prototypes)) if place != own]
    towards = prototypes[others[int(which * len(others))]]
    angle = math.acos(key @ towards)

    def at(t: float) -> np.ndarray:
        point = math.sin((1 - t) * angle) * key + math.sin(t * angle) * towards
        return point / np.linalg.norm(point)

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if at(middle) @ prototypes[own] > at(middle) @ towards:
            low = middle
        else:
            high = middle
    return at((1 - reach * how_far) * low)


def test_made_up_positives_lie_on_the_way_to_another_prototype_no_farther_than_half_between_both() -> None:
    keys, prototypes = unit(7, 5), unit(4, 5, seed=1)
    which, how_far = uniform(7, 30), uniform(7, 30, seed=1)
    made = hallucinate(keys, prototypes, which, how_far, reach=0.8)
    for clip in range(7):
        for place in range(30):
            wanted = hallucination(
                keys[clip].double().numpy(),
                prototypes.double().numpy(),
                float(which[clip, place]),
                float(how_far[clip, place]),
                0.8,
            )
            np.testing.assert_allclose(made[clip, place], wanted, atol=1e-4)


def test_a_prototype_more_than_a_right_angle_away_is_walked_towards_and_not_away_from() -> None:
    # With the arctangent of one argument the step would be negative here.
    degrees = torch.tensor([0.0, 40.0, 170.0]).deg2rad()
    key, own, other = torch.stack([degrees.cos(), degrees.sin()], dim=1)
    made = hallucinate(key[None], torch.stack([own, other]), torch.zeros(1, 1), torch.zeros(1, 1), reach=0.8)[0, 0]
    assert math.degrees(math.atan2(made[1], made[0])) == pytest.approx(105, abs=0.1)  # the middle of 40 and 170
    assert (made @ own).item() == pytest.approx((made @ other).item(), abs=1e-4)


def test_a_key_that_is_a_prototype_gives_finite_numbers() -> None:
    prototypes = unit(3, 4)
    made = hallucinate(prototypes.clone(), prototypes, uniform(3, 20), uniform(3, 20, seed=1), reach=0.8)
    assert made.isfinite().all()
    same = hallucinate(prototypes[:1].clone(), prototypes[:1].repeat(3, 1), uniform(1, 20), uniform(1, 20), reach=0.8)
    assert same.isfinite().all()


def filled(halp: Halp) -> Halp:
    """Give it keys and prototypes of a network that learned something."""
    halp.queue.vectors.copy_(unit(*halp.queue.vectors.shape, seed=5))
    halp.prototypes.copy_(unit(*halp.prototypes.shape, seed=6))
    halp.has_prototypes.fill_(1)
    return halp


def test_the_loss_is_infonce_and_the_mean_of_the_positives_that_still_belong_to_the_keys_prototype() -> None:
    halp = filled(build("halp"))
    given = batch(halp)
    halp(given)
    # Negatives that are hard to tell apart from the keys.
    halp.queue.vectors[:3] = F.normalize(halp._new_keys[:3] + 0.3 * unit(3, 8, seed=7), dim=1)  # type: ignore[index]
    outcome = halp(given)
    with torch.no_grad():
        query = F.normalize(halp.projector(halp.clip_vectors(halp.encoder, given, 0)), dim=1).double().numpy()
        key = F.normalize(halp.key_projector(halp.clip_vectors(halp.key_encoder, given, 1)), dim=1).double().numpy()
    queue, prototypes = halp.queue.vectors.double().numpy(), halp.prototypes.double().numpy()
    draws = given.uniform[:, -200:].double().numpy()
    contrast, kept = [], []
    for clip in range(6):
        positive, negatives = math.exp(query[clip] @ key[clip] / 0.07), np.exp(queue @ query[clip] / 0.07)
        contrast.append(-math.log(positive / (positive + negatives.sum())))
        own = (prototypes @ key[clip]).argmax()
        for place in range(100):
            made = hallucination(key[clip], prototypes, draws[clip, place], draws[clip, 100 + place], 0.8)
            if (prototypes @ made).argmax() == own:
                kept.append(query[clip] @ made / 0.07)
    assert 0 < len(kept) < 600
    assert outcome.terms["contrast"].item() == pytest.approx(np.mean(contrast), rel=1e-4)
    # A positive that lies just between two cells may fall to either side in float32.
    assert outcome.terms["hallucinated"].item() == pytest.approx(-np.mean(kept), rel=1e-2)
    assert outcome.total.item() == pytest.approx(np.mean(contrast) - 2 * np.mean(kept), rel=1e-2)


def test_no_gradient_flows_into_keys_and_made_up_positives() -> None:
    halp = filled(build("halp"))
    halp(batch(halp)).total.backward()
    with_gradient = {name.split(".")[0] for name, weight in halp.named_parameters() if weight.grad is not None}
    assert with_gradient == {"encoder", "projector"}


def test_the_vector_of_a_clip_is_the_mean_of_its_bodies() -> None:
    halp = build("halp")
    given = batch(halp)
    both = Batch(given.views, given.uniform, torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 2, 4]))
    alone, pairs = halp.clip_vectors(halp.encoder, given, 0), halp.clip_vectors(halp.encoder, both, 0)
    torch.testing.assert_close(pairs, alone.view(3, 2, -1).mean(dim=1))
    assert halp(both).total.isfinite()


def test_keys_wait_in_the_queue_until_newer_ones_take_their_places() -> None:
    halp = build("halp")
    before = halp.queue.vectors.clone()
    halp(batch(halp, clips=4))
    first = halp._new_keys.clone()  # type: ignore[union-attr]
    assert torch.equal(halp.queue.vectors, before)  # nothing changes before the weights do
    halp.after_update(0.1)
    assert torch.equal(halp.queue.vectors, torch.cat([first, before[4:]]))
    halp(batch(halp, 1, clips=4))
    second = halp._new_keys.clone()  # type: ignore[union-attr]
    halp.after_update(0.2)
    assert torch.equal(halp.queue.vectors, torch.cat([second[2:], first[2:], second[:2]]))


def test_the_keys_network_follows_slowly() -> None:
    halp = build("halp")
    start = halp.key_projector[0].weight.clone()
    with torch.no_grad():
        halp.projector[0].weight += 1.0
    halp(batch(halp))
    halp.after_update(0.1)
    torch.testing.assert_close(halp.key_projector[0].weight, start + 0.001)


@pytest.mark.parametrize(("name", "count"), [("halp", 2), ("usdrl", 4)])
def test_views_are_a_tenth_to_all_of_a_clip_and_at_least_64_frames_as_published(name: str, count: int) -> None:
    views = build(name).views
    assert len(views) == count
    for view in views:
        assert view.within is None  # each is cut out of the clip by itself
        assert (view.min_share, view.max_share, view.min_frames) == (0.1, 1.0, 64)
        assert view.changes == (Either(CorruptJoints(15), Shear(1.0), 0.5),)


@pytest.mark.parametrize(("plain_share", "steps"), [(0.0, 3), (0.5, 5)])
def test_prototypes_are_made_when_the_queue_has_been_filled_twice_and_the_plain_part_is_over(
    plain_share: float, steps: int
) -> None:
    halp = build("halp")
    halp.config = HalpConfig(queue_keys=6, prototype_keys=6, num_prototypes=3, plain_share=plain_share)
    ready = []
    for step in range(1, 8):
        halp(batch(halp, step))
        halp.after_update(step / 10)
        ready.append(bool(halp.has_prototypes))
    assert ready.index(True) + 1 == steps


def test_keys_are_sorted_again_in_every_tenth_step_and_in_no_other() -> None:
    halp = build("halp")
    halp.config = HalpConfig(queue_keys=6, prototype_keys=6, num_prototypes=3, plain_share=0.0)
    changed = []
    for step in range(1, 32):
        before = halp.prototypes.clone()
        halp(batch(halp, step))
        halp.after_update(step / 40)
        if not torch.equal(halp.prototypes, before):
            changed.append(step)
    assert changed == [3, 10, 20, 30]  # the third is the first one after two queues of keys


def test_a_run_that_was_made_longer_goes_on_sorting_keys_though_it_is_in_its_plain_share_again() -> None:
    halp = build("halp")
    halp.config = HalpConfig(queue_keys=6, prototype_keys=6, num_prototypes=3, plain_share=0.4, prototype_every_steps=1)
    for step in range(1, 6):
        halp(batch(halp, step))
        halp.after_update(step / 6)
    before = halp.prototypes.clone()
    halp(batch(halp, 6))
    halp.after_update(6 / 60)
    assert halp.has_prototypes
    assert not torch.equal(halp.prototypes, before)


def test_a_step_in_which_no_keys_are_sorted_waits_for_nothing() -> None:
    halp = build("halp")
    halp.config = HalpConfig(queue_keys=6, prototype_keys=6, num_prototypes=3, plain_share=0.0)
    for step in range(1, 6):
        given = batch(halp, step)
        if step == 4:  # after the first prototypes, and before the next ones
            assert halp.has_prototypes
            with NoWaiting():
                halp(given)
                halp.after_update(step / 10)
        else:
            halp(given)
            halp.after_update(step / 10)


def test_prototypes_are_the_directions_around_which_the_newest_keys_lie() -> None:
    truth = unit(4, 16)
    vectors = F.normalize(truth.repeat(50, 1) + 0.05 * torch.randn(200, 16, generator=torch.Generator()), dim=1)
    centres = spherical_k_means(vectors, 4, torch.Generator().manual_seed(0))
    assert sorted(nearest(truth, centres).tolist()) == [0, 1, 2, 3]
    assert (truth @ centres.T).amax(dim=1).min() > 0.999
    for number in range(4):
        mean = vectors[nearest(vectors, centres) == number].mean(dim=0)
        torch.testing.assert_close(centres[number], F.normalize(mean, dim=0), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"view_tokens": -1}, "--view-tokens is -1"),
        ({"queue_keys": 100}, "none larger than the next"),
        ({"num_prototypes": 1}, "must be at least 2"),
        ({"key_momentum": 1.5}, "--key-momentum is 1.5"),
        ({"contrast_temperature": 0.0}, "must be above 0"),
        ({"hallucination_weight": -1.0}, "must be 0 or more"),
        ({"num_hallucinations": 0}, "--num-hallucinations is 0"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HalpConfig(**settings)  # type: ignore[arg-type]


def test_the_reach_of_the_public_script_for_pku_is_refused_and_the_preset_has_its_number() -> None:
    # That script asks for "type4_auto-0.8", which its own code cannot read.
    words = ["store", "--out", "run", "--preset", "halp-pku", "--hallucination-reach", "type4_auto-0.8"]
    ended = CliRunner().invoke(gfp_train, words)
    assert ended.exit_code == 2
    said = "Invalid value for '--hallucination-reach': 'type4_auto-0.8' is not a valid float"
    assert said in " ".join(ended.output.split())
    assert PRESETS["halp-pku"].objective.hallucination_reach == 0.8  # type: ignore[attr-defined]


def test_more_tokens_than_a_view_has_are_refused() -> None:
    encoder = build("halp").encoder
    with pytest.raises(ValueError, match="a view has 750 tokens; choose at most"):
        Halp(encoder, HalpConfig(view_tokens=751))


def test_a_run_that_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    config = tiny_config(
        epochs=4, objective=HalpConfig(queue_keys=4, prototype_keys=4, num_prototypes=2, plain_share=0)
    )

    def stop(now: StepReport) -> None:
        if now.step == 5:  # prototypes are there
            signal.raise_signal(signal.SIGTERM)

    Trainer(config, store, tmp_path / "whole").fit()
    assert Trainer(config, store, tmp_path / "broken").fit(stop).step == 5
    saved = Checkpoint.read(tmp_path / "broken")
    assert saved.objective["has_prototypes"]
    Trainer(saved.config, store, tmp_path / "broken", resume=saved).fit()
    whole, broken = (Checkpoint.read(tmp_path / name) for name in ("whole", "broken"))
    for name, weight in (whole.encoder | whole.objective).items():
        torch.testing.assert_close((broken.encoder | broken.objective)[name], weight, rtol=1e-5, atol=1e-6)


def test_a_run_too_short_for_made_up_positives_is_told_so() -> None:
    model = build("halp")
    assert model.never_reached(2 * 6 + 1) == ""  # a queue of 6 keys, filled twice
    assert "by 12 clips, and this run sees 12" in model.never_reached(12)
    model.config = HalpConfig(queue_keys=6, prototype_keys=6, num_prototypes=3, plain_share=1)
    assert "with --plain-share 1" in model.never_reached(1000)
    assert build("gfp").never_reached(1) == ""
