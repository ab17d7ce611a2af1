"""What a run may start from instead of random weights: a run, or a bundle with what general features taught."""

import hashlib
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import onnx
import onnx.numpy_helper
import torch
from torch import Tensor

from gfp_serve.bundle import Bundle
from gfp_serve.config import bundle_at, shipped_bundles
from gfp_serve.errors import GfpError
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import TrainConfig
from trainer.data.lessons import Lessons
from trainer.evaluate.candidates import is_run, training_config
from trainer.general_features import general_heads
from trainer.objectives import Objective
from trainer.schedule import steps_per_epoch

# Adapting takes about this many steps, but at least one pass over the clips, at most this many clips in each step.
_STEPS = 300
_BATCH_CLIPS = 64
_PEAK_LR = 5e-4
# Chosen by how well five clips a class are told apart and how little is forgotten, see docs/train.md.
_PULL = 60.0
# Parts of the terms that are taken over, by the beginning of their weights' names. The prediction of statistics is not:
# it is along directions of the clips at hand.
_PARTS = ("terms.head.", "terms.general.", "terms.areas.", "terms.basis")


class StartError(GfpError):
    """There is nothing at `--init` that a run can start from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The weights to start from, and where they come from."""

    name: str
    digest: str  # of a run, SHA-256 of the checkpoint; of a bundle, its encoder's digest
    config: TrainConfig  # with which they were trained
    preprocess: PreprocessConfig
    data: dict[str, Any]  # what they were trained on, see `checkpoint.data_summary`
    step: int  # up to which they were trained
    encoder: dict[str, Tensor]  # empty if no token taught them anything
    terms: dict[str, Tensor]  # by their names in an `Objective`: the heads, and the served directions

    @property
    def has_general_head(self) -> bool:
        return any(name.startswith("terms.general.") for name in self.terms)

    def origin(self) -> dict[str, Any]:
        """What the checkpoint of a run that started here says of it."""
        settings = self.config.comparable()
        text = json.dumps(settings, sort_keys=True)
        return {
            "name": self.name,
            "digest": self.digest,
            "data": self.data,
            "objective": settings["objective"],
            "settings_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "label_weight": self.config.terms.label_weight,
            "clips_seen": self.step * self.config.batch_clips,
        }

    def differing_shapes(self, config: TrainConfig) -> list[str]:
        """The settings of the model's shape that differ between the start and `config`, with both values."""
        names = ["keep_absent_bodies", "num_frames"]
        if self.encoder:
            names.append("encoder")
            names += {field.name for each in (self.config, config) for field in fields(each.encoder)}
        if any(name.startswith("terms.head.") for name in self.terms):
            names.append("embedding_size")
        if self.has_general_head:
            names += ["general_size", "general_hidden_size", "general_areas"]
        wanted, before = config.settings(), self.config.settings()
        return [
            f"--{name.replace('_', '-')} is {wanted[name]} and was {before[name]}"
            for name in sorted(names)
            if name in wanted and name in before and wanted[name] != before[name]  # not those of another encoder
        ]

    def learned(self, objective: Objective) -> dict[str, Tensor]:
        """The weights by their names in the objective, without what does not learn."""
        own = self._terms_for(objective) | {f"encoder.{name}": weight for name, weight in self.encoder.items()}
        return {name: own[name] for name, _ in objective.named_parameters() if name in own}

    def _terms_for(self, objective: Objective) -> dict[str, Tensor]:
        """Those that the objective can go on with: a teacher's vectors are along directions of the clips at hand."""
        if objective.terms is None or not objective.terms.config.teacher_weight:
            return self.terms
        return {name: weight for name, weight in self.terms.items() if not name.startswith("terms.head.")}

    def put_into(self, objective: Objective, lessons: Lessons | None) -> None:
        """Put the weights into a newly built objective whose shapes do not differ.

        The vectors of classes become the means of what the start makes of each class's clips: so the first steps do
        not tear apart what it knows.
        """
        if self.encoder:
            objective.encoder.load_state_dict(self.encoder)
            for part in objective.children():
                # A slow copy follows from the same weights, and may be what is served.
                if part is not objective.encoder and type(part) is type(objective.encoder):
                    part.load_state_dict(self.encoder)
        terms = objective.terms
        if terms is None or lessons is None:
            return
        own = {name.removeprefix("terms."): value for name, value in self._terms_for(objective).items()}
        terms.load_state_dict(terms.state_dict() | own)
        if terms.config.label_weight:
            means = lessons.class_means(lambda bodies: terms.served_vectors(objective.encoder, bodies))
            with torch.no_grad():
                for vectors, mean in zip(terms.class_vectors, means, strict=True):
                    vectors.copy_(mean)


def read_start(name: Path) -> Start:
    """The start of this name: a run folder or checkpoint, a bundle, or the name of a bundle in the package.

    Raises `StartError` when nothing lies there or it has no learned weights, `CheckpointError` and `BundleError` for
    files that are damaged or of another release.
    """
    if name.exists() and is_run(name):
        return _of_run(name)
    path = bundle_at(name)
    if not path.exists():
        shipped = ", ".join(shipped_bundles())
        raise StartError(
            f"--init {name} does not exist; name a run folder of gfp-train, a bundle, or a bundle of the package: "
            f"{shipped}."
        )
    return _of_bundle(name, Bundle.read(path))


def adapting(config: TrainConfig, num_clips: int) -> TrainConfig:
    """The settings of a start with a short schedule, for a store with this many training clips.

    Those of the machine are the defaults: the start may have learned on another.
    """
    least = 4 if config.terms.view_weight else 2
    batch_clips = max(least, min(_BATCH_CLIPS, num_clips))
    epochs = -(-_STEPS // steps_per_epoch(num_clips, batch_clips))
    return replace(
        config,
        epochs=epochs,
        batch_clips=batch_clips,
        peak_lr=_PEAK_LR,
        floor_lr=_PEAK_LR / 50,
        lr_drop_at=0.0,
        optimizer="adamw",
        warmup_epochs=min(1, epochs - 1),  # in a single pass the rate would never fall
        weight_decay=0.0,
        pull_to_start=_PULL,
        save_every_epochs=epochs,
        log_every_steps=_STEPS // 10,
        evaluate_every_epochs=0,
        device="auto",
        precision="auto",
        compile="auto",
        num_threads=0,
    )


def _of_run(path: Path) -> Start:
    checkpoint = Checkpoint.read(path)
    file = path / CHECKPOINT_FILE if path.is_dir() else path
    terms = {name: value for name, value in checkpoint.objective.items() if name.startswith(_PARTS)}
    return Start(
        name=(file.resolve().parent if file.name == CHECKPOINT_FILE else file).name,
        digest=hashlib.sha256(file.read_bytes()).hexdigest(),
        config=checkpoint.config,
        preprocess=checkpoint.preprocess,
        data=checkpoint.data,
        step=checkpoint.step,
        encoder=checkpoint.build_encoder().state_dict() if checkpoint.config.learns_from_tokens else {},
        terms=terms,
    )


def _of_bundle(name: Path, bundle: Bundle) -> Start:
    manifest = bundle.manifest
    config = training_config(manifest)
    if config is None:
        raise StartError(
            f"the bundle {manifest.name!r} has no learned weights; name a bundle or a run that learned from labels."
        )
    if config.learns_from_tokens:
        raise StartError(
            f"the bundle {manifest.name!r} has an encoder of tokens, whose weights cannot be read from a bundle; name "
            f"the run folder that it was exported from."
        )
    return Start(
        name=name.stem if name.is_file() else name.name,
        digest=manifest.encoder_digest,
        config=config,
        preprocess=manifest.preprocess,
        data=manifest.data,
        step=manifest.step,
        encoder={},
        terms=_terms_of(bundle, config),
    )


def _terms_of(bundle: Bundle, config: TrainConfig) -> dict[str, Tensor]:
    """The weights of the general heads, and the directions of pose statistics if they are served beside them."""
    stored = _weights(bundle)
    found: dict[str, Tensor] = {}
    terms = config.terms
    heads = general_heads(terms.general_hidden_size, terms.general_size, areas=terms.general_areas)
    for part, head in heads.items():
        shapes = {name: weight.shape for name, weight in head.state_dict().items()}
        shapes = {name: shape for name, shape in shapes.items() if not name.startswith("general.")}
        # A head stands alone in the graph, or as one part of several. Heads differ in how many numbers they take.
        parents = [name.removesuffix("hidden.weight") for name in stored if name.endswith("hidden.weight")]
        fitting = (
            parent
            for parent in parents
            if all(f"{parent}{name}" in stored and stored[f"{parent}{name}"].shape == shapes[name] for name in shapes)
        )
        if (parent := next(fitting, None)) is None:
            raise StartError(
                f"the bundle {bundle.manifest.name!r} does not have the weights that its settings name; name the run "
                f"folder that it was exported from."
            )
        found |= {f"terms.{part}.{name}": stored[f"{parent}{name}"] for name in shapes}
    basis = next((weight for name, weight in stored.items() if name.endswith(".basis")), None)
    return found if basis is None else {**found, "terms.basis": basis}


def _weights(bundle: Bundle) -> dict[str, Tensor]:
    """The stored numbers of a graph by name, in 32 bits. Those that `--half` stored have their own names again."""
    graph = onnx.load_from_string(bundle.model).graph
    return {
        stored.name.removesuffix(".half"): torch.from_numpy(onnx.numpy_helper.to_array(stored).astype("float32"))
        for stored in graph.initializer
    }
