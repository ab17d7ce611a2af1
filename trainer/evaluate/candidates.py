"""The embeddings of a table: an encoder is always shown beside pose statistics and its untrained self."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from gfp_serve.bundle import Bundle, Manifest
from gfp_serve.config import bundle_at
from gfp_serve.devices import Device
from gfp_serve.errors import BundleError, InvalidRequestError
from gfp_serve.extras import load
from gfp_serve.preprocess import CleanConfig, PreprocessConfig
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.embedding import PoseStatistics, sampling_for
from trainer.encoders import Encoder, build_encoder
from trainer.evaluate.embeddings import Embed, torch_embedder
from trainer.plugins import MissingPluginError

Readout = Literal["plain", "read-out"]  # the mean of tokens as published, or another that the user chose
# Puts a read-out on a model that wants this preprocessing.
AddReadout = Callable[[nn.Module, PreprocessConfig], nn.Module]

POSE_STATISTICS, UNTRAINED, TRAINED = "pose statistics", "untrained", "trained"


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An embedding to test, and the preprocessing that it needs."""

    name: str
    readout: Readout
    embed: Embed
    preprocess: PreprocessConfig
    identity: dict[str, Any] = field(default_factory=dict)  # what it is, for the report


def candidates(path: Path, device: Device, add_readout: AddReadout | None) -> list[Candidate]:
    """Pose statistics, the untrained encoder if tokens taught it, and last the encoder of `path`.

    That is a run folder, a checkpoint, a bundle, or the name of a bundle in the package.

    With `add_readout`, each also comes with that read-out. (The encoder of a bundle has the one it was exported with.)
    Raises `CheckpointError`, `BundleError` and `DeviceError`.
    """
    torch_device = pick_device(device)
    bundled: list[Candidate] = []
    models: dict[str, nn.Module] = {POSE_STATISTICS: PoseStatistics()}
    if is_run(path):
        checkpoint = Checkpoint.read(path)
        preprocess, identity = checkpoint.preprocess, describe_encoder(checkpoint)
        models |= _untrained_self(checkpoint.config) | {TRAINED: checkpoint.build_embedding()}
    else:
        manifest = (bundle := Bundle.read(bundle_at(path))).manifest
        config = training_config(manifest)
        preprocess = manifest.preprocess
        identity = {name: getattr(manifest, name) for name in ("step", "data", "training", "readout", "encoder_digest")}
        models |= {} if config is None else _untrained_self(config)
        bundled.append(
            Candidate(
                f"bundle {manifest.name}" if config is None else TRAINED,
                "plain" if manifest.readout == {"kind": "mean"} else "read-out",
                load("gfp_serve.encoder").Encoder(bundle, device=device).encode,  # needs onnxruntime; runs do not
                preprocess,
                identity,
            )
        )
    return [
        *(
            Candidate(
                name,
                readout,
                torch_embedder(model, torch_device),
                replace(preprocess, sampling=sampling_for(model, preprocess.sampling)),
                identity if name == TRAINED else {},
            )
            for name, readout, model in _with_readouts(models, preprocess, add_readout)
        ),
        *bundled,
    ]


def candidate_models(checkpoint: Checkpoint, add_readout: AddReadout | None) -> list[tuple[str, Readout, nn.Module]]:
    """Name, read-out and model (with `features`) of each candidate of a run, in the order of `candidates`."""
    models: dict[str, nn.Module] = {POSE_STATISTICS: PoseStatistics()}
    models |= _untrained_self(checkpoint.config) | {TRAINED: checkpoint.build_embedding()}
    return list(_with_readouts(models, checkpoint.preprocess, add_readout))


def read_run(path: Path) -> Checkpoint:
    """The checkpoint of a run, for protocols that need its weights.

    Raises `InvalidRequestError` for a bundle and `CheckpointError` for anything else that is not a checkpoint.
    """
    if not is_run(path) and (path.suffix == ".zip" or (bundle_at(path) / "manifest.json").exists()):
        raise InvalidRequestError(
            f"{path} is a bundle, which gives only unit vectors; this protocol needs the encoder's weights: name the "
            f"run folder of gfp-train that it was exported from."
        )
    return Checkpoint.read(path)


def read_run_of_tokens(path: Path) -> Checkpoint:
    """The same, for protocols that go on with training the encoder.

    Raises `InvalidRequestError` too for a run that taught its encoder nothing.
    """
    checkpoint = read_run(path)
    if not checkpoint.config.learns_from_tokens:
        raise InvalidRequestError(
            f"{path} learned from general features alone, so it has no encoder of tokens to fine-tune; name a run with "
            f"an objective or with --embedding-size above 0. To adapt this one to your clips, use gfp-train --init."
        )
    return checkpoint


def is_run(path: Path) -> bool:
    """Whether this is a checkpoint or a folder with one."""
    return path.suffix == ".pt" or (path / CHECKPOINT_FILE).exists()


def describe_encoder(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a trained encoder is, for the report: its step, its data and its settings."""
    return {"step": checkpoint.step, "data": checkpoint.data, "training": checkpoint.config.to_json()}


def untrained(config: TrainConfig) -> Encoder:
    """An encoder with the weights that training with this config starts from."""
    torch.manual_seed(config.seed)
    return build_encoder(config.encoder, num_frames=config.num_frames)


def _untrained_self(config: TrainConfig) -> dict[str, nn.Module]:
    """The untrained encoder by its name; nothing for a run that taught its encoder nothing."""
    return {UNTRAINED: untrained(config)} if config.learns_from_tokens else {}


def training_config(manifest: Manifest) -> TrainConfig | None:
    """How the encoder of a bundle was trained; None if it was not. Raises `BundleError` for another release's."""
    if manifest.training is None:
        return None
    try:
        return TrainConfig.from_json(manifest.training)
    except MissingPluginError as error:
        raise BundleError(f"the bundle {manifest.name!r} can be served, but not used in training: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"the training settings of bundle {manifest.name!r} are of another release ({error}); export it again with "
            f"this release."
        ) from error


def check_cleaned_alike(store: ClipStore, cleaning: CleanConfig, *, who: str = "the encoder") -> None:
    """Raise `InvalidRequestError` when the clips of a store were not cleaned as a model, `who`, needs them."""
    for name, wanted in asdict(cleaning).items():
        if getattr(store.cleaning, name) != wanted:
            flag = f"--{'' if wanted else 'no-'}{name.replace('_', '-')}"
            raise InvalidRequestError(
                f"{who} needs clips that were imported with {flag}; those of {store.path} were not. Import the "
                f"data again with {flag}."
            )


def _with_readouts(
    models: dict[str, nn.Module], preprocess: PreprocessConfig, add_readout: AddReadout | None
) -> Iterator[tuple[str, Readout, nn.Module]]:
    for name, model in models.items():
        yield name, "plain", model
        if add_readout is not None:
            yield name, "read-out", add_readout(model, preprocess)
