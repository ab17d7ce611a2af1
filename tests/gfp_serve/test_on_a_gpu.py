"""What onnxruntime must compute on a GPU as on a CPU. Without a GPU, the comparisons run between the CPU and itself."""

from functools import cache

import numpy as np
import pytest

from gfp_serve.bundle import Bundle
from gfp_serve.config import DEFAULT_BUNDLE
from gfp_serve.devices import EncoderDevice
from gfp_serve.encoder import Encoder
from gfp_serve.errors import DeviceError

pytestmark = pytest.mark.cuda

# Between the sizes that are recorded and beside them, and more than once around.
BATCHES = (1, 2, 3, 5, 8, 17, 5, 1)


@cache
def device() -> EncoderDevice:
    try:
        Encoder(Bundle.read(DEFAULT_BUNDLE), device="cuda")
    except DeviceError:
        return "cpu"
    return "cuda"


def clips(number: int, bodies: int, num_frames: int) -> np.ndarray:
    draws = np.random.default_rng(number)
    pose = draws.uniform(-0.4, 0.4, (number, bodies, 1, 25, 3))
    return (pose + draws.normal(0, 0.02, (number, bodies, num_frames, 25, 3)).cumsum(axis=2)).astype(np.float32)


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_vectors_are_those_of_the_cpu_in_batches_of_all_sizes(cuda_graphs: bool) -> None:
    bundle = Bundle.read(DEFAULT_BUNDLE)
    num_frames = bundle.manifest.preprocess.sampling.num_frames
    there = Encoder(bundle, device=device(), cuda_graphs=cuda_graphs and device() == "cuda")
    here = Encoder(bundle, device="cpu")
    for number in BATCHES:
        for bodies in (1, 2):
            given = clips(number, bodies, num_frames)
            found, expected = there.encode(given), here.encode(given)
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
            assert (found * expected).sum(axis=1).min() > 0.999
            # A batch is put into larger memory: what is left there of others must not be seen.
            np.testing.assert_allclose(found[-1], there.encode(given[-1:])[0], atol=5e-3)


def test_the_canonical_clips_of_the_shipped_encoder_are_embedded_as_it_says() -> None:
    bundle = Bundle.read(DEFAULT_BUNDLE)
    encoder = Encoder(bundle, device=device())
    assert encoder.device == device()
    bundle.check(encoder.encode)
