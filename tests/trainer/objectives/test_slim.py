"""SLiM's losses beside numpy, its views and masks, and the copy that is served."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.small_objectives import batch, build
from tests.support.small_runs import tiny_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.data.batches import Batch, TrainingClips
from trainer.data.tubes import NUM_TUBE_DRAWS
from trainer.data.views import Mirror, Noise, ScaleLimbs, Sometimes, Turn, WithoutAxis
from trainer.encoders.slim import SlimEncoder, SlimEncoderConfig
from trainer.evaluate.comparison import weights_digest
from trainer.loop import StepReport, Trainer
from trainer.objectives.prototypes import balanced_odds
from trainer.objectives.self_distillation import crowding
from trainer.objectives.slim import Slim, SlimConfig, one_body
from trainer.start import read_start

SMALL = SlimEncoderConfig(width=16, depth=1, num_heads=2)
SIZES = {"num_prototypes": 12, "head_width": 16, "head_size": 8}


def model() -> Slim:
    built = build("slim")
    assert isinstance(built, Slim)
    return built


def entropy(cosines: np.ndarray, odds: np.ndarray) -> float:
    """−Σ odds · log softmax at a temperature of 0.1."""
    scores = cosines / 0.1
    return float(-(odds * (scores - np.log(np.exp(scores).sum()))).sum())


def test_whole_clips_learn_from_both_long_views_but_never_from_their_own() -> None:
    generator = np.random.default_rng(0)
    clips, short = 3, 8
    cosines = generator.uniform(-1, 1, (2 + short, clips, 12))
    odds = generator.dirichlet(np.ones(12), (2, clips))
    pairs = [(view, target) for view in range(2 + short) for target in range(2) if view != target]
    assert len(pairs) == 18
    wanted = np.mean(
        [entropy(cosines[view, clip], odds[target, clip]) for view, target in pairs for clip in range(clips)]
    )
    found = model()._clip_loss(
        torch.from_numpy(cosines).float().flatten(0, 1), torch.from_numpy(odds).float().flatten(0, 1), clips
    )
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_each_view_with_hidden_tokens_counts_the_same_however_many_it_hides() -> None:
    generator = np.random.default_rng(0)
    cosines, odds = generator.uniform(-1, 1, (4, 5, 12)), generator.dirichlet(np.ones(12), (4, 5))
    counts = np.array([[1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=bool)
    odds[~counts] = 0
    # Four of the eight long views hide nothing.
    means = [
        np.mean([entropy(c, o) for c, o, is_hidden in zip(*row, strict=True) if is_hidden] or [0.0])
        for row in zip(cosines, odds, counts, strict=True)
    ]
    found = model()._token_loss(
        torch.from_numpy(cosines).float().flatten(0, 1),
        torch.from_numpy(odds).float().flatten(0, 1),
        torch.from_numpy(counts),
    )
    assert found.item() == pytest.approx(sum(means) / 8, rel=1e-5)


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    slim = model()
    outcome = slim(batch(slim))
    terms = outcome.terms
    wanted = terms["clips"] + terms["tokens"] + 0.1 * terms["crowding"]
    torch.testing.assert_close(outcome.total.detach(), wanted)


def test_a_step_is_what_clips_and_views_give_one_by_one() -> None:
    torch.manual_seed(0)
    slim = Slim(SlimEncoder(SMALL, num_frames=64), SlimConfig(**SIZES))
    with torch.no_grad():  # else the copy is the encoder itself, and the hidden token is zero
        for part in (slim.target_encoder, slim.target_clip_head, slim.target_token_head):
            for weight in part.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        slim.hidden_token.normal_()
    num_clips = 4
    draws = torch.rand(num_clips, slim.num_draws, generator=torch.Generator().manual_seed(1))
    given = [
        torch.randn(num_clips, view.num_frames or 64, 25, 3, generator=torch.Generator().manual_seed(number))
        for number, view in enumerate(slim.views)
    ]
    found = slim(Batch.of_bodies(draws, *given)).terms

    # The first mask is of the long view that hides tokens, the others are of the short views.
    of_long, *of_short = slim._tubes(draws[:, 2:])
    vectors, wanted, tokens, wanted_tokens = {}, {}, {}, {}
    for clip in range(num_clips):
        which = int(2 * draws[clip, 1])
        for view, bodies in enumerate(given):
            segments, _ = slim.encoder.cut(*slim.encoder.shown(bodies[clip : clip + 1]))
            is_long = view < 2
            mask = of_long[clip] if view == which else of_short[view - 2][clip] if not is_long else None
            hidden = torch.zeros(1, segments.shape[1], dtype=torch.bool) if mask is None else mask[None]
            vectors[view, clip], seen = slim.encoder.filled(segments, hidden, slim.hidden_token)
            if is_long:
                wanted[view, clip], target = slim.target_encoder.filled(segments)
            if view == which:
                tokens[clip], wanted_tokens[clip] = seen[hidden], target[hidden]
    with torch.no_grad():
        # Balancing looks at all of a step; in which order does not matter.
        keys = sorted(wanted, key=lambda key: (key[1], key[0]))
        odds = balanced_odds(slim.target_clip_head(torch.cat([wanted[key] for key in keys]))[1], slim.temperature)
        odds_of = dict(zip(keys, odds.numpy(), strict=True))
        cosines_of = {key: slim.clip_head(vector)[1][0].numpy() for key, vector in vectors.items()}
        of_pairs = [
            entropy(cosines_of[view, clip], odds_of[target, clip])
            for clip in range(num_clips)
            for view in range(10)
            for target in range(2)
            if view != target
        ]
        token_odds = balanced_odds(slim.target_token_head(torch.cat(list(wanted_tokens.values())))[1], slim.temperature)
        odds_left, means = token_odds.numpy(), []
        for clip in range(num_clips):
            cosines = slim.token_head(tokens[clip])[1].numpy()
            own, odds_left = odds_left[: len(cosines)], odds_left[len(cosines) :]
            means.append(np.mean([entropy(*pair) for pair in zip(cosines, own, strict=True)]))
        crowded = sum(
            crowding(torch.cat([vectors[view, clip] for clip in range(num_clips)])).item() for view in range(2)
        )
    assert found["clips"].item() == pytest.approx(np.mean(of_pairs), rel=1e-4)
    assert found["tokens"].item() == pytest.approx(sum(means) / (2 * num_clips), rel=1e-4)
    assert found["crowding"].item() == pytest.approx(crowded, rel=1e-4)


def test_views_are_changed_as_published() -> None:
    first, second, *short = model().views
    anywhere = (Sometimes(Mirror(), 0.5), Sometimes(ScaleLimbs(0.85, 1.15), 0.5), Sometimes(Turn(0.3), 0.5))
    assert first.changes == (*anywhere, Noise(0.01))
    assert second.changes == (*anywhere, Sometimes(Noise(0.05), 0.1), Sometimes(WithoutAxis(), 0.2))
    assert {view.changes for view in short} == {(*anywhere, Sometimes(Noise(0.01), 0.5))}


def test_short_views_are_a_half_a_quarter_and_an_eighth_and_two_quarters_are_cut_of_each_long_one() -> None:
    slim = Slim(SlimEncoder(SMALL, num_frames=64), SlimConfig(**SIZES))
    views = slim.views
    assert [view.num_frames for view in views] == [None, None, 32, 32, 16, 16, 16, 16, 8, 8]
    assert [view.within for view in views] == [None, None, 0, 1, 0, 0, 1, 1, 0, 1]
    assert [(view.min_share, view.max_share) for view in views[2:]] == [
        *[(0.35, 0.7)] * 2,
        *[(0.15, 0.4)] * 4,
        *[(0.05, 0.2)] * 2,
    ]
    assert slim.num_draws == 2 + 9 * NUM_TUBE_DRAWS


def test_half_of_the_long_views_and_all_short_ones_have_half_to_nine_tenths_of_their_tokens_hidden() -> None:
    slim = Slim(SlimEncoder(SMALL, num_frames=64), SlimConfig(**SIZES))
    seen: list[torch.Tensor] = []
    filled = slim.encoder.filled

    def spy(segments: torch.Tensor, hidden: torch.Tensor, token: torch.Tensor, place: None) -> object:
        seen.append(hidden)
        return filled(segments, hidden, token, place)

    slim.encoder.filled = spy
    clips = torch.randn(6, 64, 25, 3, generator=torch.Generator().manual_seed(0))
    uniform = torch.rand(6, slim.num_draws, generator=torch.Generator().manual_seed(0))
    slim(Batch.of_bodies(uniform, *(clips[:, : view.num_frames] for view in slim.views)))
    long, *short = (each.float().mean(dim=1) for each in seen)
    both = long.view(2, 6)
    assert ((both == 0).sum(dim=0) == 1).all()
    assert {0, 1} == set((both > 0).int().argmax(dim=0).tolist())
    assert [len(each) for each in short] == [12, 24, 12]
    for share in (both.amax(dim=0), *short):
        assert ((share > 0.35) & (share <= 0.9)).all()


def test_joints_that_are_lacking_are_left_out_of_all_views_in_the_body_frame() -> None:
    torch.manual_seed(0)
    slim = Slim(SlimEncoder(replace(SMALL, frame="body"), num_frames=32), SlimConfig(**SIZES))
    clips = torch.randn(6, 32, 25, 3, generator=torch.Generator().manual_seed(0))
    clips[:4, :, 7] = torch.nan
    clips[4:, :8, 7] = torch.nan  # for a while; that and the neighbouring segments are all that changes
    uniform = torch.rand(6, slim.num_draws, generator=torch.Generator().manual_seed(0))
    given = Batch.of_bodies(uniform[:4], *(clips[:4, : view.num_frames] for view in slim.views))
    before = slim(given)
    assert before.total.isfinite()
    other = torch.randn(slim.encoder.width)
    with torch.no_grad():
        for encoder in (slim.encoder, slim.target_encoder):
            encoder.joints[7] = other
    torch.testing.assert_close(slim(given).total, before.total)
    # The same joint for a while: elsewhere it counts.
    of_some = Batch.of_bodies(uniform[4:], *(clips[4:, : view.num_frames] for view in slim.views))
    before = slim(of_some)
    with torch.no_grad():
        slim.encoder.joints[7] = -other
    assert (slim(of_some).total - before.total).abs() > 1e-6


def test_each_known_token_counts_once_and_none_that_comes_again() -> None:
    slim = Slim(SlimEncoder(replace(SMALL, frame="body"), num_frames=32), SlimConfig(**SIZES))
    clips = torch.randn(3, 32, 25, 3, generator=torch.Generator().manual_seed(0))
    clips[0, :, 7:19] = torch.nan
    clips[1, 8:16] = torch.nan
    clips[2] = torch.nan  # nobody is seen
    seen = slim._seen(clips)
    assert seen.place is not None
    _, known = slim.encoder.known_segments(clips)
    for row, expected in enumerate(known):
        counted = seen.place[row][seen.known[row]].tolist()
        assert sorted(counted) == torch.nonzero(expected)[:, 0].tolist()
    assert seen.known.sum(dim=1).min() == 0


def test_one_body_of_each_clip_is_seen_now_this_one_and_now_that_one_but_none_that_is_absent() -> None:
    clip, first = torch.tensor([0, 1, 1, 2, 2]), torch.tensor([0, 1, 3])
    bodies = torch.ones(5, 8, 25, 3)
    bodies[4] = 0.0
    found = []
    for seed in range(40):
        uniform = torch.rand(5, 2, generator=torch.Generator().manual_seed(seed))
        found.append(one_body(Batch((bodies,), uniform, clip, first)).tolist())
    assert {row[0] for row in found} == {0}
    assert 8 < sum(row[1] == 1 for row in found) < 32
    assert {row[1] for row in found} == {1, 2}
    assert {row[2] for row in found} == {3}


def test_targets_follow_slowly_and_their_temperature_rises_over_the_first_part_of_the_run() -> None:
    slim = model()
    with torch.no_grad():
        for part in (slim.encoder, slim.clip_head, slim.token_head):
            for weight in part.parameters():
                weight.add_(1.0)
    before = {name: weight.clone() for name, weight in slim.named_parameters() if name.startswith("target_")}
    temperatures = [slim.temperature.item()]
    slim.after_update(0.1)
    momentum = 1 - (1 - 0.994) * 0.5 * (1 + np.cos(np.pi * 0.1))
    for name, weight in slim.named_parameters():
        if name in before:
            torch.testing.assert_close(weight, before[name] + 1 - momentum, atol=1e-5, rtol=0)
    temperatures.append(slim.temperature.item())
    for done in (0.2, 1.0):
        slim.after_update(done)
        temperatures.append(slim.temperature.item())
    assert temperatures == pytest.approx([0.04, 0.055, 0.07, 0.07])


@pytest.mark.parametrize("name", ["target_temperature", "first_target_temperature"])
def test_targets_that_are_too_sharp_for_32_bits_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name.replace('_', '-')} .*0.01.* must be at least 0.02"):
        SlimConfig(**{name: 0.01}, **SIZES)


def test_one_prototype_which_teaches_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="--num-prototypes is 1, which every clip is nearest to"):
        SlimConfig(**SIZES | {"num_prototypes": 1})


def test_views_have_the_frames_that_they_were_asked_for(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    config = tiny_config(num_frames=64, encoder=SMALL, objective=SlimConfig(**SIZES))
    slim = Slim(SlimEncoder(SMALL, num_frames=64), SlimConfig(**SIZES))
    clips = TrainingClips(
        store,
        config.sampling,
        num_draws=1,
        batch_clips=9,
        seed=0,
        device=torch.device("cpu"),
        views=slim.views,
    )
    assert [len(view[0]) for view in clips.batch(0).views] == [64, 64, 32, 32, 16, 16, 16, 16, 8, 8]


def test_a_resumed_run_equals_an_unbroken_one_and_the_copy_is_served(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    config = tiny_config(num_frames=64, encoder=SMALL, objective=SlimConfig(**SIZES), epochs=3)

    def stop(now: StepReport) -> None:
        if now.step == 2:
            signal.raise_signal(signal.SIGTERM)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    Trainer(config, store, whole).fit()
    assert Trainer(config, store, broken).fit(stop).step == 2
    saved = Checkpoint.read(broken)
    Trainer(saved.config, store, broken, resume=saved).fit()
    ended, again = Checkpoint.read(whole), Checkpoint.read(broken)
    for part in ("encoder", "objective"):
        for name, weight in getattr(ended, part).items():
            torch.testing.assert_close(getattr(again, part)[name], weight, rtol=1e-6, atol=1e-7)
    served = ended.build_encoder().state_dict()
    for name, weight in served.items():
        assert torch.equal(weight, ended.objective[f"target_encoder.{name}"])
    assert any(not torch.equal(weight, ended.encoder[name]) for name, weight in served.items())
    # By the copy an evaluation recognises the run.
    name, weight = "target_encoder.norm.bias", ended.objective["target_encoder.norm.bias"]
    other = replace(ended, objective={**ended.objective, name: weight + 1})
    assert weights_digest(other) != weights_digest(ended)


def test_a_run_that_starts_from_another_has_its_served_weights_in_encoder_and_copy(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    config = tiny_config(num_frames=64, encoder=SMALL, objective=SlimConfig(**SIZES), epochs=1)
    Trainer(config, store, tmp_path / "first").fit()
    served = Checkpoint.read(tmp_path / "first").build_encoder().state_dict()
    second = Trainer(config, store, tmp_path / "second", start=read_start(tmp_path / "first")).objective
    assert isinstance(second, Slim)
    for name, weight in served.items():
        assert torch.equal(second.encoder.state_dict()[name], weight)
        assert torch.equal(second.target_encoder.state_dict()[name], weight)
