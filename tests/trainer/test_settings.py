"""No setting is without effect: each changes the losses, or is listed as one that may not change them."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_runs import TINY_ENCODER, tiny_config, write_store
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.loop import Trainer
from trainer.objectives import OBJECTIVES, ObjectiveConfig

# For each setting, a value that changes the computation.
RUN: dict[str, Any] = {
    "num_frames": 240,
    "keep_absent_bodies": True,
    "epochs": 4,
    "batch_clips": 6,
    "seed": 1,
    "peak_lr": 1e-2,
    "floor_lr": 1e-4,
    "warmup_epochs": 2,
    "weight_decay": 0.9,
}
ENCODER: dict[str, Any] = {
    "width": 32,
    "depth": 2,
    "num_heads": 1,
    "segment_frames": 2,
    "position_std": 0.02,
    "input_scale": 1.0,
}
_MASK: dict[str, Any] = {"mask_ratio": 0.5, "mask_temperature": 0.0}
_GFP: dict[str, Any] = {
    **_MASK,
    "decoder_depth": 2,
    "prediction_weight": 1.0,
    "variance_weight": 1.0,
    "covariance_weight": 5.0,
    "levels": "short,mid,global",
    "local_width": 4,
    "global_width": 4,
    "mlp_layers": 2,
    "target_input": "joints",
    "motion_pooling": "rms",
    "targets": "low-level",
    "stop_gradient": "target",
}
OF_OBJECTIVE: dict[str, dict[str, Any]] = {
    "gfp": _GFP,
    "gfp_queries": _GFP,
    "mamp": {**_MASK, "decoder_depth": 2},
    "nat": {**_MASK, "decoder_depth": 2},
    "s_jepa": {
        **_MASK,
        "decoder_depth": 2,
        "target_momentum": 0.5,
        "target_temperature": 0.02,
        "prediction_temperature": 0.2,
    },
    "skeleton_mae": {"mask_ratio": 0.5, "decoder_depth": 2},
}
# Settings of where and how often something is done. Other files test them.
NOT_COMPUTED = {
    *("device", "precision", "num_threads", "log_every_steps", "save_every_epochs", "evaluate_every_epochs", "compile")
}
# Smaller than the defaults, which would take seconds.
TINY: dict[str, dict[str, Any]] = {
    "gfp": {"local_width": 8, "global_width": 16},
    "gfp_queries": {"local_width": 8, "global_width": 16, "decoder_depth": 1},
    **{name: {"decoder_depth": 1} for name in ("mamp", "nat", "s_jepa", "skeleton_mae")},
}


def tiny(objective: str, **changes: Any) -> ObjectiveConfig:
    return OBJECTIVES[objective].config_type(**{**TINY[objective], **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


@pytest.fixture(scope="module")
def losses_before(store: ClipStore) -> dict[str, list[float]]:
    return {name: losses_with(store, config_of(name)) for name in OBJECTIVES}


def config_of(objective: str, **changes: Any) -> TrainConfig:
    return tiny_config(peak_lr=2e-3, objective=tiny(objective, **changes))


def losses_with(store: ClipStore, config: TrainConfig, steps: int = 2) -> list[float]:
    trainer = Trainer(config, store, Path("unused"))
    return [trainer.train_step().total.item() for _ in range(steps)]


def names(config: object) -> set[str]:
    return {field.name for field in fields(config)}  # type: ignore[arg-type]


def test_every_setting_is_changed_in_a_test() -> None:
    assert names(TrainConfig()) - {"encoder", "objective"} == set(RUN) | NOT_COMPUTED
    assert names(TINY_ENCODER) == set(ENCODER)
    assert {name: names(tiny(name)) for name in OBJECTIVES} == {name: set(OF_OBJECTIVE[name]) for name in OBJECTIVES}


def test_the_same_settings_give_the_same_losses(store: ClipStore, losses_before: dict[str, list[float]]) -> None:
    for name, before in losses_before.items():
        assert losses_with(store, config_of(name)) == pytest.approx(before, rel=1e-6), name


@pytest.mark.parametrize("name", [*RUN, *ENCODER])
def test_changing_a_setting_of_the_run_changes_the_losses(store: ClipStore, name: str) -> None:
    config = config_of("gfp")
    base = losses_with(store, config, steps=4)
    if name in ENCODER:
        changed = replace(config, encoder=replace(config.encoder, **{name: ENCODER[name]}))
    else:
        changed = replace(config, **{name: RUN[name]})
    assert losses_with(store, changed, steps=4) != pytest.approx(base, rel=1e-5)


@pytest.mark.parametrize(("objective", "name"), [(o, name) for o, changes in OF_OBJECTIVE.items() for name in changes])
def test_changing_a_setting_of_an_objective_changes_the_losses(
    store: ClipStore, losses_before: dict[str, list[float]], objective: str, name: str
) -> None:
    changed = config_of(objective, **{name: OF_OBJECTIVE[objective][name]})
    assert losses_with(store, changed) != pytest.approx(losses_before[objective], rel=1e-5)
