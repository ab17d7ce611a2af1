"""A store of a few made-up moving bodies, and settings small enough for a test."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.data.store_writer import StoreWriter
from trainer.encoders.transformer import TransformerConfig
from trainer.objectives import NoObjectiveConfig
from trainer.objectives.gfp import GfpConfig
from trainer.terms import TermsConfig

TINY_ENCODER = TransformerConfig(width=16, depth=1, num_heads=2)
TINY_TARGETS = GfpConfig(local_width=8, global_width=16)


def moving_body(seed: int, *, num_frames: int = 70, num_bodies: int = 1) -> Float32[np.ndarray, "frames bodies 25 3"]:
    """Return a standing body of about human size whose joints swing. Each seed swings differently."""
    draws = np.random.default_rng(seed)
    rest = draws.normal(0, 0.3, size=(25, 3))
    rest[0], rest[1], rest[20] = (0, 0, 2), (0, 0.25, 2), (0, 0.5, 2)  # spine base, middle and shoulder
    rest[12], rest[16] = (-0.1, 0, 2), (0.1, 0, 2)  # hips
    swing = draws.normal(0, 0.1, size=(num_bodies, 25, 3)) * (np.arange(25) > 3)[:, None]
    phase = np.linspace(0, draws.uniform(3, 9), num_frames)[:, None, None, None]
    sideways = np.arange(num_bodies)[:, None, None] * np.array([0.8, 0, 0])
    return (rest + sideways + np.sin(phase) * swing).astype(np.float32)


def write_store(
    path: Path,
    *,
    num_clips: int = 12,
    num_sources: int = 1,
    pairs: bool = True,
    gaps: bool = False,
    labelled: bool = True,
    num_classes: int = 3,
    tested: bool = True,
) -> ClipStore:
    """Return clips of 4 subjects. Every fourth clip has two bodies; subject 3 is the test split, if there is one.

    With `gaps`, one joint of each clip is lost for half of it. Sources share the clips in turn.
    """
    cleaning = CleanConfig()
    sources = ["made-up", *(f"made-up-{number}" for number in range(1, num_sources))]
    with StoreWriter(path, cleaning) as writer:
        for source in sources:
            writer.add_source(source, sha256="0" * 64)
        for number in range(num_clips):
            bodies = 2 if pairs and number % 4 == 1 else 1
            raw = moving_body(number, num_frames=60 + 3 * number, num_bodies=bodies)
            if gaps:
                raw[len(raw) // 4 : -len(raw) // 4, :, number] = np.nan
            writer.add(
                clean(raw, NTU25, cleaning),
                source=sources[number * num_sources // num_clips],
                name=f"clip{number}",
                label=f"class{number % num_classes}" if labelled else None,
                subject=str(number % 4),
                camera=0,
                split=int(tested and number % 4 == 3),
                fps=30.0,
            )
    return ClipStore.open(path)


def tiny_config(**changes: object) -> TrainConfig:
    """Four clips a step, two epochs, on the CPU."""
    values: dict[str, object] = {
        "encoder": TINY_ENCODER,
        "objective": TINY_TARGETS,
        "epochs": 2,
        "batch_clips": 4,
        "warmup_epochs": 1,
        "log_every_steps": 1,
        "save_every_epochs": 1,
        "device": "cpu",
    }
    return TrainConfig(**{**values, **changes})  # type: ignore[arg-type]


def tiny_general_config(**changes: object) -> TrainConfig:
    """The same for an encoder that learns from labels, statistics and views, as the preset `general` mostly does."""
    terms = TermsConfig(label_weight=1.0, statistics_weight=1.0, view_weight=1.0, term_tokens=20)
    encoder = TransformerConfig(width=16, depth=1, num_heads=2, frame="body")
    return tiny_config(**{"encoder": encoder, "objective": NoObjectiveConfig(), "terms": terms, **changes})
