"""The encoders of a suite: those that were named, pose statistics always, and untrained where that can be had."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from gfp_serve.bundle import Bundle
from gfp_serve.config import SHIPPED_BUNDLES, bundle_at
from gfp_serve.devices import Device
from gfp_serve.errors import InvalidRequestError
from gfp_serve.extras import load
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import TrainConfig
from trainer.devices import pick_device
from trainer.embedding import ClipEmbedding, sampling_for
from trainer.evaluate.candidates import describe_encoder, is_run, training_config, untrained
from trainer.evaluate.embeddings import Embed
from trainer.learned_head import LearnedHead

POSE_STATISTICS = "pose-statistics"
_UNTRAINED = "untrained"


@dataclass(frozen=True, slots=True, eq=False)
class SuiteEncoder:
    """An encoder that is measured. Several threads may call `embed` at once."""

    name: str  # in tables and files
    embed: Embed
    preprocess: PreprocessConfig
    digest: str  # equal only for the same encoder
    identity: dict[str, Any]  # what it is, for the report
    data: dict[str, Any] | None = None  # what it was trained on (`checkpoint.data_summary`); None if on nothing
    only_clean: bool = False  # whether it is asked clean queries alone, because others would tell nothing new


def suite_encoders(named: Sequence[str], device: Device, *, with_untrained: bool) -> list[SuiteEncoder]:
    """Pose statistics, then each run folder, checkpoint or bundle, and the name of a bundle in the package.

    Before the first trained encoder of each shape comes an untrained one of that shape. Raises `InvalidRequestError`
    for two encoders of one name, `CheckpointError`, `BundleError` and `DeviceError`.
    """
    found: list[SuiteEncoder] = []
    for name in dict.fromkeys((POSE_STATISTICS, *named)):
        # The one of the package, whatever lies in the working folder, unless it is asked for.
        path = Path(name) if name in named else SHIPPED_BUNDLES / name
        if path.exists() and is_run(path):
            checkpoint = Checkpoint.read(path)
            own = _of_run(_short_name(path), checkpoint, device)
            config: TrainConfig | None = checkpoint.config
        else:
            bundle = Bundle.read(bundle_at(path))
            own = _of_bundle(_short_name(path) if path.exists() else name, bundle, device)
            config = training_config(bundle.manifest)
        if with_untrained and config is not None:
            found += _untrained(config, own.preprocess, device, found)
        if any(other.name == own.name for other in found):
            raise InvalidRequestError(
                f"two encoders are called {own.name!r}; rename the folder or file of one, so that figures can be told "
                f"apart."
            )
        found.append(own)
    return found


def _short_name(path: Path) -> str:
    """The name of a folder, which may have dots in it, or that of a file without its ending."""
    whole = path.resolve()
    if whole.name == CHECKPOINT_FILE:
        return whole.parent.name
    return whole.name if whole.is_dir() else whole.stem


def _of_run(name: str, checkpoint: Checkpoint, device: Device) -> SuiteEncoder:
    model = checkpoint.build_embedding()
    identity = describe_encoder(checkpoint)
    return of_model(name, model, checkpoint.preprocess, device, identity, data=checkpoint.data)


def _of_bundle(name: str, bundle: Bundle, device: Device) -> SuiteEncoder:
    manifest = bundle.manifest
    fields = ("step", "data", "training", "readout", "encoder_digest")
    return SuiteEncoder(
        name,
        load("gfp_serve.encoder").Encoder(bundle, device=device).encode,  # needs onnxruntime; runs do not
        manifest.preprocess,
        manifest.encoder_digest,
        {field: getattr(manifest, field) for field in fields},
        manifest.data or None,
    )


def _untrained(
    config: TrainConfig, preprocess: PreprocessConfig, device: Device, found: Sequence[SuiteEncoder]
) -> list[SuiteEncoder]:
    """One with the weights that training with this config starts from, unless there is one of its shape.

    None for a config that teaches the encoder nothing.
    """
    if not config.learns_from_tokens:
        return []
    has_head = config.terms.learns_embedding and config.terms.embedding_size > 0
    shape = {"shape": config.to_json()["encoder"], "num_frames": config.num_frames, "has_head": has_head}
    others = [other for other in found if other.name.startswith(_UNTRAINED)]
    if any(other.identity == shape for other in others):
        return []
    encoder = untrained(config)
    model: nn.Module = encoder
    if has_head:
        model = LearnedHead(encoder, nn.Linear(encoder.width, config.terms.embedding_size))
    name = f"{_UNTRAINED} {len(others) + 1}" if others else _UNTRAINED
    return [replace(of_model(name, model, preprocess, device, shape), only_clean=True)]


def of_model(
    name: str,
    model: nn.Module,
    preprocess: PreprocessConfig,
    device: Device,
    identity: dict[str, Any],
    *,
    data: dict[str, Any] | None = None,
) -> SuiteEncoder:
    """A torch model with `features`. `preprocess` is that of its run, `data` what it was trained on."""
    wanted = PreprocessConfig(cleaning=preprocess.cleaning, sampling=sampling_for(model, preprocess.sampling))
    digest = hashlib.sha256(wanted.digest.encode())
    for key, weight in model.state_dict().items():
        digest.update(key.encode() + weight.detach().to(torch.float32).contiguous().numpy().tobytes())
    return SuiteEncoder(name, _embedder(model, pick_device(device)), wanted, digest.hexdigest(), identity, data)


def _embedder(model: nn.Module, device: torch.device) -> Embed:
    """A function that may be called by several threads at once."""
    graph = ClipEmbedding(model).to(device).eval()

    def embed(clips: Float32[np.ndarray, "batch bodies frames joints 3"]) -> Float32[np.ndarray, "batch size"]:
        with torch.inference_mode():
            return graph(torch.from_numpy(clips).to(device)).float().cpu().numpy()

    return embed
