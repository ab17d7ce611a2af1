"""Tests of every objective, and of how to add one."""

import math
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.small_objectives import (
    OF_WHOLE_CLIPS,
    OTHER_ENCODERS,
    SETTINGS,
    SMALL,
    batch,
    build,
    build_on,
)
from tests.support.small_runs import tiny_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.encoders.transformer import Transformer
from trainer.health import health
from trainer.loop import StepReport, Trainer
from trainer.objectives import OBJECTIVES, Objective, build_objective, config_from_json, config_to_json

# Losses of five steps. A refactoring must not change these. A change of the computation may, and its commit says so.
GOLDEN_LOSSES = {
    "gfp": [93.849, 84.662, 80.211, 80.781, 82.729],
    "gfp_adaptive": [31.0339, 29.9631, 29.4315, 29.1255, 28.7581],
    "gfp_contrast": [32.5428, 31.7249, 31.5353, 31.3861, 30.9103],
    "gfp_prototypes": [33.6161, 33.5349, 33.0802, 33.1197, 32.0931],
    "gfp_queries": [30.3947, 29.3392, 29.132, 28.9241, 27.7598],
    "halp": [0.0, 1.9543, 1.941, -26.5463, -26.6076],
    "mamp": [1.959, 1.8587, 1.7697, 1.6927, 1.6136],
    "nat": [2.0186, 1.9419, 1.8574, 1.7846, 1.7084],
    "s_jepa": [5.2997, 5.1366, 4.9774, 4.8478, 4.661],
    "skeleton_mae": [1.9405, 1.8539, 1.7749, 1.6985, 1.6267],
    "slim": [8.1322, 7.7897, 7.4525, 7.2342, 7.1335],
    "usdrl": [35.8492, 35.8678, 35.3876, 35.4397, 36.0922],
}
# Objectives that have no share of hidden tokens of their own.
WITHOUT_RATIO = ("halp", "slim", "usdrl")
every_pair = pytest.mark.parametrize(("name", "encoder"), list(product(OF_WHOLE_CLIPS, OTHER_ENCODERS)))
every_objective = pytest.mark.parametrize("name", OBJECTIVES)


@every_objective
def test_a_fixed_seed_gives_the_recorded_losses_for_five_steps(name: str) -> None:
    model = build(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))
    losses = []
    for step in range(5):
        outcome = model(batch(model, step, step))
        optimizer.zero_grad()
        outcome.total.backward()
        optimizer.step()
        model.after_update((step + 1) / 5)
        losses.append(outcome.total.item())
    assert losses == pytest.approx(GOLDEN_LOSSES[name], rel=2e-3, abs=1e-4)


@every_objective
def test_gradient_reaches_every_weight_that_is_trained(name: str) -> None:
    check_gradients(build(name))


@every_pair
def test_gradient_reaches_every_weight_of_another_encoder(name: str, encoder: str) -> None:
    check_gradients(build_on(encoder, name))


def check_gradients(model: Objective) -> None:
    model(batch(model)).total.backward()
    for weight_name, weight in model.named_parameters():
        # The target network of GFP learns, unlike slow copies.
        copied = weight_name.startswith(("target_", "key_")) and not weight_name.startswith("target_network.")
        assert (weight.grad is not None) == (not copied), weight_name
        # A bias before a batch norm has no effect, nor has a bias of keys. Everything else must learn.
        if weight.grad is not None and not weight_name.endswith("bias"):
            assert weight.grad.abs().max() > 0, weight_name


@pytest.mark.parametrize(
    "settings",
    [
        *({"stop_gradient": side} for side in ("target", "prediction")),
        *({"levels": levels} for levels in ("short", "mid,long", "global")),
        *({"target_input": "masked-joints"}, {"targets": "low-level"}, {"mlp_layers": 2}),
        *({"prediction_weight": 0.0}, {"variance_weight": 0.0, "covariance_weight": 0.0}),
    ],
)
@pytest.mark.parametrize("name", ["gfp", "gfp_queries"])
def test_with_every_ablation_each_weight_that_requires_a_gradient_gets_one(name: str, settings: dict[str, Any]) -> None:
    # Otherwise data parallel training fails in its second step.
    config = OBJECTIVES[name].config_type(**{**SETTINGS["gfp_queries"], "decoder_depth": 1, **settings})
    model = build_objective(Transformer(SMALL, num_frames=120), config)
    model(batch(model)).total.backward()
    for weight_name, weight in model.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, weight_name


@every_objective
def test_predictions_and_targets_for_health_are_detached_and_have_the_same_shape(name: str) -> None:
    model = build(name)
    outcome = model(batch(model))
    for prediction, target in outcome.levels.values():
        assert prediction.shape == target.shape
        assert not prediction.requires_grad
        assert not target.requires_grad
    assert not any(term.requires_grad for term in outcome.terms.values())
    report = health(outcome.levels)
    assert all(math.isfinite(value) for value in report.values())
    # Fresh targets are not collapsed, except vectors of whole clips of noise, which are all nearly the same.
    for level in outcome.levels.keys() - {"keys", "time", "space", "instance", "windows", "clips", "tokens"}:
        assert report[f"{level}/target_std"] > 0.1


@every_objective
def test_the_loss_is_a_pure_function_of_clips_and_draws(name: str) -> None:
    model = build(name)
    first = model(batch(model)).total
    assert torch.equal(model(batch(model)).total, first)
    assert not torch.equal(model(batch(model, draws_seed=1)).total, first)


@every_pair
def test_on_another_encoder_the_loss_is_a_pure_function_and_learns_step_by_step(name: str, encoder: str) -> None:
    model = build_on(encoder, name)
    first = model(batch(model)).total
    assert torch.equal(model(batch(model)).total, first)
    # What a dense layer leaves out is drawn; a recurrent one leaves nothing out.
    if encoder == "two_stream":
        assert not torch.equal(model(batch(model, draws_seed=1)).total, first)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        outcome = model(batch(model))
        assert all(math.isfinite(value) for value in health(outcome.levels).values())
        optimizer.zero_grad()
        outcome.total.backward()
        optimizer.step()
        losses.append(outcome.total.item())
    assert losses[-1] < losses[0]


@every_objective
def test_settings_are_the_same_after_a_checkpoint(name: str) -> None:
    config = OBJECTIVES[name].config_type(
        **SETTINGS[name], **({"mask_ratio": 0.8} if name not in WITHOUT_RATIO else {})
    )
    assert config_from_json(config_to_json(config)) == config


@pytest.mark.parametrize(("ratio", "left"), [(0.9999, 0), (1e-17, 750)])
def test_a_mask_that_hides_all_or_nothing_is_refused(ratio: float, left: int) -> None:
    encoder = Transformer(SMALL, num_frames=120)
    with pytest.raises(ValueError, match=f"so {left} of the 750 tokens stay visible"):
        build_objective(encoder, OBJECTIVES["mamp"].config_type(mask_ratio=ratio))


GRAPH = """
import sys

import torch
from tests.support.small_objectives import SETTINGS, batch, build
from trainer.objectives import OBJECTIVES

torch.set_num_threads(1)
small = {"local_width": 8, "global_width": 16, "decoder_depth": 1}
SETTINGS |= {name: {"decoder_depth": 1} for name in OBJECTIVES if name not in ("halp", "slim", "usdrl")}
SETTINGS |= {"gfp": {**small, "levels": "short,mid,global"}, "gfp_queries": {**small, "levels": "long,global"}}
SETTINGS |= {"gfp_contrast": {**small, "levels": "long,global"}}
SETTINGS |= {"gfp_adaptive": {**small, "levels": "short,mid,long"}}
SETTINGS |= {"gfp_prototypes": {**small, "levels": "long,global", "num_prototypes": 4, "recent_clips": 10}}
for name in sys.argv[1:]:
    totals, gradients = [], []
    for compiled in (False, True):
        model = build(name)
        forward = torch.compile(model, fullgraph=True, backend="aot_eager") if compiled else model
        total = forward(batch(model, clips=3)).total
        total.backward()
        totals.append(total.item())
        gradients.append({n: w.grad for n, w in model.named_parameters() if w.grad is not None})
    torch.testing.assert_close(totals[1], totals[0], rtol=1e-5, atol=0)
    for weight in gradients[0]:
        torch.testing.assert_close(gradients[1][weight], gradients[0][weight], rtol=1e-3, atol=1e-4)
    print(name)
"""
# Recurrent layers are no part of a graph: torch's own code runs them between two graphs.
GRAPH_OF_OTHER_ENCODERS = """
import torch
from tests.support.small_objectives import OTHER_ENCODERS, bodies
from trainer.encoders import build_encoder

torch.set_num_threads(1)
for name, full in (("gru", False), ("two_stream", True)):
    encoder = build_encoder(OTHER_ENCODERS[name], num_frames=24)
    draws = torch.rand(6, encoder.num_draws)
    compiled = torch.compile(encoder.tokens, fullgraph=full, backend="aot_eager")
    found = [tokens(bodies()[:, :24], draws) for tokens in (encoder.tokens, compiled)]
    torch.testing.assert_close(found[1], found[0])
    print(name)
"""


@pytest.mark.timeout(600)  # tracing is slow on a busy machine
@pytest.mark.parametrize("names", [list(OBJECTIVES)[first::2] for first in range(2)], ids=" ".join)
def test_every_objective_is_one_graph_with_the_same_loss_and_gradients_as_without_compilation(names: list[str]) -> None:
    # In a separate process: here each call checks its annotations, and a graph cannot include that.
    ended = subprocess.run([sys.executable, "-c", GRAPH, *names], capture_output=True, text=True)
    assert ended.stdout.split() == names, ended.stderr


def test_other_encoders_compile_to_the_same_tokens() -> None:
    ended = subprocess.run([sys.executable, "-c", GRAPH_OF_OTHER_ENCODERS], capture_output=True, text=True)
    assert ended.stdout.split() == list(OTHER_ENCODERS), ended.stderr


# A new objective, as somebody would write it: one file, ...
TOY_FILE = '''
"""Predict where the body's middle is from its visible tokens."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gfp_serve.settings import setting
from trainer.encoders.transformer import Transformer
from trainer.objectives import MaskConfig, Objective, ObjectiveConfig, Outcome
from trainer.parallel import mean_square


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyConfig(MaskConfig):
    toy_scale: float = setting(1.0, "Factor on the target.")


class Toy(Objective):
    config_type: ClassVar[type[ObjectiveConfig]] = ToyConfig

    def __init__(self, encoder: Transformer, config: ToyConfig) -> None:
        super().__init__(encoder, config)
        self.head = nn.Linear(encoder.config.width, 3)

    def forward(self, batch):
        segments = self.encoder.segments(batch.bodies)
        visible, _ = self.mask(segments, batch.uniform)
        prediction = self.head(self.encoder(segments, visible).mean(dim=1))
        target = self.config.toy_scale * batch.bodies.mean(dim=(1, 2))
        loss = mean_square(prediction - target)
        return Outcome(loss, {"prediction": loss.detach()}, {"middle": (prediction.detach(), target)})
'''
# ... and one line.
TOY_LINE = 'OBJECTIVES["toy"] = Toy'


def test_a_new_objective_trains_stops_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"__name__": "toy", "OBJECTIVES": dict(OBJECTIVES)}
    monkeypatch.setattr("trainer.objectives.OBJECTIVES", names["OBJECTIVES"])
    exec(TOY_FILE + TOY_LINE, names)
    store = write_store(tmp_path / "store")
    config = tiny_config(objective=names["ToyConfig"](toy_scale=2.0), epochs=3)

    def stop(now: StepReport) -> None:
        if now.step == 2:
            signal.raise_signal(signal.SIGTERM)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    Trainer(config, store, whole).fit()
    assert Trainer(config, store, broken).fit(stop).step == 2
    saved = Checkpoint.read(broken)
    assert saved.config.objective == names["ToyConfig"](toy_scale=2.0)
    assert set(saved.objective) == {"head.weight", "head.bias"}
    assert Trainer(saved.config, store, broken, resume=saved).fit().step == 6
    for name, weight in Checkpoint.read(whole).encoder.items():
        torch.testing.assert_close(Checkpoint.read(broken).encoder[name], weight, rtol=1e-6, atol=1e-7)


def test_the_settings_of_a_new_objective_are_options_of_gfp_train(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(TOY_FILE)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from toy import Toy\n"
        "from trainer.objectives import OBJECTIVES\n"
        f"{TOY_LINE}\n"
        "from click.testing import CliRunner\n"
        "from trainer.cli.train import gfp_train\n"
        "for words in (['--help'], ['store', '--out', 'run', '--toy-scale', '2']):\n"
        "    print(CliRunner().invoke(gfp_train, words).output, end='\\0')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    shown, refused, _ = (" ".join(output.split()) for output in ended.stdout.split("\0"))
    assert "s_jepa|skeleton_mae|slim|usdrl|toy|none]" in shown
    assert "--toy-scale FLOAT Factor on the target. [toy]" in shown
    assert "--toy-scale has no meaning for --objective gfp; it is a setting of toy." in refused
