from collections.abc import Iterator

import pytest
import torch

from gfp_serve.bundle import Bundle
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import PreprocessConfig, SampleConfig
from tests.support.small_runs import moving_body
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.export import Origin, export_bundle


@pytest.fixture(autouse=True)
def threads_given_back() -> Iterator[None]:
    """Set the number of threads back after each test, because training changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_attention_bundle() -> Bundle:
    """A small encoder of one block, in the fused form of its graph; its first canonical clip has one body."""
    torch.manual_seed(0)
    # Clips are told apart by it, as by a trained one.
    config = TransformerConfig(width=64, depth=1, num_heads=2, segment_frames=8, position_std=0.02, input_scale=30.0)
    encoder = Transformer(config, num_frames=32)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.add_(0.02 * torch.randn_like(weight))  # also of biases, as after training
    clips = [Clip(name=str(n), sequence=moving_body(n, num_bodies=n), layout=NTU25, fps=30.0) for n in (1, 2)]
    origin = Origin(name="small", objective="gfp", step=1, data={}, training=None)
    preprocess = PreprocessConfig(sampling=SampleConfig(num_frames=32))
    return export_bundle(encoder, clips, preprocess, origin, {"kind": "mean"}, form="fused").bundle
