"""Every objective on a small encoder, with bodies and random draws for it."""

from typing import Any

import torch

from trainer.data.batches import Batch
from trainer.encoders import EncoderConfig, build_encoder
from trainer.encoders.gru import GruConfig
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.encoders.two_stream import TwoStreamConfig
from trainer.objectives import OBJECTIVES, Objective, build_objective

SMALL = TransformerConfig(width=16, depth=1, num_heads=2)
# GFP as published. For the others two blocks test the same as five.
SETTINGS: dict[str, dict[str, Any]] = {
    "gfp": {"local_width": 512, "global_width": 2048},
    "gfp_adaptive": {"local_width": 32, "global_width": 64},
    "gfp_contrast": {"local_width": 32, "global_width": 64, "projection_size": 8},
    "gfp_prototypes": {
        "local_width": 32,
        "global_width": 64,
        "projection_size": 8,
        "num_prototypes": 4,
        "recent_clips": 10,
    },
    "gfp_queries": {"local_width": 32, "global_width": 64},
    "halp": {
        "view_tokens": 300,
        "projection_size": 8,
        "queue_keys": 6,
        "prototype_keys": 6,
        "num_prototypes": 3,
        "plain_share": 0.0,
    },
    "slim": {"num_prototypes": 12, "head_width": 16, "head_size": 8},
    "usdrl": {"view_tokens": 300, "compared_width": 8},
    **{name: {"decoder_depth": 2} for name in ("mamp", "nat", "s_jepa", "skeleton_mae")},
}


# The other encoders, which take objectives of whole clips.
OTHER_ENCODERS: dict[str, EncoderConfig] = {
    "gru": GruConfig(width=8, depth=2),
    "two_stream": TwoStreamConfig(width=8, num_heads=2),
}
OF_WHOLE_CLIPS = ("halp", "usdrl")


def build_on(encoder: str, name: str) -> Objective:
    """An objective of whole clips on one of `OTHER_ENCODERS`, for clips of 24 frames."""
    torch.manual_seed(0)
    settings = {**SETTINGS[name], "view_tokens": 0}
    model = build_encoder(OTHER_ENCODERS[encoder], num_frames=24)
    return build_objective(model, OBJECTIVES[name].config_type(**settings))


def build(name: str) -> Objective:
    torch.manual_seed(0)
    return build_objective(Transformer(SMALL, num_frames=120), OBJECTIVES[name].config_type(**SETTINGS[name]))


def batch(model: Objective, seed: int = 0, draws_seed: int = 0, clips: int = 6) -> Batch:
    """Return clips of one body in as many views as the objective needs; each view has bodies of its own."""
    frames = model.encoder.num_frames
    views = [bodies(seed + 1000 * n)[:clips, : view.num_frames or frames] for n, view in enumerate(model.views)]
    uniform = torch.rand(6, model.num_draws, generator=torch.Generator().manual_seed(draws_seed))
    return Batch.of_bodies(uniform[:clips], *views)


def bodies(seed: int = 0) -> torch.Tensor:
    return torch.randn(6, 120, 25, 3, generator=torch.Generator().manual_seed(seed))


def draws(seed: int = 0) -> torch.Tensor:
    return torch.rand(6, 750, generator=torch.Generator().manual_seed(seed))
