"""The retrieval table: an encoder never stands alone, but beside chance, pose statistics and its untrained self."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import nn

from gfp_serve.bundle import Bundle, Manifest
from gfp_serve.encoder import Device, Encoder
from gfp_serve.errors import BundleError, InvalidRequestError
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import TrainConfig
from trainer.devices import pick_device
from trainer.embedding import PoseStatistics
from trainer.encoder import SkeletonEncoder
from trainer.evaluate.embeddings import Embed, embed_store, torch_embedder
from trainer.evaluate.retrieval import Fold, Retrieval, retrieve
from trainer.store import ClipStore

Readout = Literal["plain", "fitted"]  # the mean of tokens as published, or `readout.fit_readout`


@dataclass(frozen=True, slots=True)
class Candidate:
    """An embedding under test, and the preprocessing that belongs to it."""

    name: str
    readout: Readout
    embed: Embed
    preprocess: PreprocessConfig
    identity: dict[str, Any] = field(default_factory=dict)  # what it is, for the report


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the table, and what it was counted from."""

    candidate: Candidate
    retrieval: Retrieval
    vectors: Float32[np.ndarray, "clips size"]  # zeros for clips on neither side of a fold


def candidates(
    path: Path, device: Device, fit: Callable[[nn.Module, PreprocessConfig], nn.Module] | None
) -> list[Candidate]:
    """The encoder of a run folder, checkpoint or bundle, last, after pose statistics and itself untrained.

    With `fit`, each also comes with a fitted read-out (a bundle's encoder has the read-out that it was exported with).
    Raises `CheckpointError`, `BundleError`, `DeviceError`.
    """
    torch_device = pick_device(device)
    models: dict[str, nn.Module] = {"pose statistics": PoseStatistics()}
    bundled: list[Candidate] = []
    if path.suffix == ".pt" or (path / CHECKPOINT_FILE).exists():
        checkpoint = Checkpoint.read(path)
        config: TrainConfig | None = checkpoint.config
        preprocess = checkpoint.preprocess
        identity = {"step": checkpoint.step, "data": checkpoint.data, "training": checkpoint.config.to_json()}
        models |= {"untrained": _untrained(checkpoint.config), "trained": checkpoint.build_encoder()}
    else:
        manifest = (bundle := Bundle.read(path)).manifest
        config = None if manifest.training is None else _config_of(manifest)
        preprocess = manifest.preprocess
        identity = {name: getattr(manifest, name) for name in ("step", "data", "training", "readout", "encoder_digest")}
        models |= {} if config is None else {"untrained": _untrained(config)}
        bundled.append(
            Candidate(
                f"bundle {manifest.name}" if config is None else "trained",
                "plain" if manifest.readout.get("kind") == "mean" else "fitted",
                Encoder(bundle, device=device).encode,
                preprocess,
                identity,
            )
        )
    made: list[Candidate] = []
    for name, model in models.items():
        about = identity if name == "trained" else {}
        made.append(Candidate(name, "plain", torch_embedder(model, torch_device), preprocess, about))
        if fit is not None:
            fitted = torch_embedder(fit(model, preprocess), torch_device)
            made.append(Candidate(name, "fitted", fitted, preprocess, about))
    return [*made, *bundled]


def _config_of(manifest: Manifest) -> TrainConfig:
    try:
        return TrainConfig.from_json(manifest.training or {})
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"the training settings of bundle {manifest.name!r} are of another release ({error}); export it again with "
            f"this release."
        ) from error


def _untrained(config: TrainConfig) -> SkeletonEncoder:
    """The weights that a training with this config starts from."""
    torch.manual_seed(config.seed)
    return SkeletonEncoder(config.encoder, num_frames=config.num_frames)


def evaluate(
    store: ClipStore, folds: list[Fold], tested: list[Candidate], *, show: Callable[[int], None] = lambda _: None
) -> list[Row]:
    """Every candidate on the same folds; `show` gets the number of clips of each finished batch.

    Raises `InvalidRequestError` when the store was cleaned otherwise than a candidate needs.
    """
    asked = asked_clips(folds)
    rows = []
    for candidate in tested:
        check_cleaned_alike(store, candidate.preprocess)
        vectors = embed_store(candidate.embed, store, candidate.preprocess, asked, show=show)
        of_store = np.zeros((len(store), vectors.shape[1]), dtype=np.float32)
        of_store[asked] = vectors
        rows.append(Row(candidate, retrieve(of_store, store, folds), of_store))
    return rows


def asked_clips(folds: list[Fold]) -> Int[np.ndarray, " clips"]:
    """Every clip that is on a side of a fold, once."""
    return np.unique(np.concatenate([side for fold in folds for side in (fold.query, fold.gallery)]))


def check_cleaned_alike(store: ClipStore, preprocess: PreprocessConfig) -> None:
    """Raise `InvalidRequestError` when a store's clips were cleaned otherwise than a model needs."""
    for name in ("align_view", "scale_torso"):
        wanted = getattr(preprocess, name)
        if getattr(store.preprocess, name) != wanted:
            flag = f"--{'' if wanted else 'no-'}{name.replace('_', '-')}"
            raise InvalidRequestError(
                f"the encoder was made for clips imported with {flag}, which those of {store.path} were not; "
                f"import the data again with {flag}."
            )
