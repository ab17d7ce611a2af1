"""The published encoder in each way that a server can run it on a GPU: its speed, and what it differs from the CPU.

Each way is a phase, so that one that ends its process stops no other. The weights are untrained: time does not depend
on them. The first phase writes the encoder, and the vectors that the CPU gives, for those after it.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.on_gpu.settings import Settings
from benchmarks.serving.bundles import NUM_FRAMES, Size, write_bundle
from gfp_serve.bound_batches import BoundBatches
from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME, Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.files import written_whole
from gfp_serve.runtime import device_of, open_session
from trainer.agreement import centred_cosine
from trainer.encoders.transformer import TransformerConfig
from trainer.fp16 import in_16_bits
from trainer.onnx_graph import Form

TINY = TransformerConfig(width=16, depth=1, num_heads=2)


def session_run(settings: Settings) -> dict[str, Any]:
    """Memory is taken anew for each call."""
    session = open_session(_published(settings), settings.device, 0)
    found = _measured(settings, lambda clips: session.run([OUTPUT_NAME], {INPUT_NAME: clips})[0])
    # Asked last: after an error it would have gone on on the CPU.
    return {"device": device_of(session), **found}


def bound(settings: Settings) -> dict[str, Any]:
    """As a server does it."""
    return _bound(settings, _published(settings))


def graphs(settings: Settings) -> dict[str, Any]:
    """With --cuda-graphs. A CPU records nothing, but the same calls are made."""
    return _bound(settings, _published(settings), graphs=True)


def fp16(settings: Settings) -> dict[str, Any]:
    """A bundle of `gfp-export --fp16`."""
    return _bound(settings, in_16_bits(_published(settings)))


def fp16_graphs(settings: Settings) -> dict[str, Any]:
    return _bound(settings, in_16_bits(_published(settings)), graphs=True)


def tensorrt(settings: Settings) -> dict[str, Any]:
    """With --device tensorrt, which wants attention in standard operators."""
    return _with_tensorrt(settings, _published(settings, "standard"))


def tensorrt_fp16(settings: Settings) -> dict[str, Any]:
    return _with_tensorrt(settings, in_16_bits(_published(settings, "standard")))


def _bound(settings: Settings, bundle: Bundle, *, graphs: bool = False) -> dict[str, Any]:
    # Not by `Encoder`, which goes on without graphs where they fail: a phase must fail then.
    session = open_session(bundle, settings.device, 0, cuda_graphs=graphs and settings.device == "cuda")
    batches = BoundBatches(session, bundle.manifest.embedding_size, settings.device, graphs=graphs)
    return {"device": device_of(session), **_measured(settings, batches.run)}


def _with_tensorrt(settings: Settings, bundle: Bundle) -> dict[str, Any]:
    start = time.perf_counter()
    encoder = Encoder(bundle, device="tensorrt", tensorrt_cache=settings.out / "tensorrt")
    open_s = time.perf_counter() - start
    return {"device": encoder.device, "open_s": open_s, **_measured(settings, encoder.encode)}


def _measured(settings: Settings, embed: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    bundle = _published(settings)
    clips = _clips(settings, bundle)
    expected = _expected(settings, bundle, clips)
    found: dict[str, Any] = {}
    for batch in (1, 2) if settings.tiny else (1, 8, 32):
        took = []
        for _ in range(4 if settings.tiny else 23):
            start = time.perf_counter()
            vectors = embed(clips[:batch])
            took.append(time.perf_counter() - start)
        found[f"ms, {batch} at once"] = 1e3 * median(took[3:])
        found[f"clips_per_s, {batch} at once"] = batch / median(took[3:])
    return {
        **found,
        "largest_difference_to_the_cpu": float(np.abs(vectors - expected).max()),
        "centred_cosine_to_the_cpu": centred_cosine(expected, vectors),
    }


def _clips(settings: Settings, bundle: Bundle) -> np.ndarray:
    """As many clips of one body as the largest batch has."""
    shape = (2 if settings.tiny else 32, 1, bundle.manifest.preprocess.sampling.num_frames, 25, 3)
    return np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32)


def _published(settings: Settings, form: Form = "fused") -> Bundle:
    encoder = TINY if settings.tiny else TransformerConfig()
    path = settings.out / f"published-{form}"
    write_bundle(Size("published", encoder, NUM_FRAMES), path, form=form)
    return Bundle.read(path)


def _expected(settings: Settings, bundle: Bundle, clips: np.ndarray) -> np.ndarray:
    path = settings.out / "published-vectors.npy"
    if not path.exists():
        with written_whole(path) as file:
            np.save(file, Encoder(bundle, device="cpu").encode(clips))
    return np.load(path)
