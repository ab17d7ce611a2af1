"""No setting is without effect: each changes the losses, or is listed as one that may not change them."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click import Context, Option
from click.testing import CliRunner

from tests.support.small_objectives import OTHER_ENCODERS
from tests.support.small_runs import TINY_ENCODER, tiny_config, write_store
from trainer.cli.train import gfp_train
from trainer.config import TrainConfig
from trainer.data.class_draws import ClassDrawsConfig
from trainer.data.store import ClipStore
from trainer.encoders import ENCODERS
from trainer.encoders.slim import SlimEncoderConfig
from trainer.loop import Trainer
from trainer.objectives import OBJECTIVES, NoObjectiveConfig, ObjectiveConfig
from trainer.teacher import Teacher
from trainer.terms import TermsConfig

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
    "final_weight_decay": 0.9,
    "clip_gradient": 1e-9,
    "embed_lr_share": 0.1,
    "gradient_memory": 0.5,
    "lr_drop_at": 0.5,
    "optimizer": "sgd",
}
ENCODER: dict[str, Any] = {
    "width": 32,
    "depth": 2,
    "num_heads": 1,
    "segment_frames": 2,
    "position_std": 0.02,
    "input_scale": 1.0,
    "frame": "body",
}
OF_OTHER_ENCODER: dict[str, dict[str, Any]] = {
    "gru": {"width": 6, "depth": 1, "frame": "body"},
    "two_stream": {
        "width": 6,
        "depth": 1,
        "num_heads": 1,
        "stream_layers": "plain",
        "drop_path": 0.9,
        "frame": "body",
    },
    "slim": {
        "width": 32,
        "depth": 2,
        "num_heads": 1,
        "segment_frames": 8,
        "position_std": 0.02,
        "num_registers": 1,
        "frame": "body",
    },
}
OTHERS = {
    **OTHER_ENCODERS,
    # Narrower, its attention would begin by looking nowhere, as its weights begin small.
    "slim": SlimEncoderConfig(width=64, depth=1, num_heads=2, segment_frames=4, position_std=0.5),
}
# Of what is learned beside an objective, here without one.
TERMS: dict[str, Any] = {
    "label_weight": 0.5,
    "statistics_weight": 0.5,
    "view_weight": 1.0,
    "teacher_weight": 1.0,
    "temperature": 0.2,
    "embedding_size": 64,
    "general_size": 16,
    "general_hidden_size": 32,
    "general_areas": False,
    "statistics_size": 8,
    "term_tokens": 40,
}
VIEWS: dict[str, Any] = {
    "window_share": 0.9,
    "time_warp": 0.0,
    "rest_odds": 1.0,
    "other_motion_odds": 1.0,
    "rest_share": 0.1,
    "mirror_odds": 0.0,
    "yaw": 0.0,
    "tilt": 0.0,
    "scale": 0.0,
    "limb_lengths": 0.0,
    "offset_m": 0.1,
    "noise_m": 0.1,
    "no_travel_odds": 1.0,
    "other_layout_odds": 1.0,
    "hidden_legs_odds": 1.0,
    "lost_joints_odds": 1.0,
    "flat_odds": 1.0,
}
CLASS_DRAWS: dict[str, Any] = {"sources_per_step": 2, "clips_per_class": 2}
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
    "gfp_adaptive": {**_GFP, "motion_share": 1.0},
    "gfp_contrast": {
        **_GFP,
        "contrast_weight": 2.0,
        "contrast_temperature": 0.5,
        "projection_size": 4,
    },
    "gfp_prototypes": {
        **_GFP,
        "projection_size": 4,
        "prototype_weight": 2.0,
        "num_prototypes": 3,
        "prototype_temperature": 0.5,
        "share_temperature": 0.5,
        "recent_clips": 3,
    },
    "gfp_queries": _GFP,
    "halp": {
        "view_tokens": 10,
        "projection_size": 4,
        "key_momentum": 0.5,
        "queue_keys": 6,
        "contrast_temperature": 0.2,
        "num_prototypes": 3,
        "prototype_keys": 3,
        "prototype_every_steps": 3,
        "plain_share": 1.0,
        "num_hallucinations": 3,
        "hallucination_reach": 0.2,
        "hallucination_weight": 1.0,
    },
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
    "slim": {
        "target_momentum": 0.5,
        "target_temperature": 0.1,
        "first_target_temperature": 0.05,
        "temperature_share": 1.0,
        "prediction_temperature": 0.2,
        "clip_weight": 2.0,
        "token_weight": 2.0,
        "crowding_weight": 1.0,
        "least_hidden": 0.1,
        "most_hidden": 0.6,
        "num_prototypes": 8,
        "head_width": 8,
        "head_size": 4,
    },
    "usdrl": {
        "view_tokens": 10,
        "similarity_weight": 1.0,
        "spread_weight": 2.0,
        "correlation_weight": 0.1,
        "time_weight": 1.0,
        "space_weight": 1.0,
        "instance_weight": 2.0,
        "compared_width": 16,
    },
}
# Settings of where and how often something is done. Other files test them.
NOT_COMPUTED = {
    *("device", "precision", "num_threads", "log_every_steps", "save_every_epochs", "evaluate_every_epochs", "compile")
}
# It changes nothing without weights to start from; `test_start` tests it.
NEEDS_A_START = {"pull_to_start"}
# Smaller than the defaults, which would take seconds.
TINY: dict[str, dict[str, Any]] = {
    "gfp": {"local_width": 8, "global_width": 16},
    "gfp_contrast": {"local_width": 8, "global_width": 16},
    "gfp_adaptive": {"local_width": 8, "global_width": 16},
    "gfp_prototypes": {"local_width": 8, "global_width": 16, "num_prototypes": 4},
    "gfp_queries": {"local_width": 8, "global_width": 16, "decoder_depth": 1},
    # From the third step on, prototypes are used.
    "halp": {"queue_keys": 4, "prototype_keys": 4, "num_prototypes": 2, "prototype_every_steps": 1, "plain_share": 0.0},
    "slim": {"num_prototypes": 12, "head_width": 16, "head_size": 8},
    "usdrl": {"compared_width": 8},
    **{name: {"decoder_depth": 1} for name in ("mamp", "nat", "s_jepa", "skeleton_mae")},
}


def tiny(objective: str, **changes: Any) -> ObjectiveConfig:
    return OBJECTIVES[objective].config_type(**{**TINY[objective], **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


@pytest.fixture(scope="module")
def losses_before(store: ClipStore) -> dict[str, list[float]]:
    return {name: losses_of(store, name) for name in OBJECTIVES}


def config_of(objective: str, **changes: Any) -> TrainConfig:
    return tiny_config(peak_lr=2e-3, objective=tiny(objective, **changes))


def losses_with(store: ClipStore, config: TrainConfig, steps: int = 2) -> list[float]:
    draws = np.random.default_rng(0)
    said = draws.normal(size=(2, len(store), 300)).astype(np.float32)
    teacher = Teacher("made up", "0" * 64, {}, said) if config.terms.teacher_weight else None
    trainer = Trainer(config, store, Path("unused"), teacher=teacher)
    return [trainer.train_step().total.item() for _ in range(steps)]


def losses_of(store: ClipStore, objective: str, **changes: Any) -> list[float]:
    # HaLP's prototypes come after the queue was filled twice.
    return losses_with(store, config_of(objective, **changes), steps=6 if objective == "halp" else 2)


def names(config: object) -> set[str]:
    return {field.name for field in fields(config)}  # type: ignore[arg-type]


def test_every_setting_is_changed_in_a_test() -> None:
    inner = {"encoder", "objective", "terms", "views", "class_draws"}
    assert names(TrainConfig()) - inner == set(RUN) | NOT_COMPUTED | NEEDS_A_START
    assert names(TrainConfig().terms) == set(TERMS)
    assert names(TrainConfig().views) == set(VIEWS)
    assert names(TrainConfig().class_draws) == set(CLASS_DRAWS)
    assert names(TINY_ENCODER) == set(ENCODER)
    others = {name: names(OTHERS[name]) for name in ENCODERS if name != "transformer"}
    assert others == {name: set(changes) for name, changes in OF_OTHER_ENCODER.items()}
    assert {name: names(tiny(name)) for name in OBJECTIVES} == {name: set(OF_OBJECTIVE[name]) for name in OBJECTIVES}


def test_the_same_settings_give_the_same_losses(store: ClipStore, losses_before: dict[str, list[float]]) -> None:
    for name, before in losses_before.items():
        assert losses_of(store, name) == pytest.approx(before, rel=1e-6), name


@pytest.fixture(scope="module")
def losses_of_run(store: ClipStore) -> list[float]:
    return losses_with(store, config_of("gfp"), steps=4)


@pytest.mark.parametrize("name", [*RUN, *ENCODER])
def test_changing_a_setting_of_the_run_changes_the_losses(
    store: ClipStore, losses_of_run: list[float], name: str
) -> None:
    config = config_of("gfp")
    if name in ENCODER:
        changed = replace(config, encoder=replace(config.encoder, **{name: ENCODER[name]}))
    else:
        changed = replace(config, **{name: RUN[name]})
    assert losses_with(store, changed, steps=4) != pytest.approx(losses_of_run, rel=1e-5)


def on_encoder(encoder: str, **changes: Any) -> TrainConfig:
    return replace(config_of("usdrl"), encoder=replace(OTHERS[encoder], **changes), num_frames=24)


@pytest.fixture(scope="module")
def losses_of_encoders(store: ClipStore) -> dict[str, list[float]]:
    return {encoder: losses_with(store, on_encoder(encoder)) for encoder in OF_OTHER_ENCODER}


@pytest.mark.parametrize(
    ("encoder", "name"), [(e, name) for e, changes in OF_OTHER_ENCODER.items() for name in changes]
)
def test_changing_a_setting_of_another_encoder_changes_the_losses(
    store: ClipStore, losses_of_encoders: dict[str, list[float]], encoder: str, name: str
) -> None:
    changed = on_encoder(encoder, **{name: OF_OTHER_ENCODER[encoder][name]})
    assert losses_with(store, changed) != pytest.approx(losses_of_encoders[encoder], rel=1e-5)


@pytest.mark.parametrize(("objective", "name"), [(o, name) for o, changes in OF_OBJECTIVE.items() for name in changes])
def test_changing_a_setting_of_an_objective_changes_the_losses(
    store: ClipStore, losses_before: dict[str, list[float]], objective: str, name: str
) -> None:
    changed = losses_of(store, objective, **{name: OF_OBJECTIVE[objective][name]})
    assert changed != pytest.approx(losses_before[objective], rel=1e-5)


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_sources=2, num_clips=24)


def with_terms() -> TrainConfig:
    return tiny_config(
        peak_lr=2e-3,
        batch_clips=8,
        encoder=replace(TINY_ENCODER, frame="body"),
        objective=NoObjectiveConfig(),
        terms=TermsConfig(
            label_weight=1.0, statistics_weight=1.0, term_tokens=75, general_size=8, general_hidden_size=16
        ),
        class_draws=ClassDrawsConfig(sources_per_step=1),
    )


@pytest.fixture(scope="module")
def losses_of_terms(two_sources: ClipStore) -> list[float]:
    return losses_with(two_sources, with_terms())


def test_the_same_terms_give_the_same_losses(two_sources: ClipStore, losses_of_terms: list[float]) -> None:
    assert losses_with(two_sources, with_terms()) == pytest.approx(losses_of_terms, rel=1e-6)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        (part, name, value)
        for part, changes in {"terms": TERMS, "views": VIEWS, "class_draws": CLASS_DRAWS}.items()
        for name, value in changes.items()
    ],
)
def test_changing_a_setting_of_the_terms_changes_the_losses(
    two_sources: ClipStore, losses_of_terms: list[float], part: str, name: str, value: Any
) -> None:
    config = with_terms()
    changed = replace(config, **{part: replace(getattr(config, part), **{name: value})})
    assert losses_with(two_sources, changed) != pytest.approx(losses_of_terms, rel=1e-5)


def test_terms_refuse_frames_that_pose_statistics_cannot_part() -> None:
    with pytest.raises(ValueError, match=r"--num-frames is 64; with --label-weight, .* a multiple of 6"):
        tiny_config(num_frames=64, terms=TermsConfig(label_weight=1.0))


def test_a_run_that_would_learn_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="--objective none learns nothing by itself; give a weight to --label-weight"):
        tiny_config(objective=NoObjectiveConfig())


def test_the_help_of_gfp_train_begins_with_what_a_newcomer_needs_and_shows_all_the_rest_below() -> None:
    shown = CliRunner().invoke(gfp_train, ["--help"]).output
    sections = shown[shown.index("\nOptions:\n") :].split("\n\n")
    first, *others = [re.findall(r"^  (--[a-z0-9-]+)", section, flags=re.MULTILINE) for section in sections]
    assert len(set(first) - {"--help", "--version"}) <= 19
    assert {"--out", "--preset", "--objective", "--encoder", "--epochs", "--batch-clips", "--device"} <= set(first)
    context = Context(gfp_train)
    options = {param.opts[0] for param in gfp_train.get_params(context) if isinstance(param, Option)}
    assert sorted([*first, *(flag for flags in others for flag in flags)]) == sorted(options)
    headings = [section.splitlines()[0] for section in sections[1:]]
    assert headings[:2] == ["Encoder:", "Objective:"]
    assert "--local-width" in others[1]
