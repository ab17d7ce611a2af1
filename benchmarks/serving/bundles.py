"""Bundles for timing servers: the shipped encoder, and others of three sizes.

Those are untrained, because time does not depend on weights.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gfp_serve.bundle import Bundle
from gfp_serve.config import DEFAULT_BUNDLE
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import PreprocessConfig, SampleConfig
from trainer.config import TrainConfig
from trainer.encoders.transformer import TransformerConfig
from trainer.evaluate.candidates import untrained
from trainer.export import Origin, export_bundle
from trainer.onnx_graph import Form

# Frames and bodies of the clip that every caller sends; it has 72 KB.
NUM_FRAMES, NUM_BODIES = 120, 2


@dataclass(frozen=True)
class Size:
    """An encoder to serve; None for the one that is served by default."""

    name: str
    encoder: TransformerConfig | None
    num_frames: int


SIZES = {
    size.name: size
    for size in (
        # As published: 750 tokens a body, 28 GFLOP for a clip of two bodies.
        Size("full", TransformerConfig(), 120),
        # The same with a tenth of the tokens.
        Size("tokens-75", TransformerConfig(), 12),
        # 10 MB, 25 tokens a body: so small that the server's own time matters.
        Size("small", TransformerConfig(depth=3, segment_frames=120), 120),
        # Two small networks on general features.
        Size("shipped", None, 120),
    )
}


# Bodies of clips in turn: four of ten have one, as in NTU RGB+D. The first has two.
MIX = (2, 1, 2, 2, 1, 2, 1, 2, 2, 1)


def write_bundle(size: Size, path: Path, form: Form | None = None) -> None:
    """Export an encoder of this size, unless the file exists; by default in the form that is quickest here."""
    if path.exists():
        return
    if size.encoder is None:
        Bundle.read(DEFAULT_BUNDLE).write(path)
        return
    config = TrainConfig(encoder=size.encoder, num_frames=size.num_frames)
    clip = Clip(name="made up", sequence=made_up_clip(), layout=NTU25, fps=30.0)
    preprocess = PreprocessConfig(sampling=SampleConfig(num_frames=size.num_frames))
    origin = Origin(name=size.name, objective="none", step=0, data={}, training=None)
    bundle = export_bundle(untrained(config), [clip], preprocess, origin, {}, form=form).bundle
    bundle.write(path)


def made_up_clip(seed: int = 0, num_joints: int = 25) -> np.ndarray:
    """Return a clip of two people who drift about: frames × bodies × joints × 3, float32, metres."""
    draws = np.random.default_rng(seed)
    pose = draws.uniform(-0.4, 0.4, (1, NUM_BODIES, num_joints, 3))
    steps = draws.normal(0, 0.02, (NUM_FRAMES, NUM_BODIES, num_joints, 3)).cumsum(axis=0)
    return (pose + steps).astype(np.float32)
