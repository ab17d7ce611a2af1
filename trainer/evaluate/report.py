"""The retrieval table: an encoder never stands alone, but beside chance, pose statistics and its untrained self."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Device, Encoder
from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import TrainConfig
from trainer.devices import pick_device
from trainer.embedding import PoseStatistics
from trainer.encoder import SkeletonEncoder
from trainer.evaluate.embeddings import Embed, embed_store, torch_embedder
from trainer.evaluate.retrieval import Fold, Retrieval, chance, retrieve
from trainer.store import ClipStore


@dataclass(frozen=True, slots=True)
class Candidate:
    """An embedding under test, and the preprocessing that belongs to it."""

    name: str
    embed: Embed
    preprocess: PreprocessConfig
    identity: dict[str, Any] = field(default_factory=dict)  # what it is, for the report


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    accuracy: float  # percent
    identity: dict[str, Any]
    retrieval: Retrieval | None = None  # None for chance
    vectors: np.ndarray | None = None


def candidates(path: Path, device: Device) -> list[Candidate]:
    """The encoder of a run folder, checkpoint or bundle, after what it has to beat: pose statistics, itself untrained.

    Raises `CheckpointError`, `BundleError`, `DeviceError`.
    """
    torch_device = pick_device(device)
    config: TrainConfig | None
    if path.suffix == ".pt" or (path / CHECKPOINT_FILE).exists():
        asked, config = _of_checkpoint(Checkpoint.read(path), torch_device)
    else:
        asked, config = _of_bundle(Bundle.read(path), device)
    rows = [Candidate("pose statistics", torch_embedder(PoseStatistics(), torch_device), asked.preprocess)]
    if config is not None:
        torch.manual_seed(config.seed)  # the weights that its training started from
        untrained = SkeletonEncoder(config.encoder, num_frames=config.num_frames)
        rows.append(Candidate("untrained", torch_embedder(untrained, torch_device), asked.preprocess))
    return [*rows, asked]


def _of_checkpoint(checkpoint: Checkpoint, device: torch.device) -> tuple[Candidate, TrainConfig]:
    config = checkpoint.config
    identity = {"step": checkpoint.step, "data": checkpoint.data, "training": config.to_json()}
    embed = torch_embedder(checkpoint.build_encoder(), device)
    return Candidate("trained", embed, checkpoint.preprocess, identity), config


def _of_bundle(bundle: Bundle, device: Device) -> tuple[Candidate, TrainConfig | None]:
    manifest = bundle.manifest
    config = None if manifest.training is None else TrainConfig.from_json(manifest.training)
    identity = {
        "step": manifest.step,
        "data": manifest.data,
        "training": manifest.training,
        "encoder_digest": manifest.encoder_digest,
    }
    name = f"bundle {manifest.name}" if config is None else "trained"
    return Candidate(name, Encoder(bundle, device=device).encode, manifest.preprocess, identity), config


def evaluate(
    store: ClipStore, folds: list[Fold], rows: list[Candidate], *, show: Callable[[str, int], None] = lambda *_: None
) -> list[Row]:
    """Chance and every candidate on the same folds; `InvalidRequestError` when the store was cleaned otherwise."""
    asked = np.unique(np.concatenate([np.concatenate([fold.query, fold.gallery]) for fold in folds]))
    table = [Row("chance", chance(store, folds), {})]
    for row in rows:
        _check_cleaned_alike(store, row)
        vectors = embed_store(row.embed, store, row.preprocess, asked, show=partial(show, row.name))
        of_store = np.zeros((len(store), vectors.shape[1]), dtype=np.float32)
        of_store[asked] = vectors
        retrieval = retrieve(of_store, store, folds)
        table.append(Row(row.name, retrieval.accuracy, row.identity, retrieval, of_store))
    return table


def _check_cleaned_alike(store: ClipStore, row: Candidate) -> None:
    for name in ("align_view", "scale_torso"):
        of_model = getattr(row.preprocess, name)
        if getattr(store.preprocess, name) != of_model:
            flag = f"--{'' if of_model else 'no-'}{name.replace('_', '-')}"
            raise InvalidRequestError(
                f"the encoder was made for clips imported with {flag}, which this store's were not; "
                f"import the data again with {flag}."
            )
